#pragma once
/*
 * The runner: the only code that executes plans. It journals, checks, undoes, pays debts, recovers and renders, for every verb of every backend. Runs on an executor
 * thread; everything it needs of its surroundings is in struct runner_env (the worker's loop and keeper in production, a fake in the contract tests).
 */
#include "base/err.h"
#include "model/job.h"
#include "model/job_state.h"
#include "model/status.h"
#include "redis/store.h"
#include "worker/backend.h"

/* Of a journaled step. PAID: of a paying step, whether in its turn or not. UNDOING is written before undo(): what is half taken back is never taken for done. */
enum step_state { STEP_PLANNED, STEP_INTENT, STEP_DONE, STEP_UNDONE, STEP_PAID, STEP_UNDOING };
extern const char *const step_state_names[];

struct step_change { /* one row of the journal's table of steps */
    size_t index;
    enum step_state state;
    const struct facts *facts; /* with DONE: what was learned; else NULL */
};

enum trust {
    TRUST_OURS,
    TRUST_STALE,
    TRUST_LOST,
    TRUST_PINNED
}; /* STALE: no answer from Redis in time; LOST: another owner */

struct runner_env {
    void *context;
    /* Durable when they return; wait for one turn of the loop (about a millisecond). */
    int (*save_plan)(void *context, const char *plan_json, struct err *err);
    int (*save_steps)(void *context, const struct step_change *changes, size_t count, struct err *err);
    /* A fresh renewal right before a class C step. `detail` (256 bytes) names the other owner or the pinned point. */
    enum trust (*confirm_lock)(void *context, const struct plan *plan, char *detail);
    enum trust (*lock_trust)(void *context); /* as last heard, without asking */
    int (*reserve)(void *context, const char *repository, int64_t bytes, int64_t free_bytes, int64_t min_free_bytes,
                   struct err *err);
    void (*phase)(void *context, const char *phase); /* a step begins */
    void (*progress)(void *context, int64_t done, int64_t total);
    /* Around a look at the world that takes no effect (settle), for it may never return. False: it took so long that the job was given to another: touch nothing. NULL: nobody minds. */
    bool (*looking)(void *context, bool begins);
    bool (*cancelled)(void *context); /* asked by a person */
    bool (*stopping)(void *context);  /* the worker shuts down hard: leave the plan where it is */
    bool (*lock_lost)(void *context);
    int64_t (*rate_limit)(void *context);
    void (*pause)(void *context, int ms); /* between tries; NULL: sleeps, cut short by stopping() */
    /* A vote in the job's consistency group; one round trip of the keeper at most. why: of VOTE_ABORT. NULL: no groups here. */
    void (*barrier)(void *context, const struct job *job, enum barrier_vote vote, const char *why,
                    struct barrier_result *out);
    void (*tell)(void *context, const struct facts *facts); /* NULL: nobody hears it */
    bool (*told_to_end)(void *context);                     /* NULL: nobody can */
};

struct journaled_step {
    enum step_state state;
    struct facts facts;
};

struct journaled_plan { /* what a restarted worker knows */
    struct plan plan;
    struct journaled_step *steps; /* plan.count */
};
void journaled_plan_clear(struct journaled_plan *plan);
bool journaled_plan_owes_first(
    const struct journaled_plan *plan); /* a debt that is harmless in any state: a guest may be frozen */
bool journaled_plan_final(const struct journaled_plan *plan); /* no way back any more: only forward */

enum outcome_kind {
    OUTCOME_ENDED, /* state is terminal */
    OUTCOME_RETRY, /* nothing is left of the attempt; try again after a back-off if attempts and deadline allow (the loop decides) */
    OUTCOME_AGAIN, /* recovery: settle said BUSY, or the world did not answer: call runner_recover again in 500 ms, target closed */
    OUTCOME_REPLAN, /* recovery undid everything: run the job afresh, same attempt */
    OUTCOME_LEFT,   /* shutdown: the plan stays in the journal for the next start */
};

struct outcome {
    enum outcome_kind kind;
    enum job_state state; /* ENDED */
    struct err err;       /* FAILED, PARKED, RETRY …: why */
    struct report report; /* SUCCEEDED: result and catalog changes; PARKED: facts with the evidence */
    char *owed;           /* PARKED with a debt that could not be paid: "start" …; NULL otherwise */
};
void outcome_clear(struct outcome *outcome);

/* Plans and executes, or for a dry run plans and renders. Never fails: whatever happens is in `out` (zeroed by the caller). */
void runner_run(const struct runner_env *env, struct backend *backend, const struct job *job, struct outcome *out);
/* How much of a recovery may be done now. */
enum recovery {
    RECOVERY_ON,   /* forward or back, as the plan stands: the lock is ours, or none is needed */
    RECOVERY_BACK, /* no lock for long, and nobody else reaches the target: only back. A plan without a way back: AGAIN */
    RECOVERY_DEBTS, /* nothing but pay_first debts, which need no lock; then AGAIN */
};
/* Goes on with a plan found in the journal: pay_first debts, settle, then forward or back. */
void runner_recover(const struct runner_env *env, struct backend *backend, const struct job *job, enum recovery how,
                    struct journaled_plan *journaled, struct outcome *out);
/* A job that is not tried again (`why`): harmless debts (a thaw) are paid, the rest is evidence, and it is PARKED. */
void runner_give_up(const struct runner_env *env, struct backend *backend, const struct job *job, const char *why,
                    struct journaled_plan *journaled, struct outcome *out);
/* Pays what a PARKED job still owes when a person resolves it (start, resume). */
int runner_pay_owed(const struct runner_env *env, struct backend *backend, const struct job *job,
                    struct journaled_plan *journaled, struct err *err);
