/*
 * The worker is killed around every step of the backup verbs, on real QEMU: before and after the INTENT, before and after the DONE. Another process opens the same
 * host, finds the journal, and ends the job. Then always: the outcome is success, the data is right, no checkpoint, lease or file is left that no point names.
 */
#include "support/backup_rig.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/uuid.h"
#include "worker/backends/libvirt/boot_copy.h"
#include "worker/backends/libvirt/libvirt.h"
#include "worker/backends/libvirt/monitor.h"

#include <libvirt/libvirt-qemu.h>
#include <libvirt/virterror.h>

#include <dirent.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static struct rig rig;

/* In the children, where an assertion of cmocka would jump into the parent's copy of the test. */
#define DEMAND(condition)                                                                                           \
    do {                                                                                                            \
        if (!(condition)) {                                                                                         \
            fprintf(stderr, "%s:%d: %s (libvirt: %s)\n", __FILE__, __LINE__, #condition, virGetLastErrorMessage()); \
            _exit(1);                                                                                               \
        }                                                                                                           \
    } while (0)

typedef void child_work(struct job *job);

static bool offline; /* the children need no libvirt, which takes a second to open */

/* `then` (may be NULL) runs after it in the same process: each opening of the host takes a second. */
static int in_child_then(child_work *work, child_work *then, struct job *job)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(60);
        /* QEMU sees that the last process is gone only when its loop comes round; a libvirt that connects before that gets a broken pipe, and kills the guest. */
        if (!offline)
            nanosleep(&(struct timespec){.tv_nsec = 700000000}, NULL);
        (offline ? rig_offline : rig_connect)(&rig);
        work(job);
        if (then)
            then(job);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static int in_child(child_work *work, struct job *job)
{
    return in_child_then(work, NULL, job);
}

static void run_it(struct job *job)
{
    struct outcome out;

    rig_run(&rig, job, &out);
    DEMAND(out.kind == OUTCOME_ENDED && out.state == STATE_SUCCEEDED);
}

static void recover_it(struct job *job)
{
    struct outcome out;

    rig_recover(&rig, job, &out);
    if (out.kind != OUTCOME_ENDED || out.state != STATE_SUCCEEDED)
        fprintf(stderr, "outcome %d, state %d: %s\n", (int)out.kind, (int)out.state, out.err.text);
    DEMAND(out.kind == OUTCOME_ENDED && out.state == STATE_SUCCEEDED);
}

static void power_on(struct job *job)
{
    (void)job;
    DEMAND(virDomainCreate(rig.domain) == 0);
}

static void power_off(struct job *job)
{
    (void)job;
    DEMAND(virDomainDestroyFlags(rig.domain, VIR_DOMAIN_DESTROY_GRACEFUL) == 0 || virDomainIsActive(rig.domain) == 0);
}

static void write_something(struct job *job)
{
    (void)job;
    rig_write(&rig, "vda", (int)(random() % 255), "3M", "1M");
}

static void forget_journal(void)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/plan", rig.root);
    unlink(path);
    snprintf(path, sizeof path, "%s/steps", rig.root);
    unlink(path);
}

/* ---- what must be true afterwards ---- */

static void count_points(size_t *complete, size_t *others)
{
    struct repository repository = {0};
    struct list points = {0};
    struct strings damaged = {0};

    DEMAND(repository_open(rig.repository, NULL, &repository, NULL) == 0);
    DEMAND(repository_points(&repository, rig.uuid, true, &points, &damaged, NULL) == 0);
    *complete = *others = 0;
    for (size_t i = 0; i < points.count; i++)
        *(list_at(&points, struct restore_point, i)->state == POINT_COMPLETE ? complete : others) += 1;
    *others += damaged.count;
    points_clear(&points);
    strings_clear(&damaged);
    repository_clear(&repository);
}

static bool any_lease(void)
{
    char command[256];

    snprintf(command, sizeof command, "find %s -path '*/leases/*' | grep -q .", rig.repository);
    return system(command) == 0;
}

static bool any_leftover(void)
{
    char command[256];

    snprintf(command, sizeof command, "find %s %s/pool %s/disks -name '*.part' -o -name '*.new' | grep -q .",
             rig.repository, rig.root, rig.root);
    return system(command) == 0;
}

static void check_clean(struct job *job)
{
    size_t complete, others;

    (void)job;
    count_points(&complete, &others);
    DEMAND(others == 0);
    DEMAND(!any_lease());
    DEMAND(!any_leftover());
}

