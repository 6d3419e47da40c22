/*
 * How the journal works.
 *
 * One SQLite database, journal.db, in WAL mode with synchronous=FULL: a commit is one fsync of the log, and after it the turn's changes survive a power cut. locking_mode
 * is EXCLUSIVE (no shared memory, no lock calls per transaction), so nobody else can read it meanwhile: --inspect asks a live worker by its socket. Pages of 8 KiB: a turn of
 * many jobs writes neighbours. A flock on `lock` beside it makes a second worker on the same directory refuse to start, naming the first, before SQLite is touched.
 *
 * The first write of a turn opens the transaction (journal_begin), journal_commit() ends it. A commit that fails is rolled back by SQLite; memory is then ahead of the
 * disk, so the worker lets what runs pay its debts, stops and starts again from the journal: there is no second way to be right. To get there seldom, no job is accepted
 * while the file system has less than option min_free left.
 *
 * Tables: inbox (a row per job in custody, and ids and outcomes of ended ones), plan and step (what the runner does, replaced at each attempt), outbox (records for Kafka,
 * written in the transaction of the change that they report), position (the only one; offsets committed to Kafka are for lag monitoring), token (the highest seen),
 * said (digest of the last inventory record per key), fact (id, birth, boot, claim, holds), known (which jobs the journal has seen, a guard against running one twice:
 * journal_known.c). Keys are integers.
 *
 * A journal has an id and a birth (µs). Every seq and revision starts at the birth, so that readers see events of a new journal as newer than all of an older one.
 */
#include "worker/journal.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/parse.h"
#include "base/uuid.h"
#include "worker/journal_sql.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

enum { SCHEMA_VERSION = 2 };

#define INBOX_TABLE                                                                                                                                       \
    "CREATE TABLE inbox(row INTEGER PRIMARY KEY, job_id TEXT NOT NULL, target TEXT NOT NULL, raw BLOB, traceparent TEXT, append_ms INTEGER NOT NULL,"     \
    " accepted_at_ms INTEGER NOT NULL, state INTEGER NOT NULL, waiting TEXT, attempt INTEGER NOT NULL, crashes INTEGER NOT NULL, token INTEGER NOT NULL," \
    " seq INTEGER NOT NULL, not_before_ms INTEGER NOT NULL, resolved TEXT, last_status BLOB, finished INTEGER NOT NULL);"                                 \
    "CREATE TABLE known(key INTEGER NOT NULL, row INTEGER NOT NULL, PRIMARY KEY(key, row)) WITHOUT ROWID;"

static const char schema[] =
    "CREATE TABLE fact(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;" INBOX_TABLE
    "CREATE TABLE plan(row INTEGER PRIMARY KEY, json TEXT NOT NULL);"
    "CREATE TABLE step(row INTEGER NOT NULL, step INTEGER NOT NULL, state INTEGER NOT NULL, facts TEXT, PRIMARY KEY(row, step)) WITHOUT ROWID;"
    "CREATE TABLE outbox(seq INTEGER PRIMARY KEY, topic INTEGER NOT NULL, key BLOB, value BLOB, job TEXT, revision TEXT, traceparent TEXT, after INTEGER NOT NULL);"
    "CREATE TABLE position(topic TEXT PRIMARY KEY, cluster TEXT NOT NULL, part INTEGER NOT NULL, next_offset INTEGER NOT NULL, last_append_ms INTEGER NOT NULL,"
    " last_job TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE token(target TEXT PRIMARY KEY, token INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE said(key TEXT PRIMARY KEY, digest TEXT NOT NULL, revision INTEGER NOT NULL) WITHOUT ROWID;";

/* Version 1 had an index over job_id. */
static const char from_version_1[] = "ALTER TABLE inbox RENAME TO inbox_1;" INBOX_TABLE
                                     "INSERT INTO inbox SELECT * FROM inbox_1; DROP TABLE inbox_1;"
                                     "INSERT INTO known SELECT job_key(job_id), row FROM inbox ORDER BY 1;"
                                     "INSERT INTO fact SELECT 'known_row', row FROM inbox ORDER BY row DESC LIMIT 1;";

static const char pragmas[] =
    "PRAGMA page_size=8192; PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=2000; PRAGMA cache_size=-16384; PRAGMA temp_store=MEMORY;";

static int execute(struct journal *journal, const char *text, struct err *err)
{
    return sqlite3_exec(journal->database, text, NULL, NULL, NULL) == SQLITE_OK ? 0 : sql_failed(journal, err);
}

