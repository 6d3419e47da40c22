/* POST /v1/jobs: JSON → struct job → coordinator_submit. Parameters are parsed by the same records that the wire uses, so nothing unknown passes. */
#include "coordinator/api/submit.h"

#include "base/err.h"
#include "base/parse.h"
#include "base/uuid.h"
#include "model/target.h"

#include <stdio.h>
#include <string.h>

int submission_target(struct submission *submission, const char *kind, const char *id, const char *name,
                      const char *host)
{
    struct job *job = &submission->job;
    struct err err = {0};

    if (string_set(&job->target.kind, kind, &err) < 0 || string_set(&job->target.id, id, &err) < 0 ||
        string_set(&job->target.name, name, &err) < 0 || string_set(&job->host, host, &err) < 0)
        return api_problem_err(submission->response, "job", &err), -1;
    return 0;
}

void submission_clear(struct submission *submission)
{
    job_clear(&submission->job);
    json_decref(submission->params);
    free(submission->target);
    free(submission->host);
}

static int parse_params(struct submission *submission)
{
    struct job *job = &submission->job;
    const struct record_type *type = op_info((enum op)job->op)->params;
    CLEANUP(freep) char *text = json_dumps(submission->params, JSON_COMPACT);
    struct err err = {0};

    job->params = calloc(1, type->size);
    if (!text || !job->params)
        return api_problem(submission->response, 503, "retry", NULL, NULL, "out of memory"), -1;
    if (record_from_json(type, job->params, text, strlen(text), &err) == 0)
        return 0;
    err_wrap(&err, "params");
    return api_usage(submission->response, "params", &err), -1;
}

static bool class_allowed(struct submission *submission)
{
    static const char *const means[] = {"reads", "adds", "takes away data or a running state"};
    struct api_request *request = submission->request;
    enum job_class class = job_class(&submission->job);
    char why[256];

    if (api_class_allowed(request->caller.classes, class))
        return true;
    snprintf(why, sizeof why, "the token %s allows class %s, but this %s (class %s)", request->caller.token,
             request->caller.classes ? request->caller.classes : "none", means[class], class_names[class]);
    coordinator_audit(request->context->coordinator, &request->caller, "job.submit",
                      op_info((enum op)submission->job.op)->name, submission->job.reason, why);
    api_problem(submission->response, 403, "forbidden", request->caller.token,
                "A dry run is class A; ask an admin for a token with that class", "%s", why);
    return false;
}

static int answer(struct submission *submission, const char *job_id)
{
    const struct job *job = &submission->job;
    struct api_response *response = submission->response;

    if (asprintf(&response->location, "/v1/jobs/%s", job_id) < 0)
        response->location = NULL;
    return api_answer(response, 202,
                      json_pack("{s:s, s:s, s:s, s:{s:s, s:s, s:s?}, s:s, s:b}", "job_id", job_id, "op",
                                op_info((enum op)job->op)->name, "class", class_names[job_class(job)], "target", "kind",
                                job->target.kind, "id", job->target.id, "name", job->target.name, "host", job->host,
                                "dry_run", job->dry_run));
}

/* A dry run is for a person who waits: on a host that does not answer it would wait for days. */
static bool host_answers(struct submission *submission)
{
    const char *host = submission->job.host;
    struct view_filter filter = {.host = host, .limit = 1};
    json_t *page = NULL;

    if (!submission->job.dry_run || view_hosts(submission->request->reader, &filter, &page, NULL) < 0)
        return true;
    const json_t *item = json_array_get(json_object_get(page, "items"), 0);
    bool silent = item && json_is_false(json_object_get(item, "alive"));
    json_decref(page);
    if (silent)
        api_problem(submission->response, 422, "permanent", host, "What is wrong with it: fleetsnap doctor",
                    "host %s has no heartbeat, so nothing can be planned there", host);
    return !silent;
}

int submission_send(struct submission *submission)
{
    struct api_request *request = submission->request;
    char job_id[UUID_TEXT];
    struct err err = {0};

    if (parse_params(submission) < 0 || !class_allowed(submission) || !host_answers(submission))
        return 0;
    if (string_set(&submission->job.request_id, request->idempotency_key, &err) < 0 ||
        coordinator_submit(request->context->coordinator, &request->caller, &submission->job, request->idempotency_key,
                           job_id, &err) < 0)
        return api_problem_err(submission->response,
                               submission->job.target.name ? submission->job.target.name : submission->job.target.id,
                               &err);
    return answer(submission, job_id);
}

