#include "redis_words.h"

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct own_redis *server;
struct redis *redis;
struct store_command command;

int start_server(void **state)
{
    struct redis_options options = {0};
    struct err err = {0};

    (void)state;
    server = own_redis_start(NULL);
    options.address = own_redis_address(server);
    return redis_new(&options, &redis, &err) < 0 ? -1 : store_load_functions(redis, &err);
}

int stop_server(void **state)
{
    (void)state;
    store_command_clear(&command);
    redis_free(redis);
    own_redis_stop(server);
    return 0;
}

struct redis_reply *run(int argc, const char *const *argv)
{
    struct err err = {0};
    struct redis_reply *reply = redis_call(redis, &err, argc, argv, NULL);

    if (!reply)
        fail_msg("%s: %s", argv[0], err.text);
    return reply;
}

int64_t number_of(struct redis_reply *reply)
{
    int64_t value = redis_reply_int(reply, INT64_MIN);

    redis_reply_free(reply);
    return value;
}

void expect_text(struct redis_reply *reply, const char *expected)
{
    if (expected)
        assert_string_equal(redis_reply_text(reply), expected);
    else
        assert_null(redis_reply_text(reply));
    redis_reply_free(reply);
}

void write_epoch(int64_t n)
{
    struct err err = {0};
    bool written = false;

    assert_int_equal(store_epoch_write(redis, TERM, n, redis_run_id(redis), &written, &err), 0);
    assert_true(written);
}

int begin(void **state)
{
    (void)state;
    DO("FLUSHALL");
    write_epoch(1);
    return 0;
}

int write_holds(const struct facts *holds, struct err *err)
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

struct redis_reply *call(void)
{
    struct err err = {0};
    struct redis_reply *reply = store_call(redis, &command, &err);

    if (!reply)
        fail_msg("%s: %s", command.argv[1], err.text);
    return reply;
}

struct store_ticket new_ticket(const char *job, int job_class)
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

enum ticket_answer write_ticket(const struct store_ticket *ticket)
{
    struct err err = {0};

    assert_int_equal(store_ticket_command(ticket, &command, &err), 0);
    struct redis_reply *reply = call();
    enum ticket_answer answer = store_ticket_answer(reply);
    redis_reply_free(reply);
    return answer;
}

void ticket(const char *job, int job_class)
{
    struct store_ticket fresh = new_ticket(job, job_class);

    assert_int_equal(write_ticket(&fresh), TICKET_OK);
}

enum ticket_answer tell(int (*build)(int64_t, const char *, const char *, struct store_command *, struct err *),
                        int64_t term, const char *job, const char *word)
{
    struct err err = {0};

    assert_int_equal(build(term, job, word, &command, &err), 0);
    struct redis_reply *reply = call();
    enum ticket_answer answer = store_ticket_answer(reply);
    redis_reply_free(reply);
    return answer;
}

struct store_acquire new_acquire(const char *job, int job_class)
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

struct acquire_result acquire(const struct store_acquire *request)
{
    struct acquire_result result;
    struct err err = {0};

    assert_int_equal(store_acquire_command(request, &command, &err), 0);
    struct redis_reply *reply = call();
    store_acquire_answer(REDIS_ANSWERED, reply, &result);
    redis_reply_free(reply);
    return result;
}

int64_t take(const char *job)
{
    struct store_acquire request = new_acquire(job, 1);
    struct acquire_result result = acquire(&request);

    assert_int_equal(result.answer, ACQUIRE_OK);
    return result.token;
}

/* Waits until the lock of a short ttl has run out by the server's clock. */
int64_t take_briefly(const char *job)
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

struct store_renew new_renew(const char *job, int64_t token)
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

struct renew_result renew(const struct store_renew *request)
{
    struct renew_result result;
    struct err err = {0};

    assert_int_equal(store_renew_command(request, &command, &err), 0);
    struct redis_reply *reply = call();
    store_renew_answer(REDIS_ANSWERED, reply, &result);
    redis_reply_free(reply);
    return result;
}

enum renew_answer renew_plain(const char *job, int64_t token)
{
    struct store_renew request = new_renew(job, token);

    return renew(&request).answer;
}

enum finish_answer finish_as(const char *job, const char *host, int64_t token, const char *end)
{
    const struct store_finish request = {.job_id = job, .host = host, .target = TARGET, .token = token, .state = end};
    struct err err = {0};

    assert_int_equal(store_finish_command(&request, &command, &err), 0);
    struct redis_reply *reply = call();
    enum finish_answer answer = store_finish_answer(REDIS_ANSWERED, reply);
    redis_reply_free(reply);
    return answer;
}

enum finish_answer finish(const char *job, int64_t token, const char *end)
{
    return finish_as(job, "alpha", token, end);
}

struct store_job look(const char *job)
{
    struct store_job found;
    struct err err = {0};

    assert_int_equal(store_job_read(redis, job, &found, &err), 0);
    return found;
}

enum claim_answer claim(const char *instance, const char *boot, bool locked, int64_t ttl_ms, char detail[256])
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
