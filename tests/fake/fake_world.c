#include "fake/fake_world.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "model/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct fake_world *world;

struct fake_world *fake_world_new(void)
{
    struct fake_world *fresh = mmap(NULL, sizeof *fresh, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (fresh == MAP_FAILED)
        return NULL;
    fresh->trust = TRUST_OURS;
    fake_world_use(fresh);
    return fresh;
}

void fake_world_free(struct fake_world *old)
{
    munmap(old, sizeof *old);
}

void fake_world_use(struct fake_world *use)
{
    world = use;
}

/* ---- steps ---- */

static int should_fail(const struct step *step, struct err *err)
{
    if (strcmp(world->fail_step, step->type->name) != 0 || world->fail_times == 0)
        return 0;
    if (world->fail_times > 0)
        world->fail_times--;
    world->stopping = world->stopping || world->stop_on_failure;
    return err_set(err, world->fail_kind, "told to fail");
}

static int render_name(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                       struct err *err)
{
    (void)run;
    (void)err;
    text_addf(command, "fake %s", step->type->name);
    if (step->class == STEP_DESTROYS)
        text_add(lost, "something");
    return 0;
}

static int apply(enum fake_effect effect, const struct step *step, struct facts *learned, struct err *err)
{
    if (!world->fail_late && should_fail(step, err) < 0)
        return -1;
    if (!world->applied[effect]) {
        world->applied[effect] = 1;
        world->executed[effect]++;
        if (step->class == STEP_DESTROYS && !world->confirmed)
            world->unpaid_effects++;
    }
    if (world->fail_late && should_fail(step, err) < 0)
        return -1;
    return facts_set(learned, step->type->name, "done", err);
}

static int settle(enum fake_effect effect, const struct step *step, struct facts *learned, enum settled *out,
                  struct err *err)
{
    if (world->settle_busy > 0) {
        world->settle_busy--;
        *out = SETTLED_BUSY;
        return 0;
    }
    *out = world->settle_unknown ? SETTLED_UNKNOWN : world->applied[effect] ? SETTLED_DONE : SETTLED_NOT_DONE;
    return *out == SETTLED_DONE ? facts_set(learned, step->type->name, "settled", err) : 0;
}

#define FAKE_STEP(id, effect)                                                                           \
    static int id##_execute(const struct step_run *run, const struct step *step, struct facts *learned, \
                            struct err *err)                                                            \
    {                                                                                                   \
        (void)run;                                                                                      \
        return apply(effect, step, learned, err);                                                       \
    }                                                                                                   \
    __attribute__((unused)) static int id##_undo(const struct step_run *run, const struct step *step,   \
                                                 const struct facts *learned, struct err *err)          \
    {                                                                                                   \
        (void)run;                                                                                      \
        (void)step;                                                                                     \
        (void)learned;                                                                                  \
        (void)err;                                                                                      \
        world->applied[effect] = 0;                                                                     \
        return 0;                                                                                       \
    }                                                                                                   \
    static int id##_settle(const struct step_run *run, const struct step *step, struct facts *learned,  \
                           enum settled *out, struct err *err)                                          \
    {                                                                                                   \
        (void)run;                                                                                      \
        return settle(effect, step, learned, out, err);                                                 \
    }

FAKE_STEP(add, FAKE_ADD)
FAKE_STEP(snap, FAKE_SNAP)
FAKE_STEP(push, FAKE_PUSH)
FAKE_STEP(swap, FAKE_SWAP)
FAKE_STEP(kill, FAKE_KILL)

static int freeze_execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    (void)run;
    (void)learned;
    world->frozen = true; /* a freeze that fails may have frozen */
    return should_fail(step, err);
}

static int thaw_execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    (void)run;
    (void)step;
    (void)learned;
    if (world->thaw_failures > 0) {
        world->thaw_failures--;
        return err_set(err, ERR_RETRY, "agent is busy");
    }
    world->frozen = false;
    return 0;
}

