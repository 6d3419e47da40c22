/*
 * delete: libvirt's own. From its first second it writes into images, so there is no way back; run again it completes what a dead daemon left (snapshotDeleteInProgress).
 * args: name, owner (job id, if ours), base:<disk>, top:<disk> (external: who may stand on base)
 */
#include "worker/backends/libvirt/delete_rules.h"
#include "worker/backends/libvirt/snapshots.h"
#include "worker/backends/libvirt/steps/steps.h"

#include <string.h>

static int render_delete(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                         struct err *err)
{
    (void)err;
    text_addf(command, "virsh snapshot-delete '%s' '%s'", step_target(run), step_get(step, "name"));
    text_addf(lost, "snapshot %s", step_get(step, "name"));
    return 0;
}

static int execute_delete(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    CLEANUP(snapshot_freep) virDomainSnapshotPtr snapshot = NULL;
    int result = 0;

    if (step_open(run, &domain, err) < 0 || snapshot_lookup(domain, step_get(step, "name"), &snapshot, err) < 0)
        return -1;
    if (snapshot && delete_check_users(run, step, err) < 0)
        return -1;
    libvirt_job_begin(run->job->target.id);
    if (snapshot && virDomainSnapshotDelete(snapshot, 0) < 0 && libvirt_code() != VIR_ERR_NO_DOMAIN_SNAPSHOT)
        result = libvirt_call_err(libvirt_of(run->backend), err, "delete %s", step_get(step, "name"));
    libvirt_job_end(run->job->target.id);
    return result < 0 ? -1 : delete_learn(step, learned, err);
}

static int settle_delete(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                         struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    CLEANUP(snapshot_freep) virDomainSnapshotPtr snapshot = NULL;

    if (step_open(run, &domain, err) < 0 || snapshot_lookup(domain, step_get(step, "name"), &snapshot, err) < 0)
        return -1;
    *out = libvirt_busy(domain) ? SETTLED_BUSY : snapshot ? SETTLED_NOT_DONE : SETTLED_DONE;
    return *out == SETTLED_DONE ? delete_learn(step, learned, err) : 0;
}

const struct step_type step_delete = {
    .name = "delete",
    .class = STEP_DESTROYS,
    .final = true,
    .blocks = true,
    .render = render_delete,
    .execute = execute_delete,
    .settle = settle_delete,
};
