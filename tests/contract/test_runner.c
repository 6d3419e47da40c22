/*
 * The runner's contract, on the fake world: what every plan may rely on. Failures at every step, and the crash matrix: a child process is killed at every crash point around every
 * step of every verb, and the parent recovers from what is left.
 */
#include "base/err.h"
#include "fake/fake_world.h"
#include "model/job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { RECOVERIES_MAX = 10 };

static struct job job_of(enum op op)
{
    static struct params_snapshot_create params;

    return (struct job){.job_id = (char *)"0d9b1c1e-8c0c-5b2f-9f3f-5a3c8f3d2b11",
                        .op = (int)op,
                        .params = &params,
                        .host = (char *)"alpha"};
}

static const enum op ops[] = {OP_SNAPSHOT_CREATE, OP_SNAPSHOT_REVERT, OP_SNAPSHOT_DELETE, OP_BACKUP_CREATE,
                              OP_BACKUP_RESTORE};

/* What is true of every end that is not PARKED. */
static void assert_whole(const struct fake_world *world)
{
    assert_false(world->frozen);
    assert_false(world->stopped);
    assert_false(world->held[0] || world->held[1]);
    assert_int_equal(world->unpaid_effects, 0);
}

static void assert_untouched(const struct fake_world *world)
{
    assert_whole(world);
    for (int i = 0; i < FAKE_EFFECTS; i++)
        assert_int_equal(world->applied[i], 0);
}

static void run(struct fake_world *world, const struct job *job, struct outcome *out)
{
    struct runner_env env = fake_env(world);

    memset(out, 0, sizeof *out);
    runner_run(&env, fake_backend(), job, out);
}

static void test_every_verb_succeeds(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        struct fake_world *world = fake_world_new();
        struct job job = job_of(ops[i]);
        struct outcome out;

        run(world, &job, &out);
        assert_int_equal(out.kind, OUTCOME_ENDED);
        assert_int_equal(out.state, STATE_SUCCEEDED);
        assert_whole(world);
        outcome_clear(&out);
        fake_world_free(world);
    }
}

static void test_dry_run_renders_and_touches_nothing(void **state)
{
    struct fake_world *world = fake_world_new();
    struct job job = job_of(OP_SNAPSHOT_REVERT);
    struct outcome out;
    char digest[65];

    (void)state;
    job.dry_run = true;
    run(world, &job, &out);
    assert_int_equal(out.state, STATE_SUCCEEDED);
    assert_int_equal(out.report.result->steps.count, 5);
    assert_string_equal(list_at(&out.report.result->steps, struct plan_step, 1)->command, "fake stop");
    assert_string_equal(list_at(&out.report.result->steps, struct plan_step, 1)->lost, "something");
    assert_untouched(world);
    assert_string_equal(world->plan, "");
    strcpy(digest, out.report.result->plan_digest);
    outcome_clear(&out);

    job.dry_run = false; /* what was confirmed is the plan's digest: the same plan runs … */
    job.job_id = (char *)"5f1e1c1e-8c0c-5b2f-9f3f-5a3c8f3d2b22";
    job.plan_digest = digest;
    run(world, &job, &out);
    assert_int_equal(out.state, STATE_SUCCEEDED);
    outcome_clear(&out);
    digest[0] = digest[0] == '0' ? '1' : '0'; /* … another is a conflict */
    run(world, &job, &out);
    assert_int_equal(out.state, STATE_FAILED);
    assert_int_equal(out.err.kind, ERR_CONFLICT);
    outcome_clear(&out);
    fake_world_free(world);
}

