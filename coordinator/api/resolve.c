/* What people type → what it means. Nothing is guessed: several meanings are an error that lists them, none is an error with what is near. */
#include "base/err.h"
#include "base/parse.h"
#include "base/text.h"
#include "base/uuid.h"
#include "coordinator/api/internal.h"
#include "model/target.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

void api_target_clear(struct api_target *target)
{
    free(target->kind);
    free(target->id);
    free(target->name);
    free(target->host);
    free(target->state);
    *target = (struct api_target){0};
}

static int target_take(const json_t *item, struct api_target *out, struct err *err)
{
    if (string_set(&out->kind, json_text(item, "kind"), err) < 0 ||
        string_set(&out->id, json_text(item, "id"), err) < 0 ||
        string_set(&out->name, json_text(item, "name"), err) < 0 ||
        string_set(&out->host, json_text(item, "host"), err) < 0 ||
        string_set(&out->state, json_text(item, "state"), err) < 0)
        return api_target_clear(out), -1;
    return 0;
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

static int no_such_target(struct api_response *response, const char *text, const json_t *similar)
{
    struct text hint = {0};
    size_t index;
    json_t *item;

    json_array_foreach(similar, index, item)
    {
        const char *name = json_is_string(item) ? json_string_value(item) : json_text(item, "name");
        const char *host = json_text(item, "host");
        text_addf(&hint, "%s%s%s%s%s", index ? ", " : "Did you mean ", or_empty(name), host ? " (" : "", or_empty(host),
                  host ? ")" : "");
    }
    if (hint.len)
        text_add(&hint, "?");
    else
        text_add(&hint, "All of them: fleetsnap targets");
    api_problem(response, 404, "not_found", text, text_str(&hint), "no target \"%s\"", text);
    text_free(&hint);
    return -1;
}

static int ambiguous_target(struct api_response *response, const char *text, json_t *found)
{
    struct text list = {0};
    size_t index;
    json_t *item;

    json_array_foreach(found, index, item)
    {
        text_addf(&list, "%s%s/%s (%s:%.4s…)", index ? ", " : "", or_empty(json_text(item, "host")),
                  or_empty(json_text(item, "name")), or_empty(json_text(item, "kind")), or_empty(json_text(item, "id")));
    }
    api_problem(response, 409, "ambiguous", text, "Say which", "\"%s\" is ambiguous: %s", text, text_str(&list));
    json_object_set(response->body, "candidates", found);
    text_free(&list);
    return -1;
}

int api_scope_check(struct api_request *request, struct api_response *response, const struct api_target *target)
{
    char text[TARGET_TEXT];
    struct err err = {0};

    snprintf(text, sizeof text, "%s:%s", target->kind, target->id);
    int allowed = api_scope_allows(request, text, &err);
    if (allowed > 0)
        return 0;
    if (allowed < 0)
        return api_problem_err(response, target->name, &err), -1;
    coordinator_audit(request->context->coordinator, &request->caller, "api.refused", text, NULL,
                      "outside its selector");
    api_problem(response, 403, "forbidden", target->name, "Ask an admin for a token whose selector includes it",
                "the token %s is for \"%s\" only, which does not include %s", request->caller.token,
                request->caller.selector, target->name ? target->name : text);
    return -1;
}

bool api_name_at(const char *text, char out_name[API_NAME], const char **out_prefix)
{
    const char *at = strrchr(text, '@');

    if (!at || at == text || at - text >= API_NAME || !uuid_prefix_valid(at + 1))
        return false;
    snprintf(out_name, API_NAME, "%.*s", (int)(at - text), text);
    *out_prefix = at + 1;
    return true;
}

static void keep_ids(json_t *found, const char *prefix)
{
    for (size_t i = json_array_size(found); i-- > 0;) {
        const char *id = json_text(json_array_get(found, i), "id");

        if (!id || strncasecmp(id, prefix, strlen(prefix)) != 0)
            json_array_remove(found, i);
    }
}

int api_find_targets(struct api_request *request, const char *text, json_t **out, json_t **out_similar, struct err *err)
{
    char name[API_NAME];
    const char *prefix;

    if (view_resolve(request->reader, text, out, out_similar, err) < 0)
        return -1;
    if (json_array_size(*out) > 0 || !api_name_at(text, name, &prefix)) /* a name may have an @ of its own */
        return 0;
    json_decref(*out);
    if (view_resolve(request->reader, name, out, NULL, err) == 0) {
        keep_ids(*out, prefix);
        return 0;
    }
    if (out_similar)
        json_decref(*out_similar);
    return -1;
}

static bool is_up(const json_t *item)
{
    const char *state = or_empty(json_text(item, "state"));

    return strcmp(state, "running") == 0 || strcmp(state, "paused") == 0;
}

/* One machine that several hosts have, as a migration leaves it that does not undefine the source: the one that runs. Where none or several do, a person says which. */
static void prefer_running(json_t *found)
{
    const char *id = json_text(json_array_get(found, 0), "id");
    size_t index, up = 0, which = 0;
    json_t *item;

    json_array_foreach(found, index, item)
    {
        if (strcmp(or_empty(id), or_empty(json_text(item, "id"))) != 0)
            return;
        if (is_up(item) && ++up)
            which = index;
    }
    if (up != 1)
        return;
    json_array_insert(found, 0, json_array_get(found, which));
    while (json_array_size(found) > 1)
        json_array_remove(found, 1);
}

int api_resolve_target(struct api_request *request, struct api_response *response, const char *text,
                       struct api_target *out)
{
    json_t *found = NULL, *similar = NULL;
    struct err err = {0};
    int result = -1;

    if (api_find_targets(request, text, &found, &similar, &err) < 0)
        return api_problem_err(response, text, &err), -1;
    prefer_running(found);
    if (json_array_size(found) == 0)
        no_such_target(response, text, similar);
    else if (json_array_size(found) > 1)
        ambiguous_target(response, text, found);
    else if (target_take(json_array_get(found, 0), out, &err) < 0)
        api_problem_err(response, text, &err);
    else
        result = api_scope_check(request, response, out);
    if (result < 0)
        api_target_clear(out);
    json_decref(found);
    json_decref(similar);
    return result;
}

int api_resolve_id(struct api_request *request, struct api_response *response, const char *what, const char *prefix,
                   char *out)
{
    const char *people = strcmp(what, "point") == 0 ? "restore point" : what;
    struct text list = {0};
    struct err err = {0};
    json_t *found = NULL, *id;
    size_t index, count;

    if (!uuid_prefix_valid(prefix))
        return api_problem(response, 404, "not_found", prefix, "An id is written by at least 4 of its first characters",
                           "no %s \"%s\"", people, prefix),
               -1;
    if (view_ids(request->reader, what, prefix, &found, &err) < 0)
        return api_problem_err(response, prefix, &err), -1;
    json_array_foreach(found, index, id) text_addf(&list, "%s%s", index ? ", " : "", json_string_value(id));
    count = json_array_size(found);
    if (count == 1)
        snprintf(out, UUID_TEXT, "%s", json_string_value(json_array_get(found, 0)));
    else if (count == 0)
        api_problem(response, 404, "not_found", prefix, NULL, "no %s %s", people, prefix);
    else
        api_problem(response, 409, "ambiguous", prefix, "Say more of it", "%s begins several ids: %s%s", prefix,
                    text_str(&list), count >= 5 ? " …" : "");
    text_free(&list);
    json_decref(found);
    return count == 1 ? 0 : -1;
}

static const char all_points[] = "All of them: fleetsnap backups";

/* The first item of the page that the token may see; refuses otherwise. */
static int take_point(struct api_request *request, struct api_response *response, const char *subject, json_t *page,
                      json_t **out)
{
    json_t *point = json_array_get(json_object_get(page, "items"), 0);
    struct api_target target = {0};
    struct err err = {0};

    if (!point)
        return api_problem(response, 404, "not_found", subject, all_points, "no restore point of \"%s\"", subject), -1;
    if (target_take(json_object_get(point, "target"), &target, &err) < 0)
        return api_problem_err(response, subject, &err), -1;
    int result = api_scope_check(request, response, &target);
    if (result == 0)
        *out = json_incref(point);
    api_target_clear(&target);
    return result;
}

int api_resolve_point(struct api_request *request, struct api_response *response, const char *prefix, json_t **out)
{
    char id[UUID_TEXT];
    struct view_filter filter = {.id_prefix = id, .limit = 1};
    struct err err = {0};
    json_t *page = NULL;

    if (api_resolve_id(request, response, "point", prefix, id) < 0)
        return -1;
    if (view_points(request->reader, &filter, &page, &err) < 0)
        return api_problem_err(response, prefix, &err), -1;
    int result = take_point(request, response, prefix, page, out);
    json_decref(page);
    return result;
}

/* Keeps of the page only the newest complete backup that is not younger than at_ms. */
static void keep_newest(json_t *page, int64_t at_ms)
{
    json_t *items = json_object_get(page, "items");
    size_t i = 0;

    while (i < json_array_size(items) && i < 1) {
        json_t *point = json_array_get(items, i);
        const char *created = json_text(point, "created_at");
        const char *state = json_text(point, "state");
        int64_t created_ms = 0;
        bool good = created && parse_time(created, &created_ms, NULL) == 0 && (!at_ms || created_ms <= at_ms) &&
                    state && strcmp(state, "complete") == 0;
        if (good)
            i++;
        else
            json_array_remove(items, i);
    }
}

/* What to do where a machine has no backup: one of that name that is gone may have some. */
static void hint_of_gone(struct api_request *request, const char *typed, char *out, size_t size)
{
    char gone[512];

    api_gone_of_name(request, typed, gone, sizeof gone);
    if (*gone)
        snprintf(out, size, "A machine that is gone had this name, and has backups: %s", gone);
    else
        snprintf(out, size, "%s", all_points);
}

int api_resolve_latest(struct api_request *request, struct api_response *response, const char *typed,
                       const char *target, int64_t at_ms, json_t **out)
{
    struct view_filter filter = {.target = target, .kind = "backup", .limit = 1000};
    char hint[600] = "";
    struct err err = {0};
    json_t *page = NULL;

    if (view_points(request->reader, &filter, &page, &err) < 0)
        return api_problem_err(response, typed, &err), -1;
    bool any = json_array_size(json_object_get(page, "items")) > 0;
    keep_newest(page, at_ms);
    if (json_array_size(json_object_get(page, "items")) > 0) {
        int result = take_point(request, response, typed, page, out);
        json_decref(page);
        return result;
    }
    json_decref(page);
    if (any && at_ms)
        return api_problem(response, 404, "not_found", typed, all_points, "no backup of \"%s\" is as old as that",
                           typed),
               -1;
    hint_of_gone(request, typed, hint, sizeof hint);
    return api_problem(response, 404, "not_found", typed, hint, "no restore point of \"%s\"", typed), -1;
}
