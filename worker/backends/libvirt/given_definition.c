#include "worker/backends/libvirt/given_definition.h"

#include <string.h>

static const char what[] = "the given definition";

static int refuse(const xmlNode *node, const char *why, const char *name, struct err *err)
{
    return err_set(err, ERR_PERMANENT, "%s: line %ld: <%s>: %s%s%s", what, xmlGetLineNo(node), (const char *)node->name,
                   name ? name : "", name ? ": " : "", why);
}

static int check_root(xmlDocPtr doc, struct err *err)
{
    xmlNodePtr root = xmlDocGetRootElement(doc);
    static const char *const needed[] = {"os/type", "memory", "devices"};

    if (strcmp((const char *)root->name, "domain") != 0)
        return refuse(root, "<domain> was expected", NULL, err);
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!xml_find(root, needed[i]))
            return refuse(root, "is missing in it", needed[i], err);
    return 0;
}

static int check_secrets(xmlDocPtr doc, struct err *err)
{
    const xmlNode *found = xml_find(xmlDocGetRootElement(doc), "//@passwd | //@password | //launchSecurity/session");

    if (!found)
        return 0;
    const char *name = (const char *)found->name;
    return refuse(found->type == XML_ATTRIBUTE_NODE ? found->parent : found,
                  "secrets do not travel with a job: set it on the host afterwards", name, err);
}

/* Removable ones are emptied, whatever is in them. */
static int check_disk(xmlNodePtr node, const struct strings *disks, struct strings *seen, struct err *err)
{
    CLEANUP(freep) char *name = xml_get_at(node, "target/@dev");
    CLEANUP(freep) char *device = xml_get_at(node, "@device");

    if (!name)
        return refuse(node, "it has no <target dev=…>", NULL, err);
    if (strings_have(seen, name))
        return refuse(node, "is there twice", name, err);
    if (strings_add(seen, name, err) < 0)
        return -1;
    if (strings_have(disks, name) || (device && (strcmp(device, "cdrom") == 0 || strcmp(device, "floppy") == 0)))
        return 0;
    return refuse(node, "is none of the disks that are restored: leave it out, and attach it afterwards", name, err);
}

static int check_disks(xmlDocPtr doc, const struct strings *disks, struct err *err)
{
    CLEANUP(xml_matches_freep) xmlXPathObjectPtr found = xml_all(xmlDocGetRootElement(doc), "devices/disk");
    CLEANUP(strings_clear) struct strings seen = {0};
    int result = found ? 0 : err_memory(err, what);

    for (int i = 0; result == 0 && found->nodesetval && i < found->nodesetval->nodeNr; i++)
        result = check_disk(found->nodesetval->nodeTab[i], disks, &seen, err);
    for (size_t i = 0; result == 0 && i < disks->count; i++)
        if (!strings_have(&seen, disks->items[i]))
            result = refuse(xml_find(xmlDocGetRootElement(doc), "devices"), "is restored, and no <disk> has it",
                            disks->items[i], err);
    return result;
}

/* ---- what of the host it reaches ---- */

#define OF_GUEST "not(ancestor-or-self::metadata)"

/* Taken as a whole, or not at all. */
static const char wholes[] = "//*[" OF_GUEST "][self::hostdev or self::seclabel or self::filesystem or self::script or "
                             "self::smartcard or self::shmem or namespace-uri() != '']";
/* Any network of libvirt may be named, as by map_network: it is there for guests. A bridge, a card or a tap of the host is what the saved definition has, or it is none. */
static const char cards[] = "//interface[" OF_GUEST "][not(@type='network' or @type='user')]";
/* Files, by what they are or how they look. */
static const char files[] =
    "//*[" OF_GUEST
    "]/@*[starts-with(normalize-space(.), '/') or name() = 'path' or name() = 'file' or name() = 'dir' or "
    "name() = 'socket' or name() = 'service' or name() = 'master' or name() = 'slave' or name() = 'template' or name() = 'filename'] | "
    "//*[" OF_GUEST
    "][not(*)][starts-with(normalize-space(.), '/') or self::emulator or self::kernel or self::initrd or "
    "self::dtb or self::loader or self::nvram or self::table or (self::backend and normalize-space(.) != '')]";

static const xmlNode *element_of(const xmlNode *node)
{
    return node->type == XML_ATTRIBUTE_NODE ? node->parent : node;
}

static bool same_file(xmlNodePtr a, xmlNodePtr b)
{
    CLEANUP(xml_string_freep) xmlChar *one = xmlNodeGetContent(a);
    CLEANUP(xml_string_freep) xmlChar *other = xmlNodeGetContent(b);

    return one && other && xmlStrEqual(one, other) && xmlStrEqual(a->name, b->name) &&
           xmlStrEqual(element_of(a)->name, element_of(b)->name);
}

static bool same_whole(xmlNodePtr a, xmlNodePtr b)
{
    CLEANUP(freep) char *one = NULL;
    CLEANUP(freep) char *other = NULL;

    return xml_format_node(a, &one, NULL) == 0 && xml_format_node(b, &other, NULL) == 0 && strcmp(one, other) == 0;
}

static bool same_child(xmlNodePtr a, xmlNodePtr b, const char *name)
{
    xmlNodePtr one = xml_find(a, name), other = xml_find(b, name);

    return one && other ? same_whole(one, other) : !one && !other;
}

static bool same_card(xmlNodePtr a, xmlNodePtr b)
{
    CLEANUP(freep) char *one = xml_get_at(a, "@type");
    CLEANUP(freep) char *other = xml_get_at(b, "@type");

    return one && other && strcmp(one, other) == 0 && same_child(a, b, "source") &&
           (strcmp(one, "ethernet") != 0 || same_child(a, b, "target"));
}

/* Each match of the XPath has one in the saved definition that is the same. */
static int check_reach(xmlDocPtr doc, xmlDocPtr saved, const char *xpath, bool (*same)(xmlNodePtr a, xmlNodePtr b),
                       struct err *err)
{
    CLEANUP(xml_matches_freep) xmlXPathObjectPtr given = xml_all(xmlDocGetRootElement(doc), xpath);
    CLEANUP(xml_matches_freep) xmlXPathObjectPtr known = xml_all(xmlDocGetRootElement(saved), xpath);

    if (!given || !known)
        return err_memory(err, what);
    for (int i = 0; given->nodesetval && i < given->nodesetval->nodeNr; i++) {
        xmlNodePtr node = given->nodesetval->nodeTab[i];
        bool found = false;

        for (int k = 0; !found && known->nodesetval && k < known->nodesetval->nodeNr; k++)
            found = same(node, known->nodesetval->nodeTab[k]);
        if (!found)
            return refuse(element_of(node),
                          "reaches what the saved definition does not: leave it out, and add it on the host",
                          node->type == XML_ATTRIBUTE_NODE ? (const char *)node->name : NULL, err);
    }
    return 0;
}

int given_definition(const char *text, const struct strings *disks, xmlDocPtr saved, xmlDocPtr *out, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;

    if (xml_parse(text, what, &doc, err) < 0 || check_root(doc, err) < 0 || check_secrets(doc, err) < 0 ||
        check_disks(doc, disks, err) < 0)
        return -1;
    xml_remove_all(xmlDocGetRootElement(doc), "devices/disk/source | devices/disk/backingStore | devices/disk/mirror");
    if (check_reach(doc, saved, wholes, same_whole, err) < 0 || check_reach(doc, saved, files, same_file, err) < 0 ||
        check_reach(doc, saved, cards, same_card, err) < 0)
        return -1;
    *out = TAKE_PTR(doc);
    return 0;
}
