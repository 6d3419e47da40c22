/*
 * An executor takes a job, opens the backend if it has not yet, and calls the runner. What the runner asks of its surroundings is answered here: what must be durable is
 * handed to the loop (the save stays on this stack, the semaphore is posted after the commit), what must be known of the lock is asked of the keeper, all else is in the
 * job's hold.
 */
#include "worker/executor.h"

#include "base/clock.h"
#include "base/err.h"
#include "worker/keeper.h"

#include <stdio.h>
#include <string.h>

enum { NEXT_TASK_MS = 1000 };

static int save(struct executor *executor, struct save *save, struct err *err)
{
    save->message.kind = MESSAGE_SAVE;
    save->work = executor->work;
    save->done_ = &executor->saved;
    save->err = err;
    queue_push(executor->pool->setup.to_loop, &save->message.item);
    while (sem_wait(&executor->saved) < 0)
        ;
    return save->failed;
}

static int env_save_plan(void *context, const char *plan_json, struct err *err)
{
    struct save request = {.plan_json = plan_json};

    return save(context, &request, err);
}

static int env_save_steps(void *context, const struct step_change *changes, size_t count, struct err *err)
{
    struct save request = {.changes = changes, .count = count};

    return save(context, &request, err);
}

static struct hold *hold_of(void *context)
{
    return ((struct executor *)context)->work->hold;
}

static enum trust env_confirm_lock(void *context, const struct plan *plan, char *detail)
{
    struct executor *executor = context;

    return keeper_confirm(executor->pool->setup.keeper, executor->work->hold, plan, detail);
}

static enum trust env_lock_trust(void *context)
{
    return hold_trust(hold_of(context), clock_monotonic_ms());
}

static int env_reserve(void *context, const char *repository, int64_t bytes, int64_t free_bytes, int64_t min_free_bytes,
                       struct err *err)
{
    struct executor *executor = context;

    return keeper_reserve(executor->pool->setup.keeper, executor->work->hold, repository, bytes, free_bytes,
                          min_free_bytes, err);
}

static void env_phase(void *context, const char *phase)
{
    hold_phase_set(hold_of(context), phase);
}

static void env_progress(void *context, int64_t done, int64_t total)
{
    hold_of(context)->done = done;
    hold_of(context)->total = total;
}

static void env_barrier(void *context, const struct job *job, enum barrier_vote vote, const char *why,
                        struct barrier_result *out)
{
    struct executor *executor = context;

    keeper_barrier(executor->pool->setup.keeper, executor->work->hold, job, vote, why, out);
}

static bool env_looking(void *context, bool begins)
{
    return hold_look(hold_of(context), begins);
}

static bool env_cancelled(void *context)
{
    return hold_of(context)->cancelled;
}

static bool env_stopping(void *context)
{
    return ((struct executor *)context)->pool->stopping;
}

static bool env_lock_lost(void *context)
{
    return hold_of(context)->lost;
}

/* The job's own until it is told another; steps ask again and again. */
static int64_t env_rate_limit(void *context)
{
    const struct job *job = ((struct executor *)context)->work->job;
    int64_t told = hold_of(context)->rate_limit;

    if (told != RATE_UNTOLD)
        return told;
    return job->op == OP_BACKUP_CREATE ? ((const struct params_backup_create *)job->params)->rate_limit : 0;
}

static void env_tell(void *context, const struct facts *facts)
{
    hold_tell(hold_of(context), facts);
}

static bool env_told_to_end(void *context)
{
    return hold_of(context)->told_to_end;
}

static struct runner_env env_of(struct executor *executor)
{
    return (struct runner_env){
        .context = executor,
        .save_plan = env_save_plan,
        .save_steps = env_save_steps,
        .confirm_lock = env_confirm_lock,
        .lock_trust = env_lock_trust,
        .reserve = env_reserve,
        .phase = env_phase,
        .progress = env_progress,
        .looking = env_looking,
        .cancelled = env_cancelled,
        .stopping = env_stopping,
        .lock_lost = env_lock_lost,
        .rate_limit = env_rate_limit,
        .barrier = env_barrier,
        .tell = env_tell,
        .told_to_end = env_told_to_end,
    };
}

