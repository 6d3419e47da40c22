/* The readers' common part: handles, pages, records as JSON. Each list runs in one SQLite snapshot, so a page never mixes two states of the view. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/parse.h"
#include "coordinator/view_read.h"
#include "model/record.h"
#include "wire/wire.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const size_t VALUE_MAX = 4u << 20; /* checked when it was written */

int view_reader_open(const char *path, struct view_reader **out, struct err *err)
{
    CLEANUP(freep) struct view_reader *reader = calloc(1, sizeof *reader);

    if (!reader)
        return err_memory(err, "view");
    if (wire_new(&reader->wire, err) < 0)
        return -1;
    if (view_db_open_reader(path, &reader->db, err) < 0) {
        wire_free(reader->wire);
        return -1;
    }
    *out = TAKE_PTR(reader);
    return 0;
}

void view_reader_close(struct view_reader *reader)
{
    if (!reader)
        return;
    for (size_t i = 0; i < sizeof reader->kept / sizeof *reader->kept; i++)
        sqlite3_finalize(reader->kept[i].row);
    sqlite3_close(reader->db);
    wire_free(reader->wire);
    free(reader);
}

int view_keep(struct view_reader *reader, const char *sql, sqlite3_stmt **out, struct err *err)
{
    struct view_kept *kept = reader->kept;

    while (kept->sql && kept->sql != sql)
        kept++;
    assert(kept < reader->kept + sizeof reader->kept / sizeof *reader->kept);
    if (!kept->row && view_db_prepare(reader->db, sql, &kept->row, err) < 0)
        return -1;
    kept->sql = sql;
    *out = kept->row;
    return 0;
}

void view_select_text(struct view_select *select, const char *condition, const char *value)
{
    if (!value)
        return;
    text_addf(&select->sql, " AND %s", condition);
    select->texts[select->count++] = value;
}

void view_select_number(struct view_select *select, const char *condition, int64_t value)
{
    text_addf(&select->sql, " AND %s", condition);
    select->numbers[select->count++] = value;
}

int view_select_prepare(struct view_select *select, struct view_reader *reader, sqlite3_stmt **out, struct err *err)
{
    int result = select->sql.failed ? err_memory(err, "view") : 0;

    if (result == 0 && sqlite3_prepare_v2(reader->db, text_str(&select->sql), -1, out, NULL) != SQLITE_OK)
        result = view_db_fail(reader->db, "list", err);
    for (int i = 0; result == 0 && i < select->count; i++)
        if (select->texts[i])
            sqlite3_bind_text(*out, i + 1, select->texts[i], -1, SQLITE_TRANSIENT);
        else
            sqlite3_bind_int64(*out, i + 1, select->numbers[i]);
    text_free(&select->sql);
    return result;
}

int view_decode(struct view_reader *reader, const struct record_type *type, sqlite3_stmt *statement, int column,
                void *record, struct err *err)
{
    const void *data = sqlite3_column_blob(statement, column);

    return wire_decode(reader->wire, type, data, (size_t)sqlite3_column_bytes(statement, column), VALUE_MAX, record,
                       err);
}

int view_bytes_json(struct view_reader *reader, const struct record_type *type, const void *data, size_t len,
                    json_t **out, struct err *err)
{
    CLEANUP(freep) void *record = calloc(1, type->size);

    if (!record)
        return err_memory(err, "view");
    if (wire_decode(reader->wire, type, data, len, VALUE_MAX, record, err) < 0)
        return -1;
    *out = record_json(type, record, err);
    record_clear(type, record);
    return *out ? 0 : -1;
}

int view_json(struct view_reader *reader, const struct record_type *type, sqlite3_stmt *statement, int column,
              json_t **out, struct err *err)
{
    const void *data = sqlite3_column_blob(statement, column);

    *out = NULL;
    if (sqlite3_column_type(statement, column) == SQLITE_NULL)
        return 0;
    return view_bytes_json(reader, type, data, (size_t)sqlite3_column_bytes(statement, column), out, err);
}

json_t *view_time(int64_t ms)
{
    char text[40];

    return ms ? json_string(format_rfc3339(ms, text, sizeof text)) : json_null();
}

int view_limit(const struct view_filter *filter)
{
    int limit = filter && filter->limit > 0 ? filter->limit : VIEW_LIMIT;

    return limit < VIEW_LIMIT_MAX ? limit : VIEW_LIMIT_MAX;
}

static int64_t fed_at(struct view_reader *reader)
{
    sqlite3_stmt *statement = NULL;
    int64_t at = 0;

    if (sqlite3_prepare_v2(reader->db, "SELECT value FROM meta WHERE key = 'fed_at'", -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        at = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return at;
}

int view_page(struct view_reader *reader, json_t *items, json_t *next, json_t **out, struct err *err)
{
    json_t *page = json_pack("{s:o, s:o, s:o}", "items", items, "next", next ? next : json_null(), "as_of",
                             view_time(fed_at(reader)));

    if (!page)
        return err_memory(err, "view");
    *out = page;
    return 0;
}

int view_list_page(struct view_reader *reader, struct view_select *select, int limit, view_make_item *make,
                   void *context, json_t **out, struct err *err)
{
    sqlite3_stmt *row = NULL;
    json_t *items = json_array(), *next = NULL, *item;
    CLEANUP(freep) char *last = NULL;
    int result = view_select_prepare(select, reader, &row, err), looked = 0;

    while (result == 0 && sqlite3_step(row) == SQLITE_ROW) {
        if (json_array_size(items) == (size_t)limit || (select->looks && looked == select->looks)) {
            next = json_string(last);
            break;
        }
        looked++;
        result = make(reader, row, context, &item, err);
        if (result == 0 && item)
            json_array_append_new(items, item);
        if (result == 0)
            result = string_set(&last, view_text(row, 0), err);
    }
    sqlite3_finalize(row);
    if (result == 0)
        return view_page(reader, items, next, out, err);
    json_decref(items);
    json_decref(next);
    return -1;
}
