#pragma once
/*
 * Files that a revert took out of use and keeps for a while, so that it can be undone. They are in nobody's chain then, so this list in the state directory is all that protects
 * them: one small file for each, "kept/<job id>.<disk>": until (ms), the path.
 */
#include "worker/backends/libvirt/libvirt.h"

int kept_add(const struct backend_config *config, const char *job_id, const char *disk, const char *path,
             int64_t until_ms, struct err *err);
int kept_remove(const struct backend_config *config, const char *job_id, const char *disk, struct err *err);
/* The job that keeps `path`, or stands on it with something that it keeps, until later than now; out_job may be NULL. */
bool kept_now(const struct backend_config *config, const char *path, char out_job[UUID_TEXT]);
/* Files whose time is over: nobody needs them for a way back any more. */
int kept_over(const struct backend_config *config, struct strings *out, struct err *err);
int kept_forget(const struct backend_config *config, const char *path, struct err *err); /* its entry */
