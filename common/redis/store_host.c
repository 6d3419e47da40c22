/* Hosts and the space of repositories. */
#include "redis/store_internal.h"

#include "base/err.h"
#include "base/parse.h"

#include <stdio.h>
#include <string.h>

int store_claim_command(const struct store_claim *claim, struct store_command *out, struct err *err)
{
    command_begin(out, "fs_claim");
    command_add(out, claim->host);
    command_add(out, claim->instance);
    command_add(out, claim->boot_id);
    command_add(out, claim->state_directory);
    command_add(out, claim->version);
    command_add_int(out, claim->running);
    command_add_int(out, claim->free_bytes);
    command_add_int(out, claim->ttl_ms);
    command_add(out, claim->directory_locked ? "1" : "0");
    return command_end(out, claim->host, err);
}

enum claim_answer store_claim_answer(enum redis_outcome outcome, const struct redis_reply *reply, char detail[256])
{
    static const struct word words[] = {{"OK", CLAIM_OK}, {"OTHER", CLAIM_OTHER}, {0}};
    enum claim_answer answer;
    char instance[128];
    char left[32];

    if (outcome == REDIS_LOST)
        reply = NULL;
    answer = (enum claim_answer)answer_word(reply, words, CLAIM_NO_ANSWER);
    detail[0] = '\0';
    if (answer == CLAIM_OTHER) {
        answer_text(reply, 1, instance, sizeof instance);
        format_duration(redis_reply_int(redis_reply_at(reply, 2), 0), left, sizeof left);
        snprintf(detail, 256, "claimed by instance %s, which runs out in %s", instance, left);
    } else if (answer == CLAIM_NO_ANSWER) {
        answer_problem(reply, detail, 256);
    }
    return answer;
}

/* ---- what is known of hosts ---- */

enum { HOSTS_AT_ONCE = 128 };

struct host_question {
    char key[160];
    const char *fields[5], *left[2];
};

static void read_answer(const struct redis_reply *fields, const struct redis_reply *left, struct store_host *out)
{
    *out = (struct store_host){.ttl_ms = redis_reply_int(left, 0)};
    out->alive = redis_reply_text(redis_reply_at(fields, 0)) && out->ttl_ms > 0;
    answer_text(fields, 0, out->instance, sizeof out->instance);
    answer_text(fields, 1, out->version, sizeof out->version);
    out->running = redis_reply_int(redis_reply_at(fields, 2), 0);
}

static int read_some(struct redis *redis, const char *const hosts[], size_t count, struct store_host out[],
                     struct err *err)
{
    struct host_question questions[HOSTS_AT_ONCE];
    const char *const *commands[2 * HOSTS_AT_ONCE] = {0};
    int counts[2 * HOSTS_AT_ONCE] = {0};
    struct redis_reply *replies[2 * HOSTS_AT_ONCE] = {0};

    for (size_t i = 0; i < count; i++) {
        struct host_question *one = &questions[i];
        snprintf(one->key, sizeof one->key, "fs:host:%s", hosts[i]);
        memcpy(one->fields, ((const char *[]){"HMGET", one->key, "instance", "version", "running"}), sizeof one->fields);
        memcpy(one->left, ((const char *[]){"PTTL", one->key}), sizeof one->left);
        commands[2 * i] = one->fields;
        commands[2 * i + 1] = one->left;
        counts[2 * i] = 5;
        counts[2 * i + 1] = 2;
    }
    int result = redis_call_many(redis, 2 * count, counts, commands, replies, err);
    for (size_t i = 0; result == 0 && i < count; i++)
        read_answer(replies[2 * i], replies[2 * i + 1], &out[i]);
    for (size_t i = 0; i < 2 * count; i++)
        redis_reply_free(replies[i]);
    return result;
}

int store_hosts_read(struct redis *redis, const char *const hosts[], size_t count, struct store_host out[],
                     struct err *err)
{
    for (size_t at = 0; at < count; at += HOSTS_AT_ONCE) {
        size_t some = count - at < HOSTS_AT_ONCE ? count - at : HOSTS_AT_ONCE;
        if (read_some(redis, hosts + at, some, out + at, err) < 0)
            return -1;
    }
    return 0;
}

int store_reserve_command(const char *repository, const char *job_id, int64_t bytes, int64_t free_bytes,
                          int64_t min_free_bytes, struct store_command *out, struct err *err)
{
    command_begin(out, "fs_reserve");
    command_add(out, repository);
    command_add(out, job_id);
    command_add_int(out, bytes);
    command_add_int(out, free_bytes);
    command_add_int(out, min_free_bytes);
    return command_end(out, job_id, err);
}

enum reserve_answer store_reserve_answer(enum redis_outcome outcome, const struct redis_reply *reply,
                                         int64_t *out_reserved_total)
{
    static const struct word words[] = {{"OK", RESERVE_OK}, {"FULL", RESERVE_FULL}, {0}};
    enum reserve_answer answer = (enum reserve_answer)answer_word(outcome == REDIS_LOST ? NULL : reply, words,
                                                                  RESERVE_NO_ANSWER);

    if (answer != RESERVE_NO_ANSWER && out_reserved_total)
        *out_reserved_total = redis_reply_int(redis_reply_at(reply, 1), 0);
    return answer;
}

int store_unreserve_command(const char *repository, const char *job_id, struct store_command *out, struct err *err)
{
    command_begin(out, "fs_unreserve");
    command_add(out, repository);
    command_add(out, job_id);
    return command_end(out, job_id, err);
}
