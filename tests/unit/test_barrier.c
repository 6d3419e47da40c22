/* What a member of a consistency group does with each answer, by its own clock. */
#include "base/err.h"
#include "worker/barrier.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct barrier_wait wait;
static struct err err;

static enum barrier_move next(enum barrier_answer answer, int64_t now_ms)
{
    const struct barrier_result heard = {.answer = answer, .detail = "somebody died"};

    err = (struct err){0};
    return barrier_next(&wait, &heard, now_ms, false, &err);
}

static void it_is_ready_then_reserved_then_through(void **state)
{
    (void)state;
    barrier_gather(&wait, 1000);
    assert_int_equal(wait.vote, VOTE_READY);
    assert_int_equal(next(BARRIER_WAIT, 1001), BARRIER_ASK);
    assert_int_equal(wait.vote, VOTE_READY);
    assert_int_equal(next(BARRIER_NO_ANSWER, 1002), BARRIER_ASK); /* Redis may come back */
    assert_int_equal(next(BARRIER_ON, 50000), BARRIER_ASK);
    assert_int_equal(wait.vote, VOTE_RESERVED);
    assert_int_equal(wait.until_ms, 50000 + BARRIER_RESERVE_MS);
    assert_int_equal(next(BARRIER_WAIT, 50001), BARRIER_ASK);
    assert_int_equal(next(BARRIER_ON, 50002), BARRIER_THROUGH);
}

static void frozen_is_through_when_all_are(void **state)
{
    (void)state;
    barrier_freeze(&wait, 1000, 10000);
    assert_int_equal(wait.vote, VOTE_FROZEN);
    assert_int_equal(next(BARRIER_WAIT, 5000), BARRIER_ASK);
    assert_int_equal(next(BARRIER_ON, 10999), BARRIER_THROUGH);
}

/* A yes that comes when the limit is over is none. */
static void nothing_is_waited_for_longer_than_the_limit(void **state)
{
    static const enum barrier_answer answers[] = {BARRIER_WAIT, BARRIER_ON, BARRIER_NO_ANSWER};

    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        barrier_gather(&wait, 0);
        assert_int_equal(next(answers[i], BARRIER_GATHER_MS), BARRIER_GIVEN_UP);
        assert_int_equal(err.kind, ERR_PERMANENT);
        barrier_freeze(&wait, 0, 10000);
        assert_int_equal(next(answers[i], 10000), BARRIER_GIVEN_UP);
        assert_int_equal(err.kind, ERR_PERMANENT);
    }
    assert_non_null(strstr(err.text, "Redis does not answer: somebody died"));
    barrier_gather(&wait, 0);
    assert_int_equal(next(BARRIER_ON, 0), BARRIER_ASK);
    assert_int_equal(next(BARRIER_WAIT, BARRIER_RESERVE_MS), BARRIER_GIVEN_UP);
}

static void an_abort_ends_it_at_once(void **state)
{
    (void)state;
    barrier_freeze(&wait, 0, 10000);
    assert_int_equal(next(BARRIER_ABORT, 1), BARRIER_GIVEN_UP);
    assert_int_equal(err.kind, ERR_PERMANENT);
    assert_non_null(strstr(err.text, "somebody died"));
}

static void who_is_told_to_stop_stops(void **state)
{
    const struct barrier_result heard = {.answer = BARRIER_ON};

    (void)state;
    barrier_freeze(&wait, 0, 10000);
    assert_int_equal(barrier_next(&wait, &heard, 1, true, &err), BARRIER_GIVEN_UP);
    assert_int_equal(err.kind, ERR_CANCELLED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_ready_then_reserved_then_through),
        cmocka_unit_test(frozen_is_through_when_all_are),
        cmocka_unit_test(nothing_is_waited_for_longer_than_the_limit),
        cmocka_unit_test(an_abort_ends_it_at_once),
        cmocka_unit_test(who_is_told_to_stop_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
