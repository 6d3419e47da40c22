/*
 * merge-swap: the new files take the place of the heir's, and the manifests say so; merge.h says in which order and why. A moment's work, for which the chain is ours alone. A swap that
 * has begun is always ended, on the way back as well: nobody's content changes by it.
 */
#include "base/crash.h"
#include "base/file.h"
#include "base/text.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/delete_choice.h"
#include "worker/backends/libvirt/merge.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct swap {
    const struct step_run *run;
    const struct step *step;
    char folder[PATH_MAX];            /* of the heir */
    struct restore_point heir, point; /* as their manifests are now */
    struct chain_lease lease;
};

static void swap_endp(struct swap *swap)
{
    chain_lease_endp(&swap->lease);
    restore_point_clear(&swap->heir);
    restore_point_clear(&swap->point);
}

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    const char *onto = facts_get(&step->args, "onto");

    (void)run;
    (void)lost;
    (void)err;
    text_addf(command, "cd '%s/%s'; mv FILE.merged FILE\n# manifest.json: ", step_arg(step, "chain_folder"),
              step_arg(step, "heir"));
    if (onto)
        text_addf(command, "\"parent\": \"%s\"", onto);
    else
        text_addf(command, "a full");
    return 0;
}

/* ---- looking ---- */

static int folder_of(const struct step *step, const char *point, char out[PATH_MAX], struct err *err)
{
    if (snprintf(out, PATH_MAX, "%s/%s", step_arg(step, "chain_folder"), point) >= PATH_MAX - MERGED_NAME)
        return err_set(err, ERR_PERMANENT, "%s: path is too long", step_arg(step, "chain_folder"));
    return 0;
}

static int look(struct swap *swap, struct err *err)
{
    if (folder_of(swap->step, step_arg(swap->step, "heir"), swap->folder, err) < 0)
        return -1;
    return manifest_read(swap->folder, &swap->heir, err);
}

static bool stands_on(const struct restore_point *heir, const char *parent)
{
    return (!heir->parent && !parent) || (heir->parent && parent && strcmp(heir->parent, parent) == 0);
}

static bool names_merged(const struct restore_point *heir)
{
    char name[MERGED_NAME];

    for (size_t i = 0; i < heir->disks.count; i++) {
        const char *file = list_at(&heir->disks, struct point_disk, i)->file;

        if (file && merged_final_name(file, name))
            return true;
    }
    return false;
}

/* Planned from manifests of then: they must say the same now that nobody else changes them. */
static int check_world(struct swap *swap, struct err *err)
{
    const char *point = step_arg(swap->step, "point"), *onto = facts_get(&swap->step->args, "onto");
    char folder[PATH_MAX];

    if (folder_of(swap->step, point, folder, err) < 0 || manifest_read(folder, &swap->point, err) < 0)
        return -1;
    if (swap->heir.state == POINT_COMPLETE && swap->point.state == POINT_COMPLETE && stands_on(&swap->heir, point) &&
        stands_on(&swap->point, onto))
        return 0;
    return err_set(err, ERR_CONFLICT, "restore point %s: the chain changed since this was planned", swap->heir.id);
}

/* ---- 1: the manifest names the new files ---- */

static int name_disk(struct swap *swap, struct point_disk *disk, struct err *err)
{
    char key[MERGED_NAME], name[MERGED_NAME], path[PATH_MAX + MERGED_NAME];
    const char *sum;

    if (!merge_concerns(disk) || merged_final_name(disk->file, name))
        return 0;
    merge_fact("sha256", swap->heir.id, disk->name, key);
    sum = facts_get(swap->run->known, key);
    if (merged_name(disk->file, swap->run->job->job_id, name, err) < 0)
        return -1;
    snprintf(path, sizeof path, "%s/%s", swap->folder, name);
    if (!sum || !file_exists(path))
        return err_set(err, ERR_CONFLICT, "%s is not there", path);
    merge_fact("stored", swap->heir.id, disk->name, key);
    disk->stored_bytes = facts_get_int(swap->run->known, key, 0);
    disk->dirty_bytes = 0; /* what changed since another point: not known */
    return string_set(&disk->sha256, sum, err) < 0 ? -1 : string_set(&disk->file, name, err);
}