static int freeze_settle(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                         struct err *err)
{
    (void)run;
    (void)step;
    (void)learned;
    (void)err;
    *out = world->frozen ? SETTLED_DONE : SETTLED_NOT_DONE;
    return 0;
}

static int stop_execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    (void)run;
    (void)learned;
    if (!world->confirmed)
        world->unpaid_effects++;
    world->stopped = true;
    return should_fail(step, err);
}

static int stop_settle(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                       struct err *err)
{
    (void)run;
    (void)step;
    (void)learned;
    (void)err;
    *out = world->stopped ? SETTLED_DONE : SETTLED_NOT_DONE;
    return 0;
}

static int start_execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    (void)run;
    (void)learned;
    if (should_fail(step, err) < 0)
        return -1;
    world->stopped = false;
    return 0;
}

static bool *held_by(const struct step *step)
{
    return &world->held[strcmp(facts_get_or(&step->args, "what", "a"), "a") != 0];
}

static int hold_execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    (void)run;
    (void)learned;
    *held_by(step) = true;
    return should_fail(step, err);
}

static int hold_settle(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                       struct err *err)
{
    (void)run;
    (void)learned;
    (void)err;
    *out = *held_by(step) ? SETTLED_DONE : SETTLED_NOT_DONE;
    return 0;
}

static int free_execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    (void)run;
    (void)learned;
    if (should_fail(step, err) < 0)
        return -1;
    *held_by(step) = false;
    return 0;
}

static int check_execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    (void)run;
    (void)learned;
    return should_fail(step, err);
}

#define FAKE_CALLS(id) .render = render_name, .execute = id##_execute, .undo = id##_undo, .settle = id##_settle
static const struct step_type type_check = {
    .name = "check", .class = STEP_READS, .render = render_name, .execute = check_execute};
static const struct step_type type_thaw = {
    .name = "thaw", .class = STEP_ADDS, .pay_first = true, .render = render_name, .execute = thaw_execute};
static const struct step_type type_freeze = {.name = "freeze",
                                             .class = STEP_ADDS,
                                             .with_next = true,
                                             .owes = &type_thaw,
                                             .render = render_name,
                                             .execute = freeze_execute,
                                             .settle = freeze_settle};
static const struct step_type type_start = {
    .name = "start", .class = STEP_ADDS, .render = render_name, .execute = start_execute};
static const struct step_type type_stop = {.name = "stop",
                                           .class = STEP_DESTROYS,
                                           .owes = &type_start,
                                           .render = render_name,
                                           .execute = stop_execute,
                                           .settle = stop_settle};
static const struct step_type type_free = {
    .name = "free", .class = STEP_ADDS, .render = render_name, .execute = free_execute};
static const struct step_type type_hold = {.name = "hold",
                                           .class = STEP_ADDS,
                                           .owes = &type_free,
                                           .owes_for = "what",
                                           .render = render_name,
                                           .execute = hold_execute,
                                           .settle = hold_settle};
static const struct step_type type_add = {.name = "add", .class = STEP_ADDS, FAKE_CALLS(add)};
static const struct step_type type_snap = {.name = "snap", .class = STEP_ADDS, FAKE_CALLS(snap)};
static const struct step_type type_push = {.name = "push", .class = STEP_ADDS, FAKE_CALLS(push)};
static const struct step_type type_swap = {.name = "swap", .class = STEP_DESTROYS, FAKE_CALLS(swap)};
static const struct step_type type_kill = {.name = "kill",
                                           .class = STEP_DESTROYS,
                                           .final = true,
                                           .render = render_name,
                                           .execute = kill_execute,
                                           .settle = kill_settle};

/* ---- verbs ---- */

static int plan_types(struct plan *plan, struct err *err, const struct step_type *const *types)
{
    for (; *types; types++)
        if (!plan_add(plan, *types, err, "name", (*types)->name, NULL))
            return -1;
    return 0;
}

