/* fs_barrier on a real server of the test's own: votes in every order, repeats, members that begin again or give up, loss of memory. Each test has a group of its own. */
#include "base/err.h"
#include "redis/store.h"
#include "support/own_redis.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct own_redis *server;
static struct redis *redis;
static char group[40]; /* of the test */

static int start_server(void **state)
{
    struct redis_options options = {0};
    struct err err = {0};

    (void)state;
    server = own_redis_start(NULL);
    options.address = own_redis_address(server);
    return redis_new(&options, &redis, &err) < 0 ? -1 : store_load_functions(redis, &err);
}

static int stop_server(void **state)
{
    (void)state;
    redis_free(redis);
    own_redis_stop(server);
    return 0;
}

static int new_group(void **state)
{
    static int groups;

    (void)state;
    snprintf(group, sizeof group, "g%d", ++groups);
    return 0;
}

static struct barrier_result give(const struct store_barrier *vote)
{
    struct store_command command = {0};
    struct barrier_result result;
    struct err err = {0};

    assert_int_equal(store_barrier_command(vote, &command, &err), 0);
    struct redis_reply *reply = store_call(redis, &command, &err);
    store_barrier_answer(reply ? REDIS_ANSWERED : REDIS_LOST, reply, &result);
    if (result.answer == BARRIER_NO_ANSWER)
        fail_msg("%s %s", err.text, result.detail);
    redis_reply_free(reply);
    store_command_clear(&command);
    return result;
}

/* One of two members, in its first attempt. */
static struct barrier_result voted(const char *job, enum barrier_vote vote)
{
    return give(&(struct store_barrier){group, job, "i/1", 2, vote, vote == VOTE_ABORT ? "told to" : NULL});
}

static void expect(const char *job, enum barrier_vote vote, enum barrier_answer answer)
{
    assert_int_equal(voted(job, vote).answer, answer);
}

static void both(enum barrier_vote vote)
{
    expect("a", vote, BARRIER_WAIT);
    expect("a", vote, BARRIER_WAIT); /* a repeat counts once */
    expect("b", vote, BARRIER_ON);
    expect("a", vote, BARRIER_ON);
}

static void run(int argc, const char *const argv[])
{
    struct err err = {0};
    struct redis_reply *reply = redis_call(redis, &err, argc, argv, NULL);

    if (!reply || redis_reply_is_error(reply))
        fail_msg("%s: %s", argv[0], err.text);
    redis_reply_free(reply);
}

static char *key(void)
{
    static char name[64];

    snprintf(name, sizeof name, "fs:barrier:%s", group);
    return name;
}

/* ---- tests ---- */

static void all_vote_and_all_go_on(void **state)
{
    (void)state;
    both(VOTE_READY);
    both(VOTE_RESERVED);
    expect("a", VOTE_FROZEN, BARRIER_WAIT);
    poll(NULL, 0, 30);
    struct barrier_result last = voted("b", VOTE_FROZEN), first = voted("a", VOTE_FROZEN);
    assert_int_equal(last.answer, BARRIER_ON);
    assert_int_equal(last.skew_ms, 0);
    assert_int_equal(first.answer, BARRIER_ON);
    assert_true(first.skew_ms >= 25);
    assert_int_equal(first.spread_ms, first.skew_ms);
    assert_int_equal(last.spread_ms, first.spread_ms);
    expect("a", VOTE_ABORT, BARRIER_LATE); /* what was decided stands */
    expect("b", VOTE_FROZEN, BARRIER_ON);
}

static void one_that_gives_up_ends_it_for_all(void **state)
{
    static const enum barrier_vote before[] = {VOTE_READY, VOTE_RESERVED};

    for (size_t n = 0; n <= sizeof before / sizeof *before; n++) {
        new_group(state);
        for (size_t i = 0; i < n; i++)
            both(before[i]);
        expect("a", (enum barrier_vote)n, BARRIER_WAIT);
        expect("b", VOTE_ABORT, BARRIER_ABORT);
        struct barrier_result heard = voted("a", (enum barrier_vote)n);
        assert_int_equal(heard.answer, BARRIER_ABORT);
        assert_string_equal(heard.detail, "told to");
        expect("b", (enum barrier_vote)n, BARRIER_ABORT);
    }
}

