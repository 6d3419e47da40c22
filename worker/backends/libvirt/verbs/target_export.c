/*
 * target.export: a consistent view of a guest that runs, served by the hypervisor itself to somebody else's tool.
 *
 *     room · images · [redefine] · [freeze] begin [thaw] · export │ end · [prune]
 *
 * An incremental one counts from the checkpoint of an earlier export (or backup) and says by a dirty bitmap what has changed since. Without a repository there is no manifest:
 * which checkpoints are an export's is said by their mark.
 */
#include "base/file.h"
#include "base/text.h"
#include "model/status.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/backup_choice.h"
#include "worker/backends/libvirt/backup_disks.h"
#include "worker/backends/libvirt/backup_look.h"
#include "worker/backends/libvirt/backup_xml.h"
#include "worker/backends/libvirt/export.h"
#include "worker/backends/libvirt/inventory.h"

#include <stdio.h>
#include <string.h>

#define EXPORT_LEVEL "export" /* in the mark of its checkpoint */
enum { MIN_FREE_SHARE = 10 };

struct export
{
    struct libvirt_backend *backend;
    const struct job *job;
    const struct params_target_export *params;
    virDomainPtr domain;
    struct list disks; /* struct point_disk */
    int64_t *allocated;
    struct strings checkpoints;  /* of earlier exports, oldest first */
    struct restore_point parent; /* as far as its checkpoint says; id NULL: full */
    int parent_state;            /* enum checkpoint_state */
    char folder[PATH_MAX];
    char inner_path[EXPORT_SOCKET_MAX + sizeof EXPORT_INNER];
    const char *inner;                /* where the hypervisor listens, of a unix socket; else NULL */
    char checkpoint[CHECKPOINT_NAME]; /* empty: none is made */
};

static void export_endp(struct export *export)
{
    domain_freep(&export->domain);
    point_disks_clear(&export->disks);
    free(export->allocated);
    strings_clear(&export->checkpoints);
    restore_point_clear(&export->parent);
}

/* ---- look ---- */

static bool made_by_export(virDomainCheckpointPtr checkpoint)
{
    CLEANUP(freep) char *description = checkpoint_description(checkpoint);
    char job[UUID_TEXT], level[MARK_LEVEL];

    return mark_read(description, job, level) && strcmp(level, EXPORT_LEVEL) == 0;
}

static int look_at_checkpoints(struct export *export, struct err *err)
{
    virDomainCheckpointPtr *checkpoints = NULL;
    int count = virDomainListAllCheckpoints(export->domain, &checkpoints, VIR_DOMAIN_CHECKPOINT_LIST_TOPOLOGICAL);
    int failed = 0;

    if (count < 0)
        return libvirt_err(err, "checkpoints");
    for (int i = 0; i < count; i++) {
        const char *name = virDomainCheckpointGetName(checkpoints[i]);

        if (failed == 0 && checkpoint_point_id(name) && made_by_export(checkpoints[i]))
            failed = strings_add(&export->checkpoints, name, err);
        virDomainCheckpointFree(checkpoints[i]);
    }
    free(checkpoints);
    return failed;
}

static int look(struct export *export, struct err *err)
{
    int active;

    if (libvirt_domain(export->backend, export->job->target.id, &export->domain, err) < 0)
        return -1;
    active = virDomainIsActive(export->domain);
    if (active < 0)
        return libvirt_err(err, "state");
    if (!active) {
        err_set(err, ERR_PERMANENT, "the guest is off: the hypervisor that would serve its disks does not run");
        return err_hint(err, "start it, or back it up: fleetsnap backup create");
    }
    if (backup_look_at_disks(export->domain, &export->params->include, &export->params->exclude, &export->disks,
                             &export->allocated, err) < 0 ||
        backup_no_other_job(export->domain, &export->disks, err) < 0)
        return -1;
    return look_at_checkpoints(export, err);
}

/* ---- scratch and socket ---- */

static int choose_room(struct export *export, struct err *err)
{
    const struct export_server server = {.socket = export->params->socket, .inner = export->inner};
    int64_t free_bytes, total_bytes;
    char pool[PATH_MAX];

    if (pool_directory(&export->backend->base, export->params->scratch, pool, err) < 0 ||
        file_free_space(pool, &free_bytes, &total_bytes, err) < 0)
        return -1;
    if (free_bytes < total_bytes / MIN_FREE_SHARE) {
        err_set(err, ERR_RETRY, "scratch %s: its file system is nearly full, and a full one would stop the guest", pool);
        return err_hint(err, "make room there, or name another pool with --scratch");
    }
    if (snprintf(export->folder, PATH_MAX, "%s/" EXPORT_PLACE "/%s/%s", pool, export->job->target.id,
                 export->job->job_id) >= PATH_MAX)
        return err_set(err, ERR_PERMANENT, "%s: path is too long", pool);
    return export_socket_free(&server, err);
}

