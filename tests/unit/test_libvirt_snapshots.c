/* The pure parts of the snapshot verbs: disks, labels, marks, choices, rules, the tree, definitions and image headers. */
#include "base/cleanup.h"
#include "base/err.h"
#include "worker/backends/libvirt/create_choice.h"
#include "worker/backends/libvirt/definition.h"
#include "worker/backends/libvirt/image.h"
#include "worker/backends/libvirt/inventory.h"
#include "worker/backends/libvirt/kept.h"
#include "worker/backends/libvirt/labels.h"
#include "worker/backends/libvirt/revert_evidence.h"
#include "worker/backends/libvirt/revert_rules.h"

#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static const char job_id[] = "0d9b1c1e-8c0c-5b2f-9f3f-5a3c8f3d2b11";

static const char domain_text[] =
    "<domain><name>shop-1</name>"
    "<metadata><fleetsnap:labels xmlns:fleetsnap='https://fleetsnap.dev/xmlns/labels/1'><fleetsnap:label name='app' value='shop'/>"
    "<fleetsnap:label name='' value='x'/></fleetsnap:labels></metadata>"
    "<memory unit='KiB'>4194304</memory><vcpu>2</vcpu><os><type arch='x86_64' machine='pc'>hvm</type></os><devices>"
    "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/p/shop.qcow2' index='3'/>"
    "<backingStore type='file'><source file='/p/base.img'/></backingStore><target dev='vda'/></disk>"
    "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/p/data.img'/><target dev='vdb'/></disk>"
    "<disk type='file' device='disk'><source file='/p/shared.img'/><target dev='vdc'/><shareable/></disk>"
    "<disk type='file' device='cdrom'><target dev='sda'/><readonly/></disk>"
    "<interface type='network'><mac address='52:54:00:00:00:01'/></interface>"
    "<graphics type='vnc' passwd='secret'/></devices></domain>";

static xmlDocPtr parse(const char *text)
{
    struct err err = {0};
    xmlDocPtr doc = NULL;

    if (xml_parse(text, "test", &doc, &err) < 0)
        fail_msg("%s", err.text);
    return doc;
}

static void disks_are_read(void **state)
{
    CLEANUP(xml_freep) xmlDocPtr doc = parse(domain_text);
    CLEANUP(domain_disks_clear) struct domain_disks disks = {0};
    const char *reason;

    (void)state;
    assert_int_equal(domain_disks_read(doc, &disks, NULL), 0);
    assert_int_equal(disks.count, 4);
    assert_string_equal(disks.items[0].source, "/p/shop.qcow2");
    assert_string_equal(disks.items[0].backing, "/p/base.img");
    assert_int_equal(disks.items[0].index, 3);
    assert_string_equal(domain_disk_backup(&disks.items[0], &reason), "incremental");
    assert_null(reason);
    assert_string_equal(domain_disk_backup(&disks.items[1], &reason), "full");
    assert_string_equal(domain_disk_backup(&disks.items[2], &reason), "refused");
    assert_string_equal(domain_disk_backup(&disks.items[3], &reason), "refused");
    assert_string_equal(reason, "removable medium");
}

static void labels_are_read(void **state)
{
    CLEANUP(xml_freep) xmlDocPtr doc = parse(domain_text);
    struct facts labels = {0};

    (void)state;
    assert_int_equal(labels_read(doc, &labels, NULL), 0);
    assert_int_equal(labels.count, 1);
    assert_string_equal(facts_get(&labels, "app"), "shop");
    facts_clear(&labels);
}

static void hostile_xml_is_refused(void **state)
{
    xmlDocPtr doc = NULL;
    struct err err = {0};

    (void)state;
    assert_int_equal(xml_parse("<!DOCTYPE d [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><d>&x;</d>", "x", &doc, &err), -1);
    assert_int_equal(err.kind, ERR_PERMANENT);
    assert_int_equal(xml_parse("<a><b></a>", "x", &doc, &err), -1);
    assert_non_null(strstr(err.text, "line 1"));
}

