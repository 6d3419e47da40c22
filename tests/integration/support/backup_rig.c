#include "backup_rig.h"
#include "fake/runner_env.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/process.h"
#include "base/text.h"
#include "base/uuid.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/export.h"
#include "worker/backends/libvirt/libvirt.h"
#include "worker/backends/libvirt/steps/steps.h"
#include "worker/backends/libvirt/verbs/verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libvirt/libvirt-qemu.h>
#include <linux/fs.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- the backend: only what is tested here, so that the test does not depend on the rest ---- */

static const struct verb verbs[] = {
    {OP_BACKUP_CREATE, plan_backup_create, report_backup_create},
    {OP_BACKUP_RESTORE, plan_backup_restore, report_backup_restore},
    {OP_BACKUP_VERIFY, plan_backup_verify, report_backup_verify},
    {OP_BACKUP_DELETE, plan_backup_delete, report_backup_delete},
    {OP_SNAPSHOT_CREATE, plan_snapshot_create, report_snapshot_create},
    {OP_SNAPSHOT_DELETE, plan_snapshot_delete, report_snapshot_delete},
    {OP_TARGET_RETIRE, plan_target_retire, report_target_retire},
    {OP_TARGET_EXPORT, plan_target_export, NULL},
    {OP_NONE, NULL, NULL},
};
static const struct step_type *const steps[] = {SNAPSHOT_STEPS, BACKUP_STEPS, EXPORT_STEPS, NULL};

static const struct backend_ops ops = {.kind = "libvirt", .verbs = verbs, .steps = steps, .only_here = true};

/* ---- the journal: two files, so that another process can go on ---- */

static char *journal_path(const struct rig *rig, const char *name, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/%s", rig->root, name);
    return out;
}

static int save_plan(void *context, const char *plan_json, struct err *err)
{
    struct rig *rig = context;
    char path[PATH_MAX];

    free(rig->plan);
    rig->plan = strdup(plan_json);
    if (!rig->plan || file_remove(journal_path(rig, "steps", path), err) < 0)
        return -1;
    return file_write_atomic(journal_path(rig, "plan", path), plan_json, strlen(plan_json), 0600, err);
}

static bool crashes_here(struct rig *rig, const struct step_change *changes, size_t count, int done_when,
                         int intent_when)
{
    struct plan plan = {0};
    bool here = false;

    if (!rig->crash_step[0] || plan_from_json(rig->plan, &ops, &plan, NULL) < 0)
        return false;
    for (size_t i = 0; i < count; i++) {
        bool named = strcmp(plan.steps[changes[i].index].type->name, rig->crash_step) == 0;
        bool done = changes[i].state == STEP_DONE || changes[i].state == STEP_PAID;

        here = here || (named && done && rig->crash_when == done_when) ||
               (named && changes[i].state == STEP_INTENT && rig->crash_when == intent_when);
    }
    plan_clear(&plan);
    return here;
}

/*
 * libvirt 9 inside this process dies with it. Killed within the milliseconds in which it takes in the end of one of several block jobs, it forgets that end for ever
 * (the push step gives such a job up after a while, and libvirt may then refuse the next one for 30 s). That is libvirt's to repair: here it gets time to finish the thought.
 */
static void die(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    raise(SIGKILL);
}

static int save_steps(void *context, const struct step_change *changes, size_t count, struct err *err)
{
    struct rig *rig = context;
    char path[PATH_MAX];
    FILE *file;

    if (crashes_here(rig, changes, count, CRASH_BEFORE_DONE, CRASH_BEFORE_INTENT))
        die();
    file = fopen(journal_path(rig, "steps", path), "a");
    if (!file)
        return err_errno(err, errno, path);
    for (size_t i = 0; i < count; i++) {
        CLEANUP(freep) char *facts = NULL;

        if (changes[i].facts && facts_to_json(changes[i].facts, &facts, err) < 0)
            return -1;
        fprintf(file, "%zu %d %s\n", changes[i].index, (int)changes[i].state, facts ? facts : "{}");
    }
    fclose(file);
    if (crashes_here(rig, changes, count, CRASH_AFTER_DONE, CRASH_AFTER_INTENT))
        die();
    return 0;
}

