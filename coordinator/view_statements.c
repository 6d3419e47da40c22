/* The statements of the view's writer, prepared once. Those of jobs are in view_rows.c. */
#include "coordinator/view_db.h"
#include "coordinator/view_internal.h"

int view_prepare(struct view *view, struct err *err)
{
    const struct {
        sqlite3_stmt **statement;
        const char *sql;
    } statements[] = {
        {&view->set_position, "INSERT OR REPLACE INTO positions VALUES(?1, ?2, ?3)"},
        {&view->set_meta, "INSERT OR REPLACE INTO meta VALUES(?1, ?2)"},
        {&view->get_point, "SELECT revision, closed, target, repository, size_bytes FROM points WHERE id = ?1"},
        {&view->set_point,
         "INSERT OR REPLACE INTO points(id, revision, closed, kind, target, host, repository, name, state, created_at, size_bytes, writer, value, appended, expires_at, group_name)"
         " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)"},
        {&view->get_target, "SELECT revision FROM targets WHERE key = ?1"},
        {&view->set_target,
         "INSERT OR REPLACE INTO targets(key, revision, gone, host, target, name, state, at, value, appended) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"},
        {&view->get_host, "SELECT revision FROM hosts WHERE host = ?1"},
        {&view->set_host,
         "INSERT INTO hosts(host, revision, gone, at, value) VALUES(?1, ?2, ?3, ?4, ?5) ON CONFLICT(host) DO UPDATE SET revision = excluded.revision,"
         " gone = excluded.gone, at = excluded.at, value = excluded.value"},
        {&view->note_host,
         "INSERT INTO hosts(host, heartbeat_at, alive, enrolled) VALUES(?1, ?2, ?3, ?4) ON CONFLICT(host) DO UPDATE SET heartbeat_at = excluded.heartbeat_at,"
         " alive = excluded.alive, enrolled = excluded.enrolled"},
        {&view->get_since, "SELECT since FROM hosts WHERE host = ?1"},
        {&view->set_since,
         "INSERT INTO hosts(host, since) VALUES(?1, ?2) ON CONFLICT(host) DO UPDATE SET since = excluded.since"},
        {&view->drop_host, "UPDATE hosts SET gone = 1, value = NULL WHERE host = ?1 AND at < ?2"},
        {&view->drop_targets, "UPDATE targets SET gone = 1, value = NULL WHERE host = ?1 AND appended < ?2"},
        {&view->drop_snapshots,
         "UPDATE points SET closed = 2 WHERE host = ?1 AND appended < ?2 AND kind = 'snapshot' AND closed = 0"},
        {&view->add_space, "INSERT OR IGNORE INTO spaces VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"},
        {&view->drop_spaces, "DELETE FROM spaces WHERE host = ?1"},
        {&view->drop_spaces_of_gone,
         "DELETE FROM spaces WHERE host = ?1 AND EXISTS (SELECT 1 FROM hosts WHERE host = ?1 AND gone AND at < ?2)"},
        {&view->add_held,
         "INSERT INTO held VALUES(?1, ?2, ?3) ON CONFLICT(repository) DO UPDATE SET points = points + excluded.points, size_bytes = size_bytes + excluded.size_bytes"},
        {&view->set_record, "INSERT OR REPLACE INTO records VALUES(?1, ?2, ?3)"},
        {&view->remove_record, "DELETE FROM records WHERE kind = ?1 AND id = ?2"},
        {&view->add_dead, "INSERT OR IGNORE INTO dlq(partition, offset, at, source, value) VALUES(?1, ?2, ?3, ?4, ?5)"},
    };

    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        if (view_db_prepare(view->db, statements[i].sql, statements[i].statement, err) < 0)
            return -1;
    return view_jobs_open(view->db, &view->jobs, err);
}

void view_finalize(struct view *view)
{
    sqlite3_stmt *statements[] = {
        view->set_position,  view->set_meta,       view->get_point, view->set_point,   view->get_target,
        view->set_target,    view->get_host,       view->set_host,  view->note_host,   view->set_record,
        view->remove_record, view->add_dead,       view->get_since, view->set_since,   view->drop_host,
        view->drop_targets,  view->drop_snapshots, view->add_space, view->drop_spaces, view->drop_spaces_of_gone,
        view->add_held};
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        sqlite3_finalize(statements[i]);
}
