/* The journal's table of records for Kafka. */
#include "worker/journal.h"

#include "base/err.h"
#include "worker/journal_sql.h"

#include <sqlite3.h>

int outbox_row_add(struct journal *journal, struct outbox_row *row, struct err *err)
{
    struct sqlite3_stmt *statement = sql(journal, SQL_OUTBOX_ADD, err);

    if (!statement || journal_begin(journal, err) < 0)
        return -1;
    bind_int(statement, 1, row->topic);
    bind_blob(statement, 2, row->key, row->key_len);
    bind_blob(statement, 3, row->value, row->value_len);
    bind_text(statement, 4, row->job);
    bind_text(statement, 5, row->revision);
    bind_text(statement, 6, row->traceparent);
    bind_int(statement, 7, row->after);
    if (sql_done(journal, statement, err) < 0)
        return -1;
    row->seq = sqlite3_last_insert_rowid(journal->database);
    return 0;
}

/* An empty blob has no address in SQLite, and absent means tombstone. */
static const void *column_blob(struct sqlite3_stmt *statement, int index)
{
    if (sqlite3_column_type(statement, index) == SQLITE_NULL)
        return NULL;
    const void *data = sqlite3_column_blob(statement, index);
    return data ? data : "";
}

static void read_row(struct sqlite3_stmt *from, struct outbox_row *out)
{
    *out = (struct outbox_row){
        .seq = sqlite3_column_int64(from, 0),
        .topic = (enum topic)sqlite3_column_int(from, 1),
        .key = column_blob(from, 2),
        .key_len = (size_t)sqlite3_column_bytes(from, 2),
        .value = column_blob(from, 3),
        .value_len = (size_t)sqlite3_column_bytes(from, 3),
        .job = column_text(from, 4),
        .revision = column_text(from, 5),
        .traceparent = column_text(from, 6),
        .after = sqlite3_column_int64(from, 7),
    };
}

static int give_rows(struct journal *journal, struct sqlite3_stmt *statement, outbox_found *found, void *context,
                     struct err *err)
{
    struct outbox_row row;
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

int outbox_row_read(struct journal *journal, int64_t seq, outbox_found *found, void *context, struct err *err)
{
    struct sqlite3_stmt *statement = sql(journal, SQL_OUTBOX_READ, err);

    if (!statement)
        return -1;
    bind_int(statement, 1, seq);
    return give_rows(journal, statement, found, context, err);
}

int outbox_rows(struct journal *journal, outbox_found *found, void *context, struct err *err)
{
    struct sqlite3_stmt *statement = sql(journal, SQL_OUTBOX_ALL, err);

    return statement ? give_rows(journal, statement, found, context, err) : -1;
}
