#pragma once
/*
 * When jobs were issued, a number for each few thousand of them, for lists of those issued since a time: jobs come into the view nearly in that order, but not quite. The view thread only.
 */
#include <sqlite3.h>
#include <stdint.h>

struct err;

enum { VIEW_BLOCK = 4096 }; /* ids of jobs; view_jobs.c divides by it too */

struct view_blocks {
    sqlite3 *db;
    sqlite3_stmt *raise;
    int64_t block, newest_ms; /* of the block that is being written; 0: nothing to write */
};

int view_blocks_open(struct view_blocks *blocks, sqlite3 *db, struct err *err);
void view_blocks_close(struct view_blocks *blocks);
int view_blocks_note(struct view_blocks *blocks, int64_t id, int64_t issued_at_ms, struct err *err);
int view_blocks_flush(struct view_blocks *blocks, struct err *err);
void view_blocks_forget(struct view_blocks *blocks); /* what is not written yet */
