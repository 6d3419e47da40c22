#pragma once
/*
 * The ledger, read from Kafka by the command itself: which host a job is of, and with which keys a host signs. So what a topic says can be checked without the coordinator.
 * Belongs to one thread.
 */
#include "coordinator/ledger.h"
#include "crypto/keys.h"

struct err;
struct kafka_options;
struct kafka_record;
struct ledger_reader;
struct status;
struct wire;

/* `kafka` outlives it. Reads nothing yet, but blocks until Kafka answers. */
int ledger_reader_open(const struct kafka_options *kafka, const unsigned char master[KEY_BYTES],
                       struct ledger_reader **out, struct err *err);
void ledger_reader_close(struct ledger_reader *reader); /* NULL is fine */
/* Told of each record that is read, first with entry NULL, and again with its entry if that counts. -1 ends the reading. Before the first catch_up. */
typedef int ledger_watch(void *context, const struct kafka_record *record, const struct ledger_entry *entry,
                         struct err *err);
void ledger_reader_watch(struct ledger_reader *reader, ledger_watch *watch, void *context);
/* Reads what is there now. Blocks; ERR_RETRY when Kafka says nothing for 30 s. */
int ledger_reader_catch_up(struct ledger_reader *reader, struct err *err);

/*
 * Decodes a status event and decides whether it is to be believed: docs/protocol.md "What a reader believes". 0: *out (zeroed by the caller, who clears it) is filled. 1: not
 * believed, *err says why. -1: Kafka does not answer. Reads on in the ledger where that does not know the job, its host or its key yet.
 */
int ledger_reader_status(struct ledger_reader *reader, struct wire *wire, const struct kafka_record *record,
                         struct status *out, struct err *err);
/* What the ledger says of a job; 0, 1: it knows no such job, or -1. Reads on as above. */
int ledger_reader_job(struct ledger_reader *reader, const char *job_id, struct ledger_job_facts *out, struct err *err);
/* The MAC of a record that `host` is said to have written; likewise 0, 1 or -1. */
int ledger_reader_verifies(struct ledger_reader *reader, const struct kafka_record *record, const char *host,
                           struct err *err);
