/*
 * Back: what was begun is taken back in reverse, and what is owed is paid, whatever made the attempt turn round.
 *
 *     pay what is harmless in any state (thaw) ─► undo, last step first ─► pay the rest (start, resume), if no step is left half done and the lock is not another's
 *
 * What cannot be undone or paid is not hidden: the job is PARKED with the evidence, its target closed until a person decides.
 */
#include "worker/attempt.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/err.h"

#include <stdlib.h>
#include <string.h>

enum { UNDO_TRIES = 5, UNDO_PAUSE_MS = 1000, PAY_TRIES = 10, PAY_PAUSE_MS = 500 };

/* A paying step may be repeated, so it is: a guest is not left frozen because an agent was busy once. */
static int pay_one(struct attempt *attempt, size_t index, struct err *err)
{
    const struct step *owing = &attempt->plan.plan.steps[index];
    struct step payment = {.type = owing->type->owes, .class = owing->type->owes->class, .args = owing->args};
    struct step_run run = attempt_run_quiet(attempt);
    struct facts learned = {0};
    int failed = -1;

    crash_point("pay.before", payment.type->name);
    for (int try = 1; failed && try <= PAY_TRIES; try++) {
        failed = payment.type->execute(&run, &payment, &learned, err);
        if (failed && try < PAY_TRIES)
            attempt_pause(attempt, PAY_PAUSE_MS);
    }
    crash_point("pay.after", payment.type->name);
    if (!failed)
        failed = facts_merge(&attempt->known, &learned, err);
    facts_clear(&learned);
    if (failed)
        return err_wrap(err, "%s is still owed", payment.type->name);
    *err = (struct err){0}; /* of the tries before */
    return 0;
}

int attempt_pay(struct attempt *attempt, bool first, bool *out_any, char **owed, struct err *err)
{
    *out_any = false;
    for (size_t i = attempt->plan.plan.count; i-- > 0;) {
        struct step_change change = {0};

        if (!step_debt_open(&attempt->plan, i) || attempt->plan.plan.steps[i].type->owes->pay_first != first)
            continue;
        if (pay_one(attempt, i, err) < 0) {
            *owed = strdup(attempt->plan.plan.steps[i].type->owes->name);
            return -1;
        }
        *out_any = true;
        change = (struct step_change){step_payment_of(&attempt->plan.plan, i), STEP_PAID, NULL};
        attempt->plan.steps[change.index].state = STEP_PAID;
        if (attempt->env->save_steps(attempt->env->context, &change, 1, err) < 0)
            return -1;
    }
    return 0;
}

static int undo_one(struct attempt *attempt, size_t index, struct err *err)
{
    const struct step *step = &attempt->plan.plan.steps[index];
    struct journaled_step *known = &attempt->plan.steps[index];
    struct step_change change = {index, STEP_UNDOING, NULL};
    struct step_run run = attempt_run_quiet(attempt);
    int failed = 0;

    if (attempt->env->save_steps(attempt->env->context, &change, 1, err) < 0)
        return -1;
    known->state = STEP_UNDOING;
    crash_point("undo.before", step->type->name);
    for (int try = 1; step->type->undo && try <= UNDO_TRIES; try++) {
        failed = step->type->undo(&run, step, &known->facts, err);
        if (!failed || err->kind == ERR_PERMANENT || err->kind == ERR_CONFLICT)
            break;
        if (try < UNDO_TRIES)
            attempt_pause(attempt, UNDO_PAUSE_MS);
    }
    crash_point("undo.after", step->type->name);
    if (failed)
        return err_wrap(err, "%s could not be taken back", step->type->name);
    *err = (struct err){0};
    known->state = change.state = STEP_UNDONE;
    return attempt->env->save_steps(attempt->env->context, &change, 1, err);
}

