/* The rows of every op's parameters. New members are appended, optional, with a fallback that means "as before". */
#include "model/fields.h"
#include "model/job.h"
#include "model/params.h"

const char *const snapshot_kind_names[] = {"auto", "internal", "external", NULL};
const char *const snapshot_memory_names[] = {"no", "yes", "file", NULL};
const char *const quiesce_names[] = {"prefer", "require", "never", NULL};
const char *const revert_after_names[] = {"as_saved", "running", "paused", NULL};
const char *const revert_force_names[] = {"never", "if_needed", "always", NULL};
const char *const delete_scope_names[] = {"self", "children", "children_only", "all", NULL};
const char *const backup_kind_names[] = {"auto", "full", "incremental", "differential", NULL};
const char *const restore_start_names[] = {"no", "running", "paused", NULL};
const char *const verify_depth_names[] = {"manifest", "checksum", "image", "boot", NULL};
const char *const export_kind_names[] = {"full", "incremental", NULL};
const char *const finish_how_names[] = {"check", "done", "cancel", NULL};
const char *const retire_backups_names[] = {"keep", "delete", NULL};
const char *const retire_snapshots_names[] = {"keep_metadata", "delete", NULL};

enum { DISKS_MAX = 256, XML_MAX = 48 * 1024 /* a job has 64 KiB in all */ };

#define DAY_MS    (24LL * 3600 * 1000)
#define MINUTE_MS (60 * 1000)

static const struct field noop_fields[] = {
    INT(params_noop, spin_us, OPTIONAL),
    STRING(params_noop, fail, OPTIONAL, .max = 32),
    BOOL(params_noop, destroys, OPTIONAL),
    {0},
};
const struct record_type params_noop_record = {"noop", sizeof(struct params_noop), noop_fields};

static const struct field repository_ref_fields[] = {
    STRING(repository_ref, id, .max = 36),
    STRING(repository_ref, name, .max = 128),
    STRING(repository_ref, path),
    {0},
};
const struct record_type repository_ref_record = {"repository_ref", sizeof(struct repository_ref),
                                                  repository_ref_fields};

static const struct field snapshot_disk_fields[] = {
    STRING(snapshot_disk, name, .max = 128),
    STRING(snapshot_disk, mode, OPTIONAL, .max = 16),
    STRING(snapshot_disk, file, OPTIONAL),
    STRING(snapshot_disk, driver, OPTIONAL, .max = 32),
    {0},
};
const struct record_type snapshot_disk_record = {"snapshot_disk", sizeof(struct snapshot_disk), snapshot_disk_fields};

static const struct field snapshot_create_fields[] = {
    STRING(params_snapshot_create, name, OPTIONAL, .max = 255),
    STRING(params_snapshot_create, description, OPTIONAL),
    ENUM(params_snapshot_create, kind, snapshot_kind_names, OPTIONAL),
    ENUM(params_snapshot_create, memory, snapshot_memory_names, OPTIONAL),
    ENUM(params_snapshot_create, quiesce, quiesce_names, OPTIONAL),
    STRING(params_snapshot_create, memory_file, OPTIONAL),
    RECORDS(params_snapshot_create, disks, snapshot_disk_record, OPTIONAL, .max = DISKS_MAX),
    BOOL(params_snapshot_create, disk_only, OPTIONAL),
    BOOL(params_snapshot_create, halt, OPTIONAL),
    BOOL(params_snapshot_create, live, OPTIONAL),
    BOOL(params_snapshot_create, no_metadata, OPTIONAL),
    BOOL(params_snapshot_create, reuse_external, OPTIONAL),
    BOOL(params_snapshot_create, current, OPTIONAL),
    BOOL(params_snapshot_create, validate, OPTIONAL),
    BOOL(params_snapshot_create, atomic, OPTIONAL, .fallback = true),
    STRING(params_snapshot_create, redefine, OPTIONAL, .max = XML_MAX),
    INT(params_snapshot_create, ttl_ms, OPTIONAL),
    {0},
};
const struct record_type params_snapshot_create_record = {"snapshot_create", sizeof(struct params_snapshot_create),
                                                          snapshot_create_fields};

static const struct field snapshot_list_fields[] = {
    BOOL(params_snapshot_list, refresh, OPTIONAL),
    {0},
};
const struct record_type params_snapshot_list_record = {"snapshot_list", sizeof(struct params_snapshot_list),
                                                        snapshot_list_fields};

static const struct field snapshot_show_fields[] = {
    STRING(params_snapshot_show, name, OPTIONAL, .max = 255),
    BOOL(params_snapshot_show, current, OPTIONAL),
    {0},
};
const struct record_type params_snapshot_show_record = {"snapshot_show", sizeof(struct params_snapshot_show),
                                                        snapshot_show_fields};

