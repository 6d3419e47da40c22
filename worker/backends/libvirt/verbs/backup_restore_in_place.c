/*
 * backup.restore over the disks of an existing domain:
 *
 *     check · restore … · compare … · remember · [stop] swap … · moments · keep · [start]
 *
 * Everything that can fail for long happens beside the running guest: its new disks are made and compared first. Then it is stopped, each disk is exchanged by
 * a rename, and it runs again. The old disks stay beside the new ones (NAME.fs-<job>.old), so every step has its way back, and so has the whole.
 */
#include "base/file.h"
#include "base/text.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/backup_xml.h"
#include "worker/backends/libvirt/disk_kinds.h"
#include "worker/backends/libvirt/restore.h"
#include "worker/backends/libvirt/steps/steps.h"

#include <stdio.h>
#include <string.h>

static int refuse_state(virDomainPtr domain, struct err *err)
{
    if (virDomainIsPersistent(domain) != 1)
        return err_set(err, ERR_PERMANENT, "in place needs a domain with a definition: this one is transient");
    if (virDomainHasManagedSaveImage(domain, 0) == 1) {
        err_set(err, ERR_PERMANENT, "the domain has a saved state, which would be loaded over the restored disks");
        return err_hint(err, "start it, or virsh managedsave-remove");
    }
    return libvirt_slot_free(domain, err);
}

static int refuse_snapshots(const struct restore *restore, virDomainPtr domain, struct plan *plan, struct err *err)
{
    int count = virDomainSnapshotNum(domain, 0);

    if (count < 0)
        return libvirt_err(err, "snapshots");
    if (count > 0 && !restore->params->drop_snapshots) {
        err_set(err, ERR_PERMANENT, "the domain has %d snapshot%s, which would not fit the restored disks", count,
                count == 1 ? "" : "s");
        return err_hint(err, "--drop-snapshots (they are kept with the old disks)");
    }
    return count ? plan_lose(plan, err, "%d snapshots go with the old disks", count) : 0;
}

static int refuse_foreign_checkpoints(virDomainPtr domain, struct err *err)
{
    virDomainCheckpointPtr *checkpoints = NULL;
    int count = virDomainListAllCheckpoints(domain, &checkpoints, 0), result = 0;

    if (count < 0)
        return libvirt_err(err, "checkpoints");
    for (int i = 0; i < count; i++) {
        const char *name = virDomainCheckpointGetName(checkpoints[i]);

        if (result == 0 && !checkpoint_point_id(name))
            result = err_set(err, ERR_PERMANENT, "the checkpoint %s was made by somebody else and would be lost", name);
        virDomainCheckpointFree(checkpoints[i]);
    }
    free(checkpoints);
    return result;
}

static int place_disk(const struct restore *restore, const struct domain_disks *disks, struct restore_disk *disk,
                      struct err *err)
{
    const struct domain_disk *live = domain_disks_find(disks, disk->name);
    struct text target = {0};

    if (!live || domain_disk_no_restore(live)) {
        err_set(err, ERR_PERMANENT, "disk %s of the domain is %s", disk->name,
                live ? domain_disk_no_restore(live) : "not there");
        return err_hint(err, "restore to a new domain, or only some of the disks");
    }
    text_addf(&target, "%s.fs-%s.new", live->source, restore->job->job_id);
    free(disk->format);
    disk->place = strdup(live->source);
    disk->format = strdup(live->format ? live->format : "raw");
    disk->target = text_take(&target);
    disk->room = strdup(live->source);
    if (!disk->place || !disk->format || !disk->target || !disk->room)
        return err_memory(err, disk->name);
    char *slash = strrchr(disk->room, '/');
    slash[slash == disk->room] = '\0';
    return 0;
}

static int place_disks(struct restore *restore, virDomainPtr domain, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    struct domain_disks disks = {0};
    int result = 0;

    if (libvirt_domain_xml(domain, VIR_DOMAIN_XML_INACTIVE, &doc, err) < 0 || domain_disks_read(doc, &disks, err) < 0)
        return -1;
    for (size_t i = 0; result == 0 && i < restore->disk_count; i++)
        result = place_disk(restore, &disks, &restore->disks[i], err);
    domain_disks_clear(&disks);
    return result;
}

