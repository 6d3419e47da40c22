/* The snapshot verbs on real QEMU, through the runner: what they make, what they bring back and what they refuse. */
#include "support/snapshot_scene.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/process.h"
#include "model/inventory.h"
#include "worker/backends/libvirt/libvirt.h"

#include <libvirt/libvirt-qemu.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void external_of_a_running_guest(void **state)
{
    struct outcome out = {0};

    (void)state;
    rig_power(&rig.host, true);
    snap_write(&rig, "vda", 1);
    snap_write(&rig, "vdc", 1);
    snap_ok(&rig, create("one"), &out);
    assert_string_equal(facts_get(&out.report.result->facts, "level"), "crash");
    assert_string_equal(facts_get(&out.report.result->facts, "kind"), "external");
    assert_int_equal(out.report.change_count, 1);
    assert_string_equal(out.report.changes[0].point->kind, "snapshot");
    outcome_clear(&out);
    snap_write(&rig, "vda", 2);
    snap_ok(&rig, create("two"), NULL);
    snap_write(&rig, "vda", 3);
    snap_write(&rig, "vdc", 3);

    snap_ok(&rig, revert("one"), &out);
    assert_non_null(facts_get(&out.report.result->facts, "kept.vda"));
    outcome_clear(&out);
    snap_expect_state(&rig, VIR_DOMAIN_RUNNING);
    snap_expect(&rig, "vda", 1);
    snap_expect(&rig, "vdc", 1);
    snap_expect_current(&rig, "one");

    snap_write(&rig, "vda", 4);
    snap_ok(&rig, create("three"), NULL);
    snap_expect_parent(&rig, "three", "one");
    snap_write(&rig, "vda", 5);
    snap_ok(&rig, revert("two"), NULL); /* a side branch by now */
    snap_expect(&rig, "vda", 2);
    snap_ok(&rig, revert("three"), NULL);
    snap_expect(&rig, "vda", 4);
}

/* QEMU 7.2 aborts when it is asked about its images while it creates one: so it never does that for us. */
static void the_guest_may_be_looked_at_while_a_snapshot_is_made(void **state)
{
    (void)state;
    rig_power(&rig.host, true);
    snap_write(&rig, "vda", 1);
    rig_watched(&rig.host, true);
    for (int i = 0; i < 3; i++) {
        char name[8];

        snprintf(name, sizeof name, "s%d", i);
        snap_ok(&rig, create(name), NULL);
    }
    rig_watched(&rig.host, false);
    snap_expect_state(&rig, VIR_DOMAIN_RUNNING);
    snap_expect(&rig, "vda", 1);
}

static void deletes_merge_what_is_above(void **state)
{
    (void)state;
    rig_power(&rig.host, true);
    for (int i = 1; i <= 4; i++) {
        char name[8];

        snprintf(name, sizeof name, "s%d", i);
        snap_write(&rig, i % 2 ? "vda" : "vdb", i);
        snap_ok(&rig, create(name), NULL);
    }
    snap_write(&rig, "vda", 9);
    assert_int_equal(snap_files(&rig), 3 + 4 * 3);
    snap_ok(&rig, del("s2"), NULL);                  /* the middle */
    snap_ok(&rig, del("s4"), NULL);                  /* the leaf */
    assert_non_null(strstr(rig.plan, "\"commit\"")); /* libvirt's own is not safe to be interrupted */
    assert_null(strstr(rig.plan, "\"delete\""));
    snap_ok(&rig, del("s1"), NULL); /* the root */
    assert_int_equal(snap_count(&rig), 1);
    assert_int_equal(snap_files(&rig), 3 + 3);
    snap_expect(&rig, "vda", 9);
    snap_expect(&rig, "vdb", 4);
    snap_ok(&rig, revert("s3"), NULL);
    snap_expect(&rig, "vda", 3);
    snap_expect(&rig, "vdb", 2);
    snap_ok(&rig, del("s3"), NULL); /* gone is a success, too */
    snap_ok(&rig, del("s3"), NULL);
    snap_expect(&rig, "vda", 3);
    assert_int_equal(snap_count(&rig), 0);
}

