/*
 * backup.verify: manifest · [checksum] · [image] · [room · folder · disk … · boot · remove] · record. Each depth holds the ones before it. All but boot need no guest and no
 * hypervisor, only the repository. What it finds is written into the manifest in either case: a point that was found damaged says so from then on.
 *
 * boot makes a restored copy rather than an overlay on the backup: QEMU's user may not read a repository, libvirt would give the backup's files to it, and so the way of a
 * restore is proven as a whole.
 */
#include "model/status.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/backup_tools.h"
#include "worker/backends/libvirt/boot_copy.h"

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

/* ---- boot ---- */

/* Where the copy's disks go; ERR_PERMANENT: this worker has no place for them. */
static int copy_folder(const struct backend *backend, const struct job *job, char out[PATH_MAX], struct err *err)
{
    const struct strings *pools = backend->config->pools;
    char name[BOOT_NAME];

    if (!pools || !pools->count) {
        err_set(err, ERR_PERMANENT, "this worker has no pool for the disks of a copy");
        return err_hint(err, "add one to pools in its configuration, or --depth image");
    }
    if (snprintf(out, PATH_MAX, "%s/%s", pools->items[0], boot_copy_name(job->job_id, name)) >= PATH_MAX)
        return err_set(err, ERR_PERMANENT, "%s: path is too long", pools->items[0]);
    return 0;
}

/* The memory of the machine in KiB, as text; ERR_PERMANENT where nothing could be heard of the copy. */
static int check_definition(struct restore *restore, const struct job *job, const char *folder, char memory[24],
                            struct err *err)
{
    const struct params_backup_verify *params = job->params;
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;

    if (restore_definition(restore, folder, &doc, err) < 0 || boot_copy_isolate(doc, job->job_id, folder, err) < 0)
        return -1;
    if (!params->console &&
        !xml_find(xmlDocGetRootElement(doc), "devices/channel/target[@name='org.qemu.guest_agent.0']")) {
        err_set(err, ERR_PERMANENT, "%s has no guest agent, so nothing says that its copy has booted",
                job->target.name ? job->target.name : restore->point.id);
        return err_hint(err, "say what its console shows when it is up: --console TEXT");
    }
    snprintf(memory, 24, "%lld", (long long)boot_copy_memory_kib(doc));
    return 0;
}

static int add_boot(struct backend *backend, const struct job *job, const struct repository *repository,
                    const char *chain_folder, const struct restore_point *point, struct plan *plan, struct err *err)
{
    CLEANUP(restore_end) struct restore restore = {0};
    struct params_backup_restore as;
    char folder[PATH_MAX], room[PATH_MAX], memory[24];

    if (copy_folder(backend, job, folder, err) < 0 ||
        boot_copy_open(backend, job, point->target.id, &as, &restore, err) < 0 ||
        check_definition(&restore, job, folder, memory, err) < 0)
        return -1;
    snprintf(room, sizeof room, "%s", folder);
    *strrchr(room, '/') = '\0';
    if (!plan_add(plan, &step_boot_room, err, "repository", repository->path, "chain_folder", chain_folder, "source",
                  point->target.id, "point", point->id, "room", room, "memory", memory, NULL) ||
        !plan_add(plan, &step_restore_folder, err, "folder", folder, "point", point->id, NULL) ||
        restore_add_disks(&restore, plan, err) < 0)
        return -1;
    return plan_add(plan, &step_verify_boot, err, "repository", repository->path, "chain_folder", chain_folder,
                    "source", point->target.id, "point", point->id, "folder", folder, NULL) &&
                   plan_add(plan, &step_boot_remove, err, "folder", folder, NULL)
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

    if (find(backend, job, &repository, &point, &folder, err) < 0)
        return -1;
    if (point.state != POINT_COMPLETE)
        return err_set(err, ERR_PERMANENT, "restore point %s is %s", point.id, point_state_names[point.state]);
    *strrchr(folder, '/') = '\0';
    for (int depth = VERIFY_MANIFEST; depth <= params->depth && depth < VERIFY_BOOT; depth++)
        if (add(plan, by_depth[depth], &repository, folder, &point, err) < 0)
            return -1;
    if (params->depth == VERIFY_BOOT && add_boot(backend, job, &repository, folder, &point, plan, err) < 0)
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
