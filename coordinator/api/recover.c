/* Recovery of a host that is gone: coordinator/plans_recover.h. */
#include "base/err.h"
#include "coordinator/api/internal.h"
#include "coordinator/plans_recover.h"
#include "model/job.h"

enum { HOSTS_MAX = 1000 };

/* The names of `onto`; false: the response says why not. */
static bool take_hosts(struct api_request *request, struct api_response *response, struct strings *out)
{
    const json_t *names = json_object_get(request->json, "onto"), *name;
    struct err err = {0};
    size_t index;
    bool good = json_is_array(names) && json_array_size(names) > 0 && json_array_size(names) <= HOSTS_MAX;

    json_array_foreach(names, index, name)
        good = good && json_is_string(name) && strings_add(out, json_string_value(name), &err) == 0;
    if (!good)
        api_problem(response, 400, "usage", "onto", NULL, "onto: say which hosts take the machines, as [\"gamma\"]");
    return good;
}

static bool take_start(struct api_request *request, struct api_response *response, int *out)
{
    const char *text = api_text(request, "start");

    *out = json_object_get(request->json, "start") ? text ? name_index(restore_start_names, text) : -1 : START_RUNNING;
    if (*out >= 0)
        return true;
    api_problem(response, 400, "usage", "start", NULL, "start: is none of no, running, paused");
    return false;
}

int api_recover(struct api_request *request, struct api_response *response)
{
    static const char *const members[] = {"host", "onto", "start", "force", "dry_run", NULL};
    CLEANUP(strings_clear) struct strings onto = {0};
    struct recovery asked = {.host = api_text(request, "host"),
                             .onto = &onto,
                             .force = api_flag(request, "force"),
                             .dry_run = api_flag(request, "dry_run")};
    json_t *plan = NULL;
    struct err err = {0};

    if (!api_members(request, response, members) || !api_scope_is_all(request, response) ||
        !take_hosts(request, response, &onto) || !take_start(request, response, &asked.start))
        return 0;
    if (!asked.host)
        return api_problem(response, 400, "usage", "host", NULL, "host: is missing");
    if (!asked.dry_run && !api_class_allowed(request->caller.classes, CLASS_B)) {
        coordinator_audit(request->context->coordinator, &request->caller, "recover", asked.host, NULL,
                          "the token does not allow class B");
        return api_problem(response, 403, "forbidden", asked.host, NULL, "this token may not restore (class B)");
    }
    if (plans_recover(request->context->coordinator, request->reader, &request->caller, &asked, &plan, &err) < 0)
        return err.kind == ERR_PERMANENT ? api_problem(response, 404, "not_found", asked.host, err.hint, "%s", err.text)
                                         : api_problem_err(response, asked.host, &err);
    return api_answer(response, json_is_string(json_object_get(plan, "run_id")) ? 202 : 200, plan);
}
