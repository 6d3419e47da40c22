/*
 * keep: the last step of a revert by hand and of a restore in place before the guest starts. What they took out of use is kept from here on for keep_old_for; before this step,
 * and when the job goes back, it is kept without end. From here on the job can be undone (undo_record.h).
 * args: for_ms (-1: without end)
 */
#include "worker/backends/libvirt/kept.h"
#include "worker/backends/libvirt/steps/steps.h"
#include "worker/backends/libvirt/undo_record.h"

#include "base/parse.h"

#include <stdio.h>

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    int64_t for_ms = facts_get_int(&step->args, "for_ms", KEPT_FOR_EVER);
    char text[32];

    (void)run;
    (void)lost;
    (void)err;
    if (for_ms == KEPT_FOR_EVER)
        text_add(command, "# what was taken out of use is kept");
    else
        text_addf(command, "# what was taken out of use is kept for %s, then removed",
                  format_duration(for_ms, text, sizeof text));
    return 0;
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    int64_t for_ms = facts_get_int(&step->args, "for_ms", KEPT_FOR_EVER), until;
    char text[24];

    if (kept_until(run->backend->config, run->job->job_id, for_ms, &until, err) < 0)
        return -1;
    snprintf(text, sizeof text, "%lld", (long long)until);
    if (undo_record_set(run->backend->config, run->job->job_id, "until", text, err) < 0)
        return -1;
    return facts_set(learned, "kept_until", text, err);
}

static int undo(const struct step_run *run, const struct step *step, const struct facts *learned, struct err *err)
{
    int64_t until;

    (void)step;
    (void)learned;
    if (undo_record_set(run->backend->config, run->job->job_id, "until", NULL, err) < 0)
        return -1;
    return kept_until(run->backend->config, run->job->job_id, KEPT_FOR_EVER, &until, err);
}

static bool remembered(const struct plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        if (plan->steps[i].type == &step_remember)
            return true;
    return false;
}

/* People are told how long they have. */
int plan_keep(int64_t for_ms, struct plan *plan, struct err *err)
{
    char text[24];

    snprintf(text, sizeof text, "%lld", (long long)for_ms);
    if (for_ms != 0 && remembered(plan) && facts_set(&plan->facts, "undo_for_ms", text, err) < 0)
        return -1;
    return plan_add(plan, &step_keep, err, "for_ms", text, NULL) ? 0 : -1;
}

const struct step_type step_keep = {
    .name = "keep",
    .class = STEP_ADDS,
    .render = render,
    .execute = execute,
    .undo = undo,
    .settle = settle_by_repeating, /* once more only makes it longer */
};
