/* Hosts and space, many jobs in one call, and a server that lost its memory. On a real server of the test's own. */
#include "support/redis_words.h"

#include "base/clock.h"
#include "base/err.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- hosts, space ---- */

/* More than go in one portion, and all answers at their places. */
static void many_hosts_are_read_at_once(void **state)
{
    enum { MANY = 1000, ALIVE = 700 };
    static char names[MANY][16];
    static const char *hosts[MANY];
    static struct store_host seen[MANY];
    char detail[256];
    struct err err = {0};

    (void)state;
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "h%d", i);
        hosts[i] = i == ALIVE ? "alpha" : names[i];
    }
    assert_int_equal(claim("i1", "boot-a", true, 45000, detail), CLAIM_OK);
    assert_int_equal(store_hosts_read(redis, hosts, MANY, seen, &err), 0);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(seen[i].alive, i == ALIVE);
    assert_string_equal(seen[ALIVE].instance, "i1");
    assert_int_equal(store_hosts_read(redis, hosts, 0, seen, &err), 0);
}

static void a_claim_passes_only_from_a_dead_one(void **state)
{
    const char *const alpha = "alpha";
    struct store_host host;
    char detail[256];
    struct err err = {0};

    (void)state;
    assert_int_equal(store_hosts_read(redis, &alpha, 1, &host, &err), 0);
    assert_false(host.alive);
    assert_int_equal(claim("i1", "boot-a", true, 45000, detail), CLAIM_OK);
    assert_int_equal(claim("i1", "boot-a", true, 45000, detail), CLAIM_OK);
    assert_int_equal(store_hosts_read(redis, &alpha, 1, &host, &err), 0);
    assert_true(host.alive);
    assert_in_range(host.ttl_ms, 40000, 45000);
    assert_string_equal(host.instance, "i1");
    assert_string_equal(host.version, "0.1.0");
    assert_int_equal(host.running, 3);

    assert_int_equal(claim("i2", "boot-b", true, 45000, detail), CLAIM_OTHER); /* a cloned image on another machine */
    assert_non_null(strstr(detail, "i1"));
    assert_int_equal(claim("i2", "boot-a", false, 45000, detail), CLAIM_OTHER); /* does not hold the directory */
    assert_int_equal(claim("i2", "boot-a", true, SHORT_MS, detail), CLAIM_OK);  /* the worker, started again */
    assert_int_equal(claim("i1", "boot-a", false, 45000, detail), CLAIM_OTHER);
    usleep(2 * SHORT_MS * 1000);
    assert_int_equal(claim("i3", "boot-b", true, 45000, detail), CLAIM_OK); /* it had run out */
}

static enum reserve_answer reserve(const char *job, int64_t bytes, int64_t *total)
{
    struct err err = {0};

    assert_int_equal(store_reserve_command("main", job, bytes, 1000, 100, &command, &err), 0);
    struct redis_reply *reply = call();
    enum reserve_answer answer = store_reserve_answer(REDIS_ANSWERED, reply, total);
    redis_reply_free(reply);
    return answer;
}

static void space_is_reserved_down_to_what_must_stay_free(void **state)
{
    int64_t total = 0;
    struct err err = {0};

    (void)state;
    assert_int_equal(reserve("j1", 600, &total), RESERVE_OK);
    assert_int_equal(reserve("j2", 301, &total), RESERVE_FULL);
    assert_int_equal(total, 600);
    assert_int_equal(reserve("j2", 300, &total), RESERVE_OK);
    assert_int_equal(total, 900);
    assert_int_equal(reserve("j1", 600, &total), RESERVE_OK); /* a repeat */
    assert_int_equal(reserve("j1", 200, &total), RESERVE_OK);
    assert_int_equal(total, 500);
    assert_int_equal(reserve("j1", 700, &total), RESERVE_FULL);
    DO("HSET", "fs:space:main", "j2", "300 1000"); /* its job died long ago */
    assert_int_equal(reserve("j1", 700, &total), RESERVE_OK);
    assert_int_equal(total, 700);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(store_unreserve_command("main", "j1", &command, &err), 0);
        redis_reply_free(call());
    }
    assert_int_equal(number_of(RUN("EXISTS", "fs:space:main")), 0);
}

