/* What libvirt knows of a domain's snapshots, as records. The owner and the level come from the mark in the description, everything else from the XML. */
#include "worker/backends/libvirt/snapshots.h"

#include <stdlib.h>
#include <string.h>

static int take_string(char **field, xmlNodePtr root, const char *xpath, struct err *err)
{
    CLEANUP(freep) char *value = xml_get_at(root, xpath);

    return string_set(field, value, err);
}

static int parse_description(const char *description, struct snapshot_info *out, struct err *err)
{
    CLEANUP(freep) char *text = mark_strip(description);
    char job[UUID_TEXT], level[MARK_LEVEL];

    if (string_set(&out->description, text, err) < 0)
        return -1;
    if (!mark_read(description, job, level))
        return 0;
    if (string_set(&out->owner, job, err) < 0)
        return -1;
    return string_set(&out->level, *level ? level : NULL, err);
}

static int add_files(xmlNodePtr root, const char *xpath, struct strings *out, struct err *err)
{
    CLEANUP(xml_matches_freep) xmlXPathObjectPtr found = xml_all(root, xpath);

    if (!found)
        return err_memory(err, "snapshot");
    for (int i = 0; found->nodesetval && i < found->nodesetval->nodeNr; i++) {
        CLEANUP(xml_string_freep) xmlChar *file = xmlNodeGetContent(found->nodesetval->nodeTab[i]);

        if (file && strings_add(out, (char *)file, err) < 0)
            return -1;
    }
    return 0;
}

static int parse_state(xmlNodePtr root, struct snapshot_info *out, struct err *err)
{
    CLEANUP(freep) char *state = xml_get_at(root, "state");
    CLEANUP(freep) char *created = xml_get_at(root, "creationTime");

    out->created_at_ms = created ? strtoll(created, NULL, 10) * 1000 : 0;
    return string_set(&out->state, state && strcmp(state, "disk-snapshot") == 0 ? "disk-only" : state, err);
}

int snapshot_parse(xmlDocPtr doc, struct snapshot_info *out, struct err *err)
{
    static const char external[] = "disks/disk[@snapshot='external']/source/@file | memory[@snapshot='external']/@file";
    xmlNodePtr root = xmlDocGetRootElement(doc);
    CLEANUP(freep) char *description = xml_get_at(root, "description");
    bool is_external = xml_find(root, "disks/disk[@snapshot='external'] | memory[@snapshot='external']") != NULL;

    if (take_string(&out->name, root, "name", err) < 0 || take_string(&out->parent, root, "parent/name", err) < 0)
        return -1;
    if (parse_description(description, out, err) < 0 || parse_state(root, out, err) < 0)
        return -1;
    if (string_set(&out->location, is_external ? "external" : "internal", err) < 0)
        return -1;
    return add_files(root, external, &out->files, err);
}

static int read_one(virDomainSnapshotPtr snapshot, struct snapshot_info *out, struct err *err)
{
    CLEANUP(freep) char *text = virDomainSnapshotGetXMLDesc(snapshot, 0);
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    int children;

    if (!text)
        return libvirt_err(err, "snapshot %s", virDomainSnapshotGetName(snapshot));
    if (xml_parse(text, "snapshot", &doc, err) < 0 || snapshot_parse(doc, out, err) < 0)
        return -1;
    children = virDomainSnapshotNumChildren(snapshot, 0);
    out->children = children > 0 ? children : 0;
    out->current = virDomainSnapshotIsCurrent(snapshot, 0) == 1;
    out->has_metadata = virDomainSnapshotHasMetadata(snapshot, 0) == 1;
    return 0;
}

static int read_all(virDomainSnapshotPtr *snapshots, int count, struct list *out, struct err *err)
{
    for (int i = 0; i < count; i++) {
        struct snapshot_info *info = list_add(out, &snapshot_info_record, err);

        if (!info)
            return -1;
        if (read_one(snapshots[i], info, err) < 0)
            return -1;
    }
    return 0;
}

int snapshots_read(virDomainPtr domain, struct list *out, struct err *err)
{
    virDomainSnapshotPtr *snapshots = NULL;
    int count = virDomainListAllSnapshots(domain, &snapshots, VIR_DOMAIN_SNAPSHOT_LIST_TOPOLOGICAL);
    int result;

    if (count < 0)
        return libvirt_err(err, "%s: snapshots", virDomainGetName(domain));
    result = read_all(snapshots, count, out, err);
    for (int i = 0; i < count; i++)
        virDomainSnapshotFree(snapshots[i]);
    free(snapshots);
    if (result < 0)
        snapshots_clear(out);
    return result;
}

void snapshots_clear(struct list *snapshots)
{
    for (size_t i = 0; i < snapshots->count; i++)
        record_clear(&snapshot_info_record, list_at(snapshots, struct snapshot_info, i));
    free(snapshots->items);
    *snapshots = (struct list){0};
}

int snapshot_lookup(virDomainPtr domain, const char *name, virDomainSnapshotPtr *out, struct err *err)
{
    virDomainSnapshotPtr snapshot = virDomainSnapshotLookupByName(domain, name, 0);

    if (!snapshot && libvirt_code() != VIR_ERR_NO_DOMAIN_SNAPSHOT)
        return libvirt_err(err, "snapshot %s/%s", virDomainGetName(domain), name);
    *out = snapshot;
    return 0;
}

int snapshot_xml(virDomainPtr domain, const char *name, unsigned flags, xmlDocPtr *out, struct err *err)
{
    CLEANUP(snapshot_freep) virDomainSnapshotPtr snapshot = virDomainSnapshotLookupByName(domain, name, 0);
    CLEANUP(freep) char *text = snapshot ? virDomainSnapshotGetXMLDesc(snapshot, flags) : NULL;

    if (!text)
        return libvirt_err(err, "snapshot %s/%s", virDomainGetName(domain), name);
    return xml_parse(text, "snapshot", out, err);
}

const struct snapshot_info *snapshots_find(const struct list *snapshots, const char *name)
{
    for (size_t i = 0; name && i < snapshots->count; i++)
        if (strcmp(list_at(snapshots, struct snapshot_info, i)->name, name) == 0)
            return list_at(snapshots, struct snapshot_info, i);
    return NULL;
}

const struct snapshot_info *snapshots_current(const struct list *snapshots)
{
    for (size_t i = 0; i < snapshots->count; i++)
        if (list_at(snapshots, struct snapshot_info, i)->current)
            return list_at(snapshots, struct snapshot_info, i);
    return NULL;
}

bool snapshots_below(const struct list *snapshots, const char *name, const char *ancestor)
{
    const struct snapshot_info *at = snapshots_find(snapshots, name);

    for (size_t steps = 0; at && at->parent && steps < snapshots->count; steps++) {
        if (strcmp(at->parent, ancestor) == 0)
            return true;
        at = snapshots_find(snapshots, at->parent);
    }
    return false;
}

bool snapshot_external(const struct snapshot_info *snapshot)
{
    return snapshot->location && strcmp(snapshot->location, "external") == 0;
}

/* The list is topological, so its reverse has children before their parents. */
int snapshots_subtree(const struct list *snapshots, const char *name, bool itself, struct strings *out, struct err *err)
{
    for (size_t i = snapshots->count; i-- > 0;) {
        const char *each = list_at(snapshots, struct snapshot_info, i)->name;

        if (!snapshots_below(snapshots, each, name) && !(itself && strcmp(each, name) == 0))
            continue;
        if (strings_add(out, each, err) < 0)
            return -1;
    }
    return 0;
}
