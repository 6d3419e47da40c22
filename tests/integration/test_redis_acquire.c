/* Who may begin: tokens, holds, two hosts that want the same target, locks that run out, slots. On a real server of the test's own. */
#include "support/redis_words.h"

#include "base/clock.h"
#include "base/err.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- acquire ---- */

static void acquire_gives_a_token_above_epoch_and_above_what_was_seen(void **state)
{
    struct store_acquire request = new_acquire("j2", 1);
    int64_t first;

    (void)state;
    ticket("j1", 1);
    ticket("j2", 1);
    first = take("j1");
    assert_int_equal(first, STEP + 1);
    assert_int_equal(finish("j1", first, "SUCCEEDED"), FINISH_OK);
    request.token = STEP + 40;
    assert_int_equal(acquire(&request).token, STEP + 41);
}

static void the_same_acquire_again_gets_the_same_token(void **state)
{
    struct store_acquire request = new_acquire("j1", 1);

    (void)state;
    request.slots[0] = (struct store_slot){"pool", 1};
    request.slot_count = 1;
    ticket("j1", 1);
    int64_t token = acquire(&request).token;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(acquire(&request).answer, ACQUIRE_OK);
        assert_int_equal(acquire(&request).token, token);
    }
    assert_int_equal(number_of(RUN("ZCARD", "fs:sem:pool")), 1);
    /* Even when a cancel came in between: what was given is given, and the next renewal tells it. */
    assert_int_equal(tell(store_cancel_command, TERM, "j1", "ann"), TICKET_OK);
    assert_int_equal(acquire(&request).token, token);
}

static void without_a_ticket_or_the_epoch_nothing_starts(void **state)
{
    struct store_acquire request = new_acquire("j1", 1);

    (void)state;
    assert_int_equal(acquire(&request).answer, ACQUIRE_NOTICKET);
    ticket("j1", 1);
    request.epoch = 2;
    assert_int_equal(acquire(&request).answer, ACQUIRE_EPOCH);
    request.epoch = 1;
    request.run_id = "0123456789abcdef0123456789abcdef01234567";
    assert_int_equal(acquire(&request).answer, ACQUIRE_EPOCH);
    request.run_id = redis_run_id(redis);
    assert_int_equal(acquire(&request).answer, ACQUIRE_OK);
    DO("FLUSHALL");
    assert_int_equal(acquire(&request).answer, ACQUIRE_EPOCH);
    write_epoch(1);
    assert_int_equal(acquire(&request).answer, ACQUIRE_NOTICKET);
}

static void what_has_ended_stays_ended(void **state)
{
    static const char *const ends[] = {"SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "REJECTED", "PARKED"};
    struct acquire_result result;
    char job[16];

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        snprintf(job, sizeof job, "j%zu", i);
        ticket(job, 1);
        assert_int_equal(finish(job, take(job), ends[i]), FINISH_OK);
        struct store_acquire request = new_acquire(job, 1);
        result = acquire(&request);
        assert_int_equal(result.answer, ACQUIRE_TERMINAL);
        assert_string_equal(result.detail, ends[i]);
    }
}

static void anothers_ticket_and_anothers_journal_are_refused(void **state)
{
    struct store_acquire request = new_acquire("j1", 2);
    struct acquire_result result;

    (void)state;
    ticket("j1", 2);
    request.host = "beta";
    result = acquire(&request);
    assert_int_equal(result.answer, ACQUIRE_REFUSED);
    assert_non_null(strstr(result.detail, "alpha"));
    request.host = "alpha";
    int64_t token = acquire(&request).token;
    assert_int_equal(finish("j1", token, ""), FINISH_OK);
    request.journal = "journal-2";
    result = acquire(&request);
    assert_int_equal(result.answer, ACQUIRE_REFUSED);
    assert_int_equal(strncmp(result.detail, "journal:", 8), 0);
    request.job_class = 1;
    assert_int_equal(acquire(&request).answer, ACQUIRE_OK);
}

