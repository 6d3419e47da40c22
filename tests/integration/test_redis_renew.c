/* Who may go on and how it ends: renewals, what is taken back, pins, ends that are repeated, PARKED jobs. On a real server of the test's own. */
#include "support/redis_words.h"

#include "base/clock.h"
#include "base/err.h"

#include <stdio.h>
#include <string.h>

/* ---- renew ---- */

static void renew_extends_the_lock_and_carries_progress(void **state)
{
    struct store_acquire request = new_acquire("j1", 1);
    int64_t token;
    int64_t before;

    (void)state;
    ticket("j1", 1);
    request.ttl_ms = 5000;
    token = acquire(&request).token;
    before = number_of(RUN("HGET", "fs:lock:" TARGET, "until"));
    assert_int_equal(renew_plain("j1", token), RENEW_OK);
    assert_true(number_of(RUN("HGET", "fs:lock:" TARGET, "until")) > before + 20000);
    assert_string_equal(look("j1").phase, "push");
    assert_int_equal(look("j1").done, 5);
    assert_int_equal(look("j1").total, 9);
    assert_true(look("j1").heartbeat_ms > 0);
}

static void what_ran_out_and_nobody_took_is_taken_back(void **state)
{
    struct store_renew request;
    int64_t token;

    (void)state;
    ticket("j1", 1);
    token = take_briefly("j1");
    request = new_renew("j1", token);
    request.trusted_until_real_ms = clock_real_ms() - 5000;
    assert_int_equal(renew(&request).answer, RENEW_TAKEN_BACK);
    assert_int_equal(renew(&request).answer, RENEW_OK);
    assert_int_equal(finish("j1", token, "SUCCEEDED"), FINISH_OK);
}

static void after_a_loss_of_memory_only_the_trusting_take_back(void **state)
{
    struct store_renew request = new_renew("j1", STEP + 1);
    struct renew_result heard;

    (void)state;
    DO("FLUSHALL");
    request.trusted_until_real_ms = clock_real_ms() - 1000;
    heard = renew(&request);
    assert_int_equal(heard.answer, RENEW_LOST);
    assert_non_null(strstr(heard.detail, "lost its memory"));
    request.trusted_until_real_ms = clock_real_ms() + 1000;
    assert_int_equal(renew(&request).answer, RENEW_TAKEN_BACK);
    DO("DEL", "fs:lock:" TARGET);
    request.trusted_until_real_ms = 0;
    assert_int_equal(renew(&request).answer, RENEW_TAKEN_BACK);
    expect_text(RUN("HGET", "fs:lock:" TARGET, "owner"), "alpha/j1");
    assert_int_equal(number_of(RUN("HGET", "fs:lock:" TARGET, "fence")), STEP + 1);
    /* The next token of the new epoch is above it. */
    write_epoch(2);
    ticket("j2", 1);
    assert_int_equal(finish("j1", STEP + 1, "SUCCEEDED"), FINISH_OK);
    struct store_acquire next = new_acquire("j2", 1);
    next.epoch = 2;
    assert_int_equal(acquire(&next).token, 2 * STEP + 1);
}

/* From the loss until the new epoch was written nobody got a lock, and since then it would show. */
static void trust_that_ended_after_the_new_epoch_is_good(void **state)
{
    struct store_renew request = new_renew("j1", STEP + 1);

    (void)state;
    DO("FLUSHALL");
    write_epoch(2);
    request.trusted_until_real_ms = clock_real_ms() - 1000;
    assert_int_equal(renew(&request).answer, RENEW_LOST);
    DO("SET", "fs:epoch:at", "1000");
    assert_int_equal(renew(&request).answer, RENEW_TAKEN_BACK);
}

static void another_instance_loses_a_living_lock(void **state)
{
    struct store_renew request;

    (void)state;
    ticket("j1", 1);
    request = new_renew("j1", take("j1"));
    request.instance = "boot-2";
    assert_int_equal(renew(&request).answer, RENEW_LOST);
    request.instance = "boot-1";
    assert_int_equal(renew(&request).answer, RENEW_OK);
}

