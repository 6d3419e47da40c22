#include "base/parse.h"

#include "base/err.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int parse_int(const char *text, int64_t min, int64_t max, int64_t *out, struct err *err)
{
    char *end;

    errno = 0;
    long long value = strtoll(text, &end, 10);
    /* strtoll skips leading blanks and takes "+": numbers here begin with a digit or a minus */
    bool begins = isdigit((unsigned char)*text) || (*text == '-' && isdigit((unsigned char)text[1]));
    if (!begins || *end)
        return err_set(err, ERR_PERMANENT, "\"%.60s\" is not a whole number", text);
    if (errno == ERANGE || value < min || value > max) {
        bool under = value < min;
        return err_set(err, ERR_PERMANENT, "%.60s is %s the limit of %lld", text, under ? "under" : "over",
                       (long long)(under ? min : max));
    }
    *out = value;
    return 0;
}

int parse_bool(const char *text, bool *out, struct err *err)
{
    static const char *const yes[] = {"true", "yes", "on", "1"};
    static const char *const no[] = {"false", "no", "off", "0"};

    for (size_t i = 0; i < 4; i++) {
        if (strcasecmp(text, yes[i]) != 0 && strcasecmp(text, no[i]) != 0)
            continue;
        *out = strcasecmp(text, yes[i]) == 0;
        return 0;
    }
    return err_set(err, ERR_PERMANENT, "\"%.60s\" is neither true nor false", text);
}

/* "12" or "1.5" at *text, which is moved behind it. Hand-made because strtod takes locales' commas, hex, "inf" and exponents. */
static bool take_decimal(const char **text, double *out)
{
    const char *at = *text;
    double value = 0;
    double scale = 1;

    if (!isdigit((unsigned char)*at))
        return false;
    for (; isdigit((unsigned char)*at); at++)
        value = value * 10 + (*at - '0');
    if (*at == '.') {
        if (!isdigit((unsigned char)*++at))
            return false;
        for (; isdigit((unsigned char)*at); at++)
            value += (*at - '0') * (scale /= 10);
    }
    *out = value;
    *text = at;
    return true;
}

static int64_t size_unit(const char *unit)
{
    static const char letters[] = "KMGTP";
    const char *letter = *unit ? strchr(letters, toupper((unsigned char)*unit)) : NULL;
    int64_t factor = 1;

    if (!*unit || strcmp(unit, "B") == 0)
        return 1;
    if (!letter)
        return 0;
    bool decimal = strcmp(unit + 1, "B") == 0;
    if (!decimal && unit[1] && strcmp(unit + 1, "iB") != 0)
        return 0;
    for (const char *at = letters; at <= letter; at++)
        factor *= decimal ? 1000 : 1024;
    return factor;
}

int parse_size(const char *text, int64_t *out_bytes, struct err *err)
{
    const char *at = text;
    int64_t whole;
    double value;

    if (parse_int(text, 0, INT64_MAX, &whole, NULL) == 0) { /* exact, beyond the 53 bits of a double */
        *out_bytes = whole;
        return 0;
    }
    bool number = take_decimal(&at, &value);
    while (*at == ' ')
        at++;
    int64_t unit = number ? size_unit(at) : 0;
    if (!unit)
        return err_set(err, ERR_PERMANENT, "\"%.60s\" is not a size like 512MiB, 1.5G or 4096", text);
    if (value * (double)unit >= 9.2e18)
        return err_set(err, ERR_PERMANENT, "%.60s is too large", text);
    *out_bytes = (int64_t)llround(value * (double)unit);
    return 0;
}

/* The unit at *text in ms, longest name first; *text is moved behind it. */
static double take_time_unit(const char **text)
{
    static const struct {
        const char *name;
        double ms;
    } units[] = {{"ms", 1}, {"s", 1e3}, {"m", 6e4}, {"h", 3.6e6}, {"d", 8.64e7}, {"w", 6.048e8}};

    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        size_t len = strlen(units[i].name);
        if (strncmp(*text, units[i].name, len) != 0)
            continue;
        *text += len;
        return units[i].ms;
    }
    return 0;
}

int parse_duration(const char *text, int64_t *out_ms, struct err *err)
{
    double last = 1e300;
    double total = 0;
    const char *at = text;

    if (strcmp(text, "0") == 0) {
        *out_ms = 0;
        return 0;
    }
    do {
        double value;
        double unit = take_decimal(&at, &value) ? take_time_unit(&at) : 0;
        if (unit <= 0 || unit >= last) /* "30m1h" or "1h1h" is a slip of the finger */
            return err_set(err, ERR_PERMANENT, "\"%.60s\" is not a duration like 250ms, 30s, 1h30m or 7d", text);
        total += value * unit;
        last = unit;
    } while (*at);
    if (total >= 9.2e18)
        return err_set(err, ERR_PERMANENT, "%.60s is too long", text);
    *out_ms = (int64_t)llround(total);
    return 0;
}
