#pragma once
/* The snapshot verbs: what backend.c lists. */
#include "worker/backend.h"

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
