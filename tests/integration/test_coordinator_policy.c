/* Runs on real servers: a leader is killed in the middle of one, and the next ends it: every job once, under the same id, and never more at a time than the limits allow. */
#include "integration/support/coordinator_rig.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "redis/redis.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { MACHINES = 12, AT_ONCE = 3, PATIENCE_MS = 60000 };

static const char policy[] = "name: rig\n"
                             "select: {names: ['vm-*']}\n"
                             "operation: snapshot.create\n"
                             "time_zone: UTC\n"
                             "limits: {per_host: 3}\n";

static int set_up(void **state)
{
    *state = rig_open("alpha");
    return 0;
}

static int tear_down(void **state)
{
    rig_close(*state);
    return 0;
}

static const char *text_of(const json_t *object, const char *member)
{
    const char *text = json_string_value(json_object_get(object, member));

    return text ? text : "";
}

/* The run as it stands; the caller decrefs. */
static json_t *show(struct rig_coordinator *coordinator, const char *run)
{
    json_t *answer = rig_insist(coordinator, PATIENCE_MS, "plans run %s", run), *found;

    found = json_incref(json_object_get(answer, "found"));
    json_decref(answer);
    assert_true(json_is_object(found));
    return found;
}

/* The host does what has come: at most `most` jobs. Returns how many it did. */
static int work(struct rig *rig, const json_t *run, int most)
{
    const json_t *job;
    size_t index;
    int done = 0, open = 0;

    rig_read_jobs(rig, 50);
    json_array_foreach(json_object_get(run, "jobs"), index, job)
    {
        const char *id = text_of(job, "job_id");
        if (strcmp(text_of(job, "state"), "OPEN") != 0)
            continue;
        open++;
        if (done == most || !rig_copies(rig, id))
            continue;
        rig_say(rig, id, &(struct rig_say){.state = STATE_SUCCEEDED, .seq = 1});
        done++;
    }
    assert_true(open <= AT_ONCE);
    return done;
}

/* Until `wanted` jobs were done, or the run has ended. */
static void work_on(struct rig *rig, struct rig_coordinator *coordinator, const char *id, int wanted)
{
    int64_t until_ms = clock_monotonic_ms() + PATIENCE_MS;

    for (int done = 0; done < wanted;) {
        json_t *run = show(coordinator, id);
        bool ended = strcmp(text_of(run, "outcome"), "running") != 0;
        rig_heartbeat(rig);
        done += work(rig, run, wanted - done);
        json_decref(run);
        if (ended)
            return;
        assert_true(clock_monotonic_ms() < until_ms);
        poll(NULL, 0, 50);
    }
}

static void apply(struct rig *rig, struct rig_coordinator *coordinator)
{
    char path[512];
    struct err err = {0};

    snprintf(path, sizeof path, "%s/policy.yaml", rig_directory(rig));
    assert_int_equal(file_write_atomic(path, policy, strlen(policy), 0644, &err), 0);
    json_decref(rig_insist(coordinator, PATIENCE_MS, "plans apply %s", path));
}

/* run-now until the view has all machines: before that it selects fewer. */
static void start_run(struct rig *rig, struct rig_coordinator *coordinator, char out[40])
{
    int64_t until_ms = clock_monotonic_ms() + PATIENCE_MS;

    rig_inventory(rig, MACHINES);
    rig_heartbeat(rig);
    for (json_int_t members = 0; members != MACHINES;) {
        assert_true(clock_monotonic_ms() < until_ms);
        json_t *answer = rig_ask(coordinator, "plans now rig");
        snprintf(out, 40, "%s", text_of(answer, "run_id"));
        bool ok = json_is_true(json_object_get(answer, "ok"));
        json_decref(answer);
        if (!ok) {
            poll(NULL, 0, 100);
            continue;
        }
        json_t *run = show(coordinator, out);
        members = json_integer_value(json_object_get(run, "members"));
        json_decref(run);
    }
}

