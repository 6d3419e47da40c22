/* job.undo on real QEMU, through the runner: what it brings back, what refuses it, and that every step has its way back and survives a dead worker. */
#include "support/snapshot_rig.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/process.h"
#include "base/uuid.h"
#include "worker/backends/libvirt/image.h"
#include "worker/backends/libvirt/kept.h"
#include "worker/backends/libvirt/undo_record.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct snap_rig rig;
static char last[UUID_TEXT]; /* the job that did() ran */

static int begin(void **state)
{
    (void)state;
    snap_start(&rig, false);
    return 0;
}

static int open_host(void **state)
{
    (void)state;
    snap_open(&rig);
    return 0;
}

static int close_host(void **state)
{
    (void)state;
    snap_close(&rig);
    return 0;
}

static struct job *undo_of(const char *job_id)
{
    return snap_job(&rig, OP_JOB_UNDO, job_id);
}

static struct job *forced(const char *job_id)
{
    struct job *job = undo_of(job_id);

    ((struct params_job_undo *)job->params)->force = true;
    return job;
}

/* Runs a job and remembers its id in `last`. */
static void did(struct job *job)
{
    snprintf(last, sizeof last, "%s", job->job_id);
    snap_ok(&rig, job, NULL);
}

static void create(const char *name)
{
    snap_ok(&rig, snap_job(&rig, OP_SNAPSHOT_CREATE, name), NULL);
}

static void revert(const char *name)
{
    did(snap_job(&rig, OP_SNAPSHOT_REVERT, name));
}

/* 1 is in snapshot one, 2 in two, 3 was written since; then the way back to one, where 4 is written. */
static void reverted_to_one(void)
{
    rig_power(&rig.host, true);
    snap_write(&rig, "vda", 1);
    create("one");
    snap_write(&rig, "vda", 2);
    snap_write(&rig, "vdb", 2);
    create("two");
    snap_write(&rig, "vda", 3);
    revert("one");
    snap_expect(&rig, "vda", 1);
    snap_write(&rig, "vda", 4);
}

static void expect_before(int state)
{
    snap_expect_state(&rig, state);
    snap_expect(&rig, "vda", 3);
    snap_expect(&rig, "vdb", 2);
    snap_expect_current(&rig, "two");
}

static void what_was_there_before_a_revert_comes_back(void **state)
{
    char revert_job[UUID_TEXT], undo_job[UUID_TEXT];

    (void)state;
    reverted_to_one();
    snprintf(revert_job, sizeof revert_job, "%s", last);
    did(undo_of(revert_job));
    snprintf(undo_job, sizeof undo_job, "%s", last);
    expect_before(VIR_DOMAIN_RUNNING);
    snap_write(&rig, "vda", 5);
    snap_refused(&rig, undo_of(revert_job), ERR_PERMANENT, "was undone already, by job");

    did(undo_of(undo_job)); /* what the undo took out of use was kept, too */
    snap_expect_state(&rig, VIR_DOMAIN_RUNNING);
    snap_expect(&rig, "vda", 4);
    snap_expect_current(&rig, "one");
    did(undo_of(last));
    snap_expect(&rig, "vda", 5);
    snap_expect_current(&rig, "two");

    create("three"); /* the tree and the chain are sound */
    snap_expect_parent(&rig, "three", "two");
    snap_write(&rig, "vda", 6);
    revert("two");
    snap_expect(&rig, "vda", 2);
    did(undo_of(last));
    snap_expect(&rig, "vda", 6);
    snap_expect_current(&rig, "three");
}

static void the_guest_is_afterwards_what_it_was(void **state)
{
    (void)state;
    reverted_to_one();
    assert_int_equal(virDomainSuspend(rig.host.domain), 0);
    did(undo_of(last));
    expect_before(VIR_DOMAIN_PAUSED);
    rig_power(&rig.host, false);
    did(undo_of(last));
    snap_expect_state(&rig, VIR_DOMAIN_SHUTOFF);
    snap_expect(&rig, "vda", 4);
    did(undo_of(last));
    expect_before(VIR_DOMAIN_SHUTOFF);
    rig_power(&rig.host, true);
    expect_before(VIR_DOMAIN_RUNNING);
}

static void reverts_are_undone_in_order(void **state)
{
    char first[UUID_TEXT], second[UUID_TEXT];

    (void)state;
    reverted_to_one();
    snprintf(first, sizeof first, "%s", last);
    revert("two");
    snprintf(second, sizeof second, "%s", last);
    snap_refused(&rig, undo_of(first), ERR_PERMANENT, "became the current one");
    did(undo_of(second));
    snap_expect(&rig, "vda", 4);
    did(undo_of(first));
    expect_before(VIR_DOMAIN_RUNNING);
}