/* The lock file holds "pid" for the message of the one who comes second. */
static int take_lock(struct journal *journal, bool create, struct err *err)
{
    CLEANUP(freep) char *path = NULL;
    char owner[32] = "";

    if (asprintf(&path, "%s/lock", journal->directory) < 0)
        return err_memory(err, "journal");
    journal->lock = open(path, O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), 0600);
    if (journal->lock < 0)
        return errno == ENOENT ? err_set(err, ERR_PERMANENT, "%s: no journal here", journal->directory)
                               : err_errno(err, errno, path);
    if (flock(journal->lock, LOCK_EX | LOCK_NB) < 0) {
        ssize_t len = pread(journal->lock, owner, sizeof owner - 1, 0);
        if (errno != EWOULDBLOCK && len < 0)
            return err_errno(err, errno, path);
        owner[strcspn(owner, "\n")] = '\0';
        return err_set(err, ERR_CONFLICT, "%s: in use by another worker (process %s)", journal->directory, owner);
    }
    if (create && (ftruncate(journal->lock, 0) < 0 || dprintf(journal->lock, "%d\n", (int)getpid()) < 0))
        return err_errno(err, errno, path);
    return 0;
}

static int open_database(struct journal *journal, int flags, struct err *err)
{
    CLEANUP(freep) char *path = NULL;

    if (asprintf(&path, "%s/journal.db", journal->directory) < 0)
        return err_memory(err, "journal");
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS,
                   0); /* no lock around each allocation; refused, without harm, once SQLite is in use */
    if (sqlite3_open_v2(path, &journal->database, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        return journal->database ? sql_failed(journal, err) : err_memory(err, "journal");
    sqlite3_extended_result_codes(journal->database, 1);
    return known_teach(journal, err) < 0 ? -1 : execute(journal, pragmas, err);
}

static int stored_version(struct journal *journal, int *out, struct err *err)
{
    struct sqlite3_stmt *statement;

    if (sqlite3_prepare_v2(journal->database, "PRAGMA user_version", -1, &statement, NULL) != SQLITE_OK)
        return sql_failed(journal, err);
    *out = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int(statement, 0) : -1;
    sqlite3_finalize(statement);
    return *out < 0 ? sql_failed(journal, err) : 0;
}

static int change_tables(struct journal *journal, const char *how, struct err *err)
{
    char set_version[48];

    snprintf(set_version, sizeof set_version, "PRAGMA user_version=%d", SCHEMA_VERSION);
    if (journal_begin(journal, err) < 0 || execute(journal, how, err) < 0)
        return -1;
    return execute(journal, set_version, err);
}

static int create_tables(struct journal *journal, struct err *err)
{
    char id[UUID_TEXT];

    uuid_random(id);
    if (change_tables(journal, schema, err) < 0 || journal_set_fact(journal, "id", id, err) < 0)
        return -1;
    return journal_commit(journal, err);
}

static int ready_schema(struct journal *journal, bool create, struct err *err)
{
    int version = 0;

    if (stored_version(journal, &version, err) < 0)
        return -1;
    if (version == 0 && create)
        return create_tables(journal, err);
    if (version == 1 && create)
        return change_tables(journal, from_version_1, err) < 0 ? -1 : journal_commit(journal, err);
    if (version == SCHEMA_VERSION || version == 1) /* who only reads finds the same columns in both */
        return 0;
    return err_set(err, ERR_PERMANENT, "journal %s: written by another version (schema %d, this worker knows %d)",
                   journal->directory, version, SCHEMA_VERSION);
}

static int read_identity(struct journal *journal, struct err *err)
{
    CLEANUP(freep) char *birth = NULL;

    if (journal_fact(journal, "id", &journal->id, err) < 0 || journal_fact(journal, "birth_us", &birth, err) < 0)
        return -1;
    if (!journal->id)
        return err_set(err, ERR_PERMANENT, "journal %s: has no id", journal->directory);
    return birth ? parse_int(birth, 1, INT64_MAX, &journal->birth_us, err) : 0;
}

static int open_journal(const char *directory, bool create, struct journal **out, struct err *err)
{
    struct journal *journal = calloc(1, sizeof *journal);
    int flags = SQLITE_OPEN_READWRITE | (create ? SQLITE_OPEN_CREATE : 0);

    if (!journal)
        return err_memory(err, "journal");
    journal->lock = -1;
    journal->notes.due_ms = INT64_MAX;
    journal->directory = strdup(directory);
    if (!journal->directory || take_lock(journal, create, err) < 0 || open_database(journal, flags, err) < 0 ||
        ready_schema(journal, create, err) < 0 || read_identity(journal, err) < 0 || token_read(journal, err) < 0 ||
        (create && known_open(journal, err) < 0)) {
        journal_close(journal);
        return -1;
    }
    *out = journal;
    return 0;
}

int journal_open(const char *directory, struct journal **out, struct err *err)
{
    if (file_make_directories(directory, 0700, err) < 0)
        return err_wrap(err, "state directory");
    return open_journal(directory, true, out, err);
}

int journal_open_to_read(const char *directory, struct journal **out, struct err *err)
{
    if (open_journal(directory, false, out, err) < 0)
        return -1;
    return execute(*out, "PRAGMA query_only=1", err);
}

void journal_close(struct journal *journal)
{
    if (!journal)
        return;
    for (int i = 0; i < SQL_COUNT; i++)
        sqlite3_finalize(journal->statements[i]);
    sqlite3_close(journal->database);
    if (journal->lock >= 0)
        close(journal->lock);
    known_close(journal);
    free(journal->notes.finished);
    free(journal->directory);
    free(journal->id);
    free(journal);
}

const char *journal_id(const struct journal *journal)
{
    return journal->id;
}

int64_t journal_birth_us(const struct journal *journal)
{
    return journal->birth_us;
}

int journal_be_born(struct journal *journal, int64_t birth_us, struct err *err)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRId64, birth_us);
    if (journal_begin(journal, err) < 0 || journal_set_fact(journal, "birth_us", text, err) < 0 ||
        journal_commit(journal, err) < 0)
        return -1;
    journal->birth_us = birth_us;
    return 0;
}

