/* Hosts, targets, dead letters; and what people type, resolved. */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/parse.h"
#include "coordinator/view_read.h"
#include "model/audit.h"
#include "model/inventory.h"
#include "model/ledger_entry.h"
#include "model/restore_point.h"
#include "model/select.h"

#include <stdio.h>
#include <string.h>

static const struct view_filter no_filter;

/* ---- hosts ---- */

static const char open_jobs_of[] = "SELECT count(*) FROM jobs WHERE host = ?1 AND ended_at = 0",
                  record_of[] = "SELECT value FROM records WHERE kind = ?1 AND id = ?2",
                  records_of[] = "SELECT id, value FROM records WHERE kind = ?1 ORDER BY id",
                  last_backup_of[] = "SELECT value FROM points WHERE target = ?1 AND kind = 'backup' AND state = 1"
                                     " AND NOT closed ORDER BY created_at DESC LIMIT 1";

static int64_t count_of(struct view_reader *reader, const char *sql, const char *value)
{
    sqlite3_stmt *row = NULL;
    int64_t count = 0;

    if (view_keep(reader, sql, &row, NULL) < 0)
        return 0;
    view_bind_text(row, 1, value);
    if (sqlite3_step(row) == SQLITE_ROW)
        count = sqlite3_column_int64(row, 0);
    sqlite3_reset(row);
    return count;
}

/* The state that the coordinator gave the host: enrolled, draining, removed. */
static char *ledger_state(struct view_reader *reader, const char *host)
{
    struct ledger_entry entry = {0};
    sqlite3_stmt *row = NULL;
    char *state = NULL;

    if (view_keep(reader, record_of, &row, NULL) < 0)
        return NULL;
    sqlite3_bind_int(row, 1, LEDGER_HOST);
    view_bind_text(row, 2, host);
    if (sqlite3_step(row) == SQLITE_ROW && view_decode(reader, &ledger_entry_record, row, 0, &entry, NULL) == 0 &&
        entry.host)
        state = TAKE_PTR(entry.host->state);
    ledger_entry_clear(&entry);
    sqlite3_reset(row);
    return state;
}

static int host_item(struct view_reader *reader, sqlite3_stmt *row, void *context, json_t **out, struct err *err)
{
    const char *name = view_text(row, 0);
    json_t *inventory = NULL, *item = NULL;

    (void)context;
    if (view_json(reader, &inventory_record, row, 1, &inventory, err) < 0)
        return -1;
    item = inventory ? json_incref(json_object_get(inventory, "host")) : json_object();
    json_decref(inventory);
    if (!item)
        return err_memory(err, "view");
    CLEANUP(freep) char *state = ledger_state(reader, name);
    json_object_set_new(item, "host", json_string(name));
    json_object_set_new(item, "at", view_time(sqlite3_column_int64(row, 2)));
    json_object_set_new(item, "heartbeat_at", view_time(sqlite3_column_int64(row, 3)));
    json_object_set_new(item, "alive", json_boolean(sqlite3_column_int(row, 4)));
    json_object_set_new(item, "enrolled", json_boolean(sqlite3_column_int(row, 5)));
    if (state)
        json_object_set_new(item, "ledger_state", json_string(state));
    json_object_set_new(item, "open_jobs", json_integer(count_of(reader, open_jobs_of, name)));
    *out = item;
    return 0;
}

int view_hosts(struct view_reader *reader, const struct view_filter *filter, json_t **out, struct err *err)
{
    struct view_select select = {0};

    filter = filter ? filter : &no_filter;
    text_add(&select.sql,
             "SELECT host, value, at, heartbeat_at, alive, enrolled FROM hosts WHERE (NOT gone OR enrolled)");
    view_select_text(&select, "host = ?", filter->host ? filter->host : filter->name);
    view_select_text(&select, "host > ?", filter->after);
    text_addf(&select.sql, " ORDER BY host LIMIT %d", view_limit(filter) + 1);
    return view_list_page(reader, &select, view_limit(filter), host_item, NULL, out, err);
}

/* ---- targets ---- */

