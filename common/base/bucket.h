#pragma once
/*
 * A token bucket: how much of something that strangers cause is let through, and how often it was not. Zeroed but for its two limits it is full. No clock, no lock: both
 * are the caller's.
 */
#include <stdbool.h>
#include <stdint.h>

struct bucket {
    int64_t capacity, per_second; /* in whatever the caller counts */
    int64_t used_milli;           /* thousandths of it that are not refilled yet */
    int64_t at_ms;                /* monotonic, of the last look */
    int64_t suppressed;           /* since the last that was let through */
};

/* True: `cost` fits and is taken; *out_suppressed says how many did not fit since the last that did. One that costs more than all fits into a full bucket. */
bool bucket_take(struct bucket *bucket, int64_t cost, int64_t now_ms, int64_t *out_suppressed);
