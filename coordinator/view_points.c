/* Restore points, newest first. What no column has is decided from the record of each row. */
#include "base/cleanup.h"
#include "base/err.h"
#include "coordinator/view_read.h"
#include "model/restore_point.h"

#include <stdio.h>
#include <string.h>

struct choice {
    const struct view_filter *filter;
    json_t *chains; /* the newest chain of each target that was met */
};

static const char *text_of(const json_t *point, const char *member)
{
    const char *text = json_string_value(json_object_get(point, member));

    return text ? text : "";
}

/* What the last check said. */
static bool is_verified(const json_t *point)
{
    const json_t *checks = json_object_get(point, "verified");
    size_t count = json_array_size(checks);

    return count && json_is_true(json_object_get(json_array_get(checks, count - 1), "ok"));
}

/* The chain of the newest complete backup of a target, in the repository that is asked for; "" if there is none. */
static int newest_chain(struct view_reader *reader, const char *target, const char *repository, json_t **out,
                        struct err *err)
{
    struct view_select select = {0};
    sqlite3_stmt *row = NULL;
    json_t *point = NULL;
    int result;

    text_add(&select.sql, "SELECT value FROM points WHERE kind = 'backup' AND state = 1 AND NOT closed");
    view_select_text(&select, "target = ?", target);
    view_select_text(&select, "repository = ?", repository);
    text_add(&select.sql, " ORDER BY created_at DESC, id LIMIT 1");
    if (view_select_prepare(&select, reader, &row, err) < 0)
        return -1;
    result = sqlite3_step(row) == SQLITE_ROW ? view_json(reader, &restore_point_record, row, 0, &point, err) : 0;
    sqlite3_finalize(row);
    *out = json_string(text_of(point, *text_of(point, "chain") ? "chain" : "id"));
    json_decref(point);
    return result;
}

/* 1: of the newest chain of its target. */
static int is_latest(struct view_reader *reader, struct choice *choice, const char *target, const json_t *point,
                     struct err *err)
{
    json_t *chain = json_object_get(choice->chains, target);

    if (!chain) {
        if (newest_chain(reader, target, choice->filter->repository, &chain, err) < 0)
            return json_decref(chain), -1;
        json_object_set_new(choice->chains, target, chain);
    }
    return strcmp(json_string_value(chain), text_of(point, *text_of(point, "chain") ? "chain" : "id")) == 0;
}

static bool passes(const struct view_filter *filter, const json_t *point)
{
    return (!filter->full || strcmp(text_of(point, "backup_kind"), "full") == 0) &&
           (!filter->parent || strcmp(text_of(point, "parent"), filter->parent) == 0) &&
           (!filter->verified || is_verified(point));
}

static const char target_of[] = "SELECT 1 FROM targets WHERE target = ?1 AND NOT gone LIMIT 1";

/* 1: some host has the target. */
static int is_there(struct view_reader *reader, const char *target, struct err *err)
{
    sqlite3_stmt *row = NULL;

    if (view_keep(reader, target_of, &row, err) < 0)
        return -1;
    view_bind_text(row, 1, target);
    int step = sqlite3_step(row);
    sqlite3_reset(row);
    return step == SQLITE_ROW;
}

static int point_item(struct view_reader *reader, sqlite3_stmt *row, void *context, json_t **out, struct err *err)
{
    struct choice *choice = context;
    json_t *point = NULL;
    int good = 1;

    *out = NULL;
    if (choice->filter->gone && (good = is_there(reader, view_text(row, 2), err)))
        return good < 0 ? -1 : 0;
    good = 1;
    if (view_json(reader, &restore_point_record, row, 1, &point, err) < 0)
        return -1;
    if (point && !passes(choice->filter, point))
        good = 0;
    if (good && point && choice->filter->latest)
        good = is_latest(reader, choice, view_text(row, 2), point, err);
    if (good > 0)
        *out = TAKE_PTR(point);
    json_decref(point);
    return good < 0 ? -1 : 0;
}

/* Cursor "created_at/id": the order of the list. */
static void select_after(struct view_select *select, const char *after, char *id, size_t id_size)
{
    long long created = 0;

    id[0] = '\0';
    if (!after || sscanf(after, "%lld/", &created) != 1 || !strchr(after, '/'))
        return;
    snprintf(id, id_size, "%s", strchr(after, '/') + 1);
    view_select_number(select, "created_at <= ?", created);
    view_select_number(select, "(created_at < ?", created);
    text_addf(&select->sql, " OR id > ?)");
    select->texts[select->count++] = id;
}

/* The words of the index points_state (view_db.c). */
_Static_assert(POINT_COMPLETE == 1, "view: the condition of points_state");

static void select_state(struct view_select *select, int state)
{
    view_select_number(select, state == POINT_COMPLETE ? "+state = ?" : "state <> 1 AND state = ?", state);
}

int view_points(struct view_reader *reader, const struct view_filter *filter, json_t **out, struct err *err)
{
    static const struct view_filter none;
    struct choice choice = {.filter = filter ? filter : &none, .chains = json_object()};
    struct view_select select = {0};
    char after[256];

    filter = choice.filter;
    text_add(&select.sql,
             "SELECT created_at || '/' || id, value, target FROM points WHERE NOT closed AND value IS NOT NULL");
    select.looks = filter->looks;
    view_select_text(&select, "target = ?", filter->target);
    view_select_text(&select, "host = ?", filter->host);
    view_select_text(&select, "repository = ?", filter->repository);
    view_select_text(&select, filter->host || filter->repository || filter->name ? "+kind = ?" : "kind = ?",
                     filter->kind);
    view_select_text(&select, "name = ?", filter->name);
    view_select_text(&select, "group_name = ?", filter->group);
    if (filter->state)
        select_state(&select, name_index(point_state_names, filter->state));
    if (filter->id_prefix) {
        view_select_text(&select, "id >= ?", filter->id_prefix);
        view_select_text(&select, "id < ? || 'g'", filter->id_prefix);
    }
    if (filter->since_ms)
        view_select_number(&select, "created_at >= ?", filter->since_ms);
    select_after(&select, filter->after, after, sizeof after);
    text_add(&select.sql, " ORDER BY created_at DESC, id");
    int result = view_list_page(reader, &select, view_limit(filter), point_item, &choice, out, err);
    json_decref(choice.chains);
    return result;
}
