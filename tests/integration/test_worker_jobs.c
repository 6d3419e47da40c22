/* The worker as a process, on real Kafka and Redis: jobs come, are done once, and are answered for, whatever happens to the worker, to Redis, and to the records. */
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

enum { MANY = 1000, PATIENCE_MS = 60000, MOMENT_MS = 400 };

static struct params_noop *noop(struct job *job)
{
    return job->params;
}

static void submit_many(struct fleet *fleet, char (*ids)[40], int count, int64_t spin_us)
{
    for (int i = 0; i < count; i++) {
        struct job job;
        char target[32];
        snprintf(target, sizeof target, "t%d", i % 50);
        fleet_job(fleet, &job, target);
        noop(&job)->spin_us = spin_us;
        fleet_submit(fleet, &job, NULL);
        snprintf(ids[i], sizeof ids[i], "%s", job.job_id);
        job_clear(&job);
    }
    fleet_flush(fleet);
}

static void each_ends_once(struct fleet *fleet, char (*ids)[40], int count)
{
    for (int i = 0; i < count; i++) {
        struct seen *seen = fleet_wait_end(fleet, ids[i], PATIENCE_MS);
        if (seen->state != STATE_SUCCEEDED)
            fail_msg("job %s: %s %s", ids[i], job_state_names[seen->state], seen->error);
    }
    fleet_read(fleet, 300);
    for (int i = 0; i < count; i++)
        assert_int_equal(fleet_seen(fleet, ids[i])->terminal, 1);
}

/* Then Redis has answered, and nobody waits for that. */
static void one_job_ends(struct fleet *fleet)
{
    char ids[1][40];

    submit_many(fleet, ids, 1, 0);
    fleet_wait_end(fleet, ids[0], PATIENCE_MS);
}

/* Of those that are over at once only the end is told. How many they are depends on the machine. */
static int ended_silently(struct fleet *fleet, char (*ids)[40], int count)
{
    int silent = 0;

    for (int i = 0; i < count; i++)
        silent += fleet_seen(fleet, ids[i])->count == 1;
    return silent;
}

/* Its like take no time; this one says that it runs, whether it began silently or not, and no number is missing. */
static void a_longer_one_says_that_it_runs(struct fleet *fleet)
{
    char ids[1][40];

    submit_many(fleet, ids, 1, 3000000);
    fleet_wait_state(fleet, ids[0], STATE_RUNNING, PATIENCE_MS);
    struct seen *seen = fleet_wait_end(fleet, ids[0], PATIENCE_MS);
    for (int i = 1; i < seen->count; i++)
        assert_int_equal(seen->seq[i], seen->seq[i - 1] + 1);
}

static void many_jobs_end_once_each(void **state)
{
    static char ids[MANY][40];
    struct fleet *fleet = fleet_open("many");

    (void)state;
    fleet_start(fleet, NULL);
    one_job_ends(fleet);
    int64_t began = clock_monotonic_ms();
    submit_many(fleet, ids, MANY, 0);
    int64_t submitted = clock_monotonic_ms();
    for (int i = 0; i < MANY; i++)
        fleet_wait_end(fleet, ids[i], PATIENCE_MS);
    print_message("%d jobs: submitted in %lld ms, ended %lld ms later\n", MANY, (long long)(submitted - began),
                  (long long)(clock_monotonic_ms() - submitted));
    each_ends_once(fleet, ids, MANY);
    assert_true(ended_silently(fleet, ids, MANY) > 0);
    a_longer_one_says_that_it_runs(fleet);
    fleet_kill(fleet, SIGTERM);
    assert_int_equal(fleet_wait_exit(fleet, 60000), 0);
    fleet_close(fleet);
}

static void a_kill_in_the_middle_loses_and_repeats_nothing(void **state)
{
    static char ids[MANY][40];
    struct fleet *fleet = fleet_open("killed");
    int ended = 0;

    (void)state;
    fleet_start(fleet, NULL);
    submit_many(fleet, ids, MANY, 1000);
    while (ended < MANY / 4) {
        fleet_read(fleet, 5);
        ended = 0;
        for (int i = 0; i < MANY; i++)
            ended += fleet_seen(fleet, ids[i]) && fleet_seen(fleet, ids[i])->terminal;
    }
    fleet_kill(fleet, SIGKILL);
    fleet_wait_exit(fleet, 60000);
    fleet_read(fleet, 100);
    fleet_start(fleet, NULL);
    each_ends_once(fleet, ids, MANY);
    fleet_close(fleet);
}

