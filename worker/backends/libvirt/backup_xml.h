#pragma once
/* The two documents of virDomainBackupBegin, built with libxml2. Pure; caller frees with free(). */
#include "model/restore_point.h"

/* `parent_checkpoint` NULL: full. Disks of mode "full" inside an incremental say so themselves. Files go to folder/disk->file. */
int backup_xml(const struct list *disks, const char *folder, const char *parent_checkpoint, char **out, struct err *err);
/* The same by pull: QEMU serves the disks where `where` says, and keeps what the guest overwrites in folder/disk->file. What changed since the parent is the bitmap EXPORT_BITMAP. */
struct params_target_export;
#define EXPORT_BITMAP "dirty"
int backup_pull_xml(const struct list *disks, const char *folder, const char *parent_checkpoint,
                    const struct params_target_export *where, char **out, struct err *err);
/* Only the disks that have disk->checkpoint; the others are named with checkpoint='no'. */
int checkpoint_xml(const struct list *disks, const char *name, const char *description, char **out, struct err *err);
/* The same for REDEFINE: with a time of creation. */
int checkpoint_redefine_xml(const struct restore_point *point, char **out, struct err *err);
/* A checkpoint that we made for a restore point: "fs-<id>". */
enum { CHECKPOINT_NAME = 160 };
char *checkpoint_name(const char *point_id, char out[CHECKPOINT_NAME]);
/* The restore point's id in a checkpoint's name, or NULL when it is not ours. Points into `name`. */
const char *checkpoint_point_id(const char *name);
