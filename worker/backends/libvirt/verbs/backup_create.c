/*
 * backup.create. A guest that runs (or is paused) is read by the hypervisor: one push job over all disks, begun inside the freeze, with a checkpoint for the next
 * incremental. A guest that is off is read by qemu-img, one disk after the other, and is always a full.
 *
 *     space · folder · [redefine] · images · [barrier] [freeze] [barrier] begin [thaw] · push   │ complete · prune
 *     space · folder · [barrier] [barrier] convert …                                            │
 *
 * The barriers are those of a consistency group (docs/groups.md). A guest that is off stands still anyway; one that is started before it is copied makes its step fail.
 *
 * The manifest of the new point is drafted here, written incomplete by "folder" and finished by "complete".
 */
#include "base/clock.h"
#include "base/text.h"
#include "model/status.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/backup_choice.h"
#include "worker/backends/libvirt/backup_disks.h"
#include "worker/backends/libvirt/backup_look.h"
#include "worker/backends/libvirt/backup_tools.h"
#include "worker/backends/libvirt/backup_xml.h"
#include "worker/backends/libvirt/inventory.h"

#include <stdio.h>
#include <string.h>

enum { ROOM_FOR_METADATA = 4 << 20 };

struct create {
    struct libvirt_backend *backend;
    const struct job *job;
    const struct params_backup_create *params;
    virDomainPtr domain;
    bool active;
    struct repository repository;
    struct list points;
    struct restore_point draft;
    int64_t *allocated;  /* by disk of the draft: what it occupies */
    int64_t dirty_bytes; /* since the last point that was asked for: in the end that is the parent */
    struct backup_choice choice;
    char chain_folder[PATH_MAX], folder[PATH_MAX];
    char checkpoint[CHECKPOINT_NAME]; /* empty: none is made */
};

static void create_end(struct create *create)
{
    domain_freep(&create->domain);
    repository_clear(&create->repository);
    points_clear(&create->points);
    restore_point_clear(&create->draft);
    free(create->allocated);
}

/* ---- look ---- */

static int look(struct create *create, struct err *err)
{
    int active;

    if (libvirt_domain(create->backend, create->job->target.id, &create->domain, err) < 0)
        return -1;
    active = virDomainIsActive(create->domain);
    if (active < 0)
        return libvirt_err(err, "state");
    create->active = active;
    if (create->active && create->params->compress) {
        err_set(err, ERR_PERMANENT, "compress is not possible for a guest that runs: the hypervisor writes the files");
        return err_hint(err, "leave compress out, or back up while the guest is off");
    }
    if (backup_look_at_disks(create->domain, &create->params->include, &create->params->exclude, &create->draft.disks,
                             &create->allocated, err) < 0 ||
        (create->active && backup_no_other_job(create->domain, &create->draft.disks, err) < 0) ||
        backup_repository(&create->backend->base, create->params->repository, &create->repository, err) < 0)
        return -1;
    return repository_points(&create->repository, create->job->target.id, false, &create->points, NULL, err);
}

/* ---- decide ---- */

static enum checkpoint_state ask_checkpoint(void *context, const struct restore_point *point)
{
    struct create *create = context;
    int state;

    create->dirty_bytes = 0;
    if (checkpoint_look(create->domain, point, &state, &create->dirty_bytes, NULL) < 0)
        return CHECKPOINT_GONE;
    return (enum checkpoint_state)state;
}

static int decide(struct create *create, struct err *err)
{
    const struct backup_wish wish = {
        .kind = create->params->kind,
        .parent = create->params->parent,
        .max_chain = create->params->max_chain,
        .max_chain_ms = create->params->max_chain_ms,
        .now_ms = clock_real_ms(),
        .active = create->active,
        .unable = create->backend->version < VERSION_INCREMENTAL ? "this libvirt is older than 7.6" : NULL,
        .disks = &create->draft.disks,
        .points = &create->points,
        .checkpoint = ask_checkpoint,
        .context = create,
    };
    const char *checkpoint = NULL;

    if (backup_choose(&wish, &create->choice, err) < 0)
        return -1;
    if (create->active && !create->params->isolated)
        checkpoint = checkpoint_name(create->job->job_id, create->checkpoint);
    if (backup_disks_finish(&create->draft.disks, create->choice.parent != NULL, checkpoint, err) < 0)
        return -1;
    for (size_t i = 0; checkpoint && i < create->draft.disks.count; i++)
        if (list_at(&create->draft.disks, struct point_disk, i)->checkpoint)
            return 0;
    create->checkpoint[0] = '\0'; /* only raw disks: nothing would be in it */
    return 0;
}

