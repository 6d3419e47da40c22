#include "base/err.h"
#include "coordinator/run.h"
#include "model/job_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct run_load *load;

static int make_load(void **state)
{
    (void)state;
    return run_load_new(&load, NULL);
}

static int free_load(void **state)
{
    (void)state;
    run_load_free(load);
    return 0;
}

static struct run_seat seat(enum member_state state)
{
    return (struct run_seat){.state = state, .host = "alpha", .repository = "main", .host_ready = true};
}

static const struct run plain = {.policy = (char *)"nightly", .schedule = (char *)"daily"};
static const struct run_limits no_limits;

static enum member_move move_of(const struct run *run, int64_t now_ms, struct run_seat one)
{
    run_decide(run, &no_limits, now_ms, &one, 1, load);
    return one.move;
}

static void what_a_member_waits_for(void **state)
{
    struct run_seat one = seat(MEMBER_PENDING);

    (void)state;
    assert_int_equal(move_of(&plain, 1000, one), MOVE_SUBMIT);
    one.due_at_ms = 1001;
    assert_int_equal(move_of(&plain, 1000, one), MOVE_NONE);
    assert_int_equal(move_of(&plain, 1001, one), MOVE_SUBMIT);
    one.host_ready = false;
    assert_int_equal(move_of(&plain, 2000, one), MOVE_NONE);
    one = seat(MEMBER_PENDING);
    one.target_busy = true;
    assert_int_equal(move_of(&plain, 2000, one), MOVE_NONE);
    one = seat(MEMBER_PENDING);
    one.waits_for_earlier = true;
    assert_int_equal(move_of(&plain, 2000, one), MOVE_NONE);
    for (enum member_state over = MEMBER_DONE; over <= MEMBER_SKIPPED; over++)
        assert_int_equal(move_of(&plain, 2000, seat(over)), MOVE_NONE);
}

static void limits_hold_for_all_that_is_under_way(void **state)
{
    struct run_limits limits = {.per_host = 2, .per_repository = 3, .jobs = 4, .policy_per_host = 1};
    struct run_seat seats[] = {seat(MEMBER_PENDING), seat(MEMBER_PENDING), seat(MEMBER_PENDING), seat(MEMBER_PENDING)};

    (void)state;
    seats[2].host = seats[3].host = "beta";
    const struct run_seat others = {.host = "alpha", .repository = "main"};
    run_load_add(load, "other", &others); /* another policy's */
    run_decide(&plain, &limits, 1, seats, 4, load);
    assert_int_equal(seats[0].move, MOVE_SUBMIT);
    assert_int_equal(seats[1].move, MOVE_NONE); /* a second of this policy, and a third on alpha */
    assert_int_equal(seats[2].move, MOVE_SUBMIT);
    assert_int_equal(seats[3].move, MOVE_NONE);
    seats[3].host = "gamma"; /* main is full: 3 */
    run_decide(&plain, &limits, 1, &seats[3], 1, load);
    assert_int_equal(seats[3].move, MOVE_NONE);
    seats[3].repository = NULL;
    run_decide(&plain, &limits, 1, &seats[3], 1, load);
    assert_int_equal(seats[3].move, MOVE_SUBMIT);
    seats[1].host = "delta"; /* the fleet is full: 4 */
    seats[1].repository = NULL;
    run_decide(&plain, &limits, 1, &seats[1], 1, load);
    assert_int_equal(seats[1].move, MOVE_NONE);
}

static void a_window_ends(void **state)
{
    struct run run = plain;

    (void)state;
    run.window_end_at_ms = 5000;
    assert_int_equal(move_of(&run, 4999, seat(MEMBER_PENDING)), MOVE_SUBMIT);
    assert_int_equal(move_of(&run, 5000, seat(MEMBER_PENDING)), MOVE_DROP);
    assert_int_equal(move_of(&run, 5000, seat(MEMBER_OPEN)), MOVE_NONE);
    run.cancel_at_end = true;
    assert_int_equal(move_of(&run, 4999, seat(MEMBER_OPEN)), MOVE_NONE);
    assert_int_equal(move_of(&run, 5000, seat(MEMBER_OPEN)), MOVE_CANCEL);
}

