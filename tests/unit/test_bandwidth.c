/* Bandwidth is shared so that nobody has more than his own limit, nobody starves, nothing is wasted, and no order matters. */
#include "base/err.h"
#include "coordinator/bandwidth.h"
#include "coordinator/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MIB         ((int64_t)1 << 20)
#define COUNT(list) (sizeof(list) / sizeof *(list))

static void equal_parts(void **state)
{
    int64_t none[] = {0, 0, 0, 0};

    (void)state;
    assert_int_equal(bandwidth_level(100 * MIB, none, 0), 100 * MIB);
    assert_int_equal(bandwidth_level(100 * MIB, none, 1), 100 * MIB);
    assert_int_equal(bandwidth_level(100 * MIB, none, 2), 50 * MIB);
    assert_int_equal(bandwidth_level(100 * MIB, none, 4), 25 * MIB);
}

static void what_one_leaves_goes_to_the_others(void **state)
{
    int64_t own[] = {0, 10 * MIB, 0}, two[] = {80 * MIB, 30 * MIB, 0}, idle[] = {10 * MIB, 20 * MIB};

    (void)state;
    int64_t level = bandwidth_level(100 * MIB, own, COUNT(own));
    assert_int_equal(level, 45 * MIB);
    assert_int_equal(bandwidth_rate(level, 10 * MIB), 10 * MIB);
    assert_int_equal(bandwidth_rate(level, 0), 45 * MIB);
    assert_int_equal(bandwidth_level(100 * MIB, two, COUNT(two)), 35 * MIB);
    assert_int_equal(bandwidth_level(100 * MIB, idle, COUNT(idle)), 100 * MIB); /* all have what they want */
}

static void very_many_still_go_on(void **state)
{
    int64_t own[1000] = {0};

    (void)state;
    own[7] = 1000;
    int64_t level = bandwidth_level(MIB, own, COUNT(own));
    assert_int_equal(level, BANDWIDTH_FLOOR);
    assert_int_equal(bandwidth_rate(level, 1000), 1000); /* his own limit is a person's word */
}

static void without_a_limit_each_has_its_own(void **state)
{
    (void)state;
    assert_int_equal(bandwidth_rate(0, 0), 0);
    assert_int_equal(bandwidth_rate(0, 5 * MIB), 5 * MIB);
    assert_int_equal(bandwidth_rate(BANDWIDTH_OPEN, 0), 0);
    assert_int_equal(bandwidth_rate(BANDWIDTH_OPEN, 5 * MIB), 5 * MIB);
}

/* ---- whatever they are ---- */

static int64_t drawn(int64_t below)
{
    return (int64_t)rand() % below;
}

static void shuffle(int64_t *list, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t other = (size_t)drawn((int64_t)i);
        int64_t kept = list[i - 1];
        list[i - 1] = list[other];
        list[other] = kept;
    }
}

static void check(int64_t limit, const int64_t *own, size_t count, int64_t level)
{
    int64_t sum = 0, wanted = 0;
    bool endless = false;

    assert_in_range(level, BANDWIDTH_FLOOR, limit);
    for (size_t i = 0; i < count; i++) {
        int64_t rate = bandwidth_rate(level, own[i]);
        assert_true(rate > 0);
        assert_true(!own[i] || rate <= own[i]);
        if (!own[i] || own[i] > BANDWIDTH_FLOOR)
            assert_true(rate >= BANDWIDTH_FLOOR);
        sum += rate;
        wanted += own[i];
        endless = endless || !own[i];
    }
    if (level > BANDWIDTH_FLOOR)
        assert_true(sum <= limit);
    if (endless || wanted > limit) /* nothing is wasted but what does not divide */
        assert_true(sum > limit - (int64_t)count);
    else
        assert_int_equal(sum, wanted);
}

