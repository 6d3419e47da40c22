/* Which jobs a list shows, and by which index they are found. */
#include "base/err.h"
#include "base/parse.h"
#include "coordinator/view_blocks.h"
#include "coordinator/view_read.h"
#include "model/job.h"
#include "model/job_state.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static int state_or_op(const char *const *names, const char *name)
{
    int index = name_index(names, name);

    return index < 0 ? -1 : index; /* an unknown name matches nothing */
}

/* Inline: these are hexadecimal digits. */
void view_select_prefix(struct view_select *select, const char *prefix)
{
    unsigned char first[UUID_BYTES], last[UUID_BYTES];
    char low[2 * UUID_BYTES + 1], high[2 * UUID_BYTES + 1];

    if (!uuid_range(prefix, first, last)) {
        text_add(&select->sql, " AND 0");
        return;
    }
    for (size_t i = 0; i < UUID_BYTES; i++) {
        snprintf(low + 2 * i, 3, "%02x", first[i]);
        snprintf(high + 2 * i, 3, "%02x", last[i]);
    }
    text_addf(&select->sql, " AND job_id BETWEEN x'%s' AND x'%s'", low, high);
}

/*
 * Which index a list is read by: of what is asked the first of these, for it leaves the fewest. SQLite has no statistics and would guess. Without one the newest jobs are looked at until the page
 * is full.
 */
enum lead { LEAD_NONE, LEAD_ID, LEAD_TARGET, LEAD_OPEN, LEAD_FAILED, LEAD_OP };

static enum lead lead_of(const struct view_filter *filter, bool open, int state)
{
    if (filter->id_prefix)
        return LEAD_ID;
    if (filter->target)
        return LEAD_TARGET;
    if (open)
        return LEAD_OPEN;
    if (state > STATE_SUCCEEDED)
        return LEAD_FAILED;
    return filter->op ? LEAD_OP : LEAD_NONE;
}

/* Open jobs are few, whatever the file holds: their index is gone through, and what it found is in the order of the list. */
#define OPEN_JOBS "id IN (SELECT id FROM jobs INDEXED BY jobs_open WHERE ended_at = 0"

/* No job that was issued since is in an earlier block (view_blocks.c). */
static const char SINCE[] = "id >= (SELECT min(block) FROM job_blocks WHERE issued_at >= ?) * 4096";
_Static_assert(VIEW_BLOCK == 4096, "view: the number in SINCE");

static void select_since(struct view_select *select, int64_t since_ms)
{
    view_select_number(select, "issued_at >= ?", since_ms);
    view_select_number(select, SINCE, since_ms);
}

static void select_open(struct view_select *select, enum lead lead, const char *host)
{
    if (lead != LEAD_OPEN)
        text_add(&select->sql, " AND +ended_at = 0");
    else if (host)
        view_select_text(select, OPEN_JOBS " AND host = ?)", host);
    else
        text_add(&select->sql, " AND " OPEN_JOBS ")");
}

/* The words of the indices (view_db.c). */
_Static_assert(STATE_SUCCEEDED == 5, "view: the condition of jobs_failed");

/* A plus hides a column from the choice of an index. */
void view_select_jobs(struct view_select *select, const struct view_filter *filter, int64_t bottom)
{
    bool lost = filter->state && strcmp(filter->state, "LOST") == 0; /* an opinion about an open job, no state of it */
    int state = filter->state && !lost ? state_or_op(job_state_names, filter->state) : 0;
    int op = filter->op ? state_or_op(op_names, filter->op) : 0;
    bool open = filter->open_only || lost || (filter->state && state >= 0 && state < STATE_SUCCEEDED);
    enum lead lead = lead_of(filter, open, state);
    int64_t after = 0;

    view_select_text(select, "target = ?", filter->target);
    view_select_text(select, "+host = ?", filter->host);
    view_select_text(select, "repository = ?", filter->repository);
    view_select_text(select, "substr(target, 1, instr(target, ':') - 1) = ?", filter->kind);
    if (filter->state && !lost)
        view_select_number(select, lead == LEAD_FAILED ? "state > 5 AND state = ?" : "+state = ?", state);
    if (filter->op)
        view_select_number(select, lead == LEAD_OP ? "op = ?" : "+op = ?", op);
    if (filter->id_prefix)
        view_select_prefix(select, filter->id_prefix);
    if (filter->since_ms)
        select_since(select, filter->since_ms);
    if (open)
        select_open(select, lead, filter->host);
    if (lost)
        text_add(&select->sql, " AND lost");
    if (filter->after && parse_int(filter->after, 1, INT64_MAX, &after, NULL) == 0)
        view_select_number(select, "id < ?", after);
    if (bottom)
        view_select_number(select, "id >= ?", bottom);
    text_addf(&select->sql, " ORDER BY id DESC LIMIT %d", view_limit(filter) + 1);
}

/* Ids that one page goes through where no index leads to what is asked: about ten milliseconds. */
enum { WINDOW = 50000 };

static bool is_led(const struct view_filter *filter)
{
    bool some = filter->host || filter->repository || filter->kind || filter->state;

    return !some || filter->open_only || filter->target || filter->id_prefix ||
           (filter->state && strcasecmp(filter->state, job_state_names[STATE_SUCCEEDED]) != 0);
}

int view_jobs_bottom(struct view_reader *reader, const struct view_filter *filter, int64_t *out, struct err *err)
{
    static const char span[] =
        "SELECT iif(?1, ifnull((SELECT min(block) FROM job_blocks WHERE issued_at >= ?1) * 4096, 9223372036854775807),"
        " (SELECT min(id) FROM jobs)), (SELECT max(id) FROM jobs)";
    sqlite3_stmt *row = NULL;
    int64_t after = 0;

    *out = 0;
    if (!filter->looks || is_led(filter))
        return 0;
    if (view_keep(reader, span, &row, err) < 0)
        return -1;
    sqlite3_bind_int64(row, 1, filter->since_ms);
    if (sqlite3_step(row) == SQLITE_ROW) {
        int64_t top = sqlite3_column_int64(row, 1) + 1;
        if (filter->after && parse_int(filter->after, 1, INT64_MAX, &after, NULL) == 0 && after < top)
            top = after;
        if (top - WINDOW > sqlite3_column_int64(row, 0))
            *out = top - WINDOW;
    }
    sqlite3_reset(row);
    return 0;
}