static void check_backup(struct job *job)
{
    struct restore_point point;
    char file[PATH_MAX], live[PATH_MAX];

    check_clean(job);
    rig_manifest(&rig, job->job_id, &point);
    DEMAND(point.state == POINT_COMPLETE);
    snprintf(file, sizeof file, "%s/%s/%s/%s/vda.qcow2", rig.repository, rig.uuid, point.chain, point.id);
    DEMAND(rig_same(rig_disk(&rig, "vda.img", live), "qcow2", file, "qcow2"));
    for (size_t i = 0; i < point.disks.count; i++) { /* the checkpoints that exist are those that points name */
        const struct point_disk *disk = list_at(&point.disks, struct point_disk, i);
        virDomainCheckpointPtr checkpoint = disk->checkpoint
                                                ? virDomainCheckpointLookupByName(rig.domain, disk->checkpoint, 0)
                                                : NULL;

        DEMAND(!disk->checkpoint || checkpoint);
        if (checkpoint)
            virDomainCheckpointFree(checkpoint);
    }
    restore_point_clear(&point);
}

static void check_restored(struct job *job)
{
    const struct params_backup_restore *params = job->params;
    char file[PATH_MAX], live[PATH_MAX];
    virDomainPtr domain = virDomainLookupByName(rig.connection, params->new_name);

    check_clean(job);
    DEMAND(domain && virDomainIsActive(domain) == 1);
    snprintf(file, sizeof file, "%s/pool/%s/vda.qcow2", rig.root, params->new_name);
    DEMAND(rig_same(rig_disk(&rig, "vda.img", live), "qcow2", file, "qcow2"));
    DEMAND(virDomainDestroy(domain) == 0 && virDomainUndefine(domain) == 0);
    virDomainFree(domain);
}

static void check_in_place(struct job *job)
{
    check_clean(job);
    DEMAND(virDomainIsActive(rig.domain) == 1);
}

static void check_deleted(struct job *job)
{
    struct repository repository = {0};
    struct restore_point point;

    check_clean(job);
    DEMAND(repository_open(rig.repository, NULL, &repository, NULL) == 0);
    DEMAND(repository_find(&repository, rig.uuid, ((struct params_backup_delete *)job->params)->point, &point, NULL,
                           NULL) < 0);
}

/* ---- the matrix ---- */

/* Of the two in which something is begun and not known to be done one for each step, in turn; with FLEETSNAP_CRASH_ALL set all four, which take four times as long. */
static int next_kind(int kind)
{
    static int turn;

    if (getenv("FLEETSNAP_CRASH_ALL"))
        return kind + 1;
    if (kind >= 0)
        return CRASH_KINDS;
    return turn++ % 2 ? CRASH_AFTER_INTENT : CRASH_BEFORE_DONE;
}

static char base_point[37];

/* A step that dies in its last call, its work done, has not given its lease back; a death before its DONE comes after that. */
static void leave_lease(const struct job *job, const char *step)
{
    static const char *const holders[] = {"push", "complete", "restore-disk", "convert", "merge-disk", "merge-swap"};
    char command[512];

    for (size_t i = 0; i < sizeof holders / sizeof *holders; i++)
        if (strcmp(step, holders[i]) == 0) {
            snprintf(command, sizeof command,
                     "c=$(dirname $(find %s -mindepth 3 -maxdepth 3 -name %s)) && mkdir -p $c/leases && "
                     "echo host >$c/leases/%s",
                     rig.repository, job->op == OP_BACKUP_CREATE ? job->job_id : base_point, job->job_id);
            assert_int_equal(system(command), 0);
        }
}

static struct job *crash_and_recover(struct job *job, const char *step, int when, child_work *check)
{
    struct job *again = NULL;
    int status;

    forget_journal();
    assert_int_equal(job_clone(job, &again, NULL), 0);
    if (strchr(step, ':')) /* a crash point, not a step */
        setenv("FLEETSNAP_CRASH", step, 1);
    else
        snprintf(rig.crash_step, sizeof rig.crash_step, "%s", step);
    rig.crash_when = when;
    rig.rate_limit = strcmp(step, "push") == 0 ? 4 << 20 : 0;
    status = in_child(run_it, job);
    if (!WIFSIGNALED(status))
        fail_msg("not killed around %s (%d): the plan has no such step?", step, when);
    rig.crash_step[0] = '\0';
    unsetenv("FLEETSNAP_CRASH");
    rig.rate_limit = 0;
    if (when == CRASH_BEFORE_DONE)
        leave_lease(job, step);
    status = in_child_then(recover_it, check, again);
    if (status != 0)
        fail_msg("%s, killed %d: recovery: status %x", step, when, (unsigned)status);
    job_free(job);
    return again;
}

