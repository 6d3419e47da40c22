/*
 * What a restarted worker does with a plan under way while Redis does not give it the lock: nothing, until it does. The worker is killed between the INTENT of a step that takes
 * something away and its effect; the effect is a line in a file of the null backend.
 */
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

enum { PATIENCE_MS = 60000, LONG_ENOUGH_MS = 4000 };

static void redis_do(struct fleet *fleet, int argc, const char *const argv[])
{
    struct err err = {0};
    struct redis_reply *reply = redis_call(fleet_redis(fleet), &err, argc, argv, NULL);

    if (!reply || redis_reply_is_error(reply))
        fail_msg("%s: %s", argv[0], reply ? redis_reply_text(reply) : err.text);
    redis_reply_free(reply);
}

#define REDIS(fleet, ...) \
    redis_do(fleet, (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)), (const char *[]){__VA_ARGS__})

static int effects(const struct fleet *fleet, const struct job *job)
{
    char path[400], line[128];
    int count = 0;

    snprintf(path, sizeof path, "%s/state/null/%s", fleet_directory(fleet), job->target.id);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        count++;
    if (file)
        fclose(file);
    return count;
}

/* A worker that died with an INTENT of class C in its journal. */
static struct fleet *crashed(const char *host, struct job *out)
{
    struct fleet *fleet = fleet_open(host);

    fleet_job(fleet, out, "c");
    ((struct params_noop *)out->params)->destroys = true;
    fleet_crash_at(fleet, "intent.after:mark");
    fleet_start(fleet, NULL);
    fleet_submit(fleet, out, NULL);
    fleet_flush(fleet);
    int status = fleet_wait_exit(fleet, PATIENCE_MS);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    fleet_crash_at(fleet, NULL);
    return fleet;
}

static void nothing_happens(struct fleet *fleet, const struct job *job)
{
    for (int64_t until = clock_monotonic_ms() + LONG_ENOUGH_MS; clock_monotonic_ms() < until;)
        fleet_read(fleet, 100);
    assert_int_equal(effects(fleet, job), 0);
    struct seen *seen = fleet_seen(fleet, job->job_id);
    assert_true(!seen || seen->terminal == 0);
    assert_true(fleet_running(fleet));
}

static void it_is_done_once(struct fleet *fleet, struct job *job)
{
    struct seen *seen = fleet_wait_end(fleet, job->job_id, PATIENCE_MS);

    if (seen->state != STATE_SUCCEEDED)
        fail_msg("%s %s", job_state_names[seen->state], seen->error);
    assert_int_equal(effects(fleet, job), 1);
    job_clear(job);
    fleet_close(fleet);
}

static void lock_key(const struct job *job, char out[300])
{
    snprintf(out, 300, "fs:lock:%s:%s", job->target.kind, job->target.id);
}

static void without_a_ticket_it_waits(void **state)
{
    struct job job;
    struct fleet *fleet = crashed("ticketless", &job);
    char key[64];

    (void)state;
    snprintf(key, sizeof key, "fs:job:%s", job.job_id);
    REDIS(fleet, "DEL", key);
    fleet_start(fleet, NULL);
    nothing_happens(fleet, &job);
    fleet_submit(fleet, &job, &(struct submit){.only_ticket = true});
    it_is_done_once(fleet, &job);
}

static void while_another_has_the_lock_it_waits(void **state)
{
    struct job job;
    struct fleet *fleet = crashed("outlocked", &job);
    char key[300];

    (void)state;
    lock_key(&job, key);
    REDIS(fleet, "HSET", key, "owner", "beta/other", "instance", "x", "until", "99999999999999");
    fleet_start(fleet, NULL);
    nothing_happens(fleet, &job);
    REDIS(fleet, "HSET", key, "owner", "");
    it_is_done_once(fleet, &job);
}

static void a_hold_keeps_it_not(void **state)
{
    struct job job;
    struct fleet *fleet = crashed("onhold", &job);

    (void)state;
    REDIS(fleet, "HSET", "fs:hold", "all", "no more today");
    fleet_start(fleet, NULL);
    struct seen *seen = fleet_wait_end(fleet, job.job_id, PATIENCE_MS);
    REDIS(fleet, "DEL", "fs:hold");
    assert_int_equal(seen->state, STATE_SUCCEEDED);
    it_is_done_once(fleet, &job);
}

static void what_redis_has_as_ended_is_parked(void **state)
{
    struct job job;
    struct fleet *fleet = crashed("ended", &job);
    char key[64];

    (void)state;
    snprintf(key, sizeof key, "fs:job:%s", job.job_id);
    REDIS(fleet, "HSET", key, "state", "SUCCEEDED");
    fleet_start(fleet, NULL);
    assert_int_equal(fleet_wait_end(fleet, job.job_id, PATIENCE_MS)->state, STATE_PARKED);
    assert_int_equal(effects(fleet, &job), 0);
    job_clear(&job);
    fleet_close(fleet);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_ticket_it_waits),
        cmocka_unit_test(while_another_has_the_lock_it_waits),
        cmocka_unit_test(a_hold_keeps_it_not),
        cmocka_unit_test(what_redis_has_as_ended_is_parked),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
