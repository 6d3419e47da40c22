/*
 * The Redis functions on a real server of the test's own: every answer of every function, every call repeated, locks that run out, loss of memory, two hosts that want the
 * same target. Each test begins with an emptied server of which the leader (term 7) has written epoch 1.
 */
#include "base/clock.h"
#include "base/err.h"
#include "redis/store.h"
#include "support/own_redis.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define TARGET "libvirt:7c1d"
#define STEP   (INT64_C(1) << 32)

enum { TERM = 7, LONG_MS = 30000, SHORT_MS = 60, WAIT_MS = 60000, MONTH_S = 2592000 };

static struct own_redis *server;
static struct redis *redis;
static struct store_command command;

/* ---- the words of the tests ---- */

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
    store_command_clear(&command);
    redis_free(redis);
    own_redis_stop(server);
    return 0;
}

static struct redis_reply *run(int argc, const char *const *argv)
{
    struct err err = {0};
    struct redis_reply *reply = redis_call(redis, &err, argc, argv, NULL);

    if (!reply)
        fail_msg("%s: %s", argv[0], err.text);
    return reply;
}

#define RUN(...) \
    run((int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)), (const char *const[]){__VA_ARGS__})
#define DO(...) redis_reply_free(RUN(__VA_ARGS__))

static int64_t number_of(struct redis_reply *reply)
{
    int64_t value = redis_reply_int(reply, INT64_MIN);

    redis_reply_free(reply);
    return value;
}

static void expect_text(struct redis_reply *reply, const char *expected)
{
    if (expected)
        assert_string_equal(redis_reply_text(reply), expected);
    else
        assert_null(redis_reply_text(reply));
    redis_reply_free(reply);
}

static void write_epoch(int64_t n)
{
    struct err err = {0};
    bool written = false;

    assert_int_equal(store_epoch_write(redis, TERM, n, redis_run_id(redis), &written, &err), 0);
    assert_true(written);
}

static int begin(void **state)
{
    (void)state;
    DO("FLUSHALL");
    write_epoch(1);
    return 0;
}

static int write_holds(const struct facts *holds, struct err *err)
{
    struct strings pairs = {0};

    for (size_t i = 0; i < holds->count; i++) {
        assert_int_equal(strings_add(&pairs, holds->items[i].key, err), 0);
        assert_int_equal(strings_add(&pairs, holds->items[i].value, err), 0);
    }
    int result = store_holds_write(redis, TERM, &pairs, err);
    strings_clear(&pairs);
    return result;
}

static struct redis_reply *call(void)
{
    struct err err = {0};
    struct redis_reply *reply = store_call(redis, &command, &err);

    if (!reply)
        fail_msg("%s: %s", command.argv[1], err.text);
    return reply;
}

static struct store_ticket new_ticket(const char *job, int job_class)
{
    return (struct store_ticket){.job_id = job,
                                 .host = "alpha",
                                 .target = TARGET,
                                 .op = "snapshot.create",
                                 .job_class = job_class,
                                 .term = TERM,
                                 .state = "",
                                 .cancel = "",
                                 .control = "",
                                 .journal = "",
                                 .ttl_ms = MONTH_S * INT64_C(1000)};
}

static enum ticket_answer write_ticket(const struct store_ticket *ticket)
{
    struct err err = {0};

    assert_int_equal(store_ticket_command(ticket, &command, &err), 0);
    struct redis_reply *reply = call();
    enum ticket_answer answer = store_ticket_answer(reply);
    redis_reply_free(reply);
    return answer;
}

static void ticket(const char *job, int job_class)
{
    struct store_ticket fresh = new_ticket(job, job_class);

    assert_int_equal(write_ticket(&fresh), TICKET_OK);
}

static enum ticket_answer tell(int (*build)(int64_t, const char *, const char *, struct store_command *, struct err *),
                               int64_t term, const char *job, const char *word)
{
    struct err err = {0};

    assert_int_equal(build(term, job, word, &command, &err), 0);
    struct redis_reply *reply = call();
    enum ticket_answer answer = store_ticket_answer(reply);
    redis_reply_free(reply);
    return answer;
}

