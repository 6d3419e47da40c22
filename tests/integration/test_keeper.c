/* What the keeper keeps in Redis while a job runs: its lock, its slots, its reservation, the host's claim; also when Redis has forgotten them. */
#include "support/own_redis.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/queue.h"
#include "redis/store.h"
#include "worker/keeper.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { PATIENCE_MS = 90000 };

static struct own_redis *server;
static struct redis *redis;
static struct keeper *keeper;
static struct queue *to_loop;
static struct redis_options address;
static atomic_bool claim_lost;

static int start(void **state)
{
    struct err err = {0};

    (void)state;
    server = own_redis_start(NULL);
    address = (struct redis_options){.address = own_redis_address(server)};
    struct keeper_setup setup = {.redis = &address,
                                 .host = "alpha",
                                 .instance = "boot+1",
                                 .boot_id = "boot",
                                 .state_directory = "/state dev 8:1 ino 7",
                                 .version = "1",
                                 .claim_lost = &claim_lost};
    if (redis_new(&address, &redis, &err) < 0 || store_load_functions(redis, &err) < 0 || queue_new(&to_loop, &err) < 0)
        fail_msg("%s", err.text);
    setup.to_loop = to_loop;
    if (keeper_open(&setup, &keeper, &err) < 0 || keeper_start(keeper, &err) < 0)
        fail_msg("%s", err.text);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    keeper_close(keeper);
    for (struct queue_item *item = queue_take_all(to_loop), *next; item; item = next) {
        next = item->next;
        free(item);
    }
    queue_free(to_loop);
    redis_free(redis);
    own_redis_stop(server);
    return 0;
}

static void run(int argc, const char *const argv[], char *out, size_t size)
{
    struct err err = {0};
    struct redis_reply *reply = redis_call(redis, &err, argc, argv, NULL);
    const char *text = reply ? redis_reply_text(reply) : err.text;

    if (!reply || redis_reply_is_error(reply))
        fail_msg("%s: %s", argv[0], text);
    if (out)
        assert_in_range(snprintf(out, size, "%s", text ? text : ""), 0, size - 1);
    redis_reply_free(reply);
}

static void pause_ms(int ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000}, NULL);
}

static bool comes_back(const char *key, const char *member)
{
    const char *score[] = {"ZSCORE", key, member};
    char text[64] = "";

    for (int64_t until = clock_monotonic_ms() + PATIENCE_MS; !*text && clock_monotonic_ms() < until; pause_ms(20))
        run(3, score, text, sizeof text);
    return *text;
}

/* The ticket is rebuilt without its slots: only who has them knows. */
static void slots_come_back_after_a_loss_of_memory(void **state)
{
    static const struct store_slot slots[] = {{"repository:r1", 4}, {"global", 100}};
    const char *forget[] = {"FLUSHDB"};
    struct hold *hold;
    struct err err = {0};

    (void)state;
    assert_int_equal(hold_new("j1", "libvirt:1", CLASS_B, (INT64_C(1) << 32) + 1, &hold, &err), 0);
    assert_int_equal(hold_set_slots(hold, slots, 2, &err), 0);
    hold->trusted_until_ms = clock_monotonic_ms() + 28000;
    keeper_keep(keeper, hold);
    assert_true(comes_back("fs:sem:repository:r1", "j1"));
    run(1, forget, NULL, 0);
    assert_true(comes_back("fs:sem:repository:r1", "j1"));
    assert_true(comes_back("fs:sem:global", "j1"));
    keeper_release(keeper, hold);
    hold_unref(hold);
}

/* A copy of this host, with the same boot (a container) and the same path: not its directory. */
static void a_claim_is_taken_back_only_by_that_directory(void **state)
{
    const char *take[] = {"HSET",      "fs:host:alpha",        "instance", "boot+0", "boot", "boot",
                          "directory", "/state dev 8:9 ino 7", NULL};
    const char *expire[] = {"PEXPIRE", "fs:host:alpha", "40000"};
    char detail[256];
    struct err err = {0};

    (void)state;
    struct keeper_setup setup = {.redis = &address,
                                 .host = "alpha",
                                 .instance = "boot+2",
                                 .boot_id = "boot",
                                 .state_directory = "/state dev 8:1 ino 7",
                                 .version = "1",
                                 .to_loop = to_loop,
                                 .claim_lost = &claim_lost};
    struct keeper *other;

    run(8, take, NULL, 0);
    run(3, expire, NULL, 0);
    if (keeper_open(&setup, &other, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(keeper_claim(other, detail, &err), 1);
    assert_non_null(strstr(detail, "boot+0"));
    take[7] = "/state dev 8:1 ino 7";
    run(8, take, NULL, 0);
    assert_int_equal(keeper_claim(other, detail, &err), 0);
    keeper_close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(slots_come_back_after_a_loss_of_memory, start, stop),
        cmocka_unit_test_setup_teardown(a_claim_is_taken_back_only_by_that_directory, start, stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
