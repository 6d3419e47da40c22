#pragma once
/*
 * How the view fetches. Each fetch names every partition and costs broker and reader as much as many records do, so a busy fleet's records are gathered by the broker; when
 * little happens somebody is waiting for it, and each record comes at once. Pure: the caller opens its consumer accordingly.
 */
#include <stdbool.h>
#include <stdint.h>

struct view_pace { /* {0}: at once */
    bool gathers;
    int64_t window_ms; /* monotonic: when the present window began */
    int64_t records;   /* in it */
    int quiet;         /* windows one after another with few */
};

/* `count` records were read; true: `gathers` has changed. */
bool view_pace_note(struct view_pace *pace, int64_t now_ms, int count);
