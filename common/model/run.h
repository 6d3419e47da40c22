#pragma once
/*
 * A run: jobs that are planned together and judged together. The ledger has one record for the run (kind run, id RUN) and, written before it, its members in parts (kind run, id
 * RUN/0, RUN/1 …), because a record has a limit and a run has none.
 */
#include "model/record.h"

enum run_outcome { RUN_RUNNING, RUN_DONE, RUN_SOME_FAILED, RUN_FAILED, RUN_UNKNOWN, RUN_CANCELLED, RUN_EMPTY };

enum { RUN_PART_MEMBERS = 500 /* of 1 MiB; 2 KiB each at the most */, RUN_POOLS = 4 };

struct run_member {
    char *target; /* kind:id */
    char *name;   /* of the target, for people */
    char *host;
    char *repository;     /* UUID; absent: none is used */
    char *point;          /* restore point that the job is about */
    char *snapshot;       /* name of the snapshot that is deleted, or, for a deploy, made or reverted to */
    int64_t due_at_ms;    /* its turn */
    int64_t retarget;     /* how often it was planned again on another host */
    char *skipped;        /* why it has no job ("refused: …": it should have one); absent: it has one, or will */
    struct strings pools; /* where its target's disks lie, as limits.per_pool counts them (pools.h) */
    bool merge;           /* before the point is deleted it is merged into what builds on it */
};

struct run_members {
    struct list members; /* struct run_member */
};

struct run {
    char *policy;
    int64_t version;
    char *schedule; /* of the policy; "manual", "retention"; of a deploy "begin", "revert", "delete" */
    int64_t slot_ms;
    char *operation; /* op of the jobs */
    int kind;        /* of backups; enum backup_kind */
    char *requested_by;
    int64_t planned_at_ms;
    int64_t members, parts;
    int64_t priority;
    int64_t window_end_at_ms; /* no job starts later; 0: none */
    bool cancel_at_end;       /* of the window */
    char *cancel;             /* who asked to cancel it, and why */
    int64_t ended_at_ms;
    int outcome; /* enum run_outcome */
    int64_t done, failed, unknown, cancelled, skipped;
    /* Of a deploy (model/deploy.h); policy is then "deploy:ID". */
    char *deploy;
    int quiesce;          /* of its snapshots; enum quiesce */
    bool in_order;        /* nobody overtakes a member that cannot start yet */
    bool stop_on_failure; /* after one that did not succeed nothing starts any more */
    int64_t at_once;      /* so many jobs; 0: no limit */
    int64_t start_within_ms; /* a member whose turn has come and whose host takes no work for so long is refused; 0: it waits */
    int64_t group_limit_ms; /* its members are one consistency group (docs/groups.md); 0: they are none */
    /* Of a recovery; policy is then "recover:HOST". */
    char *recovers;           /* the host whose machines are restored on others */
    int start;                /* of what it restores; enum restore_start */
    int64_t rate_limit_bytes; /* of each backup of a group, per second; 0: no limit */
};

extern const struct record_type run_record, run_members_record, run_member_record;
extern const char *const run_outcome_names[];
/* It was selected, and cannot be done: for its run it has failed. */
bool run_member_refused(const struct run_member *member);
/* Not of a deploy, nor a recovery: a policy's name is what its `policy` says. */
static inline bool run_is_of_policy(const struct run *run)
{
    return !run->deploy && !run->recovers;
}
bool run_makes_backups(const struct run *run);
DEFINE_RECORD(run, run_record)
DEFINE_RECORD(run_members, run_members_record)
