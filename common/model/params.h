#pragma once
/* The records of job.params and request.params, one per op; op_info() hands them out. */
#include "model/record.h"

extern const struct record_type params_noop_record, params_snapshot_create_record, params_snapshot_list_record,
    params_snapshot_show_record, params_snapshot_revert_record, params_snapshot_delete_record,
    params_backup_create_record, params_backup_restore_record, params_backup_verify_record, params_backup_delete_record,
    params_repository_init_record, params_repository_check_record, params_repository_clean_record,
    params_repository_import_record, params_repository_remove_record, params_backup_copy_record,
    params_target_retire_record, params_job_undo_record, params_target_export_record, params_target_export_finish_record;
