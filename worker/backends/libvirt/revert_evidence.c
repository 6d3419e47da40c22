/*
 * What is certain (libvirt 9.0, seen): QEMU is always started anew, so the same number in the same boot of the host is the guest of before. libvirt makes the snapshot the current one
 * last of all: if it was not and is, the revert is done, whatever happened to the guest since. Reasons "from snapshot" and "failed" are of the revert itself, and whoever starts
 * or stops the guest replaces them. All else is no proof.
 */
#include "worker/backends/libvirt/revert_evidence.h"

#include "worker/backends/libvirt/snapshots.h"
#include "worker/backends/libvirt/undo_record.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Of a guest that is off: nobody writes but a revert, or a guest that was started meanwhile. */
static int64_t last_written(virDomainPtr domain)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    CLEANUP(domain_disks_clear) struct domain_disks disks = {0};
    int64_t latest = 0;

    if (libvirt_domain_xml(domain, VIR_DOMAIN_XML_INACTIVE, &doc, NULL) < 0 || domain_disks_read(doc, &disks, NULL) < 0)
        return 0;
    for (size_t i = 0; i < disks.count; i++) {
        struct stat status;
        if (!domain_disk_writable(&disks.items[i]))
            continue;
        if (stat(disks.items[i].source, &status) < 0)
            return 0;
        int64_t at = (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec;
        latest = at > latest ? at : latest;
    }
    return latest;
}

int revert_evidence_read(virDomainPtr domain, const char *snapshot, struct revert_evidence *out, struct err *err)
{
    CLEANUP(snapshot_freep) virDomainSnapshotPtr found = NULL;
    struct revert_evidence evidence = {0};

    if (libvirt_domain_state(domain, &evidence.state, &evidence.reason, err) < 0 ||
        snapshot_lookup(domain, snapshot, &found, err) < 0 || host_boot(evidence.boot, err) < 0)
        return -1;
    evidence.id = evidence.state == VIR_DOMAIN_SHUTOFF ? -1 : (int64_t)virDomainGetID(domain);
    if (evidence.id == (int64_t)(unsigned)-1)
        evidence.id = -1;
    evidence.current = found && virDomainSnapshotIsCurrent(found, 0) == 1;
    evidence.written = evidence.id == -1 ? last_written(domain) : 0;
    *out = evidence;
    return 0;
}

int revert_evidence_learn(const struct revert_evidence *evidence, struct facts *learned, struct err *err)
{
    return facts_set_int(learned, "before_id", evidence->id, err) < 0 ||
                   facts_set(learned, "before_current", evidence->current ? "yes" : "no", err) < 0 ||
                   facts_set_int(learned, "before_written", evidence->written, err) < 0 ||
                   facts_set(learned, "before_boot", evidence->boot, err) < 0
               ? -1
               : 0;
}

bool revert_evidence_recall(const struct facts *known, struct revert_evidence *out)
{
    *out = (struct revert_evidence){
        .id = facts_get_int(known, "before_id", -1),
        .current = strcmp(facts_get_or(known, "before_current", "yes"), "no") != 0,
        .written = facts_get_int(known, "before_written", 0),
    };
    snprintf(out->boot, sizeof out->boot, "%s", facts_get_or(known, "before_boot", ""));
    return facts_get(known, "before_id") != NULL;
}

static bool from_snapshot(const struct revert_evidence *now)
{
    return (now->state == VIR_DOMAIN_RUNNING && now->reason == VIR_DOMAIN_RUNNING_FROM_SNAPSHOT) ||
           (now->state == VIR_DOMAIN_PAUSED && now->reason == VIR_DOMAIN_PAUSED_FROM_SNAPSHOT);
}

/* Stopped by the revert itself, and nobody has started it since: once more comes to the same. */
static bool stopped_by_it(const struct revert_evidence *now)
{
    return now->reason == VIR_DOMAIN_SHUTOFF_FROM_SNAPSHOT || now->reason == VIR_DOMAIN_SHUTOFF_FAILED;
}

enum settled revert_settled(const struct revert_evidence *before, const struct revert_evidence *now)
{
    bool never_current = !before->current && !now->current;
    bool untouched = before->id == -1 && before->written && before->written == now->written;

    if (!before->current && now->current)
        return SETTLED_DONE;
    if (now->id != -1 && now->id == before->id && strcmp(now->boot, before->boot) == 0)
        return SETTLED_NOT_DONE;
    if (now->id != -1)
        return now->current && from_snapshot(now) ? SETTLED_DONE : SETTLED_UNKNOWN;
    return stopped_by_it(now) || untouched || never_current ? SETTLED_NOT_DONE : SETTLED_UNKNOWN;
}
