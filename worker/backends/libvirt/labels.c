#include "worker/backends/libvirt/labels.h"

#include <string.h>

enum { LABEL_MAX = 63, LABELS_MAX = 64 };

static int read_label(xmlNodePtr node, struct facts *out, struct err *err)
{
    CLEANUP(freep) char *name = xml_get_at(node, "@name");
    CLEANUP(freep) char *value = xml_get_at(node, "@value");

    if (!name || !value || !*name || strlen(name) > LABEL_MAX || strlen(value) > LABEL_MAX)
        return 0;
    return facts_set(out, name, value, err);
}

int labels_read(xmlDocPtr domain, struct facts *out, struct err *err)
{
    CLEANUP(xml_matches_freep)
    xmlXPathObjectPtr found = xml_all(xmlDocGetRootElement(domain), "metadata/fleetsnap:labels/fleetsnap:label");

    if (!found)
        return err_memory(err, "labels");
    for (int i = 0; found->nodesetval && i < found->nodesetval->nodeNr && i < LABELS_MAX; i++)
        if (read_label(found->nodesetval->nodeTab[i], out, err) < 0)
            return -1;
    return 0;
}