static void a_cancelled_run_starts_nothing_more(void **state)
{
    struct run run = plain;
    struct run_seat asked = seat(MEMBER_OPEN);

    (void)state;
    run.cancel = (char *)"anna: wrong";
    asked.cancel_asked = true;
    assert_int_equal(move_of(&run, 1, seat(MEMBER_PENDING)), MOVE_DROP);
    assert_int_equal(move_of(&run, 1, seat(MEMBER_OPEN)), MOVE_CANCEL);
    assert_int_equal(move_of(&run, 1, asked), MOVE_NONE);
}

static void nobody_overtakes_in_order(void **state)
{
    struct run run = plain;
    struct run_seat seats[] = {seat(MEMBER_DONE), seat(MEMBER_PENDING), seat(MEMBER_OPEN), seat(MEMBER_PENDING)};

    (void)state;
    seats[1].host_ready = false;
    run_decide(&run, &no_limits, 1, seats, 4, load);
    assert_int_equal(seats[3].move, MOVE_SUBMIT);
    run.in_order = true;
    run_decide(&run, &no_limits, 1, seats, 4, load);
    assert_int_equal(seats[1].move, MOVE_NONE);
    assert_int_equal(seats[3].move, MOVE_NONE);
    seats[1].host_ready = true;
    run_decide(&run, &no_limits, 1, seats, 4, load);
    assert_int_equal(seats[1].move, MOVE_SUBMIT);
    assert_int_equal(seats[3].move, MOVE_SUBMIT);
}

static void a_failure_stops_the_rest_if_asked(void **state)
{
    static const enum member_state bad[] = {MEMBER_FAILED, MEMBER_UNKNOWN, MEMBER_CANCELLED};
    struct run run = plain;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct run_seat seats[] = {seat(MEMBER_PENDING), seat(bad[i]), seat(MEMBER_OPEN)};
        run.stop_on_failure = false;
        run_decide(&run, &no_limits, 1, seats, 3, load);
        assert_int_equal(seats[0].move, MOVE_SUBMIT);
        run.stop_on_failure = true;
        run_decide(&run, &no_limits, 1, seats, 3, load);
        assert_int_equal(seats[0].move, MOVE_DROP);
        assert_int_equal(seats[2].move, MOVE_NONE); /* what runs is left alone */
    }
}

static void a_dead_host_is_waited_for_only_so_long(void **state)
{
    struct run run = plain;
    struct run_seat one = seat(MEMBER_PENDING);

    (void)state;
    one.host_ready = false;
    run_decide(&run, &no_limits, 1000, &one, 1, load);
    run_decide(&run, &no_limits, 900000, &one, 1, load);
    assert_int_equal(one.move, MOVE_NONE);
    run.start_within_ms = 60000;
    run_decide(&run, &no_limits, 1000000, &one, 1, load);
    run_decide(&run, &no_limits, 1059999, &one, 1, load);
    assert_int_equal(one.move, MOVE_NONE);
    one.host_ready = true; /* it was there meanwhile: the time begins anew */
    one.due_at_ms = 0;
    run_decide(&run, &(struct run_limits){.jobs = 1}, 1059999, &one, 1, load);
    one.host_ready = false;
    run_decide(&run, &no_limits, 1060000, &one, 1, load);
    assert_int_equal(one.move, MOVE_NONE);
    run_decide(&run, &no_limits, 1120000, &one, 1, load);
    assert_int_equal(one.move, MOVE_REFUSE);
}

static enum run_outcome judge(const struct run *run, const char *states)
{
    static const char letters[] = "podfcus"; /* pending open done failed cancelled unknown skipped */
    struct run_seat seats[16];
    struct run_counts counts;
    size_t count = 0;

    for (; *states; states++)
        seats[count++] = seat((enum member_state)(strchr(letters, *states) - letters));
    run_count(seats, count, &counts);
    return run_judge(run, &counts);
}

static enum member_state hears(struct job_word word, bool parked)
{
    struct run_seat one = seat(MEMBER_OPEN);

    run_hear(&word, parked, &one);
    assert_int_equal(one.lost, word.lost && one.state == MEMBER_FAILED);
    return one.state;
}

