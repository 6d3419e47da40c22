/* A framed record of any type. What decodes must encode again, and decode to the same. */
#include "fuzz.h"

#include "base/err.h"
#include "model/record.h"
#include "wire/schema_table.h"
#include "wire/wire.h"

#include <stdlib.h>
#include <string.h>

enum { LIMIT = 1024 * 1024 };

static void again(struct wire *wire, const struct record_type *type, const void *record)
{
    void *copy = calloc(1, type->size);
    const unsigned char *bytes;
    struct err err;
    size_t len;
    char *a;
    char *b;

    if (wire_encode(wire, type, record, &bytes, &len, &err) < 0 ||
        wire_decode(wire, type, bytes, len, LIMIT, copy, &err) < 0)
        abort();
    if (record_to_json(type, record, false, &a, &err) < 0 || record_to_json(type, copy, false, &b, &err) < 0 ||
        strcmp(a, b) != 0)
        abort();
    free(a);
    free(b);
    record_free(type, copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct wire *wire;
    struct err err;

    if (!wire && wire_new(&wire, &err) < 0)
        abort();
    for (const struct schema_entry *entry = schema_table; entry->id; entry++) {
        void *record = calloc(1, entry->type->size);
        if (wire_decode(wire, entry->type, data, size, LIMIT, record, &err) == 0)
            again(wire, entry->type, record);
        record_free(entry->type, record);
    }
    return 0;
}
