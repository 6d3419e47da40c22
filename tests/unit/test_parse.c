#include "base/err.h"
#include "base/parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static void whole_numbers(void **state)
{
    static const char *const bad[] = {"", " 1", "1 ", "+1", "1x", "0x10", "-", "--1", "1.0", "99999999999999999999"};
    struct err err = {0};
    int64_t out = 7;

    (void)state;
    assert_int_equal(parse_int("0", 0, 10, &out, &err), 0);
    assert_int_equal(out, 0);
    assert_int_equal(parse_int("-9223372036854775808", INT64_MIN, INT64_MAX, &out, &err), 0);
    assert_true(out == INT64_MIN);
    out = 7;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(parse_int(bad[i], INT64_MIN, INT64_MAX, &out, &err), -1);
    assert_int_equal(parse_int("400", 1, 64, &out, &err), -1);
    assert_string_equal(err.text, "400 is over the limit of 64");
    assert_int_equal(parse_int("0", 1, 64, &out, &err), -1);
    assert_string_equal(err.text, "0 is under the limit of 1");
    assert_int_equal(out, 7);
}

static void truths(void **state)
{
    bool out = false;

    (void)state;
    assert_int_equal(parse_bool("Yes", &out, NULL), 0);
    assert_true(out);
    assert_int_equal(parse_bool("off", &out, NULL), 0);
    assert_false(out);
    assert_int_equal(parse_bool("1", &out, NULL), 0);
    assert_true(out);
    assert_int_equal(parse_bool("y", &out, NULL), -1);
    assert_int_equal(parse_bool("", &out, NULL), -1);
}

static void sizes(void **state)
{
    static const struct {
        const char *text;
        int64_t bytes;
    } good[] = {{"4096", 4096},
                {"0", 0},
                {"10K", 10240},
                {"10k", 10240},
                {"512MiB", 512LL << 20},
                {"1.5G", 1610612736},
                {"2TB", 2000000000000},
                {"1 GiB", 1LL << 30},
                {"3B", 3},
                {"9223372036854775807", INT64_MAX},
                {"1P", 1LL << 50}};
    static const char *const bad[] = {"", "-1", "K", "10KK", "10 x", "1.G", ".5G", "1e3", "99999999P", "1GiBs", "1,5G"};
    int64_t out;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(parse_size(good[i].text, &out, NULL), 0);
        assert_true(out == good[i].bytes);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(parse_size(bad[i], &out, NULL), -1);
}

static void durations(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"250ms", 250},
                {"30s", 30000},
                {"5m", 300000},
                {"24h", 86400000},
                {"7d", 604800000},
                {"2w", 1209600000},
                {"1h30m", 5400000},
                {"0", 0},
                {"0s", 0},
                {"1.5s", 1500},
                {"1d12h30m15s250ms", 131415250}};
    static const char *const bad[] = {
        "", "5", "5x", "-5s", "s", "1h1h", "30m1h", "1h 30m", "5s ", "1e9s", "99999999999999w"};
    int64_t out;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(parse_duration(good[i].text, &out, NULL), 0);
        assert_true(out == good[i].ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(parse_duration(bad[i], &out, NULL), -1);
}

static void instants(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-11-20T14:02:03Z", 1795183323000},
        {"2026-11-20T14:02:03.123Z", 1795183323123},
        {"2026-11-20T14:02:03.1239999Z", 1795183323123},
        {"2026-11-20T14:02:03.5Z", 1795183323500},
        {"2026-11-20t15:02:03+01:00", 1795183323000},
        {"2026-11-20 08:32:03-05:30", 1795183323000},
        {"2024-02-29T00:00:00Z", 1709164800000},
        {"2026-11-20 14:02", 1795179720000}, /* local: Europe/Berlin below */
        {"2026-11-20 14:02:03", 1795179723000},
        {"2026-07-01", 1782856800000}, /* summer time */
    };
    static const char *const bad[] = {"",
                                      "2026",
                                      "2026-13-01T00:00:00Z",
                                      "2026-02-29T00:00:00Z",
                                      "2026-11-20T24:00:00Z",
                                      "2026-11-20T14:02:03Zx",
                                      "2026-11-20T14:02:03.Z",
                                      "2026-11-20T14:02:60Z",
                                      "26-11-20T14:02:03Z",
                                      " 2026-11-20",
                                      "2026-11-20 ",
                                      "2026-11-20T14:02:03+1:00",
                                      "1969-12-31T00:00:00Z"};
    int64_t out;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(parse_time(good[i].text, &out, NULL), 0);
        assert_true(out == good[i].ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(parse_time(bad[i], &out, NULL), -1);
}

static void what_people_read(void **state)
{
    static const struct {
        int64_t value;
        const char *size, *duration;
    } cases[] = {
        {0, "0 B", "0 ms"},
        {38, "38 B", "38 ms"},
        {1023, "1023 B", "1 s"},
        {1024, "1 KiB", "1 s"},
        {3400, "3.3 KiB", "3.4 s"},
        {60000, "59 KiB", "1 min"},
        {63000, "62 KiB", "1 min 3 s"},
        {10260000, "9.8 MiB", "2 h 51 min"},
        {432013312, "412 MiB", "5 d"},
        {1395864371, "1.3 GiB", "16 d 3 h"},
        {1073741823, "1 GiB", "12 d 10 h"},
    };
    char out[64];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_string_equal(format_size(cases[i].value, out, sizeof out), cases[i].size);
        assert_string_equal(format_duration(cases[i].value, out, sizeof out), cases[i].duration);
    }
    assert_string_equal(format_time(1795183323123, true, out, sizeof out), "2026-11-20 14:02Z");
    assert_string_equal(format_time(1795183323123, false, out, sizeof out), "2026-11-20 15:02");
    assert_string_equal(format_rfc3339(1795183323123, out, sizeof out), "2026-11-20T14:02:03.123Z");
    assert_string_equal(format_rfc3339(-1, out, sizeof out), "1969-12-31T23:59:59.999Z");
}

static void rfc3339_goes_both_ways(void **state)
{
    char text[64];
    int64_t back;

    (void)state;
    for (int64_t ms = 1; ms < 4000000000000; ms = ms * 3 + 7) {
        assert_int_equal(parse_time(format_rfc3339(ms, text, sizeof text), &back, NULL), 0);
        assert_true(back == ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_numbers),
        cmocka_unit_test(truths),
        cmocka_unit_test(sizes),
        cmocka_unit_test(durations),
        cmocka_unit_test(instants),
        cmocka_unit_test(what_people_read),
        cmocka_unit_test(rfc3339_goes_both_ways),
    };

    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    tzset();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
