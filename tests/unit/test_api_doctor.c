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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(hosts), cmocka_unit_test(repositories), cmocka_unit_test(redis)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
