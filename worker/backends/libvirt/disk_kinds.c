#include "worker/backends/libvirt/disk_kinds.h"

#include "model/target.h"

#include <string.h>

static bool on_host(const struct domain_disk *disk)
{
    return strcmp(disk->type, "file") == 0 || strcmp(disk->type, "block") == 0;
}

const char *domain_disk_refused(const struct domain_disk *disk)
{
    if (strcmp(disk->device, "disk") != 0)
        return strcmp(disk->device, "lun") == 0 ? "a passed-through device" : "removable medium";
    if (!name_valid_plain(disk->name))
        return "its name cannot be the name of a file";
    if (!on_host(disk))
        return "not a file or block device of this host";
    if (!disk->source)
        return "empty";
    if (disk->read_only)
        return "read-only";
    if (disk->transient)
        return "transient: its changes end with the guest";
    if (disk->shareable)
        return "shared with other guests: no consistent point in time";
    return NULL;
}

const char *domain_disk_full_only(const char *format)
{
    return format && strcmp(format, "qcow2") == 0 ? NULL : "only qcow2 keeps a record of what changed";
}

const char *domain_disk_backup(const struct domain_disk *disk, const char **out_reason)
{
    *out_reason = domain_disk_refused(disk);
    if (*out_reason)
        return "refused";
    *out_reason = domain_disk_full_only(disk->format);
    return *out_reason ? "full" : "incremental";
}

const char *domain_disk_no_overlay(const struct domain_disk *disk)
{
    return on_host(disk) ? NULL : "not a file or block device of this host";
}

const char *domain_disk_no_internal(const struct domain_disk *disk)
{
    return strcmp(disk->format, "qcow2") == 0 ? NULL : "only qcow2 can hold snapshots";
}

const char *domain_disk_no_restore(const struct domain_disk *disk)
{
    if (strcmp(disk->type, "file") != 0 || !disk->source)
        return "not a file, and so cannot be exchanged by a rename";
    return disk->shareable || disk->read_only ? "shared or read-only" : NULL;
}
