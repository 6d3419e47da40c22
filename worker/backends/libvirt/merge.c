#include "worker/backends/libvirt/merge.h"

#include "base/process.h"
#include "base/text.h"
#include "model/status.h"
#include "worker/backends/libvirt/backup.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { ROOM_FOR_METADATA = 4 << 20, MEASURE_TIMEOUT_MS = 120000 };

static const char merged_end[] = ".merged";

int merged_name(const char *file, const char *job_id, char out[MERGED_NAME], struct err *err)
{
    if (snprintf(out, MERGED_NAME, "%s.%s%s", file, job_id, merged_end) >= MERGED_NAME - 8 || !name_valid_plain(out))
        return err_set(err, ERR_PERMANENT, "\"%s\" is no name of a file, or too long", file);
    return 0;
}

bool merged_final_name(const char *file, char out[MERGED_NAME])
{
    size_t len = strlen(file), end = sizeof merged_end - 1, job = 37; /* a dot and a UUID */

    if (len <= end + job || len >= MERGED_NAME || strcmp(file + len - end, merged_end) != 0)
        return false;
    snprintf(out, MERGED_NAME, "%.*s", (int)(len - end - job), file);
    return true;
}

void merge_fact(const char *what, const char *heir, const char *disk, char out[MERGED_NAME])
{
    snprintf(out, MERGED_NAME, "%s.%s.%s", what, heir, disk);
}

bool merge_concerns(const struct point_disk *disk)
{
    return disk->file && strcmp(disk->mode, "incremental") == 0;
}

const struct point_disk *point_disk_named(const struct restore_point *point, const char *name)
{
    for (size_t i = 0; i < point->disks.count; i++) {
        const struct point_disk *disk = list_at(&point->disks, struct point_disk, i);

        if (disk->file && strcmp(disk->name, name) == 0)
            return disk;
    }
    return NULL;
}

/* ---- the plan ---- */

struct merge {
    const struct removal *removal;
    const struct job *job;
    struct plan *plan;
    const struct restore_point *point; /* that goes */
    char chain_folder[PATH_MAX];
    int64_t room, total, done; /* bytes: that the new files may take; virtual ones, for the progress */
};

static int path_in(const struct merge *merge, const struct restore_point *point, const char *file, char out[PATH_MAX],
                   struct err *err)
{
    if (!name_valid_plain(file) || !name_valid_plain(point->id))
        return err_set(err, ERR_PERMANENT, "manifest of %s: \"%s\" is no name of a file", point->id, file);
    if (snprintf(out, PATH_MAX, "%s/%s/%s", merge->chain_folder, point->id, file) >= PATH_MAX - MERGED_NAME)
        return err_set(err, ERR_PERMANENT, "%s: path is too long", merge->chain_folder);
    return 0;
}

/* What the heir and all that it stands on take as one file. The files may be compressed, the new one is not. */
static int measure(const char *image, int64_t *out, struct err *err)
{
    const char *argv[] = {"qemu-img", "measure", "-f", "qcow2", "-O", "qcow2", "--output=json", image, NULL};
    const struct process_options options = {.inherit_fd = -1, .timeout_ms = MEASURE_TIMEOUT_MS};
    CLEANUP(freep) char *text = NULL;
    json_t *json;
    json_int_t required;

    if (process_run(argv, &options, &text, NULL, err) < 0)
        return -1;
    json = json_loads(text, 0, NULL);
    required = json_integer_value(json_object_get(json, "required"));
    json_decref(json);
    if (required <= 0)
        return err_set(err, ERR_PERMANENT, "%s: qemu-img measure does not say how large it is", image);
    *out = required;
    return 0;
}

static int add_room(struct merge *merge, const struct point_disk *heir, const struct point_disk *below,
                    const char *image, struct err *err)
{
    int64_t bytes = heir->stored_bytes + below->stored_bytes;

    if (strcmp(below->mode, "full") == 0 && measure(image, &bytes, err) < 0)
        return -1;
    merge->room += bytes + ROOM_FOR_METADATA;
    merge->total += heir->size_bytes;
    return 0;
}

/* What the new file stands on, as its header will say; empty: nothing. */
static int backing_of(const struct merge *merge, const struct point_disk *below, char out[PATH_MAX], struct err *err)
{
    const struct restore_point *onto = points_find(&merge->removal->points, merge->point->parent);
    const struct point_disk *disk = onto ? point_disk_named(onto, below->name) : NULL;

    out[0] = '\0';
    if (strcmp(below->mode, "full") == 0)
        return 0;
    if (!disk || !name_valid_plain(disk->file))
        return err_set(err, ERR_PERMANENT, "restore point %s stands on %s, which has no disk %s", merge->point->id,
                       merge->point->parent ? merge->point->parent : "nothing", below->name);
    snprintf(out, PATH_MAX, "../%s/%s", onto->id, disk->file);
    return 0;
}

static int add_disk(struct merge *merge, const struct restore_point *heir, const struct point_disk *disk,
                    struct err *err)
{
    const struct point_disk *below = point_disk_named(merge->point, disk->name);
    char image[PATH_MAX], backing[PATH_MAX], name[MERGED_NAME], target[PATH_MAX];
    struct step *step;