static json_t *last_backup(struct view_reader *reader, const char *target)
{
    struct restore_point point = {0};
    sqlite3_stmt *row = NULL;
    json_t *item = NULL;

    if (view_keep(reader, last_backup_of, &row, NULL) == 0) {
        view_bind_text(row, 1, target);
        if (sqlite3_step(row) == SQLITE_ROW && view_decode(reader, &restore_point_record, row, 0, &point, NULL) == 0) {
            const struct point_verification *verified = point.verified.count
                                                            ? list_at(&point.verified, struct point_verification,
                                                                      point.verified.count - 1)
                                                            : NULL;
            item = json_pack("{s:s, s:s?, s:o, s:I, s:o}", "id", point.id, "kind", point.backup_kind, "created_at",
                             view_time(point.created_at_ms), "size_bytes", (json_int_t)point.size_bytes, "verified",
                             verified && verified->ok ? json_string(verify_depth_names[verified->depth]) : json_null());
        }
        restore_point_clear(&point);
        sqlite3_reset(row);
    }
    return item ? item : json_null();
}

/* How near an entry of kind default is to a target: 0 not at all, 1 all targets ("*"), 2 by its labels ("selector:…"), 3 itself ("kind:id"). */
static int default_fits(const char *id, const char *target, const struct facts *labels)
{
    struct selector *selector = NULL;
    bool match;

    if (strcmp(id, "*") == 0)
        return 1;
    if (strncmp(id, "selector:", 9) != 0)
        return strcmp(id, target) == 0 ? 3 : 0;
    if (selector_parse(id + 9, &selector, NULL) < 0)
        return 0;
    match = selector_match(selector, labels);
    selector_free(selector);
    return match ? 2 : 0;
}

/* The nearest; of several selectors that match the first in the order of their text. */
static json_t *default_repository(struct view_reader *reader, const char *target, const struct facts *labels)
{
    sqlite3_stmt *row = NULL;
    json_t *found = NULL;
    int nearest = 0;

    if (view_keep(reader, records_of, &row, NULL) < 0)
        return json_null();
    sqlite3_bind_int(row, 1, LEDGER_DEFAULT);
    while (sqlite3_step(row) == SQLITE_ROW) {
        int fits = default_fits(view_text(row, 0), target, labels);
        struct ledger_entry entry = {0};
        if (fits <= nearest || view_decode(reader, &ledger_entry_record, row, 1, &entry, NULL) < 0)
            continue;
        nearest = fits;
        json_decref(found);
        found = json_string(facts_get_or(&entry.values, "repository", ""));
        ledger_entry_clear(&entry);
    }
    sqlite3_reset(row);
    return found ? found : json_null();
}

static int target_item(struct view_reader *reader, sqlite3_stmt *row, void *context, json_t **out, struct err *err)
{
    const struct selector *selector = context;
    struct inventory inventory = {0};

    *out = NULL;
    if (view_decode(reader, &inventory_record, row, 1, &inventory, err) < 0)
        return -1;
    if (!inventory.target || (selector && !selector_match(selector, &inventory.target->labels))) {
        inventory_clear(&inventory);
        return 0;
    }
    json_t *item = record_json(&inventory_target_record, inventory.target, err);
    if (item)
        json_object_set_new(item, "default_repository",
                            default_repository(reader, view_text(row, 4), &inventory.target->labels));
    inventory_clear(&inventory);
    if (!item)
        return -1;
    json_object_set_new(item, "at", view_time(sqlite3_column_int64(row, 2)));
    json_object_set_new(item, "host_alive", json_boolean(sqlite3_column_int(row, 3)));
    json_object_set_new(item, "last_backup", last_backup(reader, view_text(row, 4)));
    *out = item;
    return 0;
}

int view_targets(struct view_reader *reader, const struct view_filter *filter, json_t **out, struct err *err)
{
    struct view_select select = {0};
    struct selector *selector = NULL;

    filter = filter ? filter : &no_filter;
    if (filter->selector && selector_parse(filter->selector, &selector, err) < 0)
        return -1;
    text_add(
        &select.sql,
        "SELECT t.key, t.value, t.at, h.alive, t.target FROM targets t LEFT JOIN hosts h ON h.host = t.host WHERE NOT t.gone AND t.value IS NOT NULL");
    view_select_text(&select, "t.target = ?", filter->target);
    view_select_text(&select, "t.key > ? || '/'", filter->host); /* a key is HOST/KIND:ID, and '0' comes after '/' */
    view_select_text(&select, "t.key < ? || '0'", filter->host);
    view_select_text(&select, "t.state = ?", filter->state);
    view_select_text(&select, "t.name = ?", filter->name);
    view_select_text(&select, "substr(t.target, 1, instr(t.target, ':') - 1) = ?", filter->kind);
    view_select_text(&select, "t.key > ?", filter->after);
    text_add(&select.sql, " ORDER BY t.key");
    select.looks = filter->looks;
    int result = view_list_page(reader, &select, view_limit(filter), target_item, selector, out, err);
    selector_free(selector);
    return result;
}