static void a_later_job_on_the_chain_refuses_it(void **state)
{
    char revert_job[UUID_TEXT];

    (void)state;
    reverted_to_one();
    snprintf(revert_job, sizeof revert_job, "%s", last);
    create("later");
    snap_refused(&rig, undo_of(revert_job), ERR_PERMANENT, "snapshot later was made since, by job");
    snap_ok(&rig, snap_job(&rig, OP_SNAPSHOT_DELETE, "later"), NULL);
    snap_expect_current(&rig, "one");
    snap_ok(&rig, snap_job(&rig, OP_SNAPSHOT_DELETE, "two"), NULL);
    snap_refused(&rig, undo_of(revert_job), ERR_PERMANENT, "snapshot two was deleted since");
    snap_expect_state(&rig, VIR_DOMAIN_RUNNING);
    snap_expect(&rig, "vda", 4);
}

/* The same snapshots, and another file under the guest. */
static void another_file_refuses_it(void **state)
{
    char revert_job[UUID_TEXT];

    (void)state;
    reverted_to_one();
    snprintf(revert_job, sizeof revert_job, "%s", last);
    revert("one");
    snap_refused(&rig, undo_of(revert_job), ERR_PERMANENT, "disk vda was changed since");
    did(undo_of(last));
    snap_expect(&rig, "vda", 4);
    did(undo_of(revert_job));
    expect_before(VIR_DOMAIN_RUNNING);
}

static char *kept_file(const char *job_id, const char *disk)
{
    struct facts record = {0};
    char key[32];

    snprintf(key, sizeof key, "kept:%s", disk);
    assert_int_equal(undo_record_read(rig.backend->config, job_id, &record, NULL), 0);
    assert_non_null(facts_get(&record, key));
    char *file = strdup(facts_get(&record, key));
    facts_clear(&record);
    return file;
}

static void what_is_gone_or_another_is_not_put_back(void **state)
{
    char aside[PATH_MAX];
    char command[3 * PATH_MAX];

    (void)state;
    reverted_to_one();
    CLEANUP(freep) char *kept = kept_file(last, "vda");
    snprintf(aside, sizeof aside, "%s.aside", kept);
    assert_int_equal(rename(kept, aside), 0);
    snap_refused(&rig, undo_of(last), ERR_PERMANENT, "what it kept is gone");
    snprintf(command, sizeof command, "cp '%s' '%s'", aside, kept);
    assert_int_equal(system(command), 0);
    snap_refused(&rig, undo_of(last), ERR_PERMANENT, "is not the file that it kept");
    assert_int_equal(rename(aside, kept), 0);
    snprintf(command, sizeof command, "%s.clone", kept); /* somebody else's clone of it */
    const char *clone[] = {"qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", kept, command, NULL};
    struct err err = {0};
    assert_int_equal(process_run(clone, &(struct process_options){.inherit_fd = -1}, NULL, NULL, &err), 0);
    snap_refused(&rig, undo_of(last), ERR_PERMANENT, "uses");
    unlink(command);
    did(undo_of(last));
    expect_before(VIR_DOMAIN_RUNNING);
}

/* vda of the snapshot two, on which the kept overlay stands. */
static void what_it_stands_on_must_not_have_been_written(void **state)
{
    CLEANUP(freep) char *base = NULL;

    (void)state;
    reverted_to_one();
    CLEANUP(freep) char *kept = kept_file(last, "vda");
    assert_int_equal(image_backing(kept, &base, NULL), 0);
    struct timespec now[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_NOW}};
    assert_int_equal(utimensat(AT_FDCWD, base, now, 0), 0);
    snap_refused(&rig, undo_of(last), ERR_PERMANENT, "on which the kept disk stands, was changed since");
}

static void its_time_ends(void **state)
{
    struct err err = {0};

    (void)state;
    reverted_to_one();
    assert_int_equal(undo_record_set(rig.backend->config, last, "until", "1000", &err), 0);
    snap_refused(&rig, undo_of(last), ERR_PERMANENT, "that is over");
    assert_int_equal(libvirt_backend_ops.tidy(rig.backend, &err), 0); /* and said so long enough */
    snap_refused(&rig, undo_of(last), ERR_PERMANENT, "this host has no record");
}

