#pragma once
/*
 * Files that a revert or a restore in place took out of use and keeps for a while, so that it can be undone. They are in nobody's chain then, so this list in the state directory
 * is all that protects them: one small file for each, "kept/<job id>.<what>": until (ms), the path. Written before the file is out of use, without an end; the last step before the start
 * says until when, so nothing is removed of a job that is under way or goes back. Any thread.
 */
#include "worker/backends/libvirt/libvirt.h"

enum { KEPT_FOR_EVER = -1 };

int kept_add(const struct backend_config *config, const char *job_id, const char *what, const char *path,
             struct err *err); /* for ever, until kept_until */
int kept_remove(const struct backend_config *config, const char *job_id, const char *what, struct err *err);
/* The end of one of them, in ms; INT64_MAX: none. ERR_PERMANENT when it is not kept any more. Serialised with kept_tidy, so what is there afterwards stays. */
int kept_set(const struct backend_config *config, const char *job_id, const char *what, int64_t until_ms,
             struct err *err);
/* Of all that this job keeps. for_ms: from now; KEPT_FOR_EVER. *out_until in ms, INT64_MAX: without end. */
int kept_until(const struct backend_config *config, const char *job_id, int64_t for_ms, int64_t *out_until,
               struct err *err);
/* Removes the files whose time is over, each only if no domain, no snapshot and no other image uses it; what is used stays and is looked at again. The entry goes after the file, so that
 * a crash between them loses nothing. Serialised with kept_until. */
int kept_tidy(struct libvirt_backend *backend, struct err *err);
/* The job that keeps `path`, or stands on it with something that it keeps, until later than now; out_job may be NULL. */
bool kept_now(const struct backend_config *config, const char *path, char out_job[UUID_TEXT]);
/* Files whose time is over: nobody needs them for a way back any more. */
int kept_over(const struct backend_config *config, struct strings *out, struct err *err);
int kept_forget(const struct backend_config *config, const char *path, struct err *err); /* its entry */
