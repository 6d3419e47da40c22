#include "worker/sweep.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "worker/inventory_publisher.h"
#include "worker/job_source.h"
#include "worker/journal.h"
#include "worker/kafka_link.h"
#include "worker/keeper.h"
#include "worker/outbox.h"
#include "worker/pool.h"
#include "worker/worker.h"

#include <stdio.h>
#include <string.h>

enum {
    LONG_ENOUGH_MS = 1000,
    YOUNG_MS = 2000,
    BLOCKED_AGAIN_MS = 10000,
    PROGRESS_MS = 5000,
    SILENT_MS = 100, /* it is not as brief as its like */
    SLOW_MS = 5000,
    IDLE_MS = 300000,
    FORGET_ROWS = 1000
};
static const int64_t remembered_ms = INT64_C(15) * 24 * 3600 * 1000;

/* ---- jobs ---- */

/* It came a moment ago and only waits for its turn: in a burst most jobs have ended before anybody could read that they wait. */
static bool young(const struct work *work, int64_t now)
{
    return work->state == STATE_ACCEPTED && work->place == PLACE_READY && now - work->wake_ms < YOUNG_MS;
}

/* Behind another job on its target for longer than a sweep: WAITING, with the words in which Redis would say it. Who comes to stand there next is said again only now and then. */
static int look_at_blocked(struct worker *worker, struct work *work, const struct work *blocker, int64_t now,
                           struct err *err)
{
    bool said = work->told_ms && now - work->told_ms < BLOCKED_AGAIN_MS;

    if (!work->blocked_ms)
        work->blocked_ms = now;
    if (now - work->blocked_ms < LONG_ENOUGH_MS || said || work->task != TASK_RUN)
        return 0;
    if (blocker->stage == WORK_PARKED)
        return custody_say_waiting(&worker->custody, work, err, "parked: target is closed by a parked job: %s",
                                   blocker->job->job_id);
    return custody_say_waiting(&worker->custody, work, err, "lock: %s/%s", worker->options->host, blocker->job->job_id);
}

static int look_at_waiting(struct worker *worker, struct work *work, int64_t now, struct err *err)
{
    const struct work *blocker = backlog_blocker(&worker->custody.backlog, work);
    struct err why = {0};

    if (!work->watched) {
        keeper_watch(worker->keeper, work->job->job_id);
        work->watched = true;
    }
    if (!blocker)
        work->blocked_ms = 0;
    if (work->task != TASK_RUN || !work_expired(work, clock_real_ms()))
        return blocker ? look_at_blocked(worker, work, blocker, now, err)
                       : custody_say_accepted(&worker->custody, work, err);
    err_set(&why, ERR_PERMANENT, "its deadline, or the time by which it had to start, has passed");
    return custody_end(&worker->custody, work, STATE_EXPIRED, &why, NULL, err);
}

/* Also later, when the call of another has come back. */
static bool give_place(struct worker *worker, struct work *work)
{
    if (!pool_add_spare(worker->pool, (size_t)worker->custody.stuck))
        return false;
    custody_spare(&worker->custody, work);
    return true;
}

static int say_stuck(struct worker *worker, struct work *work, struct err *err)
{
    char phase[64];

    hold_phase_get(work->hold, phase);
    custody_stuck(&worker->custody, work);
    bool spare = give_place(worker, work);
    log_error(work->job->job_id, "stuck in step %s: the call has not returned %lld s after the deadline; %s", phase,
              (long long)worker->options->stuck_ms / 1000,
              spare ? "a spare executor takes its place" : "no spare executor is left");
    return custody_progress(&worker->custody, work, "stuck", err);
}

static bool moved(const struct work *work, int64_t now)
{
    char phase[64];

    hold_phase_get(work->hold, phase);
    if (strcmp(phase, work->told_phase) != 0)
        return now - work->told_ms >= LONG_ENOUGH_MS;
    if (work->hold->tellings != work->told_tellings)
        return true;
    return work->hold->done != work->told_done && now - work->told_ms >= PROGRESS_MS;
}

