/* Jobs as lists, one by one, and as they go on. What a job is comes from the ledger's record, how it stands from its newest event; the row only serves the filters. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/parse.h"
#include "coordinator/view_internal.h"
#include "coordinator/view_read.h"
#include "coordinator/view_rows.h"
#include "model/job_state.h"
#include "model/ledger_entry.h"
#include "model/status.h"

#include <stdio.h>
#include <string.h>

#define COLUMNS                                                                                                                                                                                \
    "id, job_id, op, class, target, host, state, token, lost, dry_run, issued_at, started_at, ended_at, at, resolved, last_index, (SELECT value FROM events WHERE events.id = jobs.spec_row)," \
    " (SELECT value FROM events WHERE events.id = jobs.last_row)"
enum {
    ID,
    JOB_ID,
    OP,
    CLASS,
    TARGET,
    HOST,
    STATE,
    TOKEN,
    LOST,
    DRY_RUN,
    ISSUED,
    STARTED,
    ENDED,
    AT,
    RESOLVED,
    LAST_INDEX,
    SPEC,
    LAST_ROW
};
enum { EVENTS_MAX = 200, FOLLOW_MAX = 500 };

static void move_member(json_t *to, json_t *from, const char *name)
{
    json_t *value = from ? json_object_get(from, name) : NULL;

    if (value)
        json_object_set(to, name, value);
}

/* The target as an object; without the ledger's record only kind and id are known. */
static json_t *target_json(const char *text)
{
    const char *colon = strchr(text, ':');

    return colon ? json_pack("{s:s%, s:s}", "kind", text, (size_t)(colon - text), "id", colon + 1) : json_null();
}

static int add_spec(struct view_reader *reader, sqlite3_stmt *row, json_t *item, struct err *err)
{
    static const char *const members[] = {"target",   "host",     "params",      "requested_by", "reason",
                                          "replaces", "priority", "deadline",    "not_before",   "start_by",
                                          "policy",   "run",      "group",       "deploy_id",    "request_id",
                                          "schedule", "slot",     "plan_digest", "max_attempts"};
    const void *bytes = sqlite3_column_blob(row, SPEC);
    const unsigned char *value;
    size_t at = 0, len = (size_t)sqlite3_column_bytes(row, SPEC), value_len;
    json_t *entry = NULL;

    if (bytes && view_events_next(bytes, len, PIECE_SPEC, &at, &value, &value_len) &&
        view_bytes_json(reader, &ledger_entry_record, value, value_len, &entry, err) < 0)
        return -1;
    json_t *job = entry ? json_object_get(json_object_get(entry, "job"), "job") : NULL;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        move_member(item, job, members[i]);
    json_decref(entry);
    return 0;
}

static int add_last(struct view_reader *reader, sqlite3_stmt *row, json_t *item, struct err *err)
{
    static const char *const members[] = {"phase", "done",   "total", "waiting",     "attempt",
                                          "error", "result", "note",  "accepted_at", "resolved"};
    const void *bytes = sqlite3_column_blob(row, LAST_ROW);
    const unsigned char *value = NULL;
    size_t at = 0, len = (size_t)sqlite3_column_bytes(row, LAST_ROW), value_len = 0;
    int64_t index = sqlite3_column_int64(row, LAST_INDEX);
    json_t *status = NULL;

    while (bytes && index-- >= 0)
        if (!view_events_next(bytes, len, PIECE_EVENT, &at, &value, &value_len))
            break;
    if (value && view_bytes_json(reader, &status_record, value, value_len, &status, err) < 0)
        return -1;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        move_member(item, status, members[i]);
    json_decref(status);
    return 0;
}

