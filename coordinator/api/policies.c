#include "base/err.h"
#include "base/parse.h"
#include "coordinator/api/internal.h"
#include "coordinator/plans.h"

#include <string.h>

enum { PREVIEW_FIRINGS = 3 };

static int no_policy(struct api_response *response, const char *name)
{
    return api_problem(response, 404, "not_found", name, "All of them: fleetsnap policies", "no policy \"%s\"", name);
}

/* Answers what plans_* found: 1, 0 or -1. Takes the body. */
static int answer_found(struct api_response *response, const char *name, int found, json_t *body, const struct err *err)
{
    if (found > 0)
        return api_answer(response, 200, body);
    return found < 0 ? api_problem_err(response, name, err) : no_policy(response, name);
}

int api_policies_list(struct api_request *request, struct api_response *response)
{
    json_t *items = NULL;
    struct err err = {0};

    if (!api_scope_is_all(request, response))
        return 0;
    if (plans_list(request->context->coordinator, &items, &err) < 0)
        return api_problem_err(response, "policies", &err);
    return api_answer(response, 200, json_pack("{s:o, s:n}", "items", items, "next"));
}

int api_policies_show(struct api_request *request, struct api_response *response)
{
    const char *name = request->arguments[0];
    json_t *policy = NULL;
    struct err err = {0};

    if (!api_scope_is_all(request, response))
        return 0;
    int found = plans_show(request->context->coordinator, name, &policy, &err);
    return answer_found(response, name, found < 0 ? -1 : policy != NULL, policy, &err);
}

/* A mistake in the text is the caller's, whatever kind it has inside. */
int api_policies_apply(struct api_request *request, struct api_response *response)
{
    static const char *const members[] = {"yaml", "file", "reason", "dry_run", NULL};
    const char *yaml = api_text(request, "yaml"), *file = api_text(request, "file");
    json_t *applied = NULL;
    struct err err = {0};

    if (!api_members(request, response, members) || !api_scope_is_all(request, response))
        return 0;
    if (!yaml)
        return api_problem(response, 400, "usage", "yaml", NULL, "yaml: is missing: the text of the policies");
    if (plans_apply(request->context->coordinator, &request->caller, file ? file : "policy", yaml,
                    api_text(request, "reason"), api_flag(request, "dry_run"), &applied, &err) < 0)
        return err.kind == ERR_PERMANENT ? api_usage(response, file ? file : "policy", &err)
                                         : api_problem_err(response, "policies", &err);
    return api_answer(response, 200, applied);
}

int api_policies_delete(struct api_request *request, struct api_response *response)
{
    static const char *const members[] = {"reason", NULL};
    const char *name = request->arguments[0];
    struct err err = {0};

    if (!api_members(request, response, members) || !api_scope_is_all(request, response))
        return 0;
    int found = plans_delete(request->context->coordinator, &request->caller, name, api_text(request, "reason"), &err);
    return answer_found(response, name, found, found > 0 ? json_pack("{s:s, s:b}", "name", name, "deleted", 1) : NULL,
                        &err);
}

static int pause_policy(struct api_request *request, struct api_response *response, bool pause)
{
    static const char *const members[] = {"reason", NULL};
    const char *name = request->arguments[0];
    struct err err = {0};

    if (!api_members(request, response, members) || !api_scope_is_all(request, response))
        return 0;
    int found = plans_pause(request->context->coordinator, &request->caller, name, pause, api_text(request, "reason"),
                            &err);
    return answer_found(response, name, found,
                        found > 0 ? json_pack("{s:s, s:b}", "name", name, "paused", pause) : NULL, &err);
}

int api_policies_pause(struct api_request *request, struct api_response *response)
{
    return pause_policy(request, response, true);
}

int api_policies_resume(struct api_request *request, struct api_response *response)
{
    return pause_policy(request, response, false);
}

int api_policies_run(struct api_request *request, struct api_response *response)
{
    static const char *const members[] = {"reason", NULL};
    const char *name = request->arguments[0];
    char id[37];
    struct err err = {0};

    if (!api_members(request, response, members) || !api_scope_is_all(request, response))
        return 0;
    if (!api_class_allowed(request->caller.classes, CLASS_B))
        return api_problem(response, 403, "forbidden", name, NULL, "the token %s may not start what adds (class B)",
                           request->caller.token);
    int found = plans_run_now(request->context->coordinator, request->reader, &request->caller, name, id, &err);
    if (found <= 0)
        return answer_found(response, name, found, NULL, &err);
    return api_answer(response, 202, json_pack("{s:s, s:s}", "name", name, "run_id", id));
}

static int preview(struct api_request *request, struct api_response *response, const char *name, const char *yaml,
                   int64_t firings)
{
    const char *file = api_text(request, "file");
    json_t *found = NULL;
    struct err err = {0};

    int result = plans_preview(request->context->coordinator, request->reader, name, file ? file : "policy", yaml,
                               firings, &found, &err);
    if (result < 0 && err.kind == ERR_PERMANENT)
        return api_usage(response, name ? name : file, &err);
    return answer_found(response, name ? name : "", result, found, &err);
}

int api_policies_preview(struct api_request *request, struct api_response *response)
{
    static const char *const allowed[] = {"runs", NULL};
    const char *runs = facts_get(&request->query, "runs");
    int64_t firings = PREVIEW_FIRINGS;
    struct view_filter filter;
    struct err err = {0};

    if (!api_filter(request, response, allowed, &filter) || !api_scope_is_all(request, response))
        return 0;
    if (runs && parse_int(runs, 1, 100, &firings, &err) < 0)
        return api_usage(response, "runs", &err);
    return preview(request, response, request->arguments[0], NULL, firings);
}

/* Of a policy that is not applied. */
int api_policies_preview_text(struct api_request *request, struct api_response *response)
{
    static const char *const members[] = {"yaml", "file", "runs", NULL};
    const char *yaml = api_text(request, "yaml");
    int64_t firings = json_int(request->json, "runs");

    if (!api_members(request, response, members) || !api_scope_is_all(request, response))
        return 0;
    if (!yaml)
        return api_problem(response, 400, "usage", "yaml", NULL, "yaml: is missing: the text of the policy");
    return preview(request, response, NULL, yaml, firings ? firings : PREVIEW_FIRINGS);
}
