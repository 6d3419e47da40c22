/* The backup verbs on real QEMU, through the real runner: what is restored is compared bit by bit with the disk as it was. */
#include "support/backup_rig.h"

#include "base/err.h"
#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct rig rig;

static int set_up(void **state)
{
    (void)state;
    rig_start(&rig, "web-1");
    rig_power(&rig, true);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_stop(&rig);
    return 0;
}

static void back_up(int kind, char id[37])
{
    struct job *job = rig_job(&rig, OP_BACKUP_CREATE);

    ((struct params_backup_create *)job->params)->kind = kind;
    rig_succeed(&rig, job, id);
}

/* The file of the newest link alone gives, through its backing files, what is on the live disk. */
static void assert_point_equals_disk(const char *id, const char *disk)
{
    struct restore_point point;
    char file[PATH_MAX], live[PATH_MAX], name[32];

    rig_manifest(&rig, id, &point);
    snprintf(file, sizeof file, "%s/%s/%s/%s/%s.qcow2", rig.repository, rig.uuid, point.chain, id, disk);
    snprintf(name, sizeof name, "%s.img", disk);
    assert_true(rig_same(rig_disk(&rig, name, live), strcmp(disk, "vdc") == 0 ? "raw" : "qcow2", file, "qcow2"));
    restore_point_clear(&point);
}

static void test_full_and_incremental(void **state)
{
    struct restore_point point;
    char full[37], incremental[37];

    (void)state;
    back_up(BACKUP_AUTO, full);
    rig_manifest(&rig, full, &point);
    assert_string_equal(point.backup_kind, "full");
    assert_non_null(strstr(point.fallback_reason, "no earlier backup"));
    assert_string_equal(point.level, "crash");
    assert_int_equal(point.state, POINT_COMPLETE);
    restore_point_clear(&point);
    assert_point_equals_disk(full, "vda");
    rig_write(&rig, "vda", 0x5a, "1M", "64k");
    rig_write(&rig, "vda", 0x5b, "40M", "64k");
    rig_write(&rig, "vdc", 0x5c, "8M", "1M");
    back_up(BACKUP_AUTO, incremental);
    rig_manifest(&rig, incremental, &point);
    assert_string_equal(point.backup_kind, "incremental");
    assert_string_equal(point.parent, full);
    assert_string_equal(point.chain, full);
    assert_int_equal(point.chain_length, 2);
    assert_int_equal(point.dirty_bytes, 128 * 1024);
    restore_point_clear(&point);
    assert_point_equals_disk(incremental, "vda");
    assert_point_equals_disk(incremental, "vdb");
    assert_point_equals_disk(incremental, "vdc");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_and_incremental),
    };

    if (!rig_possible()) {
        fprintf(stderr, "skipped: needs root and qemu-system-x86_64\n");
        return 0;
    }
    return cmocka_run_group_tests_name("libvirt backup", tests, set_up, tear_down);
}
