/*
 * backup.delete: [space · merge-disk … · merge-swap …] · mark … · files … · [checkpoints]; removal.h says why in this order, merge.h how a point that others build on can go.
 * Decided from the manifests alone, here and again by "mark" under the lock. The guest need not exist.
 */
#include "base/text.h"
#include "model/status.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/backup_xml.h"
#include "worker/backends/libvirt/merge.h"

#include <stdio.h>
#include <string.h>

static bool left_checkpoint(const struct restore_point *point)
{
    for (size_t i = 0; i < point->disks.count; i++)
        if (list_at(&point->disks, struct point_disk, i)->checkpoint)
            return true;
    return false;
}

static int add_checkpoints(const struct removal *removal, struct plan *plan, struct err *err)
{
    struct text names = {0};
    struct step *step = NULL;
    char name[CHECKPOINT_NAME];

    for (size_t i = 0; i < removal->ids.count; i++)
        if (left_checkpoint(points_find(&removal->points, removal->ids.items[i])))
            text_addf(&names, "%s%s", names.len ? " " : "", checkpoint_name(removal->ids.items[i], name));
    if (names.len)
        step = plan_add(plan, &step_delete_checkpoint, err, "checkpoints", text_str(&names), NULL);
    if (names.len && !step) {
        text_free(&names);
        return -1;
    }
    text_free(&names);
    return 0;
}

static int set_pins(const struct removal *removal, struct plan *plan, struct err *err)
{
    if (asprintf(&plan->pins_key, "repository:%s", removal->repository.id) >= 0)
        return 0;
    plan->pins_key = NULL;
    return err_memory(err, "pins");
}

int plan_backup_delete(struct backend *backend, const struct job *job, struct plan *plan, struct err *err)
{
    const struct params_backup_delete *params = job->params;
    CLEANUP(removal_endp) struct removal removal = {0};

    if (removal_choose(backend, job, params->repository, params, &removal, err) < 0)
        return -1;
    if (!removal.ids.count)
        return facts_set(&plan->facts, "already_gone", "yes", err);
    if ((params->merge && merge_add_facts(&removal, plan, err) < 0) ||
        (removal.heirs.count && merge_add_steps(&removal, job, plan, err) < 0))
        return -1;
    if (set_pins(&removal, plan, err) < 0 || removal_add_marks(&removal, plan, err) < 0 ||
        removal_add_files(&removal, plan, err) < 0)
        return -1;
    return strcmp(job->target.kind, "libvirt") == 0 ? add_checkpoints(&removal, plan, err) : 0;
}

int report_backup_delete(struct backend *backend, const struct job *job, const struct facts *known,
                         struct report *report, struct err *err)
{
    const struct params_backup_delete *params = job->params;

    if (report_merged_points(backend, job, known, report, err) < 0)
        return -1;
    return report_deleted_points(known, report, err) < 0 ? -1 : string_set(&report->result->point, params->point, err);
}
