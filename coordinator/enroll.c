/*
 * Enrolling a host: its key is derived, not stored; the ledger only says which generations there are and when one ended. A rotation leaves the old key a while, so that the
 * host can be given the new file before what it says is no longer believed. What is sent to it meanwhile is signed so that both files verify it (publisher.c).
 *
 * A host that is replaced or removed has a `since` in its record: with that one record its old keys have ended (ledger.c), and all that follows is done by whoever leads (bygone.h, view_hosts.c).
 */
#include "base/clock.h"
#include "base/err.h"
#include "coordinator/internal.h"

#include <stdio.h>
#include <string.h>

/* Longer than the topics keep what was signed with it for a worker. */
static const int64_t WORKER_KEEPS_MS = 15LL * 24 * 3600 * 1000;

static size_t known_generations(struct coordinator *coordinator, const char *host, struct ledger_generation *out,
                                size_t max)
{
    size_t count = 0;

    LOCK_SCOPE(&coordinator->lock);
    return ledger_generations(coordinator->ledger, host, out, max, &count) ? count : 0;
}

/* A host that was removed and comes back does not get its old key. */
static uint32_t next_generation(struct coordinator *coordinator, const char *host)
{
    LOCK_SCOPE(&coordinator->lock);
    return ledger_highest_generation(coordinator->ledger, host) + 1;
}

static int put_key(struct coordinator *coordinator, const struct caller *caller, const char *host, uint32_t generation,
                   int64_t ended_at_ms, struct err *err)
{
    char id[128];
    struct ledger_key key = {
        .host = (char *)host, .generation = generation, .created_at_ms = clock_real_ms(), .ended_at_ms = ended_at_ms};
    struct ledger_entry entry = {
        .kind = LEDGER_KEY, .id = id, .key = &key, .why = (char *)(ended_at_ms ? "rotated" : "enrolled")};

    snprintf(id, sizeof id, "%s/%u", host, generation);
    return coordinator_put(coordinator, caller, &entry, err);
}

/* What is kept of the record before. One that was removed before there was a `since` gets it when it comes back: it does not get its old key. */
static int64_t since_of(struct coordinator *coordinator, const char *host)
{
    LOCK_SCOPE(&coordinator->lock);
    const struct ledger_node *node = ledger_find(coordinator->ledger, LEDGER_HOST, host);
    const struct ledger_host *known = node && node->entry ? node->entry->host : NULL;

    if (known && !known->since_ms && strcmp(known->state, "removed") == 0)
        return node->entry->at_ms;
    return known ? known->since_ms : 0;
}

static int put_host(struct coordinator *coordinator, const struct caller *caller, const char *host, const char *state,
                    int64_t since_ms, const char *why, struct err *err)
{
    struct ledger_host record = {.state = (char *)state, .since_ms = since_ms};
    struct ledger_entry entry = {.kind = LEDGER_HOST, .id = (char *)host, .host = &record, .why = (char *)why};

    return coordinator_put(coordinator, caller, &entry, err);
}

int coordinator_set_host(struct coordinator *coordinator, const struct caller *caller, const char *host,
                         const char *state, const char *why, struct err *err)
{
    int64_t since_ms = strcmp(state, "removed") == 0 ? clock_real_ms() : since_of(coordinator, host);

    return put_host(coordinator, caller, host, state, since_ms, why, err);
}

static int format_ring(struct coordinator *coordinator, const char *host, char **out, struct err *err)
{
    struct ledger_generation generations[KEY_RING_MAX];
    struct key_ring ring = {0};
    size_t count = known_generations(coordinator, host, generations, KEY_RING_MAX);
    int result = 0;

    for (size_t i = 0; result == 0 && i < count; i++) {
        if (generations[i].ended_at_ms && generations[i].ended_at_ms < clock_real_ms() - WORKER_KEEPS_MS)
            continue;
        struct host_key *key = &ring.items[ring.count++];
        key->generation = generations[i].generation;
        key->not_after_ms = generations[i].ended_at_ms;
        result = key_derive_host(coordinator->master, key->generation, host, key->key, err);
    }
    if (result == 0)
        result = key_ring_format(&ring, out, err);
    explicit_bzero(&ring, sizeof ring);
    return result;
}

/* The new generation first: a crash in between leaves a host with two keys, never with none. What an earlier one left open ends too. */
static int rotate_key(struct coordinator *coordinator, const struct caller *caller, const char *host,
                      const struct ledger_generation *known, size_t count, struct err *err)
{
    int64_t end_ms = clock_real_ms() + coordinator->options.key_overlap_ms;

    if (put_key(coordinator, caller, host, known[0].generation + 1, 0, err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (!known[i].ended_at_ms && put_key(coordinator, caller, host, known[i].generation, end_ms, err) < 0)
            return -1;
    return 0;
}

int coordinator_enroll(struct coordinator *coordinator, const struct caller *caller, const char *host, bool rotate,
                       char **out_key_file, struct err *err)
{
    struct ledger_generation known[KEY_RING_MAX];
    size_t count;

    if (!name_valid_host(host))
        return err_set(err, ERR_PERMANENT, "\"%.64s\" cannot be the name of a host", host);
    count = known_generations(coordinator, host, known, KEY_RING_MAX);
    if (rotate && count) {
        if (rotate_key(coordinator, caller, host, known, count, err) < 0)
            return -1;
    } else if (!count && put_key(coordinator, caller, host, next_generation(coordinator, host), 0, err) < 0)
        return -1;
    if (coordinator_set_host(coordinator, caller, host, "enrolled", "enrolled", err) < 0)
        return -1;
    return format_ring(coordinator, host, out_key_file, err);
}

/* The key first, and not younger than the cut: a crash in between leaves a key that nobody has, never a host without one. */
int coordinator_replace_host(struct coordinator *coordinator, const struct caller *caller, const char *host,
                             const char *why, char **out_key_file, struct err *err)
{
    int64_t since_ms = clock_real_ms();

    if (put_key(coordinator, caller, host, next_generation(coordinator, host), 0, err) < 0 ||
        put_host(coordinator, caller, host, "enrolled", since_ms, why ? why : "replaced", err) < 0)
        return -1;
    return format_ring(coordinator, host, out_key_file, err);
}
