#include "model/restore_point.h"

#include "model/fields.h"
#include "model/job.h"

const char *const point_state_names[] = {"incomplete", "complete", "deleted", NULL};

enum { DISKS_MAX = 256, VERIFIED_MAX = 20, MISSING_MAX = 4096 };

static const struct field point_disk_fields[] = {
    STRING(point_disk, name, .max = 128),
    STRING(point_disk, format, OPTIONAL, .max = 32),
    STRING(point_disk, file, OPTIONAL),
    STRING(point_disk, source, OPTIONAL),
    STRING(point_disk, source_format, OPTIONAL, .max = 32),
    STRING(point_disk, mode, OPTIONAL, .max = 32),
    STRING(point_disk, reason, OPTIONAL),
    INT(point_disk, size_bytes, OPTIONAL),
    INT(point_disk, stored_bytes, OPTIONAL),
    INT(point_disk, dirty_bytes, OPTIONAL),
    STRING(point_disk, sha256, OPTIONAL, .max = 64),
    STRING(point_disk, checkpoint, OPTIONAL, .max = 255),
    {0},
};
const struct record_type point_disk_record = {"point_disk", sizeof(struct point_disk), point_disk_fields};

static const struct field point_verification_fields[] = {
    TIME(point_verification, at),
    ENUM(point_verification, depth, verify_depth_names),
    BOOL(point_verification, ok),
    STRING(point_verification, text, OPTIONAL),
    STRING(point_verification, job_id, OPTIONAL, .max = 36),
    {0},
};
const struct record_type point_verification_record = {"point_verification", sizeof(struct point_verification),
                                                      point_verification_fields};

static const struct field restore_point_fields[] = {
    STRING(restore_point, id, .max = 36),
    INT(restore_point, format, OPTIONAL, .fallback = 1),
    INT(restore_point, revision),
    STRING(restore_point, kind, .max = 32),
    ENUM(restore_point, state, point_state_names),
    EMBEDDED(restore_point, target, target_record),
    STRING(restore_point, host, .max = 63),
    STRING(restore_point, name, OPTIONAL, .max = 255),
    STRING(restore_point, description, OPTIONAL),
    TIME(restore_point, created_at),
    TIME(restore_point, completed_at, OPTIONAL),
    STRING(restore_point, backup_kind, OPTIONAL, .max = 32),
    STRING(restore_point, parent, OPTIONAL, .max = 36),
    STRING(restore_point, chain, OPTIONAL, .max = 36),
    INT(restore_point, chain_length, OPTIONAL),
    STRING(restore_point, repository, OPTIONAL, .max = 36),
    STRING(restore_point, level, OPTIONAL, .max = 32),
    STRING(restore_point, level_reason, OPTIONAL),
    STRING(restore_point, fallback_reason, OPTIONAL),
    INT(restore_point, frozen_ms, OPTIONAL),
    INT(restore_point, paused_ms, OPTIONAL),
    INT(restore_point, duration_ms, OPTIONAL),
    INT(restore_point, size_bytes, OPTIONAL),
    INT(restore_point, dirty_bytes, OPTIONAL),
    RECORDS(restore_point, disks, point_disk_record, OPTIONAL, .max = DISKS_MAX),
    RECORDS(restore_point, verified, point_verification_record, OPTIONAL, .max = VERIFIED_MAX),
    STRINGS(restore_point, missing_snapshots, OPTIONAL, .max = MISSING_MAX),
    STRING(restore_point, definition, OPTIONAL),
    STRING(restore_point, nvram, OPTIONAL),
    STRING(restore_point, policy, OPTIONAL, .max = 128),
    STRING(restore_point, run, OPTIONAL, .max = 128),
    STRING(restore_point, requested_by, OPTIONAL, .max = 128),
    STRING(restore_point, reason, OPTIONAL),
    TIME(restore_point, expires_at, OPTIONAL),
    STRING(restore_point, writer, OPTIONAL, .max = 36),
    TIME(restore_point, removed_at, OPTIONAL),
    STRING(restore_point, copied_repository, OPTIONAL, .max = 36),
    STRING(restore_point, copied_point, OPTIONAL, .max = 36),
    STRING(restore_point, group, OPTIONAL, .max = 128),
    STRING(restore_point, group_name, OPTIONAL, .max = 128),
    INT(restore_point, group_members, OPTIONAL),
    INT(restore_point, group_skew_ms, OPTIONAL),
    INT(restore_point, group_spread_ms, OPTIONAL),
    {0},
};
const struct record_type restore_point_record = {"restore_point", sizeof(struct restore_point), restore_point_fields};
