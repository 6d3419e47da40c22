#include "worker/backends/repository/check.h"

#include "base/file.h"
#include "base/parse.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "worker/backends/repository/repository_backend.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void forget_target(struct check *check)
{
    points_clear(&check->complete);
    check->target = NULL;
}

void check_clear(struct check *check)
{
    for (size_t i = 0; i < check->left_count; i++) {
        free(check->left[i].folder);
        free(check->left[i].id);
    }
    free(check->left);
    findings_clear(&check->findings);
    forget_target(check);
    *check = (struct check){0};
}

/* ---- what is said ---- */

static const char *below(const struct check *check, const char *path)
{
    size_t len = strlen(check->repository->path);

    return strncmp(path, check->repository->path, len) == 0 && path[len] == '/' ? path + len + 1 : path;
}

static struct job_finding *add_finding(struct check *check, const char *kind, const char *path, const char *point,
                                       int64_t bytes, struct err *err)
{
    struct job_finding *finding = list_add(&check->findings, &job_finding_record, err);

    if (!finding || string_set(&finding->kind, kind, err) < 0 ||
        string_set(&finding->path, below(check, path), err) < 0 || string_set(&finding->point, point, err) < 0 ||
        string_set(&finding->target, check->target, err) < 0)
        return NULL;
    finding->bytes = bytes;
    return finding;
}

__attribute__((format(printf, 4, 5))) static int explain(struct job_finding *finding, const char *hint, struct err *err,
                                                         const char *format, ...)
{
    char text[900];
    va_list args;

    if (!finding)
        return -1;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return string_set(&finding->text, text, err) < 0 ? -1 : string_set(&finding->hint, hint, err);
}

static int orphan(struct check *check, const char *path, const char *what, struct err *err)
{
    struct stat status;

    if (lstat(path, &status) < 0)
        return 0; /* gone meanwhile */
    return explain(add_finding(check, "orphan", path, NULL, S_ISREG(status.st_mode) ? status.st_size : 0, err),
                   "look at it; no verb of Fleetsnap removes what it does not know", err, "%s", what);
}

/* Takes a copy of `left`. */
static int add_left(struct check *check, const struct left *left, struct err *err)
{
    struct left *items = reallocarray(check->left, check->left_count + 1, sizeof *items);

    if (!items)
        return err_memory(err, left->folder);
    check->left = items;
    items[check->left_count] = *left;
    items[check->left_count].folder = strdup(left->folder);
    items[check->left_count].id = strdup(left->id);
    check->left_count++;
    return items[check->left_count - 1].folder && items[check->left_count - 1].id ? 0 : err_memory(err, left->folder);
}

__attribute__((format(printf, 4, 5))) static int say_left(struct check *check, struct left left, struct err *err,
                                                          const char *format, ...)
{
    char text[256], hint[400];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    snprintf(hint, sizeof hint, "when its job has ended: fleetsnap repository clean %s", check->repository->name);
    if (add_left(check, &left, err) < 0)
        return -1;
    return explain(add_finding(check, "left", left.folder, left.id, left.bytes, err), hint, err, "%s", text);
}

/* Something that costs restore points. Said only if the point is still there, complete. */
__attribute__((format(printf, 5, 6))) static int damaged(struct check *check, const struct restore_point *point,
                                                         const char *path, struct err *err, const char *format, ...)
{
    CLEANUP(freep) char *folder = NULL;
    struct restore_point now = {0};
    char text[800], hint[400];
    va_list args;

    if (repository_point_folder(check->repository, check->target, point->chain, point->id, &folder, err) < 0)
        return -1;
    bool gone = manifest_read(folder, &now, NULL) == 0 ? now.state != POINT_COMPLETE : !manifest_exists(folder);
    restore_point_clear(&now);
    if (gone)
        return 0;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    check->damaged++;
    snprintf(
        hint, sizeof hint,
        "it cannot be restored, nor what stands on it: fleetsnap backup create %s --kind full, then fleetsnap backup delete %s --children",
        point->target.name ? point->target.name : check->target, point->id);
    return explain(add_finding(check, "damaged", path, point->id, 0, err), hint, err, "%s", text);
}

