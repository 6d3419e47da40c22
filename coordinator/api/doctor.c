/*
 * GET /v1/doctor: one line for each thing that can be wrong, with what to do. Each check is a function that adds its findings; the ones of hosts and targets judge the
 * view's records alone.
 */
#include "coordinator/api/doctor.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/parse.h"
#include "kafka/kafka.h"
#include "model/topics.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void doctor_add(json_t *checks, const char *status, const char *subject, const char *hint, const char *format, ...)
{
    char text[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    json_array_append_new(
        checks, json_pack("{s:s, s:s, s:s, s:s*}", "status", status, "subject", subject, "text", text, "hint", hint));
}

static void check_leader(const struct coordinator_state *state, json_t *checks)
{
    char subject[96];

    snprintf(subject, sizeof subject, "coordinator %s", state->name);
    if (state->leading)
        doctor_add(checks, "ok", subject, NULL, "leads, term %lld, %lld job%s open", (long long)state->term,
                   (long long)state->jobs_open, state->jobs_open == 1 ? "" : "s");
    else
        doctor_add(checks, "warn", subject, "Ask the leader, or wait: a standby takes over within 15 s",
                   "does not lead; %lld records behind", (long long)state->ledger_lag);
}

static void check_topics(const struct api_config *config, json_t *checks)
{
    struct kafka_topic_problem problems[32];
    struct err err = {0};
    size_t count = 0;
    int brokers = 0;

    if (kafka_broker_info(config->kafka, 3000, &brokers, &err) < 0 ||
        kafka_topics_check(config->kafka, config->dev, problems, 32, &count, &err) < 0) {
        doctor_add(checks, "fail", "kafka", "Are the brokers up, and is kafka.brokers right?", "%s", err.text);
        return;
    }
    if (count == 0)
        doctor_add(checks, "ok", "kafka", NULL, "%d broker%s, %d topics as they should be", brokers,
                   brokers == 1 ? "" : "s", TOPIC_COUNT);
    for (size_t i = 0; i < count; i++)
        doctor_add(checks, "fail", problems[i].topic,
                   "What would be created: fleetsnap topic init --config FILE --dry-run", "%s", problems[i].text);
}

static void check_kafka(const struct api_config *config, const struct coordinator_state *state, json_t *checks)
{
    if (!state->kafka_ok)
        doctor_add(checks, "fail", "kafka", "Running jobs go on; nothing new is published until brokers answer", "%s",
                   *state->kafka_problem ? state->kafka_problem : "does not answer");
    else if (config->kafka)
        check_topics(config, checks);
    else
        doctor_add(checks, "ok", "kafka", NULL, "answers");
}

void doctor_webhooks(const struct coordinator_state *state, json_t *checks)
{
    long long waiting = state->notify_waiting, given_up = state->notify_given_up, not_kept = state->notify_not_kept;

    if (!state->notify_webhooks)
        return;
    if (*state->notify_problem)
        doctor_add(checks, "warn", "webhooks", "Is the receiver up? docs/monitoring.md says what it must answer",
                   "%s; %lld events wait", state->notify_problem, waiting);
    if (given_up || not_kept)
        doctor_add(checks, "warn", "webhooks", "What is wrong now: fleetsnap doctor, fleetsnap report, fleetsnap jobs",
                   "%lld events were given up since the start, %lld are too many to be told", given_up, not_kept);
    else if (!*state->notify_problem)
        doctor_add(checks, "ok", "webhooks", NULL, "%lld told of what goes wrong, %lld events wait",
                   (long long)state->notify_webhooks, waiting);
}

static const char *name_of(const json_t *repositories, const char *id)
{
    const json_t *item;
    size_t index;

    json_array_foreach(repositories, index, item)
    {
        if (json_text(item, "id") && json_text(item, "name") && strcmp(json_text(item, "id"), id) == 0)
            return json_text(item, "name");
    }
    return id;
}

void doctor_breakers(const struct coordinator_state *state, const json_t *repositories, int64_t now_ms, json_t *checks)
{
    size_t shown = state->breaker_count < STATE_BREAKERS ? state->breaker_count : STATE_BREAKERS;
    char subject[128], wait[32];

    for (size_t i = 0; i < shown; i++) {
        const struct coordinator_breaker *its = &state->breakers[i];
        int64_t left_ms = its->probe_at_ms - now_ms;
        snprintf(subject, sizeof subject, "%s %s", its->kind,
                 strcmp(its->kind, "host") == 0 ? its->name : name_of(repositories, its->name));
        if (left_ms > 0)
            doctor_add(checks, "warn", subject, "Why: fleetsnap jobs --state FAILED, fleetsnap report",
                       "%lld jobs of policies in a row have failed: they start none for %s, then one, to see",
                       (long long)its->failures, format_duration((left_ms + 999) / 1000 * 1000, wait, sizeof wait));
        else
            doctor_add(checks, "warn", subject, "Why: fleetsnap jobs --state FAILED, fleetsnap report",
                       "%lld jobs of policies in a row have failed: they start one at a time until one succeeds",
                       (long long)its->failures);
    }
    if (state->breaker_count > shown)
        doctor_add(checks, "warn", "policies", "Why: fleetsnap jobs --state FAILED, fleetsnap report",
                   "%zu more hosts and repositories are spared after failures", state->breaker_count - shown);
}

static void check_breakers(struct api_request *request, const struct coordinator_state *state, json_t *checks)
{
    struct view_filter filter = {.limit = 1000};
    json_t *page = NULL;

    if (!state->breaker_count)
        return;
    view_repositories(request->reader, &filter, &page, NULL); /* else by their ids */
    doctor_breakers(state, json_object_get(page, "items"), clock_real_ms(), checks);
    json_decref(page);
}

static int add_made(void *context, const struct ledger_entry *entry, struct err *err)
{
    const struct ledger_repository *repository = entry->gone ? NULL : entry->repository;

    (void)err;
    if (repository && repository->host && repository->path)
        json_array_append_new(context, json_pack("{s:s, s:s}", "host", repository->host, "path", repository->path));
    return 0;
}

/* Takes out of `made` what a later repository.remove took out of the fleet. */
static void drop_removed(struct api_request *request, json_t *made)
{
    struct view_filter filter = {.op = "repository.remove", .state = "SUCCEEDED", .limit = 1000};
    json_t *page = NULL, *job;
    size_t index;

    if (view_jobs(request->reader, &filter, &page, NULL) < 0)
        return;
    json_array_foreach(json_object_get(page, "items"), index, job)
    {
        const char *host = json_text(job, "host"), *at = json_text(job, "issued_at");
        const char *path = json_text(json_object_get(json_object_get(job, "params"), "repository"), "path");

        for (size_t i = json_array_size(made); i-- > 0 && host && path && at;) {
            const json_t *item = json_array_get(made, i);
            const char *made_at = json_text(item, "at");

            if (!json_is_true(json_object_get(job, "dry_run")) && strcmp(json_text(item, "host"), host) == 0 &&
                strcmp(json_text(item, "path"), path) == 0 && (!made_at || strcmp(made_at, at) < 0))
                json_array_remove(made, i);
        }
    }
    json_decref(page);
}

/* The repositories that were ever made, and not removed since: by the ledger, and by the jobs that made them. Caller decrefs. */
static json_t *made_repositories(struct api_request *request)
{
    struct view_filter filter = {.op = "repository.init", .state = "SUCCEEDED", .limit = 1000};
    json_t *made = json_array(), *page = NULL, *job;
    size_t index;

    coordinator_each(request->context->coordinator, LEDGER_REPOSITORY, add_made, made, NULL);
    if (view_jobs(request->reader, &filter, &page, NULL) == 0) {
        json_array_foreach(json_object_get(page, "items"), index, job)
        {
            const char *host = json_text(job, "host"), *path = json_text(json_object_get(job, "params"), "path");
            if (host && path && !json_is_true(json_object_get(job, "dry_run")))
                json_array_append_new(
                    made, json_pack("{s:s, s:s, s:s?}", "host", host, "path", path, "at", json_text(job, "issued_at")));
        }
    }
    json_decref(page);
    drop_removed(request, made);
    return made;
}

/* A parked job has a line of its own; what the host counts beyond those is older than the view. */
static void judge_host(json_t *host, const json_t *made, const json_t *jobs, json_t *checks)
{
    int64_t told = doctor_parked_on(jobs, json_text(host, "host")), parked = json_int(host, "parked");

    json_object_set_new(host, "parked", json_integer(parked > told ? parked - told : 0));
    doctor_host(host, made, clock_real_ms(), checks);
}

static void check_all_hosts(struct api_request *request, const json_t *jobs, json_t *checks)
{
    struct view_filter filter = {.limit = 1000};
    json_t *page = NULL, *host;
    struct err err = {0};
    size_t index;

    if (view_hosts(request->reader, &filter, &page, &err) < 0) {
        doctor_add(checks, "fail", "view", "It is a cache: stop the coordinator, delete it, start again", "%s",
                   err.text);
        return;
    }
    if (json_array_size(json_object_get(page, "items")) == 0)
        doctor_add(checks, "warn", "hosts", "fleetsnap host enroll NAME --out DIR", "no host is enrolled");
    json_t *made = made_repositories(request);
    json_array_foreach(json_object_get(page, "items"), index, host) judge_host(host, made, jobs, checks);
    json_decref(made);
    json_decref(page);
}

static void check_all_targets(struct api_request *request, json_t *checks)
{
    CLEANUP(freep) char *selector = NULL;
    struct view_filter filter = {.limit = 1000};
    json_t *page = NULL, *target;
    struct err err = {0};
    size_t index;

    if (api_scope_selector(request, &selector, &err) == 0) {
        filter.selector = selector;
        if (view_targets(request->reader, &filter, &page, &err) == 0) {
            json_array_foreach(json_object_get(page, "items"), index, target) doctor_target(target, checks);
        }
    }
    json_decref(page);
}

static void check_redis(const struct api_config *config, const struct coordinator_state *state, json_t *checks)
{
    if (doctor_redis_rebuild(state, checks))
        return;
    if (!state->redis_ok)
        doctor_add(checks, "fail", "redis", "Reading jobs go on; what changes something waits until it answers", "%s",
                   *state->redis_problem ? state->redis_problem : "does not answer");
    else if (config->redis)
        doctor_redis(config->redis, checks);
    else
        doctor_add(checks, "ok", "redis", NULL, "answers, epoch %lld", (long long)state->epoch);
}

static bool all_ok(const json_t *checks)
{
    const json_t *check;
    size_t index;

    json_array_foreach(checks, index, check)
    {
        if (strcmp(json_text(check, "status"), "fail") == 0)
            return false;
    }
    return true;
}

int api_doctor(struct api_request *request, struct api_response *response)
{
    const struct api_config *config = &request->context->config;
    struct coordinator_state state = {0};
    json_t *checks = json_array();

    coordinator_state(request->context->coordinator, &state);
    check_leader(&state, checks);
    check_kafka(config, &state, checks);
    check_redis(config, &state, checks);
    doctor_webhooks(&state, checks);
    check_breakers(request, &state, checks);
    json_t *jobs = doctor_jobs(request);
    check_all_hosts(request, jobs, checks);
    doctor_job_lines(jobs, checks);
    json_decref(jobs);
    check_all_targets(request, checks);
    doctor_dead_letters(request, checks);
    return api_answer(response, 200, json_pack("{s:b, s:o}", "ok", all_ok(checks), "checks", checks));
}

int api_health(struct api_request *request, struct api_response *response)
{
    (void)request;
    return api_answer(response, 200, json_pack("{s:b, s:s}", "ok", 1, "version", FLEETSNAP_VERSION));
}

int api_state(struct api_request *request, struct api_response *response)
{
    struct coordinator_state state = {0};
    char started[40];

    coordinator_state(request->context->coordinator, &state);
    return api_answer(
        response, 200,
        json_pack("{s:s, s:b, s:I, s:I, s:{s:b, s:s, s:b}, s:{s:b, s:s}, s:I, s:I, s:s, s:s}", "name", state.name,
                  "leading", state.leading, "term", (json_int_t)state.term, "epoch", (json_int_t)state.epoch, "redis",
                  "ok", state.redis_ok, "problem", state.redis_problem, "rebuilding", state.redis_rebuilding, "kafka",
                  "ok", state.kafka_ok, "problem", state.kafka_problem, "jobs_open", (json_int_t)state.jobs_open,
                  "ledger_lag", (json_int_t)state.ledger_lag, "started_at",
                  format_rfc3339(state.started_at_ms, started, sizeof started), "version", FLEETSNAP_VERSION));
}
