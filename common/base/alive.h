#pragma once
/* Tells a supervisor that a main loop still turns. The loop's own thread. */
#include <stdint.h>

/* Says WATCHDOG=1 if a second has passed since *said_ms (monotonic; 0 at first). `notify` is sd_notify or a test's; NULL: nobody listens. */
void alive_say(void (*notify)(const char *state), int64_t *said_ms);
