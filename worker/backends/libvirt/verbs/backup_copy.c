/*
 * backup.copy: check · space · (folder · disk … · [link …]) for each restore point of the copy · compare … · complete …. One full backup of what the chain holds, or with `chain` the
 * whole chain, point by point. The last one has the id of the job; the ones that it stands on have ids that derive from it. No copy has a checkpoint: no backup builds on it.
 */
#include "base/uuid.h"
#include "model/status.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/backup_disks.h"
#include "worker/backends/libvirt/backup_tools.h"

#include <stdio.h>
#include <string.h>

enum { ROOM_FOR_METADATA = 4 << 20 };

struct copy {
    struct backend *backend;
    const struct job *job;
    const struct params_backup_copy *params;
    struct repository from, to;
    struct list chain; /* of the original: full first */
    char *source;      /* id of the target */
    char *point_folder;
    char source_chain[PATH_MAX], chain_folder[PATH_MAX];
    int64_t total, done; /* virtual bytes, for the progress */
};

static void copy_endp(struct copy *copy)
{
    repository_clear(&copy->from);
    repository_clear(&copy->to);
    points_clear(&copy->chain);
    free(copy->source);
    free(copy->point_folder);
}

static const struct restore_point *original(const struct copy *copy, size_t index)
{
    return list_at(&copy->chain, struct restore_point, index);
}

static const struct restore_point *last(const struct copy *copy)
{
    return original(copy, copy->chain.count - 1);
}

static void copy_id(const struct copy *copy, const struct restore_point *point, char out[UUID_TEXT])
{
    const char *parts[] = {"copy", copy->job->job_id, point->id, NULL};

    if (point == last(copy))
        snprintf(out, UUID_TEXT, "%s", copy->job->job_id);
    else
        uuid_derive(out, parts);
}

static int open_all(struct copy *copy, struct err *err)
{
    const struct strings *roots = copy->backend->config->repositories;
    CLEANUP(point_endp) struct restore_point point = {0};
    char id[UUID_TEXT];

    if (repository_open_ref(copy->params->repository, roots, &copy->from, err) < 0 ||
        repository_open_ref(copy->params->to, roots, &copy->to, err) < 0 ||
        backup_source(copy->job, &copy->from, copy->params->point, &copy->source, err) < 0 ||
        repository_find(&copy->from, copy->source, copy->params->point, &point, &copy->point_folder, err) < 0 ||
        repository_chain(&copy->from, copy->source, copy->params->point, &copy->chain, err) < 0)
        return -1;
    snprintf(copy->source_chain, sizeof copy->source_chain, "%s", copy->point_folder);
    *strrchr(copy->source_chain, '/') = '\0';
    copy_id(copy, copy->params->chain ? original(copy, 0) : last(copy), id);
    if (snprintf(copy->chain_folder, PATH_MAX, "%s/%s/%s", copy->to.path, copy->source, id) >= PATH_MAX - 256)
        return err_set(err, ERR_PERMANENT, "repository %s: its path is too long", copy->to.name);
    return 0;
}

/* ---- what is made ---- */

static int draft_disks(const struct copy *copy, struct restore_point *draft, struct err *err)
{
    for (size_t i = 0; i < draft->disks.count; i++) {
        struct point_disk *disk = list_at(&draft->disks, struct point_disk, i);

        disk->stored_bytes = 0;
        if (string_set(&disk->sha256, NULL, err) < 0 || string_set(&disk->checkpoint, NULL, err) < 0)
            return -1;
        if (disk->file && !name_valid_plain(disk->file))
            return err_set(err, ERR_PERMANENT, "manifest of %s: \"%s\" is no name of a file", draft->copied_point,
                           disk->file);
        if (disk->file && !copy->params->chain && string_set(&disk->mode, "full", err) < 0)
            return -1;
    }
    return 0;
}

static void clear_history(struct restore_point *draft)
{
    for (size_t i = 0; i < draft->verified.count; i++)
        record_clear(&point_verification_record, list_at(&draft->verified, struct point_verification, i));
    free(draft->verified.items);
    draft->verified = (struct list){0};
    draft->revision = 1;
    draft->state = POINT_INCOMPLETE;
    draft->expires_at_ms = draft->removed_at_ms = draft->completed_at_ms = 0;
}

static int draft_of(const struct copy *copy, const struct restore_point *point, struct restore_point *draft,
                    struct err *err)
{
    const struct job *job = copy->job;
    bool flat = !copy->params->chain;
    char id[UUID_TEXT], parent[UUID_TEXT], chain[UUID_TEXT];
    const struct restore_point *below = point->parent ? points_find(&copy->chain, point->parent) : NULL;