static void what_a_jobs_word_means(void **state)
{
    (void)state;
    assert_int_equal(hears((struct job_word){0}, false), MEMBER_PENDING);
    assert_int_equal(hears((struct job_word){.known = true}, false), MEMBER_OPEN);
    assert_int_equal(hears((struct job_word){.known = true}, true), MEMBER_UNKNOWN);
    assert_int_equal(hears((struct job_word){.known = true, .lost = true}, false), MEMBER_FAILED);
    assert_int_equal(hears((struct job_word){.known = true, .lost = true}, true), MEMBER_UNKNOWN);
    assert_int_equal(hears((struct job_word){.known = true, .ended = true, .state = STATE_SUCCEEDED}, false),
                     MEMBER_DONE);
    assert_int_equal(hears((struct job_word){.known = true, .ended = true, .state = STATE_EXPIRED}, false),
                     MEMBER_FAILED);
    assert_int_equal(hears((struct job_word){.known = true, .ended = true, .state = STATE_CANCELLED}, false),
                     MEMBER_CANCELLED);
    assert_int_equal(hears((struct job_word){.known = true, .ended = true, .state = STATE_PARKED}, false),
                     MEMBER_UNKNOWN);
}

/* A host that comes back before the run has ended: its job counts again. */
static void what_was_lost_is_found(void **state)
{
    struct run_seat one = seat(MEMBER_OPEN);

    (void)state;
    run_hear(&(struct job_word){.known = true, .lost = true}, false, &one);
    assert_int_equal(one.state, MEMBER_FAILED);
    run_hear(&(struct job_word){.known = true}, false, &one);
    assert_int_equal(one.state, MEMBER_OPEN);
    assert_false(one.lost);
}

/* Nobody waits for it any more: should its host come back, it is not to begin. A policy's job may. */
static void what_is_lost_of_a_deploy_is_asked_to_stop(void **state)
{
    struct run deploy = plain;
    struct run_seat seats[] = {seat(MEMBER_OPEN), seat(MEMBER_PENDING)};

    (void)state;
    deploy.deploy = (char *)"2214";
    deploy.stop_on_failure = true;
    run_hear(&(struct job_word){.known = true, .lost = true}, false, &seats[0]);
    run_decide(&deploy, &no_limits, 1, seats, 2, load);
    assert_int_equal(seats[0].move, MOVE_CANCEL);
    assert_int_equal(seats[1].move, MOVE_DROP);
    seats[0].cancel_asked = true;
    run_decide(&deploy, &no_limits, 1, seats, 2, load);
    assert_int_equal(seats[0].move, MOVE_NONE);
    seats[0].cancel_asked = false;
    run_decide(&plain, &no_limits, 1, seats, 1, load);
    assert_int_equal(seats[0].move, MOVE_NONE);
}

static void how_a_run_ended(void **state)
{
    struct run cancelled = plain;

    (void)state;
    cancelled.cancel = (char *)"x";
    assert_int_equal(judge(&plain, "ddp"), RUN_RUNNING);
    assert_int_equal(judge(&plain, "ddo"), RUN_RUNNING);
    assert_int_equal(judge(&cancelled, "o"), RUN_RUNNING);
    assert_int_equal(judge(&plain, "dd"), RUN_DONE);
    assert_int_equal(judge(&plain, "dds"), RUN_DONE);
    assert_int_equal(judge(&plain, "dfs"), RUN_SOME_FAILED);
    assert_int_equal(judge(&plain, "ffs"), RUN_FAILED);
    assert_int_equal(judge(&plain, "dfu"), RUN_UNKNOWN);
    assert_int_equal(judge(&plain, "dc"), RUN_CANCELLED);
    assert_int_equal(judge(&cancelled, "ds"), RUN_CANCELLED);
    assert_int_equal(judge(&plain, "ss"), RUN_EMPTY);
    assert_int_equal(judge(&plain, ""), RUN_EMPTY);
}

