/* A record that cannot be read or trusted, as it goes to the DLQ: bytes, headers, reason. */
#include "base/clock.h"
#include "base/err.h"
#include "coordinator/internal.h"

#include <string.h>

enum { VALUE_MAX = 900 * 1024 }; /* with key and headers below the topic's limit */

static int copy_bytes(struct bytes *out, const void *data, size_t len, struct err *err)
{
    if (!data)
        return 0;
    out->len = len < VALUE_MAX ? len : VALUE_MAX;
    out->data = malloc(out->len ? out->len : 1);
    if (!out->data)
        return err_memory(err, "dead letter");
    memcpy(out->data, data, out->len);
    return 0;
}

struct dead_letter *dead_letter_of(const struct kafka_record *record, const char *reason, struct err *err)
{
    CLEANUP(dead_letter_freep) struct dead_letter *letter = calloc(1, sizeof *letter);

    if (!letter) {
        err_memory(err, "dead letter");
        return NULL;
    }
    letter->partition = record->partition;
    letter->offset = record->offset;
    letter->at_ms = clock_real_ms();
    if (string_set(&letter->topic, record->topic, err) < 0 || string_set(&letter->reason, reason, err) < 0 ||
        string_set(&letter->by, "coordinator", err) < 0)
        return NULL;
    if (copy_bytes(&letter->key, record->key, record->key_len, err) < 0 ||
        copy_bytes(&letter->value, record->value, record->value_len, err) < 0)
        return NULL;
    kafka_headers(record, &letter->headers, NULL);
    record_fit(&dead_letter_record, letter); /* what came may be no text, and is kept all the same */
    return TAKE_PTR(letter);
}
