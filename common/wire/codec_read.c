/*
 * Everything in a message is a claim. A length is believed only when that many bytes are left and the row allows it, a count only when at least one byte per
 * item is left and the row allows it, and memory is asked for only after that: no message can make us allocate more than a small multiple of itself,
 * and there is nothing to leak half-way, because what was read already belongs to the record.
 */
#include "base/err.h"
#include "model/record.h"
#include "model/target.h"
#include "wire/codec.h"
#include "wire/shape.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES_MAX = 64 };

struct input {
    const unsigned char *at;
    size_t left;
    struct err *err;
    struct arena *arena; /* NULL: each value has memory of its own */
};

struct piece { /* of the message */
    const char *data;
    size_t len;
};

static int read_record(struct input *input, const struct shape *shape, void *record);
static int skip(struct input *input, const struct shape *shape);

static int rubbish(struct input *input, const char *what)
{
    return err_set(input->err, ERR_PERMANENT, "%s", what);
}

static int read_long(struct input *input, int64_t *out)
{
    uint64_t value = 0;

    for (int shift = 0; shift < 64 && input->left > 0; shift += 7) {
        unsigned char byte = *input->at++;
        input->left--;
        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte & 0x80)
            continue;
        *out = (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
        return 0;
    }
    return rubbish(input, "not a number");
}

static int read_bool(struct input *input, bool *out)
{
    if (input->left == 0 || *input->at > 1)
        return rubbish(input, "neither true nor false");
    *out = *input->at == 1;
    input->at++;
    input->left--;
    return 0;
}

static int take(struct input *input, size_t len, struct piece *out)
{
    if (len > input->left)
        return rubbish(input, "longer than what is left of the message");
    *out = (struct piece){.data = (const char *)input->at, .len = len};
    input->at += len;
    input->left -= len;
    return 0;
}

static int take_counted(struct input *input, size_t max, struct piece *out)
{
    int64_t len;

    if (read_long(input, &len) < 0)
        return -1;
    if (len < 0 || (uint64_t)len > input->left)
        return rubbish(input, "longer than what is left of the message");
    if ((uint64_t)len > max)
        return err_set(input->err, ERR_PERMANENT, "longer than %zu bytes", max);
    return take(input, (size_t)len, out);
}

static void *allocate(struct input *input, size_t size, size_t alignment)
{
    struct arena *arena = input->arena;

    if (!arena)
        return malloc(size);
    size_t from = (arena->used + alignment - 1) & ~(alignment - 1);
    if (from > arena->room || size > arena->room - from)
        return NULL;
    arena->used = from + size;
    return arena->bytes + from;
}

static void give_back(const struct input *input, void *memory)
{
    if (!input->arena)
        free(memory);
}

/* A copy that is known to be text. */
static int read_text(struct input *input, size_t max, char **out)
{
    struct piece piece;

    if (take_counted(input, max, &piece) < 0)
        return -1;
    if (memchr(piece.data, '\0', piece.len))
        return rubbish(input, "has a NUL in it");
    char *text = allocate(input, piece.len + 1, 1);
    if (!text)
        return err_memory(input->err, "text");
    memcpy(text, piece.data, piece.len);
    text[piece.len] = '\0';
    if (!utf8_valid(text)) {
        give_back(input, text);
        return rubbish(input, "is not UTF-8");
    }
    *out = text;
    return 0;
}

static int read_string(struct input *input, const struct field *field, char **out)
{
    give_back(input, *out);
    *out = NULL;
    return read_text(input, field_max(field), out);
}

static int read_enum(struct input *input, const struct field *field, int *out)
{
    char name[NAME_BYTES_MAX + 1];
    struct piece piece;

    if (take_counted(input, NAME_BYTES_MAX, &piece) < 0)
        return -1;
    memcpy(name, piece.data, piece.len);
    name[piece.len] = '\0';
    int index = memchr(name, '\0', piece.len) ? -1 : name_index(field->names, name);
    if (index < 0)
        return rubbish(input, "a name that is not known here");
    *out = index;
    return 0;
}

