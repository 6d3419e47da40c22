/*
 * Prints docs/backends/disks.md: `disks_doc > docs/backends/disks.md`. With a path: exit 1 if that file says something else.
 *
 * Each kind of disk is a piece of a definition; what the verbs do with it is asked of the functions that the verbs ask.
 */
#include "base/err.h"
#include "base/file.h"
#include "base/text.h"
#include "worker/backends/libvirt/disk_kinds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOURCE_FILE "<source file='/vm/disk'/>"

static const struct kind {
    const char *name, *xml; /* <disk …> without its target */
    const char *behind;     /* what libvirt says that a volume is, as a backup asks; NULL: what its definition says */
} kinds[] = {
    {"qcow2 in a file", "<disk type='file'><driver type='qcow2'/>" SOURCE_FILE, NULL},
    {"qcow2 on a block device (LVM, loop, multipath, iSCSI of the host)",
     "<disk type='block'><driver type='qcow2'/><source dev='/dev/vg/disk'/>", NULL},
    {"raw in a file", "<disk type='file'><driver type='raw'/>" SOURCE_FILE, NULL},
    {"raw on a block device", "<disk type='block'><driver type='raw'/><source dev='/dev/vg/disk'/>", NULL},
    {"another format (vmdk, vdi, …) in a file", "<disk type='file'><driver type='vmdk'/>" SOURCE_FILE, NULL},
    {"by the hypervisor's own network client (RBD, iSCSI, NBD, …)",
     "<disk type='network'><driver type='raw'/><source protocol='rbd' name='pool/disk'/>", NULL},
    {"qcow2 in a volume of a storage pool of libvirt",
     "<disk type='volume'><driver type='qcow2'/><source pool='default' volume='disk'/>", "file"},
    {"volume of a pool of which libvirt does not say where it is (RBD, iSCSI-direct; an embedded libvirt)",
     "<disk type='volume'><driver type='qcow2'/><source pool='default' volume='disk'/>", NULL},
    {"NVMe device of the host",
     "<disk type='nvme'><driver type='raw'/><source type='pci' managed='yes' namespace='1'/>", NULL},
    {"vhost-user", "<disk type='vhostuser'><driver type='raw'/><source type='unix' path='/run/disk.sock'/>", NULL},
    {"passed-through LUN", "<disk type='block' device='lun'><driver type='raw'/><source dev='/dev/sdx'/>", NULL},
    {"CD-ROM, floppy", "<disk type='file' device='cdrom'><driver type='raw'/>" SOURCE_FILE "<readonly/>", NULL},
    {"read-only", "<disk type='file'><driver type='qcow2'/>" SOURCE_FILE "<readonly/>", NULL},
    {"shared with other guests", "<disk type='file'><driver type='raw'/>" SOURCE_FILE "<shareable/>", NULL},
    {"transient", "<disk type='file'><driver type='qcow2'/>" SOURCE_FILE "<transient/>", NULL},
};

static const char intro[] =
    "# What can be done with which disk\n\n"
    "This page is generated from the functions that the verbs themselves ask: `build/dev/tests/disks_doc > docs/backends/disks.md`. `fleetsnap target show` says it for each disk of a\n"
    "machine.\n\n"
    "| disk | backup.create, target.export | snapshot.create, external | internal | backup.restore in place |\n"
    "|---|---|---|---|---|\n";

static const char outro[] =
    "\n**left out**: the job goes on without this disk, and its manifest or result says so; a job that names such a disk is refused. **refused**: the job, before anything is touched; a\n"
    "snapshot may be asked to leave the disk out (`--diskspec DISK,snapshot=no`). **full**: the disk is copied whole each time, also in an incremental point. A guest that is off is always\n"
    "backed up in full. A restore to a new machine makes files, whatever the disks were.\n\n"
    "A snapshot of a disk on a block device puts its overlay into the worker's first pool. What is passed to the guest as a device (hostdev) or as a folder (virtiofs, 9p) is no disk:\n"
    "nothing here sees it, no backup or snapshot holds it.\n";

static void say(struct text *out, bool part, const char *refused)
{
    if (!part)
        text_add(out, " left out |");
    else
        text_addf(out, " %s%s |", refused ? "refused: " : "yes", refused ? refused : "");
}

static void say_backup(struct text *out, const struct domain_disk *disk, const char *behind)
{
    struct domain_disk seen = *disk;
    const char *reason;

    if (behind)
        seen.type = (char *)behind;
    const char *can = domain_disk_backup(&seen, &reason);

    if (strcmp(can, "refused") == 0)
        text_addf(out, " left out: %s |", reason);
    else if (reason)
        text_addf(out, " %s: %s |", can, reason);
    else
        text_addf(out, " full, %s |", can);
}

static int add_kind(struct text *out, const struct kind *kind, struct err *err)
{
    CLEANUP(domain_disks_clear) struct domain_disks disks = {0};
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    struct text xml = {0};
    int failed;

    text_addf(&xml, "<domain><devices>%s<target dev='vda'/></disk></devices></domain>", kind->xml);
    failed = xml_parse(text_str(&xml), kind->name, &doc, err) < 0 || domain_disks_read(doc, &disks, err) < 0;
    text_free(&xml);
    if (failed || disks.count != 1)
        return -1;
    const struct domain_disk *disk = &disks.items[0];
    text_addf(out, "| %s |", kind->name);
    say_backup(out, disk, kind->behind);
    say(out, domain_disk_writable(disk), domain_disk_no_overlay(disk));
    say(out, domain_disk_writable(disk), domain_disk_no_internal(disk));
    say(out, true, domain_disk_no_restore(disk));
    text_add(out, "\n");
    return 0;
}

int main(int argc, char **argv)
{
    struct text page = {0};
    struct err err = {0};
    char *file = NULL;
    int code = 0;

    text_add(&page, intro);
    for (size_t i = 0; code == 0 && i < sizeof kinds / sizeof kinds[0]; i++)
        code = add_kind(&page, &kinds[i], &err) < 0;
    text_add(&page, outro);
    if (code) {
        fprintf(stderr, "%s\n", err.text);
    } else if (argc < 2) {
        fputs(text_str(&page), stdout);
    } else if (file_read(argv[1], 1024 * 1024, &file, NULL, NULL) < 0 || strcmp(file, text_str(&page)) != 0) {
        fprintf(stderr, "%s is not what the code says: disks_doc > docs/backends/disks.md\n", argv[1]);
        code = 1;
    }
    free(file);
    text_free(&page);
    return code;
}
