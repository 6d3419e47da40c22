/*
 * The connection against a real server of the test's own: pipelining, order, a server that sleeps, dies, comes back, refuses the login; and that nothing ever blocks or
 * is answered twice.
 */
#include "base/clock.h"
#include "base/err.h"
#include "redis/redis.h"
#include "redis/store.h"
#include "support/own_redis.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { WAIT_MS = 60000, TIMEOUT_MS = 300, MANY = 20000 };

struct count {
    int answered, lost, errors;
    int64_t last; /* integer of the last answer */
    bool in_order;
};

static struct own_redis *server;

static int start_server(void **state)
{
    (void)state;
    server = own_redis_start(NULL);
    return 0;
}

static int stop_server(void **state)
{
    (void)state;
    own_redis_stop(server);
    return 0;
}

static struct redis *open_with(const struct redis_options *options)
{
    struct redis *redis = NULL;
    struct err err = {0};

    assert_int_equal(redis_new(options, &redis, &err), 0);
    return redis;
}

static struct redis *open_to(const char *address, const char *user, const char *password)
{
    return open_with(
        &(struct redis_options){.address = address, .user = user, .password = password, .timeout_ms = TIMEOUT_MS});
}

static struct redis *open_redis(void)
{
    return open_to(own_redis_address(server), NULL, NULL);
}

static void turn(struct redis *redis)
{
    struct pollfd fd = {.fd = redis_fd(redis), .events = redis_events(redis)};
    int wait = redis_wait_ms(redis);
    int ready = poll(&fd, 1, wait < 0 || wait > 50 ? 50 : wait);
    int64_t before = clock_monotonic_ms();

    redis_process(redis, ready > 0 ? fd.revents : 0);
    assert_true(clock_monotonic_ms() - before < 1000);
}

static void until_ready(struct redis *redis)
{
    int64_t end = clock_monotonic_ms() + WAIT_MS;

    while (!redis_ready(redis)) {
        assert_true(clock_monotonic_ms() < end);
        turn(redis);
    }
}

static void on_answer(void *context, enum redis_outcome outcome, const struct redis_reply *reply)
{
    struct count *count = context;
    int64_t value = redis_reply_int(reply, -1);

    if (outcome == REDIS_LOST) {
        assert_null(reply);
        count->lost++;
        return;
    }
    count->answered++;
    count->errors += redis_reply_is_error(reply);
    count->in_order = count->in_order && value == count->last + 1;
    count->last = value;
}

static void until_settled(struct redis *redis, const struct count *count, int all)
{
    int64_t end = clock_monotonic_ms() + WAIT_MS;

    while (count->answered + count->lost < all) {
        assert_true(clock_monotonic_ms() < end);
        turn(redis);
    }
    assert_int_equal(count->answered + count->lost, all);
    assert_int_equal(redis_in_flight(redis), 0);
}

static void send_incr(struct redis *redis, const char *key, struct count *count)
{
    const char *const argv[] = {"INCR", key};

    redis_send(redis, 2, argv, NULL, on_answer, count);
}

static struct redis_reply *call(struct redis *redis, struct err *err, const char *command, const char *argument)
{
    const char *const argv[] = {command, argument};

    return redis_call(redis, err, argument ? 2 : 1, argv, NULL);
}

static void answers_come_in_order(void **state)
{
    struct redis *redis = open_redis();
    struct count count = {.in_order = true};

    (void)state;
    assert_string_equal(redis_run_id(redis), "");
    assert_int_equal(redis_fd(redis), -1);
    until_ready(redis);
    assert_int_equal(strlen(redis_run_id(redis)), 40);
    assert_string_equal(redis_problem(redis), "");
    for (int i = 0; i < MANY; i++)
        send_incr(redis, "order", &count);
    assert_int_equal(redis_in_flight(redis), MANY);
    until_settled(redis, &count, MANY);
    assert_int_equal(count.lost, 0);
    assert_true(count.in_order);
    assert_int_equal(redis_wait_ms(redis), -1);
    redis_free(redis);
}

static void binary_and_large_arguments_arrive_whole(void **state)
{
    enum { LARGE = 8 * 1024 * 1024 };
    struct redis *redis = open_with(
        &(struct redis_options){.address = own_redis_address(server), .timeout_ms = WAIT_MS}); /* a busy machine */
    char *large = malloc(LARGE);
    const char *const set[] = {"SET", "large", large};
    const size_t lengths[] = {3, 5, LARGE};
    struct err err = {0};

    (void)state;
    assert_non_null(large);
    for (size_t i = 0; i < LARGE; i++)
        large[i] = (char)(i * 7);
    struct redis_reply *reply = redis_call(redis, &err, 3, set, lengths);
    assert_non_null(reply);
    redis_reply_free(reply);
    reply = call(redis, &err, "STRLEN", "large");
    assert_int_equal(redis_reply_int(reply, -1), LARGE);
    redis_reply_free(reply);
    reply = call(redis, &err, "GET", "large");
    assert_memory_equal(redis_reply_text(reply), large, LARGE);
    redis_reply_free(reply);
    free(large);
    redis_free(redis);
}

