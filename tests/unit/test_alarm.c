/* The rules of what people are told: when, and when nobody can tell. */
#include "base/err.h"
#include "coordinator/alarm.h"
#include "model/run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MINUTE (60 * INT64_C(1000))
#define HOUR   (60 * MINUTE)
#define GIB    (INT64_C(1) << 30)
#define NOW    (10000 * HOUR)

static struct alarm said;

static void says(const char *part)
{
    if (!strstr(said.text, part))
        fail_msg("\"%s\" is not in: %s", part, said.text);
}

static void a_run_that_ended_badly_is_told(void **state)
{
    struct run run = {.policy = (char *)"nightly",
                      .schedule = (char *)"daily",
                      .members = 42,
                      .failed = 3,
                      .outcome = RUN_SOME_FAILED,
                      .ended_at_ms = NOW - HOUR};

    (void)state;
    assert_true(alarm_of_run("5f1e0000", &run, NOW, &said));
    assert_int_equal(said.rule, ALARM_FAILED);
    assert_string_equal(said.subject, "run/5f1e0000");
    assert_string_equal(said.policy, "nightly");
    assert_int_equal(said.at_ms, NOW - HOUR);
    says("policy nightly, daily: 3 of 42 failed");
    run.outcome = RUN_UNKNOWN;
    run.unknown = 1;
    assert_true(alarm_of_run("5f1e0000", &run, NOW, &said));
    says("4 of 42 failed, of some the outcome is not known");
    run.outcome = RUN_DONE;
    assert_false(alarm_of_run("5f1e0000", &run, NOW, &said));
    run.outcome = RUN_CANCELLED;
    assert_false(alarm_of_run("5f1e0000", &run, NOW, &said));
    run.outcome = RUN_FAILED;
    run.ended_at_ms = 0;
    assert_false(alarm_of_run("5f1e0000", &run, NOW, &said));
    run.ended_at_ms = NOW - 25 * HOUR;
    assert_false(alarm_of_run("5f1e0000", &run, NOW, &said));
}

static void jobs_speak_where_no_run_does(void **state)
{
    struct alarm_job job = {.id = "0d9b1c1e",
                            .op = "backup.create",
                            .state = "FAILED",
                            .target = "shop-1",
                            .host = "alpha",
                            .why = "no room",
                            .at_ms = NOW - MINUTE};

    (void)state;
    assert_true(alarm_of_job(&job, NOW, &said));
    assert_string_equal(said.subject, "job/0d9b1c1e");
    says("backup.create of shop-1 on alpha FAILED: no room");
    job.run = "5f1e0000";
    assert_false(alarm_of_job(&job, NOW, &said));
    job.run = NULL;
    job.reads = true;
    assert_false(alarm_of_job(&job, NOW, &said));
    job.reads = false;
    job.dry_run = true;
    assert_false(alarm_of_job(&job, NOW, &said));
    job.dry_run = false;
    job.state = "CANCELLED";
    assert_false(alarm_of_job(&job, NOW, &said));
}

static void a_parked_job_is_told_until_it_is_resolved(void **state)
{
    struct alarm_job job = {
        .id = "0d9b1c1e", .state = "PARKED", .run = "5f1e0000", .policy = "nightly", .at_ms = NOW - 99 * HOUR};

    (void)state;
    assert_true(alarm_of_job(&job, NOW, &said));
    assert_int_equal(said.rule, ALARM_PARKED);
    assert_string_equal(said.policy, "nightly");
    says("fleetsnap job resolve 0d9b1c1e");
    job.resolved = true;
    assert_false(alarm_of_job(&job, NOW, &said));
}

static bool host_says(struct alarm_host host)
{
    host.name = "alpha";
    return alarm_of_host(&host, 5 * MINUTE, NOW, &said);
}

static void a_silent_host_is_lost_when_somebody_could_hear_it(void **state)
{
    (void)state;
    assert_false(host_says((struct alarm_host){.alive = true, .heartbeats_known = true}));
    assert_true(host_says((struct alarm_host){
        .heartbeats_known = true, .sign_ms = NOW - 6 * MINUTE, .watched_ms = NOW - HOUR, .open_jobs = 2}));
    assert_false(said.unsure);
    assert_int_equal(said.at_ms, NOW - 6 * MINUTE);
    says("no sign of life for 6 min; 2 of its jobs");
    /* Redis is down, or has come back just now; or this leader is young: not said, and not taken back. */
    assert_true(host_says((struct alarm_host){.sign_ms = NOW - HOUR, .watched_ms = NOW - HOUR}));
    assert_true(said.unsure);
    assert_true(
        host_says((struct alarm_host){.heartbeats_known = true, .sign_ms = NOW - HOUR, .watched_ms = NOW - MINUTE}));
    assert_true(said.unsure);
    assert_true(host_says((struct alarm_host){.heartbeats_known = true, .watched_ms = NOW - HOUR}));
    says("no sign of it was ever seen");
}

