/*
 * backup.verify: manifest · [checksum] · [image] · record. Each depth holds the ones before it. It needs no guest and no hypervisor, only the repository.
 * What it finds is written into the manifest in either case: a point that was found damaged says so from then on.
 */
#include "model/status.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/backup_tools.h"

#include <stdio.h>
#include <string.h>

static int find(struct backend *backend, const struct job *job, struct repository *repository,
                struct restore_point *point, char **folder, struct err *err)
{
    const struct params_backup_verify *params = job->params;
    CLEANUP(freep) char *source = NULL;

    if (backup_repository(backend, params->repository, repository, err) < 0 ||
        backup_source(job, repository, params->point, &source, err) < 0)
        return -1;
    if (!source)
        return err_set(err, ERR_PERMANENT, "repository %s has no restore point %s", repository->name, params->point);
    return repository_find(repository, source, params->point, point, folder, err);
}

static int add(struct plan *plan, const struct step_type *type, const struct repository *repository,
               const char *chain_folder, const struct restore_point *point, struct err *err)
{
    return plan_add(plan, type, err, "repository", repository->path, "chain_folder", chain_folder, "source",
                    point->target.id, "point", point->id, NULL)
               ? 0
               : -1;
}

int plan_backup_verify(struct backend *backend, const struct job *job, struct plan *plan, struct err *err)
{
    static const struct step_type *const by_depth[] = {&step_verify_manifest, &step_verify_checksum, &step_verify_image};
    const struct params_backup_verify *params = job->params;
    CLEANUP(repository_endp) struct repository repository = {0};
    CLEANUP(point_endp) struct restore_point point = {0};
    CLEANUP(freep) char *folder = NULL;

    if (params->depth == VERIFY_BOOT) {
        err_set(err, ERR_PERMANENT, "boot verification is not available in this version");
        return err_hint(err, "--depth image");
    }
    if (find(backend, job, &repository, &point, &folder, err) < 0)
        return -1;
    if (point.state != POINT_COMPLETE)
        return err_set(err, ERR_PERMANENT, "restore point %s is %s", point.id, point_state_names[point.state]);
    *strrchr(folder, '/') = '\0';
    for (int depth = VERIFY_MANIFEST; depth <= params->depth; depth++)
        if (add(plan, by_depth[depth], &repository, folder, &point, err) < 0)
            return -1;
    return add(plan, &step_verify_record, &repository, folder, &point, err);
}

int report_backup_verify(struct backend *backend, const struct job *job, const struct facts *known,
                         struct report *report, struct err *err)
{
    const struct params_backup_verify *params = job->params;
    CLEANUP(repository_endp) struct repository repository = {0};
    struct restore_point *point = report_add_point(report, err);

    (void)known;
    if (!point)
        return -1;
    restore_point_clear(point);
    if (find(backend, job, &repository, point, NULL, err) < 0)
        return -1;
    return string_set(&report->result->point, params->point, err);
}
