/*
 * JSON comes from people, from the API and from manifests: everything is checked against the table, and an error names the place as a person would
 * write it ("params.disks[1].mode: …"). The place is kept as frames on the stack and rendered only when something is wrong.
 */
#include "base/base64.h"
#include "base/err.h"
#include "base/parse.h"
#include "model/record.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct place {
    const struct place *outer;
    const char *name; /* or, in a list, NULL and: */
    size_t index;
};

struct reader {
    bool lenient;
    struct err *err;
};

static int read_record(struct reader *reader, const struct place *place, const struct record_type *type, void *out,
                       json_t *json);

static size_t render(const struct place *place, char *out, size_t size)
{
    size_t used;

    if (!place)
        return 0;
    used = render(place->outer, out, size);
    if (used >= size)
        return used;
    int len = place->name ? snprintf(out + used, size - used, "%s%s", used ? "." : "", place->name)
                          : snprintf(out + used, size - used, "[%zu]", place->index);
    return used + (size_t)len;
}

__attribute__((format(printf, 3, 4))) static int wrong(struct reader *reader, const struct place *place,
                                                       const char *format, ...)
{
    char where[200] = "";
    char what[256];
    va_list args;

    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    render(place, where, sizeof where);
    return err_set(reader->err, ERR_PERMANENT, "%s%s%s", where, *where ? ": " : "", what);
}

static int read_string(struct reader *reader, const struct place *place, const struct field *field, char **out,
                       json_t *json)
{
    if (!json_is_string(json))
        return wrong(reader, place, "must be text");
    if (json_string_length(json) > field_max(field))
        return wrong(reader, place, "is longer than %zu bytes", field_max(field));
    return string_set(out, json_string_value(json), reader->err);
}

static int read_int(struct reader *reader, const struct place *place, int64_t *out, json_t *json)
{
    if (!json_is_integer(json))
        return wrong(reader, place, "must be a whole number");
    *out = json_integer_value(json);
    return 0;
}

static int read_bool(struct reader *reader, const struct place *place, bool *out, json_t *json)
{
    if (!json_is_boolean(json))
        return wrong(reader, place, "must be true or false");
    *out = json_is_true(json);
    return 0;
}

static int read_time(struct reader *reader, const struct place *place, int64_t *out, json_t *json)
{
    const char *text = json_string_value(json);

    if (json_is_null(json)) {
        *out = 0;
        return 0;
    }
    if (!text || !strpbrk(text, "Tt") || parse_time(text, out, NULL) < 0)
        return wrong(reader, place, "must be a time like 2026-11-20T14:02:03Z");
    return 0;
}

static int read_enum(struct reader *reader, const struct place *place, const struct field *field, int *out, json_t *json)
{
    const char *text = json_string_value(json);
    int index = text ? name_index(field->names, text) : -1;
    char allowed[200] = "";
    size_t used = 0;

    if (index >= 0) {
        *out = index;
        return 0;
    }
    for (size_t i = 0; field->names[i] && used < sizeof allowed; i++)
        used += (size_t)snprintf(allowed + used, sizeof allowed - used, "%s%s", i ? ", " : "", field->names[i]);
    return wrong(reader, place, "must be one of %s", allowed);
}

static int read_bytes(struct reader *reader, const struct place *place, const struct field *field, struct bytes *out,
                      json_t *json)
{
    const char *text = json_string_value(json);

    if (!text)
        return wrong(reader, place, "must be base64");
    if (json_string_length(json) / 4 * 3 > field_max(field) + 2)
        return wrong(reader, place, "is longer than %zu bytes", field_max(field));
    CLEANUP(freep) unsigned char *data = malloc(json_string_length(json) + 1);
    if (!data)
        return err_memory(reader->err, "bytes");
    int len = base64_decode(text, data, json_string_length(json) + 1);
    if (len < 0 || (size_t)len > field_max(field))
        return wrong(reader, place, len < 0 ? "must be base64" : "is too long");
    *out = (struct bytes){.data = data, .len = (size_t)len};
    data = NULL;
    return 0;
}

static int check_list(struct reader *reader, const struct place *place, const struct field *field, json_t *json)
{
    if (!json_is_array(json))
        return wrong(reader, place, "must be a list");
    if (json_array_size(json) > field_max(field))
        return wrong(reader, place, "has more than %zu entries", field_max(field));
    return 0;
}

static int read_strings(struct reader *reader, const struct place *place, const struct field *field,
                        struct strings *out, json_t *json)
{
    if (check_list(reader, place, field, json) < 0)
        return -1;
    for (size_t i = 0; i < json_array_size(json); i++) {
        struct place item = {.outer = place, .index = i};
        json_t *value = json_array_get(json, i);
        if (!json_is_string(value))
            return wrong(reader, &item, "must be text");
        if (json_string_length(value) > STRINGS_ITEM_MAX)
            return wrong(reader, &item, "is longer than %d bytes", STRINGS_ITEM_MAX);
        if (strings_add(out, json_string_value(value), reader->err) < 0)
            return -1;
    }
    return 0;
}

