#include "model/run.h"

#include "model/fields.h"
#include "model/job.h"

#include <string.h>

const char *const run_outcome_names[] = {"running", "done",      "some_failed", "failed",
                                         "unknown", "cancelled", "empty",       NULL};

static const struct field member_fields[] = {
    STRING(run_member, target, .max = 255),
    STRING(run_member, name, OPTIONAL, .max = 255),
    STRING(run_member, host, .max = 63),
    STRING(run_member, repository, OPTIONAL, .max = 36),
    STRING(run_member, point, OPTIONAL, .max = 36),
    STRING(run_member, snapshot, OPTIONAL, .max = 255),
    TIME(run_member, due_at, OPTIONAL),
    INT(run_member, retarget, OPTIONAL),
    STRING(run_member, skipped, OPTIONAL, .max = 512),
    STRINGS(run_member, pools, OPTIONAL, .max = RUN_POOLS),
    BOOL(run_member, merge, OPTIONAL),
    {0},
};
const struct record_type run_member_record = {"run_member", sizeof(struct run_member), member_fields};

bool run_member_refused(const struct run_member *member)
{
    return member->skipped && strncmp(member->skipped, "refused", strlen("refused")) == 0;
}

bool run_makes_backups(const struct run *run)
{
    return run->operation && strcmp(run->operation, op_names[OP_BACKUP_CREATE]) == 0;
}

static const struct field members_fields[] = {
    RECORDS(run_members, members, run_member_record, .max = RUN_PART_MEMBERS),
    {0},
};
const struct record_type run_members_record = {"run_members", sizeof(struct run_members), members_fields};

static const struct field run_fields[] = {
    STRING(run, policy, .max = 128),
    INT(run, version),
    STRING(run, schedule, .max = 64),
    TIME(run, slot),
    STRING(run, operation, .max = 64),
    ENUM(run, kind, backup_kind_names, OPTIONAL),
    STRING(run, requested_by, OPTIONAL, .max = 256),
    TIME(run, planned_at),
    INT(run, members),
    INT(run, parts),
    INT(run, priority, OPTIONAL, .fallback = 3),
    TIME(run, window_end_at, OPTIONAL),
    BOOL(run, cancel_at_end, OPTIONAL),
    STRING(run, cancel, OPTIONAL, .max = 1024),
    TIME(run, ended_at, OPTIONAL),
    ENUM(run, outcome, run_outcome_names, OPTIONAL),
    INT(run, done, OPTIONAL),
    INT(run, failed, OPTIONAL),
    INT(run, unknown, OPTIONAL),
    INT(run, cancelled, OPTIONAL),
    INT(run, skipped, OPTIONAL),
    STRING(run, deploy, OPTIONAL, .max = 128),
    ENUM(run, quiesce, quiesce_names, OPTIONAL),
    BOOL(run, in_order, OPTIONAL),
    BOOL(run, stop_on_failure, OPTIONAL),
    INT(run, at_once, OPTIONAL),
    INT(run, start_within_ms, OPTIONAL),
    INT(run, group_limit_ms, OPTIONAL),
    STRING(run, recovers, OPTIONAL, .max = 63),
    ENUM(run, start, restore_start_names, OPTIONAL),
    INT(run, rate_limit_bytes, OPTIONAL),
    {0},
};
const struct record_type run_record = {"run", sizeof(struct run), run_fields};
