#pragma once
/*
 * A Redis server of a test's own, on a free port in a temporary folder: for tests that empty, stop, kill or refill it, which nobody else's server should suffer.
 * It dies with the test. Needs redis-server on PATH.
 */
#include <stdbool.h>

struct own_redis;

struct own_redis *own_redis_start(
    const char *const
        extra[]); /* lines for its configuration, NULL-terminated; NULL: none. Fails the test if it does not come up */
void own_redis_stop(struct own_redis *server); /* and removes its folder; NULL is fine */
const char *own_redis_address(const struct own_redis *server);
void own_redis_signal(struct own_redis *server, int signal);         /* SIGSTOP, SIGCONT */
void own_redis_kill(struct own_redis *server);                       /* SIGKILL, and waits */
void own_redis_restart(struct own_redis *server, bool without_data); /* ends it, and starts it again on the same port */
