/*
 * target.export and target.export_finish. An export that runs holds the lock of its machine, so a job that is to end it would wait for it for ever: it is told to end
 * (api_jobs_finish), and a job of its own is for what no job of ours watches any more.
 */
#include "base/err.h"
#include "base/uuid.h"
#include "coordinator/api/submit.h"

#include <stdio.h>
#include <string.h>

int submission_prepare_export(struct submission *submission)
{
    return submission_complete_id(submission, "job", "parent");
}

/* 1: there is one, and it was refused with its id. -1: the view does not answer. */
static int refuse_running(struct submission *submission)
{
    char text[TARGET_TEXT], hint[128];
    struct view_filter filter = {.target = target_format(&submission->job.target, text),
                                 .op = op_names[OP_TARGET_EXPORT],
                                 .state = "RUNNING",
                                 .limit = 1};
    const char *name = submission->job.target.name;
    struct err err = {0};
    json_t *page = NULL;

    if (view_jobs(submission->request->reader, &filter, &page, &err) < 0)
        return api_problem_err(submission->response, name, &err), -1;
    const char *id = json_text(json_array_get(json_object_get(page, "items"), 0), "job_id");
    if (id) {
        snprintf(hint, sizeof hint, "Tell it: fleetsnap target export-finish %.8s, POST /v1/jobs/%.8s/finish", id, id);
        api_problem(submission->response, 409, "conflict", name, hint,
                    "job %.8s exports %s, and ends when it is told to", id, name);
    }
    json_decref(page);
    return id ? 1 : 0;
}

int submission_prepare_export_finish(struct submission *submission)
{
    const char *how = json_text(submission->params, "how");

    if (submission_complete_id(submission, "job", "job") < 0)
        return -1;
    return how && strcmp(how, "check") != 0 && refuse_running(submission) ? -1 : 0;
}