static void what_is_sent_while_down_is_lost_at_once(void **state)
{
    struct redis *redis = open_to("127.0.0.1:1", NULL, NULL);
    int64_t end = clock_monotonic_ms() + WAIT_MS;
    struct count count = {0};

    (void)state;
    send_incr(redis, "k", &count);
    assert_int_equal(count.lost, 0);
    assert_int_equal(redis_wait_ms(redis), 0);
    redis_process(redis, 0);
    assert_int_equal(count.lost, 1);
    while (!strstr(redis_problem(redis), "refused")) {
        assert_true(clock_monotonic_ms() < end);
        turn(redis);
    }
    assert_false(redis_ready(redis));
    assert_in_range(redis_wait_ms(redis), 0, 2000);
    redis_free(redis);
}

static void a_callback_may_send_again_and_does_not_spin(void **state)
{
    struct redis *redis = open_to("127.0.0.1:1", NULL, NULL);
    struct count count = {0};

    (void)state;
    for (int i = 0; i < 10; i++)
        send_incr(redis, "k", &count);
    for (int i = 1; i <= 3; i++) {
        redis_process(redis, 0);
        send_incr(redis, "k", &count);
        assert_int_equal(count.lost, 10 + i - 1);
    }
    redis_free(redis);
}

static void a_sleeping_server_costs_the_time_out_and_no_more(void **state)
{
    struct redis *redis = open_redis();
    struct count count = {.in_order = true};
    int64_t before;
    struct err err = {0};

    (void)state;
    until_ready(redis);
    own_redis_signal(server, SIGSTOP);
    before = clock_monotonic_ms();
    for (int i = 0; i < 100; i++)
        send_incr(redis, "asleep", &count);
    until_settled(redis, &count, 100);
    assert_int_equal(count.lost, 100);
    assert_in_range(clock_monotonic_ms() - before, TIMEOUT_MS, TIMEOUT_MS + 5000);
    assert_non_null(strstr(redis_problem(redis), "no answer"));
    own_redis_signal(server, SIGCONT);
    until_ready(redis);
    redis_free(redis);

    redis = open_redis();
    struct redis_reply *reply = call(redis, &err, "PING", NULL);
    redis_reply_free(reply);
    own_redis_signal(server, SIGSTOP);
    before = clock_monotonic_ms();
    assert_null(call(redis, &err, "PING", NULL));
    assert_int_equal(err.kind, ERR_RETRY);
    assert_null(call(redis, &err, "PING", NULL)); /* the kernel takes the connection, but nobody greets */
    assert_int_equal(err.kind, ERR_RETRY);
    assert_in_range(clock_monotonic_ms() - before, 2 * TIMEOUT_MS, 2 * TIMEOUT_MS + 5000);
    own_redis_signal(server, SIGCONT);
    reply = call(redis, &err, "PING", NULL);
    assert_string_equal(redis_reply_text(reply), "PONG");
    redis_reply_free(reply);
    redis_free(redis);
}

/* Everything sent is answered or lost, once; what was answered did run; the connection heals by itself and knows the new server run. */
static void a_server_that_dies_under_load_loses_no_callback(void **state)
{
    struct redis *redis = open_redis();
    struct count count = {.in_order = true};
    char before[64];
    int64_t end = clock_monotonic_ms() + WAIT_MS;

    (void)state;
    until_ready(redis);
    snprintf(before, sizeof before, "%s", redis_run_id(redis));
    for (int i = 0; i < MANY; i++)
        send_incr(redis, "load", &count);
    while (count.answered < 100 && clock_monotonic_ms() < end)
        turn(redis);
    own_redis_kill(server);
    until_settled(redis, &count, MANY);
    assert_true(count.in_order);
    while (redis_ready(redis)) { /* everything may have been answered before */
        assert_true(clock_monotonic_ms() < end);
        turn(redis);
    }
    own_redis_restart(server, true);
    until_ready(redis);
    assert_string_not_equal(redis_run_id(redis), before);
    count = (struct count){.in_order = true};
    send_incr(redis, "load", &count);
    until_settled(redis, &count, 1);
    assert_int_equal(count.answered, 1);
    assert_int_equal(count.last, 1);
    redis_free(redis);
}

