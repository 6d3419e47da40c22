/* Query parameters → a filter of the view. */
#include "base/err.h"
#include "base/parse.h"
#include "base/text.h"
#include "coordinator/api/internal.h"
#include "model/target.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { LOOKS = 2000 }; /* about ten milliseconds */

static bool refuse(struct api_response *response, const char *name, const struct err *err)
{
    api_problem(response, 400, "usage", name, NULL, "%s: %s", name, err->text);
    return false;
}

static bool known(struct api_request *request, struct api_response *response, const char *const *allowed)
{
    for (size_t i = 0; i < request->query.count; i++) {
        const char *name = request->query.items[i].key;
        if (name_index(allowed, name) >= 0)
            continue;
        api_problem(response, 400, "usage", name, NULL, "%s: unknown query parameter", name);
        return false;
    }
    return true;
}

const char *api_word(struct api_response *response, const char *name, const char *value, const char *const *words)
{
    CLEANUP(text_free) struct text list = {0};

    for (size_t i = 0; words[i]; i++) {
        if (strcasecmp(words[i], value) == 0)
            return words[i];
        text_addf(&list, "%s%s", i ? ", " : "", words[i]);
    }
    api_problem(response, 400, "usage", name, NULL, "%s: \"%s\" is none of %s", name, value, text_str(&list));
    return NULL;
}

bool api_filter(struct api_request *request, struct api_response *response, const char *const *allowed,
                struct view_filter *out)
{
    const struct facts *query = &request->query;
    const char *limit = facts_get(query, "limit"), *since = facts_get(query, "since");
    struct err err = {0};
    int64_t number = 0;

    if (!known(request, response, allowed))
        return false;
    *out = (struct view_filter){.host = facts_get(query, "host"),
                                .state = facts_get(query, "state"),
                                .op = facts_get(query, "op"),
                                .repository = facts_get(query, "repository"),
                                .kind = facts_get(query, "kind"),
                                .name = facts_get(query, "name"),
                                .parent = facts_get(query, "parent"),
                                .group = facts_get(query, "group"),
                                .after = facts_get(query, "after"),
                                .looks = LOOKS};
    if (limit && parse_int(limit, 1, 1000, &number, &err) < 0)
        return refuse(response, "limit", &err);
    out->limit = (int)number;
    if (since && parse_time(since, &out->since_ms, &err) < 0)
        return refuse(response, "since", &err);
    const struct {
        const char *name;
        bool *out;
    } flags[] = {{"open", &out->open_only},
                 {"full", &out->full},
                 {"verified", &out->verified},
                 {"latest", &out->latest},
                 {"gone", &out->gone}};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        const char *text = facts_get(query, flags[i].name);
        if (text && parse_bool(text, flags[i].out, &err) < 0)
            return refuse(response, flags[i].name, &err);
    }
    return true;
}

bool api_filter_target(struct api_request *request, struct api_response *response, char *target_text,
                       struct view_filter *filter)
{
    const char *text = facts_get(&request->query, "target");
    struct api_target target = {0};

    if (!text)
        return true;
    if (strchr(text, ':')) { /* also of a target that is gone */
        snprintf(target_text, TARGET_TEXT, "%s", text);
    } else {
        if (api_resolve_target(request, response, text, &target) < 0)
            return false;
        snprintf(target_text, TARGET_TEXT, "%s:%s", target.kind, target.id);
        api_target_clear(&target);
    }
    filter->target = target_text;
    return true;
}