static void pinned_points_are_named_and_unknown_pins_are_said_to_be_unknown(void **state)
{
    const char *const taken[] = {"point-1", "point 2", NULL};
    struct strings points = {0};
    struct store_renew request;
    struct renew_result heard;
    struct err err = {0};

    (void)state;
    ticket("j1", 2);
    request = new_renew("j1", take("j1"));
    request.taken_points = taken;
    request.pins_key = "repository:main";
    assert_int_equal(renew(&request).answer, RENEW_OK);
    strings_add(&points, "point 2", &err);
    strings_add(&points, "point-9", &err);
    assert_int_equal(store_pins_write(redis, TERM, "repository:main", &points, &err), 0);
    heard = renew(&request);
    assert_int_equal(heard.answer, RENEW_PINNED);
    assert_string_equal(heard.detail, "point 2");
    request.pins_key = "libvirt:1\nrepository:main"; /* of both */
    assert_int_equal(renew(&request).answer, RENEW_PINNED);
    request.pins_key = "repository:main\nlibvirt:1";
    assert_int_equal(renew(&request).answer, RENEW_PINNED);
    request.pins_key = "libvirt:1\nlibvirt:2";
    assert_int_equal(renew(&request).answer, RENEW_OK);
    request.pins_key = "repository:main";
    strings_clear(&points);
    assert_int_equal(store_pins_write(redis, TERM, "repository:main", &points, &err), 0);
    assert_int_equal(renew(&request).answer, RENEW_OK);
    DO("DEL", "fs:epoch");
    heard = renew(&request);
    assert_int_equal(heard.answer, RENEW_NO_ANSWER);
    assert_non_null(strstr(heard.detail, "pins"));
}

static void thousands_of_pins_are_written(void **state)
{
    struct strings points = {0};
    struct err err = {0};
    char name[16];

    (void)state;
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "p%d", i);
        assert_int_equal(strings_add(&points, name, &err), 0);
    }
    assert_int_equal(store_pins_write(redis, TERM, TARGET, &points, &err), 0);
    assert_int_equal(store_pins_write(redis, TERM, TARGET, &points, &err), 0);
    assert_int_equal(number_of(RUN("SCARD", "fs:pin:" TARGET)), 3000);
    strings_clear(&points);
}

static void keys_without_pins_lose_what_is_left_over(void **state)
{
    struct strings points = {0}, keys = {0};
    struct err err = {0};

    (void)state;
    assert_int_equal(strings_add(&points, "p1", &err), 0);
    assert_int_equal(store_pins_write(redis, TERM, "repository:a", &points, &err), 0);
    assert_int_equal(store_pins_write(redis, TERM, "repository:b", &points, &err), 0);
    assert_int_equal(strings_add(&keys, "repository:b", &err), 0);
    assert_int_equal(store_pins_keys(redis, TERM, &keys, &err), 0);
    assert_int_equal(number_of(RUN("EXISTS", "fs:pin:repository:a")), 0);
    assert_int_equal(number_of(RUN("SISMEMBER", "fs:pin:repository:b", "p1")), 1);
    strings_clear(&keys);
    assert_int_equal(store_pins_keys(redis, TERM, &keys, &err), 0);
    assert_int_equal(number_of(RUN("EXISTS", "fs:pin:repository:b", "fs:pins")), 0);
    assert_int_equal(store_pins_keys(redis, TERM - 1, &keys, &err), -1);
    strings_clear(&points);
}

/* ---- finish ---- */

static void finish_is_told_once_and_repeated_as_often_as_one_likes(void **state)
{
    int64_t token;

    (void)state;
    ticket("j1", 1);
    token = take("j1");
    assert_int_equal(finish("j1", token, "SUCCEEDED"), FINISH_OK);
    assert_int_equal(finish("j1", token, "SUCCEEDED"), FINISH_DUP);
    assert_int_equal(finish("j1", token, "FAILED"), FINISH_DUP);
    assert_string_equal(look("j1").state, "SUCCEEDED");
    expect_text(RUN("HGET", "fs:lock:" TARGET, "owner"), "");
    assert_in_range(number_of(RUN("TTL", "fs:job:j1")), 1, MONTH_S);
}

static void released_for_a_retry_it_can_be_acquired_again(void **state)
{
    int64_t first;

    (void)state;
    ticket("j1", 1);
    first = take("j1");
    assert_int_equal(finish("j1", first, ""), FINISH_OK);
    assert_int_equal(finish("j1", first, ""), FINISH_OK);
    assert_string_equal(look("j1").state, "WAITING");
    assert_int_equal(take("j1"), first + 1);
    assert_int_equal(finish("j1", first, "FAILED"), FINISH_STALE);
    assert_string_equal(look("j1").state, "RUNNING");
}