static int read_bytes(struct input *input, const struct field *field, struct bytes *out)
{
    struct piece piece;

    if (take_counted(input, field_max(field), &piece) < 0)
        return -1;
    out->data = allocate(input, piece.len + 1, 1);
    if (!out->data)
        return err_memory(input->err, "bytes");
    memcpy(out->data, piece.data, piece.len);
    out->len = piece.len;
    return 0;
}

/* Number of items in the next block, 0 at the end. A negative count is followed by the block's size in bytes, which nobody here needs. */
static int read_block(struct input *input, size_t *total, size_t max, size_t *out)
{
    int64_t count;
    int64_t size;

    if (read_long(input, &count) < 0)
        return -1;
    if (count < 0) {
        if (count == INT64_MIN || read_long(input, &size) < 0)
            return rubbish(input, "not a number of items");
        count = -count;
    }
    if ((uint64_t)count > input->left)
        return rubbish(input, "more items than the message has bytes");
    *total += (size_t)count;
    if (*total > max)
        return err_set(input->err, ERR_PERMANENT, "more than %zu items", max);
    *out = (size_t)count;
    return 0;
}

static int read_strings_item(struct input *input, struct strings *out)
{
    CLEANUP(freep) char *text = NULL;

    if (read_text(input, STRINGS_ITEM_MAX, &text) < 0)
        return -1;
    return strings_add(out, text, input->err);
}

static int read_map_item(struct input *input, struct facts *out)
{
    CLEANUP(freep) char *key = NULL;
    CLEANUP(freep) char *value = NULL;

    if (read_text(input, SIZE_MAX, &key) < 0 || read_text(input, SIZE_MAX, &value) < 0)
        return -1;
    return facts_set(out, key, value, input->err);
}

static int read_list_item(struct input *input, const struct shape *shape, struct list *out)
{
    void *item = list_add(out, shape->field->record, input->err);

    return item ? read_record(input, &shape->parts[0], item) : -1;
}

static int read_item(struct input *input, const struct shape *shape, void *at)
{
    if (shape->field->type == FIELD_STRINGS)
        return read_strings_item(input, at);
    if (shape->field->type == FIELD_MAP)
        return read_map_item(input, at);
    return read_list_item(input, shape, at);
}

static int read_items(struct input *input, const struct shape *shape, void *at)
{
    size_t total = 0;
    size_t count;

    do {
        if (read_block(input, &total, field_max(shape->field), &count) < 0)
            return -1;
        for (size_t i = 0; i < count; i++)
            if (read_item(input, shape, at) < 0)
                return -1;
    } while (count > 0);
    return 0;
}

/* Lists and maps grow, which an arena cannot: with one they are read like others, and let go. */
static int check_items(struct input *input, const struct shape *shape)
{
    union {
        struct strings strings;
        struct facts map;
        struct list list;
    } items = {0};
    struct arena *arena = TAKE_PTR(input->arena);
    int result = read_items(input, shape, &items);

    input->arena = arena;
    if (shape->field->type == FIELD_STRINGS)
        strings_clear(&items.strings);
    else if (shape->field->type == FIELD_MAP)
        facts_clear(&items.map);
    else
        list_clear(&items.list, shape->field->record);
    return result;
}

static int read_pointer(struct input *input, const struct shape *shape, const struct record_type *type, void **out)
{
    if (!type || shape->type != type)
        return rubbish(input, "the parameters of another operation");
    *out = allocate(input, type->size, sizeof(max_align_t));
    if (!*out)
        return err_memory(input->err, type->name);
    memset(*out, 0, type->size);
    record_defaults(type, *out);
    return read_record(input, shape, *out);
}

/* The branch of a union that is there; a shape that is none is its own branch. */
static const struct shape *read_branch(struct input *input, const struct shape *shape)
{
    int64_t index;

    if (shape->kind != SHAPE_UNION)
        return shape;
    if (read_long(input, &index) < 0)
        return NULL;
    if (index < 0 || (uint64_t)index >= shape->count) {
        rubbish(input, "a branch that the union does not have");
        return NULL;
    }
    return &shape->parts[index];
}

