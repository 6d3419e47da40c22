/*
 * synchronous=OFF: a crash of the process loses nothing (the kernel has the pages), a crash of the machine may tear the file: so a file of another boot is thrown away.
 */
#include "coordinator/view_db.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t FED_MAX_MS = 7LL * 24 * 3600 * 1000;
enum { BUSY_MS = 5000 };

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS positions(topic TEXT, partition INTEGER, next INTEGER, PRIMARY KEY(topic, partition)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS jobs(id INTEGER PRIMARY KEY, job_id BLOB NOT NULL UNIQUE, op INTEGER, class INTEGER, target TEXT, host TEXT, repository TEXT,"
    " dry_run INTEGER, state INTEGER NOT NULL, worker_seq INTEGER, coordinator_seq INTEGER, token INTEGER, journal TEXT, lost INTEGER, resolved INTEGER, events INTEGER,"
    " issued_at INTEGER, started_at INTEGER, ended_at INTEGER, at INTEGER, spec_row INTEGER, last_row INTEGER, last_index INTEGER);"
    "CREATE INDEX IF NOT EXISTS jobs_target ON jobs(target);"
    "CREATE INDEX IF NOT EXISTS jobs_op ON jobs(op);"
    /* Only what is seldom: most jobs are written when they have succeeded, and each index of all of them costs the view a twentieth of its time. */
    "CREATE INDEX IF NOT EXISTS jobs_open ON jobs(host) WHERE ended_at = 0;"
    "CREATE INDEX IF NOT EXISTS jobs_failed ON jobs(state) WHERE state > 5;"
    /* The newest issued_at among the jobs whose id divided by VIEW_BLOCK is that number. */
    "CREATE TABLE IF NOT EXISTS job_blocks(block INTEGER PRIMARY KEY, issued_at INTEGER);"
    "CREATE TABLE IF NOT EXISTS events(id INTEGER PRIMARY KEY, job INTEGER NOT NULL, value BLOB NOT NULL);"
    "CREATE INDEX IF NOT EXISTS events_job ON events(job);"
    "CREATE TABLE IF NOT EXISTS points(id TEXT PRIMARY KEY, revision INTEGER, closed INTEGER, kind TEXT, target TEXT, host TEXT, repository TEXT, name TEXT, state INTEGER,"
    " created_at INTEGER, size_bytes INTEGER, writer TEXT, value BLOB, appended INTEGER, expires_at INTEGER, group_name TEXT);"
    "CREATE INDEX IF NOT EXISTS points_group ON points(group_name) WHERE group_name IS NOT NULL;"
    "CREATE INDEX IF NOT EXISTS points_expires ON points(expires_at) WHERE expires_at > 0;"
    "CREATE INDEX IF NOT EXISTS points_target ON points(target, created_at);"
    "CREATE INDEX IF NOT EXISTS points_writer ON points(writer);"
    "CREATE INDEX IF NOT EXISTS points_created ON points(created_at DESC, id);"
    "CREATE INDEX IF NOT EXISTS points_host ON points(host, created_at DESC, id);"
    "CREATE INDEX IF NOT EXISTS points_repository ON points(repository, created_at DESC, id);"
    "CREATE INDEX IF NOT EXISTS points_kind ON points(kind, created_at DESC, id);"
    "CREATE INDEX IF NOT EXISTS points_name ON points(name) WHERE name IS NOT NULL;"
    "CREATE INDEX IF NOT EXISTS points_state ON points(state) WHERE state <> 1;"
    "CREATE TABLE IF NOT EXISTS targets(key TEXT PRIMARY KEY, revision INTEGER, gone INTEGER, host TEXT, target TEXT, name TEXT, state TEXT, at INTEGER, value BLOB, appended INTEGER);"
    "CREATE INDEX IF NOT EXISTS targets_target ON targets(target);"
    "CREATE INDEX IF NOT EXISTS targets_name ON targets(name);"
    "CREATE INDEX IF NOT EXISTS targets_state ON targets(state, key);"
    "CREATE TABLE IF NOT EXISTS hosts(host TEXT PRIMARY KEY, revision INTEGER DEFAULT 0, gone INTEGER DEFAULT 0, at INTEGER, value BLOB, heartbeat_at INTEGER DEFAULT 0,"
    " alive INTEGER DEFAULT 0, enrolled INTEGER DEFAULT 0, since INTEGER DEFAULT 0);"
    "CREATE TABLE IF NOT EXISTS spaces(repository TEXT, host TEXT, name TEXT, path TEXT, total_bytes INTEGER, free_bytes INTEGER, min_free_bytes INTEGER, ok INTEGER, text TEXT,"
    " PRIMARY KEY(host, repository)) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS spaces_repository ON spaces(repository, ok DESC, host);"
    "CREATE TABLE IF NOT EXISTS held(repository TEXT PRIMARY KEY, points INTEGER, size_bytes INTEGER) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS records(kind INTEGER, id TEXT, value BLOB, PRIMARY KEY(kind, id)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS dlq(id INTEGER PRIMARY KEY, partition INTEGER, offset INTEGER, at INTEGER, source TEXT UNIQUE, value BLOB);";

int view_db_fail(sqlite3 *db, const char *what, struct err *err)
{
    return err_set_code(err, ERR_RETRY, sqlite3_errcode(db), "view: %s: %s", what, sqlite3_errmsg(db));
}

int view_db_run(sqlite3 *db, const char *sql, struct err *err)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : view_db_fail(db, "statement", err);
}

int view_db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out, struct err *err)
{
    return sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL) == SQLITE_OK
               ? 0
               : view_db_fail(db, sql, err);
}

