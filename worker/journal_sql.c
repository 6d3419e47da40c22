#include "worker/journal_sql.h"

#include "base/err.h"

#include <sqlite3.h>

#define INBOX_COLUMNS \
    "row, job_id, target, raw, traceparent, append_ms, accepted_at_ms, state, waiting, attempt, crashes, token, seq, not_before_ms, resolved, last_status, finished"
#define OPEN "(state < 5 OR (state = 10 AND resolved IS NULL) OR finished = 0)"
/* Rows are in the order of their records, so the first young one ends the search. */
#define OLD                                                                                                                        \
    "WHERE row <= ?3 AND row < coalesce((SELECT row FROM inbox WHERE append_ms >= ?1 ORDER BY row LIMIT 1), ?3 + 1) AND NOT " OPEN \
    " LIMIT ?2"

_Static_assert(STATE_SUCCEEDED == 5 && STATE_PARKED == 10, "states are numbers in journals: only append");

static const char *const texts[SQL_COUNT] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_FACT_GET] = "SELECT value FROM fact WHERE name = ?",
    [SQL_FACT_SET] = "INSERT OR REPLACE INTO fact(name, value) VALUES(?, ?)",
    [SQL_INBOX_ADD] =
        "INSERT INTO inbox(row, job_id, target, raw, traceparent, append_ms, accepted_at_ms, state, attempt, crashes, token, seq, not_before_ms, finished) "
        "VALUES(?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, ?, ?, 0)",
    [SQL_INBOX_ID] = "SELECT job_id FROM inbox WHERE row = ?",
    [SQL_INBOX_MOVE] =
        "UPDATE inbox SET state = ?2, waiting = ?3, attempt = ?4, crashes = ?5, token = ?6, seq = ?7, not_before_ms = ?8 WHERE row = ?1",
    [SQL_INBOX_END] =
        "UPDATE inbox SET state = ?2, waiting = NULL, attempt = ?4, crashes = ?5, token = ?6, seq = ?7, last_status = ?8, resolved = ?9, "
        "finished = 0, raw = CASE WHEN ?2 = 10 AND ?9 IS NULL THEN raw END WHERE row = ?1",
    [SQL_INBOX_FINISHED] = "UPDATE inbox SET finished = 1 WHERE row BETWEEN ? AND ?",
    [SQL_INBOX_READ] = "SELECT " INBOX_COLUMNS " FROM inbox WHERE row = ?",
    [SQL_INBOX_OPEN] = "SELECT " INBOX_COLUMNS " FROM inbox WHERE " OPEN " ORDER BY row",
    [SQL_INBOX_FORGET] = "DELETE FROM inbox WHERE row IN (SELECT row FROM inbox " OLD ")",
    [SQL_KNOWN_FRESH] = "SELECT row, job_id FROM inbox WHERE row > ? ORDER BY row",
    [SQL_KNOWN_GET] = "SELECT row FROM known WHERE key = ?",
    [SQL_KNOWN_ADD] = "INSERT OR IGNORE INTO known(key, row) VALUES(?, ?)",
    [SQL_KNOWN_FORGET] = "DELETE FROM known WHERE (key, row) IN (SELECT job_key(job_id), row FROM inbox " OLD ")",
    [SQL_INBOX_COUNT] = "SELECT count(*) FILTER (WHERE " OPEN "), count(*) FILTER (WHERE NOT " OPEN ") FROM inbox",
    [SQL_PLAN_SET] = "INSERT OR REPLACE INTO plan(row, json) VALUES(?, ?)",
    [SQL_PLAN_GET] = "SELECT json FROM plan WHERE row = ?",
    [SQL_PLAN_DROP] = "DELETE FROM plan WHERE row = ?",
    [SQL_STEP_SET] = "INSERT INTO step(row, step, state, facts) VALUES(?, ?, ?, ?) "
                     "ON CONFLICT(row, step) DO UPDATE SET state = excluded.state, facts = coalesce(excluded.facts, facts)",
    [SQL_STEP_GET] = "SELECT step, state, facts FROM step WHERE row = ? ORDER BY step",
    [SQL_STEP_DROP] = "DELETE FROM step WHERE row = ?",
    [SQL_OUTBOX_ADD] =
        "INSERT INTO outbox(topic, key, value, job, revision, traceparent, after) VALUES(?, ?, ?, ?, ?, ?, ?)",
    [SQL_OUTBOX_READ] = "SELECT seq, topic, key, value, job, revision, traceparent, after FROM outbox WHERE seq = ?",
    [SQL_OUTBOX_ALL] = "SELECT seq, topic, NULL, NULL, NULL, NULL, NULL, after FROM outbox ORDER BY seq",
    [SQL_OUTBOX_DELETE] = "DELETE FROM outbox WHERE topic = ? AND seq <= ?",
    [SQL_POSITION_GET] = "SELECT cluster, part, next_offset, last_append_ms, last_job FROM position WHERE topic = ?",
    [SQL_POSITION_SET] =
        "INSERT OR REPLACE INTO position(topic, cluster, part, next_offset, last_append_ms, last_job) VALUES(?, ?, ?, ?, ?, ?)",
    [SQL_TOKEN_GET] = "SELECT coalesce(max(token), 0) FROM token",
    [SQL_TOKEN_SET] =
        "INSERT INTO token(target, token) VALUES('', ?) ON CONFLICT(target) DO UPDATE SET token = excluded.token",
    [SQL_SAID_SET] = "INSERT OR REPLACE INTO said(key, digest, revision) VALUES(?, ?, ?)",
    [SQL_SAID_DROP] = "DELETE FROM said WHERE key = ?",
    [SQL_SAID_ALL] = "SELECT key, digest, revision FROM said",
};