static struct backend *backend_of(struct executor *executor, const struct backend_ops *ops, struct err *err)
{
    size_t index = 0;

    while (backend_table[index] && backend_table[index] != ops)
        index++;
    if (!executor->backends[index] && ops->open(executor->pool->setup.backends, &executor->backends[index], err) < 0)
        return NULL;
    return executor->backends[index];
}

/*
 * To open the hypervisor may bring the process down, where it lives in it, or never return. Neither is the job's doing: a death counts as the job's from here on, and until here
 * the job can be given to another.
 */
static struct backend *backend_to_recover(struct executor *executor, struct work *work, struct err *err)
{
    struct save begins = {.recovery_begins = true};
    struct backend *backend = NULL;

    if (hold_look(work->hold, true)) {
        backend = backend_of(executor, work->ops, err);
        if (backend && work->ops->connect)
            work->ops->connect(backend);
        if (hold_look(work->hold, false))
            return backend && !executor->pool->stopping && save(executor, &begins, err) < 0 ? NULL : backend;
    }
    err_set(err, ERR_RETRY, "the hypervisor answered too late");
    return NULL;
}

/* Nothing was begun: tried again. */
static void no_backend(struct work *work, const struct err *err)
{
    work->outcome.kind = work->task == TASK_RECOVER ? OUTCOME_AGAIN : OUTCOME_RETRY;
    work->outcome.err = *err;
}

static void pay(const struct runner_env *env, struct backend *backend, struct work *work)
{
    struct err err = {0};

    work->outcome.kind = OUTCOME_ENDED;
    work->outcome.state = STATE_PARKED;
    if (work->plan && runner_pay_owed(env, backend, work->job, work->plan, &err) < 0) {
        work->outcome.kind = OUTCOME_RETRY;
        work->outcome.err = err;
    }
}

static void execute(struct executor *executor, struct work *work)
{
    const struct runner_env env = env_of(executor);
    struct err err = {0};

    int64_t began_us = clock_monotonic_us();

    executor->work = work;
    work->hold->began_ms = began_us / 1000;
    outcome_clear(&work->outcome);
    struct backend *backend = work->task == TASK_RECOVER ? backend_to_recover(executor, work, &err)
                                                         : backend_of(executor, work->ops, &err);
    if (executor->pool->stopping)
        work->outcome.kind = OUTCOME_LEFT;
    else if (!backend)
        no_backend(work, &err);
    else if (work->task == TASK_PAY)
        pay(&env, backend, work);
    else if (work->task == TASK_RECOVER && work->give_up)
        runner_give_up(&env, backend, work->job, work->give_up, work->plan, &work->outcome);
    else if (work->task == TASK_RECOVER)
        runner_recover(&env, backend, work->job, work->recovery, work->plan, &work->outcome);
    else
        runner_run(&env, backend, work->job, &work->outcome);
    executor->work = NULL;
    work->ran_us = clock_monotonic_us() - began_us;
    queue_push(executor->pool->setup.to_loop, &work->message.item);
}

void *executor_main(void *context)
{
    struct executor *executor = context;

    pthread_setname_np(pthread_self(), "executor");
    for (;;) {
        struct work *work = (struct work *)queue_wait_one(executor->pool->tasks, NEXT_TASK_MS);
        if (work)
            execute(executor, work);
        else if (executor->pool->stopping)
            break;
    }
    for (size_t i = 0; backend_table[i] && i < EXECUTOR_KINDS; i++)
        if (executor->backends[i])
            backend_table[i]->close(executor->backends[i]);
    executor->gone = true;
    return NULL;
}
