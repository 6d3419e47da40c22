/*
 * moments: snapshots and checkpoints belong to the disks, so with the disks that come back libvirt is told again of those that they had: afterwards there are those of the record of
 * the undone job and no others. After a restore in place there are none: those of before are not of the restored disks. Taken back by the record of this job. The guest is off.
 * args: job (the undone one; absent: a restore in place)
 */
#include "worker/backends/libvirt/moments.h"
#include "worker/backends/libvirt/steps/steps.h"
#include "worker/backends/libvirt/undo_record.h"

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    CLEANUP(facts_clearp) struct facts record = {0};
    int checkpoints = 0;

    (void)lost;
    if (!*step_get(step, "job")) {
        text_addf(
            command,
            "virsh checkpoint-delete '%s' NAME --metadata   # each\nvirsh snapshot-delete '%s' NAME --metadata   # each",
            step_target(run), step_target(run));
        return 0;
    }
    if (undo_record_read(run->backend->config, step_get(step, "job"), &record, err) < 0)
        return -1;
    for (size_t i = 0; i < record.count; i++) {
        CLEANUP(freep) char *name = moment_is(&record.items[i], "snapshot") ? moment_name(&record.items[i]) : NULL;

        checkpoints += moment_is(&record.items[i], "checkpoint");
        if (name)
            text_addf(command, "virsh snapshot-create '%s' /dev/stdin --redefine    (%s)\n", step_target(run), name);
    }
    text_addf(command, "# and %d checkpoint%s, as far as libvirt takes %s", checkpoints, checkpoints == 1 ? "" : "s",
              checkpoints == 1 ? "it" : "them");
    return 0;
}

static int set(const struct step_run *run, const char *job_id, int *out_lost, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    CLEANUP(facts_clearp) struct facts record = {0};

    if (step_open(run, &domain, err) < 0 || undo_record_read(run->backend->config, job_id, &record, err) < 0)
        return -1;
    if (record.count == 0)
        return err_set(err, ERR_PERMANENT, "job %s: its record is gone", job_id);
    return moments_set(domain, &record, out_lost, err);
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    int lost;

    if (!*step_get(step, "job"))
        return step_open(run, &domain, err) < 0 ? -1 : moments_forget(domain, err);
    if (set(run, step_get(step, "job"), &lost, err) < 0)
        return -1;
    return facts_set_int(learned, "checkpoints_ended", lost, err);
}

static int undo(const struct step_run *run, const struct step *step, const struct facts *learned, struct err *err)
{
    (void)step;
    (void)learned;
    return set(run, run->job->job_id, NULL, err);
}

const struct step_type step_moments = {
    .name = "moments",
    .class = STEP_DESTROYS,
    .render = render,
    .execute = execute,
    .undo = undo,
    .settle = settle_by_repeating, /* what is as it should be is made so again */
};