static void marks(void **state)
{
    char job[UUID_TEXT], level[MARK_LEVEL];
    CLEANUP(freep) char *marked = mark_add("before [the] deploy", job_id, "memory");
    CLEANUP(freep) char *plain = mark_strip(marked);
    CLEANUP(freep) char *bare = mark_add(NULL, job_id, "");

    (void)state;
    assert_true(mark_read(marked, job, level));
    assert_string_equal(job, job_id);
    assert_string_equal(level, "memory");
    assert_string_equal(plain, "before [the] deploy");
    assert_true(mark_read(bare, job, level));
    assert_string_equal(level, "");
    assert_null(mark_strip(bare));
    assert_false(mark_read("[fleetsnap 0d9b1c1e]", job, level));
    assert_false(mark_read("[fleetsnap 0d9b1c1e-8c0c-5b2f-9f3f-5a3c8f3d2b11] and more", job, level));
    assert_false(mark_read(NULL, job, level));
    assert_true(checkpoint_owner("fs-0d9b1c1e-8c0c-5b2f-9f3f-5a3c8f3d2b11", NULL, job));
    assert_false(checkpoint_owner("virtnbdbackup.0", NULL, job));
}

static void the_mark_of_a_checkpoint_names_its_repository(void **state)
{
    static const char repository_id[] = "77a00000-0000-4000-8000-000000000001";
    char job[UUID_TEXT], repository[UUID_TEXT], level[MARK_LEVEL];
    CLEANUP(freep) char *marked = mark_add_backup("nightly", job_id, repository_id);
    CLEANUP(freep) char *snapshot = mark_add("nightly", job_id, "memory");

    (void)state;
    assert_true(mark_read_backup(marked, job, repository));
    assert_string_equal(job, job_id);
    assert_string_equal(repository, repository_id);
    assert_true(mark_read(marked, job, level)); /* for those who know of no repository */
    assert_string_equal(level, "backup");
    assert_false(mark_read_backup(snapshot, job, repository));
    assert_false(mark_read_backup(NULL, job, repository));
}

static void overlay_names_do_not_grow(void **state)
{
    CLEANUP(freep) char *first = overlay_name("/p/shop.qcow2", "vda", job_id);
    CLEANUP(freep) char *second = overlay_name(first, "vda", "11111111-2222-5b2f-9f3f-5a3c8f3d2b11");
    CLEANUP(freep) char *hidden = overlay_name("/p.d/.disk", "vda", job_id);

    (void)state;
    assert_string_equal(first, "/p/shop.vda.fs-0d9b1c1e-8c0c.qcow2");
    assert_string_equal(second, "/p/shop.vda.fs-11111111-2222.qcow2");
    assert_string_equal(hidden, "/p.d/.disk.vda.fs-0d9b1c1e-8c0c.qcow2");
}

/* ---- create ---- */

static struct params_snapshot_create params;
static struct create_scene scene;
static struct domain_disks disks;

static int choose(struct create_choice *choice, struct err *err)
{
    *choice = (struct create_choice){0};
    return create_choose(&params, &scene, choice, err);
}

static int begin_create(void **state)
{
    CLEANUP(xml_freep) xmlDocPtr doc = parse(domain_text);

    (void)state;
    params = (struct params_snapshot_create){.atomic = true};
    disks = (struct domain_disks){0};
    scene = (struct create_scene){.domain = "shop-1",
                                  .job_id = job_id,
                                  .state = VIR_DOMAIN_RUNNING,
                                  .persistent = true,
                                  .version = 9000000,
                                  .disks = &disks};
    return domain_disks_read(doc, &disks, NULL);
}

static int end_create(void **state)
{
    (void)state;
    domain_disks_clear(&disks);
    return 0;
}

