#pragma once
/*
 * Jobs while the view folds events into them: rows are read once, changed in memory by any number of records, and written once per transaction. A job that is younger than
 * one transaction waits for the next: most jobs end meanwhile, and are written once. The view thread only.
 */
#include "base/uuid.h"
#include "model/target.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <uthash.h>

struct err;
struct job;
struct status;
struct view_jobs;

/* What came of one job, as a row of the table of events holds it: status events, oldest first, and the ledger's record of what the job is. See view_events.c. */
struct view_events {
    unsigned char *bytes;
    size_t len, room;
    int64_t count; /* of status events */
};

enum view_piece { PIECE_EVENT, PIECE_SPEC /* struct ledger_entry */ };

int view_events_add(struct view_events *events, enum view_piece piece, const void *value, size_t len, struct err *err);
/* The next one of that kind in a row's bytes; `at` begins at 0. False at the end. */
bool view_events_next(const void *bytes, size_t len, enum view_piece piece, size_t *at, const unsigned char **out_value,
                      size_t *out_len);

struct view_job_row {
    UT_hash_handle hh;
    unsigned char key[UUID_BYTES]; /* job_id */
    int64_t id;                    /* in the file; 0: not there yet */
    struct view_job_row *next_touched, *next_leaving;
    size_t word;   /* its place among those that the main loop is told next */
    uint64_t born; /* the transaction in which it came */
    bool touched, dirty, has_spec;
    bool spec_pending, spoke; /* among the pending: what the job is; how it stands */
    bool dry_run, lost, resolved;
    int op, class, state;
    char *repository;
    int64_t worker_seq, coordinator_seq, token;
    int64_t issued_at, started_at, ended_at, at;
    int64_t events; /* rows of them */
    int64_t spec_row, last_row,
        last_index; /* rows of events: with what the job is, 0: none; with the newest that says how it stands, and its place there */
    struct view_events pending; /* since the last flush */
    char host[64], journal[64], target[TARGET_TEXT];
};

/* A bounded copy; what does not fit is cut. */
static inline void view_copy(char *out, size_t size, const char *from)
{
    size_t len = strnlen(from, size - 1);

    memcpy(out, from, len);
    out[len] = '\0';
}

enum fold_verdict {
    FOLD_OLD,   /* says nothing new */
    FOLD_NEWS,  /* a step */
    FOLD_ENDED, /* the worker's final word */
};

/* Pure: what an event changes in a row. view_fold.c */
enum fold_verdict fold_status(struct view_job_row *row, const struct status *status);

int view_jobs_open(sqlite3 *db, struct view_jobs **out, struct err *err);
void view_jobs_close(struct view_jobs *jobs);
/* The row of a job, from memory or file, or a new one. NULL: err. Valid until view_jobs_flush. */
struct view_job_row *view_jobs_get(struct view_jobs *jobs, const unsigned char job_id[UUID_BYTES], struct err *err);
int view_jobs_set_spec(struct view_job_row *row, const struct job *job, const void *value, size_t len, struct err *err);
/* speaks: it says how the job stands now. */
int view_jobs_add_event(struct view_job_row *row, const void *value, size_t len, bool speaks, struct err *err);
/* Writes what changed, in the transaction that is open. Not `all`: without open jobs that came after the flush before this one. */
int view_jobs_flush(struct view_jobs *jobs, bool all, struct err *err);
bool view_jobs_waiting(const struct view_jobs *jobs); /* there is something to be written */
void view_jobs_forget(struct view_jobs *jobs); /* everything in memory: after a rollback, or when the file was emptied */
