/* Where each host has which repositories, a row for each, and how much each holds: kept when a record comes, so that nobody has to look through all hosts and restore points for it. */
#include "base/err.h"
#include "coordinator/view_db.h"
#include "coordinator/view_internal.h"
#include "model/inventory.h"

/* Of a repository that a host says twice the first counts, as in plans. */
static int add_space(struct view *view, const char *host, const struct inventory_space *space, struct err *err)
{
    sqlite3_stmt *statement = view->add_space;

    view_bind_text(statement, 1, space->id);
    view_bind_text(statement, 2, host);
    view_bind_text(statement, 3, space->name);
    view_bind_text(statement, 4, space->path);
    sqlite3_bind_int64(statement, 5, space->total_bytes);
    sqlite3_bind_int64(statement, 6, space->free_bytes);
    sqlite3_bind_int64(statement, 7, space->min_free_bytes);
    sqlite3_bind_int(statement, 8, space->ok);
    view_bind_text(statement, 9, space->text);
    return view_step_done(view->db, statement, err);
}

int view_set_spaces(struct view *view, const char *name, const struct inventory_host *host, struct err *err)
{
    view_bind_text(view->drop_spaces, 1, name);
    if (view_step_done(view->db, view->drop_spaces, err) < 0)
        return -1;
    for (size_t i = 0; host && i < host->repositories.count; i++) {
        const struct inventory_space *space = list_at(&host->repositories, const struct inventory_space, i);
        if (space->id && add_space(view, name, space, err) < 0)
            return -1;
    }
    return 0;
}

int view_add_held(struct view *view, const char *repository, int points, int64_t size_bytes, struct err *err)
{
    if (!repository || !*repository)
        return 0;
    view_bind_text(view->add_held, 1, repository);
    sqlite3_bind_int(view->add_held, 2, points);
    sqlite3_bind_int64(view->add_held, 3, size_bytes);
    return view_step_done(view->db, view->add_held, err);
}