static int place(struct create *create, struct err *err)
{
    const struct restore_point *parent = create->choice.parent;
    const char *chain = parent ? parent->chain : create->job->job_id;

    if (snprintf(create->chain_folder, PATH_MAX, "%s/%s/%s", create->repository.path, create->job->target.id, chain) >=
            PATH_MAX ||
        snprintf(create->folder, PATH_MAX, "%s/%s", create->chain_folder, create->job->job_id) >= PATH_MAX)
        return err_set(err, ERR_PERMANENT, "repository %s: its path is too long", create->repository.name);
    return 0;
}

/* Nothing in a draft changes from one planning to the next but what people should notice: no times, no amounts. */
static int draft(struct create *create, struct err *err)
{
    const struct job *job = create->job;
    const struct restore_point *parent = create->choice.parent;
    struct restore_point *point = &create->draft;
    const char *reason = create->choice.fallback_reason;

    point->format = 1;
    point->revision = 1;
    point->state = POINT_INCOMPLETE;
    point->chain_length = parent ? parent->chain_length + 1 : 1;
    if (string_set(&point->id, job->job_id, err) < 0 || string_set(&point->kind, "backup", err) < 0 ||
        record_copy(&target_record, &point->target, &job->target, err) < 0 ||
        string_set(&point->host, create->backend->base.config->host, err) < 0 ||
        string_set(&point->description, create->params->description, err) < 0 ||
        string_set(&point->backup_kind, backup_kind_names[create->choice.kind], err) < 0 ||
        string_set(&point->parent, parent ? parent->id : NULL, err) < 0 ||
        string_set(&point->chain, parent ? parent->chain : job->job_id, err) < 0 ||
        string_set(&point->repository, create->repository.id, err) < 0 ||
        string_set(&point->fallback_reason, reason[0] ? reason : NULL, err) < 0 ||
        string_set(&point->policy, job->policy, err) < 0 || string_set(&point->run, job->run, err) < 0 ||
        string_set(&point->requested_by, job->requested_by, err) < 0 ||
        string_set(&point->reason, job->reason, err) < 0 || string_set(&point->writer, job->job_id, err) < 0)
        return -1;
    if (!point->target.name && string_set(&point->target.name, virDomainGetName(create->domain), err) < 0)
        return -1;
    if (barrier_name_group(point, job, err) < 0)
        return -1;
    return place(create, err);
}

/* ---- list the steps ---- */

/*
 * How much the new point will need: what full disks occupy and what has changed on the others. Said here, where both were just asked for: QEMU takes milliseconds for each answer.
 * And why it is a full one, where that was not asked for: the dry run has no other place for it.
 */
static int estimate(const struct create *create, struct plan *plan, struct err *err)
{
    int64_t dirty = create->choice.parent ? create->dirty_bytes : 0, bytes = dirty + ROOM_FOR_METADATA;

    for (size_t i = 0; i < create->draft.disks.count; i++)
        if (strcmp(list_at(&create->draft.disks, struct point_disk, i)->mode, "full") == 0)
            bytes += create->allocated[i];
    if (dirty && facts_set_int(&plan->facts, "dirty_bytes", dirty, err) < 0)
        return -1;
    if (create->choice.fallback_reason[0] &&
        facts_set(&plan->facts, "fallback_reason", create->choice.fallback_reason, err) < 0)
        return -1;
    return facts_set_int(&plan->facts, "estimated_bytes", bytes, err);
}

static int add_space(struct create *create, struct plan *plan, struct err *err)
{
    if (estimate(create, plan, err) < 0)
        return -1;
    return plan_add(plan, &step_backup_space, err, "repository", create->repository.path, "repository_id",
                    create->repository.id, "folder", create->folder, NULL)
               ? 0
               : -1;
}

static int add_folder(struct create *create, struct plan *plan, struct err *err)
{
    CLEANUP(freep) char *manifest = NULL;

    if (record_to_json(&restore_point_record, &create->draft, false, &manifest, err) < 0)
        return -1;
    return plan_add(plan, &step_backup_folder, err, "folder", create->folder, "chain_folder", create->chain_folder,
                    "manifest", manifest, NULL)
               ? 0
               : -1;
}

