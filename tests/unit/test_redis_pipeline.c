/* The connection against a server that is a script: what goes over the wire byte by byte, and every way in which an answer can be wrong. */
#include "redis_server.h"

struct heard {
    int answered, lost;
    int64_t value;
    char text[128];
    size_t count;
    bool error;
};

static void on_answer(void *context, enum redis_outcome outcome, const struct redis_reply *reply)
{
    struct heard *heard = context;

    if (outcome == REDIS_LOST) {
        heard->lost++;
        return;
    }
    heard->answered++;
    heard->value = redis_reply_int(reply, -77);
    snprintf(heard->text, sizeof heard->text, "%s", redis_reply_text(reply) ? redis_reply_text(reply) : "(none)");
    heard->count = redis_reply_count(reply);
    heard->error = redis_reply_is_error(reply);
}

static void ask(struct heard *heard)
{
    static const char *const argv[] = {"GET", "k"};

    redis_send(script.redis, 2, argv, NULL, on_answer, heard);
}

static void until_settled(const struct heard *heard, int all)
{
    int64_t end = clock_monotonic_ms() + SCRIPT_WAIT_MS;

    while (heard->answered + heard->lost < all) {
        assert_true(clock_monotonic_ms() < end);
        script_turn();
    }
    assert_int_equal(heard->answered + heard->lost, all);
}

/* The one answer to a GET, in these bytes. */
static struct heard answer_to_get(const char *bytes)
{
    struct heard heard = {0};

    ask(&heard);
    script_until_heard("$1\r\nk\r\n");
    script.heard_len = 0;
    script_say(bytes);
    until_settled(&heard, 1);
    assert_int_equal(heard.answered, 1);
    return heard;
}

static void every_type_is_read_and_the_wrong_one_is_absent(void **state)
{
    struct heard heard;

    (void)state;
    script_greet();
    assert_int_equal(answer_to_get(":-12\r\n").value, -12);
    assert_int_equal(answer_to_get("$2\r\n42\r\n").value, 42);
    assert_int_equal(answer_to_get("$3\r\n42x\r\n").value, -77);
    assert_string_equal(answer_to_get("+OK\r\n").text, "OK");
    assert_string_equal(answer_to_get("$-1\r\n").text, "(none)");
    assert_string_equal(answer_to_get(":5\r\n").text, "(none)");
    heard = answer_to_get("-ERR no\r\n");
    assert_true(heard.error);
    assert_string_equal(heard.text, "ERR no");
    heard = answer_to_get("*2\r\n$1\r\na\r\n*0\r\n");
    assert_int_equal(heard.count, 2);
    assert_int_equal(heard.value, -77);
    assert_int_equal(answer_to_get("*-1\r\n").count, 0);
    assert_null(redis_reply_at(NULL, 0));
    assert_null(redis_reply_text(NULL));
    assert_int_equal(redis_reply_int(NULL, 3), 3);
    assert_false(redis_reply_is_error(NULL));
    redis_reply_free(NULL);
}

static void commands_are_written_with_their_lengths(void **state)
{
    const char *const argv[] = {"SET", "", "a\r\nb", "x\0y"};
    const size_t lengths[] = {3, 0, 4, 3};
    static const char expected[] = "*4\r\n$3\r\nSET\r\n$0\r\n\r\n$4\r\na\r\nb\r\n$3\r\nx\0y\r\n";

    (void)state;
    script_greet();
    redis_send(script.redis, 4, argv, lengths, NULL, NULL);
    script_until_heard("x");
    while (script.heard_len < sizeof expected - 1)
        script_turn();
    assert_int_equal(script.heard_len, sizeof expected - 1);
    assert_memory_equal(script.heard, expected, sizeof expected - 1);
    script_say("+OK\r\n"); /* nobody waits for it, and nothing breaks */
    assert_string_equal(answer_to_get("+next\r\n").text, "next");
}

static void an_answer_may_come_in_single_bytes(void **state)
{
    static const char answer[] = "*2\r\n$5\r\nhello\r\n:7\r\n";
    struct heard heard = {0};

    (void)state;
    script_greet();
    ask(&heard);
    script_until_heard("k\r\n");
    for (size_t i = 0; i < sizeof answer - 1; i++) {
        assert_int_equal(heard.answered, 0);
        script_say_len(answer + i, 1);
        script_turn();
    }
    until_settled(&heard, 1);
    assert_int_equal(heard.count, 2);
}

