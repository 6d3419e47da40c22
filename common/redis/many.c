/*
 * Calls of one function that are sent one behind the other become one: FCALL fs_x_many, with up to MANY_MAX commands in it. Each call costs the server a parse, an entry into
 * Lua and a transaction in its file, and the function asks for the time, the epoch or the term once for all of them. Nobody waits for others: what has gathered goes with
 * the write that would have sent each.
 *
 * Arguments that are the same in all (the host, the epoch) are sent once: a mask says which. The answer is an array of the answers. If it is anything else (a library of an
 * earlier version, no memory) every command is sent alone, and for a while all that follow.
 */
#include "base/clock.h"
#include "redis/connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MANY_MAX = 64, MANY_ARGS = 16, HEAD = 3, ALONE_MS = 10000 };

struct many {
    struct many *next, *spare;
    struct redis *redis;
    char function[32];
    int argc; /* of each command, without HEAD */
    size_t count;
    struct waiter waiters[MANY_MAX];
    size_t begins[MANY_MAX]; /* in data: the arguments of one, each with its NUL */
    char *data;
    size_t len, capacity;
    const char *arguments[MANY_MAX][MANY_ARGS];
    const char *argv[HEAD + 2 + MANY_MAX * MANY_ARGS];
};

static const char *const gathered[] = {"fs_acquire", "fs_finish", "fs_ticket"};

static bool may_gather(const struct redis *redis, int argc, const char *const *argv)
{
    if (redis->state != REDIS_READY || argc <= HEAD || argc > HEAD + MANY_ARGS ||
        (redis->alone_until_ms && clock_monotonic_ms() < redis->alone_until_ms))
        return false;
    for (size_t i = 0; i < sizeof gathered / sizeof *gathered; i++)
        if (strcmp(argv[1], gathered[i]) == 0)
            return true;
    return false;
}

static struct many *many_new(struct redis *redis)
{
    struct many *many = redis->spare_many;

    if (many) {
        redis->spare_many = many->spare;
        return many;
    }
    many = calloc(1, sizeof *many);
    if (!many)
        return NULL;
    many->redis = redis;
    many->next = redis->all_many;
    redis->all_many = many;
    return many;
}

static void many_end(struct many *many)
{
    many->count = many->len = 0;
    many->spare = many->redis->spare_many;
    many->redis->spare_many = many;
}

void many_free(struct redis *redis)
{
    for (struct many *many = redis->all_many, *next; many; many = next) {
        next = many->next;
        free(many->data);
        free(many);
    }
    redis->many = redis->all_many = redis->spare_many = NULL;
}

/* The arguments of the i-th; valid until data grows. */
static void find_arguments(struct many *many, size_t i)
{
    const char *at = many->data + many->begins[i];

    for (int k = 0; k < many->argc; k++) {
        many->arguments[i][k] = at;
        at += strlen(at) + 1;
    }
}

static bool append(struct many *many, const char *const *arguments)
{
    many->begins[many->count] = many->len;
    for (int k = 0; k < many->argc; k++) {
        size_t size = strlen(arguments[k]) + 1;
        if (many->len + size > many->capacity) {
            size_t capacity = (many->len + size) * 2;
            char *data = realloc(many->data, capacity);
            if (!data) {
                many->len = many->begins[many->count];
                return false;
            }
            many->data = data;
            many->capacity = capacity;
        }
        memcpy(many->data + many->len, arguments[k], size);
        many->len += size;
    }
    return true;
}

bool many_send(struct redis *redis, int argc, const char *const *argv, redis_callback *callback, void *context)
{
    if (!may_gather(redis, argc, argv))
        return false;
    if (redis->many && (redis->many->count == MANY_MAX || redis->many->argc != argc - HEAD ||
                        strcmp(redis->many->function, argv[1]) != 0))
        many_flush(redis);
    if (!redis->many) {
        redis->many = many_new(redis);
        if (!redis->many)
            return false;
        snprintf(redis->many->function, sizeof redis->many->function, "%s", argv[1]);
        redis->many->argc = argc - HEAD;
    }
    struct many *many = redis->many;
    if (!append(many, argv + HEAD))
        return false; /* alone, and the others before it */
    many->waiters[many->count++] = (struct waiter){.callback = callback, .context = context};
    return true;
}

static void send_alone(struct many *many, size_t i)
{
    find_arguments(many, i);
    many->argv[0] = "FCALL";
    many->argv[1] = many->function;
    many->argv[2] = "0";
    memcpy(many->argv + HEAD, many->arguments[i], (size_t)many->argc * sizeof *many->argv);
    redis_send(many->redis, HEAD + many->argc, many->argv, NULL, many->waiters[i].callback, many->waiters[i].context);
}

static bool went_wrong(const struct redis_reply *reply)
{
    const char *word = redis_reply_text(redis_reply_at(reply, 0));

    return word && strcmp(word, "ERROR") == 0;
}

static void answered(void *context, enum redis_outcome outcome, const struct redis_reply *reply)
{
    struct many *many = context;
    struct redis *redis = many->redis;
    bool refused = outcome == REDIS_ANSWERED && redis_reply_count(reply) != many->count;

    if (refused)
        redis->alone_until_ms = clock_monotonic_ms() + ALONE_MS;
    for (size_t i = 0; i < many->count; i++) {
        const struct waiter *waiter = &many->waiters[i];
        if (refused || (outcome == REDIS_ANSWERED && went_wrong(redis_reply_at(reply, i))))
            send_alone(many, i); /* and has the error to itself */
        else if (waiter->callback)
            waiter->callback(waiter->context, outcome, outcome == REDIS_ANSWERED ? redis_reply_at(reply, i) : NULL);
    }
    many_end(many);
}

/* '1': the same in all. There is always one that is not, or nobody could count them. */
static void find_mask(const struct many *many, char mask[MANY_ARGS + 1])
{
    bool same = true;

    for (int k = 0; k < many->argc; k++) {
        size_t i = 1;
        while (i < many->count && strcmp(many->arguments[i][k], many->arguments[0][k]) == 0)
            i++;
        mask[k] = i == many->count ? '1' : '0';
        same = same && mask[k] == '1';
    }
    mask[many->argc] = '\0';
    if (same)
        mask[0] = '0';
}

static int fill(struct many *many, const char *name, const char *count, const char *mask)
{
    const char *const head[] = {"FCALL", name, "0", count, mask};
    int argc = HEAD + 2;

    memcpy(many->argv, head, sizeof head);
    for (int k = 0; k < many->argc; k++)
        if (mask[k] == '1')
            many->argv[argc++] = many->arguments[0][k];
    for (size_t i = 0; i < many->count; i++)
        for (int k = 0; k < many->argc; k++)
            if (mask[k] == '0')
                many->argv[argc++] = many->arguments[i][k];
    return argc;
}

void many_flush(struct redis *redis)
{
    struct many *many = redis->many;
    char name[40], count[16], mask[MANY_ARGS + 1];

    redis->many = NULL;
    if (!many)
        return;
    if (many->count == 1) {
        send_alone(many, 0);
        many_end(many);
        return;
    }
    for (size_t i = 0; i < many->count; i++)
        find_arguments(many, i);
    find_mask(many, mask);
    snprintf(name, sizeof name, "%s_many", many->function);
    snprintf(count, sizeof count, "%d", many->argc);
    redis_send(redis, fill(many, name, count, mask), many->argv, NULL, answered, many);
}