static int add_redefine(struct create *create, struct plan *plan, struct err *err)
{
    CLEANUP(freep) char *xml = NULL;

    if (!create->choice.redefine)
        return 0;
    if (checkpoint_redefine_xml(create->choice.parent, &xml, err) < 0)
        return -1;
    return plan_add(plan, &step_backup_redefine, err, "xml", xml, NULL) ? 0 : -1;
}

static int add_begin(struct create *create, struct plan *plan, struct err *err)
{
    const struct restore_point *parent = create->choice.parent;
    CLEANUP(freep) char *names = backup_disk_names(&create->draft.disks);
    CLEANUP(freep) char *backup = NULL;
    CLEANUP(freep)
    char *mark = mark_add_backup(create->params->description, create->job->job_id, create->repository.id);
    CLEANUP(freep) char *checkpoint = NULL;
    char base[CHECKPOINT_NAME];
    bool keeps = create->checkpoint[0] != '\0';

    if (!names || !mark)
        return err_memory(err, "disks");
    if (backup_xml(&create->draft.disks, create->folder, parent ? checkpoint_name(parent->id, base) : NULL, &backup,
                   err) < 0 ||
        (keeps && checkpoint_xml(&create->draft.disks, create->checkpoint, mark, &checkpoint, err) < 0))
        return -1;
    return plan_add(plan, &step_backup_begin, err, "folder", create->folder, "backup_xml", backup, "checkpoint_xml",
                    checkpoint, "checkpoint", keeps ? create->checkpoint : NULL, "disks", names, NULL)
               ? 0
               : -1;
}

static int add_push(struct create *create, struct plan *plan, struct err *err)
{
    CLEANUP(freep) char *names = backup_disk_names(&create->draft.disks);

    if (!names)
        return err_memory(err, "disks");
    return plan_add(plan, &step_backup_push, err, "folder", create->folder, "chain_folder", create->chain_folder,
                    "repository", create->repository.path, "disks", names, NULL)
               ? 0
               : -1;
}

static int add_image(const struct create *create, const struct point_disk *disk, struct step *step, struct err *err)
{
    char key[160], value[PATH_MAX];

    snprintf(key, sizeof key, "file:%s", disk->name);
    if (snprintf(value, sizeof value, "%s/%s", create->folder, disk->file) >= PATH_MAX)
        return err_set(err, ERR_PERMANENT, "repository %s: its path is too long", create->repository.name);
    if (facts_set(&step->args, key, value, err) < 0)
        return -1;
    snprintf(key, sizeof key, "size:%s", disk->name);
    if (facts_set_int(&step->args, key, disk->size_bytes, err) < 0)
        return -1;
    if (strcmp(disk->mode, "incremental") != 0)
        return 0;
    snprintf(key, sizeof key, "backing:%s", disk->name);
    snprintf(value, sizeof value, "../%s/%s", create->choice.parent->id, disk->file);
    return facts_set(&step->args, key, value, err);
}

static int add_images(const struct create *create, struct plan *plan, struct err *err)
{
    struct step *step = plan_add(plan, &step_backup_images, err, NULL);

    if (!step)
        return -1;
    for (size_t i = 0; i < create->draft.disks.count; i++) {
        const struct point_disk *disk = list_at(&create->draft.disks, struct point_disk, i);

        if (strcmp(disk->mode, "excluded") != 0 && add_image(create, disk, step, err) < 0)
            return -1;
    }
    return 0;
}

static int add_running(struct create *create, struct plan *plan, struct err *err)
{
    bool frozen = false;

    if (add_images(create, plan, err) < 0 || plan_barrier(plan, create->job, "ready", err) < 0 ||
        plan_freeze(create->backend, create->domain, create->params->quiesce, plan, &frozen, err) < 0 ||
        plan_barrier(plan, create->job, "frozen", err) < 0 || add_begin(create, plan, err) < 0 ||
        (frozen && !plan_add(plan, &step_thaw, err, "quiesce", quiesce_names[create->params->quiesce], NULL)) ||
        facts_set(&plan->facts, "level", frozen ? "filesystem" : "crash", err) < 0)
        return -1;
    return add_push(create, plan, err);
}

