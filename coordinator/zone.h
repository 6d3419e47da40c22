#pragma once
/*
 * One IANA time zone, read from the system's tzdata (TZif, RFC 8536) into memory: nothing global is touched, so any number of zones serve any number of threads.
 * Local times are seconds as if they were UTC: 2026-03-29 02:30 anywhere is the number that 2026-03-29T02:30Z has.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct zone;

enum { ZONE_NAME = 64 };

/* "Europe/Berlin", "UTC". ERR_PERMANENT: no such zone, or a file that is none. UTC needs no file. Caller frees. */
int zone_open(const char *name, struct zone **out, struct err *err);
/* The same from the bytes of a TZif file. */
int zone_read(const char *name, const unsigned char *data, size_t len, struct zone **out, struct err *err);
void zone_free(struct zone *zone);
static inline void zone_freep(struct zone **zone)
{
    zone_free(*zone);
}

/* Seconds east of UTC that clocks show at that instant (seconds since 1970). */
int64_t zone_offset(const struct zone *zone, int64_t utc);
int64_t zone_local(const struct zone *zone, int64_t utc);

/* The first change of offset after `utc`: false if there is none. */
bool zone_next_change(const struct zone *zone, int64_t utc, int64_t *out_at);

/* When clocks show `local`. 0: never (it was skipped), *first is the instant right after the gap. 1: once. 2: twice, *first and *second. */
int zone_instants(const struct zone *zone, int64_t local, int64_t *first, int64_t *second);

/* Days since 1970-01-01 and dates of the Gregorian calendar. Pure. month 1–12, day 1–31. */
int64_t days_from_date(int64_t year, int month, int day);
void date_from_days(int64_t days, int64_t *year, int *month, int *day);
int day_of_week(int64_t days); /* 0: Sunday */
