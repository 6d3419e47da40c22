/*
 * Recovery: a worker died with this plan in its journal. Never re-run blind.
 *
 *   1. debts that are harmless in any state are paid (a frozen guest is thawed first of all);
 *   2. every INTENT without DONE is settled: the world is asked what became of it. A call of the dead worker that is still at work: again in 500 ms;
 *   3. without the lock for long: back, if there is a way back (how: RECOVERY_BACK);
 *      a debt was paid out of turn, or a step that adds cannot be told: back, and the job is planned afresh. A step that takes away cannot be told: PARKED. Else forward: a job that
 *      lives by itself (push, commit) is adopted by execute(). What takes away and proves not done is not begun again past the deadline or a cancel: PARKED.
 */
#include "worker/attempt.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"

#include <stdlib.h>

enum way { WAY_FORWARD, WAY_BACK, WAY_AGAIN, WAY_PARKED };

int settle_by_repeating(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                        struct err *err)
{
    (void)run;
    (void)step;
    (void)learned;
    (void)err;
    *out = SETTLED_NOT_DONE;
    return 0;
}

int attempt_remember(struct attempt *attempt, struct err *err)
{
    if (facts_merge(&attempt->known, &attempt->plan.plan.facts, err) < 0)
        return -1;
    for (size_t i = 0; i < attempt->plan.plan.count; i++) {
        const struct journaled_step *step = &attempt->plan.steps[i];

        if ((step->state == STEP_DONE || step->state == STEP_PAID) && facts_merge(&attempt->known, &step->facts, err) < 0)
            return -1;
    }
    attempt->final_begun = journaled_plan_final(&attempt->plan);
    return 0;
}

static enum way settled_done(struct attempt *attempt, size_t index, struct facts *learned, struct err *err)
{
    struct step_change change = {index, STEP_DONE, NULL};

    if (attempt_learn(attempt, index, learned, err) < 0)
        return WAY_AGAIN;
    change.facts = &attempt->plan.steps[index].facts;
    if (attempt->env->save_steps(attempt->env->context, &change, 1, err) < 0)
        return WAY_AGAIN;
    attempt->plan.steps[index].state = STEP_DONE;
    return WAY_FORWARD;
}

/* 1: given to another meanwhile. */
static int attempt_look(struct attempt *attempt, const struct step *step, struct facts *learned, enum settled *out,
                        const struct step_run *run, struct err *err)
{
    const struct runner_env *env = attempt->env;
    int failed;

    if (env->looking && !env->looking(env->context, true))
        return 1;
    failed = step->type->settle(run, step, learned, out, err);
    if (!env->looking || env->looking(env->context, false))
        return failed;
    err_set(err, ERR_RETRY, "%s: the answer came too late", step->type->name);
    return 1;
}

static enum way settle_step(struct attempt *attempt, size_t index, struct err *err)
{
    CLEANUP(facts_clearp) struct facts learned = {0};
    const struct step *step = &attempt->plan.plan.steps[index];
    enum settled settled = SETTLED_UNKNOWN;
    struct step_run run = attempt_run_quiet(attempt);

    attempt->env->phase(attempt->env->context, step->type->name);
    int failed = attempt_look(attempt, step, &learned, &settled, &run, err);
    if (failed > 0)
        return WAY_AGAIN;
    if (failed < 0) {
        err_wrap(err, "%s: what became of it", step->type->name);
        return err->kind == ERR_RETRY ? WAY_AGAIN : step->class == STEP_DESTROYS ? WAY_PARKED : WAY_BACK;
    }
    switch (settled) {
    case SETTLED_DONE: return settled_done(attempt, index, &learned, err);
    case SETTLED_NOT_DONE:
    case SETTLED_RUNNING: return WAY_FORWARD;
    case SETTLED_BUSY:
        err_set(err, ERR_RETRY, "%s: a call from before the restart is still at work", step->type->name);
        return WAY_AGAIN;
    case SETTLED_UNKNOWN: break;
    }
    err_set(err, ERR_UNKNOWN, "%s: it cannot be told whether it happened before the worker was restarted",
            step->type->name);
    return step->class == STEP_DESTROYS ? WAY_PARKED : WAY_BACK;
}

/* Which way, after all open INTENTs were asked about. *out_at: the step that decided. */
static enum way settle_all(struct attempt *attempt, size_t *out_at, struct err *err)
{
    enum way way = WAY_FORWARD;

