#pragma once
/* Shared by job_check*.c. Each returns 0, or -1 with ERR_PERMANENT "<field>: <why>". */
#include "model/job.h"

int check_wrong(struct err *err, const char *field, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Two things that cannot be asked for together, and why. */
int check_contradiction(struct err *err, const char *a, const char *b, const char *why);
int check_path(const char *field, const char *path, struct err *err); /* NULL is fine; absolute, no "..", printable */
int check_uuid(const char *field, const char *text, struct err *err); /* must be there */
int check_text(const char *field, const char *text, bool lines, struct err *err); /* NULL is fine; printable UTF-8 */
int check_range(const char *field, int64_t value, int64_t min, int64_t max, struct err *err);
int check_disk_names(const char *field, const struct strings *names, struct err *err);
int check_disk_choice(const struct strings *include, const struct strings *exclude, struct err *err);
bool check_disk_name(const char *name);

int check_snapshot_create(const struct params_snapshot_create *params, struct err *err);
int check_snapshot_show(const struct params_snapshot_show *params, struct err *err);
int check_snapshot_revert(const struct params_snapshot_revert *params, struct err *err);
int check_snapshot_delete(const struct params_snapshot_delete *params, struct err *err);
int check_backup_create(const struct params_backup_create *params, struct err *err);
int check_backup_restore(const struct job *job, const struct params_backup_restore *params, struct err *err);
int check_backup_verify(const struct params_backup_verify *params, struct err *err);
int check_backup_delete(const struct params_backup_delete *params, struct err *err);
int check_backup_copy(const struct params_backup_copy *params, struct err *err);
int check_target_export(const struct params_target_export *params, struct err *err);
int check_target_retire(const struct params_target_retire *params, struct err *err);
int check_repository_init(const struct params_repository_init *params, struct err *err);
/* repository.check, import, remove, clean: the target is the repository that the params name. */
int check_repository_job(const struct job *job, struct err *err);
int check_repository_clean(const struct job *job, const struct params_repository_clean *params, struct err *err);
