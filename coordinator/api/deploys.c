/* Deploys: what is asked is read and checked, what it means is in coordinator/deploys.h. */
#include "coordinator/deploys.h"
#include "base/err.h"
#include "base/parse.h"
#include "coordinator/api/internal.h"
#include "model/job.h"

#include <stdio.h>
#include <string.h>

enum { REASON_MAX = 1000, REPOSITORY_MAX = 255 };

static int no_deploy(struct api_response *response, const char *id)
{
    return api_problem(response, 404, "not_found", id, "All of them: fleetsnap deploys", "no deploy \"%s\"", id);
}

/* ---- members of the body; each: false, and the response says why ---- */

static bool take_duration(struct api_request *request, struct api_response *response, const char *member, int64_t *out)
{
    const json_t *value = json_object_get(request->json, member);
    struct err err = {0};

    if (!value || json_is_null(value))
        return true;
    if (json_is_string(value) && parse_duration(json_string_value(value), out, &err) == 0 && *out > 0)
        return true;
    api_problem(response, 400, "usage", member, NULL, "%s: must be a time above 0, like \"24h\"", member);
    return false;
}

static bool take_choice(struct api_request *request, struct api_response *response, const char *member,
                        const char *const *names, int *out)
{
    const char *text = api_text(request, member);

    if (!json_object_get(request->json, member))
        return true;
    *out = text ? name_index(names, text) : -1;
    if (*out >= 0)
        return true;
    api_problem(response, 400, "usage", member, NULL, "%s: is none of its words", member);
    return false;
}

static bool take_flags(struct api_request *request, struct api_response *response, const char *const *members)
{
    for (; *members; members++) {
        const json_t *value = json_object_get(request->json, *members);
        if (!value || json_is_boolean(value))
            continue;
        api_problem(response, 400, "usage", *members, NULL, "%s: is neither true nor false", *members);
        return false;
    }
    return true;
}

static bool take_reason(struct api_request *request, struct api_response *response, char **out)
{
    const char *reason = api_text(request, "reason");
    struct err err = {0};

    if (!reason || (strlen(reason) <= REASON_MAX && string_set(out, reason, &err) == 0))
        return true;
    api_problem(response, 400, "usage", "reason", NULL, "reason: is longer than %d bytes", REASON_MAX);
    return false;
}

/* ---- begin ---- */

static bool may_begin(struct api_request *request, struct api_response *response, bool auto_revert)
{
    enum job_class needed = auto_revert ? CLASS_C : CLASS_B;
    const char *classes = request->caller.classes;

    if (api_flag(request, "dry_run") || api_class_allowed(classes, needed))
        return true;
    coordinator_audit(request->context->coordinator, &request->caller, "deploy.begin", api_text(request, "id"),
                      api_text(request, "reason"), "the token does not allow that class");
    api_problem(response, 403, "forbidden", request->caller.token, "Ask an admin for a token with that class",
                "the token %s allows class %s, but %s (class %s)", request->caller.token, classes ? classes : "none",
                auto_revert ? "auto_revert may take away a running state" : "its restore points add",
                class_names[needed]);
    return false;
}

/* What a group of backups can be told. */
static bool take_backups(struct api_request *request, struct api_response *response, struct deploy *deploy)
{
    const json_t *rate = json_object_get(request->json, "rate_limit");
    const char *repository = api_text(request, "repository");
    struct err err = {0};

    if (!take_choice(request, response, "operation", deploy_operation_names, &deploy->operation) ||
        !take_choice(request, response, "kind", backup_kind_names, &deploy->kind))
        return false;
    if (rate && (!json_is_integer(rate) || json_integer_value(rate) < 0))
        return api_problem(response, 400, "usage", "rate_limit", NULL, "rate_limit: is no number of bytes per second"),
               false;
    deploy->rate_limit_bytes = json_integer_value(rate);
    if (repository && strlen(repository) > REPOSITORY_MAX)
        return api_problem(response, 400, "usage", "repository", NULL, "repository: is no name or UUID of one"), false;
    return string_set(&deploy->repository, repository, &err) == 0 || (api_problem_err(response, "deploy", &err), false);
}

