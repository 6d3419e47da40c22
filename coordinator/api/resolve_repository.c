/* Which repository is meant, and where it is on a host. */
#include "base/err.h"
#include "base/text.h"
#include "base/uuid.h"
#include "coordinator/api/internal.h"

#include <stdio.h>
#include <string.h>

void api_repository_clear(struct api_repository *repository)
{
    free(repository->id);
    free(repository->name);
    free(repository->path);
    free(repository->host);
    *repository = (struct api_repository){0};
}

/* Where `host` has it; host NULL: the first host that has it in order, else the first of all. */
static const json_t *place_on(const json_t *repository, const char *host)
{
    const json_t *places = json_object_get(repository, "hosts");
    const json_t *place, *any = NULL;
    size_t index;

    json_array_foreach(places, index, place)
    {
        const char *name = json_text(place, "host");
        if (host && (!name || strcmp(name, host) != 0))
            continue;
        if (host || json_is_true(json_object_get(place, "ok")))
            return place;
        any = any ? any : place;
    }
    return any;
}

static bool named(const json_t *repository, const char *text)
{
    const char *id = json_text(repository, "id");
    const char *name = json_text(repository, "name");

    if (name && strcmp(name, text) == 0)
        return true;
    return id && uuid_prefix_valid(text) && strncmp(id, text, strlen(text)) == 0;
}

static void list_names(const json_t *items, const char *host, struct text *out)
{
    const json_t *item;
    size_t index;

    json_array_foreach(items, index, item)
    {
        if (place_on(item, host))
            text_addf(out, "%s%s", out->len ? ", " : "", json_text(item, "name") ? json_text(item, "name") : "?");
    }
}

static void list_hosts(const json_t *repository, struct text *out)
{
    const json_t *place;
    size_t index;

    json_array_foreach(json_object_get(repository, "hosts"), index, place)
        text_addf(out, "%s%s", out->len ? ", " : "", json_text(place, "host"));
}

static int unknown(struct api_response *response, const char *text, const char *host, const json_t *items)
{
    struct text names = {0};
    char hint[256];

    list_names(items, host, &names);
    snprintf(hint, sizeof hint, "Make one: fleetsnap repository init NAME --host %s --path DIR", host ? host : "HOST");
    if (text)
        api_problem(response, 404, "not_found", text, names.len ? NULL : hint, "no repository \"%s\"%s%s%s%s", text,
                    names.len ? "; there is: " : "", text_str(&names), names.len && host ? " on " : "",
                    names.len && host ? host : "");
    else
        api_problem(response, 422, "permanent", host, hint, "host %s has no repository", host);
    text_free(&names);
    return -1;
}

static int several(struct api_response *response, const char *host, const json_t *items)
{
    struct text names = {0};

    list_names(items, host, &names);
    api_problem(response, 409, "ambiguous", host, "Say which: --repository NAME", "%s has several repositories: %s",
                host ? host : "the fleet", text_str(&names));
    text_free(&names);
    return -1;
}

static int elsewhere(struct api_response *response, const json_t *repository, const char *host)
{
    struct text hosts = {0};
    const char *name = json_text(repository, "name");

    list_hosts(repository, &hosts);
    api_problem(response, 422, "permanent", name, "Mount it there, or name another with --repository",
                "repository %s is not on host %s; it is on %s", name, host, hosts.len ? text_str(&hosts) : "none");
    text_free(&hosts);
    return -1;
}

static int take(const json_t *repository, const json_t *place, struct api_repository *out, struct err *err)
{
    if (string_set(&out->id, json_text(repository, "id"), err) < 0 ||
        string_set(&out->name, json_text(repository, "name"), err) < 0 ||
        string_set(&out->path, json_text(place, "path"), err) < 0 ||
        string_set(&out->host, json_text(place, "host"), err) < 0)
        return api_repository_clear(out), -1;
    return 0;
}

static int choose(struct api_response *response, const json_t *items, const char *text, const char *host,
                  const json_t **out)
{
    const json_t *item, *found = NULL;
    size_t index;

    json_array_foreach(items, index, item)
    {
        if (text ? !named(item, text) : !place_on(item, host))
            continue;
        if (found)
            return several(response, host, items);
        found = item;
    }
    if (!found)
        return unknown(response, text, host, items);
    if (!place_on(found, host))
        return elsewhere(response, found, host ? host : "any");
    *out = found;
    return 0;
}

int api_resolve_repository(struct api_request *request, struct api_response *response, const char *text,
                           const char *host, struct api_repository *out)
{
    struct view_filter filter = {.near = host, .limit = 1000};
    const json_t *found = NULL;
    struct err err = {0};
    json_t *page = NULL;

    if (view_repositories(request->reader, &filter, &page, &err) < 0)
        return api_problem_err(response, text, &err), -1;
    int result = choose(response, json_object_get(page, "items"), text, host, &found);
    if (result == 0 && (result = take(found, place_on(found, host), out, &err)) < 0)
        api_problem_err(response, text, &err);
    json_decref(page);
    return result;
}
