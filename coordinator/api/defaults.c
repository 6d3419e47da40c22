/* Which repository a backup goes to when nobody says: entries of the ledger, for one machine, for a selector of labels, or for all. */
#include "base/err.h"
#include "coordinator/api/internal.h"
#include "model/select.h"
#include "model/target.h"

#include <stdio.h>
#include <string.h>

enum { DEFAULT_ID = 256 };

static int add_default(void *context, const struct ledger_entry *entry, struct err *err)
{
    (void)err;
    if (!entry->gone)
        json_array_append_new(context, json_pack("{s:s, s:s, s:s?}", "for", entry->id, "repository",
                                                 facts_get_or(&entry->values, "repository", ""), "by", entry->who));
    return 0;
}

/* Of a machine that is still there: what people call it. */
static int add_name(struct api_request *request, json_t *item, struct err *err)
{
    const char *id = json_text(item, "for");
    json_t *found = NULL, *similar = NULL;

    if (strcmp(id, "*") == 0 || strncmp(id, "selector:", strlen("selector:")) == 0)
        return 0;
    if (view_resolve(request->reader, id, &found, &similar, err) < 0)
        return -1;
    const char *name = json_text(json_array_get(found, 0), "name");
    if (name)
        json_object_set_new(item, "name", json_string(name));
    json_decref(found);
    json_decref(similar);
    return 0;
}

int api_defaults_list(struct api_request *request, struct api_response *response)
{
    json_t *items = json_array();
    struct err err = {0};

    if (!api_scope_is_all(request, response))
        return json_decref(items), 0;
    if (coordinator_each(request->context->coordinator, LEDGER_DEFAULT, add_default, items, &err) < 0)
        return json_decref(items), api_problem_err(response, "defaults", &err);
    for (size_t i = 0; i < json_array_size(items); i++)
        if (add_name(request, json_array_get(items, i), &err) < 0)
            return json_decref(items), api_problem_err(response, "defaults", &err);
    return api_answer(response, 200, json_pack("{s:o, s:n}", "items", items, "next"));
}

static bool bad(struct api_response *response, const char *member, const char *text)
{
    api_problem(response, 400, "usage", member, NULL, "%s: %s", member, text);
    return false;
}

/* The machine: its host too, where the repository must be. */
static bool for_target(struct api_request *request, struct api_response *response, const char *text,
                       char id[DEFAULT_ID], char host[64])
{
    struct api_target target = {0};

    if (api_resolve_target(request, response, text, &target) < 0)
        return false;
    snprintf(id, DEFAULT_ID, "%.60s:%.180s", target.kind, target.id);
    snprintf(host, 64, "%s", target.host ? target.host : "");
    api_target_clear(&target);
    return true;
}

static bool for_selector(struct api_request *request, struct api_response *response, const char *text,
                         char id[DEFAULT_ID])
{
    struct selector *selector = NULL;
    struct err err = {0};

    if (!api_scope_is_all(request, response))
        return false;
    if (!text)
        return snprintf(id, DEFAULT_ID, "*") > 0;
    if (!*text || strchr(text, '@'))
        return bad(response, "selector", "is empty, or holds a @");
    if (selector_parse(text, &selector, &err) < 0)
        return api_usage(response, "selector", &err), false;
    selector_free(selector);
    if (snprintf(id, DEFAULT_ID, "selector:%s", text) >= DEFAULT_ID)
        return bad(response, "selector", "is too long");
    return true;
}

/* For what: "kind:id", "selector:…" or "*". */
static bool read_for(struct api_request *request, struct api_response *response, char id[DEFAULT_ID], char host[64])
{
    const char *target = api_text(request, "target"), *selector = api_text(request, "selector");
    int said = (target != NULL) + (selector != NULL) + api_flag(request, "all");

    *host = '\0';
    if (said != 1)
        return bad(response, "target", "say one of target, selector and all");
    return target ? for_target(request, response, target, id, host) : for_selector(request, response, selector, id);
}

static int put(struct api_request *request, struct api_response *response, const char *id, const char *repository)
{
    CLEANUP(ledger_entry_clear) struct ledger_entry entry = {.kind = LEDGER_DEFAULT, .gone = repository == NULL};
    struct err err = {0};

    if (string_set(&entry.id, id, &err) < 0 || string_set(&entry.who, request->caller.token, &err) < 0 ||
        string_set(&entry.why, api_text(request, "reason"), &err) < 0 ||
        (repository && facts_set(&entry.values, "repository", repository, &err) < 0) ||
        coordinator_put(request->context->coordinator, &request->caller, &entry, &err) < 0)
        return api_problem_err(response, id, &err);
    return api_answer(response, 200, json_pack("{s:s, s:s?}", "for", id, "repository", repository));
}

int api_defaults_set(struct api_request *request, struct api_response *response)
{
    static const char *const members[] = {"target", "selector", "all", "repository", "clear", "reason", NULL};
    const char *asked = api_text(request, "repository");
    struct api_repository repository = {0};
    char id[DEFAULT_ID], host[64];

    if (!api_members(request, response, members))
        return 0;
    if (!asked == !api_flag(request, "clear"))
        return bad(response, "repository", "say which, or clear"), 0;
    if (!read_for(request, response, id, host))
        return 0;
    if (!asked)
        return put(request, response, id, NULL);
    if (api_resolve_repository(request, response, asked, *host ? host : NULL, &repository) < 0)
        return 0;
    int result = put(request, response, id, repository.name);
    api_repository_clear(&repository);
    return result;
}
