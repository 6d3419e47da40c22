/*
 * How a job lives on an executor.
 *
 *     plan ─► journal PLAN ─► forward: for each step INTENT ─► execute ─► DONE ─► … ─► report ─► SUCCEEDED
 *                                │ failure, cancel, deadline, lock gone
 *                                └─► back: pay what must be paid first, undo in reverse, pay the rest ─► FAILED, CANCELLED, EXPIRED, or again later
 *
 * This file plans and decides where to begin; runner_forward.c goes forward, runner_back.c goes back, runner_recover.c picks up what a dead worker left, runner_render.c shows
 * a plan without doing it. A step that cannot be taken back is `final`: after its INTENT there is only forward, and PARKED when forward fails.
 */
#include "worker/runner.h"

#include "base/cleanup.h"
#include "base/crash.h"
#include "base/err.h"
#include "worker/attempt.h"

#include <stdlib.h>
#include <string.h>

static inline void attempt_clearp(struct attempt *attempt)
{
    journaled_plan_clear(&attempt->plan);
    facts_clear(&attempt->known);
    text_free(&attempt->story);
}

/* What the verb's refusal means for the job. Planning only looks, so nothing can be unknown: it is tried again. */
static void end_refused(const struct err *err, struct outcome *out)
{
    switch (err->kind) {
    case ERR_RETRY:
    case ERR_UNKNOWN:
        out->kind = OUTCOME_RETRY;
        out->err = *err;
        return;
    case ERR_CANCELLED: outcome_end(out, STATE_CANCELLED, err); return;
    case ERR_NONE:
    case ERR_PERMANENT:
    case ERR_CONFLICT: outcome_end(out, STATE_FAILED, err); return;
    }
}

/* The class that the job would have if it were done: what a dry run shows is bounded by it, too. */
static enum job_class class_when_done(const struct job *job)
{
    struct job real = *job;

    real.dry_run = false;
    return job_class(&real);
}

static int check_debts(const struct plan *plan, struct err *err)
{
    for (size_t i = 0; i < plan->count; i++)
        if (plan->steps[i].type->owes && step_payment_of(plan, i) == plan->count)
            return err_set(err, ERR_PERMANENT, "plan: step %s owes %s, which no later step pays",
                           plan->steps[i].type->name, plan->steps[i].type->owes->name);
    return 0;
}

/* A verb that knows nothing of groups must not act as if it were for itself. */
static int check_group(const struct attempt *attempt, struct err *err)
{
    const struct plan *plan = &attempt->plan.plan;
    size_t barriers = 0;

    for (size_t i = 0; i < plan->count; i++)
        barriers += plan->steps[i].type == &step_barrier;
    if (!attempt->job->group_limit_ms || barriers)
        return 0;
    return err_set(err, ERR_PERMANENT, "%s: %s targets cannot do that in a consistency group",
                   op_names[attempt->job->op], attempt->backend->ops->kind);
}

static int check_plan(const struct attempt *attempt, struct err *err)
{
    const struct plan *plan = &attempt->plan.plan;
    char digest[65];

    if (check_debts(plan, err) < 0 || check_group(attempt, err) < 0)
        return -1;
    if ((int)plan_class(plan) > (int)class_when_done(attempt->job))
        return err_set(err, ERR_PERMANENT, "%s: the plan holds a step of class %s, above the job's",
                       op_names[attempt->job->op], class_names[plan_class(plan)]);
    if (attempt->job->dry_run || !attempt->job->plan_digest)
        return 0;
    plan_digest(plan, attempt->job->job_id, digest);
    if (strcmp(digest, attempt->job->plan_digest) != 0) {
        err_set(err, ERR_CONFLICT, "%s: the plan is not the one that was confirmed any more; nothing was changed",
                op_names[attempt->job->op]);
        return err_hint(err, "look at the new one with --dry-run, then ask again");
    }
    return 0;
}

static int make_plan(struct attempt *attempt, struct err *err)
{
    struct journaled_plan *plan = &attempt->plan;

    if (attempt->verb->plan(attempt->backend, attempt->job, &plan->plan, err) < 0)
        return -1;
    plan->steps = calloc(plan->plan.count + 1, sizeof *plan->steps);
    if (!plan->steps)
        return err_memory(err, "plan");
    return facts_merge(&attempt->known, &plan->plan.facts, err);
}