static void auto_of_a_running_guest(void **state)
{
    struct create_choice choice;
    struct err err = {0};
    CLEANUP(freep) char *xml = NULL;

    (void)state;
    assert_int_equal(choose(&choice, &err), 0);
    assert_false(choice.internal);
    assert_string_equal(choice.level, "crash");
    assert_int_equal(choice.flags, VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY | VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC);
    assert_int_equal(create_xml(&params, "a & b", &choice, &xml, &err), 0);
    assert_non_null(strstr(xml, "<name>a &amp; b</name>"));
    assert_non_null(strstr(xml, "/p/data.vdb.fs-0d9b1c1e-8c0c.qcow2"));
    assert_non_null(strstr(xml, "<disk name=\"vdc\" snapshot=\"no\"/>"));
    create_choice_clear(&choice);
}

static void auto_of_a_guest_that_is_off(void **state)
{
    struct create_choice choice;
    struct err err = {0};

    (void)state;
    scene.state = VIR_DOMAIN_SHUTOFF;
    assert_int_equal(choose(&choice, &err), 0);
    assert_false(choice.internal); /* vdb is raw */
    assert_non_null(strstr(choice.reason, "disk vdb is raw"));
    create_choice_clear(&choice);
    free(disks.items[1].format);
    disks.items[1].format = strdup("qcow2");
    assert_int_equal(choose(&choice, &err), 0);
    assert_true(choice.internal);
    assert_string_equal(choice.level, "off");
    create_choice_clear(&choice);
    scene.pflash = true;
    assert_int_equal(choose(&choice, &err), 0);
    assert_false(choice.internal);
    create_choice_clear(&choice);
    scene.version = 10010000;
    assert_int_equal(choose(&choice, &err), 0);
    assert_true(choice.internal);
    create_choice_clear(&choice);
}

static void memory_goes_beside_the_overlay(void **state)
{
    struct create_choice choice;
    struct err err = {0};

    (void)state;
    params.memory = MEMORY_YES;
    params.live = true;
    assert_int_equal(choose(&choice, &err), 0);
    assert_string_equal(choice.memory_file, "/p/shop-1.fs-0d9b1c1e-8c0c.mem");
    assert_string_equal(choice.level, "memory");
    assert_int_equal(choice.flags, VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC | VIR_DOMAIN_SNAPSHOT_CREATE_LIVE);
    create_choice_clear(&choice);
}

static void expect_refused(int result, const struct err *err, const char *text)
{
    assert_int_equal(result, -1);
    assert_int_equal(err->kind, ERR_PERMANENT);
    if (!strstr(err->text, text))
        fail_msg("\"%s\" is not in \"%s\"", text, err->text);
}

static void contradictions(void **state)
{
    struct err err = {0};

    (void)state;
    params = (struct params_snapshot_create){.disk_only = true, .memory = MEMORY_YES};
    expect_refused(create_check_params(&params, &err), &err, "contradict");
    params = (struct params_snapshot_create){.memory = MEMORY_YES, .quiesce = QUIESCE_REQUIRE};
    expect_refused(create_check_params(&params, &err), &err, "come back frozen");
    params = (struct params_snapshot_create){.redefine = (char *)(uintptr_t) "<x/>", .no_metadata = true};
    expect_refused(create_check_params(&params, &err), &err, "redefine with no_metadata");
    params = (struct params_snapshot_create){.reuse_external = true};
    expect_refused(create_check_params(&params, &err), &err, "needs the files");
    params = (struct params_snapshot_create){.kind = SNAPSHOT_INTERNAL, .no_metadata = true};
    expect_refused(create_check_params(&params, &err), &err, "no_metadata");
    params = (struct params_snapshot_create){.atomic = true};
    assert_int_equal(create_check_params(&params, &err), 0);
}