static void a_target_is_late_by_its_policy(void **state)
{
    struct alarm_target target = {.target = "libvirt:one",
                                  .name = "shop-1",
                                  .host = "alpha",
                                  .policy = "nightly",
                                  .point_ms = NOW - 27 * HOUR,
                                  .max_age_ms = 26 * HOUR};

    (void)state;
    assert_true(alarm_of_target(&target, NOW, &said));
    assert_int_equal(said.at_ms, NOW - HOUR);
    assert_string_equal(said.policy, "nightly");
    says("1 d 3 h old; policy nightly allows 1 d 2 h");
    target.point_ms = NOW - 26 * HOUR;
    assert_false(alarm_of_target(&target, NOW, &said));
    target.point_ms = 0;
    assert_true(alarm_of_target(&target, NOW, &said));
    says("no backup that could be restored");
    target.max_age_ms = 0;
    assert_false(alarm_of_target(&target, NOW, &said));
}

/* 100 GiB free 24 h ago, `lost` of it since, in a straight line. */
static size_t fill(struct space_sample *samples, int64_t lost)
{
    for (int i = 0; i <= 24; i++)
        samples[i] = (struct space_sample){NOW - (24 - i) * HOUR, 100 * GIB - lost * i / 24};
    return 25;
}

static void a_repository_that_fills_is_foreseen(void **state)
{
    struct space_sample samples[25];
    struct alarm_repository repository = {
        .id = "b0", .name = "main", .host = "alpha", .min_free_bytes = 10 * GIB, .samples = samples};

    (void)state;
    repository.sample_count = fill(samples, 30 * GIB); /* 60 GiB are left, at 30 GiB a day */
    repository.free_bytes = 70 * GIB;
    int64_t left_ms = forecast_ms(samples, 25, 10 * GIB, NOW);
    assert_in_range(left_ms, 48 * HOUR - MINUTE, 48 * HOUR + MINUTE);
    assert_true(alarm_of_repository(&repository, 7 * 24 * HOUR, NOW, &said));
    assert_false(said.unsure);
    says("repository main on alpha has 70 GiB free and will be full in");
    assert_false(alarm_of_repository(&repository, 24 * HOUR, NOW, &said));
    repository.sample_count = fill(samples, -10 * GIB); /* it empties */
    assert_int_equal(forecast_ms(samples, 25, 10 * GIB, NOW), -1);
    assert_false(alarm_of_repository(&repository, 7 * 24 * HOUR, NOW, &said));
    repository.sample_count = fill(samples, 0);
    assert_false(alarm_of_repository(&repository, 7 * 24 * HOUR, NOW, &said));
    repository.sample_count = 3; /* of two hours */
    assert_true(alarm_of_repository(&repository, 7 * 24 * HOUR, NOW, &said));
    assert_true(said.unsure);
    repository.free_bytes = 9 * GIB;
    assert_true(alarm_of_repository(&repository, 7 * 24 * HOUR, NOW, &said));
    assert_false(said.unsure);
    says("is full: 9 GiB free, and it keeps 10 GiB");
}

static void an_unprotected_target_is_told_after_a_day(void **state)
{
    struct alarm_unprotected target = {"libvirt:one", "shop-1", "alpha", NOW - 24 * HOUR + 1};

    (void)state;
    assert_false(alarm_of_unprotected(&target, NOW, &said));
    assert_true(alarm_of_unprotected(&target, NOW + 1, &said));
    assert_int_equal(said.rule, ALARM_UNPROTECTED);
    assert_string_equal(said.subject, "target/libvirt:one");
    assert_int_equal(said.at_ms, NOW + 1);
    says("shop-1 on alpha has been backed up by no policy for");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_that_ended_badly_is_told),
        cmocka_unit_test(jobs_speak_where_no_run_does),
        cmocka_unit_test(a_parked_job_is_told_until_it_is_resolved),
        cmocka_unit_test(a_silent_host_is_lost_when_somebody_could_hear_it),
        cmocka_unit_test(a_target_is_late_by_its_policy),
        cmocka_unit_test(a_repository_that_fills_is_foreseen),
        cmocka_unit_test(an_unprotected_target_is_told_after_a_day),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
