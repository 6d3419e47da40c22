#include "base/err.h"
#include "base/parse.h"
#include "base/uuid.h"
#include "coordinator/api/internal.h"
#include "model/job_state.h"
#include "model/target.h"

#include <stdio.h>
#include <string.h>

/* Words that no job can have are a mistake, not an empty list. */
static bool check_words(struct api_response *response, struct view_filter *filter)
{
    const char *states[STATE_COUNT + 2] = {"LOST"};

    for (size_t i = 0; job_state_names[i] && i < STATE_COUNT; i++)
        states[i + 1] = job_state_names[i];
    if (filter->state && !(filter->state = api_word(response, "state", filter->state, states)))
        return false;
    return !filter->op || (filter->op = api_word(response, "op", filter->op, op_names + 1));
}

int api_jobs_list(struct api_request *request, struct api_response *response)
{
    static const char *const allowed[] = {"target", "host", "state", "op", "open", "since", "limit", "after", NULL};
    char target[TARGET_TEXT];
    struct view_filter filter;
    struct err err = {0};
    json_t *page = NULL;

    if (!api_filter(request, response, allowed, &filter) || !check_words(response, &filter) ||
        !api_filter_target(request, response, target, &filter))
        return 0;
    int failed = view_jobs(request->reader, &filter, &page, &err);
    if (failed == 0 && (failed = api_scope_filter(request, page, "target", &err)) < 0)
        json_decref(page);
    return api_view(response, "jobs", failed, page, &err);
}

/* A job that the ledger has and the view has not seen yet. NULL: there is none (or err). */
static json_t *from_ledger(struct api_request *request, const char *id, struct err *err)
{
    CLEANUP(ledger_entry_freep) struct ledger_entry *entry = NULL;

    if (coordinator_get(request->context->coordinator, LEDGER_JOB, id, &entry, err) < 0 || !entry || !entry->job ||
        !entry->job->job)
        return NULL;
    const struct job *job = entry->job->job;
    json_t *json = record_json(&job_record, job, err);
    if (!json)
        return NULL;
    json_object_set_new(json, "class", json_string(class_names[job_class(job)]));
    json_object_set_new(json, "state", json_string(job_state_names[STATE_PLANNED]));
    json_object_set_new(json, "events", json_array());
    return json;
}

static bool in_scope(struct api_request *request, struct api_response *response, const json_t *job)
{
    const json_t *target = json_object_get(job, "target");
    char text[TARGET_TEXT];
    struct err err = {0};

    if (!request->caller.selector)
        return true;
    snprintf(text, sizeof text, "%s:%s", json_text(target, "kind"), json_text(target, "id"));
    int allowed = api_scope_allows(request, text, &err);
    if (allowed > 0)
        return true;
    if (allowed < 0)
        api_problem_err(response, "job", &err);
    else
        api_problem(response, 403, "forbidden", request->caller.token, NULL,
                    "the token %s is for \"%s\" only, which does not include the target of this job",
                    request->caller.token, request->caller.selector);
    return false;
}

json_t *api_job(struct api_request *request, struct api_response *response, const char *prefix)
{
    char id[UUID_TEXT];
    struct err err = {0};
    json_t *job = NULL;

    if (uuid_valid(prefix))
        snprintf(id, sizeof id, "%s", prefix);
    else if (api_resolve_id(request, response, "job", prefix, id) < 0)
        return NULL;
    if (view_job(request->reader, id, &job, &err) == 0 && !job)
        job = from_ledger(request, id, &err);
    if (err.kind != ERR_NONE)
        return api_problem_err(response, prefix, &err), NULL;
    if (!job)
        return api_problem(response, 404, "not_found", prefix, "All of them: fleetsnap jobs", "no job %s", prefix), NULL;
    if (in_scope(request, response, job))
        return job;
    json_decref(job);
    return NULL;
}

bool api_rate_told(struct api_context *context, const json_t *job, struct coordinator_rate *out)
{
    const char *op = json_text(job, "op"), *id = json_text(job, "job_id"), *state = json_text(job, "state");

    if (!op || strcmp(op, op_names[OP_BACKUP_CREATE]) != 0 || !state ||
        strcmp(state, job_state_names[STATE_RUNNING]) != 0)
        return false;
    return coordinator_rate(context->coordinator, id, out);
}

json_t *api_bandwidth(const struct coordinator_bandwidth *bandwidth, const char *repository)
{
    return json_pack("{s:s*, s:I, s:I, s:I}", "repository", repository, "limit", (json_int_t)bandwidth->limit,
                     "running", (json_int_t)bandwidth->running, "each", (json_int_t)bandwidth->each);
}

