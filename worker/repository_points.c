/*
 * The restore points of a repository, found by walking <target>/<chain>/<point>. Everything here reads the directory itself each time: other workers write to the
 * same one, and a cache would be one more thing that can be wrong. Ids become path components only after name_valid_plain().
 */
#include "worker/repository.h"

#include "base/err.h"
#include "base/file.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int path_join(char out[PATH_MAX], struct err *err, const char *folder, const char *name)
{
    if (snprintf(out, PATH_MAX, "%s/%s", folder, name) >= PATH_MAX)
        return err_set(err, ERR_PERMANENT, "path is too long: %s/%s", folder, name);
    return 0;
}

static bool ids_valid(const char *target_id, const char *point, struct err *err)
{
    if (name_valid_plain(target_id) && (!point || name_valid_plain(point)))
        return true;
    err_set(err, ERR_PERMANENT, "\"%s/%s\" is no target and restore point", target_id, point ? point : "");
    return false;
}

int repository_each_folder(const char *path, repository_visit *visit, void *context, struct err *err)
{
    char folder[PATH_MAX];
    struct dirent *entry;
    int result = 0;
    DIR *dir = opendir(path);

    if (!dir)
        return errno == ENOENT ? 0 : err_errno(err, errno, path);
    while (result == 0 && (entry = readdir(dir))) {
        struct stat status;

        if (!name_valid_plain(entry->d_name) || strcmp(entry->d_name, "leases") == 0 ||
            path_join(folder, NULL, path, entry->d_name) < 0)
            continue;
        if (lstat(folder, &status) == 0 && S_ISDIR(status.st_mode))
            result = visit(context, folder, entry->d_name, err);
    }
    closedir(dir);
    return result;
}

struct search {
    const char *point;
    char *folder;
};

static int search_chain(void *context, const char *folder, const char *name, struct err *err)
{
    struct search *search = context;
    char path[PATH_MAX];

    (void)name;
    if (path_join(path, NULL, folder, search->point) < 0 || !file_exists(path))
        return 0;
    search->folder = strdup(path);
    return search->folder ? 1 : err_memory(err, path);
}

static int search_target(void *context, const char *folder, const char *name, struct err *err)
{
    struct search *search = context;
    int found = repository_each_folder(folder, search_chain, search, err);

    if (found != 1)
        return found;
    free(search->folder);
    search->folder = strdup(name);
    return search->folder ? 1 : err_memory(err, name);
}

int repository_owner(const struct repository *repository, const char *point, char **out, struct err *err)
{
    struct search search = {.point = point};

    if (!ids_valid(point, NULL, err) || repository_each_folder(repository->path, search_target, &search, err) < 0)
        return -1;
    *out = search.folder;
    return 0;
}

int repository_has_folder(const struct repository *repository, const char *target_id, const char *point, bool *out,
                          struct err *err)
{
    struct search search = {.point = point};
    char target[PATH_MAX];

    if (!ids_valid(target_id, point, err) || path_join(target, err, repository->path, target_id) < 0 ||
        repository_each_folder(target, search_chain, &search, err) < 0)
        return -1;
    *out = search.folder != NULL;
    free(search.folder);
    return 0;
}

int repository_point_folder(const struct repository *repository, const char *target_id, const char *chain,
                            const char *point, char **out, struct err *err)
{
    struct search search = {.point = point};
    struct text path = {0};
    char target[PATH_MAX];

    if (!ids_valid(target_id, point, err) || path_join(target, err, repository->path, target_id) < 0)
        return -1;
    if (chain) {
        if (!ids_valid(target_id, chain, err))
            return -1;
        text_addf(&path, "%s/%s/%s", target, chain, point);
        *out = text_take(&path);
        return *out ? 0 : err_memory(err, point);
    }
    if (repository_each_folder(target, search_chain, &search, err) < 0)
        return -1;
    if (!search.folder)
        return err_set(err, ERR_PERMANENT, "repository %s has no restore point %s of %s", repository->name, point,
                       target_id);
    *out = search.folder;
    return 0;
}

int repository_find(const struct repository *repository, const char *target_id, const char *point,
                    struct restore_point *out, char **out_folder, struct err *err)
{
    CLEANUP(freep) char *folder = NULL;

    if (repository_point_folder(repository, target_id, NULL, point, &folder, err) < 0 ||
        manifest_read(folder, out, err) < 0)
        return -1;
    if (out_folder)
        *out_folder = TAKE_PTR(folder);
    return 0;
}