void view_bind_text(sqlite3_stmt *statement, int index, const char *text)
{
    if (text)
        sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC);
    else
        sqlite3_bind_null(statement, index);
}

void view_bind_blob(sqlite3_stmt *statement, int index, const void *data, size_t len)
{
    if (data)
        sqlite3_bind_blob64(statement, index, data, len, SQLITE_STATIC);
    else
        sqlite3_bind_null(statement, index);
}

void view_bind_job(sqlite3_stmt *statement, int index, const char *job_id)
{
    unsigned char bytes[UUID_BYTES];

    if (uuid_parse(job_id, bytes))
        sqlite3_bind_blob(statement, index, bytes, sizeof bytes, SQLITE_TRANSIENT);
    else
        sqlite3_bind_null(statement, index);
}

const char *view_job_text(sqlite3_stmt *statement, int column, char out[UUID_TEXT])
{
    const void *bytes = sqlite3_column_blob(statement, column);

    out[0] = '\0';
    if (bytes && sqlite3_column_bytes(statement, column) == UUID_BYTES)
        uuid_format(out, bytes);
    return out;
}

int view_step_done(sqlite3 *db, sqlite3_stmt *statement, struct err *err)
{
    int result = sqlite3_step(statement) == SQLITE_DONE ? 0 : view_db_fail(db, "write", err);

    sqlite3_reset(statement);
    return result;
}

const char *view_text(sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);

    return text ? text : "";
}

int view_db_empty(sqlite3 *db, struct err *err)
{
    return view_db_run(
        db,
        "DELETE FROM positions; DELETE FROM jobs; DELETE FROM job_blocks; DELETE FROM events; DELETE FROM points; DELETE FROM targets; DELETE FROM hosts; DELETE FROM spaces; DELETE FROM held; DELETE FROM records;"
        "DELETE FROM dlq; DELETE FROM meta WHERE key = 'term';",
        err);
}

/* ---- the writer ---- */

static void boot_id(char out[64])
{
    CLEANUP(freep) char *text = NULL;

    out[0] = '\0';
    if (file_read("/proc/sys/kernel/random/boot_id", 64, &text, NULL, NULL) == 0)
        snprintf(out, 64, "%.*s", (int)strcspn(text, "\n"), text);
}