static void a_run_outlives_its_leader(void **state)
{
    struct rig *rig = *state;
    struct rig_coordinator *first = coordinator_rig_start(rig, "c1", NULL, NULL), *second;
    char id[40];

    rig_wait_leading(first, PATIENCE_MS);
    json_decref(rig_insist(first, PATIENCE_MS, "enroll alpha"));
    second = coordinator_rig_start(rig, "c2", NULL, NULL);
    apply(rig, first);
    start_run(rig, first, id);
    work_on(rig, first, id, 5);
    coordinator_rig_stop(first, SIGKILL);
    rig_wait_leading(second, PATIENCE_MS);
    work_on(rig, second, id, MACHINES);
    work_on(rig, second, id, MACHINES); /* until it has ended */

    json_t *run = show(second, id), *job;
    size_t index;
    assert_string_equal(text_of(run, "outcome"), "done");
    assert_int_equal(json_integer_value(json_object_get(run, "done")), MACHINES);
    json_array_foreach(json_object_get(run, "jobs"), index, job)
    {
        assert_string_equal(text_of(job, "state"), "SUCCEEDED");
        assert_true(rig_copies_agree(rig, text_of(job, "job_id")));
    }
    json_decref(run);
    coordinator_rig_stop(second, 0);
}

/* Nobody waits for ever for a host that is gone: what is LOST has failed for its run, and what it says later changes no run that has ended. */
static void what_is_lost_has_failed_for_its_run(void **state)
{
    struct rig *rig = *state;
    const char *const options[] = {"host_silent=1s", NULL}, *const gone[] = {"DEL", "fs:host:alpha"};
    struct rig_coordinator *coordinator = coordinator_rig_start(rig, "c1", NULL, options);
    int64_t until_ms = clock_monotonic_ms() + 2 * PATIENCE_MS;
    char id[40];
    struct err err = {0};

    rig_wait_leading(coordinator, PATIENCE_MS);
    json_decref(rig_insist(coordinator, PATIENCE_MS, "enroll alpha"));
    apply(rig, coordinator);
    start_run(rig, coordinator, id);
    work_on(rig, coordinator, id, 1);
    json_decref(rig_insist(coordinator, PATIENCE_MS, "plans cancel %s", id)); /* what has no job gets none */
    struct redis_reply *reply = redis_call(rig_redis(rig), &err, 2, gone, NULL);
    assert_non_null(reply);
    redis_reply_free(reply);
    for (bool ended = false; !ended; poll(NULL, 0, 50)) {
        json_t *run = show(coordinator, id);
        ended = strcmp(text_of(run, "outcome"), "running") != 0;
        if (ended) {
            assert_string_equal(text_of(run, "outcome"), "some_failed");
            assert_in_range(json_integer_value(json_object_get(run, "failed")), 1, AT_ONCE);
        }
        json_decref(run);
        assert_true(clock_monotonic_ms() < until_ms);
    }
    coordinator_rig_stop(coordinator, 0);
}

/* ---- a deploy ---- */

enum { TARGETS = 3 };

/* The deploy as it stands; the caller decrefs. */
static json_t *show_deploy(struct rig_coordinator *coordinator, const char *id)
{
    json_t *answer = rig_insist(coordinator, PATIENCE_MS, "deploy show %s", id);
    json_t *found = json_incref(json_object_get(answer, "found"));

    json_decref(answer);
    return found;
}

/* The host does what has come of that phase. */
static void work_deploy(struct rig *rig, const json_t *deploy, const char *phase)
{
    const json_t *target;
    size_t index;

    rig_heartbeat(rig);
    rig_read_jobs(rig, 50);
    json_array_foreach(json_object_get(deploy, "targets"), index, target)
    {
        const json_t *job = json_object_get(target, phase);
        const char *id = text_of(job, "job_id");
        if (strcmp(text_of(job, "state"), "OPEN") == 0 && rig_copies(rig, id))
            rig_say(rig, id, &(struct rig_say){.state = STATE_SUCCEEDED, .seq = 1});
    }
}