static void an_end_without_a_ticket_survives_the_rebuilt_ticket(void **state)
{
    struct store_acquire request = new_acquire("j1", 1);

    (void)state;
    assert_int_equal(finish("j1", STEP + 1, "SUCCEEDED"), FINISH_OK);
    assert_int_equal(finish("j1", STEP + 1, "SUCCEEDED"), FINISH_DUP);
    assert_in_range(number_of(RUN("TTL", "fs:job:j1")), 1, MONTH_S);
    assert_int_equal(acquire(&request).answer, ACQUIRE_TERMINAL);
    ticket("j1", 1);
    assert_int_equal(acquire(&request).answer, ACQUIRE_TERMINAL);
    assert_int_equal(finish("none", STEP + 1, ""), FINISH_OK);
    assert_false(look("none").found);
}

static void parked_closes_the_target_until_it_is_resolved(void **state)
{
    struct store_acquire other = new_acquire("j2", 1);
    struct store_acquire reader = new_acquire("j3", 0);
    struct store_acquire resolver = new_acquire("j1", 2);
    int64_t token;

    (void)state;
    ticket("j1", 2);
    ticket("j2", 1);
    ticket("j3", 0);
    token = take("j1");
    assert_int_equal(finish("j1", token, "PARKED"), FINISH_OK);
    assert_int_equal(finish("j1", token, "PARKED"), FINISH_DUP);
    assert_int_equal(number_of(RUN("TTL", "fs:job:j1")), -1);
    assert_int_equal(acquire(&other).answer, ACQUIRE_REFUSED);
    assert_int_equal(acquire(&reader).answer, ACQUIRE_OK);
    assert_int_equal(acquire(&resolver).answer, ACQUIRE_TERMINAL);
    assert_int_equal(tell(store_control_command, TERM, "j1", "rate:1000"), TICKET_OK); /* said while it ran */
    assert_int_equal(acquire(&resolver).answer, ACQUIRE_TERMINAL);
    /* Resolved, it may have its target to pay what it owes. */
    assert_int_equal(tell(store_control_command, TERM, "j1", "resolve:done: looked"), TICKET_OK);
    token = acquire(&resolver).token;
    assert_true(token > STEP);
    assert_int_equal(acquire(&other).answer, ACQUIRE_REFUSED);
    assert_string_equal(look("j1").state, "PARKED");
    assert_int_equal(finish("j1", token, "SUCCEEDED"), FINISH_OK);
    assert_int_equal(finish("j1", token, "SUCCEEDED"), FINISH_DUP);
    assert_in_range(number_of(RUN("TTL", "fs:job:j1")), 1, MONTH_S);
    assert_int_equal(acquire(&other).answer, ACQUIRE_OK);
}

static void two_parked_jobs_close_a_target_until_both_are_resolved(void **state)
{
    struct store_acquire other = new_acquire("j3", 1);
    int64_t token;

    (void)state;
    ticket("j1", 2);
    ticket("j2", 2);
    ticket("j3", 1);
    token = take_briefly("j1");
    int64_t later = take("j2");
    assert_int_equal(finish("j1", token, "PARKED"), FINISH_STALE);
    assert_int_equal(finish("j2", later, "PARKED"), FINISH_OK);
    assert_int_equal(acquire(&other).answer, ACQUIRE_REFUSED);
    assert_int_equal(finish("j1", token, "FAILED"), FINISH_STALE);
    assert_int_equal(acquire(&other).answer, ACQUIRE_REFUSED);
    assert_int_equal(finish("j2", later, "FAILED"), FINISH_OK);
    assert_int_equal(acquire(&other).answer, ACQUIRE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(renew_extends_the_lock_and_carries_progress),
        TEST(what_ran_out_and_nobody_took_is_taken_back),
        TEST(after_a_loss_of_memory_only_the_trusting_take_back),
        TEST(trust_that_ended_after_the_new_epoch_is_good),
        TEST(another_instance_loses_a_living_lock),
        TEST(pinned_points_are_named_and_unknown_pins_are_said_to_be_unknown),
        TEST(thousands_of_pins_are_written),
        TEST(keys_without_pins_lose_what_is_left_over),
        TEST(finish_is_told_once_and_repeated_as_often_as_one_likes),
        TEST(released_for_a_retry_it_can_be_acquired_again),
        TEST(an_end_without_a_ticket_survives_the_rebuilt_ticket),
        TEST(parked_closes_the_target_until_it_is_resolved),
        TEST(two_parked_jobs_close_a_target_until_both_are_resolved),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
