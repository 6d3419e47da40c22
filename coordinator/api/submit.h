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
/* job.target and job.host from a resolved target. */
int submission_target(struct submission *submission, const char *kind, const char *id, const char *name,
                      const char *host);
/* Parses the params, checks the class, hands over, answers 202. */
int submission_send(struct submission *submission);
void submission_clear(struct submission *submission);
