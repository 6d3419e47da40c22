#pragma once
/* The verbs of snapshots and of the target as a whole, and job.undo: what backend.c lists. */
#include "worker/backends/libvirt/libvirt.h"

int plan_snapshot_create(struct backend *backend, const struct job *job, struct plan *plan, struct err *err);
int report_snapshot_create(struct backend *backend, const struct job *job, const struct facts *known,
                           struct report *report, struct err *err);
int plan_snapshot_list(struct backend *backend, const struct job *job, struct plan *plan, struct err *err);
int report_snapshot_list(struct backend *backend, const struct job *job, const struct facts *known,
                         struct report *report, struct err *err);
int plan_snapshot_show(struct backend *backend, const struct job *job, struct plan *plan, struct err *err);
int report_snapshot_show(struct backend *backend, const struct job *job, const struct facts *known,
                         struct report *report, struct err *err);
int plan_snapshot_revert(struct backend *backend, const struct job *job, struct plan *plan, struct err *err);
int report_snapshot_revert(struct backend *backend, const struct job *job, const struct facts *known,
                           struct report *report, struct err *err);
int plan_snapshot_delete(struct backend *backend, const struct job *job, struct plan *plan, struct err *err);
int report_snapshot_delete(struct backend *backend, const struct job *job, const struct facts *known,
                           struct report *report, struct err *err);
int plan_target_retire(struct backend *backend, const struct job *job, struct plan *plan, struct err *err);
int report_target_retire(struct backend *backend, const struct job *job, const struct facts *known,
                         struct report *report, struct err *err);

/*
 * Parts of snapshot.delete that target.retire has, too. The steps that delete these snapshots, which are given children first; one made by others only if `foreign`
 * (ERR_PERMANENT). The caller checks the job, and sets whose pins count.
 */
int plan_delete_snapshots(struct libvirt_backend *backend, virDomainPtr domain, const struct strings *names,
                          bool foreign, struct plan *plan, struct err *err);
/* The tombstones of what was deleted, and "points_deleted". */
int report_deleted_snapshots(const struct facts *known, struct report *report, struct err *err);
int plan_job_undo(struct backend *backend, const struct job *job, struct plan *plan, struct err *err);
int report_job_undo(struct backend *backend, const struct job *job, const struct facts *known, struct report *report,
                    struct err *err);
