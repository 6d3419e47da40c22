/* What makes doctor say ok, ! or ✘. */
#include "base/err.h"
#include "base/parse.h"
#include "coordinator/api/doctor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The findings as "status text" lines. */
static char *host_says(const char *json, const char *made)
{
    json_t *host = json_loads(json, 0, NULL), *known = json_loads(made, 0, NULL), *checks = json_array(), *check;
    char *out = calloc(1, 4096);
    size_t index;
    int64_t now;

    parse_time("2026-11-20T14:00:00Z", &now, NULL);
    assert_non_null(host);
    doctor_host(host, known, now, checks);
    json_array_foreach(checks, index, check)
    {
        strcat(strcat(strcat(out, json_text(check, "status")), " "), json_text(check, "text"));
        strcat(out, "\n");
    }
    json_decref(host);
    json_decref(known);
    json_decref(checks);
    return out;
}

static void says(const char *json, const char *made, const char *expected)
{
    char *text = host_says(json, made);

    assert_string_equal(text, expected);
    free(text);
}

static void hosts(void **state)
{
    (void)state;
    says("{\"host\":\"a\",\"alive\":true,\"state\":\"running\",\"journal_bytes\":1258291,\"clock_skew_ms\":3,\"backends\":[{\"kind\":\"libvirt\",\"version\":\"libvirt 9.0.0\",\"ok\":true}]}",
         "[]", "ok libvirt 9.0.0, clock +3 ms, journal 1.2 MiB, 0 waiting\n");
    says("{\"host\":\"a\",\"alive\":false,\"state\":\"draining\",\"heartbeat_at\":\"2026-11-20T13:55:48Z\",\"open_jobs\":2}",
         "[]", "fail no heartbeat for 4 min 12 s; last seen draining; 2 jobs wait for it\n");
    says("{\"host\":\"a\",\"alive\":false,\"open_jobs\":1}", "[]", "fail it never reported; 1 job waits for it\n");
    says("{\"host\":\"a\",\"alive\":true,\"backends\":[{\"kind\":\"libvirt\",\"ok\":false,\"text\":\"connection refused\"}]}",
         "[]", "fail libvirt: connection refused\n");
    says("{\"host\":\"a\",\"alive\":true,\"clock_skew_ms\":-31000}", "[]", "fail its clock is 31 s behind\n");
    says("{\"host\":\"a\",\"alive\":true,\"ledger_state\":\"draining\",\"parked\":1}", "[]",
         "warn is draining: it takes no new jobs\nwarn 1 parked: what they did is not known, and their targets are closed\n");
    says("{}", "[]", "fail it never reported\n");
}

static void repositories(void **state)
{
    const char *missing =
        "{\"host\":\"a\",\"alive\":true,\"repositories\":[{\"name\":\"/r\",\"path\":\"/r\",\"ok\":false,\"text\":\"repository /r: the marker is missing\"}]}";

    (void)state;
    says(missing, "[]", "warn no repository in /r yet\n");
    says(missing, "[{\"host\":\"a\",\"path\":\"/r/main\"}]", "fail repository /r: the marker is missing\n");
    says(missing, "[{\"host\":\"b\",\"path\":\"/r/main\"},{\"host\":\"a\",\"path\":\"/rr\"}]",
         "warn no repository in /r yet\n");
    says("{\"host\":\"a\",\"alive\":true,\"repositories\":[{\"id\":\"x\",\"name\":\"main\",\"path\":\"/r\",\"ok\":true,\"free_bytes\":1024,\"min_free_bytes\":1048576}]}",
         "[]", "warn repository main has 1 KiB free, and keeps 1 MiB: backups to it are refused\n");
}

/* Findings as "status subject: text → hint" lines. */
static char *lines_of(json_t *checks)
{
    char *out = calloc(1, 16384);
    json_t *check;
    size_t index;

    json_array_foreach(checks, index, check)
    {
        const char *hint = json_text(check, "hint");
        sprintf(out + strlen(out), "%s %s: %s → %s\n", json_text(check, "status"), json_text(check, "subject"),
                json_text(check, "text"), hint ? hint : "");
    }
    json_decref(checks);
    return out;
}

#define JOB(id, rest) \
    "{\"job_id\":\"" id "-0000-4000-8000-000000000000\",\"host\":\"a\",\"target\":{\"name\":\"shop-1\"}," rest "}"