static void what_is_no_revert_has_no_record(void **state)
{
    char other[UUID_TEXT];

    (void)state;
    uuid_random(other);
    snap_refused(&rig, undo_of(other), ERR_PERMANENT, "this host has no record");
    reverted_to_one();
    struct job *job = undo_of(last);
    free(job->target.id);
    job->target.id = strdup(other);
    snap_refused(&rig, job, ERR_PERMANENT, "was on another machine");
    struct err err = {0};
    assert_int_equal(undo_record_set(rig.backend->config, last, "until", NULL, &err), 0);
    snap_refused(&rig, undo_of(last), ERR_PERMANENT, "did not come to its end");
}

static void set_memory(const char *value)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    CLEANUP(freep) char *xml = NULL;

    assert_int_equal(libvirt_domain_xml(rig.host.domain, VIR_DOMAIN_XML_INACTIVE, &doc, NULL), 0);
    xmlNodeSetContent(xml_find(xmlDocGetRootElement(doc), "memory"), BAD_CAST value);
    xmlNodeSetContent(xml_find(xmlDocGetRootElement(doc), "currentMemory"), BAD_CAST value);
    assert_int_equal(xml_format(doc, &xml, NULL), 0);
    virDomainPtr defined = virDomainDefineXML(rig.host.connection, xml);
    assert_non_null(defined);
    virDomainFree(defined);
}

static void another_machine_needs_force(void **state)
{
    (void)state;
    reverted_to_one();
    set_memory("98304");
    snap_refused(&rig, undo_of(last), ERR_PERMANENT, "another machine than it has (memory");
    snap_expect(&rig, "vda", 4);
    did(forced(last));
    expect_before(VIR_DOMAIN_RUNNING);
}

static void checkpoint(const char *name)
{
    char xml[200];

    snprintf(xml, sizeof xml, "<domaincheckpoint><name>%s</name></domaincheckpoint>", name);
    virDomainCheckpointPtr made = virDomainCheckpointCreateXML(rig.host.domain, xml, 0);
    if (!made)
        fail_msg("%s", virGetLastErrorMessage());
    virDomainCheckpointFree(made);
}

static int checkpoints(void)
{
    virDomainCheckpointPtr *all = NULL;
    int count = virDomainListAllCheckpoints(rig.host.domain, &all, 0);

    for (int i = 0; i < count; i++)
        virDomainCheckpointFree(all[i]);
    free(all);
    return count;
}

/* Ours, by its name: a backup of before. It comes back with its bitmap; one that was made since ends. */
static void checkpoints_change_with_the_disks(void **state)
{
    char ours[UUID_TEXT + 3] = "fs-", later[UUID_TEXT + 3] = "fs-";
    unsigned long long size;

    (void)state;
    uuid_random(ours + 3);
    uuid_random(later + 3);
    rig_power(&rig.host, true);
    snap_write(&rig, "vda", 1);
    create("one");
    checkpoint(ours);
    snap_write(&rig, "vda", 3);
    snap_write(&rig, "vdb", 2);
    revert("one");
    assert_int_equal(checkpoints(), 0);
    checkpoint(later);
    snap_refused(&rig, undo_of(last), ERR_PERMANENT, "was made since: its checkpoint would end");
    did(forced(last));
    snap_expect(&rig, "vda", 3);
    assert_int_equal(checkpoints(), 1);
    virDomainCheckpointPtr back = virDomainCheckpointLookupByName(rig.host.domain, ours, 0);
    assert_non_null(back);
    CLEANUP(freep) char *xml = virDomainCheckpointGetXMLDesc(back, VIR_DOMAIN_CHECKPOINT_XML_SIZE);
    if (!xml)
        fail_msg("its bitmap: %s", virGetLastErrorMessage());
    size = strtoull(strstr(xml, "size='") + 6, NULL, 10);
    assert_true(size >= 65536); /* what was written since it is known */
    virDomainCheckpointFree(back);
    did(undo_of(last)); /* those that came back are no use since */
    snap_expect(&rig, "vda", 1);
}

static void a_saved_state_goes(void **state)
{
    struct outcome out = {0};

    (void)state;
    reverted_to_one();
    assert_int_equal(virDomainManagedSave(rig.host.domain, 0), 0);
    struct job *job = undo_of(last);
    job->dry_run = true;
    snap_ok(&rig, job, &out);
    bool said = false;
    for (size_t i = 0; i < out.report.result->lost.count; i++)
        said = said || strstr(out.report.result->lost.items[i], "managed save");
    assert_true(said);
    outcome_clear(&out);
    did(undo_of(last));
    assert_int_equal(virDomainHasManagedSaveImage(rig.host.domain, 0), 0);
    expect_before(VIR_DOMAIN_SHUTOFF);
}