static void a_rate_is_heard_with_the_lock(void **state)
{
    struct store_ticket limited = new_ticket("j1", 1);
    struct store_acquire request = new_acquire("j1", 1), other = new_acquire("j2", 1);
    struct acquire_result result;

    (void)state;
    limited.control = "rate:1048576";
    assert_int_equal(write_ticket(&limited), TICKET_OK);
    result = acquire(&request);
    assert_int_equal(result.answer, ACQUIRE_OK);
    assert_string_equal(result.control, "rate:1048576");
    assert_int_equal(tell(store_control_command, TERM, "j1", "rate:2097152"), TICKET_OK);
    assert_string_equal(acquire(&request).control, "rate:2097152"); /* a worker that was restarted */
    assert_int_equal(tell(store_control_command, TERM, "j1", "finish:done"), TICKET_OK);
    assert_string_equal(acquire(&request).control, "");
    assert_int_equal(finish("j1", result.token, ""), FINISH_OK);
    ticket("j2", 1);
    result = acquire(&other);
    assert_int_equal(result.answer, ACQUIRE_OK);
    assert_string_equal(result.control, "");
}

static void cancelled_expired_and_held_are_told_in_this_order(void **state)
{
    struct store_ticket old = new_ticket("j1", 1);
    struct store_acquire request = new_acquire("j1", 1);
    struct facts holds = {0};
    struct acquire_result result;
    struct err err = {0};

    (void)state;
    old.deadline_ms = 1000;
    assert_int_equal(write_ticket(&old), TICKET_OK);
    facts_set(&holds, "target:" TARGET, "disk is being replaced", &err);
    assert_int_equal(write_holds(&holds, &err), 0);
    assert_int_equal(tell(store_cancel_command, TERM, "j1", "ann"), TICKET_OK);
    result = acquire(&request);
    assert_int_equal(result.answer, ACQUIRE_CANCELLED);
    assert_string_equal(result.detail, "ann");
    DO("HSET", "fs:job:j1", "cancel", "");
    assert_int_equal(acquire(&request).answer, ACQUIRE_EXPIRED);
    DO("HSET", "fs:job:j1", "deadline", "99999999999999");
    result = acquire(&request);
    assert_int_equal(result.answer, ACQUIRE_HOLD);
    assert_string_equal(result.detail, "disk is being replaced");
    facts_clear(&holds);
    assert_int_equal(write_holds(&holds, &err), 0);
    assert_int_equal(acquire(&request).answer, ACQUIRE_OK);
}

/* It needs its lock to go back, too: only another's lock keeps it, and the end of its ticket. */
static void what_keeps_from_starting_does_not_keep_from_going_on(void **state)
{
    struct store_ticket old = new_ticket("j1", 1);
    struct store_acquire request = new_acquire("j1", 1), other = new_acquire("j2", 1);
    struct facts holds = {0};
    struct err err = {0};

    (void)state;
    request.slots[0] = other.slots[0] = (struct store_slot){"pool", 1};
    request.slot_count = other.slot_count = 1;
    request.goes_on = true;
    assert_int_equal(acquire(&request).answer, ACQUIRE_NOTICKET);
    ticket("j2", 1);
    other.target = "libvirt:other";
    assert_int_equal(acquire(&other).answer, ACQUIRE_OK); /* the last slot */
    old.deadline_ms = 1000;
    assert_int_equal(write_ticket(&old), TICKET_OK);
    facts_set(&holds, "all", "no more today", &err);
    assert_int_equal(write_holds(&holds, &err), 0);
    assert_int_equal(tell(store_cancel_command, TERM, "j1", "ann"), TICKET_OK);
    struct acquire_result result = acquire(&request);
    assert_int_equal(result.answer, ACQUIRE_OK);
    assert_int_equal(number_of(RUN("ZCARD", "fs:sem:pool")), 2);
    facts_clear(&holds);
    assert_int_equal(write_holds(&holds, &err), 0);
    ticket("j3", 1);
    struct store_acquire third = new_acquire("j3", 1);
    third.goes_on = true;
    assert_int_equal(acquire(&third).answer, ACQUIRE_HELD);
    assert_int_equal(finish("j1", result.token, "SUCCEEDED"), FINISH_OK);
    assert_int_equal(acquire(&request).answer, ACQUIRE_TERMINAL);
}