static void a_call_heals_after_a_restart_without_being_lost(void **state)
{
    struct redis *redis = open_redis();
    struct err err = {0};
    struct redis_reply *reply;

    (void)state;
    for (int i = 0; i < 3; i++) {
        reply = call(redis, &err, "PING", NULL);
        assert_string_equal(redis_reply_text(reply), "PONG");
        redis_reply_free(reply);
        own_redis_restart(server, false);
    }
    own_redis_kill(server);
    assert_null(call(redis, &err, "PING", NULL));
    assert_int_equal(err.kind, ERR_RETRY);
    assert_null(call(redis, &err, "PING", NULL));
    own_redis_restart(server, false);
    reply = call(redis, &err, "PING", NULL);
    assert_non_null(reply);
    redis_reply_free(reply);
    redis_free(redis);
}

static void many_calls_take_one_round(void **state)
{
    enum { COUNT = 1000 };
    static const char *const incr[] = {"INCR", "many"};
    static const char *const wrong[] = {"LPUSH", "many"};
    static const char *const *argvs[COUNT];
    static int argcs[COUNT];
    static struct redis_reply *replies[COUNT];
    struct redis *redis = open_redis();
    struct err err = {0};

    (void)state;
    for (int i = 0; i < COUNT; i++) {
        argvs[i] = i == 500 ? wrong : incr;
        argcs[i] = 2;
    }
    assert_int_equal(redis_call_many(redis, COUNT, argcs, argvs, replies, &err), 0);
    assert_true(redis_reply_is_error(replies[500]));
    assert_int_equal(redis_reply_int(replies[COUNT - 1], -1), COUNT - 1);
    for (int i = 0; i < COUNT; i++)
        redis_reply_free(replies[i]);
    own_redis_signal(server, SIGSTOP);
    assert_int_equal(redis_call_many(redis, COUNT, argcs, argvs, replies, &err), -1);
    assert_int_equal(err.kind, ERR_RETRY);
    own_redis_signal(server, SIGCONT);
    for (int i = 0; i < COUNT; i++)
        redis_reply_free(replies[i]);
    redis_free(redis);
}

static void refusals_are_permanent_and_named(void **state)
{
    static const char *const set_user[] = {"ACL", "SETUSER", "worker", "on", ">secret", "~fs:*", "+@read", "+info"};
    static const char *const forbidden[] = {"SET", "fs:x", "1"};
    struct redis *redis = open_redis();
    struct err err = {0};
    struct redis_reply *reply = redis_call(redis, &err, 8, set_user, NULL);

    (void)state;
    assert_non_null(reply);
    redis_reply_free(reply);
    redis_free(redis);

    redis = open_to(own_redis_address(server), "worker", "wrong");
    assert_null(call(redis, &err, "PING", NULL));
    assert_int_equal(err.kind, ERR_PERMANENT);
    assert_non_null(strstr(err.text, "WRONGPASS"));
    assert_null(strstr(err.text, "wrong"));
    assert_true(err.hint[0] != '\0');
    redis_free(redis);

    redis = open_to(own_redis_address(server), "worker", "secret");
    reply = call(redis, &err, "GET", "fs:x");
    assert_non_null(reply);
    assert_null(redis_reply_text(reply));
    redis_reply_free(reply);
    assert_null(redis_call(redis, &err, 3, forbidden, NULL));
    assert_int_equal(err.kind, ERR_PERMANENT);
    assert_non_null(strstr(err.text, "NOPERM"));
    redis_free(redis);
}

/* A former master that became a replica must not be talked to: its connection is given up, and the name looked up again. */
static void a_replica_is_left(void **state)
{
    static const char *const demote[] = {"REPLICAOF", "127.0.0.1", "1"};
    static const char *const promote[] = {"REPLICAOF", "NO", "ONE"};
    struct redis *admin = open_redis();
    struct redis *redis = open_redis();
    struct count count = {0};
    struct err err = {0};

    (void)state;
    until_ready(redis);
    redis_reply_free(redis_call(admin, &err, 3, demote, NULL));
    send_incr(redis, "k", &count);
    send_incr(redis, "k", &count);
    until_settled(redis, &count, 2);
    assert_true(count.errors >= 1);
    assert_false(redis_ready(redis));
    assert_non_null(strstr(redis_problem(redis), "READONLY"));
    redis_reply_free(redis_call(admin, &err, 3, promote, NULL));
    until_ready(redis);
    redis_free(admin);
    redis_free(redis);
}

