#pragma once
/*
 * The jobs that wait for their turn: by priority, then in the order of arrival; not before their time; one job of class B or C per target; limits per class. Owns no job.
 * Pure but for allocation; the loop's thread.
 */
#include "model/op.h"
#include "worker/heap.h"
#include "worker/table.h"

#include <stdint.h>

struct backlog {
    struct heap ready[3]; /* by class */
    struct heap later;    /* by wake_ms */
    struct table gates;   /* target → struct gate: busy or closed */
    size_t blocked;       /* behind a gate */
    int64_t started[3];   /* given out and not given back, by class */
    int64_t limits[3];
};

void backlog_init(struct backlog *backlog, const int64_t limits[3]);
void backlog_clear(struct backlog *backlog);
int backlog_add(struct backlog *backlog, struct work *work, int64_t now_ms, struct err *err);
void backlog_remove(struct backlog *backlog, struct work *work);            /* out of wherever it waits */
int backlog_wake(struct backlog *backlog, int64_t now_ms, struct err *err); /* moves what is due to ready */
int64_t backlog_next_wake_ms(const struct backlog *backlog);                /* INT64_MAX: nothing waits for a time */
/* The best job that may start now, with its target closed behind it; NULL if there is none. `ahead`: how many beyond the limits (short jobs wait for commits, not for executors). */
struct work *backlog_next(struct backlog *backlog, int64_t (*ahead)(void *context, const struct work *work),
                          void *context);
/* Closes a target for a job that did not come through backlog_next (recovery, PARKED). Open again when all that hold it have let go. */
int backlog_close(struct backlog *backlog, struct work *work, struct err *err);
/* Gives back what backlog_next took: its place in the class and, unless `closed`, its target; what was blocked behind it is ready again. */
void backlog_done(struct backlog *backlog, struct work *work, bool closed);
void backlog_open(struct backlog *backlog, struct work *work); /* only the target */
/* Who keeps a job behind a closed target; NULL: it does not wait for that. */
const struct work *backlog_blocker(const struct backlog *backlog, const struct work *work);
size_t backlog_count(const struct backlog *backlog);