static int plan_two_debts(struct plan *plan, struct err *err)
{
    return plan_add(plan, &type_hold, err, "what", "a", NULL) && plan_add(plan, &type_hold, err, "what", "b", NULL) &&
                   plan_add(plan, &type_add, err, NULL) &&
                   plan_add(plan, &type_free, err, "what", "b", "how", "gently", NULL) &&
                   plan_add(plan, &type_free, err, "what", "a", "how", "gently", NULL)
               ? 0
               : -1;
}

static int plan_group(const struct job *job, struct plan *plan, struct err *err)
{
    bool backup = job->op == OP_BACKUP_CREATE;

    if (backup && !plan_add(plan, &type_add, err, NULL))
        return -1;
    if (plan_barrier(plan, job, "ready", err) < 0 || !plan_add(plan, &type_freeze, err, NULL) ||
        plan_barrier(plan, job, "frozen", err) < 0 || !plan_add(plan, &type_snap, err, NULL) ||
        !plan_add(plan, &type_thaw, err, NULL))
        return -1;
    return backup && !plan_add(plan, &type_push, err, NULL) ? -1 : 0;
}

static int plan_fake(struct backend *backend, const struct job *job, struct plan *plan, struct err *err)
{
    static const struct step_type *const create[] = {&type_freeze, &type_snap, &type_thaw, NULL};
    static const struct step_type *const revert[] = {&type_check, &type_stop, &type_swap, &type_add, &type_start, NULL};
    static const struct step_type *const delete[] = {&type_add, &type_kill, NULL};
    static const struct step_type *const backup[] = {&type_add, &type_push, NULL};

    (void)backend;
    if (job->group_limit_ms && (job->op == OP_SNAPSHOT_CREATE || job->op == OP_BACKUP_CREATE))
        return plan_group(job, plan, err);
    if (job->op == OP_SNAPSHOT_CREATE)
        return plan_types(plan, err, create);
    if (job->op == OP_SNAPSHOT_REVERT)
        return plan_types(plan, err, revert);
    if (job->op == OP_BACKUP_RESTORE)
        return plan_two_debts(plan, err);
    return plan_types(plan, err, job->op == OP_SNAPSHOT_DELETE ? delete : backup);
}

static const struct verb verbs[] = {
    {OP_SNAPSHOT_CREATE, plan_fake, NULL}, {OP_SNAPSHOT_REVERT, plan_fake, NULL}, {OP_SNAPSHOT_DELETE, plan_fake, NULL},
    {OP_BACKUP_CREATE, plan_fake, NULL},   {OP_BACKUP_RESTORE, plan_fake, NULL},  {0},
};
static const struct step_type *const types[] = {&type_check, &type_thaw, &type_freeze, &type_start, &type_stop,
                                                &type_add,   &type_snap, &type_push,   &type_swap,  &type_kill,
                                                &type_hold,  &type_free, NULL};

const struct backend_ops fake_backend_ops = {.kind = "fake", .verbs = verbs, .steps = types, .only_here = true};

struct backend *fake_backend(void)
{
    static struct backend backend = {&fake_backend_ops, NULL};

    return &backend;
}

/* ---- the runner's surroundings ---- */

static int save_plan(void *context, const char *json, struct err *err)
{
    struct fake_world *here = context;

    if (strlen(json) >= sizeof here->plan)
        return err_set(err, ERR_PERMANENT, "plan too long for the fake journal");
    strcpy(here->plan, json);
    memset(here->steps, 0, sizeof here->steps);
    return 0;
}

static int save_steps(void *context, const struct step_change *changes, size_t count, struct err *err)
{
    struct fake_world *here = context;

    if (here->save_failures && here->saves >= here->saves_until_failure) {
        here->save_failures -= here->save_failures > 0;
        return err_set(err, ERR_RETRY, "the disk is full");
    }
    here->saves++;
    for (size_t i = 0; i < count; i++) {
        CLEANUP(freep) char *json = NULL;

        here->steps[changes[i].index].state = (int)changes[i].state;
        if (!changes[i].facts)
            continue;
        if (facts_to_json(changes[i].facts, &json, err) < 0)
            return -1;
        snprintf(here->steps[changes[i].index].facts, FAKE_FACTS, "%s", json);
    }
    return 0;
}

