/* Between two changes of the offset local time runs as UTC does, so the pattern is searched piece by piece: a piece, the gap behind it, the next piece. */
#include "coordinator/schedule.h"

#include "coordinator/zone.h"

#include <stdint.h>
#include <string.h>

enum { MINUTE = 60 };

static int64_t minutes_up(int64_t seconds)
{
    return seconds >= 0 ? (seconds + MINUTE - 1) / MINUTE : -(-seconds / MINUTE);
}

/* Not the second time that clocks show it, unless hours are counted as they pass. */
static bool counts(const struct cron *cron, const struct zone *zone, int64_t local, int64_t utc)
{
    int64_t first, second;

    return cron->every_hour || zone_instants(zone, local, &first, &second) < 2 || utc == first;
}

/* The first slot in [from, until), where the offset does not change. */
static bool next_in_piece(const struct cron *cron, const struct zone *zone, int64_t from, int64_t until, int64_t *out)
{
    int64_t offset = zone_offset(zone, from < until ? from : until), minute = minutes_up(from + offset),
            end = minutes_up(until + offset);

    for (; cron_next(cron, minute, end, &minute); minute++) {
        *out = minute * MINUTE - offset;
        if (counts(cron, zone, minute * MINUTE, *out))
            return true;
    }
    return false;
}

/* Does the pattern name a local time that the change at `at` skips? */
static bool skipped_at(const struct cron *cron, const struct zone *zone, int64_t at)
{
    int64_t minute = minutes_up(at + zone_offset(zone, at - 1)), end = minutes_up(at + zone_offset(zone, at));
    int64_t first, second;

    if (cron->every_hour)
        return false;
    for (; cron_next(cron, minute, end, &minute); minute++)
        if (zone_instants(zone, minute * MINUTE, &first, &second) == 0 && first == at)
            return true;
    return false;
}

static int64_t floor_seconds(int64_t ms)
{
    return ms >= 0 ? ms / 1000 : -((-ms + 999) / 1000);
}

bool schedule_next(const struct cron *cron, const struct zone *zone, int64_t after_ms, int64_t until_ms, int64_t *out_ms)
{
    int64_t after = floor_seconds(after_ms), from = after, until = floor_seconds(until_ms) + 1, change, found;

    while (from < until) {
        bool changes = zone_next_change(zone, from, &change) && change < until;
        if (next_in_piece(cron, zone, from > after ? from : after + 1, changes ? change : until, &found) ||
            (changes && skipped_at(cron, zone, (found = change)))) {
            *out_ms = found * 1000;
            return true;
        }
        from = changes ? change : until;
    }
    return false;
}

size_t schedule_due(const struct cron *cron, const struct zone *zone, int64_t last_ms, int64_t now_ms,
                    enum schedule_missed missed, int64_t limit, int64_t out_ms[SCHEDULE_DUE_MAX], int64_t *out_seen_ms)
{
    int64_t slot = last_ms;
    size_t most = missed == MISSED_ALL ? (size_t)limit : 1, count = 0;

    if (missed == MISSED_NONE && last_ms < now_ms - SCHEDULE_LATE_MS)
        slot = now_ms - SCHEDULE_LATE_MS;
    most = most < SCHEDULE_DUE_MAX ? most : SCHEDULE_DUE_MAX;
    *out_seen_ms = slot;
    while (schedule_next(cron, zone, slot, now_ms, &slot)) {
        *out_seen_ms = slot;
        if (count == most && count) {
            memmove(out_ms, out_ms + 1, (count - 1) * sizeof *out_ms);
            count--;
        }
        if (count < most)
            out_ms[count++] = slot;
    }
    return count;
}

/* FNV-1a, then the finish of MurmurHash3: neighbours in name are strangers in place. */
static uint64_t hash(const char *text, uint64_t seed)
{
    for (; *text; text++)
        seed = (seed ^ (unsigned char)*text) * 0x100000001b3ULL;
    return seed;
}

int64_t schedule_spread(const char *policy, const char *target, int64_t window_ms)
{
    uint64_t value = hash(target, hash("\x1f", hash(policy, 0xcbf29ce484222325ULL)));

    value = (value ^ value >> 33) * 0xff51afd7ed558ccdULL;
    value = (value ^ value >> 33) * 0xc4ceb9fe1a85ec53ULL;
    value ^= value >> 33;
    return window_ms > 0 ? (int64_t)(((unsigned __int128)value * (uint64_t)window_ms) >> 64) : 0;
}
