#pragma once
/* Before a job runs: is it its turn, may it, and does Redis give it ticket, lock, token and slots? The loop's thread. */
#include "worker/custody.h"

struct redis;
struct redis_reply;

struct admission {
    struct custody *custody;
    struct redis *redis; /* the loop's */
    struct journal *journal;
    const char *host, *instance;
    int64_t executors;
    struct facts holds; /* as last heard: host, target or "all" → reason */
    int64_t epoch;      /* 0: fs:epoch is missing, or is of another server than run_id */
    char run_id[64];    /* of the connection that the epoch was read on */
    bool reading_epoch;
    int64_t epoch_read_ms;
    struct store_command command; /* used again for each question */
    int64_t typical_us[OP_COUNT]; /* how long a run of an op takes; 0: not known yet */
    struct work *asking;          /* to be asked after the commit, by next_blocked */
    struct work **asking_end;
    int64_t started_ms; /* monotonic */
    bool closed;        /* nothing new begins: draining */
    struct err *err;    /* of the turn: callbacks write the journal too */
    int failed;
};

void admission_open(struct admission *admission);
void admission_close(struct admission *admission);
/* In the turn's transaction: takes from the backlog what may start. */
int admission_start(struct admission *admission, struct err *err);
/* After the commit: one pipelined request per job. */
void admission_ask(struct admission *admission);
/* Keeps the epoch of this connection known; each turn. */
void admission_watch_epoch(struct admission *admission);
void admission_ran(struct admission *admission, const struct work *work, int64_t run_us);
