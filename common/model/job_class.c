/* The bound that the runner holds every plan against. A wrong answer here lets a destructive step run without its guards: no default branch. */
#include "model/job.h"
#include "model/op.h"

static enum job_class class_of_create(const struct params_snapshot_create *params)
{
    /* halt stops the guest for good; reuse_external writes into a file that was there before */
    return params->halt || params->reuse_external ? CLASS_C : CLASS_B;
}

static enum job_class class_of_op(enum op op, const void *params)
{
    switch (op) {
    case OP_SNAPSHOT_LIST:
    case OP_SNAPSHOT_SHOW:
    case OP_REPOSITORY_CHECK: return CLASS_A;
    case OP_NOOP: return ((const struct params_noop *)params)->destroys ? CLASS_C : CLASS_B;
    case OP_SNAPSHOT_CREATE: return class_of_create(params);
    case OP_BACKUP_RESTORE: return ((const struct params_backup_restore *)params)->in_place ? CLASS_C : CLASS_B;
    case OP_BACKUP_VERIFY:
        return ((const struct params_backup_verify *)params)->depth == VERIFY_BOOT ? CLASS_B : CLASS_A;
    case OP_TARGET_EXPORT_FINISH:
        return ((const struct params_target_export_finish *)params)->how == FINISH_CHECK ? CLASS_A : CLASS_C;
    case OP_BACKUP_CREATE:
    case OP_TARGET_EXPORT:
    case OP_BACKUP_COPY:
    case OP_REPOSITORY_IMPORT:
    case OP_REPOSITORY_INIT: return CLASS_B;
    case OP_SNAPSHOT_REVERT:
    case OP_SNAPSHOT_DELETE:
    case OP_BACKUP_DELETE:
    case OP_JOB_UNDO:
    case OP_REPOSITORY_CLEAN:
    case OP_REPOSITORY_REMOVE:
    case OP_TARGET_RETIRE: return CLASS_C;
    case OP_NONE:
    case OP_COUNT: break;
    }
    return CLASS_C;
}

enum job_class job_class(const struct job *job)
{
    if (job->dry_run)
        return CLASS_A;
    if (!job->params) /* never checked, or half built: the strictest guards */
        return CLASS_C;
    return class_of_op((enum op)job->op, job->params);
}
