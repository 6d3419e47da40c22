/*
 * job.undo: which machine it is about and which host keeps what comes back, by the job that is to be undone. What that job was and how it ended is known here; whether what it took out of use
 * is still there, and nothing has used it since, the host decides.
 */
#include "base/err.h"
#include "coordinator/api/submit.h"
#include "model/target.h"

#include <stdio.h>
#include <string.h>

static int refuse(struct submission *submission, const json_t *job, const char *hint, const char *why)
{
    const char *id = json_text(job, "job_id"), *op = json_text(job, "op");

    api_problem(submission->response, 422, "permanent", id, hint, "job %.8s (%s) cannot be undone: %s", id ? id : "?",
                op ? op : "?", why);
    return -1;
}

static bool took_disks(const json_t *job)
{
    json_t *facts = json_object_get(json_object_get(job, "result"), "facts");
    const char *key;
    json_t *value;

    json_object_foreach(facts, key, value) if (strncmp(key, "kept.", 5) == 0) return true;
    return false;
}

static int check_job(struct submission *submission, const json_t *job)
{
    const char *op = json_text(job, "op"), *state = json_text(job, "state");
    enum op known = op ? op_from_name(op) : OP_NONE;
    bool in_place = json_is_true(json_object_get(json_object_get(job, "params"), "in_place"));
    char why[160];

    if (known != OP_SNAPSHOT_REVERT && known != OP_BACKUP_RESTORE && known != OP_JOB_UNDO)
        return refuse(submission, job, NULL, "only a revert, a restore in place and an undo can be");
    if (json_is_true(json_object_get(job, "dry_run")))
        return refuse(submission, job, NULL, "it was a dry run, and changed nothing");
    if (known == OP_BACKUP_RESTORE && !in_place)
        return refuse(submission, job, NULL, "it made a new machine, and took nothing out of use");
    if (!state || strcmp(state, "SUCCEEDED") != 0) {
        snprintf(why, sizeof why, "it has not succeeded: it is %s", state ? state : "not known");
        return refuse(submission, job, "What became of it: fleetsnap job show", why);
    }
    if (!took_disks(job))
        return refuse(submission, job, "Revert to another snapshot: fleetsnap snapshot list",
                      "it kept nothing: libvirt reverted by itself");
    return 0;
}

static int place(struct submission *submission, const json_t *job)
{
    const json_t *of = json_object_get(job, "target");
    const char *host = json_text(job, "host");
    struct api_target target = {0};
    char text[TARGET_TEXT];

    snprintf(text, sizeof text, "%s:%s", json_text(of, "kind"), json_text(of, "id"));
    if (api_resolve_target(submission->request, submission->response, text, &target) < 0)
        return -1;
    int result = -1;
    if (submission->host && host && strcmp(submission->host, host) != 0)
        api_problem(submission->response, 409, "conflict", submission->host, NULL, "job %.8s ran on host %s, not on %s",
                    json_text(job, "job_id"), host, submission->host);
    else if (!host || !target.host || strcmp(host, target.host) != 0)
        api_problem(submission->response, 409, "conflict", target.name, "Bring it back there first",
                    "%s is on host %s now; what job %.8s took out of use is kept on %s",
                    target.name ? target.name : text, target.host ? target.host : "none", json_text(job, "job_id"),
                    host ? host : "none");
    else
        result = submission_target(submission, target.kind, target.id, target.name, target.host);
    api_target_clear(&target);
    return result;
}

int submission_prepare_undo(struct submission *submission)
{
    const char *asked = json_text(submission->params, "job");
    json_t *job;

    if (submission->target)
        return api_problem(submission->response, 400, "usage", "target", NULL,
                           "target: follows from the job that is to be undone"),
               -1;
    if (!asked)
        return api_problem(submission->response, 400, "usage", "params.job", NULL, "params.job: is missing"), -1;
    job = api_job(submission->request, submission->response, asked);
    if (!job)
        return -1;
    int result = check_job(submission, job) < 0 ? -1 : place(submission, job);
    if (result == 0 && json_object_set_new(submission->params, "job", json_string(json_text(job, "job_id"))) < 0)
        result = (api_problem(submission->response, 503, "retry", "job", NULL, "out of memory"), -1);
    json_decref(job);
    return result;
}
