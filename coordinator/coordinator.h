#pragma once
/*
 * The coordinator as its HTTP threads see it: reads come from the view (view.h), writes are handed to the main loop and answered when they are true: the ledger record has been
 * read back with no higher TERM before it, and what follows from it (ticket, publish) is done or will be after any crash. Functions here may be called from any thread and block
 * for at most `write_timeout` (option, 10 s); past it the answer is ERR_UNKNOWN: "submitted, outcome not seen".
 */
#include "model/job.h"
#include "model/ledger_entry.h"

struct coordinator;
struct err;

struct caller {     /* who asks; filled by the API from the bearer token */
    char *token;    /* name */
    char *from;     /* peer address */
    char *role;     /* viewer, operator, admin */
    char *classes;  /* "ABC" */
    char *selector; /* NULL: all */
};

struct coordinator_breaker { /* a circuit breaker that is not closed */
    char kind[16], name[64]; /* host, repository (its id) */
    int64_t failures, probe_at_ms;
};
enum { STATE_BREAKERS = 8 };

struct coordinator_state {
    bool leading;
    char name[64];
    int64_t term;
    int64_t epoch;
    bool redis_ok;
    char redis_problem[256];
    bool redis_rebuilding;   /* it lost its memory: tickets are written anew, then holders take back their locks */
    int64_t rebuild_left_ms; /* of the holders' time; 0: the tickets are not all there yet */
    bool kafka_ok;
    char kafka_problem[256];
    int64_t jobs_open, ledger_lag;
    int64_t started_at_ms;
    /* Webhooks: how many are configured; events that are not told yet, that were given up, and that were too many to be kept. */
    int64_t notify_webhooks, notify_waiting, notify_given_up, notify_not_kept;
    char notify_problem[256];
    size_t breaker_count; /* of all; of the first STATE_BREAKERS what they are */
    struct coordinator_breaker breakers[STATE_BREAKERS];
};

void coordinator_state(struct coordinator *coordinator, struct coordinator_state *out);

/*
 * Takes a complete request: op, target (kind, id, name), host, params, dry_run, priority, deadline (0: default), reason, plan_digest, request_id … Fills job_id (version 5 of
 * the idempotency key where there is one, so that a repeat is the same job), issued_at, start_by, requested_by; checks (job_check, class allowed for the caller, class C only on a
 * host with a heartbeat); ledger(PREPARED) → ticket → MAC → publish → ledger(PUBLISHED). Returns after the ledger has it; out_job_id has UUID_TEXT bytes.
 * ERR_PERMANENT: refused, with why; ERR_CONFLICT: the idempotency key was used for another request; ERR_RETRY: not leading, no Kafka or Redis.
 */
int coordinator_submit(struct coordinator *coordinator, const struct caller *caller, const struct job *job,
                       const char *idempotency_key, char *out_job_id, struct err *err);
/* Many at once, one turn of the loop: job_ids and errs (kind ERR_NONE: taken) by index. -1 only if nothing was tried. idempotency_keys may be NULL. At most 10,000. */
int coordinator_submit_many(struct coordinator *coordinator, const struct caller *caller,
                            const struct job *const jobs[], const char *const idempotency_keys[], size_t count,
                            char (*out_job_ids)[37], struct err *errs, struct err *err);
int coordinator_cancel(struct coordinator *coordinator, const struct caller *caller, const char *job_id,
                       const char *reason, struct err *err);
int coordinator_resolve(struct coordinator *coordinator, const struct caller *caller, const char *job_id, bool done,
                        const char *reason, struct err *err);
/* Bytes per second for the rest of a backup that runs; 0: no limit. ERR_CONFLICT: it does not run, or is no backup. */
int coordinator_set_rate(struct coordinator *coordinator, const struct caller *caller, const char *job_id,
                         int64_t rate_limit, const char *reason, struct err *err);
/* How the backups that run into a repository share what its limit allows (limits.bandwidth); limit 0: there is none, and nothing else is known. Any thread. */
struct coordinator_bandwidth {
    int64_t limit, each; /* bytes/s; each: but none more than its own limit */
    size_t running;
};
void coordinator_bandwidth(struct coordinator *coordinator, const char *repository, const char *name,
                           struct coordinator_bandwidth *out);
