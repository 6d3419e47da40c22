#include "model/status.h"

#include "model/fields.h"
#include "model/op.h"

const char *const event_origin_names[] = {"coordinator", "worker", NULL};
const char *const err_kind_names[] = {"none", "retry", "permanent", "conflict", "cancelled", "unknown", NULL};

enum { XML_MAX = 256 * 1024, STEPS_MAX = 4096, SNAPSHOTS_MAX = 10000, FINDINGS_MAX = 1000 };

static const struct field job_error_fields[] = {
    ENUM(job_error, kind, err_kind_names),
    INT(job_error, code, OPTIONAL),
    STRING(job_error, text),
    STRING(job_error, hint, OPTIONAL),
    {0},
};
const struct record_type job_error_record = {"job_error", sizeof(struct job_error), job_error_fields};

static const struct field plan_step_fields[] = {
    STRING(plan_step, name, .max = 128),
    ENUM(plan_step, class, class_names),
    STRING(plan_step, command, OPTIONAL, .max = XML_MAX),
    STRING(plan_step, lost, OPTIONAL),
    {0},
};
const struct record_type plan_step_record = {"plan_step", sizeof(struct plan_step), plan_step_fields};

static const struct field snapshot_info_fields[] = {
    STRING(snapshot_info, name, .max = 1024),
    STRING(snapshot_info, description, OPTIONAL, .max = 16384),
    STRING(snapshot_info, parent, OPTIONAL, .max = 1024),
    STRING(snapshot_info, state, OPTIONAL, .max = 32),
    TIME(snapshot_info, created_at, OPTIONAL),
    INT(snapshot_info, children, OPTIONAL),
    BOOL(snapshot_info, current, OPTIONAL),
    BOOL(snapshot_info, has_metadata, OPTIONAL, .fallback = true),
    STRING(snapshot_info, location, OPTIONAL, .max = 32),
    STRING(snapshot_info, owner, OPTIONAL, .max = 128),
    STRING(snapshot_info, level, OPTIONAL, .max = 32),
    STRINGS(snapshot_info, files, OPTIONAL),
    {0},
};
const struct record_type snapshot_info_record = {"snapshot_info", sizeof(struct snapshot_info), snapshot_info_fields};

static const struct field job_finding_fields[] = {
    STRING(job_finding, kind, .max = 32),
    STRING(job_finding, path),
    STRING(job_finding, target, OPTIONAL, .max = 128),
    STRING(job_finding, point, OPTIONAL, .max = 36),
    STRING(job_finding, text, OPTIONAL, .max = 1024),
    STRING(job_finding, hint, OPTIONAL, .max = 512),
    INT(job_finding, bytes, OPTIONAL),
    {0},
};
const struct record_type job_finding_record = {"job_finding", sizeof(struct job_finding), job_finding_fields};

static const struct field job_result_fields[] = {
    MAP(job_result, facts, OPTIONAL),
    RECORDS(job_result, steps, plan_step_record, OPTIONAL, .max = STEPS_MAX),
    STRINGS(job_result, lost, OPTIONAL),
    STRING(job_result, plan_digest, OPTIONAL, .max = 64),
    RECORDS(job_result, snapshots, snapshot_info_record, OPTIONAL, .max = SNAPSHOTS_MAX),
    STRING(job_result, xml, OPTIONAL, .max = XML_MAX),
    STRING(job_result, point, OPTIONAL, .max = 36),
    BOOL(job_result, truncated, OPTIONAL),
    RECORDS(job_result, findings, job_finding_record, OPTIONAL, .max = FINDINGS_MAX),
    {0},
};
const struct record_type job_result_record = {"job_result", sizeof(struct job_result), job_result_fields};

static const struct field status_fields[] = {
    STRING(status, job_id, .max = 36),
    ENUM(status, op, op_names),
    ENUM(status, origin, event_origin_names),
    INT(status, seq),
    ENUM(status, state, job_state_names),
    STRING(status, phase, OPTIONAL, .max = 128),
    INT(status, done, OPTIONAL),
    INT(status, total, OPTIONAL),
    STRING(status, waiting, OPTIONAL, .max = 1024),
    INT(status, token, OPTIONAL),
    INT(status, attempt, OPTIONAL),
    STRING(status, host, .max = 63),
    EMBEDDED(status, target, target_record),
    RECORD(status, error, job_error_record, OPTIONAL),
    RECORD(status, result, job_result_record, OPTIONAL),
    TIME(status, at),
    TIME(status, accepted_at, OPTIONAL),
    STRING(status, resolved, OPTIONAL, .max = 2048),
    STRING(status, note, OPTIONAL),
    STRING(status, journal, OPTIONAL, .max = 64),
    STRING(status, traceparent, OPTIONAL, .max = 128),
    TIME(status, started_at, OPTIONAL),
    {0},
};
const struct record_type status_record = {"status", sizeof(struct status), status_fields};