static void contradictions_with_the_guest(void **state)
{
    struct create_choice choice;
    struct err err = {0};

    (void)state;
    params.halt = true;
    scene.persistent = false;
    expect_refused(choose(&choice, &err), &err, "halt of a transient domain");
    create_choice_clear(&choice);
    params = (struct params_snapshot_create){.kind = SNAPSHOT_INTERNAL};
    expect_refused(choose(&choice, &err), &err, "only qcow2");
    create_choice_clear(&choice);
    params = (struct params_snapshot_create){.memory = MEMORY_YES};
    scene.state = VIR_DOMAIN_SHUTOFF;
    expect_refused(choose(&choice, &err), &err, "memory of a guest that is off");
    create_choice_clear(&choice);
}

/* ---- the tree and the rules of revert ---- */

static void add(struct list *list, const char *name, const char *parent, bool current)
{
    struct snapshot_info *info = list_add(list, &snapshot_info_record, NULL);

    info->name = strdup(name);
    info->parent = parent ? strdup(parent) : NULL;
    info->state = strdup("disk-only");
    info->location = strdup("external");
    info->current = current;
}

static struct list make_tree(void)
{
    struct list tree = {0};

    add(&tree, "root", NULL, false);
    add(&tree, "left", "root", false);
    add(&tree, "right", "root", false);
    add(&tree, "leaf", "right", true);
    return tree;
}

static void the_tree(void **state)
{
    CLEANUP(snapshots_endp) struct list tree = make_tree();
    CLEANUP(strings_endp) struct strings names = {0};

    (void)state;
    assert_true(snapshots_below(&tree, "leaf", "root"));
    assert_false(snapshots_below(&tree, "leaf", "left"));
    assert_false(snapshots_below(&tree, "root", "root"));
    assert_string_equal(snapshots_current(&tree)->name, "leaf");
    assert_int_equal(snapshots_subtree(&tree, "right", true, &names, NULL), 0);
    assert_int_equal(names.count, 2);
    assert_string_equal(names.items[0], "leaf");
    assert_string_equal(names.items[1], "right");
}

static void force_and_loss(void **state)
{
    CLEANUP(snapshots_endp) struct list tree = make_tree();
    struct params_snapshot_revert revert = {.name = (char *)(uintptr_t) "root"};
    struct list checkpoints = {0};
    CLEANUP(strings_endp) struct strings differences = {0};
    struct revert_scene look = {.domain = "shop-1",
                                .params = &revert,
                                .snapshot = snapshots_find(&tree, "root"),
                                .snapshots = &tree,
                                .checkpoints = &checkpoints,
                                .differences = &differences,
                                .active = true,
                                .persistent = true,
                                .has_definition = true,
                                .by_hand = true,
                                .now_ms = 90 * 60000};
    struct plan plan = {0};
    struct err err = {0};

    (void)state;
    assert_int_equal(revert_check(&look, &err), 0);
    strings_add(&differences, "memory 4 GiB → 8 GiB", NULL);
    expect_refused(revert_check(&look, &err), &err, "hardware differs (memory 4 GiB → 8 GiB)");
    assert_non_null(strstr(err.hint, "--force if-needed"));
    revert.force = FORCE_IF_NEEDED;
    assert_int_equal(revert_check(&look, &err), 0);
    look.persistent = false;
    expect_refused(revert_check(&look, &err), &err, "transient");
    look.persistent = true;
    assert_int_equal(revert_lost(&look, &plan, &err), 0);
    assert_int_equal(plan.lost.count, 4);
    assert_string_equal(plan.lost.items[1], "the memory of the running guest");
    assert_string_equal(plan.lost.items[3], "2 snapshots become a side branch (leaf, right)");
    plan_clear(&plan);
    look.has_definition = false;
    revert.force = FORCE_NEVER;
    expect_refused(revert_check(&look, &err), &err, "lacks the domain's definition");
}