/* What each of these does to three commands in flight, the first of them answered. */
static void breaks_the_connection(const char *bytes, const char *problem)
{
    struct heard heard = {0};

    script_greet();
    for (int i = 0; i < 3; i++)
        ask(&heard);
    script_until_heard("k\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*2\r\n");
    script_say(":1\r\n");
    while (heard.answered == 0)
        script_turn();
    if (bytes)
        script_say(bytes);
    else
        script_hang_up();
    until_settled(&heard, 3);
    assert_int_equal(heard.lost, 2);
    assert_false(redis_ready(script.redis));
    if (!strstr(redis_problem(script.redis), problem))
        fail_msg("%s", redis_problem(script.redis));
    if (bytes)
        script_hang_up();
    script.heard_len = 0;
}

static void wrong_answers_end_the_connection_and_it_heals(void **state)
{
    (void)state;
    breaks_the_connection("?what\r\n", "not understood");
    breaks_the_connection("*99999999\r\n", "not understood"); /* an array beyond the limit is not even allocated */
    breaks_the_connection(NULL, "closed");
    script_greet();
    assert_string_equal(answer_to_get("+OK\r\n").text, "OK");
}

static void an_answer_that_nobody_asked_for_ends_the_connection(void **state)
{
    int64_t end = clock_monotonic_ms() + SCRIPT_WAIT_MS;

    (void)state;
    script_greet();
    script_say("+surprise\r\n");
    while (redis_ready(script.redis)) {
        assert_true(clock_monotonic_ms() < end);
        script_turn();
    }
    assert_non_null(strstr(redis_problem(script.redis), "nobody asked"));
}

static void a_greeting_without_an_answer_is_given_up(void **state)
{
    struct heard heard = {0};
    int64_t end = clock_monotonic_ms() + SCRIPT_WAIT_MS;

    (void)state;
    script_until_heard("INFO");
    assert_int_equal(redis_in_flight(script.redis), 0);
    ask(&heard);
    until_settled(&heard, 1);
    assert_int_equal(heard.lost, 1);
    while (!strstr(redis_problem(script.redis), "no answer")) {
        assert_true(clock_monotonic_ms() < end);
        script_turn();
    }
}

static void a_greeting_that_is_refused_is_told(void **state)
{
    int64_t end = clock_monotonic_ms() + SCRIPT_WAIT_MS;

    (void)state;
    script_until_heard("server\r\n");
    script_say("-NOAUTH Authentication required.\r\n");
    while (!strstr(redis_problem(script.redis), "NOAUTH")) {
        assert_true(clock_monotonic_ms() < end);
        script_turn();
    }
    assert_string_equal(redis_run_id(script.redis), "");
}

/* The kernel's buffers are small and nobody reads: what is sent waits here, and redis_events asks for POLLOUT. */
/* Nothing is answered, which may take long under a sanitizer. */
static int open_patiently(void **state)
{
    (void)state;
    return script_open_for(600000);
}

static void a_full_socket_keeps_the_rest_for_later(void **state)
{
    enum { COUNT = 10000 };
    static char large[1000];
    const char *const argv[] = {"SET", "k", large};
    struct heard heard = {0};
    char sink[65536];
    size_t total = 0;

    (void)state;
    memset(large, 'x', sizeof large - 1);
    script_greet();
    for (int i = 0; i < COUNT; i++)
        redis_send(script.redis, 3, argv, NULL, on_answer, &heard);
    redis_process(script.redis, 0);
    assert_true(redis_events(script.redis) & POLLOUT);
    while (total < (size_t)COUNT * (sizeof large - 1 + 28)) {
        ssize_t got = recv(script.peer, sink, sizeof sink, 0);
        assert_int_not_equal(got, 0);
        if (got > 0)
            total += (size_t)got;
        redis_process(script.redis, 0);
    }
    assert_false(redis_events(script.redis) & POLLOUT);
    assert_int_equal(total, (size_t)COUNT * (sizeof large - 1 + 28));
    assert_int_equal(redis_in_flight(script.redis), COUNT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, script_open, script_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_type_is_read_and_the_wrong_one_is_absent),
        TEST(commands_are_written_with_their_lengths),
        TEST(an_answer_may_come_in_single_bytes),
        TEST(wrong_answers_end_the_connection_and_it_heals),
        TEST(an_answer_that_nobody_asked_for_ends_the_connection),
        TEST(a_greeting_without_an_answer_is_given_up),
        TEST(a_greeting_that_is_refused_is_told),
        cmocka_unit_test_setup_teardown(a_full_socket_keeps_the_rest_for_later, open_patiently, script_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
