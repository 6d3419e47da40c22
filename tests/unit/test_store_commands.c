/* What the typed requests become on the wire, and what the answers become in C: every word of every function, no answer, and errors. */
#include "redis/store.h"
#include "redis_server.h"

#include <stdlib.h>

static void expect_argv(const struct store_command *command, const char *const *expected)
{
    int i = 0;

    for (; expected[i]; i++) {
        assert_true(i < command->argc);
        assert_string_equal(command->argv[i], expected[i]);
    }
    assert_int_equal(command->argc, i);
}

#define EXPECT(command, ...) expect_argv(command, (const char *const[]){__VA_ARGS__, NULL})

/* ---- commands ---- */

static void ticket_and_its_words(void **state)
{
    const struct store_ticket ticket = {.job_id = "j",
                                        .host = "alpha",
                                        .target = "libvirt:u",
                                        .op = "snapshot.create",
                                        .job_class = 2,
                                        .term = 7,
                                        .deadline_ms = 1795261576916,
                                        .state = "",
                                        .cancel = "ann",
                                        .token = -1,
                                        .ttl_ms = 5};
    struct store_command command = {0};
    struct err err = {0};

    (void)state;
    assert_int_equal(store_ticket_command(&ticket, &command, &err), 0);
    EXPECT(&command, "FCALL", "fs_ticket", "0", "7", "j", "alpha", "libvirt:u", "1795261576916", "", "ann", "", "-1",
           "", "5");
    assert_int_equal(store_cancel_command(7, "j", "ann", &command, &err), 0);
    EXPECT(&command, "FCALL", "fs_cancel", "0", "7", "j", "ann");
    assert_int_equal(store_control_command(INT64_MAX, "j", "resolve:done: x", &command, &err), 0);
    EXPECT(&command, "FCALL", "fs_control", "0", "9223372036854775807", "j", "resolve:done: x");
    store_command_clear(&command);
    store_command_clear(&command);
}

static void acquire_gives_the_least_token(void **state)
{
    struct store_acquire acquire = {.job_id = "j",
                                    .host = "alpha",
                                    .instance = "i",
                                    .target = "t:1",
                                    .journal = "jr",
                                    .job_class = 1,
                                    .epoch = 2,
                                    .run_id = "abc",
                                    .token = 5,
                                    .attempt = 3,
                                    .ttl_ms = 30000,
                                    .slots = {{"global", 100}, {"pool:x", 4}},
                                    .slot_count = 2};
    struct store_command command = {0};
    struct err err = {0};

    (void)state;
    assert_int_equal(store_acquire_command(&acquire, &command, &err), 0);
    EXPECT(&command, "FCALL", "fs_acquire", "0", "j", "alpha", "i", "t:1", "jr", "1", "2:abc", "8589934593", "3",
           "30000", "0", "global", "100", "pool:x", "4");
    acquire.token = 8589934600;
    acquire.goes_on = true;
    acquire.slot_count = 0;
    assert_int_equal(store_acquire_command(&acquire, &command, &err), 0);
    EXPECT(&command, "FCALL", "fs_acquire", "0", "j", "alpha", "i", "t:1", "jr", "1", "2:abc", "8589934601", "3",
           "30000", "1");
    store_command_clear(&command);
}

static void renew_says_how_long_ago_trust_ended(void **state)
{
    const char *const points[] = {"p1", "p2", NULL};
    struct store_renew renew = {.job_id = "j",
                                .host = "alpha",
                                .instance = "i",
                                .target = "t:1",
                                .token = 9,
                                .ttl_ms = 30000,
                                .epoch = 1,
                                .run_id = "abc",
                                .phase = "push",
                                .done = 1,
                                .total = 2};
    struct store_command command = {0};
    struct err err = {0};

    (void)state;
    assert_int_equal(store_renew_command(&renew, &command, &err), 0);
    EXPECT(&command, "FCALL", "fs_renew", "0", "j", "alpha", "i", "t:1", "9", "30000", "abc", "0", "push", "1", "2", "",
           "", "");
    clock_fake(1000000, 500);
    renew.trusted_until_real_ms = 997000;
    renew.taken_points = points;
    renew.pins_key = "repository:r";
    renew.slots[0].name = "a";
    renew.slots[1].name = "b";
    renew.slot_count = 2;
    assert_int_equal(store_renew_command(&renew, &command, &err), 0);
    EXPECT(&command, "FCALL", "fs_renew", "0", "j", "alpha", "i", "t:1", "9", "30000", "abc", "3000", "push", "1", "2",
           "repository:r", "p1\np2\n", "a\nb\n");
    renew.trusted_until_real_ms = 1002000;
    assert_int_equal(store_renew_command(&renew, &command, &err), 0);
    assert_string_equal(command.argv[10], "0");
    clock_fake(0, 0);
    store_command_clear(&command);
}

