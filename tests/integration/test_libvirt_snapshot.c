/* The snapshot verbs on real QEMU, through the runner: what they make, what they bring back, what they refuse, and that every step has its way back and survives a dead worker. */
#include "support/snapshot_rig.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/process.h"
#include "model/inventory.h"
#include "worker/backends/libvirt/kept.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static struct snap_rig rig;

static struct job *create(const char *name)
{
    return snap_job(&rig, OP_SNAPSHOT_CREATE, name);
}

static struct job *revert(const char *name)
{
    return snap_job(&rig, OP_SNAPSHOT_REVERT, name);
}

static struct job *del(const char *name)
{
    return snap_job(&rig, OP_SNAPSHOT_DELETE, name);
}

static int begin(void **state)
{
    (void)state;
    snap_start(&rig, false);
    return 0;
}

static int begin_with_raw(void **state)
{
    (void)state;
    snap_start(&rig, true);
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
    snap_ok(&rig, del("s2"), NULL); /* the middle */
    snap_ok(&rig, del("s4"), NULL); /* the leaf */
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

static atomic_int everything, changes;

static void on_change(void *context, const char *target_id)
{
    (void)context;
    atomic_fetch_add(target_id ? &changes : &everything, 1);
}

static void wait_for(atomic_int *count)
{
    int64_t until = clock_monotonic_ms() + 10000;

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

/* ---- every step ---- */

static void tree_of_two(void)
{
    rig_power(&rig.host, true);
    snap_write(&rig, "vda", 1);
    snap_ok(&rig, create("one"), NULL);
    snap_write(&rig, "vda", 2);
    snap_ok(&rig, create("two"), NULL);
    snap_write(&rig, "vda", 3);
}

static void a_cancelled_revert_changes_nothing(void **state)
{
    (void)state;
    tree_of_two();
    for (int at = 1;; at++) {
        struct outcome out = {0};
        struct job *job = revert("one");
        int files = snap_files(&rig);
        bool over;

        rig.cancel_at = at;
        snap_run(&rig, job, &out);
        over = out.kind == OUTCOME_ENDED && out.state == STATE_SUCCEEDED;
        if (!over && out.state != STATE_CANCELLED)
            fail_msg("cancelled at %d: %s %s", at, job_state_names[out.state], out.err.text);
        outcome_clear(&out);
        job_free(job);
        snap_expect_state(&rig, VIR_DOMAIN_RUNNING);
        if (over) {
            assert_true(at > 5);
            break;
        }
        snap_expect(&rig, "vda", 3);
        snap_expect_current(&rig, "two");
        assert_int_equal(snap_files(&rig), files);
    }
    rig.cancel_at = 0;
    snap_expect(&rig, "vda", 1);
}

/* The worker dies after the n-th effect, before it is written down; the next one goes on. */
static bool dies_at(struct job *job, int at)
{
    struct outcome out = {0};
    bool died;

    rig.die_at = at;
    snap_run(&rig, job, &out);
    died = out.kind == OUTCOME_LEFT;
    if (died)
        snap_recover(&rig, job, &out);
    if (out.kind == OUTCOME_REPLAN) {
        rig.die_at = 0;
        outcome_clear(&out);
        snap_run(&rig, job, &out);
    }
    if (out.kind != OUTCOME_ENDED || out.state != STATE_SUCCEEDED)
        fail_msg("%s, dead at %d: outcome %d, %s: %s", op_names[job->op], at, (int)out.kind, job_state_names[out.state],
                 out.err.text);
    outcome_clear(&out);
    job_free(job);
    rig.die_at = 0;
    return died;
}

static void a_worker_may_die_in_a_revert(void **state)
{
    (void)state;
    tree_of_two();
    for (int at = 1; dies_at(revert(at % 2 ? "one" : "two"), at); at++) {
        snap_expect_state(&rig, VIR_DOMAIN_RUNNING);
        snap_expect(&rig, "vda", at % 2 ? 1 : 2);
        snap_expect_current(&rig, at % 2 ? "one" : "two");
        snap_write(&rig, "vda", 7);
    }
}

/* The worker dies after the effect of libvirt's own revert, to a snapshot that was the current one already: check, note_state, revert. */
static struct job *die_in_native_revert(struct outcome *out)
{
    struct job *job = revert("ram");

    snap_write(&rig, "vda", 2);
    rig.die_at = 3;
    snap_run(&rig, job, out);
    rig.die_at = 0;
    assert_int_equal(out->kind, OUTCOME_LEFT);
    assert_int_equal(rig.states[1], STEP_DONE);
    assert_int_equal(rig.states[2], STEP_INTENT);
    snap_expect(&rig, "vda", 1);
    return job;
}

static void a_guest_that_a_person_used_is_not_reverted_again(void **state)
{
    struct job *job = create("ram");

    (void)state;
    rig_power(&rig.host, true);
    snap_write(&rig, "vda", 1);
    snap_create_params(job)->memory = MEMORY_YES;
    snap_ok(&rig, job, NULL);
    for (int person = 0; person < 3; person++) {
        struct outcome out = {0};

        job = die_in_native_revert(&out);
        if (person > 0) {
            rig_power(&rig.host, false);
            rig_power(&rig.host, true);
            snap_write(&rig, "vda", 5);
        }
        if (person == 2)
            rig_power(&rig.host, false);
        snap_recover(&rig, job, &out);
        assert_int_equal(out.kind, OUTCOME_ENDED);
        assert_int_equal(out.state, person ? STATE_PARKED : STATE_SUCCEEDED);
        if (person == 2)
            rig_power(&rig.host, true);
        snap_expect(&rig, "vda", person ? 5 : 1);
        outcome_clear(&out);
        job_free(job);
    }
}

/* Each keeps what is now the disk, for a day; then time passes. */
static void what_is_kept_goes_when_its_time_is_over_and_nobody_uses_it(void **state)
{
    static const char stranger[] = "00000000-0000-4000-8000-000000000001";
    const struct backend_config *config = rig.backend->config;
    struct outcome out = {0};
    struct job *job;
    struct err err = {0};
    int64_t until;

    (void)state;
    rig_power(&rig.host, true);
    snap_ok(&rig, create("one"), NULL);
    job = revert("one");
    CLEANUP(freep) char *id = strdup(job->job_id);
    snap_ok(&rig, job, &out);
    CLEANUP(freep) char *kept = strdup(facts_get(&out.report.result->facts, "kept.vda"));
    assert_true(facts_get_int(&out.report.result->facts, "kept_until", 0) > clock_real_ms() + 23 * 3600 * 1000);
    outcome_clear(&out);
    CLEANUP(freep) char *now = snap_source(&rig, "vda");
    assert_string_not_equal(kept, now);
    assert_int_equal(kept_add(config, stranger, "vda", now, &err), 0);
    assert_int_equal(kept_until(config, stranger, 0, &until, &err), 0);
    assert_int_equal(libvirt_backend_ops.tidy(rig.backend, &err), 0);
    assert_true(file_exists(kept)); /* there is time */
    assert_true(file_exists(now));  /* in use, whatever the list says */
    assert_int_equal(kept_until(config, id, 0, &until, &err), 0);
    assert_int_equal(libvirt_backend_ops.tidy(rig.backend, &err), 0);
    assert_false(file_exists(kept));
    assert_true(file_exists(now));
    assert_int_equal(kept_until(config, id, KEPT_FOR_EVER, &until, &err), 0); /* its entry is gone, too */
    assert_int_equal(kept_remove(config, stranger, "vda", &err), 0);
    snap_write(&rig, "vda", 4);
    snap_ok(&rig, revert("one"), NULL);
}

static void a_worker_may_die_in_create_and_delete(void **state)
{
    bool creating = true, deleting = true;

    (void)state;
    rig_power(&rig.host, true);
    for (int at = 1; creating || deleting; at++) {
        snap_write(&rig, "vda", at);
        creating = dies_at(create("one"), at);
        assert_int_equal(snap_count(&rig), 1);
        snap_write(&rig, "vda", at + 100);
        deleting = dies_at(del("one"), at);
        assert_int_equal(snap_count(&rig), 0);
        assert_int_equal(snap_files(&rig), 3);
        snap_expect(&rig, "vda", at + 100);
    }
}

static void a_cancelled_create_leaves_nothing(void **state)
{
    struct outcome out = {0};
    struct job *job = create("one");

    (void)state;
    rig_power(&rig.host, true);
    snap_write(&rig, "vda", 1);
    rig.die_at = 1;
    snap_run(&rig, job, &out); /* made, and not written down */
    assert_int_equal(out.kind, OUTCOME_LEFT);
    snap_write(&rig, "vda", 2);
    rig.cancelled = true;
    const struct step_type *type = backend_step(&libvirt_backend_ops, "snapshot");
    struct journaled_plan plan = {0};
    struct err err = {0};
    assert_int_equal(plan_from_json(rig.plan, &libvirt_backend_ops, &plan.plan, &err), 0);
    struct facts none = {0};
    struct step_run run = {rig.backend, job, &none, NULL};
    if (type->undo(&run, &plan.plan.steps[0], &none, &err) < 0 || type->undo(&run, &plan.plan.steps[0], &none, &err) < 0)
        fail_msg("%s", err.text);
    journaled_plan_clear(&plan);
    outcome_clear(&out);
    job_free(job);
    assert_int_equal(snap_count(&rig), 0);
    assert_int_equal(snap_files(&rig), 3);
    snap_expect(&rig, "vda", 2);
}

static void a_dry_run_does_nothing(void **state)
{
    struct outcome out = {0};
    struct job *job;

    (void)state;
    tree_of_two();
    job = revert("one");
    job->dry_run = true;
    snap_ok(&rig, job, &out);
    assert_true(out.report.result->steps.count >= 6);
    for (size_t i = 0; getenv("RIG_VERBOSE") && i < out.report.result->steps.count; i++)
        fprintf(stderr, "%s: %.300s\n", list_at(&out.report.result->steps, struct plan_step, i)->name,
                list_at(&out.report.result->steps, struct plan_step, i)->command);
    for (size_t i = 0; getenv("RIG_VERBOSE") && i < out.report.result->lost.count; i++)
        fprintf(stderr, "lost: %s\n", out.report.result->lost.items[i]);
    outcome_clear(&out);
    snap_expect(&rig, "vda", 3);
    snap_expect_current(&rig, "two");
}

/* ---- a guest with an agent ---- */

static int begin_real(void **state)
{
    (void)state;
    snap_start_real(&rig);
    return 0;
}

static bool frozen(void)
{
    long long seconds;
    unsigned nanoseconds;

    return virDomainGetTime(rig.host.domain, &seconds, &nanoseconds, 0) <
           0; /* an agent that has frozen refuses all but a few commands */
}

static void a_quiesced_snapshot(void **state)
{
    struct outcome out = {0};
    struct job *job = create("quiet");

    (void)state;
    snap_create_params(job)->quiesce = QUIESCE_REQUIRE;
    snap_ok(&rig, job, &out);
    assert_string_equal(facts_get(&out.report.result->facts, "level"), "filesystem");
    assert_true(facts_get_int(&out.report.result->facts, "frozen_ms", -1) > 0);
    assert_true(facts_get_int(&out.report.result->facts, "frozen", -1) > 0);
    if (getenv("RIG_VERBOSE"))
        fprintf(stderr, "frozen %s ms\n", facts_get(&out.report.result->facts, "frozen_ms"));
    outcome_clear(&out);
    assert_false(frozen());
    snap_ok(&rig, revert("quiet"), NULL);
    snap_expect_state(&rig, VIR_DOMAIN_RUNNING);
}

static void a_worker_dies_with_a_quiesced_snapshot(void **state)
{
    struct job *job = create("quiet");

    (void)state;
    snap_create_params(job)->quiesce = QUIESCE_REQUIRE;
    assert_true(dies_at(job, 1));
    assert_false(frozen());
    assert_int_equal(snap_count(&rig), 1);
}

static void nobody_stays_frozen(void **state)
{
    struct facts known = {0};
    struct job *job = create("never");
    struct step step = {.type = &step_freeze, .class = STEP_ADDS};
    struct step_run run = {rig.backend, job, &known, NULL};
    int64_t until = clock_monotonic_ms() + 5000;
    struct err err = {0};

    (void)state;
    rig.host.config.frozen_limit_ms = 300;
    facts_set(&step.args, "quiesce", "require", &err);
    if (step_freeze.execute(&run, &step, &known, &err) < 0)
        fail_msg("%s", err.text);
    assert_true(frozen());
    while (frozen() && clock_monotonic_ms() < until)
        ;
    assert_false(frozen());
    assert_int_equal(step_thaw.execute(&run, &step, &known, &err), 0);
    assert_string_equal(facts_get(&known, "thawed_early"), "1");
    rig.host.config.frozen_limit_ms = 5000;
    facts_clear(&known);
    facts_clear(&step.args);
    job_free(job);
}

static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    close(fd);
    return ntohs(address.sin_port);
}

/* A backup of someone else, which lasts until it is aborted. */
static void begin_foreign_backup(void)
{
    char xml[512];

    snprintf(xml, sizeof xml,
             "<domainbackup mode='pull'><server transport='tcp' name='127.0.0.1' port='%d'/><disks><disk name='vda'>"
             "<scratch file='%s/disks/scratch'/></disk></disks></domainbackup>",
             free_port(), rig.host.root);
    if (virDomainBackupBegin(rig.host.domain, xml, NULL, 0) < 0)
        fail_msg("%s", virGetLastErrorMessage());
}

/* The call after the freeze would wait for libvirt's place for a job, half a minute with a frozen guest. */
static void nothing_freezes_while_a_job_runs(void **state)
{
    struct facts known = {0};
    struct job *job = create("never");
    struct step step = {.type = &step_freeze, .class = STEP_ADDS};
    struct step_run run = {rig.backend, job, &known, NULL};
    struct err err = {0};

    (void)state;
    begin_foreign_backup();
    facts_set(&step.args, "quiesce", "prefer", &err);
    assert_true(step_freeze.execute(&run, &step, &known, &err) < 0);
    assert_non_null(strstr(err.text, "foreign job: another backup runs"));
    assert_false(frozen());
    assert_int_equal(virDomainAbortJob(rig.host.domain), 0);
    facts_clear(&known);
    facts_clear(&step.args);
    job_free(job);
}

#define TEST(function)     cmocka_unit_test_setup(function, begin)
#define TEST_RAW(function) cmocka_unit_test_setup(function, begin_with_raw)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST_RAW(external_of_a_running_guest),
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
        TEST(checkpoints_end_before_a_revert),
        TEST(halt_reuse_and_no_metadata),
        TEST(metadata_comes_back),
        TEST(what_a_job_expects),
        TEST(the_inventory),
        TEST(events),
        TEST(a_cancelled_revert_changes_nothing),
        TEST(a_worker_may_die_in_a_revert),
        TEST(a_guest_that_a_person_used_is_not_reverted_again),
        TEST(what_is_kept_goes_when_its_time_is_over_and_nobody_uses_it),
        TEST_RAW(a_worker_may_die_in_create_and_delete),
        TEST_RAW(a_cancelled_create_leaves_nothing),
        TEST(a_dry_run_does_nothing),
        cmocka_unit_test_setup(a_quiesced_snapshot, begin_real),
        cmocka_unit_test_setup(a_worker_dies_with_a_quiesced_snapshot, begin_real),
        cmocka_unit_test_setup(nobody_stays_frozen, begin_real),
        cmocka_unit_test_setup(nothing_freezes_while_a_job_runs, begin_real),
    };

    if (!rig_possible()) {
        puts("skipped: needs root and QEMU");
        return 77;
    }
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, open_host, close_host);
}
