/*
 * Disks are listed explicitly in both documents: a raw disk may be part of the backup but not of the checkpoint, and what is not named in <domaincheckpoint> would be
 * taken in by libvirt's default.
 */
#include "worker/backends/libvirt/backup_xml.h"

#include "base/text.h"
#include "base/uuid.h"
#include "worker/backends/libvirt/libvirt.h"

#include <stdio.h>
#include <string.h>

char *checkpoint_name(const char *point_id, char out[CHECKPOINT_NAME])
{
    snprintf(out, CHECKPOINT_NAME, "fs-%s", point_id);
    return out;
}

const char *checkpoint_point_id(const char *name)
{
    return strncmp(name, "fs-", 3) == 0 && uuid_valid(name + 3) ? name + 3 : NULL;
}

static xmlNodePtr document(const char *root, xmlDocPtr *out, struct err *err)
{
    *out = xmlNewDoc(BAD_CAST "1.0");
    if (*out)
        xmlDocSetRootElement(*out, xmlNewNode(NULL, BAD_CAST root));
    if (*out && xmlDocGetRootElement(*out))
        return xmlDocGetRootElement(*out);
    err_memory(err, root);
    return NULL;
}

static void add_backup_disk(xmlNodePtr disks, const struct point_disk *disk, const char *folder, bool incremental)
{
    xmlNodePtr node = xml_child(disks, "disk", NULL);
    struct text file = {0};

    xml_attr(node, "name", disk->name);
    if (strcmp(disk->mode, "excluded") == 0) {
        xml_attr(node, "backup", "no");
        return;
    }
    xml_attr(node, "type", "file");
    if (incremental && strcmp(disk->mode, "full") == 0)
        xml_attr(node, "backupmode", "full");
    text_addf(&file, "%s/%s", folder, disk->file);
    xml_attr(xml_child(node, "target", NULL), "file", text_str(&file));
    xml_attr(xml_child(node, "driver", NULL), "type", disk->format);
    text_free(&file);
}

int backup_xml(const struct list *disks, const char *folder, const char *parent_checkpoint, char **out, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    xmlNodePtr root = document("domainbackup", &doc, err), list;

    if (!root)
        return -1;
    xml_attr(root, "mode", "push");
    if (parent_checkpoint)
        xml_child(root, "incremental", parent_checkpoint);
    list = xml_child(root, "disks", NULL);
    for (size_t i = 0; i < disks->count; i++)
        add_backup_disk(list, list_at(disks, struct point_disk, i), folder, parent_checkpoint != NULL);
    return xml_format(doc, out, err);
}

static void add_checkpoint_disks(xmlNodePtr root, const struct list *disks)
{
    xmlNodePtr list = xml_child(root, "disks", NULL);

    for (size_t i = 0; i < disks->count; i++) {
        const struct point_disk *disk = list_at(disks, struct point_disk, i);
        xmlNodePtr node = xml_child(list, "disk", NULL);

        xml_attr(node, "name", disk->name);
        xml_attr(node, "checkpoint", disk->checkpoint ? "bitmap" : "no");
        if (disk->checkpoint)
            xml_attr(node, "bitmap", disk->checkpoint);
    }
}

int checkpoint_xml(const struct list *disks, const char *name, const char *description, char **out, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    xmlNodePtr root = document("domaincheckpoint", &doc, err);

    if (!root)
        return -1;
    xml_child(root, "name", name);
    if (description)
        xml_child(root, "description", description);
    add_checkpoint_disks(root, disks);
    return xml_format(doc, out, err);
}

int checkpoint_redefine_xml(const struct restore_point *point, char **out, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    xmlNodePtr root = document("domaincheckpoint", &doc, err);
    char name[CHECKPOINT_NAME], seconds[32];

    if (!root)
        return -1;
    snprintf(seconds, sizeof seconds, "%lld", (long long)(point->created_at_ms / 1000));
    xml_child(root, "name", checkpoint_name(point->id, name));
    xml_child(root, "creationTime", seconds);
    add_checkpoint_disks(root, &point->disks);
    return xml_format(doc, out, err);
}
