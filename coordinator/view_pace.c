#include "coordinator/view_pace.h"

/* Far apart, and slow to come back: to change costs a new connection. */
enum { WINDOW_MS = 1000, MANY = 1000, FEW = 200, QUIET_WINDOWS = 5 };

bool view_pace_note(struct view_pace *pace, int64_t now_ms, int count)
{
    bool gathered = pace->gathers;

    pace->records += count;
    if (now_ms - pace->window_ms < WINDOW_MS)
        return false;
    int64_t rate = pace->window_ms ? pace->records * 1000 / (now_ms - pace->window_ms) : 0;
    pace->quiet = rate < FEW ? pace->quiet + 1 : 0;
    if (rate >= MANY)
        pace->gathers = true;
    else if (pace->quiet >= QUIET_WINDOWS)
        pace->gathers = false;
    pace->window_ms = now_ms;
    pace->records = 0;
    return pace->gathers != gathered;
}
