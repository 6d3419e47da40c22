#include "coordinator/view_query.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "coordinator/view_db.h"
#include "coordinator/view_feed.h"
#include "coordinator/view_rows.h"
#include "model/ledger_entry.h"
#include "model/topics.h"
#include "wire/wire.h"

#include <stdio.h>

struct view_query {
    sqlite3 *db;
    sqlite3_stmt *job, *writer;
};

void view_query_close(struct view_query *query)
{
    if (!query)
        return;
    sqlite3_finalize(query->job);
    sqlite3_finalize(query->writer);
    sqlite3_close(query->db);
    free(query);
}

void view_query_closep(struct view_query **query)
{
    view_query_close(*query);
}

int view_query_open(const char *path, struct view_query **out, struct err *err)
{
    CLEANUP(view_query_closep) struct view_query *query = calloc(1, sizeof *query);

    if (!query)
        return err_memory(err, "view");
    if (view_db_open_reader(path, &query->db, err) < 0)
        return -1;
    if (view_db_prepare(
            query->db,
            "SELECT state, token, journal, lost, resolved, (SELECT value FROM events WHERE events.id = jobs.spec_row), worker_seq"
            " FROM jobs WHERE job_id = ?1",
            &query->job, err) < 0 ||
        view_db_prepare(query->db, "SELECT 1 FROM points WHERE writer = ?1 AND NOT closed LIMIT 1", &query->writer,
                        err) < 0)
        return -1;
    *out = TAKE_PTR(query);
    return 0;
}

int view_query_job(struct view_query *query, const char *job_id, struct view_job_brief *out, struct err *err)
{
    struct view_job_brief brief = {0};

    view_bind_job(query->job, 1, job_id);
    int code = sqlite3_step(query->job);
    if (code == SQLITE_ROW) {
        brief.found = true;
        brief.state = sqlite3_column_int(query->job, 0);
        brief.token = sqlite3_column_int64(query->job, 1);
        snprintf(brief.journal, sizeof brief.journal, "%s", view_text(query->job, 2));
        brief.heard = sqlite3_column_int64(query->job, 6) > 0;
    }
    sqlite3_reset(query->job);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return view_db_fail(query->db, "job", err);
    *out = brief;
    return 0;
}

bool view_query_is_writer(struct view_query *query, const char *job_id)
{
    view_bind_text(query->writer, 1, job_id);
    int code = sqlite3_step(query->writer);
    sqlite3_reset(query->writer);
    return code != SQLITE_DONE; /* an error is no leave to forget */
}

static int decode_spec(const void *row, size_t row_len, struct job **out, struct err *err)
{
    struct ledger_entry entry = {0};
    const unsigned char *data;
    struct wire *wire;
    size_t at = 0, len;

    if (!view_events_next(row, row_len, PIECE_SPEC, &at, &data, &len))
        return 0;
    if (wire_new(&wire, err) < 0)
        return -1;
    int result = wire_decode(wire, &ledger_entry_record, data, len, topic_table[TOPIC_LEDGER].max_bytes, &entry, err);
    if (result == 0 && entry.job)
        *out = TAKE_PTR(entry.job->job);
    ledger_entry_clear(&entry);
    wire_free(wire);
    return result;
}

int view_job_record(const char *path, const char *job_id, struct view_job_record *out, struct err *err)
{
    CLEANUP(view_query_closep) struct view_query *query = NULL;
    struct view_job_record record = {0};
    int result = 0;

    if (view_query_open(path, &query, err) < 0)
        return -1;
    view_bind_job(query->job, 1, job_id);
    if (sqlite3_step(query->job) == SQLITE_ROW) {
        record.found = true;
        record.state = sqlite3_column_int(query->job, 0);
        record.token = sqlite3_column_int64(query->job, 1);
        snprintf(record.journal, sizeof record.journal, "%s", view_text(query->job, 2));
        record.lost = sqlite3_column_int(query->job, 3);
        record.resolved = sqlite3_column_int(query->job, 4);
        if (sqlite3_column_type(query->job, 5) == SQLITE_BLOB)
            result = decode_spec(sqlite3_column_blob(query->job, 5), (size_t)sqlite3_column_bytes(query->job, 5),
                                 &record.job, err);
    }
    sqlite3_reset(query->job);
    if (result == 0)
        *out = record;
    return result;
}
