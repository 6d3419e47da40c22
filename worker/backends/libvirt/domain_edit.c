/*
 * What a definition says about one guest in one place must not be said of its copy: sockets, log files and ports by name, MAC addresses, the run-time details of the
 * original. What libvirt generates when it is absent is taken out; the rest is set. Disks that are not restored are taken out, except removable ones,
 * which are emptied.
 */
#include "worker/backends/libvirt/domain_edit.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

typedef int node_edit(xmlNodePtr node, const struct domain_edit *edit, struct err *err);

/* Calls `change` for every match; nodes may be removed by it. */
static int each(xmlDocPtr doc, const char *xpath, node_edit *change, const struct domain_edit *edit, struct err *err)
{
    xmlXPathContextPtr context = xmlXPathNewContext(doc);
    xmlXPathObjectPtr found = context ? xmlXPathEvalExpression(BAD_CAST xpath, context) : NULL;
    int result = found ? 0 : err_memory(err, xpath);

    for (int i = 0; result == 0 && found->nodesetval && i < found->nodesetval->nodeNr; i++) {
        xmlNodePtr node = found->nodesetval->nodeTab[i];

        found->nodesetval->nodeTab[i] = NULL; /* XPath looks at it again when it is freed */
        result = change(node, edit, err);
    }
    xmlXPathFreeObject(found);
    xmlXPathFreeContext(context);
    return result;
}

static int drop(xmlNodePtr node, const struct domain_edit *edit, struct err *err)
{
    (void)edit;
    (void)err;
    if (node->type == XML_ATTRIBUTE_NODE) {
        xmlRemoveProp((xmlAttrPtr)node);
        return 0;
    }
    xmlUnlinkNode(node);
    xmlFreeNode(node);
    return 0;
}

static xmlNodePtr child(xmlNodePtr node, const char *name)
{
    for (xmlNodePtr item = node->children; item; item = item->next)
        if (item->type == XML_ELEMENT_NODE && strcmp((const char *)item->name, name) == 0)
            return item;
    return NULL;
}

static void drop_child(xmlNodePtr node, const char *name)
{
    xmlNodePtr found = child(node, name);

    if (found)
        drop(found, NULL, NULL);
}

static char *attribute(xmlNodePtr node, const char *name)
{
    CLEANUP(xml_string_freep) xmlChar *value = node ? xmlGetProp(node, BAD_CAST name) : NULL;

    return value ? strdup((const char *)value) : NULL;
}

static bool attribute_is(xmlNodePtr node, const char *name, const char *value)
{
    CLEANUP(freep) char *found = attribute(node, name);

    return found && strcmp(found, value) == 0;
}

static void set_content(xmlNodePtr node, const char *value)
{
    xmlNodeSetContent(node, NULL);
    xmlNodeAddContent(node, BAD_CAST value);
}

/* ---- identity ---- */

/* libvirt saves both, a person may leave them out: then it would make a UUID of its own. */
static void set_child(xmlDocPtr doc, const char *name, const char *value)
{
    xmlNodePtr root = xmlDocGetRootElement(doc), found = child(root, name);

    if (found)
        set_content(found, value);
    else
        xml_child(root, name, value);
}

static int set_uuid(xmlNodePtr node, const struct domain_edit *edit, struct err *err)
{
    (void)err;
    set_content(node, edit->uuid);
    return 0;
}

static int edit_identity(xmlDocPtr doc, const struct domain_edit *edit, struct err *err)
{
    set_child(doc, "name", edit->name);
    set_child(doc, "uuid", edit->uuid);
    if (each(doc, "/domain/@id", drop, edit, err) < 0 ||
        each(doc, "/domain/sysinfo/system/entry[@name='uuid']", set_uuid, edit, err) < 0 ||
        each(doc, "/domain/seclabel[@type='dynamic']", drop, edit, err) < 0)
        return -1;
    if (!edit->new_identity)
        return 0;
    if (each(doc, "/domain/genid/text()", drop, edit, err) < 0)
        return -1;
    return each(doc, "/domain/devices/interface/mac", drop, edit, err);
}

/* ---- disks ---- */

static const struct edit_disk *restored(const struct domain_edit *edit, const char *name)
{
    for (size_t i = 0; name && i < edit->disk_count; i++)
        if (strcmp(edit->disks[i].name, name) == 0)
            return &edit->disks[i];
    return NULL;
}

