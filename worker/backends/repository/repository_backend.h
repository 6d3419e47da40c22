#pragma once
/* What the files of this folder share. A verb is a plan in verbs/, a step a file in steps/; check.h looks at what is in a repository. */
#include "base/cleanup.h"
#include "base/err.h"
#include "model/job.h"
#include "model/status.h"
#include "worker/backend.h"
#include "worker/repository.h"

extern const struct backend_ops repository_backend_ops;
extern const char repository_marker[]; /* the file that makes a directory a repository */

const char *repository_arg(const struct step *step, const char *key); /* never NULL: a plan without it is a bug */
/* The job's repository: inside the worker's configured folders, marker there, id as asked. */
int repository_of_job(struct backend *backend, const struct job *job, struct repository *out, struct err *err);

static inline void repository_endp(struct repository *repository)
{
    repository_clear(repository);
}
static inline void point_endp(struct restore_point *point)
{
    restore_point_clear(point);
}
static inline void strings_endp(struct strings *strings)
{
    strings_clear(strings);
}

/* ---- findings: from steps to the report as facts "finding.NNNNN", at most FINDINGS_KEPT of a job; `found` counts all ---- */

enum { FINDINGS_KEPT = 500 };

void findings_clear(struct list *findings);
/* Adds what a step found behind what the steps before it found (`known`). */
int findings_learn(const struct list *findings, const struct facts *known, struct facts *learned, struct err *err);
int findings_report(struct report *report, struct err *err); /* facts of the result → its findings */

/* ---- verbs ---- */

int plan_repository_init(struct backend *backend, const struct job *job, struct plan *plan, struct err *err);
int plan_repository_check(struct backend *backend, const struct job *job, struct plan *plan, struct err *err);
int report_repository_check(struct backend *backend, const struct job *job, const struct facts *known,
                            struct report *report, struct err *err);
int plan_repository_clean(struct backend *backend, const struct job *job, struct plan *plan, struct err *err);
int report_repository_clean(struct backend *backend, const struct job *job, const struct facts *known,
                            struct report *report, struct err *err);
int plan_repository_import(struct backend *backend, const struct job *job, struct plan *plan, struct err *err);
int report_repository_import(struct backend *backend, const struct job *job, const struct facts *known,
                             struct report *report, struct err *err);
int plan_repository_remove(struct backend *backend, const struct job *job, struct plan *plan, struct err *err);
int report_repository_remove(struct backend *backend, const struct job *job, const struct facts *known,
                             struct report *report, struct err *err);

/* ---- steps ---- */

extern const struct step_type step_repository_init, step_repository_check, step_clean_check, step_clean_lease,
    step_clean_point, step_import_target, step_remove_check, step_remove_target, step_remove_backups, step_remove_marker;
