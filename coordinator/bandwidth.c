#include "coordinator/bandwidth.h"

#include <stdlib.h>

static int64_t or_endless(int64_t rate)
{
    return rate ? rate : INT64_MAX;
}

static int by_limit(const void *a, const void *b)
{
    int64_t one = or_endless(*(const int64_t *)a), other = or_endless(*(const int64_t *)b);

    return (one > other) - (one < other);
}

/* Water that rises: who has the least limit of his own is full first. */
int64_t bandwidth_level(int64_t limit, int64_t *own, size_t count)
{
    int64_t left = limit;

    qsort(own, count, sizeof *own, by_limit);
    for (size_t i = 0; i < count; i++) {
        int64_t level = left / (int64_t)(count - i);

        if (or_endless(own[i]) > level)
            return level > BANDWIDTH_FLOOR ? level : BANDWIDTH_FLOOR;
        left -= own[i];
    }
    return limit;
}

int64_t bandwidth_rate(int64_t level, int64_t own)
{
    if (level == 0 || level == BANDWIDTH_OPEN)
        return own;
    return or_endless(own) < level ? own : level;
}

bool bandwidth_matters(int64_t told, int64_t rate, int64_t since_told_ms, bool *out_later)
{
    *out_later = false;
    if (or_endless(rate) <= or_endless(told))
        return rate != told;
    if (or_endless(rate) - told <= told / 10)
        return false;
    *out_later = since_told_ms < BANDWIDTH_RAISE_AFTER_MS;
    return !*out_later;
}
