/* target.retire on real QEMU: afterwards the domain can be undefined, what is kept can be restored, and what others made is still there. */
#include "support/backup_rig.h"

#include "base/err.h"
#include "base/file.h"
#include "base/uuid.h"

#include <libvirt/virterror.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct rig rig;

static int set_up(void **state)
{
    (void)state;
    rig_start(&rig, "web-1");
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

static void snapshot(const char *name)
{
    struct job *job = rig_job(&rig, OP_SNAPSHOT_CREATE);

    ((struct params_snapshot_create *)job->params)->name = strdup(name);
    rig_succeed(&rig, job, NULL);
}

static struct job *retire_job(int snapshots, bool foreign)
{
    struct job *job = rig_job(&rig, OP_TARGET_RETIRE);
    struct params_target_retire *params = job->params;

    params->snapshots = snapshots;
    params->foreign = foreign;
    return job;
}

static struct job *with_backups(struct job *job, bool really_last)
{
    struct params_target_retire *params = job->params;

    params->backups = RETIRE_DELETE_BACKUPS;
    params->really_last = really_last;
    params->repository = rig_repository(&rig);
    return job;
}

/* Runs, demands success, and compares what is said to be in the way; NULL: nothing. */
static void retires(struct job *job, const char *in_the_way, struct outcome *out)
{
    rig_run(&rig, job, out);
    assert_string_equal(out->err.text, "");
    assert_int_equal(out->state, STATE_SUCCEEDED);
    if (in_the_way)
        assert_string_equal(facts_get_or(&out->report.result->facts, "in_the_way", "nothing"), in_the_way);
    else
        assert_null(facts_get(&out->report.result->facts, "in_the_way"));
}

static void retire(int snapshots, bool foreign, const char *in_the_way)
{
    struct outcome out;

    retires(retire_job(snapshots, foreign), in_the_way, &out);
    outcome_clear(&out);
}

static void assert_undefines(bool works)
{
    if (virDomainIsActive(rig.domain))
        rig_power(&rig, false);
    assert_int_equal(virDomainUndefine(rig.domain), works ? 0 : -1);
    if (!works)
        assert_int_equal(virGetLastErrorCode(), VIR_ERR_OPERATION_INVALID);
}

static void define_again(void)
{
    rig_redefine(&rig);
    rig_power(&rig, true);
}

static int snapshots(void)
{
    return virDomainSnapshotNum(rig.domain, 0);
}

static void kept_backups_outlive_the_domain(void **state)
{
    struct job *restore;
    struct params_backup_restore *params;
    char full[37], newest[37], new_uuid[UUID_TEXT], file[PATH_MAX], disk[PATH_MAX];

    (void)state;
    rig_power(&rig, true);
    back_up(BACKUP_FULL, full);
    rig_write(&rig, "vda", 0x5a, "1M", "64k");
    back_up(BACKUP_INCREMENTAL, newest);
    snapshot("ours");
    assert_int_equal(rig_checkpoints(&rig), 2);

    retire(RETIRE_KEEP_SNAPSHOTS, false, "snapshot ours");
    assert_int_equal(rig_checkpoints(&rig), 0);
    assert_int_equal(snapshots(), 1);
    assert_undefines(false);
    rig_power(&rig, true);
    retire(RETIRE_DELETE_SNAPSHOTS, false, NULL);
    assert_int_equal(snapshots(), 0);
    retire(RETIRE_DELETE_SNAPSHOTS, false, NULL); /* there is nothing left */
    assert_undefines(true);

    restore = rig_job(&rig, OP_BACKUP_RESTORE);
    params = restore->params;
    uuid_random(new_uuid);
    string_set(&restore->target.id, new_uuid, NULL);
    params->point = strdup(newest);
    params->new_name = strdup("again");
    rig_succeed(&rig, restore, NULL);
    snprintf(file, sizeof file, "%s/again/vda.qcow2", rig.pools.items[0]);
    assert_true(rig_same(rig_disk(&rig, "vda.img", disk), "qcow2", file, "qcow2"));
    define_again();
}

static void of_a_guest_that_is_off(void **state)
{
    char full[37];

    (void)state;
    back_up(BACKUP_FULL, full);
    snapshot("one");
    snapshot("two");
    rig_power(&rig, false);
    retire(RETIRE_DELETE_SNAPSHOTS, false, NULL);
    assert_undefines(true);
    define_again();
    back_up(BACKUP_AUTO, full); /* a bitmap that was left would have its name */
}

static void others_made(const char *checkpoint, const char *snapshot)
{
    virDomainSnapshotPtr state = virDomainSnapshotCreateXML(rig.domain, snapshot, VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY);
    virDomainCheckpointPtr since = virDomainCheckpointCreateXML(rig.domain, checkpoint, 0);

    assert_non_null(state);
    assert_non_null(since);
    virDomainSnapshotFree(state);
    virDomainCheckpointFree(since);
}

static void what_others_made_stays(void **state)
{
    char full[37];

    (void)state;
    back_up(BACKUP_FULL, full);
    others_made("<domaincheckpoint><name>theirs-c</name><disks><disk name='vda' checkpoint='bitmap'/>"
                "<disk name='vdb' checkpoint='no'/><disk name='vdc' checkpoint='no'/></disks></domaincheckpoint>",
                "<domainsnapshot><name>theirs-s</name></domainsnapshot>");
    snapshot("ours");
    retire(RETIRE_DELETE_SNAPSHOTS, false, "checkpoint theirs-c (made by others), snapshot theirs-s (made by others)");
    assert_int_equal(rig_checkpoints(&rig), 1);
    assert_int_equal(snapshots(), 1);
    assert_undefines(false);
    rig_power(&rig, true);
    retire(RETIRE_KEEP_SNAPSHOTS, true, "snapshot theirs-s (made by others)");
    assert_int_equal(rig_checkpoints(&rig), 0);
    retire(RETIRE_DELETE_SNAPSHOTS, true, NULL);
    assert_undefines(true);
    define_again();
}

static void a_look_changes_nothing(void **state)
{
    struct job *job = retire_job(RETIRE_DELETE_SNAPSHOTS, false);
    struct outcome out;
    char full[37];
    int checkpoints;

    (void)state;
    back_up(BACKUP_FULL, full);
    snapshot("ours");
    checkpoints = rig_checkpoints(&rig);
    job->dry_run = true;
    retires(job, NULL, &out);
    assert_string_equal(list_at(&out.report.result->steps, struct plan_step, 1)->name, "drop_checkpoints");
    assert_non_null(strstr(list_at(&out.report.result->steps, struct plan_step, 1)->command, full));
    assert_true(strings_have(&out.report.result->lost, "snapshot ours"));
    outcome_clear(&out);
    assert_int_equal(rig_checkpoints(&rig), checkpoints);
    assert_int_equal(snapshots(), 1);
    retire(RETIRE_DELETE_SNAPSHOTS, false, NULL);
}

static void backups_go_only_if_asked_twice(void **state)
{
    struct outcome out;
    char folder[PATH_MAX], full[37];

    (void)state;
    back_up(BACKUP_FULL, full);
    rig_refused(&rig, with_backups(retire_job(RETIRE_DELETE_SNAPSHOTS, false), false), "last good");
    assert_int_equal(rig_checkpoints(&rig), 1);
    retires(with_backups(retire_job(RETIRE_DELETE_SNAPSHOTS, false), true), NULL, &out);
    assert_true(out.report.change_count > 0);
    assert_null(out.report.changes[0].point);
    outcome_clear(&out);
    assert_int_equal(rig_checkpoints(&rig), 0);
    snprintf(folder, sizeof folder, "%s/%s", rig.repository, rig.uuid);
    assert_false(file_exists(folder));
    assert_undefines(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kept_backups_outlive_the_domain), cmocka_unit_test(of_a_guest_that_is_off),
        cmocka_unit_test(what_others_made_stays),          cmocka_unit_test(a_look_changes_nothing),
        cmocka_unit_test(backups_go_only_if_asked_twice),
    };

    if (!rig_possible()) {
        fprintf(stderr, "skipped: needs root and qemu-system-x86_64\n");
        return 0;
    }
    return cmocka_run_group_tests_name("libvirt retire", tests, set_up, tear_down);
}