static void foreign_checkpoints_are_named(void **state)
{
    CLEANUP(snapshots_endp) struct list tree = make_tree();
    struct params_snapshot_revert revert = {.name = (char *)(uintptr_t) "root"};
    CLEANUP(checkpoints_endp) struct list checkpoints = {0};
    struct strings none = {0};
    struct revert_scene look = {.domain = "shop-1",
                                .params = &revert,
                                .snapshot = snapshots_find(&tree, "root"),
                                .snapshots = &tree,
                                .checkpoints = &checkpoints,
                                .differences = &none,
                                .persistent = true,
                                .has_definition = true};
    struct inventory_checkpoint *theirs = list_add(&checkpoints, &inventory_checkpoint_record, NULL);
    struct err err = {0};

    (void)state;
    theirs->name = strdup("virtnbdbackup.0");
    expect_refused(revert_check(&look, &err), &err, "virtnbdbackup.0, made by others");
    strings_add(&revert.drop_checkpoint, "virtnbdbackup.0", NULL);
    assert_int_equal(revert_check(&look, &err), 0);
    strings_clear(&revert.drop_checkpoint);
}

/* ---- definitions ---- */

static void digests_ignore_disks_and_labels(void **state)
{
    CLEANUP(xml_freep) xmlDocPtr one = parse(domain_text);
    CLEANUP(xml_freep) xmlDocPtr two = parse(domain_text);
    char before[65], after[65];

    (void)state;
    assert_int_equal(definition_digest(one, before, NULL), 0);
    definition_cut_backing(xmlDocGetRootElement(two));
    assert_int_equal(definition_set_disk(xmlDocGetRootElement(two), "vda", "/p/new.qcow2", "qcow2", NULL), 0);
    xml_remove_all(xmlDocGetRootElement(two), "metadata/*");
    assert_int_equal(definition_digest(two, after, NULL), 0);
    assert_string_equal(before, after);
    xmlNodeSetContent(xml_find(xmlDocGetRootElement(two), "vcpu"), BAD_CAST "4");
    assert_int_equal(definition_digest(two, after, NULL), 0);
    assert_string_not_equal(before, after);
}

static void differences_are_said(void **state)
{
    CLEANUP(xml_freep) xmlDocPtr one = parse(domain_text);
    CLEANUP(xml_freep) xmlDocPtr two = parse(domain_text);
    CLEANUP(strings_endp) struct strings said = {0};

    (void)state;
    xmlNodeSetContent(xml_find(xmlDocGetRootElement(two), "memory"), BAD_CAST "8388608");
    xml_remove_all(xmlDocGetRootElement(two), "devices/disk[target/@dev='vdb']");
    assert_int_equal(definition_differences(xmlDocGetRootElement(one), xmlDocGetRootElement(two), &said, NULL), 0);
    assert_int_equal(said.count, 2);
    assert_string_equal(said.items[0], "memory 4 GiB → 8 GiB");
    assert_string_equal(said.items[1], "disk vdb is gone");
}

/* What a dry run shows travels: secrets must not be in it, neither of a domain nor of a snapshot that holds one. */
static void secrets_are_not_shown(void **state)
{
    static const char *const xml =
        "<domainsnapshot><name>s</name><domain><devices><graphics type='vnc' passwd='hunter2' passwdValidTo='2026-01-01T00:00:00'/>"
        "<disk><source protocol='https'><cookies><cookie name='a'>hunter3</cookie></cookies></source></disk></devices></domain></domainsnapshot>";
    char *shown = NULL;
    struct err err = {0};

    (void)state;
    assert_int_equal(definition_without_secrets(xml, &shown, &err), 0);
    assert_non_null(strstr(shown, "<graphics type=\"vnc\"/>"));
    assert_null(strstr(shown, "hunter"));
    free(shown);
}

static void edits_of_definitions(void **state)
{
    CLEANUP(xml_freep) xmlDocPtr doc = parse(domain_text);
    CLEANUP(freep) char *text = NULL;
    CLEANUP(freep) char *format = NULL;
    struct err err = {0};

    (void)state;
    assert_int_equal(definition_replace_source(xmlDocGetRootElement(doc), "/p/data.img", "/p/other.img", "qcow2"), 1);
    format = xml_get(doc, "/domain/devices/disk[source/@file='/p/other.img']/driver/@type");
    assert_string_equal(format, "qcow2");
    assert_int_equal(definition_set_disk(xmlDocGetRootElement(doc), "vdz", "/x", "qcow2", &err), -1);
    assert_int_equal(definition_without_secrets(domain_text, &text, &err), 0);
    assert_null(strstr(text, "secret"));
}

