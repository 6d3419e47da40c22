/* Repositories: what the ledger knows of them (name, where they were made), and how each host sees them (inventory). */
#include "base/cleanup.h"
#include "base/err.h"
#include "coordinator/view_read.h"
#include "model/inventory.h"
#include "model/ledger_entry.h"

#include <string.h>

static json_t *repository_of(json_t *all, const char *id)
{
    json_t *item = json_object_get(all, id);

    if (item)
        return item;
    item = json_pack("{s:s, s:n, s:[], s:i, s:i}", "id", id, "name", "hosts", "points", 0, "size_bytes", 0);
    json_object_set_new(all, id, item);
    return item;
}

static void add_host(json_t *all, const char *host, const struct inventory_space *space)
{
    json_t *item = repository_of(all, space->id);

    if (!json_is_string(json_object_get(item, "name")) && space->name)
        json_object_set_new(item, "name", json_string(space->name));
    json_array_append_new(json_object_get(item, "hosts"),
                          json_pack("{s:s, s:s?, s:I, s:I, s:I, s:b, s:s?}", "host", host, "path", space->path,
                                    "total_bytes", (json_int_t)space->total_bytes, "free_bytes",
                                    (json_int_t)space->free_bytes, "min_free_bytes", (json_int_t)space->min_free_bytes,
                                    "ok", space->ok, "text", space->text));
}

static int collect_hosts(struct view_reader *reader, const char *host, json_t *all, struct err *err)
{
    struct view_select select = {0};
    sqlite3_stmt *row = NULL;

    text_add(&select.sql, "SELECT host, value FROM hosts WHERE NOT gone AND value IS NOT NULL");
    view_select_text(&select, "host = ?", host);
    if (view_select_prepare(&select, reader, &row, err) < 0)
        return -1;
    while (sqlite3_step(row) == SQLITE_ROW) {
        struct inventory inventory = {0};
        if (view_decode(reader, &inventory_record, row, 1, &inventory, NULL) == 0 && inventory.host)
            for (size_t i = 0; i < inventory.host->repositories.count; i++) {
                const struct inventory_space *space = list_at(&inventory.host->repositories, struct inventory_space, i);
                if (space->id)
                    add_host(all, view_text(row, 0), space);
            }
        inventory_clear(&inventory);
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

static int collect_points(struct view_reader *reader, json_t *all, struct err *err)
{
    sqlite3_stmt *row = NULL;

    if (view_db_prepare(
            reader->db,
            "SELECT repository, count(*), sum(size_bytes) FROM points WHERE NOT closed AND repository IS NOT NULL GROUP BY repository",
            &row, err) < 0)
        return -1;
    while (sqlite3_step(row) == SQLITE_ROW) {
        json_t *item = json_object_get(all, view_text(row, 0));
        if (!item)
            continue;
        json_object_set_new(item, "points", json_integer(sqlite3_column_int64(row, 1)));
        json_object_set_new(item, "size_bytes", json_integer(sqlite3_column_int64(row, 2)));
    }
    sqlite3_finalize(row);
    return 0;
}

static bool wanted(json_t *item, const struct view_filter *filter)
{
    const char *id = json_string_value(json_object_get(item, "id")),
               *name = json_string_value(json_object_get(item, "name"));

    if (filter->repository && strcmp(id, filter->repository) != 0)
        return false;
    if (filter->name && (!name || strcmp(name, filter->name) != 0))
        return false;
    if (filter->host && json_array_size(json_object_get(item, "hosts")) == 0)
        return false;
    return !filter->after || strcmp(id, filter->after) > 0;
}

int view_repositories(struct view_reader *reader, const struct view_filter *filter, json_t **out, struct err *err)
{
    static const struct view_filter no_filter;
    json_t *all = json_object(), *items = json_array(), *item, *next = NULL;
    const char *id;

    filter = filter ? filter : &no_filter;
    if (collect_hosts(reader, filter->host, all, err) < 0 || collect_ledger(reader, all, err) < 0 ||
        collect_points(reader, all, err) < 0) {
        json_decref(all);
        json_decref(items);
        return -1;
    }
    json_object_foreach(all, id, item) if (wanted(item, filter)) json_array_append(items, item);
    json_decref(all);
    return view_page(reader, items, next, out, err);
}
