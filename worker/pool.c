#include "worker/pool.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "worker/executor.h"

#include <stdlib.h>
#include <time.h>

static int start_one(struct pool *pool, struct err *err)
{
    struct executor *executor = &pool->executors[pool->count];

    executor->pool = pool;
    if (sem_init(&executor->saved, 0, 0) < 0)
        return err_memory(err, "executor");
    int failed = pthread_create(&executor->thread, NULL, executor_main, executor);
    if (failed) {
        sem_destroy(&executor->saved);
        return err_errno(err, failed, "executor: thread");
    }
    pool->count++;
    return 0;
}

int pool_open(const struct pool_setup *setup, struct pool **out, struct err *err)
{
    struct pool *pool = calloc(1, sizeof *pool);

    if (!pool)
        return err_memory(err, "pool");
    pool->setup = *setup;
    pool->most = (size_t)(setup->executors + setup->spares);
    pool->executors = calloc(pool->most, sizeof *pool->executors);
    int failed = pool->executors ? queue_new(&pool->tasks, err) : err_memory(err, "pool");
    for (int64_t i = 0; !failed && i < setup->executors; i++)
        failed = start_one(pool, err);
    if (failed) {
        if (pool->tasks)
            pool_join(pool, 1000);
        pool_free(pool);
        return -1;
    }
    *out = pool;
    return 0;
}

void pool_submit(struct pool *pool, struct work *work)
{
    queue_push(pool->tasks, &work->message.item);
}

void pool_submit_list(struct pool *pool, struct queue_item *first)
{
    queue_push_list(pool->tasks, first);
}

void pool_saved(struct save *save, int failed)
{
    save->failed = failed;
    sem_post(save->done_);
}

bool pool_add_spare(struct pool *pool, size_t stuck)
{
    size_t wanted = (size_t)pool->setup.executors + stuck;
    struct err err;

    if (wanted > pool->most)
        return false;
    if (pool->count >= wanted || start_one(pool, &err) == 0)
        return true;
    log_error("pool", "%s", err.text);
    return false;
}

void pool_stop(struct pool *pool)
{
    pool->stopping = true;
}

static int still_there(const struct pool *pool)
{
    int count = 0;

    for (size_t i = 0; i < pool->count; i++)
        count += !pool->executors[i].gone;
    return count;
}

int pool_join(struct pool *pool, int timeout_ms)
{
    int64_t until = clock_monotonic_ms() + timeout_ms;

    pool->stopping = true;
    queue_close(pool->tasks);
    while (still_there(pool) && clock_monotonic_ms() < until)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    if (still_there(pool))
        return still_there(pool);
    for (size_t i = 0; i < pool->count; i++) {
        pthread_join(pool->executors[i].thread, NULL);
        sem_destroy(&pool->executors[i].saved);
    }
    pool->count = 0;
    return 0;
}

void pool_free(struct pool *pool)
{
    if (!pool)
        return;
    queue_free(pool->tasks);
    free(pool->executors);
    free(pool);
}
