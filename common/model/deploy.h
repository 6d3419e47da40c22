#pragma once
/*
 * A deploy: snapshots of all its targets before it, and the way back after it. The ledger has its record (kind deploy, id DEPLOY), which only the planner changes once it is
 * there, and what it was told (id DEPLOY/1, DEPLOY/2 …), each written once. What is done for it are runs (model/run.h).
 */
#include "model/record.h"

enum deploy_state {
    DEPLOY_PLANNING,     /* begun; it has no run yet: it was begun just now, or waits for another deploy */
    DEPLOY_SNAPSHOTTING, /* its snapshots are being made */
    DEPLOY_READY,        /* all are there: the deploy may go on */
    DEPLOY_UNDOING,      /* some could not be made: the others are being deleted */
    DEPLOY_REVERTING,
    /* ended */
    DEPLOY_REFUSED, /* nothing was done */
    DEPLOY_UNDONE,
    DEPLOY_SUCCEEDED,
    DEPLOY_FAILED, /* and nobody asked for a revert */
    DEPLOY_REVERTED,
    DEPLOY_REVERT_FAILED, /* of some targets, or all */
    DEPLOY_EXPIRED,       /* nobody said in time how it ended */
};
enum deploy_overlap { DEPLOY_OVERLAP_REFUSE, DEPLOY_OVERLAP_WAIT };
/* What makes its restore points. Backups only in a group that stands for itself: there is no way back over a running guest that a deploy could take. */
enum deploy_operation { DEPLOY_SNAPSHOTS, DEPLOY_BACKUPS };
enum deploy_says { DEPLOY_SAYS_SUCCEEDED, DEPLOY_SAYS_FAILED };

struct deploy {
    char *selector; /* labels of its targets, the token's included */
    char *snapshot; /* the name of each of its snapshots */
    int quiesce;    /* enum quiesce */
    int overlap;    /* enum deploy_overlap */
    bool auto_revert;
    char *token;    /* of whoever began it */
    int64_t ttl_ms; /* snapshots are kept so long after its end; 0, of a standing one: until somebody deletes them */
    int64_t timeout_ms;  /* from ready to the word how it ended */
    int64_t within_ms;   /* for the snapshots */
    int64_t begun_at_ms; /* never twice for one id */
    char *reason;
    int state; /* enum deploy_state */
    int64_t state_at_ms;
    char *why;     /* it came to that state; absent: as it was asked */
    int64_t words; /* how many of those that it was told were taken in */
    /* Of the revert that is under way, or was. */
    struct strings order; /* names of targets: these first */
    bool keep_going;
    int64_t parallel;
    /* The end of its snapshots. */
    int64_t expires_at_ms; /* they are deleted then; 0: not decided */
    bool cleaning;         /* they are being deleted */
    int64_t cleaned_at_ms; /* they are gone; 0: not */
    /* When the last one was begun: the slots of these runs. 0: none was. */
    int64_t revert_at_ms, delete_at_ms;
    int64_t group_limit_ms;   /* its snapshots are one point in time (docs/groups.md); 0: each is for itself */
    bool standing;            /* a group that was asked for by itself: it has succeeded when its snapshots are there */
    int operation;            /* enum deploy_operation */
    char *repository;         /* of its backups: name or UUID; absent: each target's own */
    int kind;                 /* of its backups; enum backup_kind */
    int64_t rate_limit_bytes; /* of each of its backups, per second; 0: no limit */
};

struct deploy_word { /* what a deploy was told */
    int says;        /* enum deploy_says */
    bool revert;
    struct strings order;
    bool keep_going;
    int64_t parallel;
    char *reason;
};

enum { DEPLOY_ID_MAX = 100, DEPLOY_ORDER_MAX = 1000, DEPLOY_PARALLEL_MAX = 1000 };

extern const struct record_type deploy_record, deploy_word_record;
extern const char *const deploy_state_names[], *const deploy_overlap_names[], *const deploy_says_names[],
                                                                                  *const deploy_operation_names[];
DEFINE_RECORD(deploy, deploy_record)
DEFINE_RECORD(deploy_word, deploy_word_record)

bool deploy_id_valid(const char *id); /* letters, digits and . _ : + - behind the first */
/*
 * What a request says less: fills in the name of the snapshots, the token, the selector (the token's included; own NULL: it has none), and for a time of 0 the default. ERR_PERMANENT:
 * the id, the selector or a time cannot be. The same for HTTP and for events.
 */
int deploy_complete(struct deploy *deploy, const char *id, const char *selector, const char *own, const char *token,
                    struct err *err);
bool deploy_ended(const struct deploy *deploy);
