/* What makes a host, a target or a Redis server good, bad or worth a look. */
#include "base/err.h"
#include "base/parse.h"
#include "coordinator/api/doctor.h"
#include "redis/redis.h"

#include <stdio.h>
#include <string.h>

enum { SKEW_WARN_MS = 1000, SKEW_FAIL_MS = 30 * 1000 };

static void check_backends(const json_t *host, const char *subject, json_t *checks)
{
    const json_t *backend;
    size_t index;

    json_array_foreach(json_object_get(host, "backends"), index, backend)
    {
        const char *text = json_text(backend, "text"), *kind = json_text(backend, "kind");
        if (!json_is_true(json_object_get(backend, "ok")))
            doctor_add(checks, "fail", subject, "On the host: systemctl status libvirtd; virsh list", "%s: %s",
                       kind ? kind : "?", text ? text : "does not answer");
    }
}

/* Whether a repository was made there, or below it: then a missing marker means that something is not mounted. */
static bool was_made(const json_t *made, const char *host, const char *path)
{
    const json_t *item;
    size_t index, len = strlen(path);

    json_array_foreach(made, index, item)
    {
        const char *own = json_text(item, "path");
        if (own && strcmp(json_text(item, "host"), host) == 0 && strncmp(own, path, len) == 0 &&
            (!own[len] || own[len] == '/'))
            return true;
    }
    return false;
}

static void check_missing(const json_t *place, const json_t *made, const char *host, json_t *checks)
{
    const char *name = json_text(place, "name"), *path = json_text(place, "path"), *text = json_text(place, "text");
    char subject[96], label[300];

    snprintf(subject, sizeof subject, "host %s", host);
    snprintf(label, sizeof label, "repository %s", name ? name : "?");
    if (!json_text(place, "id") && path && !was_made(made, host, path)) {
        char hint[400];
        snprintf(hint, sizeof hint, "fleetsnap repository init NAME --host %.64s --path %.250s/NAME", host, path);
        doctor_add(checks, "warn", subject, hint, "no repository in %s yet", path);
        return;
    }
    bool said = text && strncmp(text, label, strlen(label)) == 0; /* the worker's text names it itself */
    doctor_add(checks, "fail", subject, "Mount it, or take it out of worker.yaml", "%s%s%s", said ? "" : label,
               said ? "" : ": ", text ? text : "is not usable");
}

static void check_space(const json_t *host, const json_t *made, const char *subject, json_t *checks)
{
    const json_t *place;
    size_t index;
    char left[32], least[32];

    json_array_foreach(json_object_get(host, "repositories"), index, place)
    {
        const char *name = json_text(place, "name");
        int64_t free_bytes = json_int(place, "free_bytes"), min_bytes = json_int(place, "min_free_bytes");
        if (!json_is_true(json_object_get(place, "ok")))
            check_missing(place, made, json_text(host, "host"), checks);
        else if (free_bytes < min_bytes)
            doctor_add(checks, "warn", subject, "Delete backups, or give it more room: fleetsnap repository show",
                       "repository %s has %s free, and keeps %s: backups to it are refused", name ? name : "?",
                       format_size(free_bytes, left, sizeof left), format_size(min_bytes, least, sizeof least));
    }
}

static void check_clock(const json_t *host, const char *subject, json_t *checks)
{
    int64_t skew = json_int(host, "clock_skew_ms");
    int64_t size = skew < 0 ? -skew : skew;
    char text[32];

    if (size >= SKEW_WARN_MS)
        doctor_add(checks, size >= SKEW_FAIL_MS ? "fail" : "warn", subject,
                   "On the host: chronyc tracking, or timedatectl", "its clock is %s %s",
                   format_duration(size, text, sizeof text), skew < 0 ? "behind" : "ahead");
}

/* "libvirt 9.0.0, QEMU 7.2, clock +3 ms, journal 1.2 MiB, 0 waiting" */
static void describe(const json_t *host, char *out, size_t size)
{
    const char *version = json_text(json_array_get(json_object_get(host, "backends"), 0), "version");
    char journal[32];

    snprintf(out, size, "%s%sclock %+lld ms, journal %s, %lld waiting", version ? version : "", version ? ", " : "",
             (long long)json_int(host, "clock_skew_ms"),
             format_size(json_int(host, "journal_bytes"), journal, sizeof journal),
             (long long)json_int(host, "waiting"));
}

static void silent_host(const json_t *host, const char *subject, int64_t now_ms, json_t *checks)
{
    const char *heartbeat = json_text(host, "heartbeat_at"), *state = json_text(host, "state");
    int64_t open = json_int(host, "open_jobs"), at_ms = 0;
    char since[64] = "it never reported", waiting[64] = "", age[32];

    if (heartbeat && parse_time(heartbeat, &at_ms, NULL) == 0 && at_ms > 0)
        snprintf(since, sizeof since, "no heartbeat for %s", format_duration(now_ms - at_ms, age, sizeof age));
    if (open > 0)
        snprintf(waiting, sizeof waiting, "; %lld job%s for it", (long long)open, open == 1 ? " waits" : "s wait");
    doctor_add(checks, "fail", subject, "On the host: systemctl status fleetsnap-worker; journalctl -u fleetsnap-worker",
               "%s%s%s%s", since, at_ms && state ? "; last seen " : "", at_ms && state ? state : "", waiting);
}

