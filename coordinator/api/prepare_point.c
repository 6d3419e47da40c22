/* Jobs on a backup: which restore point is meant, on which host, and what a restore makes of it. */
#include "base/err.h"
#include "base/parse.h"
#include "base/uuid.h"
#include "coordinator/api/submit.h"
#include "model/target.h"

#include <stdio.h>
#include <string.h>

/* params.point, or params.at with a target: "latest" or a time. */
static int find_point(struct submission *submission, json_t **out)
{
    const char *prefix = json_text(submission->params, "point");
    const char *at = json_text(submission->params, "at");
    char text[TARGET_TEXT];
    int64_t at_ms = 0;
    struct err err = {0};

    if (prefix)
        return api_resolve_point(submission->request, submission->response, prefix, out);
    if (!at)
        return submission_usage(submission, "params.point", "is missing; or say at: latest or a time, with a target");
    if (strcmp(at, "latest") != 0 && parse_time(at, &at_ms, &err) < 0)
        return api_usage(submission->response, "params.at", &err), -1;
    if (!submission->target)
        return submission_usage(submission, "target", "is missing");
    if (api_resolve_source(submission->request, submission->response, submission->target, text) < 0)
        return -1;
    return api_resolve_latest(submission->request, submission->response, submission->target, text, at_ms, out);
}

static int require_backup(struct submission *submission, const json_t *point)
{
    const char *kind = json_text(point, "kind");
    const char *id = json_text(point, "id");

    if (kind && strcmp(kind, "backup") == 0)
        return 0;
    api_problem(submission->response, 422, "permanent", id, "Snapshots: fleetsnap snapshot revert TARGET NAME",
                "%.8s is a %s, not a backup", id ? id : "?", kind ? kind : "?");
    return -1;
}

/* Where the source is now, or NULL: it is gone. Caller frees. */
static char *current_host(struct submission *submission, const json_t *target)
{
    char text[TARGET_TEXT];
    struct view_filter filter = {.target = text, .limit = 1};
    json_t *page = NULL;

    snprintf(text, sizeof text, "%s:%s", json_text(target, "kind"), json_text(target, "id"));
    if (view_targets(submission->request->reader, &filter, &page, NULL) < 0)
        return NULL;
    const char *host = json_text(json_array_get(json_object_get(page, "items"), 0), "host");
    char *copy = host ? strdup(host) : NULL;
    json_decref(page);
    return copy;
}

static int resolve_on(struct submission *submission, const char *repository, const char *host,
                      struct api_repository *out)
{
    struct api_response ignored = {0};

    int result = api_resolve_repository(submission->request, &ignored, repository, host, out);
    api_response_clear(&ignored);
    return result;
}

/*
 * Where a job on a backup runs: where it was asked to; else where the machine is now, else where the backup was made, else anywhere that has the repository.
 */
static int place_point_job(struct submission *submission, const json_t *point, const char *now_on,
                           struct api_repository *out)
{
    const char *repository = json_text(point, "repository");
    const char *places[] = {submission->host, now_on, json_text(point, "host")};

    if (submission->host)
        return api_resolve_repository(submission->request, submission->response, repository, submission->host, out);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (places[i] && resolve_on(submission, repository, places[i], out) == 0)
            return 0;
    return api_resolve_repository(submission->request, submission->response, repository, NULL, out);
}

static int point_job(struct submission *submission, const json_t *point)
{
    const json_t *target = json_object_get(point, "target");
    CLEANUP(freep) char *now_on = current_host(submission, target);
    struct api_repository repository = {0};

    if (place_point_job(submission, point, now_on, &repository) < 0)
        return -1;
    int result = submission_set_repository(submission, &repository);
    if (result == 0)
        result = submission_target(submission, json_text(target, "kind"), json_text(target, "id"),
                                   json_text(target, "name"), repository.host);
    api_repository_clear(&repository);
    return result < 0 ? result : submission_set_text(submission, submission->params, "point", json_text(point, "id"));
}

int submission_prepare_point(struct submission *submission)
{
    json_t *point = NULL;

    if (find_point(submission, &point) < 0)
        return -1;
    int result = require_backup(submission, point) < 0 ? -1 : point_job(submission, point);
    json_decref(point);
    json_object_del(submission->params, "at");
    return result;
}

