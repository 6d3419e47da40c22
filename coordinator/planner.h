#pragma once
/*
 * The inside of the planner, shared by planner*.c only. One thread owns all of it, but for what the mutex protects. It decides nothing by itself (schedule.h, plan.h, run.h, retention.h) and does
 * nothing by itself: it reads ledger and view, asks those, and hands what they say to the desk. What it remembers is a cache of the ledger: a new leader's planner comes to the same.
 */
#include "base/uuid.h"
#include "coordinator/internal.h"
#include "coordinator/run.h"
#include "coordinator/runs.h"
#include "coordinator/timetable.h"

struct breakers;
struct planner_events;

struct mark { /* the newest slot of "policy/schedule" that has a run, or was left out */
    UT_hash_handle hh;
    int64_t slot_ms;
    char name[];
};

struct active { /* a run that has not ended */
    UT_hash_handle hh;
    struct run run;
    struct list members;         /* struct run_member */
    struct ledger_entry *policy; /* the version that it was planned by; NULL: deleted since */
    char (*job_ids)[UUID_TEXT];
    struct run_seat *seats;
    bool fresh; /* what became of its jobs has not been asked yet */
    char id[UUID_TEXT];
};

struct planner {
    struct coordinator *coordinator;
    pthread_t thread;
    pthread_mutex_t mutex; /* protects wanted, stopping */
    pthread_cond_t changed;
    bool wanted, stopping;

    /* the thread's own */
    struct view_reader *reader;
    int64_t term; /* for which all below was read; 0: not leading */
    uint64_t fingerprint;
    struct policy_set policies;
    struct timetable *compiled; /* beside each policy of the set; zone NULL: it cannot be understood here */
    struct mark *marks;
    struct active *runs;
    struct world *world;       /* taken at the beginning of a round that needs it; NULL: not yet in this one */
    struct breakers *breakers; /* NULL: nothing has failed yet */
    struct strings parked;     /* jobs that wait for a person; sorted */
    int64_t parked_ms;         /* monotonic, when it was asked */
    int64_t expire_ms;         /* monotonic, of the next look at retention */
    int64_t tidy_ms, ttl_ms;
    struct planner_events *events; /* NULL: not being read */
    int64_t led_at_ms;             /* since when this term; real */
    char said[512];                /* the last trouble that was logged, and when */
    int64_t said_ms;
};

/* planner.c */
int planner_world(struct planner *planner, struct err *err);          /* planner->world is there after it */
void planner_trouble(struct planner *planner, const struct err *err); /* logs it, once a minute */
int64_t planner_mark(const struct planner *planner, const char *policy, const char *schedule); /* 0: none */
int planner_set_mark(struct planner *planner, const char *policy, const char *schedule, int64_t slot_ms,
                     struct err *err);

/* planner_fire.c: slots that are due become runs */
void planner_fire(struct planner *planner, int64_t now_ms);    /* what goes wrong with one holds up no other */
int planner_compile(struct planner *planner, struct err *err); /* planner->compiled, anew */
void planner_compiled_free(struct planner *planner);

/* planner_deploy.c: deploys are taken one step further. Returns how many are not at rest, -1 */
int planner_deploys(struct planner *planner, int64_t now_ms, struct err *err);

/* planner_drive.c: runs that have not ended are taken further */
int planner_adopt(struct planner *planner, struct err *err); /* those of the ledger that it does not have yet */
int planner_drive(struct planner *planner, int64_t now_ms, struct err *err);
void active_free(struct active *active);
void planner_show_breakers(struct planner *planner); /* in coordinator_state() */

/* planner_expire.c: what no rule keeps becomes a run of deletions; old runs and versions are forgotten */
int planner_expire(struct planner *planner, int64_t now_ms, struct err *err);
int planner_tidy(struct planner *planner, int64_t now_ms, struct err *err);

/* planner_ttl.c: snapshots that were made with a time to live */
int planner_ttl(struct planner *planner, int64_t now_ms, struct err *err);