/* A plan that only reads leaves nothing to recover: it is not journaled. */
static int journal_plan(struct attempt *attempt, struct err *err)
{
    CLEANUP(freep) char *json = NULL;

    if (plan_class(&attempt->plan.plan) == STEP_READS)
        return 0;
    if (plan_to_json(&attempt->plan.plan, &json, err) < 0)
        return -1;
    crash_point("plan.before", op_names[attempt->job->op]);
    if (attempt->env->save_plan(attempt->env->context, json, err) < 0)
        return -1;
    crash_point("plan.after", op_names[attempt->job->op]);
    return 0;
}

static const struct verb *find_verb(struct backend *backend, const struct job *job, struct outcome *out)
{
    const struct verb *verb = backend_verb(backend->ops, (enum op)job->op);
    struct err err = {0};

    if (!verb) {
        err_set(&err, ERR_PERMANENT, "%s: this worker's backend %s does not do that", op_names[job->op],
                backend->ops->kind);
        outcome_end(out, STATE_FAILED, &err);
    }
    return verb;
}

void runner_run(const struct runner_env *env, struct backend *backend, const struct job *job, struct outcome *out)
{
    CLEANUP(attempt_clearp) struct attempt attempt = {.env = env, .backend = backend, .job = job};
    struct err err = {0};

    attempt.verb = find_verb(backend, job, out);
    if (!attempt.verb)
        return;
    env->phase(env->context, "plan");
    if (make_plan(&attempt, &err) < 0 || check_plan(&attempt, &err) < 0) {
        attempt_leave_group(&attempt, &err);
        end_refused(&err, out);
        return;
    }
    if (job->dry_run) {
        attempt_render(&attempt, out);
        return;
    }
    if (journal_plan(&attempt, &err) < 0) {
        attempt_leave_group(&attempt, &err);
        end_refused(&err, out);
        return;
    }
    attempt_forward(&attempt, out);
}

void runner_recover(const struct runner_env *env, struct backend *backend, const struct job *job, enum recovery how,
                    struct journaled_plan *journaled, struct outcome *out)
{
    struct attempt attempt = {.env = env, .backend = backend, .job = job, .recovering = true};

    attempt.verb = find_verb(backend, job, out);
    if (!attempt.verb)
        return;
    attempt.plan = *journaled; /* borrowed: given back below with what was learned */
    attempt_recover(&attempt, how, out);
    *journaled = attempt.plan;
    facts_clear(&attempt.known);
    text_free(&attempt.story);
}

/* The step of which it is not known whether it happened; plan.count: none. */
static size_t open_intent(const struct journaled_plan *plan)
{
    size_t at = plan->plan.count;

    for (size_t i = 0; i < plan->plan.count; i++)
        if (plan->steps[i].state == STEP_INTENT && !step_is_payment(&plan->plan, i))
            at = i;
    return at;
}

void runner_give_up(const struct runner_env *env, struct backend *backend, const struct job *job, const char *why,
                    struct journaled_plan *journaled, struct outcome *out)
{
    struct attempt attempt = {.env = env, .backend = backend, .job = job, .plan = *journaled, .recovering = true};
    struct err err = {0}, ignored = {0};

    size_t at = open_intent(&attempt.plan);

    if (at < attempt.plan.plan.count)
        err_set(&err, ERR_UNKNOWN, "%s: step %s: %s", op_names[job->op], attempt.plan.plan.steps[at].type->name, why);
    else
        err_set(&err, ERR_UNKNOWN, "%s: %s", op_names[job->op], why);
    attempt_remember(&attempt, &ignored);
    attempt_park(&attempt, &err, at, NULL, out);
    *journaled = attempt.plan;
    facts_clear(&attempt.known);
}

int runner_pay_owed(const struct runner_env *env, struct backend *backend, const struct job *job,
                    struct journaled_plan *journaled, struct err *err)
{
    struct attempt attempt = {.env = env, .backend = backend, .job = job, .plan = *journaled};
    CLEANUP(freep) char *owed = NULL;
    bool any;
    int failed = attempt_pay(&attempt, true, &any, &owed, err);

    if (failed == 0)
        failed = attempt_pay(&attempt, false, &any, &owed, err);
    *journaled = attempt.plan;
    facts_clear(&attempt.known);
    return failed;
}
