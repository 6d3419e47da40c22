/* Disks that are volumes of a pool: what is behind one is libvirt's to say. Without its storage driver (an embedded libvirt has none) nobody knows. */
#include "worker/backends/libvirt/libvirt.h"

#include <stdlib.h>
#include <string.h>

static void pool_freep(virStoragePoolPtr *pool)
{
    if (*pool)
        virStoragePoolFree(*pool);
}

static void volume_freep(virStorageVolPtr *volume)
{
    if (*volume)
        virStorageVolFree(*volume);
}

static const char *type_of(virStorageVolPtr volume)
{
    virStorageVolInfo info;

    if (virStorageVolGetInfo(volume, &info) < 0)
        return NULL;
    return info.type == VIR_STORAGE_VOL_FILE ? "file" : info.type == VIR_STORAGE_VOL_BLOCK ? "block" : NULL;
}

static void resolve(virConnectPtr connection, struct domain_disk *disk)
{
    CLEANUP(pool_freep) virStoragePoolPtr pool = virStoragePoolLookupByName(connection, disk->pool);
    CLEANUP(volume_freep)
    virStorageVolPtr volume = pool ? virStorageVolLookupByName(pool, disk->source) : NULL;
    const char *type = volume ? type_of(volume) : NULL;
    char *path = type ? virStorageVolGetPath(volume) : NULL;
    char *kind = path ? strdup(type) : NULL;

    if (!kind) {
        free(path);
        return;
    }
    free(disk->source);
    free(disk->type);
    disk->source = path;
    disk->type = kind;
}

void domain_disks_resolve(virConnectPtr connection, struct domain_disks *disks)
{
    for (size_t i = 0; i < disks->count; i++) {
        struct domain_disk *disk = &disks->items[i];

        if (strcmp(disk->type, "volume") == 0 && disk->pool && disk->source)
            resolve(connection, disk);
    }
}
