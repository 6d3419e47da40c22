#include "base/err.h"
#include "coordinator/sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { POINTS = 60, ROUNDS = 200 };

static struct err err;
static char names[POINTS][16];

static void fill(struct sample_item *items)
{
    for (size_t i = 0; i < POINTS; i++) {
        snprintf(names[i], sizeof names[i], "point-%zu", i);
        items[i] = (struct sample_item){.point = names[i]};
    }
}

static size_t chosen(const struct sample_item *items, size_t count)
{
    size_t sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += items[i].chosen;
    return sum;
}

static void who_waits_longest_goes_first(void **state)
{
    struct sample_item items[] = {{.point = "new", .tested_ms = 300},
                                  {.point = "never"},
                                  {.point = "old", .tested_ms = 100},
                                  {.point = "middle", .tested_ms = 200}};

    (void)state;
    assert_int_equal(sample_choose("run", 2, items, 4, &err), 0);
    assert_true(items[1].chosen && items[2].chosen);
    assert_int_equal(chosen(items, 4), 2);
    assert_int_equal(sample_choose("run", 9, items, 4, &err), 0);
    assert_int_equal(chosen(items, 4), 4);
    assert_int_equal(sample_choose("run", 1, items, 0, &err), 0);
}

/* Whatever the size: no point waits longer than it takes to test all others once, and one that comes later waits no longer either. */
static void every_point_gets_its_turn(void **state)
{
    struct sample_item items[POINTS];

    (void)state;
    for (size_t wanted = 1; wanted <= 13; wanted += 3) {
        size_t last[POINTS] = {0}, first = POINTS - 10; /* ten come later */
        fill(items);
        for (size_t round = 1; round <= ROUNDS; round++) {
            size_t count = round < 40 ? first : POINTS, since = (POINTS + wanted - 1) / wanted;
            char run[16];
            snprintf(run, sizeof run, "run-%zu", round);
            assert_int_equal(sample_choose(run, wanted, items, count, &err), 0);
            assert_int_equal(chosen(items, count), wanted);
            for (size_t i = 0; i < count; i++) {
                if (items[i].chosen) {
                    items[i].tested_ms = (int64_t)round;
                    last[i] = round;
                }
                size_t from = i < first || last[i] > 40 ? last[i] : 40;
                assert_true(round - (last[i] > from ? last[i] : from) <= since || round < from);
            }
        }
        for (size_t i = 0; i < POINTS; i++)
            assert_true(last[i] > 0);
    }
}

/* Not by the order in which they are found; another run draws others. */
static void the_draw_follows_from_the_ids(void **state)
{
    struct sample_item items[POINTS], mixed[POINTS], other[POINTS];
    size_t alike = 0;

    (void)state;
    fill(items);
    fill(other);
    for (size_t i = 0; i < POINTS; i++)
        items[i].tested_ms = other[i].tested_ms = (int64_t)(i % 2); /* many equals */
    for (size_t i = 0; i < POINTS; i++)
        mixed[i] = items[(i * 37 + 11) % POINTS];
    assert_int_equal(sample_choose("one", 15, items, POINTS, &err), 0);
    assert_int_equal(sample_choose("one", 15, mixed, POINTS, &err), 0);
    assert_int_equal(sample_choose("two", 15, other, POINTS, &err), 0);
    for (size_t i = 0; i < POINTS; i++) {
        assert_int_equal(mixed[i].chosen, items[(i * 37 + 11) % POINTS].chosen);
        assert_true(!items[i].chosen || items[i].tested_ms == 0);
        alike += items[i].chosen && other[i].chosen;
    }
    assert_true(alike < 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_waits_longest_goes_first),
        cmocka_unit_test(every_point_gets_its_turn),
        cmocka_unit_test(the_draw_follows_from_the_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
