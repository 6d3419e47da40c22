#pragma once
/* Inside of the view's readers: one handle, its statements' conditions, and records as JSON. view_reader.c, view_jobs.c, view_lists.c, view_points.c. */
#include "base/text.h"
#include "coordinator/view.h"
#include "coordinator/view_db.h"

struct record_type;
struct wire;

struct view_reader {
    sqlite3 *db;
    struct wire *wire;
    struct view_kept {
        const char *sql;
        sqlite3_stmt *row;
    } kept[8];
};

/* A statement that each row of a list asks again, prepared once for each text (a literal: compared by its address). The caller resets it; the reader owns it. */
int view_keep(struct view_reader *reader, const char *sql, sqlite3_stmt **out, struct err *err);

enum { VIEW_LIMIT = 100, VIEW_LIMIT_MAX = 1000 };

/* A SELECT that grows by conditions; values are bound in the order in which they were added. */
struct view_select {
    struct text sql;
    const char *texts[16];
    int64_t numbers[16];
    int count;
    int looks; /* rows that one page looks at, 0: as many as it needs */
};
void view_select_text(struct view_select *select, const char *condition,
                      const char *value); /* nothing when value is NULL; condition has one ? */
void view_select_number(struct view_select *select, const char *condition, int64_t value);
int view_select_prepare(struct view_select *select, struct view_reader *reader, sqlite3_stmt **out,
                        struct err *err); /* releases the text */

/* A framed record from a column as a JSON object (NULL column: *out = NULL). */
int view_json(struct view_reader *reader, const struct record_type *type, sqlite3_stmt *statement, int column,
              json_t **out, struct err *err);
int view_bytes_json(struct view_reader *reader, const struct record_type *type, const void *data, size_t len,
                    json_t **out, struct err *err);
int view_decode(struct view_reader *reader, const struct record_type *type, sqlite3_stmt *statement, int column,
                void *record, struct err *err);
json_t *view_time(int64_t ms); /* RFC 3339 or null */
int view_limit(const struct view_filter *filter);
int view_page(struct view_reader *reader, json_t *items, json_t *next, json_t **out,
              struct err *err); /* takes items and next over */
/* The item of a row, or NULL to leave it out. */
typedef int view_make_item(struct view_reader *reader, sqlite3_stmt *row, void *context, json_t **out, struct err *err);
/* Up to `limit` items of the rows, fewer where select->looks ends it before: `next` then says where to go on. Column 0 of each is the cursor. Releases the select's text. */
int view_list_page(struct view_reader *reader, struct view_select *select, int limit, view_make_item *make,
                   void *context, json_t **out, struct err *err);

/* Jobs (view_jobs_select.c): the conditions, the order and the limit of a list, behind "… FROM jobs WHERE 1"; bottom: see the next, 0: none. */
void view_select_jobs(struct view_select *select, const struct view_filter *filter, int64_t bottom);
/* The id at which a page ends, whatever it has found until then; 0: it ends with the last that can be found. */
int view_jobs_bottom(struct view_reader *reader, const struct view_filter *filter, int64_t *out, struct err *err);
void view_select_prefix(struct view_select *select, const char *prefix); /* of a job's id */
