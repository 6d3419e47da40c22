/* Which hosts are enrolled, and the generations of their keys. Reads only. */
#include "coordinator/ledger_internal.h"

#include <stdio.h>
#include <string.h>

enum { GENERATION_HOLE_MAX = 16 };

static bool host_enrolled(const struct ledger *ledger, const char *host)
{
    const struct ledger_node *node;

    if (!*host)
        return true;
    node = ledger_find(ledger, LEDGER_HOST, host);
    return node && node->entry && !node->entry->gone && node->entry->host && node->entry->host->state &&
           strcmp(node->entry->host->state, "removed") != 0;
}

/* The id of a generation's record; a rotation adds one, ended ones are forgotten after a while: holes are normal, a long one is the end. */
static const struct ledger_node *find_generation(const struct ledger *ledger, const char *host, uint32_t generation)
{
    char id[128];

    snprintf(id, sizeof id, "%s/%u", host, generation);
    return ledger_find(ledger, LEDGER_KEY, id);
}

int64_t ledger_host_since(const struct ledger *ledger, const char *host)
{
    const struct ledger_node *node = ledger_find(ledger, LEDGER_HOST, host);

    return node && node->entry && node->entry->host ? node->entry->host->since_ms : 0;
}

/* When a generation ended: by its own record, or with the machine that had it. */
static int64_t generation_end(const struct ledger_node *node, int64_t since_ms)
{
    const struct ledger_key *key = node ? node->entry->key : NULL;
    bool of_the_old = since_ms && (!key || key->created_at_ms < since_ms);

    if (!key || !key->ended_at_ms)
        return of_the_old ? since_ms : 0;
    return of_the_old && since_ms < key->ended_at_ms ? since_ms : key->ended_at_ms;
}

bool ledger_generations(const struct ledger *ledger, const char *host, struct ledger_generation *out, size_t max,
                        size_t *out_count)
{
    int64_t since_ms = ledger_host_since(ledger, host);
    size_t count = 0;
    uint32_t hole = 0;

    if (!host_enrolled(ledger, host))
        return false;
    for (uint32_t generation = 1; hole < GENERATION_HOLE_MAX; generation++) {
        const struct ledger_node *node = find_generation(ledger, host, generation);
        hole = node ? 0 : hole + 1;
        if (generation > 1 ? !node || node->entry->gone || !node->entry->key
                           : node && (node->entry->gone || !node->entry->key))
            continue;
        count = count < max ? count + 1 : max;
        memmove(out + 1, out, (count - 1) * sizeof *out); /* newest first */
        out[0] = (struct ledger_generation){generation, generation_end(node, since_ms)};
    }
    *out_count = count;
    return count > 0;
}

uint32_t ledger_highest_generation(const struct ledger *ledger, const char *host)
{
    uint32_t highest = 0;

    for (uint32_t generation = 1; generation - highest <= GENERATION_HOLE_MAX; generation++)
        if (find_generation(ledger, host, generation))
            highest = generation;
    return highest;
}
