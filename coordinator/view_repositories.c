/* Repositories: what the ledger knows of them (name, where they were made), and how each host sees them (inventory). */
#include "base/cleanup.h"
#include "base/err.h"
#include "coordinator/view_read.h"
#include "model/ledger_entry.h"

#include <stdlib.h>
#include <string.h>

static json_t *repository_of(json_t *all, const char *id)
{
    json_t *item = json_object_get(all, id);

    if (item)
        return item;
    item = json_pack("{s:s, s:n, s:[], s:i, s:i, s:i}", "id", id, "name", "hosts", "host_count", 0, "points", 0,
                     "size_bytes", 0);
    json_object_set_new(all, id, item);
    return item;
}

/* So many of a fleet's hosts are told of for each repository: the one that is asked about first, then those on which it can be used. */
enum { HOSTS_MAX = 100 };

static int each(struct view_reader *reader, const char *sql, const char *text, sqlite3_stmt **out, struct err *err)
{
    if (view_db_prepare(reader->db, sql, out, err) < 0)
        return -1;
    view_bind_text(*out, 1, text);
    return 0;
}

static void add_space(json_t *item, sqlite3_stmt *row)
{
    enum { HOST, NAME, PATH, TOTAL, FREE, MIN_FREE, OK, TEXT };
    const char *name = (const char *)sqlite3_column_text(row, NAME);

    if (!json_is_string(json_object_get(item, "name")) && name)
        json_object_set_new(item, "name", json_string(name));
    json_array_append_new(json_object_get(item, "hosts"),
                          json_pack("{s:s, s:s?, s:I, s:I, s:I, s:b, s:s?}", "host", view_text(row, HOST), "path",
                                    sqlite3_column_text(row, PATH), "total_bytes",
                                    (json_int_t)sqlite3_column_int64(row, TOTAL), "free_bytes",
                                    (json_int_t)sqlite3_column_int64(row, FREE), "min_free_bytes",
                                    (json_int_t)sqlite3_column_int64(row, MIN_FREE), "ok", sqlite3_column_int(row, OK),
                                    "text", sqlite3_column_text(row, TEXT)));
}

#define SPACES \
    "SELECT host, name, path, total_bytes, free_bytes, min_free_bytes, ok, text FROM spaces WHERE repository = ?1"

static int add_spaces(struct view_reader *reader, const char *sql, const char *id, const char *host, json_t *item,
                      struct err *err)
{
    sqlite3_stmt *row = NULL;

    if (each(reader, sql, id, &row, err) < 0)
        return -1;
    view_bind_text(row, 2, host);
    while (json_array_size(json_object_get(item, "hosts")) < HOSTS_MAX && sqlite3_step(row) == SQLITE_ROW)
        add_space(item, row);
    sqlite3_finalize(row);
    return 0;
}

static int add_count(struct view_reader *reader, const char *id, json_t *item, struct err *err)
{
    sqlite3_stmt *row = NULL;

    if (each(reader, "SELECT count(*) FROM spaces WHERE repository = ?1", id, &row, err) < 0)
        return -1;
    if (sqlite3_step(row) == SQLITE_ROW)
        json_object_set_new(item, "host_count", json_integer(sqlite3_column_int64(row, 0)));
    sqlite3_finalize(row);
    return 0;
}

static int add_held(struct view_reader *reader, const char *id, json_t *item, struct err *err)
{
    sqlite3_stmt *row = NULL;

    if (each(reader, "SELECT points, size_bytes FROM held WHERE repository = ?1", id, &row, err) < 0)
        return -1;
    if (sqlite3_step(row) == SQLITE_ROW) {
        json_object_set_new(item, "points", json_integer(sqlite3_column_int64(row, 0)));
        json_object_set_new(item, "size_bytes", json_integer(sqlite3_column_int64(row, 1)));
    }
    sqlite3_finalize(row);
    return 0;
}

static int fill(struct view_reader *reader, const struct view_filter *filter, const char *id, json_t *item,
                struct err *err)
{
    const char *first = filter->host ? filter->host : filter->near;

    if (first && add_spaces(reader, SPACES " AND host = ?2", id, first, item, err) < 0)
        return -1;
    if (!filter->host &&
        add_spaces(reader, SPACES " AND host IS NOT ?2 ORDER BY ok DESC, host", id, first, item, err) < 0)
        return -1;
    return add_count(reader, id, item, err) < 0 ? -1 : add_held(reader, id, item, err);
}

/* All that some host has, each once: a jump from one to the next, whatever the number of hosts. */
static int collect_said(struct view_reader *reader, json_t *all, struct err *err)
{
    CLEANUP(freep) char *id = strdup("");
    sqlite3_stmt *row = NULL;

    if (!id || each(reader, "SELECT min(repository) FROM spaces WHERE repository > ?1", id, &row, err) < 0)
        return err_memory(err, "view");
    while (sqlite3_step(row) == SQLITE_ROW && sqlite3_column_type(row, 0) != SQLITE_NULL) {
        string_set(&id, view_text(row, 0), NULL);
        repository_of(all, id);
        sqlite3_reset(row);
        view_bind_text(row, 1, id);
    }
    sqlite3_finalize(row);
    return 0;
}

static int collect_ledger(struct view_reader *reader, json_t *all, struct err *err)
{
    sqlite3_stmt *row = NULL;

    if (view_db_prepare(reader->db, "SELECT id, value FROM records WHERE kind = ?1", &row, err) < 0)
        return -1;
    sqlite3_bind_int(row, 1, LEDGER_REPOSITORY);
    while (sqlite3_step(row) == SQLITE_ROW) {
        struct ledger_entry entry = {0};
        if (view_decode(reader, &ledger_entry_record, row, 1, &entry, NULL) == 0 && entry.repository &&
            entry.repository->name)
            json_object_set_new(repository_of(all, view_text(row, 0)), "name", json_string(entry.repository->name));
        ledger_entry_clear(&entry);
    }
    sqlite3_finalize(row);
    return 0;
}

static bool passes(const struct view_filter *filter, const char *id)
{
    if (filter->repository && strcmp(id, filter->repository) != 0)
        return false;
    return !filter->after || strcmp(id, filter->after) > 0;
}

static bool wanted(json_t *item, const struct view_filter *filter)
{
    const char *name = json_string_value(json_object_get(item, "name"));

    if (filter->name && (!name || strcmp(name, filter->name) != 0))
        return false;
    return !filter->host || json_array_size(json_object_get(item, "hosts")) > 0;
}

int view_repositories(struct view_reader *reader, const struct view_filter *filter, json_t **out, struct err *err)
{
    static const struct view_filter no_filter;
    json_t *all = json_object(), *items = json_array(), *item, *next = NULL;
    const char *id;
    int result;

    filter = filter ? filter : &no_filter;
    result = collect_said(reader, all, err) < 0 ? -1 : collect_ledger(reader, all, err);
    json_object_foreach(all, id, item)
    {
        if (result == 0 && passes(filter, id) && (result = fill(reader, filter, id, item, err)) == 0 &&
            wanted(item, filter))
            json_array_append(items, item);
    }
    json_decref(all);
    if (result == 0)
        return view_page(reader, items, next, out, err);
    json_decref(items);
    return -1;
}
