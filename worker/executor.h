#pragma once
/* One executor thread: takes jobs from the pool's queue and runs them with the runner. */
#include "worker/pool.h"

#include <pthread.h>
#include <semaphore.h>

enum { EXECUTOR_KINDS = 8 };

struct executor {
    struct pool *pool;
    pthread_t thread;
    struct backend *backends[EXECUTOR_KINDS]; /* by place in backend_table; NULL: not opened */
    struct work *work;                        /* the one it runs */
    sem_t saved;
    atomic_bool gone;
};

struct pool {
    struct pool_setup setup;
    struct queue *tasks;
    atomic_bool stopping;
    struct executor *executors;
    size_t count, most;
};

void *executor_main(void *context);
