#pragma once
/*
 * A Redis server that is a script: it listens on loopback in the test's own thread, swallows whatever comes, and sends the bytes that the test puts into its mouth. So
 * a test says exactly what the wire carries, and when.
 */
#include "base/clock.h"
#include "base/err.h"
#include "redis/redis.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { SCRIPT_WAIT_MS = 20000, HEARD_MAX = 1 << 20 };

#define GREETING "$53\r\n# Server\r\nrun_id:0123456789012345678901234567890123\r\n\r\n"

struct script {
    int listener, peer; /* peer -1: nobody is connected */
    char address[32];
    struct redis *redis;
    char heard[HEARD_MAX];
    size_t heard_len;
};

static struct script script = {.listener = -1, .peer = -1};

static __attribute__((unused)) int script_open_for(int timeout_ms)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct redis_options options = {.address = script.address, .timeout_ms = timeout_ms};
    socklen_t len = sizeof address;
    struct err err = {0};

    script.peer = -1;
    script.heard_len = 0;
    script.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(script.listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(script.listener, 8) < 0 ||
        getsockname(script.listener, (struct sockaddr *)&address, &len) < 0)
        return -1;
    snprintf(script.address, sizeof script.address, "127.0.0.1:%d", ntohs(address.sin_port));
    return redis_new(&options, &script.redis, &err);
}

static __attribute__((unused)) int script_open(void **state)
{
    (void)state;
    return script_open_for(1500);
}

static __attribute__((unused)) int script_close(void **state)
{
    (void)state;
    redis_free(script.redis);
    if (script.peer >= 0)
        close(script.peer);
    close(script.listener);
    return 0;
}

static __attribute__((unused)) void script_hang_up(void)
{
    close(script.peer);
    script.peer = -1;
}

/* One turn of both sides. */
static __attribute__((unused)) void script_turn(void)
{
    struct pollfd fd = {.fd = redis_fd(script.redis), .events = redis_events(script.redis)};
    int wait = redis_wait_ms(script.redis), peer;
    ssize_t got;

    redis_process(script.redis, poll(&fd, 1, wait < 0 || wait > 5 ? 5 : wait) > 0 ? fd.revents : 0);
    peer = accept4(script.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (peer >= 0 && script.peer >= 0)
        close(script.peer); /* on a slow machine the client may have given up and come again */
    if (peer >= 0)
        script.peer = peer;
    if (script.peer < 0)
        return;
    got = recv(script.peer, script.heard + script.heard_len, sizeof script.heard - 1 - script.heard_len, 0);
    if (got > 0)
        script.heard_len += (size_t)got;
    script.heard[script.heard_len] = '\0';
}

static __attribute__((unused)) void script_until_heard(const char *text)
{
    int64_t end = clock_monotonic_ms() + SCRIPT_WAIT_MS;

    do {
        if (clock_monotonic_ms() > end)
            fail_msg("never heard %s", text);
        script_turn();
    } while (script.peer < 0 || !memmem(script.heard, script.heard_len, text, strlen(text)));
}

static __attribute__((unused)) void script_say_len(const char *bytes, size_t len)
{
    assert_int_equal(send(script.peer, bytes, len, MSG_NOSIGNAL), len);
}

static __attribute__((unused)) void script_say(const char *bytes)
{
    script_say_len(bytes, strlen(bytes));
}

/* Connected, greeted and ready; what was heard is forgotten. */
static __attribute__((unused)) void script_greet(void)
{
    int64_t end = clock_monotonic_ms() + SCRIPT_WAIT_MS;

    script_until_heard("INFO\r\n$6\r\nserver\r\n");
    script_say(GREETING);
    while (!redis_ready(script.redis)) {
        assert_true(clock_monotonic_ms() < end);
        script_turn();
    }
    script.heard_len = 0;
}