    for (size_t i = 0; i < attempt->plan.plan.count; i++) {
        enum way this_way;

        if (attempt->plan.steps[i].state != STEP_INTENT || step_is_payment(&attempt->plan.plan, i))
            continue;
        this_way = settle_step(attempt, i, err);
        if (this_way == WAY_AGAIN || this_way == WAY_PARKED) {
            *out_at = i;
            return this_way;
        }
        if (this_way == WAY_BACK)
            way = WAY_BACK;
    }
    return way;
}

/* A plan that is being undone stays so: the next start finds UNDOING or UNDONE steps and goes on back. */
static bool was_going_back(const struct attempt *attempt)
{
    for (size_t i = 0; i < attempt->plan.plan.count; i++)
        if (attempt->plan.steps[i].state == STEP_UNDONE || attempt->plan.steps[i].state == STEP_UNDOING)
            return true;
    return false;
}

/* A payment that was made while a step before it is not done was made out of turn. */
static bool paid_out_of_turn(const struct attempt *attempt)
{
    const struct plan *plan = &attempt->plan.plan;

    for (size_t i = 0; i < plan->count; i++) {
        if (attempt->plan.steps[i].state != STEP_PAID)
            continue;
        for (size_t k = 0; k < i; k++)
            if (plan->steps[k].class != STEP_READS && attempt->plan.steps[k].state != STEP_DONE &&
                attempt->plan.steps[k].state != STEP_PAID)
                return true;
    }
    return false;
}

static void ask_again(const struct err *err, struct outcome *out)
{
    out->kind = OUTCOME_AGAIN;
    out->err = *err;
}

/* The step without a way back had its INTENT and no effect, or half of one; and what was asked for is too late, or not wanted any more. It is not begun again now. */
static bool too_late_to_begin(const struct attempt *attempt, size_t *out_at)
{
    const struct plan *plan = &attempt->plan.plan;
    bool late = attempt->job->deadline_ms && clock_real_ms() >= attempt->job->deadline_ms;
    bool begun = false;

    for (size_t i = 0; i < plan->count; i++) {
        enum step_state state = attempt->plan.steps[i].state;

        if (!step_no_way_back(&plan->steps[i]) || (state != STEP_DONE && state != STEP_INTENT))
            continue;
        if (state == STEP_DONE || plan->steps[i].class != STEP_DESTROYS)
            return false;
        *out_at = i;
        begun = true;
    }
    return begun && (late || attempt->env->cancelled(attempt->env->context));
}

static void wait_for_lock(const char *done, struct outcome *out)
{
    struct err err = {0};

    err_set(&err, ERR_RETRY, "%s; the rest waits for the lock", done);
    ask_again(&err, out);
}

void attempt_recover(struct attempt *attempt, enum recovery how, struct outcome *out)
{
    CLEANUP(freep) char *owed = NULL;
    const struct err nothing = {0};
    struct err err = {0};
    size_t at = attempt->plan.plan.count;
    bool any = false;
    enum way way;

    if (attempt_remember(attempt, &err) < 0 || attempt_pay(attempt, true, &any, &owed, &err) < 0) {
        ask_again(&err, out);
        return;
    }
    if (how == RECOVERY_DEBTS) {
        wait_for_lock("what cannot wait is paid", out);
        return;
    }
    any = any || how == RECOVERY_BACK || paid_out_of_turn(attempt) || was_going_back(attempt);
    way = settle_all(attempt, &at, &err);
    if (way == WAY_AGAIN)
        ask_again(&err, out);
    else if (way == WAY_PARKED)
        attempt_park(attempt, &err, at, NULL, out);
    else if ((any || way == WAY_BACK) && !attempt->final_begun)
        attempt_back(attempt, &nothing, out);
    else if (way == WAY_BACK)
        attempt_park(attempt, &err, at, NULL, out);
    else if (how == RECOVERY_BACK)
        wait_for_lock("there is no way back", out);
    else if (too_late_to_begin(attempt, &at)) {
        err_set(&err, ERR_UNKNOWN,
                "%s: it was to be done before the worker died, and is not, or in part; it is too late now",
                attempt->plan.plan.steps[at].type->name);
        attempt_park(attempt, &err, at, NULL, out);
    } else
        attempt_forward(attempt, out);
}
