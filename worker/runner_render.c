/* A dry run: every step of the plan that would be executed, in the native tool's words, and what is lost by it. Nothing is done. */
#include "worker/attempt.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"

#include <string.h>

static int render_step(struct attempt *attempt, const struct step *step, struct job_result *result, struct err *err)
{
    CLEANUP(text_freep) struct text command = {0};
    CLEANUP(text_freep) struct text lost = {0};
    struct step_run run = attempt_run_quiet(attempt);
    struct plan_step *row;

    if (step->type->render(&run, step, &command, &lost, err) < 0)
        return err_wrap(err, "%s", step->type->name);
    row = list_add(&result->steps, &plan_step_record, err);
    if (!row)
        return -1;
    row->class = (int)step->class;
    if (string_set(&row->name, step->type->name, err) < 0 || string_set(&row->command, text_str(&command), err) < 0)
        return -1;
    return lost.len ? string_set(&row->lost, text_str(&lost), err) : 0;
}

static int render_plan(struct attempt *attempt, struct job_result *result, struct err *err)
{
    const struct plan *plan = &attempt->plan.plan;
    char digest[65];

    for (size_t i = 0; i < plan->count; i++)
        if (render_step(attempt, &plan->steps[i], result, err) < 0)
            return -1;
    for (size_t i = 0; i < plan->lost.count; i++)
        if (strings_add(&result->lost, plan->lost.items[i], err) < 0)
            return -1;
    plan_digest(plan, attempt->job->job_id, digest);
    return string_set(&result->plan_digest, digest, err) < 0 ? -1 : facts_merge(&result->facts, &plan->facts, err);
}

void attempt_render(struct attempt *attempt, struct outcome *out)
{
    struct job_result *result = outcome_result(out);
    struct err err = {0};

    if (!result)
        err_memory(&err, "dry run");
    else
        render_plan(attempt, result, &err);
    outcome_end(out, err.kind == ERR_NONE ? STATE_SUCCEEDED : STATE_FAILED, &err);
}
