/* The disks of a snapshot: which it takes, where the state of each is, and what was put on top. Pure. */
#include "worker/backends/libvirt/snapshots.h"

#include <string.h>

/* The element of the disk below `path` whose attribute or child `key` is its name. Names come from XML, so they are compared, not pasted into an expression. */
static xmlNodePtr find_named(xmlNodePtr root, const char *path, const char *key, const char *name)
{
    CLEANUP(xml_matches_freep) xmlXPathObjectPtr found = xml_all(root, path);

    for (int i = 0; found && found->nodesetval && i < found->nodesetval->nodeNr; i++) {
        CLEANUP(freep) char *each = xml_get_at(found->nodesetval->nodeTab[i], key);

        if (each && strcmp(each, name) == 0)
            return found->nodesetval->nodeTab[i];
    }
    return NULL;
}

bool snapshot_takes(xmlNodePtr snapshot, const char *disk)
{
    xmlNodePtr node = find_named(snapshot, "disks/disk", "@name", disk);
    CLEANUP(freep) char *mode = node ? xml_get_at(node, "@snapshot") : NULL;

    if (!xml_find(snapshot, "disks"))
        return true;
    return node && (!mode || strcmp(mode, "no") != 0);
}

static char *of_definition(xmlNodePtr snapshot, const char *disk, const char *xpath)
{
    xmlNodePtr node = find_named(snapshot, "domain/devices/disk", "target/@dev", disk);

    return node ? xml_get_at(node, xpath) : NULL;
}

char *snapshot_state_file(xmlNodePtr snapshot, const char *disk)
{
    return of_definition(snapshot, disk, "source/@file | source/@dev");
}

char *snapshot_state_format(xmlNodePtr snapshot, const char *disk)
{
    char *format = of_definition(snapshot, disk, "driver/@type");

    return format ? format : strdup("raw");
}

char *snapshot_overlay_file(xmlNodePtr snapshot, const char *disk)
{
    xmlNodePtr node = find_named(snapshot, "disks/disk[@snapshot='external']", "@name", disk);

    return node ? xml_get_at(node, "source/@file") : NULL;
}

void snapshot_set_overlay(xmlNodePtr snapshot, const char *disk, const char *file)
{
    xmlNodePtr node = find_named(snapshot, "disks/disk[@snapshot='external']", "@name", disk);
    xmlNodePtr source = node ? xml_find(node, "source") : NULL;

    if (source)
        xml_attr(source, "file", file);
}

int snapshot_disks(xmlNodePtr snapshot, struct strings *out, struct err *err)
{
    CLEANUP(domain_disks_clear) struct domain_disks disks = {0};
    xmlNodePtr domain = xml_find(snapshot, "domain");

    if (!domain)
        return 0;
    if (domain_disks_read_at(domain, &disks, err) < 0)
        return -1;
    for (size_t i = 0; i < disks.count; i++)
        if (domain_disk_writable(&disks.items[i]) && snapshot_takes(snapshot, disks.items[i].name) &&
            strings_add(out, disks.items[i].name, err) < 0)
            return -1;
    return 0;
}
