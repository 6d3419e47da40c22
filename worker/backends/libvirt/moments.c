#include "worker/backends/libvirt/moments.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- save ---- */

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

int moments_save(virDomainPtr domain, struct facts *out, struct err *err)
{
    return save_checkpoints(domain, out, err) < 0 ? -1 : save_snapshots(domain, out, err);
}

/* ---- look at what was saved ---- */

bool moment_is(const struct fact *fact, const char *kind)
{
    size_t len = strlen(kind);

    if (strncmp(fact->key, kind, len) != 0)
        return false;
    return fact->key[len] == '.' || strncmp(fact->key + len, "_current.", 9) == 0;
}

char *moment_name(const struct fact *fact)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;

    return xml_parse(fact->value, fact->key, &doc, NULL) < 0 ? NULL : xml_get_at(xmlDocGetRootElement(doc), "name");
}

static bool saved_has_snapshot(const struct facts *saved, const char *name)
{
    for (size_t i = 0; i < saved->count; i++) {
        CLEANUP(freep) char *each = moment_is(&saved->items[i], "snapshot") ? moment_name(&saved->items[i]) : NULL;

        if (each && strcmp(each, name) == 0)
            return true;
    }
    return false;
}

/* ---- forget ---- */

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

/* All but those of `staying` (NULL: all). */
static int forget_snapshots(virDomainPtr domain, const struct facts *staying, struct err *err)
{
    virDomainSnapshotPtr *items = NULL;
    int count = virDomainListAllSnapshots(domain, &items, 0), failed = 0;

    for (int i = 0; i < count; i++) {
        const char *name = virDomainSnapshotGetName(items[i]);
        bool stays = staying && saved_has_snapshot(staying, name);

        if (!failed && !stays && virDomainSnapshotDelete(items[i], VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY) < 0 &&
            libvirt_code() != VIR_ERR_NO_DOMAIN_SNAPSHOT)
            failed = libvirt_err(err, "forget snapshot %s", name);
        virDomainSnapshotFree(items[i]);
    }
    free(items);
    return count < 0 ? libvirt_err(err, "snapshots") : failed;
}

int moments_forget(virDomainPtr domain, struct err *err)
{
    return forget_checkpoints(domain, err) < 0 ? -1 : forget_snapshots(domain, NULL, err);
}

/* ---- tell again ---- */

static int define_snapshot(virDomainPtr domain, const struct fact *fact, struct err *err)
{
    bool current = strncmp(fact->key, "snapshot_current.", 17) == 0;
    unsigned flags = VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE | (current ? VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT : 0);
    CLEANUP(snapshot_freep)
    virDomainSnapshotPtr snapshot = virDomainSnapshotCreateXML(domain, fact->value, flags);

    return snapshot ? 0 : libvirt_err(err, "define the snapshot again");
}

static int number_of(const struct fact *fact)
{
    const char *dot = strrchr(fact->key, '.');

    return dot ? (int)strtol(dot + 1, NULL, 10) : 0;
}

/* By the number after the dot: the current one has its place among the others. */
static int define_snapshots(virDomainPtr domain, const struct facts *saved, struct err *err)
{
    for (int number = 0; number < (int)saved->count; number++)
        for (size_t i = 0; i < saved->count; i++)
            if (moment_is(&saved->items[i], "snapshot") && number_of(&saved->items[i]) == number &&
                define_snapshot(domain, &saved->items[i], err) < 0)
                return -1;
    return 0;
}

static int define_checkpoints(virDomainPtr domain, const struct facts *saved)
{
    int lost = 0;

    for (size_t i = 0; i < saved->count; i++) {
        CLEANUP(checkpoint_freep) virDomainCheckpointPtr checkpoint = NULL;

        if (!moment_is(&saved->items[i], "checkpoint"))
            continue;
        checkpoint = virDomainCheckpointCreateXML(domain, saved->items[i].value, VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE);
        lost += !checkpoint;
    }
    return lost;
}

/* Snapshots first: of a guest that has checkpoints and is off, libvirt redefines none. */
int moments_set(virDomainPtr domain, const struct facts *saved, int *out_lost, struct err *err)
{
    int lost;

    if (forget_checkpoints(domain, err) < 0 || forget_snapshots(domain, saved, err) < 0 ||
        define_snapshots(domain, saved, err) < 0)
        return -1;
    lost = define_checkpoints(domain, saved);
    if (out_lost)
        *out_lost = lost;
    return 0;
}
