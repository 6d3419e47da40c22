#include "base/alive.h"

#include "base/clock.h"

#include <stddef.h>

enum { EVERY_MS = 1000 };

void alive_say(void (*notify)(const char *state), int64_t *said_ms)
{
    int64_t now_ms = clock_monotonic_ms();

    if (!notify || (*said_ms && now_ms - *said_ms < EVERY_MS))
        return;
    *said_ms = now_ms;
    notify("WATCHDOG=1");
}
