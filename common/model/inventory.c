#include "model/inventory.h"

#include "model/fields.h"

enum { DISKS_MAX = 256, SNAPSHOTS_MAX = 10000, PLACES_MAX = 4096 };

static const struct field backend_fields[] = {
    STRING(inventory_backend, kind, .max = 32),
    STRING(inventory_backend, uri, OPTIONAL),
    STRING(inventory_backend, version, OPTIONAL, .max = 256),
    STRINGS(inventory_backend, verbs, OPTIONAL),
    BOOL(inventory_backend, ok),
    STRING(inventory_backend, text, OPTIONAL),
    {0},
};
const struct record_type inventory_backend_record = {"inventory_backend", sizeof(struct inventory_backend),
                                                     backend_fields};

static const struct field space_fields[] = {
    STRING(inventory_space, id, OPTIONAL, .max = 36),
    STRING(inventory_space, name, .max = 255),
    STRING(inventory_space, path),
    INT(inventory_space, total_bytes, OPTIONAL),
    INT(inventory_space, free_bytes, OPTIONAL),
    INT(inventory_space, min_free_bytes, OPTIONAL),
    INT(inventory_space, reserved_bytes, OPTIONAL),
    BOOL(inventory_space, ok),
    STRING(inventory_space, text, OPTIONAL),
    {0},
};
const struct record_type inventory_space_record = {"inventory_space", sizeof(struct inventory_space), space_fields};

static const struct field host_fields[] = {
    STRING(inventory_host, host, .max = 63),
    STRING(inventory_host, version, .max = 128),
    STRING(inventory_host, boot_id, OPTIONAL, .max = 64),
    STRING(inventory_host, instance, OPTIONAL, .max = 256),
    STRING(inventory_host, journal, OPTIONAL, .max = 64),
    TIME(inventory_host, started_at, OPTIONAL),
    STRING(inventory_host, state, .max = 32),
    RECORDS(inventory_host, backends, inventory_backend_record, OPTIONAL, .max = 16),
    RECORDS(inventory_host, repositories, inventory_space_record, OPTIONAL, .max = PLACES_MAX),
    RECORDS(inventory_host, pools, inventory_space_record, OPTIONAL, .max = PLACES_MAX),
    INT(inventory_host, clock_skew_ms, OPTIONAL),
    INT(inventory_host, journal_bytes, OPTIONAL),
    INT(inventory_host, waiting, OPTIONAL),
    INT(inventory_host, running, OPTIONAL),
    INT(inventory_host, executors, OPTIONAL),
    INT(inventory_host, parked, OPTIONAL),
    INT(inventory_host, group_members, OPTIONAL),
    BOOL(inventory_host, group_backups, OPTIONAL),
    {0},
};
const struct record_type inventory_host_record = {"inventory_host", sizeof(struct inventory_host), host_fields};

static const struct field disk_fields[] = {
    STRING(inventory_disk, name, .max = 128),
    STRING(inventory_disk, device, OPTIONAL, .max = 32),
    STRING(inventory_disk, format, OPTIONAL, .max = 32),
    STRING(inventory_disk, source, OPTIONAL),
    STRING(inventory_disk, type, OPTIONAL, .max = 32),
    INT(inventory_disk, size_bytes, OPTIONAL),
    BOOL(inventory_disk, read_only, OPTIONAL),
    STRING(inventory_disk, backup, OPTIONAL, .max = 32),
    STRING(inventory_disk, reason, OPTIONAL),
    {0},
};
const struct record_type inventory_disk_record = {"inventory_disk", sizeof(struct inventory_disk), disk_fields};

static const struct field checkpoint_fields[] = {
    STRING(inventory_checkpoint, name, .max = 255),
    STRING(inventory_checkpoint, parent, OPTIONAL, .max = 255),
    TIME(inventory_checkpoint, created_at, OPTIONAL),
    STRING(inventory_checkpoint, owner, OPTIONAL, .max = 128),
    {0},
};
const struct record_type inventory_checkpoint_record = {"inventory_checkpoint", sizeof(struct inventory_checkpoint),
                                                        checkpoint_fields};

static const struct field inventory_target_fields[] = {
    STRING(inventory_target, host, .max = 63),
    EMBEDDED(inventory_target, target, target_record),
    STRING(inventory_target, state, OPTIONAL, .max = 32),
    BOOL(inventory_target, persistent, OPTIONAL),
    STRING(inventory_target, agent, OPTIONAL, .max = 32),
    MAP(inventory_target, labels, OPTIONAL, .max = 256),
    RECORDS(inventory_target, disks, inventory_disk_record, OPTIONAL, .max = DISKS_MAX),
    RECORDS(inventory_target, snapshots, snapshot_info_record, OPTIONAL, .max = SNAPSHOTS_MAX),
    RECORDS(inventory_target, checkpoints, inventory_checkpoint_record, OPTIONAL, .max = SNAPSHOTS_MAX),
    STRING(inventory_target, definition, OPTIONAL, .max = 128),
    STRING(inventory_target, job, OPTIONAL, .max = 256),
    BOOL(inventory_target, migratable, OPTIONAL, .fallback = true),
    STRING(inventory_target, migratable_reason, OPTIONAL),
    {0},
};
const struct record_type inventory_target_record = {"inventory_target", sizeof(struct inventory_target),
                                                    inventory_target_fields};

static const struct field inventory_fields[] = {
    TIME(inventory, at),
    INT(inventory, revision),
    RECORD(inventory, host, inventory_host_record, OPTIONAL),
    RECORD(inventory, target, inventory_target_record, OPTIONAL),
    {0},
};
const struct record_type inventory_record = {"inventory", sizeof(struct inventory), inventory_fields};