static const struct field snapshot_revert_fields[] = {
    STRING(params_snapshot_revert, name, .max = 255),
    ENUM(params_snapshot_revert, after, revert_after_names, OPTIONAL),
    ENUM(params_snapshot_revert, force, revert_force_names, OPTIONAL),
    BOOL(params_snapshot_revert, reset_nvram, OPTIONAL),
    BOOL(params_snapshot_revert, keep_current, OPTIONAL),
    STRINGS(params_snapshot_revert, drop_checkpoint, OPTIONAL),
    INT(params_snapshot_revert, keep_old_for_ms, OPTIONAL, .fallback = DAY_MS),
    {0},
};
const struct record_type params_snapshot_revert_record = {"snapshot_revert", sizeof(struct params_snapshot_revert),
                                                          snapshot_revert_fields};

static const struct field snapshot_delete_fields[] = {
    STRING(params_snapshot_delete, name, .max = 255),
    ENUM(params_snapshot_delete, scope, delete_scope_names, OPTIONAL),
    BOOL(params_snapshot_delete, metadata_only, OPTIONAL),
    BOOL(params_snapshot_delete, foreign, OPTIONAL),
    STRING(params_snapshot_delete, point, OPTIONAL, .max = 36),
    {0},
};
const struct record_type params_snapshot_delete_record = {"snapshot_delete", sizeof(struct params_snapshot_delete),
                                                          snapshot_delete_fields};

static const struct field backup_create_fields[] = {
    ENUM(params_backup_create, kind, backup_kind_names, OPTIONAL),
    ENUM(params_backup_create, quiesce, quiesce_names, OPTIONAL),
    STRING(params_backup_create, parent, OPTIONAL, .max = 36),
    RECORD(params_backup_create, repository, repository_ref_record),
    STRINGS(params_backup_create, include, OPTIONAL, .max = DISKS_MAX),
    STRINGS(params_backup_create, exclude, OPTIONAL, .max = DISKS_MAX),
    STRING(params_backup_create, description, OPTIONAL),
    INT(params_backup_create, rate_limit, OPTIONAL),
    BOOL(params_backup_create, isolated, OPTIONAL),
    BOOL(params_backup_create, compress, OPTIONAL),
    INT(params_backup_create, max_chain, OPTIONAL, .fallback = 30),
    INT(params_backup_create, max_chain_ms, OPTIONAL, .fallback = 35 * DAY_MS),
    {0},
};
const struct record_type params_backup_create_record = {"backup_create", sizeof(struct params_backup_create),
                                                        backup_create_fields};

static const struct field backup_restore_fields[] = {
    STRING(params_backup_restore, point, .max = 36),
    STRING(params_backup_restore, source, .max = 128),
    RECORD(params_backup_restore, repository, repository_ref_record),
    STRING(params_backup_restore, new_name, OPTIONAL, .max = 255),
    STRING(params_backup_restore, directory, OPTIONAL),
    BOOL(params_backup_restore, in_place, OPTIONAL),
    STRINGS(params_backup_restore, disks, OPTIONAL, .max = DISKS_MAX),
    MAP(params_backup_restore, map_network, OPTIONAL, .max = DISKS_MAX),
    ENUM(params_backup_restore, start, restore_start_names, OPTIONAL),
    BOOL(params_backup_restore, new_identity, OPTIONAL, .fallback = true),
    INT(params_backup_restore, keep_old_for_ms, OPTIONAL, .fallback = DAY_MS),
    BOOL(params_backup_restore, drop_snapshots, OPTIONAL),
    MAP(params_backup_restore, disk_files, OPTIONAL, .max = DISKS_MAX),
    MAP(params_backup_restore, map_pool, OPTIONAL, .max = DISKS_MAX),
    MAP(params_backup_restore, map_machine, OPTIONAL, .max = DISKS_MAX),
    STRING(params_backup_restore, xml, OPTIONAL, .max = XML_MAX),
    {0},
};
const struct record_type params_backup_restore_record = {"backup_restore", sizeof(struct params_backup_restore),
                                                         backup_restore_fields};

static const struct field backup_verify_fields[] = {
    STRING(params_backup_verify, point, .max = 36),
    RECORD(params_backup_verify, repository, repository_ref_record),
    ENUM(params_backup_verify, depth, verify_depth_names, OPTIONAL, .fallback = VERIFY_CHECKSUM),
    STRING(params_backup_verify, console, OPTIONAL, .max = 255),
    INT(params_backup_verify, timeout_ms, OPTIONAL, .fallback = 5 * MINUTE_MS),
    {0},
};
const struct record_type params_backup_verify_record = {"backup_verify", sizeof(struct params_backup_verify),
                                                        backup_verify_fields};

