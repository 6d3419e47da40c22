#include "snapshot_rig.h"
#include "fake/runner_env.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/process.h"
#include "base/text.h"
#include "base/uuid.h"
#include "worker/backends/libvirt/libvirt.h"
#include "worker/backends/libvirt/snapshots.h"

#include <dirent.h>
#include <libvirt/libvirt-qemu.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- the runner's surroundings ---- */

static int save_plan(void *context, const char *plan_json, struct err *err)
{
    struct snap_rig *rig = context;

    free(rig->plan);
    rig->plan = strdup(plan_json);
    return rig->plan ? 0 : err_memory(err, "plan");
}

static int save_steps(void *context, const struct step_change *changes, size_t count, struct err *err)
{
    struct snap_rig *rig = context;

    if ((changes[0].state == STEP_DONE || changes[0].state == STEP_PAID) && ++rig->dones == rig->die_at) {
        rig->stopping = true;
        return err_set(err, ERR_RETRY, "dead");
    }
    for (size_t i = 0; i < count; i++) {
        rig->states[changes[i].index] = changes[i].state;
        facts_clear(&rig->facts[changes[i].index]);
        if (changes[i].facts)
            facts_copy(&rig->facts[changes[i].index], changes[i].facts, NULL);
    }
    return 0;
}

static void phase(void *context, const char *name)
{
    struct snap_rig *rig = context;

    if (getenv("RIG_VERBOSE"))
        fprintf(stderr, "  %s\n", name);
    if (strcmp(name, "plan") != 0 && ++rig->steps == rig->cancel_at)
        rig->cancelled = true;
}

static bool cancelled(void *context)
{
    return ((struct snap_rig *)context)->cancelled;
}

static bool stopping(void *context)
{
    return ((struct snap_rig *)context)->stopping;
}

static struct runner_env environment(struct snap_rig *rig)
{
    struct runner_env env = fake_runner_env;

    env.context = rig;
    env.save_plan = save_plan;
    env.save_steps = save_steps;
    env.phase = phase;
    env.cancelled = cancelled;
    env.stopping = stopping;
    env.pause = NULL;
    return env;
}

/* ---- the host ---- */

/* The domain without its disk vdc, or as backup_rig made it. */
static void define(struct snap_rig *rig, bool raw_disk)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    CLEANUP(freep) char *xml = NULL;

    assert_int_equal(xml_parse(rig->definition, "domain", &doc, NULL), 0);
    if (!raw_disk)
        xml_remove_all(xmlDocGetRootElement(doc), "devices/disk[target/@dev='vdc']");
    assert_int_equal(xml_format(doc, &xml, NULL), 0);
    rig->host.domain = virDomainDefineXML(rig->host.connection, xml);
    if (!rig->host.domain)
        fail_msg("%s", virGetLastErrorMessage());
}

static void remove_domain(struct snap_rig *rig)
{
    if (!rig->host.domain)
        return;
    if (virDomainIsActive(rig->host.domain) == 1)
        virDomainDestroy(rig->host.domain);
    if (virDomainUndefineFlags(rig->host.domain, VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
                                                     VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA |
                                                     VIR_DOMAIN_UNDEFINE_MANAGED_SAVE) < 0)
        fail_msg("%s", virGetLastErrorMessage());
    virDomainFree(rig->host.domain);
    rig->host.domain = NULL;
}

