/*
 * The states of a job, as this host moves it. Every function here is one edge: memory, journal row and status event change together, in the turn's transaction; the event has
 * the row's seq, so status says exactly what the journal says, in order.
 *
 *     ACCEPTED ─► WAITING(reason) ⇄ RUNNING ─► SUCCEEDED FAILED CANCELLED EXPIRED, PARKED (─► resolved)
 *         └─► REJECTED, EXPIRED
 *
 * Its ends are in custody_end.c. Why a job waits or ends is decided elsewhere: admission.c (before it runs), verdict.c (after).
 */
#include "worker/custody_internal.h"

#include "base/clock.h"
#include "base/err.h"
#include "worker/keeper.h"

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

struct teller custody_teller(const struct custody *custody)
{
    return (struct teller){custody->setup.wire, custody->setup.outbox, custody->setup.host,
                           journal_id(custody->setup.journal)};
}

void custody_set_state(struct custody *custody, struct work *work, enum job_state state)
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

struct inbox_row custody_row(const struct work *work)
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

void custody_end_silence(struct custody *custody, struct work *work)
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
    struct teller teller = custody_teller(custody);

    work->seq++;
    struct inbox_row row = custody_row(work);
    if (inbox_move(custody->setup.journal, &row, err) < 0 || tell_status(&teller, work, telling, NULL, NULL, err) < 0)
        return -1;
    custody_end_silence(custody, work);
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

void custody_let_go(struct custody *custody, struct work *work, bool closed)
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
    custody_set_state(custody, work, STATE_WAITING);
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
    custody_let_go(custody, work, work->closes_target);
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
    hold_hear_rate(work->hold, work->rate_word);
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
    custody_set_state(custody, work, STATE_RUNNING);
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
    custody_set_state(custody, work, STATE_RUNNING);
    struct inbox_row row = custody_row(work);
    return inbox_move(custody->setup.journal, &row, err);
}

int custody_recovery_begins(struct custody *custody, struct work *work, struct err *err)
{
    if (work->recovery_counted)
        return 0;
    work->recovery_counted = true;
    work->crashes++;
    struct inbox_row row = custody_row(work);
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
    struct inbox_row row = custody_row(work);
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
