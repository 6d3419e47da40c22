#include "coordinator/view_blocks.h"

#include "coordinator/view_db.h"

int view_blocks_open(struct view_blocks *blocks, sqlite3 *db, struct err *err)
{
    *blocks = (struct view_blocks){.db = db};
    return view_db_prepare(db,
                           "INSERT INTO job_blocks VALUES(?1, ?2) ON CONFLICT(block) DO UPDATE SET issued_at ="
                           " max(issued_at, excluded.issued_at)",
                           &blocks->raise, err);
}

void view_blocks_close(struct view_blocks *blocks)
{
    sqlite3_finalize(blocks->raise);
    blocks->raise = NULL;
}

void view_blocks_forget(struct view_blocks *blocks)
{
    blocks->newest_ms = 0;
}

int view_blocks_flush(struct view_blocks *blocks, struct err *err)
{
    if (!blocks->newest_ms)
        return 0;
    sqlite3_bind_int64(blocks->raise, 1, blocks->block);
    sqlite3_bind_int64(blocks->raise, 2, blocks->newest_ms);
    blocks->newest_ms = 0;
    return view_step_done(blocks->db, blocks->raise, err);
}

int view_blocks_note(struct view_blocks *blocks, int64_t id, int64_t issued_at_ms, struct err *err)
{
    int64_t block = id / VIEW_BLOCK;

    if (block != blocks->block && view_blocks_flush(blocks, err) < 0)
        return -1;
    blocks->block = block;
    if (issued_at_ms > blocks->newest_ms)
        blocks->newest_ms = issued_at_ms;
    return 0;
}
