/*
 * A repository: a directory with a marker. The marker is what tells a mounted repository from the empty folder below a mount that failed.
 */
#include "worker/repository.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/text.h"
#include "model/job.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { MARKER_FORMAT = 1, MARKER_MAX = 64 * 1024 };
static const char marker_name[] = "fleetsnap-repository.json", retired_name[] = "fleetsnap-repository.removed.json";

struct marker {
    int64_t format;
    char *id, *name;
    int64_t created_at_ms;
    int64_t min_free_percent;
};

static const struct field marker_fields[] = {
    {.name = "format", .type = FIELD_INT, .offset = offsetof(struct marker, format)},
    {.name = "id", .type = FIELD_STRING, .offset = offsetof(struct marker, id)},
    {.name = "name", .type = FIELD_STRING, .offset = offsetof(struct marker, name)},
    {.name = "created_at", .type = FIELD_TIME, .offset = offsetof(struct marker, created_at_ms), .optional = true},
    {.name = "min_free_percent",
     .type = FIELD_INT,
     .offset = offsetof(struct marker, min_free_percent),
     .optional = true,
     .fallback = 10},
    {0},
};
static const struct record_type marker_record = {"repository_marker", sizeof(struct marker), marker_fields};
DEFINE_RECORD(marker, marker_record)

void repository_clear(struct repository *repository)
{
    free(repository->path);
    free(repository->id);
    free(repository->name);
    *repository = (struct repository){0};
}

static int path_join(char out[PATH_MAX], struct err *err, const char *folder, const char *name)
{
    if (snprintf(out, PATH_MAX, "%s/%s", folder, name) >= PATH_MAX)
        return err_set(err, ERR_PERMANENT, "path is too long: %s/%s", folder, name);
    return 0;
}

static int marker_read(const char *path, struct marker *out, struct err *err)
{
    char file[PATH_MAX];
    CLEANUP(freep) char *json = NULL;
    size_t len;

    if (path_join(file, err, path, marker_name) < 0)
        return -1;
    if (!file_exists(file)) {
        if (repository_retired(path)) {
            err_set(err, ERR_PERMANENT, "repository %s: was taken out of the fleet by repository remove", path);
            return err_hint(err, "mv %s/%s %s/%s brings it back; then: fleetsnap repository import", path, retired_name,
                            path, marker_name);
        }
        err_set(err, ERR_PERMANENT, "repository %s: the marker %s is missing: not mounted?", path, marker_name);
        return err_hint(err, "mount it, or make a new repository: fleetsnap repository init");
    }
    if (file_read(file, MARKER_MAX, &json, &len, err) < 0 ||
        record_from_json_lenient(&marker_record, out, json, len, err) < 0)
        return err_wrap(err, "repository %s", path);
    if (out->id && out->format >= 1 && out->format <= MARKER_FORMAT)
        return 0;
    marker_clear(out);
    return err_set(err, ERR_PERMANENT, "repository %s: the marker is of a format that this worker does not know", path);
}

static bool folder_empty(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    bool empty = true;

    if (!dir)
        return false;
    while (empty && (entry = readdir(dir)))
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
                strcmp(entry->d_name, "lost+found") == 0 || strcmp(entry->d_name, retired_name) == 0;
    closedir(dir);
    return empty;
}

static int marker_write(const char *path, const char *id, const char *name, int64_t min_free_percent, struct err *err)
{
    struct marker marker = {.format = MARKER_FORMAT,
                            .id = (char *)id,
                            .name = (char *)name,
                            .created_at_ms = clock_real_ms(),
                            .min_free_percent = min_free_percent};
    CLEANUP(freep) char *json = NULL;
    char file[PATH_MAX];

    if (path_join(file, err, path, marker_name) < 0 || record_to_json(&marker_record, &marker, true, &json, err) < 0)
        return -1;
    return file_write_atomic(file, json, strlen(json), 0644, err);
}

