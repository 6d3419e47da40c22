#pragma once
/*
 * What a deploy does next: pure functions over its record, what it was told, and how its run stands. The planner acts on the answer and comes back; whatever it did not live to
 * do is the answer again, so a new leader goes on where the old one was (test_deploy.c dies between any two).
 *
 *     planning → snapshotting → ready → succeeded | failed | expired | reverting → reverted | revert_failed
 *         └─► refused   └─► undoing → undone                   failed, expired, revert_failed ─► reverting (asked later)
 *
 * Each state with work to do has one run, whose id follows from the deploy and the instant at which the state began, which the ledger has before the run is written.
 */
#include "model/deploy.h"
#include "model/run.h"

enum deploy_run { DEPLOY_RUN_BEGIN, DEPLOY_RUN_REVERT, DEPLOY_RUN_DELETE };
extern const char *const deploy_run_names[]; /* as the schedule of the run */

struct deploy_sight {
    const char *blocked; /* while it is planning: another deploy has one of its targets, in words; NULL: none has */
    const char *crowded; /* and: another group is being made on one of its hosts, in words; NULL: none is */
    const char *unfit;   /* and: a target can have no snapshot now, in words; NULL: all can */
    int64_t unfit_since_ms;
    bool may_revert;                /* its token is still there and allows class C */
    bool has_run;                   /* the run that its state asks for is written */
    bool stop_asked;                /* and was told to stop */
    bool unended;                   /* while it is cleaning: a host is silent that may still make a snapshot, or has */
    enum run_outcome run;           /* and stands so */
    const struct deploy_word *word; /* the next one that was not taken in; NULL: none */
};

enum deploy_act {
    DEPLOY_REST,
    DEPLOY_START,  /* write the run of its state */
    DEPLOY_STOP,   /* tell that run to stop */
    DEPLOY_CHANGE, /* write the record as `next` has it */
    DEPLOY_FORGET,
};

struct deploy_move {
    enum deploy_act act;
    bool warns;         /* CHANGE: people should hear of it */
    struct deploy next; /* CHANGE: the record; its strings are borrowed from the deploy, the word and the text */
};

void deploy_decide(const struct deploy *deploy, const struct deploy_sight *sight, int64_t now_ms,
                   struct deploy_move *out);
/* The run that its state asks for, and its slot; false: none. */
bool deploy_run_of(const struct deploy *deploy, enum deploy_run *out, int64_t *out_slot_ms);
/* At rest for good, until it is old, and forgotten. */
bool deploy_settled(const struct deploy *deploy);
bool deploy_is_old(const struct deploy *deploy, int64_t now_ms);
/* Its targets are not for another deploy. */
bool deploy_holds_targets(const struct deploy *deploy);

/* What becomes of a word, if it is said now. */
enum deploy_hears {
    DEPLOY_HEARS,   /* it counts */
    DEPLOY_KNOWS,   /* it was said before, or is so already: nothing changes */
    DEPLOY_REFUSES, /* it contradicts what was said or done before: nothing changes */
};
/* pending: the last one that was said and not yet taken in; NULL: none. */
enum deploy_hears deploy_hears(const struct deploy *deploy, const struct deploy_word *pending,
                               const struct deploy_word *said);