static void the_server_says_what_doctor_asks(void **state)
{
    struct store_server facts;
    int64_t now = 0;
    struct err err = {0};

    (void)state;
    assert_int_equal(store_server_read(redis, &facts, &err), 0);
    assert_true(facts.version[0] >= '7');
    assert_string_equal(facts.run_id, redis_run_id(redis));
    assert_string_equal(facts.policy, "noeviction");
    assert_true(facts.append_only);
    assert_int_equal(store_time_us(redis, &now, &err), 0);
    assert_true(llabs(now / 1000 - clock_real_ms()) < WAIT_MS);
}

/* ---- loss of memory, as a whole ---- */

static void a_restart_lets_the_holder_go_on_and_nobody_else_in(void **state)
{
    struct store_acquire other = new_acquire("j2", 1);
    char before[64];
    int64_t token;

    (void)state;
    ticket("j1", 1);
    ticket("j2", 1);
    token = take("j1");
    snprintf(before, sizeof before, "%s", redis_run_id(redis));
    for (int without_data = 0; without_data < 2; without_data++) {
        own_redis_restart(server, without_data);
        DO("PING");
        assert_string_not_equal(redis_run_id(redis), before);
        struct err err = {0};
        assert_int_equal(store_load_functions(redis, &err), 0);
        other.run_id = redis_run_id(redis);
        assert_int_equal(acquire(&other).answer, ACQUIRE_EPOCH);
        enum renew_answer answer = renew_plain("j1", token);
        assert_true(answer == (without_data ? RENEW_TAKEN_BACK : RENEW_OK));
        if (without_data) {
            ticket("j1", 1);
            ticket("j2", 1);
        }
        write_epoch(2 + without_data);
        other.epoch = 2 + without_data;
        assert_int_equal(acquire(&other).answer, ACQUIRE_HELD);
        assert_int_equal(renew_plain("j1", token), RENEW_OK);
    }
    assert_int_equal(finish("j1", token, "SUCCEEDED"), FINISH_OK);
    assert_int_equal(acquire(&other).token, 3 * STEP + 1);
}

/* ---- many at once ---- */

static char said[256];

static void note(void *context, enum redis_outcome outcome, const struct redis_reply *reply)
{
    const char *word = redis_reply_is_error(reply) ? "error" : redis_reply_text(redis_reply_at(reply, 0));
    const char *detail = redis_reply_text(redis_reply_at(reply, 1));

    assert_int_equal(outcome, REDIS_ANSWERED);
    snprintf(said + strlen(said), sizeof said - strlen(said), "%s=%s%s%s ", (const char *)context, word,
             detail ? ":" : "", detail ? detail : "");
}

static void send_command(const char *job)
{
    store_send(redis, &command, note, (void *)job);
}

static void until_said(const char *expected)
{
    int64_t end = clock_monotonic_ms() + WAIT_MS;

    while (redis_wait_ms(redis) == 0 || redis_in_flight(redis) > 0) {
        struct pollfd fd = {.fd = redis_fd(redis), .events = redis_events(redis)};
        redis_process(redis, poll(&fd, 1, 10) > 0 ? fd.revents : 0);
        assert_true(clock_monotonic_ms() < end);
    }
    assert_string_equal(said, expected);
    said[0] = '\0';
}