static enum trust confirm_lock(void *context, const struct plan *plan, char *detail)
{
    struct fake_world *here = context;

    (void)plan;
    strcpy(detail, "other/job");
    here->confirmed += here->trust == TRUST_OURS;
    return here->trust;
}

static enum trust lock_trust(void *context)
{
    return ((struct fake_world *)context)->trust;
}

static int reserve(void *context, const char *repository, int64_t bytes, int64_t free_bytes, int64_t min_free_bytes,
                   struct err *err)
{
    (void)context;
    (void)repository;
    return bytes > free_bytes - min_free_bytes ? err_set(err, ERR_RETRY, "full") : 0;
}

static void phase(void *context, const char *name)
{
    struct fake_world *here = context;

    here->cancelled |= strcmp(name, here->cancelled_in) == 0;
    here->stopping |= strcmp(name, here->stopping_in) == 0;
}

static void progress(void *context, int64_t done, int64_t total)
{
    struct fake_world *here = context;

    here->done = done;
    here->total = total;
}

static bool looking(void *context, bool begins)
{
    return begins || !((struct fake_world *)context)->given_away;
}

static bool cancelled(void *context)
{
    return ((struct fake_world *)context)->cancelled;
}
static bool stopping(void *context)
{
    return ((struct fake_world *)context)->stopping;
}
static bool lock_lost(void *context)
{
    return ((struct fake_world *)context)->lock_lost;
}
static int64_t rate_limit(void *context)
{
    (void)context;
    return 0;
}

static void no_pause(void *context, int ms)
{
    (void)context;
    (void)ms;
}

static void note_vote(struct fake_world *here, enum barrier_vote vote)
{
    here->votes[vote]++;
    here->frozen_when_ready |= vote < VOTE_FROZEN && here->frozen;
    here->thawed_when_frozen |= vote == VOTE_FROZEN && !here->frozen;
    here->group_over |= vote == VOTE_ABORT;
}

static void barrier(void *context, const struct job *job, enum barrier_vote vote, const char *why,
                    struct barrier_result *out)
{
    struct fake_world *here = context;

    (void)job;
    *out = (struct barrier_result){.answer = here->group_says[vote]};
    if (vote == VOTE_ABORT && !why)
        abort();
    if (!here->group_attempt)
        here->group_attempt = getpid();
    note_vote(here, vote);
    if (here->group_over || here->group_attempt != getpid()) {
        out->answer = BARRIER_ABORT;
        snprintf(out->detail, sizeof out->detail, "it is over");
    } else if (here->group_waits > 0) {
        here->group_waits--;
        out->answer = BARRIER_WAIT;
    }
}

struct runner_env fake_env(struct fake_world *here)
{
    return (struct runner_env){here,       save_plan, save_steps, confirm_lock, lock_trust, reserve,
                               phase,      progress,  looking,    cancelled,    stopping,   lock_lost,
                               rate_limit, no_pause,  barrier,    NULL,         NULL};
}

bool fake_journaled(struct fake_world *here, struct journaled_plan *out)
{
    struct err err = {0};

    *out = (struct journaled_plan){0};
    if (!here->plan[0] || plan_from_json(here->plan, &fake_backend_ops, &out->plan, &err) < 0)
        return false;
    out->steps = calloc(out->plan.count + 1, sizeof *out->steps);
    for (size_t i = 0; out->steps && i < out->plan.count; i++) {
        out->steps[i].state = (enum step_state)here->steps[i].state;
        if (here->steps[i].facts[0])
            facts_from_json(&out->steps[i].facts, here->steps[i].facts, &err);
    }
    return out->steps != NULL;
}
