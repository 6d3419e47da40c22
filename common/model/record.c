/*
 * Freeing, copying and defaults of records, from their tables. Lists, strings and maps have no capacity member: their room is always the next power
 * of two of their count (list_room), so growing is amortised and a copy is as good as the original.
 */
#include "model/record.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "model/op.h"

#include <stdlib.h>
#include <string.h>

static void *member(const struct field *field, void *record)
{
    return (char *)record + field->offset;
}

static const void *member_const(const struct field *field, const void *record)
{
    return (const char *)record + field->offset;
}

size_t field_max(const struct field *field)
{
    bool bytes = field->type == FIELD_STRING || field->type == FIELD_BYTES;

    return field->max ? field->max : bytes ? 4096 : 1024;
}

const struct record_type *record_params_type(const struct record_type *type, const void *record)
{
    for (const struct field *field = type->fields; field->name; field++) {
        if (field->type != FIELD_ENUM || strcmp(field->name, "op") != 0)
            continue;
        int op = *(const int *)member_const(field, record);
        return op > OP_NONE && op < OP_COUNT ? op_info((enum op)op)->params : NULL;
    }
    return NULL;
}

int name_index(const char *const *names, const char *name)
{
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

int string_set(char **field, const char *value, struct err *err)
{
    char *copy = value ? strdup(value) : NULL;

    if (value && !copy)
        return err_memory(err, "text");
    free(*field);
    *field = copy;
    return 0;
}

/* Room for one more item behind `count`. */
static void *grow(void *items, size_t count, size_t size)
{
    if (items && (count & (count - 1)))
        return items;
    return realloc(items, (count ? count * 2 : 1) * size);
}

void *list_add(struct list *list, const struct record_type *type, struct err *err)
{
    void *items = grow(list->items, list->count, type->size);

    if (!items) {
        err_memory(err, type->name);
        return NULL;
    }
    list->items = items;
    char *item = (char *)items + list->count * type->size;
    memset(item, 0, type->size);
    record_defaults(type, item);
    list->count++;
    return item;
}

int strings_add(struct strings *strings, const char *value, struct err *err)
{
    char *copy = strdup(value);
    char **items = copy ? grow(strings->items, strings->count, sizeof *items) : NULL;

    if (!items) {
        free(copy);
        return err_memory(err, "list");
    }
    strings->items = items;
    items[strings->count++] = copy;
    return 0;
}

int strings_add_words(struct strings *strings, const char *text, const char *separators, struct err *err)
{
    CLEANUP(freep) char *copy = strdup(text);
    char *rest = NULL;

    if (!copy)
        return err_memory(err, text);
    for (char *word = strtok_r(copy, separators, &rest); word; word = strtok_r(NULL, separators, &rest))
        if (strings_add(strings, word, err) < 0)
            return -1;
    return 0;
}

bool strings_have(const struct strings *strings, const char *value)
{
    for (size_t i = 0; i < strings->count; i++)
        if (strcmp(strings->items[i], value) == 0)
            return true;
    return false;
}

void strings_clear(struct strings *strings)
{
    for (size_t i = 0; i < strings->count; i++)
        free(strings->items[i]);
    free(strings->items);
    *strings = (struct strings){0};
}

void list_clear(struct list *list, const struct record_type *type)
{
    for (size_t i = 0; i < list->count; i++)
        record_clear(type, (char *)list->items + i * type->size);
    free(list->items);
    *list = (struct list){0};
}

static void clear_params(const struct record_type *type, void *record, void **params)
{
    const struct record_type *params_type = record_params_type(type, record);

    if (params_type)
        record_free(params_type, *params);
    else
        free(*params); /* op was changed under it: at least the block itself */
    *params = NULL;
}

static void clear_field(const struct record_type *type, const struct field *field, void *record)
{
    void *at = member(field, record);

    switch (field->type) {
    case FIELD_STRING: free(*(char **)at); break;
    case FIELD_BYTES: free(((struct bytes *)at)->data); break;
    case FIELD_STRINGS: strings_clear(at); break;
    case FIELD_MAP: facts_clear(at); break;
    case FIELD_RECORD: record_free(field->record, *(void **)at); break;
    case FIELD_EMBEDDED: record_clear(field->record, at); break;
    case FIELD_RECORDS: list_clear(at, field->record); break;
    case FIELD_PARAMS: clear_params(type, record, at); break;
    case FIELD_BOOL:
    case FIELD_INT:
    case FIELD_TIME:
    case FIELD_ENUM: break;
    }
}

void record_clear(const struct record_type *type, void *record)
{
    for (const struct field *field = type->fields; field->name; field++)
        clear_field(type, field, record);
    memset(record, 0, type->size);
}

void record_free(const struct record_type *type, void *record)
{
    if (!record)
        return;
    record_clear(type, record);
    free(record);
}

void record_defaults(const struct record_type *type, void *record)
{
    for (const struct field *field = type->fields; field->name; field++) {
        void *at = member(field, record);
        if (field->type == FIELD_INT || field->type == FIELD_TIME)
            *(int64_t *)at = field->fallback;
        else if (field->type == FIELD_BOOL)
            *(bool *)at = field->fallback != 0;
        else if (field->type == FIELD_ENUM)
            *(int *)at = (int)field->fallback;
        else if (field->type == FIELD_EMBEDDED)
            record_defaults(field->record, at);
    }
}

static int copy_bytes(struct bytes *out, const struct bytes *from, struct err *err)
{
    if (!from->data)
        return 0;
    out->data = malloc(from->len + 1);
    if (!out->data)
        return err_memory(err, "bytes");
    memcpy(out->data, from->data, from->len);
    out->len = from->len;
    return 0;
}

static int copy_strings(struct strings *out, const struct strings *from, struct err *err)
{
    for (size_t i = 0; i < from->count; i++)
        if (strings_add(out, from->items[i], err) < 0)
            return -1;
    return 0;
}

static int copy_list(const struct record_type *type, struct list *out, const struct list *from, struct err *err)
{
    for (size_t i = 0; i < from->count; i++) {
        void *item = list_add(out, type, err);
        if (!item || record_copy(type, item, (const char *)from->items + i * type->size, err) < 0)
            return -1;
    }
    return 0;
}

static int copy_pointer(const struct record_type *type, void **out, const void *from, struct err *err)
{
    if (!from || !type)
        return 0;
    return record_clone(type, out, from, err);
}

static int copy_field(const struct record_type *type, const struct field *field, void *out, const void *record,
                      struct err *err)
{
    void *to = member(field, out);
    const void *from = member_const(field, record);

    switch (field->type) {
    case FIELD_STRING: return string_set(to, *(char *const *)from, err);
    case FIELD_BYTES: return copy_bytes(to, from, err);
    case FIELD_STRINGS: return copy_strings(to, from, err);
    case FIELD_MAP: return facts_copy(to, from, err);
    case FIELD_RECORD: return copy_pointer(field->record, to, *(void *const *)from, err);
    case FIELD_PARAMS: return copy_pointer(record_params_type(type, record), to, *(void *const *)from, err);
    case FIELD_EMBEDDED: return record_copy(field->record, to, from, err);
    case FIELD_RECORDS: return copy_list(field->record, to, from, err);
    case FIELD_BOOL: *(bool *)to = *(const bool *)from; return 0;
    case FIELD_INT:
    case FIELD_TIME: *(int64_t *)to = *(const int64_t *)from; return 0;
    case FIELD_ENUM: *(int *)to = *(const int *)from; return 0;
    }
    return 0;
}

/* Fields before `op` never hold params, and `op` is copied first by the order of the table: a half-copied record can be cleared. */
int record_copy(const struct record_type *type, void *out, const void *record, struct err *err)
{
    for (const struct field *field = type->fields; field->name; field++) {
        if (copy_field(type, field, out, record, err) < 0) {
            record_clear(type, out);
            return -1;
        }
    }
    return 0;
}

int record_clone(const struct record_type *type, void **out, const void *record, struct err *err)
{
    void *copy = calloc(1, type->size);

    if (!copy)
        return err_memory(err, type->name);
    if (record_copy(type, copy, record, err) < 0) {
        free(copy);
        return -1;
    }
    *out = copy;
    return 0;
}