int api_jobs_show(struct api_request *request, struct api_response *response)
{
    json_t *job = api_job(request, response, request->arguments[0]);
    struct coordinator_rate rate;

    if (job && api_rate_told(request->context, job, &rate)) {
        json_object_set_new(job, "rate_limit", json_integer(rate.rate_limit));
        if (rate.shared)
            json_object_set_new(job, "rate_share", api_bandwidth(&rate.of, rate.repository));
    }
    return job ? api_answer(response, 200, job) : 0;
}

/* Where a stream begins: behind the last event that the client has seen. */
static bool cursor(struct api_request *request, struct api_response *response, int64_t fallback, int64_t *out)
{
    const char *text = request->last_event_id ? request->last_event_id : facts_get(&request->query, "after");
    struct err err = {0};

    *out = fallback;
    if (!text || parse_int(text, 0, INT64_MAX, out, &err) == 0)
        return true;
    api_problem(response, 400, "usage", "Last-Event-ID", NULL, "Last-Event-ID: %s", err.text);
    return false;
}

int api_jobs_events(struct api_request *request, struct api_response *response)
{
    json_t *job = api_job(request, response, request->arguments[0]);
    struct err err = {0};
    int64_t after;

    if (job && cursor(request, response, 0, &after) &&
        streams_open(request->context->streams, request->caller.token, json_text(job, "job_id"), after,
                     &response->stream, &err) < 0)
        api_problem_err(response, "events", &err);
    json_decref(job);
    return 0;
}

int api_events(struct api_request *request, struct api_response *response)
{
    struct err err = {0};
    int64_t after;

    if (!api_scope_is_all(request, response) || !cursor(request, response, -1, &after))
        return 0;
    if (streams_open(request->context->streams, request->caller.token, NULL, after, &response->stream, &err) < 0)
        api_problem_err(response, "events", &err);
    return 0;
}

static bool class_allowed(struct api_request *request, struct api_response *response, const json_t *job)
{
    const char *class = json_text(job, "class");
    int index = class ? name_index(class_names, class) : CLASS_C;

    if (api_class_allowed(request->caller.classes, index < 0 ? CLASS_C : (enum job_class)index))
        return true;
    api_problem(response, 403, "forbidden", request->caller.token, "Ask an admin for a token with that class",
                "the token %s does not allow class %s", request->caller.token, class ? class : "C");
    return false;
}

static bool is_terminal(const json_t *job)
{
    const char *state = json_text(job, "state");
    int index = state ? name_index(job_state_names, state) : -1;

    return index >= 0 && job_state_terminal((enum job_state)index);
}

static json_t *job_answer(const json_t *job)
{
    return json_pack("{s:s?, s:O?}", "job_id", json_text(job, "job_id"), "target", json_object_get(job, "target"));
}

int api_jobs_cancel(struct api_request *request, struct api_response *response)
{
    static const char *const members[] = {"reason", NULL};
    struct err err = {0};

    if (!api_members(request, response, members))
        return 0;
    json_t *job = api_job(request, response, request->arguments[0]);
    if (!job)
        return 0;
    const char *id = json_text(job, "job_id");
    if (!class_allowed(request, response, job))
        ;
    else if (is_terminal(job))
        api_problem(response, 409, "conflict", id, NULL, "job %.8s has already ended: %s", id, json_text(job, "state"));
    else if (coordinator_cancel(request->context->coordinator, &request->caller, id, api_text(request, "reason"),
                                &err) < 0)
        api_problem_err(response, id, &err);
    else
        api_answer(response, 202, job_answer(job));
    json_decref(job);
    return 0;
}

/* False: the response says what is wrong with it. */
static bool take_rate(struct api_request *request, struct api_response *response, int64_t *out)
{
    const json_t *value = json_object_get(request->json, "rate_limit");

    *out = json_integer_value(value);
    if (json_is_integer(value) && *out >= 0)
        return true;
    api_problem(response, 400, "usage", "rate_limit", NULL,
                "rate_limit: must be a whole number of bytes per second; 0: no limit");
    return false;
}

int api_jobs_rate(struct api_request *request, struct api_response *response)
{
    static const char *const members[] = {"rate_limit", "reason", NULL};
    struct err err = {0};
    int64_t rate;

    if (!api_members(request, response, members) || !take_rate(request, response, &rate))
        return 0;
    json_t *job = api_job(request, response, request->arguments[0]);
    if (!job)
        return 0;
    const char *id = json_text(job, "job_id"), *phase = json_text(job, "phase");
    if (!class_allowed(request, response, job))
        ;
    else if (phase && strcmp(phase, "convert") == 0)
        api_problem(response, 409, "conflict", id, NULL,
                    "job %.8s reads a guest that is off with qemu-img, which keeps the rate that it began with", id);
    else if (coordinator_set_rate(request->context->coordinator, &request->caller, id, rate,
                                  api_text(request, "reason"), &err) < 0)
        api_problem_err(response, id, &err);
    else
        api_answer(response, 202,
                   json_pack("{s:s?, s:O?, s:I}", "job_id", id, "target", json_object_get(job, "target"), "rate_limit",
                             (json_int_t)rate));
    json_decref(job);
    return 0;
}

