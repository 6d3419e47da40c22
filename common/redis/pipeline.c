/*
 * Commands in flight: encoded into one buffer, written when the socket takes it, answered in the order they were sent. The answer to a command is found by
 * position alone, so a connection on which anything went wrong is never used again.
 *
 * What the server sends is bounded: an answer of more than REPLY_BYTES_MAX, or an array of more than REPLY_ITEMS_MAX, ends the connection.
 */
#include "base/clock.h"
#include "redis/connection.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    REPLY_BYTES_MAX = 64 * 1024 * 1024,
    REPLY_ITEMS_MAX = 1024 * 1024,
    UNSENT_MAX = 64 * 1024 * 1024,
    READ_BYTES = 64 * 1024,
    FIRST_WAITERS = 64,
};

/* ---- first in, first out ---- */

static bool waiters_grow(struct waiters *waiters)
{
    size_t capacity = waiters->capacity ? waiters->capacity * 2 : FIRST_WAITERS;
    struct waiter *items = calloc(capacity, sizeof *items);

    if (!items)
        return false;
    for (size_t i = 0; i < waiters->count; i++)
        items[i] = waiters->items[(waiters->first + i) & (waiters->capacity - 1)];
    free(waiters->items);
    waiters->items = items;
    waiters->capacity = capacity;
    waiters->first = 0;
    return true;
}

static bool waiters_add(struct waiters *waiters, struct waiter waiter)
{
    if (waiters->count == waiters->capacity && !waiters_grow(waiters))
        return false;
    waiters->items[(waiters->first + waiters->count++) & (waiters->capacity - 1)] = waiter;
    return true;
}

void waiters_push(struct waiters *waiters, struct waiter waiter)
{
    if (!waiters_add(waiters, waiter) && waiter.callback)
        waiter.callback(waiter.context, REDIS_LOST, NULL);
}

bool waiters_pop(struct waiters *waiters, struct waiter *out)
{
    if (waiters->count == 0)
        return false;
    *out = waiters->items[waiters->first];
    waiters->first = (waiters->first + 1) & (waiters->capacity - 1);
    waiters->count--;
    return true;
}

void waiters_free(struct waiters *waiters)
{
    free(waiters->items);
    *waiters = (struct waiters){0};
}

void redis_lose_flight(struct redis *redis)
{
    struct waiter waiter;

    while (waiters_pop(&redis->flight, &waiter)) {
        if (!waiter.internal && waiter.callback)
            waiters_push(&redis->lost, waiter);
    }
}

/* Only those lost before this call: a callback may send again, and lose again, for as long as the connection is down. */
void redis_tell_lost(struct redis *redis)
{
    struct waiter waiter;

    for (size_t left = redis->lost.count; left > 0 && waiters_pop(&redis->lost, &waiter); left--)
        waiter.callback(waiter.context, REDIS_LOST, NULL);
}

/* ---- writing ---- */

static bool reserve(struct redis *redis, size_t more)
{
    size_t capacity = redis->out_capacity ? redis->out_capacity : READ_BYTES;
    char *out;

    if (redis->out_len + more <= redis->out_capacity)
        return true;
    if (redis->out_len - redis->out_sent + more > UNSENT_MAX)
        return false;
    while (capacity < redis->out_len + more)
        capacity *= 2;
    out = realloc(redis->out, capacity);
    if (!out)
        return false;
    redis->out = out;
    redis->out_capacity = capacity;
    return true;
}

static void put_count(struct redis *redis, char mark, size_t count)
{
    char digits[24];
    char *at = digits + sizeof digits;

    *--at = '\n';
    *--at = '\r';
    do {
        *--at = (char)('0' + count % 10);
        count /= 10;
    } while (count);
    *--at = mark;
    memcpy(redis->out + redis->out_len, at, (size_t)(digits + sizeof digits - at));
    redis->out_len += (size_t)(digits + sizeof digits - at);
}

/* "*<argc>\r\n", then "$<length>\r\n<bytes>\r\n" each. Written here: hiredis would allocate and copy twice for it. */
bool redis_encode(struct redis *redis, int argc, const char *const *argv, const size_t *lengths)
{
    enum { NUMBER = 24 };
    size_t before = redis->out_len;

    if (!reserve(redis, NUMBER))
        return false;
    put_count(redis, '*', (size_t)argc);
    for (int i = 0; i < argc; i++) {
        size_t len = lengths ? lengths[i] : strlen(argv[i]);
        if (!reserve(redis, len + NUMBER + 2)) {
            redis->out_len = before;
            return false;
        }
        put_count(redis, '$', len);
        memcpy(redis->out + redis->out_len, argv[i], len);
        memcpy(redis->out + redis->out_len + len, "\r\n", 2);
        redis->out_len += len + 2;
    }
    return true;
}

void redis_send(struct redis *redis, int argc, const char *const *argv, const size_t *lengths, redis_callback *callback,
                void *context)
{
    struct waiter waiter = {.callback = callback, .context = context, .since_ms = clock_monotonic_ms()};

    many_flush(redis);
    size_t before = redis->out_len;
    if (redis->state == REDIS_READY && redis_encode(redis, argc, argv, lengths)) {
        if (waiters_add(&redis->flight, waiter))
            return;
        redis->out_len = before; /* nobody would wait for its answer, and all behind it would get the wrong one */
    }
    if (callback)
        waiters_push(&redis->lost, waiter);
}

