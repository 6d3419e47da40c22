/* The backup verbs on real QEMU, through the real runner: what is restored is compared bit by bit with the disk as it was. */
#include "support/backup_rig.h"

#include "base/err.h"
#include "base/file.h"
#include "base/uuid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct rig rig;
static char last_point[37]; /* of the test before: the tests tell one story */

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
    memcpy(last_point, incremental, sizeof last_point);
}


static char *restored_file(const char *name, const char *file, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/pool/%s/%s", rig.root, name, file);
    return out;
}

static struct job *restore_job(const char *point, const char *name)
{
    struct job *job = rig_job(&rig, OP_BACKUP_RESTORE);
    struct params_backup_restore *params = job->params;
    char uuid[37];

    params->point = strdup(point);
    if (!name) {
        params->in_place = true;
        return job;
    }
    uuid_random(uuid);
    params->new_name = strdup(name);
    string_set(&job->target.id, uuid, NULL);
    return job;
}

static void assert_disks_equal(const char *name)
{
    char live[PATH_MAX], file[PATH_MAX];

    assert_true(rig_same(rig_disk(&rig, "vda.img", live), "qcow2", restored_file(name, "vda.qcow2", file), "qcow2"));
    assert_true(rig_same(rig_disk(&rig, "vdb.img", live), "qcow2", restored_file(name, "vdb.qcow2", file), "qcow2"));
    assert_true(rig_same(rig_disk(&rig, "vdc.img", live), "raw", restored_file(name, "vdc.raw", file), "raw"));
}

static void test_restore_to_a_new_domain(void **state)
{
    struct job *job = restore_job(last_point, "web-1 copy");
    virDomainPtr domain;
    int domain_state;

    (void)state;
    ((struct params_backup_restore *)job->params)->start = START_PAUSED;
    rig_succeed(&rig, job, NULL);
    assert_disks_equal("web-1 copy");
    domain = virDomainLookupByName(rig.connection, "web-1 copy");
    assert_non_null(domain);
    assert_int_equal(virDomainGetState(domain, &domain_state, NULL, 0), 0);
    assert_int_equal(domain_state, VIR_DOMAIN_PAUSED);
    rig_refused(&rig, restore_job(last_point, "web-1 copy"), "exists on this host");
    virDomainDestroy(domain);
    virDomainUndefine(domain);
    virDomainFree(domain);
    rig_refused(&rig, restore_job(last_point, "web-1 copy"), "exists already"); /* its files are still there */
}

static void test_restore_that_fails_leaves_nothing(void **state)
{
    struct restore_point point;
    char file[PATH_MAX], saved[PATH_MAX], folder[PATH_MAX];

    (void)state;
    rig_manifest(&rig, last_point, &point);
    snprintf(file, sizeof file, "%s/%s/%s/%s/vdb.qcow2", rig.repository, rig.uuid, point.chain, last_point);
    snprintf(saved, sizeof saved, "%s/saved", rig.root);
    assert_int_equal(rename(file, saved), 0);
    rig_refused(&rig, restore_job(last_point, "broken"), "vdb.qcow2");
    assert_int_equal(rename(saved, file), 0);
    assert_false(file_exists(restored_file("broken", "", folder)));
    assert_null(virDomainLookupByName(rig.connection, "broken"));
    restore_point_clear(&point);
}

static void test_restore_in_place(void **state)
{
    char copy[PATH_MAX], live[PATH_MAX];

    (void)state;
    rig_write(&rig, "vda", 0x66, "2M", "1M");
    rig_write(&rig, "vdc", 0x66, "2M", "1M");
    assert_false(rig_same(rig_disk(&rig, "vda.img", live), "qcow2", restored_file("web-1 copy", "vda.qcow2", copy), "qcow2"));
    rig_succeed(&rig, restore_job(last_point, NULL), NULL);
    assert_disks_equal("web-1 copy");
    assert_int_equal(virDomainIsActive(rig.domain), 1);
    assert_int_equal(rig_checkpoints(&rig), 0);
}

static void test_after_in_place_the_next_is_full(void **state)
{
    struct restore_point point;
    char id[37];

    (void)state;
    back_up(BACKUP_AUTO, id);
    rig_manifest(&rig, id, &point);
    assert_string_equal(point.backup_kind, "full");
    assert_non_null(strstr(point.fallback_reason, "is gone"));
    restore_point_clear(&point);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_and_incremental),
        cmocka_unit_test(test_restore_to_a_new_domain),
        cmocka_unit_test(test_restore_that_fails_leaves_nothing),
        cmocka_unit_test(test_restore_in_place),
        cmocka_unit_test(test_after_in_place_the_next_is_full),
    };

    if (!rig_possible()) {
        fprintf(stderr, "skipped: needs root and qemu-system-x86_64\n");
        return 0;
    }
    return cmocka_run_group_tests_name("libvirt backup", tests, set_up, tear_down);
}