static int job_item(struct view_reader *reader, sqlite3_stmt *row, json_t **out, struct err *err)
{
    char job_id[UUID_TEXT];
    int op = sqlite3_column_int(row, OP), class = sqlite3_column_int(row, CLASS), state = sqlite3_column_int(row, STATE);
    json_t *item = json_pack(
        "{s:s, s:s, s:s, s:s, s:o, s:s, s:I, s:b, s:b, s:o, s:o, s:o, s:o}", "job_id",
        view_job_text(row, JOB_ID, job_id), "op", op_names[op], "class", class_names[class], "state",
        job_state_names[state], "target", target_json(view_text(row, TARGET)), "host", view_text(row, HOST), "token",
        (json_int_t)sqlite3_column_int64(row, TOKEN), "lost", sqlite3_column_int(row, LOST), "dry_run",
        sqlite3_column_int(row, DRY_RUN), "issued_at", view_time(sqlite3_column_int64(row, ISSUED)), "started_at",
        view_time(sqlite3_column_int64(row, STARTED)), "ended_at", view_time(sqlite3_column_int64(row, ENDED)), "at",
        view_time(sqlite3_column_int64(row, AT)));

    if (!item)
        return err_memory(err, "view");
    if (add_spec(reader, row, item, err) < 0 || add_last(reader, row, item, err) < 0) {
        json_decref(item);
        return -1;
    }
    *out = item;
    return 0;
}

int view_jobs(struct view_reader *reader, const struct view_filter *filter, json_t **out, struct err *err)
{
    struct view_filter none = {0};
    struct view_select select = {0};
    sqlite3_stmt *row = NULL;
    json_t *items = json_array(), *next = NULL;
    int result, limit = view_limit(filter);
    int64_t last = 0, bottom;

    filter = filter ? filter : &none;
    result = view_jobs_bottom(reader, filter, &bottom, err);
    text_add(&select.sql, "SELECT " COLUMNS " FROM jobs WHERE 1");
    view_select_jobs(&select, filter, bottom);
    result = result < 0 ? text_free(&select.sql), -1 : view_select_prepare(&select, reader, &row, err);
    while (result == 0 && sqlite3_step(row) == SQLITE_ROW) {
        if (json_array_size(items) == (size_t)limit) {
            next = json_sprintf("%lld", (long long)last);
            break;
        }
        json_t *item;
        last = sqlite3_column_int64(row, ID);
        if ((result = job_item(reader, row, &item, err)) == 0)
            json_array_append_new(items, item);
    }
    sqlite3_finalize(row);
    if (!next && bottom)
        next = json_sprintf("%lld", (long long)bottom);
    if (result == 0)
        return view_page(reader, items, next, out, err);
    json_decref(items);
    json_decref(next);
    return -1;
}

/* ---- one job, and its events ---- */

/* The events of one row, appended. */
static int add_events(struct view_reader *reader, json_t *events, const void *bytes, size_t len, struct err *err)
{
    const unsigned char *value;
    size_t at = 0, value_len;

    while (view_events_next(bytes, len, PIECE_EVENT, &at, &value, &value_len)) {
        json_t *event = NULL;
        if (view_bytes_json(reader, &status_record, value, value_len, &event, err) < 0)
            return -1;
        json_array_append_new(events, event);
    }
    return 0;
}

/* Column 0 is the id of a row of events, column 1 what it holds. */
static int collect_events(struct view_reader *reader, sqlite3_stmt *row, json_t **out, int64_t *cursor, struct err *err)
{
    json_t *events = json_array();
    int result = 0;

    while (result == 0 && sqlite3_step(row) == SQLITE_ROW) {
        const void *bytes = sqlite3_column_blob(row, 1);
        result = add_events(reader, events, bytes, (size_t)sqlite3_column_bytes(row, 1), err);
        if (cursor)
            *cursor = sqlite3_column_int64(row, 0);
    }
    if (result < 0) {
        json_decref(events);
        return -1;
    }
    *out = events;
    return 0;
}

