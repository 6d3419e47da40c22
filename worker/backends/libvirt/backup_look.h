#pragma once
/* What a backup and an export look at before they are planned: which disks there are to take, and whether others are at work on them. */
#include "model/restore_point.h"
#include "worker/backends/libvirt/libvirt.h"

enum { VERSION_INCREMENTAL = 7006000, VERSION_OUTLIVES_SHUTDOWN = 11010000 }; /* libvirt */

/* Of virDomainBackupBegin() with this libvirt: from 11.10 on a guest that shuts down in the middle of a push is off only when that has ended. An export has no end of its own. Pure. */
unsigned backup_begin_flags(unsigned long version, bool export);

/* Drafts of all disks (struct point_disk, as backup_disks()), with the sizes of the taken ones; *out_allocated: by disk, the bytes that it occupies. Caller clears and frees both. */
int backup_look_at_disks(virDomainPtr domain, const struct strings *include, const struct strings *exclude,
                         struct list *out, int64_t **out_allocated, struct err *err);
/* Of a guest that runs. ERR_RETRY while others are at work: jobs of others are waited for. One of our own can only be this job's, whose plan is not made again while it runs. */
int backup_no_other_job(virDomainPtr domain, const struct list *disks, struct err *err);