static void a_pool_is_full_for_all_who_have_disks_in_it(void **state)
{
    const struct run_limits limits = {.per_pool = 2, .policy_per_pool = 1};
    char *names[] = {(char *)"alpha:/images", (char *)"/mnt/shared"};
    const struct strings images = {names, 1}, both = {names, 2}, shared = {names + 1, 1};
    struct run_seat seats[] = {seat(MEMBER_PENDING), seat(MEMBER_PENDING), seat(MEMBER_PENDING), seat(MEMBER_PENDING)};
    const struct run_seat other = {.host = "beta", .pools = &shared};
    const char *holders[RUN_HOLDERS];
    char text[200];

    (void)state;
    run_load_remember(load);
    run_load_add(load, "weekly", &other);
    seats[0].pools = &images;
    seats[1].pools = &both;
    seats[2].pools = &shared;
    run_decide(&plain, &limits, 1, seats, 4, load);
    assert_int_equal(seats[0].move, MOVE_SUBMIT);
    assert_int_equal(seats[1].full, LIMIT_POLICY_PER_POOL); /* the first has one there */
    assert_int_equal(seats[2].move, MOVE_SUBMIT);
    assert_int_equal(seats[3].move, MOVE_SUBMIT); /* has no disks in any */
    run_limit_text(LIMIT_POLICY_PER_POOL, &limits, "nightly", &seats[0], text, sizeof text);
    assert_string_equal(text, "limits.per_pool 1 of policy nightly on alpha:/images");
    const struct run hourly = {.policy = (char *)"hourly", .schedule = (char *)"hourly"};
    run_decide(&hourly, &limits, 1, &seats[1], 1, load);
    assert_int_equal(seats[1].full, LIMIT_PER_POOL); /* the shared one has two */
    assert_int_equal(run_load_holders(load, LIMIT_PER_POOL, "hourly", &seats[1], holders), 2);
    assert_string_equal(holders[0], "nightly");
    assert_string_equal(holders[1], "weekly");
}

/* Whatever the jobs do, a run comes to an end, and no more of them are under way than the limits allow. */
static void every_run_ends_within_its_limits(void **state)
{
    enum { MEMBERS = 40, ROUNDS = 2000 };
    const struct run_limits limits = {.jobs = 7, .per_host = 3, .policy_per_repository = 5};
    static const char *const hosts[] = {"a", "b", "c"};

    (void)state;
    for (unsigned seed = 1; seed <= 200; seed++) {
        struct run_seat seats[MEMBERS];
        struct run_counts counts = {0};
        int round = 0;
        srand(seed);
        for (int i = 0; i < MEMBERS; i++) {
            seats[i] = seat(rand() % 10 ? MEMBER_PENDING : MEMBER_SKIPPED);
            seats[i].host = hosts[rand() % 3];
            seats[i].due_at_ms = rand() % 50;
        }
        for (; round < ROUNDS && run_judge(&plain, (run_count(seats, MEMBERS, &counts), &counts)) == RUN_RUNNING;
             round++) {
            struct run_load *now;
            assert_int_equal(run_load_new(&now, NULL), 0);
            for (int i = 0; i < MEMBERS; i++)
                if (seats[i].state == MEMBER_OPEN)
                    run_load_add(now, "nightly", &seats[i]);
            run_decide(&plain, &limits, round, seats, MEMBERS, now);
            run_load_free(now);
            size_t open = 0;
            for (int i = 0; i < MEMBERS; i++) {
                if (seats[i].move == MOVE_SUBMIT)
                    seats[i].state = MEMBER_OPEN;
                else if (seats[i].state == MEMBER_OPEN && rand() % 3 == 0)
                    seats[i].state = (enum member_state)(MEMBER_DONE + rand() % 4);
                open += seats[i].state == MEMBER_OPEN;
            }
            assert_true(open <= 5); /* the repository's */
        }
        assert_true(round < ROUNDS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_a_member_waits_for, make_load, free_load),
        cmocka_unit_test_setup_teardown(limits_hold_for_all_that_is_under_way, make_load, free_load),
        cmocka_unit_test_setup_teardown(a_pool_is_full_for_all_who_have_disks_in_it, make_load, free_load),
        cmocka_unit_test_setup_teardown(a_window_ends, make_load, free_load),
        cmocka_unit_test_setup_teardown(a_cancelled_run_starts_nothing_more, make_load, free_load),
        cmocka_unit_test_setup_teardown(nobody_overtakes_in_order, make_load, free_load),
        cmocka_unit_test_setup_teardown(a_failure_stops_the_rest_if_asked, make_load, free_load),
        cmocka_unit_test_setup_teardown(a_dead_host_is_waited_for_only_so_long, make_load, free_load),
        cmocka_unit_test(what_a_jobs_word_means),
        cmocka_unit_test(what_was_lost_is_found),
        cmocka_unit_test_setup_teardown(what_is_lost_of_a_deploy_is_asked_to_stop, make_load, free_load),
        cmocka_unit_test(how_a_run_ended),
        cmocka_unit_test(every_run_ends_within_its_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
