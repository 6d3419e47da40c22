/*
 * The rows of jobs, in memory and in the file. An open job stays in memory; one that ended leaves it with the second flush after, because the coordinator's last word about it
 * may come late.
 */
#include "coordinator/view_rows.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "coordinator/view_blocks.h"
#include "coordinator/view_db.h"
#include "coordinator/view_seen.h"
#include "model/job.h"
#include "model/job_state.h"

enum { ROWS_MAX = 65536, EVENTS_MAX = 200 /* rows of them */, EVENTS_SLACK = 50 };

struct view_jobs {
    sqlite3 *db;
    struct view_job_row *rows;                   /* oldest first */
    struct view_job_row *touched, **touched_end; /* since the last flush, in order; in front those that waited there */
    struct view_job_row *leaving;                /* had ended when they were written */
    uint64_t transaction;
    int64_t next_id;
    struct view_seen in_file;
    struct view_blocks blocks;
    sqlite3_stmt *find, *insert, *update, *update_spec, *add_event, *trim_events;
};

/* ---- in memory ---- */

static void row_free(struct view_job_row *row)
{
    free(row->repository);
    free(row->pending.bytes);
    free(row);
}

void view_jobs_forget(struct view_jobs *jobs)
{
    struct view_job_row *row, *next;

    view_blocks_forget(&jobs->blocks);
    jobs->touched = jobs->leaving = NULL;
    jobs->touched_end = &jobs->touched;
    HASH_ITER (hh, jobs->rows, row, next) {
        HASH_DEL(jobs->rows, row);
        row_free(row);
    }
}

void view_jobs_close(struct view_jobs *jobs)
{
    if (!jobs)
        return;
    view_jobs_forget(jobs);
    view_blocks_close(&jobs->blocks);
    sqlite3_finalize(jobs->find);
    sqlite3_finalize(jobs->insert);
    sqlite3_finalize(jobs->update);
    sqlite3_finalize(jobs->update_spec);
    sqlite3_finalize(jobs->add_event);
    sqlite3_finalize(jobs->trim_events);
    free(jobs);
}

DEFINE_FREEP(struct view_jobs, view_jobs_close)

static int prepare_all(struct view_jobs *jobs, struct err *err)
{
    const struct {
        sqlite3_stmt **statement;
        const char *sql;
    } statements[] = {
        {&jobs->find,
         "SELECT id, op, class, target, host, dry_run, state, worker_seq, coordinator_seq, token, journal, lost, resolved, events, issued_at, started_at, ended_at,"
         " at, spec_row, last_row, last_index FROM jobs WHERE job_id = ?1"},
        {&jobs->insert,
         "INSERT INTO jobs(id, job_id, state, op, target, host, dry_run, worker_seq, coordinator_seq, token, journal, lost, resolved, events, started_at, ended_at,"
         " at, class, repository, issued_at, last_row, last_index, spec_row)"
         " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)"},
        {&jobs->update,
         "UPDATE jobs SET state = ?3, op = ?4, worker_seq = ?8, coordinator_seq = ?9, token = ?10, journal = ?11, lost = ?12, resolved = ?13, events = ?14,"
         " started_at = ?15, ended_at = ?16, at = ?17, last_row = ?21, last_index = ?22 WHERE id = ?1"},
        {&jobs->update_spec,
         "UPDATE jobs SET class = ?3, repository = ?4, issued_at = ?6, dry_run = ?7, target = ?8, host = ?9, spec_row = ?10 WHERE id = ?1"},
        {&jobs->add_event, "INSERT INTO events(job, value) VALUES(?1, ?2)"},
        {&jobs->trim_events,
         "DELETE FROM events WHERE job = ?1 AND id <> ?2 AND id <= (SELECT id FROM events WHERE job = ?1 ORDER BY id DESC LIMIT 1 OFFSET 200)"},
    };

    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        if (view_db_prepare(jobs->db, statements[i].sql, statements[i].statement, err) < 0)
            return -1;
    return 0;
}