static void a_subtree_goes_children_first(void **state)
{
    struct job *job;

    (void)state;
    rig_power(&rig.host, true);
    for (int i = 1; i <= 4; i++) {
        char name[8];

        snprintf(name, sizeof name, "s%d", i);
        snap_write(&rig, "vda", i);
        snap_ok(&rig, create(name), NULL);
    }
    snap_write(&rig, "vda", 9);
    job = del("s2");
    snap_delete_params(job)->scope = SCOPE_CHILDREN_ONLY;
    snap_ok(&rig, job, NULL);
    assert_int_equal(snap_count(&rig), 2);
    snap_expect(&rig, "vda", 9);
    job = del("s1");
    snap_delete_params(job)->scope = SCOPE_CHILDREN;
    snap_ok(&rig, job, NULL);
    assert_int_equal(snap_count(&rig), 0);
    assert_int_equal(snap_files(&rig), 3);
    snap_expect(&rig, "vda", 9);
}

/* Lethal call 2: libvirt deletes the file on which a side branch stands. */
static void a_side_branch_is_never_cut_off(void **state)
{
    (void)state;
    rig_power(&rig.host, true);
    snap_write(&rig, "vda", 1);
    snap_ok(&rig, create("base"), NULL);
    snap_write(&rig, "vda", 2);
    snap_ok(&rig, create("left"), NULL);
    snap_write(&rig, "vda", 3);
    snap_ok(&rig, revert("base"), NULL);
    snap_write(&rig, "vda", 4);
    snap_ok(&rig, create("right"), NULL);
    snap_ok(&rig, del("base"), NULL);
    snap_expect(&rig, "vda", 4);
    snap_ok(&rig, revert("left"), NULL);
    snap_expect(&rig, "vda", 2);
    snap_ok(&rig, revert("right"), NULL);
    snap_expect(&rig, "vda", 4);
    snap_ok(&rig, del("left"), NULL);
    snap_ok(&rig, del("right"), NULL);
    snap_expect(&rig, "vda", 4);
    assert_int_equal(snap_count(&rig), 0);
}

static void a_guest_that_is_off(void **state)
{
    struct outcome out = {0};
    struct job *job;

    (void)state;
    snap_write(&rig, "vda", 1);
    snap_ok(&rig, create("inside"), &out);
    assert_string_equal(facts_get(&out.report.result->facts, "kind"), "internal");
    assert_string_equal(facts_get(&out.report.result->facts, "level"), "off");
    outcome_clear(&out);
    snap_write(&rig, "vda", 2);
    snap_ok(&rig, revert("inside"), NULL);
    snap_expect(&rig, "vda", 1);
    snap_ok(&rig, del("inside"), NULL);
    assert_int_equal(snap_count(&rig), 0);

    job = create("outside");
    snap_create_params(job)->kind = SNAPSHOT_EXTERNAL;
    snap_ok(&rig, job, NULL);
    snap_write(&rig, "vda", 3);
    job = revert("outside");
    snap_revert_params(job)->keep_old_for_ms = 0;
    snap_ok(&rig, job, NULL);
    snap_expect_state(&rig, VIR_DOMAIN_SHUTOFF);
    snap_expect(&rig, "vda", 1);
    snap_write(&rig, "vda", 4);
    snap_ok(&rig, create("above"), NULL); /* internal, in the overlay */
    snap_refused(&rig, del("outside"), ERR_PERMANENT, "internal snapshot above lives in");
    snap_ok(&rig, del("above"), NULL);
    snap_ok(&rig, del("outside"), NULL);
    snap_expect(&rig, "vda", 4);
    assert_int_equal(snap_count(&rig), 0);
}

