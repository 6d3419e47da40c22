/*
 * release: what the undone job kept is in use again, so it is no longer listed as kept, and nobody undoes that job a second time.
 * args: job (the undone one), file:<disk>
 */
#include "worker/backends/libvirt/kept.h"
#include "worker/backends/libvirt/steps/steps.h"
#include "worker/backends/libvirt/undo_record.h"

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    (void)run;
    (void)lost;
    (void)err;
    text_addf(command, "# job %s is undone; what it kept is in use again", step_get(step, "job"));
    return 0;
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    const struct backend_config *config = run->backend->config;

    (void)learned;
    for (size_t i = 0; i < step->args.count; i++) {
        const char *disk = undo_disk_of(&step->args.items[i], "file");

        if (disk && kept_remove(config, step_get(step, "job"), disk, err) < 0)
            return -1;
    }
    return undo_record_set(config, step_get(step, "job"), "undone_by", run->job->job_id, err);
}

/* Without end; claim gives them the one that they had. */
static int undo(const struct step_run *run, const struct step *step, const struct facts *learned, struct err *err)
{
    const struct backend_config *config = run->backend->config;

    (void)learned;
    for (size_t i = 0; i < step->args.count; i++) {
        const char *disk = undo_disk_of(&step->args.items[i], "file");

        if (disk && kept_add(config, step_get(step, "job"), disk, step->args.items[i].value, err) < 0)
            return -1;
    }
    return undo_record_set(config, step_get(step, "job"), "undone_by", NULL, err);
}

const struct step_type step_release = {
    .name = "release",
    .class = STEP_ADDS,
    .render = render,
    .execute = execute,
    .undo = undo,
    .settle = settle_by_repeating,
};
