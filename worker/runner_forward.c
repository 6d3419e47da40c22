/*
 * Forward: from the first step that is not done to the report.
 *
 * Steps are executed in chains. Usually a chain is one step: INTENT on disk, execute, DONE on disk. A step marked with_next begins a longer one that ends with the step that
 * pays its debt: all INTENTs are written at once before it and all DONEs at once after it, so that nobody waits for a disk while a guest is frozen.
 *
 * Where the next chain begins at once, its INTENTs and the DONEs before them are one commit: nothing happens between them. A worker that dies before that commit leaves the INTENT of
 * what it did, as it would if it had died before a commit of the DONE alone. Whatever waits or turns back writes the DONEs first.
 */
#include "worker/attempt.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/parse.h"

#include <stdlib.h>
#include <string.h>

enum { STORY_MAX = 16 * 1024, FORWARD_TRIES = 5, FORWARD_PAUSE_MS = 2000, STALE_LOCK_MS = 60000, STALE_PAUSE_MS = 500 };

/* The last index of the chain that begins at `first`. */
static size_t chain_end(const struct plan *plan, size_t first)
{
    size_t last = first;

    if (!plan->steps[first].type->with_next)
        return first;
    if (plan->steps[first].type->owes)
        return step_payment_of(plan, first);
    while (last + 1 < plan->count && plan->steps[last].type->with_next)
        last++;
    return last;
}

struct chain {
    size_t first, last;
    bool unwritten; /* executed, but its DONEs are not on disk */
};

static bool chain_destroys(const struct plan *plan, const struct chain *chain)
{
    for (size_t i = chain->first; i <= chain->last; i++)
        if (plan->steps[i].class == STEP_DESTROYS)
            return true;
    return false;
}

static bool journaled(const struct attempt *attempt, size_t index)
{
    const struct step *step = &attempt->plan.plan.steps[index];

    return step->class != STEP_READS && !step_is_payment(&attempt->plan.plan, index);
}

static size_t add_intents(const struct attempt *attempt, const struct chain *chain, struct step_change *changes)
{
    size_t count = 0;

    for (size_t i = chain->first; i <= chain->last; i++)
        if (journaled(attempt, i) && attempt->plan.steps[i].state != STEP_DONE)
            changes[count++] = (struct step_change){i, STEP_INTENT, NULL};
    return count;
}

/* Of the steps that were executed; payments are PAID instead of DONE. */
static size_t add_dones(const struct attempt *attempt, const struct chain *chain, struct step_change *changes)
{
    size_t count = 0;

    for (size_t i = chain->first; i <= chain->last; i++) {
        const struct journaled_step *step = &attempt->plan.steps[i];
        enum step_state done = step_is_payment(&attempt->plan.plan, i) ? STEP_PAID : STEP_DONE;

        if (attempt->plan.plan.steps[i].class != STEP_READS && step->state == done)
            changes[count++] = (struct step_change){i, done, &step->facts};
    }
    return count;
}

