/*
 * note_state and revert: libvirt's own revert, and before it, journaled, what tells a restarted worker whether it was done (revert_evidence.h).
 * args: note_state: name. revert: name, flags, id (of the domain when the plan was made; -1: off: a guest that was started since makes another plan)
 */
#include "worker/backends/libvirt/revert_evidence.h"
#include "worker/backends/libvirt/snapshots.h"
#include "worker/backends/libvirt/steps/steps.h"

#include "base/clock.h"

#include <string.h>

static int render_revert(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                         struct err *err)
{
    int64_t flags = facts_get_int(&step->args, "flags", 0);

    (void)err;
    text_addf(command, "virsh snapshot-revert '%s' '%s'%s%s%s%s", step_target(run), step_get(step, "name"),
              flags & VIR_DOMAIN_SNAPSHOT_REVERT_RUNNING ? " --running" : "",
              flags & VIR_DOMAIN_SNAPSHOT_REVERT_PAUSED ? " --paused" : "",
              flags & VIR_DOMAIN_SNAPSHOT_REVERT_FORCE ? " --force" : "",
              flags & VIR_DOMAIN_SNAPSHOT_REVERT_RESET_NVRAM ? " --reset-nvram" : "");
    text_add(lost, "everything since the snapshot: disks, memory, configuration");
    return 0;
}

static int execute_revert(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    CLEANUP(snapshot_freep) virDomainSnapshotPtr snapshot = NULL;
    int64_t began = clock_monotonic_ms();

    if (step_open(run, &domain, err) < 0 || snapshot_lookup(domain, step_get(step, "name"), &snapshot, err) < 0)
        return -1;
    if (!snapshot)
        return err_set(err, ERR_PERMANENT, "snapshot %s/%s: gone", virDomainGetName(domain), step_get(step, "name"));
    if (virDomainRevertToSnapshot(snapshot, (unsigned)facts_get_int(&step->args, "flags", 0)) < 0)
        return libvirt_call_err(libvirt_of(run->backend), err, "revert %s to %s", virDomainGetName(domain),
                                step_get(step, "name"));
    return facts_set_int(learned, "down_ms", clock_monotonic_ms() - began, err);
}

static int settle_revert(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                         struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    struct revert_evidence before, now;

    (void)learned;
    if (step_open(run, &domain, err) < 0 || revert_evidence_read(domain, step_get(step, "name"), &now, err) < 0)
        return -1;
    if (libvirt_busy(domain))
        *out = SETTLED_BUSY;
    else
        *out = revert_evidence_recall(run->known, &before) ? revert_settled(&before, &now) : SETTLED_UNKNOWN;
    return 0;
}

static int render_note(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                       struct err *err)
{
    (void)step;
    (void)lost;
    (void)err;
    text_addf(command, "virsh domstate --reason '%s'; virsh snapshot-current --name '%s'", step_target(run),
              step_target(run));
    return 0;
}

static int execute_note(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    struct revert_evidence evidence;

    if (step_open(run, &domain, err) < 0 || revert_evidence_read(domain, step_get(step, "name"), &evidence, err) < 0)
        return -1;
    return revert_evidence_learn(&evidence, learned, err);
}

const struct step_type step_note_state = {
    .name = "note_state",
    .class = STEP_ADDS,
    .render = render_note,
    .execute = execute_note,
    .settle = settle_by_repeating, /* its successor has not begun: look again */
};

const struct step_type step_revert = {
    .name = "revert",
    .class = STEP_DESTROYS,
    .final = true,
    .blocks = true,
    .render = render_revert,
    .execute = execute_revert,
    .settle = settle_revert,
};
