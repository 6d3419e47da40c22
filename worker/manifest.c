/*
 * The manifest of a restore point: the catalog's record as JSON, in the folder of the point. It is the only thing that says what the files beside it are; whoever
 * reads a repository (restore, delete, import) believes it and nothing else. Written through a temporary file with fsync of file and folder, so that a reader sees the
 * old one or the new one. A point is marked deleted by renaming its manifest: that needs no room, so a full repository can be emptied.
 */
#include "worker/repository.h"

#include "base/err.h"
#include "base/file.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

enum { MANIFEST_MAX = 1 << 20, MANIFEST_FORMAT = 1 };

static const char live_name[] = "manifest.json", deleted_name[] = "manifest.deleted.json";

static char *manifest_path(const char *folder, const char *name)
{
    struct text path = {0};

    text_addf(&path, "%s/%s", folder, name);
    return text_take(&path);
}

int manifest_write(const char *folder, const struct restore_point *point, struct err *err)
{
    CLEANUP(freep) char *path = manifest_path(folder, live_name);
    CLEANUP(freep) char *json = NULL;

    if (!path)
        return err_memory(err, folder);
    if (record_to_json(&restore_point_record, point, true, &json, err) < 0 ||
        file_write_atomic_by(path, point->writer ? point->writer : point->id, json, strlen(json), 0644, err) < 0)
        return err_wrap(err, "manifest of %s", point->id);
    return 0;
}

/* What readers rely on without asking again. */
static bool whole(const struct restore_point *point)
{
    if (!point->id || !point->target.id || point->format < 1)
        return false;
    for (size_t i = 0; i < point->disks.count; i++)
        if (!list_at(&point->disks, struct point_disk, i)->name || !list_at(&point->disks, struct point_disk, i)->mode)
            return false;
    return true;
}

static int read_file(const char *folder, const char *name, struct restore_point *out, struct err *err)
{
    CLEANUP(freep) char *path = manifest_path(folder, name);
    CLEANUP(freep) char *json = NULL;
    struct restore_point point = {0};
    size_t len;

    if (!path)
        return err_memory(err, folder);
    if (file_read(path, MANIFEST_MAX, &json, &len, err) < 0)
        return -1;
    if (record_from_json_lenient(&restore_point_record, &point, json, len, err) < 0)
        return err_wrap(err, "%s", path);
    if (!whole(&point)) {
        restore_point_clear(&point);
        return err_set(err, ERR_PERMANENT, "%s: id, target, format or the mode of a disk is missing", path);
    }
    if (point.format > MANIFEST_FORMAT) {
        err_set(err, ERR_PERMANENT, "%s: format %lld is newer than this worker reads (%d)", path,
                (long long)point.format, MANIFEST_FORMAT);
        restore_point_clear(&point);
        return -1;
    }
    *out = point;
    return 0;
}

static bool has(const char *folder, const char *name)
{
    CLEANUP(freep) char *path = manifest_path(folder, name);

    return path && file_exists(path);
}

bool manifest_exists(const char *folder)
{
    return has(folder, live_name) || has(folder, deleted_name);
}

bool manifest_is_file(const char *name)
{
    return strcmp(name, live_name) == 0 || strcmp(name, deleted_name) == 0;
}

int manifest_read(const char *folder, struct restore_point *out, struct err *err)
{
    if (has(folder, live_name) || !has(folder, deleted_name))
        return read_file(folder, live_name, out, err);
    if (read_file(folder, deleted_name, out, err) < 0)
        return -1;
    out->state = POINT_DELETED;
    return 0;
}

static int move(const char *folder, const char *from_name, const char *to_name, struct err *err)
{
    CLEANUP(freep) char *from = manifest_path(folder, from_name);
    CLEANUP(freep) char *to = manifest_path(folder, to_name);

    if (!from || !to)
        return err_memory(err, folder);
    if (rename(from, to) < 0 && (errno != ENOENT || !file_exists(to)))
        return err_errno(err, errno, from);
    return file_sync_directory(folder, err);
}

int manifest_mark_deleted(const char *folder, struct err *err)
{
    return move(folder, live_name, deleted_name, err);
}

int manifest_unmark_deleted(const char *folder, struct err *err)
{
    return move(folder, deleted_name, live_name, err);
}

int manifest_lock(const char *folder, int *out_fd, struct err *err)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return err_errno(err, errno, folder);
    if (flock(fd, LOCK_EX) < 0) {
        err_errno(err, errno, folder);
        close(fd);
        return -1;
    }
    *out_fd = fd;
    return 0;
}
