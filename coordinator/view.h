#pragma once
/*
 * The view: one SQLite file built from the topics status, catalog, inventory, dlq and ledger, with the Kafka offsets in the same transaction. A cache: deleting it is always
 * safe. One writer (the view thread); any number of readers, each with its own struct view_reader, one per HTTP thread. Lists come back as JSON in the API's shape.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct err;
struct view_reader;

struct view_filter {                                          /* what is NULL or 0 does not filter */
    const char *target;                                       /* "kind:id" */
    const char *host, *state, *op, *repository, *kind, *name; /* state of jobs: also LOST */
    const char *selector;                                     /* labels; targets only */
    const char *id_prefix;                                    /* jobs, points */
    int64_t since_ms;
    int limit;         /* 0: 100; at most 1000 */
    const char *after; /* cursor: the `next` of the page before */
    int looks; /* of what no index leads to so many are looked at for one page (jobs: 50,000), which may so be short or empty and have a `next`; 0: no end */
    bool open_only; /* jobs that have not ended */
    /* Restore points: full ones; whose last check was good; of the newest chain of their target (in that repository); of targets that are no more; that stand on this one. */
    bool full, verified, latest, gone;
    const char *parent; /* id */
    const char *group;  /* name of the consistency group that they are of */
    const char *near;   /* a host: of each repository its place there is told first */
};

int view_reader_open(const char *path, struct view_reader **out, struct err *err);
void view_reader_close(struct view_reader *reader);

/* Each: *out is {"items": […], "next": cursor or null, "as_of": RFC 3339}; caller decrefs. Items are record_to_json of the model's records plus the members named here. */
int view_hosts(struct view_reader *reader, const struct view_filter *filter, json_t **out,
               struct err *err); /* inventory_host + "heartbeat_at","alive","enrolled","open_jobs" */
int view_targets(
    struct view_reader *reader, const struct view_filter *filter, json_t **out,
    struct err *err); /* inventory_target + "at","host_alive","last_backup":{id,kind,created_at,size_bytes,verified}|null,"default_repository" */
int view_jobs(
    struct view_reader *reader, const struct view_filter *filter, json_t **out,
    struct err *err); /* job_id, op, class, target, host, state, phase, done, total, waiting, token, attempt, error, result, issued_at, started_at, ended_at, at, requested_by, reason, dry_run, replaces, lost (bool), params; newest first */
int view_job(struct view_reader *reader, const char *job_id, json_t **out,
             struct err *err); /* one, + "events": […status…]; *out NULL if unknown */
int view_points(struct view_reader *reader, const struct view_filter *filter, json_t **out,
                struct err *err); /* restore_point, newest first */
int view_repositories(
    struct view_reader *reader, const struct view_filter *filter, json_t **out,
    struct err *err); /* id, name, hosts: [{host, path, total_bytes, free_bytes, min_free_bytes, ok, text}], host_count (hosts holds at most 100), points, size_bytes */
int view_dead_letters(struct view_reader *reader, const struct view_filter *filter, json_t **out,
                      struct err *err); /* dead_letter + "dlq_partition","dlq_offset" */

/* Follows a job (or all jobs when job_id is NULL): the status events after `cursor` (0: none seen), oldest first, waiting up to timeout_ms for the first one. *cursor moves on. Array. */
int view_follow(struct view_reader *reader, const char *job_id, int64_t *cursor, int timeout_ms, json_t **out,
                struct err *err);
/* The writer in this process commits: now() counts, wait() returns when it has counted past `seen`, at most 250 ms later, because another process may be the writer. Any thread. */
int64_t view_news_now(void);
void view_news_wait(int64_t seen, int timeout_ms);
/* Resolves what people type: name, host/name, kind:id. Array of {kind,id,name,host,state}; several = ambiguous; none: *out_similar has up to three near names. */
int view_resolve(struct view_reader *reader, const char *text, json_t **out, json_t **out_similar, struct err *err);
/* All ids with this prefix, at most 5: what = "job" or "point". Array of strings. */
int view_ids(struct view_reader *reader, const char *what, const char *prefix, json_t **out, struct err *err);