static void a_name_is_looked_up_without_blocking(void **state)
{
    char address[64];
    const char *port = strrchr(own_redis_address(server), ':');
    struct redis *redis;
    struct err err = {0};

    (void)state;
    snprintf(address, sizeof address, "localhost%s", port);
    redis = open_to(address, NULL, NULL);
    until_ready(redis);
    redis_free(redis);
    redis = open_to("no-such-name.invalid:6379", NULL, NULL);
    assert_null(call(redis, &err, "PING", NULL));
    assert_int_equal(err.kind, ERR_RETRY);
    redis_free(redis);
    redis = open_to("no-such-name.invalid:6379", NULL, NULL);
    redis_process(redis, 0);
    redis_free(redis); /* while the lookup is under way */
}

static void a_socket_path_works(void **state)
{
    char path[64];
    char line[80];
    const char *const extra[] = {line, NULL};
    struct own_redis *other;
    struct redis *redis;
    struct err err = {0};

    (void)state;
    snprintf(path, sizeof path, "/tmp/fleetsnap-redis-%d.sock", (int)getpid());
    snprintf(line, sizeof line, "unixsocket %s", path);
    other = own_redis_start(extra);
    redis = open_to(path, NULL, NULL);
    struct redis_reply *reply = call(redis, &err, "PING", NULL);
    assert_non_null(reply);
    redis_reply_free(reply);
    redis_free(redis);
    own_redis_stop(other);
    unlink(path);
}

/* Every function may be sent again after a lost answer: here the answer to an acquire is lost on purpose. */
static void an_acquire_with_a_lost_answer_is_repeated(void **state)
{
    const struct store_ticket ticket = {.job_id = "j1",
                                        .host = "alpha",
                                        .target = "null:t",
                                        .op = "null.run",
                                        .term = 1,
                                        .state = "",
                                        .cancel = "",
                                        .control = "",
                                        .journal = "",
                                        .ttl_ms = 60000};
    struct store_acquire acquire = {.job_id = "j1",
                                    .host = "alpha",
                                    .instance = "i",
                                    .target = "null:t",
                                    .journal = "j",
                                    .job_class = 1,
                                    .epoch = 1,
                                    .attempt = 1,
                                    .ttl_ms = 30000};
    struct redis *redis = open_redis();
    struct redis *other = open_redis();
    struct store_command command = {0};
    struct count count = {0};
    struct acquire_result result;
    struct err err = {0};
    bool written = false;

    (void)state;
    assert_int_equal(store_load_functions(other, &err), 0);
    assert_int_equal(store_epoch_write(other, 1, 1, redis_run_id(other), &written, &err), 0);
    assert_true(written);
    store_ticket_command(&ticket, &command, &err);
    redis_reply_free(store_call(other, &command, &err));

    until_ready(redis);
    acquire.run_id = redis_run_id(redis);
    assert_int_equal(store_acquire_command(&acquire, &command, &err), 0);
    store_send(redis, &command, on_answer, &count);
    redis_process(redis, 0); /* it is written, and we never look for the answer */
    int64_t end = clock_monotonic_ms() + WAIT_MS;
    struct store_job job = {0};
    while (job.token == 0 && clock_monotonic_ms() < end)
        assert_int_equal(store_job_read(other, "j1", &job, &err), 0);
    redis_free(redis);
    struct redis_reply *reply = store_call(other, &command, &err);
    store_acquire_answer(REDIS_ANSWERED, reply, &result);
    redis_reply_free(reply);
    assert_int_equal(result.answer, ACQUIRE_OK);
    assert_int_equal(result.token, job.token);
    store_command_clear(&command);
    redis_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_come_in_order),
        cmocka_unit_test(binary_and_large_arguments_arrive_whole),
        cmocka_unit_test(what_is_sent_while_down_is_lost_at_once),
        cmocka_unit_test(a_callback_may_send_again_and_does_not_spin),
        cmocka_unit_test(a_sleeping_server_costs_the_time_out_and_no_more),
        cmocka_unit_test(a_server_that_dies_under_load_loses_no_callback),
        cmocka_unit_test(a_call_heals_after_a_restart_without_being_lost),
        cmocka_unit_test(many_calls_take_one_round),
        cmocka_unit_test(refusals_are_permanent_and_named),
        cmocka_unit_test(a_replica_is_left),
        cmocka_unit_test(a_name_is_looked_up_without_blocking),
        cmocka_unit_test(a_socket_path_works),
        cmocka_unit_test(an_acquire_with_a_lost_answer_is_repeated),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