/* ---- the files of one point ---- */

static int64_t bytes_in(const char *folder)
{
    char path[PATH_MAX + 256];
    struct dirent *entry;
    struct stat status;
    int64_t bytes = 0;
    DIR *dir = opendir(folder);

    while (dir && (entry = readdir(dir))) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (lstat(path, &status) == 0 && S_ISREG(status.st_mode))
            bytes += status.st_size;
    }
    if (dir)
        closedir(dir);
    return bytes;
}

static bool hashed(void *context, int64_t bytes)
{
    struct check *check = context;

    check->hashed_bytes += bytes;
    return !check->progress || check->progress(check->context, bytes);
}

static int check_sum(struct check *check, const struct restore_point *point, const struct point_disk *disk,
                     const char *path, struct err *err)
{
    char sum[DIGEST_TEXT];
    struct err why = {0};

    if (!disk->sha256)
        check->unhashed_files++;
    if (!check->checksum || !disk->sha256)
        return 0;
    if (digest_file(path, DIGEST_DROP, hashed, check, sum, &why) < 0) {
        if (why.kind == ERR_CANCELLED)
            return *err = why, -1;
        return damaged(check, point, path, err, "cannot be read: %s", why.text);
    }
    return strcmp(sum, disk->sha256) == 0
               ? 0
               : damaged(check, point, path, err, "its checksum is not the one in the manifest");
}

static int check_disk(struct check *check, const struct restore_point *point, const char *folder,
                      const struct point_disk *disk, struct err *err)
{
    char path[PATH_MAX], is[32], was[32];
    struct stat status;

    if (!disk->file)
        return 0;
    if (!name_valid_plain(disk->file))
        return damaged(check, point, folder, err, "its manifest names a file that leads out of its folder");
    snprintf(path, sizeof path, "%s/%s", folder, disk->file);
    if (stat(path, &status) < 0)
        return damaged(check, point, path, err, errno == ENOENT ? "is missing" : "cannot be looked at: %s",
                       strerror(errno));
    check->files++;
    check->bytes += status.st_size;
    if (status.st_size != disk->stored_bytes)
        return damaged(check, point, path, err, "has %s, the manifest says %s",
                       format_size(status.st_size, is, sizeof is), format_size(disk->stored_bytes, was, sizeof was));
    return check_sum(check, point, disk, path, err);
}

static int check_beside(struct check *check, const struct restore_point *point, const char *folder, const char *file,
                        const char *what, struct err *err)
{
    char path[PATH_MAX];

    if (!file)
        return 0;
    snprintf(path, sizeof path, "%s/%s", folder, name_valid_plain(file) ? file : "?");
    return file_exists(path) ? 0 : damaged(check, point, path, err, "%s is missing", what);
}

static bool named(const struct restore_point *point, const char *name)
{
    if (manifest_is_file(name) || (point->definition && strcmp(point->definition, name) == 0) ||
        (point->nvram && strcmp(point->nvram, name) == 0))
        return true;
    for (size_t i = 0; i < point->disks.count; i++) {
        const char *file = list_at(&point->disks, struct point_disk, i)->file;

        if (file && strcmp(file, name) == 0)
            return true;
    }
    return false;
}

/* What a job has that makes something here. */
static bool made_now(const char *name)
{
    static const char *const ends[] = {".part", ".merged", ".link"};

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (strlen(name) > strlen(ends[i]) && strcmp(name + strlen(name) - strlen(ends[i]), ends[i]) == 0)
            return true;
    return false;
}

static int find_orphans(struct check *check, const struct restore_point *point, const char *folder, bool busy,
                        struct err *err)
{
    char path[PATH_MAX + 256];
    struct dirent *entry;
    int result = 0;
    DIR *dir = opendir(folder);

