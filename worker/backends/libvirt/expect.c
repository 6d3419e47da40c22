#include "worker/backends/libvirt/expect.h"

#include "worker/backends/libvirt/definition.h"
#include "worker/backends/libvirt/snapshots.h"

#include <string.h>

static int check_current(virDomainPtr domain, const char *expected, struct err *err)
{
    CLEANUP(snapshots_endp) struct list all = {0};
    const struct snapshot_info *current;

    if (snapshots_read(domain, &all, err) < 0)
        return -1;
    current = snapshots_current(&all);
    if (strcmp(current ? current->name : "", expected) == 0)
        return 0;
    return err_set(err, ERR_CONFLICT, "%s: the current snapshot is %s, the job expects %s; nothing was changed",
                   virDomainGetName(domain), current ? current->name : "none", *expected ? expected : "none");
}

static int check_definition(virDomainPtr domain, const char *expected, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    char digest[65];

    if (libvirt_domain_xml(domain, VIR_DOMAIN_XML_INACTIVE, &doc, err) < 0 || definition_digest(doc, digest, err) < 0)
        return -1;
    if (strcmp(digest, expected) == 0)
        return 0;
    return err_set(err, ERR_CONFLICT, "%s: its definition was changed since the job was made; nothing was changed by it",
                   virDomainGetName(domain));
}

static int check_disks(virDomainPtr domain, const struct strings *expected, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    CLEANUP(domain_disks_clear) struct domain_disks disks = {0};

    if (libvirt_domain_xml(domain, 0, &doc, err) < 0 || domain_disks_read(doc, &disks, err) < 0)
        return -1;
    for (size_t i = 0; i < expected->count; i++)
        if (!domain_disks_find(&disks, expected->items[i]))
            return err_set(err, ERR_CONFLICT, "%s: disk %s, which the job expects, is not there; nothing was changed",
                           virDomainGetName(domain), expected->items[i]);
    return 0;
}

int expect_check(virDomainPtr domain, const struct job *job, struct err *err)
{
    const struct job_expect *expect = job->expect;

    if (!expect)
        return 0;
    if (expect->current_snapshot && check_current(domain, expect->current_snapshot, err) < 0)
        return -1;
    if (expect->definition && check_definition(domain, expect->definition, err) < 0)
        return -1;
    return check_disks(domain, &expect->disks, err);
}
