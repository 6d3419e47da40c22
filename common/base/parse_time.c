/* Instants as text. Read by hand: strptime() skips blanks, accepts short fields and knows no fractions, so it cannot reject what is not RFC 3339. */
#include "base/err.h"
#include "base/parse.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct cursor {
    const char *at;
    bool failed;
};

static int take_digits(struct cursor *cursor, int count, int min, int max)
{
    int value = 0;

    for (int i = 0; i < count && !cursor->failed; i++) {
        if (!isdigit((unsigned char)*cursor->at)) {
            cursor->failed = true;
            return 0;
        }
        value = value * 10 + (*cursor->at++ - '0');
    }
    if (value < min || value > max)
        cursor->failed = true;
    return value;
}

static void take_char(struct cursor *cursor, char wanted)
{
    if (cursor->failed || *cursor->at != wanted)
        cursor->failed = true;
    else
        cursor->at++;
}

static void take_date(struct cursor *cursor, struct tm *tm)
{
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    int year = take_digits(cursor, 4, 1970, 9999);
    take_char(cursor, '-');
    int month = take_digits(cursor, 2, 1, 12);
    take_char(cursor, '-');
    int day = take_digits(cursor, 2, 1, 31);
    if (cursor->failed)
        return;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (day > days[month - 1] || (month == 2 && day == 29 && !leap))
        cursor->failed = true;
    tm->tm_year = year - 1900;
    tm->tm_mon = month - 1;
    tm->tm_mday = day;
}

/* "HH:MM[:SS[.fraction]]"; returns the milliseconds of the fraction. */
static int take_clock(struct cursor *cursor, struct tm *tm)
{
    int ms = 0;

    tm->tm_hour = take_digits(cursor, 2, 0, 23);
    take_char(cursor, ':');
    tm->tm_min = take_digits(cursor, 2, 0, 59);
    if (cursor->failed || *cursor->at != ':')
        return 0;
    cursor->at++;
    tm->tm_sec = take_digits(cursor, 2, 0, 59);
    if (cursor->failed || *cursor->at != '.')
        return 0;
    cursor->at++;
    if (!isdigit((unsigned char)*cursor->at))
        cursor->failed = true;
    for (int scale = 100; isdigit((unsigned char)*cursor->at); cursor->at++, scale /= 10)
        ms += (*cursor->at - '0') * scale;
    return ms;
}

/* Seconds east of UTC; `local` is set when the text names no zone. */
static int take_zone(struct cursor *cursor, bool *local)
{
    int sign = *cursor->at == '-' ? -1 : 1;

    *local = false;
    if (*cursor->at == 'Z' || *cursor->at == 'z') {
        cursor->at++;
        return 0;
    }
    if (*cursor->at != '+' && *cursor->at != '-') {
        *local = true;
        return 0;
    }
    cursor->at++;
    int hours = take_digits(cursor, 2, 0, 23);
    take_char(cursor, ':');
    int minutes = take_digits(cursor, 2, 0, 59);
    return sign * (hours * 3600 + minutes * 60);
}

int parse_time(const char *text, int64_t *out_ms, struct err *err)
{
    struct cursor cursor = {.at = text};
    struct tm tm = {.tm_isdst = -1};
    bool local = true;
    int east = 0;
    int ms = 0;

    take_date(&cursor, &tm);
    if (!cursor.failed && (*cursor.at == 'T' || *cursor.at == 't' || *cursor.at == ' ')) {
        cursor.at++;
        ms = take_clock(&cursor, &tm);
        if (!cursor.failed)
            east = take_zone(&cursor, &local);
    }
    if (cursor.failed || *cursor.at)
        return err_set(err, ERR_PERMANENT, "\"%.60s\" is not a time like 2026-11-20T14:02:03Z or 2026-11-20 14:02",
                       text);
    time_t seconds = local ? mktime(&tm) : timegm(&tm) - east;
    *out_ms = (int64_t)seconds * 1000 + ms;
    return 0;
}

static struct tm split(int64_t ms, bool utc)
{
    time_t seconds = (time_t)(ms / 1000 - (ms % 1000 < 0));
    struct tm tm;

    memset(&tm, 0, sizeof tm);
    if (utc)
        gmtime_r(&seconds, &tm);
    else
        localtime_r(&seconds, &tm);
    return tm;
}

char *format_time(int64_t ms, bool utc, char *out, size_t size)
{
    struct tm tm = split(ms, utc);

    if (strftime(out, size, utc ? "%Y-%m-%d %H:%MZ" : "%Y-%m-%d %H:%M", &tm) == 0 && size)
        out[0] = '\0';
    return out;
}

char *format_rfc3339(int64_t ms, char *out, size_t size)
{
    struct tm tm = split(ms, true);

    snprintf(out, size, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
             tm.tm_min, tm.tm_sec, (int)((ms % 1000 + 1000) % 1000));
    return out;
}

char *format_size(int64_t bytes, char *out, size_t size)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    size_t unit = 0;

    /* 1023.6 would be printed as 1024 */
    while ((value >= 1023.5 || value <= -1023.5) && unit < sizeof units / sizeof *units - 1) {
        value /= 1024;
        unit++;
    }
    bool fraction = unit > 0 && value < 9.95 && value > -9.95 && (int)(value * 10 + (value < 0 ? -0.5 : 0.5)) % 10 != 0;
    snprintf(out, size, fraction ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return out;
}

char *format_duration(int64_t ms, char *out, size_t size)
{
    long long seconds = ms / 1000;
    long long minutes = seconds / 60;
    long long hours = minutes / 60;

    if (ms < 1000)
        snprintf(out, size, "%lld ms", (long long)ms);
    else if (ms < 10000 && ms % 1000 >= 50)
        snprintf(out, size, "%lld.%lld s", seconds, (long long)(ms % 1000 / 100));
    else if (seconds < 60)
        snprintf(out, size, "%lld s", seconds);
    else if (minutes < 60)
        snprintf(out, size, seconds % 60 ? "%lld min %lld s" : "%lld min", minutes, seconds % 60);
    else if (hours < 24)
        snprintf(out, size, minutes % 60 ? "%lld h %lld min" : "%lld h", hours, minutes % 60);
    else
        snprintf(out, size, hours % 24 ? "%lld d %lld h" : "%lld d", hours / 24, hours % 24);
    return out;
}
