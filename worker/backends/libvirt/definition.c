#include "worker/backends/libvirt/definition.h"

#include "base/parse.h"
#include "base/text.h"
#include "crypto/digest.h"

#include <libxml/c14n.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int definition_digest(xmlDocPtr doc, char out[65], struct err *err)
{
    static const char *const moving[] = {"metadata", "devices/disk/source", "devices/disk/backingStore",
                                         "devices/disk/driver/@type"};
    CLEANUP(xml_freep) xmlDocPtr copy = xmlCopyDoc(doc, 1);
    CLEANUP(xml_string_freep) xmlChar *text = NULL;
    int len;

    if (!copy)
        return err_memory(err, "definition");
    for (size_t i = 0; i < sizeof moving / sizeof moving[0]; i++)
        xml_remove_all(xmlDocGetRootElement(copy), moving[i]);
    if (xmlC14NDocDumpMemory(copy, NULL, XML_C14N_1_0, NULL, 0, &text) < 0 || !text)
        return err_memory(err, "definition");
    len = (int)strlen((char *)text);
    digest_bytes(text, (size_t)len, out);
    return 0;
}

/* ---- differences ---- */

struct property {
    const char *label, *xpath;
    bool kibibytes;
};

static const struct property properties[] = {
    {"memory", "memory", true},
    {"current memory", "currentMemory", true},
    {"vcpu", "vcpu", false},
    {"machine", "os/type/@machine", false},
    {"architecture", "os/type/@arch", false},
    {"CPU", "cpu/@mode", false},
    {"CPU model", "cpu/model", false},
    {"loader", "os/loader", false},
};

static const char *shown(const struct property *property, const char *value, char *out, size_t size)
{
    int64_t kibibytes;

    if (!value)
        return "none";
    if (!property->kibibytes || parse_int(value, 0, INT64_MAX / 1024, &kibibytes, NULL) < 0)
        return value;
    return format_size(kibibytes * 1024, out, size);
}

static int compare_property(const struct property *property, xmlNodePtr before, xmlNodePtr now, struct strings *out,
                            struct err *err)
{
    CLEANUP(freep) char *old = xml_get_at(before, property->xpath);
    CLEANUP(freep) char *new = xml_get_at(now, property->xpath);
    char old_size[32], new_size[32], phrase[300];

    if (strcmp(old ? old : "", new ? new : "") == 0)
        return 0;
    snprintf(phrase, sizeof phrase, "%s %.100s → %.100s", property->label,
             shown(property, old, old_size, sizeof old_size), shown(property, new, new_size, sizeof new_size));
    return strings_add(out, phrase, err);
}

static bool has_value(xmlXPathObjectPtr found, const xmlChar *value)
{
    for (int i = 0; found->nodesetval && i < found->nodesetval->nodeNr; i++) {
        CLEANUP(xml_string_freep) xmlChar *each = xmlNodeGetContent(found->nodesetval->nodeTab[i]);

        if (each && xmlStrEqual(each, value))
            return true;
    }
    return false;
}

/* What is in `these` and not in `those`. */
static int only_in(xmlXPathObjectPtr these, xmlXPathObjectPtr those, const char *label, const char *word,
                   struct strings *out, struct err *err)
{
    for (int i = 0; these->nodesetval && i < these->nodesetval->nodeNr; i++) {
        CLEANUP(xml_string_freep) xmlChar *value = xmlNodeGetContent(these->nodesetval->nodeTab[i]);
        char phrase[300];

        if (!value || has_value(those, value))
            continue;
        snprintf(phrase, sizeof phrase, "%s %.200s %s", label, (char *)value, word);
        if (strings_add(out, phrase, err) < 0)
            return -1;
    }
    return 0;
}

static int compare_devices(const char *label, const char *xpath, xmlNodePtr before, xmlNodePtr now, struct strings *out,
                           struct err *err)
{
    CLEANUP(xml_matches_freep) xmlXPathObjectPtr old = xml_all(before, xpath);
    CLEANUP(xml_matches_freep) xmlXPathObjectPtr new = xml_all(now, xpath);

