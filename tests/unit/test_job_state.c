#include "model/job_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Rows: from; columns: to, in the order of the enum. */
static const char *const edges[STATE_COUNT] = {
    /*               PL PU AC WA RU SU FA CA EX RE PA */
    [STATE_PLANNED] = ".x.....xxx.",  [STATE_PUBLISHED] = ".xxxx.xxxx.", [STATE_ACCEPTED] = "...xxxxxxxx",
    [STATE_WAITING] = "...xxxxxxxx",  [STATE_RUNNING] = "...xxxxxxxx",   [STATE_SUCCEEDED] = "...........",
    [STATE_FAILED] = "...........",   [STATE_CANCELLED] = "...........", [STATE_EXPIRED] = "...........",
    [STATE_REJECTED] = "...........", [STATE_PARKED] = "..........x",
};

static void every_edge_is_as_drawn(void **state)
{
    (void)state;
    for (int from = 0; from < STATE_COUNT; from++)
        for (int to = 0; to < STATE_COUNT; to++)
            assert_int_equal(job_state_may_follow((enum job_state)from, (enum job_state)to), edges[from][to] == 'x');
}

static void nothing_follows_what_has_ended(void **state)
{
    (void)state;
    for (int from = 0; from < STATE_COUNT; from++) {
        bool terminal = job_state_terminal((enum job_state)from);
        assert_int_equal(terminal, from >= STATE_SUCCEEDED);
        for (int to = 0; terminal && to < STATE_COUNT; to++)
            assert_true(!job_state_may_follow((enum job_state)from, (enum job_state)to) ||
                        (from == STATE_PARKED && to == STATE_PARKED));
    }
}

static void every_end_can_be_reached_from_every_state_in_custody(void **state)
{
    (void)state;
    for (int to = STATE_SUCCEEDED; to <= STATE_PARKED; to++) {
        assert_true(job_state_may_follow(STATE_ACCEPTED, (enum job_state)to));
        assert_true(job_state_may_follow(STATE_WAITING, (enum job_state)to));
        assert_true(job_state_may_follow(STATE_RUNNING, (enum job_state)to));
    }
}

static void what_is_no_state_follows_nothing(void **state)
{
    (void)state;
    assert_false(job_state_may_follow(STATE_COUNT, STATE_RUNNING));
    assert_false(job_state_may_follow(STATE_RUNNING, STATE_COUNT));
    assert_false(job_state_may_follow((enum job_state) - 1, STATE_RUNNING));
    assert_false(job_state_may_follow(STATE_RUNNING, (enum job_state) - 1));
}

static void every_state_has_a_name(void **state)
{
    (void)state;
    for (int i = 0; i < STATE_COUNT; i++)
        assert_true(strlen(job_state_names[i]) > 0);
    assert_null(job_state_names[STATE_COUNT]);
    assert_string_equal(job_state_names[STATE_PLANNED], "PLANNED");
    assert_string_equal(job_state_names[STATE_PARKED], "PARKED");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_edge_is_as_drawn),
        cmocka_unit_test(nothing_follows_what_has_ended),
        cmocka_unit_test(every_end_can_be_reached_from_every_state_in_custody),
        cmocka_unit_test(what_is_no_state_follows_nothing),
        cmocka_unit_test(every_state_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