static int bad_member(struct submission *submission, const char *member, const char *what)
{
    api_problem(submission->response, 400, "usage", member, NULL, "%s: %s", member, what);
    return -1;
}

static int take_text(struct submission *submission, const char *member, char **out)
{
    const json_t *value = json_object_get(submission->request->json, member);
    struct err err = {0};

    if (!value || json_is_null(value))
        return 0;
    if (!json_is_string(value) || json_string_length(value) > 4096)
        return bad_member(submission, member, "is not a text of at most 4096 bytes");
    if (string_set(out, json_string_value(value), &err) < 0)
        return api_problem_err(submission->response, member, &err), -1;
    return 0;
}

static int take_int(struct submission *submission, const char *member, int64_t min, int64_t max, int64_t *out)
{
    const json_t *value = json_object_get(submission->request->json, member);
    char what[96];

    if (!value || json_is_null(value))
        return 0;
    snprintf(what, sizeof what, "is not a whole number from %lld to %lld", (long long)min, (long long)max);
    if (!json_is_integer(value) || json_integer_value(value) < min || json_integer_value(value) > max)
        return bad_member(submission, member, what);
    *out = json_integer_value(value);
    return 0;
}

static int take_time(struct submission *submission, const char *member, int64_t *out)
{
    const json_t *value = json_object_get(submission->request->json, member);
    struct err err = {0};

    if (!value || json_is_null(value))
        return 0;
    if (!json_is_string(value))
        return bad_member(submission, member, "is not a time as in RFC 3339");
    if (parse_time(json_string_value(value), out, &err) < 0)
        return bad_member(submission, member, err.text);
    return 0;
}

static int take_flag(struct submission *submission, const char *member, bool *out)
{
    const json_t *value = json_object_get(submission->request->json, member);

    if (value && !json_is_boolean(value))
        return bad_member(submission, member, "is neither true nor false");
    *out = json_is_true(value);
    return 0;
}

static int take_op(struct submission *submission)
{
    const char *name = api_text(submission->request, "op");

    if (!name)
        return bad_member(submission, "op", "is missing");
    submission->job.op = op_from_name(name);
    if (submission->job.op == OP_REPOSITORY_INIT)
        return bad_member(submission, "op", "repository.init is POST /v1/repositories");
    return submission->job.op == OP_NONE ? bad_member(submission, "op", "is not known") : 0;
}

static int take_params(struct submission *submission)
{
    json_t *params = json_object_get(submission->request->json, "params");

    if (params && !json_is_object(params))
        return bad_member(submission, "params", "is not an object");
    submission->params = params ? json_deep_copy(params) : json_object();
    return submission->params ? 0 : bad_member(submission, "params", "out of memory");
}

static int take_members(struct submission *submission)
{
    struct job *job = &submission->job;

    job->priority = 5;
    if (take_op(submission) < 0 || take_params(submission) < 0 ||
        take_text(submission, "target", &submission->target) < 0 ||
        take_text(submission, "host", &submission->host) < 0 || take_flag(submission, "dry_run", &job->dry_run) < 0 ||
        take_text(submission, "reason", &job->reason) < 0 ||
        take_text(submission, "plan_digest", &job->plan_digest) < 0 ||
        take_int(submission, "priority", 0, 9, &job->priority) < 0 ||
        take_int(submission, "max_attempts", 1, 100, &job->max_attempts) < 0)
        return -1;
    return take_time(submission, "deadline", &job->deadline_ms) < 0
               ? -1
               : take_time(submission, "not_before", &job->not_before_ms);
}

int api_jobs_submit(struct api_request *request, struct api_response *response)
{
    static const char *const members[] = {"op",       "target",   "host",       "params",      "dry_run",      "reason",
                                          "priority", "deadline", "not_before", "plan_digest", "max_attempts", NULL};
    CLEANUP(submission_clear) struct submission submission = {.request = request, .response = response};

    record_defaults(&job_record, &submission.job);
    if (!api_members(request, response, members) || take_members(&submission) < 0)
        return 0;
    if (submission_prepare(&submission) < 0)
        return 0;
    return submission_send(&submission);
}
