/*
 * Synchronous calls on the same state machine: poll(2) until the answer is there or the time is over. So they connect, log in, time out and heal exactly as the
 * pipelined ones do. A call does not wait for the pause after a failure to end: it tries at once, and gives up when that attempt fails.
 */
#include "base/clock.h"
#include "base/err.h"
#include "redis/connection.h"

#include <assert.h>
#include <poll.h>
#include <string.h>

struct pending { /* one answer that is waited for */
    struct redis *redis;
    struct redis_reply *reply;
    bool done;
};

static void keep_reply(void *context, enum redis_outcome outcome, const struct redis_reply *reply)
{
    struct pending *pending = context;

    pending->done = true;
    if (outcome == REDIS_LOST)
        return;
    pending->reply = (struct redis_reply *)reply;
    pending->redis->reply_taken = true;
}

static void turn(struct redis *redis)
{
    struct pollfd fd = {.fd = redis_fd(redis), .events = redis_events(redis)};
    int ready = poll(&fd, 1, redis_wait_ms(redis));

    redis_process(redis, ready > 0 ? fd.revents : 0);
}

static int unreachable(const struct redis *redis, struct err *err)
{
    if (redis->state != REDIS_DOWN)
        return err_set(err, ERR_RETRY, "redis %s: no answer for %d ms", redis->address, redis->timeout_ms);
    err_set(err, redis->refused ? ERR_PERMANENT : ERR_RETRY, "redis %s: %s", redis->address, redis_problem(redis));
    return redis->refused ? err_hint(err, "check the user, its password and its rights (ACL LIST)") : -1;
}

static int wait_ready(struct redis *redis, struct err *err)
{
    int64_t end = clock_monotonic_ms() + redis->timeout_ms;
    struct pollfd fd = {.fd = redis_fd(redis), .events = POLLIN};

    /* A server that went away while nobody asked is noticed here, not by losing the command. */
    if (redis_ready(redis) && poll(&fd, 1, 0) > 0)
        redis_process(redis, fd.revents);
    if (redis->state == REDIS_DOWN) {
        redis_connect_now(redis);
        redis_process(redis, 0);
    }
    while (!redis_ready(redis) && redis->state != REDIS_DOWN && clock_monotonic_ms() < end)
        turn(redis);
    return redis_ready(redis) ? 0 : unreachable(redis, err);
}

/* BUSY, TRYAGAIN, NOREPLICAS and the like pass; NOPERM, WRONGTYPE, ERR do not. The first word of an error is its code. */
static enum err_kind refusal_kind(const struct redis_reply *reply)
{
    static const char *const passing[] = {"BUSY",        "TRYAGAIN", "NOREPLICAS", "MISCONF",   "OOM",
                                          "CLUSTERDOWN", "LOADING",  "READONLY",   "MASTERDOWN"};
    const char *text = redis_reply_text(reply);

    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++) {
        size_t len = strlen(passing[i]);
        if (strncmp(text, passing[i], len) == 0 && text[len] == ' ')
            return ERR_RETRY;
    }
    return ERR_PERMANENT;
}

struct redis_reply *redis_call(struct redis *redis, struct err *err, int argc, const char *const *argv,
                               const size_t *lengths)
{
    struct pending pending = {.redis = redis};

    assert(redis_in_flight(redis) == 0);
    if (wait_ready(redis, err) < 0)
        return NULL;
    redis_send(redis, argc, argv, lengths, keep_reply, &pending);
    redis_process(redis, 0);
    while (!pending.done)
        turn(redis);
    if (!pending.reply) {
        err_set(err, ERR_RETRY, "redis %s: %s", redis->address, redis->problem);
        return NULL;
    }
    if (redis_reply_is_error(pending.reply)) {
        err_set(err, refusal_kind(pending.reply), "redis %s: %s", redis->address, redis_reply_text(pending.reply));
        redis_reply_free(pending.reply);
        return NULL;
    }
    return pending.reply;
}

/* In portions, so that the pending answers need no memory of their own. */
static size_t call_portion(struct redis *redis, size_t count, const int *argcs, const char *const *const *argvs,
                           struct redis_reply **out)
{
    enum { PORTION = 256 };
    struct pending pending[PORTION];
    size_t portion = count < PORTION ? count : PORTION;

    for (size_t i = 0; i < portion; i++) {
        pending[i] = (struct pending){.redis = redis};
        redis_send(redis, argcs[i], argvs[i], NULL, keep_reply, &pending[i]);
    }
    redis_process(redis, 0);
    for (size_t i = 0; i < portion; i++) {
        while (!pending[i].done)
            turn(redis);
        out[i] = pending[i].reply;
    }
    return portion;
}

int redis_call_many(struct redis *redis, size_t count, const int *argcs, const char *const *const *argvs,
                    struct redis_reply **out, struct err *err)
{
    size_t lost = 0;

    assert(redis_in_flight(redis) == 0);
    memset(out, 0, count * sizeof *out);
    if (wait_ready(redis, err) < 0)
        return -1;
    for (size_t at = 0; at < count;)
        at += call_portion(redis, count - at, argcs + at, argvs + at, out + at);
    for (size_t i = 0; i < count; i++)
        lost += !out[i];
    return lost ? err_set(err, ERR_RETRY, "redis %s: %zu of %zu not answered: %s", redis->address, lost, count,
                          redis->problem)
                : 0;
}