static struct job *backup(int kind)
{
    struct job *job = rig_job(&rig, OP_BACKUP_CREATE);

    ((struct params_backup_create *)job->params)->kind = kind;
    return job;
}

static struct job *restore(bool in_place)
{
    struct job *job = rig_job(&rig, OP_BACKUP_RESTORE);
    struct params_backup_restore *params = job->params;
    char uuid[37];
    static int number;

    params->point = strdup(base_point);
    params->start = in_place ? START_NO : START_PAUSED;
    params->in_place = in_place;
    if (in_place)
        return job;
    uuid_random(uuid);
    string_set(&job->target.id, uuid, NULL);
    if (asprintf(&params->new_name, "copy-%d", ++number) < 0)
        params->new_name = NULL;
    return job;
}

static void new_base(void)
{
    struct job *job = backup(BACKUP_FULL);

    snprintf(base_point, sizeof base_point, "%s", job->job_id);
    assert_int_equal(in_child(run_it, job), 0);
    job_free(job);
}

static void test_incremental(void **state)
{
    static const char *const steps[] = {"folder", "images", "backup-begin", "push", "complete"};

    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        for (int when = next_kind(-1); when < CRASH_KINDS; when = next_kind(when)) {
            assert_int_equal(in_child(write_something, NULL), 0);
            job_free(crash_and_recover(backup(BACKUP_INCREMENTAL), steps[i], when, check_backup));
        }
}

/* ---- libvirt's own memory of a job, as it is when its daemon dies within its call ---- */

static char *read_status(char path[PATH_MAX])
{
    struct err err = {0};
    char *text;
    size_t len;

    snprintf(path, PATH_MAX, "%s/vm/run/qemu/%s.xml", rig.root, rig.name);
    if (file_read(path, 4 << 20, &text, &len, &err) < 0)
        fail_msg("%s", err.text);
    return text;
}

static bool status_has(const char *what)
{
    char path[PATH_MAX], *text = read_status(path);
    bool has = strstr(text, what) != NULL;

    free(text);
    return has;
}

/* Of the status file in which the daemon keeps what runs: from `begin` up to and with `end` becomes `by`; the text must be there. */
static void change_status(const char *begin, const char *end, const char *by)
{
    char path[PATH_MAX], *text = read_status(path), *from, *to;
    FILE *file;

    from = strstr(text, begin);
    to = from ? strstr(from, end) : NULL;
    if (!to)
        fail_msg("%s has no %s", path, begin);
    file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "%.*s%s%s", (int)(from - text), text, by, to + strlen(end));
    assert_int_equal(fclose(file), 0);
    free(text);
}

/* It holds the place of a backup and has not noted which one: nothing in libvirt ever gives that place back. */
static void test_place_of_a_lost_begin_is_given_back(void **state)
{
    struct job *job = backup(BACKUP_INCREMENTAL), *same = NULL;

    (void)state;
    assert_int_equal(job_clone(job, &same, NULL), 0);
    assert_int_equal(in_child(write_something, NULL), 0);
    forget_journal();
    change_status("  <blockjobs", "<blockjobs",
                  "  <job type='none' async='backup' flags='0x0' asyncStarted='1'/>\n  <blockjobs");
    assert_int_equal(in_child(run_it, job), 0);
    assert_int_equal(in_child(check_backup, same), 0);
    job_free(job);
    job_free(same);
}

static bool mirror_ready(void)
{
    char *xml = virDomainGetXMLDesc(rig.domain, 0), *mirror;
    bool ready;

    DEMAND(xml);
    mirror = strstr(xml, "<mirror ");
    ready = mirror && strstr(mirror, "ready='yes'");
    free(xml);
    return ready;
}

