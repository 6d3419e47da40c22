#include "model/job.h"

#include "model/fields.h"

static const struct field target_fields[] = {
    STRING(target, kind, .max = 32),
    STRING(target, id, .max = 128),
    STRING(target, name, OPTIONAL, .max = 255),
    {0},
};
const struct record_type target_record = {"target", sizeof(struct target), target_fields};

static const struct field expect_fields[] = {
    STRING(job_expect, current_snapshot, OPTIONAL, .max = 255),
    STRING(job_expect, definition, OPTIONAL, .max = 128),
    STRINGS(job_expect, disks, OPTIONAL, .max = 256),
    {0},
};
const struct record_type job_expect_record = {"job_expect", sizeof(struct job_expect), expect_fields};

static const struct field job_fields[] = {
    STRING(job, job_id, .max = 36),
    ENUM(job, op, op_names), /* before params: says which record they are */
    EMBEDDED(job, target, target_record),
    STRING(job, host, .max = 63),
    PARAMS(job, params),
    INT(job, priority, OPTIONAL, .fallback = 5),
    TIME(job, issued_at),
    TIME(job, not_before, OPTIONAL),
    TIME(job, deadline),
    TIME(job, start_by, OPTIONAL),
    INT(job, max_attempts, OPTIONAL, .fallback = 5),
    INT(job, backoff_ms, OPTIONAL, .fallback = 1000),
    RECORD(job, expect, job_expect_record, OPTIONAL),
    STRING(job, plan_digest, OPTIONAL, .max = 64),
    STRING(job, policy, OPTIONAL, .max = 128),
    STRING(job, run, OPTIONAL, .max = 128),
    STRING(job, group, OPTIONAL, .max = 128),
    STRING(job, deploy_id, OPTIONAL, .max = 128),
    STRING(job, request_id, OPTIONAL, .max = 128),
    STRING(job, schedule, OPTIONAL, .max = 128),
    TIME(job, slot, OPTIONAL),
    STRING(job, replaces, OPTIONAL, .max = 36),
    STRING(job, requested_by, OPTIONAL, .max = 128),
    STRING(job, reason, OPTIONAL, .max = 1024),
    BOOL(job, dry_run, OPTIONAL),
    STRING(job, traceparent, OPTIONAL, .max = 128),
    INT(job, group_members, OPTIONAL),
    INT(job, group_limit_ms, OPTIONAL),
    {0},
};
const struct record_type job_record = {"job", sizeof(struct job), job_fields};

const struct repository_ref *job_repository(const struct job *job)
{
    const struct field *field = job->params ? op_info((enum op)job->op)->params->fields : NULL;

    for (; field && field->name; field++)
        if (field->record == &repository_ref_record && field->type == FIELD_RECORD)
            return *(struct repository_ref *const *)((const char *)job->params + field->offset);
    return NULL;
}
