#pragma once
/*
 * Values on Kafka: byte 0x00, u32be schema id, Avro binary; ids from the built-in table (schemas/, compiled in). Decoding uses the *writer's* schema, fields are found by
 * name (resolved once per schema), defaults are applied in C, allow-lists and limits are checked. Memory is asked for only after a length was compared with what is left
 * of the message, and avro-c, which parses the schemas, has an allocator with a budget. A wire object owns bound schemas and a buffer: one per thread.
 */
#include <stddef.h>
#include <stdint.h>

struct err;
struct record_type;
struct wire;

void wire_init(void); /* once in main, before any thread: installs the guarded allocator */
int wire_new(struct wire **out, struct err *err);
void wire_free(struct wire *wire);

/* Frames `record` (of `type`, one of the top-level records) with that type's newest schema. *out points into the wire object and is valid until the next call. */
int wire_encode(struct wire *wire, const struct record_type *type, const void *record, const unsigned char **out,
                size_t *out_len, struct err *err);

/* ERR_PERMANENT: too long (max_bytes), not framed, unknown id, another type than `type`, rubbish, a name outside its allow-list, a limit broken. `out` zeroed by the caller, freed on failure. */
int wire_decode(struct wire *wire, const struct record_type *type, const void *data, size_t len, size_t max_bytes,
                void *out, struct err *err);

/*
 * To look at a record and forget it: refuses what wire_decode() refuses, but what `out` points to is the wire object's, valid until the next call and never to be cleared;
 * lists and maps are left empty.
 */
int wire_peek(struct wire *wire, const struct record_type *type, const void *data, size_t len, size_t max_bytes,
              void *out, struct err *err);

/* Decodes with another writer schema (JSON text): the evolution tests, and schemas of newer writers. */
int wire_decode_with(struct wire *wire, const char *writer_schema_json, const struct record_type *type,
                     const void *avro, size_t len, void *out, struct err *err);
