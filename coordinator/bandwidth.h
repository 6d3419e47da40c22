#pragma once
/*
 * How the bandwidth of one repository is shared among the backups that run into it. Pure: no clock, no I/O.
 *
 * Max-min fair: all get the same, but nobody more than his own limit; what those leave over goes to the others, in equal parts again. So one number says it all, the level: each gets
 * the level or his own limit, whichever is less. It does not depend on any order, and moves as little as can be when one comes or goes.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BANDWIDTH_FLOOR = 256 << 10, /* bytes/s: QEMU copies 64 KiB at a time; with less a backup is hardly seen to go on */
    BANDWIDTH_LEAST = 1 << 20,   /* bytes/s: the lowest limit of a repository */
    BANDWIDTH_RAISE_AFTER_MS = 3000 /* a backup is not told a higher rate more often */
};
/* Instead of a level: there is no limit any more. */
#define BANDWIDTH_OPEN INT64_MAX

/*
 * Bytes/s. `own`: the limit of each backup, 0: none; sorted by this. Never above `limit`, and never below BANDWIDTH_FLOOR, although with very many backups the sum is above the limit then.
 */
int64_t bandwidth_level(int64_t limit, int64_t *own, size_t count);
/* What a backup with that limit of its own (0: none) may do; level 0: nothing is shared. 0: as fast as it can. */
int64_t bandwidth_rate(int64_t level, int64_t own);
/* Worth a word? Less at once, for else the sum is above the limit; more only if it is a tenth, and not often. Rates of 0: no limit. *out_later: not yet, but in a while. */
bool bandwidth_matters(int64_t told, int64_t rate, int64_t since_told_ms, bool *out_later);
