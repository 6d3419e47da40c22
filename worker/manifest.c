/*
 * The manifest of a restore point: the catalog's record as JSON, in the folder of the point. It is the only thing that says what the files beside it are; whoever
 * reads a repository (restore, delete, import) believes it and nothing else. Written through a temporary file with fsync of file and folder, so that a reader sees the
 * old one or the new one.
 */
#include "worker/repository.h"

#include "base/err.h"
#include "base/file.h"
#include "base/text.h"

#include <string.h>

enum { MANIFEST_MAX = 1 << 20, MANIFEST_FORMAT = 1 };

static char *manifest_path(const char *folder)
{
    struct text path = {0};

    text_addf(&path, "%s/manifest.json", folder);
    return text_take(&path);
}

int manifest_write(const char *folder, const struct restore_point *point, struct err *err)
{
    CLEANUP(freep) char *path = manifest_path(folder);
    CLEANUP(freep) char *json = NULL;

    if (!path)
        return err_memory(err, folder);
    if (record_to_json(&restore_point_record, point, true, &json, err) < 0 ||
        file_write_atomic(path, json, strlen(json), 0644, err) < 0)
        return err_wrap(err, "manifest of %s", point->id);
    return 0;
}

int manifest_read(const char *folder, struct restore_point *out, struct err *err)
{
    CLEANUP(freep) char *path = manifest_path(folder);
    CLEANUP(freep) char *json = NULL;
    struct restore_point point = {0};
    size_t len;

    if (!path)
        return err_memory(err, folder);
    if (file_read(path, MANIFEST_MAX, &json, &len, err) < 0)
        return -1;
    if (record_from_json_lenient(&restore_point_record, &point, json, len, err) < 0)
        return err_wrap(err, "%s", path);
    if (!point.id || !point.target.id || point.format < 1) {
        restore_point_clear(&point);
        return err_set(err, ERR_PERMANENT, "%s: id, target or format is missing", path);
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
