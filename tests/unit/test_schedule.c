#include "base/err.h"
#include "base/parse.h"
#include "coordinator/schedule.h"
#include "coordinator/zone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct err err;

static int64_t ms(const char *text)
{
    int64_t at;

    if (parse_time(text, &at, &err) < 0)
        fail_msg("%s", err.text);
    return at;
}

static struct cron cron_of(const char *text)
{
    struct cron cron;

    if (cron_parse(text, &cron, &err) < 0)
        fail_msg("%s", err.text);
    return cron;
}

/* The slots after `after`, as many as are named, are these. */
static void slots_are(const char *pattern, const char *zone_name, const char *after, const char *const *wanted)
{
    struct cron cron = cron_of(pattern);
    struct zone *zone;
    int64_t at = ms(after);
    char text[64];

    if (zone_open(zone_name, &zone, &err) < 0)
        fail_msg("%s", err.text);
    for (; *wanted; wanted++) {
        assert_true(schedule_next(&cron, zone, at, at + 50LL * 366 * 24 * 3600 * 1000, &at));
        if (at != ms(*wanted))
            fail_msg("%s in %s: %s instead of %s", pattern, zone_name, format_rfc3339(at, text, sizeof text), *wanted);
    }
    zone_free(zone);
}
#define SLOTS(pattern, zone, after, ...) slots_are(pattern, zone, after, (const char *const[]){__VA_ARGS__, NULL})

static void fields_mean_what_cron_means(void **state)
{
    (void)state;
    SLOTS("*/20 8-9 * * *", "UTC", "2026-11-20T07:59:00Z", "2026-11-20T08:00:00Z", "2026-11-20T08:20:00Z",
          "2026-11-20T08:40:00Z", "2026-11-20T09:00:00Z");
    SLOTS("5/30 0 1 JAN,mar *", "UTC", "2026-11-20T07:59:00Z", "2027-01-01T00:05:00Z", "2027-01-01T00:35:00Z",
          "2027-03-01T00:05:00Z");
    SLOTS("0 0 13 * FRI", "UTC", "2026-11-20T00:00:00Z", "2026-11-27T00:00:00Z", "2026-12-04T00:00:00Z",
          "2026-12-11T00:00:00Z", "2026-12-13T00:00:00Z");
    SLOTS("0 0 */2 * MON", "UTC", "2026-11-20T00:00:00Z", "2026-11-23T00:00:00Z", "2026-12-07T00:00:00Z");
    SLOTS("0 0 L * *", "UTC", "2027-12-31T00:00:00Z", "2028-01-31T00:00:00Z", "2028-02-29T00:00:00Z");
    SLOTS("0 0 * * 5#2", "UTC", "2026-11-20T00:00:00Z", "2026-12-11T00:00:00Z", "2027-01-08T00:00:00Z");
    SLOTS("0 0 * * fri#2,sunL", "UTC", "2026-11-20T00:00:00Z", "2026-11-29T00:00:00Z", "2026-12-11T00:00:00Z");
    SLOTS("0 0 * * 7", "UTC", "2026-11-20T00:00:00Z", "2026-11-22T00:00:00Z");
    SLOTS("0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z");
    SLOTS("0 0 * 2 0#5", "UTC", "2026-01-01T00:00:00Z", "2032-02-29T00:00:00Z", "2060-02-29T00:00:00Z");
    SLOTS("@weekly", "UTC", "2026-11-20T00:00:00Z", "2026-11-22T00:00:00Z");
    SLOTS("@Yearly", "Asia/Kathmandu", "2026-11-20T00:00:00Z", "2026-12-31T18:15:00Z");
}

static void a_skipped_time_fires_after_the_gap(void **state)
{
    (void)state;
    SLOTS("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z");
    SLOTS("*/10 2-3 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:10:00Z");
    SLOTS("0 12 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z", "2011-12-29T22:00:00Z", "2011-12-30T10:00:00Z",
          "2011-12-30T22:00:00Z");
    SLOTS("15 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T00:15:00Z", "2026-03-29T01:15:00Z");
}

static void a_time_that_comes_twice_fires_once(void **state)
{
    (void)state;
    SLOTS("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z");
    SLOTS("30 1-2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-24T23:30:00Z", "2026-10-25T00:30:00Z",
          "2026-10-26T00:30:00Z");
    SLOTS("30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z",
          "2026-10-25T02:30:00Z");
}

