#include "model/op.h"

#include "model/job.h"
#include "model/params.h"

#include <assert.h>
#include <string.h>

const char *const op_names[OP_COUNT + 1] = {
    [OP_NONE] = "none",
    [OP_NOOP] = "noop",
    [OP_SNAPSHOT_CREATE] = "snapshot.create",
    [OP_SNAPSHOT_LIST] = "snapshot.list",
    [OP_SNAPSHOT_SHOW] = "snapshot.show",
    [OP_SNAPSHOT_REVERT] = "snapshot.revert",
    [OP_SNAPSHOT_DELETE] = "snapshot.delete",
    [OP_BACKUP_CREATE] = "backup.create",
    [OP_BACKUP_RESTORE] = "backup.restore",
    [OP_BACKUP_VERIFY] = "backup.verify",
    [OP_BACKUP_DELETE] = "backup.delete",
    [OP_REPOSITORY_INIT] = "repository.init",
    [OP_REPOSITORY_CHECK] = "repository.check",
    [OP_REPOSITORY_CLEAN] = "repository.clean",
    [OP_REPOSITORY_IMPORT] = "repository.import",
    [OP_REPOSITORY_REMOVE] = "repository.remove",
    [OP_BACKUP_COPY] = "backup.copy",
    [OP_TARGET_RETIRE] = "target.retire",
    [OP_JOB_UNDO] = "job.undo",
    [OP_TARGET_EXPORT] = "target.export",
    [OP_TARGET_EXPORT_FINISH] = "target.export_finish",
};

const char *const class_names[] = {"A", "B", "C", NULL};

static const struct op_info infos[OP_COUNT] = {
    [OP_NOOP] = {"noop", &params_noop_record, "does nothing, safely: for tests and benchmarks"},
    [OP_SNAPSHOT_CREATE] = {"snapshot.create", &params_snapshot_create_record, "creates a snapshot"},
    [OP_SNAPSHOT_LIST] = {"snapshot.list", &params_snapshot_list_record, "lists the snapshots of a target"},
    [OP_SNAPSHOT_SHOW] = {"snapshot.show", &params_snapshot_show_record, "shows one snapshot with its XML"},
    [OP_SNAPSHOT_REVERT] = {"snapshot.revert", &params_snapshot_revert_record, "takes the target back to a snapshot"},
    [OP_SNAPSHOT_DELETE] = {"snapshot.delete", &params_snapshot_delete_record, "deletes snapshots"},
    [OP_BACKUP_CREATE] = {"backup.create", &params_backup_create_record, "backs the target up into a repository"},
    [OP_BACKUP_RESTORE] = {"backup.restore", &params_backup_restore_record,
                           "restores a backup to a new domain or in place"},
    [OP_BACKUP_VERIFY] = {"backup.verify", &params_backup_verify_record, "proves that a backup is readable"},
    [OP_BACKUP_DELETE] = {"backup.delete", &params_backup_delete_record, "deletes backups"},
    [OP_REPOSITORY_INIT] = {"repository.init", &params_repository_init_record, "makes a directory a repository"},
    [OP_REPOSITORY_CHECK] = {"repository.check", &params_repository_check_record,
                             "finds what is damaged, incomplete or left over in a repository, and changes nothing"},
    [OP_REPOSITORY_CLEAN] = {"repository.clean", &params_repository_clean_record,
                             "removes what jobs that have ended left in a repository"},
    [OP_REPOSITORY_IMPORT] = {"repository.import", &params_repository_import_record,
                              "tells the catalogue of every backup in a repository"},
    [OP_REPOSITORY_REMOVE] = {"repository.remove", &params_repository_remove_record,
                              "makes the fleet forget a repository; its backups stay unless asked otherwise"},
    [OP_BACKUP_COPY] = {"backup.copy", &params_backup_copy_record, "copies a backup to another repository"},
    [OP_TARGET_RETIRE] = {"target.retire", &params_target_retire_record,
                          "removes what Fleetsnap left in a machine, so that it can be undefined"},
    [OP_JOB_UNDO] = {"job.undo", &params_job_undo_record,
                     "puts back the disks that a revert or a restore in place took out of use"},
    [OP_TARGET_EXPORT] = {"target.export", &params_target_export_record,
                          "exposes a consistent view of a running machine's disks by NBD, until it is told to end"},
    [OP_TARGET_EXPORT_FINISH] = {"target.export_finish", &params_target_export_finish_record,
                                 "ends an export that no job watches any more, or says whether there is one"},
};

const struct op_info *op_info(enum op op)
{
    assert(op > OP_NONE && op < OP_COUNT);
    return &infos[op];
}

enum op op_from_name(const char *name)
{
    for (int op = OP_NONE + 1; op < OP_COUNT; op++)
        if (strcmp(op_names[op], name) == 0)
            return (enum op)op;
    return OP_NONE;
}