static int write_heir(struct swap *swap, struct err *err)
{
    CLEANUP(closep) int lock = -1;

    swap->heir.revision++;
    if (string_set(&swap->heir.writer, swap->run->job->job_id, err) < 0 || manifest_lock(swap->folder, &lock, err) < 0)
        return -1;
    return manifest_write(swap->folder, &swap->heir, err);
}

static int name_new_files(struct swap *swap, struct err *err)
{
    int64_t bytes = 0;

    for (size_t i = 0; i < swap->heir.disks.count; i++) {
        struct point_disk *disk = list_at(&swap->heir.disks, struct point_disk, i);

        if (name_disk(swap, disk, err) < 0)
            return -1;
        bytes += disk->file ? disk->stored_bytes : 0;
    }
    swap->heir.size_bytes = bytes;
    swap->heir.dirty_bytes = 0;
    return write_heir(swap, err);
}

/* ---- 2: they take the place of the old ones ---- */

static bool same_file(const char *left, const char *right)
{
    struct stat a, b;

    return stat(left, &a) == 0 && stat(right, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static int exchange(const char *folder, const char *new_name, const char *name, struct err *err)
{
    char from[PATH_MAX + MERGED_NAME], to[PATH_MAX + MERGED_NAME], second[PATH_MAX + 2 * MERGED_NAME];

    snprintf(from, sizeof from, "%s/%s", folder, new_name);
    snprintf(to, sizeof to, "%s/%s", folder, name);
    snprintf(second, sizeof second, "%s.link", from);
    if (file_remove(second, err) < 0)
        return -1;
    if (same_file(from, to))
        return 0;
    if (link(from, second) < 0 || rename(second, to) < 0)
        return err_errno(err, errno, to);
    return 0;
}

static int exchange_files(struct swap *swap, struct err *err)
{
    char name[MERGED_NAME];

    for (size_t i = 0; i < swap->heir.disks.count; i++) {
        const char *file = list_at(&swap->heir.disks, struct point_disk, i)->file;

        if (file && merged_final_name(file, name) && exchange(swap->folder, file, name, err) < 0)
            return -1;
    }
    return file_sync_directory(swap->folder, err);
}

/* ---- 3: the manifest without the point that goes ---- */

static int settle_disk(struct swap *swap, struct point_disk *disk, struct err *err)
{
    const struct point_disk *below;
    char name[MERGED_NAME];

    if (!merge_concerns(disk))
        return 0;
    below = point_disk_named(&swap->point, disk->name);
    if (!below)
        return err_set(err, ERR_PERMANENT, "restore point %s lacks disk %s", swap->point.id, disk->name);
    if (merged_final_name(disk->file, name) && string_set(&disk->file, name, err) < 0)
        return -1;
    return string_set(&disk->mode, below->mode, err);
}

static int write_final(struct swap *swap, struct err *err)
{
    const char *onto = facts_get(&swap->step->args, "onto");

    for (size_t i = 0; i < swap->heir.disks.count; i++)
        if (settle_disk(swap, list_at(&swap->heir.disks, struct point_disk, i), err) < 0)
            return -1;
    swap->heir.chain_length = swap->point.chain_length;
    if (string_set(&swap->heir.parent, onto, err) < 0 || (!onto && string_set(&swap->heir.backup_kind, "full", err) < 0))
        return -1;
    return write_heir(swap, err);
}

/* ---- 4: what is left of it ---- */

enum { NEW_PATH = PATH_MAX + MERGED_NAME };

/* The new file of the heir's i-th disk; false: it has none. */
static bool new_path(const struct swap *swap, size_t i, char out[NEW_PATH])
{
    const char *file = list_at(&swap->heir.disks, struct point_disk, i)->file;
    char name[MERGED_NAME];

    if (!file || merged_name(file, swap->run->job->job_id, name, NULL) < 0)
        return false;
    snprintf(out, NEW_PATH, "%s/%s", swap->folder, name);
    return true;
}

static int remove_new_names(struct swap *swap, struct err *err)
{
    char path[NEW_PATH];

    for (size_t i = 0; i < swap->heir.disks.count; i++)
        if (new_path(swap, i, path) && file_remove(path, err) < 0)
            return -1;
    return 0;
}

static int set_length(struct swap *swap, struct restore_point *point, int64_t length, struct err *err)
{
    CLEANUP(closep) int lock = -1;
    CLEANUP(point_endp) struct restore_point now = {0};
    char folder[PATH_MAX];

    if (folder_of(swap->step, point->id, folder, err) < 0 || manifest_lock(folder, &lock, err) < 0 ||
        manifest_read(folder, &now, err) < 0)
        return -1;
    point->chain_length = now.chain_length = length;
    now.revision++;
    if (string_set(&now.writer, swap->run->job->job_id, err) < 0)
        return -1;
    return manifest_write(folder, &now, err);
}

/* One pass, from the heir down: *out_changed, whether any had another length. */
static int shorten(struct swap *swap, struct list *points, bool write, bool *out_changed, struct err *err)
{
    *out_changed = false;
    for (size_t i = 0; i < points->count; i++) {
        struct restore_point *point = list_at(points, struct restore_point, i);
        const struct restore_point *parent = points_find(points, point->parent);

        if (!parent || !point_builds_on(points, point, step_arg(swap->step, "heir")) ||
            point->chain_length == parent->chain_length + 1)
            continue;
        *out_changed = true;
        if (write && set_length(swap, point, parent->chain_length + 1, err) < 0)
            return -1;
    }
    return 0;
}

/* `write` false: only says whether there is something to do. */
static int shorten_all(struct swap *swap, bool write, bool *out_changed, struct err *err)
{
    CLEANUP(repository_endp) struct repository repository = {0};
    CLEANUP(points_clear) struct list points = {0};
    struct strings damaged = {0};
    bool again = true;
    int failed;

    *out_changed = false;
    failed = repository_open(step_arg(swap->step, "repository"), NULL, &repository, err) < 0 ||
             repository_points(&repository, step_arg(swap->step, "source"), false, &points, &damaged, err) < 0;
    strings_clear(&damaged);
    for (size_t pass = 0; !failed && again && pass <= points.count; pass++) {
        failed = shorten(swap, &points, write, &again, err) < 0;
        *out_changed = *out_changed || again;
        again = again && write;
    }
    return failed ? -1 : 0;
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(swap_endp) struct swap swap = {.run = run, .step = step};
    bool changed;

    (void)learned;
    if (chain_lease_take_alone(&swap.lease, run, step_arg(step, "chain_folder"), err) < 0 || look(&swap, err) < 0)
        return -1;
    if (!stands_on(&swap.heir, facts_get(&step->args, "onto")) || names_merged(&swap.heir)) {
        if (check_world(&swap, err) < 0 || name_new_files(&swap, err) < 0)
            return -1;
        crash_point("merge.after", "name");
        if (exchange_files(&swap, err) < 0)
            return -1;
        crash_point("merge.after", "exchange");
        if (write_final(&swap, err) < 0)
            return -1;
        crash_point("merge.after", "write");
    }
    if (remove_new_names(&swap, err) < 0)
        return -1;
    crash_point("merge.after", "remove");
    if (shorten_all(&swap, true, &changed, err) < 0)
        return -1;
    crash_point("merge.after", "shorten");
    return 0;
}

/* What has not begun has changed nothing; what has is ended, so that the files which it needs are nobody's leftovers. */
static int undo(const struct step_run *run, const struct step *step, const struct facts *learned, struct err *err)
{
    struct swap swap = {.run = run, .step = step};
    bool begun = look(&swap, NULL) == 0 && names_merged(&swap.heir);
    struct facts ignored = {0};
    int failed = 0;

    (void)learned;
    swap_endp(&swap);
    if (begun)
        failed = execute(run, step, &ignored, err);
    facts_clear(&ignored);
    return failed;
}

static bool new_name_left(const struct swap *swap)
{
    char path[NEW_PATH];

    for (size_t i = 0; i < swap->heir.disks.count; i++)
        if (new_path(swap, i, path) && file_exists(path))
            return true;
    return false;
}

static int settle(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                  struct err *err)
{
    CLEANUP(swap_endp) struct swap swap = {.run = run, .step = step};
    bool changes = false;

    (void)learned;
    *out = SETTLED_NOT_DONE;
    chain_lease_settle(run, step, *out);
    if (look(&swap, err) < 0 || shorten_all(&swap, false, &changes, err) < 0)
        return -1;
    if (!changes && stands_on(&swap.heir, facts_get(&step->args, "onto")) && !names_merged(&swap.heir) &&
        !new_name_left(&swap))
        *out = SETTLED_DONE;
    return 0;
}

const struct step_type step_merge_swap = {
    .name = "merge-swap",
    .class = STEP_DESTROYS,
    .render = render,
    .execute = execute,
    .undo = undo,
    .settle = settle,
};