static int run(struct journal *journal, enum sql name, struct err *err)
{
    struct sqlite3_stmt *statement = sql(journal, name, err);

    return statement ? sql_done(journal, statement, err) : -1;
}

int journal_begin(struct journal *journal, struct err *err)
{
    if (journal->in_transaction)
        return 0;
    if (run(journal, SQL_BEGIN, err) < 0)
        return -1;
    journal->in_transaction = true;
    return 0;
}

int journal_commit(struct journal *journal, struct err *err)
{
    if (!journal->in_transaction)
        return 0;
    int failed = journal_write_notes(journal, err) < 0 || token_write(journal, err) < 0 ||
                 known_settle(journal, false, err) < 0;
    journal->in_transaction = false;
    if (!failed && run(journal, SQL_COMMIT, err) == 0)
        return 0;
    if (!sqlite3_get_autocommit(journal->database))
        run(journal, SQL_ROLLBACK, NULL);
    return -1;
}

bool journal_open_transaction(const struct journal *journal)
{
    return journal->in_transaction;
}

int64_t journal_bytes(const struct journal *journal)
{
    sqlite3_int64 pages = 0;
    struct sqlite3_stmt *statement;

    if (sqlite3_prepare_v2(journal->database,
                           "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()", -1, &statement,
                           NULL) != SQLITE_OK)
        return 0;
    if (sqlite3_step(statement) == SQLITE_ROW)
        pages = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return pages;
}

int64_t journal_free_bytes(const struct journal *journal)
{
    int64_t free_bytes, total;
    struct err err;

    return file_free_space(journal->directory, &free_bytes, &total, &err) == 0 ? free_bytes : -1;
}

int journal_fact(struct journal *journal, const char *name, char **out, struct err *err)
{
    struct sqlite3_stmt *statement = sql(journal, SQL_FACT_GET, err);

    if (!statement)
        return -1;
    bind_text(statement, 1, name);
    int got = sql_next(journal, statement, err);
    if (got < 0)
        return -1;
    char *value = got ? strdup(column_text(statement, 0)) : NULL;
    sqlite3_reset(statement);
    if (got && !value)
        return err_memory(err, "journal");
    *out = value;
    return 0;
}

int journal_set_fact(struct journal *journal, const char *name, const char *value, struct err *err)
{
    struct sqlite3_stmt *statement = sql(journal, SQL_FACT_SET, err);

    if (!statement || journal_begin(journal, err) < 0)
        return -1;
    bind_text(statement, 1, name);
    bind_text(statement, 2, value);
    return sql_done(journal, statement, err);
}