static void internal_of_a_running_guest(void **state)
{
    struct outcome out = {0};
    struct job *job = create("with memory");

    (void)state;
    rig_power(&rig.host, true);
    snap_write(&rig, "vda", 1);
    snap_create_params(job)->memory = MEMORY_YES;
    snap_ok(&rig, job, &out);
    assert_string_equal(facts_get(&out.report.result->facts, "level"), "memory");
    assert_non_null(facts_get(&out.report.result->facts, "paused_ms"));
    outcome_clear(&out);
    snap_write(&rig, "vda", 2);
    snap_ok(&rig, revert("with memory"), NULL);
    snap_expect_state(&rig, VIR_DOMAIN_RUNNING);
    snap_expect(&rig, "vda", 1);
    job = revert("with memory");
    snap_revert_params(job)->after = AFTER_PAUSED;
    snap_revert_params(job)->keep_current = true;
    snap_ok(&rig, job, NULL);
    snap_expect_state(&rig, VIR_DOMAIN_PAUSED);
    assert_int_equal(snap_count(&rig), 2);
    snap_ok(&rig, del("with memory"), NULL);
    snap_expect_state(&rig, VIR_DOMAIN_PAUSED);
}

static void external_with_memory(void **state)
{
    struct job *job = create("mem");
    char file[PATH_MAX];

    (void)state;
    rig_power(&rig.host, true);
    snap_write(&rig, "vda", 1);
    snprintf(file, sizeof file, "%s/disks/web.mem", rig.host.root);
    snap_create_params(job)->memory = MEMORY_FILE;
    snap_create_params(job)->memory_file = strdup(file);
    snap_create_params(job)->live = true;
    snap_ok(&rig, job, NULL);
    assert_true(file_exists(file));
    snap_write(&rig, "vda", 2);
    snap_ok(&rig, revert("mem"), NULL);
    snap_expect_state(&rig, VIR_DOMAIN_RUNNING);
    snap_expect(&rig, "vda", 1);
    snap_ok(&rig, del("mem"), NULL);
    assert_false(file_exists(file));
    snap_expect(&rig, "vda", 1);
}

static void others_are_left_alone(void **state)
{
    struct job *job;

    (void)state;
    rig_power(&rig.host, true);
    snap_virsh_snapshot(&rig, "<domainsnapshot><name>theirs</name></domainsnapshot>",
                        VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY);
    snap_refused(&rig, del("theirs"), ERR_PERMANENT, "made by others");
    snap_refused(&rig, create("theirs"), ERR_PERMANENT, "exists already");
    job = del("theirs");
    snap_delete_params(job)->foreign = true;
    snap_ok(&rig, job, NULL);
    assert_int_equal(snap_count(&rig), 0);
}

/* Lethal calls 3, 4, 5 and the checkpoints of 1. */
static void what_libvirt_would_let_pass(void **state)
{
    struct outcome out = {0};
    struct job *job;

    (void)state;
    snap_write(&rig, "vda", 1);
    snap_ok(&rig, create("inside"), NULL);
    rig_power(&rig.host, true);
    snap_ok(&rig, create("outside"), NULL);
    snap_refused(&rig, revert("inside"), ERR_PERMANENT, "would become worthless");
    snap_expect_state(&rig, VIR_DOMAIN_RUNNING);
    snap_ok(&rig, del("outside"), NULL);

    job = create("ram");
    snap_create_params(job)->memory = MEMORY_YES;
    snap_ok(&rig, job, NULL);
    snap_write(&rig, "vda", 2);
    assert_int_equal(virDomainManagedSave(rig.host.domain, 0), 0);
    snap_ok(&rig, revert("ram"), NULL);
    assert_int_equal(virDomainHasManagedSaveImage(rig.host.domain, 0), 0);
    snap_expect(&rig, "vda", 1);

    job = revert("inside");
    snap_revert_params(job)->after = AFTER_RUNNING;
    snap_refused(&rig, job, ERR_PERMANENT, "guest that was off");
    job = revert("inside");
    snap_revert_params(job)->after = AFTER_RUNNING;
    snap_revert_params(job)->force = FORCE_IF_NEEDED;
    snap_ok(&rig, job, &out);
    outcome_clear(&out);
    snap_expect_state(&rig, VIR_DOMAIN_RUNNING);

    char *answer =
        NULL; /* somebody else removes it from the image: libvirt would stop the guest first, and then find that out */
    assert_int_equal(
        virDomainQemuMonitorCommand(rig.host.domain, "delvm ram", &answer, VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP), 0);
    free(answer);
    snap_refused(&rig, revert("ram"), ERR_PERMANENT, "does not hold it any more");
    snap_expect_state(&rig, VIR_DOMAIN_RUNNING);
}

