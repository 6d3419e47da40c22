/* What is known of hosts besides their records: when they were heard, for the keeper; and their heartbeats, from the keeper, which go into the view's table of hosts. */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/queue.h"
#include "coordinator/view_db.h"
#include "coordinator/view_internal.h"

#include <stdio.h>
#include <string.h>

struct host_note {
    struct queue_item item;
    char host[64];
    int64_t heartbeat_at_ms;
    bool alive, enrolled;
};

void view_heard(struct view *view, const char *name, int64_t at_ms)
{
    struct heard_host *host;

    LOCK_SCOPE(&view->mutex);
    HASH_FIND_STR(view->heard, name, host);
    if (!host) {
        host = calloc(1, sizeof *host);
        if (!host)
            return;
        snprintf(host->name, sizeof host->name, "%s", name);
        HASH_ADD_STR(view->heard, name, host);
    }
    if (at_ms > host->at_ms)
        host->at_ms = at_ms;
}

int64_t view_host_heard_ms(struct view *view, const char *name)
{
    struct heard_host *host;

    LOCK_SCOPE(&view->mutex);
    HASH_FIND_STR(view->heard, name, host);
    return host ? host->at_ms : 0;
}

int64_t view_host_since(struct view *view, const char *host)
{
    int64_t since_ms = 0;

    view_bind_text(view->get_since, 1, host);
    if (sqlite3_step(view->get_since) == SQLITE_ROW)
        since_ms = sqlite3_column_int64(view->get_since, 0);
    sqlite3_reset(view->get_since);
    return since_ms;
}

/* Its machines and snapshots are gone with it; backups are in their repositories. What is read later of before is gone at once (view_records.c): the topics come in any order. */
int view_drop_host(struct view *view, const char *host, int64_t since_ms, struct err *err)
{
    sqlite3_stmt *const statements[] = {view->set_since, view->drop_host, view->drop_targets, view->drop_snapshots,
                                        view->drop_spaces_of_gone};

    if (since_ms <= view_host_since(view, host))
        return 0;
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        view_bind_text(statements[i], 1, host);
        sqlite3_bind_int64(statements[i], 2, since_ms);
        if (view_step_done(view->db, statements[i], err) < 0)
            return -1;
    }
    return 0;
}

int view_keep_notes(struct view *view, struct err *err)
{
    int result = 0;

    for (struct queue_item *item = queue_take_all(view->notes), *next; item; item = next) {
        struct host_note *note = (struct host_note *)item;
        next = item->next;
        if (result == 0 && (result = view_begin(view, err)) == 0) {
            view_bind_text(view->note_host, 1, note->host);
            sqlite3_bind_int64(view->note_host, 2, note->heartbeat_at_ms);
            sqlite3_bind_int(view->note_host, 3, note->alive);
            sqlite3_bind_int(view->note_host, 4, note->enrolled);
            result = view_step_done(view->db, view->note_host, err);
        }
        free(note);
    }
    return result;
}

void view_note_host(struct view *view, const char *host, int64_t heartbeat_at_ms, bool alive, bool enrolled)
{
    struct host_note *note = calloc(1, sizeof *note);

    if (!note)
        return;
    *note = (struct host_note){.heartbeat_at_ms = heartbeat_at_ms, .alive = alive, .enrolled = enrolled};
    snprintf(note->host, sizeof note->host, "%s", host);
    queue_push(view->notes, &note->item);
}
