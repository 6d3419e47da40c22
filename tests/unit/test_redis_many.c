/* Calls that are sent one behind the other become one; each has its own answer all the same, whatever goes wrong. */
#include "redis/store.h"
#include "redis_server.h"

enum { JOBS = 70 };

struct heard {
    int answered, lost;
    enum finish_answer answer;
    bool error;
};

static struct heard heard[JOBS];

static void on_answer(void *context, enum redis_outcome outcome, const struct redis_reply *reply)
{
    struct heard *mine = context;

    mine->answered += outcome == REDIS_ANSWERED;
    mine->lost += outcome == REDIS_LOST;
    mine->answer = store_finish_answer(outcome, reply);
    mine->error = redis_reply_is_error(reply);
}

static int begin(void **state)
{
    memset(heard, 0, sizeof heard);
    return script_open(state);
}

static void finish(int number, const char *state)
{
    struct store_command command = {0};
    char job[8], target[16];

    snprintf(job, sizeof job, "j%d", number);
    snprintf(target, sizeof target, "null:%d", number);
    struct store_finish finish = {.job_id = job, .host = "alpha", .target = target, .state = state};
    assert_int_equal(store_finish_command(&finish, &command, NULL), 0);
    store_send(script.redis, &command, on_answer, &heard[number]);
    store_command_clear(&command);
}

/* The arguments that came since the last call, one space between them. */
static const char *words(void)
{
    static char text[HEARD_MAX];
    size_t len = 0;

    for (char *line = script.heard, *end; (end = strstr(line, "\r\n")) != NULL; line = end + 2)
        if (*line != '*' && *line != '$')
            len += (size_t)snprintf(text + len, sizeof text - len, "%s%.*s", len ? " " : "", (int)(end - line), line);
    text[len] = '\0';
    script.heard_len = 0;
    return text;
}

static void until_settled(int from, int to)
{
    int64_t end = clock_monotonic_ms() + SCRIPT_WAIT_MS;

    for (int i = from; i < to; i++)
        while (heard[i].answered + heard[i].lost == 0) {
            assert_true(clock_monotonic_ms() < end);
            script_turn();
        }
}

static void one_alone_goes_as_it_is(void **state)
{
    (void)state;
    script_greet();
    finish(0, "FAILED");
    script_until_heard("FAILED\r\n");
    assert_string_equal(words(), "FCALL fs_finish 0 j0 alpha null:0 0 FAILED");
    script_say("*1\r\n$2\r\nOK\r\n");
    until_settled(0, 1);
    assert_int_equal(heard[0].answer, FINISH_OK);
}

static void what_is_the_same_is_sent_once_and_each_hears_its_own_answer(void **state)
{
    (void)state;
    script_greet();
    finish(0, "FAILED");
    finish(1, "FAILED");
    finish(2, "FAILED");
    script_until_heard("null:2\r\n");
    assert_string_equal(words(), "FCALL fs_finish_many 0 5 01011 alpha 0 FAILED j0 null:0 j1 null:1 j2 null:2");
    script_say("*3\r\n*1\r\n$2\r\nOK\r\n*1\r\n$5\r\nSTALE\r\n*2\r\n$3\r\nDUP\r\n$1\r\nx\r\n");
    until_settled(0, 3);
    assert_int_equal(heard[0].answer, FINISH_OK);
    assert_int_equal(heard[1].answer, FINISH_STALE);
    assert_int_equal(heard[2].answer, FINISH_DUP);
}

static void the_same_job_twice_counts_as_two(void **state)
{
    (void)state;
    script_greet();
    finish(0, "FAILED");
    finish(0, "FAILED");
    script_until_heard("j0\r\n$2\r\nj0\r\n");
    assert_string_equal(words(), "FCALL fs_finish_many 0 5 01111 alpha null:0 0 FAILED j0 j0");
    script_say("*2\r\n*1\r\n$2\r\nOK\r\n*1\r\n$3\r\nDUP\r\n");
    until_settled(0, 1);
    while (heard[0].answered < 2)
        script_turn();
    assert_int_equal(heard[0].answer, FINISH_DUP);
}

