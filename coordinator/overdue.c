/*
 * A job is published, and then its host never takes it: it could not read it, was removed, or died. Nobody will ever say how it ended, so the coordinator does, a while
 * after the deadline. The signs that a worker has it: an event of its (kept in the view), an owner or progress in its ticket. They are missing for good only if the host has
 * been there long enough to give them; or if it is silent and Redis, which no class C job starts without, has kept its memory; or if its word does not count any more.
 */
#include "coordinator/overdue.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "coordinator/internal.h"
#include "coordinator/view_query.h"
#include "redis/store.h"

#include <stdio.h>
#include <string.h>

enum { TICKETS_AT_ONCE = 1024 }; /* one by one: the keeper has a lead to renew meanwhile */

bool overdue_may_end(const struct overdue_signs *signs)
{
    if (signs->heard || signs->ticket_used)
        return false;
    if (signs->host_removed || signs->host_settled)
        return true;
    return signs->host_silent && signs->ticket_found && signs->memory_whole;
}

struct overdue_job {
    char job_id[UUID_TEXT];
    struct overdue_signs signs;
};

static bool host_removed(const struct ledger *ledger, const char *host)
{
    const struct ledger_node *node = ledger_find(ledger, LEDGER_HOST, host);
    const struct ledger_host *known = node && node->entry && !node->entry->gone ? node->entry->host : NULL;

    return !known || !known->state || strcmp(known->state, "removed") == 0;
}

static void note_host_signs(struct coordinator *coordinator, const struct ledger_job *record, int64_t now_ms,
                            struct overdue_signs *out)
{
    const struct coordinator_options *options = &coordinator->options;
    const struct fleet_host *host = fleet_find(coordinator->fleet, record->job->host);
    const struct ledger_node *epoch = ledger_find(coordinator->ledger, LEDGER_EPOCH, "redis");
    int64_t epoch_at_ms = epoch && epoch->entry ? epoch->entry->at_ms : now_ms;

    out->host_removed = host_removed(coordinator->ledger, record->job->host);
    out->host_settled = host && host->alive && now_ms - host->alive_since_ms >= options->overdue_grace_ms;
    out->host_silent = host && fleet_silent(host, now_ms, epoch_at_ms, options->host_silent_ms);
    out->memory_whole = epoch_at_ms < record->published_at_ms;
}

static size_t list_overdue(struct coordinator *coordinator, struct overdue_job **out)
{
    int64_t now_ms = clock_real_ms(), grace_ms = coordinator->options.overdue_grace_ms;
    const struct ledger_node *node;
    size_t room = 0, count = 0;

    LOCK_SCOPE(&coordinator->lock);
    for (node = ledger_first_open_job(coordinator->ledger); node; node = node->next)
        room += ledger_job_overdue(node, now_ms, grace_ms);
    struct overdue_job *jobs = room ? calloc(room, sizeof *jobs) : NULL;
    if (!jobs)
        return 0;
    for (node = ledger_first_open_job(coordinator->ledger); node && count < room; node = node->next) {
        if (!ledger_job_overdue(node, now_ms, grace_ms))
            continue;
        snprintf(jobs[count].job_id, UUID_TEXT, "%s", node->entry->id);
        note_host_signs(coordinator, node->entry->job, now_ms, &jobs[count++].signs);
    }
    *out = jobs;
    return count;
}

static int read_ticket(struct redis *redis, struct overdue_job *job, struct err *err)
{
    struct store_job ticket = {0};

    if (store_job_read(redis, job->job_id, &ticket, err) < 0)
        return -1;
    job->signs.ticket_found = ticket.found;
    job->signs.ticket_used = ticket.owner[0] || ticket.state[0] || ticket.token || ticket.heartbeat_ms;
    return 0;
}

static int judge_some(struct coordinator *coordinator, struct redis *redis, struct overdue_job *jobs, size_t count,
                      struct err *err)
{
    CLEANUP(view_query_closep) struct view_query *view = NULL;
    size_t asked = 0;

    if (view_query_open(coordinator->view_path, &view, err) < 0)
        return -1;
    for (size_t i = 0; i < count && asked < TICKETS_AT_ONCE; i++) {
        struct view_job_brief known;
        if (view_query_job(view, jobs[i].job_id, &known, err) < 0)
            return -1;
        if (known.heard)
            continue;
        asked++;
        if (read_ticket(redis, &jobs[i], err) < 0)
            return -1;
        if (overdue_may_end(&jobs[i].signs))
            desk_say(coordinator, DESK_OVERDUE, jobs[i].job_id);
    }
    return 0;
}

void overdue_judge(struct coordinator *coordinator, struct redis *redis)
{
    CLEANUP(freep) struct overdue_job *jobs = NULL;
    size_t count = list_overdue(coordinator, &jobs);
    struct err err = {0};

    if (count && judge_some(coordinator, redis, jobs, count, &err) < 0)
        log_debug("overdue", "looked at again later: %s", err.text);
}
