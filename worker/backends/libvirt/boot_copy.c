#include "worker/backends/libvirt/boot_copy.h"

#include "base/parse.h"

#include <stdio.h>
#include <string.h>

static const char prefix[] = "fs-boot-", level[] = "boot";

const char *boot_copy_name(const char *job_id, char out[BOOT_NAME])
{
    snprintf(out, BOOT_NAME, "%s%s", prefix, job_id);
    return out;
}

bool boot_copy_is(virDomainPtr domain)
{
    CLEANUP(freep) char *description = NULL;
    char job[UUID_TEXT], found[MARK_LEVEL];

    if (strncmp(virDomainGetName(domain), prefix, sizeof prefix - 1) != 0)
        return false;
    description = virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_DESCRIPTION, NULL, 0);
    return mark_read(description, job, found) && strcmp(found, level) == 0;
}

int boot_copy_open(struct backend *backend, const struct job *job, const char *source, struct params_backup_restore *as,
                   struct restore *out, struct err *err)
{
    const struct params_backup_verify *params = job->params;

    *as = (struct params_backup_restore){
        .point = params->point,
        .source = (char *)source,
        .repository = params->repository,
        .new_name = (char *)"copy", /* a definition is wanted; isolate() gives it its name */
        .new_identity = true,
    };
    if (restore_open_as(out, backend, job, as, err) < 0)
        return -1;
    out->uuid = job->job_id;
    return 0;
}

/* ---- isolation ---- */

/* By kind of device, what connects a machine to anything but its own disks. */
static const char *const cut[] = {
    "devices/interface",
    "devices/hostdev",
    "devices/redirdev",
    "devices/redirfilter",
    "devices/filesystem",
    "devices/smartcard",
    "devices/shmem",
    "devices/vsock",
    "devices/graphics",
    "devices/audio",
    "devices/parallel",
    "devices/tpm",
    "devices/lease",
    "devices/memory[@model='nvdimm' or @model='virtio-pmem']",
    "devices/input[@type='evdev' or @type='passthrough']",
    "devices/rng[backend/@model='egd']",
    "devices/channel[not(target/@name='org.qemu.guest_agent.0')]",
    "devices/console[not(target/@type) or target/@type='serial']", /* the other name of the first serial port */
    "devices/*[self::serial or self::console or self::channel]/*[self::source or self::protocol or self::log]",
    "seclabel",
    "memoryBacking",
    "metadata",
    "title",
    "description",
};

/* Options for QEMU that libvirt does not look at could do anything. */
static const char unchecked[] = "*[starts-with(namespace-uri(),'http://libvirt.org/schemas/domain/')]";

static int to_file(xmlNodePtr port, const char *folder, int number, struct err *err)
{
    CLEANUP(freep) char *path = NULL;
    xmlNodePtr source;

    if (asprintf(&path, "%s/%s-%d.log", folder, (const char *)port->name, number) < 0) {
        path = NULL;
        return err_memory(err, "console");
    }
    xmlSetProp(port, BAD_CAST "type", BAD_CAST "file");
    source = xml_child(port, "source", NULL);
    xml_attr(source, "path", path);
    return 0;
}

static int listen_to_consoles(xmlNodePtr domain, const char *folder, struct err *err)
{
    CLEANUP(xml_matches_freep) xmlXPathObjectPtr found = xml_all(domain, "devices/*[self::serial or self::console]");
    xmlNodePtr devices = xml_find(domain, "devices");

    if (!found || !devices)
        return err_memory(err, "console");
    for (int i = 0; found->nodesetval && i < found->nodesetval->nodeNr; i++)
        if (to_file(found->nodesetval->nodeTab[i], folder, i, err) < 0)
            return -1;
    if (found->nodesetval && found->nodesetval->nodeNr > 0)
        return 0;
    return to_file(xml_child(devices, "serial", NULL), folder, 0, err);
}

/* A QXL card is nothing without SPICE. */
static void plain_video(xmlNodePtr domain)
{
    xmlNodePtr model;

    while ((model = xml_find(domain, "devices/video/model[@type='qxl']"))) {
        xml_remove_all(model, "@*");
        xml_attr(model, "type", "vga");
    }
}

int boot_copy_isolate(xmlDocPtr doc, const char *job_id, const char *folder, struct err *err)
{
    CLEANUP(freep) char *mark = mark_add(NULL, job_id, level);
    xmlNodePtr domain = xmlDocGetRootElement(doc), name = xml_find(domain, "name");
    char text[BOOT_NAME];

    if (!mark)
        return err_memory(err, "definition");
    for (size_t i = 0; i < sizeof cut / sizeof *cut; i++)
        xml_remove_all(domain, cut[i]);
    xml_remove_all(domain, unchecked);
    plain_video(domain);
    if (name)
        xmlNodeSetContent(name, BAD_CAST boot_copy_name(job_id, text));
    xml_child(domain, "description", mark);
    return listen_to_consoles(domain, folder, err);
}

/* libvirt itself writes KiB; what people typed may have another unit. */
int64_t boot_copy_memory_kib(xmlDocPtr doc)
{
    static const struct {
        const char *unit;
        int64_t kib;
    } units[] = {{"KiB", 1}, {"k", 1}, {"MiB", 1024}, {"M", 1024}, {"GiB", 1024 * 1024}, {"G", 1024 * 1024}};
    CLEANUP(freep) char *amount = xml_get(doc, "/domain/memory");
    CLEANUP(freep) char *unit = xml_get(doc, "/domain/memory/@unit");
    int64_t value;

    if (!amount || parse_int(amount, 1, INT64_MAX / (1024 * 1024), &value, NULL) < 0)
        return 0;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (unit && strcmp(unit, units[i].unit) == 0)
            return value * units[i].kib;
    return unit ? 0 : value;
}