static void work_until(struct rig *rig, struct rig_coordinator *coordinator, const char *id, const char *phase,
                       const char *state)
{
    int64_t until_ms = clock_monotonic_ms() + 2 * PATIENCE_MS;

    for (bool there = false; !there;) {
        json_t *deploy = show_deploy(coordinator, id);
        there = strcmp(text_of(deploy, "state"), state) == 0;
        if (!there)
            work_deploy(rig, deploy, phase);
        json_decref(deploy);
        assert_true(clock_monotonic_ms() < until_ms);
    }
}

/* Until the view has all machines. */
static void wait_for_targets(struct rig *rig, struct rig_coordinator *coordinator)
{
    int64_t until_ms = clock_monotonic_ms() + PATIENCE_MS;

    rig_inventory(rig, TARGETS);
    for (size_t count = 0; count != TARGETS;) {
        rig_heartbeat(rig);
        json_t *answer = rig_ask(coordinator, "deploy look d1 !none");
        count = json_array_size(json_object_get(json_object_get(answer, "found"), "targets"));
        json_decref(answer);
        assert_true(clock_monotonic_ms() < until_ms);
        if (count != TARGETS)
            poll(NULL, 0, 100);
    }
}

/* Each target has one job of that phase, which succeeded, and whoever published it published the same. */
static void one_job_each(struct rig *rig, const json_t *deploy, const char *phase)
{
    const json_t *target;
    size_t index;

    assert_int_equal(json_array_size(json_object_get(deploy, "targets")), TARGETS);
    json_array_foreach(json_object_get(deploy, "targets"), index, target)
    {
        const json_t *job = json_object_get(target, phase);
        assert_string_equal(text_of(job, "state"), "SUCCEEDED");
        assert_true(rig_copies_agree(rig, text_of(job, "job_id")));
    }
}

/* The first dies when the run of the snapshots is written, the second when that of the revert is about to be. */
static void a_deploy_outlives_its_leaders(void **state)
{
    struct rig *rig = *state;
    struct rig_coordinator *first = coordinator_rig_start(rig, "c1", "run.after:begin", NULL), *second, *third;

    rig_wait_leading(first, PATIENCE_MS);
    json_decref(rig_insist(first, PATIENCE_MS, "enroll alpha"));
    second = coordinator_rig_start(rig, "c2", "run.before:revert", NULL);
    wait_for_targets(rig, first);
    json_decref(rig_ask(first, "deploy begin d1 !none"));
    assert_true(rig_wait_death(first, PATIENCE_MS));
    coordinator_rig_stop(first, 0);

    rig_wait_leading(second, PATIENCE_MS);
    third = coordinator_rig_start(rig, "c3", NULL, NULL);
    work_until(rig, second, "d1", "snapshot", "ready");
    json_decref(rig_ask(second, "deploy revert d1 -"));
    assert_true(rig_wait_death(second, PATIENCE_MS));
    coordinator_rig_stop(second, 0);

    rig_wait_leading(third, PATIENCE_MS);
    work_until(rig, third, "d1", "revert", "reverted");
    json_t *answer = rig_ask(third, "deploy succeeded d1 -"), *deploy = show_deploy(third, "d1");
    assert_string_equal(text_of(answer, "kind"), "conflict");
    assert_string_equal(text_of(deploy, "state"), "reverted");
    one_job_each(rig, deploy, "snapshot");
    one_job_each(rig, deploy, "revert");
    json_decref(answer);
    json_decref(deploy);
    coordinator_rig_stop(third, 0);
}

int main(int argc, char **argv)
{
    rig_child(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_run_outlives_its_leader, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_lost_has_failed_for_its_run, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_deploy_outlives_its_leaders, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
