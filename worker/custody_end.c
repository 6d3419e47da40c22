/*
 * The ends of a job: its last row, its last event, what Redis is told, and a target that stays closed. Also what undoes an end: another try after a pause, and a person's word about
 * a job that is PARKED.
 */
#include "worker/custody_internal.h"

#include "base/clock.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/log.h"
#include "worker/finisher.h"
#include "worker/keeper.h"

#include <stdlib.h>
#include <string.h>

static int end_row(struct custody *custody, struct work *work, const struct telling *telling, struct err *err)
{
    struct teller teller = custody_teller(custody);
    const unsigned char *value;
    size_t len;

    work->seq++;
    if (tell_status(&teller, work, telling, &value, &len, err) < 0)
        return -1;
    custody_end_silence(custody, work);
    struct inbox_row row = custody_row(work);
    row.last_status = value;
    row.last_status_len = len;
    if (inbox_end(custody->setup.journal, &row, err) < 0)
        return -1;
    if (work->journaled && work->state != STATE_PARKED) {
        work->journaled = false;
        return journal_drop_plan(custody->setup.journal, work->row, err);
    }
    return 0;
}

static int say_farewell(struct custody *custody, struct work *work, const char *state, struct err *err)
{
    return finisher_add(custody->setup.finisher, work->row, work->job->job_id, work->target, work->token, state,
                        work->hold, work->slots, work->slot_count, err);
}

/* A job that is another host's by its own words is refused here, and its ticket left alone. */
static int say_end(struct custody *custody, struct work *work, enum job_state state, struct err *err)
{
    if (strcmp(work->job->host, custody->setup.host) != 0)
        return inbox_finished(custody->setup.journal, work->row, err);
    return say_farewell(custody, work, job_state_names[state], err);
}

/* PARKED keeps the target: closed here, and in Redis by its state there. */
int custody_close_parked(struct custody *custody, struct work *work, struct err *err)
{
    work->closes_target = true;
    if (work->class != CLASS_A && backlog_close(&custody->backlog, work, err) < 0)
        return -1;
    keeper_watch(custody->setup.keeper, work->job->job_id);
    work->watched = true;
    return 0;
}

/* What is not known is decided by a person, who is told how. */
static const struct err *way_out(const struct work *work, enum job_state state, const struct err *why, struct err *copy)
{
    if (state != STATE_PARKED || !why || why->hint[0])
        return why;
    *copy = *why;
    err_hint(copy, "look at the target, then: fleetsnap job resolve %.8s --as done|failed --reason …",
             work->job->job_id);
    return copy;
}

int custody_end(struct custody *custody, struct work *work, enum job_state state, const struct err *why,
                const struct outcome *outcome, struct err *err)
{
    struct teller teller = custody_teller(custody);
    struct err copy;
    struct telling telling = {.error = way_out(work, state, why, &copy),
                              .result = outcome ? outcome->report.result : NULL};

    custody_set_state(custody, work, state);
    work->crashes = 0;
    work->closes_target = false;
    if (outcome && tell_catalog(&teller, work, &outcome->report, &telling.after, err) < 0)
        return -1;
    custody->ended = work_crash_name(work);
    custody->changed = custody->changed || work->class != CLASS_A;
    crash_point("result.before", custody->ended);
    if (end_row(custody, work, &telling, err) < 0 || say_end(custody, work, state, err) < 0)
        return -1;
    if (work->watched)
        keeper_unwatch(custody->setup.keeper, work->job->job_id);
    work->watched = false;
    custody_let_go(custody, work, state == STATE_PARKED);
    work->stage = state == STATE_PARKED ? WORK_PARKED : WORK_ENDING;
    return state == STATE_PARKED ? custody_close_parked(custody, work, err) : 0;
}

/* Exponential, full jitter: many jobs that failed together do not come back together. */
static int64_t backoff_ms(const struct work *work)
{
    int64_t base = work->job->backoff_ms > 0 ? work->job->backoff_ms : 1000;
    int64_t shift = work->attempt > 1 ? work->attempt - 1 : 0;
    int64_t most = shift > 10 ? INT64_C(3600000) : base << shift;

    if (most > INT64_C(3600000))
        most = INT64_C(3600000);
    return 50 + (int64_t)((double)most * ((double)random() / (double)RAND_MAX));
}

int custody_retry(struct custody *custody, struct work *work, const struct err *why, struct err *err)
{
    int64_t delay = backoff_ms(work);
    bool tried_enough = work->attempt >= (work->job->max_attempts > 0 ? work->job->max_attempts : 1);
    bool too_late = work->job->deadline_ms && clock_real_ms() + delay >= work->job->deadline_ms;

    if (tried_enough || too_late)
        return custody_end(custody, work, STATE_FAILED, why, NULL, err);
    if (work->journaled && journal_drop_plan(custody->setup.journal, work->row, err) < 0)
        return -1;
    if (say_farewell(custody, work, "", err) < 0)
        return -1;
    work->journaled = false;
    work->crashes = 0;
    work->closes_target = false;
    work->task = TASK_RUN;
    return custody_wait(custody, work, delay, err, "retry: %s", why->text);
}

struct resolving {
    struct custody *custody;
    struct work *work;
    const char *resolved;
};

static int resolve_row(void *context, const struct inbox_row *old, struct err *err)
{
    const struct resolving *resolving = context;
    struct work *work = resolving->work;
    struct teller teller = custody_teller(resolving->custody);
    const unsigned char *value;
    size_t len;

    work->seq++;
    if (tell_resolved(&teller, work, resolving->resolved, old->last_status, old->last_status_len, &value, &len, err) < 0)
        return -1;
    struct inbox_row row = custody_row(work);
    row.last_status = value;
    row.last_status_len = len;
    row.resolved = resolving->resolved;
    return inbox_end(resolving->custody->setup.journal, &row, err);
}

int custody_resolve(struct custody *custody, struct work *work, struct err *err)
{
    struct resolving resolving = {custody, work, work->control + strlen("resolve:")};
    bool done = strncmp(resolving.resolved, "done", 4) == 0;

    if (inbox_read(custody->setup.journal, work->row, resolve_row, &resolving, err) < 0 ||
        journal_drop_plan(custody->setup.journal, work->row, err) < 0)
        return -1;
    if (say_farewell(custody, work, done ? job_state_names[STATE_SUCCEEDED] : job_state_names[STATE_FAILED], err) < 0)
        return -1;
    keeper_unwatch(custody->setup.keeper, work->job->job_id);
    work->closes_target = work->watched = work->journaled = false;
    custody_let_go(custody, work, false);
    work->stage = WORK_ENDING;
    log_info(work->job->job_id, "resolved as %s", resolving.resolved);
    return 0;
}
