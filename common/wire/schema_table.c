/* .incbin instead of a generated file: the schema in the program is the file in schemas/, byte for byte, and there is no step to forget. */
#include "wire/schema_table.h"

#include "model/audit.h"
#include "model/inventory.h"
#include "model/ledger_entry.h"
#include "model/request.h"
#include "model/restore_point.h"
#include "model/status.h"

#define EMBED(symbol, file)                                                                        \
    __asm__(".section .rodata\n.global " #symbol "\n" #symbol ":\n.incbin \"" SCHEMAS_DIR "/" file \
            "\"\n.byte 0\n.previous\n");                                                           \
    extern const char symbol[]

EMBED(schema_job_1, "job.1.avsc");
EMBED(schema_job_2, "job.2.avsc");
EMBED(schema_job_3, "job.3.avsc");
EMBED(schema_job_4, "job.4.avsc");
EMBED(schema_job_5, "job.5.avsc");
EMBED(schema_job_6, "job.6.avsc");
EMBED(schema_job_7, "job.avsc");
EMBED(schema_status_1, "status.1.avsc");
EMBED(schema_status_2, "status.2.avsc");
EMBED(schema_status_3, "status.avsc");
EMBED(schema_ledger_entry_1, "ledger_entry.1.avsc");
EMBED(schema_ledger_entry_2, "ledger_entry.2.avsc");
EMBED(schema_ledger_entry_3, "ledger_entry.3.avsc");
EMBED(schema_ledger_entry_4, "ledger_entry.4.avsc");
EMBED(schema_ledger_entry_5, "ledger_entry.5.avsc");
EMBED(schema_ledger_entry_6, "ledger_entry.6.avsc");
EMBED(schema_ledger_entry_7, "ledger_entry.7.avsc");
EMBED(schema_ledger_entry_8, "ledger_entry.8.avsc");
EMBED(schema_ledger_entry_9, "ledger_entry.9.avsc");
EMBED(schema_ledger_entry_10, "ledger_entry.10.avsc");
EMBED(schema_ledger_entry_11, "ledger_entry.11.avsc");
EMBED(schema_ledger_entry_12, "ledger_entry.12.avsc");
EMBED(schema_ledger_entry_13, "ledger_entry.13.avsc");
EMBED(schema_ledger_entry_14, "ledger_entry.avsc");
EMBED(schema_restore_point_1, "restore_point.1.avsc");
EMBED(schema_restore_point_2, "restore_point.2.avsc");
EMBED(schema_restore_point_3, "restore_point.avsc");
EMBED(schema_inventory_1, "inventory.1.avsc");
EMBED(schema_inventory_2, "inventory.2.avsc");
EMBED(schema_inventory_3, "inventory.avsc");
EMBED(schema_request_1, "request.1.avsc");
EMBED(schema_request_2, "request.2.avsc");
EMBED(schema_request_3, "request.3.avsc");
EMBED(schema_request_4, "request.4.avsc");
EMBED(schema_request_5, "request.5.avsc");
EMBED(schema_request_6, "request.avsc");
EMBED(schema_deploy_event_1, "deploy_event.1.avsc");
EMBED(schema_deploy_event_2, "deploy_event.avsc");
EMBED(schema_audit_1, "audit.avsc");
EMBED(schema_dead_letter_1, "dead_letter.avsc");

const struct schema_entry schema_table[] = {
    {1, 1, "job.1.avsc", &job_record, schema_job_1},
    {2, 1, "status.1.avsc", &status_record, schema_status_1},
    {3, 1, "ledger_entry.1.avsc", &ledger_entry_record, schema_ledger_entry_1},
    {4, 1, "restore_point.1.avsc", &restore_point_record, schema_restore_point_1},
    {5, 1, "inventory.1.avsc", &inventory_record, schema_inventory_1},
    {6, 1, "request.1.avsc", &request_record, schema_request_1},
    {7, 1, "deploy_event.1.avsc", &deploy_event_record, schema_deploy_event_1},
    {8, 1, "audit.avsc", &audit_record, schema_audit_1},
    {9, 1, "dead_letter.avsc", &dead_letter_record, schema_dead_letter_1},
    {10, 2, "ledger_entry.2.avsc", &ledger_entry_record, schema_ledger_entry_2},
    {11, 2, "job.2.avsc", &job_record, schema_job_2},
    {12, 2, "status.2.avsc", &status_record, schema_status_2},
    {13, 3, "ledger_entry.3.avsc", &ledger_entry_record, schema_ledger_entry_3},
    {14, 2, "restore_point.2.avsc", &restore_point_record, schema_restore_point_2},
    {15, 2, "request.2.avsc", &request_record, schema_request_2},
    {16, 4, "ledger_entry.4.avsc", &ledger_entry_record, schema_ledger_entry_4},
    {17, 3, "job.3.avsc", &job_record, schema_job_3},
    {18, 3, "request.3.avsc", &request_record, schema_request_3},
    {19, 5, "ledger_entry.5.avsc", &ledger_entry_record, schema_ledger_entry_5},
    {20, 4, "job.4.avsc", &job_record, schema_job_4},
    {21, 4, "request.4.avsc", &request_record, schema_request_4},
    {22, 6, "ledger_entry.6.avsc", &ledger_entry_record, schema_ledger_entry_6},
    {23, 7, "ledger_entry.7.avsc", &ledger_entry_record, schema_ledger_entry_7},
    {24, 2, "deploy_event.avsc", &deploy_event_record, schema_deploy_event_2},
    {25, 5, "job.5.avsc", &job_record, schema_job_5},
    {26, 8, "ledger_entry.8.avsc", &ledger_entry_record, schema_ledger_entry_8},
    {27, 2, "inventory.2.avsc", &inventory_record, schema_inventory_2},
    {28, 9, "ledger_entry.9.avsc", &ledger_entry_record, schema_ledger_entry_9},
    {29, 10, "ledger_entry.10.avsc", &ledger_entry_record, schema_ledger_entry_10},
    {30, 6, "job.6.avsc", &job_record, schema_job_6},
    {31, 5, "request.5.avsc", &request_record, schema_request_5},
    {32, 11, "ledger_entry.11.avsc", &ledger_entry_record, schema_ledger_entry_11},
    {33, 3, "status.avsc", &status_record, schema_status_3},
    {34, 7, "job.avsc", &job_record, schema_job_7},
    {35, 6, "request.avsc", &request_record, schema_request_6},
    {36, 12, "ledger_entry.12.avsc", &ledger_entry_record, schema_ledger_entry_12},
    {37, 3, "restore_point.avsc", &restore_point_record, schema_restore_point_3},
    {38, 3, "inventory.avsc", &inventory_record, schema_inventory_3},
    {39, 13, "ledger_entry.13.avsc", &ledger_entry_record, schema_ledger_entry_13},
    {40, 14, "ledger_entry.avsc", &ledger_entry_record, schema_ledger_entry_14},
    {0},
};
