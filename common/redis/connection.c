/*
 * A connection as a state machine: DOWN (a pause) → RESOLVING → CONNECTING → GREETING (AUTH, INFO) → READY, and from each back to DOWN by redis_fail(), the one place
 * where a connection ends. Nothing here blocks; redis_process() moves it as far as it goes.
 *
 * The socket is ours and hiredis is only the parser of replies. Its own connections (0.14.1) write without MSG_NOSIGNAL, so a dead peer raises SIGPIPE; forget
 * their time-out when they reconnect; and block in name lookups. What is left is less code than the guards would be.
 *
 * After a failure everything in flight is answered with REDIS_LOST: it may have run. The pause before the next attempt is random between
 * nothing and a window that doubles from 100 ms to 2 s, so that ten thousand workers do not come back at once.
 */
#include "redis/connection.h"

#include "base/clock.h"
#include "base/err.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TIMEOUT_MS = 2000, PAUSE_MIN_MS = 100, PAUSE_MAX_MS = 2000, LOOKUP_STEP_MS = 10 };

static bool keep(char **out, const char *text)
{
    *out = text ? strdup(text) : NULL;
    return *out || !text;
}

int redis_new(const struct redis_options *options, struct redis **out, struct err *err)
{
    struct redis *redis = calloc(1, sizeof *redis);

    if (!redis)
        return err_memory(err, "redis");
    redis->fd = -1;
    redis->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : TIMEOUT_MS;
    snprintf(redis->problem, sizeof redis->problem, "not connected yet");
    if (!keep(&redis->address, options->address ? options->address : "127.0.0.1:6379") ||
        !keep(&redis->user, options->user) || !keep(&redis->password, options->password)) {
        redis_free(redis);
        return err_memory(err, "redis");
    }
    *out = redis;
    return 0;
}

static void drop_connection(struct redis *redis)
{
    if (redis->fd >= 0)
        close(redis->fd);
    redis->fd = -1;
    if (redis->reader)
        redisReaderFree(redis->reader);
    redis->reader = NULL;
    redis->out_len = redis->out_sent = 0;
}

static void drop_addresses(struct redis *redis)
{
    lookup_free(redis->lookup);
    redis->lookup = NULL;
    addresses_free(redis->addresses);
    redis->addresses = redis->next = NULL;
}

void redis_free(struct redis *redis)
{
    if (!redis)
        return;
    drop_connection(redis);
    drop_addresses(redis);
    waiters_free(&redis->flight);
    waiters_free(&redis->lost);
    many_free(redis);
    if (redis->password)
        explicit_bzero(redis->password, strlen(redis->password));
    if (redis->out)
        explicit_bzero(redis->out, redis->out_capacity); /* AUTH went through it */
    free(redis->address);
    free(redis->user);
    free(redis->password);
    free(redis->out);
    free(redis);
}

void redis_fail(struct redis *redis, const char *format, ...)
{
    char why[sizeof redis->problem];
    int64_t window = PAUSE_MIN_MS;
    va_list args;

    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    snprintf(redis->problem, sizeof redis->problem, "%s", why);
    drop_connection(redis);
    drop_addresses(redis);
    redis_lose_flight(redis);
    for (unsigned i = 0; i < redis->failures && window < PAUSE_MAX_MS; i++)
        window *= 2;
    window = window < PAUSE_MAX_MS ? window : PAUSE_MAX_MS;
    redis->failures++;
    redis->state = REDIS_DOWN;
    redis->retry_ms = clock_monotonic_ms() + arc4random_uniform((uint32_t)window + 1);
}

static void greet(struct redis *redis)
{
    redis->reader = redisReaderCreate();
    if (!redis->reader) {
        redis_fail(redis, "out of memory");
        return;
    }
    redis->state = REDIS_GREETING;
    redis->deadline_ms = clock_monotonic_ms() + redis->timeout_ms;
    redis_greet(redis);
}

static void set_options(int fd, int family)
{
    int on = 1;
    int idle_s = 15;

    if (family == AF_UNIX)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
}

/* Tries the addresses that are left, until one is being connected. */
static void connect_next(struct redis *redis, int error)
{
    while (redis->next) {
        const struct addrinfo *address = redis->next;
        redis->next = address->ai_next;
        redis->fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (redis->fd < 0) {
            error = errno;
            continue;
        }
        set_options(redis->fd, address->ai_family);
        if (connect(redis->fd, address->ai_addr, address->ai_addrlen) == 0) {
            greet(redis);
            return;
        }
        error = errno;
        if (error == EINPROGRESS) {
            redis->state = REDIS_CONNECTING;
            redis->deadline_ms = clock_monotonic_ms() + redis->timeout_ms;
            return;
        }
        drop_connection(redis);
    }
    redis_fail(redis, "%s: %s", redis->address, strerror(error));
}