static void nobody_is_frozen_before_all_are_there(void **state)
{
    (void)state;
    expect("a", VOTE_READY, BARRIER_WAIT);
    expect("a", VOTE_FROZEN, BARRIER_ABORT);
    expect("b", VOTE_READY, BARRIER_ABORT);
}

/* Its worker died, and with it what it held. */
static void one_that_begins_again_ends_it(void **state)
{
    (void)state;
    expect("a", VOTE_READY, BARRIER_WAIT);
    struct barrier_result again = give(&(struct store_barrier){group, "a", "i/2", 2, VOTE_READY, NULL});
    assert_int_equal(again.answer, BARRIER_ABORT);
    assert_string_equal(again.detail, "job a began again");
    expect("b", VOTE_READY, BARRIER_ABORT);
}

/* … but it cannot take back what all have decided. */
static void one_that_begins_again_late_is_alone(void **state)
{
    (void)state;
    both(VOTE_READY);
    both(VOTE_RESERVED);
    both(VOTE_FROZEN);
    assert_int_equal(give(&(struct store_barrier){group, "a", "i/2", 2, VOTE_READY, NULL}).answer, BARRIER_ABORT);
    expect("b", VOTE_FROZEN, BARRIER_ON);
}

static void after_a_loss_of_memory_nobody_goes_on(void **state)
{
    static const enum barrier_vote before[] = {VOTE_READY, VOTE_RESERVED};

    for (size_t n = 0; n < sizeof before / sizeof *before; n++) {
        new_group(state);
        for (size_t i = 0; i <= n; i++)
            both(before[i]);
        run(2, (const char *[]){"DEL", key()});
        expect("a", before[n] + 1, BARRIER_ABORT);
        expect("b", before[n] + 1, BARRIER_ABORT);
    }
}

static void who_reserves_too_late_ends_it(void **state)
{
    (void)state;
    both(VOTE_READY);
    expect("a", VOTE_RESERVED, BARRIER_WAIT);
    run(4, (const char *[]){"HSET", key(), "until", "1"}); /* the 5 s are over */
    expect("a", VOTE_RESERVED, BARRIER_ABORT);
    expect("b", VOTE_RESERVED, BARRIER_ABORT);
}

static void members_must_agree_on_their_number(void **state)
{
    (void)state;
    expect("a", VOTE_READY, BARRIER_WAIT);
    assert_int_equal(give(&(struct store_barrier){group, "b", "i/1", 3, VOTE_READY, NULL}).answer, BARRIER_ABORT);
    expect("a", VOTE_READY, BARRIER_ABORT);
}

static void it_is_forgotten_after_an_hour(void **state)
{
    struct err err = {0};

    (void)state;
    expect("a", VOTE_READY, BARRIER_WAIT);
    const char *const left[] = {"PTTL", key()};
    struct redis_reply *reply = redis_call(redis, &err, 2, left, NULL);
    assert_true(redis_reply_int(reply, 0) > 3500000 && redis_reply_int(reply, 0) <= 3600000);
    redis_reply_free(reply);
}

#define TEST(name) cmocka_unit_test_setup(name, new_group)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_vote_and_all_go_on),
        TEST(one_that_gives_up_ends_it_for_all),
        TEST(nobody_is_frozen_before_all_are_there),
        TEST(one_that_begins_again_ends_it),
        TEST(one_that_begins_again_late_is_alone),
        TEST(after_a_loss_of_memory_nobody_goes_on),
        TEST(who_reserves_too_late_ends_it),
        TEST(members_must_agree_on_their_number),
        TEST(it_is_forgotten_after_an_hour),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
