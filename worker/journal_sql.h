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
    SQL_KNOWN_FRESH,
    SQL_KNOWN_GET,
    SQL_KNOWN_ADD,
    SQL_KNOWN_FORGET,
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

struct known_entry {
    int64_t key, row; /* row 0: free */
};

struct known_set {
    struct known_entry *entries;
    size_t count, capacity;
};

struct journal_known {                /* journal_known.c */
    struct known_set fresh, settling; /* not in the table; on their way into it */
    struct known_entry *order;        /* `settling`, sorted; NULL: nothing is on its way */
    size_t settled;                   /* of `order` */
    int64_t settled_row;              /* the table has everything up to this one */
    int64_t settling_row, last_row;
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
    struct journal_known known;
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
int known_open(struct journal *journal, struct err *err);
void known_close(struct journal *journal);
int known_teach(struct journal *journal, struct err *err); /* SQL's job_key(job_id) */
int known_find(struct journal *journal, const char *job_id, int64_t *out_row, struct err *err); /* 0: it is new */
int known_add(struct journal *journal, const char *job_id, int64_t *out_row, struct err *err);  /* a new one: its row */
/* What is due of the way into the table, at most a slice. soon: even if it is little, for only what is in there can be forgotten. */
int known_settle(struct journal *journal, bool soon, struct err *err);