    if (merged_final_name(disk->file, name)) /* its swap began in another job: that is still to be ended */
        return 0;
    if (!below)
        return err_set(err, ERR_PERMANENT, "restore point %s lacks disk %s, which later ones build on",
                       merge->point->id, disk->name);
    if (path_in(merge, heir, disk->file, image, err) < 0 || backing_of(merge, below, backing, err) < 0 ||
        merged_name(disk->file, merge->job->job_id, name, err) < 0 || path_in(merge, heir, name, target, err) < 0 ||
        add_room(merge, disk, below, image, err) < 0)
        return -1;
    step = plan_add(merge->plan, &step_merge_disk, err, "chain_folder", merge->chain_folder, "point", merge->point->id,
                    "heir", heir->id, "disk", disk->name, "image", image, "target", target, "backing",
                    backing[0] ? backing : NULL, NULL);
    if (!step || facts_set_int(&step->args, "size", disk->size_bytes, err) < 0 ||
        facts_set_int(&step->args, "before", merge->done, err) < 0)
        return -1;
    merge->done += disk->size_bytes;
    return 0;
}

static int add_heir(struct merge *merge, const struct restore_point *heir, struct err *err)
{
    for (size_t i = 0; i < heir->disks.count; i++) {
        const struct point_disk *disk = list_at(&heir->disks, struct point_disk, i);

        if (merge_concerns(disk) && add_disk(merge, heir, disk, err) < 0)
            return -1;
    }
    return 0;
}

static int add_swap(struct merge *merge, const struct restore_point *heir, struct err *err)
{
    return plan_add(merge->plan, &step_merge_swap, err, "repository", merge->removal->repository.path, "source",
                    merge->removal->source, "chain_folder", merge->chain_folder, "point", merge->point->id, "heir",
                    heir->id, "onto", merge->point->parent, NULL)
               ? 0
               : -1;
}

static const struct restore_point *heir_at(const struct merge *merge, size_t index)
{
    return points_find(&merge->removal->points, merge->removal->heirs.items[index]);
}

int merge_add_facts(const struct removal *removal, struct plan *plan, struct err *err)
{
    const struct restore_point *point = points_find(&removal->points, removal->ids.items[0]);
    struct text heirs = {0};
    int failed;

    for (size_t i = 0; i < removal->heirs.count; i++)
        text_addf(&heirs, "%s%s", i ? " " : "", removal->heirs.items[i]);
    failed = heirs.len && facts_set(&plan->facts, "merged_into", text_str(&heirs), err) < 0;
    text_free(&heirs);
    if (failed || facts_set(&plan->facts, "merged_source", removal->source, err) < 0)
        return -1;
    return point->chain ? facts_set(&plan->facts, "merged_chain", point->chain, err) : 0;
}

static int add_disks(struct merge *merge, struct err *err)
{
    for (size_t i = 0; i < merge->removal->heirs.count; i++)
        if (add_heir(merge, heir_at(merge, i), err) < 0)
            return -1;
    return 0;
}

/* What all files together need is known when the last of them is planned. */
static int set_sums(const struct merge *merge, size_t space, struct err *err)
{
    struct step *steps = merge->plan->steps;
    const char *begun = "";

    for (size_t i = merge->plan->count; i-- > space + 1;) {
        begun = step_arg(&steps[i], "target");
        if (facts_set_int(&steps[i].args, "total", merge->total, err) < 0)
            return -1;
    }
    return facts_set(&steps[space].args, "folder", begun, err) < 0
               ? -1
               : facts_set_int(&steps[space].args, "bytes", merge->room, err);
}

int merge_add_steps(const struct removal *removal, const struct job *job, struct plan *plan, struct err *err)
{
    struct merge merge = {
        .removal = removal,
        .job = job,
        .plan = plan,
        .point = points_find(&removal->points, removal->ids.items[0]),
    };
    CLEANUP(freep) char *folder = NULL;
    size_t space = plan->count;

    if (repository_point_folder(&removal->repository, removal->source, merge.point->chain, merge.point->id, &folder,
                                err) < 0)
        return -1;
    snprintf(merge.chain_folder, sizeof merge.chain_folder, "%s", folder);
    *strrchr(merge.chain_folder, '/') = '\0';
    if (!plan_add(plan, &step_copy_space, err, "repository", removal->repository.path, "repository_id",
                  removal->repository.id, NULL) ||
        add_disks(&merge, err) < 0 || set_sums(&merge, space, err) < 0)
        return -1;
    for (size_t i = 0; i < removal->heirs.count; i++)
        if (add_swap(&merge, heir_at(&merge, i), err) < 0)
            return -1;
    return 0;
}

/* ---- afterwards ---- */

int report_merged_points(struct backend *backend, const struct job *job, const struct facts *known,
                         struct report *report, struct err *err)
{
    const struct params_backup_delete *params = job->params;
    const char *source = facts_get(known, "merged_source"), *chain = facts_get(known, "merged_chain");
    CLEANUP(repository_endp) struct repository repository = {0};
    CLEANUP(points_clear) struct list points = {0};
    CLEANUP(strings_clear) struct strings damaged = {0};

    if (!source || !chain)
        return 0;
    if (backup_repository(backend, params->repository, &repository, err) < 0 ||
        repository_points(&repository, source, false, &points, &damaged, err) < 0)
        return -1;
    for (size_t i = 0; i < points.count; i++) {
        struct restore_point *point = list_at(&points, struct restore_point, i), *slot;

        if (!point->chain || strcmp(point->chain, chain) != 0)
            continue;
        if (!(slot = report_add_point(report, err)))
            return -1;
        restore_point_clear(slot);
        if (record_copy(&restore_point_record, slot, point, err) < 0)
            return -1;
    }
    return 0;
}
