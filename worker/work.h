#pragma once
/*
 * A job in custody, as the loop holds it between ACCEPT and the end. Owned by the loop; an executor has it from the hand-over (task queue) until it comes back as
 * MESSAGE_ENDED, and meanwhile the loop reads only what does not change and writes only what the loop alone reads (stage, told).
 */
#include "model/job.h"
#include "redis/store.h"
#include "worker/hold.h"
#include "worker/message.h"

enum work_stage {
    WORK_WAITING,   /* in the backlog, with or without a reason */
    WORK_ACQUIRING, /* Redis was asked */
    WORK_STARTING,  /* RUNNING is being written; handed over after the commit */
    WORK_RUNNING,   /* with an executor */
    WORK_ENDING,    /* terminal in the journal; Redis is told */
    WORK_PARKED,    /* its target is closed until a person decides */
};

enum work_place { PLACE_NONE, PLACE_READY, PLACE_LATER, PLACE_BLOCKED }; /* in the backlog */

enum work_task { TASK_RUN, TASK_RECOVER, TASK_PAY };

enum { WORK_WAITING_TEXT = 320, WORK_SLOTS = 1 };

struct work {
    struct message message; /* first: it is the queue item, both ways */
    struct job *job;
    char target[TARGET_TEXT];
    enum job_class class;
    const struct backend_ops *ops;

    int64_t row;             /* in the journal */
    int64_t append_ms;       /* LogAppendTime of its record */
    int64_t accepted_at_ms;  /* real */
    bool told_accepted;      /* by this process */
    bool brief;              /* it will have ended before anybody could read that it runs */
    int64_t silent_since_ms; /* real: it runs since then, and no event has said so; 0: one has, or it does not run */
    int64_t seq;             /* of the last status event */
    int64_t attempt;         /* 0: none has begun */
    int64_t crashes;         /* attempts that began and ended with the worker's death */
    int64_t token;
    enum job_state state;
    char waiting[WORK_WAITING_TEXT];

    enum work_stage stage;
    enum work_place place;
    enum work_task task;
    bool journaled;              /* there is a plan in the journal */
    bool cancelled;              /* asked by a person */
    char rate_word[32];          /* "rate:<bytes/s>", as Redis said when it gave the lock; "": nothing */
    bool closes_target;          /* recovering or parked: nothing of class B or C starts there */
    bool stuck;                  /* said so */
    bool spared;                 /* stuck, and its place is given to another */
    bool watched, kept;          /* the keeper reads its flags; renews its lock */
    int64_t wake_ms;             /* monotonic: not looked at before; 0: at once */
    int64_t ticketless_since_ms; /* monotonic, first NOTICKET in a row; 0: none */
    struct admission *admission; /* who asked Redis */
    int64_t asked_ms;            /* monotonic, when acquire was sent */
    int64_t told_ms; /* monotonic, of the last progress event, or why it waits behind another job; when it began silently */
    int64_t blocked_ms; /* monotonic, first sweep that saw it behind another job; 0: not */
    int64_t told_done;
    char told_phase[64];
    int told_tellings;
    char *control; /* "resolve:done: reason" being worked on */
    struct store_slot slots[WORK_SLOTS];
    size_t slot_count;
    char slot_names[WORK_SLOTS][80];

    struct hold *hold;            /* while it runs */
    struct journaled_plan *plan;  /* TASK_RECOVER, TASK_PAY */
    enum recovery recovery;       /* TASK_RECOVER: how much of it */
    const char *give_up;          /* TASK_RECOVER: why it is PARKED, when what is harmless is paid; NULL: it goes on */
    bool lock_lost;               /* TASK_RECOVER: another's when last heard */
    int64_t cut_off_since_ms;     /* TASK_RECOVER: monotonic, without a lock; 0: not */
    int64_t recovers_since_ms;    /* TASK_RECOVER: monotonic */
    bool recovery_counted;        /* TASK_RECOVER: among the crashes, until it comes to an end */
    bool orphan;                  /* given away: an executor still has it, custody has another in its place */
    struct outcome outcome;       /* filled by the executor */
    int64_t ran_us;               /* how long the executor had it, by the executor */
    size_t heap_index;            /* in the backlog's heaps */
    struct work *next, *previous; /* all in custody; linked by the custody */
    struct work *next_blocked;    /* behind a busy target */
    struct work *next_silent, *previous_silent;
    struct work *next_holder; /* of those that keep the target closed */
};

int work_new(struct job *job, struct work **out, struct err *err); /* takes `job` on success */
void work_free(struct work *work);                                 /* NULL is fine; never while an executor has it */
const char *work_crash_name(const struct work *work); /* its op; "dry_run" for one: the crash matrix means what is done */
/* Passed its deadline, or the time by which it had to start. */
bool work_expired(const struct work *work, int64_t now_real_ms);
