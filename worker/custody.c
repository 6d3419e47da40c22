/*
 * The states of a job, as this host moves it. Every function here is one edge: memory, journal row and status event change together, in the turn's transaction; the event has
 * the row's seq, so status says exactly what the journal says, in order.
 *
 *     ACCEPTED ─► WAITING(reason) ⇄ RUNNING ─► SUCCEEDED FAILED CANCELLED EXPIRED, PARKED (─► resolved)
 *         └─► REJECTED, EXPIRED
 *
 * Why a job waits or ends is decided elsewhere: admission.c (before it runs), verdict.c (after).
 */
#include "worker/custody.h"

#include "base/clock.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/log.h"
#include "worker/finisher.h"
#include "worker/journal.h"
#include "worker/keeper.h"
#include "worker/outbox.h"
#include "worker/teller.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void custody_open(struct custody *custody, const struct custody_setup *setup)
{
    *custody = (struct custody){.setup = *setup};
    backlog_init(&custody->backlog, setup->limits);
    custody->starting_end = &custody->starting;
}

void custody_close(struct custody *custody)
{
    for (struct work *work = custody->first, *next; work; work = next) {
        next = work->next;
        work_free(work);
    }
    while (custody->orphans)
        custody_bury(custody, custody->orphans);
    backlog_clear(&custody->backlog);
    table_clear(&custody->jobs);
}

static struct teller teller_of(const struct custody *custody)
{
    return (struct teller){custody->setup.wire, custody->setup.outbox, custody->setup.host,
                           journal_id(custody->setup.journal)};
}

static void set_state(struct custody *custody, struct work *work, enum job_state state)
{
    custody->counts[work->state]--;
    custody->counts[state]++;
    work->state = state;
}

/* A slot in every repository that the job uses: how many jobs of the fleet do so at a time. */
static void find_slots(const struct custody *custody, struct work *work)
{
    const struct repository_ref *repository = job_repository(work->job);

    if (!repository || !repository->id)
        return;
    snprintf(work->slot_names[0], sizeof work->slot_names[0], "repository:%s", repository->id);
    work->slots[0] = (struct store_slot){work->slot_names[0], custody->setup.repository_slots};
    work->slot_count = 1;
}

int custody_enter(struct custody *custody, struct work *work, struct err *err)
{
    if (table_put(&custody->jobs, work->job->job_id, work, err) < 0)
        return -1;
    find_slots(custody, work);
    work->previous = custody->last;
    if (custody->last)
        custody->last->next = work;
    else
        custody->first = work;
    custody->last = work;
    custody->counts[work->state]++;
    return 0;
}

void custody_leave(struct custody *custody, struct work *work)
{
    table_remove(&custody->jobs, work->job->job_id);
    *(work->previous ? &work->previous->next : &custody->first) = work->next;
    *(work->next ? &work->next->previous : &custody->last) = work->previous;
    custody->counts[work->state]--;
}

void custody_drop(struct custody *custody, struct work *work)
{
    custody_leave(custody, work);
    work_free(work);
}

struct work *custody_find(const struct custody *custody, const char *job_id)
{
    return table_get(&custody->jobs, job_id);
}

static struct inbox_row row_of(const struct work *work)
{
    return (struct inbox_row){
        .row = work->row,
        .job_id = work->job->job_id,
        .target = work->target,
        .append_ms = work->append_ms,
        .accepted_at_ms = work->accepted_at_ms,
        .state = work->state,
        .waiting = work->state == STATE_WAITING ? work->waiting : NULL,
        .attempt = work->attempt,
        .crashes = work->crashes,
        .token = work->token,
        .seq = work->seq,
        .not_before_ms = work->job->not_before_ms,
    };
}

/* Its row says now how it stands, and so does an event. */
static void end_silence(struct custody *custody, struct work *work)
{
    if (!work->silent_since_ms)
        return;
    work->silent_since_ms = 0;
    *(work->previous_silent ? &work->previous_silent->next_silent : &custody->silent) = work->next_silent;
    if (work->next_silent)
        work->next_silent->previous_silent = work->previous_silent;
    custody->silent_count--;
}