    if (record_copy(&restore_point_record, draft, point, err) < 0)
        return -1;
    clear_history(draft);
    copy_id(copy, point, id);
    copy_id(copy, flat ? point : original(copy, 0), chain);
    if (below)
        copy_id(copy, below, parent);
    draft->chain_length = flat ? 1 : point->chain_length;
    if (string_set(&draft->id, id, err) < 0 || string_set(&draft->chain, chain, err) < 0 ||
        string_set(&draft->parent, flat || !below ? NULL : parent, err) < 0 ||
        (flat && string_set(&draft->backup_kind, "full", err) < 0) ||
        string_set(&draft->fallback_reason, NULL, err) < 0 ||
        string_set(&draft->host, copy->backend->config->host, err) < 0 ||
        string_set(&draft->repository, copy->to.id, err) < 0 || string_set(&draft->writer, job->job_id, err) < 0 ||
        string_set(&draft->copied_repository, copy->from.id, err) < 0 ||
        string_set(&draft->copied_point, point->id, err) < 0 || string_set(&draft->policy, job->policy, err) < 0 ||
        string_set(&draft->run, job->run, err) < 0 || string_set(&draft->requested_by, job->requested_by, err) < 0 ||
        string_set(&draft->reason, job->reason, err) < 0)
        return -1;
    return draft_disks(copy, draft, err);
}

/* ---- the steps of one point ---- */

static int add_disk(struct copy *copy, const struct restore_point *draft, const struct point_disk *disk,
                    const char *from, const char *folder, struct plan *plan, struct err *err)
{
    char image[PATH_MAX], target[PATH_MAX], backing[PATH_MAX];
    struct step *step;

    if (snprintf(image, sizeof image, "%s/%s", from, disk->file) >= PATH_MAX ||
        snprintf(target, sizeof target, "%s/%s", folder, disk->file) >= PATH_MAX - 8)
        return err_set(err, ERR_PERMANENT, "%s: path is too long", folder);
    step = plan_add(plan, &step_copy_disk, err, "disk", disk->name, "image", image, "target", target, "source_chain",
                    copy->source_chain, "chain_folder", copy->chain_folder, "as_is", copy->params->chain ? "yes" : NULL,
                    NULL);
    if (!step || facts_set_int(&step->args, "size", disk->size_bytes, err) < 0 ||
        facts_set_int(&step->args, "before", copy->done, err) < 0 ||
        facts_set_int(&step->args, "total", copy->total, err) < 0)
        return -1;
    copy->done += disk->size_bytes;
    if (!draft->parent || strcmp(disk->mode, "incremental") != 0)
        return 0;
    snprintf(backing, sizeof backing, "../%s/%s", draft->parent, disk->file);
    return plan_add(plan, &step_backup_link, err, "backing", backing, "file", target, NULL) ? 0 : -1;
}

static int add_point(struct copy *copy, const struct restore_point *point, struct plan *plan, struct err *err)
{
    CLEANUP(point_endp) struct restore_point draft = {0};
    CLEANUP(freep) char *manifest = NULL;
    char from[PATH_MAX], folder[PATH_MAX];

    if (draft_of(copy, point, &draft, err) < 0)
        return -1;
    if (snprintf(from, sizeof from, "%s/%s", copy->source_chain, point->id) >= PATH_MAX ||
        snprintf(folder, sizeof folder, "%s/%s", copy->chain_folder, draft.id) >= PATH_MAX)
        return err_set(err, ERR_PERMANENT, "%s: path is too long", copy->chain_folder);
    if (record_to_json(&restore_point_record, &draft, false, &manifest, err) < 0 ||
        !plan_add(plan, &step_backup_folder, err, "folder", folder, "chain_folder", copy->chain_folder, "manifest",
                  manifest, "own_chain", "yes", NULL))
        return -1;
    for (size_t i = 0; i < draft.disks.count; i++) {
        const struct point_disk *disk = list_at(&draft.disks, struct point_disk, i);

        if (disk->file && add_disk(copy, &draft, disk, from, folder, plan, err) < 0)
            return -1;
    }
    return 0;
}

static int add_complete(struct copy *copy, const struct restore_point *point, struct plan *plan, struct err *err)
{
    char id[UUID_TEXT], from[PATH_MAX], folder[PATH_MAX];

    copy_id(copy, point, id);
    if (snprintf(from, sizeof from, "%s/%s", copy->source_chain, point->id) >= PATH_MAX ||
        snprintf(folder, sizeof folder, "%s/%s", copy->chain_folder, id) >= PATH_MAX)
        return err_set(err, ERR_PERMANENT, "%s: path is too long", copy->chain_folder);
    return plan_add(plan, &step_copy_complete, err, "from", from, "folder", folder, "chain_folder", copy->chain_folder,
                    NULL)
               ? 0
               : -1;
}

