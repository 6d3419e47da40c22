#include "base/err.h"
#include "base/parse.h"
#include "coordinator/api/internal.h"
#include "coordinator/plans.h"
#include "model/target.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Keeps the items whose name holds `text`. */
static void keep_matching(json_t *page, const char *text)
{
    json_t *items = json_object_get(page, "items");

    for (size_t i = json_array_size(items); text && i-- > 0;) {
        const char *name = json_text(json_object_get(json_array_get(items, i), "target"), "name");
        if (!name || !strcasestr(name, text))
            json_array_remove(items, i);
    }
}

int api_targets_list(struct api_request *request, struct api_response *response)
{
    static const char *const allowed[] = {"q",     "selector", "host",        "state", "name",
                                          "limit", "after",    "unprotected", NULL};
    const char *asked = facts_get(&request->query, "unprotected");
    bool unprotected = false;
    CLEANUP(freep) char *selector = NULL;
    struct view_filter filter;
    struct err err = {0};
    json_t *page = NULL;

    if (!api_filter(request, response, allowed, &filter))
        return 0;
    if (asked && parse_bool(asked, &unprotected, &err) < 0)
        return api_usage(response, "unprotected", &err);
    if (api_scope_selector(request, &selector, &err) < 0)
        return api_problem_err(response, "selector", &err);
    filter.selector = selector;
    if (view_targets(request->reader, &filter, &page, &err) < 0)
        return err.kind == ERR_PERMANENT ? api_usage(response, "selector", &err)
                                         : api_problem_err(response, "targets", &err);
    keep_matching(page, facts_get(&request->query, "q"));
    if (plans_annotate(request->context->coordinator, json_object_get(page, "items"), unprotected, &err) < 0)
        return json_decref(page), api_problem_err(response, "targets", &err);
    return api_answer(response, 200, page);
}

/* NULL: the response says why. */
static json_t *find_target(struct api_request *request, struct api_response *response)
{
    CLEANUP(api_target_clear) struct api_target target = {0};
    char text[TARGET_TEXT];
    struct view_filter filter = {.target = text, .limit = 1};
    struct err err = {0};
    json_t *page = NULL;

    if (api_resolve_target(request, response, request->arguments[0], &target) < 0)
        return NULL;
    snprintf(text, sizeof text, "%s:%s", target.kind, target.id);
    filter.host = target.host; /* another may have it, too */
    if (view_targets(request->reader, &filter, &page, &err) < 0)
        return api_problem_err(response, text, &err), NULL;
    json_t *item = json_incref(json_array_get(json_object_get(page, "items"), 0));
    if (item)
        json_object_set(item, "as_of", json_object_get(page, "as_of"));
    else
        api_problem(response, 404, "not_found", text, NULL, "no target \"%s\"", request->arguments[0]);
    json_decref(page);
    return item;
}

int api_targets_show(struct api_request *request, struct api_response *response)
{
    json_t *target = find_target(request, response);
    struct err err = {0};

    if (!target)
        return 0;
    json_t *alone = json_pack("[O]", target);
    int result = plans_annotate(request->context->coordinator, alone, false, &err);
    json_decref(alone);
    return result < 0                                             ? json_decref(target),
           api_problem_err(response, request->arguments[0], &err) : api_answer(response, 200, target);
}

int api_targets_snapshots(struct api_request *request, struct api_response *response)
{
    json_t *target = find_target(request, response);

    if (!target)
        return 0;
    json_t *snapshots = json_object_get(target, "snapshots");
    json_t *page = json_pack("{s:O?, s:n, s:O?, s:O?, s:O?, s:O?}", "items", snapshots, "next", "as_of",
                             json_object_get(target, "at"), "target", json_object_get(target, "target"), "host",
                             json_object_get(target, "host"), "host_alive", json_object_get(target, "host_alive"));
    if (page && !json_is_array(json_object_get(page, "items")))
        json_object_set_new(page, "items", json_array());
    json_decref(target);
    return api_answer(response, 200, page);
}