/* NULL: the response says what it must be. */
static const char *take_how(struct api_request *request, struct api_response *response)
{
    const char *how = api_text(request, "how");

    if (how && (strcmp(how, "done") == 0 || strcmp(how, "cancel") == 0))
        return how;
    api_problem(response, 400, "usage", "how", "To look at it: GET /v1/jobs/{job}", "how: must be done or cancel");
    return NULL;
}

/* cancel is the cancel of every job, which takes back all that it did; done is a word of its own, because what it kept for the next one stays. */
static int tell_finish(struct api_request *request, const char *id, const char *how, struct err *err)
{
    struct coordinator *coordinator = request->context->coordinator;
    const char *reason = api_text(request, "reason");

    if (strcmp(how, "cancel") == 0)
        return coordinator_cancel(coordinator, &request->caller, id, reason, err);
    return coordinator_finish(coordinator, &request->caller, id, reason, err);
}

int api_jobs_finish(struct api_request *request, struct api_response *response)
{
    static const char *const members[] = {"how", "reason", NULL};
    struct err err = {0};

    const char *how = api_members(request, response, members) ? take_how(request, response) : NULL;
    json_t *job = how ? api_job(request, response, request->arguments[0]) : NULL;
    if (!job)
        return 0;
    const char *id = json_text(job, "job_id"), *op = json_text(job, "op");
    if (!class_allowed(request, response, job))
        ;
    else if (!op || strcmp(op, op_names[OP_TARGET_EXPORT]) != 0)
        api_problem(response, 409, "conflict", id, NULL, "job %.8s is no export but %s", id, op ? op : "unknown");
    else if (is_terminal(job))
        api_problem(response, 409, "conflict", id, NULL, "job %.8s has already ended: %s", id, json_text(job, "state"));
    else if (tell_finish(request, id, how, &err) < 0)
        api_problem_err(response, id, &err);
    else
        api_answer(response, 202, job_answer(job));
    json_decref(job);
    return 0;
}

int api_jobs_retry(struct api_request *request, struct api_response *response)
{
    static const char *const members[] = {NULL};
    char id[UUID_TEXT];
    struct err err = {0};

    if (!api_members(request, response, members))
        return 0;
    json_t *job = api_job(request, response, request->arguments[0]);
    if (!job)
        return 0;
    const char *old = json_text(job, "job_id");
    if (!class_allowed(request, response, job))
        ;
    else if (coordinator_retry(request->context->coordinator, &request->caller, old, id, &err) < 0)
        api_problem_err(response, old, &err);
    else
        api_answer(response, 202,
                   json_pack("{s:s, s:s, s:O?, s:O?, s:O?, s:O?}", "job_id", id, "replaces", old, "op",
                             json_object_get(job, "op"), "class", json_object_get(job, "class"), "target",
                             json_object_get(job, "target"), "host", json_object_get(job, "host")));
    json_decref(job);
    return 0;
}

/* "done" or "failed" → 1, 0; -1: the response says what is missing. */
static int resolution(struct api_request *request, struct api_response *response)
{
    const char *as = api_text(request, "as"), *reason = api_text(request, "reason");

    if (!as || (strcmp(as, "done") != 0 && strcmp(as, "failed") != 0))
        return api_problem(response, 400, "usage", "as", NULL, "as: must be done or failed"), -1;
    if (!reason || !*reason)
        return api_problem(response, 400, "usage", "reason", NULL, "reason: is missing: say how you know"), -1;
    return strcmp(as, "done") == 0;
}

int api_jobs_resolve(struct api_request *request, struct api_response *response)
{
    static const char *const members[] = {"as", "reason", NULL};
    struct err err = {0};

    if (!api_members(request, response, members))
        return 0;
    int done = resolution(request, response);
    json_t *job = done < 0 ? NULL : api_job(request, response, request->arguments[0]);
    if (!job)
        return 0;
    const char *id = json_text(job, "job_id"), *state = json_text(job, "state");
    if (!class_allowed(request, response, job))
        ;
    else if (!state || strcmp(state, job_state_names[STATE_PARKED]) != 0)
        api_problem(response, 409, "conflict", id, NULL, "job %.8s is not PARKED but %s", id, state ? state : "unknown");
    else if (coordinator_resolve(request->context->coordinator, &request->caller, id, done, api_text(request, "reason"),
                                 &err) < 0)
        api_problem_err(response, id, &err);
    else
        api_answer(response, 202, job_answer(job));
    json_decref(job);
    return 0;
}
