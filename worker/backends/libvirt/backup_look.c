#include "worker/backends/libvirt/backup_look.h"

#include "worker/backends/libvirt/backup_disks.h"

#include <string.h>

enum {
    PRESERVE_SHUTDOWN = 1 << 1
}; /* VIR_DOMAIN_BACKUP_BEGIN_PRESERVE_SHUTDOWN_DOMAIN, which the headers of 9.0 do not have */

unsigned backup_begin_flags(unsigned long version, bool export)
{
    bool outlives = version >= VERSION_OUTLIVES_SHUTDOWN && !export;

    return VIR_DOMAIN_BACKUP_BEGIN_REUSE_EXTERNAL | (outlives ? PRESERVE_SHUTDOWN : 0);
}

static int size_disks(virDomainPtr domain, struct list *disks, int64_t *allocated, struct err *err)
{
    for (size_t i = 0; i < disks->count; i++) {
        struct point_disk *disk = list_at(disks, struct point_disk, i);
        virDomainBlockInfo info;

        if (strcmp(disk->mode, "excluded") == 0)
            continue;
        if (virDomainGetBlockInfo(domain, disk->name, &info, 0) < 0)
            return libvirt_err(err, "size of disk %s", disk->name);
        disk->size_bytes = (int64_t)info.capacity;
        allocated[i] = (int64_t)(info.allocation < info.capacity ? info.allocation : info.capacity);
    }
    return 0;
}

int backup_look_at_disks(virDomainPtr domain, const struct strings *include, const struct strings *exclude,
                         struct list *out, int64_t **out_allocated, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr xml = NULL;
    CLEANUP(point_disks_clear) struct list list = {0};
    struct domain_disks disks = {0};
    int failed;

    if (libvirt_domain_xml(domain, 0, &xml, err) < 0 || domain_disks_read(xml, &disks, err) < 0)
        return -1;
    domain_disks_resolve(virDomainGetConnect(domain), &disks);
    failed = backup_disks(&disks, include, exclude, &list, err);
    domain_disks_clear(&disks);
    if (failed < 0)
        return -1;
    CLEANUP(freep) int64_t *allocated = calloc(list.count + 1, sizeof *allocated);
    if (!allocated)
        return err_memory(err, "disks");
    if (size_disks(domain, &list, allocated, err) < 0)
        return -1;
    *out_allocated = TAKE_PTR(allocated);
    *out = list;
    list = (struct list){0};
    return 0;
}

int backup_no_other_job(virDomainPtr domain, const struct list *disks, struct err *err)
{
    if (libvirt_slot_free(domain, err) < 0)
        return -1;
    for (size_t i = 0; i < disks->count; i++) {
        const struct point_disk *disk = list_at(disks, struct point_disk, i);
        virDomainBlockJobInfo block;

        if (disk->source && virDomainGetBlockJobInfo(domain, disk->name, &block, 0) > 0)
            return err_set(err, ERR_RETRY, "foreign job: a block job runs on %s (virsh blockjob)", disk->name);
    }
    return 0;
}