/* ---- dead letters ---- */

static int dead_item(struct view_reader *reader, sqlite3_stmt *row, void *context, json_t **out, struct err *err)
{
    (void)context;
    if (view_json(reader, &dead_letter_record, row, 1, out, err) < 0)
        return -1;
    json_object_set_new(*out, "dlq_partition", json_integer(sqlite3_column_int(row, 2)));
    json_object_set_new(*out, "dlq_offset", json_integer(sqlite3_column_int64(row, 3)));
    return 0;
}

int view_dead_letters(struct view_reader *reader, const struct view_filter *filter, json_t **out, struct err *err)
{
    struct view_select select = {0};
    int64_t after = 0;

    filter = filter ? filter : &no_filter;
    text_add(&select.sql, "SELECT id, value, partition, offset FROM dlq WHERE value IS NOT NULL");
    if (filter->since_ms)
        view_select_number(&select, "at >= ?", filter->since_ms);
    if (filter->after && parse_int(filter->after, 1, INT64_MAX, &after, NULL) == 0)
        view_select_number(&select, "id < ?", after);
    text_addf(&select.sql, " ORDER BY id DESC LIMIT %d", view_limit(filter) + 1);
    return view_list_page(reader, &select, view_limit(filter), dead_item, NULL, out, err);
}

/* ---- what people type ---- */

static json_t *resolved_item(sqlite3_stmt *row)
{
    const char *target = view_text(row, 0), *colon = strchr(target, ':');

    return json_pack("{s:s%, s:s, s:s, s:s, s:s}", "kind", target, colon ? (size_t)(colon - target) : 0, "id",
                     colon ? colon + 1 : "", "name", view_text(row, 1), "host", view_text(row, 2), "state",
                     view_text(row, 3));
}

static int resolve_with(struct view_reader *reader, const char *condition, const char *a, const char *b, json_t *found,
                        struct err *err)
{
    struct view_select select = {0};
    sqlite3_stmt *row = NULL;

    text_add(&select.sql, "SELECT target, name, host, state FROM targets WHERE NOT gone");
    view_select_text(&select, condition, a);
    view_select_text(&select, "host = ?", b);
    text_add(&select.sql, " ORDER BY host LIMIT 20");
    if (view_select_prepare(&select, reader, &row, err) < 0)
        return -1;
    while (sqlite3_step(row) == SQLITE_ROW)
        json_array_append_new(found, resolved_item(row));
    sqlite3_finalize(row);
    return 0;
}

static int find_similar(struct view_reader *reader, const char *text, json_t **out, struct err *err)
{
    const char *slash = strchr(text, '/'), *name = slash ? slash + 1 : text;
    sqlite3_stmt *row = NULL;
    json_t *similar = json_array();

    if (view_db_prepare(reader->db, "SELECT target, name, host, state FROM targets WHERE NOT gone AND name IS NOT NULL",
                        &row, err) < 0) {
        json_decref(similar);
        return -1;
    }
    for (size_t near = 1; near <= 2 && json_array_size(similar) == 0; near++) {
        while (sqlite3_step(row) == SQLITE_ROW && json_array_size(similar) < 3)
            if (text_distance(name, view_text(row, 1)) <= near ||
                (near == 2 && *name && strncmp(name, view_text(row, 1), strlen(name)) == 0))
                json_array_append_new(similar, resolved_item(row));
        sqlite3_reset(row);
    }
    sqlite3_finalize(row);
    *out = similar;
    return 0;
}

int view_resolve(struct view_reader *reader, const char *text, json_t **out, json_t **out_similar, struct err *err)
{
    const char *slash = strchr(text, '/');
    json_t *found = json_array();
    char host[64];
    int result = 0;

    if (strchr(text, ':'))
        result = resolve_with(reader, "target = ?", text, NULL, found, err);
    else if (slash && (size_t)(slash - text) < sizeof host) {
        snprintf(host, sizeof host, "%.*s", (int)(slash - text), text);
        result = resolve_with(reader, "name = ?", slash + 1, host, found, err);
    } else
        result = resolve_with(reader, "name = ?", text, NULL, found, err);
    if (result == 0 && out_similar) {
        *out_similar = NULL;
        if (json_array_size(found) == 0)
            result = find_similar(reader, text, out_similar, err);
    }
    if (result < 0) {
        json_decref(found);
        return -1;
    }
    *out = found;
    return 0;
}
