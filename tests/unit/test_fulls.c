#include "base/err.h"
#include "coordinator/fulls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 40, DAY = 1000 };

static struct err err;

static size_t made(const struct fulls_item *items, size_t count)
{
    size_t sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += !items[i].waits;
    return sum;
}

static void the_oldest_go_first(void **state)
{
    const struct fulls_rule rule = {.most = 2, .before_ms = 100, .next_end_ms = 300};
    struct fulls_item items[] = {{"c", 130, false}, {"a", 110, false}, {"b", 110, false}, {"d", 120, false}};

    (void)state;
    assert_int_equal(fulls_choose(&rule, items, 4, &err), 0);
    assert_true(!items[1].waits && !items[2].waits && items[0].waits && items[3].waits);
    items[0].newest_ms = 99; /* it waited before */
    assert_int_equal(fulls_choose(&rule, items, 4, &err), 0);
    assert_true(!items[0].waits && !items[1].waits && items[2].waits && items[3].waits);
}

static void nobody_waits_for_a_run_that_is_not_there(void **state)
{
    struct fulls_item items[] = {{"a", 110, false}, {"b", 110, false}};

    (void)state;
    assert_int_equal(fulls_choose(&(struct fulls_rule){.most = 1, .before_ms = 100}, items, 2, &err), 0);
    assert_int_equal(made(items, 2), 2);
    assert_int_equal(fulls_choose(&(struct fulls_rule){.most = 1, .next_end_ms = 300}, items, 2, &err), 0);
    assert_int_equal(made(items, 2), 2);
}

/* Machines are reverted at random; runs come once a day and always back up who does not wait. */
static void nobody_waits_twice_or_too_long(void **state)
{
    size_t waited_ever = 0;

    (void)state;
    for (unsigned seed = 1; seed <= 300; seed++) {
        int64_t newest[MOST];
        bool reverted[MOST] = {false}, waited[MOST] = {false};
        char names[MOST][8];
        srand(seed);
        int64_t max_age = rand() % 2 ? DAY + rand() % (2 * DAY) : 0;
        for (size_t i = 0; i < MOST; i++) {
            newest[i] = rand() % 300;
            snprintf(names[i], sizeof names[i], "m%u", (unsigned)i % 100);
        }
        for (int64_t run = 1; run < 12; run++) {
            const struct fulls_rule rule = {.most = 1 + rand() % 9,
                                            .before_ms = run > 1 ? (run - 1) * DAY : 1,
                                            .next_end_ms = (run + 1) * DAY + 300,
                                            .max_age_ms = max_age};
            struct fulls_item items[MOST];
            size_t which[MOST], count = 0, forced = 0;
            for (size_t i = 0; i < MOST; i++) {
                reverted[i] |= rand() % 4 == 0;
                if (reverted[i]) {
                    which[count] = i;
                    items[count++] = (struct fulls_item){names[i], newest[i], false};
                }
            }
            assert_int_equal(fulls_choose(&rule, items, count, &err), 0);
            for (size_t i = 0; i < count; i++) {
                forced += newest[which[i]] < rule.before_ms ||
                          (max_age && rule.next_end_ms - newest[which[i]] > max_age);
                assert_false(items[i].waits && waited[which[i]]);
                assert_true(!items[i].waits || !max_age || rule.next_end_ms - newest[which[i]] <= max_age);
            }
            size_t most = (size_t)rule.most > forced ? (size_t)rule.most : forced;
            assert_int_equal(made(items, count), count < most ? count : most);
            for (size_t i = 0, next = 0; i < MOST; i++) {
                waited[i] = reverted[i] && items[next++].waits;
                waited_ever += waited[i];
                if (!waited[i]) {
                    newest[i] = run * DAY + rand() % 300;
                    reverted[i] = false;
                }
            }
        }
    }
    assert_true(waited_ever > 1000);
}

static void the_order_does_not_matter(void **state)
{
    const struct fulls_rule rule = {.most = 11, .before_ms = 5, .next_end_ms = 100, .max_age_ms = 93};
    struct fulls_item items[MOST], mixed[MOST];
    char names[MOST][8];

    (void)state;
    for (size_t i = 0; i < MOST; i++) {
        snprintf(names[i], sizeof names[i], "m%u", (unsigned)i % 100);
        items[i] = (struct fulls_item){names[i], (int64_t)(i % 13), false};
    }
    for (size_t i = 0; i < MOST; i++)
        mixed[i] = items[(i * 7 + 3) % MOST];
    assert_int_equal(fulls_choose(&rule, items, MOST, &err), 0);
    assert_int_equal(fulls_choose(&rule, mixed, MOST, &err), 0);
    for (size_t i = 0; i < MOST; i++)
        assert_int_equal(mixed[i].waits, items[(i * 7 + 3) % MOST].waits);
    assert_true(made(items, MOST) < MOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_oldest_go_first),
        cmocka_unit_test(nobody_waits_for_a_run_that_is_not_there),
        cmocka_unit_test(nobody_waits_twice_or_too_long),
        cmocka_unit_test(the_order_does_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
