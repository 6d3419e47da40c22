/* The leader in Redis: term, epoch, tickets, what it asks of jobs. On a real server of the test's own. */
#include "support/redis_words.h"

#include "base/err.h"

#include <string.h>

/* ---- the leader ---- */

static void a_lower_term_is_refused_everywhere(void **state)
{
    const struct facts holds = {0};
    const struct strings points = {0};
    struct store_ticket old = new_ticket("j1", 1);
    struct err err = {0};
    bool ok = true;

    (void)state;
    ticket("j1", 1);
    assert_int_equal(store_term_raise(redis, 9, &ok, &err), 0);
    assert_true(ok);
    assert_int_equal(store_term_raise(redis, 9, &ok, &err), 0);
    assert_true(ok);
    assert_int_equal(store_term_raise(redis, 8, &ok, &err), 0);
    assert_false(ok);
    assert_int_equal(write_ticket(&old), TICKET_TERM);
    assert_int_equal(tell(store_cancel_command, TERM, "j1", "ann"), TICKET_TERM);
    assert_int_equal(tell(store_control_command, TERM, "j1", "resolve:done: x"), TICKET_TERM);
    assert_int_equal(store_epoch_write(redis, TERM, 2, redis_run_id(redis), &ok, &err), 0);
    assert_false(ok);
    assert_int_equal(store_leader_hint(redis, TERM, "c1", &err), -1);
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_int_equal(write_holds(&holds, &err), -1);
    assert_int_equal(store_pins_write(redis, TERM, TARGET, &points, &err), -1);
    assert_int_equal(number_of(RUN("HGET", "fs:job:j1", "term")), TERM);
    assert_string_equal(look("j1").cancel, "");
}

/* After a loss of memory no old leader may come first: whoever writes raises the term. */
static void a_higher_term_is_remembered_by_every_write(void **state)
{
    struct store_ticket next = new_ticket("j1", 1);

    (void)state;
    next.term = 12;
    assert_int_equal(write_ticket(&next), TICKET_OK);
    expect_text(RUN("GET", "fs:term"), "12");
}

static void the_epoch_is_written_only_for_this_server_run_and_never_lower(void **state)
{
    struct store_epoch epoch;
    struct err err = {0};
    bool written;

    (void)state;
    assert_int_equal(store_epoch_write(redis, TERM, 2, "0123456789abcdef0123456789abcdef01234567", &written, &err), 0);
    assert_false(written);
    write_epoch(5);
    write_epoch(5);
    assert_int_equal(store_epoch_write(redis, TERM, 4, redis_run_id(redis), &written, &err), 0);
    assert_false(written);
    assert_int_equal(store_epoch_read(redis, &epoch, &err), 0);
    assert_int_equal(epoch.n, 5);
    assert_string_equal(epoch.run_id, redis_run_id(redis));
    DO("DEL", "fs:epoch");
    assert_int_equal(store_epoch_read(redis, &epoch, &err), 0);
    assert_int_equal(epoch.n, 0);
}

static void the_hint_of_the_leader_runs_out(void **state)
{
    struct err err = {0};

    (void)state;
    assert_int_equal(store_leader_hint(redis, TERM, "c1", &err), 0);
    expect_text(RUN("GET", "fs:leader"), "7 c1");
    assert_in_range(number_of(RUN("PTTL", "fs:leader")), 8000, 9000);
}

static void the_library_is_there_and_may_be_loaded_again(void **state)
{
    struct err err = {0};

    (void)state;
    assert_true(store_functions_present(redis, &err));
    assert_int_equal(store_load_functions(redis, &err), 0);
    DO("FUNCTION", "FLUSH");
    assert_false(store_functions_present(redis, &err));
    assert_int_equal(store_load_functions(redis, &err), 0);
}

/* ---- tickets ---- */

static void a_ticket_that_exists_keeps_what_it_says(void **state)
{
    struct store_ticket again = new_ticket("j1", 1);
    int64_t token;

    (void)state;
    ticket("j1", 1);
    assert_in_range(number_of(RUN("TTL", "fs:job:j1")), MONTH_S - 60, MONTH_S);
    token = take("j1");
    again.host = "beta";
    again.term = 8;
    assert_int_equal(write_ticket(&again), TICKET_OK);
    assert_string_equal(look("j1").state, "RUNNING");
    assert_int_equal(look("j1").token, token);
    assert_string_equal(look("j1").owner, "alpha/boot-1");
    expect_text(RUN("HGET", "fs:job:j1", "host"), "alpha");
    expect_text(RUN("HGET", "fs:job:j1", "term"), "8");
}