/* The order in which they were sent is kept: what a job lets go of, the next may take. */
static void another_command_goes_behind_what_has_gathered(void **state)
{
    static const char *const ping[] = {"PING"};

    (void)state;
    script_greet();
    finish(0, "FAILED");
    finish(1, "FAILED");
    redis_send(script.redis, 1, ping, NULL, NULL, NULL);
    finish(2, "FAILED");
    script_until_heard("PING\r\n");
    while (!strstr(script.heard, "null:2"))
        script_turn();
    assert_string_equal(words(), "FCALL fs_finish_many 0 5 01011 alpha 0 FAILED j0 null:0 j1 null:1 PING "
                                 "FCALL fs_finish 0 j2 alpha null:2 0 FAILED");
}

static void a_call_holds_64_at_most(void **state)
{
    (void)state;
    script_greet();
    for (int i = 0; i < JOBS; i++)
        finish(i, "FAILED");
    script_until_heard("null:69\r\n");
    const char *said = words();
    assert_non_null(strstr(said, "j63 null:63 FCALL fs_finish_many 0 5 01011 alpha 0 FAILED j64 null:64"));
    assert_null(strstr(said, "FCALL fs_finish 0"));
}

/* As one whose ticket is no hash. */
static void one_that_goes_wrong_has_its_error_to_itself(void **state)
{
    (void)state;
    script_greet();
    finish(0, "FAILED");
    finish(1, "FAILED");
    script_until_heard("null:1\r\n");
    words();
    script_say("*2\r\n*2\r\n$5\r\nERROR\r\n$9\r\nWRONGTYPE\r\n*1\r\n$2\r\nOK\r\n");
    script_until_heard("null:0\r\n");
    while (!strstr(script.heard, "FAILED\r\n"))
        script_turn();
    assert_string_equal(words(), "FCALL fs_finish 0 j0 alpha null:0 0 FAILED");
    assert_int_equal(heard[0].answered, 0);
    assert_int_equal(heard[1].answer, FINISH_OK);
    script_say("-WRONGTYPE\r\n");
    until_settled(0, 1);
    assert_true(heard[0].error);
}

/* A server with the functions of an earlier version. */
static void refused_as_many_each_is_sent_alone(void **state)
{
    (void)state;
    script_greet();
    finish(0, "FAILED");
    finish(1, "FAILED");
    script_until_heard("null:1\r\n");
    words();
    script_say("-ERR Function not found\r\n");
    script_until_heard("j1\r\n");
    finish(2, "FAILED");
    finish(3, "FAILED");
    script_until_heard("null:3\r\n");
    while (!strstr(strstr(script.heard, "null:3\r\n"), "FAILED\r\n"))
        script_turn();
    assert_string_equal(words(),
                        "FCALL fs_finish 0 j0 alpha null:0 0 FAILED FCALL fs_finish 0 j1 alpha null:1 0 FAILED "
                        "FCALL fs_finish 0 j2 alpha null:2 0 FAILED FCALL fs_finish 0 j3 alpha null:3 0 FAILED");
    for (int i = 0; i < 4; i++)
        script_say("*1\r\n$2\r\nOK\r\n");
    until_settled(0, 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(heard[i].answer, FINISH_OK);
}

static void a_lost_connection_is_told_to_each_once(void **state)
{
    (void)state;
    script_greet();
    finish(0, "FAILED");
    finish(1, "FAILED");
    script_until_heard("null:1\r\n");
    finish(2, "FAILED"); /* has gathered and was never written */
    finish(3, "FAILED");
    script_hang_up();
    until_settled(0, 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(heard[i].lost, 1);
        assert_int_equal(heard[i].answered, 0);
    }
}

static void closed_before_they_went_nobody_is_called(void **state)
{
    (void)state;
    script_greet();
    finish(0, "FAILED");
    finish(1, "FAILED");
}

#define MANY_TEST(name) cmocka_unit_test_setup_teardown(name, begin, script_close)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        MANY_TEST(one_alone_goes_as_it_is),
        MANY_TEST(what_is_the_same_is_sent_once_and_each_hears_its_own_answer),
        MANY_TEST(the_same_job_twice_counts_as_two),
        MANY_TEST(another_command_goes_behind_what_has_gathered),
        MANY_TEST(a_call_holds_64_at_most),
        MANY_TEST(one_that_goes_wrong_has_its_error_to_itself),
        MANY_TEST(refused_as_many_each_is_sent_alone),
        MANY_TEST(a_lost_connection_is_told_to_each_once),
        MANY_TEST(closed_before_they_went_nobody_is_called),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
