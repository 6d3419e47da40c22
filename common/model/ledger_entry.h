#pragma once
/* The coordinator's memory: records of fleetsnap.ledger. Each is complete: it replaces what was known of (kind, id). design.md "Coordinator", "Ledger". */
#include "model/deploy.h"
#include "model/job.h"
#include "model/policy.h"
#include "model/run.h"

enum ledger_kind {
    LEDGER_TERM,
    LEDGER_EPOCH,
    LEDGER_JOB,
    LEDGER_KEY,
    LEDGER_TOKEN,
    LEDGER_REPOSITORY,
    LEDGER_HOST,
    LEDGER_HOLD,
    LEDGER_PIN,
    LEDGER_DEFAULT,
    LEDGER_POLICY,
    LEDGER_RUN,
    LEDGER_MARKS,
    LEDGER_DEPLOY,
    LEDGER_NOTICE
};

enum { RATE_NONE = -1 };

struct ledger_job { /* fields, not one state: each may be set without the others */
    struct job *job;
    int64_t prepared_at_ms, published_at_ms;
    int64_t partition, offset; /* where it was published; -1: not */
    char *cancel;              /* who and why; absent: not asked */
    char *resolve;             /* "done: reason" or "failed: reason" */
    char *outcome;             /* terminal state name once known */
    int64_t ended_at_ms;
    int64_t rate_limit; /* bytes/s, as told while it runs; RATE_NONE: no limit; 0: told nothing */
    char *finish;       /* "done": an export that runs was told to end well; absent: not told */
};

/* What became of one job, beside its record: published (no outcome), or ended. Many share one entry, so that a job costs one record and not three. */
struct ledger_mark {
    char *job; /* job_id */
    int64_t at_ms;
    int64_t partition, offset; /* published: where; -1: not known */
    char *outcome;             /* ended: terminal state name; absent: published */
    char *why;                 /* ended: in words; absent: the worker's event says it */
};

struct ledger_key {
    char *host; /* "" is the leader's */
    int64_t generation;
    int64_t created_at_ms, ended_at_ms;
};

struct ledger_token {
    char *name, *hash; /* SHA-256 of the bearer token */
    char *role;        /* viewer, operator, admin */
    char *selector;    /* label selector; absent: all */
    char *classes;     /* "A", "AB", "ABC" */
    int64_t created_at_ms, expires_at_ms;
    char *sealed; /* key for topic requests, sealed by a key from the master key; absent: HTTP only */
};

struct ledger_repository {
    char *name, *path, *host;
    char *job; /* that made it */
};

struct ledger_host {
    char *state; /* enrolled, draining, removed */
    int64_t since_ms; /* what it said and was given before counts no more: it was removed, or replaced, then; 0: all counts */
};

struct ledger_policy { /* id NAME/VERSION; the highest version that is not gone is the one that counts */
    struct policy policy;
    int64_t version;
    int64_t since_ms; /* slots after it are this version's: written when its schedules changed, and when it is resumed */
    bool paused;
    char *source; /* YAML, as it was written */
};

struct ledger_entry {
    int kind; /* enum ledger_kind */
    char *id;
    int64_t term, n;
    int64_t at_ms;
    char *who, *why;
    bool gone;     /* the id is deleted; tombstones follow */
    char *nonce;   /* TERM */
    int64_t epoch; /* EPOCH */
    char *run_id;  /* EPOCH: of the Redis server */
    struct ledger_job *job;
    struct ledger_key *key;
    struct ledger_token *token;
    struct ledger_repository *repository;
    struct ledger_host *host;
    struct facts values; /* HOLD, PIN, DEFAULT, NOTICE; later kinds have records of their own */
    struct ledger_policy *policy;
    struct run *run;             /* RUN: id is the run's, or */
    struct run_members *members; /* RUN/N */
    struct list marks;           /* MARKS: of struct ledger_mark, in order */
    struct deploy *deploy;       /* DEPLOY: id is the deploy's, or */
    struct deploy_word *word;    /* DEPLOY/N */
};

extern const struct record_type ledger_entry_record, ledger_job_record, ledger_mark_record, ledger_key_record,
    ledger_token_record, ledger_repository_record, ledger_host_record, ledger_policy_record;
extern const char *const ledger_kind_names[];

enum { LEDGER_MARKS_MAX = 1024 }; /* in one entry */

DEFINE_RECORD(ledger_entry, ledger_entry_record)
