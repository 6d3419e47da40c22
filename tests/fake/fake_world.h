#pragma once
/*
 * A world to try the runner on: a guest that can be frozen, stopped, and changed by steps of every kind, and a journal. All of it lives in shared memory, so that a child process can
 * be killed in the middle and the parent look at what is left, and go on. One test at a time.
 */
#include "worker/runner.h"

#include <sys/types.h>

enum fake_effect { FAKE_ADD, FAKE_SNAP, FAKE_PUSH, FAKE_SWAP, FAKE_KILL, FAKE_EFFECTS };

enum { FAKE_STEPS = 16, FAKE_FACTS = 256, FAKE_PLAN = 4096 };

struct fake_world {
    bool frozen, stopped;
    bool held[2];               /* two debts of one type */
    int applied[FAKE_EFFECTS];  /* 1: the effect is in the world */
    int executed[FAKE_EFFECTS]; /* how often it was brought about */
    int unpaid_effects;         /* effects of class C that began without a confirmed lock: must stay 0 */
    char fail_step[32];         /* this step's execute() fails … */
    enum err_kind fail_kind;
    int fail_times; /* … so many times (-1: always), after half of its effect if `fail_late` */
    bool fail_late;
    bool stop_on_failure; /* the worker begins to stop hard when it fails */
    bool settle_unknown;  /* settle() cannot tell */
    int settle_busy;      /* settle() says BUSY so many times */
    int thaw_failures;
    /* the journal */
    char plan[FAKE_PLAN];
    struct {
        int state;
        char facts[FAKE_FACTS];
    } steps[FAKE_STEPS];
    /* the surroundings */
    bool cancelled, stopping, lock_lost;
    char cancelled_in[32], stopping_in[32]; /* … from when this step begins */
    int saves;                              /* commits of steps */
    int saves_until_failure, save_failures; /* after so many, so many fail (-1: all) */
    bool given_away;                        /* while settle() looked */
    enum trust trust;
    int confirmed; /* confirm_lock calls answered OURS */
    int64_t done, total;
    /* a consistency group, as the others and Redis stand to it */
    enum barrier_answer group_says[4]; /* to each vote; ON at first */
    int group_waits;                   /* WAIT so many times before a vote is answered with that */
    int votes[4];
    bool frozen_when_ready, thawed_when_frozen; /* it was in the wrong state when it voted: must stay false */
    pid_t group_attempt;                        /* who voted first: another process has begun again */
    bool group_over;                            /* somebody aborted */
};

struct fake_world *fake_world_new(void); /* shared memory; fake_world_free */
void fake_world_free(struct fake_world *world);
void fake_world_use(struct fake_world *world); /* the one that the fake backend's steps act on */
struct runner_env fake_env(struct fake_world *world);
extern const struct backend_ops
    fake_backend_ops; /* snapshot.create: freeze snap thaw, in a group barrier freeze barrier snap thaw · snapshot.revert: check stop swap add start · snapshot.delete: add kill · backup.create: add push, in a group add barrier freeze barrier snap thaw push · backup.restore: hold a, hold b, add, free b, free a */
struct backend *fake_backend(void);
/* The plan in the journal; false: there is none. */
bool fake_journaled(struct fake_world *world, struct journaled_plan *out);