/* ---- after a restore in place ---- */

static int begin_with_raw(void **state)
{
    (void)state;
    snap_start(&rig, true);
    return 0;
}

static void back_up(char point[UUID_TEXT])
{
    struct job *job = rig_job(&rig.host, OP_BACKUP_CREATE);

    ((struct params_backup_create *)job->params)->kind = BACKUP_FULL;
    snprintf(point, UUID_TEXT, "%s", job->job_id);
    snap_ok(&rig, job, NULL);
}

static struct job *restore(const char *point)
{
    struct job *job = rig_job(&rig.host, OP_BACKUP_RESTORE);
    struct params_backup_restore *params = job->params;

    params->point = strdup(point);
    params->in_place = params->drop_snapshots = true;
    return job;
}

/* 1 is in the backup, 2 in the snapshot after it, 3 was written since; then the restore, and 4. */
static void restored(char point[UUID_TEXT])
{
    rig_power(&rig.host, true);
    snap_write(&rig, "vda", 1);
    snap_write(&rig, "vdc", 1);
    back_up(point);
    snap_write(&rig, "vda", 2);
    create("one");
    snap_write(&rig, "vda", 3);
    snap_write(&rig, "vdc", 3);
    did(restore(point));
    snap_expect(&rig, "vda", 1);
    snap_expect(&rig, "vdc", 1);
    assert_int_equal(snap_count(&rig), 0);
    snap_write(&rig, "vda", 4);
    snap_write(&rig, "vdc", 4);
}

static void expect_before_restore(void)
{
    snap_expect_state(&rig, VIR_DOMAIN_RUNNING);
    snap_expect(&rig, "vda", 3);
    snap_expect(&rig, "vdc", 3);
    snap_expect_current(&rig, "one");
}

static void expect_after_restore(void)
{
    snap_expect_state(&rig, VIR_DOMAIN_RUNNING);
    snap_expect(&rig, "vda", 4);
    snap_expect(&rig, "vdc", 4);
    assert_int_equal(snap_count(&rig), 0);
}

static void what_was_there_before_a_restore_comes_back(void **state)
{
    char point[UUID_TEXT];

    (void)state;
    restored(point);
    int files = snap_files(&rig);
    did(undo_of(last));
    expect_before_restore();
    assert_int_equal(checkpoints(), 1); /* of the backup */
    did(undo_of(last));
    expect_after_restore();
    did(undo_of(last));
    expect_before_restore();
    assert_int_equal(snap_files(&rig), files);
    revert("one");
    snap_expect(&rig, "vda", 2);
    did(undo_of(last));
    expect_before_restore();
}

static void a_later_restore_refuses_it(void **state)
{
    char point[UUID_TEXT], first[UUID_TEXT];

    (void)state;
    restored(point);
    snprintf(first, sizeof first, "%s", last);
    did(restore(point));
    snap_refused(&rig, undo_of(first), ERR_PERMANENT, "is another file than it left");
    did(undo_of(last));
    expect_after_restore();
    did(undo_of(first));
    expect_before_restore();
}

static void cancelled_anywhere_the_restored_disks_stay(void **state)
{
    char point[UUID_TEXT], restore_job[UUID_TEXT];

    (void)state;
    restored(point);
    snprintf(restore_job, sizeof restore_job, "%s", last);
    for (int at = 1; snap_cancelled_at(&rig, undo_of(restore_job), at); at++)
        expect_after_restore();
    expect_before_restore();
}

static bool dies_at(struct job *job, int at)
{
    snprintf(last, sizeof last, "%s", job->job_id);
    return snap_dies_at(&rig, job, at);
}

static void a_worker_may_die_in_an_undo_of_a_restore(void **state)
{
    char point[UUID_TEXT];
    int at;

    (void)state;
    restored(point);
    for (at = 1; dies_at(undo_of(last), at); at++) { /* there and back again */
        if (at % 2)
            expect_before_restore();
        else
            expect_after_restore();
    }
    assert_true(at > 9);
}

/* ---- the way back, and dead workers ---- */

