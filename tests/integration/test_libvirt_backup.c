/* The backup verbs on real QEMU, through the real runner: what is restored is compared bit by bit with the disk as it was. */
#include "support/backup_rig.h"

#include "base/err.h"
#include "base/file.h"
#include "base/text.h"
#include "base/uuid.h"
#include "worker/backends/libvirt/backup_threshold.h"

#include <jansson.h>
#include <libvirt/libvirt-qemu.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE = 20 }; /* pushes made until one is still at work when it is looked at */

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

static struct params_backup_restore *wishes(struct job *job)
{
    return job->params;
}

static void refused_mapping(struct facts *(*map)(struct job *), const char *old, const char *new, const char *why)
{
    struct job *job = restore_job(last_point, "web-1 mapped");
    char folder[PATH_MAX];

    facts_set(map(job), old, new, NULL);
    rig_refused(&rig, job, why);
    assert_false(file_exists(restored_file("web-1 mapped", "", folder)));
}

static struct facts *networks(struct job *job)
{
    return &wishes(job)->map_network;
}

static struct facts *machines(struct job *job)
{
    return &wishes(job)->map_machine;
}

static struct facts *pools(struct job *job)
{
    return &wishes(job)->map_pool;
}

static struct facts *files(struct job *job)
{
    return &wishes(job)->disk_files;
}

static void machine_of(virDomainPtr domain, char out[64])
{
    char *xml = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE);
    const char *at = strstr(xml, "machine='");

    assert_non_null(at);
    snprintf(out, 64, "%.*s", (int)strcspn(at + 9, "'"), at + 9);
    free(xml);
}

static void test_what_cannot_be_mapped_is_refused_before_anything_is_touched(void **state)
{
    char machine[64], there[PATH_MAX];

    (void)state;
    machine_of(rig.domain, machine);
    refused_mapping(networks, "lan", "lab", "no network lan to map");
    refused_mapping(machines, "vax", machine, "no machine type vax to map");
    refused_mapping(machines, machine, "vax", "machine type vax");
    refused_mapping(pools, "fast", "/", "was in pool fast");
    snprintf(there, sizeof there, "%s/disks", rig.root);
    refused_mapping(pools, there, "/", "in none of this worker's pools");
    refused_mapping(pools, there, "fast", "pool fast");
    refused_mapping(files, "vdz", there, "none of those that are restored");
    refused_mapping(files, "vda", rig_disk(&rig, "vda.img", there), "in none of this worker's pools");
    snprintf(there, sizeof there, "%s/pool/none/vda.img", rig.root);
    refused_mapping(files, "vda", there, "there is no directory");
    assert_int_equal(fclose(fopen(restored_file(".", "taken", there), "w")), 0);
    refused_mapping(files, "vda", there, "exists already");
    assert_int_equal(remove(there), 0);
}

/* One disk to a file of its own, the others' pool to another. */
static void test_restore_to_the_places_that_are_asked_for(void **state)
{
    struct job *job = restore_job(last_point, "web-1 placed");
    char machine[64], place[PATH_MAX], own[PATH_MAX], live[PATH_MAX], moved[PATH_MAX + 32];
    virDomainPtr domain;

    (void)state;
    machine_of(rig.domain, machine);
    restored_file("elsewhere", "", place);
    assert_int_equal(mkdir(place, 0755), 0);
    snprintf(live, sizeof live, "%s/disks/", rig.root);
    facts_set(pools(job), live, place, NULL);
    facts_set(files(job), "vda", restored_file(".", "own.img", own), NULL);
    facts_set(machines(job), machine, "pc-i440fx-7.1", NULL);
    rig_succeed(&rig, job, NULL);
    assert_true(rig_same(rig_disk(&rig, "vda.img", live), "qcow2", own, "qcow2"));
    snprintf(moved, sizeof moved, "%s/web-1 placed-vdc.raw", place);
    assert_true(rig_same(rig_disk(&rig, "vdc.img", live), "raw", moved, "raw"));
    domain = virDomainLookupByName(rig.connection, "web-1 placed");
    assert_non_null(domain);
    machine_of(domain, machine);
    assert_string_equal(machine, "pc-i440fx-7.1");
    assert_int_equal(virDomainCreate(domain), 0); /* from there */
    virDomainDestroy(domain);
    virDomainUndefine(domain);
    virDomainFree(domain);
}

