#pragma once
/*
 * The history of a fleet, judged: what the records of the topics say is held against the rules of docs/protocol.md "What the history proves". Pure: no I/O, no clock. Memory: below
 * 1 KiB for each job and each restore point that is named, whatever is said of them. Belongs to one thread.
 *
 * Told in this order: the ledger, as far as it goes; then the others, each partition in its order; then what the ledger got meanwhile. Only what verified is told, and of every
 * record of the others that it is there. What is no longer on a topic is not known, and nobody is blamed for it.
 */
#include "model/topics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct history;
struct job;
struct ledger_entry;
struct restore_point;
struct status;

enum history_rule {
    RULE_ENDS,   /* each job ends once */
    RULE_ONCE,   /* what takes something away never runs twice */
    RULE_TICKET, /* no effect without a ticket, and none without the ledger */
    RULE_LOCK,   /* no token of a target is given twice, none falls */
    RULE_KEPT,   /* what a rule keeps is not deleted */
    RULE_COUNT
};

extern const char *const history_rule_names[RULE_COUNT + 1]; /* NULL-terminated */
extern const char *const history_rule_texts[RULE_COUNT];     /* one line for people */

struct history_place { /* of a record */
    int topic;         /* enum topic */
    int32_t partition;
    int64_t offset, at_ms; /* append time */
};

struct history_tally {
    int64_t checked, broken, unknown; /* unknown: what would tell is no longer there, or does not verify */
};

enum { HISTORY_PROOFS = 3, HISTORY_FINDINGS_MAX = 1000 };

struct history_finding {
    enum history_rule rule;
    char subject[64]; /* job or restore point id, target */
    char text[384];
    struct history_place proofs[HISTORY_PROOFS];
    size_t proof_count;
};

int history_new(struct history **out, struct err *err);
void history_free(struct history *history); /* NULL is fine */

/* ---- the records; -1: out of memory ---- */

/* Of each partition of a topic but the ledger's, before its records: the first offset that is still there. */
int history_begin(struct history *history, int topic, int32_t partition, int64_t offset, struct err *err);
/* Of every record of these, before anything else is told of it. */
void history_seen(struct history *history, const struct history_place *at);
int history_ledger(struct history *history, const struct history_place *at, const struct ledger_entry *entry,
                   struct err *err);
/* What comes of the ledger from now on is younger than where the other topics end: it explains, and is not judged. */
void history_ledger_is_read(struct history *history);
int history_job(struct history *history, const struct history_place *at, const struct job *job, struct err *err);
int history_status(struct history *history, const struct history_place *at, const struct status *status,
                   struct err *err);
/* A host signed an event of a job that the whole ledger does not know. */
int history_stranger(struct history *history, const struct history_place *at, const struct status *status,
                     struct err *err);
/* A record that names this job did not verify: what is missing of it may have been said. */
void history_doubt(struct history *history, const char *job_id);
/* point NULL: the tombstone of `id`. `writer`: the job that writes. */
int history_catalog(struct history *history, const struct history_place *at, const char *id, const char *writer,
                    const struct restore_point *point, struct err *err);
/* All has been told: judges what needs all of it. Once. */
void history_end(struct history *history);

/* ---- the verdict ---- */

struct history_tally history_tally(const struct history *history, enum history_rule rule);
/* The first HISTORY_FINDINGS_MAX, in the order in which they were made; valid as long as the history. */
const struct history_finding *history_findings(const struct history *history, size_t *out_count);
int64_t history_broken(const struct history *history); /* findings in all */
int64_t history_jobs(const struct history *history, int64_t *out_open);
