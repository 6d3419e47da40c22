#include "coordinator/view_plan.h"

#include "base/err.h"
#include "coordinator/view_read.h"
#include "model/inventory.h"
#include "model/job_state.h"
#include "model/restore_point.h"

enum { EXPIRED_MAX = 1000 }; /* the others when these are gone */

/* One row: column 0 is the record. */
typedef int visit_row(struct view_reader *reader, sqlite3_stmt *row, void *visitor, void *context, struct err *err);

static int each(struct view_reader *reader, struct view_select *select, visit_row *visit, void *visitor, void *context,
                struct err *err)
{
    sqlite3_stmt *row = NULL;
    int result = view_select_prepare(select, reader, &row, err), step = SQLITE_DONE;

    while (result == 0 && (step = sqlite3_step(row)) == SQLITE_ROW)
        result = visit(reader, row, visitor, context, err);
    if (result == 0 && step != SQLITE_DONE)
        result = view_db_fail(reader->db, "plan", err);
    sqlite3_finalize(row);
    return result;
}

static int host_row(struct view_reader *reader, sqlite3_stmt *row, void *visitor, void *context, struct err *err)
{
    view_host_visitor *const *visit = visitor;
    CLEANUP(inventory_clear) struct inventory inventory = {0};

    if (view_decode(reader, &inventory_record, row, 0, &inventory, err) < 0)
        return -1;
    return inventory.host ? (*visit)(context, inventory.host, sqlite3_column_int(row, 1), err) : 0;
}

int view_each_host(struct view_reader *reader, view_host_visitor *visit, void *context, struct err *err)
{
    struct view_select select = {0};

    text_add(&select.sql, "SELECT value, alive FROM hosts WHERE NOT gone AND value IS NOT NULL ORDER BY host");
    return each(reader, &select, host_row, &visit, context, err);
}

static int target_row(struct view_reader *reader, sqlite3_stmt *row, void *visitor, void *context, struct err *err)
{
    view_target_visitor *const *visit = visitor;
    CLEANUP(inventory_clear) struct inventory inventory = {0};

    if (view_decode(reader, &inventory_record, row, 0, &inventory, err) < 0)
        return -1;
    return inventory.target ? (*visit)(context, inventory.target, err) : 0;
}

int view_each_target(struct view_reader *reader, view_target_visitor *visit, void *context, struct err *err)
{
    struct view_select select = {0};

    text_add(&select.sql, "SELECT value FROM targets WHERE NOT gone AND value IS NOT NULL");
    return each(reader, &select, target_row, &visit, context, err);
}

static int point_row(struct view_reader *reader, sqlite3_stmt *row, void *visitor, void *context, struct err *err)
{
    view_point_visitor *const *visit = visitor;
    CLEANUP(restore_point_clear) struct restore_point point = {0};

    if (view_decode(reader, &restore_point_record, row, 0, &point, err) < 0)
        return -1;
    return (*visit)(context, &point, err);
}

int view_each_point(struct view_reader *reader, const char *kind, const char *target, view_point_visitor *visit,
                    void *context, struct err *err)
{
    struct view_select select = {0};

    text_addf(&select.sql, "SELECT value FROM points WHERE NOT closed AND value IS NOT NULL AND state != %d",
              POINT_DELETED);
    view_select_text(&select, "kind = ?", kind);
    view_select_text(&select, "target = ?", target);
    text_add(&select.sql, " ORDER BY target, created_at, id");
    return each(reader, &select, point_row, &visit, context, err);
}

int view_each_expired_point(struct view_reader *reader, int64_t now_ms, view_point_visitor *visit, void *context,
                            struct err *err)
{
    struct view_select select = {0};

    text_addf(&select.sql,
              "SELECT value FROM points WHERE expires_at > 0 AND expires_at <= %lld AND NOT closed AND value IS NOT NULL"
              " AND state != %d ORDER BY expires_at LIMIT %d",
              (long long)now_ms, POINT_DELETED, EXPIRED_MAX);
    return each(reader, &select, point_row, &visit, context, err);
}

static int parked_row(struct view_reader *reader, sqlite3_stmt *row, void *visitor, void *context, struct err *err)
{
    char job_id[UUID_TEXT];

    (void)reader;
    (void)visitor;
    return strings_add(context, view_job_text(row, 0, job_id), err);
}

int view_parked_jobs(struct view_reader *reader, struct strings *out, struct err *err)
{
    struct view_select select = {0};

    text_addf(&select.sql, "SELECT job_id FROM jobs WHERE ended_at = 0 AND state = %d AND NOT resolved", STATE_PARKED);
    return each(reader, &select, parked_row, NULL, out, err);
}
