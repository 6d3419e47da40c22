#pragma once
/* Avro's binary encoding (specification 1.11) along a shape. Shared by the files of wire/ and its fuzzer. */
#include <stddef.h>

struct err;
struct record_type;
struct shape;
struct text;

/* The whole of `data` must be one record. `out` zeroed; what was filled in stays on failure, and the caller clears it. */
int codec_read(const struct shape *shape, const void *data, size_t len, void *out, struct err *err);
int codec_write(const struct shape *shape, const void *record, struct text *out, struct err *err);
