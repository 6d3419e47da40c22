#include "worker/backends/libvirt/removal.h"

#include "base/parse.h"
#include "base/text.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/delete_choice.h"

#include <stdio.h>
#include <string.h>

void removal_endp(struct removal *removal)
{
    repository_clear(&removal->repository);
    points_clear(&removal->points);
    strings_clear(&removal->ids);
    strings_clear(&removal->heirs);
    free(removal->source);
}

int removal_choose(struct backend *backend, const struct job *job, const struct repository_ref *repository,
                   const struct params_backup_delete *what, struct removal *out, struct err *err)
{
    out->really_last = what->really_last;
    if (backup_repository(backend, repository, &out->repository, err) < 0 ||
        backup_source(job, &out->repository, what->point, &out->source, err) < 0)
        return -1;
    if (!out->source)
        return 0;
    if (repository_points(&out->repository, out->source, true, &out->points, NULL, err) < 0 ||
        delete_choose(&out->points, what->point, what->scope, what->merge, &out->ids, err) < 0)
        return -1;
    if (!what->merge || !out->ids.count)
        return delete_check(&out->points, &out->ids, what->really_last, err);
    if (delete_heirs(&out->points, what->point, &out->heirs, err) < 0)
        return -1;
    return delete_check_last(&out->points, &out->ids, what->really_last, err);
}

static char *joined(const struct strings *ids)
{
    struct text text = {0};

    for (size_t i = 0; i < ids->count; i++)
        text_addf(&text, "%s%s", i ? " " : "", ids->items[i]);
    return text_take(&text);
}

static int folder_of(const struct removal *removal, const struct restore_point *point, char **out, struct err *err)
{
    return repository_point_folder(&removal->repository, removal->source, point->chain, point->id, out, err);
}

int removal_add_marks(const struct removal *removal, struct plan *plan, struct err *err)
{
    CLEANUP(freep) char *set = joined(&removal->ids);

    if (!set)
        return err_memory(err, "restore points");
    for (size_t i = 0; i < removal->ids.count; i++) {
        const struct restore_point *point = points_find(&removal->points, removal->ids.items[i]);
        CLEANUP(freep) char *folder = NULL;

        if (point->state == POINT_DELETED)
            continue;
        if (folder_of(removal, point, &folder, err) < 0 || strings_add(&plan->taken_points, point->id, err) < 0 ||
            !plan_add(plan, &step_delete_mark, err, "repository", removal->repository.path, "point", point->id,
                      "folder", folder, "source", removal->source, "set", set, "really_last",
                      removal->really_last ? "yes" : NULL, NULL))
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

int removal_add_files(const struct removal *removal, struct plan *plan, struct err *err)
{
    for (size_t i = 0; i < removal->ids.count; i++) {
        const struct restore_point *point = points_find(&removal->points, removal->ids.items[i]);
        CLEANUP(freep) char *folder = NULL;

        if (folder_of(removal, point, &folder, err) < 0 || lose(plan, point, err) < 0 ||
            !plan_add(plan, &step_delete_files, err, "point", point->id, "folder", folder, NULL))
            return -1;
    }
    return 0;
}

int report_deleted_points(const struct facts *known, struct report *report, struct err *err)
{
    static const char prefix[] = "deleted.";

    for (size_t i = 0; i < known->count; i++) {
        const struct fact *fact = &known->items[i];

        if (strncmp(fact->key, prefix, sizeof prefix - 1) == 0 &&
            report_add_tombstone(report, fact->key + sizeof prefix - 1, facts_get_int(known, fact->key, 0), err) < 0)
            return -1;
    }
    return 0;
}
