#include "base/base64.h"
#include "base/err.h"
#include "base/parse.h"
#include "model/record.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static json_t *object_json(const struct record_type *type, const void *record);

static json_t *time_json(int64_t ms)
{
    char text[40];

    return ms ? json_string(format_rfc3339(ms, text, sizeof text)) : json_null();
}

static json_t *bytes_json(const struct bytes *bytes)
{
    size_t size = BASE64_TEXT(bytes->len);
    CLEANUP(freep) char *text = malloc(size);

    if (!text || base64_encode(bytes->data, bytes->len, text, size) < 0)
        return NULL;
    return json_string(text);
}

static json_t *strings_json(const struct strings *strings)
{
    json_t *array = json_array();

    for (size_t i = 0; array && i < strings->count; i++) {
        if (json_array_append_new(array, json_string(strings->items[i])) < 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *map_json(const struct facts *facts)
{
    json_t *object = json_object();

    for (size_t i = 0; object && i < facts->count; i++) {
        if (json_object_set_new(object, facts->items[i].key, json_string(facts->items[i].value)) < 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static json_t *list_json(const struct record_type *type, const struct list *list)
{
    json_t *array = json_array();

    for (size_t i = 0; array && i < list->count; i++) {
        if (json_array_append_new(array, object_json(type, (const char *)list->items + i * type->size)) < 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

/* Nothing to say: left out. */
static bool is_absent(const struct field *field, const void *at)
{
    switch (field->type) {
    case FIELD_STRING: return !*(char *const *)at;
    case FIELD_BYTES: return !((const struct bytes *)at)->data;
    case FIELD_RECORD:
    case FIELD_PARAMS: return !*(void *const *)at;
    case FIELD_STRINGS: return field->optional && ((const struct strings *)at)->count == 0;
    case FIELD_MAP: return field->optional && ((const struct facts *)at)->count == 0;
    case FIELD_RECORDS: return field->optional && ((const struct list *)at)->count == 0;
    case FIELD_TIME: return field->optional && *(const int64_t *)at == 0;
    case FIELD_BOOL:
    case FIELD_INT:
    case FIELD_ENUM:
    case FIELD_EMBEDDED: return false;
    }
    return false;
}

static json_t *params_json(const struct record_type *type, const void *record, const void *params)
{
    const struct record_type *params_type = record_params_type(type, record);

    return params_type ? object_json(params_type, params) : NULL;
}

static json_t *field_json(const struct record_type *type, const struct field *field, const void *record, const void *at)
{
    switch (field->type) {
    case FIELD_STRING: return json_string(*(char *const *)at);
    case FIELD_BOOL: return json_boolean(*(const bool *)at);
    case FIELD_INT: return json_integer(*(const int64_t *)at);
    case FIELD_TIME: return time_json(*(const int64_t *)at);
    case FIELD_ENUM: return json_string(field->names[*(const int *)at]);
    case FIELD_BYTES: return bytes_json(at);
    case FIELD_STRINGS: return strings_json(at);
    case FIELD_MAP: return map_json(at);
    case FIELD_RECORD: return object_json(field->record, *(void *const *)at);
    case FIELD_EMBEDDED: return object_json(field->record, at);
    case FIELD_RECORDS: return list_json(field->record, at);
    case FIELD_PARAMS: return params_json(type, record, *(void *const *)at);
    }
    return NULL;
}

static json_t *object_json(const struct record_type *type, const void *record)
{
    json_t *object = json_object();

    for (const struct field *field = type->fields; object && field->name; field++) {
        const void *at = (const char *)record + field->offset;
        if (is_absent(field, at))
            continue;
        if (json_object_set_new(object, field->name, field_json(type, field, record, at)) < 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

json_t *record_json(const struct record_type *type, const void *record, struct err *err)
{
    json_t *object = object_json(type, record);

    if (!object)
        err_set(err, ERR_PERMANENT, "%s: has text that is not UTF-8, or no memory", type->name);
    return object;
}

int record_to_json(const struct record_type *type, const void *record, bool indent, char **out, struct err *err)
{
    json_t *object = record_json(type, record, err);

    if (!object)
        return -1;
    char *text = json_dumps(object, indent ? JSON_INDENT(2) : JSON_COMPACT);
    json_decref(object);
    if (!text)
        return err_memory(err, type->name);
    *out = text;
    return 0;
}