static void a_rebuilt_ticket_adds_what_cannot_be_taken_back(void **state)
{
    struct store_ticket known = new_ticket("j1", 1);

    (void)state;
    ticket("j1", 1);
    known.cancel = "ann";
    known.token = STEP * 3;
    known.journal = "journal-9";
    assert_int_equal(write_ticket(&known), TICKET_OK);
    assert_string_equal(look("j1").cancel, "ann");
    assert_int_equal(look("j1").token, STEP * 3);
    expect_text(RUN("HGET", "fs:job:j1", "journal"), "journal-9");
    known.state = "SUCCEEDED";
    assert_int_equal(write_ticket(&known), TICKET_OK);
    known.state = "FAILED";
    assert_int_equal(write_ticket(&known), TICKET_OK);
    assert_string_equal(look("j1").state, "SUCCEEDED");
}

static void a_rebuilt_parked_ticket_closes_its_target(void **state)
{
    struct store_ticket parked = new_ticket("j1", 2);
    struct store_acquire other = new_acquire("j2", 1);
    struct acquire_result result;

    (void)state;
    parked.state = "PARKED";
    parked.ttl_ms = 0;
    assert_int_equal(write_ticket(&parked), TICKET_OK);
    assert_int_equal(write_ticket(&parked), TICKET_OK);
    assert_int_equal(number_of(RUN("TTL", "fs:job:j1")), -1);
    ticket("j2", 1);
    result = acquire(&other);
    assert_int_equal(result.answer, ACQUIRE_REFUSED);
    assert_non_null(strstr(result.detail, "j1"));
}

/* The leader's view may lag behind the end that the worker has left here, in both directions. */
static void a_bare_end_decides_how_long_its_rebuilt_ticket_stays(void **state)
{
    struct store_ticket rebuilt = new_ticket("j1", 2);

    (void)state;
    assert_int_equal(finish("j1", STEP + 1, "PARKED"), FINISH_OK);
    assert_int_equal(write_ticket(&rebuilt), TICKET_OK);
    assert_string_equal(look("j1").state, "PARKED");
    assert_int_equal(number_of(RUN("TTL", "fs:job:j1")), -1);

    rebuilt = new_ticket("j2", 2);
    rebuilt.state = "PARKED";
    rebuilt.ttl_ms = 0;
    assert_int_equal(finish("j2", STEP + 2, "SUCCEEDED"), FINISH_OK);
    assert_int_equal(write_ticket(&rebuilt), TICKET_OK);
    assert_string_equal(look("j2").state, "SUCCEEDED");
    assert_in_range(number_of(RUN("TTL", "fs:job:j2")), 1, MONTH_S);
}

static void cancel_and_control_need_a_ticket_and_are_heard(void **state)
{
    struct store_renew request;
    struct renew_result heard;
    struct err err = {0};
    int64_t token;

    (void)state;
    assert_int_equal(tell(store_cancel_command, TERM, "j1", "ann"), TICKET_ABSENT);
    assert_int_equal(tell(store_control_command, TERM, "j1", "x"), TICKET_ABSENT);
    ticket("j1", 1);
    token = take("j1");
    assert_int_equal(tell(store_cancel_command, TERM, "j1", "ann"), TICKET_OK);
    assert_int_equal(tell(store_cancel_command, TERM, "j1", "bob"), TICKET_OK);
    assert_int_equal(tell(store_control_command, TERM, "j1", "resolve:done: seen"), TICKET_OK);
    request = new_renew("j1", token);
    heard = renew(&request);
    assert_int_equal(heard.answer, RENEW_OK);
    assert_true(heard.cancel);
    assert_string_equal(heard.control, "resolve:done: seen");
    assert_string_equal(look("j1").cancel, "ann");

    assert_int_equal(store_flags_command("j1", "alpha", &command, &err), 0);
    struct redis_reply *reply = call();
    store_renew_answer(REDIS_ANSWERED, reply, &heard);
    redis_reply_free(reply);
    assert_int_equal(heard.answer, RENEW_OK);
    assert_true(heard.cancel);
    assert_string_equal(heard.control, "resolve:done: seen");
    assert_int_equal(store_flags_command("none", "alpha", &command, &err), 0);
    reply = call();
    store_renew_answer(REDIS_ANSWERED, reply, &heard);
    redis_reply_free(reply);
    assert_int_equal(heard.answer, RENEW_NO_ANSWER);
    assert_false(heard.cancel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_lower_term_is_refused_everywhere),
        TEST(a_higher_term_is_remembered_by_every_write),
        TEST(the_epoch_is_written_only_for_this_server_run_and_never_lower),
        TEST(the_hint_of_the_leader_runs_out),
        TEST(the_library_is_there_and_may_be_loaded_again),
        TEST(a_ticket_that_exists_keeps_what_it_says),
        TEST(a_rebuilt_ticket_adds_what_cannot_be_taken_back),
        TEST(a_rebuilt_parked_ticket_closes_its_target),
        TEST(a_bare_end_decides_how_long_its_rebuilt_ticket_stays),
        TEST(cancel_and_control_need_a_ticket_and_are_heard),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