static void set_disk(xmlNodePtr node, const struct edit_disk *disk)
{
    xmlNodePtr driver = child(node, "driver"), source = child(node, "source");

    drop_child(node, "backingStore");
    drop_child(node, "mirror");
    if (source)
        drop(source, NULL, NULL);
    source = xml_child(node, "source", NULL);
    xml_attr(source, "file", disk->file);
    xmlSetProp(node, BAD_CAST "type", BAD_CAST "file");
    if (!driver) {
        driver = xml_child(node, "driver", NULL);
        xml_attr(driver, "name", "qemu");
    }
    xmlSetProp(driver, BAD_CAST "type", BAD_CAST disk->format);
}

static int edit_disk(xmlNodePtr node, const struct domain_edit *edit, struct err *err)
{
    CLEANUP(freep) char *name = attribute(child(node, "target"), "dev");
    const struct edit_disk *disk = restored(edit, name);

    if (disk) {
        set_disk(node, disk);
        return 0;
    }
    if (!attribute_is(node, "device", "cdrom") && !attribute_is(node, "device", "floppy"))
        return drop(node, edit, err);
    drop_child(node, "source");
    drop_child(node, "backingStore");
    return 0;
}

static int check_disks(xmlDocPtr doc, const struct domain_edit *edit, struct err *err)
{
    struct domain_disks disks = {0};
    int result = domain_disks_read(doc, &disks, err);

    for (size_t i = 0; result == 0 && i < edit->disk_count; i++)
        if (!domain_disks_find(&disks, edit->disks[i].name))
            result = err_set(err, ERR_PERMANENT, "the saved definition has no disk %s", edit->disks[i].name);
    domain_disks_clear(&disks);
    return result;
}

/* ---- what is mapped ---- */

static int list_values(xmlDocPtr doc, const char *xpath, struct strings *out, struct err *err)
{
    CLEANUP(xml_matches_freep) xmlXPathObjectPtr found = xml_all(xmlDocGetRootElement(doc), xpath);
    int result = found ? 0 : err_memory(err, xpath);

    for (int i = 0; result == 0 && found->nodesetval && i < found->nodesetval->nodeNr; i++) {
        CLEANUP(xml_string_freep) xmlChar *value = xmlNodeGetContent(found->nodesetval->nodeTab[i]);

        if (value && !strings_have(out, (const char *)value))
            result = strings_add(out, (const char *)value, err);
    }
    return result;
}

static int refuse_unknown(const char *key, const char *what, const struct strings *there, struct err *err)
{
    struct text names = {0};

    for (size_t i = 0; i < there->count; i++)
        text_addf(&names, "%s%s", i ? ", " : "", there->items[i]);
    err_set(err, ERR_PERMANENT, "the definition has no %s %s to map", what, key);
    err_hint(err, "it has: %s", there->count ? text_str(&names) : "none");
    text_free(&names);
    return -1;
}

/* A map that fits nothing is a mistake of whoever asked: the guest would get something else than was meant. */
static int check_map(xmlDocPtr doc, const struct facts *map, const char *xpath, const char *what, struct err *err)
{
    struct strings there = {0};
    int result = map->count ? list_values(doc, xpath, &there, err) : 0;

    for (size_t i = 0; result == 0 && i < map->count; i++)
        if (!strings_have(&there, map->items[i].key))
            result = refuse_unknown(map->items[i].key, what, &there, err);
    strings_clear(&there);
    return result;
}

static int check_maps(xmlDocPtr doc, const struct domain_edit *edit, struct err *err)
{
    if (check_map(doc, edit->networks,
                  "devices/interface/source/@network | devices/interface/source[not(@network)]/@bridge", "network",
                  err) < 0)
        return -1;
    return check_map(doc, edit->machines, "os/type/@machine", "machine type", err);
}

static int map_machine(xmlNodePtr type, const struct domain_edit *edit, struct err *err)
{
    CLEANUP(freep) char *machine = attribute(type, "machine");
    const char *to = machine ? facts_get(edit->machines, machine) : NULL;

    (void)err;
    if (to)
        xmlSetProp(type, BAD_CAST "machine", BAD_CAST to);
    return 0;
}

