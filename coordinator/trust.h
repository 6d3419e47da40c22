#pragma once
/*
 * Key rings by host, derived from the fleet's master key and the generations that the ledger names; kept until the ledger's keys change. Belongs to one thread.
 */
#include "crypto/keys.h"

#include <stdbool.h>

struct err;
struct kafka_record;
struct mac_input;
struct trust;
struct ledger_generation;

/* What the ring cache asks: the generations of a host (false: not enrolled), and a number that changes with any key. */
struct trust_source {
    void *context;
    bool (*generations)(void *context, const char *host, struct ledger_generation *out, size_t max, size_t *out_count);
    uint64_t (*version)(void *context);
};

int trust_new(const unsigned char master[KEY_BYTES], const struct trust_source *source, struct trust **out,
              struct err *err);
void trust_free(struct trust *trust);
/* NULL: the host is not enrolled. Host "" is the leader. Valid until the next call. */
const struct key_ring *trust_ring(struct trust *trust, const char *host);
/* What the MAC of a record that was read is over; returns its fs-mac (NULL: none). Borrowed from the record. */
const char *trust_input(const struct kafka_record *record, struct mac_input *out);
