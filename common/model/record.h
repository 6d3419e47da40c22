#pragma once
/*
 * Records described as data. One table of rows says for a struct: field name, type, place, limits, meaning. From it follow, without another line: freeing and
 * copying, the Avro codec (common/wire), the JSON form (API, manifests, --json), the parsing of parameters from JSON, and the test that compares
 * schemas/ *.avsc with the tables. So a new field is one member, one row, one schema field.
 *
 * All pointers in a record are owned by it. A zeroed struct is a valid, empty record. Any thread, one at a time per record.
 */
#include "base/cleanup.h"
#include "base/facts.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

struct strings {
    char **items;
    size_t count;
};

struct bytes {
    unsigned char *data; /* NULL: absent; empty has data != NULL */
    size_t len;
};

struct list { /* of records, contiguous */
    void *items;
    size_t count;
};

enum field_type {
    FIELD_STRING, /* char *; NULL = absent. Avro string, or ["null","string"] when optional */
    FIELD_BOOL,   /* bool. Avro boolean */
    FIELD_INT,    /* int64_t. Avro long */
    FIELD_TIME, /* int64_t, ms UTC since the epoch, 0 = absent. Avro long (timestamp-millis); JSON RFC 3339, or null */
    FIELD_ENUM, /* int, index into `names`. Avro string, checked against the allow-list (never an Avro enum: avro-c resolves those by index) */
    FIELD_BYTES,    /* struct bytes. Avro bytes or ["null","bytes"]; JSON base64 */
    FIELD_STRINGS,  /* struct strings. Avro array of string */
    FIELD_MAP,      /* struct facts. Avro map of string */
    FIELD_RECORD,   /* pointer to a record, NULL = absent. Avro record, or ["null", record] when optional */
    FIELD_EMBEDDED, /* a record inside the struct itself, always present. Avro record */
    FIELD_RECORDS,  /* struct list. Avro array of record */
    FIELD_PARAMS, /* void *, the params of the op that FIELD_ENUM "op" of the same record holds. Avro union of records, branch by name; JSON object */
};

struct record_type;

enum { STRINGS_ITEM_MAX = 4096 }; /* bytes of one item of FIELD_STRINGS */

struct field {
    const char *name;
    enum field_type type;
    size_t offset;
    const struct record_type *record; /* RECORD, EMBEDDED, RECORDS */
    const char *const *names;         /* ENUM: NULL-terminated */
    bool optional; /* may be absent; the Avro type is a union with null (STRING, BYTES, RECORD), or the field has a default */
    int64_t fallback; /* INT, BOOL, ENUM, TIME: the value when a writer's schema lacks the field */
    size_t max;       /* STRING, BYTES: bytes (0: 4096); STRINGS, RECORDS, MAP: entries (0: 1024) */
};

struct record_type {
    const char *name; /* Avro record name: "job", "snapshot_create" */
    size_t size;
    const struct field *fields; /* ends with name NULL */
};

void record_clear(const struct record_type *type, void *record); /* frees what it owns; zeroed afterwards */
void record_free(const struct record_type *type, void *record);  /* record_clear + free; NULL is fine */
int record_copy(const struct record_type *type, void *out, const void *record,
                struct err *err); /* deep; out zeroed by the caller */
int record_clone(const struct record_type *type, void **out, const void *record, struct err *err);
void record_defaults(const struct record_type *type, void *record); /* fallbacks into a zeroed record */

/* The record type of the params of `record`, by its field "op"; NULL if that is none or there is no such field. */
const struct record_type *record_params_type(const struct record_type *type, const void *record);
size_t field_max(const struct field *field); /* `max`, or what 0 stands for */

/* Appends an empty (zeroed, defaulted) item and returns it, or NULL (err set). */
void *list_add(struct list *list, const struct record_type *type, struct err *err);
void list_clear(struct list *list, const struct record_type *type);
#define list_at(list, struct_type, index) (&((struct_type *)(list)->items)[index])
int strings_add(struct strings *strings, const char *value, struct err *err);
/* Each word of text, as in "vda,vdb"; empty ones are left out. */
int strings_add_words(struct strings *strings, const char *text, const char *separators, struct err *err);
bool strings_have(const struct strings *strings, const char *value);
void strings_clear(struct strings *strings);
int string_set(char **field, const char *value,
               struct err *err); /* strdup into a field, freeing the old one; NULL clears */

/* Index of `name` in a NULL-terminated list, or -1. */
int name_index(const char *const *names, const char *name);

/* JSON (jansson's). Absent and empty optional fields are left out; times are RFC 3339; bytes are base64. Caller decrefs; NULL: err says why. */
struct json_t;
struct json_t *record_json(const struct record_type *type, const void *record, struct err *err);
/* The same as text. Caller frees. */
int record_to_json(const struct record_type *type, const void *record, bool indent, char **out, struct err *err);
/* Strict: unknown keys, wrong types, values outside allow-lists or limits are ERR_PERMANENT naming the field path ("params.disks[1].mode: …"). out zeroed; freed on failure. */
int record_from_json(const struct record_type *type, void *out, const char *json, size_t len, struct err *err);
/* Lenient about unknown keys: for manifests written by a newer version. */
int record_from_json_lenient(const struct record_type *type, void *out, const char *json, size_t len, struct err *err);

/* Makes a record encodable that holds text of others (a tool's words, an agent's answer): bytes that are not UTF-8 become '?', text, lists and maps that are too
 * long are cut, text at a character with "…" behind. Fields that are required and absent are left alone. Returns how many places were changed. */
size_t record_fit(const struct record_type *type, void *record);

/* x_clear, x_free, x_freep, x_clone for `struct x` described by `type`. */
#define DEFINE_RECORD(name, type)                                                                               \
    static inline __attribute__((unused)) void name##_clear(struct name *record)                                \
    {                                                                                                           \
        record_clear(&(type), record);                                                                          \
    }                                                                                                           \
    static inline __attribute__((unused)) void name##_free(struct name *record)                                 \
    {                                                                                                           \
        record_free(&(type), record);                                                                           \
    }                                                                                                           \
    static inline __attribute__((unused)) void name##_freep(struct name **record)                               \
    {                                                                                                           \
        record_free(&(type), *record);                                                                          \
    }                                                                                                           \
    static inline                                                                                               \
        __attribute__((unused)) int name##_clone(const struct name *record, struct name **out, struct err *err) \
    {                                                                                                           \
        void *copy;                                                                                             \
        if (record_clone(&(type), &copy, record, err) < 0)                                                      \
            return -1;                                                                                          \
        *out = copy;                                                                                            \
        return 0;                                                                                               \
    }
