#pragma once
/* The inside of a history: for history*.c only. */
#include "base/uuid.h"
#include "coordinator/cli/history.h"

#include <uthash.h>

/* Brokers, hosts and coordinator have clocks of their own, and a pin needs a while until it is in force: what is closer than this is not told apart. */
enum { HISTORY_SLACK_MS = 30000 };

enum { JOURNALS = 2 }; /* that are remembered of a job: the first, and the newest of the others */

struct interned {
    UT_hash_handle hh;
    char text[];
};

struct word { /* one event of a job; at.offset -1: none yet */
    int64_t seq;
    int state;
    struct history_place at;
};

struct judged_journal {
    uint64_t name;                  /* hash of its id; 0: none */
    struct word running, last, end; /* the first RUNNING; the highest that is no end; the first end */
    char resolved;                  /* 'd' done, 'f' failed, 0 not */
    struct history_place resolved_at;
};

struct judged_job {
    UT_hash_handle hh;
    unsigned char id[UUID_BYTES];
    bool in_ledger, late; /* late: its record is younger than where the other topics end */
    bool doubted;         /* an event, or a record on fleetsnap.jobs, that names it did not verify */
    bool stranger;        /* its host speaks of it at a time when the ledger would know it */
    bool reaches_alone;   /* nobody but its host reaches the target: class B may go on without Redis */
    bool really_last;     /* asked to delete even the last good restore point */
    bool only_point;      /* … to delete `point`, and none besides */
    int op, class;
    const char *host, *target; /* interned; NULL: the ledger does not say */
    unsigned char point[UUID_BYTES];
    char content[17];                /* digest of what was asked */
    struct history_place ledger;     /* its first record there that is still there */
    int64_t since_ms;                /* when it was asked for */
    int outcome;                     /* by the ledger; -1: none */
    struct history_place outcome_at; /* offset -1: younger than where the others end */
    struct history_place published;  /* offset -1: not seen */
    struct judged_journal journals[JOURNALS];
    struct word leader;              /* the end that the leader said */
    int64_t token;                   /* the newest that its events named */
    struct history_place first_word; /* of its worker; offset -1: none */
};

struct judged_token { /* of a target's lock */
    UT_hash_handle hh;
    struct {
        const char *target; /* interned */
        int64_t token;
    } of;
    const struct judged_job *job; /* that said it first */
    struct history_place at;
};

struct judged_point {
    UT_hash_handle hh;
    struct judged_point *next;                                        /* of its group */
    unsigned char id[UUID_BYTES], parent[UUID_BYTES], by[UUID_BYTES]; /* by: the job that deleted it */
    bool known, backup, complete, has_parent, deleted;
    const char *target, *repository;  /* interned */
    int64_t completed_ms, damaged_ms; /* damaged_ms: when its last verification failed; 0: it did not */
    struct history_place first, gone;
};

struct point_group { /* the restore points of one target in one repository */
    UT_hash_handle hh;
    struct {
        const char *target, *repository; /* interned */
    } of;
    struct judged_point *first;
};

struct pinned { /* from the record of one pin to that of its end */
    struct pinned *next;
    const char *id; /* interned: the restore point */
    bool over;
    struct history_place begin, end;
};

struct seen_partition {
    int64_t begin; /* the first offset that was there */
    int64_t next, first_ms;
    bool any, gap;
};

struct seen_topic {
    struct seen_partition *partitions;
    int32_t count;
};

struct history {
    struct judged_job *jobs;
    struct judged_token *tokens;
    struct judged_point *points;
    struct point_group *groups;
    struct interned *names, *repositories_made; /* the latter: repositories whose beginning the ledger tells */
    struct pinned *pins;
    struct seen_topic seen[TOPIC_COUNT];
    int64_t born_ms, newest_ms; /* append time of the ledger's first record; of the newest of all */
    bool ledger_read;
    struct history_finding *findings;
    size_t finding_count;
    int64_t broken;
    struct history_tally tallies[RULE_COUNT];
};

/* ---- history.c ---- */

const char *history_intern(struct interned **names, const char *text, struct err *err); /* NULL: out of memory */
struct judged_job *history_job_of(struct history *history, const char *job_id, bool make, struct err *err);
void history_checked(struct history *history, enum history_rule rule);
void history_unknown(struct history *history, enum history_rule rule);
/* proofs: up to HISTORY_PROOFS, ends with NULL. */
void history_blame(struct history *history, enum history_rule rule, const char *subject,
                   const struct history_place *const proofs[], const char *format, ...)
    __attribute__((format(printf, 5, 6)));
#define PROOFS(...) ((const struct history_place *const[]){__VA_ARGS__, NULL})
bool history_place_is(const struct history_place *place);

/* ---- history_seen.c ---- */

/* Of what was said of a job that was in the ledger at at_ms, nothing is missing on this topic. */
bool seen_since(const struct history *history, int topic, int64_t at_ms);
bool seen_whole(const struct history *history, int topic); /* nothing of it was compacted away or has expired */

/* ---- history_kept.c ---- */

int kept_pin(struct history *history, const struct history_place *at, const struct ledger_entry *entry, struct err *err);
void kept_end(struct history *history);