static void it_holds_for_any(void **state)
{
    int64_t own[40], given[40];

    (void)state;
    srand(20251122);
    for (int round = 0; round < 20000; round++) {
        int64_t limit = BANDWIDTH_LEAST + drawn(400 * MIB);
        size_t count = (size_t)drawn(COUNT(own)) + 1;
        for (size_t i = 0; i < count; i++)
            own[i] = drawn(3) ? drawn(2) ? drawn(40 * MIB) + 1 : drawn(MIB) + 1 : 0;
        memcpy(given, own, sizeof own);
        int64_t level = bandwidth_level(limit, given, count);
        check(limit, own, count, level);
        shuffle(given, count);
        assert_int_equal(bandwidth_level(limit, given, count), level);
        if (count < COUNT(own)) { /* one more never raises the others */
            memcpy(given, own, sizeof own);
            given[count] = 0;
            assert_true(bandwidth_level(limit, given, count + 1) <= level);
        }
    }
}

static void only_what_matters_is_told(void **state)
{
    bool later;

    (void)state;
    assert_true(bandwidth_matters(100, 99, 0, &later)); /* less: at once */
    assert_true(bandwidth_matters(0, 100, 0, &later));
    assert_false(bandwidth_matters(100, 100, 1 << 20, &later));
    assert_false(bandwidth_matters(0, 0, 1 << 20, &later));
    assert_false(bandwidth_matters(100, 110, 1 << 20, &later));
    assert_false(later);
    assert_false(bandwidth_matters(100, 111, BANDWIDTH_RAISE_AFTER_MS - 1, &later));
    assert_true(later);
    assert_true(bandwidth_matters(100, 111, BANDWIDTH_RAISE_AFTER_MS, &later));
    assert_false(later);
    assert_true(bandwidth_matters(100, 0, BANDWIDTH_RAISE_AFTER_MS, &later)); /* no limit any more */
}

/* ---- options ---- */

static int load(struct coordinator_options *options, struct err *err, const char *one, const char *other)
{
    const char *const overrides[] = {"kafka.brokers=k:9092", one, other, NULL};

    return coordinator_options_load(NULL, overrides, options, err);
}

static void a_repository_may_have_its_own_limit(void **state)
{
    struct coordinator_options options;
    struct err err = {0};

    (void)state;
    assert_int_equal(load(&options, &err, NULL, NULL), 0);
    assert_int_equal(coordinator_bandwidth_of(&options, "main"), 0);
    coordinator_options_free(&options);
    assert_int_equal(load(&options, &err, "limits.bandwidth=100MiB", "limits.bandwidth_of=main=20MiB,fast=0"), 0);
    assert_int_equal(coordinator_bandwidth_of(&options, "main"), 20 * MIB);
    assert_int_equal(coordinator_bandwidth_of(&options, "fast"), 0);
    assert_int_equal(coordinator_bandwidth_of(&options, "other"), 100 * MIB);
    assert_int_equal(coordinator_bandwidth_of(&options, NULL), 100 * MIB);
    coordinator_options_free(&options);
    assert_int_equal(load(&options, &err, "limits.bandwidth=100KiB", NULL), -1);
    assert_non_null(strstr(err.text, "limits.bandwidth: must be 0 (no limit) or at least 1MiB"));
    assert_int_equal(load(&options, &err, "limits.bandwidth_of.main=100KiB", NULL), -1);
    assert_non_null(strstr(err.text, "limits.bandwidth_of.main: must be 0"));
    assert_int_equal(load(&options, &err, "limits.bandwidth_of.main=much", NULL), -1);
    assert_non_null(strstr(err.text, "limits.bandwidth_of.main"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_parts),
        cmocka_unit_test(what_one_leaves_goes_to_the_others),
        cmocka_unit_test(very_many_still_go_on),
        cmocka_unit_test(without_a_limit_each_has_its_own),
        cmocka_unit_test(it_holds_for_any),
        cmocka_unit_test(only_what_matters_is_told),
        cmocka_unit_test(a_repository_may_have_its_own_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
