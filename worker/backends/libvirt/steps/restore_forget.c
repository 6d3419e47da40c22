/*
 * forget: checkpoints and snapshots belong to the old disks, and libvirt must not believe them of the new ones. Their XML is first saved beside the old disk, so
 * that undo (and whoever puts the old disks back later) can tell libvirt again. The disks themselves are not touched.
 */
#include "base/file.h"
#include "base/text.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/backup_tools.h"
#include "worker/backends/libvirt/kept.h"

#include <stdio.h>
#include <string.h>

enum { SAVED_MAX = 64 << 20 };

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    const char *name = step_subject(run);

    (void)step;
    (void)lost;
    (void)err;
    text_addf(
        command,
        "virsh checkpoint-delete '%s' NAME --metadata   # each\nvirsh snapshot-delete '%s' NAME --metadata   # each",
        name, name);
    return 0;
}

/* Keys sort in the order in which they can be defined again: parents first. */
static int save(struct facts *saved, const char *kind, int index, char *xml, struct err *err)
{
    char key[64];
    int failed;

    if (!xml)
        return libvirt_err(err, "%s", kind);
    snprintf(key, sizeof key, "%s.%06d", kind, index);
    failed = facts_set(saved, key, xml, err);
    free(xml);
    return failed;
}

static int save_checkpoints(virDomainPtr domain, struct facts *saved, struct err *err)
{
    virDomainCheckpointPtr *items = NULL;
    int count = virDomainListAllCheckpoints(domain, &items, VIR_DOMAIN_CHECKPOINT_LIST_TOPOLOGICAL), failed = 0;

    if (count < 0)
        return libvirt_err(err, "checkpoints");
    for (int i = 0; i < count; i++) {
        if (!failed)
            failed = save(saved, "checkpoint", i,
                          virDomainCheckpointGetXMLDesc(items[i], VIR_DOMAIN_CHECKPOINT_XML_SECURE), err);
        virDomainCheckpointFree(items[i]);
    }
    free(items);
    return failed;
}

static int save_snapshots(virDomainPtr domain, struct facts *saved, struct err *err)
{
    virDomainSnapshotPtr *items = NULL;
    int count = virDomainListAllSnapshots(domain, &items, VIR_DOMAIN_SNAPSHOT_LIST_TOPOLOGICAL), failed = 0;

    if (count < 0)
        return libvirt_err(err, "snapshots");
    for (int i = 0; i < count; i++) {
        const char *kind = virDomainSnapshotIsCurrent(items[i], 0) == 1 ? "snapshot_current" : "snapshot";

        if (!failed)
            failed = save(saved, kind, i, virDomainSnapshotGetXMLDesc(items[i], VIR_DOMAIN_SNAPSHOT_XML_SECURE), err);
        virDomainSnapshotFree(items[i]);
    }
    free(items);
    return failed;
}

static int write_saved(const char *path, const struct facts *saved, struct err *err)
{
    CLEANUP(freep) char *json = NULL;

    if (facts_to_json(saved, &json, err) < 0)
        return -1;
    return file_write_atomic(path, json, strlen(json), 0600, err);
}

static int forget_checkpoints(virDomainPtr domain, struct err *err)
{
    virDomainCheckpointPtr *items = NULL;
    int count = virDomainListAllCheckpoints(domain, &items, 0), failed = 0;

    for (int i = 0; i < count; i++) {
        const char *name = virDomainCheckpointGetName(items[i]);

        if (!failed && virDomainCheckpointDelete(items[i], VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY) < 0 &&
            libvirt_code() != VIR_ERR_NO_DOMAIN_CHECKPOINT)
            failed = libvirt_err(err, "forget checkpoint %s", name);
        virDomainCheckpointFree(items[i]);
    }
    free(items);
    return count < 0 ? libvirt_err(err, "checkpoints") : failed;
}

