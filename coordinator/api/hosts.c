#include "base/err.h"
#include "coordinator/api/internal.h"
#include "model/target.h"

#include <string.h>

int api_hosts_list(struct api_request *request, struct api_response *response)
{
    static const char *const allowed[] = {"state", "limit", "after", NULL};
    struct view_filter filter;
    struct err err = {0};
    json_t *page = NULL;

    if (!api_filter(request, response, allowed, &filter))
        return 0;
    int failed = view_hosts(request->reader, &filter, &page, &err);
    return api_view(response, "hosts", failed, page, &err);
}

/* What the view has of the host of the path; enrolled hosts that never spoke are in it too. NULL: the response says why. */
static json_t *find_host(struct api_request *request, struct api_response *response)
{
    const char *name = request->arguments[0];
    struct view_filter filter = {.host = name, .limit = 1};
    struct err err = {0};
    json_t *page = NULL;

    if (view_hosts(request->reader, &filter, &page, &err) < 0)
        return api_problem_err(response, name, &err), NULL;
    json_t *host = json_incref(json_array_get(json_object_get(page, "items"), 0));
    json_decref(page);
    if (!host)
        api_problem(response, 404, "not_found", name, "All of them: fleetsnap hosts", "no host \"%s\"", name);
    return host;
}

int api_hosts_show(struct api_request *request, struct api_response *response)
{
    json_t *host = find_host(request, response);

    return host ? api_answer(response, 200, host) : 0;
}

static json_t *facts_json(const struct facts *facts)
{
    json_t *json = json_object();

    for (size_t i = 0; facts && i < facts->count; i++)
        json_object_set_new(json, facts->items[i].key, json_string(facts->items[i].value));
    return json;
}

static json_t *bundle(const struct api_config *config, const char *host, const char *key_file)
{
    return json_pack("{s:s, s:s, s:s*, s:o, s:s*, s:s*, s:s*}", "host", host, "key_file", key_file, "kafka_brokers",
                     config->worker_kafka_brokers, "kafka_extra", facts_json(config->worker_kafka_extra),
                     "redis_address", config->worker_redis_address, "redis_user", config->worker_redis_user,
                     "redis_password", config->worker_redis_password);
}

int api_hosts_enroll(struct api_request *request, struct api_response *response)
{
    static const char *const members[] = {"rotate", NULL};
    const char *host = request->arguments[0];
    char *key_file = NULL;
    struct err err = {0};

    if (!api_members(request, response, members) || !api_scope_is_all(request, response))
        return 0;
    if (!name_valid_host(host))
        return api_problem(response, 400, "usage", host, "Small letters, digits, '.', '_' and '-', at most 63",
                           "\"%s\" is no name for a host", host);
    if (coordinator_enroll(request->context->coordinator, &request->caller, host, api_flag(request, "rotate"),
                           &key_file, &err) < 0)
        return api_problem_err(response, host, &err);
    json_t *body = bundle(&request->context->config, host, key_file);
    explicit_bzero(key_file, strlen(key_file));
    free(key_file);
    return api_answer(response, 201, body);
}

/* Records the state that the host shall have from now on. */
static int put_state(struct api_request *request, struct api_response *response, const char *state)
{
    static const char *const members[] = {"reason", NULL};
    const char *name = request->arguments[0];
    CLEANUP(ledger_entry_clear) struct ledger_entry entry = {.kind = LEDGER_HOST};
    struct err err = {0};

    if (!api_members(request, response, members) || !api_scope_is_all(request, response))
        return 0;
    entry.host = calloc(1, sizeof *entry.host);
    if (!entry.host || string_set(&entry.host->state, state, &err) < 0 || string_set(&entry.id, name, &err) < 0 ||
        string_set(&entry.who, request->caller.token, &err) < 0 ||
        string_set(&entry.why, api_text(request, "reason"), &err) < 0)
        return api_problem(response, 503, "retry", name, NULL, "out of memory");
    if (coordinator_put(request->context->coordinator, &request->caller, &entry, &err) < 0)
        return api_problem_err(response, name, &err);
    return api_answer(response, 200, json_pack("{s:s, s:s}", "host", name, "state", state));
}

static int change_state(struct api_request *request, struct api_response *response, const char *state)
{
    json_t *host = find_host(request, response);

    if (!host)
        return 0;
    json_decref(host);
    return put_state(request, response, state);
}

int api_hosts_drain(struct api_request *request, struct api_response *response)
{
    return change_state(request, response, "draining");
}

int api_hosts_resume(struct api_request *request, struct api_response *response)
{
    return change_state(request, response, "enrolled");
}

int api_hosts_remove(struct api_request *request, struct api_response *response)
{
    const char *force = facts_get(&request->query, "force");
    json_t *host = find_host(request, response);

    if (!host)
        return 0;
    bool alive = json_is_true(json_object_get(host, "alive"));
    json_decref(host);
    if (alive && (!force || strcmp(force, "true") != 0))
        return api_problem(response, 409, "conflict", request->arguments[0],
                           "Stop its worker first (systemctl stop fleetsnap-worker), or --force",
                           "host %s is alive; its worker would be refused from now on", request->arguments[0]);
    return put_state(request, response, "removed");
}