static void cancelled_anywhere_everything_is_as_before(void **state)
{
    char revert_job[UUID_TEXT];
    int at;

    (void)state;
    reverted_to_one();
    snprintf(revert_job, sizeof revert_job, "%s", last);
    CLEANUP(freep) char *kept = kept_file(revert_job, "vda");
    for (at = 1; snap_cancelled_at(&rig, undo_of(revert_job), at); at++) {
        snap_expect_state(&rig, VIR_DOMAIN_RUNNING);
        snap_expect(&rig, "vda", 4);
        snap_expect_current(&rig, "one");
        assert_true(kept_now(rig.backend->config, kept, NULL));
    }
    assert_true(at > 7);
    expect_before(VIR_DOMAIN_RUNNING);
    assert_false(kept_now(rig.backend->config, kept, NULL));
}

static void a_worker_may_die_in_an_undo(void **state)
{
    (void)state;
    reverted_to_one();
    for (int at = 1; dies_at(undo_of(last), at); at++) { /* there and back again */
        snap_expect_state(&rig, VIR_DOMAIN_RUNNING);
        snap_expect(&rig, "vda", at % 2 ? 3 : 4);
        snap_expect_current(&rig, at % 2 ? "two" : "one");
    }
}

static void a_worker_may_die_in_a_revert_that_is_undone(void **state)
{
    (void)state;
    reverted_to_one();
    did(undo_of(last));
    for (int at = 1; dies_at(snap_job(&rig, OP_SNAPSHOT_REVERT, "one"), at); at++) {
        snap_expect(&rig, "vda", 1);
        did(undo_of(last));
        expect_before(VIR_DOMAIN_RUNNING);
    }
}

/* A file whose time is over is not removed under a job that brings it back. */
static void a_claimed_file_stays(void **state)
{
    const struct backend_config *config = rig.backend->config;
    struct outcome out = {0};
    struct err err = {0};
    int64_t until;

    (void)state;
    reverted_to_one();
    CLEANUP(freep) char *kept = kept_file(last, "vda");
    char revert_job[UUID_TEXT];
    snprintf(revert_job, sizeof revert_job, "%s", last);
    assert_int_equal(kept_until(config, revert_job, 0, &until, &err), 0); /* it ends just now */
    struct job *job = undo_of(revert_job);
    rig.die_at = 3; /* after remember */
    snap_run(&rig, job, &out);
    rig.die_at = 0;
    assert_int_equal(out.kind, OUTCOME_LEFT);
    assert_int_equal(libvirt_backend_ops.tidy(rig.backend, &err), 0);
    assert_true(file_exists(kept));
    snap_recover(&rig, job, &out);
    assert_int_equal(out.state, STATE_SUCCEEDED);
    outcome_clear(&out);
    job_free(job);
    expect_before(VIR_DOMAIN_RUNNING);
    assert_int_equal(kept_until(config, revert_job, 0, &until, &err), 0); /* it is no longer in the list */
    assert_int_equal(libvirt_backend_ops.tidy(rig.backend, &err), 0);
    assert_true(file_exists(kept));
}

#define TEST(function)     cmocka_unit_test_setup(function, begin)
#define RAW_TEST(function) cmocka_unit_test_setup(function, begin_with_raw)

/* With the argument "faults" those that cancel and die at every step: they last as long as all others. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_there_before_a_revert_comes_back),
        TEST(the_guest_is_afterwards_what_it_was),
        TEST(reverts_are_undone_in_order),
        TEST(a_later_job_on_the_chain_refuses_it),
        TEST(another_file_refuses_it),
        TEST(what_is_gone_or_another_is_not_put_back),
        TEST(what_it_stands_on_must_not_have_been_written),
        TEST(its_time_ends),
        TEST(what_is_no_revert_has_no_record),
        TEST(another_machine_needs_force),
        TEST(checkpoints_change_with_the_disks),
        TEST(a_saved_state_goes),
        RAW_TEST(what_was_there_before_a_restore_comes_back),
        RAW_TEST(a_later_restore_refuses_it),
        TEST(a_claimed_file_stays),
    };
    const struct CMUnitTest faults[] = {
        RAW_TEST(cancelled_anywhere_the_restored_disks_stay), RAW_TEST(a_worker_may_die_in_an_undo_of_a_restore),
        TEST(cancelled_anywhere_everything_is_as_before),     TEST(a_worker_may_die_in_an_undo),
        TEST(a_worker_may_die_in_a_revert_that_is_undone),
    };

    if (argc > 1 && strcmp(argv[1], "faults") == 0)
        return cmocka_run_group_tests(faults, open_host, close_host);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, open_host, close_host);
}
