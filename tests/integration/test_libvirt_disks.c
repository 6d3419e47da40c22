/*
 * Disks that are block devices (loop devices here; to QEMU a volume of LVM is the same), one qcow2 and one raw, beside one in a file: backup, snapshots, and what is refused. What
 * each kind of disk can be is in docs/backends/disks.md, which is made from the code.
 */
#include "support/snapshot_scene.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "worker/backends/libvirt/libvirt.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { DEVICES = 2, TRIES = 50, QCOW2_BYTES = 32 << 20 };

static const char *const on_devices[DEVICES] = {"vda", "vdc"};
static int devices[DEVICES] = {
    -1, -1}; /* held open: the kernel frees a device with its last user, however this test ends */

/* ---- devices ---- */

/* Its node is ours: that of the host keeps its owner. */
static int open_loop(const char *node)
{
    CLEANUP(closep) int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    int number = control >= 0 ? ioctl(control, LOOP_CTL_GET_FREE) : -1;

    unlink(node);
    if (number < 0 || mknod(node, S_IFBLK | 0660, makedev(7, (unsigned)number)) < 0)
        return -1;
    return open(node, O_RDWR | O_CLOEXEC);
}

/* In a container, say, there may be none. */
static bool loops_here(void)
{
    char folder[] = "/tmp/fs-loop-XXXXXX", node[32];
    int loop;

    if (!mkdtemp(folder))
        return false;
    snprintf(node, sizeof node, "%s/loop", folder);
    loop = open_loop(node);
    if (loop < 0)
        printf("skipped: there are no loop devices here: %s\n", strerror(errno));
    else
        close(loop);
    unlink(node);
    rmdir(folder);
    return loop >= 0;
}

static bool attach(int device, const char *node)
{
    struct loop_config config = {.info.lo_flags = LO_FLAGS_AUTOCLEAR};
    char image[PATH_MAX], file[16];

    snprintf(file, sizeof file, "%s.img", on_devices[device]);
    CLEANUP(closep) int fd = open(rig_disk(&rig.host, file, image), O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    if (strcmp(on_devices[device], "vda") == 0) /* a device does not grow with the qcow2 in it */
        assert_int_equal(ftruncate(fd, QCOW2_BYTES), 0);
    config.fd = (unsigned)fd;
    for (int try = 0; try < TRIES; try++) { /* another may have taken it */
        int loop = open_loop(node);

        if (loop < 0)
            return false;
        if (ioctl(loop, LOOP_CONFIGURE, &config) == 0) {
            devices[device] = loop;
            return true;
        }
        close(loop);
        if (errno != EBUSY)
            return false;
    }
    return false;
}

static void detach(void)
{
    for (int i = 0; i < DEVICES; i++)
        if (devices[i] >= 0)
            close(devices[i]);
    devices[0] = devices[1] = -1;
}

static char *node_of(const char *disk, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/dev/%s.img", rig.host.root, disk);
    return out;
}

static void put_on_device(xmlNodePtr domain, const char *disk)
{
    CLEANUP(xml_matches_freep) xmlXPathObjectPtr found = xml_all(domain, "devices/disk[@device='disk']");
    char node[PATH_MAX];

    for (int i = 0; i < found->nodesetval->nodeNr; i++) {
        xmlNodePtr each = found->nodesetval->nodeTab[i];
        CLEANUP(freep) char *name = xml_get_at(each, "target/@dev");

        if (strcmp(name, disk) != 0)
            continue;
        xml_remove_all(each, "source");
        xmlSetProp(each, BAD_CAST "type", BAD_CAST "block");
        xml_attr(xml_child(each, "source", NULL), "dev", node_of(disk, node));
    }
}

static int begin_on_devices(void **state)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    CLEANUP(freep) char *xml = NULL;
    char path[PATH_MAX];

    (void)state;
    snap_start(&rig, true);
    snprintf(path, sizeof path, "%s/dev", rig.host.root);
    mkdir(path, 0755);
    assert_int_equal(xml_parse(rig.definition, "domain", &doc, NULL), 0);
    for (int i = 0; i < DEVICES; i++) {
        if (!attach(i, node_of(on_devices[i], path)))
            fail_msg("%s: %s", path, strerror(errno));
        put_on_device(xmlDocGetRootElement(doc), on_devices[i]);
    }
    assert_int_equal(xml_format(doc, &xml, NULL), 0);
    virDomainFree(rig.host.domain);
    rig.host.domain = virDomainDefineXML(rig.host.connection, xml);
    if (!rig.host.domain)
        fail_msg("%s", virGetLastErrorMessage());
    return 0;
}

static int end_devices(void **state)
{
    (void)state;
    if (virDomainIsActive(rig.host.domain) == 1)
        virDomainDestroy(rig.host.domain);
    detach();
    return 0;
}

/* ---- jobs ---- */

static struct job *backup(void)
{
    struct job *job = snap_job(&rig, OP_BACKUP_CREATE, NULL);