/* ---- surroundings: what is not here says yes ---- */

void rig_fill_repository(struct rig *rig)
{
    char path[PATH_MAX], block[65536] = {0};
    FILE *file;

    snprintf(path, sizeof path, "%s/filler", rig->small);
    file = fopen(path, "w");
    assert_non_null(file);
    setbuf(file, NULL);
    while (fwrite(block, sizeof block, 1, file) == 1)
        ;
    fclose(file);
}

static void phase(void *context, const char *name)
{
    struct rig *rig = context;

    if (getenv("RIG_VERBOSE"))
        fprintf(stderr, "  %s\n", name);
    if (rig->fill_at_phase && strcmp(name, rig->fill_at_phase) == 0)
        rig_fill_repository(rig);
    if (rig->cancel_at_phase && strcmp(name, rig->cancel_at_phase) == 0)
        rig->cancelled = true;
    if (rig->on_phase)
        rig->on_phase(rig, name);
}

static bool cancelled(void *context)
{
    return ((struct rig *)context)->cancelled;
}

static int64_t rate_limit(void *context)
{
    return ((struct rig *)context)->rate_limit;
}

static void progress(void *context, int64_t done, int64_t total)
{
    struct rig *rig = context;

    if (rig->on_progress)
        rig->on_progress(rig, done, total);
}

static void hear(void *context, const struct facts *facts)
{
    struct rig *rig = context;

    if (rig->on_tell)
        rig->on_tell(rig, facts);
}

static bool told_to_end(void *context)
{
    return ((struct rig *)context)->told_to_end;
}

static struct runner_env environment(struct rig *rig)
{
    struct runner_env env = fake_runner_env;

    env.context = rig;
    env.save_plan = save_plan;
    env.save_steps = save_steps;
    env.phase = phase;
    env.cancelled = cancelled;
    env.rate_limit = rate_limit;
    env.progress = progress;
    env.tell = hear;
    env.told_to_end = told_to_end;
    env.pause = NULL;
    return env;
}

/* ---- the host ---- */

bool rig_possible(void)
{
    return geteuid() == 0 && access("/usr/bin/qemu-system-x86_64", X_OK) == 0;
}

/* libvirt asks QEMU anew, seconds each time, while the user of QEMU may not open /dev/kvm: in a mount namespace of our own it may. */
static void open_kvm(const char *root)
{
    char node[PATH_MAX];

    if (access("/dev/kvm", F_OK) != 0 || unshare(CLONE_NEWNS) < 0)
        return;
    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    snprintf(node, sizeof node, "%s/kvm", root);
    if (mknod(node, S_IFCHR | 0666, makedev(10, 232)) == 0 && chmod(node, 0666) == 0)
        mount(node, "/dev/kvm", NULL, MS_BIND, NULL);
}