/* What this leader told a backup of its rate, by a person's word or as its share of the repository. False: nothing. Any thread. */
struct coordinator_rate {
    int64_t rate_limit; /* bytes/s; 0: no limit */
    bool shared;        /* it is a share: of that repository */
    char repository[128];
    struct coordinator_bandwidth of;
};
bool coordinator_rate(struct coordinator *coordinator, const char *job_id, struct coordinator_rate *out);
/* An export that runs is to end well: what it kept apart for the next one stays. ERR_CONFLICT: it does not run, or is no export. Safe to repeat. */
int coordinator_finish(struct coordinator *coordinator, const struct caller *caller, const char *job_id,
                       const char *reason, struct err *err);
/* A new job with a new id that names the old one; only of a job that ended without success (or is LOST, class A and B). */
int coordinator_retry(struct coordinator *coordinator, const struct caller *caller, const char *job_id,
                      char *out_job_id, struct err *err);
/* Any other record: tokens, host states, keys, repositories, defaults. Replaces (kind, id); `gone` deletes. */
int coordinator_put(struct coordinator *coordinator, const struct caller *caller, const struct ledger_entry *entry,
                    struct err *err);
/* The same, but ERR_CONFLICT if there is one: of several at once one succeeds. */
int coordinator_add(struct coordinator *coordinator, const struct caller *caller, const struct ledger_entry *entry,
                    struct err *err);
/* Looks up what the ledger says of (kind, id): a copy, or *out = NULL. */
int coordinator_get(struct coordinator *coordinator, int kind, const char *id, struct ledger_entry **out,
                    struct err *err);
/* Calls `each` (under no lock of ours, on copies) for all records of a kind. */
int coordinator_each(struct coordinator *coordinator, int kind,
                     int (*each)(void *context, const struct ledger_entry *entry, struct err *err), void *context,
                     struct err *err);
/* What repository.clean may take away: ids of jobs on the repository that the ledger knows as ended, and whether every backup.delete there has. */
int coordinator_ended_jobs(struct coordinator *coordinator, const char *repository, size_t max, struct strings *out,
                           bool *out_deletes_ended, struct err *err);
/* The bundle of a host: derives its key of the current generation (or a new generation) and records it. out_key_file: text of the key file (caller frees, wipes). */
int coordinator_enroll(struct coordinator *coordinator, const struct caller *caller, const char *host, bool rotate,
                       char **out_key_file, struct err *err);
/* Records how the host stands from now on: enrolled, draining, removed. With "removed" its keys end, its open jobs end as EXPIRED, its machines and snapshots are gone from the lists. */
int coordinator_set_host(struct coordinator *coordinator, const struct caller *caller, const char *host,
                         const char *state, const char *why, struct err *err);
/* The same ends for a host that goes on with another machine: a key of its own, as coordinator_enroll gives it. */
int coordinator_replace_host(struct coordinator *coordinator, const struct caller *caller, const char *host,
                             const char *why, char **out_key_file, struct err *err);
/* The key with which the bearer of that token signs requests and deploy events on Kafka, sealed for the ledger. Caller frees. */
int coordinator_topic_key(struct coordinator *coordinator, const char *token, char **out_sealed, struct err *err);
/* One audit record for what only the API knows: refusals. */
void coordinator_audit(struct coordinator *coordinator, const struct caller *caller, const char *action,
                       const char *subject, const char *reason, const char *outcome);

/* ---- for main and tests ---- */

struct coordinator_options;

/* Checks the topics, starts the threads; takes `options` over on success. Signals that the process wants to handle are blocked before. */
int coordinator_start(struct coordinator_options *options, struct coordinator **out, struct err *err);
/* Before coordinator_run: who is told that the main loop is alive (sd_notify). */
void coordinator_notify(struct coordinator *coordinator, void (*notify)(const char *state));
/* Runs the main loop on this thread until coordinator_stop(). -1: it cannot go on. */
int coordinator_run(struct coordinator *coordinator, struct err *err);
void coordinator_stop(struct coordinator *coordinator); /* any thread, or a signal's: ends coordinator_run */
void coordinator_free(struct coordinator *coordinator); /* after coordinator_run returned and nobody calls any more */
const char *coordinator_view_path(const struct coordinator *coordinator);