    ((struct params_backup_create *)job->params)->repository = rig_repository(&rig.host);
    return job;
}

static const char *mode_of(const struct restore_point *point, const char *disk)
{
    for (size_t i = 0; i < point->disks.count; i++)
        if (strcmp(list_at(&point->disks, struct point_disk, i)->name, disk) == 0)
            return list_at(&point->disks, struct point_disk, i)->mode;
    return "none";
}

static char last_backup[64];

/* Taken while the guest holds still; each disk in it is the device as it is. */
static void backed_up(const char *mode_of_qcow2)
{
    struct restore_point point;
    char file[PATH_MAX], node[PATH_MAX];
    struct job *job = backup();

    snprintf(last_backup, sizeof last_backup, "%s", job->job_id);
    assert_int_equal(virDomainSuspend(rig.host.domain), 0);
    snap_ok(&rig, job, NULL);
    rig_manifest(&rig.host, last_backup, &point);
    assert_string_equal(mode_of(&point, "vda"), mode_of_qcow2);
    assert_string_equal(mode_of(&point, "vdb"), mode_of_qcow2);
    assert_string_equal(mode_of(&point, "vdc"), "full");
    for (int i = 0; i < DEVICES; i++) {
        snprintf(file, sizeof file, "%s/%s/%s/%s/%s.qcow2", rig.host.repository, rig.host.uuid, point.chain,
                 last_backup, on_devices[i]);
        assert_true(rig_same(node_of(on_devices[i], node), i ? "raw" : "qcow2", file, "qcow2"));
    }
    restore_point_clear(&point);
    assert_int_equal(virDomainResume(rig.host.domain), 0);
}

static void backups(void **state)
{
    struct job *job = snap_job(&rig, OP_BACKUP_RESTORE, NULL);
    struct params_backup_restore *params = job->params;
    int files = snap_files(&rig);

    (void)state;
    rig_power(&rig.host, true);
    snap_write(&rig, "vda", 1);
    snap_write(&rig, "vdc", 2);
    backed_up("full");
    snap_write(&rig, "vda", 3);
    snap_write(&rig, "vdc", 4);
    backed_up("incremental");
    params->repository = rig_repository(&rig.host);
    params->point = strdup(last_backup);
    params->source = strdup(rig.host.uuid);
    params->in_place = true;
    snap_refused(&rig, job, ERR_PERMANENT, "disk vda of the domain is not a file");
    assert_int_equal(snap_files(&rig), files);
    snap_expect_state(&rig, VIR_DOMAIN_RUNNING);
    snap_expect(&rig, "vda", 3);
}

static void snapshots_of_a_guest_that_runs(void **state)
{
    (void)state;
    rig_power(&rig.host, true);
    snap_write(&rig, "vda", 1);
    snap_write(&rig, "vdc", 2);
    snap_ok(&rig, create("one"), NULL);
    snap_write(&rig, "vda", 3);
    snap_write(&rig, "vdc", 4);
    snap_ok(&rig, revert("one"), NULL);
    snap_expect_state(&rig, VIR_DOMAIN_RUNNING);
    snap_expect(&rig, "vda", 1);
    snap_expect(&rig, "vdc", 2);
    snap_write(&rig, "vda", 5);
    snap_ok(&rig, del("one"), NULL);
    rig_power(&rig.host, false);
    rig_power(&rig.host, true);
    snap_expect(&rig, "vda", 5);
    snap_expect(&rig, "vdc", 2);
    assert_int_equal(snap_count(&rig), 0);
}

static void snapshots_of_a_guest_that_is_off(void **state)
{
    struct job *job = create("off");

    (void)state;
    snap_create_params(job)->kind = SNAPSHOT_EXTERNAL;
    snap_ok(&rig, job, NULL);
    rig_power(&rig.host, true);
    snap_write(&rig, "vda", 6);
    snap_write(&rig, "vdc", 7);
    rig_power(&rig.host, false);
    snap_ok(&rig, del("off"), NULL);
    rig_power(&rig.host, true);
    snap_expect(&rig, "vda", 6);
    snap_expect(&rig, "vdc", 7);
    rig_power(&rig.host, false);
    job = create("inside");
    snap_create_params(job)->kind = SNAPSHOT_INTERNAL;
    snap_refused(&rig, job, ERR_PERMANENT, "disk vdc is raw, and only qcow2 can hold snapshots");
    assert_int_equal(snap_count(&rig), 0);
}

#define TEST_DEVICES(function) cmocka_unit_test_setup_teardown(function, begin_on_devices, end_devices)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST_DEVICES(backups),
        TEST_DEVICES(snapshots_of_a_guest_that_runs),
        TEST_DEVICES(snapshots_of_a_guest_that_is_off),
    };

    if (!possible(argc, argv) || !loops_here())
        return 0;
    return cmocka_run_group_tests(tests, open_host, close_host);
}
