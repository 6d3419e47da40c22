/*
 * The runner's contract for a member of a consistency group, on the fake world: it votes in order and in the right state, whatever goes wrong is told to the others, no guest stays
 * frozen, and after a death at any point the point in time is whole or is not there.
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

static struct fake_world *world;

static const enum op ops[] = {OP_SNAPSHOT_CREATE, OP_BACKUP_CREATE};
enum { OPS = 2 };

static struct job member_of(enum op op)
{
    static struct params_backup_create params; /* the fake verbs look at none */

    return (struct job){.job_id = (char *)"0d9b1c1e-8c0c-5b2f-9f3f-5a3c8f3d2b11",
                        .op = (int)op,
                        .params = &params,
                        .host = (char *)"alpha",
                        .group = (char *)"7c1d2e3f-8c0c-5b2f-9f3f-5a3c8f3d2b11",
                        .group_members = 2,
                        .group_limit_ms = 10000};
}

static int begin(void **state)
{
    (void)state;
    world = fake_world_new();
    return world ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    fake_world_free(world);
    return 0;
}

/* Clears what else the outcome has. */
static enum outcome_kind run(const struct job *job, enum job_state *out_state, struct err *out_err)
{
    struct runner_env env = fake_env(world);
    struct outcome out = {0};

    runner_run(&env, fake_backend(), job, &out);
    enum outcome_kind kind = out.kind;
    *out_state = out.state;
    *out_err = out.err;
    outcome_clear(&out);
    return kind;
}

static enum job_state run_to_end(enum op op, struct err *err)
{
    struct job job = member_of(op);
    enum job_state ended;

    assert_int_equal(run(&job, &ended, err), OUTCOME_ENDED);
    return ended;
}

static void assert_nothing_is_left(void)
{
    assert_false(world->frozen);
    for (int effect = 0; effect < FAKE_EFFECTS; effect++)
        assert_int_equal(world->applied[effect], 0);
}

static void afresh(void **state)
{
    end(state);
    begin(state);
}

static void it_votes_in_order(void **state)
{
    for (int i = 0; i < OPS; i++) {
        struct err err;

        afresh(state);
        world->group_waits = 5;
        assert_int_equal(run_to_end(ops[i], &err), STATE_SUCCEEDED);
        assert_int_equal(world->votes[VOTE_READY], 6);
        assert_int_equal(world->votes[VOTE_RESERVED], 1);
        assert_int_equal(world->votes[VOTE_FROZEN], 1);
        assert_int_equal(world->votes[VOTE_ABORT], 0);
        assert_false(world->frozen_when_ready || world->thawed_when_frozen || world->frozen);
        assert_int_equal(world->executed[FAKE_SNAP], 1);
        assert_int_equal(world->executed[FAKE_PUSH], ops[i] == OP_BACKUP_CREATE);
    }
}

static void when_the_group_is_over_nothing_is_left(void **state)
{
    for (int i = 0; i < OPS; i++)
        for (int vote = VOTE_READY; vote <= VOTE_FROZEN; vote++) {
            struct err err;

            afresh(state);
            world->group_says[vote] = BARRIER_ABORT;
            assert_int_equal(run_to_end(ops[i], &err), STATE_FAILED);
            assert_non_null(strstr(err.text, "the group came to nothing"));
            assert_nothing_is_left();
            assert_int_equal(world->executed[FAKE_SNAP], 0);
            assert_int_equal(world->votes[VOTE_ABORT], 1);
        }
}

/* The clock is real: a limit that is over at once. */
static void without_an_answer_nobody_stays_frozen(void **state)
{
    static const enum barrier_answer answers[] = {BARRIER_WAIT, BARRIER_NO_ANSWER};

    for (size_t i = 0; i < sizeof answers / sizeof *answers * OPS; i++) {
        struct job job = member_of(ops[i % OPS]);
        enum job_state ended;
        struct err err;

        afresh(state);
        job.group_limit_ms = 20;
        world->group_says[VOTE_FROZEN] = answers[i / OPS];
        assert_int_equal(run(&job, &ended, &err), OUTCOME_ENDED);
        assert_int_equal(ended, STATE_FAILED);
        assert_nothing_is_left();
        assert_int_equal(world->votes[VOTE_ABORT], 1);
        assert_int_equal(world->executed[FAKE_SNAP], 0);
    }
}

/* A push fails long after the thaw: the others hear of it, and nothing of this one is left. */
static void a_failure_is_told_to_the_others(void **state)
{
    static const char *const steps[] = {"freeze", "snap", "push"};

    for (size_t i = 0; i < sizeof steps / sizeof *steps * OPS; i++) {
        const char *step = steps[i / OPS];
        enum op op = ops[i % OPS];
        struct err err;

        if (strcmp(step, "push") == 0 && op != OP_BACKUP_CREATE)
            continue;
        afresh(state);
        strcpy(world->fail_step, step);
        world->fail_kind = ERR_PERMANENT;
        world->fail_times = -1;
        assert_int_equal(run_to_end(op, &err), STATE_FAILED);
        assert_nothing_is_left();
        assert_int_equal(world->votes[VOTE_ABORT], 1);
    }
}

