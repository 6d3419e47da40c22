#pragma once
/*
 * Taking backups away: delete-mark …, then delete-files …, leaves first, so that at every moment what is left is whole. Marking is a rename: it needs no room, hides the
 * point from every reader, and can be taken back; once the first file is gone there is only forward. A part of backup.delete and target.retire.
 */
#include "worker/backends/libvirt/backup_tools.h"

struct removal {
    struct repository repository;
    struct list points;   /* all of the source, in every state */
    char *source;         /* whose points: a target's id */
    struct strings ids;   /* those that go, leaves first; empty: they are gone already */
    struct strings heirs; /* into which the one that goes is merged first (merge.h) */
    bool really_last;
};

/*
 * Decides from the manifests alone; the guest need not exist. what->point is not needed for scope all of a target. Nothing goes when nobody has such a point. ERR_CONFLICT:
 * others build on them, or it would be the last good one. `out` zeroed; cleared by removal_endp in either case.
 */
int removal_choose(struct backend *backend, const struct job *job, const struct repository_ref *repository,
                   const struct params_backup_delete *what, struct removal *out, struct err *err);
void removal_endp(struct removal *removal);
/* The steps of the first half, which can be taken back, and of the second, which cannot. */
int removal_add_marks(const struct removal *removal, struct plan *plan, struct err *err);
int removal_add_files(const struct removal *removal, struct plan *plan, struct err *err);
/* The tombstones of what was deleted. */
int report_deleted_points(const struct facts *known, struct report *report, struct err *err);