static int look_through_file(struct view_jobs *jobs, struct err *err)
{
    sqlite3_stmt *statement = NULL;
    int step;

    if (view_db_prepare(jobs->db, "SELECT job_id, id FROM jobs", &statement, err) < 0)
        return -1;
    while ((step = sqlite3_step(statement)) == SQLITE_ROW) {
        int64_t id = sqlite3_column_int64(statement, 1);
        const void *key = sqlite3_column_blob(statement, 0);
        if (key && sqlite3_column_bytes(statement, 0) == UUID_BYTES)
            view_seen_add(&jobs->in_file, key);
        jobs->next_id = id >= jobs->next_id ? id + 1 : jobs->next_id;
    }
    sqlite3_finalize(statement);
    return step == SQLITE_DONE ? 0 : view_db_fail(jobs->db, "jobs", err);
}

int view_jobs_open(sqlite3 *db, struct view_jobs **out, struct err *err)
{
    CLEANUP(view_jobs_closep) struct view_jobs *jobs = calloc(1, sizeof *jobs);

    if (!jobs)
        return err_memory(err, "view");
    jobs->db = db;
    jobs->touched_end = &jobs->touched;
    jobs->next_id = 1;
    if (prepare_all(jobs, err) < 0 || view_blocks_open(&jobs->blocks, db, err) < 0 || look_through_file(jobs, err) < 0)
        return -1;
    *out = TAKE_PTR(jobs);
    return 0;
}

static void load_row(sqlite3_stmt *found, struct view_job_row *row)
{
    row->id = sqlite3_column_int64(found, 0);
    row->op = sqlite3_column_int(found, 1);
    row->class = sqlite3_column_int(found, 2);
    view_copy(row->target, sizeof row->target, view_text(found, 3));
    view_copy(row->host, sizeof row->host, view_text(found, 4));
    row->dry_run = sqlite3_column_int(found, 5);
    row->state = sqlite3_column_int(found, 6);
    row->worker_seq = sqlite3_column_int64(found, 7);
    row->coordinator_seq = sqlite3_column_int64(found, 8);
    row->token = sqlite3_column_int64(found, 9);
    view_copy(row->journal, sizeof row->journal, view_text(found, 10));
    row->lost = sqlite3_column_int(found, 11);
    row->resolved = sqlite3_column_int(found, 12);
    row->events = sqlite3_column_int64(found, 13);
    row->issued_at = sqlite3_column_int64(found, 14);
    row->started_at = sqlite3_column_int64(found, 15);
    row->ended_at = sqlite3_column_int64(found, 16);
    row->at = sqlite3_column_int64(found, 17);
    row->spec_row = sqlite3_column_int64(found, 18);
    row->has_spec = row->spec_row > 0;
    row->last_row = sqlite3_column_int64(found, 19);
    row->last_index = sqlite3_column_int64(found, 20);
}

static struct view_job_row *touch(struct view_jobs *jobs, struct view_job_row *row)
{
    if (row->touched)
        return row;
    row->touched = true;
    row->next_touched = NULL;
    *jobs->touched_end = row;
    jobs->touched_end = &row->next_touched;
    return row;
}

/* UUIDs are random, or come out of SHA-1: some of their bits are as good as a hash of all. */
static unsigned hash_of(const unsigned char key[UUID_BYTES])
{
    unsigned hash;

    memcpy(&hash, key, sizeof hash);
    return hash;
}

static void find_in_file(struct view_jobs *jobs, struct view_job_row *row)
{
    if (!view_seen_maybe(&jobs->in_file, row->key))
        return;
    view_bind_blob(jobs->find, 1, row->key, UUID_BYTES);
    if (sqlite3_step(jobs->find) == SQLITE_ROW)
        load_row(jobs->find, row);
    sqlite3_reset(jobs->find);
}

struct view_job_row *view_jobs_get(struct view_jobs *jobs, const unsigned char job_id[UUID_BYTES], struct err *err)
{
    struct view_job_row *row;
    unsigned hash = hash_of(job_id);

