#include "coordinator/cron.h"

#include "base/err.h"
#include "coordinator/zone.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
    TEXT_MAX = 256,
    FIELDS = 5,
    LAST_NTH = 6,
    DAY_MINUTES = 24 * 60,
    SEARCH_YEARS = 41 /* 29 February on a Sunday */
};

struct field {
    const char *name;
    int low, high;
    const char *const *names; /* of low, low + 1, … */
};

static const char *const month_names[] = {"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL",
                                          "AUG", "SEP", "OCT", "NOV", "DEC", NULL};
static const char *const day_names[] = {"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", NULL};
static const struct field fields[FIELDS] = {
    {"minute", 0, 59, NULL},          {"hour", 0, 23, NULL},
    {"day of month", 1, 31, NULL},    {"month", 1, 12, month_names},
    {"day of week", 0, 7, day_names},
};
static const struct {
    const char *name, *pattern;
} aliases[] = {
    {"@hourly", "0 * * * *"},  {"@daily", "0 0 * * *"},  {"@midnight", "0 0 * * *"}, {"@weekly", "0 0 * * 0"},
    {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"},
};

struct parser {
    const struct field *field;
    const char *text, *at;
    struct cron *cron;
    uint64_t bits;
    struct err *err;
};

static int wrong(const struct parser *parser, const char *what)
{
    return err_set(parser->err, ERR_PERMANENT, "\"%s\": %s: %s (at \"%.16s\")", parser->text, parser->field->name, what,
                   parser->at);
}

static bool take(struct parser *parser, char c)
{
    if (*parser->at != c)
        return false;
    parser->at++;
    return true;
}

static bool is_days(const struct parser *parser)
{
    return parser->field == &fields[2];
}

static bool is_weekdays(const struct parser *parser)
{
    return parser->field == &fields[4];
}

/* Three letters; of the fourth only the L of "FRIL" is one more. */
static int take_named(struct parser *parser, int *out)
{
    for (int i = 0; parser->field->names && parser->field->names[i]; i++) {
        if (strncasecmp(parser->at, parser->field->names[i], 3) != 0)
            continue;
        char behind = (char)toupper((unsigned char)parser->at[3]);
        if (isalpha((unsigned char)behind) && !(behind == 'L' && is_weekdays(parser)))
            break;
        parser->at += 3;
        *out = parser->field->low + i;
        return 0;
    }
    return wrong(parser, "not a value");
}

static int take_value(struct parser *parser, int *out)
{
    int value = 0, digits = 0;

    if (!isdigit((unsigned char)*parser->at))
        return take_named(parser, out);
    for (const char *c = parser->at; isdigit((unsigned char)*c) && digits < 4; c++, digits++)
        value = value * 10 + (*c - '0');
    if (value < parser->field->low || value > parser->field->high)
        return err_set(parser->err, ERR_PERMANENT, "\"%s\": %s: %d is not within %d to %d", parser->text,
                       parser->field->name, value, parser->field->low, parser->field->high);
    parser->at += digits;
    *out = value;
    return 0;
}

/* "5L", "5#2": true if it was one; it is noted beside the bits. */
static int take_nth(struct parser *parser, int value, bool *out)
{
    *out = true;
    if (!is_weekdays(parser) || (toupper((unsigned char)*parser->at) != 'L' && *parser->at != '#'))
        return *out = false, 0;
    if (!take(parser, '#')) {
        parser->at++;
        parser->cron->nth[value % 7] |= 1U << LAST_NTH;
        return 0;
    }
    if (*parser->at < '1' || *parser->at > '5')
        return wrong(parser, "\"#\" takes 1 to 5");
    parser->cron->nth[value % 7] |= (uint8_t)(1U << (*parser->at++ - '0'));
    return 0;
}

static int take_step(struct parser *parser, int *out)
{
    int value = 0, digits = 0;

    for (; isdigit((unsigned char)*parser->at) && digits < 4; digits++)
        value = value * 10 + (*parser->at++ - '0');
    if (!digits || value < 1 || value > parser->field->high)
        return wrong(parser, "not a step");
    *out = value;
    return 0;
}

/* One item of the list: * or value or range, with or without a step. */
static int take_item(struct parser *parser)
{
    int from, to, step = 1;
    bool nth;

    if (is_days(parser) && toupper((unsigned char)*parser->at) == 'L') {
        parser->at++;
        parser->cron->last_day = true;
        return 0;
    }
    if (take(parser, '*')) {
        from = parser->field->low;
        to = is_weekdays(parser) ? 6 : parser->field->high;
    } else {
        if (take_value(parser, &from) < 0 || take_nth(parser, from, &nth) < 0)
            return -1;
        if (nth)
            return 0;
        to = *parser->at == '/' ? parser->field->high : from;
        if (take(parser, '-') && take_value(parser, &to) < 0)
            return -1;
        if (to < from)
            return wrong(parser, "the range ends before it begins");
    }
    if (take(parser, '/') && take_step(parser, &step) < 0)
        return -1;
    for (int value = from; value <= to; value += step)
        parser->bits |= 1ULL << (is_weekdays(parser) ? value % 7 : value);
    return 0;
}

static int take_field(struct parser *parser)
{
    parser->bits = 0;
    do {
        if (take_item(parser) < 0)
            return -1;
    } while (take(parser, ','));
    if (*parser->at && !isblank((unsigned char)*parser->at))
        return wrong(parser, "not understood");
    while (isblank((unsigned char)*parser->at))
        parser->at++;
    return 0;
}

static const char *expand(const char *text)
{
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (strcasecmp(text, aliases[i].name) == 0)
            return aliases[i].pattern;
    return text;
}

static int take_fields(struct parser *parser, uint64_t bits[FIELDS])
{
    for (int i = 0; i < FIELDS; i++) {
        const char *start = parser->at;
        bool any;

        parser->field = &fields[i];
        if (!*start)
            return err_set(
                parser->err, ERR_PERMANENT,
                "\"%s\": takes five fields (minute, hour, day of month, month, day of week), or a name like @daily",
                parser->text);
        if (take_field(parser) < 0)
            return -1;
        bits[i] = parser->bits;
        any = *start == '*';
        if (i == 1)
            parser->cron->every_hour = any && (isblank((unsigned char)start[1]) || !start[1]);
        if (i == 2)
            parser->cron->any_day = any;
        if (i == 4)
            parser->cron->any_weekday = any;
    }
    if (*parser->at)
        return err_set(parser->err, ERR_PERMANENT, "\"%s\": has more than five fields", parser->text);
    return 0;
}

int cron_parse(const char *text, struct cron *out, struct err *err)
{
    struct cron cron = {0};
    uint64_t bits[FIELDS];
    int64_t from = days_from_date(2000, 1, 1) * DAY_MINUTES, next;

    if (strlen(text) > TEXT_MAX)
        return err_set(err, ERR_PERMANENT, "longer than %d bytes", TEXT_MAX);
    while (isblank((unsigned char)*text))
        text++;
    struct parser parser = {.text = text, .at = expand(text), .cron = &cron, .err = err};
    if (take_fields(&parser, bits) < 0)
        return -1;
    cron.minutes = bits[0];
    cron.hours = (uint32_t)bits[1];
    cron.days = (uint32_t)bits[2];
    cron.months = (uint32_t)bits[3];
    cron.weekdays = (uint8_t)bits[4];
    if (!cron_next(&cron, from, from + SEARCH_YEARS * 366LL * DAY_MINUTES, &next))
        return err_set(err, ERR_PERMANENT, "\"%s\": there is no such day in any year", text);
    *out = cron;
    return 0;
}

static bool weekday_matches(const struct cron *cron, int weekday, int day, int days_in_month)
{
    int nth = (day - 1) / 7 + 1;
    bool last = day + 7 > days_in_month;

    return cron->weekdays >> weekday & 1 || cron->nth[weekday] >> nth & 1 ||
           (last && cron->nth[weekday] >> LAST_NTH & 1);
}

/* *out_next: the next day worth looking at. */
static bool day_matches(const struct cron *cron, int64_t days, int64_t *out_next)
{
    int64_t year;
    int month, day;

    date_from_days(days, &year, &month, &day);
    int64_t next_month = month == 12 ? days_from_date(year + 1, 1, 1) : days_from_date(year, month + 1, 1);
    int length = day + (int)(next_month - days) - 1;
    *out_next = days + 1;
    if (!(cron->months >> month & 1)) {
        *out_next = next_month;
        return false;
    }
    bool by_day = cron->days >> day & 1 || (cron->last_day && day == length);
    bool by_weekday = weekday_matches(cron, day_of_week(days), day, length);
    return cron->any_day || cron->any_weekday ? by_day && by_weekday : by_day || by_weekday;
}

static bool next_in_day(const struct cron *cron, int minute_of_day, int *out)
{
    for (int hour = minute_of_day / 60, minute = minute_of_day % 60; hour < 24; hour++, minute = 0) {
        uint64_t left = cron->hours >> hour & 1 ? cron->minutes >> minute : 0;
        if (!left)
            continue;
        *out = hour * 60 + minute + __builtin_ctzll(left);
        return true;
    }
    return false;
}

bool cron_next(const struct cron *cron, int64_t from, int64_t until, int64_t *out)
{
    int64_t day = from >= 0 ? from / DAY_MINUTES : (from - DAY_MINUTES + 1) / DAY_MINUTES;
    int start = (int)(from - day * DAY_MINUTES), minute;

    for (int64_t next; day * DAY_MINUTES < until; day = next, start = 0) {
        if (!day_matches(cron, day, &next) || !next_in_day(cron, start, &minute))
            continue;
        *out = day * DAY_MINUTES + minute;
        return *out < until;
    }
    return false;
}

bool cron_matches(const struct cron *cron, int64_t local_minute)
{
    int64_t found;

    return cron_next(cron, local_minute, local_minute + 1, &found);
}
