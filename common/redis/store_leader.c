/* What the leader asks, one call at a time: functions, epoch, term, holds, pins; and what doctor and the API read. */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/parse.h"
#include "redis/store_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void replyp(struct redis_reply **reply)
{
    redis_reply_free(*reply);
}

static void commandp(struct store_command *command)
{
    store_command_clear(command);
}

/* ---- the library ---- */

int store_load_functions(struct redis *redis, struct err *err)
{
    size_t len = (size_t)(store_functions_lua_end - store_functions_lua);
    const char *const argv[] = {"FUNCTION", "LOAD", "REPLACE", store_functions_lua};
    const size_t lengths[] = {8, 4, 7, len};
    CLEANUP(replyp) struct redis_reply *reply = redis_call(redis, err, 4, argv, lengths);

    return reply ? 0 : err_wrap(err, "loading the functions");
}

bool store_functions_present(struct redis *redis, struct err *err)
{
    char name[32];
    const char *const argv[] = {"FUNCTION", "LIST", "LIBRARYNAME", name};

    snprintf(name, sizeof name, "fleetsnap_%d", STORE_FUNCTIONS_VERSION);
    CLEANUP(replyp) struct redis_reply *reply = redis_call(redis, err, 4, argv, NULL);
    return redis_reply_count(reply) > 0;
}

/* ---- term and epoch ---- */

/* 1: OK, 0: refused by a word (deposed, another server run), -1: no answer. */
static int decide(struct redis *redis, struct store_command *command, const char *subject, struct err *err)
{
    static const struct word words[] = {{"OK", 1}, {"TERM", 0}, {"RUN", 0}, {"OLD", 0}, {0}};

    if (command_end(command, subject, err) < 0)
        return -1;
    CLEANUP(replyp) struct redis_reply *reply = store_call(redis, command, err);
    if (!reply)
        return -1;
    int word = answer_word(reply, words, -1);
    return word < 0 ? err_set(err, ERR_PERMANENT, "redis: %s: an answer that is not understood", subject) : word;
}

int store_term_raise(struct redis *redis, int64_t term, bool *out_ok, struct err *err)
{
    CLEANUP(commandp) struct store_command command = {0};
    int decided;

    command_begin(&command, "fs_term");
    command_add_int(&command, term);
    decided = decide(redis, &command, "the term", err);
    if (decided >= 0)
        *out_ok = decided == 1;
    return decided < 0 ? -1 : 0;
}

static int must(int decided, int64_t term, struct err *err)
{
    if (decided == 0)
        return err_set(err, ERR_CONFLICT, "redis: term %lld is over: another coordinator leads", (long long)term);
    return decided < 0 ? -1 : 0;
}

int store_leader_hint(struct redis *redis, int64_t term, const char *who, struct err *err)
{
    CLEANUP(commandp) struct store_command command = {0};

    command_begin(&command, "fs_leader");
    command_add_int(&command, term);
    command_add(&command, who);
    return must(decide(redis, &command, "the leader", err), term, err);
}

int store_epoch_write(struct redis *redis, int64_t term, int64_t n, const char *run_id, bool *out_written,
                      struct err *err)
{
    CLEANUP(commandp) struct store_command command = {0};
    int decided;

    command_begin(&command, "fs_epoch");
    command_add_int(&command, term);
    command_add_int(&command, n);
    command_add(&command, run_id);
    decided = decide(redis, &command, "the epoch", err);
    if (decided >= 0)
        *out_written = decided == 1;
    return decided < 0 ? -1 : 0;
}

int store_epoch_read(struct redis *redis, struct store_epoch *out, struct err *err)
{
    static const char *const argv[] = {"GET", "fs:epoch"};
    CLEANUP(replyp) struct redis_reply *reply = redis_call(redis, err, 2, argv, NULL);
    const char *text = redis_reply_text(reply);
    char digits[24] = "";

    if (!reply)
        return -1;
    *out = (struct store_epoch){0};
    size_t len = text ? strcspn(text, ":") : 0;
    if (len == 0 || len >= sizeof digits || !text[len])
        return 0;
    memcpy(digits, text, len);
    if (parse_int(digits, 1, INT64_MAX, &out->n, NULL) == 0)
        snprintf(out->run_id, sizeof out->run_id, "%s", text + len + 1);
    return 0;
}

/* ---- holds and pins: of any number, so not a struct store_command ---- */