static void resolve(struct redis *redis)
{
    char why[200] = "";

    redis->refused = false;
    if (lookup_start(redis->address, &redis->lookup, &redis->addresses, why, sizeof why) < 0) {
        redis_fail(redis, "%s", why);
        return;
    }
    redis->state = REDIS_RESOLVING;
    if (!redis->lookup) {
        redis->next = redis->addresses;
        connect_next(redis, EADDRNOTAVAIL);
    }
}

static void look_up(struct redis *redis)
{
    char why[200] = "";
    int result = lookup_poll(redis->lookup, &redis->addresses, why, sizeof why);

    if (result < 0)
        redis_fail(redis, "%s", why);
    if (result != 0)
        return;
    redis->next = redis->addresses;
    connect_next(redis, EADDRNOTAVAIL);
}

static void finish_connect(struct redis *redis, short revents)
{
    int error = 0;
    socklen_t len = sizeof error;

    if (!revents) {
        if (clock_monotonic_ms() >= redis->deadline_ms) {
            drop_connection(redis);
            connect_next(redis, ETIMEDOUT);
        }
        return;
    }
    if (getsockopt(redis->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        error = errno;
    if (!error) {
        greet(redis);
        return;
    }
    drop_connection(redis);
    connect_next(redis, error);
}

/* When the connection is given up if nothing is heard; INT64_MAX: not at all. */
static int64_t patience_ends(const struct redis *redis)
{
    if (redis->state == REDIS_CONNECTING || redis->state == REDIS_GREETING)
        return redis->deadline_ms;
    if (redis->state != REDIS_READY || redis->flight.count == 0)
        return INT64_MAX;
    return redis->flight.items[redis->flight.first].since_ms + redis->timeout_ms;
}

static void exchange(struct redis *redis, short revents)
{
    bool late = clock_monotonic_ms() >= patience_ends(redis);

    /* Late ones are looked at once more: it may be us who slept while the answers came. */
    if (late || (revents & (POLLIN | POLLERR | POLLHUP)))
        redis_read(redis);
    if (redis->state != REDIS_GREETING && redis->state != REDIS_READY)
        return;
    redis_write(redis);
    if (clock_monotonic_ms() >= patience_ends(redis))
        redis_fail(redis, "no answer for %d ms", redis->timeout_ms);
}

void redis_process(struct redis *redis, short revents)
{
    if (redis->state != REDIS_READY)
        many_flush(redis); /* lost */
    switch (redis->state) {
    case REDIS_DOWN:
        if (clock_monotonic_ms() >= redis->retry_ms)
            resolve(redis);
        break;
    case REDIS_RESOLVING: look_up(redis); break;
    case REDIS_CONNECTING: finish_connect(redis, revents); break;
    case REDIS_GREETING:
    case REDIS_READY: exchange(redis, revents); break;
    }
    redis_tell_lost(redis);
}

void redis_connect_now(struct redis *redis)
{
    if (redis->state == REDIS_DOWN)
        redis->retry_ms = 0;
}

bool redis_ready(const struct redis *redis)
{
    return redis->state == REDIS_READY;
}

const char *redis_run_id(const struct redis *redis)
{
    return redis->run_id;
}

const char *redis_problem(const struct redis *redis)
{
    return redis->state == REDIS_READY ? "" : redis->problem;
}

int redis_fd(const struct redis *redis)
{
    return redis->fd;
}

short redis_events(const struct redis *redis)
{
    if (redis->state == REDIS_CONNECTING)
        return POLLOUT;
    return redis->out_sent < redis->out_len ? POLLIN | POLLOUT : POLLIN;
}

int redis_wait_ms(const struct redis *redis)
{
    int64_t until = patience_ends(redis);
    int64_t now;

    if (redis->lost.count > 0 || redis->many)
        return 0;
    if (redis->state == REDIS_RESOLVING)
        return LOOKUP_STEP_MS;
    if (redis->state == REDIS_DOWN)
        until = redis->retry_ms;
    if (until == INT64_MAX)
        return -1;
    now = clock_monotonic_ms();
    return until <= now ? 0 : (int)(until - now);
}

size_t redis_in_flight(const struct redis *redis)
{
    return redis->state == REDIS_GREETING ? 0 : redis->flight.count;
}
