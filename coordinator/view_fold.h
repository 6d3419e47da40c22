#pragma once
/*
 * Jobs while the view folds events into them: rows are read once, changed in memory by any number of records, and written once per transaction. The view thread only.
 */
#include "base/uuid.h"
#include "model/target.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

struct err;
struct job;
struct status;
struct view_jobs;

/* Events of one job, oldest first, as a row of the table holds them: each has its length in front (4 bytes, big-endian). */
struct view_events {
    unsigned char *bytes;
    size_t len, room;
    int64_t count;
};

int view_events_add(struct view_events *events, const void *value, size_t len, struct err *err);
/* The next event of a row's bytes; `at` begins at 0. False at the end. */
bool view_events_next(const void *bytes, size_t len, size_t *at, const unsigned char **out_value, size_t *out_len);

struct view_job_row {
    UT_hash_handle hh;
    char job_id[UUID_TEXT];
    int64_t id;
    struct view_job_row *next_touched; /* since the last flush */
    size_t word;                       /* its place among those that the main loop is told next */
    bool touched;
    bool dirty, stored, has_spec;
    int op, class;
    char target[TARGET_TEXT], host[64];
    char *repository, *name;
    bool dry_run, lost, resolved;
    int state;
    int64_t worker_seq, coordinator_seq, token, events;
    char journal[64];
    int64_t issued_at, started_at, ended_at, at;
    int64_t last_row,
        last_index;      /* where the newest event is that says how the job stands: row of events, place in it */
    bool spoke;          /* it is one of the pending */
    unsigned char *spec; /* what the job is, until it is written */
    size_t spec_len;
    struct view_events pending; /* since the last flush */
};

enum fold_verdict {
    FOLD_OLD,   /* says nothing new */
    FOLD_NEWS,  /* a step */
    FOLD_ENDED, /* the worker's final word */
};

/* Pure: what an event changes in a row. */
enum fold_verdict fold_status(struct view_job_row *row, const struct status *status);

int view_jobs_open(sqlite3 *db, struct view_jobs **out, struct err *err);
void view_jobs_close(struct view_jobs *jobs);
/* The row of a job, from memory or file, or a new one. NULL: err. Valid until view_jobs_flush. */
struct view_job_row *view_jobs_get(struct view_jobs *jobs, const char *job_id, struct err *err);
int view_jobs_set_spec(struct view_job_row *row, const struct job *job, const void *value, size_t len, struct err *err);
/* speaks: it says how the job stands now. */
int view_jobs_add_event(struct view_job_row *row, const void *value, size_t len, bool speaks, struct err *err);
int view_jobs_flush(struct view_jobs *jobs, struct err *err);
void view_jobs_forget(struct view_jobs *jobs); /* everything in memory: after a rollback, or when the file was emptied */