/* How often the class C step of `target` had its effect. */
static int lines_of(const struct fleet *fleet, const char *target)
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

static void what_destroys_is_done_once_around_every_crash(void **state)
{
    static const char *const points[] = {"accept.before",  "accept.after", "plan.before",   "plan.after",
                                         "intent.before",  "intent.after", "effect.after",  "done.after",
                                         "result.before",  "result.after", "finish.before", "finish.after",
                                         "publish.before", "publish.after"};
    struct fleet *fleet = fleet_open("crashing");

    (void)state;
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        struct job job;
        char target[32];
        snprintf(target, sizeof target, "c%zu", i);
        fleet_job(fleet, &job, target);
        noop(&job)->destroys = true;
        fleet_crash_at(fleet, points[i]);
        fleet_start(fleet, NULL);
        fleet_submit(fleet, &job, NULL);
        fleet_flush(fleet);
        int status = fleet_wait_exit(fleet, 60000);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
            fail_msg("%s: not killed there", points[i]);
        fleet_crash_at(fleet, NULL);
        fleet_start(fleet, NULL);
        struct seen *seen = fleet_wait_end(fleet, job.job_id, PATIENCE_MS);
        if (seen->state != STATE_SUCCEEDED || lines_of(fleet, target) != 1)
            fail_msg("%s: %s %s, done %d times", points[i], job_state_names[seen->state], seen->error,
                     lines_of(fleet, target));
        fleet_read(fleet, 200);
        assert_int_equal(seen->terminal, 1);
        fleet_kill(fleet, SIGTERM);
        status = fleet_wait_exit(fleet, 60000);
        assert_true(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM)); /* before it had begun */
        job_clear(&job);
    }
    fleet_close(fleet);
}

static void a_repeat_is_answered_and_not_run(void **state)
{
    struct fleet *fleet = fleet_open("repeat");
    struct job job;

    (void)state;
    fleet_start(fleet, NULL);
    fleet_job(fleet, &job, "r");
    noop(&job)->destroys = true;
    fleet_submit(fleet, &job, NULL);
    struct seen *seen = fleet_wait_end(fleet, job.job_id, PATIENCE_MS);
    int events = seen->count;
    for (int i = 0; i < 3; i++)
        fleet_submit(fleet, &job, NULL);
    fleet_flush(fleet);
    for (int64_t until = clock_monotonic_ms() + 60000; seen->count < events + 3 && clock_monotonic_ms() < until;)
        fleet_read(fleet, 20);
    assert_int_equal(seen->count, events + 3);
    assert_int_equal(seen->terminal, 1);
    assert_int_equal(seen->state, STATE_SUCCEEDED);
    assert_int_equal(lines_of(fleet, "r"), 1);
    job_clear(&job);
    fleet_close(fleet);
}

static void what_cannot_be_trusted_is_a_dead_letter(void **state)
{
    static const char rubbish[] = "\x00\x00\x00\x00\x01rubbish \xff\xfe";
    struct fleet *fleet = fleet_open("dead");
    struct job jobs[4];

    (void)state;
    fleet_start(fleet, NULL);
    for (int i = 0; i < 4; i++)
        fleet_job(fleet, &jobs[i], "d");
    fleet_submit(fleet, &jobs[0], &(struct submit){.bad_mac = true});
    fleet_submit(fleet, &jobs[1], &(struct submit){.no_mac = true});
    fleet_submit(fleet, &jobs[2], &(struct submit){.raw = rubbish, .raw_len = sizeof rubbish});
    fleet_submit(fleet, &jobs[3], NULL);
    fleet_flush(fleet);
    fleet_wait_end(fleet, jobs[3].job_id, PATIENCE_MS);
    fleet_read(fleet, 500);
    assert_int_equal(fleet_dead_letters(fleet, ""), 3);
    assert_int_equal(fleet_dead_letters(fleet, "not signed"), 1);
    for (int i = 0; i < 3; i++)
        assert_null(fleet_seen(fleet, jobs[i].job_id));
    for (int i = 0; i < 4; i++)
        job_clear(&jobs[i]);
    fleet_close(fleet);
}

