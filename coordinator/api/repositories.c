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

/* ---- what each chain would free ---- */

static json_t *chain_of(json_t *chains, const json_t *point)
{
    const char *id = json_text(point, "chain") ? json_text(point, "chain") : json_text(point, "id");
    json_t *chain = json_object_get(chains, id);

    if (chain)
        return chain;
    chain = json_pack("{s:s, s:O, s:i, s:i, s:s?}", "chain", id, "target", json_object_get(point, "target"), "points",
                      0, "size_bytes", 0, "newest", json_text(point, "created_at"));
    json_object_set_new(chains, id, chain);
    return json_object_get(chains, id);
}

/* Points come newest first. */
static void add_to_chain(json_t *chains, const json_t *point)
{
    json_t *chain = chain_of(chains, point);

    json_object_set_new(chain, "points", json_integer(json_int(chain, "points") + 1));
    json_object_set_new(chain, "size_bytes",
                        json_integer(json_int(chain, "size_bytes") + json_int(point, "size_bytes")));
    if (json_text(point, "created_at"))
        json_object_set(chain, "oldest", json_object_get(point, "created_at"));
}

static int collect_chains(struct api_request *request, const char *repository, json_t *chains, struct err *err)
{
    struct view_filter filter = {.repository = repository, .kind = "backup", .limit = 1000};
    char after[256] = "";
    json_t *page = NULL, *point;
    size_t index;

    do {
        if (view_points(request->reader, &filter, &page, err) < 0)
            return -1;
        if (api_scope_filter(request, page, "target", err) < 0)
            return json_decref(page), -1;
        json_array_foreach(json_object_get(page, "items"), index, point) add_to_chain(chains, point);
        const char *next = json_text(page, "next");
        snprintf(after, sizeof after, "%s", next ? next : "");
        filter.after = after;
        json_decref(page);
    } while (*after);
    return 0;
}

/* The newest chain of a machine holds its last good backups: deleting it is refused, or asks for --really-last. */
static void mark_last(json_t *chains)
{
    json_t *chain, *newest = json_object();
    const char *id;

    json_object_foreach(chains, id, chain)
    {
        const char *target = json_text(json_object_get(chain, "target"), "id"), *at = json_text(chain, "newest");
        const json_t *other = json_object_get(newest, target);
        if (!other || strcmp(json_text(other, "newest"), at ? at : "") < 0)
            json_object_set(newest, target, chain);
    }
    json_object_foreach(chains, id, chain)
    {
        const char *target = json_text(json_object_get(chain, "target"), "id");
        json_object_set_new(chain, "deletable", json_boolean(json_object_get(newest, target) != chain));
    }
    json_decref(newest);
}

static int add_chains(struct api_request *request, json_t *repository, struct err *err)
{
    json_t *chains = json_object(), *items = json_array(), *chain;
    const char *id;

    if (collect_chains(request, json_text(repository, "id"), chains, err) < 0) {
        json_decref(chains);
        json_decref(items);
        return -1;
    }
    mark_last(chains);
    json_object_foreach(chains, id, chain) json_array_append(items, chain);
    json_decref(chains);
    json_object_set_new(repository, "chains", items);
    return 0;
}

static void add_bandwidth(struct api_request *request, json_t *repository)
{
    struct coordinator_bandwidth bandwidth;

    coordinator_bandwidth(request->context->coordinator, json_text(repository, "id"), json_text(repository, "name"),
                          &bandwidth);
    if (bandwidth.limit)
        json_object_set_new(repository, "bandwidth", api_bandwidth(&bandwidth, NULL));
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
    if (found && !failed) {
        add_bandwidth(request, found);
        failed = add_chains(request, found, &err);
    }
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
