/*
 * Nothing is skipped: an element or attribute is taken, or refused with its line. What only a backup that exists has (uuid, creationTime, the files of its disks) is
 * refused with the reason, so that what `backup show --xml` prints becomes a new backup by leaving those lines out.
 */
#include "coordinator/cli/backup_xml_read.h"
#include "coordinator/cli/xml_file.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/uuid.h"

#include <libxml/tree.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reading {
    const char *name; /* of the file, for errors */
    const json_t *given;
    json_t *params;   /* what was found */
    const char *mode; /* of the disks until now; NULL: none says it */
    struct err *err;
};

static const char *name_of(const xmlNode *node)
{
    return (const char *)node->name;
}

__attribute__((format(printf, 3, 4))) static int refuse(const struct reading *reading, const xmlNode *node,
                                                        const char *format, ...)
{
    char why[256];
    va_list args;

    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    return err_set(reading->err, ERR_PERMANENT, "%s:%ld: <%s>: %s", reading->name, xmlGetLineNo(node), name_of(node),
                   why);
}

/* ---- text and attributes ---- */

/* Without the white space around it; NULL: there is none, or not only text. Caller frees. */
static char *text_of(const xmlNode *node)
{
    xmlChar *content = xmlNodeGetContent(node);
    const char *begin = content ? (const char *)content : "";
    size_t len;

    begin += strspn(begin, " \t\r\n");
    for (len = strlen(begin); len && strchr(" \t\r\n", begin[len - 1]);)
        len--;
    char *text = len && !xmlFirstElementChild((xmlNodePtr)node) ? strndup(begin, len) : NULL;
    xmlFree(content);
    return text;
}

static int take_text(struct reading *reading, const xmlNode *node, const char *param)
{
    CLEANUP(freep) char *text = text_of(node);

    if (node->properties)
        return refuse(reading, node, "attribute %s is not known", (const char *)node->properties->name);
    if (!text)
        return refuse(reading, node, "text is missing, and nothing but text can be in it");
    if (json_object_get(reading->given, param))
        return refuse(reading, node, "--%s says it, too; say it once", param);
    if (json_object_get(reading->params, param))
        return refuse(reading, node, "is there twice");
    return json_object_set_new(reading->params, param, json_string(text)) == 0 ? 0 : err_memory(reading->err, param);
}

/* names: NULL at the end. */
static int check_attributes(const struct reading *reading, const xmlNode *node, const char *const names[])
{
    for (const xmlAttr *each = node->properties; each; each = each->next) {
        size_t i = 0;
        while (names[i] && strcmp(names[i], (const char *)each->name) != 0)
            i++;
        if (!names[i])
            return refuse(reading, node, "attribute %s is not known", (const char *)each->name);
    }
    return 0;
}

/* Borrowed from the document; NULL: not there. An attribute here is one text without entities, else it is "". */
static const char *attribute(const xmlNode *node, const char *name)
{
    const xmlAttr *found = xmlHasProp(node, BAD_CAST name);

    if (!found)
        return NULL;
    return found->children && found->children->type == XML_TEXT_NODE && !found->children->next
               ? (const char *)found->children->content
               : "";
}

static int expect_value(const struct reading *reading, const xmlNode *node, const char *name, const char *only,
                        const char *else_hint)
{
    const char *value = attribute(node, name);

    return !value || strcmp(value, only) == 0 ? 0
                                              : refuse(reading, node, "%s=\"%s\" cannot be: only %s%s%s", name, value,
                                                       only, else_hint ? "; " : "", else_hint ? else_hint : "");
}

static bool is(const xmlNode *node, const char *name)
{
    return strcmp(name_of(node), name) == 0;
}

/* Text between elements. */
static int refuse_text(const struct reading *reading, const xmlNode *parent)
{
    for (const xmlNode *each = parent->children; each; each = each->next)
        if ((each->type == XML_TEXT_NODE && !xmlIsBlankNode(each)) || each->type == XML_CDATA_SECTION_NODE ||
            each->type == XML_ENTITY_REF_NODE)
            return refuse(reading, parent, "there is text in it, and only elements can be");
    return 0;
}

/* ---- disks ---- */

static int take_in_disk(const struct reading *reading, const xmlNode *node)
{
    static const char *const of_driver[] = {"type", NULL};

    if (is(node, "target"))
        return refuse(reading, node, "a disk's file is put into the repository: leave it out, and say --repository");
    if (!is(node, "driver"))
        return refuse(reading, node, "is not known in <disk>");
    if (check_attributes(reading, node, of_driver) < 0 || refuse_text(reading, node) < 0)
        return -1;
    return expect_value(reading, node, "type", "qcow2", NULL);
}

static int take_mode(struct reading *reading, const xmlNode *disk)
{
    const char *mode = attribute(disk, "backupmode");

    if (!mode)
        return 0;
    if (strcmp(mode, "full") != 0 && strcmp(mode, "incremental") != 0)
        return refuse(reading, disk, "backupmode=\"%s\" is none of full, incremental", mode);
    if (reading->mode && strcmp(reading->mode, mode) != 0)
        return refuse(reading, disk, "backupmode differs from that of the disks before it: a backup is of one kind");
    if (json_object_get(reading->given, "kind"))
        return refuse(reading, disk, "--kind says it, too; say it once");
    reading->mode = mode;
    return json_object_set_new(reading->params, "kind", json_string(mode)) == 0 ? 0 : err_memory(reading->err, "kind");
}

