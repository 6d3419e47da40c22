#include "base/err.h"
#include "base/uuid.h"
#include "coordinator/api/submit.h"
#include "model/target.h"

#include <string.h>

int api_repositories_list(struct api_request *request, struct api_response *response)
{
    static const char *const allowed[] = {"host", "name", "limit", "after", NULL};
    struct view_filter filter;
    struct err err = {0};
    json_t *page = NULL;

    if (!api_filter(request, response, allowed, &filter))
        return 0;
    int failed = view_repositories(request->reader, &filter, &page, &err);
    return api_view(response, "repositories", failed, page, &err);
}

int api_repositories_show(struct api_request *request, struct api_response *response)
{
    struct api_repository repository = {0};
    struct view_filter filter = {.limit = 1000};
    struct err err = {0};
    json_t *page = NULL, *found = NULL, *item;
    size_t index;

    if (api_resolve_repository(request, response, request->arguments[0], NULL, &repository) < 0)
        return 0;
    int failed = view_repositories(request->reader, &filter, &page, &err);
    json_array_foreach(json_object_get(page, "items"), index, item)
    {
        const char *id = json_text(item, "id");
        if (id && repository.id && strcmp(id, repository.id) == 0)
            found = json_incref(item);
    }
    json_decref(page);
    api_repository_clear(&repository);
    return api_view(response, request->arguments[0], failed, found, &err);
}

/* The repository's UUID: the same for a repeated request. */
static void new_id(const struct api_request *request, char out[UUID_TEXT])
{
    const char *parts[] = {"repository", request->caller.token, request->idempotency_key, NULL};

    if (request->idempotency_key)
        uuid_derive(out, parts);
    else
        uuid_random(out);
}

static bool host_exists(struct api_request *request, struct api_response *response, const char *host)
{
    struct view_filter filter = {.host = host, .limit = 1};
    struct err err = {0};
    json_t *page = NULL;

    if (view_hosts(request->reader, &filter, &page, &err) < 0)
        return api_problem_err(response, host, &err), false;
    bool found = json_array_size(json_object_get(page, "items")) > 0;
    json_decref(page);
    if (!found)
        api_problem(response, 404, "not_found", host, "All of them: fleetsnap hosts", "no host \"%s\"", host);
    return found;
}

static bool check(struct api_request *request, struct api_response *response)
{
    const char *name = api_text(request, "name"), *host = api_text(request, "host"), *path = api_text(request, "path");

    if (!name || !name_valid_plain(name))
        api_problem(response, 400, "usage", "name", NULL, "name: %s",
                    name ? "is no name for a repository" : "is missing");
    else if (!host)
        api_problem(response, 400, "usage", "host", NULL, "host: is missing");
    else if (!path || *path != '/')
        api_problem(response, 400, "usage", "path", NULL, "path: %s", path ? "is not absolute" : "is missing");
    else
        return host_exists(request, response, host);
    return false;
}

static json_t *params(const struct api_request *request)
{
    const json_t *percent = json_object_get(request->json, "min_free_percent");
    json_t *json = json_pack("{s:s, s:s}", "name", api_text(request, "name"), "path", api_text(request, "path"));

    if (json && percent)
        json_object_set(json, "min_free_percent", (json_t *)percent);
    return json;
}

int api_repositories_init(struct api_request *request, struct api_response *response)
{
    static const char *const members[] = {"name", "host", "path", "min_free_percent", "dry_run", "reason", NULL};
    CLEANUP(submission_clear) struct submission submission = {.request = request, .response = response};
    char id[UUID_TEXT];
    struct err err = {0};

    if (!api_members(request, response, members) || !api_scope_is_all(request, response) || !check(request, response))
        return 0;
    record_defaults(&job_record, &submission.job);
    submission.job.op = OP_REPOSITORY_INIT;
    submission.job.dry_run = api_flag(request, "dry_run");
    submission.params = params(request);
    if (!submission.params || string_set(&submission.job.reason, api_text(request, "reason"), &err) < 0)
        return api_problem(response, 503, "retry", NULL, NULL, "out of memory");
    new_id(request, id);
    if (submission_target(&submission, "repository", id, api_text(request, "name"), api_text(request, "host")) < 0)
        return 0;
    return submission_send(&submission);
}