struct collect {
    struct list *points;
    struct strings *damaged;
    bool incomplete_too;
};

static int collect_point(void *context, const char *folder, const char *name, struct err *err)
{
    struct collect *collect = context;
    struct restore_point point = {0}, *slot;
    struct err why = {0};

    (void)name;
    if (manifest_read(folder, &point, &why) < 0) {
        if (!file_exists(folder) || !collect->damaged) /* deleted under our eyes */
            return 0;
        return strings_add(collect->damaged, folder, err);
    }
    if (point.state != POINT_COMPLETE && !collect->incomplete_too) {
        restore_point_clear(&point);
        return 0;
    }
    if (!(slot = list_add(collect->points, &restore_point_record, err))) {
        restore_point_clear(&point);
        return -1;
    }
    restore_point_clear(slot);
    *slot = point;
    return 0;
}

static int collect_chain(void *context, const char *folder, const char *name, struct err *err)
{
    (void)name;
    return repository_each_folder(folder, collect_point, context, err);
}

static int by_time(const void *left, const void *right)
{
    const struct restore_point *a = left, *b = right;

    if (a->created_at_ms != b->created_at_ms)
        return a->created_at_ms < b->created_at_ms ? -1 : 1;
    return strcmp(a->id, b->id);
}

static int collect_name(void *context, const char *folder, const char *name, struct err *err)
{
    (void)folder;
    return strings_add(context, name, err);
}

static int by_name(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

int repository_targets(const struct repository *repository, struct strings *out, struct err *err)
{
    struct strings names = {0};

    if (repository_each_folder(repository->path, collect_name, &names, err) < 0) {
        strings_clear(&names);
        return -1;
    }
    if (names.count)
        qsort(names.items, names.count, sizeof *names.items, by_name);
    *out = names;
    return 0;
}

void points_clear(struct list *points)
{
    for (size_t i = 0; i < points->count; i++)
        restore_point_clear(list_at(points, struct restore_point, i));
    free(points->items);
    *points = (struct list){0};
}

int repository_points(const struct repository *repository, const char *target_id, bool incomplete_too,
                      struct list *out_points, struct strings *out_damaged, struct err *err)
{
    CLEANUP(points_clear) struct list points = {0};
    struct collect collect = {&points, out_damaged, incomplete_too};
    char target[PATH_MAX];

    if (!ids_valid(target_id, NULL, err) || path_join(target, err, repository->path, target_id) < 0 ||
        repository_each_folder(target, collect_chain, &collect, err) < 0)
        return -1;
    if (points.count)
        qsort(points.items, points.count, sizeof(struct restore_point), by_time);
    *out_points = points;
    points = (struct list){0};
    return 0;
}

const struct restore_point *points_find(const struct list *points, const char *id)
{
    for (size_t i = 0; id && i < points->count; i++)
        if (strcmp(list_at(points, struct restore_point, i)->id, id) == 0)
            return list_at(points, struct restore_point, i);
    return NULL;
}

/* Copies the links from the full to `id` in front of what `out` holds; depth limits a manifest that names itself as its ancestor. */
static int chain_copy(const struct list *points, const char *id, size_t depth, struct list *out, struct err *err)
{
    const struct restore_point *point = points_find(points, id);
    struct restore_point *slot;

    if (!point)
        return err_set(err, ERR_PERMANENT, "restore point %s is missing or incomplete", id);
    if (depth > points->count)
        return err_set(err, ERR_PERMANENT, "restore point %s is its own ancestor", id);
    if (point->parent && chain_copy(points, point->parent, depth + 1, out, err) < 0)
        return err_wrap(err, "needed by %s", point->id);
    if (!(slot = list_add(out, &restore_point_record, err)))
        return -1;
    restore_point_clear(slot);
    return record_copy(&restore_point_record, slot, point, err);
}

int points_chain(const struct list *points, const char *point, struct list *out, struct err *err)
{
    CLEANUP(points_clear) struct list chain = {0};

    if (chain_copy(points, point, 0, &chain, err) < 0)
        return -1;
    *out = chain;
    chain = (struct list){0};
    return 0;
}

int repository_chain(const struct repository *repository, const char *target_id, const char *point,
                     struct list *out_points, struct err *err)
{
    CLEANUP(points_clear) struct list points = {0};

    if (repository_points(repository, target_id, false, &points, NULL, err) < 0 ||
        points_chain(&points, point, out_points, err) < 0)
        return err_wrap(err, "repository %s", repository->name);
    return 0;
}
