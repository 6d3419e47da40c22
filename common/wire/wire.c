/*
 * Framing, and which schema. The schemas of the table are parsed by avro-c once per wire object and bound to the tables of common/model (shape.c); after
 * that no avro-c code runs: codec_read.c and codec_write.c walk the bytes themselves. avro-c's own decoder is not for bytes from outside: it
 * allocates what a message claims, leaks it on failure, dereferences allocations that were refused (its map and string code), resolves enums by index and
 * keeps one error buffer for all threads. A test reads what we write with avro-c's decoder, so the format is not only our opinion.
 */
#include "wire/wire.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "model/record.h"
#include "wire/codec.h"
#include "wire/guard.h"
#include "wire/schema_table.h"
#include "wire/shape.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

enum {
    SCHEMAS_MAX = 64,
    FRAME_BYTES = 5,
    ENCODED_MAX = 2 * 1024 * 1024,
    PEEK_ROOM = 64 * 1024, /* the structs of any record; no schema of the table refers to itself */
    PEEK_PER_BYTE = 2      /* an empty text is one byte there and one here */
};

struct wire {
    struct shape *shapes[SCHEMAS_MAX]; /* by place in schema_table */
    struct text buffer;                /* of the last wire_encode() */
    struct arena peeked;               /* what the last wire_peek() read */
};

DEFINE_FREEP(struct wire, wire_free)

void wire_init(void)
{
    guard_install();
}

int wire_new(struct wire **out, struct err *err)
{
    CLEANUP(wire_freep) struct wire *wire = calloc(1, sizeof *wire);

    if (!wire)
        return err_memory(err, "wire");
    for (size_t i = 0; schema_table[i].id; i++) {
        if (i == SCHEMAS_MAX)
            return err_set(err, ERR_PERMANENT, "more than %d schemas", SCHEMAS_MAX);
        if (shape_new(schema_table[i].text, schema_table[i].type, &wire->shapes[i], err) < 0)
            return err_wrap(err, "%s", schema_table[i].file);
    }
    *out = TAKE_PTR(wire);
    return 0;
}

void wire_free(struct wire *wire)
{
    if (!wire)
        return;
    for (size_t i = 0; i < SCHEMAS_MAX; i++)
        shape_free(wire->shapes[i]);
    text_free(&wire->buffer);
    free(wire->peeked.bytes);
    free(wire);
}

/* Place of the newest schema of `type`: ids rise with versions. -1: not a top-level record. */
static int newest(const struct record_type *type)
{
    int found = -1;

    for (int i = 0; schema_table[i].id; i++)
        if (schema_table[i].type == type)
            found = i;
    return found;
}

int wire_encode(struct wire *wire, const struct record_type *type, const void *record, const unsigned char **out,
                size_t *out_len, struct err *err)
{
    int place = newest(type);

    if (place < 0)
        return err_set(err, ERR_PERMANENT, "%s: has no schema of its own", type->name);
    uint32_t id = htonl(schema_table[place].id);
    text_clear(&wire->buffer);
    text_add_len(&wire->buffer, "\0", 1);
    text_add_len(&wire->buffer, (const char *)&id, sizeof id);
    if (codec_write(wire->shapes[place], record, &wire->buffer, err) < 0)
        return -1;
    if (wire->buffer.len > ENCODED_MAX)
        return err_set(err, ERR_PERMANENT, "%s: longer than %d bytes", type->name, ENCODED_MAX);
    *out = (const unsigned char *)wire->buffer.data;
    *out_len = wire->buffer.len;
    return 0;
}

static int find_shape(const struct wire *wire, const struct record_type *type, const unsigned char *frame,
                      const struct shape **out, struct err *err)
{
    uint32_t id;

    if (frame[0] != 0)
        return err_set(err, ERR_PERMANENT, "%s: not framed", type->name);
    memcpy(&id, frame + 1, sizeof id);
    id = ntohl(id);
    for (size_t i = 0; schema_table[i].id; i++) {
        if (schema_table[i].id != id)
            continue;
        if (schema_table[i].type != type)
            return err_set(err, ERR_PERMANENT, "%s: is a %s", type->name, schema_table[i].type->name);
        *out = wire->shapes[i];
        return 0;
    }
    return err_set(err, ERR_PERMANENT, "%s: schema %u is not known here", type->name, id);
}

static int read_whole(const struct shape *shape, const struct record_type *type, const void *data, size_t len,
                      void *out, struct err *err)
{
    if (codec_read(shape, data, len, NULL, out, err) == 0)
        return 0;
    record_clear(type, out);
    return -1;
}

/* What is behind the frame, and the shape that its schema has. */
static int open_frame(const struct wire *wire, const struct record_type *type, const void *data, size_t len,
                      size_t max_bytes, const struct shape **out, struct err *err)
{
    if (len > max_bytes)
        return err_set(err, ERR_PERMANENT, "%s: %zu bytes, more than %zu", type->name, len, max_bytes);
    if (!data || len < FRAME_BYTES)
        return err_set(err, ERR_PERMANENT, "%s: not framed", type->name);
    return find_shape(wire, type, data, out, err);
}

int wire_decode(struct wire *wire, const struct record_type *type, const void *data, size_t len, size_t max_bytes,
                void *out, struct err *err)
{
    const struct shape *shape = NULL;

    if (open_frame(wire, type, data, len, max_bytes, &shape, err) < 0)
        return -1;
    return read_whole(shape, type, (const char *)data + FRAME_BYTES, len - FRAME_BYTES, out, err);
}

static int make_room(struct arena *arena, size_t room, struct err *err)
{
    arena->used = 0;
    if (arena->room >= room)
        return 0;
    free(arena->bytes);
    arena->bytes = malloc(room);
    arena->room = arena->bytes ? room : 0;
    return arena->bytes ? 0 : err_memory(err, "wire");
}

int wire_peek(struct wire *wire, const struct record_type *type, const void *data, size_t len, size_t max_bytes,
              void *out, struct err *err)
{
    const struct shape *shape = NULL;

    memset(out, 0, type->size);
    if (open_frame(wire, type, data, len, max_bytes, &shape, err) < 0 ||
        make_room(&wire->peeked, PEEK_ROOM + len * PEEK_PER_BYTE, err) < 0)
        return -1;
    return codec_read(shape, (const char *)data + FRAME_BYTES, len - FRAME_BYTES, &wire->peeked, out, err);
}

int wire_decode_with(struct wire *wire, const char *writer_schema_json, const struct record_type *type,
                     const void *avro, size_t len, void *out, struct err *err)
{
    struct shape *shape = NULL;

    (void)wire;
    if (shape_new(writer_schema_json, type, &shape, err) < 0)
        return -1;
    int failed = read_whole(shape, type, avro, len, out, err);
    shape_free(shape);
    return failed;
}