/* As one call each; a target that two of them want is the first one's, and one that goes wrong is nobody else's trouble. */
static void many_at_once_are_answered_as_each_alone(void **state)
{
    static const char *const jobs[] = {"j1", "j2", "j3", "j4"}, *const targets[] = {"t:1", "t:2", "t:1", "t:4"};

    (void)state;
    DO("SET", "fs:job:j2", "no hash");
    for (size_t i = 0; i < 4; i++) {
        struct store_ticket fresh = new_ticket(jobs[i], 1);
        fresh.target = targets[i];
        assert_int_equal(store_ticket_command(&fresh, &command, NULL), 0);
        send_command(jobs[i]);
    }
    until_said("j1=OK j3=OK j4=OK j2=error ");
    DO("DEL", "fs:job:j2");
    for (size_t i = 0; i < 4; i++) {
        struct store_acquire request = new_acquire(jobs[i], 1);
        request.target = targets[i];
        assert_int_equal(store_acquire_command(&request, &command, NULL), 0);
        send_command(jobs[i]);
    }
    until_said("j1=OK:4294967297 j2=NOTICKET j3=HELD j4=OK:4294967297 ");
    for (size_t i = 0; i < 4; i++) {
        struct store_finish end = {
            .job_id = jobs[i], .host = "alpha", .target = targets[i], .token = STEP + 1, .state = "SUCCEEDED"};
        assert_int_equal(store_finish_command(&end, &command, NULL), 0);
        send_command(jobs[i]);
    }
    until_said("j1=OK j2=OK j3=OK j4=OK ");
    expect_text(RUN("HGET", "fs:lock:t:1", "owner"), "");
    assert_string_equal(look("j4").state, "SUCCEEDED");
    for (size_t i = 0; i < 4; i++) {
        struct store_ticket late = new_ticket(jobs[i], 1);
        late.term = TERM - 1;
        assert_int_equal(store_ticket_command(&late, &command, NULL), 0);
        send_command(jobs[i]);
    }
    until_said("j1=TERM j2=TERM j3=TERM j4=TERM ");
}

static void ask_twice_at_once(const char *expected)
{
    send_command("j1");
    send_command("j1");
    until_said(expected);
}

/* What is asked once for all of them is asked again by the next call. */
static void what_one_call_learned_is_forgotten_by_the_next(void **state)
{
    struct store_acquire request = new_acquire("j1", 0);

    (void)state;
    ticket("j1", 0);
    assert_int_equal(store_acquire_command(&request, &command, NULL), 0);
    ask_twice_at_once("j1=OK:0 j1=OK:0 ");
    DO("HSET", "fs:hold", "all", "stop");
    assert_int_equal(store_acquire_command(&request, &command, NULL), 0);
    ask_twice_at_once("j1=HOLD:stop j1=HOLD:stop ");
    DO("SET", "fs:epoch", "2:other");
    ask_twice_at_once("j1=EPOCH j1=EPOCH ");
}

static void a_job_that_only_reads_shows_by_renew_and_finish(void **state)
{
    struct store_acquire request = new_acquire("j1", 0);

    (void)state;
    ticket("j1", 0);
    assert_int_equal(acquire(&request).answer, ACQUIRE_OK);
    assert_string_equal(look("j1").state, "");
    assert_int_equal(renew_plain("j1", 0), RENEW_OK);
    assert_true(look("j1").heartbeat_ms > 0);
    assert_int_equal(finish("j1", 0, "SUCCEEDED"), FINISH_OK);
    assert_string_equal(look("j1").state, "SUCCEEDED");
    assert_int_equal(number_of(RUN("EXISTS", "fs:lock:" TARGET)), 0);
    assert_int_equal(acquire(&request).answer, ACQUIRE_TERMINAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(many_hosts_are_read_at_once),
        TEST(a_claim_passes_only_from_a_dead_one),
        TEST(space_is_reserved_down_to_what_must_stay_free),
        TEST(the_server_says_what_doctor_asks),
        TEST(many_at_once_are_answered_as_each_alone),
        TEST(what_one_call_learned_is_forgotten_by_the_next),
        TEST(a_job_that_only_reads_shows_by_renew_and_finish),
        TEST(a_restart_lets_the_holder_go_on_and_nobody_else_in),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