/* group_limit means nothing without the wish. */
static bool take_group(struct api_request *request, struct api_response *response, struct deploy *deploy)
{
    bool group = api_flag(request, "group");

    if (json_object_get(request->json, "group_limit") && !group)
        return api_problem(response, 400, "usage", "group_limit", NULL,
                           "group_limit: is the limit of a group, but group is not asked"),
               false;
    deploy->standing = api_flag(request, "standing");
    if (!take_duration(request, response, "group_limit", &deploy->group_limit_ms))
        return false;
    if (group && !deploy->group_limit_ms)
        deploy->group_limit_ms = GROUP_LIMIT_MS;
    return true;
}

static bool take_deploy(struct api_request *request, struct api_response *response, struct deploy *deploy)
{
    static const char *const flags[] = {"auto_revert", "group", "standing", "dry_run", NULL};
    struct err err = {0};

    if (!take_flags(request, response, flags) || !take_group(request, response, deploy) ||
        !take_reason(request, response, &deploy->reason) || !take_duration(request, response, "ttl", &deploy->ttl_ms) ||
        !take_duration(request, response, "timeout", &deploy->timeout_ms) ||
        !take_duration(request, response, "within", &deploy->within_ms) ||
        !take_choice(request, response, "overlap", deploy_overlap_names, &deploy->overlap) ||
        !take_choice(request, response, "quiesce", quiesce_names, &deploy->quiesce) ||
        !take_backups(request, response, deploy))
        return false;
    deploy->auto_revert = api_flag(request, "auto_revert");
    if (deploy_complete(deploy, api_text(request, "id"), api_text(request, "selector"), request->caller.selector,
                        request->caller.token, &err) == 0)
        return may_begin(request, response, deploy->auto_revert);
    return api_usage(response, "deploy", &err), false;
}

int api_deploys_begin(struct api_request *request, struct api_response *response)
{
    static const char *const members[] = {
        "id",          "selector", "ttl",       "timeout",    "within", "overlap",    "quiesce", "auto_revert", "group",
        "group_limit", "standing", "operation", "repository", "kind",   "rate_limit", "reason",  "dry_run",     NULL};
    CLEANUP(deploy_clear) struct deploy deploy = {0};
    const char *id = api_text(request, "id");
    bool dry_run = api_flag(request, "dry_run");
    json_t *begun = NULL;
    struct err err = {0};

    if (!api_members(request, response, members) || !take_deploy(request, response, &deploy))
        return 0;
    if (deploys_begin(request->context->coordinator, request->reader, &request->caller, id, &deploy, dry_run, &begun,
                      &err) == 0)
        return api_answer(response, dry_run ? 200 : 202, begun);
    if (err.kind == ERR_PERMANENT)
        return api_problem(response, 404, "not_found", id, "Targets and their labels: fleetsnap targets", "%s",
                           err.text);
    return api_problem_err(response, id, &err);
}

/* ---- list, status ---- */

int api_deploys_list(struct api_request *request, struct api_response *response)
{
    static const char *const allowed[] = {"open", "limit", NULL};
    struct view_filter filter;
    struct err err = {0};
    json_t *items = NULL;

    if (!api_filter(request, response, allowed, &filter))
        return 0;
    if (deploys_list(request->context->coordinator, &request->caller, filter.open_only, filter.limit, &items, &err) < 0)
        return api_problem_err(response, "deploys", &err);
    return api_answer(response, 200, json_pack("{s:o, s:n}", "items", items, "next"));
}

int api_deploys_show(struct api_request *request, struct api_response *response)
{
    const char *id = request->arguments[0];
    json_t *deploy = NULL;
    struct err err = {0};

    int found = deploys_show(request->context->coordinator, request->reader, &request->caller, id, &deploy, &err);
    if (found < 0)
        return api_problem_err(response, id, &err);
    return found ? api_answer(response, 200, deploy) : no_deploy(response, id);
}

/* ---- how it ended ---- */

