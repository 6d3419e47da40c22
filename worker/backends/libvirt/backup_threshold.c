#include "worker/backends/libvirt/backup_threshold.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { NODE_NAME = 64 };

/* What is written already counts: the threshold is an offset in the file. */
static unsigned long long written_to(xmlNodePtr disk)
{
    CLEANUP(freep) char *file = xml_get_at(disk, "*[self::target or self::scratch]/@file");
    struct stat status;

    return file && stat(file, &status) == 0 ? (unsigned long long)status.st_size : 0;
}

static void set_one(virDomainPtr domain, xmlNodePtr disk, int64_t share_bytes)
{
    CLEANUP(freep) char *name = xml_get_at(disk, "@name");
    CLEANUP(freep) char *index = xml_get_at(disk, "@index");
    char node[NODE_NAME];

    if (name && index && snprintf(node, sizeof node, "%s[%s]", name, index) < NODE_NAME)
        virDomainSetBlockThreshold(domain, node, written_to(disk) + (unsigned long long)share_bytes, 0);
}

void backup_threshold_set(virDomainPtr domain, int64_t room_bytes)
{
    CLEANUP(freep) char *text = virDomainBackupGetXMLDesc(domain, 0);
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    CLEANUP(xml_matches_freep) xmlXPathObjectPtr found = NULL;

    if (!text || xml_parse(text, "domainbackup", &doc, NULL) < 0)
        return;
    found = xml_all(xmlDocGetRootElement(doc), "disks/disk[@index]");
    int count = found && found->nodesetval ? found->nodesetval->nodeNr : 0;
    int64_t share_bytes = count && room_bytes > count ? room_bytes / count : 1;
    for (int i = 0; i < count; i++)
        set_one(domain, found->nodesetval->nodeTab[i], share_bytes);
}
