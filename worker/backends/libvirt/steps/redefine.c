/*
 * redefine: puts metadata back that libvirt has lost, or replaces it: the snapshot's full XML, as it was shown once. The files that it names are neither made nor checked.
 * args: name, xml (with our mark, and with secrets), flags, former (the XML that it replaces, with secrets; absent: there was none), current (the current snapshot of before)
 */
#include "worker/backends/libvirt/definition.h"
#include "worker/backends/libvirt/snapshots.h"
#include "worker/backends/libvirt/steps/steps.h"

#include <string.h>

static int render_redefine(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                           struct err *err)
{
    CLEANUP(freep) char *xml = NULL;

    if (definition_without_secrets(facts_get_or(&step->args, "xml", ""), &xml, err) < 0)
        return -1;
    text_addf(command, "virsh snapshot-create '%s' /dev/stdin --redefine%s\n%s",
              run->job->target.name ? run->job->target.name : run->job->target.id,
              facts_get_int(&step->args, "flags", 0) & VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT ? " --current" : "", xml);
    if (facts_get(&step->args, "former"))
        text_add(lost, "the metadata that the snapshot had");
    return 0;
}

static int put(const struct step_run *run, virDomainPtr domain, const char *xml, unsigned flags, struct err *err)
{
    virDomainSnapshotPtr snapshot = virDomainSnapshotCreateXML(domain, xml, flags | VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE);

    if (!snapshot)
        return libvirt_call_err(libvirt_of(run->backend), err, "redefine a snapshot of %s", virDomainGetName(domain));
    virDomainSnapshotFree(snapshot);
    return 0;
}

static int execute_redefine(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;

    if (libvirt_domain(libvirt_of(run->backend), run->job->target.id, &domain, err) < 0)
        return -1;
    if (put(run, domain, facts_get_or(&step->args, "xml", ""), (unsigned)facts_get_int(&step->args, "flags", 0), err) < 0)
        return -1;
    return facts_set(learned, "name", facts_get_or(&step->args, "name", ""), err);
}

static int undo_redefine(const struct step_run *run, const struct step *step, const struct facts *learned,
                         struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    CLEANUP(snapshot_freep) virDomainSnapshotPtr snapshot = NULL;
    const char *former = facts_get(&step->args, "former");
    bool was_current = strcmp(facts_get_or(&step->args, "current", ""), facts_get_or(&step->args, "name", "")) == 0;

    (void)learned;
    if (libvirt_domain(libvirt_of(run->backend), run->job->target.id, &domain, err) < 0)
        return -1;
    if (former)
        return put(run, domain, former, was_current ? VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT : 0, err);
    if (snapshot_lookup(domain, facts_get_or(&step->args, "name", ""), &snapshot, err) < 0)
        return -1;
    if (snapshot && virDomainSnapshotDelete(snapshot, VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY) < 0)
        return libvirt_call_err(libvirt_of(run->backend), err, "delete metadata");
    return 0;
}

const struct step_type step_redefine = {
    .name = "redefine",
    .class = STEP_ADDS,
    .render = render_redefine,
    .execute = execute_redefine,
    .undo = undo_redefine,
    .settle = settle_by_repeating,
};
