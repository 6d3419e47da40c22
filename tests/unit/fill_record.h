#pragma once
/* Fills any record from its table, the same way every time: for tests that must hold for all of them. */
#include "model/audit.h"
#include "model/inventory.h"
#include "model/ledger_entry.h"
#include "model/request.h"
#include "model/restore_point.h"
#include "model/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct record_type *const fill_types[] = {
    &job_record,     &status_record,       &ledger_entry_record, &restore_point_record, &inventory_record,
    &request_record, &deploy_event_record, &audit_record,        &dead_letter_record,
};
enum { FILL_TYPES = sizeof fill_types / sizeof *fill_types };

static inline void fill_record(const struct record_type *type, void *record, unsigned seed, bool optional);

static inline void fill_text(const struct field *field, char **out, unsigned seed)
{
    char text[128];

    snprintf(text, sizeof text, "%u é %s", seed, field->name);
    if (strlen(text) > field_max(field))
        snprintf(text, field_max(field) < 40 ? field_max(field) + 1 : 40, "%u%s", seed,
                 "0123456789abcdef0123456789abcdef");
    string_set(out, text, NULL);
}

static inline int fill_name(const struct field *field, unsigned seed)
{
    int count = 0;

    while (field->names[count])
        count++;
    if (strcmp(field->name, "operation") == 0 && count == 4) /* backup.copy came after the golden bytes */
        count = 3;
    return strcmp(field->name, "op") == 0 ? 1 + (int)(seed % (unsigned)(count - 1)) : (int)(seed % (unsigned)count);
}

static inline void fill_list(const struct field *field, struct list *list, unsigned seed, bool optional)
{
    for (unsigned i = 0; i < 2; i++)
        fill_record(field->record, list_add(list, field->record, NULL), seed + i, optional);
}

static inline void fill_pointer(const struct record_type *type, void **out, unsigned seed, bool optional)
{
    *out = calloc(1, type->size);
    record_defaults(type, *out);
    fill_record(type, *out, seed, optional);
}

static inline void fill_field(const struct record_type *type, const struct field *field, void *record, unsigned seed,
                              bool optional)
{
    void *at = (char *)record + field->offset;

    switch (field->type) {
    case FIELD_STRING: fill_text(field, at, seed); break;
    case FIELD_BOOL: *(bool *)at = seed % 2 == 0; break;
    case FIELD_INT: *(int64_t *)at = (seed % 3 ? 1 : -1) * (int64_t)seed * 1000003; break;
    case FIELD_TIME: *(int64_t *)at = 1795183323123 + (int64_t)seed * 86400001; break;
    case FIELD_ENUM: *(int *)at = fill_name(field, seed); break;
    case FIELD_BYTES:
        *(struct bytes *)at = (struct bytes){.data = memcpy(malloc(4), "\0\xff\x80z", 4), .len = 4};
        break;
    case FIELD_STRINGS:
        strings_add(at, "one", NULL);
        strings_add(at, "zwei ü", NULL);
        break;
    case FIELD_MAP:
        facts_set(at, "key", "value", NULL);
        facts_set_int(at, field->name, seed, NULL);
        break;
    case FIELD_RECORDS: fill_list(field, at, seed, optional); break;
    case FIELD_RECORD: fill_pointer(field->record, at, seed, optional); break;
    case FIELD_EMBEDDED: fill_record(field->record, at, seed, optional); break;
    case FIELD_PARAMS: fill_pointer(record_params_type(type, record), at, seed, optional); break;
    }
}

/* `record` zeroed. Without `optional` only what is required is filled, the rest has its default. */
static inline void fill_record(const struct record_type *type, void *record, unsigned seed, bool optional)
{
    record_defaults(type, record);
    for (const struct field *field = type->fields; field->name; field++, seed++)
        if (optional || !field->optional)
            fill_field(type, field, record, seed, optional);
}

static inline void *fill_new(const struct record_type *type, unsigned seed, bool optional)
{
    void *record = calloc(1, type->size);

    fill_record(type, record, seed, optional);
    return record;
}

/* As text: two records are equal when their texts are. */
static inline char *fill_json(const struct record_type *type, const void *record)
{
    char *text = NULL;

    return record_to_json(type, record, true, &text, NULL) < 0 ? NULL : text;
}
