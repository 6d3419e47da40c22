/* The journal's table of jobs. */
#include "worker/journal.h"

#include "base/err.h"
#include "worker/journal_sql.h"

#include <sqlite3.h>

int inbox_add(struct journal *journal, const struct inbox_row *row, int64_t *out_row, bool *out_known, struct err *err)
{
    struct sqlite3_stmt *statement = sql(journal, SQL_INBOX_ADD, err);

    if (!statement || known_find(journal, row->job_id, out_row, err) < 0)
        return -1;
    *out_known = *out_row != 0;
    if (*out_known)
        return 0;
    if (journal_begin(journal, err) < 0 || known_add(journal, row->job_id, out_row, err) < 0)
        return -1;
    bind_int(statement, 1, *out_row);
    bind_text(statement, 2, row->job_id);
    bind_text(statement, 3, row->target);
    bind_blob(statement, 4, row->raw, row->raw_len);
    bind_text(statement, 5, row->traceparent);
    bind_int(statement, 6, row->append_ms);
    bind_int(statement, 7, row->accepted_at_ms);
    bind_int(statement, 8, row->state);
    bind_int(statement, 9, row->seq);
    bind_int(statement, 10, row->not_before_ms);
    return sql_done(journal, statement, err);
}

static void bind_state(struct sqlite3_stmt *statement, const struct inbox_row *row)
{
    bind_int(statement, 1, row->row);
    bind_int(statement, 2, row->state);
    bind_int(statement, 4, row->attempt);
    bind_int(statement, 5, row->crashes);
    bind_int(statement, 6, row->token);
    bind_int(statement, 7, row->seq);
}

int inbox_move(struct journal *journal, const struct inbox_row *row, struct err *err)
{
    struct sqlite3_stmt *statement = sql(journal, SQL_INBOX_MOVE, err);

    if (!statement || journal_begin(journal, err) < 0)
        return -1;
    bind_state(statement, row);
    bind_text(statement, 3, row->waiting);
    bind_int(statement, 8, row->not_before_ms);
    return sql_done(journal, statement, err);
}

int inbox_end(struct journal *journal, const struct inbox_row *row, struct err *err)
{
    struct sqlite3_stmt *statement = sql(journal, SQL_INBOX_END, err);

    if (row->resolved && journal_write_notes(journal, err) < 0) /* that Redis knew it as PARKED must not count for this */
        return -1;
    if (!statement || journal_begin(journal, err) < 0)
        return -1;
    bind_state(statement, row);
    bind_blob(statement, 8, row->last_status, row->last_status_len);
    bind_text(statement, 9, row->resolved);
    return sql_done(journal, statement, err);
}

static void read_row(struct sqlite3_stmt *from, struct inbox_row *out)
{
    *out = (struct inbox_row){
        .row = sqlite3_column_int64(from, 0),
        .job_id = column_text(from, 1),
        .target = column_text(from, 2),
        .raw = sqlite3_column_blob(from, 3),
        .raw_len = (size_t)sqlite3_column_bytes(from, 3),
        .traceparent = column_text(from, 4),
        .append_ms = sqlite3_column_int64(from, 5),
        .accepted_at_ms = sqlite3_column_int64(from, 6),
        .state = (enum job_state)sqlite3_column_int(from, 7),
        .waiting = column_text(from, 8),
        .attempt = sqlite3_column_int64(from, 9),
        .crashes = sqlite3_column_int64(from, 10),
        .token = sqlite3_column_int64(from, 11),
        .seq = sqlite3_column_int64(from, 12),
        .not_before_ms = sqlite3_column_int64(from, 13),
        .resolved = column_text(from, 14),
        .last_status = sqlite3_column_blob(from, 15),
        .last_status_len = (size_t)sqlite3_column_bytes(from, 15),
        .finished = sqlite3_column_int(from, 16) != 0,
    };
}

static int give_rows(struct journal *journal, struct sqlite3_stmt *statement, inbox_found *found, void *context,
                     struct err *err)
{
    struct inbox_row row;
    int got;

    while ((got = sql_next(journal, statement, err)) > 0) {
        read_row(statement, &row);
        if (found(context, &row, err) < 0) {
            sqlite3_reset(statement);
            return -1;
        }
    }
    return got;
}

int inbox_read(struct journal *journal, int64_t row, inbox_found *found, void *context, struct err *err)
{
    struct sqlite3_stmt *statement = sql(journal, SQL_INBOX_READ, err);

    if (!statement)
        return -1;
    bind_int(statement, 1, row);
    return give_rows(journal, statement, found, context, err);
}

int inbox_each_open(struct journal *journal, inbox_found *found, void *context, struct err *err)
{
    struct sqlite3_stmt *statement = sql(journal, SQL_INBOX_OPEN, err);

    return statement ? give_rows(journal, statement, found, context, err) : -1;
}

static int forget(struct journal *journal, enum sql name, int64_t appended_before_ms, int limit, struct err *err)
{
    struct sqlite3_stmt *statement = sql(journal, name, err);

    if (!statement)
        return -1;
    bind_int(statement, 1, appended_before_ms);
    bind_int(statement, 2, limit);
    bind_int(statement, 3, journal->known.settled_row);
    return sql_done(journal, statement, err);
}

int inbox_forget(struct journal *journal, int64_t appended_before_ms, int limit, struct err *err)
{
    if (known_settle(journal, true, err) < 0 || journal_begin(journal, err) < 0)
        return -1;
    return forget(journal, SQL_KNOWN_FORGET, appended_before_ms, limit, err) < 0
               ? -1
               : forget(journal, SQL_INBOX_FORGET, appended_before_ms, limit, err);
}

int inbox_count(struct journal *journal, int64_t *out_open, int64_t *out_ended, struct err *err)
{
    struct sqlite3_stmt *statement = sql(journal, SQL_INBOX_COUNT, err);

    if (!statement || sql_next(journal, statement, err) < 0)
        return -1;
    *out_open = sqlite3_column_int64(statement, 0);
    *out_ended = sqlite3_column_int64(statement, 1);
    sqlite3_reset(statement);
    return 0;
}