/* In one commit: the DONEs of `ended` where they are not on disk, and the INTENTs of `begun` (NULL: of none). */
static int journal_chains(struct attempt *attempt, struct chain *ended, const struct chain *begun, struct err *err)
{
    CLEANUP(freep) struct step_change *changes = calloc(attempt->plan.plan.count, sizeof *changes);
    size_t count = 0;

    if (!changes)
        return err_memory(err, "journal");
    if (ended->unwritten)
        count = add_dones(attempt, ended, changes);
    if (begun)
        count += add_intents(attempt, begun, changes + count);
    if (count && attempt->env->save_steps(attempt->env->context, changes, count, err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        attempt->plan.steps[changes[i].index].state = changes[i].state;
    if (ended->unwritten)
        crash_point("done.after", attempt->plan.plan.steps[ended->first].type->name);
    ended->unwritten = false;
    return 0;
}

/* Before the point of no return: is the lock still ours, right now? Waits while Redis does not answer, for a minute. */
static int confirm_lock(struct attempt *attempt, struct err *err)
{
    const struct runner_env *env = attempt->env;
    int64_t until = clock_monotonic_ms() + STALE_LOCK_MS;
    char detail[256] = "";

    for (;;) {
        enum trust trust = env->confirm_lock(env->context, &attempt->plan.plan, detail);

        if (trust == TRUST_OURS)
            return 0;
        if (trust == TRUST_PINNED)
            return err_set(err, ERR_CONFLICT, "restore point %s is pinned", detail);
        if (trust == TRUST_LOST)
            return err_set(err, ERR_RETRY, "the lock is another's: %s", detail);
        if (clock_monotonic_ms() >= until || attempt_why_stop(attempt) != STOP_NOT)
            return err_set(err, ERR_RETRY,
                           "Redis does not answer: nothing is taken away without a lock that is seen to be ours");
        attempt_pause(attempt, STALE_PAUSE_MS);
    }
}

static int stop_error(enum why_stop why, struct err *err)
{
    switch (why) {
    case STOP_CANCEL: return err_set(err, ERR_CANCELLED, "cancelled");
    case STOP_DEADLINE: return err_set(err, ERR_CANCELLED, "the deadline has passed");
    case STOP_SHUTDOWN: return err_set(err, ERR_CANCELLED, "the worker stops");
    case STOP_LOCK_LOST:
    case STOP_LOCK_STALE: return err_set(err, ERR_RETRY, "the lock is another's");
    case STOP_NOT: break;
    }
    return 0;
}

/* Everything that must be true before the first effect of a chain. */
static int begin_chain(struct attempt *attempt, struct chain *ended, const struct chain *chain, struct err *err)
{
    const struct plan *plan = &attempt->plan.plan;
    const char *name = plan->steps[chain->first].type->name;
    enum why_stop why = attempt_why_stop(attempt);

    if (why != STOP_NOT)
        return stop_error(why, err);
    if (chain_destroys(plan, chain) && confirm_lock(attempt, err) < 0)
        return -1;
    crash_point("intent.before", name);
    if (journal_chains(attempt, ended, chain, err) < 0)
        return -1;
    crash_point("intent.after", name);
    why = attempt_why_stop(attempt); /* the commit took time: the clock is read again */
    if (why != STOP_NOT)
        return stop_error(why, err);
    if (chain_destroys(plan, chain) && attempt->env->lock_trust(attempt->env->context) != TRUST_OURS)
        return err_set(err, ERR_RETRY, "the lock ran out before step %s", name);
    for (size_t i = chain->first; i <= chain->last; i++)
        attempt->final_begun = attempt->final_begun || (step_no_way_back(&plan->steps[i]) && !step_is_payment(plan, i));
    return 0;
}

/* Phases are heard of once a second; the result says all of them. */
static void tell(struct attempt *attempt, const char *name, int64_t ms)
{
    char text[32];

    text_addf(&attempt->story, "%s%s %s", attempt->story.len ? " · " : "", name, format_duration(ms, text, sizeof text));
}

static int execute_step(struct attempt *attempt, size_t index, struct err *err)
{
    CLEANUP(facts_clearp) struct facts learned = {0};
    const struct step *step = &attempt->plan.plan.steps[index];
    struct step_run run = attempt_run(attempt);
    int64_t begun_ms = clock_monotonic_ms();

    attempt->env->phase(attempt->env->context, step->type->name);
    crash_point("effect.before", step->type->name);
    if (step->type->execute(&run, step, &learned, err) < 0)
        return err_wrap(err, "%s", step->type->name);
    crash_point("effect.after", step->type->name);
    tell(attempt, step->type->name, clock_monotonic_ms() - begun_ms);
    if (attempt_learn(attempt, index, &learned, err) < 0)
        return -1;
    attempt->plan.steps[index].state = step_is_payment(&attempt->plan.plan, index) ? STEP_PAID : STEP_DONE;
    return 0;
}

/* With no way back a failure is tried again, in the hope that what failed passes. */
static int execute_stubbornly(struct attempt *attempt, size_t index, struct err *err)
{
    for (int try = 1;; try++) {
        if (execute_step(attempt, index, err) == 0)
            return 0;
        if (!attempt->final_begun || err->kind == ERR_UNKNOWN || try == FORWARD_TRIES ||
            attempt_why_stop(attempt) != STOP_NOT)
            return -1;
        attempt_pause(attempt, FORWARD_PAUSE_MS);
    }
}

/* The steps of one chain. *out_at: the one that failed. */
static int execute_chain(struct attempt *attempt, const struct chain *chain, size_t *out_at, struct err *err)
{
    for (size_t i = chain->first; i <= chain->last; i++) {
        if (attempt->plan.steps[i].state == STEP_DONE || attempt->plan.steps[i].state == STEP_PAID)
            continue;
        *out_at = i;
        if (execute_stubbornly(attempt, i, err) < 0)
            return -1;
    }
    return 0;
}

/* A DONE that cannot be written is no reason to take the work back: the next start settles it. */
static int write_dones(struct attempt *attempt, struct chain *ended, struct err *err)
{
    for (int try = 1; ended->unwritten && journal_chains(attempt, ended, NULL, err) < 0; try++) {
        if (try == FORWARD_TRIES || attempt_why_stop(attempt) == STOP_SHUTDOWN) {
            attempt->journal_failed = true;
            return -1;
        }
        attempt_pause(attempt, FORWARD_PAUSE_MS);
    }
    return 0;
}

/* The next start goes on from the journal, but nobody knows when that is: no guest stays frozen until then. */
static void leave(struct attempt *attempt, const struct err *err, struct outcome *out)
{
    CLEANUP(freep) char *owed = NULL;
    struct err ignored = {0};
    bool any;

    attempt_pay(attempt, true, &any, &owed, &ignored);
    attempt_leave_group(attempt, err);
    out->kind = OUTCOME_LEFT;
    out->err = *err;
}

static void forward_failed(struct attempt *attempt, size_t at, const struct err *err, struct outcome *out)
{
    const struct step *step = &attempt->plan.plan.steps[at];
    bool destroyed_perhaps = err->kind == ERR_UNKNOWN && step->class == STEP_DESTROYS;

    if (attempt->journal_failed || attempt_why_stop(attempt) == STOP_SHUTDOWN) {
        leave(attempt, err, out);
    } else if (attempt->final_begun || destroyed_perhaps) {
        attempt_park(attempt, err, at, NULL, out);
    } else {
        attempt_back(attempt, err, out);
    }
}

static int begin_report(const struct attempt *attempt, struct outcome *out, struct err *err)
{
    struct job_result *result = outcome_result(out);

    if (!result || facts_merge(&result->facts, &attempt->known, err) < 0)
        return err_memory(err, "report");
    if (attempt->story.len && attempt->story.len < STORY_MAX)
        return facts_set(&result->facts, "steps", text_str(&attempt->story), err);
    return 0;
}

/* The world's own account of what was done. All effects are durable by now, so a failure here is tried again before it is admitted. */
static int make_report(struct attempt *attempt, struct outcome *out, struct err *err)
{
    if (begin_report(attempt, out, err) < 0)
        return -1;
    if (!attempt->verb->report)
        return 0;
    for (int try = 1;; try++) {
        if (attempt->verb->report(attempt->backend, attempt->job, &attempt->known, &out->report, err) == 0)
            return 0;
        if (err->kind != ERR_RETRY || try == FORWARD_TRIES)
            return err_wrap(err, "report");
        outcome_clear(out);
        attempt_pause(attempt, FORWARD_PAUSE_MS);
        if (begin_report(attempt, out, err) < 0)
            return -1;
    }
}

static void succeed(struct attempt *attempt, struct outcome *out)
{
    enum step_class class = plan_class(&attempt->plan.plan);
    struct err err = {0};

    if (class == STEP_DESTROYS && attempt->env->lock_trust(attempt->env->context) != TRUST_OURS &&
        confirm_lock(attempt, &err) < 0) {
        attempt_park(attempt, &err, attempt->plan.plan.count, NULL, out);
        return;
    }
    if (make_report(attempt, out, &err) == 0)
        outcome_end(out, STATE_SUCCEEDED, NULL);
    else if (class == STEP_READS && err.kind == ERR_RETRY)
        *out = (outcome_clear(out), (struct outcome){.kind = OUTCOME_RETRY, .err = err});
    else if (class == STEP_READS)
        outcome_end(out, STATE_FAILED, &err);
    else
        attempt_park(attempt, &err, attempt->plan.plan.count, NULL, out);
}

static bool chain_done(const struct attempt *attempt, const struct chain *chain)
{
    enum step_state state = attempt->plan.steps[chain->first].state;

    return state == STEP_PAID || (chain->first == chain->last && state == STEP_DONE);
}

/* Its INTENTs are the very next thing that happens: no lock to confirm, nothing to read or to pay first. */
static bool begins_at_once(const struct attempt *attempt, size_t first)
{
    const struct plan *plan = &attempt->plan.plan;
    struct chain chain = {.first = first};

    if (first == plan->count)
        return false;
    chain.last = chain_end(plan, first);
    return journaled(attempt, first) && !chain_done(attempt, &chain) && !chain_destroys(plan, &chain);
}

static int do_chain(struct attempt *attempt, struct chain *ended, const struct chain *chain, size_t *out_at,
                    struct err *err)
{
    *out_at = chain->first;
    if (!step_is_payment(&attempt->plan.plan, chain->first) && begin_chain(attempt, ended, chain, err) < 0)
        return -1;
    if (execute_chain(attempt, chain, out_at, err) < 0)
        return -1;
    *ended = (struct chain){chain->first, chain->last, true};
    return begins_at_once(attempt, chain->last + 1) ? 0 : write_dones(attempt, ended, err);
}

void attempt_forward(struct attempt *attempt, struct outcome *out)
{
    const struct plan *plan = &attempt->plan.plan;
    struct chain ended = {0}, chain = {0};
    struct err err = {0}, ignored = {0};
    size_t at;

    for (; chain.first < plan->count; chain.first = chain.last + 1) {
        chain.last = chain_end(plan, chain.first);
        if (chain_done(attempt, &chain))
            continue;
        if (do_chain(attempt, &ended, &chain, &at, &err) < 0) {
            if (!attempt->journal_failed)
                write_dones(attempt, &ended, &ignored);
            forward_failed(attempt, at, &err, out);
            return;
        }
    }
    succeed(attempt, out);
}
