#pragma once
/*
 * The files that a disk of a restore point stands on, compared with their checksums by a thread of its own while a copier reads the same bytes: each finds in memory what the other has
 * read. Nothing may take the copy for good before chain_sums_wait() has said so.
 */
#include <stdbool.h>

struct chain_sums;
struct err;

struct chain_sums_of { /* outlives the call only */
    const char *repository, *source, *chain_folder, *point, *disk;
};

/* Begins; the caller holds a lease on the chain until chain_sums_end(). *out is NULL where none of the files has a checksum yet. */
int chain_sums_begin(const struct chain_sums_of *of, struct chain_sums **out, struct err *err);
/* It has ended, and badly: the copy is in vain. */
bool chain_sums_bad(const struct chain_sums *sums); /* NULL: false */
/* Waits for the last byte; asks `stop` every 500 ms, and before it waits. ERR_PERMANENT: a file is not what it was; ERR_CANCELLED: stopped. */
int chain_sums_wait(struct chain_sums *sums, bool (*stop)(void *context), void *context, struct err *err); /* NULL: 0 */
void chain_sums_end(struct chain_sums *sums); /* stops it where it still reads; takes NULL */
static inline void chain_sums_endp(struct chain_sums **sums)
{
    chain_sums_end(*sums);
}
