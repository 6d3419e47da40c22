/* The disks of a domain's definition, and what can be done with each. */
#include "worker/backends/libvirt/libvirt.h"

#include <stdlib.h>
#include <string.h>

static char *read_source(xmlNodePtr disk)
{
    static const char *const places[] = {"source/@file", "source/@dev", "source/@dir", "source/@volume", "source/@name"};
    char *source = NULL;

    for (size_t i = 0; !source && i < sizeof places / sizeof places[0]; i++)
        source = xml_get_at(disk, places[i]);
    return source;
}

static char *or_default(char *value, const char *fallback)
{
    return value ? value : strdup(fallback);
}

static int read_disk(xmlNodePtr node, struct domain_disk *out, struct err *err)
{
    CLEANUP(freep) char *index = xml_get_at(node, "source/@index");

    out->name = xml_get_at(node, "target/@dev");
    out->device = or_default(xml_get_at(node, "@device"), "disk");
    out->type = or_default(xml_get_at(node, "@type"), "file");
    out->source = read_source(node);
    out->pool = xml_get_at(node, "source/@pool");
    out->format = or_default(xml_get_at(node, "driver/@type"), "raw");
    out->serial = xml_get_at(node, "serial");
    out->backing = xml_get_at(node, "backingStore/source/@file");
    out->read_only = xml_find(node, "readonly") != NULL;
    out->shareable = xml_find(node, "shareable") != NULL;
    out->transient = xml_find(node, "transient") != NULL;
    out->index = index ? (unsigned)strtoul(index, NULL, 10) : 0;
    return out->name && out->device && out->type && out->format ? 0 : err_memory(err, "disk");
}

int domain_disks_read_at(xmlNodePtr domain, struct domain_disks *out, struct err *err)
{
    CLEANUP(xml_matches_freep) xmlXPathObjectPtr found = xml_all(domain, "devices/disk[target/@dev]");
    size_t count = found && found->nodesetval ? (size_t)found->nodesetval->nodeNr : 0;
    CLEANUP(domain_disks_clear) struct domain_disks disks = {calloc(count + 1, sizeof *disks.items), 0};

    if (!found || !disks.items)
        return err_memory(err, "disks");
    for (; disks.count < count; disks.count++)
        if (read_disk(found->nodesetval->nodeTab[disks.count], &disks.items[disks.count], err) < 0) {
            disks.count++; /* the half-built one is freed, too */
            return -1;
        }
    *out = disks;
    disks = (struct domain_disks){0};
    return 0;
}

int domain_disks_read(xmlDocPtr domain, struct domain_disks *out, struct err *err)
{
    return domain_disks_read_at(xmlDocGetRootElement(domain), out, err);
}

void domain_disks_clear(struct domain_disks *disks)
{
    for (size_t i = 0; disks->items && i < disks->count; i++) {
        struct domain_disk *disk = &disks->items[i];

        free(disk->name);
        free(disk->device);
        free(disk->type);
        free(disk->source);
        free(disk->pool);
        free(disk->format);
        free(disk->serial);
        free(disk->backing);
    }
    free(disks->items);
    *disks = (struct domain_disks){0};
}

const struct domain_disk *domain_disks_find(const struct domain_disks *disks, const char *name)
{
    for (size_t i = 0; i < disks->count; i++)
        if (strcmp(disks->items[i].name, name) == 0)
            return &disks->items[i];
    return NULL;
}

bool domain_disk_writable(const struct domain_disk *disk)
{
    return disk->source && !disk->read_only && !disk->shareable && !disk->transient && strcmp(disk->device, "disk") == 0;
}
