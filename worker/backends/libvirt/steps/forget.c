/*
 * forget: libvirt forgets the snapshot, its files stay (unlink removes those that nobody needs). Snapshots whose state was in a layer that has been merged get the file into
 * which it went.
 *
 * libvirt 9.0 takes every deletion for a merge, one of metadata only as well: where the definition of a descendant names the overlay of the deleted snapshot, it writes the file
 * below instead, and a later revert to that descendant would bring back the wrong disk. So the snapshot is first told that its overlays have another name, which nobody has.
 * args: name, owner, base:<disk>, top:<disk>, format:<disk> (merged pairs, and what the base is)
 */
#include "worker/backends/libvirt/definition.h"
#include "worker/backends/libvirt/delete_rules.h"
#include "worker/backends/libvirt/snapshots.h"
#include "worker/backends/libvirt/steps/steps.h"

#include <stdio.h>
#include <string.h>

static int render_forget(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                         struct err *err)
{
    (void)err;
    text_addf(command, "virsh snapshot-delete '%s' '%s' --metadata", step_target(run), step_get(step, "name"));
    text_addf(lost, "snapshot %s", step_get(step, "name"));
    return 0;
}

/* Replaces every merged layer in one definition; the number of changes. */
static int retarget_definition(const struct step *step, xmlNodePtr domain)
{
    int changes = 0;

    for (size_t i = 0; domain && i < step->args.count; i++) {
        const struct fact *fact = &step->args.items[i];
        char key[160], format[160];

        if (strncmp(fact->key, "top:", 4) != 0)
            continue;
        snprintf(key, sizeof key, "base:%s", fact->key + 4);
        snprintf(format, sizeof format, "format:%s", fact->key + 4);
        changes += definition_replace_source(domain, fact->value, step_get(step, key), facts_get(&step->args, format));
    }
    return changes;
}

static int redefine(const struct step_run *run, virDomainPtr domain, xmlDocPtr doc, bool current, struct err *err)
{
    CLEANUP(freep) char *xml = NULL;
    CLEANUP(snapshot_freep) virDomainSnapshotPtr redefined = NULL;
    unsigned flags = VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE | (current ? VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT : 0);

    if (xml_format(doc, &xml, err) < 0)
        return -1;
    redefined = virDomainSnapshotCreateXML(domain, xml, flags);
    return redefined
               ? 0
               : libvirt_call_err(libvirt_of(run->backend), err, "redefine a snapshot of %s", virDomainGetName(domain));
}

static int retarget(const struct step_run *run, const struct step *step, virDomainPtr domain,
                    const struct snapshot_info *info, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    xmlNodePtr root;

    if (snapshot_xml(domain, info->name, VIR_DOMAIN_SNAPSHOT_XML_SECURE, &doc, err) < 0)
        return -1;
    root = xmlDocGetRootElement(doc);
    if (retarget_definition(step, xml_find(root, "domain")) +
            retarget_definition(step, xml_find(root, "inactiveDomain")) ==
        0)
        return 0;
    definition_cut_backing(xml_find(root, "domain"));
    return redefine(run, domain, doc, info->current, err);
}

static int retarget_others(const struct step_run *run, const struct step *step, virDomainPtr domain, struct err *err)
{
    CLEANUP(snapshots_endp) struct list all = {0};

    if (snapshots_read(domain, &all, err) < 0)
        return -1;
    for (size_t i = 0; i < all.count; i++) {
        const struct snapshot_info *info = list_at(&all, struct snapshot_info, i);

        if (strcmp(info->name, step_get(step, "name")) != 0 && retarget(run, step, domain, info, err) < 0)
            return -1;
    }
    return 0;
}

/* So that no descendant's definition names a file of this snapshot. */
static int disown_overlays(const struct step_run *run, virDomainPtr domain, virDomainSnapshotPtr snapshot,
                           struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    CLEANUP(xml_matches_freep) xmlXPathObjectPtr found = NULL;

    if (virDomainSnapshotNumChildren(snapshot, 0) == 0)
        return 0;
    if (snapshot_xml(domain, virDomainSnapshotGetName(snapshot), VIR_DOMAIN_SNAPSHOT_XML_SECURE, &doc, err) < 0)
        return -1;
    found = xml_all(xmlDocGetRootElement(doc), "disks/disk[@snapshot='external']/source[@file]");
    if (!found || !found->nodesetval || found->nodesetval->nodeNr == 0)
        return found ? 0 : err_memory(err, "forget");
    for (int i = 0; i < found->nodesetval->nodeNr; i++) {
        char nobody[64];

        snprintf(nobody, sizeof nobody, "/nonexistent/forgotten-%d", i);
        xml_attr(found->nodesetval->nodeTab[i], "file", nobody);
    }
    return redefine(run, domain, doc, virDomainSnapshotIsCurrent(snapshot, 0) == 1, err);
}

static int execute_forget(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    CLEANUP(snapshot_freep) virDomainSnapshotPtr snapshot = NULL;

    if (step_open(run, &domain, err) < 0 || retarget_others(run, step, domain, err) < 0 ||
        snapshot_lookup(domain, step_get(step, "name"), &snapshot, err) < 0 ||
        (snapshot && disown_overlays(run, domain, snapshot, err) < 0))
        return -1;
    if (snapshot && virDomainSnapshotDelete(snapshot, VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY) < 0 &&
        libvirt_code() != VIR_ERR_NO_DOMAIN_SNAPSHOT)
        return libvirt_call_err(libvirt_of(run->backend), err, "forget %s", step_get(step, "name"));
    return delete_learn(step, learned, err);
}

const struct step_type step_forget = {
    .name = "forget",
    .class = STEP_DESTROYS,
    .final = true,
    .render = render_forget,
    .execute = execute_forget,
    .settle = settle_by_repeating, /* forgetting what is gone is success */
};
