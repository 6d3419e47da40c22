/*
 * libvirt notes that a domain has a job before it asks QEMU for anything, and all about it only when QEMU has begun it. A daemon that dies between the two finds half a note when
 * it starts again. For an embedded driver we are that daemon, so we mend the notes before it starts (all of this seen on libvirt 9.0).
 *
 * A backup that has no description keeps its place for ever: there is nothing that could end, abort has nothing to abort, and every later backup, snapshot or migration waits half a
 * minute for the place and fails. Only a guest that is powered off gives it back. Its place is taken out. What QEMU may have begun meanwhile is ended when the next backup begins.
 *
 * A commit of the active layer, by a snapshot's delete or by itself, whose disk has no <mirror> yet: it gets ready and never looks so, and where it is cancelled (of a delete by the
 * driver itself, as it starts) the driver reads the mirror that is not there, and takes the process down. So the note loses what it is of: a block job that libvirt does not
 * understand it cancels in QEMU and forgets, and the chain stays as it was. That is over a moment after the driver has started; until then another commit of the disk is refused.
 */
#include "worker/backends/libvirt/half_begun.h"

#include "worker/backends/libvirt/definition.h"

#include <string.h>

static bool cut_backup(xmlNodePtr root)
{
    if (!xml_find(root, "job[@async='backup']") || xml_find(root, "backups/domainbackup"))
        return false;
    xml_remove_all(root, "job[@async='backup']");
    return true;
}

/* true: the note was changed. */
static bool cut_commit(xmlNodePtr root, xmlNodePtr job)
{
    CLEANUP(freep) char *name = xml_get_at(job, "disk/@dst");
    xmlNodePtr disk = definition_find_disk(xml_find(root, "domain"), name);

    if (!disk || xml_find(disk, "mirror"))
        return false;
    xml_remove_all(job, "disk | base");
    return true;
}

static bool cut_commits(xmlNodePtr root)
{
    bool any = false;

    for (xmlNodePtr job = xml_find(root, "blockjobs/blockjob"); job; job = xmlNextElementSibling(job)) {
        CLEANUP(freep) char *type = xml_get_at(job, "@type");

        any = (type && strcmp(type, "active-commit") == 0 && cut_commit(root, job)) || any;
    }
    return any;
}

int half_begun_cut(const char *note, char **out, struct err *err)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    bool backup, commits;

    *out = NULL;
    if (!strstr(note, "async='backup'") && !strstr(note, "active-commit"))
        return 0;
    if (xml_parse(note, "status", &doc, err) < 0)
        return -1;
    backup = cut_backup(xmlDocGetRootElement(doc));
    commits = cut_commits(xmlDocGetRootElement(doc));
    return backup || commits ? xml_format(doc, out, err) : 0;
}

/* As we left it, or as libvirt writes what it did not understand. */
bool half_begun_ending(const char *note)
{
    static const char job[] = "blockjobs/blockjob[(@type='active-commit' and not(disk)) or @brokentype='active-commit']";

    CLEANUP(xml_freep) xmlDocPtr doc = NULL;

    return strstr(note, "active-commit") && xml_parse(note, "status", &doc, NULL) == 0 &&
           xml_find(xmlDocGetRootElement(doc), job);
}
