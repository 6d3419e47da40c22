#pragma once
/*
 * A Redis connection. Two ways to use one: pipelined from an event loop (redis_send + redis_fd/redis_events/redis_process; a FIFO of callbacks) and synchronous
 * (redis_call). One thread per connection. It heals itself in one place: after an error it is closed, opened again after a pause with jitter, authenticated, the
 * run_id read again; commands in flight are answered with REDIS_LOST ("may have run": every function of ours may be repeated).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct redis;
struct redis_reply;

struct redis_options {
    const char *address; /* "127.0.0.1:6379", "[::1]:6379", "name:6379" or "/path/to.sock" */
    const char *user, *password;
    int timeout_ms; /* connect, and answer of the oldest command in flight; 0: 2000 */
};

enum redis_outcome { REDIS_ANSWERED, REDIS_LOST }; /* LOST: no answer; it may have run */

/* The reply is the connection's, and valid during the call. A callback may send, but not free the connection. */
typedef void redis_callback(void *context, enum redis_outcome outcome, const struct redis_reply *reply);

int redis_new(const struct redis_options *options, struct redis **out, struct err *err); /* does not connect yet */
void redis_free(struct redis *redis);                                                    /* calls no callback */
bool redis_ready(const struct redis *redis);
/* Of the server of this connection; kept over a loss until another answers; "" before the first connect. */
const char *redis_run_id(const struct redis *redis);
/* Why it is not ready, for people; "" when it is. */
const char *redis_problem(const struct redis *redis);

/*
 * Pipelined: append any number of commands, then redis_process(redis, 0) once writes them. argv are copied; lengths NULL: strings. When not ready, the callback is
 * called with REDIS_LOST from the next redis_process. callback may be NULL.
 */
void redis_send(struct redis *redis, int argc, const char *const *argv, const size_t *lengths, redis_callback *callback,
                void *context);
int redis_fd(const struct redis *redis);       /* -1 while there is none; ask again before each poll */
short redis_events(const struct redis *redis); /* POLLIN, POLLOUT as needed */
/* Until it wants redis_process without an event (reconnect, time-out); -1: nothing. */
int redis_wait_ms(const struct redis *redis);
/* Reads, writes, connects, calls callbacks; never blocks. Call it first with 0: that begins to connect. */
void redis_process(struct redis *redis, short revents);
size_t redis_in_flight(const struct redis *redis);

/*
 * Synchronous: connects if needed, without waiting for a pause to end. NULL with err: ERR_RETRY (no answer, may have run; or the server cannot now: loading, busy, a
 * replica, out of memory) or ERR_PERMANENT (refused: text). Caller frees. Not mixed with redis_send.
 */
struct redis_reply *redis_call(struct redis *redis, struct err *err, int argc, const char *const *argv,
                               const size_t *lengths);
/* Many at once, pipelined. 0: all are answered, perhaps with errors. -1 (ERR_RETRY): out[i] is NULL where there was no answer. Caller frees out[] in both cases. */
int redis_call_many(struct redis *redis, size_t count, const int *argcs, const char *const *const *argvs,
                    struct redis_reply **out, struct err *err);
void redis_reply_free(struct redis_reply *reply);

/* Reading replies; an unexpected type, and NULL, give the "absent" answer. */
bool redis_reply_is_error(const struct redis_reply *reply);
const char *redis_reply_text(const struct redis_reply *reply); /* string, status or error; NULL otherwise */
int64_t redis_reply_int(const struct redis_reply *reply, int64_t fallback); /* integer, or a string that is one */
size_t redis_reply_count(const struct redis_reply *reply);                  /* of an array; 0 otherwise */
const struct redis_reply *redis_reply_at(const struct redis_reply *reply, size_t index);