static void refusals_of_create(void **state)
{
    struct job *job;

    (void)state;
    rig_power(&rig.host, true);
    job = create("a/b");
    snap_refused(&rig, job, ERR_PERMANENT, "not valid");
    job = create("x");
    snap_disk(job, "vdz", "external", NULL);
    snap_refused(&rig, job, ERR_PERMANENT, "no such disk");
    job = create("x");
    snap_create_params(job)->kind = SNAPSHOT_INTERNAL;
    snap_refused(&rig, job, ERR_PERMANENT, "only qcow2");
    job = create("x");
    snap_create_params(job)->quiesce = QUIESCE_REQUIRE;
    snap_refused(&rig, job, ERR_PERMANENT, "no guest agent channel");
    job = create("x");
    snap_create_params(job)->live = true;
    snap_refused(&rig, job, ERR_PERMANENT, "live needs memory");
    job = create("x");
    snap_create_params(job)->current = true;
    snap_refused(&rig, job, ERR_PERMANENT, "current needs redefine");
    assert_int_equal(snap_count(&rig), 0);
    assert_int_equal(snap_files(&rig), 3);
}

static void a_repeat_finds_its_own(void **state)
{
    struct job *job = create(NULL);
    struct outcome out = {0};

    (void)state;
    rig_power(&rig.host, true);
    snap_run(&rig, job, &out);
    assert_int_equal(out.state, STATE_SUCCEEDED);
    outcome_clear(&out);
    snap_ok(&rig, job, &out);
    assert_int_equal(out.report.change_count, 1);
    outcome_clear(&out);
    assert_int_equal(snap_count(&rig), 1);
}

static void list_and_show(void **state)
{
    struct outcome out = {0};
    struct job *job = create("one & <only>");

    (void)state;
    rig_power(&rig.host, true);
    snap_create_params(job)->description = strdup("before \"it\"");
    snap_ok(&rig, job, NULL);
    snap_ok(&rig, snap_job(&rig, OP_SNAPSHOT_LIST, NULL), &out);
    assert_int_equal(out.report.result->snapshots.count, 1);
    struct snapshot_info *info = list_at(&out.report.result->snapshots, struct snapshot_info, 0);
    assert_string_equal(info->name, "one & <only>");
    assert_string_equal(info->description, "before \"it\"");
    assert_string_equal(info->level, "crash");
    assert_string_equal(info->state, "disk-only");
    assert_non_null(info->owner);
    assert_int_equal(info->files.count, 3);
    outcome_clear(&out);
    snap_ok(&rig, snap_job(&rig, OP_SNAPSHOT_SHOW, "one & <only>"), &out);
    assert_non_null(strstr(out.report.result->xml, "<domainsnapshot>"));
    outcome_clear(&out);
    snap_refused(&rig, snap_job(&rig, OP_SNAPSHOT_SHOW, "two"), ERR_PERMANENT, "there is none");
}

/* As long as libvirt can keep one: with a byte more it finds that out when QEMU has taken it. */
static void a_name_with_all_that_names_may_have(void **state)
{
    char name[249] = "it's \"quoted\" & <xml> $(reboot) %s%n back\\slash Größe 数据 — ✓ ";
    struct outcome out = {0};

    (void)state;
    rig_power(&rig.host, true);
    memset(name + strlen(name), 'n', sizeof name - 1 - strlen(name));
    snap_refused(&rig, create(name), ERR_PERMANENT, "the name has 248 bytes");
    assert_int_equal(snap_files(&rig), 3);
    name[247] = '\0';
    snap_write(&rig, "vda", 1);
    snap_ok(&rig, create(name), NULL);
    snap_write(&rig, "vda", 2);
    snap_ok(&rig, snap_job(&rig, OP_SNAPSHOT_SHOW, name), &out);
    assert_string_equal(list_at(&out.report.result->snapshots, struct snapshot_info, 0)->name, name);
    outcome_clear(&out);
    snap_ok(&rig, revert(name), NULL);
    snap_expect(&rig, "vda", 1);
    snap_expect_current(&rig, name);
    snap_ok(&rig, del(name), NULL);
    assert_int_equal(snap_count(&rig), 0);
}