static int read_member(struct input *input, const struct shape *shape, const struct record_type *outer, void *record)
{
    const struct field *field = shape->field;
    void *at = (char *)record + field->offset;

    switch (field->type) {
    case FIELD_STRING: return read_string(input, field, at);
    case FIELD_BOOL: return read_bool(input, at);
    case FIELD_INT:
    case FIELD_TIME: return read_long(input, at);
    case FIELD_ENUM: return read_enum(input, field, at);
    case FIELD_BYTES: return read_bytes(input, field, at);
    case FIELD_STRINGS:
    case FIELD_MAP:
    case FIELD_RECORDS: return input->arena ? check_items(input, shape) : read_items(input, shape, at);
    case FIELD_RECORD: return read_pointer(input, shape, field->record, at);
    case FIELD_PARAMS: return read_pointer(input, shape, record_params_type(outer, record), at);
    case FIELD_EMBEDDED: return read_record(input, shape, at);
    }
    return rubbish(input, "has no type");
}

static int read_part(struct input *input, const struct shape *part, const struct record_type *outer, void *record)
{
    const struct shape *branch = read_branch(input, part);

    if (!branch)
        return -1;
    if (!branch->field)
        return skip(input, branch);
    if (branch->kind != SHAPE_NULL)
        return read_member(input, branch, outer, record);
    return branch->field->optional ? 0 : rubbish(input, "is missing");
}

static int read_record(struct input *input, const struct shape *shape, void *record)
{
    for (size_t i = 0; i < shape->count; i++) {
        const struct shape *part = &shape->parts[i];
        if (read_part(input, part, shape->type, record) < 0)
            return part->field ? err_wrap(input->err, "%s", part->field->name) : -1;
    }
    return 0;
}

static int skip_items(struct input *input, const struct shape *shape)
{
    struct piece key;
    size_t total = 0;
    size_t count;

    do {
        if (read_block(input, &total, SIZE_MAX, &count) < 0)
            return -1;
        for (size_t i = 0; i < count; i++) {
            if (shape->kind == SHAPE_MAP && take_counted(input, SIZE_MAX, &key) < 0)
                return -1;
            if (skip(input, &shape->parts[0]) < 0)
                return -1;
        }
    } while (count > 0);
    return 0;
}

static int skip_parts(struct input *input, const struct shape *shape)
{
    for (size_t i = 0; i < shape->count; i++)
        if (skip(input, &shape->parts[i]) < 0)
            return -1;
    return 0;
}

/* What a newer writer knows and we do not. */
static int skip(struct input *input, const struct shape *shape)
{
    const struct shape *branch = read_branch(input, shape);
    struct piece piece;
    int64_t number;
    bool truth;

    switch (branch ? branch->kind : SHAPE_UNION) {
    case SHAPE_NULL: return 0;
    case SHAPE_BOOLEAN: return read_bool(input, &truth);
    case SHAPE_LONG: return read_long(input, &number);
    case SHAPE_FLOAT: return take(input, 4, &piece);
    case SHAPE_DOUBLE: return take(input, 8, &piece);
    case SHAPE_FIXED: return take(input, branch->fixed_size, &piece);
    case SHAPE_STRING:
    case SHAPE_BYTES: return take_counted(input, SIZE_MAX, &piece);
    case SHAPE_ARRAY:
    case SHAPE_MAP: return skip_items(input, branch);
    case SHAPE_RECORD: return skip_parts(input, branch);
    case SHAPE_UNION: /* no such branch; a union inside a union is no schema */ return -1;
    }
    return -1;
}

int codec_read(const struct shape *shape, const void *data, size_t len, struct arena *arena, void *out, struct err *err)
{
    struct input input = {.at = data, .left = len, .err = err, .arena = arena};

    record_defaults(shape->type, out);
    if (read_record(&input, shape, out) < 0)
        return err_wrap(err, "%s", shape->type->name);
    if (input.left > 0)
        return err_set(err, ERR_PERMANENT, "%s: %zu bytes too many", shape->type->name, input.left);
    return 0;
}