void redis_write(struct redis *redis)
{
    many_flush(redis);
    while (redis->out_sent < redis->out_len) {
        ssize_t sent = send(redis->fd, redis->out + redis->out_sent, redis->out_len - redis->out_sent, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (sent < 0) {
            redis_fail(redis, "%s", strerror(errno));
            return;
        }
        redis->out_sent += (size_t)sent;
    }
    /* What is written is forgotten at the latest when it is more than what is not. */
    if (redis->out_sent > redis->out_len / 2) {
        memmove(redis->out, redis->out + redis->out_sent, redis->out_len - redis->out_sent);
        redis->out_len -= redis->out_sent;
        redis->out_sent = 0;
    }
}

/* ---- the greeting ---- */

static void greet_with(struct redis *redis, int argc, const char *const *argv, redis_callback *callback)
{
    struct waiter waiter = {.callback = callback, .context = redis, .since_ms = clock_monotonic_ms(), .internal = true};

    if (!redis_encode(redis, argc, argv, NULL) || !waiters_add(&redis->flight, waiter))
        redis_fail(redis, "out of memory");
}

static void doom(struct redis *redis, const char *what, const struct redis_reply *reply)
{
    const char *text = redis_reply_text(reply);

    redis->refused = redis_reply_is_error(reply) && !reply_means_elsewhere((const redisReply *)reply);
    snprintf(redis->doom, sizeof redis->doom, "%s: %s", what,
             text && redis_reply_is_error(reply) ? text : "unexpected answer");
}

static void on_auth(void *context, enum redis_outcome outcome, const struct redis_reply *reply)
{
    if (outcome == REDIS_ANSWERED && redis_reply_is_error(reply))
        doom(context, "login refused", reply);
}

static void on_info(void *context, enum redis_outcome outcome, const struct redis_reply *reply)
{
    struct redis *redis = context;
    const char *text = redis_reply_text(reply);
    const char *found = text && !redis_reply_is_error(reply) ? strstr(text, "run_id:") : NULL;

    if (outcome == REDIS_LOST)
        return;
    if (!found) {
        doom(redis, "INFO", reply);
        return;
    }
    snprintf(redis->run_id, sizeof redis->run_id, "%.*s", (int)strcspn(found + 7, "\r\n"), found + 7);
    redis->state = REDIS_READY;
    redis->failures = 0;
    redis->refused = false;
}

void redis_greet(struct redis *redis)
{
    const char *const with_user[] = {"AUTH", redis->user, redis->password};
    const char *const without[] = {"AUTH", redis->password};
    static const char *const info[] = {"INFO", "server"};

    redis->doom[0] = '\0';
    if (redis->password && redis->user && *redis->user)
        greet_with(redis, 3, with_user, on_auth);
    else if (redis->password && *redis->password)
        greet_with(redis, 2, without, on_auth);
    if (redis->state == REDIS_GREETING)
        greet_with(redis, 2, info, on_info);
    if (redis->state == REDIS_GREETING)
        redis_write(redis);
}

/* ---- reading ---- */

static void *bounded_array(const redisReadTask *task, int count)
{
    const struct redis *redis = task->privdata;

    return count > REPLY_ITEMS_MAX ? NULL : redis->builders->createArray(task, count);
}

static void bound_replies(struct redis *redis)
{
    if (redis->reader->privdata == redis)
        return;
    redis->builders = redis->reader->fn;
    redis->bounded = *redis->builders;
    redis->bounded.createArray = bounded_array;
    redis->reader->fn = &redis->bounded;
    redis->reader->privdata = redis;
}

static void answer(struct redis *redis, redisReply *reply)
{
    struct waiter waiter;

    if (!waiters_pop(&redis->flight, &waiter)) {
        snprintf(redis->doom, sizeof redis->doom, "an answer that nobody asked for");
        freeReplyObject(reply);
        return;
    }
    redis->reply_taken = false;
    if (!waiter.internal && reply_means_elsewhere(reply))
        snprintf(redis->doom, sizeof redis->doom, "%s", reply->str);
    if (waiter.callback)
        waiter.callback(waiter.context, REDIS_ANSWERED, reply_wrap(reply));
    if (!redis->reply_taken)
        freeReplyObject(reply);
}

static void take_replies(struct redis *redis)
{
    void *reply = NULL;

    while (!redis->doom[0]) {
        if (redisReaderGetReply(redis->reader, &reply) != REDIS_OK) {
            redis_fail(redis, "not understood: %s", redis->reader->errstr);
            return;
        }
        if (!reply)
            break;
        answer(redis, reply);
    }
    if (redis->doom[0])
        redis_fail(redis, "%s", redis->doom);
    else if (redis->reader->len > REPLY_BYTES_MAX)
        redis_fail(redis, "an answer of more than %d MiB", REPLY_BYTES_MAX >> 20);
}

void redis_read(struct redis *redis)
{
    char buffer[READ_BYTES];
    ssize_t count;

    bound_replies(redis);
    do {
        count = recv(redis->fd, buffer, sizeof buffer, 0);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (count <= 0) {
            redis_fail(redis, "%s", count < 0 ? strerror(errno) : "the server closed the connection");
            return;
        }
        if (redisReaderFeed(redis->reader, buffer, (size_t)count) != REDIS_OK) {
            redis_fail(redis, "out of memory");
            return;
        }
        take_replies(redis);
    } while (redis->fd >= 0 && count == (ssize_t)sizeof buffer);
}