static void check_failure(enum op op, const char *step, enum err_kind kind, bool late)
{
    struct fake_world *world = fake_world_new();
    struct job job = job_of(op);
    struct outcome out;

    snprintf(world->fail_step, sizeof world->fail_step, "%s", step);
    world->fail_kind = kind;
    world->fail_times = strcmp(step, "start") == 0 ? 1 : -1;
    world->fail_late = late;
    run(world, &job, &out);
    if (strcmp(step, "kill") == 0 || (kind == ERR_UNKNOWN && (strcmp(step, "swap") == 0 || strcmp(step, "stop") == 0))) {
        assert_int_equal(out.state, STATE_PARKED);
        assert_false(world->frozen);
        assert_non_null(facts_get(&out.report.result->facts, "step"));
    } else if (kind == ERR_PERMANENT) {
        assert_int_equal(out.kind, OUTCOME_ENDED);
        assert_int_equal(out.state, STATE_FAILED);
        assert_untouched(world);
    } else {
        assert_int_equal(out.kind, OUTCOME_RETRY);
        assert_untouched(world);
    }
    outcome_clear(&out);
    fake_world_free(world);
}

/* With a way back, every failure leaves the world as it was; without one the job is PARKED, never FAILED. */
static void test_failure_at_every_step(void **state)
{
    static const struct {
        enum op op;
        const char *step;
    } cases[] = {
        {OP_SNAPSHOT_CREATE, "freeze"}, {OP_SNAPSHOT_CREATE, "snap"}, {OP_SNAPSHOT_REVERT, "check"},
        {OP_SNAPSHOT_REVERT, "stop"},   {OP_SNAPSHOT_REVERT, "swap"}, {OP_SNAPSHOT_REVERT, "add"},
        {OP_SNAPSHOT_REVERT, "start"},  {OP_SNAPSHOT_DELETE, "add"},  {OP_SNAPSHOT_DELETE, "kill"},
        {OP_BACKUP_CREATE, "add"},      {OP_BACKUP_CREATE, "push"},   {OP_BACKUP_RESTORE, "hold"},
        {OP_BACKUP_RESTORE, "add"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_failure(cases[i].op, cases[i].step, ERR_PERMANENT, false);
        check_failure(cases[i].op, cases[i].step, ERR_PERMANENT, true);
        if (strcmp(cases[i].step, "kill") == 0)
            continue; /* would be tried again with pauses: test_final_retries */
        check_failure(cases[i].op, cases[i].step, ERR_RETRY, true);
        check_failure(cases[i].op, cases[i].step, ERR_UNKNOWN, true);
    }
}

static void test_final_step_is_tried_again(void **state)
{
    struct fake_world *world = fake_world_new();
    struct job job = job_of(OP_SNAPSHOT_DELETE);
    struct outcome out;

    (void)state;
    strcpy(world->fail_step, "kill");
    world->fail_kind = ERR_RETRY;
    world->fail_times = 1;
    run(world, &job, &out);
    assert_int_equal(out.state, STATE_SUCCEEDED);
    assert_int_equal(world->executed[FAKE_KILL], 1);
    outcome_clear(&out);
    fake_world_free(world);
}

static void test_cancel_before_the_first_effect(void **state)
{
    struct fake_world *world = fake_world_new();
    struct job job = job_of(OP_SNAPSHOT_REVERT);
    struct outcome out;

    (void)state;
    world->cancelled = true;
    run(world, &job, &out);
    assert_int_equal(out.state, STATE_CANCELLED);
    assert_untouched(world);
    outcome_clear(&out);
    job.deadline_ms = 1;
    world->cancelled = false;
    run(world, &job, &out);
    assert_int_equal(out.state, STATE_EXPIRED);
    assert_untouched(world);
    outcome_clear(&out);
    fake_world_free(world);
}

static void test_nothing_is_taken_away_without_the_lock(void **state)
{
    struct fake_world *world = fake_world_new();
    struct job job = job_of(OP_SNAPSHOT_REVERT);
    struct outcome out;

    (void)state;
    world->trust = TRUST_LOST;
    run(world, &job, &out);
    assert_int_equal(out.kind, OUTCOME_RETRY);
    assert_untouched(world);
    outcome_clear(&out);
    world->trust = TRUST_PINNED;
    run(world, &job, &out);
    assert_int_equal(out.state, STATE_FAILED);
    assert_int_equal(out.err.kind, ERR_CONFLICT);
    assert_untouched(world);
    outcome_clear(&out);
    fake_world_free(world);
}

static void test_a_busy_agent_still_thaws(void **state)
{
    struct fake_world *world = fake_world_new();
    struct job job = job_of(OP_SNAPSHOT_CREATE);
    struct outcome out;

    (void)state;
    strcpy(world->fail_step, "snap");
    world->fail_kind = ERR_PERMANENT;
    world->fail_times = -1;
    world->thaw_failures = 3;
    run(world, &job, &out);
    assert_int_equal(out.state, STATE_FAILED);
    assert_untouched(world);
    outcome_clear(&out);
    fake_world_free(world);
}

/* ---- the crash matrix ---- */

/* Runs (or recovers) in a child that is to die at `point`; true if it died. */
static bool run_and_crash(struct fake_world *world, const struct job *job, const char *crash)
{
    pid_t child = fork();
    int status = 0;

    assert_true(child >= 0);
    if (child == 0) {
        struct outcome out;

        setenv("FLEETSNAP_CRASH", crash, 1);
        run(world, job, &out);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status);
}

/* As the worker does after a restart, until the job has ended. */
static enum job_state recover(struct fake_world *world, const struct job *job)
{
    struct runner_env env = fake_env(world);

    for (int i = 0; i < RECOVERIES_MAX; i++) {
        struct journaled_plan plan;
        struct outcome out = {0};
        enum outcome_kind kind;
        enum job_state state;
        bool found = fake_journaled(world, &plan);

        if (found)
            runner_recover(&env, fake_backend(), job, RECOVERY_ON, &plan, &out);
        else
            runner_run(&env, fake_backend(), job, &out);
        journaled_plan_clear(&plan);
        kind = out.kind;
        state = out.state;
        outcome_clear(&out);
        if (kind == OUTCOME_ENDED)
            return state;
        if (kind == OUTCOME_REPLAN || kind == OUTCOME_RETRY)
            world->plan[0] = '\0';
    }
    fail_msg("still not ended after %d recoveries", RECOVERIES_MAX);
    return STATE_COUNT;
}

static void check_after_crash(struct fake_world *world, const struct job *job, const char *crash)
{
    enum job_state state = recover(world, job);

    if (state != STATE_SUCCEEDED)
        fail_msg("op %d, crash at %s: ended as %d", job->op, crash, (int)state);
    assert_whole(world);
    if (job->op == OP_SNAPSHOT_CREATE)
        assert_int_equal(world->applied[FAKE_SNAP], 1);
    if (job->op == OP_SNAPSHOT_REVERT)
        assert_int_equal(world->applied[FAKE_SWAP] + world->applied[FAKE_ADD], 2);
    if (job->op == OP_SNAPSHOT_DELETE)
        assert_int_equal(world->executed[FAKE_KILL], 1); /* nothing destructive twice */
    if (job->op == OP_BACKUP_CREATE)
        assert_int_equal(world->applied[FAKE_PUSH], 1);
}

static void test_crash_matrix(void **state)
{
    static const char *const points[] = {"plan.before",  "plan.after",   "intent.before",
                                         "intent.after", "effect.after", "done.after",
                                         "pay.before",   "pay.after",    NULL};
    static const char *const steps[] = {"check", "freeze", "snap", "thaw",   "stop", "swap",   "add", "start",
                                        "kill",  "push",   "hold", "hold#2", "free", "free#2", NULL};
    int crashes = 0;

    (void)state;
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        for (const char *const *point = points; *point; point++)
            for (const char *const *step = steps; *step; step++) {
                struct fake_world *world = fake_world_new();
                struct job job = job_of(ops[i]);
                char crash[64];

                if (strncmp(*point, "plan", 4) == 0)
                    snprintf(crash, sizeof crash, "%s", *point);
                else
                    snprintf(crash, sizeof crash, "%s:%s", *point, *step);
                if (run_and_crash(world, &job, crash)) {
                    crashes++;
                    check_after_crash(world, &job, crash);
                }
                fake_world_free(world);
            }
    assert_true(crashes > 60); /* the points are really passed */
}

/* A worker that dies while it takes back is taken back by the next. */
static void test_crash_while_going_back(void **state)
{
    static const char *const crashes[] = {"undo.before:swap", "undo.after:swap", "undo.before:stop", "undo.after:stop",
                                          "pay.before:start", "pay.after:start", "undo.before:add",  NULL};

    (void)state;
    for (const char *const *crash = crashes; *crash; crash++) {
        struct fake_world *world = fake_world_new();
        struct job job = job_of(OP_SNAPSHOT_REVERT);

        strcpy(world->fail_step, "add");
        world->fail_kind = ERR_PERMANENT;
        world->fail_late = true;
        world->fail_times = -1;
        assert_true(run_and_crash(world, &job, *crash));
        assert_int_equal(recover(world, &job), STATE_FAILED);
        assert_untouched(world);
        fake_world_free(world);
    }
}

static void test_settle_unknown(void **state)
{
    struct fake_world *world = fake_world_new();
    struct job job = job_of(OP_SNAPSHOT_DELETE);

    (void)state;
    assert_true(run_and_crash(world, &job, "effect.after:kill"));
    world->settle_unknown = true;
    assert_int_equal(recover(world, &job), STATE_PARKED);
    assert_int_equal(world->executed[FAKE_KILL], 1);
    fake_world_free(world);

    world = fake_world_new();
    job = job_of(OP_BACKUP_CREATE);
    assert_true(run_and_crash(world, &job, "effect.after:push"));
    world->settle_unknown = true;
    assert_int_equal(recover(world, &job), STATE_SUCCEEDED); /* undone, and planned afresh */
    assert_int_equal(world->executed[FAKE_PUSH], 2);
    assert_int_equal(world->applied[FAKE_PUSH], 1);
    fake_world_free(world);
}

static void test_settle_busy_is_asked_again(void **state)
{
    struct fake_world *world = fake_world_new();
    struct job job = job_of(OP_SNAPSHOT_DELETE);

    (void)state;
    assert_true(run_and_crash(world, &job, "effect.after:kill"));
    world->settle_busy = 3;
    assert_int_equal(recover(world, &job), STATE_SUCCEEDED);
    assert_int_equal(world->settle_busy, 0);
    assert_int_equal(world->executed[FAKE_KILL], 1);
    fake_world_free(world);
}

/* Twice is enough: the guest is thawed, and a person decides about the rest. */
static void test_giving_up_still_thaws(void **state)
{
    struct fake_world *world = fake_world_new();
    struct job job = job_of(OP_SNAPSHOT_CREATE);
    struct runner_env env = fake_env(world);
    struct journaled_plan plan;
    struct outcome out = {0};

    (void)state;
    assert_true(run_and_crash(world, &job, "effect.after:freeze"));
    assert_true(world->frozen);
    assert_true(fake_journaled(world, &plan));
    runner_give_up(&env, fake_backend(), &job, "twice is enough", &plan, &out);
    assert_int_equal(out.state, STATE_PARKED);
    assert_false(world->frozen);
    assert_int_equal(world->applied[FAKE_SNAP], 0);
    outcome_clear(&out);
    journaled_plan_clear(&plan);
    fake_world_free(world);
}

/* A worker that is stopped hard in the middle of a freeze leaves its plan to the next start, and the guest thawed. */
static void test_a_hard_stop_leaves_no_guest_frozen(void **state)
{
    struct fake_world *world = fake_world_new();
    struct job job = job_of(OP_SNAPSHOT_CREATE);
    struct outcome out;

    (void)state;
    strcpy(world->fail_step, "snap");
    world->fail_kind = ERR_CANCELLED;
    world->fail_times = 1;
    world->fail_late = world->stop_on_failure = true;
    run(world, &job, &out);
    assert_int_equal(out.kind, OUTCOME_LEFT);
    assert_false(world->frozen);
    outcome_clear(&out);
    world->stopping = false;
    assert_int_equal(recover(world, &job), STATE_SUCCEEDED);
    assert_whole(world);
    assert_int_equal(world->executed[FAKE_SNAP], 2); /* not consistent any more: taken back, and made afresh */
    fake_world_free(world);
}

/* A debt is paid by the step that names the same thing, not by the first of its type. */
static void test_two_debts_of_one_type_are_paid_each(void **state)
{
    struct fake_world *world = fake_world_new();
    struct job job = job_of(OP_BACKUP_RESTORE);
    struct outcome out;

    (void)state;
    strcpy(world->fail_step, "add");
    world->fail_kind = ERR_PERMANENT;
    world->fail_times = -1;
    run(world, &job, &out);
    assert_int_equal(out.state, STATE_FAILED);
    assert_untouched(world);
    outcome_clear(&out);
    fake_world_free(world);

    world = fake_world_new();
    assert_true(run_and_crash(world, &job, "effect.after:free"));
    assert_true(world->held[0] && !world->held[1]);
    strcpy(world->fail_step, "free");
    world->fail_kind = ERR_PERMANENT;
    world->fail_times = -1;
    assert_int_equal(recover(world, &job), STATE_PARKED); /* what is owed for a cannot be paid, and that is said */
    fake_world_free(world);
}

static void recover_once(struct fake_world *world, const struct job *job, enum recovery how, struct outcome *out)
{
    struct runner_env env = fake_env(world);
    struct journaled_plan plan;

    *out = (struct outcome){0};
    assert_true(fake_journaled(world, &plan));
    runner_recover(&env, fake_backend(), job, how, &plan, out);
    journaled_plan_clear(&plan);
}

/* Before the lock is there, a guest is thawed and nothing else happens. */
static void test_debts_are_paid_before_the_lock_is_there(void **state)
{
    struct fake_world *world = fake_world_new();
    struct job job = job_of(OP_SNAPSHOT_CREATE);
    struct journaled_plan plan;
    struct outcome out;

    (void)state;
    assert_true(run_and_crash(world, &job, "effect.after:snap"));
    assert_true(fake_journaled(world, &plan));
    assert_true(journaled_plan_owes_first(&plan));
    journaled_plan_clear(&plan);
    recover_once(world, &job, RECOVERY_DEBTS, &out);
    assert_int_equal(out.kind, OUTCOME_AGAIN);
    assert_false(world->frozen);
    assert_int_equal(world->applied[FAKE_SNAP], 1); /* neither undone … */
    assert_int_equal(world->executed[FAKE_SNAP], 1);
    outcome_clear(&out);
    assert_true(fake_journaled(world, &plan));
    assert_false(journaled_plan_owes_first(&plan)); /* … nor paid again */
    journaled_plan_clear(&plan);
    assert_int_equal(recover(world, &job), STATE_SUCCEEDED);
    assert_int_equal(world->executed[FAKE_SNAP], 2);
    assert_whole(world);
    fake_world_free(world);
}

/* Cut off for long: what has a way back is taken back, and nothing more is taken away; what has none is left. */
static void test_without_the_lock_there_is_only_back(void **state)
{
    static const char *const crashes[] = {"intent.after:stop", "effect.after:stop", "done.after:swap",
                                          "intent.before:start", NULL};

    (void)state;
    for (const char *const *crash = crashes; *crash; crash++) {
        struct fake_world *world = fake_world_new();
        struct job job = job_of(OP_SNAPSHOT_REVERT);
        struct outcome out;

        if (!run_and_crash(world, &job, *crash)) {
            fake_world_free(world);
            continue;
        }
        world->trust = TRUST_STALE;
        recover_once(world, &job, RECOVERY_BACK, &out);
        assert_int_equal(out.kind, OUTCOME_REPLAN);
        assert_untouched(world);
        outcome_clear(&out);
        fake_world_free(world);
    }
    struct fake_world *world = fake_world_new();
    struct job job = job_of(OP_SNAPSHOT_DELETE);
    struct journaled_plan plan;
    struct outcome out;

    assert_true(run_and_crash(world, &job, "intent.after:kill"));
    assert_true(fake_journaled(world, &plan));
    assert_true(journaled_plan_final(&plan));
    journaled_plan_clear(&plan);
    world->trust = TRUST_STALE;
    recover_once(world, &job, RECOVERY_BACK, &out);
    assert_int_equal(out.kind, OUTCOME_AGAIN);
    assert_int_equal(world->executed[FAKE_KILL], 0);
    assert_int_equal(world->applied[FAKE_ADD], 1);
    outcome_clear(&out);
    fake_world_free(world);
}

/* No revert fires days later: what had its INTENT and no effect is not begun again past the deadline, nor after a cancel. What is done is gone on with. */
static void test_what_is_too_late_is_not_begun_again(void **state)
{
    (void)state;
    for (int cancel = 0; cancel < 2; cancel++)
        for (int done = 0; done < 2; done++) {
            struct fake_world *world = fake_world_new();
            struct job job = job_of(OP_SNAPSHOT_DELETE);

            assert_true(run_and_crash(world, &job, done ? "effect.after:kill" : "intent.after:kill"));
            world->cancelled = cancel;
            job.deadline_ms = cancel ? 0 : 1;
            assert_int_equal(recover(world, &job), done ? STATE_SUCCEEDED : STATE_PARKED);
            assert_int_equal(world->executed[FAKE_KILL], done);
            fake_world_free(world);
        }
}

/* A look that came back too late: the job is another's by now. */
static void test_who_was_given_away_touches_nothing(void **state)
{
    struct fake_world *world = fake_world_new();
    struct job job = job_of(OP_SNAPSHOT_DELETE);
    struct outcome out;

    (void)state;
    assert_true(run_and_crash(world, &job, "intent.after:kill"));
    world->given_away = true;
    recover_once(world, &job, RECOVERY_ON, &out);
    assert_int_equal(out.kind, OUTCOME_AGAIN);
    assert_int_equal(world->executed[FAKE_KILL], 0);
    assert_int_equal(world->steps[1].state, STEP_INTENT);
    outcome_clear(&out);
    fake_world_free(world);
}

/* A DONE and the INTENT after it are one commit, but before a step that takes away or pays a debt: the lock is asked for first, which may last. */
static void test_commits_between_steps(void **state)
{
    static const struct {
        enum op op;
        int saves;
    } cases[] = {{OP_BACKUP_CREATE, 3}, {OP_SNAPSHOT_DELETE, 4}, {OP_SNAPSHOT_CREATE, 2}, {OP_SNAPSHOT_REVERT, 6}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fake_world *world = fake_world_new();
        struct job job = job_of(cases[i].op);
        struct outcome out;

        run(world, &job, &out);
        assert_int_equal(out.state, STATE_SUCCEEDED);
        assert_int_equal(world->saves, cases[i].saves);
        outcome_clear(&out);
        fake_world_free(world);
    }
}

/* Who dies between an effect and the commit that it shares with the next step leaves nothing of the next; after it both. */
static void test_what_a_crash_at_a_common_commit_leaves(void **state)
{
    static const struct {
        const char *crash;
        enum step_state add, push;
    } cases[] = {{"effect.after:add", STEP_INTENT, STEP_PLANNED},
                 {"intent.before:push", STEP_INTENT, STEP_PLANNED},
                 {"done.after:add", STEP_DONE, STEP_INTENT},
                 {"intent.after:push", STEP_DONE, STEP_INTENT},
                 {"done.after:push", STEP_DONE, STEP_DONE}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fake_world *world = fake_world_new();
        struct job job = job_of(OP_BACKUP_CREATE);

        assert_true(run_and_crash(world, &job, cases[i].crash));
        assert_int_equal(world->steps[0].state, cases[i].add);
        assert_int_equal(world->steps[1].state, cases[i].push);
        assert_int_equal(recover(world, &job), STATE_SUCCEEDED);
        assert_int_equal(world->executed[FAKE_ADD], 1);
        assert_int_equal(world->executed[FAKE_PUSH], 1);
        fake_world_free(world);
    }
}

/* Whoever does not go on after a step says first that it is done. */
static void test_done_is_written_before_turning_back(void **state)
{
    struct fake_world *world = fake_world_new();
    struct job job = job_of(OP_BACKUP_CREATE);
    struct outcome out;

    (void)state;
    strcpy(world->stopping_in, "add");
    run(world, &job, &out);
    assert_int_equal(out.kind, OUTCOME_LEFT);
    assert_int_equal(world->steps[0].state, STEP_DONE);
    assert_int_equal(world->steps[1].state, STEP_PLANNED);
    outcome_clear(&out);
    fake_world_free(world);

    world = fake_world_new();
    strcpy(world->cancelled_in, "add");
    run(world, &job, &out);
    assert_int_equal(out.state, STATE_CANCELLED);
    assert_int_equal(world->executed[FAKE_ADD], 1);
    assert_int_equal(world->saves, 4); /* INTENT, DONE, UNDOING, UNDONE */
    assert_untouched(world);
    outcome_clear(&out);
    fake_world_free(world);
}

static void test_a_common_commit_that_fails(void **state)
{
    struct fake_world *world = fake_world_new();
    struct job job = job_of(OP_BACKUP_CREATE);
    struct outcome out;

    (void)state;
    world->saves_until_failure = 1;
    world->save_failures = 1;
    run(world, &job, &out); /* once: what is done is known, and taken back */
    assert_int_equal(out.kind, OUTCOME_RETRY);
    assert_int_equal(world->executed[FAKE_ADD], 1);
    assert_int_equal(world->executed[FAKE_PUSH], 0);
    assert_untouched(world);
    outcome_clear(&out);
    fake_world_free(world);

    world = fake_world_new();
    world->saves_until_failure = 1;
    world->save_failures = -1;
    run(world, &job, &out); /* for good: nothing begins without its INTENT, and the next start goes on */
    assert_int_equal(out.kind, OUTCOME_LEFT);
    assert_int_equal(world->applied[FAKE_ADD], 1);
    assert_int_equal(world->executed[FAKE_PUSH], 0);
    outcome_clear(&out);
    world->save_failures = 0;
    assert_int_equal(recover(world, &job), STATE_SUCCEEDED);
    assert_int_equal(world->executed[FAKE_ADD], 1);
    fake_world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_verb_succeeds),
        cmocka_unit_test(test_dry_run_renders_and_touches_nothing),
        cmocka_unit_test(test_failure_at_every_step),
        cmocka_unit_test(test_final_step_is_tried_again),
        cmocka_unit_test(test_cancel_before_the_first_effect),
        cmocka_unit_test(test_nothing_is_taken_away_without_the_lock),
        cmocka_unit_test(test_a_busy_agent_still_thaws),
        cmocka_unit_test(test_crash_matrix),
        cmocka_unit_test(test_crash_while_going_back),
        cmocka_unit_test(test_settle_unknown),
        cmocka_unit_test(test_settle_busy_is_asked_again),
        cmocka_unit_test(test_giving_up_still_thaws),
        cmocka_unit_test(test_a_hard_stop_leaves_no_guest_frozen),
        cmocka_unit_test(test_two_debts_of_one_type_are_paid_each),
        cmocka_unit_test(test_debts_are_paid_before_the_lock_is_there),
        cmocka_unit_test(test_without_the_lock_there_is_only_back),
        cmocka_unit_test(test_what_is_too_late_is_not_begun_again),
        cmocka_unit_test(test_who_was_given_away_touches_nothing),
        cmocka_unit_test(test_commits_between_steps),
        cmocka_unit_test(test_what_a_crash_at_a_common_commit_leaves),
        cmocka_unit_test(test_done_is_written_before_turning_back),
        cmocka_unit_test(test_a_common_commit_that_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
