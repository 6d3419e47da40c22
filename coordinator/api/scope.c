/* What a token with a selector may see and touch: targets whose labels match, and what belongs to them. Labels come from the view, at the time of the request. */
#include "base/err.h"
#include "base/text.h"
#include "coordinator/api/internal.h"
#include "model/target.h"

#include <string.h>

int api_scope_allows(struct api_request *request, const char *target, struct err *err)
{
    struct view_filter filter = {.target = target, .selector = request->caller.selector, .limit = 1};
    json_t *page = NULL;

    if (!request->caller.selector)
        return 1;
    if (view_targets(request->reader, &filter, &page, err) < 0)
        return -1;
    int allowed = json_array_size(json_object_get(page, "items")) > 0;
    json_decref(page);
    return allowed;
}

/* The same, remembered in `seen` for one page. */
static int allows(struct api_request *request, json_t *seen, const json_t *target, struct err *err)
{
    char text[TARGET_TEXT];
    const char *kind = json_text(target, "kind");
    const char *id = json_text(target, "id");

    if (!kind || !id)
        return 0;
    snprintf(text, sizeof text, "%s:%s", kind, id);
    json_t *known = json_object_get(seen, text);
    if (known)
        return json_is_true(known);
    int allowed = api_scope_allows(request, text, err);
    if (allowed >= 0)
        json_object_set_new(seen, text, json_boolean(allowed));
    return allowed;
}

int api_scope_filter(struct api_request *request, json_t *page, const char *member, struct err *err)
{
    json_t *items = json_object_get(page, "items");
    int allowed = 1;

    if (!request->caller.selector)
        return 0;
    json_t *seen = json_object();
    for (size_t i = json_array_size(items); i-- > 0 && allowed >= 0;) {
        allowed = allows(request, seen, json_object_get(json_array_get(items, i), member), err);
        if (allowed == 0)
            json_array_remove(items, i);
    }
    json_decref(seen);
    return allowed < 0 ? -1 : 0;
}

bool api_scope_is_all(struct api_request *request, struct api_response *response)
{
    if (!request->caller.selector)
        return true;
    coordinator_audit(request->context->coordinator, &request->caller, "api.refused", request->path, NULL,
                      "the token has a selector");
    api_problem(response, 403, "forbidden", request->caller.token, "Ask an admin for a token without a selector",
                "the token %s is for \"%s\" only, and this concerns the whole fleet", request->caller.token,
                request->caller.selector);
    return false;
}

int api_scope_selector(struct api_request *request, char **out, struct err *err)
{
    const char *asked = facts_get(&request->query, "selector");
    const char *own = request->caller.selector;
    struct text text = {0};

    *out = NULL;
    if (!own && (!asked || !*asked))
        return 0;
    text_addf(&text, "%s%s%s", asked ? asked : "", asked && *asked && own ? "," : "", own ? own : "");
    *out = text_take(&text);
    return *out ? 0 : err_memory(err, "selector");
}
