#include "coordinator/cli/backup_xml.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "coordinator/cli/cli.h"

#include <libxml/tree.h>
#include <stdlib.h>
#include <string.h>

static xmlNodePtr child(xmlNodePtr parent, const char *name, const char *text)
{
    return xmlNewTextChild(parent, NULL, BAD_CAST name, text ? BAD_CAST text : NULL);
}

static void attribute(xmlNodePtr node, const char *name, const char *value)
{
    xmlNewProp(node, BAD_CAST name, BAD_CAST value);
}

static void add_disk(xmlNodePtr disks, const json_t *disk, const char *folder)
{
    xmlNodePtr node = child(disks, "disk", NULL);
    const char *mode = member_text(disk, "mode"), *file = member_text(disk, "file");
    CLEANUP(text_free) struct text path = {0};

    attribute(node, "name", member_text(disk, "name"));
    if (strcmp(mode, "excluded") == 0) {
        attribute(node, "backup", "no");
        return;
    }
    attribute(node, "type", "file");
    if (*mode)
        attribute(node, "backupmode", mode);
    text_addf(&path, "%s%s%s", folder, *folder ? "/" : "", file);
    attribute(child(node, "target", NULL), "file", text_str(&path));
    attribute(child(node, "driver", NULL), "type", member_text(disk, "format"));
}

static void add_disks(xmlNodePtr root, const json_t *point)
{
    xmlNodePtr disks = child(root, "disks", NULL);
    const json_t *disk;
    size_t index;

    json_array_foreach(json_object_get(point, "disks"), index, disk) add_disk(disks, disk, member_text(point, "folder"));
}

static void add_facts(xmlNodePtr root, const json_t *point)
{
    const char *parent = member_text(point, "parent"), *description = member_text(point, "description");
    char seconds[24];

    attribute(root, "mode", "push");
    child(root, "uuid", member_text(point, "id"));
    snprintf(seconds, sizeof seconds, "%lld", (long long)(member_time(point, "created_at") / 1000));
    child(root, "creationTime", seconds);
    if (*description)
        child(root, "description", description);
    if (*parent)
        child(child(root, "parent", NULL), "uuid", parent);
}

char *backup_xml_of(const json_t *point)
{
    xmlDocPtr doc = xmlNewDoc(BAD_CAST "1.0");
    xmlNodePtr root = doc ? xmlNewDocNode(doc, NULL, BAD_CAST "domainbackup", NULL) : NULL;
    xmlBufferPtr buffer = root ? xmlBufferCreate() : NULL;
    char *out = NULL;

    if (buffer) {
        xmlDocSetRootElement(doc, root);
        add_facts(root, point);
        add_disks(root, point);
        xmlNodeDump(buffer, doc, root, 0, 1);
        out = strdup((const char *)xmlBufferContent(buffer));
    }
    xmlBufferFree(buffer);
    xmlFreeDoc(doc);
    return out;
}