static void another_hosts_jobs_are_left_alone_and_bad_ones_refused(void **state)
{
    struct fleet *fleet = fleet_open("refuse");
    struct job other, wrong, late, kind, good;

    (void)state;
    fleet_start(fleet, NULL);
    fleet_job(fleet, &other, "o");
    fleet_job(fleet, &wrong, "w");
    fleet_job(fleet, &late, "l");
    fleet_job(fleet, &kind, "k");
    fleet_job(fleet, &good, "g");
    assert_int_equal(string_set(&wrong.host, "elsewhere", NULL), 0);
    late.issued_at_ms = clock_real_ms() - 7200000;
    late.deadline_ms = clock_real_ms() - 1000;
    assert_int_equal(string_set(&kind.target.kind, "libvirt", NULL), 0);
    assert_int_equal(string_set(&kind.target.id, "3d7f6a52-77e5-4b4c-8c55-3a36a0b0ad11", NULL), 0);
    fleet_submit(fleet, &other, &(struct submit){.header_host = "elsewhere"});
    fleet_submit(fleet, &wrong, &(struct submit){.header_host = good.host});
    fleet_submit(fleet, &late, NULL);
    fleet_submit(fleet, &kind, NULL);
    fleet_submit(fleet, &good, NULL);
    fleet_flush(fleet);
    assert_int_equal(fleet_wait_end(fleet, good.job_id, PATIENCE_MS)->state, STATE_SUCCEEDED);
    assert_int_equal(fleet_wait_end(fleet, wrong.job_id, PATIENCE_MS)->state, STATE_REJECTED);
    assert_int_equal(fleet_wait_end(fleet, late.job_id, PATIENCE_MS)->state, STATE_EXPIRED);
    assert_int_equal(fleet_wait_end(fleet, kind.job_id, PATIENCE_MS)->state, STATE_REJECTED);
    assert_null(fleet_seen(fleet, other.job_id));
    job_clear(&other);
    job_clear(&wrong);
    job_clear(&late);
    job_clear(&kind);
    job_clear(&good);
    fleet_close(fleet);
}

static void a_failure_is_tried_again_and_then_final(void **state)
{
    struct fleet *fleet = fleet_open("retry");
    struct job job;

    (void)state;
    fleet_start(fleet, NULL);
    fleet_job(fleet, &job, "f");
    assert_int_equal(string_set(&noop(&job)->fail, "retry", NULL), 0);
    fleet_submit(fleet, &job, NULL);
    struct seen *seen = fleet_wait_end(fleet, job.job_id, PATIENCE_MS);
    assert_int_equal(seen->state, STATE_FAILED);
    int running = 0;
    for (int i = 0; i < seen->count; i++)
        running += seen->states[i] == STATE_RUNNING;
    assert_int_equal(running, 3);
    job_clear(&job);
    fleet_close(fleet);
}

static void a_running_and_a_waiting_job_can_be_cancelled(void **state)
{
    struct fleet *fleet = fleet_open("cancel");
    struct job running, waiting;

    (void)state;
    fleet_start(fleet, NULL);
    fleet_job(fleet, &running, "x");
    noop(&running)->spin_us = 50000000;
    fleet_job(fleet, &waiting, "y");
    waiting.not_before_ms = clock_real_ms() + 600000;
    fleet_submit(fleet, &running, NULL);
    fleet_submit(fleet, &waiting, NULL);
    fleet_wait_state(fleet, running.job_id, STATE_RUNNING, PATIENCE_MS);
    fleet_wait_state(fleet, waiting.job_id, STATE_ACCEPTED, PATIENCE_MS);
    fleet_cancel(fleet, running.job_id);
    fleet_cancel(fleet, waiting.job_id);
    assert_int_equal(fleet_wait_end(fleet, running.job_id, 20000)->state, STATE_CANCELLED);
    assert_int_equal(fleet_wait_end(fleet, waiting.job_id, 20000)->state, STATE_CANCELLED);
    job_clear(&running);
    job_clear(&waiting);
    fleet_close(fleet);
}

/* What was said while nobody listened is in Redis, to which a worker that starts is not connected yet. */
static void a_job_that_was_cancelled_while_the_worker_was_away_does_not_begin(void **state)
{
    struct fleet *fleet = fleet_open("late-cancel");
    struct job job;

    (void)state;
    fleet_crash_at(fleet, "accept.after:noop");
    fleet_start(fleet, NULL);
    fleet_job(fleet, &job, "x");
    fleet_submit(fleet, &job, NULL);
    fleet_wait_exit(fleet, PATIENCE_MS);
    fleet_cancel(fleet, job.job_id);
    fleet_crash_at(fleet, NULL);
    fleet_start(fleet, NULL);
    assert_int_equal(fleet_wait_end(fleet, job.job_id, PATIENCE_MS)->state, STATE_CANCELLED);
    job_clear(&job);
    fleet_close(fleet);
}