/* ---- full or incremental ---- */

static const char *parent_id(const struct export *export)
{
    const struct strings *all = &export->checkpoints;

    if (export->params->parent)
        return export->params->parent;
    return all->count ? checkpoint_point_id(all->items[all->count - 1]) : NULL;
}

/* The parent as a restore point: its id, and which bitmap each of the disks would have. */
static int draft_parent(struct export *export, const char *id, struct err *err)
{
    char name[CHECKPOINT_NAME];

    if (string_set(&export->parent.id, id, err) < 0)
        return -1;
    for (size_t i = 0; i < export->disks.count; i++) {
        struct point_disk *disk = list_add(&export->parent.disks, &point_disk_record, err);

        if (!disk || record_copy(&point_disk_record, disk, list_at(&export->disks, struct point_disk, i), err) < 0)
            return -1;
    }
    return backup_disks_finish(&export->parent.disks, true, checkpoint_name(id, name), err);
}

static int refuse_parent(const struct export *export, const char *id, struct err *err)
{
    if (export->parent_state == CHECKPOINT_GONE)
        err_set(err, ERR_CONFLICT, "incremental: the machine has no checkpoint of job %.8s", id);
    else
        err_set(err, ERR_CONFLICT, "incremental: the checkpoint of job %.8s is broken, or lacks one of the disks", id);
    return err_hint(err, "take a full one: --kind full");
}

static int choose_parent(struct export *export, struct err *err)
{
    const char *id = parent_id(export);

    if (export->params->kind != EXPORT_INCREMENTAL)
        return 0;
    if (export->backend->version < VERSION_INCREMENTAL)
        return err_set(err, ERR_PERMANENT, "incremental: this libvirt is older than 7.6");
    if (!id) {
        err_set(err, ERR_CONFLICT, "incremental: no export of this machine has left a checkpoint to count from");
        return err_hint(err, "take a full one first, or name a backup with --parent");
    }
    if (draft_parent(export, id, err) < 0 ||
        checkpoint_look(export->domain, &export->parent, &export->parent_state, NULL, err) < 0)
        return -1;
    return export->parent_state == CHECKPOINT_SOUND || export->parent_state == CHECKPOINT_FORGOTTEN
               ? 0
               : refuse_parent(export, id, err);
}

static int choose_checkpoint(struct export *export, struct err *err)
{
    bool any = false, incremental = export->parent.id != NULL;

    checkpoint_name(export->job->job_id, export->checkpoint);
    if (backup_disks_finish(&export->disks, incremental, export->checkpoint, err) < 0)
        return -1;
    for (size_t i = 0; i < export->disks.count; i++)
        any = any || list_at(&export->disks, struct point_disk, i)->checkpoint;
    if (any)
        return 0;
    export->checkpoint[0] = '\0';
    return incremental ? err_set(err, ERR_PERMANENT, "incremental: none of the disks can be; raw ones keep no bitmaps")
                       : 0;
}

/* ---- list the steps ---- */

/* The scratch files: made before QEMU sees them, as those of a push. */
static int add_images(const struct export *export, struct plan *plan, struct err *err)
{
    struct step *step = plan_add(plan, &step_backup_images, err, NULL);
    char key[160], file[PATH_MAX];

    for (size_t i = 0; step && i < export->disks.count; i++) {
        const struct point_disk *disk = list_at(&export->disks, struct point_disk, i);

        if (strcmp(disk->mode, "excluded") == 0)
            continue;
        if (snprintf(file, sizeof file, "%s/%s", export->folder, disk->file) >= (int)sizeof file)
            return err_set(err, ERR_PERMANENT, "%s: path is too long", export->folder);
        snprintf(key, sizeof key, "file:%s", disk->name);
        if (facts_set(&step->args, key, file, err) < 0)
            return -1;
        snprintf(key, sizeof key, "size:%s", disk->name);
        if (facts_set_int(&step->args, key, disk->size_bytes, err) < 0)
            return -1;
    }
    return step ? 0 : -1;
}

static int add_redefine(const struct export *export, struct plan *plan, struct err *err)
{
    CLEANUP(freep) char *xml = NULL;

    if (!export->parent.id || export->parent_state != CHECKPOINT_FORGOTTEN)
        return 0;
    if (checkpoint_redefine_xml(&export->parent, &xml, err) < 0)
        return -1;
    return plan_add(plan, &step_backup_redefine, err, "xml", xml, NULL) ? 0 : -1;
}

static const char *tls_of(const struct export *export)
{
    return export->params->tls ? "yes" : NULL;
}

