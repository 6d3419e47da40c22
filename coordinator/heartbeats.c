/* Who is alive, and whose jobs are LOST. LOST is an opinion: the host's own event still ends the job. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "coordinator/internal.h"
#include "coordinator/rebuild.h"
#include "coordinator/view_feed.h"
#include "redis/store.h"

#include <stdio.h>
#include <string.h>

enum { HOST_TTL_MS = 45000, LOST_AT_ONCE = 4096 };

struct host_list {
    char (*names)[64];
    const char **pointers; /* to them */
    bool *enrolled;
    struct store_host *seen;
    size_t count;
};

static void host_list_clear(struct host_list *list)
{
    free(list->names);
    free(list->pointers);
    free(list->enrolled);
    free(list->seen);
}

static int host_list_room(struct host_list *list, size_t room, struct err *err)
{
    list->names = calloc(room + 1, sizeof *list->names);
    list->pointers = calloc(room + 1, sizeof *list->pointers);
    list->enrolled = calloc(room + 1, sizeof *list->enrolled);
    list->seen = calloc(room + 1, sizeof *list->seen);
    return list->names && list->pointers && list->enrolled && list->seen ? 0 : err_memory(err, "hosts");
}

static int list_hosts(struct coordinator *coordinator, struct host_list *out, struct err *err)
{
    size_t room = 0;

    LOCK_SCOPE(&coordinator->lock);
    for (struct ledger_node *node = ledger_first_other(coordinator->ledger); node; node = node->next)
        room += node->entry && node->entry->kind == LEDGER_HOST;
    if (host_list_room(out, room, err) < 0)
        return -1;
    for (struct ledger_node *node = ledger_first_other(coordinator->ledger); node; node = node->next) {
        if (!node->entry || node->entry->kind != LEDGER_HOST)
            continue;
        const struct ledger_host *host = node->entry->host;
        out->enrolled[out->count] = !node->entry->gone && host && host->state && strcmp(host->state, "removed") != 0;
        snprintf(out->names[out->count], sizeof *out->names, "%s", node->entry->id);
        out->pointers[out->count] = out->names[out->count];
        out->count++;
    }
    return 0;
}

static void note_host(struct coordinator *coordinator, const char *name, const struct store_host *seen, bool enrolled)
{
    int64_t now_ms = clock_real_ms(), heard_ms = view_host_heard_ms(coordinator->view, name);

    pthread_mutex_lock(&coordinator->lock);
    struct fleet_host *host = fleet_add(coordinator->fleet, name, now_ms);
    int64_t heartbeat_ms = 0;
    if (host) {
        if (seen->alive && !host->alive)
            host->alive_since_ms = now_ms;
        host->alive = seen->alive;
        host->running = seen->running;
        if (seen->alive) /* the claim's rest of life says when it was renewed */
            host->heartbeat_at_ms = now_ms -
                                    (seen->ttl_ms > 0 && seen->ttl_ms < HOST_TTL_MS ? HOST_TTL_MS - seen->ttl_ms : 0);
        host->heard_at_ms = heard_ms;
        snprintf(host->instance, sizeof host->instance, "%s", seen->instance);
        heartbeat_ms = host->heartbeat_at_ms;
    }
    pthread_mutex_unlock(&coordinator->lock);
    view_note_host(coordinator->view, name, heartbeat_ms, seen->alive, enrolled);
}

int heartbeats_read(struct coordinator *coordinator, struct redis *redis, struct err *err)
{
    CLEANUP(host_list_clear) struct host_list hosts = {0};

    if (list_hosts(coordinator, &hosts, err) < 0 ||
        store_hosts_read(redis, hosts.pointers, hosts.count, hosts.seen, err) < 0)
        return -1;
    for (size_t i = 0; i < hosts.count; i++)
        note_host(coordinator, hosts.names[i], &hosts.seen[i], hosts.enrolled[i]);
    return 0;
}

/* ---- LOST ---- */

struct doubt {
    char job_id[UUID_TEXT];
    bool lost; /* what is to be said; false: it was said and is no longer so */
};

static size_t list_doubts(struct coordinator *coordinator, int64_t epoch_changed_ms, struct doubt *out, size_t max)
{
    int64_t now_ms = clock_real_ms();
    size_t count = 0;

    LOCK_SCOPE(&coordinator->lock);
    if (!coordinator->jobs_lost &&
        !fleet_any_silent(coordinator->fleet, now_ms, epoch_changed_ms, coordinator->options.host_silent_ms))
        return 0; /* the usual case must not walk a hundred thousand jobs under the lock */
    for (struct ledger_node *node = ledger_first_open_job(coordinator->ledger); node && count < max; node = node->next) {
        const struct ledger_job *record = node->entry ? node->entry->job : NULL;
        if (!record || !record->published_at_ms || record->outcome)
            continue;
        const struct fleet_host *host = fleet_find(coordinator->fleet, record->job->host);
        bool silent = host && fleet_silent(host, now_ms, epoch_changed_ms, coordinator->options.host_silent_ms);
        if (silent == node->lost || (!silent && host && !host->alive))
            continue;
        snprintf(out[count].job_id, UUID_TEXT, "%s", record->job->job_id);
        out[count++].lost = silent;
    }
    return count;
}

/* A lock that is still renewed is a sign of life that no heartbeat can take back. */
static bool still_renewed(struct coordinator *coordinator, struct redis *redis, const char *job_id)
{
    struct store_job job = {0};

    if (store_job_read(redis, job_id, &job, NULL) < 0)
        return true; /* not known: no opinion */
    return job.found && job.heartbeat_ms && clock_real_ms() - job.heartbeat_ms < coordinator->options.host_silent_ms;
}

void heartbeats_judge(struct coordinator *coordinator, struct redis *redis, int64_t epoch_changed_ms)
{
    CLEANUP(freep) struct doubt *doubts = calloc(LOST_AT_ONCE, sizeof *doubts);
    size_t count = doubts ? list_doubts(coordinator, epoch_changed_ms, doubts, LOST_AT_ONCE) : 0;

    for (size_t i = 0; i < count; i++)
        if (!doubts[i].lost)
            desk_say(coordinator, DESK_FOUND, doubts[i].job_id);
        else if (!still_renewed(coordinator, redis, doubts[i].job_id))
            desk_say(coordinator, DESK_LOST, doubts[i].job_id);
}
