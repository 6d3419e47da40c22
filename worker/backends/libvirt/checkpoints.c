/* Checkpoints of a domain, and whose they are. */
#include "worker/backends/libvirt/inventory.h"

#include <stdlib.h>
#include <string.h>

bool checkpoint_owner(const char *name, const char *description, char out_job[UUID_TEXT])
{
    char level[MARK_LEVEL];

    if (mark_read(description, out_job, level))
        return true;
    if (strncmp(name, "fs-", 3) != 0 || !uuid_valid(name + 3))
        return false;
    memcpy(out_job, name + 3, UUID_TEXT);
    return true;
}

char *checkpoint_description(virDomainCheckpointPtr checkpoint)
{
    CLEANUP(freep) char *text = virDomainCheckpointGetXMLDesc(checkpoint, VIR_DOMAIN_CHECKPOINT_XML_NO_DOMAIN);
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;

    return text && xml_parse(text, "checkpoint", &doc, NULL) == 0 ? xml_get(doc, "description") : NULL;
}

static int read_one(virDomainCheckpointPtr checkpoint, struct inventory_checkpoint *out, struct err *err)
{
    CLEANUP(freep) char *text = virDomainCheckpointGetXMLDesc(checkpoint, VIR_DOMAIN_CHECKPOINT_XML_NO_DOMAIN);
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    char job[UUID_TEXT];

    if (!text)
        return libvirt_err(err, "checkpoint %s", virDomainCheckpointGetName(checkpoint));
    if (xml_parse(text, "checkpoint", &doc, err) < 0)
        return -1;
    CLEANUP(freep) char *parent = xml_get(doc, "parent/name");
    CLEANUP(freep) char *created = xml_get(doc, "creationTime");
    CLEANUP(freep) char *description = xml_get(doc, "description");
    out->created_at_ms = created ? strtoll(created, NULL, 10) * 1000 : 0;
    if (string_set(&out->name, virDomainCheckpointGetName(checkpoint), err) < 0 ||
        string_set(&out->parent, parent, err) < 0)
        return -1;
    return checkpoint_owner(out->name, description, job) ? string_set(&out->owner, job, err) : 0;
}

int checkpoints_read(virDomainPtr domain, struct list *out, struct err *err)
{
    virDomainCheckpointPtr *checkpoints = NULL;
    int count = virDomainListAllCheckpoints(domain, &checkpoints, VIR_DOMAIN_CHECKPOINT_LIST_TOPOLOGICAL);
    int result = 0;

    if (count < 0)
        return libvirt_err(err, "%s: checkpoints", virDomainGetName(domain));
    for (int i = 0; i < count; i++) {
        struct inventory_checkpoint *each = result == 0 ? list_add(out, &inventory_checkpoint_record, err) : NULL;

        result = each ? read_one(checkpoints[i], each, err) : -1;
        virDomainCheckpointFree(checkpoints[i]);
    }
    free(checkpoints);
    if (result < 0)
        checkpoints_clear(out);
    return result;
}

void checkpoints_clear(struct list *checkpoints)
{
    for (size_t i = 0; i < checkpoints->count; i++)
        record_clear(&inventory_checkpoint_record, list_at(checkpoints, struct inventory_checkpoint, i));
    free(checkpoints->items);
    *checkpoints = (struct list){0};
}
