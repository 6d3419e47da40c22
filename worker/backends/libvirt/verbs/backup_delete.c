/*
 * backup.delete: mark … · files … · [checkpoints]. Leaves first, so that at every moment what is left is whole. Marking is a rename: it needs no room, hides the point
 * from every reader, and can be taken back; once the first file is gone there is only forward.
 *
 * Decided from the manifests alone, here and again by "mark" under the lock. The guest need not exist.
 */
#include "base/parse.h"
#include "base/text.h"
#include "model/status.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/backup_tools.h"
#include "worker/backends/libvirt/backup_xml.h"
#include "worker/backends/libvirt/delete_choice.h"

#include <stdio.h>
#include <string.h>

struct remove {
    struct backend *backend;
    const struct job *job;
    const struct params_backup_delete *params;
    struct repository repository;
    struct list points;
    char *source;       /* whose points: a target's id */
    struct strings ids; /* leaves first */
};

static void remove_end(struct remove *remove)
{
    repository_clear(&remove->repository);
    points_clear(&remove->points);
    strings_clear(&remove->ids);
    free(remove->source);
}

static char *joined(const struct strings *ids)
{
    struct text text = {0};

    for (size_t i = 0; i < ids->count; i++)
        text_addf(&text, "%s%s", i ? " " : "", ids->items[i]);
    return text_take(&text);
}

static int folder_of(const struct remove *remove, const struct restore_point *point, char **out, struct err *err)
{
    return repository_point_folder(&remove->repository, remove->source, point->chain, point->id, out, err);
}

static int add_marks(struct remove *remove, struct plan *plan, struct err *err)
{
    CLEANUP(freep) char *set = joined(&remove->ids);

    if (!set)
        return err_memory(err, "restore points");
    for (size_t i = 0; i < remove->ids.count; i++) {
        const struct restore_point *point = points_find(&remove->points, remove->ids.items[i]);
        CLEANUP(freep) char *folder = NULL;

        if (point->state == POINT_DELETED)
            continue;
        if (folder_of(remove, point, &folder, err) < 0 || strings_add(&plan->taken_points, point->id, err) < 0 ||
            !plan_add(plan, &step_delete_mark, err, "repository", remove->repository.path, "point", point->id, "folder",
                      folder, "source", remove->source, "set", set, "really_last",
                      remove->params->really_last ? "yes" : NULL, NULL))
            return -1;
    }
    return 0;
}

static int lose(struct plan *plan, const struct restore_point *point, struct err *err)
{
    char when[64], size[32];

    return plan_lose(
        plan, err, "the %s backup %s of %s, made %s, %s", point->backup_kind ? point->backup_kind : "unfinished",
        point->id, point->target.name ? point->target.name : point->target.id,
        format_time(point->created_at_ms, true, when, sizeof when), format_size(point->size_bytes, size, sizeof size));
}

static int add_files(struct remove *remove, struct plan *plan, struct err *err)
{
    for (size_t i = 0; i < remove->ids.count; i++) {
        const struct restore_point *point = points_find(&remove->points, remove->ids.items[i]);
        CLEANUP(freep) char *folder = NULL;

        if (folder_of(remove, point, &folder, err) < 0 || lose(plan, point, err) < 0 ||
            !plan_add(plan, &step_delete_files, err, "point", point->id, "folder", folder, NULL))
            return -1;
    }
    return 0;
}

static bool left_checkpoint(const struct restore_point *point)
{
    for (size_t i = 0; i < point->disks.count; i++)
        if (list_at(&point->disks, struct point_disk, i)->checkpoint)
            return true;
    return false;
}

static int add_checkpoints(struct remove *remove, struct plan *plan, struct err *err)
{
    struct text names = {0};
    struct step *step = NULL;
    char name[CHECKPOINT_NAME];

    for (size_t i = 0; i < remove->ids.count; i++)
        if (left_checkpoint(points_find(&remove->points, remove->ids.items[i])))
            text_addf(&names, "%s%s", names.len ? " " : "", checkpoint_name(remove->ids.items[i], name));
    if (names.len)
        step = plan_add(plan, &step_delete_checkpoint, err, "checkpoints", text_str(&names), NULL);
    if (names.len && !step) {
        text_free(&names);
        return -1;
    }
    text_free(&names);
    return 0;
}

static int set_pins(const struct remove *remove, struct plan *plan, struct err *err)
{
    if (asprintf(&plan->pins_key, "repository:%s", remove->repository.id) >= 0)
        return 0;
    plan->pins_key = NULL;
    return err_memory(err, "pins");
}

int plan_backup_delete(struct backend *backend, const struct job *job, struct plan *plan, struct err *err)
{
    CLEANUP(remove_end) struct remove remove = {.backend = backend, .job = job, .params = job->params};
    const struct params_backup_delete *params = remove.params;

    if (backup_repository(backend, params->repository, &remove.repository, err) < 0 ||
        backup_source(job, &remove.repository, params->point, &remove.source, err) < 0)
        return -1;
    if (!remove.source)
        return facts_set(&plan->facts, "already_gone", "yes", err);
    if (repository_points(&remove.repository, remove.source, true, &remove.points, NULL, err) < 0 ||
        delete_choose(&remove.points, params->point, params->scope, params->merge, &remove.ids, err) < 0 ||
        delete_check(&remove.points, &remove.ids, params->really_last, err) < 0)
        return -1;
    if (!remove.ids.count)
        return facts_set(&plan->facts, "already_gone", "yes", err);
    if (set_pins(&remove, plan, err) < 0 || add_marks(&remove, plan, err) < 0 || add_files(&remove, plan, err) < 0)
        return -1;
    return strcmp(job->target.kind, "libvirt") == 0 ? add_checkpoints(&remove, plan, err) : 0;
}

int report_backup_delete(struct backend *backend, const struct job *job, const struct facts *known,
                         struct report *report, struct err *err)
{
    static const char prefix[] = "deleted.";
    const struct params_backup_delete *params = job->params;

    (void)backend;
    for (size_t i = 0; i < known->count; i++) {
        const struct fact *fact = &known->items[i];

        if (strncmp(fact->key, prefix, sizeof prefix - 1) == 0 &&
            report_add_tombstone(report, fact->key + sizeof prefix - 1, facts_get_int(known, fact->key, 0), err) < 0)
            return -1;
    }
    return string_set(&report->result->point, params->point, err);
}
