/*
 * revert: libvirt's own. QEMU is always started anew, so afterwards the domain has another number than before: that, and the reason "from snapshot" of its state, tell a restarted
 * worker whether it was done.
 * args: name, flags, id (of the domain before; -1: off)
 */
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

/* A snapshot of a guest that was off, with the wish to run, is a plain boot. */
static bool from_snapshot(int state, int reason, int64_t flags)
{
    if (flags & (VIR_DOMAIN_SNAPSHOT_REVERT_RUNNING | VIR_DOMAIN_SNAPSHOT_REVERT_PAUSED))
        return true;
    return (state == VIR_DOMAIN_RUNNING && reason == VIR_DOMAIN_RUNNING_FROM_SNAPSHOT) ||
           (state == VIR_DOMAIN_PAUSED && reason == VIR_DOMAIN_PAUSED_FROM_SNAPSHOT) ||
           (state == VIR_DOMAIN_SHUTOFF && reason == VIR_DOMAIN_SHUTOFF_FROM_SNAPSHOT);
}

static int settle_revert(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                         struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    CLEANUP(snapshot_freep) virDomainSnapshotPtr snapshot = NULL;
    int64_t id, before = facts_get_int(&step->args, "id", -1);
    int state, reason;

    (void)learned;
    if (step_open(run, &domain, err) < 0 || libvirt_domain_state(domain, &state, &reason, err) < 0 ||
        snapshot_lookup(domain, step_get(step, "name"), &snapshot, err) < 0)
        return -1;
    id = state == VIR_DOMAIN_SHUTOFF ? -1 : (int64_t)virDomainGetID(domain);
    if (libvirt_busy(domain))
        *out = SETTLED_BUSY;
    else if (id ==
             -1) /* off, as it should be or as a half-done revert leaves it: nothing has been written since, so again is the same */
        *out = SETTLED_NOT_DONE;
    else if (id == before)
        *out = SETTLED_NOT_DONE;
    else
        *out = from_snapshot(state, reason, facts_get_int(&step->args, "flags", 0)) && snapshot &&
                       virDomainSnapshotIsCurrent(snapshot, 0) == 1
                   ? SETTLED_DONE
                   : SETTLED_UNKNOWN;
    return 0;
}

const struct step_type step_revert = {
    .name = "revert",
    .class = STEP_DESTROYS,
    .final = true,
    .blocks = true,
    .render = render_revert,
    .execute = execute_revert,
    .settle = settle_revert,
};