/* A job that has run for a second is kept: before that its lock is fresh, and most jobs that only read are over. */
static int look_at_running(struct worker *worker, struct work *work, int64_t now, struct err *err)
{
    int64_t began = work->hold->began_ms;

    if (work->silent_since_ms && now - work->told_ms >= SILENT_MS)
        return custody_progress(&worker->custody, work, NULL, err);
    if (!began || now - began < LONG_ENOUGH_MS || work->task == TASK_PAY)
        return 0;
    if (!work->kept) {
        keeper_keep(worker->keeper, work->hold);
        work->kept = true;
    }
    if (!work->stuck && work->job->deadline_ms && clock_real_ms() > work->job->deadline_ms + worker->options->stuck_ms)
        return say_stuck(worker, work, err);
    if (work->stuck && !work->spared)
        give_place(worker, work);
    bool given_away = false;
    if (work->stuck && custody_asked_enough(&worker->custody, work) &&
        custody_give_away(&worker->custody, work, &given_away, err) < 0)
        return -1;
    if (given_away)
        return 0;
    return moved(work, now) ? custody_progress(&worker->custody, work, work->stuck ? "stuck" : NULL, err) : 0;
}

static int look_at_jobs(struct worker *worker, int64_t now, struct err *err)
{
    for (struct work *work = worker->custody.first, *next; work; work = next) {
        int failed = 0;
        next = work->next;
        if (work->stage == WORK_WAITING && !young(work, now))
            failed = look_at_waiting(worker, work, now, err);
        else if (work->stage == WORK_RUNNING)
            failed = look_at_running(worker, work, now, err);
        if (failed)
            return failed;
    }
    return 0;
}

/* ---- the rest ---- */

static void say_space(struct worker *worker, bool low)
{
    if (low && !worker->space_low)
        log_error("journal", "less than %lld MiB free in %s: no new job is accepted",
                  (long long)(worker->options->min_free_bytes >> 20), worker->options->state_directory);
    if (!low && worker->space_low)
        log_info("journal", "there is space again: jobs are accepted");
    worker->space_low = low;
}

/* Accepting stops before the journal or the outbox are full: what is accepted must be able to end. */
static void pause_or_accept(struct worker *worker)
{
    int64_t free_bytes = journal_free_bytes(worker->journal);
    size_t waiting = outbox_count(worker->outbox);
    size_t limit = (size_t)worker->options->outbox_limit;
    bool full = waiting > (job_source_paused(worker->source) ? limit / 2 : limit);

    say_space(worker, free_bytes >= 0 && free_bytes < worker->options->min_free_bytes);
    if (!worker->drain_until_ms)
        job_source_pause(worker->source, worker->space_low || full);
    keeper_tell(worker->keeper, worker->running, free_bytes);
}

/* A consumer that hears nothing for long may have lost its broker without knowing: a new one costs little. */
static int doubt_consumer(struct worker *worker, int64_t now, struct err *err)
{
    bool idle = now - job_source_heard_ms(worker->source) > IDLE_MS && !job_source_paused(worker->source);

    if (!job_source_ready(worker->source) ? linker_busy(worker->linker) : !idle || linker_busy(worker->linker))
        return 0;
    worker->position_written = job_source_position(worker->source)->next_offset;
    return linker_begin(worker->linker, job_source_position(worker->source), false, err);
}

static int beat(struct worker *worker, struct err *err)
{
    const int64_t *counts = worker->custody.counts;
    const char *state = worker->drain_until_ms ? "draining" : worker->space_low ? "full" : "running";
    struct host_now now = {
        .state = state,
        .waiting = counts[STATE_ACCEPTED] + counts[STATE_WAITING],
        .running = worker->running,
        .parked = counts[STATE_PARKED],
        .skew_ms = outbox_broker_skew_ms(worker->outbox),
    };

    if (!inventory_publisher_due(worker->inventory, state))
        return 0;
    now.journal_bytes = journal_bytes(worker->journal);
    if (now.skew_ms > 30000 || now.skew_ms < -30000)
        log_warning("clock", "differs from the broker's by %lld s", (long long)now.skew_ms / 1000);
    return inventory_publisher_beat(worker->inventory, &now, err);
}

int sweep(struct worker *worker, struct err *err)
{
    int64_t now = clock_monotonic_ms();

    worker->swept_ms = now;
    if (look_at_jobs(worker, now, err) < 0 || beat(worker, err) < 0)
        return -1;
    pause_or_accept(worker);
    if (now - worker->slow_swept_ms < SLOW_MS)
        return 0;
    worker->slow_swept_ms = now;
    if (doubt_consumer(worker, now, err) < 0)
        return -1;
    return inbox_forget(worker->journal, clock_real_ms() - remembered_ms, FORGET_ROWS, err);
}
