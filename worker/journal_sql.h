#pragma once
/* The journal's own: its statements, and how they are bound and run. Only journal*.c includes it. Bound memory must live until the statement has run (SQLITE_STATIC). */
#include "worker/journal.h"

struct sqlite3;
struct sqlite3_stmt;

enum sql {
    SQL_BEGIN,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_FACT_GET,
    SQL_FACT_SET,
    SQL_INBOX_ADD,
    SQL_INBOX_ID,
    SQL_INBOX_MOVE,
    SQL_INBOX_END,
    SQL_INBOX_FINISHED,
    SQL_INBOX_READ,
    SQL_INBOX_OPEN,
    SQL_INBOX_FORGET,
    SQL_INBOX_COUNT,
    SQL_PLAN_SET,
    SQL_PLAN_GET,
    SQL_PLAN_DROP,
    SQL_STEP_SET,
    SQL_STEP_GET,
    SQL_STEP_DROP,
    SQL_OUTBOX_ADD,
    SQL_OUTBOX_READ,
    SQL_OUTBOX_ALL,
    SQL_OUTBOX_DELETE,
    SQL_POSITION_GET,
    SQL_POSITION_SET,
    SQL_TOKEN_GET,
    SQL_TOKEN_SET,
    SQL_SAID_SET,
    SQL_SAID_DROP,
    SQL_SAID_ALL,
    SQL_COUNT,
};

struct journal_notes {
    int64_t *finished; /* rows whose end Redis knows */
    size_t finished_count, finished_capacity;
    int64_t acknowledged[TOPIC_COUNT]; /* up to this seq; 0: nothing */
    int64_t due_ms;                    /* monotonic; INT64_MAX: there is nothing to write */
};

struct journal {
    struct sqlite3 *database;
    struct sqlite3_stmt *statements[SQL_COUNT]; /* prepared on first use */
    char *directory;
    char *id;
    int64_t birth_us;
    int lock; /* flock on the state directory's lock file */
    bool in_transaction;
    int64_t token, token_written; /* the highest; the one in the table */
    struct journal_notes notes;
};

struct sqlite3_stmt *sql(struct journal *journal, enum sql name,
                         struct err *err); /* reset and ready to bind; NULL with err */
int sql_done(struct journal *journal, struct sqlite3_stmt *statement,
             struct err *err); /* runs one that returns no rows */
int sql_next(struct journal *journal, struct sqlite3_stmt *statement,
             struct err *err); /* 1: a row, 0: no more (reset), -1 */
int sql_failed(struct journal *journal, struct err *err);
void bind_text(struct sqlite3_stmt *statement, int index, const char *text); /* NULL: null */
void bind_blob(struct sqlite3_stmt *statement, int index, const void *data, size_t len);
void bind_int(struct sqlite3_stmt *statement, int index, int64_t value);
const char *column_text(struct sqlite3_stmt *statement, int index); /* NULL: null */
int token_read(struct journal *journal, struct err *err);           /* at the start */
int token_write(struct journal *journal, struct err *err);          /* before a commit: the highest, if it is new */