static void the_rest(void **state)
{
    const struct store_finish finish = {.job_id = "j",
                                        .host = "alpha",
                                        .target = "t:1",
                                        .token = 9,
                                        .state = "PARKED",
                                        .slots = {{"a", 1}},
                                        .slot_count = 1};
    const struct store_claim claim = {.host = "alpha",
                                      .instance = "i",
                                      .boot_id = "b",
                                      .state_directory = "/s",
                                      .version = "1",
                                      .running = 2,
                                      .free_bytes = 3,
                                      .ttl_ms = 45000,
                                      .directory_locked = true};
    struct store_command command = {0};
    struct err err = {0};

    (void)state;
    assert_int_equal(store_finish_command(&finish, &command, &err), 0);
    EXPECT(&command, "FCALL", "fs_finish", "0", "j", "alpha", "t:1", "9", "PARKED", "a");
    assert_int_equal(store_claim_command(&claim, &command, &err), 0);
    EXPECT(&command, "FCALL", "fs_claim", "0", "alpha", "i", "b", "/s", "1", "2", "3", "45000", "1");
    assert_int_equal(store_reserve_command("r", "j", 1, 2, 3, &command, &err), 0);
    EXPECT(&command, "FCALL", "fs_reserve", "0", "r", "j", "1", "2", "3");
    assert_int_equal(
        store_barrier_command(&(struct store_barrier){"g", "j", "i/1", 2, VOTE_RESERVED, NULL}, &command, &err), 0);
    EXPECT(&command, "FCALL", "fs_barrier", "0", "g", "j", "i/1", "2", "reserved");
    assert_int_equal(
        store_barrier_command(&(struct store_barrier){"g", "j", "i/1", 2, VOTE_ABORT, "why"}, &command, &err), 0);
    EXPECT(&command, "FCALL", "fs_barrier", "0", "g", "j", "i/1", "2", "abort", "why");
    assert_int_equal(store_unreserve_command("r", "j", &command, &err), 0);
    EXPECT(&command, "FCALL", "fs_unreserve", "0", "r", "j");
    assert_int_equal(store_flags_command("j", "alpha", &command, &err), 0);
    EXPECT(&command, "FCALL", "fs_flags", "0", "j");
    store_command_clear(&command);
}

/* The buffer moves while it grows; arguments of earlier additions must still be right, and it is used again. */
static void a_large_command_keeps_its_arguments(void **state)
{
    static char large[100000];
    struct store_command command = {0};
    struct err err = {0};

    (void)state;
    memset(large, 'x', sizeof large - 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(store_cancel_command(7, "j", large, &command, &err), 0);
        assert_string_equal(command.argv[1], "fs_cancel");
        assert_string_equal(command.argv[5], large);
        assert_int_equal(store_cancel_command(7, "k", "b", &command, &err), 0);
        EXPECT(&command, "FCALL", "fs_cancel", "0", "7", "k", "b");
    }
    store_command_clear(&command);
}

/* ---- answers ---- */

typedef void reader(enum redis_outcome outcome, const struct redis_reply *reply);

static reader *current;
static bool done;

static void on_answer(void *context, enum redis_outcome outcome, const struct redis_reply *reply)
{
    (void)context;
    current(outcome, reply);
    done = true;
}

/* Lets `read` see these bytes as the answer to a command. */
static void answered(const char *bytes, reader *read)
{
    static const char *const ping[] = {"PING"};
    int64_t end = clock_monotonic_ms() + SCRIPT_WAIT_MS;

    current = read;
    done = false;
    redis_send(script.redis, 1, ping, NULL, on_answer, NULL);
    script_until_heard("PING\r\n");
    script.heard_len = 0;
    script_say(bytes);
    while (!done) {
        assert_true(clock_monotonic_ms() < end);
        script_turn();
    }
}

static struct acquire_result acquired;
static struct renew_result renewed;
static enum finish_answer finished;
static enum ticket_answer ticketed;
static enum claim_answer claimed;
static enum reserve_answer reserved;
static char detail[256];
static int64_t total;

static void read_all(enum redis_outcome outcome, const struct redis_reply *reply)
{
    store_acquire_answer(outcome, reply, &acquired);
    store_renew_answer(outcome, reply, &renewed);
    finished = store_finish_answer(outcome, reply);
    ticketed = store_ticket_answer(reply);
    claimed = store_claim_answer(outcome, reply, detail);
    reserved = store_reserve_answer(outcome, reply, &total);
}

