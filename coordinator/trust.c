#include "coordinator/trust.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "coordinator/ledger.h"
#include "crypto/mac.h"
#include "kafka/kafka.h"

#include <stdio.h>
#include <string.h>
#include <uthash.h>

struct ring_of_host {
    UT_hash_handle hh;
    char host[64];
    bool enrolled; /* true of all that are kept */
    struct key_ring ring;
};

struct trust {
    unsigned char master[KEY_BYTES];
    struct trust_source source;
    uint64_t version;
    struct ring_of_host *rings;
};

int trust_new(const unsigned char master[KEY_BYTES], const struct trust_source *source, struct trust **out,
              struct err *err)
{
    struct trust *trust = calloc(1, sizeof *trust);

    if (!trust)
        return err_memory(err, "key rings");
    memcpy(trust->master, master, KEY_BYTES);
    trust->source = *source;
    *out = trust;
    return 0;
}

static void forget_rings(struct trust *trust)
{
    struct ring_of_host *ring, *next;

    HASH_ITER (hh, trust->rings, ring, next) {
        HASH_DEL(trust->rings, ring);
        explicit_bzero(ring, sizeof *ring);
        free(ring);
    }
}

void trust_free(struct trust *trust)
{
    if (!trust)
        return;
    forget_rings(trust);
    explicit_bzero(trust, sizeof *trust);
    free(trust);
}

static int derive_ring(struct trust *trust, struct ring_of_host *ring)
{
    struct ledger_generation generations[KEY_RING_MAX];
    size_t count = 0;

    ring->enrolled = trust->source.generations(trust->source.context, ring->host, generations, KEY_RING_MAX, &count);
    for (size_t i = 0; i < count; i++) {
        struct host_key *key = &ring->ring.items[i];
        key->generation = generations[i].generation;
        key->not_after_ms = generations[i].ended_at_ms;
        if (key_derive_host(trust->master, key->generation, ring->host, key->key, NULL) < 0)
            return -1;
    }
    ring->ring.count = count;
    return 0;
}

static struct ring_of_host *add_ring(struct trust *trust, const char *host)
{
    CLEANUP(freep) struct ring_of_host *ring = calloc(1, sizeof *ring);

    if (!ring || strlen(host) >= sizeof ring->host)
        return NULL;
    strcpy(ring->host, host);
    if (derive_ring(trust, ring) < 0 ||
        !ring->enrolled) /* anybody can name hosts: only those of the ledger are remembered */
        return NULL;
    HASH_ADD_STR(trust->rings, host, ring);
    return TAKE_PTR(ring);
}

const struct key_ring *trust_ring(struct trust *trust, const char *host)
{
    uint64_t version = trust->source.version(trust->source.context);
    struct ring_of_host *ring;

    if (version != trust->version)
        forget_rings(trust);
    trust->version = version;
    HASH_FIND_STR(trust->rings, host, ring);
    if (!ring)
        ring = add_ring(trust, host);
    return ring ? &ring->ring : NULL;
}

const char *trust_input(const struct kafka_record *record, struct mac_input *out)
{
    enum { HOST, TERM, JOB, REV, MAC, COUNT };
    static const char *const names[COUNT] = {"fs-host", "fs-term", "fs-job", "fs-rev", "fs-mac"};
    const char *values[COUNT];

    kafka_headers_pick(record, names, COUNT, values);
    *out = (struct mac_input){.topic = record->topic,
                              .key = record->key,
                              .key_len = record->key_len,
                              .value = record->value,
                              .value_len = record->value_len,
                              .fs_host = values[HOST],
                              .fs_term = values[TERM],
                              .fs_job = values[JOB],
                              .fs_rev = values[REV]};
    return values[MAC];
}
