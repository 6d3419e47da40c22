/* Where job after job fails, no storm follows. */
#include "base/err.h"
#include "coordinator/breaker.h"
#include "coordinator/run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MINUTE (60 * INT64_C(1000))

static struct breakers *breakers;
static struct err err;
static bool opened;

static int make(void **state)
{
    (void)state;
    return breakers_new(&breakers, &err);
}

static int destroy(void **state)
{
    (void)state;
    breakers_free(breakers);
    return 0;
}

static void fail_some(int count, const char *host, const char *repository, int64_t now_ms)
{
    for (int i = 0; i < count; i++)
        breakers_note(breakers, host, repository, false, now_ms, &opened);
}

static void succeed(const char *host, const char *repository)
{
    breakers_note(breakers, host, repository, true, 0, &opened);
}

/* How many of three jobs of a policy would start there, with `open` under way. */
static int starts(const char *host, const char *repository, int open, int64_t now_ms)
{
    const struct run run = {.policy = (char *)"nightly", .schedule = (char *)"daily"};
    const struct run_limits none = {0};
    struct run_seat seats[3];
    const struct run_seat busy = {.host = host, .repository = repository};
    struct run_load *load;
    int started = 0;

    assert_int_equal(run_load_new(&load, &err), 0);
    for (int i = 0; i < open; i++)
        run_load_add(load, "nightly", &busy);
    breakers_limit(breakers, now_ms, load);
    for (int i = 0; i < 3; i++)
        seats[i] = (struct run_seat){.state = MEMBER_PENDING, .host = host, .repository = repository, .host_ready = true};
    run_decide(&run, &none, now_ms, seats, 3, load);
    for (int i = 0; i < 3; i++) {
        started += seats[i].move == MOVE_SUBMIT;
        assert_int_equal(seats[i].full, seats[i].move == MOVE_SUBMIT ? LIMIT_NONE : LIMIT_BROKEN);
    }
    run_load_free(load);
    return started;
}

static void five_failures_in_a_row_open_it(void **state)
{
    (void)state;
    fail_some(4, "alpha", "main", 1000);
    assert_int_equal(starts("beta", "main", 0, 1000), 3);
    succeed("alpha", "main");
    fail_some(4, "alpha", "main", 1000);
    assert_false(opened);
    fail_some(1, "beta", "main", 1000);
    assert_true(opened);
    assert_int_equal(starts("beta", "main", 0, 1001), 0);
    assert_int_equal(starts("alpha", "other", 0, 1001), 3); /* the hosts are not to blame */
}

static void half_open_lets_one_through(void **state)
{
    int64_t now_ms = 1000;

    (void)state;
    fail_some(5, "alpha", "main", now_ms);
    fail_some(3, "alpha", "main", now_ms + 10); /* were under way: no news */
    assert_int_equal(starts("alpha", "main", 0, now_ms + MINUTE - 1), 0);
    now_ms += MINUTE;
    assert_int_equal(starts("alpha", "main", 0, now_ms), 1);
    assert_int_equal(starts("alpha", "main", 1, now_ms), 0); /* it is under way */
    for (int64_t wait_ms = 2 * MINUTE; wait_ms <= 64 * MINUTE; wait_ms *= 2) {
        int64_t really_ms = wait_ms < 30 * MINUTE ? wait_ms : 30 * MINUTE;
        fail_some(1, "alpha", "main", now_ms);
        assert_true(opened);
        assert_int_equal(starts("alpha", "main", 0, now_ms + really_ms - 1), 0);
        now_ms += really_ms;
        assert_int_equal(starts("alpha", "main", 0, now_ms), 1);
    }
    succeed("alpha", "main");
    assert_int_equal(starts("alpha", "main", 0, now_ms), 3);
}

static void a_host_opens_where_it_is_not_one_repository(void **state)
{
    (void)state;
    fail_some(4, "alpha", NULL, 1000); /* snapshots */
    assert_int_equal(starts("alpha", NULL, 0, 1000), 3);
    fail_some(1, "alpha", NULL, 1000);
    assert_int_equal(starts("alpha", NULL, 0, 1000), 0);
    assert_int_equal(starts("beta", NULL, 0, 1000), 3);
    succeed("alpha", NULL);
    assert_int_equal(starts("alpha", NULL, 0, 1000), 3);
    for (int i = 0; i < 3; i++) {
        fail_some(1, "alpha", "main", 1000);
        fail_some(1, "alpha", "other", 1000);
    }
    assert_int_equal(starts("alpha", "third", 0, 1000), 0);
}

/* A deploy, or a recovery, is not held back: a person, or a pipeline, waits for it. */
static void only_policies_are_held_back(void **state)
{
    struct run deploy = {.policy = (char *)"deploy:1", .schedule = (char *)"begin", .deploy = (char *)"1"};
    const struct run_limits none = {0};
    struct run_seat seat = {.state = MEMBER_PENDING, .host = "alpha", .host_ready = true};
    struct run_load *load;

    (void)state;
    fail_some(5, "alpha", NULL, 1000);
    assert_int_equal(run_load_new(&load, &err), 0);
    breakers_limit(breakers, 1000, load);
    run_decide(&deploy, &none, 1000, &seat, 1, load);
    assert_int_equal(seat.move, MOVE_SUBMIT);
    run_load_free(load);
}

static void count_one(void *context, const struct breaker_state *its)
{
    int *count = context;

    (*count)++;
    assert_string_equal(its->kind, "repository");
    assert_string_equal(its->name, "main");
    assert_int_equal(its->failures, 5);
    assert_int_equal(its->probe_at_ms, 1000 + MINUTE);
}

static void those_that_are_not_closed_are_shown(void **state)
{
    int count = 0;

    (void)state;
    fail_some(2, "beta", NULL, 1000);
    fail_some(5, "alpha", "main", 1000);
    breakers_each(breakers, count_one, &count);
    assert_int_equal(count, 1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(five_failures_in_a_row_open_it, make, destroy),
        cmocka_unit_test_setup_teardown(half_open_lets_one_through, make, destroy),
        cmocka_unit_test_setup_teardown(a_host_opens_where_it_is_not_one_repository, make, destroy),
        cmocka_unit_test_setup_teardown(only_policies_are_held_back, make, destroy),
        cmocka_unit_test_setup_teardown(those_that_are_not_closed_are_shown, make, destroy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