static int job_events(struct view_reader *reader, int64_t id, json_t **out, struct err *err)
{
    sqlite3_stmt *row = NULL;
    int result = view_db_prepare(
        reader->db,
        "SELECT id, value FROM (SELECT id, value FROM events WHERE job = ?1 ORDER BY id DESC LIMIT ?2) ORDER BY id",
        &row, err);

    if (result == 0) {
        sqlite3_bind_int64(row, 1, id);
        sqlite3_bind_int(row, 2, EVENTS_MAX);
        result = collect_events(reader, row, out, NULL, err);
        while (result == 0 && json_array_size(*out) > EVENTS_MAX)
            json_array_remove(*out, 0);
    }
    sqlite3_finalize(row);
    return result;
}

int view_job(struct view_reader *reader, const char *job_id, json_t **out, struct err *err)
{
    sqlite3_stmt *row = NULL;
    json_t *item = NULL, *events = NULL;
    int result = view_db_prepare(reader->db, "SELECT " COLUMNS " FROM jobs WHERE job_id = ?1", &row, err);

    if (result == 0) {
        view_bind_job(row, 1, job_id);
        if (sqlite3_step(row) == SQLITE_ROW) {
            result = job_item(reader, row, &item, err);
            if (result == 0 && (result = job_events(reader, sqlite3_column_int64(row, ID), &events, err)) == 0)
                json_object_set_new(item, "events", events);
        }
    }
    sqlite3_finalize(row);
    if (result < 0) {
        json_decref(item);
        return -1;
    }
    *out = item;
    return 0;
}

static int events_after(struct view_reader *reader, const char *job_id, int64_t *cursor, json_t **out, struct err *err)
{
    sqlite3_stmt *row = NULL;
    const char *sql =
        job_id
            ? "SELECT id, value FROM events WHERE job = (SELECT id FROM jobs WHERE job_id = ?3) AND id > ?1 ORDER BY id LIMIT ?2"
            : "SELECT id, value FROM events WHERE id > ?1 ORDER BY id LIMIT ?2";
    int result = view_db_prepare(reader->db, sql, &row, err);

    if (result == 0) {
        sqlite3_bind_int64(row, 1, *cursor);
        sqlite3_bind_int(row, 2, FOLLOW_MAX);
        if (job_id)
            view_bind_job(row, 3, job_id);
        result = collect_events(reader, row, out, cursor, err);
    }
    sqlite3_finalize(row);
    return result;
}

int view_follow(struct view_reader *reader, const char *job_id, int64_t *cursor, int timeout_ms, json_t **out,
                struct err *err)
{
    int64_t until_ms = clock_monotonic_ms() + timeout_ms;

    for (;;) {
        int64_t seen = view_news_now();
        json_t *events = NULL;
        if (events_after(reader, job_id, cursor, &events, err) < 0)
            return -1;
        int64_t left_ms = until_ms - clock_monotonic_ms();
        if (json_array_size(events) > 0 || left_ms <= 0) {
            *out = events;
            return 0;
        }
        json_decref(events);
        view_news_wait(seen, (int)left_ms);
    }
}

static int ids_of(struct view_reader *reader, struct view_select *select, bool jobs, json_t **out, struct err *err)
{
    char job_id[UUID_TEXT];
    sqlite3_stmt *row = NULL;

    text_add(&select->sql, " LIMIT 5");
    if (view_select_prepare(select, reader, &row, err) < 0)
        return -1;
    *out = json_array();
    while (sqlite3_step(row) == SQLITE_ROW)
        json_array_append_new(*out, json_string(jobs ? view_job_text(row, 0, job_id) : view_text(row, 0)));
    sqlite3_finalize(row);
    return 0;
}

int view_ids(struct view_reader *reader, const char *what, const char *prefix, json_t **out, struct err *err)
{
    bool jobs = strcmp(what, "job") == 0;
    struct view_select select = {0};

    text_add(&select.sql, jobs ? "SELECT job_id FROM jobs WHERE 1" : "SELECT id FROM points WHERE NOT closed");
    if (jobs)
        view_select_prefix(&select, prefix);
    else {
        view_select_text(&select, "id >= ?", prefix);
        view_select_text(&select, "id < ? || 'g'", prefix);
    }
    return ids_of(reader, &select, jobs, out, err);
}