    HASH_FIND_BYHASHVALUE(hh, jobs->rows, job_id, UUID_BYTES, hash, row);
    if (row)
        return touch(jobs, row);
    row = calloc(1, sizeof *row);
    if (!row) {
        err_memory(err, "view");
        return NULL;
    }
    memcpy(row->key, job_id, UUID_BYTES);
    row->born = jobs->transaction;
    find_in_file(jobs, row);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, jobs->rows, row->key, UUID_BYTES, hash, row);
    return touch(jobs, row);
}

/* For the filters: what the params name. */
static void note_params(struct view_job_row *row, const struct job *job)
{
    const struct repository_ref *repository = job_repository(job);

    string_set(&row->repository, repository ? repository->id : NULL, NULL);
}

int view_jobs_set_spec(struct view_job_row *row, const struct job *job, const void *value, size_t len, struct err *err)
{
    if (view_events_add(&row->pending, PIECE_SPEC, value, len, err) < 0)
        return -1;
    row->spec_pending = row->has_spec = row->dirty = true;
    row->op = job->op;
    row->class = job_class(job);
    row->dry_run = job->dry_run;
    row->issued_at = job->issued_at_ms;
    view_copy(row->host, sizeof row->host, job->host);
    target_format(&job->target, row->target);
    note_params(row, job);
    return 0;
}

int view_jobs_add_event(struct view_job_row *row, const void *value, size_t len, bool speaks, struct err *err)
{
    row->dirty = true;
    if (speaks) {
        row->spoke = true;
        row->last_index = row->pending.count;
    }
    return view_events_add(&row->pending, PIECE_EVENT, value, len, err);
}

/* ---- writing ---- */

static void bind_row(sqlite3_stmt *statement, const struct view_job_row *row)
{
    sqlite3_bind_int64(statement, 1, row->id);
    sqlite3_bind_int(statement, 3, row->state);
    sqlite3_bind_int(statement, 4, row->op);
    sqlite3_bind_int64(statement, 8, row->worker_seq);
    sqlite3_bind_int64(statement, 9, row->coordinator_seq);
    sqlite3_bind_int64(statement, 10, row->token);
    view_bind_text(statement, 11, row->journal);
    sqlite3_bind_int(statement, 12, row->lost);
    sqlite3_bind_int(statement, 13, row->resolved);
    sqlite3_bind_int64(statement, 14, row->events);
    sqlite3_bind_int64(statement, 15, row->started_at);
    sqlite3_bind_int64(statement, 16, row->ended_at);
    sqlite3_bind_int64(statement, 17, row->at);
    sqlite3_bind_int64(statement, 21, row->last_row);
    sqlite3_bind_int64(statement, 22, row->last_index);
}

static int insert_row(struct view_jobs *jobs, const struct view_job_row *row, struct err *err)
{
    bind_row(jobs->insert, row);
    view_bind_blob(jobs->insert, 2, row->key, UUID_BYTES);
    view_bind_text(jobs->insert, 5, row->target);
    view_bind_text(jobs->insert, 6, row->host);
    sqlite3_bind_int(jobs->insert, 7, row->dry_run);
    sqlite3_bind_int(jobs->insert, 18, row->class);
    view_bind_text(jobs->insert, 19, row->repository);
    sqlite3_bind_int64(jobs->insert, 20, row->issued_at);
    sqlite3_bind_int64(jobs->insert, 23, row->spec_row);
    view_seen_add(&jobs->in_file, row->key);
    if (view_step_done(jobs->db, jobs->insert, err) < 0)
        return -1;
    return view_blocks_note(&jobs->blocks, row->id, row->issued_at, err);
}

static int update_spec(struct view_jobs *jobs, const struct view_job_row *row, struct err *err)
{
    sqlite3_stmt *statement = jobs->update_spec;

    sqlite3_bind_int64(statement, 1, row->id);
    sqlite3_bind_int(statement, 3, row->class);
    view_bind_text(statement, 4, row->repository);
    sqlite3_bind_int64(statement, 6, row->issued_at);
    sqlite3_bind_int(statement, 7, row->dry_run);
    view_bind_text(statement, 8, row->target);
    view_bind_text(statement, 9, row->host);
    sqlite3_bind_int64(statement, 10, row->spec_row);
    if (view_step_done(jobs->db, statement, err) < 0)
        return -1;
    return view_blocks_note(&jobs->blocks, row->id, row->issued_at, err);
}