static int replace(struct redis *redis, int64_t term, const char **argv, size_t argc, struct err *err)
{
    static const struct word words[] = {{"OK", 1}, {"TERM", 0}, {0}};
    char number[24];

    snprintf(number, sizeof number, "%lld", (long long)term);
    argv[3] = number;
    CLEANUP(replyp) struct redis_reply *reply = redis_call(redis, err, (int)argc, argv, NULL);
    return reply ? must(answer_word(reply, words, 0), term, err) : -1;
}

/* FCALL function 0 term [first] rest... */
static int replace_with(struct redis *redis, const char *function, int64_t term, const char *first,
                        const struct strings *rest, struct err *err)
{
    CLEANUP(freep) const char **argv = calloc(5 + rest->count, sizeof *argv);
    size_t argc = 4;

    if (!argv)
        return err_memory(err, "redis command");
    argv[0] = "FCALL";
    argv[1] = function;
    argv[2] = "0";
    if (first)
        argv[argc++] = first;
    for (size_t i = 0; i < rest->count; i++)
        argv[argc++] = rest->items[i];
    return replace(redis, term, argv, argc, err);
}

int store_holds_write(struct redis *redis, int64_t term, const struct strings *pairs, struct err *err)
{
    return replace_with(redis, "fs_hold", term, NULL, pairs, err);
}

int store_pins_write(struct redis *redis, int64_t term, const char *key, const struct strings *points, struct err *err)
{
    return replace_with(redis, "fs_pins", term, key, points, err);
}

int store_pins_keys(struct redis *redis, int64_t term, const struct strings *keys, struct err *err)
{
    return replace_with(redis, "fs_pins_of", term, NULL, keys, err);
}

/* ---- reading ---- */

int store_job_read(struct redis *redis, const char *job_id, struct store_job *out, struct err *err)
{
    char key[160];
    const char *const argv[] = {"HMGET",  key,       "host",  "state", "owner", "phase",
                                "cancel", "control", "token", "done",  "total", "heartbeat"};

    snprintf(key, sizeof key, "fs:job:%s", job_id);
    CLEANUP(replyp) struct redis_reply *reply = redis_call(redis, err, sizeof argv / sizeof *argv, argv, NULL);
    if (!reply)
        return -1;
    *out = (struct store_job){0};
    const char *host = redis_reply_text(redis_reply_at(reply, 0));
    const char *owner = redis_reply_text(redis_reply_at(reply, 2));
    answer_text(reply, 1, out->state, sizeof out->state);
    out->found = host || out->state[0];
    if (host && owner)
        snprintf(out->owner, sizeof out->owner, "%s/%s", host, owner);
    answer_text(reply, 3, out->phase, sizeof out->phase);
    answer_text(reply, 4, out->cancel, sizeof out->cancel);
    answer_text(reply, 5, out->control, sizeof out->control);
    out->token = redis_reply_int(redis_reply_at(reply, 6), 0);
    out->done = redis_reply_int(redis_reply_at(reply, 7), 0);
    out->total = redis_reply_int(redis_reply_at(reply, 8), 0);
    out->heartbeat_ms = redis_reply_int(redis_reply_at(reply, 9), 0);
    return 0;
}

int store_time_us(struct redis *redis, int64_t *out, struct err *err)
{
    static const char *const argv[] = {"TIME"};
    CLEANUP(replyp) struct redis_reply *reply = redis_call(redis, err, 1, argv, NULL);

    if (!reply)
        return -1;
    *out = redis_reply_int(redis_reply_at(reply, 0), 0) * 1000000 + redis_reply_int(redis_reply_at(reply, 1), 0);
    return 0;
}

/* The value of one "name:value" line of INFO; "" if there is none. */
static void info_line(const struct redis_reply *reply, const char *name, char *out, size_t size)
{
    const char *text = redis_reply_text(reply);
    size_t len = strlen(name);

    out[0] = '\0';
    for (const char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        if (strncmp(line, name, len) == 0 && line[len] == ':')
            snprintf(out, size, "%.*s", (int)strcspn(line + len + 1, "\r\n"), line + len + 1);
    }
}

int store_server_read(struct redis *redis, struct store_server *out, struct err *err)
{
    static const char *const argv[] = {"INFO"};
    CLEANUP(replyp) struct redis_reply *reply = redis_call(redis, err, 1, argv, NULL);
    char append_only[8];

    if (!reply)
        return -1;
    info_line(reply, "redis_version", out->version, sizeof out->version);
    info_line(reply, "run_id", out->run_id, sizeof out->run_id);
    info_line(reply, "maxmemory_policy", out->policy, sizeof out->policy);
    info_line(reply, "aof_enabled", append_only, sizeof append_only);
    out->append_only = strcmp(append_only, "1") == 0;
    return 0;
}