static int take_disk(struct reading *reading, const xmlNode *disk)
{
    static const char *const known[] = {"name", "backup", "type", "backupmode", NULL};
    const char *name = attribute(disk, "name"), *backup = attribute(disk, "backup");

    if (!is(disk, "disk"))
        return refuse(reading, disk, "is not known in <disks>");
    if (check_attributes(reading, disk, known) < 0 || refuse_text(reading, disk) < 0 ||
        expect_value(reading, disk, "type", "file", NULL) < 0)
        return -1;
    if (!name || !*name)
        return refuse(reading, disk, "its name is missing, as in name=\"vda\"");
    if (backup && strcmp(backup, "yes") != 0 && strcmp(backup, "no") != 0)
        return refuse(reading, disk, "backup=\"%s\" is none of yes, no", backup);
    for (const xmlNode *each = xmlFirstElementChild((xmlNodePtr)disk); each;
         each = xmlNextElementSibling((xmlNodePtr)each))
        if (take_in_disk(reading, each) < 0)
            return -1;
    if (backup && strcmp(backup, "no") == 0)
        return 0;
    if (json_array_append_new(json_object_get(reading->params, "include"), json_string(name)) < 0)
        return err_memory(reading->err, "include");
    return take_mode(reading, disk);
}

/* As in libvirt: where disks are named, only those are backed up. */
static int take_disks(struct reading *reading, const xmlNode *disks)
{
    static const char *const none[] = {NULL};

    if (json_object_get(reading->given, "include") || json_object_get(reading->given, "exclude"))
        return refuse(reading, disks, "--include and --exclude say it, too; say it once");
    if (json_object_get(reading->params, "include"))
        return refuse(reading, disks, "is there twice");
    if (check_attributes(reading, disks, none) < 0 || refuse_text(reading, disks) < 0)
        return -1;
    if (json_object_set_new(reading->params, "include", json_array()) < 0)
        return err_memory(reading->err, "include");
    for (const xmlNode *each = xmlFirstElementChild((xmlNodePtr)disks); each;
         each = xmlNextElementSibling((xmlNodePtr)each))
        if (take_disk(reading, each) < 0)
            return -1;
    return json_array_size(json_object_get(reading->params, "include"))
               ? 0
               : refuse(reading, disks, "no disk is left to back up");
}

/* ---- the whole ---- */

static int take_parent(struct reading *reading, const xmlNode *parent)
{
    static const char *const none[] = {NULL};
    const xmlNode *uuid = xmlFirstElementChild((xmlNodePtr)parent);

    if (check_attributes(reading, parent, none) < 0 || refuse_text(reading, parent) < 0)
        return -1;
    if (!uuid || !is(uuid, "uuid") || xmlNextElementSibling((xmlNodePtr)uuid))
        return refuse(reading, uuid ? uuid : parent, "in <parent> there is one <uuid>, of the backup that it stands on");
    if (take_text(reading, uuid, "parent") < 0)
        return -1;
    const char *id = json_string_value(json_object_get(reading->params, "parent"));
    return uuid_valid(id) ? 0 : refuse(reading, uuid, "\"%.64s\" is no UUID", id);
}

static int take_member(struct reading *reading, const xmlNode *node)
{
    if (is(node, "description"))
        return take_text(reading, node, "description");
    if (is(node, "parent"))
        return take_parent(reading, node);
    if (is(node, "disks"))
        return take_disks(reading, node);
    if (is(node, "uuid") || is(node, "creationTime"))
        return refuse(reading, node, "a new backup gets its own: leave it out");
    if (is(node, "incremental"))
        return refuse(reading, node,
                      "a backup stands on a backup, not on a checkpoint: <parent><uuid>…</uuid></parent>");
    return refuse(reading, node, "is not known in <domainbackup>");
}

static int take_all(struct reading *reading, const xmlNode *root)
{
    static const char *const known[] = {"mode", NULL};

    if (!is(root, "domainbackup"))
        return refuse(reading, root, "<domainbackup> was expected");
    if (check_attributes(reading, root, known) < 0 || refuse_text(reading, root) < 0 ||
        expect_value(reading, root, "mode", "push", "to read a machine's disks yourself: fleetsnap target export") < 0)
        return -1;
    for (const xmlNode *each = xmlFirstElementChild((xmlNodePtr)root); each;
         each = xmlNextElementSibling((xmlNodePtr)each))
        if (take_member(reading, each) < 0)
            return -1;
    return 0;
}

int backup_xml_read(const char *text, const char *name, json_t *params, struct err *err)
{
    CLEANUP(xml_file_freep) xmlDocPtr doc = NULL;
    json_t *found = json_object();
    struct reading reading = {.name = name, .given = params, .params = found, .err = err};
    int result = -1;

    if (xml_file_parse(text, name, &doc, err) == 0 && take_all(&reading, xmlDocGetRootElement(doc)) == 0)
        result = json_object_update(params, found) == 0 ? 0 : err_memory(err, name);
    json_decref(found);
    return result;
}