static int say(struct api_request *request, struct api_response *response, const struct deploy_word *word)
{
    const char *id = request->arguments[0];
    json_t *deploy = NULL;
    struct err err = {0};

    int found = deploys_say(request->context->coordinator, request->reader, &request->caller, id, word,
                            api_flag(request, "dry_run"), &deploy, &err);
    if (found < 0)
        return err.kind == ERR_PERMANENT ? api_usage(response, id, &err) : api_problem_err(response, id, &err);
    return found ? api_answer(response, word->revert ? 202 : 200, deploy) : no_deploy(response, id);
}

static bool may_say(struct api_request *request, struct api_response *response, const struct deploy_word *word)
{
    enum job_class needed = word->revert ? CLASS_C : CLASS_B;
    const char *classes = request->caller.classes;

    if (api_flag(request, "dry_run") || api_class_allowed(classes, needed))
        return true;
    coordinator_audit(request->context->coordinator, &request->caller, "deploy.say", request->arguments[0],
                      api_text(request, "reason"), "the token does not allow that class");
    api_problem(response, 403, "forbidden", request->caller.token, "Ask an admin for a token with that class",
                "the token %s allows class %s, but this needs %s", request->caller.token, classes ? classes : "none",
                class_names[needed]);
    return false;
}

int api_deploys_succeeded(struct api_request *request, struct api_response *response)
{
    static const char *const members[] = {"reason", "dry_run", NULL}, *const flags[] = {"dry_run", NULL};
    CLEANUP(deploy_word_clear) struct deploy_word word = {.says = DEPLOY_SAYS_SUCCEEDED};

    if (!api_members(request, response, members) || !take_flags(request, response, flags) ||
        !take_reason(request, response, &word.reason) || !may_say(request, response, &word))
        return 0;
    return say(request, response, &word);
}

static bool take_order(struct api_request *request, struct api_response *response, struct strings *out)
{
    const json_t *order = json_object_get(request->json, "order"), *item;
    size_t index;
    struct err err = {0};

    if (order && (!json_is_array(order) || json_array_size(order) > DEPLOY_ORDER_MAX))
        return api_problem(response, 400, "usage", "order", NULL, "order: is no list of at most %d names",
                           DEPLOY_ORDER_MAX),
               false;
    json_array_foreach(order, index, item)
    {
        const char *name = json_string_value(item);
        if (!name || !*name || strlen(name) > 400 || strings_add(out, name, &err) < 0)
            return api_problem(response, 400, "usage", "order", NULL, "order: has something that is no name"), false;
    }
    return true;
}

/* How to revert means nothing without the wish. */
static bool take_revert(struct api_request *request, struct api_response *response, struct deploy_word *word)
{
    static const char *const flags[] = {"revert", "keep_going", "dry_run", NULL}, *const how[] = {"order", "keep_going",
                                                                                                  "parallel", NULL};
    const json_t *parallel = json_object_get(request->json, "parallel");

    if (!take_flags(request, response, flags) || !take_order(request, response, &word->order))
        return false;
    word->revert = api_flag(request, "revert");
    word->keep_going = api_flag(request, "keep_going");
    word->parallel = parallel ? json_integer_value(parallel) : 1;
    if (word->parallel < 1 || word->parallel > DEPLOY_PARALLEL_MAX)
        return api_problem(response, 400, "usage", "parallel", NULL, "parallel: must be from 1 to %d",
                           DEPLOY_PARALLEL_MAX),
               false;
    for (size_t i = 0; how[i] && !word->revert; i++)
        if (json_object_get(request->json, how[i]))
            return api_problem(response, 400, "usage", how[i], NULL, "%s: says how to revert, but revert is not asked",
                               how[i]),
                   false;
    return true;
}

int api_deploys_failed(struct api_request *request, struct api_response *response)
{
    static const char *const members[] = {"revert", "order", "keep_going", "parallel", "reason", "dry_run", NULL};
    CLEANUP(deploy_word_clear) struct deploy_word word = {.says = DEPLOY_SAYS_FAILED};

    if (!api_members(request, response, members) || !take_revert(request, response, &word) ||
        !take_reason(request, response, &word.reason) || !may_say(request, response, &word))
        return 0;
    return say(request, response, &word);
}