static void begin_commit(void)
{
    DEMAND(virDomainBlockCommit(rig.domain, "vda", NULL, NULL, 0,
                                VIR_DOMAIN_BLOCK_COMMIT_ACTIVE | VIR_DOMAIN_BLOCK_COMMIT_SHALLOW) == 0);
    while (!mirror_ready()) /* the child has its alarm */
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

static void commit_overlay(struct job *job)
{
    static const char layer[] = "<domainsnapshot><disks><disk name='vda' snapshot='external'><source file='%s/disks/"
                                "layer'/></disk><disk name='vdb' snapshot='no'/><disk name='vdc' snapshot='no'/>"
                                "</disks></domainsnapshot>";
    char xml[PATH_MAX];

    (void)job;
    snprintf(xml, sizeof xml, layer, rig.root);
    DEMAND(virDomainSnapshotCreateXML(rig.domain, xml,
                                      VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY | VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA));
    begin_commit();
}

static void commit_again(struct job *job)
{
    virDomainBlockJobInfo info;

    (void)job;
    DEMAND(virDomainIsActive(rig.domain) == 1);
    DEMAND(virDomainGetBlockJobInfo(rig.domain, "vda", &info, 0) == 0);
    begin_commit();
    DEMAND(virDomainBlockJobAbort(rig.domain, "vda", VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT) == 0);
}

/* Within the delete of a snapshot, of which QEMU has begun the commit: the library that reads this must not take the worker down. */
static void test_a_commit_that_is_half_noted_is_ended(void **state)
{
    char layer[PATH_MAX];

    (void)state;
    assert_int_equal(in_child(commit_overlay, NULL), 0);
    change_status("<mirror ", "</mirror>", "");
    change_status("  <blockjobs", "<blockjobs",
                  "  <job type='none' async='snapshot' flags='0x0' asyncStarted='1'><snapshotDelete/></job>\n"
                  "  <blockjobs");
    assert_int_equal(in_child(commit_again, NULL), 0);
    assert_int_equal(unlink(rig_disk(&rig, "layer", layer)), 0);
}

/* ---- the end of a commit that nobody noted: QEMU has gone over and was told to forget the job, and who told it died before its note ---- */

static struct monitor *ask_qemu(void)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    CLEANUP(freep) char *socket = NULL;
    struct monitor *monitor = NULL;
    char path[PATH_MAX], *text = read_status(path);
    struct err err = {0};

    assert_int_equal(xml_parse(text, "status", &doc, NULL), 0);
    free(text);
    socket = xml_get(doc, "/domstatus/monitor/@path");
    assert_non_null(socket);
    if (monitor_open(socket, 60000, &monitor, &err) < 0)
        fail_msg("%s", err.text);
    return monitor;
}

static void tell_qemu(struct monitor *monitor, const char *command, const char *arguments)
{
    struct err err = {0};

    if (monitor_ask(monitor, command, arguments, NULL, &err) < 0)
        fail_msg("%s", err.text);
}

static bool jobs_say(struct monitor *monitor, const char *what)
{
    CLEANUP(freep) char *jobs = NULL;
    struct err err = {0};

    if (monitor_ask(monitor, "query-jobs", NULL, &jobs, &err) < 0)
        fail_msg("%s", err.text);
    return strstr(jobs, what);
}

