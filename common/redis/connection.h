#pragma once
/* Private to common/redis: the insides of a connection, shared by connection.c (sockets, states), pipeline.c (commands in flight) and call.c (waiting for answers). */
#include "redis/redis.h"

#include <hiredis/hiredis.h>
#include <netdb.h>

struct lookup;
struct many;

struct waiter { /* a command whose answer is owed to somebody */
    redis_callback *callback;
    void *context;
    int64_t since_ms; /* when it was sent */
    bool internal;    /* part of the greeting */
};

struct waiters { /* first in, first out */
    struct waiter *items;
    size_t capacity, first, count; /* capacity is a power of two */
};

enum redis_state { REDIS_DOWN, REDIS_RESOLVING, REDIS_CONNECTING, REDIS_GREETING, REDIS_READY };

struct redis {
    char *address, *user, *password;
    int timeout_ms;
    enum redis_state state;
    int fd;                            /* -1: none */
    int64_t deadline_ms;               /* of connecting and greeting */
    int64_t retry_ms;                  /* when DOWN: the next attempt */
    unsigned failures;                 /* since it was last ready */
    struct lookup *lookup;             /* when RESOLVING */
    struct addrinfo *addresses, *next; /* of this attempt; next: not tried yet */
    redisReader *reader;
    redisReplyObjectFunctions *builders; /* hiredis' own */
    redisReplyObjectFunctions bounded;   /* the same, with a limit on arrays */
    char *out;                           /* [out_sent, out_len) is to be written */
    size_t out_len, out_sent, out_capacity;
    struct waiters flight, lost; /* sent; and those that will hear REDIS_LOST from the next redis_process */
    struct many *many, *all_many, *spare_many; /* gathering; all; not in use */
    int64_t alone_until_ms;                    /* nothing gathers */
    bool reply_taken;                          /* set by a callback that keeps its reply */
    bool refused;                              /* the problem is a refusal: user, password, rights */
    char doom[200];                            /* set by a callback: why this connection must be closed */
    char run_id[64];
    char problem[256];
};

/* connection.c */
void redis_fail(struct redis *redis, const char *format, ...) __attribute__((format(printf, 2, 3)));
void redis_connect_now(struct redis *redis); /* without waiting for the end of the pause */

/* pipeline.c */
void waiters_push(struct waiters *waiters, struct waiter waiter); /* out of memory is answered at once with REDIS_LOST */
bool waiters_pop(struct waiters *waiters, struct waiter *out);
void waiters_free(struct waiters *waiters);
bool redis_encode(struct redis *redis, int argc, const char *const *argv,
                  const size_t *lengths); /* false: out of memory or too much unsent */
void redis_greet(struct redis *redis);    /* AUTH and INFO, ahead of everything */
void redis_lose_flight(struct redis *redis);
void redis_tell_lost(struct redis *redis);
void redis_read(struct redis *redis);  /* reads what is there and calls callbacks */
void redis_write(struct redis *redis); /* writes what the socket takes */

/* many.c */
bool many_send(struct redis *redis, int argc, const char *const *argv, redis_callback *callback,
               void *context);        /* true: it goes with the next write; false: it does not gather */
void many_flush(struct redis *redis); /* what has gathered is sent */
void many_free(struct redis *redis);

/* resolve.c: names without blocking. Numbers and socket paths are answered at once. */
int lookup_start(const char *address, struct lookup **out_lookup, struct addrinfo **out, char *why,
                 size_t why_size); /* 0: *out or *out_lookup is set */
int lookup_poll(struct lookup *lookup, struct addrinfo **out, char *why,
                size_t why_size); /* 1: not yet, 0: done, -1: failed */
void lookup_free(struct lookup *lookup);
void addresses_free(struct addrinfo *addresses);

/* reply.c */
const struct redis_reply *reply_wrap(const redisReply *reply);
bool reply_means_elsewhere(
    const redisReply *reply); /* this server cannot serve us now: loading, a replica, its master is down */