/* ---- files ---- */

static void write_image(const char *path, const char *backing)
{
    unsigned char header[1024] = {'Q', 'F', 'I', 0xfb, 0, 0, 0, 3};
    uint64_t offset = htobe64(512);
    uint32_t len = htobe32((uint32_t)strlen(backing));
    FILE *file = fopen(path, "w");

    if (*backing) {
        memcpy(header + 8, &offset, 8);
        memcpy(header + 16, &len, 4);
        memcpy(header + 512, backing, strlen(backing));
    }
    assert_non_null(file);
    assert_int_equal(fwrite(header, sizeof header, 1, file), 1);
    fclose(file);
}

static void chains_and_kept_files(void **state)
{
    char folder[] = "/tmp/fs-unit-XXXXXX", base[64], top[64];
    CLEANUP(strings_endp) struct strings chain = {0}, over = {0};
    struct backend_config config = {.state_directory = folder};
    struct err err = {0};
    bool there;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(base, sizeof base, "%s/base.qcow2", folder);
    snprintf(top, sizeof top, "%s/top.qcow2", folder);
    write_image(base, "");
    write_image(top, "base.qcow2"); /* relative to the image */
    assert_int_equal(image_chain(top, &chain, &err), 0);
    assert_int_equal(chain.count, 2);
    assert_string_equal(chain.items[1], base);
    assert_int_equal(image_has_snapshot(top, "x", &there, &err), 0);
    assert_false(there);
    write_image(base, "top.qcow2"); /* a ring */
    strings_clear(&chain);
    assert_int_equal(image_chain(top, &chain, &err), -1);
    write_image(base, "");
    assert_false(kept_now(&config, base, NULL));
    assert_int_equal(kept_add(&config, job_id, "vda", top, &err), 0);
    assert_true(kept_now(&config, base, NULL)); /* what it stands on, too */
    int64_t until;
    assert_int_equal(kept_until(&config, job_id, 0, &until, &err), 0);
    assert_false(kept_now(&config, top, NULL));
    assert_int_equal(kept_over(&config, &over, &err), 0);
    assert_int_equal(over.count, 1);
    assert_int_equal(kept_forget(&config, top, &err), 0);
    unlink(base);
    unlink(top);
    snprintf(base, sizeof base, "%s/kept", folder);
    rmdir(base);
    rmdir(folder);
}

#define CREATE(function) cmocka_unit_test_setup_teardown(function, begin_create, end_create)