static void holds_stop_a_host_and_all(void **state)
{
    static const char *const keys[] = {"all", "host:alpha"};
    struct store_acquire request = new_acquire("j1", 0);
    struct facts holds = {0};
    struct err err = {0};

    (void)state;
    ticket("j1", 0);
    for (size_t i = 0; i < 2; i++) {
        facts_set(&holds, keys[i], "maintenance", &err);
        assert_int_equal(write_holds(&holds, &err), 0);
        assert_int_equal(acquire(&request).answer, ACQUIRE_HOLD);
        facts_clear(&holds);
    }
    facts_set(&holds, "host:beta", "maintenance", &err);
    assert_int_equal(write_holds(&holds, &err), 0);
    assert_int_equal(acquire(&request).answer, ACQUIRE_OK);
    facts_clear(&holds);
}

static void two_hosts_contend_and_one_has_it(void **state)
{
    struct store_ticket theirs = new_ticket("j2", 1);
    struct store_acquire request = new_acquire("j2", 1);
    struct acquire_result result;
    int64_t token;

    (void)state;
    theirs.host = request.host = "beta";
    request.instance = "boot-b";
    ticket("j1", 1);
    assert_int_equal(write_ticket(&theirs), TICKET_OK);
    token = take("j1");
    result = acquire(&request);
    assert_int_equal(result.answer, ACQUIRE_HELD);
    assert_string_equal(result.detail, "alpha/j1");
    assert_in_range(result.ttl_ms, 1, LONG_MS);
    assert_int_equal(finish("j1", token, "SUCCEEDED"), FINISH_OK);
    result = acquire(&request);
    assert_int_equal(result.answer, ACQUIRE_OK);
    assert_int_equal(result.token, token + 1);
}

static void a_lock_that_ran_out_is_taken_over_and_its_holder_hears_it(void **state)
{
    struct store_renew request;
    struct renew_result heard;
    int64_t first;
    int64_t second;

    (void)state;
    ticket("j1", 1);
    ticket("j2", 1);
    first = take_briefly("j1");
    second = take("j2");
    assert_int_equal(second, first + 1);
    request = new_renew("j1", first);
    heard = renew(&request);
    assert_int_equal(heard.answer, RENEW_LOST);
    assert_non_null(strstr(heard.detail, "alpha/j2"));
    assert_int_equal(finish("j2", second, "SUCCEEDED"), FINISH_OK);
    assert_int_equal(renew_plain("j1", first), RENEW_LOST);
    /* Its end is noted, and reported as late; the lock is not touched. */
    assert_int_equal(finish("j1", first, "SUCCEEDED"), FINISH_STALE);
    assert_string_equal(look("j1").state, "SUCCEEDED");
    assert_int_equal(finish("j1", first, "SUCCEEDED"), FINISH_DUP);
}

static void class_a_takes_no_lock_and_minds_none(void **state)
{
    struct store_acquire request = new_acquire("j2", 0);
    struct acquire_result result;

    (void)state;
    ticket("j1", 1);
    ticket("j2", 0);
    take("j1");
    request.slots[0] = (struct store_slot){"read:point", 1};
    request.slot_count = 1;
    result = acquire(&request);
    assert_int_equal(result.answer, ACQUIRE_OK);
    assert_int_equal(result.token, 0);
    expect_text(RUN("HGET", "fs:lock:" TARGET, "owner"), "alpha/j1");
    assert_int_equal(renew_plain("j2", 0), RENEW_OK);
    assert_int_equal(look("j2").done, 5);
    assert_int_equal(finish("j2", 0, "SUCCEEDED"), FINISH_OK);
    assert_int_equal(number_of(RUN("ZCARD", "fs:sem:read:point")), 0);
    expect_text(RUN("HGET", "fs:lock:" TARGET, "owner"), "alpha/j1");
}

/* A worker that was killed comes back as another instance. Its old lock lives on: the host's claim shows that the old instance is dead. */
static void a_new_instance_gets_its_own_lock_only_with_the_claim(void **state)
{
    struct store_acquire request = new_acquire("j1", 1);
    char detail[256];
    int64_t token;

    (void)state;
    ticket("j1", 1);
    assert_int_equal(claim("boot-1", "b", true, 45000, detail), CLAIM_OK);
    token = take("j1");
    request.instance = "boot-2";
    assert_int_equal(acquire(&request).answer, ACQUIRE_HELD);
    assert_int_equal(claim("boot-2", "b", true, 45000, detail), CLAIM_OK);
    assert_int_equal(acquire(&request).token, token + 1);
    assert_int_equal(renew_plain("j1", token), RENEW_LOST);
    assert_int_equal(finish("j1", token, "FAILED"), FINISH_STALE);
    assert_string_equal(look("j1").state, "RUNNING");
}

