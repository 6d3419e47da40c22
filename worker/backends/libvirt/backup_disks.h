#pragma once
/* Which disks of a domain a backup takes, which not and why. Pure. */
#include "model/job.h"
#include "model/restore_point.h"

struct domain_disks;

/*
 * Fills `out` with one struct point_disk per disk of the domain, in its order: mode "full" when it is taken, else "excluded" with the reason. Sizes are left 0. ERR_PERMANENT
 * when a disk that was asked for by name is not there or cannot be taken, or when nothing is left.
 */
int backup_disks(const struct domain_disks *disks, const struct strings *include, const struct strings *exclude,
                 struct list *out, struct err *err);
/* Sets mode and checkpoint of the taken ones for a backup of this kind; checkpoint NULL: none is made. */
int backup_disks_finish(struct list *disks, bool incremental, const char *checkpoint, struct err *err);
void point_disks_clear(struct list *disks);
/* "vda vdb": the taken ones, for arguments and texts. Caller frees; NULL: out of memory. */
char *backup_disk_names(const struct list *disks);