static struct store_acquire new_acquire(const char *job, int job_class)
{
    return (struct store_acquire){.job_id = job,
                                  .host = "alpha",
                                  .instance = "boot-1",
                                  .target = TARGET,
                                  .journal = "journal-1",
                                  .job_class = job_class,
                                  .epoch = 1,
                                  .run_id = redis_run_id(redis),
                                  .attempt = 1,
                                  .ttl_ms = LONG_MS};
}

static struct acquire_result acquire(const struct store_acquire *request)
{
    struct acquire_result result;
    struct err err = {0};

    assert_int_equal(store_acquire_command(request, &command, &err), 0);
    struct redis_reply *reply = call();
    store_acquire_answer(REDIS_ANSWERED, reply, &result);
    redis_reply_free(reply);
    return result;
}

static int64_t take(const char *job)
{
    struct store_acquire request = new_acquire(job, 1);
    struct acquire_result result = acquire(&request);

    assert_int_equal(result.answer, ACQUIRE_OK);
    return result.token;
}

/* Waits until the lock of a short ttl has run out by the server's clock. */
static int64_t take_briefly(const char *job)
{
    struct store_acquire request = new_acquire(job, 1);
    int64_t now;
    struct err err = {0};

    request.ttl_ms = SHORT_MS;
    struct acquire_result result = acquire(&request);
    assert_int_equal(result.answer, ACQUIRE_OK);
    int64_t until = number_of(RUN("HGET", "fs:lock:" TARGET, "until"));
    do
        assert_int_equal(store_time_us(redis, &now, &err), 0);
    while (now / 1000 <= until);
    return result.token;
}

static struct store_renew new_renew(const char *job, int64_t token)
{
    return (struct store_renew){.job_id = job,
                                .host = "alpha",
                                .instance = "boot-1",
                                .target = TARGET,
                                .token = token,
                                .ttl_ms = LONG_MS,
                                .epoch = 1,
                                .run_id = redis_run_id(redis),
                                .phase = "push",
                                .done = 5,
                                .total = 9};
}

static struct renew_result renew(const struct store_renew *request)
{
    struct renew_result result;
    struct err err = {0};

    assert_int_equal(store_renew_command(request, &command, &err), 0);
    struct redis_reply *reply = call();
    store_renew_answer(REDIS_ANSWERED, reply, &result);
    redis_reply_free(reply);
    return result;
}

static enum renew_answer renew_plain(const char *job, int64_t token)
{
    struct store_renew request = new_renew(job, token);

    return renew(&request).answer;
}

static enum finish_answer finish_as(const char *job, const char *host, int64_t token, const char *end)
{
    const struct store_finish request = {.job_id = job, .host = host, .target = TARGET, .token = token, .state = end};
    struct err err = {0};

    assert_int_equal(store_finish_command(&request, &command, &err), 0);
    struct redis_reply *reply = call();
    enum finish_answer answer = store_finish_answer(REDIS_ANSWERED, reply);
    redis_reply_free(reply);
    return answer;
}

static enum finish_answer finish(const char *job, int64_t token, const char *end)
{
    return finish_as(job, "alpha", token, end);
}

static struct store_job look(const char *job)
{
    struct store_job found;
    struct err err = {0};

    assert_int_equal(store_job_read(redis, job, &found, &err), 0);
    return found;
}

static enum claim_answer claim(const char *instance, const char *boot, bool locked, int64_t ttl_ms, char detail[256])
{
    const struct store_claim request = {.host = "alpha",
                                        .instance = instance,
                                        .boot_id = boot,
                                        .state_directory = "/var/lib/fleetsnap 8:1:42",
                                        .version = "0.1.0",
                                        .running = 3,
                                        .free_bytes = 1000,
                                        .ttl_ms = ttl_ms,
                                        .directory_locked = locked};
    struct err err = {0};

    assert_int_equal(store_claim_command(&request, &command, &err), 0);
    struct redis_reply *reply = call();
    enum claim_answer answer = store_claim_answer(REDIS_ANSWERED, reply, detail);
    redis_reply_free(reply);
    return answer;
}

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

#define TEST(name) cmocka_unit_test_setup(name, begin)

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
        TEST(acquire_gives_a_token_above_epoch_and_above_what_was_seen),
        TEST(the_same_acquire_again_gets_the_same_token),
        TEST(without_a_ticket_or_the_epoch_nothing_starts),
        TEST(what_has_ended_stays_ended),
        TEST(anothers_ticket_and_anothers_journal_are_refused),
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
