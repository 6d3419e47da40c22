#pragma once
/* The keeper's own: what its files share. */
#include "redis/redis.h"
#include "redis/store.h"
#include "worker/keeper.h"
#include "worker/table.h"

#include <pthread.h>
#include <semaphore.h>

struct keeper_request { /* on the asking executor's stack until `done` is posted */
    struct queue_item item;
    sem_t done;
    struct hold *hold;
    const struct plan *plan;       /* confirm; or */
    struct store_barrier *barrier; /* a vote; both NULL: reserve */
    struct barrier_result *voted;
    const char *repository;
    int64_t bytes, free_bytes, min_free_bytes;
    enum trust trust;
    enum reserve_answer reserved;
    char detail[256];
};

struct keeper {
    struct keeper_setup setup;
    struct redis *redis; /* the keeper thread's; before keeper_start its opener's */
    struct queue *requests;
    pthread_t thread;
    bool started;
    atomic_bool stopping;
    _Atomic int64_t running, free_bytes;
    pthread_mutex_t mutex; /* protects kept, watched, reserved */
    struct hold **kept;
    size_t kept_count, kept_capacity;
    struct table watched;                             /* job id → the same text, owned */
    struct strings freed;                             /* "repository job": reservations to give back */
    int64_t flags_read_ms, claimed_ms, holds_read_ms; /* the thread's own, like what follows */
    char *holds;
};

struct renewal { /* one lock in one round */
    struct hold *hold;
    int64_t sent_ms;
    char phase[64];
};

void keeper_renew(struct keeper *keeper, struct hold *const *holds, size_t count); /* one pipeline */
void keeper_answer(struct keeper *keeper, struct keeper_request *request);         /* fresh, for one executor */
void keeper_reserve_again(struct keeper *keeper, struct hold *hold);
void keeper_read_flags(struct keeper *keeper);
void keeper_say(struct keeper *keeper, const char *job_id, const struct renew_result *heard);
