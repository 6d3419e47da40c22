/* SIGTERM: what runs may end, nothing new begins, and the next start goes on with what is left, once. */
#include "tests/integration/support/fleet.h"

#include "base/clock.h"
#include "base/err.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { PATIENCE_MS = 90000 };

static void begin(struct fleet *fleet, struct job *out, const char *target, int64_t spin_us)
{
    fleet_job(fleet, out, target);
    ((struct params_noop *)out->params)->spin_us = spin_us;
    ((struct params_noop *)out->params)->destroys = true;
    fleet_submit(fleet, out, NULL);
    fleet_flush(fleet);
}

static int effects(const struct fleet *fleet, const char *target)
{
    char path[400], line[128];
    int count = 0;

    snprintf(path, sizeof path, "%s/state/null/%s.%s", fleet_directory(fleet), fleet_host(fleet), target);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        count++;
    if (file)
        fclose(file);
    return count;
}

static void ends_once(struct fleet *fleet, const struct job *job)
{
    assert_int_equal(fleet_wait_end(fleet, job->job_id, PATIENCE_MS)->state, STATE_SUCCEEDED);
    fleet_read(fleet, 300);
    assert_int_equal(fleet_seen(fleet, job->job_id)->terminal, 1);
    assert_int_equal(effects(fleet, job->target.name), 1);
}

static void what_runs_ends_within_the_drain_time_and_nothing_new_begins(void **state)
{
    struct fleet *fleet = fleet_open("drain");
    struct job running, next, waiting;

    (void)state;
    fleet_start(fleet, (const char *const[]){"--drain=20s", "--executors=1", NULL});
    begin(fleet, &running, "r", 3000000);
    fleet_wait_state(fleet, running.job_id, STATE_RUNNING, PATIENCE_MS);
    begin(fleet, &waiting, "w", 0); /* accepted, and waits for the executor */
    fleet_wait_state(fleet, waiting.job_id, STATE_ACCEPTED, PATIENCE_MS);
    fleet_kill(fleet, SIGTERM);
    fleet_read(fleet, 200);
    begin(fleet, &next, "n", 0);
    assert_int_equal(fleet_wait_exit(fleet, 60000), 0);
    fleet_read(fleet, 500);
    ends_once(fleet, &running); /* said before it ended */
    assert_null(fleet_seen(fleet, next.job_id));
    assert_int_equal(fleet_seen(fleet, waiting.job_id)->terminal, 0);
    assert_int_equal(effects(fleet, "w"), 0);
    fleet_start(fleet, NULL);
    ends_once(fleet, &waiting);
    ends_once(fleet, &next);
    job_clear(&running);
    job_clear(&next);
    job_clear(&waiting);
    fleet_close(fleet);
}

static void what_runs_longer_is_left_to_the_next_start(void **state)
{
    struct fleet *fleet = fleet_open("undrained");
    struct job running;

    (void)state;
    fleet_start(fleet, (const char *const[]){"--drain=500ms", NULL});
    begin(fleet, &running, "r", 4000000);
    fleet_wait_state(fleet, running.job_id, STATE_RUNNING, PATIENCE_MS);
    int64_t asked = clock_monotonic_ms();
    fleet_kill(fleet, SIGTERM);
    assert_int_equal(fleet_wait_exit(fleet, 60000), 0);
    assert_true(clock_monotonic_ms() - asked < 3500);
    assert_int_equal(effects(fleet, "r"), 0);
    fleet_start(fleet, NULL);
    ends_once(fleet, &running);
    job_clear(&running);
    fleet_close(fleet);
}

static void a_second_signal_ends_it_at_once(void **state)
{
    struct fleet *fleet = fleet_open("twice");
    struct job running;

    (void)state;
    fleet_start(fleet, NULL);
    begin(fleet, &running, "r", 5000000);
    fleet_wait_state(fleet, running.job_id, STATE_RUNNING, PATIENCE_MS);
    fleet_kill(fleet, SIGTERM);
    fleet_read(fleet, 500);
    assert_true(fleet_running(fleet));
    int64_t asked = clock_monotonic_ms();
    fleet_kill(fleet, SIGTERM);
    int status = fleet_wait_exit(fleet, 60000);
    assert_true(clock_monotonic_ms() - asked < 1000);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    fleet_start(fleet, NULL);
    ends_once(fleet, &running);
    job_clear(&running);
    fleet_close(fleet);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_runs_ends_within_the_drain_time_and_nothing_new_begins),
        cmocka_unit_test(what_runs_longer_is_left_to_the_next_start),
        cmocka_unit_test(a_second_signal_ends_it_at_once),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
