#pragma once
/* The steps of the snapshot verbs and of job.undo; what each does is said at the top of its file. */
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

/* What the job will leave behind, by which a later undo sees whether something else has used it since. */
struct undo_after {
    const struct list *snapshots;      /* struct snapshot_info; NULL: none */
    const char *current;               /* NULL: none, or any */
    const struct strings *checkpoints; /* names; NULL: none */
};
extern const struct step_type step_remember; /* before the stop of a revert by hand, a restore in place, an undo */
/* swapped: the disk of before gets another name, and the new one its name. Then one call for each disk. NULL: err. */
struct step *plan_remember(const struct undo_after *after, bool swapped, struct plan *plan, struct err *err);
/* kept: where the disk of before is afterwards; now: where the guest's disk is afterwards; fresh: where that file is until then. */
int remember_disk(struct step *step, const char *disk, const char *kept, const char *now, const char *fresh,
                  struct err *err);
extern const struct step_type step_claim, step_exchange, step_release; /* undo */
extern const struct step_type step_moments;                            /* undo, restore in place */

#define SNAPSHOT_STEPS                                                                                                 \
    &step_freeze, &step_thaw, &step_snapshot, &step_redefine, &step_check, &step_overlay, &step_stop, &step_power_off, \
        &step_define, &step_tree, &step_start, &step_discard_saved, &step_drop_checkpoints, &step_forget_checkpoints,  \
        &step_keep, &step_note_state, &step_revert, &step_delete, &step_commit, &step_forget, &step_unlink,            \
        &step_remember, &step_claim, &step_exchange, &step_moments, &step_release
