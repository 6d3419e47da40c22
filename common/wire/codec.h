#pragma once
/* Avro's binary encoding (specification 1.11) along a shape. Shared by the files of wire/ and its fuzzer. */
#include <stddef.h>

struct err;
struct record_type;
struct shape;
struct text;

/* Memory for one record, used from the front. */
struct arena {
    unsigned char *bytes;
    size_t used, room;
};

/*
 * The whole of `data` must be one record. `out` zeroed; what was filled in stays on failure, and the caller clears it. With an arena all is there, nothing is to be cleared,
 * and lists and maps are checked but left empty.
 */
int codec_read(const struct shape *shape, const void *data, size_t len, struct arena *arena, void *out, struct err *err);
int codec_write(const struct shape *shape, const void *record, struct text *out, struct err *err);
