#include "base/err.h"
#include "coordinator/api/internal.h"
#include "coordinator/plans.h"

static int no_run(struct api_response *response, const char *id)
{
    return api_problem(response, 404, "not_found", id, "All of them: fleetsnap runs", "no run %s", id);
}

int api_runs_list(struct api_request *request, struct api_response *response)
{
    static const char *const allowed[] = {"policy", "open", "limit", NULL};
    struct view_filter filter;
    struct err err = {0};
    json_t *items = NULL;

    if (!api_filter(request, response, allowed, &filter) || !api_scope_is_all(request, response))
        return 0;
    if (plans_runs(request->context->coordinator, facts_get(&request->query, "policy"), filter.open_only, filter.limit,
                   &items, &err) < 0)
        return api_problem_err(response, "runs", &err);
    return api_answer(response, 200, json_pack("{s:o, s:n}", "items", items, "next"));
}

int api_runs_show(struct api_request *request, struct api_response *response)
{
    const char *id = request->arguments[0];
    json_t *run = NULL;
    struct err err = {0};

    if (!api_scope_is_all(request, response))
        return 0;
    int found = plans_run_show(request->context->coordinator, request->reader, id, &run, &err);
    if (found < 0)
        return api_problem_err(response, id, &err);
    return found ? api_answer(response, 200, run) : no_run(response, id);
}

int api_runs_cancel(struct api_request *request, struct api_response *response)
{
    static const char *const members[] = {"reason", NULL};
    const char *prefix = request->arguments[0];
    char id[37];
    struct err err = {0};

    if (!api_members(request, response, members) || !api_scope_is_all(request, response))
        return 0;
    int found = plans_run_cancel(request->context->coordinator, &request->caller, prefix, api_text(request, "reason"),
                                 id, &err);
    if (found < 0)
        return api_problem_err(response, prefix, &err);
    return found ? api_answer(response, 202, json_pack("{s:s, s:s}", "run_id", id, "cancel", "asked"))
                 : no_run(response, prefix);
}
