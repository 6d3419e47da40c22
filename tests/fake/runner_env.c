#include "fake/runner_env.h"

static int save_plan(void *context, const char *json, struct err *err)
{
    (void)context;
    (void)json;
    (void)err;
    return 0;
}

static int save_steps(void *context, const struct step_change *changes, size_t count, struct err *err)
{
    (void)context;
    (void)changes;
    (void)count;
    (void)err;
    return 0;
}

static enum trust confirm(void *context, const struct plan *plan, char *detail)
{
    (void)context;
    (void)plan;
    (void)detail;
    return TRUST_OURS;
}

static enum trust trusted(void *context)
{
    (void)context;
    return TRUST_OURS;
}

static int reserve(void *context, const char *repository, int64_t bytes, int64_t free_bytes, int64_t min_free,
                   struct err *err)
{
    (void)context;
    (void)repository;
    (void)bytes;
    (void)free_bytes;
    (void)min_free;
    (void)err;
    return 0;
}

static void phase(void *context, const char *name)
{
    (void)context;
    (void)name;
}

static void progress(void *context, int64_t done, int64_t total)
{
    (void)context;
    (void)done;
    (void)total;
}

static bool no(void *context)
{
    (void)context;
    return false;
}

static int64_t no_limit(void *context)
{
    (void)context;
    return 0;
}

static void no_pause(void *context, int ms)
{
    (void)context;
    (void)ms;
}

const struct runner_env fake_runner_env = {
    .save_plan = save_plan,
    .save_steps = save_steps,
    .confirm_lock = confirm,
    .lock_trust = trusted,
    .reserve = reserve,
    .phase = phase,
    .progress = progress,
    .cancelled = no,
    .stopping = no,
    .lock_lost = no,
    .rate_limit = no_limit,
    .pause = no_pause,
};
