#include "worker/work.h"

#include "base/err.h"

int work_new(struct job *job, struct work **out, struct err *err)
{
    struct work *work = calloc(1, sizeof *work);

    if (!work)
        return err_memory(err, "job");
    work->message.kind = MESSAGE_ENDED;
    work->job = job;
    work->class = job_class(job);
    work->ops = backend_find(job->target.kind);
    target_format(&job->target, work->target);
    *out = work;
    return 0;
}

void work_free(struct work *work)
{
    if (!work)
        return;
    job_free(work->job);
    hold_unref(work->hold);
    if (work->plan)
        journaled_plan_clear(work->plan);
    free(work->plan);
    outcome_clear(&work->outcome);
    free(work->control);
    free(work);
}

const char *work_crash_name(const struct work *work)
{
    return work->job->dry_run ? "dry_run" : op_names[work->job->op];
}

bool work_expired(const struct work *work, int64_t now_real_ms)
{
    const struct job *job = work->job;

    if (job->deadline_ms && now_real_ms >= job->deadline_ms)
        return true;
    return job->start_by_ms && work->attempt == 0 && now_real_ms >= job->start_by_ms;
}
