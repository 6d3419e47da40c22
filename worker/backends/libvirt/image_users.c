/*
 * libvirt knows only the active chain of each domain, so it deletes files that a side branch stands on. Here every place is counted that can need a file: the disks of all
 * domains of this host (live and persistent definition), the files that snapshots name as their state, what all of these stand on, and whatever else lies in the same folder
 * (kept overlays, linked clones of domains that are not defined now).
 */
#include "worker/backends/libvirt/image.h"
#include "worker/backends/libvirt/snapshots.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* What is told each file with the words for who names it. */
struct visit {
    int (*file)(void *context, const char *path, const char *who, struct err *err);
    void *context;
    virConnectPtr connection;
};

/* `taken` NULL: all; else only the disks that the snapshot includes: the others are in its definition, but not its state. */
static int visit_disks(xmlNodePtr domain, xmlNodePtr taken, const char *who, const struct visit *visit, struct err *err)
{
    CLEANUP(domain_disks_clear) struct domain_disks disks = {0};

    if (!domain)
        return 0;
    if (domain_disks_read_at(domain, &disks, err) < 0)
        return -1;
    domain_disks_resolve(visit->connection, &disks);
    for (size_t i = 0; i < disks.count; i++) {
        const struct domain_disk *disk = &disks.items[i];

        if (!disk->source || disk->source[0] != '/' || (taken && !snapshot_takes(taken, disk->name)))
            continue;
        if (visit->file(visit->context, disk->source, who, err) < 0)
            return -1;
    }
    return 0;
}

static int visit_snapshot(virDomainSnapshotPtr snapshot, const char *domain, const struct visit *visit, struct err *err)
{
    CLEANUP(freep) char *text = virDomainSnapshotGetXMLDesc(snapshot, 0);
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    xmlNodePtr root;
    char who[600];

    if (!text)
        return libvirt_code() == VIR_ERR_NO_DOMAIN_SNAPSHOT ? 0 : libvirt_err(err, "snapshot");
    if (xml_parse(text, "snapshot", &doc, err) < 0)
        return -1;
    snprintf(who, sizeof who, "snapshot %s/%s", domain, virDomainSnapshotGetName(snapshot));
    root = xmlDocGetRootElement(doc);
    if (visit_disks(xml_find(root, "domain"), root, who, visit, err) < 0)
        return -1;
    return visit_disks(xml_find(root, "inactiveDomain"), root, who, visit, err);
}

static int visit_snapshots(virDomainPtr domain, const struct visit *visit, struct err *err)
{
    virDomainSnapshotPtr *snapshots = NULL;
    int count = virDomainListAllSnapshots(domain, &snapshots, 0);
    int result = 0;

    if (count < 0)
        return libvirt_code() == VIR_ERR_NO_DOMAIN ? 0 : libvirt_err(err, "snapshots");
    for (int i = 0; i < count; i++) {
        if (result == 0)
            result = visit_snapshot(snapshots[i], virDomainGetName(domain), visit, err);
        virDomainSnapshotFree(snapshots[i]);
    }
    free(snapshots);
    return result;
}

static int visit_definition(virDomainPtr domain, unsigned flags, const char *who, const struct visit *visit,
                            struct err *err)
{
    CLEANUP(freep) char *text = virDomainGetXMLDesc(domain, flags);
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;

    if (!text)
        return libvirt_code() == VIR_ERR_NO_DOMAIN ? 0 : libvirt_err(err, "%s", who);
    if (xml_parse(text, "domain", &doc, err) < 0)
        return -1;
    return visit_disks(xmlDocGetRootElement(doc), NULL, who, visit, err);
}

static int visit_domain(virDomainPtr domain, const struct visit *visit, struct err *err)
{
    char who[300];

    snprintf(who, sizeof who, "domain %s", virDomainGetName(domain));
    if (visit_definition(domain, 0, who, visit, err) < 0 ||
        visit_definition(domain, VIR_DOMAIN_XML_INACTIVE, who, visit, err) < 0)
        return -1;
    return visit_snapshots(domain, visit, err);
}

static int visit_host(virConnectPtr connection, const struct visit *visit, struct err *err)
{
    virDomainPtr *domains = NULL;
    int count = virConnectListAllDomains(connection, &domains, 0);
    int result = 0;

    if (count < 0)
        return libvirt_err(err, "domains");
    for (int i = 0; i < count; i++) {
        if (result == 0)
            result = visit_domain(domains[i], visit, err);
        virDomainFree(domains[i]);
    }
    free(domains);
    return result;
}

/* ---- holders: who names the file itself ---- */

struct search {
    const char *path;
    struct strings *out;
};

static int add_once(struct strings *strings, const char *value, struct err *err)
{
    return strings_have(strings, value) ? 0 : strings_add(strings, value, err);
}

static int note_holder(void *context, const char *path, const char *who, struct err *err)
{
    struct search *search = context;

    return image_same(path, search->path) ? add_once(search->out, who, err) : 0;
}

int image_holders(virConnectPtr connection, const char *path, struct strings *out, struct err *err)
{
    struct search search = {path, out};
    struct visit visit = {note_holder, &search, connection};

    return visit_host(connection, &visit, err);
}

/* ---- users: who stands on it ---- */

/* A backing name that is no plain path ("json:…") counts when it mentions the file. */
static int note_if_on(struct search *search, const char *image, struct err *err)
{
    CLEANUP(freep) char *backing = NULL;

    if (image_backing(image, &backing, NULL) < 0 || !backing)
        return 0;
    if (backing[0] == '/' ? !image_same(backing, search->path) : !strstr(backing, search->path))
        return 0;
    return add_once(search->out, image, err);
}

static int note_users_in_chain(void *context, const char *path, const char *who, struct err *err)
{
    struct strings chain = {0};
    int result = 0;

    (void)who;
    if (image_chain(path, &chain, NULL) < 0)
        strings_clear(&chain); /* a file that is gone stands on nothing */
    for (size_t i = 0; result == 0 && i < chain.count; i++)
        result = note_if_on(context, chain.items[i], err);
    strings_clear(&chain);
    return result;
}

static int note_users_in_folder(struct search *search, struct err *err)
{
    char folder[PATH_MAX], file[PATH_MAX + NAME_MAX + 2];
    struct dirent *entry;
    int result = 0;
    DIR *dir;

    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(search->path, '/') - search->path), search->path);
    dir = opendir(*folder ? folder : "/");
    if (!dir)
        return err_errno(err, errno, folder);
    while (result == 0 && (entry = readdir(dir))) {
        snprintf(file, sizeof file, "%s/%s", folder, entry->d_name);
        if (entry->d_type == DT_REG || entry->d_type == DT_LNK || entry->d_type == DT_UNKNOWN)
            result = note_if_on(search, file, err);
    }
    closedir(dir);
    return result;
}

int image_users(virConnectPtr connection, const char *path, struct strings *out, struct err *err)
{
    struct search search = {path, out};
    struct visit visit = {note_users_in_chain, &search, connection};

    if (note_users_in_folder(&search, err) < 0)
        return -1;
    return visit_host(connection, &visit, err);
}