/* The row and its event. */
static int move(struct custody *custody, struct work *work, const struct telling *telling, struct err *err)
{
    struct teller teller = teller_of(custody);

    work->seq++;
    struct inbox_row row = row_of(work);
    if (inbox_move(custody->setup.journal, &row, err) < 0 || tell_status(&teller, work, telling, NULL, NULL, err) < 0)
        return -1;
    end_silence(custody, work);
    return 0;
}

/*
 * It runs, and nobody is told. Of most jobs that only look the end follows within milliseconds, and says when they began; of one that takes longer the sweep says that it runs, and one
 * that is going to change something says so with its plan. Never of a job of which anything was said before: readers see no number missing.
 */
static void begin_silently(struct custody *custody, struct work *work)
{
    work->seq++;
    work->silent_since_ms = clock_real_ms();
    work->told_ms = clock_monotonic_ms();
    work->previous_silent = NULL;
    work->next_silent = custody->silent;
    if (custody->silent)
        custody->silent->previous_silent = work;
    custody->silent = work;
    custody->silent_count++;
    custody->silent_began = true;
}

/* An attempt is over, or was not begun: keeper and class limits let go of it. The target stays closed if `closed`. */
static void let_go(struct custody *custody, struct work *work, bool closed)
{
    bool counted = work->stage == WORK_ACQUIRING || work->stage == WORK_STARTING || work->stage == WORK_RUNNING;

    if (work->hold)
        keeper_release(custody->setup.keeper, work->hold);
    work->kept = false;
    if (work->stuck)
        custody->stuck--;
    if (work->spared)
        custody->backlog.started[work->class]++;
    work->stuck = work->spared = false;
    hold_unref(work->hold);
    work->hold = NULL;
    if (work->place != PLACE_NONE)
        backlog_remove(&custody->backlog, work);
    if (counted && work->task != TASK_PAY)
        backlog_done(&custody->backlog, work, closed);
    else if (!closed)
        backlog_open(&custody->backlog, work);
}

/* A reason that is known is not said again. */
static int say_waiting(struct custody *custody, struct work *work, const char *waiting, struct err *err)
{
    const struct telling nothing = {0};

    if (work->state == STATE_WAITING && strcmp(work->waiting, waiting) == 0)
        return 0;
    snprintf(work->waiting, sizeof work->waiting, "%s", waiting);
    set_state(custody, work, STATE_WAITING);
    return move(custody, work, &nothing, err);
}

int custody_say_waiting(struct custody *custody, struct work *work, struct err *err, const char *reason, ...)
{
    char waiting[WORK_WAITING_TEXT];
    va_list arguments;

    va_start(arguments, reason);
    vsnprintf(waiting, sizeof waiting, reason, arguments);
    va_end(arguments);
    work->told_ms = clock_monotonic_ms();
    return say_waiting(custody, work, waiting, err);
}

int custody_wait(struct custody *custody, struct work *work, int64_t delay_ms, struct err *err, const char *reason, ...)
{
    char waiting[WORK_WAITING_TEXT];
    va_list arguments;

    va_start(arguments, reason);
    vsnprintf(waiting, sizeof waiting, reason, arguments);
    va_end(arguments);
    let_go(custody, work, work->closes_target);
    work->wake_ms = clock_monotonic_ms() + delay_ms;
    if (backlog_add(&custody->backlog, work, work->wake_ms - delay_ms, err) < 0)
        return -1;
    if (work->task != TASK_RUN) /* a plan that is being recovered stays RUNNING */
        return 0;
    return say_waiting(custody, work, waiting, err);
}

static int make_hold(struct work *work, int64_t token, int64_t trusted_until_ms, struct err *err)
{
    hold_unref(work->hold);
    work->hold = NULL;
    if (hold_new(work->job->job_id, work->target, work->class, token, &work->hold, err) < 0)
        return -1;
    if (hold_set_slots(work->hold, work->slots, work->slot_count, err) < 0)
        return -1;
    work->hold->trusted_until_ms = trusted_until_ms;
    work->hold->cancelled = work->cancelled;
    return 0;
}

static void queue_start(struct custody *custody, struct work *work)
{
    work->stage = WORK_STARTING;
    work->message.item.next = NULL;
    *custody->starting_end = &work->message.item;
    custody->starting_end = &work->message.item.next;
}

struct queue_item *custody_take_starting(struct custody *custody)
{
    struct queue_item *first = custody->starting;

