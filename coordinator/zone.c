/*
 * TZif files hold the changes that were decided up to now, and a rule (a POSIX TZ string, "CET-1CEST,M3.5.0,M10.5.0/3") for the time after the last of them. Both are turned
 * into one list of changes up to the year 2200 when the zone is opened: some hundred entries, and a look-up is a binary search.
 */
#include "coordinator/zone.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ZONEINFO "/usr/share/zoneinfo"

enum {
    DAY = 24 * 3600,
    LAST_YEAR = 2200,
    FILE_BYTES_MAX = 256 * 1024,
    HEADER = 44,
    CHANGES_MAX = 100000,
    SHIFT_MAX = 26 * 3600, /* no offset and no change of one is larger (RFC 8536: −25 h to 26 h) */
};

struct change {
    int64_t at; /* seconds since 1970 */
    int64_t offset;
};

struct zone {
    int64_t before; /* offset before the first change */
    struct change *changes;
    size_t count, room;
};

/* ---- dates ---- */

int64_t days_from_date(int64_t year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

void date_from_days(int64_t days, int64_t *year, int *month, int *day)
{
    int64_t shifted = days + 719468;
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t of_era = shifted - era * 146097;
    int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted_month = (5 * of_year + 2) / 153;

    *day = (int)(of_year - (153 * shifted_month + 2) / 5 + 1);
    *month = (int)(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
    *year = year_of_era + era * 400 + (*month <= 2);
}

int day_of_week(int64_t days)
{
    int64_t day = (days + 4) % 7; /* 1970-01-01 was a Thursday */

    return (int)(day < 0 ? day + 7 : day);
}

/* ---- the list of changes ---- */

void zone_free(struct zone *zone)
{
    if (!zone)
        return;
    free(zone->changes);
    free(zone);
}

static int64_t last_offset(const struct zone *zone)
{
    return zone->count ? zone->changes[zone->count - 1].offset : zone->before;
}

/* A change after all others; what changes nothing is left out. */
static int add_change(struct zone *zone, int64_t at, int64_t offset, struct err *err)
{
    if (offset == last_offset(zone))
        return 0;
    if (zone->count == zone->room) {
        size_t room = zone->room ? zone->room * 2 : 64;
        struct change *changes = room > CHANGES_MAX ? NULL : realloc(zone->changes, room * sizeof *changes);
        if (!changes)
            return err_memory(err, "time zone");
        zone->changes = changes;
        zone->room = room;
    }
    zone->changes[zone->count++] = (struct change){at, offset};
    return 0;
}

/* ---- the rule behind the last change ---- */

struct rule_day {
    char form; /* 'M': day `day` of week `week` of `month`; 'J': day 1–365 without 29 February; 'N': day 0–365 */
    int month, week, day;
    int64_t time; /* seconds after local midnight; may be negative, or more than a day */
};

struct rule {
    int64_t standard, summer; /* seconds east of UTC */
    bool changes;
    struct rule_day begin, end; /* of summer time */
};

static bool take_name(const char **at)
{
    const char *start = *at;

    if (**at == '<') {
        const char *close = strchr(*at, '>');
        *at = close ? close + 1 : *at;
        return close != NULL;
    }
    while (isalpha((unsigned char)**at))
        ++*at;
    return *at - start >= 3;
}

static bool take_number(const char **at, int most, int *out)
{
    int value = 0, digits = 0;

    for (; isdigit((unsigned char)**at) && digits < 4; ++*at, digits++)
        value = value * 10 + (**at - '0');
    *out = value;
    return digits > 0 && value <= most;
}

/* [+-]hh[:mm[:ss]] */
static bool take_time(const char **at, int64_t *out)
{
    int sign = **at == '-' ? -1 : 1, hours, minutes = 0, seconds = 0;

    if (**at == '-' || **at == '+')
        ++*at;
    if (!take_number(at, 167, &hours))
        return false;
    if (**at == ':' && (++*at, !take_number(at, 59, &minutes)))
        return false;
    if (**at == ':' && (++*at, !take_number(at, 59, &seconds)))
        return false;
    *out = sign * (hours * 3600LL + minutes * 60LL + seconds);
    return true;
}

static bool take_separator(const char **at, char separator)
{
    if (**at != separator)
        return false;
    ++*at;
    return true;
}

static bool take_day(const char **at, struct rule_day *out)
{
    *out = (struct rule_day){.form = 'N', .time = 2 * 3600};
    if (take_separator(at, 'M')) {
        out->form = 'M';
        if (!take_number(at, 12, &out->month) || out->month < 1 || !take_separator(at, '.') ||
            !take_number(at, 5, &out->week) || out->week < 1 || !take_separator(at, '.') ||
            !take_number(at, 6, &out->day))
            return false;
    } else {
        if (take_separator(at, 'J'))
            out->form = 'J';
        if (!take_number(at, 365, &out->day))
            return false;
    }
    return !take_separator(at, '/') || take_time(at, &out->time);
}

static bool parse_rule(const char *text, struct rule *out)
{
    *out = (struct rule){0};
    if (!take_name(&text) || !take_time(&text, &out->standard))
        return false;
    out->standard = -out->standard; /* POSIX counts westwards */
    if (!*text)
        return true;
    out->changes = true;
    out->summer = out->standard + 3600;
    if (!take_name(&text))
        return false;
    if (*text != ',') {
        if (!take_time(&text, &out->summer))
            return false;
        out->summer = -out->summer;
    }
    return take_separator(&text, ',') && take_day(&text, &out->begin) && take_separator(&text, ',') &&
           take_day(&text, &out->end) && !*text;
}

/* Local time of the change in that year, in seconds as if it were UTC. */
static int64_t day_in_year(const struct rule_day *rule, int64_t year)
{
    int64_t first = days_from_date(year, 1, 1), day;

    if (rule->form == 'M') {
        int64_t month = days_from_date(year, rule->month, 1);
        int64_t next = rule->month == 12 ? days_from_date(year + 1, 1, 1) : days_from_date(year, rule->month + 1, 1);
        day = month + (rule->day - day_of_week(month) + 7) % 7 + (rule->week - 1) * 7;
        while (day >= next)
            day -= 7;
    } else {
        bool leap = days_from_date(year, 3, 1) - days_from_date(year, 2, 1) == 29;
        day = first + rule->day - (rule->form == 'J') + (rule->form == 'J' && leap && rule->day >= 60);
    }
    return day * DAY + rule->time;
}

static int follow_rule(struct zone *zone, const struct rule *rule, int64_t after, struct err *err)
{
    int64_t year;
    int month, day;

    if (!rule->changes)
        return add_change(zone, after, rule->standard, err);
    date_from_days((after >= 0 ? after : after - DAY + 1) / DAY, &year, &month, &day);
    for (; year <= LAST_YEAR; year++) {
        struct change pair[2] = {{day_in_year(&rule->begin, year) - rule->standard, rule->summer},
                                 {day_in_year(&rule->end, year) - rule->summer, rule->standard}};
        int first = pair[0].at <= pair[1].at ? 0 : 1;
        for (int i = 0; i < 2; i++) {
            const struct change *change = &pair[i ? 1 - first : first];
            if (change->at > after && add_change(zone, change->at, change->offset, err) < 0)
                return -1;
        }
    }
    return 0;
}

/* ---- the file ---- */

struct tzif {
    char version;
    size_t isutc, isstd, leap, times, types, chars; /* counts */
    size_t time_size;
    const unsigned char *data; /* behind the header */
    size_t size;               /* of what is behind it */
};

static int64_t big_endian(const unsigned char *data, size_t size)
{
    uint64_t value = size == 4 && data[0] & 0x80 ? ~(uint64_t)0 : 0;

    for (size_t i = 0; i < size; i++)
        value = value << 8 | data[i];
    return (int64_t)value;
}

static bool read_header(const unsigned char *data, size_t len, size_t time_size, struct tzif *out)
{
    if (len < HEADER || memcmp(data, "TZif", 4) != 0)
        return false;
    size_t counts[6];
    for (size_t i = 0; i < 6; i++) {
        int64_t count = big_endian(data + 20 + 4 * i, 4);
        if (count < 0 || count > CHANGES_MAX)
            return false;
        counts[i] = (size_t)count;
    }
    *out = (struct tzif){.version = (char)data[4],
                         .isutc = counts[0],
                         .isstd = counts[1],
                         .leap = counts[2],
                         .times = counts[3],
                         .types = counts[4],
                         .chars = counts[5],
                         .time_size = time_size,
                         .data = data + HEADER};
    out->size = out->times * (time_size + 1) + out->types * 6 + out->chars + out->leap * (time_size + 4) + out->isstd +
                out->isutc;
    return out->types > 0 && out->size <= len - HEADER;
}

static int read_changes(struct zone *zone, const struct tzif *tzif, int64_t *out_last, struct err *err)
{
    const unsigned char *indexes = tzif->data + tzif->times * tzif->time_size, *types = indexes + tzif->times;

    zone->before = big_endian(types, 4);
    for (size_t i = 0; i < tzif->times; i++) {
        int64_t at = big_endian(tzif->data + i * tzif->time_size, tzif->time_size);
        if (indexes[i] >= tzif->types || (i && at <= *out_last))
            return err_set(err, ERR_PERMANENT, "changes out of order");
        if (add_change(zone, at, big_endian(types + 6 * indexes[i], 4), err) < 0)
            return -1;
        *out_last = at;
    }
    return 0;
}

/* The text between two line ends behind the second block. */
static bool read_footer(const unsigned char *data, size_t len, char *out, size_t size)
{
    const unsigned char *end = len && data[0] == '\n' ? memchr(data + 1, '\n', len - 1) : NULL;
    size_t text = end ? (size_t)(end - data) - 1 : 0;

    if (!end || text >= size)
        return false;
    memcpy(out, data + 1, text);
    out[text] = '\0';
    return true;
}

static int read_file(struct zone *zone, const unsigned char *data, size_t len, struct err *err)
{
    struct tzif tzif;
    struct rule rule;
    char footer[256];
    int64_t last = INT64_MIN / 4;

    if (!read_header(data, len, 4, &tzif))
        return err_set(err, ERR_PERMANENT, "not a TZif file");
    if (tzif.version < '2')
        return read_changes(zone, &tzif, &last, err);
    size_t second = HEADER + tzif.size;
    if (!read_header(data + second, len - second, 8, &tzif))
        return err_set(err, ERR_PERMANENT, "not a TZif file");
    if (read_changes(zone, &tzif, &last, err) < 0)
        return -1;
    size_t end = second + HEADER + tzif.size;
    if (!read_footer(data + end, len - end, footer, sizeof footer))
        return err_set(err, ERR_PERMANENT, "not a TZif file: no rule at its end");
    if (!*footer)
        return 0;
    if (!parse_rule(footer, &rule))
        return err_set(err, ERR_PERMANENT, "rule \"%s\" is not understood", footer);
    if (!rule.changes && !zone->count) {
        zone->before = rule.standard;
        return 0;
    }
    return follow_rule(zone, &rule, last, err);
}

int zone_read(const char *name, const unsigned char *data, size_t len, struct zone **out, struct err *err)
{
    CLEANUP(zone_freep) struct zone *zone = calloc(1, sizeof *zone);

    if (!zone)
        return err_memory(err, name);
    if (read_file(zone, data, len, err) < 0)
        return err_wrap(err, "time zone %s", name);
    *out = TAKE_PTR(zone);
    return 0;
}

/* Words of letters, digits, '_', '+' and '-' with '/' between: no way out of the folder. */
static bool name_valid(const char *name)
{
    size_t len = strlen(name);

    if (len == 0 || len >= ZONE_NAME || !isalpha((unsigned char)*name))
        return false;
    for (const char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("_+-", *c) && !(*c == '/' && isalnum((unsigned char)c[1])))
            return false;
    return true;
}

int zone_open(const char *name, struct zone **out, struct err *err)
{
    CLEANUP(freep) char *data = NULL;
    char path[sizeof ZONEINFO + ZONE_NAME + 1];
    size_t len;

    if (strcmp(name, "UTC") == 0) {
        *out = calloc(1, sizeof **out);
        return *out ? 0 : err_memory(err, name);
    }
    snprintf(path, sizeof path, "%s/%s", ZONEINFO, name_valid(name) ? name : "");
    if (!name_valid(name) || file_read(path, FILE_BYTES_MAX, &data, &len, NULL) < 0) {
        err_set(err, ERR_PERMANENT, "time zone \"%.*s\" is not known to this system", ZONE_NAME, name);
        return err_hint(err, "names are like Europe/Berlin; they come with the package tzdata (%s)", ZONEINFO);
    }
    return zone_read(name, (unsigned char *)data, len, out, err);
}

/* ---- questions ---- */

/* How many changes are at or before `utc`. */
static size_t changes_until(const struct zone *zone, int64_t utc)
{
    size_t low = 0, high = zone->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (zone->changes[middle].at <= utc)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int64_t zone_offset(const struct zone *zone, int64_t utc)
{
    size_t count = changes_until(zone, utc);

    return count ? zone->changes[count - 1].offset : zone->before;
}

int64_t zone_local(const struct zone *zone, int64_t utc)
{
    return utc + zone_offset(zone, utc);
}

bool zone_next_change(const struct zone *zone, int64_t utc, int64_t *out_at)
{
    size_t index = changes_until(zone, utc);

    if (index == zone->count)
        return false;
    *out_at = zone->changes[index].at;
    return true;
}

int zone_instants(const struct zone *zone, int64_t local, int64_t *first, int64_t *second)
{
    size_t index = changes_until(zone, local - SHIFT_MAX);
    int64_t offset = index ? zone->changes[index - 1].offset : zone->before;
    int64_t gap = local - offset;
    bool skipped = false;
    int found = 0;

    for (;; offset = zone->changes[index++].offset) {
        bool last = index == zone->count || zone->changes[index].at > local + SHIFT_MAX;
        int64_t begin = index ? zone->changes[index - 1].at : INT64_MIN, utc = local - offset;
        bool exists = utc >= begin && (index == zone->count || utc < zone->changes[index].at);
        if (exists && found < 2)
            *(found++ ? second : first) = utc;
        if (utc < begin && !skipped) { /* clocks went over it at `begin` */
            gap = begin;
            skipped = true;
        }
        if (last)
            break;
    }
    if (!found)
        *first = gap;
    return found;
}
