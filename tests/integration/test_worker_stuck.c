/*
 * A call that does not return: it is said, lock and target stay taken, a spare executor takes the place, up to the limit; and it ends when the call returns. The call is that of
 * opening a FIFO: the null backend reads what it has marked before it marks, and a FIFO has no writer until the test is one.
 */
#include "tests/integration/support/fleet.h"

#include "base/clock.h"
#include "base/err.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE_MS = 90000 };

static const char *const options[] = {"--executors=1", "--spare_executors=1", "--stuck_after=1s", NULL};

static void trap_path(const struct fleet *fleet, char out[400], const char *target)
{
    snprintf(out, 400, "%s/state/null/%s.%s", fleet_directory(fleet), fleet_host(fleet), target);
}

static void set_trap(const struct fleet *fleet, const char *target)
{
    char path[400];

    snprintf(path, sizeof path, "%s/state", fleet_directory(fleet));
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/state/null", fleet_directory(fleet));
    mkdir(path, 0700);
    trap_path(fleet, path, target);
    assert_int_equal(mkfifo(path, 0600), 0);
}

/* The read ends with nothing, and what is written afterwards is a file. */
static void spring_trap(const struct fleet *fleet, const char *target)
{
    char path[400];

    trap_path(fleet, path, target);
    int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0); /* it is in that call */
    unlink(path);
    close(fd);
}

static void begin(struct fleet *fleet, struct job *out, const char *target, int64_t deadline_ms)
{
    fleet_job(fleet, out, target);
    ((struct params_noop *)out->params)->destroys = true;
    out->deadline_ms = clock_real_ms() + deadline_ms;
    fleet_submit(fleet, out, NULL);
    fleet_flush(fleet);
}

static struct seen *wait_stuck(struct fleet *fleet, const struct job *job)
{
    struct seen *seen = fleet_wait_state(fleet, job->job_id, STATE_RUNNING, PATIENCE_MS);

    for (int64_t until = clock_monotonic_ms() + PATIENCE_MS;
         strcmp(seen->note, "stuck") != 0 && clock_monotonic_ms() < until;)
        fleet_read(fleet, 50);
    assert_string_equal(seen->note, "stuck");
    assert_int_equal(seen->state, STATE_RUNNING);
    return seen;
}

static bool locked(struct fleet *fleet, const struct job *job)
{
    char key[300];
    const char *argv[] = {"EXISTS", key};
    struct err err = {0};

    snprintf(key, sizeof key, "fs:lock:%s:%s", job->target.kind, job->target.id);
    struct redis_reply *reply = redis_call(fleet_redis(fleet), &err, 2, argv, NULL);
    assert_non_null(reply);
    bool found = redis_reply_int(reply, 0) == 1;
    redis_reply_free(reply);
    return found;
}

static void ends(struct fleet *fleet, struct job *job)
{
    assert_int_equal(fleet_wait_end(fleet, job->job_id, PATIENCE_MS)->state, STATE_SUCCEEDED);
    assert_int_equal(fleet_seen(fleet, job->job_id)->terminal, 1);
    job_clear(job);
}

static void spares_take_the_place_of_stuck_calls_up_to_the_limit(void **state)
{
    struct fleet *fleet = fleet_open("stuck");
    struct job first, second, other, same, third;

    (void)state;
    set_trap(fleet, "a");
    set_trap(fleet, "b");
    fleet_start(fleet, options);
    begin(fleet, &first, "a", 8000);   /* time to begin on a busy machine */
    begin(fleet, &other, "o", 600000); /* no executor is free for it */
    wait_stuck(fleet, &first);
    ends(fleet, &other);
    begin(fleet, &same, "a", 600000);
    begin(fleet, &second, "b", 8000);
    wait_stuck(fleet, &second);
    begin(fleet, &third, "t", 600000); /* both are stuck, and there is no third */
    fleet_read(fleet, 3000);
    assert_true(locked(fleet, &first) && locked(fleet, &second));
    assert_int_equal(fleet_seen(fleet, first.job_id)->state, STATE_RUNNING);
    for (int i = 0; i < 2; i++) {
        struct seen *seen = fleet_seen(fleet, i ? same.job_id : third.job_id);
        assert_true(!seen || seen->state == STATE_ACCEPTED || seen->state == STATE_WAITING);
    }
    spring_trap(fleet, "a");
    ends(fleet, &first);
    ends(fleet, &same);
    ends(fleet, &third);
    spring_trap(fleet, "b");
    ends(fleet, &second);
    fleet_kill(fleet, SIGTERM);
    assert_int_equal(fleet_wait_exit(fleet, 60000), 0);
    fleet_close(fleet);
}

/* What asks after a restart what became of the step hangs in the same place. The job is PARKED then, and what comes back later does no more harm. */
static void a_restart_settles_a_stuck_call_or_parks_it(void **state)
{
    struct fleet *fleet = fleet_open("restuck");
    struct job stuck, next, other;

    (void)state;
    set_trap(fleet, "a");
    fleet_start(fleet, options);
    begin(fleet, &stuck, "a", 8000);
    wait_stuck(fleet, &stuck);
    fleet_kill(fleet, SIGKILL);
    fleet_wait_exit(fleet, 60000);
    fleet_start(fleet, options);
    struct seen *seen = fleet_wait_state(fleet, stuck.job_id, STATE_PARKED, PATIENCE_MS);
    assert_non_null(strstr(seen->error, "mark"));
    assert_true(locked(fleet, &stuck));
    begin(fleet, &other, "o", 600000); /* a spare has its place */
    ends(fleet, &other);
    spring_trap(fleet, "a");
    begin(fleet, &next, "a", 600000);
    fleet_wait_reason(fleet, next.job_id, "parked:", PATIENCE_MS);
    assert_int_equal(fleet_seen(fleet, stuck.job_id)->state, STATE_PARKED);
    char path[400];
    trap_path(fleet, path, "a");
    assert_int_not_equal(access(path, F_OK), 0); /* nothing was marked */
    fleet_control(fleet, stuck.job_id, "resolve:failed: it hung");
    ends(fleet, &next);
    job_clear(&stuck);
    fleet_kill(fleet, SIGTERM);
    assert_int_equal(fleet_wait_exit(fleet, 60000), 0);
    fleet_close(fleet);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spares_take_the_place_of_stuck_calls_up_to_the_limit),
        cmocka_unit_test(a_restart_settles_a_stuck_call_or_parks_it),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
