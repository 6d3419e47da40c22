/* The worker while Kafka or Redis is away and comes back: nothing is lost, nothing that destroys runs unguarded, and it goes on by itself. The servers are stopped for real. */
#include "tests/integration/support/fleet.h"

#include "base/clock.h"
#include "base/err.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { PATIENCE_MS = 90000 };

/* tests/stack/stack SERVER WHAT, on the stack that this test was given. */
static void stack(const char *server, const char *what)
{
    char command[1024];

    snprintf(command, sizeof command, "%s/tests/stack/stack %s %s %s >/dev/null", SOURCE_DIR, server, what,
             getenv("FLEETSNAP_STACK"));
    if (system(command) != 0)
        fail_msg("%s", command);
}

static struct params_noop *noop(struct job *job)
{
    return job->params;
}

static void one_job_ends(struct fleet *fleet, const char *target)
{
    struct job job;

    fleet_job(fleet, &job, target);
    noop(&job)->destroys = true;
    fleet_submit(fleet, &job, NULL);
    assert_int_equal(fleet_wait_end(fleet, job.job_id, PATIENCE_MS)->state, STATE_SUCCEEDED);
    job_clear(&job);
}

static void kafka_goes_and_comes_back(void **state)
{
    struct fleet *fleet = fleet_open("brokerless");
    struct job running;

    (void)state;
    fleet_start(fleet, NULL);
    one_job_ends(fleet, "before");
    fleet_job(fleet, &running, "during");
    noop(&running)->spin_us = 3000000;
    fleet_submit(fleet, &running, NULL);
    fleet_wait_state(fleet, running.job_id, STATE_RUNNING, PATIENCE_MS);
    stack("kafka", "restart");
    assert_int_equal(fleet_wait_end(fleet, running.job_id, PATIENCE_MS)->state, STATE_SUCCEEDED);
    assert_int_equal(fleet_seen(fleet, running.job_id)->terminal, 1);
    one_job_ends(fleet, "after");
    assert_true(fleet_running(fleet));
    job_clear(&running);
    fleet_close(fleet);
}

static void redis_goes_and_comes_back(void **state)
{
    struct fleet *fleet = fleet_open("redisless");
    struct job reads, destroys;

    (void)state;
    fleet_start(fleet, NULL);
    one_job_ends(fleet, "before");
    fleet_job(fleet, &reads, "a");
    fleet_job(fleet, &destroys, "c");
    noop(&destroys)->destroys = true;
    fleet_submit(fleet, &reads, &(struct submit){.only_ticket = true});
    fleet_submit(fleet, &destroys, &(struct submit){.only_ticket = true});
    stack("redis", "stop");
    fleet_submit(fleet, &reads, &(struct submit){.no_ticket = true});
    fleet_submit(fleet, &destroys, &(struct submit){.no_ticket = true});
    assert_int_equal(fleet_wait_end(fleet, reads.job_id, PATIENCE_MS)->state, STATE_SUCCEEDED);
    fleet_wait_state(fleet, destroys.job_id, STATE_WAITING, PATIENCE_MS);
    assert_int_equal(strncmp(fleet_seen(fleet, destroys.job_id)->waiting, "redis", 5), 0);
    stack("redis", "start");
    fleet_read(fleet, 2000);
    assert_int_equal(fleet_seen(fleet, destroys.job_id)->terminal,
                     0); /* another run of the server: its memory is not vouched for yet */
    fleet_submit(
        fleet, &destroys,
        &(struct submit){.only_ticket = true}); /* as a leader does: rebuilt, for an acknowledged write may be gone */
    fleet_epoch(fleet);
    assert_int_equal(fleet_wait_end(fleet, destroys.job_id, PATIENCE_MS)->state, STATE_SUCCEEDED);
    one_job_ends(fleet, "after");
    job_clear(&reads);
    job_clear(&destroys);
    fleet_close(fleet);
}

static void a_start_without_redis_and_kafka_goes_on_from_the_journal(void **state)
{
    struct fleet *fleet = fleet_open("alone");
    struct job job;

    (void)state;
    fleet_start(fleet, NULL);
    one_job_ends(fleet, "before");
    fleet_job(fleet, &job, "r");
    noop(&job)->spin_us = 20000000;
    fleet_submit(fleet, &job, NULL);
    fleet_wait_state(fleet, job.job_id, STATE_RUNNING, PATIENCE_MS);
    fleet_kill(fleet, SIGKILL);
    fleet_wait_exit(fleet, 60000);
    stack("redis", "stop");
    stack("kafka", "stop");
    fleet_start(fleet, NULL);
    int64_t until = clock_monotonic_ms() + 3000;
    while (clock_monotonic_ms() < until)
        fleet_read(fleet, 100);
    assert_true(fleet_running(fleet));
    stack("redis", "start");
    stack("kafka", "start");
    fleet_epoch(fleet);
    assert_int_equal(fleet_wait_end(fleet, job.job_id, PATIENCE_MS)->state, STATE_SUCCEEDED);
    assert_int_equal(fleet_seen(fleet, job.job_id)->terminal, 1);
    one_job_ends(fleet, "after");
    job_clear(&job);
    fleet_close(fleet);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kafka_goes_and_comes_back),
        cmocka_unit_test(redis_goes_and_comes_back),
        cmocka_unit_test(a_start_without_redis_and_kafka_goes_on_from_the_journal),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
