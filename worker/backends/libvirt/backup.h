#pragma once
/*
 * Backup verbs of the libvirt backend: what backend.c lists in its two tables. A backup is a push job of the hypervisor
 * into the folder of the restore point (or qemu-img convert for a guest that is off), with a checkpoint named
 * fs-<job id> from which the next one can be incremental. docs/backends/backup.md has the whole picture.
 */
#include "worker/backend.h"

int plan_backup_create(struct backend *backend, const struct job *job, struct plan *plan, struct err *err);
int report_backup_create(struct backend *backend, const struct job *job, const struct facts *known,
                         struct report *report, struct err *err);
int plan_backup_restore(struct backend *backend, const struct job *job, struct plan *plan, struct err *err);
int report_backup_restore(struct backend *backend, const struct job *job, const struct facts *known,
                          struct report *report, struct err *err);
int plan_backup_verify(struct backend *backend, const struct job *job, struct plan *plan, struct err *err);
int report_backup_verify(struct backend *backend, const struct job *job, const struct facts *known,
                         struct report *report, struct err *err);
int plan_backup_copy(struct backend *backend, const struct job *job, struct plan *plan, struct err *err);
int report_backup_copy(struct backend *backend, const struct job *job, const struct facts *known, struct report *report,
                       struct err *err);
int plan_backup_delete(struct backend *backend, const struct job *job, struct plan *plan, struct err *err);
int report_backup_delete(struct backend *backend, const struct job *job, const struct facts *known,
                         struct report *report, struct err *err);

/* backup.create */
extern const struct step_type step_backup_space, step_backup_folder, step_backup_redefine, step_backup_begin,
    step_backup_push, step_backup_convert, step_backup_images, step_backup_link, step_backup_complete, step_backup_prune;
/* backup.restore */
extern const struct step_type step_restore_check, step_restore_folder, step_restore_reserve, step_restore_disk,
    step_restore_compare, step_restore_define, step_restore_start, step_restore_stop, step_restore_resume,
    step_restore_swap, step_restore_beside;
/* backup.verify */
extern const struct step_type step_verify_manifest, step_verify_checksum, step_verify_image, step_verify_record,
    step_boot_room, step_verify_boot, step_boot_remove;
/* backup.copy */
extern const struct step_type step_copy_space, step_copy_disk, step_copy_complete;
/* backup.delete */
extern const struct step_type step_delete_mark, step_delete_files, step_delete_checkpoint, step_merge_disk,
    step_merge_swap;

/* All of the above, for the table of steps in backend.c: `…, BACKUP_STEPS, NULL`. */
#define BACKUP_STEPS                                                                                                 \
    &step_backup_space, &step_backup_folder, &step_backup_redefine, &step_backup_begin, &step_backup_push,           \
        &step_backup_convert, &step_backup_images, &step_backup_link, &step_backup_complete, &step_backup_prune,     \
        &step_restore_check, &step_restore_folder, &step_restore_reserve, &step_restore_disk, &step_restore_compare, \
        &step_restore_define, &step_restore_start, &step_restore_stop, &step_restore_resume, &step_restore_swap,     \
        &step_restore_beside, &step_verify_manifest, &step_verify_checksum, &step_verify_image, &step_verify_record, \
        &step_delete_mark, &step_delete_files, &step_delete_checkpoint, &step_copy_space, &step_copy_disk,           \
        &step_copy_complete, &step_boot_room, &step_verify_boot, &step_boot_remove, &step_merge_disk, &step_merge_swap
