/* A job that is tried again must not take its lock while the farewell of the attempt before still waits to let go of it: Redis gives both attempts the same token. */
#include "base/err.h"
#include "worker/finisher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_a_waiting_farewell_is_seen(void **state)
{
    struct finisher *finisher;
    struct err err = {0};

    (void)state;
    assert_int_equal(finisher_open(NULL, "alpha", NULL, NULL, &finisher, &err), 0);
    assert_false(finisher_waits(finisher, "job-1"));
    assert_int_equal(finisher_add(finisher, 1, "job-1", "null:a", 7, "", NULL, NULL, 0, &err), 0);
    assert_true(finisher_waits(finisher, "job-1"));
    assert_false(finisher_waits(finisher, "job-2"));
    finisher_close(finisher);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_waiting_farewell_is_seen)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
