#pragma once
/* A job on its way from a request's JSON to coordinator_submit. */
#include "coordinator/api/internal.h"

struct submission {
    struct api_request *request;
    struct api_response *response;
    struct job job;
    json_t *params; /* what will be parsed as the op's record; prepared in place */
    char *target;   /* as typed; may be NULL where the params say it */
    char *host;     /* as typed; may be NULL */
};

/* Fills target, host and what the params leave open (prepare.c). -1: the response says why. */
int submission_prepare(struct submission *submission);
int submission_prepare_undo(struct submission *submission); /* of job.undo (prepare_undo.c) */
/* Of target.export and target.export_finish, once the target is known (prepare_export.c). */
int submission_prepare_export(struct submission *submission);
int submission_prepare_export_finish(struct submission *submission);
/* On a backup that exists (prepare_point.c). */
int submission_prepare_point(struct submission *submission);
int submission_prepare_restore(struct submission *submission);
int submission_prepare_copy(struct submission *submission);
/* On a repository, and of target.retire (prepare_repository.c). */
int submission_prepare_repository(struct submission *submission);
int submission_prepare_clean(struct submission *submission);
int submission_prepare_remove(struct submission *submission);
int submission_prepare_retire(struct submission *submission);

/* ---- what these share (prepare.c); -1: the response says why ---- */

int submission_usage(struct submission *submission, const char *subject, const char *text); /* always -1 */
int submission_set_text(struct submission *submission, json_t *object, const char *member, const char *value);
/* params.member: the beginning of an id becomes the whole; absent is fine. what: "point", "job" (of which a restore point has its id). */
int submission_complete_id(struct submission *submission, const char *what, const char *member);
int submission_prepare_target(struct submission *submission); /* the target as typed */
/* params.repository as people give it: a text, or an object with id or name; NULL: not given. */
const char *submission_asked_repository(const struct submission *submission);
int submission_set_repository(struct submission *submission, const struct api_repository *repository);
int submission_fill_repository(struct submission *submission, const char *text, const char *host);

/* job.target and job.host from a resolved target. */
int submission_target(struct submission *submission, const char *kind, const char *id, const char *name,
                      const char *host);
/* Parses the params, checks the class, hands over, answers 202. */
int submission_send(struct submission *submission);
void submission_clear(struct submission *submission);
