#pragma once
/* The worker as a whole: opens its parts in the order in which they need each other, closes them in reverse. loop.c is where it lives. */
#include "crypto/keys.h"
#include "kafka/kafka.h"
#include "redis/redis.h"
#include "worker/admission.h"
#include "worker/backend.h"
#include "worker/custody.h"
#include "worker/options.h"

#include <signal.h>

struct finisher;
struct inspector;
struct inventory_publisher;
struct job_source;
struct journal;
struct kafka_producer;
struct keeper;
struct linker;
struct outbox;
struct pool;
struct surveyor;
struct wire;

struct worker {
    const struct worker_options *options;
    void (*notify)(const char *state);  /* sd_notify; NULL: nobody */
    struct strings pools, repositories; /* views of the options' */
    struct backend_config backends;
    struct kafka_options kafka;
    struct redis_options redis_options;
    char *redis_password;
    struct key_ring keys;
    char boot_id[40], instance[64];
    char *state_identity; /* path, device and inode of the state directory: what the claim names */
    int64_t started_ms;   /* monotonic */

    struct journal *journal;
    struct wire *wire;
    struct outbox *outbox;
    struct redis *redis; /* the loop's connection */
    struct finisher *finisher;
    struct queue *to_loop;
    struct keeper *keeper;
    struct pool *pool;
    struct linker *linker;
    struct surveyor *surveyor;
    struct inventory_publisher *inventory;
    struct inspector *inspector;
    struct local_service *local; /* restores that no coordinator asked for; a thread of its own */
    struct job_source *source;
    struct kafka_producer *producer; /* NULL: no broker has answered yet */
    struct custody custody;
    struct admission admission;

    int signals;        /* signalfd */
    struct save *saves; /* of this turn: answered after its commit */
    int64_t running;    /* jobs that executors have */
    int64_t swept_ms, slow_swept_ms, position_ms, committed_ms;
    int64_t position_written; /* next offset in the journal */
    int64_t drain_until_ms;   /* 0: not draining */
    bool stopped_hard;
    bool space_low;
    atomic_bool claim_lost;
    struct err err; /* of the turn */
    bool failed;    /* the journal could not be written: stop */
};

/* Blocks until the journal, and for a first start Redis, are there. ERR_CONFLICT: another worker has the state directory or the host's claim. */
int worker_open(const struct worker_options *options, void (*notify)(const char *state), struct worker **out,
                struct err *err);
int worker_run(struct worker *worker); /* exit code */
/* False: an executor is still in a call, so memory must not go; the caller ends the process at once. */
bool worker_close(struct worker *worker);