/* *out_at: the step that could not be taken back. */
static int undo_all(struct attempt *attempt, size_t *out_at, struct err *err)
{
    for (size_t i = attempt->plan.plan.count; i-- > 0;) {
        const struct step *step = &attempt->plan.plan.steps[i];
        enum step_state state = attempt->plan.steps[i].state;

        if (step->class == STEP_READS || step_is_payment(&attempt->plan.plan, i) ||
            (state != STEP_INTENT && state != STEP_DONE && state != STEP_UNDOING))
            continue;
        *out_at = i;
        if (undo_one(attempt, i, err) < 0)
            return -1;
    }
    return 0;
}

/* Everything is taken back and paid: what the job has come to. */
static void end_clean(struct attempt *attempt, const struct err *why, struct outcome *out)
{
    bool late = attempt->job->deadline_ms && clock_real_ms() >= attempt->job->deadline_ms;

    if (attempt->env->cancelled(attempt->env->context)) {
        outcome_end(out, STATE_CANCELLED, why);
    } else if (late) {
        outcome_end(out, STATE_EXPIRED, why);
    } else if (attempt->recovering && why->kind == ERR_NONE) {
        out->kind = OUTCOME_REPLAN;
    } else if (why->kind == ERR_RETRY || why->kind == ERR_UNKNOWN) {
        out->kind = OUTCOME_RETRY;
        out->err = *why;
    } else if (why->kind == ERR_CANCELLED) { /* a step gave up because of the lock or a shutdown that is over */
        out->kind = OUTCOME_RETRY;
        out->err = *why;
    } else {
        outcome_end(out, STATE_FAILED, why);
    }
}

static bool may_pay_rest(const struct attempt *attempt)
{
    return !attempt->env->lock_lost(attempt->env->context);
}

void attempt_back(struct attempt *attempt, const struct err *why, struct outcome *out)
{
    CLEANUP(freep) char *owed = NULL;
    struct err err = {0};
    size_t at = attempt->plan.plan.count;
    bool any;

    int paid = attempt_pay(attempt, true, &any, &owed, &err);

    attempt->env->phase(attempt->env->context, "undo");
    attempt_leave_group(attempt, why);
    if (paid < 0 || undo_all(attempt, &at, &err) < 0) {
        err_wrap(&err, "%s; then", why->kind == ERR_NONE ? "taken back after a restart" : why->text);
        attempt_park(attempt, &err, at, owed, out);
        return;
    }
    if (!may_pay_rest(attempt))
        err_set(&err, ERR_RETRY, "the lock is another's");
    if (err.kind != ERR_NONE || attempt_pay(attempt, false, &any, &owed, &err) < 0) {
        attempt_park(attempt, &err, at, owed, out);
        return;
    }
    end_clean(attempt, why, out);
}

/* The first debt that is still open, for the text of PARKED. */
static const char *first_owed(const struct attempt *attempt)
{
    for (size_t i = 0; i < attempt->plan.plan.count; i++)
        if (step_debt_open(&attempt->plan, i))
            return attempt->plan.plan.steps[i].type->owes->name;
    return NULL;
}

void attempt_park(struct attempt *attempt, const struct err *why, size_t index, const char *owed, struct outcome *out)
{
    struct job_result *result;
    CLEANUP(freep) char *paid = NULL;
    struct err ignored = {0};
    bool any;

    attempt_pay(attempt, true, &any, &paid, &ignored); /* no guest stays frozen, whatever else is unknown */
    attempt_leave_group(attempt, why);
    outcome_clear(out);
    outcome_end(out, STATE_PARKED, why);
    if (!owed)
        owed = first_owed(attempt);
    out->owed = owed ? strdup(owed) : NULL;
    result = outcome_result(out);
    if (!result)
        return;
    facts_merge(&result->facts, &attempt->known, &ignored);
    if (index < attempt->plan.plan.count) {
        facts_set(&result->facts, "step", attempt->plan.plan.steps[index].type->name, &ignored);
        facts_set(&result->facts, "step_state", step_state_names[attempt->plan.steps[index].state], &ignored);
    }
    if (owed)
        facts_set(&result->facts, "owed", owed, &ignored);
}