static void add_checkpoint(const char *name)
{
    char xml[300];
    virDomainCheckpointPtr checkpoint;

    snprintf(xml, sizeof xml,
             "<domaincheckpoint><name>%s</name><disks><disk name='vda' checkpoint='bitmap'/></disks></domaincheckpoint>",
             name);
    checkpoint = virDomainCheckpointCreateXML(rig.host.domain, xml, 0);
    if (!checkpoint)
        fail_msg("%s", virGetLastErrorMessage());
    virDomainCheckpointFree(checkpoint);
}

static struct job *revert_dropping(const char *name, const char *checkpoint)
{
    struct job *job = revert(name);

    strings_add(&snap_revert_params(job)->drop_checkpoint, checkpoint, NULL);
    return job;
}

/* Lethal call 1: QEMU refuses an internal revert with an active bitmap after libvirt has stopped the guest. */
static void checkpoints_end_before_a_revert(void **state)
{
    struct job *job;

    (void)state;
    snap_write(&rig, "vda", 1);
    snap_ok(&rig, create("off"), NULL);
    rig_power(&rig.host, true);
    job = create("on");
    snap_create_params(job)->memory = MEMORY_YES;
    snap_ok(&rig, job, NULL);
    add_checkpoint("theirs");
    add_checkpoint("fs-0d9b1c1e-8c0c-5b2f-9f3f-5a3c8f3d2b11");
    snap_write(&rig, "vda", 2);
    snap_refused(&rig, revert("on"), ERR_PERMANENT, "checkpoint theirs, made by others");
    snap_ok(&rig, revert_dropping("on", "theirs"), NULL);
    snap_expect_state(&rig, VIR_DOMAIN_RUNNING);
    snap_expect(&rig, "vda", 1);
    assert_int_equal(rig_checkpoints(&rig.host), 0);

    add_checkpoint("again");
    rig_power(&rig.host, false);
    snap_ok(&rig, revert_dropping("off", "again"), NULL);
    assert_int_equal(rig_checkpoints(&rig.host), 0);
    rig_power(&rig.host, true);
    add_checkpoint("again"); /* its bitmap is gone, too */
    snap_ok(&rig, create("outside"), NULL);
    snap_ok(&rig, revert_dropping("outside", "again"), NULL);
    assert_int_equal(rig_checkpoints(&rig.host), 0);
}

static void halt_reuse_and_no_metadata(void **state)
{
    char file[PATH_MAX], active[PATH_MAX];
    struct job *job = create("x");
    const char *argv[] = {"qemu-img",
                          "create",
                          "-q",
                          "-f",
                          "qcow2",
                          "-F",
                          "qcow2",
                          "-b",
                          rig_disk(&rig.host, "vda.img", active),
                          rig_disk(&rig.host, "mine.qcow2", file),
                          NULL};

    (void)state;
    rig_power(&rig.host, true);
    snap_create_params(job)->no_metadata = true;
    snap_ok(&rig, job, NULL);
    assert_int_equal(snap_count(&rig), 0);
    assert_int_equal(snap_files(&rig), 3 + 2);

    snap_start(&rig, false);
    rig_power(&rig.host, true);
    job = create("reused");
    snap_create_params(job)->reuse_external = true;
    snap_disk(job, "vda", "external", file);
    snap_disk(job, "vdb", "no", NULL);
    snap_refused(&rig, job, ERR_PERMANENT, "there is no such file");
    assert_int_equal(process_run(argv, &(struct process_options){.inherit_fd = -1}, NULL, NULL, NULL), 0);
    chmod(file, 0666);
    job = create("reused");
    snap_create_params(job)->reuse_external = true;
    snap_disk(job, "vda", "external", file);
    snap_disk(job, "vdb", "no", NULL);
    snap_ok(&rig, job, NULL);
    job = create("halted");
    snap_create_params(job)->halt = true;
    snap_create_params(job)->disk_only = true;
    snap_ok(&rig, job, NULL);
    snap_expect_state(&rig, VIR_DOMAIN_SHUTOFF);
}

