/*
 * Disks are listed explicitly in both documents: a raw disk may be part of the backup but not of the checkpoint, and what is not named in <domaincheckpoint> would be
 * taken in by libvirt's default.
 */
#include "worker/backends/libvirt/backup_xml.h"

#include "base/text.h"
#include "base/uuid.h"
#include "model/job.h"
#include "model/listen_address.h"
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

/* `file` is where the hypervisor writes: "target" of a push, "scratch" of a pull. */
static void add_backup_disk(xmlNodePtr disks, const struct point_disk *disk, const char *folder, bool incremental,
                            const char *file_element)
{
    xmlNodePtr node = xml_child(disks, "disk", NULL);
    bool pull = strcmp(file_element, "scratch") == 0;
    struct text file = {0};

    xml_attr(node, "name", disk->name);
    if (strcmp(disk->mode, "excluded") == 0) {
        xml_attr(node, "backup", "no");
        return;
    }
    xml_attr(node, "type", "file");
    if (incremental && strcmp(disk->mode, "full") == 0)
        xml_attr(node, "backupmode", "full");
    if (pull)
        xml_attr(node, "exportname", disk->name);
    if (pull && strcmp(disk->mode, "incremental") == 0)
        xml_attr(node, "exportbitmap", EXPORT_BITMAP);
    text_addf(&file, "%s/%s", folder, disk->file);
    xml_attr(xml_child(node, file_element, NULL), "file", text_str(&file));
    if (!pull)
        xml_attr(xml_child(node, "driver", NULL), "type", disk->format);
    text_free(&file);
}

static xmlNodePtr backup_document(const char *mode, const char *parent_checkpoint, xmlDocPtr *out, struct err *err)
{
    xmlNodePtr root = document("domainbackup", out, err);

    if (root)
        xml_attr(root, "mode", mode);
    if (root && parent_checkpoint)
        xml_child(root, "incremental", parent_checkpoint);
    return root;
}

static void add_backup_disks(xmlNodePtr root, const struct list *disks, const char *folder, bool incremental,
                             const char *file_element)
{
    xmlNodePtr list = xml_child(root, "disks", NULL);

    for (size_t i = 0; i < disks->count; i++)
        add_backup_disk(list, list_at(disks, struct point_disk, i), folder, incremental, file_element);
}

int backup_xml(const struct list *disks, const char *folder, const char *parent_checkpoint, char **out, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    xmlNodePtr root = backup_document("push", parent_checkpoint, &doc, err);

    if (!root)
        return -1;
    add_backup_disks(root, disks, folder, parent_checkpoint != NULL, "target");
    return xml_format(doc, out, err);
}

static int add_server(xmlNodePtr root, const struct params_target_export *where, struct err *err)
{
    xmlNodePtr server = xml_child(root, "server", NULL);
    struct listen_address address;
    char port[16];

    xml_attr(server, "transport", where->socket ? "unix" : "tcp");
    if (where->tls)
        xml_attr(server, "tls", "yes");
    if (where->socket) {
        xml_attr(server, "socket", where->socket);
        return 0;
    }
    if (listen_address_parse(where->address, &address, err) < 0)
        return -1;
    snprintf(port, sizeof port, "%lld", (long long)address.port);
    xml_attr(server, "name", address.host);
    xml_attr(server, "port", port);
    return 0;
}

int backup_pull_xml(const struct list *disks, const char *folder, const char *parent_checkpoint,
                    const struct params_target_export *where, char **out, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    xmlNodePtr root = backup_document("pull", parent_checkpoint, &doc, err);

    if (!root || add_server(root, where, err) < 0)
        return -1;
    add_backup_disks(root, disks, folder, parent_checkpoint != NULL, "scratch");
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

/* The parent of an export may be one without a repository. */
static int add_mark(xmlNodePtr root, const struct restore_point *point, struct err *err)
{
    if (!point->repository)
        return 0;
    CLEANUP(freep) char *mark = mark_add_backup(point->description, point->id, point->repository);
    if (!mark)
        return err_memory(err, point->id);
    xml_child(root, "description", mark);
    return 0;
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
    if (add_mark(root, point, err) < 0)
        return -1;
    xml_child(root, "creationTime", seconds);
    add_checkpoint_disks(root, &point->disks);
    return xml_format(doc, out, err);
}