    if (!old || !new)
        return err_memory(err, "definition");
    if (only_in(new, old, label, "is new", out, err) < 0)
        return -1;
    return only_in(old, new, label, "is gone", out, err);
}

int definition_differences(xmlNodePtr before, xmlNodePtr now, struct strings *out, struct err *err)
{
    for (size_t i = 0; i < sizeof properties / sizeof properties[0]; i++)
        if (compare_property(&properties[i], before, now, out, err) < 0)
            return -1;
    if (compare_devices("disk", "devices/disk/target/@dev", before, now, out, err) < 0)
        return -1;
    if (compare_devices("network card", "devices/interface/mac/@address", before, now, out, err) < 0)
        return -1;
    return compare_devices("host device", "devices/hostdev/source/address/@*", before, now, out, err);
}

char *strings_join(const struct strings *strings, const char *separator)
{
    struct text text = {0};

    text_add(&text, "");
    for (size_t i = 0; i < strings->count; i++) {
        text_add(&text, i ? separator : "");
        text_add(&text, strings->items[i]);
    }
    return text_take(&text);
}

int definition_without_secrets(const char *xml, char **out, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;

    if (xml_parse(xml, "domain", &doc, err) < 0)
        return -1;
    xml_remove_all(xmlDocGetRootElement(doc), "//graphics/@passwd");
    xml_remove_all(xmlDocGetRootElement(doc), "//graphics/@passwdValidTo");
    xml_remove_all(xmlDocGetRootElement(doc), "//source/cookies");
    return xml_format(doc, out, err);
}

/* ---- edits ---- */

xmlNodePtr definition_find_disk(xmlNodePtr domain, const char *name)
{
    CLEANUP(xml_matches_freep) xmlXPathObjectPtr found = domain && name ? xml_all(domain, "devices/disk") : NULL;

    for (int i = 0; found && found->nodesetval && i < found->nodesetval->nodeNr; i++) {
        CLEANUP(freep) char *each = xml_get_at(found->nodesetval->nodeTab[i], "target/@dev");

        if (each && strcmp(each, name) == 0)
            return found->nodesetval->nodeTab[i];
    }
    return NULL;
}

void definition_cut_backing(xmlNodePtr domain)
{
    xml_remove_all(domain, "devices/disk/backingStore");
}

/* A device where it is one on this host. */
static void set_source(xmlNodePtr disk, const char *path)
{
    struct stat st;
    bool device = stat(path, &st) == 0 && S_ISBLK(st.st_mode);

    xml_attr(disk, "type", device ? "block" : "file");
    xml_attr(xml_child(disk, "source", NULL), device ? "dev" : "file", path);
}

int definition_set_disk(xmlNodePtr domain, const char *name, const char *path, const char *format, struct err *err)
{
    xmlNodePtr disk = definition_find_disk(domain, name);
    xmlNodePtr driver = disk ? xml_find(disk, "driver") : NULL;

    if (!disk)
        return err_set(err, ERR_PERMANENT, "disk %s: not in the definition", name);
    xml_remove_all(disk, "source");
    xml_remove_all(disk, "backingStore");
    xml_remove_all(disk, "mirror");
    set_source(disk, path);
    if (!driver) {
        driver = xml_child(disk, "driver", NULL);
        xml_attr(driver, "name", "qemu");
    }
    xml_attr(driver, "type", format);
    return 0;
}

int definition_replace_source(xmlNodePtr domain, const char *from, const char *to, const char *format)
{
    CLEANUP(xml_matches_freep) xmlXPathObjectPtr found = xml_all(domain, "devices/disk/source[@file]");
    int count = 0;

    for (int i = 0; found && found->nodesetval && i < found->nodesetval->nodeNr; i++) {
        CLEANUP(freep) char *file = xml_get_at(found->nodesetval->nodeTab[i], "@file");
        xmlNodePtr driver;

        if (!file || strcmp(file, from) != 0)
            continue;
        xml_attr(found->nodesetval->nodeTab[i], "file", to);
        driver = xml_find(found->nodesetval->nodeTab[i]->parent, "driver");
        if (driver && format)
            xml_attr(driver, "type", format);
        count++;
    }
    return count;
}