static void one_that_is_stopped_tells_the_others(void **state)
{
    struct job job = member_of(OP_SNAPSHOT_CREATE);
    enum job_state ended;
    struct err err;

    (void)state;
    strcpy(world->fail_step, "freeze");
    world->fail_kind = ERR_CANCELLED;
    world->fail_times = 1;
    world->stop_on_failure = true;
    assert_int_equal(run(&job, &ended, &err), OUTCOME_LEFT);
    assert_nothing_is_left();
    assert_int_equal(world->votes[VOTE_ABORT], 1);
}

/* It would act for itself, and claim to be one of them. */
static void a_verb_without_a_barrier_is_refused(void **state)
{
    struct job job = member_of(OP_BACKUP_RESTORE);
    enum job_state ended;
    struct err err;

    (void)state;
    assert_int_equal(run(&job, &ended, &err), OUTCOME_ENDED);
    assert_int_equal(ended, STATE_FAILED);
    assert_non_null(strstr(err.text, "consistency group"));
    assert_int_equal(world->executed[FAKE_ADD], 0);
    assert_int_equal(world->votes[VOTE_ABORT], 1);
}

static void a_dry_run_votes_for_nothing(void **state)
{
    struct job job = member_of(OP_SNAPSHOT_CREATE);
    enum job_state ended;
    struct err err;

    (void)state;
    job.dry_run = true;
    assert_int_equal(run(&job, &ended, &err), OUTCOME_ENDED);
    assert_int_equal(ended, STATE_SUCCEEDED);
    for (int vote = 0; vote <= VOTE_ABORT; vote++)
        assert_int_equal(world->votes[vote], 0);
}

/* ---- deaths ---- */

static bool run_and_crash(const struct job *job, const char *crash)
{
    pid_t child = fork();
    int status = 0;

    assert_true(child >= 0);
    if (child == 0) {
        enum job_state ended;
        struct err err;

        setenv("FLEETSNAP_CRASH", crash, 1);
        run(job, &ended, &err);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status);
}

static enum job_state recover(const struct job *job)
{
    struct runner_env env = fake_env(world);

    for (int i = 0; i < RECOVERIES_MAX; i++) {
        struct journaled_plan plan;
        struct outcome out = {0};

        if (fake_journaled(world, &plan))
            runner_recover(&env, fake_backend(), job, RECOVERY_ON, &plan, &out);
        else
            runner_run(&env, fake_backend(), job, &out);
        journaled_plan_clear(&plan);
        enum outcome_kind kind = out.kind;
        enum job_state ended = out.state;
        outcome_clear(&out);
        if (kind == OUTCOME_ENDED)
            return ended;
        if (kind == OUTCOME_REPLAN || kind == OUTCOME_RETRY)
            world->plan[0] = '\0';
    }
    fail_msg("still not ended after %d recoveries", RECOVERIES_MAX);
    return STATE_COUNT;
}

/* What was wholly done before the death stands, for all of it was journaled; who had not voted yet may still come. Anything else is over: made afresh it would be another point in time. */
static void check_death(const struct job *job, const char *crash)
{
    int snap = job->op == OP_BACKUP_CREATE ? 4 : 3;
    bool whole = world->steps[snap].state == STEP_DONE && world->steps[snap + 1].state == STEP_PAID;
    bool voted = world->group_attempt;
    bool stands = whole || !voted;
    enum job_state ended = recover(job);

    assert_false(world->frozen);
    if (stands != (ended == STATE_SUCCEEDED))
        fail_msg("death at %s: %s, %s, and ended as %d", crash, whole ? "whole" : "not whole",
                 voted ? "had voted" : "had not voted", (int)ended);
    assert_int_equal(world->applied[FAKE_SNAP], stands);
    assert_true(world->executed[FAKE_SNAP] <= 1);
    if (job->op == OP_BACKUP_CREATE)
        assert_int_equal(world->applied[FAKE_PUSH], stands);
}

static int die_everywhere(void **state, enum op op)
{
    static const char *const points[] = {
        "intent.before", "intent.after", "effect.before", "effect.after", "done.after", "pay.before", NULL};
    static const char *const steps[] = {"add", "barrier", "barrier#2", "freeze", "snap", "thaw", "push", NULL};
    int deaths = 0;

    for (const char *const *point = points; *point; point++)
        for (const char *const *step = steps; *step; step++) {
            struct job job = member_of(op);
            char crash[64];

            afresh(state);
            snprintf(crash, sizeof crash, "%s:%s", *point, *step);
            if (run_and_crash(&job, crash)) {
                deaths++;
                check_death(&job, crash);
            }
        }
    return deaths;
}

static void after_a_death_it_is_whole_or_nothing(void **state)
{
    assert_true(die_everywhere(state, OP_SNAPSHOT_CREATE) >= 14); /* the points are really passed */
    assert_true(die_everywhere(state, OP_BACKUP_CREATE) >= 24);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_votes_in_order),
        TEST(when_the_group_is_over_nothing_is_left),
        TEST(without_an_answer_nobody_stays_frozen),
        TEST(a_failure_is_told_to_the_others),
        TEST(one_that_is_stopped_tells_the_others),
        TEST(a_verb_without_a_barrier_is_refused),
        TEST(a_dry_run_votes_for_nothing),
        TEST(after_a_death_it_is_whole_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
