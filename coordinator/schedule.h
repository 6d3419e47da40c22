#pragma once
/*
 * When a schedule fires. Pure: data in, instants out; no clock, no global time zone.
 *
 * A slot is an instant. A local time that a change of clocks skips fires once, right after the gap; one that comes twice fires once, the first time. A pattern whose field of
 * hours is "*" counts hours as they pass instead (docs/adr/hourly-schedules.md): it fires in both, and nothing is made up for a gap.
 */
#include "coordinator/cron.h"

#include <stddef.h>

struct zone;

enum schedule_missed { MISSED_LAST, MISSED_ALL, MISSED_NONE }; /* what is done about slots that nobody was there for */

enum { SCHEDULE_LATE_MS = 5 * 60 * 1000, SCHEDULE_DUE_MAX = 100 }; /* a slot that old was missed */

/* The first slot after `after_ms` and not after `until_ms`. False: none. */
bool schedule_next(const struct cron *cron, const struct zone *zone, int64_t after_ms, int64_t until_ms,
                   int64_t *out_ms);

/* The slots after `last_ms` up to `now_ms` that are to be run now, oldest first; `limit`: of MISSED_ALL, the newest so many. Returns how many, at most SCHEDULE_DUE_MAX. *out_seen_ms: the newest
 * slot that was looked at (last_ms if none): what it leaves out is settled too. */
size_t schedule_due(const struct cron *cron, const struct zone *zone, int64_t last_ms, int64_t now_ms,
                    enum schedule_missed missed, int64_t limit, int64_t out_ms[SCHEDULE_DUE_MAX], int64_t *out_seen_ms);

/* How long after its slot a target's turn comes, within [0, window_ms): the same for every slot, and even over many targets. */
int64_t schedule_spread(const char *policy, const char *target, int64_t window_ms);