/* SQLITE_FULL and I/O errors are told apart from what can only be our own mistake. */
int sql_failed(struct journal *journal, struct err *err)
{
    int code = sqlite3_errcode(journal->database) & 0xff;
    enum err_kind kind = code == SQLITE_FULL || code == SQLITE_IOERR || code == SQLITE_NOMEM ? ERR_RETRY : ERR_PERMANENT;

    err_set_code(err, kind, code, "journal %s: %s", journal->directory, sqlite3_errmsg(journal->database));
    return code == SQLITE_FULL ? err_hint(err, "free some space on its file system, then start the worker again") : -1;
}

struct sqlite3_stmt *sql(struct journal *journal, enum sql name, struct err *err)
{
    struct sqlite3_stmt **statement = &journal->statements[name];

    if (*statement) {
        sqlite3_reset(*statement);
        return *statement;
    }
    if (sqlite3_prepare_v3(journal->database, texts[name], -1, SQLITE_PREPARE_PERSISTENT, statement, NULL) != SQLITE_OK) {
        sql_failed(journal, err);
        return NULL;
    }
    return *statement;
}

int sql_done(struct journal *journal, struct sqlite3_stmt *statement, struct err *err)
{
    int stepped = sqlite3_step(statement);
    int failed = stepped == SQLITE_DONE || stepped == SQLITE_ROW ? 0 : sql_failed(journal, err);

    sqlite3_reset(statement);
    return failed;
}

int sql_next(struct journal *journal, struct sqlite3_stmt *statement, struct err *err)
{
    int stepped = sqlite3_step(statement);

    if (stepped == SQLITE_ROW)
        return 1;
    int failed = stepped == SQLITE_DONE ? 0 : sql_failed(journal, err);
    sqlite3_reset(statement);
    return failed;
}

void bind_text(struct sqlite3_stmt *statement, int index, const char *text)
{
    sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC);
}

void bind_blob(struct sqlite3_stmt *statement, int index, const void *data, size_t len)
{
    if (data && !len)
        sqlite3_bind_zeroblob(statement, index, 0); /* empty is not absent */
    else
        sqlite3_bind_blob64(statement, index, data, len, SQLITE_STATIC);
}

void bind_int(struct sqlite3_stmt *statement, int index, int64_t value)
{
    sqlite3_bind_int64(statement, index, value);
}

const char *column_text(struct sqlite3_stmt *statement, int index)
{
    return (const char *)sqlite3_column_text(statement, index);
}