static void nothing_that_changes_something_runs_without_a_ticket(void **state)
{
    struct fleet *fleet = fleet_open("ticket");
    struct job job;

    (void)state;
    fleet_start(fleet, NULL);
    fleet_job(fleet, &job, "n");
    noop(&job)->destroys = true;
    fleet_submit(fleet, &job, &(struct submit){.no_ticket = true});
    fleet_wait_reason(fleet, job.job_id, "ticket", PATIENCE_MS);
    assert_int_equal(lines_of(fleet, "n"), 0);
    fleet_submit(fleet, &job, &(struct submit){.only_ticket = true});
    assert_int_equal(fleet_wait_end(fleet, job.job_id, PATIENCE_MS)->state, STATE_SUCCEEDED);
    assert_int_equal(lines_of(fleet, "n"), 1);
    job_clear(&job);
    fleet_close(fleet);
}

static void redis_without_memory_stops_what_destroys_until_it_is_rebuilt(void **state)
{
    struct fleet *fleet = fleet_open("flushed");
    struct job reads, destroys;
    struct err err = {0};

    (void)state;
    fleet_start(fleet, NULL);
    fleet_job(fleet, &reads, "a");
    fleet_submit(fleet, &reads, NULL);
    fleet_wait_end(fleet, reads.job_id, PATIENCE_MS);
    job_clear(&reads);
    const char *flush[] = {"FLUSHALL"};
    redis_reply_free(redis_call(fleet_redis(fleet), &err, 1, flush, NULL));
    fleet_job(fleet, &destroys, "b");
    noop(&destroys)->destroys = true;
    fleet_submit(fleet, &destroys, NULL);
    fleet_job(fleet, &reads, "a");
    fleet_submit(fleet, &reads, NULL);
    fleet_wait_state(fleet, destroys.job_id, STATE_WAITING, PATIENCE_MS);
    assert_int_equal(fleet_wait_end(fleet, reads.job_id, PATIENCE_MS)->state, STATE_SUCCEEDED);
    assert_int_equal(lines_of(fleet, "b"), 0);
    fleet_epoch(fleet);
    assert_int_equal(fleet_wait_end(fleet, destroys.job_id, PATIENCE_MS)->state, STATE_SUCCEEDED);
    assert_int_equal(lines_of(fleet, "b"), 1);
    job_clear(&reads);
    job_clear(&destroys);
    fleet_close(fleet);
}

static void an_unknown_outcome_is_parked_until_a_person_resolves_it(void **state)
{
    struct fleet *fleet = fleet_open("parked");
    struct job parked, next;
    int round;

    (void)state;
    fleet_job(fleet, &parked, "p");
    noop(&parked)->destroys = true;
    fleet_job(fleet, &next, "p");
    noop(&next)->destroys = true;
    for (round = 0; round < 2; round++) { /* the worker dies twice on it */
        fleet_crash_at(fleet, round == 0 ? "intent.after" : "effect.after");
        fleet_start(fleet, NULL);
        if (round == 0) {
            fleet_submit(fleet, &parked, NULL);
            fleet_flush(fleet);
        }
        fleet_wait_exit(fleet, 60000);
    }
    fleet_crash_at(fleet, NULL);
    fleet_start(fleet, NULL);
    fleet_wait_state(fleet, parked.job_id, STATE_PARKED, PATIENCE_MS);
    fleet_submit(fleet, &next, NULL);
    fleet_flush(fleet);
    struct seen *waits = fleet_wait_reason(fleet, next.job_id, "parked: ", PATIENCE_MS);
    assert_non_null(strstr(waits->waiting, parked.job_id));
    fleet_read(fleet, 500);
    assert_int_equal(waits->terminal, 0);
    fleet_control(fleet, parked.job_id, "resolve:done: looked at it");
    assert_int_equal(fleet_wait_end(fleet, next.job_id, PATIENCE_MS)->state, STATE_SUCCEEDED);
    assert_string_equal(fleet_seen(fleet, parked.job_id)->resolved, "done: looked at it");
    job_clear(&parked);
    job_clear(&next);
    fleet_close(fleet);
}

static bool ever(const struct seen *seen, int state)
{
    for (int i = 0; i < seen->count && i < FLEET_EVENTS_MAX; i++)
        if (seen->states[i] == state)
            return true;
    return false;
}