/* What its daemon does, up to the note: an active commit goes over to the base, one below the top ends by itself; then QEMU forgets the job. */
static void end_commit(void)
{
    CLEANUP(monitor_closep) struct monitor *monitor = ask_qemu();
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    char path[PATH_MAX], argument[256], bitmap[256], *text = read_status(path);

    assert_int_equal(xml_parse(text, "status", &doc, NULL), 0);
    free(text);
    CLEANUP(freep) char *type = xml_get(doc, "/domstatus/blockjobs/blockjob/@type");
    CLEANUP(freep) char *job = xml_get(doc, "/domstatus/blockjobs/blockjob/@name");
    CLEANUP(freep) char *base = xml_get(doc, "/domstatus/blockjobs/blockjob/base/@node");
    snprintf(argument, sizeof argument, "{\"id\":\"%s\"}", job);
    snprintf(bitmap, sizeof bitmap, "{\"node\":\"%s\",\"name\":\"libvirt-tmp-activewrite\"}", base);
    if (strcmp(type, "active-commit") == 0) {
        tell_qemu(monitor, "block-dirty-bitmap-add", bitmap);
        tell_qemu(monitor, "job-complete", argument);
    }
    for (int64_t until = clock_monotonic_ms() + 60000; !jobs_say(monitor, "\"concluded\"");) {
        assert_true(clock_monotonic_ms() < until);
        if (jobs_say(monitor, "\"pending\""))
            tell_qemu(monitor, "job-finalize", argument);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    tell_qemu(monitor, "job-dismiss", argument);
}

static struct job *snapshot(enum op op, const char *name)
{
    struct job *job = rig_job(&rig, op);

    string_set(op == OP_SNAPSHOT_CREATE ? &((struct params_snapshot_create *)job->params)->name
                                        : &((struct params_snapshot_delete *)job->params)->name,
               name, NULL);
    return job;
}

static void make_snapshots(struct job *job)
{
    (void)job;
    run_it(snapshot(OP_SNAPSHOT_CREATE, "one"));
    rig_write(&rig, "vda", 0x61, "1M", "1M");
    run_it(snapshot(OP_SNAPSHOT_CREATE, "two"));
    rig_write(&rig, "vda", 0x62, "2M", "1M");
}

/* libvirt, QEMU and the definition name one file, and what is left over in QEMU is gone. */
static void check_one_disk(struct job *job)
{
    char *live = virDomainGetXMLDesc(rig.domain, 0), *defined = virDomainGetXMLDesc(rig.domain, VIR_DOMAIN_XML_INACTIVE);
    char *nodes = NULL;

    (void)job;
    DEMAND(live && defined && virDomainIsActive(rig.domain) == 1);
    DEMAND(!strstr(live, "<mirror") && !strstr(live, ".fs-") && !strstr(defined, ".fs-"));
    DEMAND(virDomainQemuMonitorCommand(rig.domain, "{\"execute\":\"query-named-block-nodes\"}", &nodes, 0) == 0);
    DEMAND(!strstr(nodes, ".fs-") && !strstr(nodes, "libvirt-tmp-activewrite"));
    free(live);
    free(defined);
    free(nodes);
    check_clean(NULL);
}

static void delete_one(struct job *job)
{
    make_snapshots(NULL);
    run_it(job);
}

/* Nothing of it waits for the job: the guest may be powered off before that goes on. */
static void recover_the_defined(struct job *job)
{
    char *defined = virDomainGetXMLDesc(rig.domain, VIR_DOMAIN_XML_INACTIVE);

    DEMAND(defined && strstr(defined, "/vda.img'") && strstr(defined, "/vdb.vdb.fs-"));
    free(defined);
    recover_it(job);
}

static void back_up_rightly(struct job *job)
{
    struct job *incremental = backup(BACKUP_INCREMENTAL), *same = NULL;

    check_one_disk(job);
    write_something(job);
    DEMAND(job_clone(incremental, &same, NULL) == 0);
    run_it(incremental);
    check_backup(same);
}

/* The layers of two snapshots are merged. The worker dies when QEMU has begun the first, and when the second is about to go over; QEMU ends them alone. */
static void test_a_commit_that_ended_unseen_is_noted(void **state)
{
    struct job *one = snapshot(OP_SNAPSHOT_DELETE, "one"), *one_again = NULL;
    struct job *two = snapshot(OP_SNAPSHOT_DELETE, "two"), *two_again = NULL;

    (void)state;
    assert_int_equal(job_clone(one, &one_again, NULL), 0);
    assert_int_equal(job_clone(two, &two_again, NULL), 0);
    forget_journal();
    setenv("FLEETSNAP_CRASH", "commit.after", 1);
    assert_true(WIFSIGNALED(in_child(delete_one, one)));
    unsetenv("FLEETSNAP_CRASH");
    end_commit();
    assert_int_equal(in_child(recover_it, one_again), 0);
    forget_journal();
    setenv("FLEETSNAP_CRASH", "pivot.before", 1);
    assert_true(WIFSIGNALED(in_child(run_it, two)));
    unsetenv("FLEETSNAP_CRASH");
    end_commit();
    assert_int_equal(in_child_then(recover_the_defined, back_up_rightly, two_again), 0);
    job_free(one);
    job_free(one_again);
    job_free(two);
    job_free(two_again);
}

/* ---- a snapshot that nobody noted: QEMU has gone over to the overlays, and who told it died before its note ---- */

/* The overlay that a plan has made for that disk. */
static void overlay_of(const char *disk, char out[PATH_MAX])
{
    char pattern[PATH_MAX + 80], folder[PATH_MAX];
    glob_t found;

    rig_disk(&rig, "", folder);
    snprintf(pattern, sizeof pattern, "%s*.%.40s.fs-*", folder, disk);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    assert_int_equal(found.gl_pathc, 1);
    snprintf(out, PATH_MAX, "%s", found.gl_pathv[0]);
    globfree(&found);
}

/* What its daemon does for one disk, up to the note. */
static void go_over(struct monitor *monitor, xmlDocPtr note, int disk, int number)
{
    char path[200], file[PATH_MAX], text[PATH_MAX + 300];

    snprintf(path, sizeof path, "/domstatus/domain/devices/disk[%d]/target/@dev", disk);
    CLEANUP(freep) char *name = xml_get(note, path);
    snprintf(path, sizeof path,
             "/domstatus/domain/devices/disk[%d]/source/privateData/nodenames/nodename[@type='format']/@name", disk);
    CLEANUP(freep) char *node = xml_get(note, path);
    assert_true(name && node);
    overlay_of(name, file);
    snprintf(text, sizeof text, "{\"driver\":\"file\",\"filename\":\"%s\",\"node-name\":\"libvirt-%d-storage\"}", file,
             number);
    tell_qemu(monitor, "blockdev-add", text);
    snprintf(
        text, sizeof text,
        "{\"driver\":\"qcow2\",\"file\":\"libvirt-%d-storage\",\"node-name\":\"libvirt-%d-format\",\"backing\":null}",
        number, number);
    tell_qemu(monitor, "blockdev-add", text);
    snprintf(
        text, sizeof text,
        "{\"actions\":[{\"type\":\"blockdev-snapshot\",\"data\":{\"node\":\"%s\",\"overlay\":\"libvirt-%d-format\"}}]}",
        node, number);
    tell_qemu(monitor, "transaction", text);
}

static void take_snapshot(void)
{
    CLEANUP(monitor_closep) struct monitor *monitor = ask_qemu();
    CLEANUP(xml_freep) xmlDocPtr note = NULL;
    char path[PATH_MAX], *text = read_status(path);

    assert_int_equal(xml_parse(text, "status", &note, NULL), 0);
    free(text);
    CLEANUP(freep) char *counter = xml_get(note, "/domstatus/nodename/@index");
    assert_non_null(counter);
    for (int disk = 1; disk <= 2; disk++)
        go_over(monitor, note, disk, atoi(counter) + disk);
    change_status("  <blockjobs", "<blockjobs",
                  "  <job type='none' async='snapshot' phase='none' flags='0x0' asyncStarted='1'/>\n  <blockjobs");
}

/* libvirt, QEMU and the definition name the overlays, and there is one snapshot; when it is deleted all is as before. */
static void check_snapshot(struct job *job)
{
    char *live = virDomainGetXMLDesc(rig.domain, 0), *defined = virDomainGetXMLDesc(rig.domain, VIR_DOMAIN_XML_INACTIVE);

    DEMAND(live && defined && strstr(live, ".vda.fs-") && strstr(defined, ".vda.fs-") && strstr(defined, ".vdb.fs-"));
    DEMAND(virDomainSnapshotNum(rig.domain, 0) == 1);
    free(live);
    free(defined);
    rig_write(&rig, "vda", 0x63, "3M", "1M");
    run_it(snapshot(OP_SNAPSHOT_DELETE, "taken"));
    check_one_disk(job);
}

/* Seen when a worker died 10 ms into the call: its next one took the overlay, which the guest wrote, for a file that nobody uses. */
static void test_a_snapshot_that_was_taken_unseen_is_noted(void **state)
{
    struct job *job = snapshot(OP_SNAPSHOT_CREATE, "taken"), *again = NULL;

    (void)state;
    assert_int_equal(job_clone(job, &again, NULL), 0);
    forget_journal();
    setenv("FLEETSNAP_CRASH", "effect.before:snapshot", 1);
    assert_true(WIFSIGNALED(in_child(run_it, job)));
    unsetenv("FLEETSNAP_CRASH");
    take_snapshot();
    assert_int_equal(in_child_then(recover_it, check_snapshot, again), 0);
    job_free(job);
    job_free(again);
}

/* QEMU was told and has begun, and libvirt has noted nothing of it: neither the backup, nor its block jobs, nor the checkpoint. */
static void lose_begin(const struct job *job)
{
    char path[PATH_MAX];

    change_status("  <blockjobs", "</blockjobs>", "  <blockjobs active='no'/>");
    change_status("  <backups", "</backups>", "");
    snprintf(path, sizeof path, "%s/vm/lib/qemu/checkpoint/%s/fs-%s.xml", rig.root, rig.name, job->job_id);
    assert_int_equal(unlink(path), 0);
}

/* So much that the push still runs when the worker dies. */
static void write_much(struct job *job)
{
    (void)job;
    rig_write(&rig, "vda", 0x44, "64M", "384M");
}

/* The worker dies right after it has begun a backup; false: the push was over already. */
static bool die_in_push(struct job *job)
{
    assert_int_equal(in_child(write_much, NULL), 0);
    forget_journal();
    snprintf(rig.crash_step, sizeof rig.crash_step, "backup-begin");
    rig.crash_when = CRASH_BEFORE_DONE;
    rig.rate_limit = 1 << 20;
    assert_true(WIFSIGNALED(in_child(run_it, job)));
    rig.crash_step[0] = '\0';
    rig.rate_limit = 0;
    return status_has("<blockjobs") && status_has("<backups");
}

static void test_what_qemu_began_alone_is_ended(void **state)
{
    bool pushing = false;

    (void)state;
    for (int attempt = 0; attempt < 5 && !pushing;
         attempt++) { /* no limit can be set before it runs: QEMU may be quicker */
        struct job *job = backup(BACKUP_FULL), *again = NULL;

        assert_int_equal(job_clone(job, &again, NULL), 0);
        pushing = die_in_push(job);
        if (pushing)
            lose_begin(job);
        assert_int_equal(in_child_then(recover_it, check_backup, again), 0);
        job_free(job);
        job_free(again);
    }
    assert_true(pushing);
}

static void test_full_prunes(void **state)
{
    (void)state;
    for (int when = next_kind(-1); when < CRASH_KINDS; when = next_kind(when))
        job_free(crash_and_recover(backup(BACKUP_FULL), "prune", when, check_backup));
}

static void test_restore(void **state)
{
    static const char *const steps[] = {"restore-folder", "restore-disk", "restore-define", "restore-start"};

    (void)state;
    new_base();
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        for (int when = next_kind(-1); when < CRASH_KINDS; when = next_kind(when))
            job_free(crash_and_recover(restore(false), steps[i], when, check_restored));
}

static void test_restore_in_place(void **state)
{
    static const char *const steps[] = {"restore-disk", "restore-stop", "remember", "restore-swap", "moments", "keep"};

    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        for (int when = next_kind(-1); when < CRASH_KINDS; when = next_kind(when))
            job_free(crash_and_recover(restore(true), steps[i], when, check_in_place));
}

static void test_delete(void **state)
{
    static const char *const steps[] = {"delete-mark", "delete-files", "delete-checkpoint"};

    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        for (int when = next_kind(-1); when < CRASH_KINDS; when = next_kind(when)) {
            struct job *made = backup(BACKUP_FULL), *job = rig_job(&rig, OP_BACKUP_DELETE);

            ((struct params_backup_delete *)job->params)->point = strdup(made->job_id);
            assert_int_equal(in_child(run_it, made), 0);
            job_free(crash_and_recover(job, steps[i], when, check_deleted));
            job_free(made);
        }
}

/* ---- merge: in a chain one after another goes, and what is left holds what it held. No libvirt is needed, as if the machine were gone ---- */

static const char *const merge_places[] = {"merge-disk",           "merge-swap",        "merge.after:name",
                                           "merge.after:exchange", "merge.after:write", "merge.after:shorten",
                                           "merge.after:remove"};
enum { LINKS = 2 * CRASH_KINDS + 5 + 2 }; /* one for each death, and two that stay */

static char links[LINKS][37]; /* each on the one before, the first on the base */
static size_t merged;

static void stored(const char *id, char out[PATH_MAX])
{
    struct restore_point point;

    rig_manifest(&rig, id, &point);
    snprintf(out, PATH_MAX, "%s/%s/%s/%s/vda.qcow2", rig.repository, rig.uuid, point.chain, id);
    restore_point_clear(&point);
}

static void make_links(struct job *job)
{
    char file[PATH_MAX], command[2 * PATH_MAX];

    (void)job;
    for (size_t i = 0; i < LINKS; i++) {
        struct job *incremental;
        char offset[16];

        snprintf(offset, sizeof offset, "%zuM", 3 + i / 2); /* some overwrites what the one before has */
        rig_write(&rig, "vda", (int)i + 1, offset, "192k");
        incremental = backup(BACKUP_INCREMENTAL);
        string_set(&incremental->job_id, links[i], NULL);
        run_it(incremental);
        stored(links[i], file);
        snprintf(command, sizeof command, "qemu-img convert -O qcow2 %s %s/content.%zu", file, rig.root, i);
        DEMAND(system(command) == 0);
    }
}

static void assert_link(size_t index, const char *parent, int64_t length)
{
    struct restore_point point;
    char file[PATH_MAX], kept[PATH_MAX];

    rig_manifest(&rig, links[index], &point);
    DEMAND(point.parent && strcmp(point.parent, parent) == 0);
    DEMAND(point.chain_length == length);
    restore_point_clear(&point);
    stored(links[index], file);
    snprintf(kept, sizeof kept, "%s/content.%zu", rig.root, index);
    DEMAND(rig_same(kept, "qcow2", file, "qcow2"));
}

static struct job *of_the_repository(struct job *job)
{
    string_set(&job->target.kind, "repository", NULL);
    string_set(&job->target.id, rig.repository_id, NULL);
    return job;
}

static void check_merged(struct job *job)
{
    struct job *verify = of_the_repository(rig_job(&rig, OP_BACKUP_VERIFY));
    struct params_backup_verify *params = verify->params;
    char command[256];

    check_deleted(job);
    snprintf(command, sizeof command, "find %s -name '*.merged*' -o -name '*.link' | grep -q .", rig.repository);
    DEMAND(system(command) != 0);
    assert_link(merged + 1, base_point, 2);
    assert_link(LINKS - 1, links[LINKS - 2], (int64_t)(LINKS - merged));
    params->point = strdup(links[LINKS - 1]);
    params->depth = VERIFY_CHECKSUM; /* what the manifests say of the files */
    run_it(verify);
}

/* The next one goes; the worker dies at that place on the way. */
static void merge_and_die(const char *place, int when)
{
    struct job *job = of_the_repository(rig_job(&rig, OP_BACKUP_DELETE));
    struct params_backup_delete *params = job->params;

    params->point = strdup(links[merged]);
    params->merge = true;
    job_free(crash_and_recover(job, place, when, check_merged));
    merged++;
}

static void test_merge(void **state)
{
    (void)state;
    new_base();
    for (size_t i = 0; i < LINKS; i++)
        uuid_random(links[i]);
    assert_int_equal(in_child(make_links, NULL), 0);
    offline = true;
    for (size_t i = 0; i < sizeof merge_places / sizeof *merge_places; i++)
        if (strchr(merge_places[i], ':'))
            merge_and_die(merge_places[i], CRASH_KINDS);
        else
            for (int when = 0; when < CRASH_KINDS; when++)
                merge_and_die(merge_places[i], when);
    assert_int_equal(merged, LINKS - 2);
    offline = false;
}

static struct job *boot(void)
{
    struct job *job = rig_job(&rig, OP_BACKUP_VERIFY);
    struct params_backup_verify *params = job->params;

    params->point = strdup(base_point);
    params->depth = VERIFY_BOOT;
    params->console = strdup(RIG_SAYS);
    params->timeout_ms = 45000;
    return job;
}

/* Found good by the job, once; and no copy is left. */
static void check_booted(struct job *job)
{
    struct restore_point point;
    char folder[PATH_MAX], name[BOOT_NAME];
    int count = 0;

    check_clean(job);
    rig_manifest(&rig, base_point, &point);
    for (size_t i = 0; i < point.verified.count; i++) {
        const struct point_verification *each = list_at(&point.verified, struct point_verification, i);

        DEMAND(each->ok);
        count += each->job_id && strcmp(each->job_id, job->job_id) == 0;
    }
    restore_point_clear(&point);
    DEMAND(count == 1);
    DEMAND(!virDomainLookupByUUIDString(rig.connection, job->job_id));
    snprintf(folder, sizeof folder, "%s/%s", rig.pools.items[0], boot_copy_name(job->job_id, name));
    DEMAND(!file_exists(folder));
}

static void test_boot(void **state)
{
    static const char *const steps[] = {"restore-folder", "restore-disk", "verify-boot"};

    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        for (int when = next_kind(-1); when < CRASH_KINDS; when = next_kind(when))
            job_free(crash_and_recover(boot(), steps[i], when, check_booted));
    job_free(crash_and_recover(boot(), "verify-boot", CRASH_AFTER_DONE, check_booted));
}

static void test_off(void **state)
{
    (void)state;
    assert_int_equal(in_child(power_off, NULL), 0);
    for (int when = next_kind(-1); when < CRASH_KINDS; when = next_kind(when))
        job_free(crash_and_recover(backup(BACKUP_FULL), "convert", when, check_backup));
}

static int set_up(void **state)
{
    (void)state;
    rig_prepare(&rig, "web-1");
    rig_boot_sector(&rig);
    if (in_child(power_on, NULL) != 0)
        return -1;
    new_base();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_connect(&rig);
    rig_stop(&rig);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_incremental),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_full_prunes),
        cmocka_unit_test(test_restore),
        cmocka_unit_test(test_place_of_a_lost_begin_is_given_back),
        cmocka_unit_test(test_what_qemu_began_alone_is_ended),
        cmocka_unit_test(test_a_commit_that_is_half_noted_is_ended),
        cmocka_unit_test(test_a_commit_that_ended_unseen_is_noted),
        cmocka_unit_test(test_a_snapshot_that_was_taken_unseen_is_noted),
        cmocka_unit_test(test_restore_in_place),
        cmocka_unit_test(test_delete),
        cmocka_unit_test(test_boot),
        cmocka_unit_test(test_off),
    };

    if (!rig_possible()) {
        fprintf(stderr, "skipped: needs root and qemu-system-x86_64\n");
        return 0;
    }
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("libvirt backup, killed", tests, set_up, tear_down);
}
