#pragma once
/* The steps of the snapshot verbs; what each does is said at the top of its file. */
#include "worker/backends/libvirt/libvirt.h"

/* How virsh would be told which domain. */
static inline const char *step_target(const struct step_run *run)
{
    return run->job->target.name ? run->job->target.name : run->job->target.id;
}
static inline const char *step_get(const struct step *step, const char *key)
{
    return facts_get_or(&step->args, key, "");
}
static inline int step_open(const struct step_run *run, virDomainPtr *out, struct err *err)
{
    return libvirt_domain(libvirt_of(run->backend), run->job->target.id, out, err);
}

extern const struct step_type step_snapshot, step_redefine; /* create */
extern const struct step_type step_check;                   /* revert, delete */
extern const struct step_type step_overlay, step_stop, step_power_off, step_define, step_tree,
    step_start;                          /* revert by hand */
extern const struct step_type step_keep; /* revert by hand, restore in place; for_ms: KEPT_FOR_EVER, or from its end */
int plan_keep(int64_t for_ms, struct plan *plan, struct err *err);
extern const struct step_type step_discard_saved, step_drop_checkpoints, step_forget_checkpoints, step_note_state,
    step_revert;                                                                  /* revert */
extern const struct step_type step_delete, step_commit, step_forget, step_unlink; /* delete */

#define SNAPSHOT_STEPS                                                                                                 \
    &step_freeze, &step_thaw, &step_snapshot, &step_redefine, &step_check, &step_overlay, &step_stop, &step_power_off, \
        &step_define, &step_tree, &step_start, &step_discard_saved, &step_drop_checkpoints, &step_forget_checkpoints,  \
        &step_keep, &step_note_state, &step_revert, &step_delete, &step_commit, &step_forget, &step_unlink
