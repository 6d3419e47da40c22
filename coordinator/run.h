#pragma once
/*
 * What a run does next: one pure function over what its members have come to. It serves every run alike; what differs is said by the run's record. Whoever acts on the answer
 * (planner.c) comes back with what became of it.
 */
#include "model/run.h"

#include <uthash.h>

struct err;

enum member_state {
    MEMBER_PENDING, /* has no job yet */
    MEMBER_OPEN,    /* has one that has not ended */
    MEMBER_DONE,
    MEMBER_FAILED, /* failed, rejected, expired; or LOST, as long as it is */
    MEMBER_CANCELLED,
    MEMBER_UNKNOWN, /* PARKED: a person decides; for the run it is over */
    MEMBER_SKIPPED, /* left out when the run was planned */
};

enum member_move {
    MOVE_NONE,
    MOVE_SUBMIT, /* its turn has come, and there is room */
    MOVE_CANCEL, /* ask its job to stop */
    MOVE_DROP, /* it will have no job: the run was cancelled, stopped at a failure, or its window is over; it counts as cancelled */
    MOVE_REFUSE, /* it will have no job: its host takes no work for too long; it counts as failed */
};

enum run_limit { /* which of run_limits */
                 LIMIT_NONE,
                 LIMIT_JOBS,
                 LIMIT_POLICY_JOBS,
                 LIMIT_PER_HOST,
                 LIMIT_POLICY_PER_HOST,
                 LIMIT_PER_REPOSITORY,
                 LIMIT_POLICY_PER_REPOSITORY,
                 LIMIT_PER_POOL,
                 LIMIT_POLICY_PER_POOL,
                 LIMIT_COUNT,
                 LIMIT_BROKEN = LIMIT_COUNT, /* none of them: a circuit breaker is not closed */
};

struct run_seat { /* a member as the decision sees it; the strings are the caller's */
    enum member_state state;
    int64_t due_at_ms;
    const char *host, *repository; /* repository NULL: none */
    const struct strings *pools;   /* as run_member has them; NULL: none */
    bool host_ready;               /* alive enough to be given work, and not draining */
    bool target_busy;              /* an earlier job of this policy is open on its target */
    bool waits_for_earlier;        /* an earlier member of this run has the same target, and has not ended */
    bool cancel_asked;
    bool lost;              /* it has failed as far as anybody can tell: its job may still say otherwise */
    int64_t stuck_since_ms; /* its turn had come, and its host took no work; 0: not so. The decision's own memory */
    enum member_move move;  /* the answer */
    enum run_limit full;    /* and why there is none: its turn has come, and this limit leaves no room */
};

struct job_word { /* what the ledger says of a member's job */
    bool known, ended, cancel_asked;
    bool lost; /* it has not ended, and its host is silent */
    int state; /* of one that ended: enum job_state */
};
/* Notes it in the seat; parked: the job waits for a person. */
void run_hear(const struct job_word *word, bool parked, struct run_seat *seat);

struct run_counts {
    size_t pending, open, done, failed, cancelled, unknown, skipped;
};

/* How many jobs are under way, and of which policies, for each limit and what it limits. */
struct run_load;
int run_load_new(struct run_load **out, struct err *err);
void run_load_free(struct run_load *load);
void run_load_add(struct run_load *load, const char *policy, const struct run_seat *seat);
/* From now on it knows whose the jobs are; their policies' names are lent to it for as long as it is. */
void run_load_remember(struct run_load *load);
/* Jobs of policies: there are to be no more than `most` at that host or repository, whatever the limits say (breaker.h). */
void run_load_break(struct run_load *load, enum run_limit limit, const char *name, int64_t most);
enum { RUN_HOLDERS = 4 };
/* The policies whose jobs take the room that this limit leaves to such a seat; the first few. */
size_t run_load_holders(const struct run_load *load, enum run_limit limit, const char *policy,
                        const struct run_seat *seat, const char *out[RUN_HOLDERS]);

struct run_limits {                                                               /* 0: no limit */
    int64_t jobs, per_host, per_repository, per_pool;                             /* of all policies together */
    int64_t policy_jobs, policy_per_host, policy_per_repository, policy_per_pool; /* of this one */
};
/* "limits.per_host 4 on alpha", as people find it in the configuration or in the policy. */
void run_limit_text(enum run_limit limit, const struct run_limits *limits, const char *policy,
                    const struct run_seat *seat, char *out, size_t size);

/* Whose turn comes first: that of high priority, then the oldest. As qsort wants it. */
int run_order(const struct run *one, const struct run *other);
/* Fills in the move of each seat, and counts what is taken in `load`. Moves are in the order of the seats: those first in line come first. */
void run_decide(const struct run *run, const struct run_limits *limits, int64_t now_ms, struct run_seat *seats,
                size_t count, struct run_load *load);
void run_count(const struct run_seat *seats, size_t count, struct run_counts *out);
/* RUN_RUNNING as long as a member is pending or open. */
enum run_outcome run_judge(const struct run *run, const struct run_counts *counts);