void doctor_host(const json_t *host, const json_t *made, int64_t now_ms, json_t *checks)
{
    const char *name = json_text(host, "host"), *own = json_text(host, "state"), *told = json_text(host, "ledger_state");
    char subject[96], text[256];

    snprintf(subject, sizeof subject, "host %s", name ? name : "?");
    if (!json_is_true(json_object_get(host, "alive"))) {
        silent_host(host, subject, now_ms, checks);
        return;
    }
    size_t before = json_array_size(checks);
    check_backends(host, subject, checks);
    check_space(host, made, subject, checks);
    check_clock(host, subject, checks);
    if ((own && strcmp(own, "draining") == 0) || (told && strcmp(told, "draining") == 0))
        doctor_add(checks, "warn", subject, "Let it work again: fleetsnap host resume",
                   "is draining: it takes no new jobs");
    if (own && strcmp(own, "full") == 0)
        doctor_add(checks, "fail", subject, "On the host: make room in the file system of the worker's state_directory",
                   "has no room for its journal: it takes no new jobs");
    if (json_int(host, "parked") > 0)
        doctor_add(checks, "warn", subject, "fleetsnap jobs --state PARKED, then fleetsnap job resolve",
                   "%lld parked: what they did is not known, and their targets are closed",
                   (long long)json_int(host, "parked"));
    describe(host, text, sizeof text);
    if (json_array_size(checks) == before)
        doctor_add(checks, "ok", subject, NULL, "%s", text);
}

void doctor_target(const json_t *target, json_t *checks)
{
    const char *name = json_text(json_object_get(target, "target"), "name");
    const char *state = json_text(target, "state"), *agent = json_text(target, "agent");

    if (!name || !state || strcmp(state, "running") != 0 || !agent)
        return;
    if (strcmp(agent, "silent") == 0)
        doctor_add(checks, "warn", name, "In the guest: systemctl status qemu-guest-agent",
                   "guest agent does not answer: backups will be crash-consistent");
    else if (strcmp(agent, "none") == 0)
        doctor_add(checks, "warn", name,
                   "Add the channel org.qemu.guest_agent.0, and install qemu-guest-agent in the guest",
                   "has no guest agent: backups will be crash-consistent");
}

/* The value of "name:value\r\n" in INFO's text. */
static const char *info_value(const char *info, const char *name, char *out, size_t size)
{
    size_t len = strlen(name);
    const char *at = info;

    while (at && (strncmp(at, name, len) != 0 || at[len] != ':')) {
        at = strchr(at, '\n');
        at = at ? at + 1 : NULL;
    }
    snprintf(out, size, "%.*s", at ? (int)strcspn(at + len + 1, "\r\n") : 1, at ? at + len + 1 : "?");
    return out;
}

bool doctor_redis_rebuild(const struct coordinator_state *state, json_t *checks)
{
    char left[32];

    if (!state->redis_rebuilding)
        return false;
    if (state->rebuild_left_ms > 0)
        doctor_add(checks, "warn", "redis", "It ends by itself; meanwhile what changes something waits",
                   "was restarted or lost its memory (epoch %lld): holders have another %s to take back their locks",
                   (long long)state->epoch, format_duration(state->rebuild_left_ms / 1000 * 1000, left, sizeof left));
    else
        doctor_add(checks, "warn", "redis", "It ends by itself; meanwhile nothing new is published",
                   "was restarted or lost its memory (epoch %lld): the tickets of %lld job%s are written anew",
                   (long long)state->epoch, (long long)state->jobs_open, state->jobs_open == 1 ? "" : "s");
    return true;
}

void doctor_redis_info(const char *info, json_t *checks)
{
    char version[32], append[8], policy[32];
    size_t before = json_array_size(checks);

    info_value(info, "redis_version", version, sizeof version);
    info_value(info, "aof_enabled", append, sizeof append);
    info_value(info, "maxmemory_policy", policy, sizeof policy);
    if (strcmp(append, "1") != 0)
        doctor_add(checks, "fail", "redis", "redis.conf: appendonly yes", "is not append-only: a restart loses locks");
    if (strcmp(policy, "noeviction") != 0)
        doctor_add(checks, "fail", "redis", "redis.conf: maxmemory-policy noeviction",
                   "may evict keys (%s): locks could vanish", policy);
    if (version[0] < '7' && version[1] == '.')
        doctor_add(checks, "fail", "redis", "Redis 7.0 or later has functions", "is version %s", version);
    if (json_array_size(checks) == before)
        doctor_add(checks, "ok", "redis", NULL, "%s, append-only, noeviction", version);
}

void doctor_redis(const struct redis_options *options, json_t *checks)
{
    static const char *const argv[] = {"INFO", "everything"};
    struct redis *redis = NULL;
    struct redis_reply *reply = NULL;
    struct err err = {0};

    if (redis_new(options, &redis, &err) == 0)
        reply = redis_call(redis, &err, 2, argv, NULL);
    if (reply && !redis_reply_is_error(reply) && redis_reply_text(reply))
        doctor_redis_info(redis_reply_text(reply), checks);
    else
        doctor_add(checks, "fail", "redis", "Is it up, and may the coordinator's user ask INFO?", "%s",
                   reply && redis_reply_text(reply) ? redis_reply_text(reply) : err.text);
    redis_reply_free(reply);
    redis_free(redis);
}
