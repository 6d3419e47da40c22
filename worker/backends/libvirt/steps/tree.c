/*
 * tree: after a revert by hand libvirt still takes the last snapshot for the current one, and the next would get the wrong parent. The snapshot is made current, and, where
 * nothing branches off below it, gets the new overlay as its own, so that libvirt can merge and delete it. With a side branch it keeps the old one: then libvirt's own deletion
 * fails harmlessly instead of writing into what the branch stands on, and ours does it by hand.
 * args: name, xml (of the snapshot from now on), former (before), former_current
 */
#include "worker/backends/libvirt/snapshots.h"
#include "worker/backends/libvirt/steps/steps.h"

#include <string.h>

static int render_tree(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                       struct err *err)
{
    (void)lost;
    (void)err;
    text_addf(command, "virsh snapshot-create '%s' /dev/stdin --redefine --current    (%s)", step_target(run),
              step_get(step, "name"));
    return 0;
}

static int redefine(const struct step_run *run, virDomainPtr domain, const char *xml, bool current, struct err *err)
{
    unsigned flags = VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE | (current ? VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT : 0);
    virDomainSnapshotPtr snapshot = virDomainSnapshotCreateXML(domain, xml, flags);

    if (!snapshot)
        return libvirt_call_err(libvirt_of(run->backend), err, "redefine a snapshot of %s", virDomainGetName(domain));
    virDomainSnapshotFree(snapshot);
    return 0;
}

static int execute_tree(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;

    (void)learned;
    if (step_open(run, &domain, err) < 0)
        return -1;
    return redefine(run, domain, step_get(step, "xml"), true, err);
}

static int make_current(const struct step_run *run, virDomainPtr domain, const char *name, struct err *err)
{
    CLEANUP(snapshot_freep) virDomainSnapshotPtr snapshot = NULL;
    CLEANUP(freep) char *xml = NULL;

    if (snapshot_lookup(domain, name, &snapshot, err) < 0)
        return -1;
    xml = snapshot ? virDomainSnapshotGetXMLDesc(snapshot, VIR_DOMAIN_SNAPSHOT_XML_SECURE) : NULL;
    return xml ? redefine(run, domain, xml, true, err) : 0;
}

static int undo_tree(const struct step_run *run, const struct step *step, const struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    const char *current = facts_get(&step->args, "former_current");

    (void)learned;
    if (step_open(run, &domain, err) < 0 || redefine(run, domain, step_get(step, "former"), false, err) < 0)
        return -1;
    return current ? make_current(run, domain, current, err) : 0;
}

const struct step_type step_tree = {
    .name = "tree",
    .class = STEP_ADDS,
    .render = render_tree,
    .execute = execute_tree,
    .undo = undo_tree,
    .settle = settle_by_repeating,
};