static void write_text(const char *root, const char *name, const char *text)
{
    char path[PATH_MAX];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", root, name);
    file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

char *rig_disk(struct rig *rig, const char *file, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/disks/%s", rig->root, file);
    return out;
}

static void tool(const char *const argv[])
{
    struct err err = {0};

    if (process_run(argv, &(struct process_options){.inherit_fd = -1}, NULL, NULL, &err) < 0)
        fail_msg("%s: %s", argv[0], err.text);
}

static void make_disk(struct rig *rig, const char *file, const char *format, const char *size, const char *write)
{
    char path[PATH_MAX];

    rig_disk(rig, file, path);
    tool((const char *[]){"qemu-img", "create", "-q", "-f", format, path, size, NULL});
    tool((const char *[]){"qemu-io", "-f", format, "-c", write, path, NULL});
}

static void define(struct rig *rig, const char *name)
{
    struct text xml = {0};

    text_addf(&xml,
              "<domain type='qemu'><name>%s</name><uuid>%s</uuid><memory unit='MiB'>32</memory><vcpu>1</vcpu>"
              "<os><type arch='x86_64' machine='pc'>hvm</type></os><cpu mode='maximum'/><devices>",
              name, rig->uuid);
    for (int i = 0; i < 3; i++)
        text_addf(&xml,
                  "<disk type='file' device='disk'><driver name='qemu' type='%s' discard='unmap' error_policy='%s'/>"
                  "<source file='%s/disks/vd%c.img'/><target dev='vd%c' bus='virtio'/></disk>",
                  i == 2 ? "raw" : "qcow2", rig->error_policy ? rig->error_policy : "enospace", rig->root, 'a' + i,
                  'a' + i);
    text_add(&xml, "<disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>"
                   "</devices></domain>");
    rig->domain = virDomainDefineXML(rig->connection, text_str(&xml));
    text_free(&xml);
    if (!rig->domain)
        fail_msg("define: %s", virGetLastErrorMessage());
}

void rig_redefine(struct rig *rig)
{
    virDomainFree(rig->domain);
    define(rig, rig->name);
}

void rig_offline(struct rig *rig)
{
    struct libvirt_backend *backend = calloc(1, sizeof *backend);

    backend->base = (struct backend){&ops, &rig->config};
    rig->backend = &backend->base;
}

void rig_configure(struct rig *rig, const char *lines)
{
    char path[PATH_MAX];
    FILE *file;

    snprintf(path, sizeof path, "%s/vm/etc/qemu.conf", rig->root);
    file = fopen(path, "ae");
    assert_non_null(file);
    fputs(lines, file);
    assert_int_equal(fclose(file), 0);
}

void rig_connect(struct rig *rig)
{
    struct libvirt_backend *backend;
    struct err err = {0};

    rig_offline(rig);
    backend = (struct libvirt_backend *)rig->backend;
    rig->connection = libvirt_open(rig->uri, &err);
    if (!rig->connection)
        fail_msg("%s", err.text);
    assert_int_equal(libvirt_connect(backend, &err), 0);
    rig->domain = virDomainLookupByName(rig->connection, rig->name);
    if (!rig->domain)
        define(rig, rig->name);
}

void rig_prepare(struct rig *rig, const char *name)
{
    struct err err = {0};

    *rig = (struct rig){0};
    snprintf(rig->name, sizeof rig->name, "%s", name);
    snprintf(rig->root, sizeof rig->root, "/tmp/fs-rig-XXXXXX");
    assert_non_null(mkdtemp(rig->root));
    chmod(rig->root, 0755);
    for (const char *const *folder = (const char *[]){"vm", "vm/etc", "disks", "pool", NULL}; *folder; folder++) {
        char path[PATH_MAX];

        snprintf(path, sizeof path, "%s/%s", rig->root, *folder);
        mkdir(path, 0755);
    }
    write_text(rig->root, "vm/etc/qemu.conf",
               "stdio_handler = \"file\"\nnamespaces = []\n"); /* no virtlogd; sees later mounts */
    open_kvm(rig->root);
    snprintf(rig->uri, sizeof rig->uri, "qemu:///embed?root=%s/vm", rig->root);
    snprintf(rig->repository, sizeof rig->repository, "%s/backups", rig->root);
    strings_add(&rig->repositories, rig->root, NULL);
    char pool[64];
    snprintf(pool, sizeof pool, "%s/pool", rig->root);
    strings_add(&rig->pools, pool, NULL);
    uuid_random(rig->uuid);
    uuid_random(rig->repository_id);
    rig->config = (struct backend_config){.host = "rig",
                                          .libvirt_uri = rig->uri,
                                          .state_directory = rig->root,
                                          .pools = &rig->pools,
                                          .repositories = &rig->repositories,
                                          .agent_timeout_ms = 2000,
                                          .frozen_limit_ms = 5000};
    assert_int_equal(repository_init(rig->repository, rig->repository_id, "rig", 1, &err), 0);
    make_disk(rig, "vda.img", "qcow2", "512M", "write -P 0x11 0 8M");
    make_disk(rig, "vdb.img", "qcow2", "256M", "write -P 0x22 4M 1M");
    make_disk(rig, "vdc.img", "raw", "16M", "write -P 0x33 1M 1M");
}

void rig_start(struct rig *rig, const char *name)
{
    rig_prepare(rig, name);
    rig_connect(rig);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

void rig_stop(struct rig *rig)
{
    virDomainPtr *domains = NULL;
    int count = virConnectListAllDomains(rig->connection, &domains, 0);

    for (int i = 0; i < count; i++) {
        virDomainDestroy(domains[i]);
        virDomainFree(domains[i]);
    }
    free(domains);
    domain_freep(&rig->domain);
    virConnectClose(((struct libvirt_backend *)rig->backend)->connection);
    virConnectClose(rig->connection);
    free(rig->backend);
    free(rig->plan);
    strings_clear(&rig->pools);
    strings_clear(&rig->repositories);
    umount2("/dev/kvm", MNT_DETACH);
    rig_drop_small_repository(rig); /* of a test that failed */
    if (!getenv("RIG_KEEP"))
        nftw(rig->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void rig_power(struct rig *rig, bool on)
{
    int failed = on ? virDomainCreate(rig->domain) : virDomainDestroyFlags(rig->domain, VIR_DOMAIN_DESTROY_GRACEFUL);

    if (failed)
        fail_msg("power: %s", virGetLastErrorMessage());
}

void rig_write(struct rig *rig, const char *disk, int pattern, const char *offset, const char *bytes)
{
    char command[256];
    char *answer = NULL;
    int number = disk[2] - 'a';

    snprintf(command, sizeof command,
             "qemu-io -d /machine/peripheral/virtio-disk%d/virtio-backend \"write -P %d %s %s\"", number, pattern,
             offset, bytes);
    if (virDomainQemuMonitorCommand(rig->domain, command, &answer, VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP) < 0)
        fail_msg("%s: %s", command, virGetLastErrorMessage());
    if (answer && strstr(answer, "rror"))
        fail_msg("%s: %s", command, answer);
    free(answer);
}

/* xor ax,ax; mov ds,ax; mov dx,3f8h; mov si,7c18h; next: lodsb; test al,al; jz end; out dx,al; jmp next; end: hlt; jmp end */
static const unsigned char sector[] =
    "\x31\xc0\x8e\xd8\xba\xf8\x03\xbe\x18\x7c\xac\x84\xc0\x74\x03\xee\xeb\xf8\xf4\xeb\xfd\x90\x90\x90" RIG_SAYS "\r\n";

/* What it writes is itself. sti; next: hlt; int 13h, extended write of the packet at 7c31h; its block += 16, from 100000h on e0000h again; jmp next */
static const unsigned char writer[] =
    "\x31\xc0\x8e\xd8\x8e\xd0\xbc\x00\x7c\xfb\xf4\xbe\x31\x7c\xb2\x80\xb8\x00\x43\xcd\x13\x66\x83\x06"
    "\x39\x7c\x10\x66\x81\x3e\x39\x7c\x00\x00\x10\x00\x72\xe4\x66\xc7\x06\x39\x7c\x00\x00\x0e\x00\xeb"
    "\xd9\x10\x00\x10\x00\x00\x7c\x00\x00\x00\x00\x0e\x00\x00\x00\x00\x00";

static void boot_with(struct rig *rig, const unsigned char *program, size_t size)
{
    char path[PATH_MAX], disk[PATH_MAX], command[PATH_MAX + 32];
    unsigned char whole[512] = {0};
    const char *argv[] = {"qemu-io", "-c", command, rig_disk(rig, "vda.img", disk), NULL};
    struct process_options options = {.inherit_fd = -1};
    struct err err = {0};
    FILE *file;

    memcpy(whole, program, size);
    whole[510] = 0x55;
    whole[511] = 0xaa;
    snprintf(path, sizeof path, "%s/sector", rig->root);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(whole, sizeof whole, 1, file), 1);
    assert_int_equal(fclose(file), 0);
    snprintf(command, sizeof command, "write -s %s 0 512", path);
    if (process_run(argv, &options, NULL, NULL, &err) < 0)
        fail_msg("%s", err.text);
}

void rig_boot_sector(struct rig *rig)
{
    boot_with(rig, sector, sizeof sector);
}

void rig_boot_writer(struct rig *rig)
{
    boot_with(rig, writer, sizeof writer);
}

static long long writes(struct rig *rig)
{
    virDomainBlockStatsStruct stats;

    if (virDomainBlockStats(rig->domain, "vda", &stats, sizeof stats) < 0)
        fail_msg("%s", virGetLastErrorMessage());
    return stats.wr_req;
}

void rig_wait_for_writes(struct rig *rig, int count)
{
    long long before = writes(rig);

    for (int64_t until = clock_monotonic_ms() + 60000; writes(rig) < before + count;) {
        assert_true(clock_monotonic_ms() < until);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
}

/* Each block of 8 KiB holds, at 39h, the number of the sector that it was written to. */
void rig_check_writes(struct rig *rig)
{
    enum { FROM = 448 << 20, BLOCK = 8192, NUMBER = 0x39, SECTOR = 512 };
    char copy[PATH_MAX], disk[PATH_MAX];
    bool over = false;
    uint32_t number;

    snprintf(copy, sizeof copy, "%s/written.raw", rig->root);
    tool((const char *[]){"qemu-img", "convert", "-U", "-f", "qcow2", "-O", "raw", rig_disk(rig, "vda.img", disk), copy,
                          NULL});
    int fd = open(copy, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    for (off_t at = FROM; pread(fd, &number, sizeof number, at + NUMBER) == sizeof number; at += BLOCK) {
        if (number != 0 && (over || number != at / SECTOR))
            fail_msg("at %lld: sector %u, %s", (long long)at, number, over ? "behind a gap" : "of somewhere else");
        over = over || number == 0;
    }
    close(fd);
    unlink(copy);
}

static void *watch(void *context)
{
    struct rig *rig = context;

    while (rig->watched) {
        virDomainStatsRecordPtr *records = NULL;

        if (virConnectGetAllDomainStats(rig->connection, VIR_DOMAIN_STATS_BLOCK, &records, 0) > 0)
            virDomainStatsRecordListFree(records);
    }
    return NULL;
}

void rig_watched(struct rig *rig, bool watched)
{
    rig->watched = watched;
    if (watched)
        assert_int_equal(pthread_create(&rig->watcher, NULL, watch, rig), 0);
    else
        pthread_join(rig->watcher, NULL);
}

void rig_kill_qemu(struct rig *rig)
{
    char path[PATH_MAX];
    FILE *file;
    int pid = 0;

    snprintf(path, sizeof path, "%s/vm/run/qemu/%s.pid", rig->root, virDomainGetName(rig->domain));
    file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d", &pid), 1);
    fclose(file);
    assert_int_equal(kill(pid, SIGKILL), 0);
    for (int64_t until = clock_monotonic_ms() + 60000; virDomainIsActive(rig->domain) == 1;) {
        assert_true(clock_monotonic_ms() < until);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
}

void rig_forget_checkpoints(struct rig *rig)
{
    virDomainCheckpointPtr *items = NULL;
    int count = virDomainListAllCheckpoints(rig->domain, &items, 0);

    for (int i = 0; i < count; i++) {
        assert_int_equal(virDomainCheckpointDelete(items[i], VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY), 0);
        virDomainCheckpointFree(items[i]);
    }
    free(items);
}

void rig_small_repository(struct rig *rig, int mib)
{
    char options[64];
    struct err err = {0};

    snprintf(rig->small, sizeof rig->small, "%s/small", rig->root);
    snprintf(options, sizeof options, "size=%dM,mode=0755", mib);
    mkdir(rig->small, 0755);
    assert_int_equal(mount("rig", rig->small, "tmpfs", 0, options), 0);
    if (repository_init(rig->small, rig->repository_id, "rig", 10, &err) < 0)
        fail_msg("%s", err.text);
}

void rig_disk_repository(struct rig *rig)
{
    char image[PATH_MAX];
    struct err err = {0};

    snprintf(rig->small, sizeof rig->small, "%s/small", rig->root);
    snprintf(image, sizeof image, "%s/small.img", rig->root);
    mkdir(rig->small, 0755);
    tool((const char *[]){"qemu-img", "create", "-q", "-f", "raw", image, "1G", NULL});
    tool((const char *[]){"mkfs.ext4", "-q", "-F", image, NULL});
    tool((const char *[]){"mount", "-o", "loop", image, rig->small, NULL});
    if (repository_init(rig->small, rig->repository_id, "rig", 10, &err) < 0)
        fail_msg("%s", err.text);
}

static void tell_file_system(struct rig *rig, unsigned long request, void *argument)
{
    int fd = open(rig->small, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(ioctl(fd, request, argument), 0);
    close(fd);
}

void rig_break_repository(struct rig *rig)
{
    uint32_t at_once = 2; /* nothing is written back */

    tell_file_system(rig, _IOR('X', 125, uint32_t), &at_once); /* EXT4_IOC_SHUTDOWN */
}

void rig_hang_repository(struct rig *rig, bool hang)
{
    int level = 0;

    tell_file_system(rig, hang ? FIFREEZE : FITHAW, &level);
}

void rig_drop_small_repository(struct rig *rig)
{
    if (rig->small[0])
        umount2(rig->small, MNT_DETACH);
}

/* ---- jobs ---- */

struct repository_ref *rig_repository(const struct rig *rig)
{
    struct repository_ref *ref = calloc(1, sizeof *ref);

    *ref = (struct repository_ref){strdup(rig->repository_id), strdup("rig"), strdup(rig->repository)};
    return ref;
}

struct job *rig_job(struct rig *rig, enum op op)
{
    const struct record_type *type = op_info(op)->params;
    struct job *job = calloc(1, sizeof *job);
    struct repository_ref *ref = NULL;
    char id[UUID_TEXT];

    uuid_random(id);
    if (op != OP_SNAPSHOT_CREATE && op != OP_SNAPSHOT_DELETE && op != OP_TARGET_RETIRE && op != OP_TARGET_EXPORT)
        ref = rig_repository(rig);
    job->job_id = strdup(id);
    job->op = (int)op;
    job->target = (struct target){strdup("libvirt"), strdup(rig->uuid), strdup("web-1")};
    job->host = strdup("rig");
    job->params = calloc(1, type->size);
    record_defaults(type, job->params);
    switch ((int)op) {
    case OP_BACKUP_CREATE: ((struct params_backup_create *)job->params)->repository = ref; break;
    case OP_BACKUP_RESTORE:
        ((struct params_backup_restore *)job->params)->repository = ref;
        ((struct params_backup_restore *)job->params)->source = strdup(rig->uuid);
        break;
    case OP_BACKUP_VERIFY: ((struct params_backup_verify *)job->params)->repository = ref; break;
    case OP_BACKUP_DELETE: ((struct params_backup_delete *)job->params)->repository = ref; break;
    case OP_SNAPSHOT_CREATE:
    case OP_SNAPSHOT_DELETE:
    case OP_TARGET_EXPORT:
    case OP_TARGET_RETIRE: break;
    default: fail_msg("no such operation here");
    }
    return job;
}

void rig_run(struct rig *rig, struct job *job, struct outcome *out)
{
    struct runner_env env = environment(rig);

    *out = (struct outcome){0};
    rig->cancelled = rig->told_to_end = false;
    if (getenv("RIG_VERBOSE"))
        fprintf(stderr, "%s %s\n", op_names[job->op], job->job_id);
    runner_run(&env, rig->backend, job, out);
    if (out->err.text[0] && getenv("RIG_VERBOSE"))
        fprintf(stderr, "  -> %s\n", out->err.text);
    job_free(job);
}

static void read_steps(struct rig *rig, struct journaled_plan *journaled)
{
    char path[PATH_MAX], line[65536];
    FILE *file = fopen(journal_path(rig, "steps", path), "r");

    while (file && fgets(line, sizeof line, file)) {
        char *rest;
        size_t index = strtoul(line, &rest, 10);
        struct journaled_step *step = &journaled->steps[index];

        step->state = (enum step_state)strtol(rest, &rest, 10);
        facts_clear(&step->facts);
        rest[strcspn(rest, "\n")] = '\0';
        facts_from_json(&step->facts, rest + 1, NULL);
    }
    if (file)
        fclose(file);
}

static bool read_journal(struct rig *rig, struct journaled_plan *out)
{
    CLEANUP(freep) char *json = NULL;
    char path[PATH_MAX];
    struct err err = {0};
    size_t len;

    if (file_read(journal_path(rig, "plan", path), 16 << 20, &json, &len, NULL) < 0)
        return false;
    rig->plan = strdup(json);
    if (plan_from_json(json, &ops, &out->plan, &err) < 0)
        fail_msg("%s", err.text);
    out->steps = calloc(out->plan.count + 1, sizeof *out->steps);
    read_steps(rig, out);
    return true;
}

void rig_recover(struct rig *rig, struct job *job, struct outcome *out)
{
    struct runner_env env = environment(rig);
    struct journaled_plan journaled = {0};

    *out = (struct outcome){.kind = OUTCOME_REPLAN};
    if (read_journal(rig, &journaled)) {
        do {
            outcome_clear(out);
            runner_recover(&env, rig->backend, job, RECOVERY_ON, &journaled, out);
        } while (out->kind == OUTCOME_AGAIN);
        journaled_plan_clear(&journaled);
    }
    if (out->kind == OUTCOME_REPLAN || out->kind == OUTCOME_RETRY) {
        outcome_clear(out);
        runner_run(&env, rig->backend, job, out);
    }
}

void rig_succeed(struct rig *rig, struct job *job, char id[37])
{
    struct outcome out;

    if (id)
        snprintf(id, 37, "%s", job->job_id);
    rig_run(rig, job, &out);
    if (out.kind != OUTCOME_ENDED || out.state != STATE_SUCCEEDED)
        fail_msg("outcome %d, state %d: %s", (int)out.kind, (int)out.state, out.err.text);
    outcome_clear(&out);
}

void rig_refused(struct rig *rig, struct job *job, const char *text)
{
    struct outcome out;

    rig_run(rig, job, &out);
    if (out.kind == OUTCOME_ENDED && out.state != STATE_FAILED)
        fail_msg("not refused: %s: %s", job_state_names[out.state], out.err.text);
    if (!strstr(out.err.text, text))
        fail_msg("\"%s\" is not in \"%s\"", text, out.err.text);
    outcome_clear(&out);
}

void rig_manifest(struct rig *rig, const char *id, struct restore_point *out)
{
    struct repository repository = {0};
    struct err err = {0};

    *out = (struct restore_point){0};
    assert_int_equal(repository_open(rig->repository, NULL, &repository, &err), 0);
    if (repository_find(&repository, rig->uuid, id, out, NULL, &err) < 0)
        fail_msg("%s", err.text);
    repository_clear(&repository);
}

bool rig_same(const char *left, const char *left_format, const char *right, const char *right_format)
{
    const char *argv[] = {"qemu-img", "compare", "-U", "-f", left_format, "-F", right_format, left, right, NULL};
    struct err err = {0};
    int status = -1;

    if (process_run(argv, &(struct process_options){.inherit_fd = -1}, NULL, &status, &err) < 0 || status > 1)
        fail_msg("compare %s %s: %d %s", left, right, status, err.text);
    return status == 0;
}

int rig_checkpoints(struct rig *rig)
{
    return virDomainListAllCheckpoints(rig->domain, NULL, 0);
}