/* Right before the revert: { number, current } in boot "b". After the worker's death: what is there. */
static void only_a_proven_revert_is_done(void **state)
{
    enum { OFF = -1, UP = 4 };
    static const struct {
        const char *what;
        int64_t id_before, written_before;
        bool current_before;
        int64_t id;
        int state, reason;
        int64_t written;
        bool current;
        const char *boot;
        enum settled expect;
    } rows[] = {
        {"it became current: done", UP, 0, false, 5, VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_FROM_SNAPSHOT, 0, true, "b",
         SETTLED_DONE},
        {"and a person restarted the guest since", UP, 0, false, 6, VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_BOOTED, 0,
         true, "b", SETTLED_DONE},
        {"and stopped it", UP, 0, false, OFF, VIR_DOMAIN_SHUTOFF, VIR_DOMAIN_SHUTOFF_SHUTDOWN, 9, true, "b",
         SETTLED_DONE},
        {"the guest of before runs", UP, 0, true, UP, VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_BOOTED, 0, true, "b",
         SETTLED_NOT_DONE},
        {"the same number after a boot of the host", UP, 0, true, UP, VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_BOOTED, 0,
         true, "c", SETTLED_UNKNOWN},
        {"it was current: a restarted guest", UP, 0, true, 5, VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_BOOTED, 0, true,
         "b", SETTLED_UNKNOWN},
        {"it was current: from snapshot", UP, 0, true, 5, VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_FROM_SNAPSHOT, 0, true,
         "b", SETTLED_DONE},
        {"from snapshot, but another is current", UP, 0, true, 5, VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_FROM_SNAPSHOT,
         0, false, "b", SETTLED_UNKNOWN},
        {"not current, and a person runs it", UP, 0, false, 5, VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_BOOTED, 0, false,
         "b", SETTLED_UNKNOWN},
        {"half done: off, and not current", UP, 0, false, OFF, VIR_DOMAIN_SHUTOFF, VIR_DOMAIN_SHUTOFF_UNKNOWN, 9, false,
         "b", SETTLED_NOT_DONE},
        {"half done: stopped by the revert", UP, 0, true, OFF, VIR_DOMAIN_SHUTOFF, VIR_DOMAIN_SHUTOFF_FAILED, 9, true,
         "b", SETTLED_NOT_DONE},
        {"it was current, and it is off: a person?", UP, 0, true, OFF, VIR_DOMAIN_SHUTOFF, VIR_DOMAIN_SHUTOFF_DESTROYED,
         9, true, "b", SETTLED_UNKNOWN},
        {"off before and now, nothing written", OFF, 7, true, OFF, VIR_DOMAIN_SHUTOFF, VIR_DOMAIN_SHUTOFF_UNKNOWN, 7,
         true, "b", SETTLED_NOT_DONE},
        {"off before and now, written", OFF, 7, true, OFF, VIR_DOMAIN_SHUTOFF, VIR_DOMAIN_SHUTOFF_SHUTDOWN, 8, true,
         "b", SETTLED_UNKNOWN},
        {"off, and when it was written is not known", OFF, 0, true, OFF, VIR_DOMAIN_SHUTOFF,
         VIR_DOMAIN_SHUTOFF_SHUTDOWN, 0, true, "b", SETTLED_UNKNOWN},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct revert_evidence before = {
            .id = rows[i].id_before, .current = rows[i].current_before, .written = rows[i].written_before, .boot = "b"};
        struct revert_evidence now = {rows[i].id, rows[i].state, rows[i].reason, rows[i].current, rows[i].written, ""};
        struct revert_evidence again;
        struct facts facts = {0};
        struct err err = {0};

        assert_false(revert_evidence_recall(&facts, &again));
        assert_int_equal(revert_evidence_learn(&before, &facts, &err), 0);
        assert_true(revert_evidence_recall(&facts, &again));
        facts_clear(&facts);
        snprintf(now.boot, sizeof now.boot, "%s", rows[i].boot);
        if (revert_settled(&again, &now) != rows[i].expect)
            fail_msg("%s: %d", rows[i].what, (int)revert_settled(&again, &now));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(disks_are_read),
        cmocka_unit_test(labels_are_read),
        cmocka_unit_test(hostile_xml_is_refused),
        cmocka_unit_test(marks),
        cmocka_unit_test(the_mark_of_a_checkpoint_names_its_repository),
        cmocka_unit_test(overlay_names_do_not_grow),
        CREATE(auto_of_a_running_guest),
        CREATE(auto_of_a_guest_that_is_off),
        CREATE(memory_goes_beside_the_overlay),
        cmocka_unit_test(contradictions),
        CREATE(contradictions_with_the_guest),
        cmocka_unit_test(the_tree),
        cmocka_unit_test(force_and_loss),
        cmocka_unit_test(foreign_checkpoints_are_named),
        cmocka_unit_test(digests_ignore_disks_and_labels),
        cmocka_unit_test(differences_are_said),
        cmocka_unit_test(edits_of_definitions),
        cmocka_unit_test(secrets_are_not_shown),
        cmocka_unit_test(chains_and_kept_files),
        cmocka_unit_test(only_a_proven_revert_is_done),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