static void jobs(void **state)
{
    json_t *list = json_loads(
        "[" JOB("00000001", "\"op\":\"backup.create\",\"class\":\"B\",\"state\":\"RUNNING\",\"lost\":true,\"note\":\"stuck\"") "," JOB("00000002", "\"op\":\"snapshot.revert\",\"class\":\"C\",\"state\":\"ACCEPTED\",\"lost\":true") "," JOB("00000003", "\"op\":\"snapshot.revert\",\"state\":\"PARKED\",\"error\":{\"text\":\"it may be stopped\"}") "," JOB(
            "00000004",
            "\"op\":\"snapshot.revert\",\"state\":\"PARKED\",\"resolved\":\"done: looked\"") "," JOB("00000005",
                                                                                                     "\"op\":\"backup.create\",\"state\":\"RUNNING\",\"phase\":\"push\",\"note\":\"stuck\"") "," JOB("00000006",
                                                                                                                                                                                                     "\"op\":\"backup.create\",\"state\":\"RUNNING\",\"phase\":\"push\"") ",{}]",
        0, NULL);
    json_t *checks = json_array();

    (void)state;
    assert_non_null(list);
    doctor_job_lines(list, checks);
    assert_int_equal(doctor_parked_on(list, "a"), 1);
    assert_int_equal(doctor_parked_on(list, "b"), 0);
    char *text = lines_of(checks);
    assert_string_equal(
        text,
        "fail job 00000001: backup.create of shop-1 on a is LOST: its host is silent, and what it has done is not known → It ends by itself when the host is back: fleetsnap job show 00000001; or start it again: fleetsnap job retry 00000001\n"
        "fail job 00000002: snapshot.revert of shop-1 on a is LOST: its host is silent, and what it has done is not known → It ends by itself when the host is back: fleetsnap job show 00000002 -v\n"
        "fail job 00000003: snapshot.revert of shop-1 on a is PARKED, and its target closed: it may be stopped → Look (fleetsnap job show 00000003 -v), then: fleetsnap job resolve 00000003 --as done|failed --reason …\n"
        "fail job 00000005: backup.create of shop-1 on a is stuck in push: the call does not return, its target stays locked → On the host: look at libvirt and the storage; a restart of the worker settles it. fleetsnap job show 00000005\n");
    free(text);
    json_decref(list);
}

static void many_jobs_are_counted(void **state)
{
    json_t *list = json_array(), *checks = json_array();

    (void)state;
    for (int i = 0; i < 25; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "job_id", "0d9b1c1e", "state", "PARKED", "host", "a"));
    doctor_job_lines(list, checks);
    assert_int_equal(json_array_size(checks), 11);
    assert_string_equal(json_text(json_array_get(checks, 10), "text"), "15 more are PARKED");
    json_decref(list);
    json_decref(checks);
}

static void dead_letters(void **state)
{
    json_t *letters = json_loads(
        "[{\"at\":\"2026-11-20T13:48:00Z\",\"reason\":\"the MAC does not verify\"},{\"at\":\"2026-11-20T13:00:00Z\"}]",
        0, NULL);
    json_t *checks = json_array();
    int64_t now;

    (void)state;
    parse_time("2026-11-20T14:00:00Z", &now, NULL);
    doctor_dead_letter_line(json_array_get(letters, 5), false, now, checks);
    assert_int_equal(json_array_size(checks), 0);
    doctor_dead_letter_line(letters, false, now, checks);
    doctor_dead_letter_line(letters, true, now, checks);
    char *text = lines_of(checks);
    assert_string_equal(
        text,
        "warn dead letters: 2 records of the last 24 h could not be read or trusted; the newest 12 min ago: the MAC does not verify → fleetsnap dlq list, fleetsnap dlq show PARTITION OFFSET\n"
        "warn dead letters: at least 2 records of the last 24 h could not be read or trusted; the newest 12 min ago: the MAC does not verify → fleetsnap dlq list, fleetsnap dlq show PARTITION OFFSET\n");
    free(text);
    json_decref(letters);
}