static int add_begin(const struct export *export, struct plan *plan, struct err *err)
{
    struct params_target_export where = *export->params;
    CLEANUP(freep) char *names = backup_disk_names(&export->disks);
    CLEANUP(freep) char *mark = mark_add(NULL, export->job->job_id, EXPORT_LEVEL);
    CLEANUP(freep) char *backup = NULL;
    CLEANUP(freep) char *checkpoint = NULL;
    char base[CHECKPOINT_NAME];
    bool keeps = export->checkpoint[0] != '\0';

    if (!names || !mark)
        return err_memory(err, "export");
    where.socket = (char *)export->inner;
    if (backup_pull_xml(&export->disks, export->folder,
                        export->parent.id ? checkpoint_name(export->parent.id, base) : NULL, &where, &backup, err) < 0 ||
        (keeps && checkpoint_xml(&export->disks, export->checkpoint, mark, &checkpoint, err) < 0))
        return -1;
    return plan_add(plan, &step_backup_begin, err, "folder", export->folder, "backup_xml", backup, "checkpoint_xml",
                    checkpoint, "checkpoint", keeps ? export->checkpoint : NULL, "disks", names, "server", "nbd",
                    "socket", export->params->socket, "inner", export->inner, "address", export->params->address, "tls",
                    tls_of(export), NULL)
               ? 0
               : -1;
}

/* "vda vdb": those that have a bitmap of what changed. */
static char *incremental_names(const struct list *disks)
{
    struct text names = {0};

    for (size_t i = 0; i < disks->count; i++) {
        const struct point_disk *disk = list_at(disks, struct point_disk, i);

        if (strcmp(disk->mode, "incremental") == 0)
            text_addf(&names, "%s%s", names.len ? " " : "", disk->name);
    }
    return names.failed ? (text_free(&names), NULL) : names.len ? text_take(&names) : strdup("");
}

static int add_export(const struct export *export, struct plan *plan, struct err *err)
{
    CLEANUP(freep) char *names = backup_disk_names(&export->disks);
    CLEANUP(freep) char *incremental = incremental_names(&export->disks);
    struct step *step;

    if (!names || !incremental)
        return err_memory(err, "disks");
    step = plan_add(plan, &step_export, err, "folder", export->folder, "disks", names, "incremental", incremental,
                    "socket", export->params->socket, "inner", export->inner, "address", export->params->address, "tls",
                    tls_of(export), NULL);
    if (!step || facts_set_int(&step->args, "idle_timeout_ms", export->params->idle_timeout_ms, err) < 0 ||
        facts_set_int(&step->args, "limit_bytes", export->params->scratch_limit, err) < 0)
        return -1;
    return plan_add(plan, &step_export_end, err, "folder", export->folder, "socket", export->params->socket, "inner",
                    export->inner, "address", export->params->address, NULL)
               ? 0
               : -1;
}

static int add_moment(const struct export *export, struct plan *plan, struct err *err)
{
    bool frozen = false;

    if (plan_freeze(export->backend, export->domain, export->params->quiesce, plan, &frozen, err) < 0 ||
        add_begin(export, plan, err) < 0 ||
        (frozen && !plan_add(plan, &step_thaw, err, "quiesce", quiesce_names[export->params->quiesce], NULL)))
        return -1;
    return facts_set(&plan->facts, "level", frozen ? "filesystem" : "crash", err);
}

/* As of backups: a new full serves for all that comes, and each checkpoint costs something at every write. */
static int add_prune(const struct export *export, struct plan *plan, struct err *err)
{
    CLEANUP(text_freep) struct text names = {0};

    for (size_t i = 0; !export->parent.id && export->checkpoint[0] && i < export->checkpoints.count; i++)
        text_addf(&names, "%s%s", names.len ? " " : "", export->checkpoints.items[i]);
    if (names.failed)
        return err_memory(err, "checkpoints");
    return names.len == 0 || plan_add(plan, &step_backup_prune, err, "checkpoints", text_str(&names), NULL) ? 0 : -1;
}

int plan_target_export(struct backend *backend, const struct job *job, struct plan *plan, struct err *err)
{
    CLEANUP(export_endp)
    struct export export = {.backend = libvirt_of(backend), .job = job, .params = job->params};

    if (export.params->socket &&
        snprintf(export.inner_path, sizeof export.inner_path, "%s" EXPORT_INNER, export.params->socket) > 0)
        export.inner = export.inner_path;
    if (libvirt_connect(export.backend, err) < 0 || look(&export, err) < 0 || choose_room(&export, err) < 0 ||
        choose_parent(&export, err) < 0 || choose_checkpoint(&export, err) < 0)
        return -1;
    if (facts_set(&plan->facts, "kind", export_kind_names[export.params->kind], err) < 0 ||
        (export.parent.id && facts_set(&plan->facts, "parent", export.parent.id, err) < 0))
        return -1;
    if (!plan_add(plan, &step_export_room, err, "folder", export.folder, "socket", export.params->socket, "inner",
                  export.inner, NULL) ||
        add_images(&export, plan, err) < 0 || add_redefine(&export, plan, err) < 0 ||
        add_moment(&export, plan, err) < 0 || add_export(&export, plan, err) < 0)
        return -1;
    return add_prune(&export, plan, err);
}