static void metadata_comes_back(void **state)
{
    struct outcome out = {0};
    struct job *job;
    char *xml;

    (void)state;
    rig_power(&rig.host, true);
    snap_write(&rig, "vda", 1);
    snap_ok(&rig, create("one"), &out);
    xml = strdup(out.report.result->xml);
    outcome_clear(&out);
    snap_write(&rig, "vda", 2);
    job = del("one");
    snap_delete_params(job)->metadata_only = true;
    snap_ok(&rig, job, NULL);
    assert_int_equal(snap_count(&rig), 0);
    job = create(NULL);
    snap_create_params(job)->redefine = xml;
    snap_create_params(job)->current = true;
    snap_ok(&rig, job, NULL);
    snap_expect_current(&rig, "one");
    snap_ok(&rig, revert("one"), NULL);
    snap_expect(&rig, "vda", 1);
}

/* As virsh snapshot-delete --metadata does: libvirt changes the definitions of those after it, and a revert to one would bring back another's disk without a word. */
static void a_definition_that_libvirt_changed(void **state)
{
    virDomainSnapshotPtr before;
    struct outcome out = {0};
    struct job *job;
    char *xml[2];

    (void)state;
    rig_power(&rig.host, true);
    snap_write(&rig, "vda", 1);
    snap_ok(&rig, create("one"), &out);
    xml[0] = strdup(out.report.result->xml);
    outcome_clear(&out);
    snap_write(&rig, "vda", 2);
    snap_ok(&rig, create("two"), &out);
    xml[1] = strdup(out.report.result->xml);
    outcome_clear(&out);
    snap_write(&rig, "vda", 3);
    before = virDomainSnapshotLookupByName(rig.host.domain, "one", 0);
    assert_int_equal(virDomainSnapshotDelete(before, VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY), 0);
    virDomainSnapshotFree(before);
    snap_refused(&rig, revert("two"), ERR_PERMANENT, "by which libvirt changes the definitions of those after it");
    snap_expect(&rig, "vda", 3);
    job = create(NULL);
    snap_create_params(job)->redefine = strdup(xml[1]);
    snap_refused(&rig, job, ERR_PERMANENT, "its parent one is not there");
    for (int i = 0; i < 2; i++) {
        job = create(NULL);
        snap_create_params(job)->redefine = xml[i];
        snap_ok(&rig, job, NULL);
    }
    snap_expect_parent(&rig, "two", "one");
    snap_ok(&rig, revert("two"), NULL);
    snap_expect(&rig, "vda", 2);
    snap_ok(&rig, revert("one"), NULL);
    snap_expect(&rig, "vda", 1);
}

static void what_a_job_expects(void **state)
{
    struct job *job;

    (void)state;
    rig_power(&rig.host, true);
    snap_ok(&rig, create("one"), NULL);
    job = revert("one");
    job->expect = calloc(1, sizeof *job->expect);
    job->expect->current_snapshot = strdup("two");
    snap_refused(&rig, job, ERR_CONFLICT, "the current snapshot is one");
    job = revert("one");
    job->expect = calloc(1, sizeof *job->expect);
    job->expect->current_snapshot = strdup("one");
    strings_add(&job->expect->disks, "vda", NULL);
    snap_ok(&rig, job, NULL);
}

/* ---- inventory and events ---- */

static int note_target(void *context, const struct inventory_target *target, struct err *err)
{
    return inventory_target_clone(target, context, err);
}