static bool meta_is(sqlite3 *db, const char *key, const char *wanted)
{
    sqlite3_stmt *statement = NULL;
    bool same = false;

    if (sqlite3_prepare_v2(db, "SELECT value FROM meta WHERE key = ?", -1, &statement, NULL) != SQLITE_OK)
        return false;
    view_bind_text(statement, 1, key);
    if (sqlite3_step(statement) == SQLITE_ROW)
        same = strcmp(view_text(statement, 0), wanted) == 0;
    sqlite3_finalize(statement);
    return same;
}

static bool fed_lately(sqlite3 *db)
{
    sqlite3_stmt *statement = NULL;
    bool lately = false;

    if (sqlite3_prepare_v2(db, "SELECT value FROM meta WHERE key = 'fed_at'", -1, &statement, NULL) != SQLITE_OK)
        return false;
    if (sqlite3_step(statement) == SQLITE_ROW)
        lately = clock_real_ms() - sqlite3_column_int64(statement, 0) < FED_MAX_MS;
    sqlite3_finalize(statement);
    return lately;
}

static bool still_good(sqlite3 *db, const char *cluster_id)
{
    char boot[64], version[16];

    boot_id(boot);
    snprintf(version, sizeof version, "%d", VIEW_SCHEMA);
    return meta_is(db, "schema", version) && meta_is(db, "boot", boot) && meta_is(db, "cluster", cluster_id) &&
           fed_lately(db);
}

static int open_file(const char *path, int flags, sqlite3 **out, struct err *err)
{
    sqlite3 *db = NULL;

    if (sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
        err_set(err, ERR_RETRY, "view: %s: %s", path, db ? sqlite3_errmsg(db) : "out of memory");
        sqlite3_close(db);
        return -1;
    }
    sqlite3_busy_timeout(db, BUSY_MS);
    *out = db;
    return 0;
}

static int make_schema(sqlite3 *db, const char *cluster_id, struct err *err)
{
    char boot[64], *sql;

    boot_id(boot);
    if (view_db_run(db, schema, err) < 0)
        return -1;
    sql = sqlite3_mprintf("INSERT OR REPLACE INTO meta VALUES('schema', %d), ('boot', %Q), ('cluster', %Q)",
                          VIEW_SCHEMA, boot, cluster_id);
    int result = sql ? view_db_run(db, sql, err) : err_memory(err, "view");
    sqlite3_free(sql);
    return result;
}

static void remove_file(const char *path)
{
    char other[600];

    unlink(path);
    snprintf(other, sizeof other, "%s-wal", path);
    unlink(other);
    snprintf(other, sizeof other, "%s-shm", path);
    unlink(other);
}

static const char pragmas[] =
    "PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA wal_autocheckpoint=8000; PRAGMA cache_size=-32768; PRAGMA temp_store=MEMORY;";

int view_db_open_writer(const char *path, const char *cluster_id, sqlite3 **out, struct err *err)
{
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    bool existed = file_exists(path);
    sqlite3 *db = NULL;

    sqlite3_config(SQLITE_CONFIG_MEMSTATUS,
                   0); /* no lock around each allocation; refused, without harm, once SQLite is in use */
    if (existed && open_file(path, flags, &db, NULL) == 0 && !still_good(db, cluster_id)) {
        log_info("view", "is old or of another boot, schema or cluster: built anew from the topics");
        sqlite3_close(db);
        db = NULL;
    }
    if (!db) {
        remove_file(path);
        if (open_file(path, flags, &db, err) < 0)
            return -1;
    }
    if (view_db_run(db, pragmas, err) < 0 || make_schema(db, cluster_id, err) < 0) {
        sqlite3_close(db);
        return -1;
    }
    *out = db;
    return 0;
}

int view_db_open_reader(const char *path, sqlite3 **out, struct err *err)
{
    return open_file(path, SQLITE_OPEN_READONLY, out, err);
}
