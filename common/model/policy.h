#pragma once
/* A policy: which targets, what is done with them, when, and what is kept of it. People write it as YAML (docs/policies.md); the ledger keeps each version. */
#include "model/record.h"

enum policy_operation { POLICY_BACKUP_CREATE, POLICY_SNAPSHOT_CREATE, POLICY_BACKUP_VERIFY, POLICY_BACKUP_COPY };
enum policy_overlap { OVERLAP_SKIP, OVERLAP_QUEUE };
enum policy_window_end { WINDOW_END_LEAVE, WINDOW_END_CANCEL };

struct policy_match {     /* all that is said must hold; nothing said: everything */
    char *labels;         /* as in kubectl: app=shop,tier!=db */
    struct strings names; /* globs; one is enough */
    struct strings hosts; /* globs */
    struct strings kinds; /* libvirt */
};

struct policy_select {
    char *labels;
    struct strings names, hosts, kinds;
    struct policy_match *exclude; /* what this matches is left out */
};

struct policy_backup {
    int kind, quiesce; /* enum backup_kind, enum quiesce */
    struct strings include, exclude;
    int64_t rate_limit_bytes; /* a second, for each job; 0: none */
    bool compress;
    int64_t max_chain, max_chain_age_ms;
};

struct policy_snapshot {
    int kind, quiesce; /* enum snapshot_kind, enum quiesce */
    bool disk_only;
};

struct policy_verify {
    int depth;                      /* enum verify_depth */
    int64_t newest;                 /* so many of each target that this depth has not proven yet */
    int64_t sample, sample_percent; /* instead: so many of all, or this share of them; 0: no sample */
};

struct policy_schedule {
    char *name, *cron;
    int kind;          /* of backups; -1: as backup.kind says */
    int64_t spread_ms; /* targets take their turns over this time */
    int64_t window_ms; /* nothing starts later than this after the slot; 0: no end */
    int window_end;    /* enum policy_window_end: what becomes of jobs that run then */
    int missed;        /* enum schedule_missed */
    int64_t missed_limit;
};

struct policy_retention {
    int64_t last, hourly, daily, weekly, monthly, yearly, keep_within_ms, min_verified;
    bool verified_only;
    bool merge; /* a base whose time is over goes into what stands on it */
};

struct policy_limits { /* jobs of this policy at a time; 0: no limit */
    int64_t jobs, per_host, per_repository, per_pool;
    int64_t fulls; /* in one run, of those that nobody asked for */
};

struct policy_notification { /* of what goes wrong with it; empty: all */
    struct strings rules;    /* failed, late, parked */
    struct strings to;       /* names of webhooks */
};

struct policy {
    char *name, *description, *owner;
    struct policy_select select;
    int operation;    /* enum policy_operation */
    char *repository; /* name; absent: the default of each target */
    struct policy_backup *backup;
    struct policy_snapshot *snapshot;
    struct policy_verify *verify;
    char *time_zone;
    struct list schedules; /* struct policy_schedule */
    struct policy_retention *retention;
    struct policy_limits limits;
    int overlap;                              /* enum policy_overlap */
    int64_t priority;                         /* 0–9 */
    int64_t max_age_ms;                       /* of the newest complete backup; 0: no alarm */
    struct policy_notification *notification; /* absent: all webhooks are told all */
};

extern const struct record_type policy_record, policy_match_record, policy_schedule_record, policy_retention_record;
extern const char *const policy_operation_names[], *const policy_overlap_names[], *const policy_window_end_names[],
                                                                                      *const policy_missed_names[],
                                                                                          *const policy_kind_names[];
DEFINE_RECORD(policy, policy_record)

/* What "record.field" means, in one line without quotes: for the schema and docs/policies.md. NULL: no such row. */
const char *policy_doc(const char *record, const char *field);
