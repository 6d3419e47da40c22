#include "base/err.h"
#include "base/uuid.h"
#include "coordinator/api/internal.h"
#include "model/target.h"

#include <stdio.h>
#include <string.h>

/* The query's repository by name becomes its id; an id is taken as it is: also of a repository that no host has any more. */
static bool filter_repository(struct api_request *request, struct api_response *response, char *id,
                              struct view_filter *filter)
{
    struct api_repository repository = {0};

    if (!filter->repository || uuid_valid(filter->repository))
        return true;
    if (api_resolve_repository(request, response, filter->repository, NULL, &repository) < 0)
        return false;
    snprintf(id, UUID_TEXT, "%s", repository.id ? repository.id : "");
    filter->repository = id;
    api_repository_clear(&repository);
    return true;
}

static int add_pins(struct api_request *request, json_t *page, struct err *err)
{
    json_t *point;
    size_t index;

    json_array_foreach(json_object_get(page, "items"), index, point)
    {
        if (api_pin_show(request, point, err) < 0)
            return -1;
    }
    return 0;
}

/* The query's target, also one that is gone. */
static bool filter_source(struct api_request *request, struct api_response *response, char *target,
                          struct view_filter *filter)
{
    const char *text = facts_get(&request->query, "target");

    if (!text)
        return true;
    filter->target = target;
    return api_resolve_source(request, response, text, target) == 0;
}

/* The query's parent by its id or the beginning of it. */
static bool filter_parent(struct api_request *request, struct api_response *response, char *id,
                          struct view_filter *filter)
{
    if (!filter->parent)
        return true;
    if (api_resolve_id(request, response, "point", filter->parent, id) < 0)
        return false;
    filter->parent = id;
    return true;
}

int api_points_list(struct api_request *request, struct api_response *response)
{
    static const char *const allowed[] = {"target", "repository", "kind",   "host", "since",  "limit", "after",
                                          "full",   "verified",   "latest", "gone", "parent", "group", NULL};
    char target[TARGET_TEXT], repository[UUID_TEXT], parent[UUID_TEXT];
    struct view_filter filter;
    struct err err = {0};
    json_t *page = NULL;

    if (!api_filter(request, response, allowed, &filter) || !filter_source(request, response, target, &filter) ||
        !filter_repository(request, response, repository, &filter) || !filter_parent(request, response, parent, &filter))
        return 0;
    int failed = view_points(request->reader, &filter, &page, &err);
    if (failed == 0 && (failed = api_scope_filter(request, page, "target", &err)) < 0)
        json_decref(page);
    else if (failed == 0 && (failed = add_pins(request, page, &err)) < 0)
        json_decref(page);
    return api_view(response, "restore points", failed, page, &err);
}

static bool same_chain(const json_t *a, const json_t *b)
{
    const char *one = json_text(a, "chain"), *other = json_text(b, "chain");

    return one && other && strcmp(one, other) == 0;
}

/* The points of the same chain, newest first: what this one stands on, and what stands on it. */
static json_t *chain_of(struct api_request *request, const json_t *point)
{
    char text[TARGET_TEXT];
    const json_t *target = json_object_get(point, "target");
    struct view_filter filter = {
        .target = text, .repository = json_text(point, "repository"), .kind = "backup", .limit = 1000};
    json_t *page = NULL, *chain = json_array(), *item;
    size_t index;

    snprintf(text, sizeof text, "%s:%s", json_text(target, "kind"), json_text(target, "id"));
    if (!json_text(point, "chain") || view_points(request->reader, &filter, &page, NULL) < 0)
        return chain;
    json_array_foreach(json_object_get(page, "items"), index, item)
    {
        if (same_chain(point, item))
            json_array_append_new(chain, json_pack("{s:O?, s:O?, s:O?, s:O?, s:O?}", "id", json_object_get(item, "id"),
                                                   "parent", json_object_get(item, "parent"), "backup_kind",
                                                   json_object_get(item, "backup_kind"), "created_at",
                                                   json_object_get(item, "created_at"), "size_bytes",
                                                   json_object_get(item, "size_bytes")));
    }
    json_decref(page);
    return chain;
}

/* Where the host that made it has the repository. NULL: nobody says. */
static const char *path_on(const json_t *repository, const char *host)
{
    const json_t *place;
    size_t index;

    json_array_foreach(json_object_get(repository, "hosts"), index, place)
    {
        const char *own = json_text(place, "host");
        if (own && host && strcmp(own, host) == 0)
            return json_text(place, "path");
    }
    return NULL;
}

/* repository_name, and folder: the layout is that of docs/restore-without-fleetsnap.md. Neither, where no host reports the repository. */
static void add_place(json_t *point, const json_t *repository)
{
    const char *path = path_on(repository, json_text(point, "host")), *chain = json_text(point, "chain");

    json_object_set(point, "repository_name", json_object_get(repository, "name"));
    if (path && chain)
        json_object_set_new(point, "folder",
                            json_sprintf("%s/%s/%s/%s", path, json_text(json_object_get(point, "target"), "id"), chain,
                                         json_text(point, "id")));
}

static void find_place(struct api_request *request, json_t *point)
{
    const char *repository = json_text(point, "repository");
    struct view_filter filter = {.near = json_text(point, "host"), .limit = 1000};
    json_t *page = NULL, *item;
    size_t index;

    if (!repository || view_repositories(request->reader, &filter, &page, NULL) < 0)
        return;
    json_array_foreach(json_object_get(page, "items"), index, item)
    {
        const char *id = json_text(item, "id");
        if (id && strcmp(id, repository) == 0)
            add_place(point, item);
    }
    json_decref(page);
}

int api_points_show(struct api_request *request, struct api_response *response)
{
    json_t *point = NULL;
    struct err err = {0};

    if (api_resolve_point(request, response, request->arguments[0], &point) < 0)
        return 0;
    json_object_set_new(point, "points_of_chain", chain_of(request, point));
    if (api_pin_show(request, point, &err) < 0)
        return json_decref(point), api_problem_err(response, request->arguments[0], &err);
    find_place(request, point);
    return api_answer(response, 200, point);
}
