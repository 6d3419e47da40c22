/* The reverse of codec_read.c, with the same limits: what we write we can read. */
#include "base/err.h"
#include "base/text.h"
#include "model/record.h"
#include "model/target.h"
#include "wire/codec.h"
#include "wire/shape.h"

#include <string.h>

static int write_record(struct text *out, const struct shape *shape, const void *record, struct err *err);

static void write_long(struct text *out, int64_t value)
{
    uint64_t bits = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
    char bytes[10];
    size_t len = 0;

    for (; bits >= 0x80; bits >>= 7)
        bytes[len++] = (char)(bits | 0x80);
    bytes[len++] = (char)bits;
    text_add_len(out, bytes, len);
}

static void write_counted(struct text *out, const void *data, size_t len)
{
    write_long(out, (int64_t)len);
    text_add_len(out, data, len);
}

static int write_text(struct text *out, const char *text, size_t max, struct err *err)
{
    size_t len = strlen(text);

    if (len > max)
        return err_set(err, ERR_PERMANENT, "longer than %zu bytes", max);
    if (!utf8_valid(text))
        return err_set(err, ERR_PERMANENT, "is not UTF-8");
    write_counted(out, text, len);
    return 0;
}

static int write_bytes(struct text *out, const struct bytes *bytes, size_t max, struct err *err)
{
    if (bytes->len > max)
        return err_set(err, ERR_PERMANENT, "longer than %zu bytes", max);
    write_counted(out, bytes->data, bytes->len);
    return 0;
}

static int begin_items(struct text *out, size_t count, size_t max, struct err *err)
{
    if (count > max)
        return err_set(err, ERR_PERMANENT, "more than %zu items", max);
    if (count > 0)
        write_long(out, (int64_t)count);
    return 0;
}

static int write_strings(struct text *out, const struct strings *strings, size_t max, struct err *err)
{
    if (begin_items(out, strings->count, max, err) < 0)
        return -1;
    for (size_t i = 0; i < strings->count; i++)
        if (write_text(out, strings->items[i], STRINGS_ITEM_MAX, err) < 0)
            return -1;
    write_long(out, 0);
    return 0;
}

static int write_map(struct text *out, const struct facts *facts, size_t max, struct err *err)
{
    if (begin_items(out, facts->count, max, err) < 0)
        return -1;
    for (size_t i = 0; i < facts->count; i++) {
        if (write_text(out, facts->items[i].key, SIZE_MAX, err) < 0 ||
            write_text(out, facts->items[i].value, SIZE_MAX, err) < 0)
            return err_wrap(err, "%s", facts->items[i].key);
    }
    write_long(out, 0);
    return 0;
}

static int write_list(struct text *out, const struct shape *shape, const struct list *list, size_t max, struct err *err)
{
    const struct shape *item = &shape->parts[0];

    if (begin_items(out, list->count, max, err) < 0)
        return -1;
    for (size_t i = 0; i < list->count; i++)
        if (write_record(out, item, (const char *)list->items + i * item->type->size, err) < 0)
            return -1;
    write_long(out, 0);
    return 0;
}

static int write_enum(struct text *out, const struct field *field, int index, struct err *err)
{
    int count = 0;

    while (field->names[count])
        count++;
    if (index < 0 || index >= count)
        return err_set(err, ERR_PERMANENT, "is out of range");
    write_counted(out, field->names[index], strlen(field->names[index]));
    return 0;
}

static int write_member(struct text *out, const struct shape *shape, const void *at, struct err *err)
{
    const struct field *field = shape->field;
    size_t max = field_max(field);

    switch (field->type) {
    case FIELD_STRING: return write_text(out, *(char *const *)at, max, err);
    case FIELD_BOOL: text_add_len(out, *(const bool *)at ? "\1" : "\0", 1); return 0;
    case FIELD_INT:
    case FIELD_TIME: write_long(out, *(const int64_t *)at); return 0;
    case FIELD_ENUM: return write_enum(out, field, *(const int *)at, err);
    case FIELD_BYTES: return write_bytes(out, at, max, err);
    case FIELD_STRINGS: return write_strings(out, at, max, err);
    case FIELD_MAP: return write_map(out, at, max, err);
    case FIELD_RECORD:
    case FIELD_PARAMS: return write_record(out, shape, *(void *const *)at, err);
    case FIELD_EMBEDDED: return write_record(out, shape, at, err);
    case FIELD_RECORDS: return write_list(out, shape, at, max, err);
    }
    return err_set(err, ERR_PERMANENT, "has no type");
}

static bool is_absent(const struct field *field, const void *at)
{
    if (field->type == FIELD_BYTES)
        return !((const struct bytes *)at)->data;
    if (field->type == FIELD_STRING || field->type == FIELD_RECORD || field->type == FIELD_PARAMS)
        return !*(void *const *)at;
    return false;
}

/* The branch that this value takes; for params the one of the operation. */
static const struct shape *choose(const struct shape *part, const struct record_type *outer, const void *record,
                                  bool absent)
{
    const struct record_type *params = part->field->type == FIELD_PARAMS ? record_params_type(outer, record) : NULL;

    if (part->kind != SHAPE_UNION)
        return absent || part->kind == SHAPE_NULL ? NULL : part;
    for (size_t i = 0; i < part->count; i++) {
        const struct shape *branch = &part->parts[i];
        bool null = branch->kind == SHAPE_NULL;
        if (null == absent && (null || part->field->type != FIELD_PARAMS || branch->type == params))
            return branch;
    }
    return NULL;
}

static int write_part(struct text *out, const struct shape *part, const struct record_type *outer, const void *record,
                      struct err *err)
{
    const void *at = (const char *)record + part->field->offset;
    const struct shape *branch = choose(part, outer, record, is_absent(part->field, at));

    if (!branch)
        return err_set(err, ERR_PERMANENT, "is missing, or has no place in the schema");
    if (part->kind == SHAPE_UNION)
        write_long(out, branch - part->parts);
    return branch->kind == SHAPE_NULL ? 0 : write_member(out, branch, at, err);
}

static int write_record(struct text *out, const struct shape *shape, const void *record, struct err *err)
{
    for (size_t i = 0; i < shape->count; i++) {
        const struct shape *part = &shape->parts[i];
        if (!part->field)
            return err_set(err, ERR_PERMANENT, "the schema has a field that the table lacks");
        if (write_part(out, part, shape->type, record, err) < 0)
            return err_wrap(err, "%s", part->field->name);
    }
    return 0;
}

int codec_write(const struct shape *shape, const void *record, struct text *out, struct err *err)
{
    if (write_record(out, shape, record, err) < 0)
        return err_wrap(err, "%s", shape->type->name);
    return out->failed ? err_memory(err, shape->type->name) : 0;
}