static const struct field backup_delete_fields[] = {
    STRING(params_backup_delete, point, .max = 36),
    ENUM(params_backup_delete, scope, delete_scope_names, OPTIONAL),
    RECORD(params_backup_delete, repository, repository_ref_record),
    BOOL(params_backup_delete, merge, OPTIONAL),
    BOOL(params_backup_delete, really_last, OPTIONAL),
    {0},
};
const struct record_type params_backup_delete_record = {"backup_delete", sizeof(struct params_backup_delete),
                                                        backup_delete_fields};

static const struct field repository_init_fields[] = {
    STRING(params_repository_init, name, .max = 128),
    STRING(params_repository_init, path),
    INT(params_repository_init, min_free_percent, OPTIONAL, .fallback = 10),
    {0},
};
const struct record_type params_repository_init_record = {"repository_init", sizeof(struct params_repository_init),
                                                          repository_init_fields};

static const struct field repository_check_fields[] = {
    RECORD(params_repository_check, repository, repository_ref_record),
    BOOL(params_repository_check, checksum, OPTIONAL),
    {0},
};
const struct record_type params_repository_check_record = {"repository_check", sizeof(struct params_repository_check),
                                                           repository_check_fields};

static const struct field repository_clean_fields[] = {
    RECORD(params_repository_clean, repository, repository_ref_record),
    STRINGS(params_repository_clean, ended, OPTIONAL, .max = CLEAN_JOBS_MAX),
    BOOL(params_repository_clean, deletes_ended, OPTIONAL),
    {0},
};
const struct record_type params_repository_clean_record = {"repository_clean", sizeof(struct params_repository_clean),
                                                           repository_clean_fields};

static const struct field repository_import_fields[] = {
    RECORD(params_repository_import, repository, repository_ref_record),
    {0},
};
const struct record_type params_repository_import_record = {
    "repository_import", sizeof(struct params_repository_import), repository_import_fields};

static const struct field repository_remove_fields[] = {
    RECORD(params_repository_remove, repository, repository_ref_record),
    BOOL(params_repository_remove, delete_backups, OPTIONAL),
    {0},
};
const struct record_type params_repository_remove_record = {
    "repository_remove", sizeof(struct params_repository_remove), repository_remove_fields};

static const struct field backup_copy_fields[] = {
    STRING(params_backup_copy, point, .max = 36),
    RECORD(params_backup_copy, repository, repository_ref_record),
    RECORD(params_backup_copy, to, repository_ref_record),
    BOOL(params_backup_copy, chain, OPTIONAL),
    {0},
};
const struct record_type params_backup_copy_record = {"backup_copy", sizeof(struct params_backup_copy),
                                                      backup_copy_fields};

static const struct field target_retire_fields[] = {
    ENUM(params_target_retire, backups, retire_backups_names, OPTIONAL),
    ENUM(params_target_retire, snapshots, retire_snapshots_names, OPTIONAL),
    RECORD(params_target_retire, repository, repository_ref_record, OPTIONAL),
    BOOL(params_target_retire, foreign, OPTIONAL),
    BOOL(params_target_retire, really_last, OPTIONAL),
    {0},
};
const struct record_type params_target_retire_record = {"target_retire", sizeof(struct params_target_retire),
                                                        target_retire_fields};

static const struct field job_undo_fields[] = {
    STRING(params_job_undo, job, .max = 36),
    BOOL(params_job_undo, force, OPTIONAL),
    {0},
};
const struct record_type params_job_undo_record = {"job_undo", sizeof(struct params_job_undo), job_undo_fields};

static const struct field target_export_fields[] = {
    ENUM(params_target_export, kind, export_kind_names, OPTIONAL),
    ENUM(params_target_export, quiesce, quiesce_names, OPTIONAL),
    STRING(params_target_export, parent, OPTIONAL, .max = 36),
    STRINGS(params_target_export, include, OPTIONAL, .max = DISKS_MAX),
    STRINGS(params_target_export, exclude, OPTIONAL, .max = DISKS_MAX),
    STRING(params_target_export, socket, OPTIONAL),
    STRING(params_target_export, address, OPTIONAL, .max = 300),
    BOOL(params_target_export, tls, OPTIONAL),
    INT(params_target_export, idle_timeout_ms, OPTIONAL, .fallback = 10 * MINUTE_MS),
    STRING(params_target_export, scratch, OPTIONAL),
    INT(params_target_export, scratch_limit, OPTIONAL),
    {0},
};
const struct record_type params_target_export_record = {"target_export", sizeof(struct params_target_export),
                                                        target_export_fields};

static const struct field target_export_finish_fields[] = {
    ENUM(params_target_export_finish, how, finish_how_names, OPTIONAL),
    STRING(params_target_export_finish, job, OPTIONAL, .max = 36),
    {0},
};
const struct record_type params_target_export_finish_record = {
    "target_export_finish", sizeof(struct params_target_export_finish), target_export_finish_fields};
