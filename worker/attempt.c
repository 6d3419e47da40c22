/* What the runner's files share: the attempt's view of its plan, and what steps may ask of it. */
#include "worker/attempt.h"

#include "base/clock.h"
#include "base/err.h"
#include "model/restore_point.h"

#include <string.h>
#include <time.h>

const char *const step_state_names[] = {"planned", "intent", "done", "undone", "paid", "undoing", NULL};

struct step_run attempt_run(struct attempt *attempt)
{
    return (struct step_run){attempt->backend, attempt->job, &attempt->known, attempt};
}

struct step_run attempt_run_quiet(struct attempt *attempt)
{
    return (struct step_run){attempt->backend, attempt->job, &attempt->known, NULL};
}

enum why_stop attempt_why_stop(const struct attempt *attempt)
{
    const struct runner_env *env = attempt->env;

    if (env->stopping(env->context))
        return STOP_SHUTDOWN;
    if (attempt->final_begun)
        return STOP_NOT;
    if (env->lock_lost(env->context))
        return STOP_LOCK_LOST;
    if (env->cancelled(env->context))
        return STOP_CANCEL;
    if (attempt->job->deadline_ms && clock_real_ms() >= attempt->job->deadline_ms)
        return STOP_DEADLINE;
    return STOP_NOT;
}

bool attempt_cancelled(const struct attempt *attempt)
{
    if (attempt_why_stop(attempt) != STOP_NOT)
        return true;
    return !attempt->final_begun && plan_class(&attempt->plan.plan) == STEP_DESTROYS &&
           attempt->env->lock_trust(attempt->env->context) != TRUST_OURS;
}

void attempt_progress(struct attempt *attempt, int64_t done, int64_t total)
{
    attempt->env->progress(attempt->env->context, done, total);
}

int64_t attempt_rate_limit(const struct attempt *attempt)
{
    return attempt->env->rate_limit(attempt->env->context);
}

void attempt_tell(struct attempt *attempt, const struct facts *facts)
{
    if (attempt->env->tell)
        attempt->env->tell(attempt->env->context, facts);
}

bool attempt_told_to_end(const struct attempt *attempt)
{
    return attempt->env->told_to_end && attempt->env->told_to_end(attempt->env->context);
}

int attempt_reserve(struct attempt *attempt, const char *repository, int64_t bytes, int64_t free_bytes,
                    int64_t min_free_bytes, struct err *err)
{
    return attempt->env->reserve(attempt->env->context, repository, bytes, free_bytes, min_free_bytes, err);
}

int attempt_learn(struct attempt *attempt, size_t index, struct facts *learned, struct err *err)
{
    struct facts *facts = &attempt->plan.steps[index].facts;

    if (facts_merge(&attempt->known, learned, err) < 0)
        return -1;
    facts_clear(facts);
    *facts = *learned;
    *learned = (struct facts){0};
    return 0;
}

static bool pays(const struct step *payment, const struct step *owing)
{
    const char *what = owing->type->owes_for;

    if (payment->type != owing->type->owes)
        return false;
    return !what || strcmp(facts_get_or(&payment->args, what, ""), facts_get_or(&owing->args, what, "")) == 0;
}

bool step_is_payment(const struct plan *plan, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (pays(&plan->steps[index], &plan->steps[i]))
            return true;
    return false;
}

size_t step_payment_of(const struct plan *plan, size_t index)
{
    for (size_t i = index + 1; i < plan->count; i++)
        if (pays(&plan->steps[i], &plan->steps[index]))
            return i;
    return plan->count;
}

bool step_debt_open(const struct journaled_plan *plan, size_t index)
{
    size_t payment = plan->plan.steps[index].type->owes ? step_payment_of(&plan->plan, index) : plan->plan.count;

    return payment < plan->plan.count && plan->steps[index].state != STEP_PLANNED &&
           plan->steps[payment].state != STEP_PAID;
}

bool step_no_way_back(const struct step *step)
{
    return step->type->final || (step->class == STEP_DESTROYS && !step->type->undo && !step->type->owes);
}

bool journaled_plan_owes_first(const struct journaled_plan *plan)
{
    for (size_t i = 0; i < plan->plan.count; i++)
        if (step_debt_open(plan, i) && plan->plan.steps[i].type->owes->pay_first)
            return true;
    return false;
}

bool journaled_plan_final(const struct journaled_plan *plan)
{
    for (size_t i = 0; i < plan->plan.count; i++)
        if ((plan->steps[i].state == STEP_DONE || plan->steps[i].state == STEP_INTENT) &&
            step_no_way_back(&plan->plan.steps[i]))
            return true;
    return false;
}

void attempt_pause(const struct attempt *attempt, int ms)
{
    if (attempt->env->pause) {
        attempt->env->pause(attempt->env->context, ms);
        return;
    }
    for (; ms > 0 && !attempt->env->stopping(attempt->env->context); ms -= 100)
        nanosleep(&(struct timespec){.tv_nsec = (ms < 100 ? ms : 100) * 1000000L}, NULL);
}

void journaled_plan_clear(struct journaled_plan *plan)
{
    for (size_t i = 0; plan->steps && i < plan->plan.count; i++)
        facts_clear(&plan->steps[i].facts);
    free(plan->steps);
    plan->steps = NULL;
    plan_clear(&plan->plan);
}

struct job_result *outcome_result(struct outcome *out)
{
    if (!out->report.result)
        out->report.result = calloc(1, sizeof *out->report.result);
    return out->report.result;
}

void outcome_end(struct outcome *out, enum job_state state, const struct err *err)
{
    out->kind = OUTCOME_ENDED;
    out->state = state;
    if (err)
        out->err = *err;
}

void outcome_clear(struct outcome *outcome)
{
    job_result_free(outcome->report.result);
    for (size_t i = 0; i < outcome->report.change_count; i++) {
        restore_point_free(outcome->report.changes[i].point);
        free(outcome->report.changes[i].id);
    }
    free(outcome->report.changes);
    free(outcome->owed);
    memset(outcome, 0, sizeof *outcome);
}