static int update_row(struct view_jobs *jobs, const struct view_job_row *row, struct err *err)
{
    bind_row(jobs->update, row);
    if (view_step_done(jobs->db, jobs->update, err) < 0)
        return -1;
    return row->spec_pending ? update_spec(jobs, row, err) : 0;
}

/* One row for all of this transaction. */
static int write_events(struct view_jobs *jobs, struct view_job_row *row, struct err *err)
{
    if (!row->pending.len)
        return 0;
    sqlite3_bind_int64(jobs->add_event, 1, row->id);
    view_bind_blob(jobs->add_event, 2, row->pending.bytes, row->pending.len);
    if (view_step_done(jobs->db, jobs->add_event, err) < 0)
        return -1;
    if (row->spoke)
        row->last_row = sqlite3_last_insert_rowid(jobs->db);
    if (row->spec_pending)
        row->spec_row = sqlite3_last_insert_rowid(jobs->db);
    if (++row->events < EVENTS_MAX + EVENTS_SLACK)
        return 0;
    row->events = EVENTS_MAX;
    sqlite3_bind_int64(jobs->trim_events, 1, row->id);
    sqlite3_bind_int64(jobs->trim_events, 2, row->spec_row);
    return view_step_done(jobs->db, jobs->trim_events, err);
}

static int write_row(struct view_jobs *jobs, struct view_job_row *row, struct err *err)
{
    bool stored = row->id != 0;

    if (!stored)
        row->id = jobs->next_id++;
    if (write_events(jobs, row, err) < 0)
        return -1;
    if ((stored ? update_row(jobs, row, err) : insert_row(jobs, row, err)) < 0)
        return -1;
    row->dirty = row->spoke = row->spec_pending = false;
    free(row->pending.bytes);
    row->pending = (struct view_events){0};
    return 0;
}

static void drop_row(struct view_jobs *jobs, struct view_job_row *row)
{
    HASH_DEL(jobs->rows, row);
    row_free(row);
}

static void drop_leaving(struct view_jobs *jobs)
{
    struct view_job_row *row, *next;

    for (row = jobs->leaving; row; row = next) {
        next = row->next_leaving;
        if (!row->touched)
            drop_row(jobs, row);
    }
    jobs->leaving = NULL;
}

static bool over(const struct view_job_row *row)
{
    return job_state_terminal((enum job_state)row->state);
}

/* Of those that are open and in the file. */
static void drop_oldest(struct view_jobs *jobs)
{
    struct view_job_row *row, *next;
    size_t excess = HASH_COUNT(jobs->rows) > ROWS_MAX ? HASH_COUNT(jobs->rows) - ROWS_MAX / 2 : 0;

    for (row = jobs->rows; row && excess; row = next, excess--) {
        next = row->hh.next;
        if (!row->touched && !over(row))
            drop_row(jobs, row);
    }
}

static int flush_row(struct view_jobs *jobs, struct view_job_row *row, struct err *err)
{
    row->touched = false;
    if (row->dirty && write_row(jobs, row, err) < 0)
        return -1;
    if (!row->id) /* asked about and never said anything */
        drop_row(jobs, row);
    else if (over(row)) {
        row->next_leaving = jobs->leaving;
        jobs->leaving = row;
    }
    return 0;
}

int view_jobs_flush(struct view_jobs *jobs, bool all, struct err *err)
{
    struct view_job_row *row, *next = jobs->touched;

    drop_leaving(jobs);
    jobs->touched = NULL;
    jobs->touched_end = &jobs->touched;
    while ((row = next)) {
        next = row->next_touched;
        if (!all && row->dirty && !row->id && !over(row) && row->born == jobs->transaction) {
            row->touched = false;
            touch(jobs, row);
        } else if (flush_row(jobs, row, err) < 0)
            return -1;
    }
    drop_oldest(jobs);
    jobs->transaction++;
    return view_blocks_flush(&jobs->blocks, err);
}

bool view_jobs_waiting(const struct view_jobs *jobs)
{
    return jobs->touched != NULL;
}