/* ---- what has a place on the host ---- */

static int map_network(xmlNodePtr source, const struct domain_edit *edit, struct err *err)
{
    CLEANUP(freep) char *network = attribute(source, "network");
    CLEANUP(freep) char *bridge = attribute(source, "bridge");
    const char *to = facts_get(edit->networks, network ? network : bridge ? bridge : "");

    (void)err;
    xmlUnsetProp(source, BAD_CAST "portid");
    if (network)
        xmlUnsetProp(source, BAD_CAST "bridge"); /* the live definition's note of what it was */
    if (!to)
        return 0;
    xmlUnsetProp(source, BAD_CAST(network ? "network" : "bridge"));
    xml_attr(source, "network", to);
    xmlSetProp(source->parent, BAD_CAST "type", BAD_CAST "network");
    return 0;
}

static int move_file(xmlNodePtr path, const struct domain_edit *edit, struct err *err)
{
    CLEANUP(freep) char *old = attribute(path->parent, (const char *)path->name);
    struct text file = {0};
    const char *base = old ? strrchr(old, '/') : NULL;

    if (!base)
        return 0;
    text_addf(&file, "%s%s", edit->folder, base);
    if (file.failed)
        return err_memory(err, "definition");
    xmlSetProp(path->parent, path->name, BAD_CAST text_str(&file));
    text_free(&file);
    return 0;
}

static int free_port(xmlNodePtr graphics, const struct domain_edit *edit, struct err *err)
{
    (void)edit;
    (void)err;
    xmlUnsetProp(graphics, BAD_CAST "port");
    xmlUnsetProp(graphics, BAD_CAST "tlsPort");
    xmlUnsetProp(graphics, BAD_CAST "websocket");
    xmlSetProp(graphics, BAD_CAST "autoport", BAD_CAST "yes");
    return 0;
}

static int set_nvram(xmlNodePtr nvram, const struct domain_edit *edit, struct err *err)
{
    struct text file = {0};

    if (!edit->nvram)
        return drop(nvram, edit, err); /* made from its template at the first start */
    text_addf(&file, "%s/nvram.fd", edit->folder);
    set_content(nvram, text_str(&file));
    text_free(&file);
    return 0;
}

static int edit_places(xmlDocPtr doc, const struct domain_edit *edit, struct err *err)
{
    static const char *const drops[] = {
        "/domain/devices/interface/target[starts-with(@dev,'vnet') or starts-with(@dev,'macvtap')]",
        "/domain/devices/channel[@type='unix']/source[@mode='bind']",
        "/domain/devices/*[self::console or self::serial or self::channel]/@tty",
        "/domain/devices/*[self::console or self::serial][@type='pty']/source",
        "/domain/devices/channel/target/@state",
        "/domain/devices/*/alias[not(starts-with(@name,'ua-'))]",
        "/domain/devices/vsock/cid[@auto='yes']/@address",
        "/domain/devices/graphics/@socket",
    };

    for (size_t i = 0; i < sizeof drops / sizeof *drops; i++)
        if (each(doc, drops[i], drop, edit, err) < 0)
            return -1;
    if (each(doc, "/domain/devices/interface/source", map_network, edit, err) < 0 ||
        each(doc, "/domain/devices/*[self::serial or self::console or self::channel]/log/@file", move_file, edit, err) <
            0 ||
        each(doc, "/domain/devices/*[self::serial or self::console][@type='file']/source/@path", move_file, edit, err) <
            0 ||
        each(doc, "/domain/devices/*[self::serial or self::console][@type='unix']/source[@mode='bind']/@path",
             move_file, edit, err) < 0 ||
        each(doc, "/domain/devices/graphics[@type='vnc' or @type='spice']", free_port, edit, err) < 0)
        return -1;
    return each(doc, "/domain/os/nvram", set_nvram, edit, err);
}

int domain_edit(xmlDocPtr doc, const struct domain_edit *edit, struct err *err)
{
    if (check_disks(doc, edit, err) < 0 || check_maps(doc, edit, err) < 0 || edit_identity(doc, edit, err) < 0 ||
        each(doc, "/domain/os/type", map_machine, edit, err) < 0 ||
        each(doc, "/domain/devices/disk", edit_disk, edit, err) < 0)
        return -1;
    return edit_places(doc, edit, err);
}
