#pragma once
/* The id table: every schema that was ever written, compiled in. schemas/ids.json says the same to others; a test compares them. */
#include <stddef.h>
#include <stdint.h>

struct record_type;

struct schema_entry {
    uint32_t id; /* in the framing; never used again */
    int version;
    const char *file; /* in schemas/ */
    const struct record_type *type;
    const char *text; /* JSON, NUL-terminated */
};

extern const struct schema_entry schema_table[]; /* by rising id; ends with id 0 */
