#pragma once
/*
 * The executors: threads that do what blocks. Each has its own handle of every backend, opened when it is first needed. They know neither Kafka nor Redis nor the journal:
 * what must be durable goes to the loop (executor.c), what must be asked of Redis to the keeper.
 */
#include "worker/backend.h"
#include "worker/work.h"

struct keeper;
struct pool;

struct pool_setup { /* all outlive the pool */
    const struct backend_config *backends;
    struct queue *to_loop;
    struct keeper *keeper;
    int64_t executors, spares;
};

struct save { /* MESSAGE_SAVE: on the executor's stack until pool_saved */
    struct message message;
    struct work *work;
    const char *plan_json; /* or */
    bool recovery_begins;  /* or */
    const struct step_change *changes;
    size_t count;
    int failed;
    struct err *err;
    void *done_; /* the executor's semaphore */
};

int pool_open(const struct pool_setup *setup, struct pool **out, struct err *err);
void pool_submit(struct pool *pool, struct work *work); /* the executor has it until MESSAGE_ENDED */
void pool_submit_list(struct pool *pool, struct queue_item *first);
void pool_saved(struct save *save, int failed); /* wakes the executor; after the commit */
bool pool_add_spare(
    struct pool *pool,
    size_t stuck); /* sees to a thread beside each of `stuck` that do not come back; false: the limit is reached */
void pool_stop(struct pool *pool); /* hard: plans are left where they are */
/* Waits for the threads; how many are still in a call (their memory must not go then). */
int pool_join(struct pool *pool, int timeout_ms);
void pool_free(struct pool *pool); /* after pool_join gave 0; NULL is fine */