static int add_converts(struct create *create, struct plan *plan, struct err *err)
{
    if (plan_barrier(plan, create->job, "ready", err) < 0 || plan_barrier(plan, create->job, "frozen", err) < 0)
        return -1;
    for (size_t i = 0; i < create->draft.disks.count; i++) {
        const struct point_disk *disk = list_at(&create->draft.disks, struct point_disk, i);
        struct text file = {0};
        struct step *step;

        if (strcmp(disk->mode, "excluded") == 0)
            continue;
        text_addf(&file, "%s/%s", create->folder, disk->file);
        step = plan_add(plan, &step_backup_convert, err, "disk", disk->name, "source", disk->source, "format",
                        disk->source_format, "file", text_str(&file), "chain_folder", create->chain_folder, "compress",
                        create->params->compress ? "yes" : NULL, NULL);
        text_free(&file);
        if (!step)
            return -1;
    }
    return facts_set(&plan->facts, "level", "off", err);
}

/* With this full the older chains of the repository end. */
static bool ends_chains(const struct create *create)
{
    return !create->choice.parent && create->checkpoint[0];
}

/* Its backup is gone: deleted by a host that could not reach the guest. As its mark says it was in this repository, whose marker is there; and there is no folder of it. */
static bool left_over(const struct create *create, virDomainCheckpointPtr checkpoint, const char *id)
{
    CLEANUP(freep) char *description = checkpoint_description(checkpoint);
    char job[UUID_TEXT], repository[UUID_TEXT];
    bool there;

    return mark_read_backup(description, job, repository) && strcmp(job, id) == 0 &&
           strcmp(repository, create->repository.id) == 0 &&
           repository_has_folder(&create->repository, create->job->target.id, id, &there, NULL) == 0 && !there;
}

/* Checkpoints that nothing needs, once this backup is whole. Others' and other repositories' stay. */
static int add_prune(struct create *create, struct plan *plan, struct err *err)
{
    CLEANUP(text_freep) struct text names = {0};
    virDomainCheckpointPtr *checkpoints = NULL;
    int count = 0;

    if (create->active)
        count = virDomainListAllCheckpoints(create->domain, &checkpoints, VIR_DOMAIN_CHECKPOINT_LIST_TOPOLOGICAL);
    for (int i = 0; i < count; i++) { /* none, too, where they cannot be listed: the backup is good without */
        const char *name = virDomainCheckpointGetName(checkpoints[i]), *id = checkpoint_point_id(name);
        bool known = id && points_find(&create->points, id);

        if (known ? ends_chains(create) : id && left_over(create, checkpoints[i], id))
            text_addf(&names, "%s%s", names.len ? " " : "", name);
        virDomainCheckpointFree(checkpoints[i]);
    }
    free(checkpoints);
    if (names.failed)
        return err_memory(err, "checkpoints");
    return names.len == 0 || plan_add(plan, &step_backup_prune, err, "checkpoints", text_str(&names), NULL) ? 0 : -1;
}

int plan_backup_create(struct backend *backend, const struct job *job, struct plan *plan, struct err *err)
{
    CLEANUP(create_end)
    struct create create = {.backend = (struct libvirt_backend *)backend, .job = job, .params = job->params};

    if (job->group_limit_ms && create.params->quiesce != QUIESCE_REQUIRE)
        return err_set(err, ERR_PERMANENT, "in a consistency group quiesce is require: every guest stands still");
    if (libvirt_connect(create.backend, err) < 0 || look(&create, err) < 0 || decide(&create, err) < 0 ||
        draft(&create, err) < 0)
        return -1;
    if (add_space(&create, plan, err) < 0 || add_folder(&create, plan, err) < 0 || add_redefine(&create, plan, err) < 0)
        return -1;
    if ((create.active ? add_running(&create, plan, err) : add_converts(&create, plan, err)) < 0)
        return -1;
    if (!plan_add(plan, &step_backup_complete, err, "folder", create.folder, "chain_folder", create.chain_folder, "level",
                  facts_get(&plan->facts, "level"), "level_reason", facts_get(&plan->facts, "level_reason"), NULL))
        return -1;
    return add_prune(&create, plan, err);
}

int report_backup_create(struct backend *backend, const struct job *job, const struct facts *known,
                         struct report *report, struct err *err)
{
    const struct params_backup_create *params = job->params;
    CLEANUP(repository_endp) struct repository repository = {0};
    struct restore_point *point = report_add_point(report, err);

    (void)known;
    if (!point || backup_repository(backend, params->repository, &repository, err) < 0)
        return -1;
    restore_point_clear(point);
    if (repository_find(&repository, job->target.id, job->job_id, point, NULL, err) < 0)
        return -1;
    return string_set(&report->result->point, job->job_id, err);
}
