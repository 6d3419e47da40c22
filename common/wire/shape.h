#pragma once
/*
 * A writer's schema, bound to our tables: a tree of what comes next in the bytes, and for each place the row it goes to (NULL: we do not know that field, it
 * is skipped). Made once per schema; reading and writing then need no names.
 */
#include <stddef.h>

struct err;
struct field;
struct record_type;

enum shape_kind {
    SHAPE_NULL,
    SHAPE_BOOLEAN,
    SHAPE_LONG, /* and int: the same bytes */
    SHAPE_FLOAT,
    SHAPE_DOUBLE,
    SHAPE_STRING,
    SHAPE_BYTES,
    SHAPE_FIXED,
    SHAPE_ARRAY, /* parts[0]: the items */
    SHAPE_MAP,   /* parts[0]: the values */
    SHAPE_UNION, /* parts: the branches */
    SHAPE_RECORD /* parts: the fields */
};

struct shape {
    enum shape_kind kind;
    const struct field *field;      /* the row of the field that this is (a branch of); NULL: skip */
    const struct record_type *type; /* RECORD: ours; NULL: skip */
    struct shape *parts;
    size_t count;
    size_t fixed_size;
};

/* ERR_PERMANENT when the text is no schema, a required field of `type` is missing in it, or a field has a type that does not fit its row. */
int shape_new(const char *schema_json, const struct record_type *type, struct shape **out, struct err *err);
void shape_free(struct shape *shape);
