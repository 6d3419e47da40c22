/*
 * barrier: a step of the runner's own. The members of a consistency group meet there twice: "ready" before anything is frozen, "frozen" when all stand still. Between the two no
 * member waits for a disk, and behind the second each makes its point and thaws, by itself: all of them stood still at the moment of the last vote.
 * A member that turns back tells the others (attempt_leave_group), so that they need not wait for their limit.
 * args: at (ready, frozen)
 */
#include "worker/barrier.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/parse.h"
#include "model/restore_point.h"
#include "worker/attempt.h"

#include <string.h>

static bool at_frozen(const struct step *step)
{
    return strcmp(facts_get_or(&step->args, "at", ""), "frozen") == 0;
}

static int render_barrier(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                          struct err *err)
{
    char limit[32];

    (void)lost;
    (void)err;
    format_duration(run->job->group_limit_ms, limit, sizeof limit);
    if (at_frozen(step))
        text_addf(command, "wait until all %lld machines of the group stand still, no longer than %s",
                  (long long)run->job->group_members, limit);
    else
        text_addf(command, "wait until all %lld machines of the group are ready", (long long)run->job->group_members);
    return 0;
}

static int learn(const struct step *step, const struct barrier_result *heard, struct facts *learned, struct err *err)
{
    if (!at_frozen(step))
        return facts_set_int(learned, "group_go", clock_monotonic_ms(), err);
    if (facts_set_int(learned, "group_skew_ms", heard->skew_ms, err) < 0)
        return -1;
    return facts_set_int(learned, "group_spread_ms", heard->spread_ms, err);
}

/* The host thaws its guests by its own limit, if that is shorter. */
static int64_t limit_ms(const struct step_run *run)
{
    int64_t host_ms = run->backend->config ? run->backend->config->frozen_limit_ms : 0,
            group_ms = run->job->group_limit_ms;

    return host_ms && host_ms < group_ms ? host_ms : group_ms;
}

static int execute_barrier(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    const struct attempt *attempt = run->attempt;
    struct barrier_result heard = {.answer = BARRIER_WAIT};
    struct barrier_wait wait;
    enum barrier_move move;

    if (!attempt || !attempt->env->barrier)
        return err_set(err, ERR_PERMANENT, "there are no consistency groups here");
    if (at_frozen(step))
        barrier_freeze(&wait, facts_get_int(run->known, "group_go", 0), limit_ms(run));
    else
        barrier_gather(&wait, clock_monotonic_ms());
    /* Who is late does not even vote: the others would count on it. */
    while ((move = barrier_next(&wait, &heard, clock_monotonic_ms(), attempt_cancelled(attempt), err)) == BARRIER_ASK) {
        attempt->env->barrier(attempt->env->context, run->job, wait.vote, NULL, &heard);
        if (heard.answer == BARRIER_WAIT || heard.answer == BARRIER_NO_ANSWER)
            attempt_pause(attempt, barrier_pause_ms(&wait));
    }
    return move == BARRIER_THROUGH ? learn(step, &heard, learned, err) : -1;
}

const struct step_type step_barrier = {
    .name = "barrier",
    .class = STEP_ADDS, /* journaled, so that a plan that is past it goes on */
    .render = render_barrier,
    .execute = execute_barrier,
    .settle = settle_by_repeating, /* who votes again after a restart is told that it is over */
};

int plan_barrier(struct plan *plan, const struct job *job, const char *at, struct err *err)
{
    if (!job->group_limit_ms)
        return 0;
    return plan_add(plan, &step_barrier, err, "at", at, NULL) ? 0 : -1;
}

/* ---- what the restore point says of it ---- */

int barrier_name_group(struct restore_point *point, const struct job *job, struct err *err)
{
    if (!job->group_limit_ms)
        return 0;
    point->group_members = job->group_members;
    return string_set(&point->group, job->group, err) < 0 ? -1 : string_set(&point->group_name, job->deploy_id, err);
}

void barrier_measure(struct restore_point *point, const struct facts *known)
{
    point->group_skew_ms = facts_get_int(known, "group_skew_ms", 0);
    point->group_spread_ms = facts_get_int(known, "group_spread_ms", 0);
}

void attempt_leave_group(const struct attempt *attempt, const struct err *why)
{
    struct barrier_result ignored;

    if (!attempt->job->group_limit_ms || attempt->job->dry_run || !attempt->env->barrier)
        return;
    attempt->env->barrier(attempt->env->context, attempt->job, VOTE_ABORT,
                          why->kind == ERR_NONE ? "a member began again" : why->text, &ignored);
}
