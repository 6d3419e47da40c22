/*
 * libvirt has QEMU open the overlays, lets it go over to all of them at once, and only then notes them, in the guest's status file and its definition. Dead between the two, it never
 * looks again (seen on libvirt 9.0): to it the overlay is a file that nobody uses, and the guest, started anew, would go on from the image below.
 *
 * Dead before QEMU went over, the overlays stay open in QEMU, and nobody else knows them.
 *
 * A disk is mended when QEMU has an image with a name by libvirt in the guest's drive, right above the one that the note has.
 */
#include "worker/backends/libvirt/half_taken.h"

#include "worker/backends/libvirt/definition.h"
#include "worker/backends/libvirt/note_disk.h"
#include "worker/backends/libvirt/snapshots.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool half_taken_doubtful(const char *note, char **socket)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;

    if (!strstr(note, "async='snapshot'") || xml_parse(note, "status", &doc, NULL) < 0 ||
        !xml_find(xmlDocGetRootElement(doc), "job[@async='snapshot']"))
        return false;
    *socket = xml_get(doc, "/domstatus/monitor[@type='unix']/@path");
    return true;
}

/* The image in the guest's drive. */
struct overlay {
    const char *file, *format;
    unsigned number; /* by libvirt, in the names of its nodes */
};

/* false: it is what the note has, or nothing that follows from it. */
static bool read_overlay(json_t *drive, xmlNodePtr disk, struct overlay *out)
{
    CLEANUP(freep) char *noted = xml_get_at(disk, "source/@file | source/@dev");
    CLEANUP(freep) char *node = xml_get_at(disk, "source/" FORMAT_NODE);
    json_t *image = json_object_get(drive, "image");
    const char *now = json_text(drive, "node-name");
    int end = 0;

    if (!now || !node || strcmp(now, node) == 0 ||
        !text_equal(json_text(json_object_get(image, "backing-image"), "filename"), noted))
        return false;
    out->file = json_text(image, "filename");
    out->format = json_text(image, "format");
    return out->file && out->format && sscanf(now, "libvirt-%u-format%n", &out->number, &end) == 1 && end && !now[end];
}

static void add_node(xmlNodePtr names, const char *type, unsigned number)
{
    xmlNodePtr node = xml_child(names, "nodename", NULL);
    char name[40];

    snprintf(name, sizeof name, "libvirt-%u-%s", number, type);
    xml_attr(node, "type", type);
    xml_attr(node, "name", name);
}

/* What was the disk becomes the layer below. */
static bool push_down(xmlNodePtr disk, xmlNodePtr source)
{
    CLEANUP(freep) char *type = xml_get_at(disk, "@type");
    CLEANUP(freep) char *format = xml_get_at(disk, "driver/@type");
    CLEANUP(freep) char *index = xml_get_at(source, "@index");
    xmlNodePtr below = xml_find(disk, "backingStore"), layer, empty;

    if (!type || !format || !index || !below)
        return false;
    layer = xmlNewNode(NULL, (const xmlChar *)"backingStore");
    xml_attr(layer, "type", type);
    xml_attr(layer, "index", index);
    xml_attr(xml_child(layer, "format", NULL), "type", format);
    empty = xml_child(layer, "source", NULL);
    xmlAddNextSibling(source, layer); /* `source` goes into it, `below` after that */
    xmlUnlinkNode(source);
    xml_replace(empty, source);
    xmlUnlinkNode(below);
    xmlAddChild(layer, below);
    xml_remove_all(source, "@index");
    return true;
}

static bool stand_on(xmlNodePtr disk, const struct overlay *overlay)
{
    xmlNodePtr source = xml_find(disk, "source"), driver = xml_find(disk, "driver"), names;
    char index[16];

    if (!source || !driver || !push_down(disk, source))
        return false;
    snprintf(index, sizeof index, "%u", overlay->number);
    source = xmlNewNode(NULL, (const xmlChar *)"source");
    xmlAddNextSibling(driver, source);
    xml_attr(source, "file", overlay->file);
    xml_attr(source, "index", index);
    names = xml_child(xml_child(source, "privateData", NULL), "nodenames", NULL);
    add_node(names, "storage", overlay->number);
    add_node(names, "format", overlay->number);
    xml_attr(disk, "type", "file");
    xml_attr(driver, "type", overlay->format);
    return true;
}

/* The next node gets another number. */
static void count_node(xmlNodePtr root, unsigned number)
{
    xmlNodePtr counter = xml_find(root, "nodename[@index]");
    CLEANUP(freep) char *counted = xml_get_at(root, "nodename/@index");
    char text[16];

    if (!counter || strtoul(counted, NULL, 10) >= number)
        return;
    snprintf(text, sizeof text, "%u", number);
    xml_attr(counter, "index", text);
}

int half_taken_mend(const char *note, const char *blocks, char **out, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    json_auto_t *drives = json_loads(blocks, 0, NULL);
    bool mended = false;

    *out = NULL;
    if (xml_parse(note, "status", &doc, err) < 0)
        return -1;
    if (!json_is_array(drives))
        return err_set(err, ERR_RETRY, "what QEMU says of its disks cannot be read");
    for (xmlNodePtr disk = note_first_disk(doc); disk; disk = note_next_disk(disk)) {
        struct overlay overlay = {0};

        if (!read_overlay(note_drive(drives, disk), disk, &overlay) || !stand_on(disk, &overlay))
            continue;
        count_node(xmlDocGetRootElement(doc), overlay.number);
        mended = true;
    }
    return mended ? xml_format(doc, out, err) : 0;
}

/* ---- what is left in QEMU ---- */

static bool is_of_libvirt(const char *node, const char *type)
{
    char wanted[40];
    unsigned number;

    if (sscanf(node, "libvirt-%u-", &number) != 1)
        return false;
    snprintf(wanted, sizeof wanted, "libvirt-%u-%s", number, type);
    return strcmp(node, wanted) == 0;
}

int half_taken_left(const char *note, const char *nodes, struct strings *out, struct err *err)
{
    static const char *const types[] = {"format", "storage"}; /* a file is closed after what is in it */
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    json_auto_t *all = json_loads(nodes, 0, NULL);
    CLEANUP(strings_endp) struct strings noted = {0};
    json_t *node;
    size_t i;

    if (!json_is_array(all))
        return err_set(err, ERR_RETRY, "what QEMU says of its images cannot be read");
    if (xml_parse(note, "status", &doc, err) < 0 || note_nodes(doc, &noted, err) < 0)
        return -1;
    for (size_t type = 0; type < 2; type++)
        json_array_foreach(all, i, node)
        {
            const char *name = json_text(node, "node-name");

            if (name && is_of_libvirt(name, types[type]) && !strings_have(&noted, name) &&
                strings_add(out, name, err) < 0)
                return -1;
        }
    return 0;
}