/* The new domain's UUID: the same for a repeated request, else random. */
static void new_uuid(const struct submission *submission, char out[UUID_TEXT])
{
    const struct api_request *request = submission->request;
    const char *parts[] = {"restore", request->caller.token, request->idempotency_key, NULL};

    if (request->idempotency_key)
        uuid_derive(out, parts);
    else
        uuid_random(out);
}

/* A machine of that name that is not the one that this request made before. */
static int name_is_free(struct submission *submission, const char *host, const char *name, const char *id)
{
    char text[512];
    json_t *found = NULL, *similar = NULL;
    struct err err = {0};

    snprintf(text, sizeof text, "%s/%s", host, name);
    if (view_resolve(submission->request->reader, text, &found, &similar, &err) < 0)
        return api_problem_err(submission->response, name, &err), -1;
    const char *existing = json_text(json_array_get(found, 0), "id");
    int result = 0;
    if (existing && strcmp(existing, id) != 0) {
        api_problem(submission->response, 409, "conflict", name, "Choose another name with --as",
                    "host %s already has a machine named %s", host, name);
        result = -1;
    }
    json_decref(found);
    json_decref(similar);
    return result;
}

static int restore_to_new(struct submission *submission, const char *name)
{
    char id[UUID_TEXT];

    if (!name_valid_domain(name))
        return submission_usage(submission, "params.new_name", "is no name for a machine");
    new_uuid(submission, id);
    if (name_is_free(submission, submission->job.host, name, id) < 0)
        return -1;
    CLEANUP(freep) char *host = strdup(submission->job.host);
    return submission_target(submission, "libvirt", id, name, host);
}

static int restore_in_place(struct submission *submission, const json_t *point)
{
    CLEANUP(freep) char *now_on = current_host(submission, json_object_get(point, "target"));
    const char *name = json_text(json_object_get(point, "target"), "name");

    if (now_on && strcmp(now_on, submission->job.host) == 0)
        return 0;
    if (now_on)
        api_problem(submission->response, 409, "conflict", name, NULL,
                    "%s is on host %s, and the repository is not there", name, now_on);
    else
        api_problem(submission->response, 422, "permanent", name, "Restore it to a new machine: --as NAME",
                    "%s does not exist any more, so it cannot be restored in place", name);
    return -1;
}

int submission_prepare_restore(struct submission *submission)
{
    const char *name = json_text(submission->params, "new_name");
    bool in_place = json_is_true(json_object_get(submission->params, "in_place"));
    json_t *point = NULL;

    if (!name == !in_place)
        return submission_usage(submission, "params",
                                "say either new_name (--as NAME: to a new machine) or in_place (--in-place)");
    if (find_point(submission, &point) < 0)
        return -1;
    int result = require_backup(submission, point) < 0 ? -1 : point_job(submission, point);
    if (result == 0)
        result = submission_set_text(submission, submission->params, "source",
                                     json_text(json_object_get(point, "target"), "id"));
    if (result == 0)
        result = name ? restore_to_new(submission, name) : restore_in_place(submission, point);
    json_decref(point);
    json_object_del(submission->params, "at");
    return result;
}

/* Both repositories must be on one host; where the copy goes is said by name. */
int submission_prepare_copy(struct submission *submission)
{
    const json_t *value = json_object_get(submission->params, "to");
    const char *to = json_is_string(value) ? json_string_value(value) : json_text(value, "id");
    struct api_repository repository = {0};
    CLEANUP(freep) char *asked = to ? strdup(to) : NULL;

    if (!asked)
        return submission_usage(submission, "params.to", "is missing: the repository that gets the copy");
    if (submission_prepare_point(submission) < 0 ||
        api_resolve_repository(submission->request, submission->response, asked, submission->job.host, &repository) < 0)
        return -1;
    json_t *object = json_pack("{s:s?, s:s?, s:s?}", "id", repository.id, "name", repository.name, "path",
                               repository.path);
    api_repository_clear(&repository);
    return json_object_set_new(submission->params, "to", object) == 0
               ? 0
               : submission_usage(submission, "to", "out of memory");
}
