#include "worker/backends/libvirt/chain_files.h"

#include "base/text.h"
#include "crypto/digest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void chain_files_clear(struct chain_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        free(files->items[i].path);
    free(files->items);
    *files = (struct chain_files){0};
}

static const struct point_disk *disk_of(const struct restore_point *point, const char *name)
{
    for (size_t i = 0; i < point->disks.count; i++) {
        const struct point_disk *disk = list_at(&point->disks, struct point_disk, i);

        if (strcmp(disk->name, name) == 0 && disk->file)
            return disk;
    }
    return NULL;
}

/* The name of a file comes from a manifest, which anyone who can write to the repository can change: it may not lead out of its folder. */
static int add(struct chain_files *files, const char *chain_folder, const struct restore_point *point,
               const struct point_disk *disk, struct err *err)
{
    struct chain_file *items = reallocarray(files->items, files->count + 1, sizeof *items);
    struct text path = {0};

    if (!items)
        return err_memory(err, "chain");
    files->items = items;
    if (!name_valid_plain(disk->file) || !name_valid_plain(point->id))
        return err_set(err, ERR_PERMANENT, "manifest of %s: \"%s\" is no name of a file", point->id, disk->file);
    text_addf(&path, "%s/%s/%s", chain_folder, point->id, disk->file);
    items[files->count] = (struct chain_file){text_take(&path), point, disk};
    if (!items[files->count].path)
        return err_memory(err, "chain");
    files->count++;
    files->bytes += disk->stored_bytes;
    return 0;
}

static int add_disk(struct chain_files *files, const struct list *chain, const char *chain_folder, const char *name,
                    struct err *err)
{
    for (size_t i = chain->count; i-- > 0;) {
        const struct restore_point *point = list_at(chain, struct restore_point, i);
        const struct point_disk *disk = disk_of(point, name);

        if (!disk)
            return err_set(err, ERR_PERMANENT, "restore point %s lacks disk %s, which later ones build on", point->id,
                           name);
        if (add(files, chain_folder, point, disk, err) < 0)
            return -1;
        if (strcmp(disk->mode, "full") == 0)
            return 0;
    }
    return err_set(err, ERR_PERMANENT, "the chain of disk %s has no full", name);
}

static int add_named(struct chain_files *files, const struct list *chain, const char *chain_folder, const char *disks,
                     struct err *err)
{
    CLEANUP(freep) char *names = strdup(disks);
    char *rest = NULL;

    if (!names)
        return err_memory(err, "disks");
    for (char *name = strtok_r(names, " ", &rest); name; name = strtok_r(NULL, " ", &rest))
        if (add_disk(files, chain, chain_folder, name, err) < 0)
            return -1;
    return 0;
}

static int add_all(struct chain_files *files, const struct list *chain, const char *chain_folder, struct err *err)
{
    const struct restore_point *point = list_at(chain, struct restore_point, chain->count - 1);

    for (size_t i = 0; i < point->disks.count; i++) {
        const struct point_disk *disk = list_at(&point->disks, struct point_disk, i);

        if (disk->file && add_disk(files, chain, chain_folder, disk->name, err) < 0)
            return -1;
    }
    return 0;
}

int chain_files(const struct list *chain, const char *chain_folder, const char *disks, struct chain_files *out,
                struct err *err)
{
    struct chain_files files = {0};
    int failed = disks ? add_named(&files, chain, chain_folder, disks, err) : add_all(&files, chain, chain_folder, err);

    if (failed < 0) {
        chain_files_clear(&files);
        return -1;
    }
    *out = files;
    return 0;
}

int chain_file_check_size(const struct chain_file *file, struct err *err)
{
    struct stat status;

    if (stat(file->path, &status) < 0)
        return errno == ENOENT ? err_set(err, ERR_PERMANENT, "%s is missing", file->path)
                               : err_errno(err, errno, file->path);
    if (file->disk->stored_bytes == status.st_size)
        return 0;
    return err_set(err, ERR_PERMANENT, "%s is damaged: it has %lld bytes, the manifest says %lld", file->path,
                   (long long)status.st_size, (long long)file->disk->stored_bytes);
}

int chain_file_check_sum(const struct chain_file *file, enum digest_cache cache,
                         bool (*step)(void *context, int64_t bytes), void *context, char sum[65], struct err *err)
{
    if (digest_file(file->path, cache, step, context, sum, err) < 0)
        return -1;
    if (!file->disk->sha256 || strcmp(sum, file->disk->sha256) == 0)
        return 0;
    return err_set(err, ERR_PERMANENT, "%s is damaged: its checksum is not the one in the manifest", file->path);
}