static void a_rebuild_of_redis_is_said(void **state)
{
    struct coordinator_state fine = {.redis_ok = true, .epoch = 7},
                             tickets = {.redis_rebuilding = true, .epoch = 7, .jobs_open = 12},
                             grace = {.redis_ok = true, .redis_rebuilding = true, .rebuild_left_ms = 31400, .epoch = 7};
    json_t *checks = json_array();

    (void)state;
    assert_false(doctor_redis_rebuild(&fine, checks));
    assert_int_equal(json_array_size(checks), 0);
    assert_true(doctor_redis_rebuild(&tickets, checks));
    assert_true(doctor_redis_rebuild(&grace, checks));
    char *text = lines_of(checks);
    assert_string_equal(
        text,
        "warn redis: was restarted or lost its memory (epoch 7): the tickets of 12 jobs are written anew → It ends by itself; meanwhile nothing new is published\n"
        "warn redis: was restarted or lost its memory (epoch 7): holders have another 31 s to take back their locks → It ends by itself; meanwhile what changes something waits\n");
    free(text);
}

static size_t redis_says(const char *info, const char *status)
{
    json_t *checks = json_array();
    size_t count;

    doctor_redis_info(info, checks);
    count = json_array_size(checks);
    assert_string_equal(json_text(json_array_get(checks, 0), "status"), status);
    json_decref(checks);
    return count;
}

static void redis(void **state)
{
    (void)state;
    assert_int_equal(
        redis_says("# Server\r\nredis_version:7.0.15\r\naof_enabled:1\r\nmaxmemory_policy:noeviction\r\n", "ok"), 1);
    assert_int_equal(redis_says("redis_version:6.2.1\r\naof_enabled:0\r\nmaxmemory_policy:allkeys-lru\r\n", "fail"), 3);
    assert_int_equal(redis_says("", "fail"), 2);
}

static void webhooks_that_do_not_answer_are_named(void **state)
{
    struct coordinator_state none = {0}, fine = {.notify_webhooks = 2},
                             deaf = {.notify_webhooks = 1,
                                     .notify_waiting = 3,
                                     .notify_problem = "webhook ops: it answers 503"},
                             lost = {.notify_webhooks = 1, .notify_given_up = 7};
    const struct coordinator_state *const states[] = {&none, &fine, &deaf, &lost};
    static const char *const said[] = {NULL, "2 told of what goes wrong", "webhook ops: it answers 503; 3 events wait",
                                       "7 events were given up"};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        json_t *checks = json_array();
        doctor_webhooks(states[i], checks);
        assert_int_equal(json_array_size(checks), said[i] ? 1 : 0);
        const char *text = json_string_value(json_object_get(json_array_get(checks, 0), "text"));
        if (said[i] && !strstr(text, said[i]))
            fail_msg("%s: not in: %s", said[i], text);
        json_decref(checks);
    }
}

static void what_is_spared_after_failures_is_named(void **state)
{
    struct coordinator_state broken = {.breaker_count = 10,
                                       .breakers = {{"repository", "b0", 5, 61000}, {"host", "alpha", 9, 500}}};
    json_t *checks = json_array(), *repositories = json_pack("[{s:s, s:s}]", "id", "b0", "name", "main");

    (void)state;
    doctor_breakers(&(struct coordinator_state){0}, repositories, 1000, checks);
    assert_int_equal(json_array_size(checks), 0);
    doctor_breakers(&broken, repositories, 1000, checks);
    assert_int_equal(json_array_size(checks), STATE_BREAKERS + 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(checks, 0), "subject")), "repository main");
    assert_string_equal(json_string_value(json_object_get(json_array_get(checks, 0), "text")),
                        "5 jobs of policies in a row have failed: they start none for 1 min, then one, to see");
    assert_string_equal(json_string_value(json_object_get(json_array_get(checks, 1), "subject")), "host alpha");
    assert_string_equal(json_string_value(json_object_get(json_array_get(checks, 1), "text")),
                        "9 jobs of policies in a row have failed: they start one at a time until one succeeds");
    json_decref(checks);
    json_decref(repositories);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(webhooks_that_do_not_answer_are_named),
                                       cmocka_unit_test(what_is_spared_after_failures_is_named),
                                       cmocka_unit_test(hosts),
                                       cmocka_unit_test(repositories),
                                       cmocka_unit_test(jobs),
                                       cmocka_unit_test(many_jobs_are_counted),
                                       cmocka_unit_test(dead_letters),
                                       cmocka_unit_test(a_rebuild_of_redis_is_said),
                                       cmocka_unit_test(redis)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
