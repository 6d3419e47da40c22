/* When the jobs of a run would start and end. */
#include "base/err.h"
#include "coordinator/timing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { SLOT = 1000000, HOUR = 3600000 };

static struct run run = {.policy = (char *)"nightly", .schedule = (char *)"daily", .slot_ms = SLOT};

static int timing(struct run *its, const struct run_limits *limits, struct run_member *members, struct run_time *times)
{
    struct list list = {members, 4};
    struct timed_run one = {.run = its, .limits = limits, .members = &list, .times = times};

    return runs_timing(&one, 1, NULL);
}

static void make(struct run_member *members, struct run_time *times, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        members[i] = (struct run_member){.host = (char *)(i % 2 ? "beta" : "alpha"), .due_at_ms = SLOT};
        times[i] = (struct run_time){.duration_ms = HOUR};
    }
}

static void what_there_is_no_room_for_waits(void **state)
{
    struct run_member members[4];
    struct run_time times[4];
    const struct run_limits two = {.policy_jobs = 2}, one_a_host = {.per_host = 1};

    (void)state;
    make(members, times, 4);
    assert_int_equal(timing(&run, &two, members, times), 0);
    assert_int_equal(times[1].start_ms, SLOT);
    assert_int_equal(times[2].start_ms, SLOT + HOUR);
    assert_int_equal(times[3].end_ms, SLOT + 2 * HOUR);
    make(members, times, 4);
    times[0].duration_ms = 3 * HOUR;
    assert_int_equal(timing(&run, &one_a_host, members, times), 0);
    assert_int_equal(times[2].start_ms, SLOT + 3 * HOUR);
    assert_int_equal(times[3].start_ms, SLOT + HOUR);
}

static void turns_windows_and_what_is_left_out(void **state)
{
    struct run_member members[4];
    struct run_time times[4];
    struct run short_one = run;
    const struct run_limits one = {.jobs = 1};

    (void)state;
    make(members, times, 4);
    members[0].due_at_ms = SLOT + HOUR / 2;
    members[1].skipped = (char *)"refused: no repository";
    short_one.window_end_at_ms = SLOT + HOUR + HOUR / 4;
    assert_int_equal(timing(&short_one, &one, members, times), 0);
    assert_int_equal(times[1].start_ms, 0);
    assert_int_equal(times[2].start_ms, SLOT);
    assert_int_equal(times[0].start_ms, SLOT + HOUR);
    assert_int_equal(times[3].start_ms, 0); /* its window is over */
}

static void what_nobody_knows_holds_nothing_back(void **state)
{
    struct run_member members[4];
    struct run_time times[4];
    const struct run_limits one = {.jobs = 1};

    (void)state;
    make(members, times, 4);
    times[0].duration_ms = 0;
    assert_int_equal(timing(&run, &one, members, times), 0);
    assert_int_equal(times[0].start_ms, SLOT);
    assert_int_equal(times[0].end_ms, 0);
    assert_in_range(times[1].start_ms, SLOT, SLOT + 10);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_there_is_no_room_for_waits),
        cmocka_unit_test(turns_windows_and_what_is_left_out),
        cmocka_unit_test(what_nobody_knows_holds_nothing_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