static void make_disks(struct snap_rig *rig)
{
    static const char *const files[] = {"vda.img", "vdb.img", "vdc.img"};
    char path[PATH_MAX];
    struct dirent *entry;
    DIR *dir;

    dir = opendir(rig_disk(&rig->host, ".", path));
    assert_non_null(dir);
    while ((entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
    for (int i = 0; i < 3; i++) {
        const char *argv[] = {
            "qemu-img", "create", "-q", "-f", i == 2 ? "raw" : "qcow2", rig_disk(&rig->host, files[i], path),
            "16M",      NULL};
        struct err err = {0};

        if (process_run(argv, &(struct process_options){.inherit_fd = -1}, NULL, NULL, &err) < 0)
            fail_msg("%s", err.text);
    }
}

void snap_open(struct snap_rig *rig)
{
    struct err err = {0};

    *rig = (struct snap_rig){0};
    rig_start(&rig->host, "web-1");
    rig->definition = virDomainGetXMLDesc(rig->host.domain, VIR_DOMAIN_XML_INACTIVE);
    assert_non_null(rig->definition);
    if (libvirt_backend_ops.open(&rig->host.config, &rig->backend, &err) < 0)
        fail_msg("%s", err.text);
}

void snap_start(struct snap_rig *rig, bool raw_disk)
{
    remove_domain(rig);
    make_disks(rig);
    define(rig, raw_disk);
    rig->cancel_at = rig->die_at = 0;
}

static void copy_guest(struct snap_rig *rig)
{
    char home[PATH_MAX];
    const char *build[] = {"env", home, SOURCE_DIR "/tests/guest/build", NULL};
    CLEANUP(freep) char *folder = NULL;
    char from[PATH_MAX], to[PATH_MAX];
    struct err err = {0};

    snprintf(home, sizeof home, "HOME=%s", getenv("HOME") ? getenv("HOME") : "/root");
    if (process_run(build, &(struct process_options){.inherit_fd = -1}, &folder, NULL, &err) < 0)
        fail_msg("%s", err.text);
    folder[strcspn(folder, "\n")] = '\0';
    for (const char *const *file = (const char *[]){"vmlinuz", "initrd", "disk.qcow2", NULL}; *file; file++) {
        snprintf(from, sizeof from, "%.4000s/%s", folder, *file);
        const char *copy[] = {"cp", from,
                              rig_disk(&rig->host, strcmp(*file, "disk.qcow2") == 0 ? "vda.img" : *file, to), NULL};

        if (process_run(copy, &(struct process_options){.inherit_fd = -1}, NULL, NULL, &err) < 0)
            fail_msg("%s", err.text);
    }
}

static void define_real(struct snap_rig *rig)
{
    struct text xml = {0};

    text_addf(
        &xml,
        "<domain type='qemu'><name>web-1</name><uuid>%s</uuid><memory unit='MiB'>192</memory><vcpu>1</vcpu><os><type arch='x86_64' machine='pc'>hvm</type>"
        "<kernel>%s/disks/vmlinuz</kernel><initrd>%s/disks/initrd</initrd><cmdline>console=ttyS0 quiet panic=-1 mitigations=off nokaslr cryptomgr.notests "
        "initcall_blacklist=load_system_certificate_list,init_blk_tracer</cmdline></os>"
        "<features><acpi/></features><cpu mode='maximum'/><devices><disk type='file' device='disk'><driver name='qemu' type='qcow2'/>"
        "<source file='%s/disks/vda.img'/><target dev='vda' bus='virtio'/></disk><controller type='usb' model='none'/>"
        "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel></devices></domain>",
        rig->host.uuid, rig->host.root, rig->host.root, rig->host.root);
    rig->host.domain = virDomainDefineXML(rig->host.connection, text_str(&xml));
    text_free(&xml);
    if (!rig->host.domain || virDomainCreate(rig->host.domain) < 0)
        fail_msg("%s", virGetLastErrorMessage());
}

void snap_start_real(struct snap_rig *rig)
{
    int64_t until = clock_monotonic_ms() + 180000; /* it boots in 3 s, without others beside it */

    remove_domain(rig);
    make_disks(rig);
    copy_guest(rig);
    define_real(rig);
    assert_int_equal(libvirt_connect((struct libvirt_backend *)rig->backend, NULL), 0);
    while (libvirt_agent((struct libvirt_backend *)rig->backend, rig->host.domain) != AGENT_ANSWERS)
        if (clock_monotonic_ms() > until)
            fail_msg("the guest's agent does not answer");
}

static void forget_journal(struct snap_rig *rig)
{
    rig->cancelled = rig->stopping = false;
    rig->steps = rig->dones = 0;
    for (size_t i = 0; i < 64; i++) {
        rig->states[i] = STEP_PLANNED;
        facts_clear(&rig->facts[i]);
    }
}

void snap_close(struct snap_rig *rig)
{
    free(rig->plan);
    free(rig->definition);
    forget_journal(rig);
    libvirt_backend_ops.close(rig->backend);
    rig_stop(&rig->host);
}

/* ---- jobs ---- */

static void set_name(struct job *job, const char *name)
{
    switch (job->op) {
    case OP_SNAPSHOT_CREATE: string_set(&((struct params_snapshot_create *)job->params)->name, name, NULL); break;
    case OP_SNAPSHOT_SHOW: string_set(&((struct params_snapshot_show *)job->params)->name, name, NULL); break;
    case OP_SNAPSHOT_REVERT: string_set(&((struct params_snapshot_revert *)job->params)->name, name, NULL); break;
    case OP_SNAPSHOT_DELETE: string_set(&((struct params_snapshot_delete *)job->params)->name, name, NULL); break;
    case OP_JOB_UNDO: string_set(&((struct params_job_undo *)job->params)->job, name, NULL); break;
    default: break;
    }
}

struct job *snap_job(struct snap_rig *rig, enum op op, const char *name)
{
    struct job *job = calloc(1, sizeof *job);
    char id[UUID_TEXT];

    uuid_random(id);
    job->job_id = strdup(id);
    job->op = (int)op;
    job->target = (struct target){strdup("libvirt"), strdup(rig->host.uuid), strdup("web-1")};
    job->host = strdup("rig");
    job->params = calloc(1, op_info(op)->params->size);
    record_defaults(op_info(op)->params, job->params);
    set_name(job, name);
    return job;
}

void snap_run(struct snap_rig *rig, struct job *job, struct outcome *out)
{
    struct runner_env env = environment(rig);

    forget_journal(rig);
    if (getenv("RIG_VERBOSE"))
        fprintf(stderr, "%s %s\n", op_names[job->op], job->job_id);
    *out = (struct outcome){0};
    runner_run(&env, rig->backend, job, out);
    if (out->err.text[0] && getenv("RIG_VERBOSE"))
        fprintf(stderr, "  -> %s\n", out->err.text);
}

void snap_recover(struct snap_rig *rig, struct job *job, struct outcome *out)
{
    struct runner_env env = environment(rig);
    struct journaled_plan plan = {0};
    struct err err = {0};

    rig->cancelled = rig->stopping = false;
    rig->cancel_at = rig->die_at = 0;
    if (plan_from_json(rig->plan, &libvirt_backend_ops, &plan.plan, &err) < 0)
        fail_msg("%s", err.text);
    plan.steps = calloc(plan.plan.count + 1, sizeof *plan.steps);
    for (size_t i = 0; i < plan.plan.count; i++) {
        plan.steps[i].state = rig->states[i];
        facts_copy(&plan.steps[i].facts, &rig->facts[i], NULL);
    }
    outcome_clear(out);
    runner_recover(&env, rig->backend, job, RECOVERY_ON, &plan, out);
    if (out->err.text[0] && getenv("RIG_VERBOSE"))
        fprintf(stderr, "  recovery -> %s\n", out->err.text);
    journaled_plan_clear(&plan);
}

bool snap_dies_at(struct snap_rig *rig, struct job *job, int n)
{
    struct outcome out = {0};
    bool died;

    rig->die_at = n;
    snap_run(rig, job, &out);
    died = out.kind == OUTCOME_LEFT;
    if (died)
        snap_recover(rig, job, &out);
    if (out.kind == OUTCOME_REPLAN) {
        rig->die_at = 0;
        outcome_clear(&out);
        snap_run(rig, job, &out);
    }
    if (out.kind != OUTCOME_ENDED || out.state != STATE_SUCCEEDED)
        fail_msg("%s, dead at %d: outcome %d, %s: %s", op_names[job->op], n, (int)out.kind, job_state_names[out.state],
                 out.err.text);
    outcome_clear(&out);
    job_free(job);
    rig->die_at = 0;
    return died;
}

bool snap_cancelled_at(struct snap_rig *rig, struct job *job, int n)
{
    struct outcome out = {0};
    bool over;

    rig->cancel_at = n;
    snap_run(rig, job, &out);
    over = out.kind == OUTCOME_ENDED && out.state == STATE_SUCCEEDED;
    if (!over && out.state != STATE_CANCELLED)
        fail_msg("%s, cancelled at %d: %s %s", op_names[job->op], n, job_state_names[out.state], out.err.text);
    outcome_clear(&out);
    job_free(job);
    rig->cancel_at = 0;
    return !over;
}

void snap_ok(struct snap_rig *rig, struct job *job, struct outcome *out)
{
    struct outcome own = {0};
    struct outcome *outcome = out ? out : &own;

    snap_run(rig, job, outcome);
    if (outcome->kind != OUTCOME_ENDED || outcome->state != STATE_SUCCEEDED)
        fail_msg("%s: outcome %d, state %s: %s (%s)", op_names[job->op], (int)outcome->kind,
                 job_state_names[outcome->state], outcome->err.text, outcome->err.hint);
    outcome_clear(&own);
    job_free(job);
}

void snap_refused(struct snap_rig *rig, struct job *job, enum err_kind kind, const char *text)
{
    struct outcome out;

    snap_run(rig, job, &out);
    if (out.kind == OUTCOME_ENDED && out.state != STATE_FAILED)
        fail_msg("%s: not refused: %s", op_names[job->op], job_state_names[out.state]);
    if (out.err.kind != kind || !strstr(out.err.text, text))
        fail_msg("wanted %s \"%s\", got %s \"%s\"", err_kind_name(kind), text, err_kind_name(out.err.kind),
                 out.err.text);
    outcome_clear(&out);
    job_free(job);
}

struct params_snapshot_create *snap_create_params(struct job *job)
{
    return job->params;
}

struct params_snapshot_revert *snap_revert_params(struct job *job)
{
    return job->params;
}

struct params_snapshot_delete *snap_delete_params(struct job *job)
{
    return job->params;
}

void snap_disk(struct job *job, const char *name, const char *mode, const char *file)
{
    struct list *disks = &snap_create_params(job)->disks;
    struct snapshot_disk *disk;

    disks->items = reallocarray(disks->items, disks->count + 1, sizeof *disk);
    assert_non_null(disks->items);
    disk = list_at(disks, struct snapshot_disk, disks->count++);
    *disk = (struct snapshot_disk){strdup(name), mode ? strdup(mode) : NULL, file ? strdup(file) : NULL, NULL};
}

/* ---- data ---- */

char *snap_source(struct snap_rig *rig, const char *disk)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    CLEANUP(domain_disks_clear) struct domain_disks disks = {0};

    assert_int_equal(libvirt_domain_xml(rig->host.domain, 0, &doc, NULL), 0);
    assert_int_equal(domain_disks_read(doc, &disks, NULL), 0);
    assert_non_null(domain_disks_find(&disks, disk));
    return strdup(domain_disks_find(&disks, disk)->source);
}

static char *read_log(struct snap_rig *rig)
{
    char path[PATH_MAX];
    char *text = NULL;
    size_t len;

    snprintf(path, sizeof path, "%s/vm/log/qemu/web-1.log", rig->host.root);
    return file_read(path, 64 << 20, &text, &len, NULL) < 0 ? strdup("") : text;
}

/* Through the monitor of a guest that is up; the answer goes to QEMU's own output, which is its log. */
static char *io_live(struct snap_rig *rig, const char *disk, const char *what)
{
    CLEANUP(freep) char *before = read_log(rig);
    CLEANUP(freep) char *answer = NULL;
    CLEANUP(freep) char *after = NULL;
    char command[256];

    snprintf(command, sizeof command, "qemu-io -d /machine/peripheral/virtio-disk%d/virtio-backend \"%s\"",
             disk[2] - 'a', what);
    if (virDomainQemuMonitorCommand(rig->host.domain, command, &answer, VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP) < 0)
        fail_msg("%s: %s", command, virGetLastErrorMessage());
    after = read_log(rig);
    return strdup(strlen(after) >= strlen(before) ? after + strlen(before) : after);
}

static char *io_off(struct snap_rig *rig, const char *disk, const char *what)
{
    CLEANUP(freep) char *source = snap_source(rig, disk);
    const char *argv[] = {"qemu-io", "-f", strcmp(disk, "vdc") == 0 && strstr(source, "vdc.img") ? "raw" : "qcow2",
                          "-c",      what, source,
                          NULL};
    char *answer = NULL;
    struct err err = {0};
    int status;

    if (process_run(argv, &(struct process_options){.inherit_fd = -1}, &answer, &status, &err) < 0)
        fail_msg("%s", err.text);
    return answer;
}

static void io(struct snap_rig *rig, const char *disk, const char *what, const char *when)
{
    CLEANUP(freep)
    char *answer = virDomainIsActive(rig->host.domain) == 1 ? io_live(rig, disk, what) : io_off(rig, disk, what);

    if (!answer || !strstr(answer, "bytes at offset") || strstr(answer, "failed"))
        fail_msg("%s of %s: %s: %s", when, disk, what, answer ? answer : "nothing");
}

void snap_write(struct snap_rig *rig, const char *disk, int pattern)
{
    char command[64];

    snprintf(command, sizeof command, "write -P %d 1M 64k", pattern);
    io(rig, disk, command, "write");
    if (virDomainIsActive(rig->host.domain) == 1)
        free(io_live(rig, disk, "flush"));
}

void snap_expect(struct snap_rig *rig, const char *disk, int pattern)
{
    char command[64];

    snprintf(command, sizeof command, "read -P %d 1M 64k", pattern);
    io(rig, disk, command, "content");
}

/* ---- looks ---- */

void snap_expect_state(struct snap_rig *rig, int wanted)
{
    int state, reason;

    assert_int_equal(virDomainGetState(rig->host.domain, &state, &reason, 0), 0);
    if (state != wanted)
        fail_msg("state is %s (%d), wanted %s", libvirt_state_name(state), reason, libvirt_state_name(wanted));
}

void snap_expect_current(struct snap_rig *rig, const char *name)
{
    CLEANUP(snapshots_endp) struct list all = {0};
    const struct snapshot_info *current;

    assert_int_equal(snapshots_read(rig->host.domain, &all, NULL), 0);
    current = snapshots_current(&all);
    assert_string_equal(current ? current->name : "none", name ? name : "none");
}

void snap_expect_parent(struct snap_rig *rig, const char *name, const char *parent)
{
    CLEANUP(snapshots_endp) struct list all = {0};
    const struct snapshot_info *info;

    assert_int_equal(snapshots_read(rig->host.domain, &all, NULL), 0);
    info = snapshots_find(&all, name);
    assert_non_null(info);
    assert_string_equal(info->parent ? info->parent : "none", parent ? parent : "none");
}

int snap_count(struct snap_rig *rig)
{
    return virDomainSnapshotNum(rig->host.domain, 0);
}

int snap_files(struct snap_rig *rig)
{
    char path[PATH_MAX];
    DIR *dir;
    int count = 0;

    snprintf(path, sizeof path, "%s/disks", rig->host.root);
    dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

void snap_virsh_snapshot(struct snap_rig *rig, const char *xml, unsigned flags)
{
    virDomainSnapshotPtr snapshot = virDomainSnapshotCreateXML(rig->host.domain, xml, flags);

    if (!snapshot)
        fail_msg("%s", virGetLastErrorMessage());
    virDomainSnapshotFree(snapshot);
}