    while (result == 0 && dir && (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 || named(point, entry->d_name) ||
            (busy && made_now(entry->d_name)))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        result = orphan(check, path, "the manifest beside it does not name it", err);
    }
    if (dir)
        closedir(dir);
    return result;
}

static int check_place(struct check *check, const struct restore_point *point, const char *folder, const char *chain,
                       const char *name, struct err *err)
{
    bool same = strcmp(point->id, name) == 0 && strcmp(point->target.id, check->target) == 0 &&
                (!point->chain || strcmp(point->chain, chain) == 0);

    if (!same)
        return damaged(check, point, folder, err, "its manifest is that of %s/%s/%s, which is another place",
                       point->target.id, point->chain ? point->chain : "?", point->id);
    if (point->repository && strcmp(point->repository, check->repository->id) != 0)
        return damaged(check, point, folder, err, "its manifest names another repository, %s: no catalogue takes it",
                       point->repository);
    return 0;
}

static int check_complete(struct check *check, const struct restore_point *point, const char *folder, const char *chain,
                          const char *name, bool busy, struct err *err)
{
    check->points++;
    if (check_place(check, point, folder, chain, name, err) < 0)
        return -1;
    for (size_t i = 0; i < point->disks.count; i++)
        if (check_disk(check, point, folder, list_at(&point->disks, struct point_disk, i), err) < 0)
            return -1;
    if (check_beside(check, point, folder, point->definition, "the definition of the domain", err) < 0 ||
        check_beside(check, point, folder, point->nvram, "the NVRAM", err) < 0)
        return -1;
    return find_orphans(check, point, folder, busy, err);
}

/* ---- points, chains ---- */

static int keep(struct check *check, struct restore_point *point, struct err *err)
{
    struct restore_point *slot = list_add(&check->complete, &restore_point_record, err);

    if (!slot)
        return -1;
    restore_point_clear(slot);
    *slot = *point;
    *point = (struct restore_point){0};
    return 0;
}

/* Borrows both texts. */
static struct left left_at(enum left_kind kind, const char *folder, const char *id)
{
    return (struct left){.kind = kind, .folder = (char *)folder, .id = (char *)id, .bytes = bytes_in(folder)};
}

/* A manifest that cannot be read, or none. */
static int check_unreadable(struct check *check, const char *folder, const char *name, const struct err *why,
                            struct err *err)
{
    if (!file_exists(folder))
        return 0; /* deleted under our eyes */
    if (!manifest_exists(folder))
        return say_left(check, left_at(LEFT_POINT, folder, name), err, "job %s left a folder without a manifest", name);
    check->damaged++;
    return explain(add_finding(check, "damaged", folder, name, bytes_in(folder), err),
                   "bring its manifest back from a copy of the repository, or remove the folder by hand", err,
                   "its manifest cannot be read: %s", why->text);
}

struct chain {
    struct check *check;
    const char *folder, *name;
    bool busy; /* somebody holds a living lease on it */
};

static int check_point(void *context, const char *folder, const char *name, struct err *err)
{
    struct chain *chain = context;
    struct check *check = chain->check;
    CLEANUP(point_endp) struct restore_point point = {0};
    struct err why = {0};

    if (manifest_read(folder, &point, &why) < 0)
        return chain->busy && !manifest_exists(folder) ? (check->busy++, 0)
                                                       : check_unreadable(check, folder, name, &why, err);
    if (point.state == POINT_COMPLETE) {
        if (check_complete(check, &point, folder, chain->name, name, chain->busy, err) < 0)
            return -1;
        return keep(check, &point, err);
    }
    if (chain->busy) {
        check->busy++;
        return 0;
    }
    /* A copy of a chain is several points of one job: it is the writer that has ended, or not. */
    const char *job = point.state != POINT_DELETED && point.writer ? point.writer : name;
    struct left left = left_at(point.state == POINT_DELETED ? LEFT_DELETED : LEFT_POINT, folder, job);
    left.revision = point.revision;
    if (left.kind == LEFT_POINT)
        return say_left(check, left, err, "job %s did not complete it", job);
    return say_left(check, left, err, "%s is marked as deleted, and its files are still there", name);
}

