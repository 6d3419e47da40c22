#include "base/crash.h"

#ifdef FLEETSNAP_CRASH_POINTS
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_int passages;

/* "point[:detail][#n]" against this passage. */
static bool matches(const char *wanted, const char *point, const char *detail)
{
    size_t length = strcspn(wanted, ":#");

    if (length != strlen(point) || strncmp(wanted, point, length) != 0)
        return false;
    if (wanted[length] != ':')
        return true;
    wanted += length + 1;
    length = strcspn(wanted, "#");
    return detail && length == strlen(detail) && strncmp(wanted, detail, length) == 0;
}

void crash_point(const char *point, const char *detail)
{
    const char *wanted = getenv("FLEETSNAP_CRASH");
    const char *number;
    int at = 1;

    if (!wanted || !matches(wanted, point, detail))
        return;
    number = strchr(wanted, '#');
    if (number)
        at = atoi(number + 1);
    if (atomic_fetch_add(&passages, 1) + 1 == at)
        kill(getpid(), SIGKILL);
}
#else
typedef int crash_points_are_compiled_out; /* ISO C wants a declaration */
#endif