/* ---- slots ---- */

static void slots_are_taken_all_or_none(void **state)
{
    struct store_acquire first = new_acquire("j1", 1);
    struct store_acquire second = new_acquire("j2", 1);
    struct acquire_result result;

    (void)state;
    ticket("j1", 1);
    ticket("j2", 1);
    first.slots[0] = (struct store_slot){"global", 10};
    first.slots[1] = (struct store_slot){"pool", 1};
    first.slot_count = 2;
    second.target = "libvirt:other";
    second.slots[0] = (struct store_slot){"global", 10};
    second.slots[1] = (struct store_slot){"pool", 1};
    second.slot_count = 2;
    int64_t token = acquire(&first).token;
    result = acquire(&second);
    assert_int_equal(result.answer, ACQUIRE_SLOTS);
    assert_string_equal(result.detail, "pool");
    assert_int_equal(number_of(RUN("ZCARD", "fs:sem:global")), 1);
    assert_int_equal(number_of(RUN("EXISTS", "fs:lock:libvirt:other")), 0);
    assert_int_equal(finish("j1", token, "SUCCEEDED"), FINISH_OK);
    assert_int_equal(number_of(RUN("ZCARD", "fs:sem:global")), 0);
    assert_int_equal(acquire(&second).answer, ACQUIRE_OK);
}

static void slots_of_the_dead_run_out_and_those_of_the_living_are_renewed(void **state)
{
    struct store_acquire first = new_acquire("j1", 0);
    struct store_acquire second = new_acquire("j2", 0);
    int64_t end = clock_monotonic_ms() + WAIT_MS;

    (void)state;
    ticket("j1", 0);
    ticket("j2", 0);
    first.slots[0] = second.slots[0] = (struct store_slot){"pool", 1};
    first.slot_count = second.slot_count = 1;
    first.ttl_ms = SHORT_MS;
    assert_int_equal(acquire(&first).answer, ACQUIRE_OK);
    /* The renewal knows the slots of the acquire, and gives them the long ttl. */
    assert_int_equal(renew_plain("j1", 0), RENEW_OK);
    usleep(2 * SHORT_MS * 1000);
    assert_int_equal(acquire(&second).answer, ACQUIRE_SLOTS);
    DO("ZADD", "fs:sem:pool", "1", "j1");
    while (acquire(&second).answer != ACQUIRE_OK)
        assert_true(clock_monotonic_ms() < end);
}

static void slots_named_by_a_renewal_come_back_after_a_loss_of_memory(void **state)
{
    struct store_renew request = new_renew("j1", STEP + 1);

    (void)state;
    DO("FLUSHALL");
    request.slots[0] = (struct store_slot){"global", 10};
    request.slots[1] = (struct store_slot){"pool", 1};
    request.slot_count = 2;
    assert_int_equal(renew(&request).answer, RENEW_TAKEN_BACK);
    assert_int_equal(number_of(RUN("ZCARD", "fs:sem:pool")), 1);
    assert_int_equal(number_of(RUN("ZCARD", "fs:sem:global")), 1);
    assert_int_equal(number_of(RUN("EXISTS", "fs:job:j1")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(acquire_gives_a_token_above_epoch_and_above_what_was_seen),
        TEST(the_same_acquire_again_gets_the_same_token),
        TEST(without_a_ticket_or_the_epoch_nothing_starts),
        TEST(what_has_ended_stays_ended),
        TEST(anothers_ticket_and_anothers_journal_are_refused),
        TEST(a_rate_is_heard_with_the_lock),
        TEST(cancelled_expired_and_held_are_told_in_this_order),
        TEST(what_keeps_from_starting_does_not_keep_from_going_on),
        TEST(holds_stop_a_host_and_all),
        TEST(two_hosts_contend_and_one_has_it),
        TEST(a_lock_that_ran_out_is_taken_over_and_its_holder_hears_it),
        TEST(class_a_takes_no_lock_and_minds_none),
        TEST(a_new_instance_gets_its_own_lock_only_with_the_claim),
        TEST(slots_are_taken_all_or_none),
        TEST(slots_of_the_dead_run_out_and_those_of_the_living_are_renewed),
        TEST(slots_named_by_a_renewal_come_back_after_a_loss_of_memory),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