static int add_compares(struct restore *restore, struct plan *plan, struct err *err)
{
    for (size_t i = 0; i < restore->disk_count; i++) {
        const struct restore_disk *disk = &restore->disks[i];

        if (!plan_add(plan, &step_restore_compare, err, "image", disk->image, "target", disk->target, "format",
                      disk->format, "place", disk->place, "chain_folder", restore->chain_folder, NULL))
            return -1;
    }
    return 0;
}

static int add_swaps(struct restore *restore, const char *name, struct plan *plan, struct err *err)
{
    for (size_t i = 0; i < restore->disk_count; i++) {
        const struct restore_disk *disk = &restore->disks[i];
        struct text old = {0};
        struct step *step;

        text_addf(&old, "%s.fs-%s.old", disk->place, restore->job->job_id);
        step = plan_add(plan, &step_restore_swap, err, "disk", disk->name, "new", disk->target, "place", disk->place,
                        "old", text_str(&old), NULL);
        text_free(&old);
        if (!step || plan_lose(plan, err, "%s: what was written to disk %s since the backup (the old disk is kept)",
                               name, disk->name) < 0)
            return -1;
    }
    return 0;
}

/* Afterwards there are no snapshots and no checkpoints. */
static int add_remember(struct restore *restore, struct plan *plan, struct err *err)
{
    struct step *step = plan_remember(&(struct undo_after){0}, true, plan, err);

    for (size_t i = 0; step && i < restore->disk_count; i++) {
        const struct restore_disk *disk = &restore->disks[i];
        struct text old = {0};

        text_addf(&old, "%s.fs-%s.old", disk->place, restore->job->job_id);
        int result = remember_disk(step, disk->name, text_str(&old), disk->place, disk->target, err);
        text_free(&old);
        if (result < 0)
            return -1;
    }
    return step ? 0 : -1;
}

static int add_exchange(struct restore *restore, virDomainPtr domain, struct plan *plan, struct err *err)
{
    int state = 0, reason = 0;
    bool active = virDomainIsActive(domain) == 1;
    const char *paused;

    if (libvirt_domain_state(domain, &state, &reason, err) < 0)
        return -1;
    paused = restore->params->start == START_PAUSED || (active && state == VIR_DOMAIN_PAUSED) ? "yes" : NULL;
    if (add_remember(restore, plan, err) < 0)
        return -1;
    if (active &&
        (!plan_add(plan, &step_restore_stop, err, "paused", paused, NULL) ||
         plan_lose(plan, err, "%s: what it has in memory; it is stopped and started", virDomainGetName(domain)) < 0))
        return -1;
    if (add_swaps(restore, virDomainGetName(domain), plan, err) < 0 || !plan_add(plan, &step_moments, err, NULL))
        return -1;
    if (plan_keep(restore->params->keep_old_for_ms, plan, err) < 0)
        return -1;
    if (active)
        return plan_add(plan, &step_restore_resume, err, "paused", paused, NULL) ? 0 : -1;
    if (restore->params->start == START_NO)
        return 0;
    return plan_add(plan, &step_restore_start, err, "paused", paused, NULL) ? 0 : -1;
}

int plan_restore_in_place(struct restore *restore, struct plan *plan, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    char room[PATH_MAX];

    if (restore->params->new_name || restore->params->directory)
        return err_set(err, ERR_PERMANENT, "in place and a new domain exclude each other");
    if (!restore->disk_count)
        return err_set(err, ERR_PERMANENT, "restore point %s has no disk", restore->point.id);
    if (libvirt_domain(restore->backend, restore->job->target.id, &domain, err) < 0 || refuse_state(domain, err) < 0 ||
        refuse_snapshots(restore, domain, plan, err) < 0 || refuse_foreign_checkpoints(domain, err) < 0 ||
        place_disks(restore, domain, err) < 0)
        return -1;
    snprintf(room, sizeof room, "%s", restore->disks[0].place);
    *strrchr(room, '/') = '\0';
    if (restore_add_check(restore, room, plan, err) < 0 || restore_add_disks(restore, plan, err) < 0 ||
        add_compares(restore, plan, err) < 0)
        return -1;
    return add_exchange(restore, domain, plan, err);
}