/* Who waits long says for whom; who waits for a moment says nothing. */
static void what_stands_in_the_way_is_named(void **state)
{
    struct fleet *fleet = fleet_open("behind");
    struct job first, second, reads;
    char holder[100];

    (void)state;
    fleet_start(fleet, NULL);
    one_job_ends(fleet);
    fleet_job(fleet, &first, "t");
    fleet_job(fleet, &second, "t");
    fleet_job(fleet, &reads, "t");
    reads.dry_run = true;
    noop(&first)->spin_us = 4000000;
    noop(&first)->destroys = noop(&second)->destroys = true;
    fleet_submit(fleet, &first, NULL);
    fleet_submit(fleet, &second, NULL);
    fleet_submit(fleet, &reads, NULL);
    fleet_flush(fleet);
    snprintf(holder, sizeof holder, "lock: %s/%s", fleet_host(fleet), first.job_id);
    fleet_wait_reason(fleet, second.job_id, holder, PATIENCE_MS);
    assert_int_equal(fleet_wait_end(fleet, second.job_id, PATIENCE_MS)->state, STATE_SUCCEEDED);
    assert_false(ever(fleet_wait_end(fleet, reads.job_id, PATIENCE_MS), STATE_WAITING));
    assert_false(ever(fleet_seen(fleet, first.job_id), STATE_WAITING));
    job_clear(&first);
    job_clear(&second);
    job_clear(&reads);
    fleet_job(fleet, &first, "q");
    fleet_job(fleet, &second, "q");
    noop(&first)->destroys = noop(&second)->destroys = true;
    int64_t began = clock_monotonic_ms();
    fleet_submit(fleet, &first, NULL);
    fleet_submit(fleet, &second, NULL);
    fleet_flush(fleet);
    fleet_wait_end(fleet, first.job_id, PATIENCE_MS);
    fleet_wait_end(fleet, second.job_id, PATIENCE_MS);
    if (clock_monotonic_ms() - began < MOMENT_MS) { /* else it was none */
        assert_false(ever(fleet_seen(fleet, first.job_id), STATE_WAITING));
        assert_false(ever(fleet_seen(fleet, second.job_id), STATE_WAITING));
    }
    job_clear(&first);
    job_clear(&second);
    fleet_close(fleet);
}

static void a_second_worker_on_the_same_journal_refuses_to_start(void **state)
{
    struct fleet *fleet = fleet_open("second");
    char command[1200];
    struct job job;

    (void)state;
    fleet_start(fleet, NULL);
    fleet_job(fleet, &job, "s");
    fleet_submit(fleet, &job, NULL);
    fleet_wait_end(fleet, job.job_id, PATIENCE_MS);
    snprintf(
        command, sizeof command,
        "exe=$(readlink /proc/%d/exe); $exe --host=second --state_directory=%s/state --kafka.brokers=x --key_file=%s/host.key 2>&1 | grep -q 'in use by another worker'",
        (int)fleet_pid(fleet), fleet_directory(fleet), fleet_directory(fleet));
    assert_int_equal(system(command), 0);
    snprintf(
        command, sizeof command,
        "exe=$(readlink /proc/%d/exe); $exe --host=second --state_directory=%s/state --kafka.brokers=x --inspect --json | grep -q '\"live\": true'",
        (int)fleet_pid(fleet), fleet_directory(fleet));
    assert_int_equal(system(command), 0);
    job_clear(&job);
    fleet_close(fleet);
}

/* An argument selects tests by a pattern of their name. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_jobs_end_once_each),
        cmocka_unit_test(a_kill_in_the_middle_loses_and_repeats_nothing),
        cmocka_unit_test(what_destroys_is_done_once_around_every_crash),
        cmocka_unit_test(a_repeat_is_answered_and_not_run),
        cmocka_unit_test(what_cannot_be_trusted_is_a_dead_letter),
        cmocka_unit_test(another_hosts_jobs_are_left_alone_and_bad_ones_refused),
        cmocka_unit_test(a_failure_is_tried_again_and_then_final),
        cmocka_unit_test(a_running_and_a_waiting_job_can_be_cancelled),
        cmocka_unit_test(a_job_that_was_cancelled_while_the_worker_was_away_does_not_begin),
        cmocka_unit_test(nothing_that_changes_something_runs_without_a_ticket),
        cmocka_unit_test(redis_without_memory_stops_what_destroys_until_it_is_rebuilt),
        cmocka_unit_test(an_unknown_outcome_is_parked_until_a_person_resolves_it),
        cmocka_unit_test(what_stands_in_the_way_is_named),
        cmocka_unit_test(a_second_worker_on_the_same_journal_refuses_to_start),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
