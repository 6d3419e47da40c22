/* Small parts of base that count time: what a bucket lets through, how often a loop says that it is alive. */
#include "base/alive.h"
#include "base/bucket.h"
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void a_burst_fits_and_the_rest_is_counted(void **state)
{
    struct bucket bucket = {.capacity = 3, .per_second = 2};
    int64_t suppressed = -1;

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_true(bucket_take(&bucket, 1, 1000, &suppressed));
        assert_int_equal(suppressed, 0);
    }
    for (int i = 0; i < 5; i++)
        assert_false(bucket_take(&bucket, 1, 1000, &suppressed));
    assert_false(bucket_take(&bucket, 1, 1499, &suppressed));
    assert_true(bucket_take(&bucket, 1, 1500, &suppressed));
    assert_int_equal(suppressed, 6);
    assert_false(bucket_take(&bucket, 1, 1500, &suppressed));
    assert_true(bucket_take(&bucket, 1, 9000, &suppressed));
    assert_int_equal(suppressed, 1);
}

static void what_is_larger_than_the_bucket_takes_all_of_it(void **state)
{
    struct bucket bucket = {.capacity = 3, .per_second = 1};
    int64_t suppressed;

    (void)state;
    assert_true(bucket_take(&bucket, 100, 0, &suppressed));
    assert_false(bucket_take(&bucket, 1, 0, &suppressed));
    assert_false(bucket_take(&bucket, 100, 2000, &suppressed));
    assert_true(bucket_take(&bucket, 100, 3000, &suppressed));
}

static int said;

static void notify(const char *word)
{
    assert_string_equal(word, "WATCHDOG=1");
    said++;
}

static void a_loop_says_once_a_second_that_it_is_alive(void **state)
{
    int64_t said_ms = 0;

    (void)state;
    clock_fake(1, 5000);
    alive_say(NULL, &said_ms);
    alive_say(notify, &said_ms);
    alive_say(notify, &said_ms);
    assert_int_equal(said, 1);
    clock_fake(1, 5999);
    alive_say(notify, &said_ms);
    assert_int_equal(said, 1);
    clock_fake(1, 6000);
    alive_say(notify, &said_ms);
    assert_int_equal(said, 2);
    clock_fake(0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_fits_and_the_rest_is_counted),
        cmocka_unit_test(what_is_larger_than_the_bucket_takes_all_of_it),
        cmocka_unit_test(a_loop_says_once_a_second_that_it_is_alive),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