static void the_inventory(void **state)
{
    struct inventory_host host = {0};
    struct inventory_target *target = NULL;
    struct err err = {0};

    (void)state;
    rig_power(&rig.host, true);
    snap_ok(&rig, create("one"), NULL);
    add_checkpoint("theirs");
    if (libvirt_backend_ops.inventory(rig.backend, &host, note_target, &target, &err) < 0)
        fail_msg("%s", err.text);
    assert_non_null(target);
    assert_string_equal(target->target.id, rig.host.uuid);
    assert_string_equal(target->state, "running");
    assert_string_equal(target->agent, "none");
    assert_int_equal(target->snapshots.count, 1);
    assert_int_equal(target->checkpoints.count, 1);
    assert_null(list_at(&target->checkpoints, struct inventory_checkpoint, 0)->owner);
    assert_string_equal(target->migratable_reason, "1 snapshot");
    assert_int_equal(list_at(&target->disks, struct inventory_disk, 0)->size_bytes, 16 << 20);
    assert_int_equal(strlen(target->definition), 64);
    assert_int_equal(host.pools.count, 1);
    assert_true(list_at(&host.pools, struct inventory_space, 0)->free_bytes > 0);
    assert_non_null(strstr(list_at(&host.backends, struct inventory_backend, 0)->version, "QEMU"));
    inventory_target_free(target);
    inventory_host_clear(&host);
}

/* What asks for a certain one (the end of its time, retention) has its answer: its point is closed. Who asks by name alone is told that there is no such machine. */
static void its_machine_is_gone(void **state)
{
    struct job *job = create("one");
    struct outcome out;
    char point[UUID_TEXT];

    (void)state;
    snprintf(point, sizeof point, "%s", job->job_id);
    snap_ok(&rig, job, NULL);
    assert_int_equal(virDomainUndefineFlags(rig.host.domain, VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA), 0);
    virDomainFree(rig.host.domain);
    rig.host.domain = NULL;
    snap_refused(&rig, del("one"), ERR_PERMANENT, "no such domain on this host");
    job = del("one");
    string_set(&snap_delete_params(job)->point, point, NULL);
    snap_ok(&rig, job, &out);
    assert_int_equal(out.report.change_count, 1);
    assert_string_equal(out.report.changes[0].id, point);
    assert_null(out.report.changes[0].point);
    outcome_clear(&out);
}

static atomic_int everything, changes;

static void on_change(void *context, const char *target_id)
{
    (void)context;
    atomic_fetch_add(target_id ? &changes : &everything, 1);
}

static void wait_for(atomic_int *count)
{
    int64_t until = clock_monotonic_ms() + 60000;

    while (atomic_load(count) == 0)
        if (clock_monotonic_ms() > until)
            fail_msg("no event came");
}

static void events(void **state)
{
    struct err err = {0};

    (void)state;
    assert_int_equal(libvirt_backend_ops.watch(&rig.host.config, on_change, NULL, &err), 0);
    wait_for(&everything);
    rig_power(&rig.host, true);
    wait_for(&changes);
    libvirt_backend_ops.unwatch();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST_RAW(external_of_a_running_guest),
        TEST(the_guest_may_be_looked_at_while_a_snapshot_is_made),
        TEST_RAW(deletes_merge_what_is_above),
        TEST_RAW(a_subtree_goes_children_first),
        TEST_RAW(a_side_branch_is_never_cut_off),
        TEST(a_guest_that_is_off),
        TEST(internal_of_a_running_guest),
        TEST(external_with_memory),
        TEST(others_are_left_alone),
        TEST(what_libvirt_would_let_pass),
        TEST_RAW(refusals_of_create),
        TEST(a_repeat_finds_its_own),
        TEST_RAW(list_and_show),
        TEST(a_name_with_all_that_names_may_have),
        TEST(checkpoints_end_before_a_revert),
        TEST(halt_reuse_and_no_metadata),
        TEST(metadata_comes_back),
        TEST(a_definition_that_libvirt_changed),
        TEST(what_a_job_expects),
        TEST(the_inventory),
        TEST(its_machine_is_gone),
        TEST(events),
    };

    return possible(argc, argv) ? cmocka_run_group_tests(tests, open_host, close_host) : 77;
}