static int check_leases(struct check *check, const char *folder, struct err *err)
{
    CLEANUP(strings_endp) struct strings jobs = {0};

    if (lease_stale(folder, &jobs, err) < 0)
        return -1;
    for (size_t i = 0; i < jobs.count; i++)
        if (say_left(check, (struct left){.kind = LEFT_LEASE, .folder = (char *)folder, .id = jobs.items[i]}, err,
                     "job %s left its lease", jobs.items[i]) < 0)
            return -1;
    return 0;
}

/* What lies in a folder that holds only folders. Returns the number of its entries, or -1. */
static int check_strays(struct check *check, const char *folder, const char *what, struct err *err)
{
    char path[PATH_MAX + 256];
    struct dirent *entry;
    struct stat status;
    int count = 0, result = 0;
    DIR *dir = opendir(folder);

    while (result == 0 && dir && (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        count++;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (lstat(path, &status) == 0 && (!S_ISDIR(status.st_mode) || !name_valid_plain(entry->d_name)))
            result = orphan(check, path, what, err);
    }
    if (dir)
        closedir(dir);
    return result < 0 ? -1 : count;
}

static int check_chain(void *context, const char *folder, const char *name, struct err *err)
{
    struct check *check = context;
    struct err busy = {0};
    struct chain chain = {check, folder, name, lease_check_free(folder, NULL, &busy) < 0};
    int entries = check_strays(check, folder, "no file belongs into the folder of a chain", err);

    if (entries < 0)
        return -1;
    if (entries == 0 && file_exists(folder))
        return say_left(check, left_at(LEFT_POINT, folder, name), err, "job %s left an empty folder", name);
    return check_leases(check, folder, err) < 0 ? -1 : repository_each_folder(folder, check_point, &chain, err);
}

/* Whether every point has what it stands on; said of the one right above the hole. */
static int check_parents(struct check *check, struct err *err)
{
    for (size_t i = 0; i < check->complete.count; i++) {
        const struct restore_point *point = list_at(&check->complete, struct restore_point, i);
        CLEANUP(freep) char *folder = NULL;

        if (!point->parent || points_find(&check->complete, point->parent))
            continue;
        if (repository_point_folder(check->repository, check->target, point->chain, point->id, &folder, err) < 0 ||
            damaged(check, point, folder, err, "it stands on %s, which is missing or not complete", point->parent) < 0)
            return -1;
    }
    return 0;
}

int check_target(struct check *check, const char *target, struct err *err)
{
    char folder[PATH_MAX];
    int result;

    snprintf(folder, sizeof folder, "%s/%s", check->repository->path, target);
    check->target = target;
    result = check_strays(check, folder, "no file belongs into the folder of a target", err);
    if (result >= 0)
        result = repository_each_folder(folder, check_chain, check, err);
    if (result >= 0)
        result = check_parents(check, err);
    forget_target(check);
    return result < 0 ? -1 : 0;
}

int check_root(struct check *check, struct err *err)
{
    char path[PATH_MAX + 256];
    struct dirent *entry;
    struct stat status;
    int result = 0;
    DIR *dir = opendir(check->repository->path);

    if (!dir)
        return err_errno(err, errno, check->repository->path);
    while (result == 0 && (entry = readdir(dir))) {
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, repository_marker) == 0 ||
            strcmp(entry->d_name, "lost+found") == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", check->repository->path, entry->d_name);
        if (lstat(path, &status) == 0 && (!S_ISDIR(status.st_mode) || !name_valid_plain(entry->d_name)))
            result = orphan(check, path, "it is neither the marker nor the folder of a target", err);
    }
    closedir(dir);
    return result;
}