static int forget_snapshots(virDomainPtr domain, struct err *err)
{
    virDomainSnapshotPtr *items = NULL;
    int count = virDomainListAllSnapshots(domain, &items, 0), failed = 0;

    for (int i = 0; i < count; i++) {
        const char *name = virDomainSnapshotGetName(items[i]);

        if (!failed && virDomainSnapshotDelete(items[i], VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY) < 0 &&
            libvirt_code() != VIR_ERR_NO_DOMAIN_SNAPSHOT)
            failed = libvirt_err(err, "forget snapshot %s", name);
        virDomainSnapshotFree(items[i]);
    }
    free(items);
    return count < 0 ? libvirt_err(err, "snapshots") : failed;
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    CLEANUP(facts_clearp) struct facts saved = {0};
    const char *path = step_arg(step, "saved");

    (void)learned;
    if (step_domain(run, &domain, err) < 0)
        return -1;
    if (!file_exists(path)) { /* a repetition must not save what is left of them */
        if (save_checkpoints(domain, &saved, err) < 0 || save_snapshots(domain, &saved, err) < 0)
            return -1;
        if (saved.count && (kept_add(run->backend->config, run->job->job_id, "moments", path, err) < 0 ||
                            write_saved(path, &saved, err) < 0))
            return -1;
    }
    return forget_checkpoints(domain, err) < 0 ? -1 : forget_snapshots(domain, err);
}

/* ---- the way back ---- */

static int define_again(virDomainPtr domain, const struct fact *fact, struct err *err)
{
    CLEANUP(checkpoint_freep) virDomainCheckpointPtr checkpoint = NULL;
    CLEANUP(snapshot_freep) virDomainSnapshotPtr snapshot = NULL;
    unsigned flags = VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE;

    if (strncmp(fact->key, "checkpoint.", 11) == 0) {
        checkpoint = virDomainCheckpointCreateXML(domain, fact->value, VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE);
        return checkpoint ? 0 : libvirt_err(err, "define the checkpoint again");
    }
    if (strncmp(fact->key, "snapshot_current.", 17) == 0)
        flags |= VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT;
    snapshot = virDomainSnapshotCreateXML(domain, fact->value, flags);
    return snapshot ? 0 : libvirt_err(err, "define the snapshot again");
}

/* By the number after the dot, checkpoints and snapshots each on their own. */
static int number_of(const struct fact *fact)
{
    const char *dot = strrchr(fact->key, '.');

    return dot ? (int)strtol(dot + 1, NULL, 10) : 0;
}

static int define_all(virDomainPtr domain, const struct facts *saved, struct err *err)
{
    for (int number = 0; number < (int)saved->count; number++)
        for (size_t i = 0; i < saved->count; i++)
            if (number_of(&saved->items[i]) == number && define_again(domain, &saved->items[i], err) < 0)
                return -1;
    return 0;
}

static int undo(const struct step_run *run, const struct step *step, const struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    CLEANUP(facts_clearp) struct facts saved = {0};
    CLEANUP(freep) char *json = NULL;
    const char *path = step_arg(step, "saved");
    size_t len;

    (void)learned;
    if (!file_exists(path))
        return kept_remove(run->backend->config, run->job->job_id, "moments", err);
    if (step_domain(run, &domain, err) < 0 || file_read(path, SAVED_MAX, &json, &len, err) < 0 ||
        facts_from_json(&saved, json, err) < 0 || define_all(domain, &saved, err) < 0)
        return -1;
    return file_remove(path, err) < 0 ? -1 : kept_remove(run->backend->config, run->job->job_id, "moments", err);
}

static int settle(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                  struct err *err)
{
    (void)run;
    (void)step;
    (void)learned;
    (void)err;
    *out = SETTLED_NOT_DONE; /* what is saved is saved once; forgetting again is harmless */
    return 0;
}

const struct step_type step_restore_forget = {
    .name = "restore-forget",
    .class = STEP_DESTROYS,
    .render = render,
    .execute = execute,
    .undo = undo,
    .settle = settle,
};
