#pragma once
/*
 * A time pattern of five fields: minute hour day-of-month month day-of-week. Lists (1,15), ranges (9-17), steps (10-40/10, 3/4, and a star with /5), names (JAN, SUN), L (the last day of the
 * month), 5L (its last Friday), 5#2 (its second Friday); Sunday is 0 and 7. @hourly @daily @midnight @weekly @monthly @yearly @annually. Where both days are restricted, either
 * is enough, as in every cron. Pure; local minutes know no zone (zone.h).
 */
#include <stdbool.h>
#include <stdint.h>

struct err;

struct cron {
    uint64_t minutes;
    uint32_t hours, days, months;
    uint8_t weekdays; /* bit 0: Sunday */
    uint8_t nth[7];   /* by weekday: bit n: its nth in the month; bit 6: its last */
    bool last_day;    /* of the month */
    bool any_day, any_weekday;
    bool every_hour; /* the field of hours is "*": what is meant is so often an hour, not a time of day */
};

/* ERR_PERMANENT names the field; a pattern that can never fire is refused. */
int cron_parse(const char *text, struct cron *out, struct err *err);
bool cron_matches(const struct cron *cron, int64_t local_minute);
/* The first matching minute at or after `from` and before `until` (minutes since 1970, local). False: none. */
bool cron_next(const struct cron *cron, int64_t from, int64_t until, int64_t *out);