/* 0: there is none. 1: ours. */
static int marker_is(const char *path, const char *id, struct err *err)
{
    struct marker marker = {0};
    char file[PATH_MAX];
    int result = 1;

    if (path_join(file, err, path, marker_name) < 0)
        return -1;
    if (!file_exists(file))
        return 0;
    if (marker_read(path, &marker, err) < 0)
        return -1;
    if (strcmp(marker.id, id) != 0)
        result = err_set(err, ERR_CONFLICT, "%s is already the repository %s (%s)", path, marker.name, marker.id);
    marker_clear(&marker);
    return result;
}

int repository_init(const char *path, const char *id, const char *name, int64_t min_free_percent, struct err *err)
{
    int ours = marker_is(path, id, err);

    if (ours != 0)
        return ours < 0 ? -1 : 0;
    if (!file_exists(path) && file_make_directories(path, 0755, err) < 0)
        return -1;
    if (!folder_empty(path)) {
        err_set(err, ERR_PERMANENT, "repository %s: the directory is not empty and has no marker", path);
        return err_hint(err, "choose an empty directory, or mount the repository that should be there");
    }
    if (marker_write(path, id, name, min_free_percent, err) < 0)
        return err_wrap(err, "repository %s", path);
    return 0;
}

int repository_open(const char *path, const char *expected_id, struct repository *out, struct err *err)
{
    struct repository repository = {0};
    struct marker marker = {0};

    if (marker_read(path, &marker, err) < 0)
        return -1;
    if (expected_id && strcmp(marker.id, expected_id) != 0) {
        err_set(err, ERR_CONFLICT, "%s holds the repository %s, not %s", path, marker.id, expected_id);
        marker_clear(&marker);
        return -1;
    }
    repository = (struct repository){.path = strdup(path),
                                     .id = TAKE_PTR(marker.id),
                                     .name = TAKE_PTR(marker.name),
                                     .min_free_percent = marker.min_free_percent};
    marker_clear(&marker);
    if (!repository.path) {
        repository_clear(&repository);
        return err_memory(err, path);
    }
    *out = repository;
    return 0;
}

static int rename_marker(const char *path, const char *from_name, const char *to_name, struct err *err)
{
    char from[PATH_MAX], to[PATH_MAX];

    if (path_join(from, err, path, from_name) < 0 || path_join(to, err, path, to_name) < 0)
        return -1;
    if (rename(from, to) < 0 && (errno != ENOENT || !file_exists(to)))
        return err_errno(err, errno, from);
    return file_sync_directory(path, err);
}

int repository_retire(const char *path, const char *id, struct err *err)
{
    int ours = marker_is(path, id, err);

    return ours < 0 ? -1 : rename_marker(path, marker_name, retired_name, err);
}

int repository_reinstate(const char *path, struct err *err)
{
    return rename_marker(path, retired_name, marker_name, err);
}

bool repository_retired(const char *path)
{
    char live[PATH_MAX], retired[PATH_MAX];

    return path_join(live, NULL, path, marker_name) == 0 && path_join(retired, NULL, path, retired_name) == 0 &&
           !file_exists(live) && file_exists(retired);
}

int repository_open_ref(const struct repository_ref *ref, const struct strings *roots, struct repository *out,
                        struct err *err)
{
    if (!ref || !ref->path)
        return err_set(err, ERR_PERMANENT, "the job names no repository");
    if (!repository_allowed(ref->path, roots)) {
        err_set(err, ERR_PERMANENT, "repository %s: not in a folder that this worker may use", ref->path);
        return err_hint(err, "add its folder to repositories in the worker's configuration");
    }
    return repository_open(ref->path, ref->id, out, err);
}

bool repository_allowed(const char *path, const struct strings *roots)
{
    for (size_t i = 0; roots && i < roots->count; i++)
        if (file_inside(path, roots->items[i]))
            return true;
    return false;
}

int repository_space(const struct repository *repository, int64_t *free_bytes, int64_t *min_free_bytes, struct err *err)
{
    int64_t total;

    if (file_free_space(repository->path, free_bytes, &total, err) < 0)
        return err_wrap(err, "repository %s", repository->path);
    *min_free_bytes = total / 100 * repository->min_free_percent;
    return 0;
}
