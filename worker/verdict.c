#include "worker/verdict.h"

#include "base/clock.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/log.h"
#include "worker/journal.h"
#include "worker/keeper.h"

#include <string.h>

enum { AGAIN_MS = 500, PAY_AGAIN_MS = 30000 };

static void forget_plan(struct work *work)
{
    if (work->plan)
        journaled_plan_clear(work->plan);
    free(work->plan);
    work->plan = NULL;
}

/* A class C result is believed only under a lock that was trusted until now; past that another may have had the target meanwhile. */
static bool result_doubtful(const struct work *work, const struct outcome *outcome)
{
    return work->class == CLASS_C && work->journaled && outcome->state == STATE_SUCCEEDED &&
           hold_trust(work->hold, clock_monotonic_ms()) == TRUST_LOST;
}

static int ended(struct custody *custody, struct work *work, const struct outcome *outcome, struct err *err)
{
    const struct err *why = outcome->err.kind == ERR_NONE ? NULL : &outcome->err;
    struct err doubt = {0};

    if (result_doubtful(work, outcome)) {
        err_set(&doubt, ERR_UNKNOWN, "it was done, but the lock was another's before it ended");
        return custody_end(custody, work, STATE_PARKED, &doubt, outcome, err);
    }
    return custody_end(custody, work, outcome->state, why, outcome, err);
}

/* Recovery took everything back: afresh, as the same attempt. */
static int plan_afresh(struct custody *custody, struct work *work, struct err *err)
{
    forget_plan(work);
    work->task = TASK_RUN;
    work->closes_target = work->lock_lost = false;
    work->cut_off_since_ms = 0;
    work->attempt--;
    work->crashes--;
    work->journaled = false;
    if (journal_drop_plan(custody->setup.journal, work->row, err) < 0)
        return -1;
    return custody_wait(custody, work, 0, err, "restart: planned afresh after the worker was restarted");
}

/* Asked and asked again, past the deadline, and no answer: a person decides. What must be paid first is never given up. */
static bool given_up(const struct custody *custody, struct work *work)
{
    if (work->give_up || work->recovery != RECOVERY_ON || journaled_plan_owes_first(work->plan) ||
        !custody_asked_enough(custody, work))
        return false;
    work->give_up = "it cannot be told: a call from before the restart is still at work, or nothing answers";
    return true;
}

/* The journal's facts are the truth: what this recovery learned is in there. */
static int recover_again(struct custody *custody, struct work *work, struct err *err)
{
    struct journaled_plan *plan;

    log_debug(work->job->job_id, "recovery: %s", work->outcome.err.text);
    if (journal_load_plan(custody->setup.journal, work->row, work->ops, &plan, err) < 0)
        return -1;
    forget_plan(work);
    work->plan = plan;
    return custody_wait(custody, work, given_up(custody, work) ? 0 : AGAIN_MS, err, "recovery");
}

static int paid(struct custody *custody, struct work *work, const struct outcome *outcome, struct err *err)
{
    forget_plan(work);
    work->stage = WORK_PARKED;
    work->task = TASK_RUN;
    if (outcome->kind == OUTCOME_ENDED)
        return custody_resolve(custody, work, err);
    log_error(work->job->job_id, "resolve: %s", outcome->err.text);
    free(work->control);
    work->control = NULL;
    work->wake_ms = clock_monotonic_ms() + PAY_AGAIN_MS;
    return 0;
}

static int left(struct custody *custody, struct work *work, struct err *err)
{
    struct inbox_row row = {
        .row = work->row,
        .state = work->state,
        .attempt = work->attempt,
        .crashes = 0, /* it was stopped, it did not crash */
        .token = work->token,
        .seq = work->seq,
        .not_before_ms = work->job->not_before_ms,
    };

    return inbox_move(custody->setup.journal, &row, err);
}

int verdict_of(struct custody *custody, struct admission *admission, struct work *work, bool *out_left, struct err *err)
{
    struct outcome outcome = work->outcome;
    int failed;

    work->outcome = (struct outcome){0};
    *out_left = false;
    admission_ran(admission, work, work->ran_us);
    if (outcome.kind == OUTCOME_LEFT) {
        *out_left = true;
        failed = left(custody, work, err);
    } else if (work->task == TASK_PAY) {
        failed = paid(custody, work, &outcome, err);
    } else if (outcome.kind == OUTCOME_ENDED) {
        failed = ended(custody, work, &outcome, err);
    } else if (outcome.kind == OUTCOME_RETRY) {
        forget_plan(work);
        failed = custody_retry(custody, work, &outcome.err, err);
    } else if (outcome.kind == OUTCOME_REPLAN) {
        failed = plan_afresh(custody, work, err);
    } else {
        work->outcome.err = outcome.err;
        failed = recover_again(custody, work, err);
    }
    outcome_clear(&outcome);
    return failed;
}

/* What a PARKED job owes is paid by an executor before it is opened. */
static int begin_resolve(struct custody *custody, struct work *work, const char *control, struct err *err)
{
    if (work->control || clock_monotonic_ms() < work->wake_ms)
        return 0;
    work->control = strdup(control);
    if (!work->control)
        return err_memory(err, "resolve");
    if (!work->ops || !work->journaled)
        return custody_resolve(custody, work, err);
    forget_plan(work);
    if (journal_load_plan(custody->setup.journal, work->row, work->ops, &work->plan, err) < 0)
        return -1;
    return custody_hand_over(custody, work, TASK_PAY, work->token, 0, err);
}

static int cancel(struct custody *custody, struct work *work, struct err *err)
{
    struct err why = {0};

    work->cancelled = true;
    if (work->hold)
        work->hold->cancelled = true;
    if (work->stage != WORK_WAITING || work->task != TASK_RUN)
        return 0;
    err_set(&why, ERR_CANCELLED, "cancelled before it began");
    return custody_end(custody, work, STATE_CANCELLED, &why, NULL, err);
}

int word_heard(struct custody *custody, const char *job_id, bool asked_to_cancel, const char *control, struct err *err)
{
    struct work *work = custody_find(custody, job_id);

    if (!work)
        return 0;
    if (work->stage == WORK_PARKED)
        return strncmp(control, "resolve:", 8) == 0 ? begin_resolve(custody, work, control, err) : 0;
    return asked_to_cancel && !work->cancelled ? cancel(custody, work, err) : 0;
}