static int read_map(struct reader *reader, const struct place *place, const struct field *field, struct facts *out,
                    json_t *json)
{
    struct err problem;
    const char *key;
    json_t *value;

    if (!json_is_object(json))
        return wrong(reader, place, "must be an object");
    if (json_object_size(json) > field_max(field))
        return wrong(reader, place, "has more than %zu entries", field_max(field));
    json_object_foreach(json, key, value)
    {
        struct place entry = {.outer = place, .name = key};
        if (!json_is_string(value))
            return wrong(reader, &entry, "must be text");
        if (facts_set(out, key, json_string_value(value), &problem) < 0)
            return wrong(reader, place, "%s", problem.text);
    }
    return 0;
}

static int read_list(struct reader *reader, const struct place *place, const struct field *field, struct list *out,
                     json_t *json)
{
    if (check_list(reader, place, field, json) < 0)
        return -1;
    for (size_t i = 0; i < json_array_size(json); i++) {
        struct place item = {.outer = place, .index = i};
        void *record = list_add(out, field->record, reader->err);
        if (!record || read_record(reader, &item, field->record, record, json_array_get(json, i)) < 0)
            return -1;
    }
    return 0;
}

static int read_pointer(struct reader *reader, const struct place *place, const struct record_type *type, void **out,
                        json_t *json)
{
    if (!type)
        return wrong(reader, place, "belongs to no operation");
    *out = calloc(1, type->size);
    if (!*out)
        return err_memory(reader->err, type->name);
    return read_record(reader, place, type, *out, json);
}

static int read_field(struct reader *reader, const struct place *place, const struct record_type *type,
                      const struct field *field, void *record, json_t *json)
{
    void *at = (char *)record + field->offset;

    switch (field->type) {
    case FIELD_STRING: return read_string(reader, place, field, at, json);
    case FIELD_BOOL: return read_bool(reader, place, at, json);
    case FIELD_INT: return read_int(reader, place, at, json);
    case FIELD_TIME: return read_time(reader, place, at, json);
    case FIELD_ENUM: return read_enum(reader, place, field, at, json);
    case FIELD_BYTES: return read_bytes(reader, place, field, at, json);
    case FIELD_STRINGS: return read_strings(reader, place, field, at, json);
    case FIELD_MAP: return read_map(reader, place, field, at, json);
    case FIELD_RECORD: return read_pointer(reader, place, field->record, at, json);
    case FIELD_EMBEDDED: return read_record(reader, place, field->record, at, json);
    case FIELD_RECORDS: return read_list(reader, place, field, at, json);
    case FIELD_PARAMS: return read_pointer(reader, place, record_params_type(type, record), at, json);
    }
    return wrong(reader, place, "has no type");
}

static int check_keys(struct reader *reader, const struct place *place, const struct record_type *type, json_t *json)
{
    const char *key;
    json_t *value;

    if (!json_is_object(json))
        return wrong(reader, place, "must be an object");
    json_object_foreach(json, key, value)
    {
        struct place unknown = {.outer = place, .name = key};
        const struct field *field = type->fields;
        while (field->name && strcmp(field->name, key) != 0)
            field++;
        if (!field->name && !reader->lenient)
            return wrong(reader, &unknown, "is unknown");
    }
    return 0;
}

/* `out` is zeroed; what was filled in stays there on failure, and the outermost call clears it. */
static int read_record(struct reader *reader, const struct place *place, const struct record_type *type, void *out,
                       json_t *json)
{
    if (check_keys(reader, place, type, json) < 0)
        return -1;
    record_defaults(type, out);
    for (const struct field *field = type->fields; field->name; field++) {
        struct place inner = {.outer = place, .name = field->name};
        json_t *value = json_object_get(json, field->name);
        bool absent = !value || (json_is_null(value) && field->type != FIELD_TIME);
        if (absent && !field->optional)
            return wrong(reader, &inner, "is missing");
        if (!absent && read_field(reader, &inner, type, field, out, value) < 0)
            return -1;
    }
    return 0;
}

static int read_text(struct reader *reader, const struct record_type *type, void *out, const char *json, size_t len)
{
    json_error_t problem;
    json_t *root = json_loadb(json, len, JSON_REJECT_DUPLICATES, &problem);

    if (!root)
        return err_set(reader->err, ERR_PERMANENT, "not JSON: line %d, column %d: %s", problem.line, problem.column,
                       problem.text);
    int failed = read_record(reader, NULL, type, out, root);
    json_decref(root);
    if (failed)
        record_clear(type, out);
    return failed;
}

int record_from_json(const struct record_type *type, void *out, const char *json, size_t len, struct err *err)
{
    struct reader reader = {.err = err};

    return read_text(&reader, type, out, json, len);
}

int record_from_json_lenient(const struct record_type *type, void *out, const char *json, size_t len, struct err *err)
{
    struct reader reader = {.lenient = true, .err = err};

    return read_text(&reader, type, out, json, len);
}