static void bad_patterns_are_refused(void **state)
{
    static const char *const bad[][2] = {
        {"", "five fields"},
        {"* * * *", "five fields"},
        {"* * * * * *", "more than five"},
        {"60 * * * *", "minute: 60"},
        {"* 24 * * *", "hour: 24"},
        {"* * 0 * *", "day of month: 0"},
        {"* * * 13 *", "month: 13"},
        {"* * * * 8", "day of week: 8"},
        {"5-3 * * * *", "ends before"},
        {"*/0 * * * *", "step"},
        {"* * * FOO *", "not a value"},
        {"* * * * MONDAY", "not a value"},
        {"* * * * 5#6", "1 to 5"},
        {"L * * * *", "not a value"},
        {"* * * * 5X", "not understood"},
        {"1,,2 * * * *", "not a value"},
        {"0 0 30 FEB *", "no such day"},
        {"@often", "not a value"},
        {"-1 * * * *", "not a value"},
        {"99999 * * * *", "9999 is not within"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct cron cron;
        err = (struct err){0};
        assert_int_equal(cron_parse(bad[i][0], &cron, &err), -1);
        if (!strstr(err.text, bad[i][1]))
            fail_msg("%s: \"%s\" does not say \"%s\"", bad[i][0], err.text, bad[i][1]);
    }
}

static void zones_are_names_not_paths(void **state)
{
    static const char *const bad[] = {"",        "../../etc/passwd", "/etc/localtime", "Europe/../UTC",
                                      "Europe/", "Mars/Base",        "Europe"};
    struct zone *zone = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(zone_open(bad[i], &zone, &err), -1);
    assert_null(zone);
}

/* Whatever a file holds, it is read or refused: every beginning of a real one, and every byte of one turned round. */
static void broken_zone_files_are_refused(void **state)
{
    unsigned char data[4096];
    FILE *file = fopen("/usr/share/zoneinfo/Europe/Berlin", "r");
    struct zone *zone;

    (void)state;
    assert_non_null(file);
    size_t len = fread(data, 1, sizeof data, file);
    fclose(file);
    assert_int_equal(zone_read("x", data, len, &zone, &err), 0);
    zone_free(zone);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(zone_read("x", data, cut, &zone, &err), -1);
    for (size_t i = 0; i < len; i++) {
        data[i] ^= 0xff;
        if (zone_read("x", data, len, &zone, NULL) == 0)
            zone_free(zone);
        data[i] ^= 0xff;
    }
}

static size_t due(const char *last, const char *now, enum schedule_missed missed, int64_t limit,
                  int64_t out[SCHEDULE_DUE_MAX])
{
    struct cron cron = cron_of("0 * * * *");
    struct zone *utc;
    int64_t seen;

    assert_int_equal(zone_open("UTC", &utc, &err), 0);
    size_t count = schedule_due(&cron, utc, ms(last), ms(now), missed, limit, out, &seen);
    assert_true(seen <= ms(now));
    zone_free(utc);
    return count;
}

static void missed_slots_are_made_up_as_asked(void **state)
{
    int64_t slots[SCHEDULE_DUE_MAX];

    (void)state;
    assert_int_equal(due("2026-11-20T00:00:00Z", "2026-11-20T00:59:00Z", MISSED_ALL, 10, slots), 0);
    assert_int_equal(due("2026-11-20T00:00:00Z", "2026-11-20T01:00:01Z", MISSED_NONE, 1, slots), 1);
    assert_int_equal(due("2026-11-20T00:00:00Z", "2026-11-20T01:10:00Z", MISSED_NONE, 1, slots), 0);
    assert_int_equal(due("2026-11-20T00:00:00Z", "2026-11-20T09:30:00Z", MISSED_LAST, 1, slots), 1);
    assert_int_equal(slots[0], ms("2026-11-20T09:00:00Z"));
    assert_int_equal(due("2026-11-20T00:00:00Z", "2026-11-20T09:30:00Z", MISSED_ALL, 3, slots), 3);
    assert_int_equal(slots[0], ms("2026-11-20T07:00:00Z"));
    assert_int_equal(slots[2], ms("2026-11-20T09:00:00Z"));
    assert_int_equal(due("2020-11-20T00:00:00Z", "2026-11-20T09:30:00Z", MISSED_ALL, 1000, slots), SCHEDULE_DUE_MAX);
    assert_int_equal(slots[SCHEDULE_DUE_MAX - 1], ms("2026-11-20T09:00:00Z"));
}

/* 100,000 targets over an hour: each minute gets its share, within four standard deviations; and nobody moves. */
static void turns_are_even_and_stable(void **state)
{
    enum { TARGETS = 100000, BINS = 60, WINDOW = 3600 * 1000 };
    size_t bins[BINS] = {0};
    char target[64];

    (void)state;
    for (int i = 0; i < TARGETS; i++) {
        snprintf(target, sizeof target, "libvirt:00000000-0000-4000-8000-%012d", i);
        int64_t turn = schedule_spread("nightly", target, WINDOW);
        assert_in_range(turn, 0, WINDOW - 1);
        assert_int_equal(turn, schedule_spread("nightly", target, WINDOW));
        bins[turn * BINS / WINDOW]++;
    }
    for (int i = 0; i < BINS; i++)
        assert_in_range(bins[i], TARGETS / BINS - 164, TARGETS / BINS + 164);
    assert_int_equal(schedule_spread("nightly", "x", 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_mean_what_cron_means),        cmocka_unit_test(a_skipped_time_fires_after_the_gap),
        cmocka_unit_test(a_time_that_comes_twice_fires_once), cmocka_unit_test(bad_patterns_are_refused),
        cmocka_unit_test(zones_are_names_not_paths),          cmocka_unit_test(broken_zone_files_are_refused),
        cmocka_unit_test(missed_slots_are_made_up_as_asked),  cmocka_unit_test(turns_are_even_and_stable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
