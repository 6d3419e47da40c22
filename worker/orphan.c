/*
 * A recovery that does not come back. settle() only looks, so a call in it that never returns takes no effect; but the executor in it has the work, and the journal an INTENT of
 * which nobody can tell. A minute past the deadline another work takes the place of that one: it is PARKED, with the evidence, by another executor. The first is an orphan until
 * its call returns, and then it is forgotten: hold_look() told its executor to touch nothing.
 */
#include "worker/custody.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "worker/journal.h"
#include "worker/keeper.h"

#include <stdlib.h>

static const char hangs[] = "the call that asks what became of it does not return";

bool custody_asked_enough(const struct custody *custody, const struct work *work)
{
    return work->task == TASK_RECOVER && work->job->deadline_ms && clock_real_ms() >= work->job->deadline_ms &&
           clock_monotonic_ms() - work->recovers_since_ms >= custody->setup.stuck_ms;
}

static void copy_state(const struct work *work, struct work *twin)
{
    twin->row = work->row;
    twin->append_ms = work->append_ms;
    twin->accepted_at_ms = work->accepted_at_ms;
    twin->told_accepted = true;
    twin->seq = work->seq;
    twin->attempt = work->attempt;
    twin->crashes = work->crashes;
    twin->token = work->token;
    twin->state = work->state;
    twin->journaled = twin->closes_target = true;
    twin->cancelled = work->cancelled;
    twin->watched = work->watched;
    twin->recovers_since_ms = work->recovers_since_ms;
    twin->recovery_counted = work->recovery_counted;
    twin->task = TASK_RECOVER;
    twin->give_up = hangs;
}

static int make_twin(const struct custody *custody, const struct work *work, struct work **out, struct err *err)
{
    struct job *job = calloc(1, sizeof *job);
    struct work *twin = NULL;

    if (!job)
        return err_memory(err, "job");
    if (record_copy(&job_record, job, work->job, err) < 0 || work_new(job, &twin, err) < 0) {
        job_free(job);
        return -1;
    }
    copy_state(work, twin);
    if (journal_load_plan(custody->setup.journal, work->row, work->ops, &twin->plan, err) < 0) {
        work_free(twin);
        return -1;
    }
    *out = twin;
    return 0;
}

int custody_give_away(struct custody *custody, struct work *work, bool *out_done, struct err *err)
{
    struct work *twin = NULL;

    *out_done = false;
    if (make_twin(custody, work, &twin, err) < 0)
        return -1;
    if (!hold_give_away(work->hold)) {
        work_free(twin);
        return 0;
    }
    *out_done = true;
    log_error(work->job->job_id, "recovery: %s: PARKED", hangs);
    keeper_release(custody->setup.keeper, work->hold);
    custody_leave(custody, work);
    work->orphan = true;
    work->next = custody->orphans;
    custody->orphans = work;
    if (custody_enter(custody, twin, err) < 0 || backlog_close(&custody->backlog, twin, err) < 0)
        return -1;
    custody->backlog.started[work->class] += work->spared; /* not counted any more */
    backlog_done(&custody->backlog, work, false);
    return backlog_add(&custody->backlog, twin, clock_monotonic_ms(), err);
}

void custody_bury(struct custody *custody, struct work *orphan)
{
    for (struct work **link = &custody->orphans; *link; link = &(*link)->next)
        if (*link == orphan) {
            *link = orphan->next;
            break;
        }
    custody->stuck -= orphan->stuck;
    work_free(orphan);
}