/* ---- before and after ---- */

/* Flat: a disk needs at most its size, and at most what its links have together. */
static int64_t needed(const struct copy *copy)
{
    int64_t bytes = ROOM_FOR_METADATA, stored = 0, size = 0;

    for (size_t i = 0; i < copy->chain.count; i++)
        for (size_t k = 0; k < original(copy, i)->disks.count; k++)
            stored += list_at(&original(copy, i)->disks, struct point_disk, k)->stored_bytes;
    for (size_t k = 0; k < last(copy)->disks.count; k++) {
        const struct point_disk *disk = list_at(&last(copy)->disks, struct point_disk, k);

        size += disk->file ? disk->size_bytes + disk->size_bytes / 1024 : 0;
    }
    return bytes + (copy->params->chain || stored < size ? stored : size);
}

static int add_before(struct copy *copy, struct plan *plan, struct err *err)
{
    CLEANUP(freep) char *names = backup_disk_names(&last(copy)->disks);
    char folder[PATH_MAX];
    struct step *step;

    if (!names)
        return err_memory(err, "disks");
    snprintf(folder, sizeof folder, "%s", copy->chain_folder);
    if (!plan_add(plan, &step_restore_check, err, "repository", copy->from.path, "source", copy->source, "point",
                  last(copy)->id, "chain_folder", copy->source_chain, "disks", names, "room", copy->to.path, NULL))
        return -1;
    step = plan_add(plan, &step_copy_space, err, "repository", copy->to.path, "repository_id", copy->to.id, "folder",
                    folder, NULL);
    return step ? facts_set_int(&step->args, "bytes", needed(copy), err) : -1;
}

/* The newest file of each disk, with all that it stands on, against the original's. */
static int add_compare(struct copy *copy, struct plan *plan, struct err *err)
{
    char image[PATH_MAX], target[PATH_MAX];

    for (size_t i = 0; i < last(copy)->disks.count; i++) {
        const struct point_disk *disk = list_at(&last(copy)->disks, struct point_disk, i);

        if (!disk->file)
            continue;
        if (snprintf(image, sizeof image, "%s/%s", copy->point_folder, disk->file) >= PATH_MAX ||
            snprintf(target, sizeof target, "%s/%s/%s", copy->chain_folder, copy->job->job_id, disk->file) >= PATH_MAX)
            return err_set(err, ERR_PERMANENT, "%s: path is too long", copy->chain_folder);
        if (!plan_add(plan, &step_restore_compare, err, "format", "qcow2", "image", image, "target", target,
                      "chain_folder", copy->source_chain, NULL))
            return -1;
    }
    return 0;
}

static void sum_progress(struct copy *copy)
{
    for (size_t i = copy->params->chain ? 0 : copy->chain.count - 1; i < copy->chain.count; i++)
        for (size_t k = 0; k < original(copy, i)->disks.count; k++) {
            const struct point_disk *disk = list_at(&original(copy, i)->disks, struct point_disk, k);

            copy->total += disk->file ? disk->size_bytes : 0;
        }
}

int plan_backup_copy(struct backend *backend, const struct job *job, struct plan *plan, struct err *err)
{
    CLEANUP(copy_endp) struct copy copy = {.backend = backend, .job = job, .params = job->params};

    if (open_all(&copy, err) < 0)
        return -1;
    sum_progress(&copy);
    if (add_before(&copy, plan, err) < 0)
        return -1;
    size_t first = copy.params->chain ? 0 : copy.chain.count - 1;
    for (size_t i = first; i < copy.chain.count; i++)
        if (add_point(&copy, original(&copy, i), plan, err) < 0)
            return -1;
    if (add_compare(&copy, plan, err) < 0)
        return -1;
    for (size_t i = first; i < copy.chain.count; i++)
        if (add_complete(&copy, original(&copy, i), plan, err) < 0)
            return -1;
    return 0;
}

int report_backup_copy(struct backend *backend, const struct job *job, const struct facts *known, struct report *report,
                       struct err *err)
{
    static const char prefix[] = "copied.";

    (void)backend;
    for (size_t i = 0; i < known->count; i++) {
        const struct fact *fact = &known->items[i];
        struct restore_point *point;

        if (strncmp(fact->key, prefix, sizeof prefix - 1) != 0)
            continue;
        if (!(point = report_add_point(report, err)) || manifest_read(fact->value, point, err) < 0)
            return -1;
    }
    return string_set(&report->result->point, job->job_id, err);
}