static void test_restore_with_a_given_definition(void **state)
{
    struct job *job = restore_job(last_point, "web-1 given");
    virDomainPtr domain;
    virDomainInfo info;
    char uuid[VIR_UUID_STRING_BUFLEN], wanted[VIR_UUID_STRING_BUFLEN];

    (void)state;
    snprintf(wanted, sizeof wanted, "%s", job->target.id);
    strings_add(&wishes(job)->disks, "vda", NULL);
    string_set(&wishes(job)->xml,
               "<domain type='qemu'>\n<name>any</name>\n<memory unit='MiB'>48</memory>\n"
               "<os><type arch='x86_64' machine='pc'>hvm</type></os>\n<devices>\n"
               "<disk type='file' device='disk'><target dev='vda' bus='virtio'/></disk>\n</devices>\n</domain>",
               NULL);
    rig_succeed(&rig, job, NULL);
    domain = virDomainLookupByName(rig.connection, "web-1 given");
    assert_non_null(domain);
    assert_int_equal(virDomainGetInfo(domain, &info), 0);
    assert_int_equal(info.maxMem, 48 * 1024);
    assert_int_equal(virDomainGetUUIDString(domain, uuid), 0);
    assert_string_equal(uuid, wanted);
    virDomainUndefine(domain);
    virDomainFree(domain);

    job = restore_job(last_point, "web-1 wrong");
    strings_add(&wishes(job)->disks, "vda", NULL);
    string_set(&wishes(job)->xml,
               "<domain type='qemu'>\n<memory unit='MiB'>48</memory>\n"
               "<os><type arch='x86_64' machine='pc'>hvm</type></os>\n<devices>\n"
               "<disk type='file' device='disk'><target dev='vda' bus='none'/></disk>\n</devices>\n</domain>",
               NULL);
    rig_refused(&rig, job, "does not take the given definition");
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
    assert_false(
        rig_same(rig_disk(&rig, "vda.img", live), "qcow2", restored_file("web-1 copy", "vda.qcow2", copy), "qcow2"));
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

/* ---- verify ---- */

static struct job *verify_job(const char *point, int depth)
{
    struct job *job = rig_job(&rig, OP_BACKUP_VERIFY);
    struct params_backup_verify *params = job->params;

    params->point = strdup(point);
    params->depth = depth;
    return job;
}

static char *stored_file(const char *id, const char *file, char out[PATH_MAX])
{
    struct restore_point point;

    rig_manifest(&rig, id, &point);
    snprintf(out, PATH_MAX, "%s/%s/%s/%s/%s", rig.repository, rig.uuid, point.chain, id, file);
    restore_point_clear(&point);
    return out;
}

static void flip_byte(const char *path, long offset)
{
    FILE *file = fopen(path, "r+");
    int byte;

    assert_non_null(file);
    assert_int_equal(fseek(file, offset, SEEK_SET), 0);
    byte = fgetc(file);
    assert_int_equal(fseek(file, offset, SEEK_SET), 0);
    fputc(byte ^ 1, file);
    assert_int_equal(fclose(file), 0);
}

static void test_verify(void **state)
{
    struct restore_point point;
    char path[PATH_MAX], left[PATH_MAX];

    (void)state;
    rig_succeed(&rig, verify_job(last_point, VERIFY_IMAGE), NULL);
    rig_manifest(&rig, last_point, &point);
    assert_int_equal(point.revision, 2);
    assert_int_equal(point.verified.count, 1);
    assert_true(list_at(&point.verified, struct point_verification, 0)->ok);
    assert_int_equal(strlen(list_at(&point.disks, struct point_disk, 0)->sha256), 64);
    restore_point_clear(&point);
    rig_succeed(&rig, verify_job(last_point, VERIFY_CHECKSUM), NULL);
    flip_byte(stored_file(last_point, "vda.qcow2", path), 400000);
    rig_refused(&rig, verify_job(last_point, VERIFY_CHECKSUM), "damaged");
    rig_refused(&rig, restore_job(last_point, "broken"), "its checksum is not the one in the manifest");
    assert_false(file_exists(restored_file("broken", "", left))); /* what was copied while it was compared is gone */
    assert_null(virDomainLookupByName(rig.connection, "broken"));
    flip_byte(path, 400000);
    rig_manifest(&rig, last_point, &point);
    assert_int_equal(point.verified.count, 3);
    assert_false(list_at(&point.verified, struct point_verification, 2)->ok);
    restore_point_clear(&point);
    rig_succeed(&rig, verify_job(last_point, VERIFY_CHECKSUM), NULL);
}

/* ---- delete ---- */

static struct job *delete_job(const char *point, int scope, bool really_last)
{
    struct job *job = rig_job(&rig, OP_BACKUP_DELETE);
    struct params_backup_delete *params = job->params;

    params->point = strdup(point);
    params->scope = scope;
    params->really_last = really_last;
    return job;
}

static void test_delete(void **state)
{
    struct restore_point point;
    char full[37], one[37], two[37], folder[PATH_MAX];
    struct outcome out;
    int before;

    (void)state;
    back_up(BACKUP_FULL, full);
    before = rig_checkpoints(&rig);
    rig_write(&rig, "vda", 0x71, "9M", "64k");
    back_up(BACKUP_INCREMENTAL, one);
    rig_write(&rig, "vda", 0x72, "10M", "64k");
    back_up(BACKUP_DIFFERENTIAL, two);
    rig_manifest(&rig, two, &point);
    assert_string_equal(point.parent, full);
    restore_point_clear(&point);
    assert_point_equals_disk(two, "vda");
    assert_int_equal(rig_checkpoints(&rig), before + 2);
    rig_refused(&rig, delete_job(full, SCOPE_SELF, false), "2 later backups build on it");
    rig_run(&rig, delete_job(one, SCOPE_SELF, false), &out);
    assert_int_equal(out.state, STATE_SUCCEEDED);
    assert_int_equal(out.report.change_count, 1);
    assert_string_equal(out.report.changes[0].id, one);
    outcome_clear(&out);
    assert_int_equal(rig_checkpoints(&rig), before + 1);
    snprintf(folder, sizeof folder, "%s/%s/%s/%s", rig.repository, rig.uuid, full, one);
    assert_false(file_exists(folder));
    rig_succeed(&rig, delete_job(one, SCOPE_SELF, false), NULL); /* again: it is gone */
    assert_point_equals_disk(two, "vda");
    rig_succeed(&rig, delete_job(full, SCOPE_CHILDREN, false), NULL);
    assert_int_equal(rig_checkpoints(&rig), before - 1);
    snprintf(folder, sizeof folder, "%s/%s/%s", rig.repository, rig.uuid, full);
    assert_false(file_exists(folder));
}

static void add_checkpoint(const char *name, const char *description)
{
    struct text xml = {0};
    virDomainCheckpointPtr checkpoint;

    text_addf(&xml,
              "<domaincheckpoint><name>%s</name><description>%s</description><disks><disk name='vda' "
              "checkpoint='bitmap'/></disks></domaincheckpoint>",
              name, description);
    checkpoint = virDomainCheckpointCreateXML(rig.domain, text_str(&xml), 0);
    if (!checkpoint)
        fail_msg("%s", virGetLastErrorMessage());
    virDomainCheckpointFree(checkpoint);
    text_free(&xml);
}

static bool has_checkpoint(const char *name)
{
    virDomainCheckpointPtr checkpoint = virDomainCheckpointLookupByName(rig.domain, name, 0);

    if (checkpoint)
        virDomainCheckpointFree(checkpoint);
    return checkpoint != NULL;
}

static void drop_checkpoint(const char *name)
{
    virDomainCheckpointPtr checkpoint = virDomainCheckpointLookupByName(rig.domain, name, 0);

    assert_non_null(checkpoint);
    assert_int_equal(virDomainCheckpointDelete(checkpoint, 0), 0);
    virDomainCheckpointFree(checkpoint);
}

#define SOME_JOB         "5f1e0000-0000-4000-8000-00000000000"
#define OTHER_REPOSITORY "5f1e0000-0000-4000-8000-0000000000ff"

/* Deleted by a job on the repository, as where its host has no such guest: its checkpoint goes with the next backup, and no other does. */
static void test_checkpoint_of_a_backup_that_was_deleted_elsewhere(void **state)
{
    static const char *const theirs[] = {"theirs", "fs-" SOME_JOB "1", "fs-" SOME_JOB "2", "fs-" SOME_JOB "3"};
    char full[37], one[37], name[64], mark[160];
    struct restore_point point;
    struct job *job;

    (void)state;
    back_up(BACKUP_FULL, full);
    back_up(BACKUP_INCREMENTAL, one);
    job = delete_job(one, SCOPE_SELF, false);
    string_set(&job->target.kind, "repository", NULL);
    string_set(&job->target.id, rig.repository_id, NULL);
    rig_succeed(&rig, job, NULL);
    snprintf(name, sizeof name, "fs-%s", one);
    assert_true(has_checkpoint(name));
    add_checkpoint(theirs[0], "not ours");
    add_checkpoint(theirs[1], "[fleetsnap " SOME_JOB "1 backup " OTHER_REPOSITORY "]");
    add_checkpoint(theirs[2], "without a mark");
    snprintf(mark, sizeof mark, "[fleetsnap " SOME_JOB "1 backup %s]", rig.repository_id); /* another's */
    add_checkpoint(theirs[3], mark);
    back_up(BACKUP_AUTO, one);
    rig_manifest(&rig, one, &point);
    assert_string_equal(point.parent, full);
    restore_point_clear(&point);
    assert_point_equals_disk(one, "vda");
    assert_false(has_checkpoint(name));
    for (int i = 3; i >= 0; i--)
        drop_checkpoint(theirs[i]);
    rig_succeed(&rig, delete_job(full, SCOPE_CHILDREN, true), NULL);
}

static void test_delete_waits_for_readers(void **state)
{
    char chain[PATH_MAX], full[37];

    (void)state;
    back_up(BACKUP_FULL, full);
    snprintf(chain, sizeof chain, "%s/%s/%s", rig.repository, rig.uuid, full);
    assert_int_equal(lease_take(chain, "another-job", "other-host", NULL), 0);
    rig_refused(&rig, delete_job(full, SCOPE_SELF, false), "in use by job another-job on other-host");
    lease_drop(chain, "another-job");
    rig_succeed(&rig, verify_job(full, VERIFY_IMAGE), NULL); /* nothing of it was taken */
    rig_succeed(&rig, delete_job(full, SCOPE_SELF, false), NULL);
}

/* ---- merge ---- */

static struct job *merge_job(const char *point)
{
    struct job *job = delete_job(point, SCOPE_SELF, false);

    ((struct params_backup_delete *)job->params)->merge = true;
    return job;
}

/* What the disks of a point hold now, for later. */
static void keep_content(const char *id)
{
    char name[16], file[PATH_MAX], command[2 * PATH_MAX];

    for (const char *const *disk = (const char *const[]){"vda", "vdc", NULL}; *disk; disk++) {
        snprintf(name, sizeof name, "%s.qcow2", *disk);
        stored_file(id, name, file);
        snprintf(command, sizeof command, "qemu-img convert -O qcow2 %s %s/content.%s.%s", file, rig.root, id, *disk);
        assert_int_equal(system(command), 0);
    }
}

/* The verb restores it, checksums and all, and gives what was kept. */
static void assert_restores(const char *id)
{
    struct job *job = restore_job(id, id);
    char kept[PATH_MAX], file[PATH_MAX], command[PATH_MAX];
    virDomainPtr domain;

    ((struct params_backup_restore *)job->params)->start = START_NO;
    rig_succeed(&rig, job, NULL);
    snprintf(kept, sizeof kept, "%s/content.%s.vda", rig.root, id);
    assert_true(rig_same(kept, "qcow2", restored_file(id, "vda.qcow2", file), "qcow2"));
    snprintf(kept, sizeof kept, "%s/content.%s.vdc", rig.root, id);
    assert_true(rig_same(kept, "qcow2", restored_file(id, "vdc.raw", file), "raw"));
    domain = virDomainLookupByName(rig.connection, id);
    assert_non_null(domain);
    assert_int_equal(virDomainUndefine(domain), 0);
    virDomainFree(domain);
    snprintf(command, sizeof command, "rm -r %s/pool/%s", rig.root, id);
    assert_int_equal(system(command), 0);
}

static void assert_point(const char *id, const char *kind, const char *parent, int64_t length)
{
    struct restore_point point;
    int64_t bytes = 0;

    rig_manifest(&rig, id, &point);
    assert_string_equal(point.backup_kind, kind);
    if (parent)
        assert_string_equal(point.parent, parent);
    else
        assert_null(point.parent);
    assert_int_equal(point.chain_length, length);
    for (size_t i = 0; i < point.disks.count; i++) {
        const struct point_disk *disk = list_at(&point.disks, struct point_disk, i);

        bytes += disk->stored_bytes;
        if (disk->file && !parent)
            assert_string_equal(disk->mode, "full");
    }
    assert_int_equal(point.size_bytes, bytes);
    restore_point_clear(&point);
}

static void assert_no_leftovers(void)
{
    char command[PATH_MAX];

    snprintf(command, sizeof command,
             "find %s -name '*.merged*' -o -name '*.part' -o -name '*.link' -o -path '*/leases/*' | grep .",
             rig.repository);
    assert_int_not_equal(system(command), 0);
}

/* a ← b ← c ← d, and a ← e */
static char chain_of[5][37];

static void make_chain(void)
{
    static const int kinds[] = {BACKUP_FULL, BACKUP_INCREMENTAL, BACKUP_INCREMENTAL, BACKUP_INCREMENTAL,
                                BACKUP_DIFFERENTIAL};
    char offset[16];

    for (int i = 0; i < 5; i++) {
        rig_write(&rig, "vda", 0x30 + i, "1M", "128k"); /* each overwrites the one before … */
        snprintf(offset, sizeof offset, "%dM", 20 + i); /* … and has something of its own */
        rig_write(&rig, "vda", 0x40 + i, offset, "192k");
        rig_write(&rig, "vdc", 0x50 + i, offset, "64k");
        back_up(kinds[i], chain_of[i]);
        keep_content(chain_of[i]);
    }
    rig_succeed(&rig, verify_job(chain_of[1], VERIFY_CHECKSUM), NULL); /* some have checksums already */
    rig_succeed(&rig, verify_job(chain_of[2], VERIFY_CHECKSUM), NULL);
}

static void test_merge(void **state)
{
    const char *const a = chain_of[0], *const b = chain_of[1], *const c = chain_of[2], *const d = chain_of[3],
                      *const e = chain_of[4];
    struct restore_point point;
    struct outcome out;
    char next[37];
    int before;

    (void)state;
    make_chain();
    before = rig_checkpoints(&rig);
    rig_run(&rig, merge_job(b), &out);
    if (out.state != STATE_SUCCEEDED)
        fail_msg("%s", out.err.text);
    assert_int_equal(out.report.change_count, 5); /* the four that are left, and the tombstone */
    assert_string_equal(out.report.changes[4].id, b);
    assert_string_equal(facts_get(&out.report.result->facts, "merged_into"), c);
    outcome_clear(&out);
    assert_int_equal(rig_checkpoints(&rig), before - 1);
    assert_no_leftovers();
    assert_point(c, "incremental", a, 2);
    assert_point(d, "incremental", c, 3);
    assert_point(e, "differential", a, 2);
    for (int i = 0; i < 5; i++)
        if (i != 1)
            assert_restores(chain_of[i]);
    rig_succeed(&rig, merge_job(b), NULL); /* again: it is gone */
    rig_succeed(&rig, merge_job(a), NULL);
    assert_no_leftovers();
    assert_point(c, "full", NULL, 1);
    assert_point(d, "incremental", c, 2);
    assert_point(e, "full", NULL, 1);
    for (int i = 2; i < 5; i++)
        assert_restores(chain_of[i]);
    rig_succeed(&rig, verify_job(d, VERIFY_IMAGE), NULL);
    back_up(BACKUP_AUTO, next); /* it goes on from the newest */
    rig_manifest(&rig, next, &point);
    assert_string_equal(point.parent, e);
    assert_string_equal(point.chain, a);
    restore_point_clear(&point);
    assert_point_equals_disk(next, "vda");
    rig_succeed(&rig, merge_job(next), NULL); /* nothing builds on it */
}

static void test_merge_does_not_hide_damage(void **state)
{
    char path[PATH_MAX];

    (void)state;
    flip_byte(stored_file(chain_of[2], "vda.qcow2", path), 400000);
    rig_refused(&rig, merge_job(chain_of[2]), "damaged");
    assert_no_leftovers();
    flip_byte(path, 400000);
    assert_point(chain_of[3], "incremental", chain_of[2], 2);
    assert_restores(chain_of[3]);
}

static void test_merge_leaves_readers_alone(void **state)
{
    struct outcome out;
    char chain[PATH_MAX];

    (void)state;
    snprintf(chain, sizeof chain, "%s/%s/%s", rig.repository, rig.uuid, chain_of[0]);
    assert_int_equal(lease_take(chain, "another-job", "other-host", NULL), 0);
    rig.cancel_at_phase = "merge-swap"; /* where it waits for the reader */
    rig_run(&rig, merge_job(chain_of[2]), &out);
    rig.cancel_at_phase = NULL;
    assert_int_equal(out.state, STATE_CANCELLED);
    outcome_clear(&out);
    lease_drop(chain, "another-job");
    assert_no_leftovers();
    assert_point(chain_of[3], "incremental", chain_of[2], 2);
    rig_succeed(&rig, verify_job(chain_of[3], VERIFY_CHECKSUM), NULL);
}

/* ---- what goes wrong ---- */

/* Like the rate, a cancel finds the push only once it runs: one that was over before that is a backup like others, and the next one is cancelled. */
static void test_cancel_leaves_the_parent_usable(void **state)
{
    struct restore_point point;
    struct outcome out;
    char parent[37], incremental[37], folder[PATH_MAX], id[37], chain[37];
    bool over = true;
    int before = 0;

    (void)state;
    back_up(BACKUP_FULL, chain);
    snprintf(id, sizeof id, "%s", chain);
    for (int attempt = 0; attempt < PATIENCE && over; attempt++) {
        struct job *job = rig_job(&rig, OP_BACKUP_CREATE);

        snprintf(parent, sizeof parent, "%s", id);
        snprintf(id, sizeof id, "%s", job->job_id);
        before = rig_checkpoints(&rig);
        rig_write(&rig, "vda", 0x60 + attempt, "64M", "200M");
        ((struct params_backup_create *)job->params)->kind = BACKUP_INCREMENTAL;
        rig.rate_limit = 1 << 20;
        rig.cancel_at_phase = "push";
        rig_run(&rig, job, &out);
        rig.rate_limit = 0;
        rig.cancel_at_phase = NULL;
        assert_int_equal(out.kind, OUTCOME_ENDED);
        over = out.state == STATE_SUCCEEDED;
        assert_true(over || out.state == STATE_CANCELLED);
        outcome_clear(&out);
    }
    assert_false(over);
    assert_int_equal(rig_checkpoints(&rig), before);
    snprintf(folder, sizeof folder, "%s/%s/%s/%s", rig.repository, rig.uuid, chain, id);
    assert_false(file_exists(folder));
    back_up(BACKUP_AUTO, incremental);
    rig_manifest(&rig, incremental, &point);
    assert_string_equal(point.backup_kind, "incremental");
    assert_string_equal(point.parent, parent);
    restore_point_clear(&point);
    assert_point_equals_disk(incremental, "vda");
}

static struct {
    int looks;
    int64_t left; /* bytes, when the limit was taken away */
    bool kept;    /* QEMU had been told of the second limit before */
} change;

static bool bandwidth_is(unsigned long long each)
{
    virDomainBlockJobInfo info = {0};

    return virDomainGetBlockJobInfo(rig.domain, "vda", &info, VIR_DOMAIN_BLOCK_JOB_INFO_BANDWIDTH_BYTES) == 1 &&
           info.bandwidth == each;
}

static void change_the_rate(struct rig *host, int64_t done, int64_t total)
{
    if (change.looks++ == 0) {
        host->rate_limit = 96 << 10;
    } else if (bandwidth_is(32 << 10) && host->rate_limit) {
        change.kept = true;
        change.left = total - done;
        host->rate_limit = 0;
    }
}

/*
 * At 96 KiB a second for three disks the rest would take a quarter of an hour. libvirt can be told of a limit only once the push runs: one that is over before that is made again.
 */
static void test_the_rate_of_a_push_is_changed_while_it_runs(void **state)
{
    char id[37];

    (void)state;
    for (int attempt = 0; attempt < PATIENCE && !(change.kept && change.left > 32 << 20); attempt++) {
        memset(&change, 0, sizeof change);
        rig_write(&rig, "vda", 0x80 + attempt, "16M", "480M");
        rig.rate_limit = 192 << 10;
        rig.on_progress = change_the_rate;
        back_up(BACKUP_INCREMENTAL, id);
        rig.on_progress = NULL;
        rig.rate_limit = 0;
    }
    assert_true(change.kept);
    assert_true(change.left > 32 << 20);
    assert_point_equals_disk(id, "vda");
}

/* Longer than the time after which a job that nobody works on is given up. */
static void test_slow_push_is_not_given_up(void **state)
{
    char id[37];

    (void)state;
    rig_write(&rig, "vda", 0x78, "32M", "5M");
    rig.rate_limit = 3 << 20; /* a third for each of three disks */
    back_up(BACKUP_INCREMENTAL, id);
    rig.rate_limit = 0;
    assert_point_equals_disk(id, "vda");
}

static struct job *create_job(int kind)
{
    struct job *job = rig_job(&rig, OP_BACKUP_CREATE);

    ((struct params_backup_create *)job->params)->kind = kind;
    return job;
}

static void test_refusals(void **state)
{
    struct job *job;

    (void)state;
    job = create_job(BACKUP_FULL);
    strings_add(&((struct params_backup_create *)job->params)->include, "vdz", NULL);
    rig_refused(&rig, job, "no disk vdz");
    job = create_job(BACKUP_FULL);
    strings_add(&((struct params_backup_create *)job->params)->include, "sda", NULL);
    rig_refused(&rig, job, "removable");
    job = create_job(BACKUP_INCREMENTAL);
    strings_add(&((struct params_backup_create *)job->params)->include, "vda", NULL);
    rig_refused(&rig, job, "the set of disks changed");
    job = create_job(BACKUP_INCREMENTAL);
    strings_add(&((struct params_backup_create *)job->params)->include, "vdc", NULL);
    rig_refused(&rig, job, "only qcow2");
    job = create_job(BACKUP_FULL);
    ((struct params_backup_create *)job->params)->compress = true;
    rig_refused(&rig, job, "compress");
    job = create_job(BACKUP_FULL);
    string_set(&((struct params_backup_create *)job->params)->repository->path, "/etc", NULL);
    rig_refused(&rig, job, "not in a folder");
    job = create_job(BACKUP_FULL);
    string_set(&((struct params_backup_create *)job->params)->repository->path, rig.root, NULL);
    rig_refused(&rig, job, "not mounted");
}

static void test_isolated_leaves_no_checkpoint(void **state)
{
    struct job *job = create_job(BACKUP_AUTO);
    int before = rig_checkpoints(&rig);
    struct restore_point point;
    char id[37];

    (void)state;
    ((struct params_backup_create *)job->params)->isolated = true;
    rig_succeed(&rig, job, id);
    assert_int_equal(rig_checkpoints(&rig), before);
    rig_manifest(&rig, id, &point);
    assert_string_equal(point.backup_kind, "incremental");
    restore_point_clear(&point);
    assert_point_equals_disk(id, "vda");
}

static void test_dry_run_shows_and_does_nothing(void **state)
{
    struct job *job = create_job(BACKUP_AUTO);
    int before = rig_checkpoints(&rig);
    struct outcome out;
    bool shows = false;

    (void)state;
    job->dry_run = true;
    rig_run(&rig, job, &out);
    assert_int_equal(out.state, STATE_SUCCEEDED);
    assert_int_equal(rig_checkpoints(&rig), before);
    for (size_t i = 0; i < out.report.result->steps.count; i++)
        shows = shows || strstr(list_at(&out.report.result->steps, struct plan_step, i)->command, "<domainbackup");
    assert_true(shows);
    outcome_clear(&out);
}

static void test_killed_qemu_falls_back_to_full(void **state)
{
    struct restore_point point;
    char id[37];

    (void)state;
    rig_kill_qemu(&rig);
    rig_power(&rig, true);
    back_up(BACKUP_AUTO, id);
    rig_manifest(&rig, id, &point);
    assert_string_equal(point.backup_kind, "full");
    assert_non_null(strstr(point.fallback_reason, "broken"));
    restore_point_clear(&point);
    assert_int_equal(rig_checkpoints(&rig), 1);
    assert_point_equals_disk(id, "vda");
    back_up(BACKUP_INCREMENTAL, id);
    assert_point_equals_disk(id, "vda");
}

static void test_forgotten_checkpoint_is_defined_again(void **state)
{
    struct restore_point point;
    char id[37];

    (void)state;
    rig_forget_checkpoints(&rig);
    assert_int_equal(rig_checkpoints(&rig), 0);
    rig_write(&rig, "vda", 0x74, "20M", "64k");
    back_up(BACKUP_AUTO, id);
    rig_manifest(&rig, id, &point);
    assert_string_equal(point.backup_kind, "incremental");
    restore_point_clear(&point);
    assert_point_equals_disk(id, "vda");
}

/* QEMU's name for what the first disk reads and writes. */
static void node_of_vda(char out[64])
{
    char *answer = NULL;
    json_t *devices, *device;
    size_t i;

    assert_int_equal(virDomainQemuMonitorCommand(rig.domain, "{\"execute\":\"query-block\"}", &answer, 0), 0);
    devices = json_loads(answer, 0, NULL);
    out[0] = '\0';
    json_array_foreach(json_object_get(devices, "return"), i, device)
    {
        const char *path = json_string_value(json_object_get(device, "qdev"));
        json_t *node = json_object_get(json_object_get(device, "inserted"), "node-name");

        if (path && strstr(path, "/virtio-disk0/") && node)
            snprintf(out, 64, "%s", json_string_value(node));
    }
    json_decref(devices);
    free(answer);
    assert_string_not_equal(out, "");
}

/* libvirt's own temporary bitmap stays in QEMU when the end of a push is lost: put there as it is then. */
static void test_bitmap_of_a_lost_push_is_removed(void **state)
{
    char command[256], node[64], id[37], *answer = NULL;

    (void)state;
    node_of_vda(node);
    snprintf(command, sizeof command,
             "{\"execute\":\"block-dirty-bitmap-add\",\"arguments\":{\"node\":\"%s\",\"name\":\"backup-vda\"}}", node);
    assert_int_equal(virDomainQemuMonitorCommand(rig.domain, command, &answer, 0), 0);
    assert_non_null(strstr(answer, "\"return\""));
    free(answer);
    rig_write(&rig, "vda", 0x76, "22M", "64k");
    back_up(BACKUP_INCREMENTAL, id);
    assert_point_equals_disk(id, "vda");
}

/* The same name, but a checkpoint's: it is not ours to remove, and the error says what is in the way. */
static void test_checkpoint_of_that_name_stays(void **state)
{
    static const char xml[] = "<domaincheckpoint><name>backup-vda</name><disks>"
                              "<disk name='vda' checkpoint='bitmap' bitmap='backup-vda'/></disks></domaincheckpoint>";
    virDomainCheckpointPtr checkpoint = virDomainCheckpointCreateXML(rig.domain, xml, 0);
    struct job *job = create_job(BACKUP_INCREMENTAL);

    (void)state;
    assert_non_null(checkpoint);
    rig_refused(&rig, job, "Bitmap already exists: backup-vda");
    assert_int_equal(virDomainCheckpointDelete(checkpoint, 0), 0); /* fails without its bitmap */
    virDomainCheckpointFree(checkpoint);
}

static void test_power_cycle_keeps_the_chain(void **state)
{
    struct restore_point point;
    char off[37], id[37];

    (void)state;
    rig_write(&rig, "vda", 0x75, "21M", "64k");
    rig_power(&rig, false);
    back_up(BACKUP_AUTO, off);
    rig_manifest(&rig, off, &point);
    assert_string_equal(point.backup_kind, "full");
    assert_string_equal(point.level, "off");
    assert_non_null(strstr(point.fallback_reason, "off"));
    restore_point_clear(&point);
    assert_point_equals_disk(off, "vda");
    assert_point_equals_disk(off, "vdc");
    rig_refused(&rig, create_job(BACKUP_INCREMENTAL), "the guest is off");
    rig_power(&rig, true);
    back_up(BACKUP_AUTO, id);
    rig_manifest(&rig, id, &point);
    assert_string_equal(point.backup_kind, "incremental");
    restore_point_clear(&point);
    assert_point_equals_disk(id, "vda");
}

static void test_full_repository_never_stops_the_guest(void **state)
{
    struct job *job = create_job(BACKUP_FULL);
    int domain_state;

    (void)state;
    rig_small_repository(&rig, 150);
    string_set(&((struct params_backup_create *)job->params)->repository->path, rig.small, NULL);
    rig_write(&rig, "vda", 0x76, "30M", "12M");
    rig_refused(&rig, job, "no room");
    job = create_job(BACKUP_FULL);
    string_set(&((struct params_backup_create *)job->params)->repository->path, rig.small, NULL);
    strings_add(&((struct params_backup_create *)job->params)->include, "vdb", NULL);
    rig_write(&rig, "vdb", 0x75, "64M", "100M");
    rig.fill_at_phase = "backup-begin"; /* somebody else fills it after room was found */
    rig.rate_limit = 256 << 10;
    rig_refused(&rig, job, "No space left");
    rig.rate_limit = 0;
    rig.fill_at_phase = NULL;
    assert_int_equal(virDomainGetState(rig.domain, &domain_state, NULL, 0), 0);
    assert_int_equal(domain_state, VIR_DOMAIN_RUNNING);
    rig_write(&rig, "vdb", 0x77, "4M", "64k");
    rig_drop_small_repository(&rig);
}

/* ---- the threshold ---- */

static _Atomic int thresholds;

static void count_threshold(virConnectPtr connection, virDomainPtr domain, const char *device, const char *path,
                            unsigned long long threshold, unsigned long long excess, void *context)
{
    (void)connection;
    (void)domain;
    (void)device;
    (void)path;
    (void)threshold;
    (void)excess;
    (void)context;
    thresholds++;
}

static void wait_for(bool (*done)(void))
{
    for (int i = 0; i < 1000 && !done(); i++)
        usleep(20000);
    assert_true(done());
}

static bool threshold_told(void)
{
    return thresholds > 0;
}

static bool no_job(void)
{
    virDomainJobInfo info;

    return virDomainGetJobInfo(rig.domain, &info) == 0 && info.type == VIR_DOMAIN_JOB_NONE;
}

/* A push that writes more than there is room for is told of, long before anybody has looked at the file system. */
static void test_qemu_says_when_a_push_has_taken_its_room(void **state)
{
    virConnectPtr connection = virDomainGetConnect(rig.domain);
    char target[PATH_MAX], xml[PATH_MAX + 512];
    int callback;

    (void)state;
    snprintf(target, sizeof target, "%s/threshold.qcow2", rig.repository);
    snprintf(
        xml, sizeof xml,
        "<domainbackup mode='push'><disks><disk name='vdb' type='file'><target file='%s'/><driver type='qcow2'/></disk>"
        "<disk name='vda' backup='no'/><disk name='vdc' backup='no'/></disks></domainbackup>",
        target);
    rig_write(&rig, "vdb", 0x71, "0", "200M"); /* far more than QEMU has on its way before a speed is set */
    callback = virConnectDomainEventRegisterAny(connection, rig.domain, VIR_DOMAIN_EVENT_ID_BLOCK_THRESHOLD,
                                                VIR_DOMAIN_EVENT_CALLBACK(count_threshold), NULL, NULL);
    assert_true(callback >= 0);
    assert_int_equal(virDomainBackupBegin(rig.domain, xml, NULL, 0), 0);
    virDomainBlockJobSetSpeed(rig.domain, "vdb", 1 << 20, VIR_DOMAIN_BLOCK_JOB_SPEED_BANDWIDTH_BYTES);
    backup_threshold_set(rig.domain, 1 << 20);
    virDomainBlockJobSetSpeed(rig.domain, "vdb", 0, 0);
    wait_for(threshold_told);
    wait_for(no_job);
    virConnectDomainEventDeregisterAny(connection, callback);
    unlink(target);
}

/* QEMU 7.2 aborts when it is asked about its images while it creates one: so it never does that for us. */
static void test_the_guest_may_be_looked_at_while_a_backup_begins(void **state)
{
    char id[37];

    (void)state;
    rig_watched(&rig, true);
    for (int i = 0; i < 3 && virDomainIsActive(rig.domain) == 1; i++) {
        struct job *job = create_job(BACKUP_FULL);

        ((struct params_backup_create *)job->params)->isolated = true;
        rig_succeed(&rig, job, id);
        rig_succeed(&rig, delete_job(id, SCOPE_SELF, true), NULL);
    }
    rig_watched(&rig, false);
    assert_int_equal(virDomainIsActive(rig.domain), 1);
}

static void make_snapshot(const char *name)
{
    struct job *job = rig_job(&rig, OP_SNAPSHOT_CREATE);
    struct params_snapshot_create *params = job->params;

    string_set(&params->name, name, NULL);
    params->quiesce = QUIESCE_NEVER;
    struct snapshot_disk *raw = list_add(&params->disks, &snapshot_disk_record,
                                         NULL); /* it would become a qcow2 file, which is another set of disks */
    string_set(&raw->name, "vdc", NULL);
    string_set(&raw->mode, "no", NULL);
    rig_succeed(&rig, job, NULL);
}

static void assert_next_is(const char *kind, int64_t dirty_bytes)
{
    struct restore_point point;
    char id[37];

    back_up(BACKUP_AUTO, id);
    rig_manifest(&rig, id, &point);
    assert_string_equal(point.backup_kind, kind);
    assert_int_equal(point.dirty_bytes, dirty_bytes);
    restore_point_clear(&point);
}

/* libvirt gives the new overlays their bitmaps, also those that it did not make. And of a guest that is off and has checkpoints it makes no snapshot: they are forgotten, and defined again. */
static void test_snapshots_do_not_end_the_chain(void **state)
{
    char id[37];

    (void)state;
    rig_power(&rig, false);
    back_up(BACKUP_AUTO, id);
    rig_power(&rig, true);
    back_up(BACKUP_FULL, id);
    make_snapshot("live");
    rig_write(&rig, "vda", 0x33, "2M", "64k");
    assert_next_is("incremental", 64 << 10);
    rig_write(&rig, "vda", 0x34, "4M", "64k");
    rig_power(&rig, false);
    make_snapshot("off");
    rig_power(&rig, true);
    assert_next_is("full", 0);
}

static void test_merge_without_the_machine(void **state)
{
    struct job *job = merge_job(chain_of[2]);

    (void)state;
    rig_power(&rig, false);
    assert_int_equal(virDomainUndefineFlags(rig.domain, VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA |
                                                            VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA),
                     0);
    string_set(&job->target.kind, "repository", NULL);
    string_set(&job->target.id, rig.repository_id, NULL);
    rig_succeed(&rig, job, NULL);
    assert_no_leftovers();
    assert_point(chain_of[3], "full", NULL, 1);
    assert_restores(chain_of[3]);
}

static void test_delete_the_rest_without_the_guest(void **state)
{
    (void)state;
    rig_refused(&rig, delete_job(last_point, SCOPE_ALL, false), "last good");
    rig_succeed(&rig, delete_job(last_point, SCOPE_ALL, true), NULL);
    rig_succeed(&rig, delete_job(last_point, SCOPE_ALL, false), NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_and_incremental),
        cmocka_unit_test(test_restore_to_a_new_domain),
        cmocka_unit_test(test_what_cannot_be_mapped_is_refused_before_anything_is_touched),
        cmocka_unit_test(test_restore_to_the_places_that_are_asked_for),
        cmocka_unit_test(test_restore_with_a_given_definition),
        cmocka_unit_test(test_restore_that_fails_leaves_nothing),
        cmocka_unit_test(test_restore_in_place),
        cmocka_unit_test(test_after_in_place_the_next_is_full),
        cmocka_unit_test(test_verify),
        cmocka_unit_test(test_delete),
        cmocka_unit_test(test_checkpoint_of_a_backup_that_was_deleted_elsewhere),
        cmocka_unit_test(test_delete_waits_for_readers),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_merge_does_not_hide_damage),
        cmocka_unit_test(test_merge_leaves_readers_alone),
        cmocka_unit_test(test_cancel_leaves_the_parent_usable),
        cmocka_unit_test(test_slow_push_is_not_given_up),
        cmocka_unit_test(test_the_rate_of_a_push_is_changed_while_it_runs),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_isolated_leaves_no_checkpoint),
        cmocka_unit_test(test_dry_run_shows_and_does_nothing),
        cmocka_unit_test(test_killed_qemu_falls_back_to_full),
        cmocka_unit_test(test_forgotten_checkpoint_is_defined_again),
        cmocka_unit_test(test_bitmap_of_a_lost_push_is_removed),
        cmocka_unit_test(test_checkpoint_of_that_name_stays),
        cmocka_unit_test(test_power_cycle_keeps_the_chain),
        cmocka_unit_test(test_full_repository_never_stops_the_guest),
        cmocka_unit_test(test_qemu_says_when_a_push_has_taken_its_room),
        cmocka_unit_test(test_the_guest_may_be_looked_at_while_a_backup_begins),
        cmocka_unit_test(test_snapshots_do_not_end_the_chain),
        cmocka_unit_test(test_merge_without_the_machine),
        cmocka_unit_test(test_delete_the_rest_without_the_guest),
    };

    if (!rig_possible()) {
        fprintf(stderr, "skipped: needs root and qemu-system-x86_64\n");
        return 0;
    }
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("libvirt backup", tests, set_up, tear_down);
}