    custody->starting = NULL;
    custody->starting_end = &custody->starting;
    for (struct queue_item *item = first; item; item = item->next)
        ((struct work *)item)->stage = WORK_RUNNING;
    return first;
}

int custody_begin(struct custody *custody, struct work *work, int64_t token, int64_t trusted_until_ms, struct err *err)
{
    const struct telling telling = {.phase = "plan"};
    bool silent = work->brief && work->class != CLASS_C && work->state == STATE_ACCEPTED && !work->told_accepted;

    if (make_hold(work, token, trusted_until_ms, err) < 0)
        return -1;
    if (token && token_seen(custody->setup.journal, token, err) < 0)
        return -1;
    work->token = token;
    work->attempt++;
    work->crashes++; /* taken back when the attempt comes to an end: what stays are the ends that the worker did not live to see */
    set_state(custody, work, STATE_RUNNING);
    queue_start(custody, work);
    if (!silent)
        return move(custody, work, &telling, err);
    begin_silently(custody, work);
    return 0;
}

int custody_had_begun(struct custody *custody, struct work *work, struct err *err)
{
    work->seq++;
    work->attempt++;
    work->crashes++;
    set_state(custody, work, STATE_RUNNING);
    struct inbox_row row = row_of(work);
    return inbox_move(custody->setup.journal, &row, err);
}

int custody_recovery_begins(struct custody *custody, struct work *work, struct err *err)
{
    if (work->recovery_counted)
        return 0;
    work->recovery_counted = true;
    work->crashes++;
    struct inbox_row row = row_of(work);
    return inbox_move(custody->setup.journal, &row, err);
}

int custody_hand_over(struct custody *custody, struct work *work, enum work_task task, int64_t token,
                      int64_t trusted_until_ms, struct err *err)
{
    if (make_hold(work, token, trusted_until_ms, err) < 0)
        return -1;
    work->task = task;
    queue_start(custody, work);
    if (!token || token == work->token)
        return 0;
    work->token = token;
    struct inbox_row row = row_of(work);
    if (inbox_move(custody->setup.journal, &row, err) < 0)
        return -1;
    return token_seen(custody->setup.journal, token, err);
}

void custody_stuck(struct custody *custody, struct work *work)
{
    work->stuck = true;
    custody->stuck++;
}

void custody_spare(struct custody *custody, struct work *work)
{
    work->spared = true;
    custody->backlog.started[work->class]--;
}

int custody_progress(struct custody *custody, struct work *work, const char *note, struct err *err)
{
    CLEANUP(job_result_clear) struct job_result told = {0};
    char phase[64];

    hold_phase_get(work->hold, phase);
    work->told_tellings = work->hold->tellings;
    hold_told(work->hold, &told.facts);
    struct telling telling = {.phase = *phase ? phase : "plan",
                              .done = work->hold->done,
                              .total = work->hold->total,
                              .note = note,
                              .result = told.facts.count ? &told : NULL};
    work->told_ms = clock_monotonic_ms();
    work->told_done = telling.done;
    memcpy(work->told_phase, phase, sizeof work->told_phase);
    return move(custody, work, &telling, err);
}

static int end_row(struct custody *custody, struct work *work, const struct telling *telling, struct err *err)
{
    struct teller teller = teller_of(custody);
    const unsigned char *value;
    size_t len;

    work->seq++;
    if (tell_status(&teller, work, telling, &value, &len, err) < 0)
        return -1;
    end_silence(custody, work);
    struct inbox_row row = row_of(work);
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
    struct teller teller = teller_of(custody);
    struct err copy;
    struct telling telling = {.error = way_out(work, state, why, &copy),
                              .result = outcome ? outcome->report.result : NULL};

    set_state(custody, work, state);
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
    let_go(custody, work, state == STATE_PARKED);
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
    struct teller teller = teller_of(resolving->custody);
    const unsigned char *value;
    size_t len;

    work->seq++;
    if (tell_resolved(&teller, work, resolving->resolved, old->last_status, old->last_status_len, &value, &len, err) < 0)
        return -1;
    struct inbox_row row = row_of(work);
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
    let_go(custody, work, false);
    work->stage = WORK_ENDING;
    log_info(work->job->job_id, "resolved as %s", resolving.resolved);
    return 0;
}