static void words_become_answers(void **state)
{
    (void)state;
    script_greet();
    answered("*2\r\n$2\r\nOK\r\n$10\r\n8589934593\r\n", read_all);
    assert_int_equal(acquired.answer, ACQUIRE_OK);
    assert_int_equal(acquired.token, 8589934593);
    assert_int_equal(finished, FINISH_OK);
    assert_int_equal(ticketed, TICKET_OK);
    assert_int_equal(claimed, CLAIM_OK);
    assert_int_equal(reserved, RESERVE_OK);
    assert_int_equal(total, 8589934593);
    answered("*3\r\n$4\r\nHELD\r\n:1500\r\n$7\r\nbeta/j2\r\n", read_all);
    assert_int_equal(acquired.answer, ACQUIRE_HELD);
    assert_int_equal(acquired.ttl_ms, 1500);
    assert_string_equal(acquired.detail, "beta/j2");
    answered("*4\r\n$4\r\nBACK\r\n$3\r\nann\r\n$4\r\nword\r\n$0\r\n\r\n", read_all);
    assert_int_equal(renewed.answer, RENEW_TAKEN_BACK);
    assert_true(renewed.cancel);
    assert_string_equal(renewed.control, "word");
    assert_string_equal(renewed.detail, "");
    answered("*3\r\n$5\r\nOTHER\r\n$2\r\ni2\r\n:61000\r\n", read_all);
    assert_int_equal(claimed, CLAIM_OTHER);
    assert_non_null(strstr(detail, "i2"));
    answered("*1\r\n$5\r\nSTALE\r\n", read_all);
    assert_int_equal(finished, FINISH_STALE);
    answered("*1\r\n$4\r\nTERM\r\n", read_all);
    assert_int_equal(ticketed, TICKET_TERM);
    answered("*1\r\n$6\r\nABSENT\r\n", read_all);
    assert_int_equal(ticketed, TICKET_ABSENT);
}

static void every_word_of_acquire(void **state)
{
    static const struct {
        const char *bytes;
        enum acquire_answer answer;
    } rows[] = {
        {"*1\r\n$5\r\nEPOCH\r\n", ACQUIRE_EPOCH},         {"*1\r\n$4\r\nHOLD\r\n", ACQUIRE_HOLD},
        {"*1\r\n$8\r\nTERMINAL\r\n", ACQUIRE_TERMINAL},   {"*1\r\n$8\r\nNOTICKET\r\n", ACQUIRE_NOTICKET},
        {"*1\r\n$7\r\nREFUSED\r\n", ACQUIRE_REFUSED},     {"*1\r\n$7\r\nEXPIRED\r\n", ACQUIRE_EXPIRED},
        {"*1\r\n$9\r\nCANCELLED\r\n", ACQUIRE_CANCELLED}, {"*1\r\n$5\r\nSLOTS\r\n", ACQUIRE_SLOTS},
    };

    (void)state;
    script_greet();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        answered(rows[i].bytes, read_all);
        assert_int_equal(acquired.answer, rows[i].answer);
        assert_int_equal(acquired.token, 0);
    }
}

static void expect_no_answer(void)
{
    assert_int_equal(acquired.answer, ACQUIRE_LOST);
    assert_int_equal(renewed.answer, RENEW_NO_ANSWER);
    assert_false(renewed.cancel);
    assert_int_equal(finished, FINISH_NO_ANSWER);
    assert_int_equal(ticketed, TICKET_NO_ANSWER);
    assert_int_equal(claimed, CLAIM_NO_ANSWER);
    assert_int_equal(reserved, RESERVE_NO_ANSWER);
}

static void errors_and_nonsense_are_no_answer(void **state)
{
    static const char *const rows[] = {"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
                                       "-ERR Function not found\r\n",
                                       "+OK\r\n",
                                       ":1\r\n",
                                       "*0\r\n",
                                       "*1\r\n:1\r\n",
                                       "*1\r\n$4\r\nWHAT\r\n",
                                       "$-1\r\n"};

    (void)state;
    script_greet();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        answered(rows[i], read_all);
        expect_no_answer();
        if (i == 1)
            assert_string_equal(acquired.detail, "ERR Function not found");
    }
    read_all(REDIS_LOST, NULL);
    expect_no_answer();
    assert_string_equal(acquired.detail, "no answer from Redis");
    assert_string_equal(renewed.detail, "no answer from Redis");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ticket_and_its_words),
        cmocka_unit_test(acquire_gives_the_least_token),
        cmocka_unit_test(renew_says_how_long_ago_trust_ended),
        cmocka_unit_test(the_rest),
        cmocka_unit_test(a_large_command_keeps_its_arguments),
        cmocka_unit_test_setup_teardown(words_become_answers, script_open, script_close),
        cmocka_unit_test_setup_teardown(every_word_of_acquire, script_open, script_close),
        cmocka_unit_test_setup_teardown(errors_and_nonsense_are_no_answer, script_open, script_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
