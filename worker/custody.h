#pragma once
/*
 * The jobs that this host answers for, and every change of their state: one function per change, which writes the journal's row and the status event together, in the turn's
 * transaction. What must follow a commit (an attempt begins, Redis hears of an end) is queued here and taken by the loop. The loop's thread.
 */
#include "worker/backlog.h"
#include "worker/work.h"

struct catalog_change;
struct finisher;
struct journal;
struct keeper;
struct outbox;
struct receipt;
struct wire;

struct custody_setup { /* all outlive the custody */
    struct journal *journal;
    struct outbox *outbox;
    struct wire *wire;
    struct keeper *keeper;
    struct finisher *finisher;
    const char *host;
    const struct option_strings *backends; /* kinds that this worker serves */
    int64_t limits[3];                     /* attempts at a time, by class */
    int64_t repository_slots, stuck_ms;
};

struct custody {
    struct custody_setup setup;
    struct table jobs;         /* id → work */
    struct work *first, *last; /* all, in the order of the journal */
    struct work *orphans;      /* given away, by next: an executor still has them */
    struct backlog backlog;
    struct queue_item *starting, **starting_end; /* RUNNING in this turn: to the executors after the commit */
    struct work *silent;                         /* these run, and their rows do not say so: begun.h */
    size_t silent_count;
    bool silent_began;           /* one more in this turn */
    int64_t counts[STATE_COUNT]; /* works by state */
    int64_t stuck;               /* running jobs in a call that does not return */
    const char *accepted,
        *ended; /* op (or "dry_run") of a job that came or went in this turn, for the crash points behind its commit */
    bool changed; /* a job that is more than a look has ended: the inventory is old */
};

void custody_open(struct custody *custody, const struct custody_setup *setup);
void custody_close(struct custody *custody); /* no executor has a job any more */

/* A verified job. A repeat is answered with its last status; what must not be done here is REJECTED or EXPIRED; anything else is ACCEPTED and waits for its turn. Takes the job. */
int custody_accept(struct custody *custody, struct receipt *receipt, struct err *err);
int custody_say_accepted(struct custody *custody, struct work *work,
                         struct err *err); /* unless it was said, or the job has moved on */
/* Enters a job that the journal already has. */
int custody_enter(struct custody *custody, struct work *work, struct err *err);
/* Back into the backlog for `delay_ms`; a new reason is told. */
int custody_wait(struct custody *custody, struct work *work, int64_t delay_ms, struct err *err, const char *reason, ...)
    __attribute__((format(printf, 5, 6)));
/* Why a job that is in the backlog waits there. */
int custody_say_waiting(struct custody *custody, struct work *work, struct err *err, const char *reason, ...)
    __attribute__((format(printf, 4, 5)));
/* RUNNING: handed to an executor after the commit. token 0: without a lock. */
int custody_begin(struct custody *custody, struct work *work, int64_t token, int64_t trusted_until_ms, struct err *err);
/* It had begun when the worker died, as begun.h knows. */
int custody_had_begun(struct custody *custody, struct work *work, struct err *err);
/* What comes now may bring the worker down: it counts as an end of the job's until it has come to one. The first time only. */
int custody_recovery_begins(struct custody *custody, struct work *work, struct err *err);
/* Handed over again without a new state: recovery, or a debt that is paid. */
int custody_hand_over(struct custody *custody, struct work *work, enum work_task task, int64_t token,
                      int64_t trusted_until_ms, struct err *err);
/* Terminal. `why` may be NULL; `outcome` carries result and catalog changes, may be NULL. PARKED keeps the target closed. */
int custody_end(struct custody *custody, struct work *work, enum job_state state, const struct err *why,
                const struct outcome *outcome, struct err *err);
/* After a back-off; FAILED when attempts or time run out. */
int custody_retry(struct custody *custody, struct work *work, const struct err *why, struct err *err);
/* Closes the target of a PARKED job; custody_end does so itself. */
int custody_close_parked(struct custody *custody, struct work *work, struct err *err);
/* A person decided about a PARKED job, and what it owed is paid. */
int custody_resolve(struct custody *custody, struct work *work, struct err *err);
/* A running job is stuck until its call returns. Spared: it no longer counts for the limit of its class, for another executor takes its place. */
void custody_stuck(struct custody *custody, struct work *work);
void custody_spare(struct custody *custody, struct work *work);
/* A recovery whose look at the world does not return is given up: another work takes its place, and PARKS it. False: it may be taking effect, and is left alone. */
int custody_give_away(struct custody *custody, struct work *work, bool *out_done, struct err *err);
/* The executor of such a work came back. */
void custody_bury(struct custody *custody, struct work *orphan);
/* True past the deadline, when a recovery that cannot tell what became of the job has asked for long enough. */
bool custody_asked_enough(const struct custody *custody, const struct work *work);
/* Phase and progress of a running job. note: "stuck", or NULL. */
int custody_progress(struct custody *custody, struct work *work, const char *note, struct err *err);
/* Out of list and table; the caller has it then. */
void custody_leave(struct custody *custody, struct work *work);
/* Out of memory and table: its end is known to Redis. */
void custody_drop(struct custody *custody, struct work *work);
struct work *custody_find(const struct custody *custody, const char *job_id); /* NULL: not in custody */
struct queue_item *custody_take_starting(struct custody *custody);
