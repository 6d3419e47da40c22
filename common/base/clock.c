#include "base/clock.h"

#include <stdatomic.h>
#include <time.h>

/* For tests: 0 means the true clock. */
static _Atomic int64_t fake_real_ms;
static _Atomic int64_t fake_monotonic_ms;

static int64_t read_us(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_real_us(void)
{
    int64_t fake = atomic_load_explicit(&fake_real_ms, memory_order_relaxed);

    return fake ? fake * 1000 : read_us(CLOCK_REALTIME);
}

int64_t clock_monotonic_us(void)
{
    int64_t fake = atomic_load_explicit(&fake_monotonic_ms, memory_order_relaxed);

    return fake ? fake * 1000 : read_us(CLOCK_MONOTONIC);
}

int64_t clock_real_ms(void)
{
    return clock_real_us() / 1000;
}

int64_t clock_monotonic_ms(void)
{
    return clock_monotonic_us() / 1000;
}

void clock_fake(int64_t real_ms, int64_t monotonic_ms)
{
    atomic_store(&fake_real_ms, real_ms);
    atomic_store(&fake_monotonic_ms, monotonic_ms);
}
