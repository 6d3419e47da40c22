/* Where a restore asks for the disks of a new domain: what restore_places.h decides, between what the definition says of then and what this host has now. */
#include "base/file.h"
#include "worker/backends/libvirt/restore.h"
#include "worker/backends/libvirt/restore_places.h"

#include <stdio.h>
#include <string.h>

static void pool_freep(virStoragePoolPtr *pool)
{
    if (*pool)
        virStoragePoolFree(*pool);
}

/* Of a pool of libvirt's by name. Caller frees. */
static int pool_path(struct restore *restore, const char *name, char **out, struct err *err)
{
    CLEANUP(pool_freep) virStoragePoolPtr pool = virStoragePoolLookupByName(restore->backend->connection, name);
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    char *text = pool ? virStoragePoolGetXMLDesc(pool, 0) : NULL;

    if (!text) {
        libvirt_err(err, "pool %s", name);
        if (err)
            err->kind = ERR_PERMANENT;
        return err_hint(err, "name a pool that this host has, or a directory: --map-pool OLD=/DIRECTORY");
    }
    int result = xml_parse(text, name, &doc, err);
    free(text);
    if (result < 0)
        return -1;
    *out = xml_get(doc, "/pool/target/path");
    return *out ? 0 : err_set(err, ERR_PERMANENT, "pool %s has no directory", name);
}

static int resolve_pools(struct restore *restore, struct facts *out, struct err *err)
{
    const struct facts *pools = &restore->params->map_pool;

    for (size_t i = 0; i < pools->count; i++) {
        const char *value = pools->items[i].value;
        CLEANUP(freep) char *path = NULL;

        if (*value != '/' && pool_path(restore, value, &path, err) < 0)
            return -1;
        if (facts_set(out, pools->items[i].key, path ? path : value, err) < 0)
            return -1;
    }
    return 0;
}

/* A finished file would be taken for the work of an earlier attempt: none may be there before. */
static int check_place(const struct restore *restore, struct restore_disk *disk, struct err *err)
{
    char directory[PATH_MAX], inside[PATH_MAX], part[PATH_MAX + 8];

    snprintf(directory, sizeof directory, "%s", disk->target);
    char *slash = strrchr(directory, '/');
    slash[slash == directory] = '\0';
    if (pool_directory(&restore->backend->base, directory, inside, err) < 0)
        return err_wrap(err, "disk %s", disk->name);
    snprintf(part, sizeof part, "%s.part", disk->target);
    if (!file_exists(directory))
        return err_set(err, ERR_PERMANENT, "disk %s: there is no directory %s", disk->name, directory);
    if (file_exists(disk->target) || file_exists(part)) {
        err_set(err, ERR_PERMANENT, "disk %s: %s exists already", disk->name,
                file_exists(disk->target) ? disk->target : part);
        return err_hint(err, "choose another file");
    }
    disk->room = strdup(directory);
    return disk->room ? 0 : err_memory(err, disk->name);
}

static int take_files(struct restore *restore, char **files, struct err *err)
{
    int result = 0;

    for (size_t i = 0; i < restore->disk_count; i++) {
        restore->disks[i].target = files[i];
        if (result == 0 && files[i])
            result = check_place(restore, &restore->disks[i], err);
    }
    return result;
}

static int choose_files(struct restore *restore, const struct domain_disks *saved, const struct facts *pools,
                        struct err *err)
{
    CLEANUP(freep) struct restore_origin *origins = calloc(restore->disk_count + 1, sizeof *origins);
    CLEANUP(freep) char **files = calloc(restore->disk_count + 1, sizeof *files);
    const struct restore_wish wish = {restore->params->new_name, &restore->params->disk_files, pools};

    if (!origins || !files)
        return err_memory(err, "disks");
    for (size_t i = 0; i < restore->disk_count; i++) {
        const struct domain_disk *disk = domain_disks_find(saved, restore->disks[i].name);

        origins[i] = (struct restore_origin){.name = restore->disks[i].name,
                                             .format = restore->disks[i].format,
                                             .pool = disk ? disk->pool : NULL,
                                             .file = disk && disk->source && *disk->source == '/' ? disk->source : NULL};
    }
    if (restore_choose_files(&wish, origins, restore->disk_count, files, err) < 0)
        return -1;
    return take_files(restore, files, err);
}

int restore_place_asked(struct restore *restore, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    CLEANUP(domain_disks_clear) struct domain_disks saved = {0};
    CLEANUP(facts_clearp) struct facts pools = {0};

    if (!restore->params->disk_files.count && !restore->params->map_pool.count)
        return 0;
    if (restore_saved_definition(restore, &doc, err) < 0 || domain_disks_read(doc, &saved, err) < 0 ||
        resolve_pools(restore, &pools, err) < 0)
        return -1;
    return choose_files(restore, &saved, &pools, err);
}
