#include "base/bucket.h"

bool bucket_take(struct bucket *bucket, int64_t cost, int64_t now_ms, int64_t *out_suppressed)
{
    int64_t refill = (now_ms - bucket->at_ms) * bucket->per_second;

    cost = cost > bucket->capacity ? bucket->capacity : cost;
    bucket->used_milli = refill >= bucket->used_milli ? 0 : bucket->used_milli - refill;
    bucket->at_ms = now_ms;
    if (bucket->used_milli + cost * 1000 > bucket->capacity * 1000) {
        bucket->suppressed++;
        return false;
    }
    bucket->used_milli += cost * 1000;
    *out_suppressed = bucket->suppressed;
    bucket->suppressed = 0;
    return true;
}
