#include "base/err.h"
#include "base/text.h"
#include "coordinator/api/internal.h"
#include "model/target.h"

#include <stdio.h>
#include <string.h>

static const char *const status_words[] = {"running", "draining", "full", "silent", "unseen", NULL};

/* How the host stands, in one word: what it says of itself counts while it is alive. */
static const char *status_of(const json_t *host)
{
    const char *own = json_text(host, "state"), *told = json_text(host, "ledger_state");

    if (!json_is_true(json_object_get(host, "alive")))
        return json_text(host, "heartbeat_at") ? "silent" : "unseen";
    if (told && strcmp(told, "draining") == 0)
        return told;
    return own ? own : "running";
}

static void add_status(json_t *host)
{
    json_object_set_new(host, "status", json_string(status_of(host)));
}

/* Adds each one's status, and keeps those that have the one that is asked for. */
static void keep_status(json_t *page, const char *status)
{
    json_t *items = json_object_get(page, "items");

    for (size_t i = json_array_size(items); i-- > 0;) {
        json_t *host = json_array_get(items, i);
        add_status(host);
        if (status && strcmp(json_text(host, "status"), status) != 0)
            json_array_remove(items, i);
    }
}

int api_hosts_list(struct api_request *request, struct api_response *response)
{
    static const char *const allowed[] = {"state", "limit", "after", NULL};
    struct view_filter filter;
    const char *status;
    struct err err = {0};
    json_t *page = NULL;

    if (!api_filter(request, response, allowed, &filter))
        return 0;
    status = filter.state ? api_word(response, "state", filter.state, status_words) : NULL;
    if (filter.state && !status)
        return 0;
    filter.state = NULL; /* the view knows only what the host says of itself */
    int failed = view_hosts(request->reader, &filter, &page, &err);
    keep_status(page, status);
    return api_view(response, "hosts", failed, page, &err);
}

/* "Did you mean alpha?", or where all of them are. */
static void hint_of(struct api_request *request, const char *name, char *out, size_t size)
{
    struct view_filter filter = {.limit = 1000};
    json_t *page = NULL, *host;
    size_t index, least = 3;

    snprintf(out, size, "All of them: fleetsnap hosts");
    if (view_hosts(request->reader, &filter, &page, NULL) < 0)
        return;
    json_array_foreach(json_object_get(page, "items"), index, host)
    {
        size_t distance = text_distance(name, json_text(host, "host"));
        if (distance < least)
            snprintf(out, size, "Did you mean %s?", json_text(host, "host"));
        least = distance < least ? distance : least;
    }
    json_decref(page);
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
    char hint[128];
    if (host)
        return add_status(host), host;
    hint_of(request, name, hint, sizeof hint);
    api_problem(response, 404, "not_found", name, hint, "no host \"%s\"", name);
    return NULL;
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

/* Takes the key file over. */
static int answer_bundle(struct api_request *request, struct api_response *response, const char *host, char *key_file,
                         const json_t *before)
{
    json_t *body = bundle(&request->context->config, host, key_file);

    explicit_bzero(key_file, strlen(key_file));
    free(key_file);
    if (before)
        json_object_set(body, "before", (json_t *)before);
    return api_answer(response, 201, body);
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
    return answer_bundle(request, response, host, key_file, NULL);
}

/* Records the state that the host shall have from now on. */
static int put_state(struct api_request *request, struct api_response *response, const char *state)
{
    static const char *const members[] = {"reason", NULL};
    const char *name = request->arguments[0];
    struct err err = {0};

    if (!api_members(request, response, members) || !api_scope_is_all(request, response))
        return 0;
    if (coordinator_set_host(request->context->coordinator, &request->caller, name, state, api_text(request, "reason"),
                             &err) < 0)
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

static json_t *paths_of(const json_t *host, const char *member)
{
    json_t *paths = json_array(), *space;
    size_t index;

    json_array_foreach(json_object_get(host, member), index, space)
        json_array_append_new(paths, json_string(json_text(space, "path") ? json_text(space, "path") : ""));
    return paths;
}

/* What its worker last said of its configuration, for the machine that takes its place. */
static json_t *configuration_of(const json_t *host)
{
    const char *uri = NULL;
    json_t *backend;
    size_t index;

    json_array_foreach(json_object_get(host, "backends"), index,
                       backend) if (json_text(backend, "kind") && strcmp(json_text(backend, "kind"), "libvirt") == 0)
        uri = json_text(backend, "uri");
    return json_pack("{s:o, s:o, s:s?}", "pools", paths_of(host, "pools"), "repositories",
                     paths_of(host, "repositories"), "libvirt_uri", uri);
}

/* The host of the path, if nobody works there any more, or that is accepted. NULL: the response says why not. Caller decrefs. */
static json_t *find_dead_host(struct api_request *request, struct api_response *response, bool force)
{
    json_t *host = find_host(request, response);

    if (!host || force || !json_is_true(json_object_get(host, "alive")))
        return host;
    json_decref(host);
    api_problem(response, 409, "conflict", request->arguments[0],
                "Stop its worker first (systemctl stop fleetsnap-worker), or --force",
                "host %s is alive; its worker would be refused from now on", request->arguments[0]);
    return NULL;
}

int api_hosts_remove(struct api_request *request, struct api_response *response)
{
    const char *force = facts_get(&request->query, "force");
    json_t *host = find_dead_host(request, response, force && strcmp(force, "true") == 0);

    if (!host)
        return 0;
    json_decref(host);
    return put_state(request, response, "removed");
}

int api_hosts_replace(struct api_request *request, struct api_response *response)
{
    static const char *const members[] = {"reason", "force", NULL};
    const char *name = request->arguments[0];
    char *key_file = NULL;
    json_t *host;
    struct err err = {0};

    if (!api_members(request, response, members) || !api_scope_is_all(request, response) ||
        !(host = find_dead_host(request, response, api_flag(request, "force"))))
        return 0;
    json_t *before = configuration_of(host);
    json_decref(host);
    int result = coordinator_replace_host(request->context->coordinator, &request->caller, name,
                                          api_text(request, "reason"), &key_file, &err);
    result = result < 0 ? api_problem_err(response, name, &err)
                        : answer_bundle(request, response, name, key_file, before);
    json_decref(before);
    return result;
}
