/*
 * begin: the point in time. One call begins the push of all disks (or opens them to clients: an export) and makes the checkpoint, atomically. From then on the job lives in
 * QEMU by itself: "push" or "export" adopts it, and only undo ends it early. The new checkpoint never takes anything from its parent: every bitmap keeps recording.
 */
#include "base/clock.h"
#include "base/text.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/backup_left.h"
#include "worker/backends/libvirt/backup_look.h"
#include "worker/backends/libvirt/backup_tools.h"
#include "worker/backends/libvirt/export.h"

#include <time.h>

enum { BEGINNING_MS = 3000, LOOK_MS = 20 };

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    const char *checkpoint = facts_get(&step->args, "checkpoint_xml");

    (void)lost;
    (void)err;
    text_addf(command, "virsh backup-begin '%s' backup.xml%s --reuse-external\n# backup.xml\n%s", step_subject(run),
              checkpoint ? " checkpoint.xml" : "", step_arg(step, "backup_xml"));
    if (checkpoint)
        text_addf(command, "# checkpoint.xml\n%s", checkpoint);
    return 0;
}

/* Begun by an earlier attempt of this very plan: it runs, or it has left its checkpoint. */
static int begun(virDomainPtr domain, const struct step *step, bool *out, struct err *err)
{
    const char *checkpoint = facts_get(&step->args, "checkpoint");
    enum running_backup running;
    bool exists = false;

    if (backup_running(domain, step_arg(step, "folder"), &running, err) < 0 ||
        (checkpoint && checkpoint_exists(domain, checkpoint, &exists, err) < 0))
        return -1;
    *out = running == BACKUP_OURS || exists;
    return 0;
}

/*
 * The same of a call that a dead worker made: while libvirt is about to begin it, it is waited for. No longer than that takes: a libvirtd that died in that moment is about to begin
 * it for ever.
 */
static int begun_before(virDomainPtr domain, const struct step *step, bool *out, struct err *err)
{
    int64_t until = clock_monotonic_ms() + BEGINNING_MS;
    bool beginning = true;
    int operation;

    *out = false;
    while (beginning && !*out && clock_monotonic_ms() < until) {
        beginning = libvirt_slot(domain, &operation) == SLOT_BEGINNING; /* first: it may be begun by the next look */
        if (begun(domain, step, out, err) < 0)
            return -1;
        if (beginning && !*out)
            nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000L}, NULL);
    }
    return 0;
}

static int learn(const struct step *step, int64_t begun_at_ms, struct facts *learned, struct err *err)
{
    const char *checkpoint = facts_get(&step->args, "checkpoint");

    if (facts_set_int(learned, "begun_at_ms", begun_at_ms, err) < 0)
        return -1;
    return checkpoint ? facts_set(learned, "checkpoint", checkpoint, err) : 0;
}

/* What an export was asked for is wrong more often than not, and clients that wait for it want to know: it is not tried again by itself. */
static int refuse_server(const struct step *step, struct err *err)
{
    const struct export_server server = export_server_of(step);

    err->kind = ERR_PERMANENT;
    if (server.tls)
        return err_hint(err, "TLS: are there certificates in backup_tls_x509_cert_dir (qemu.conf) of this host?");
    if (server.socket)
        return err_hint(err, "the hypervisor makes the socket: can its user write to that folder?");
    return err_hint(err, "is the port free, and the address one of this host?");
}

/* The guest may be frozen, so there is no waiting for libvirt's place. */
static int begin(const struct step_run *run, virDomainPtr domain, const struct step *step, struct err *err)
{
    const char *xml = step_arg(step, "backup_xml"), *checkpoint = facts_get(&step->args, "checkpoint_xml");
    const char *subject = step_subject(run);
    bool export = facts_get(&step->args, "server") != NULL;
    unsigned flags = backup_begin_flags(libvirt_of(run->backend)->version, export);
    const struct export_server server = export_server_of(step);

    if (libvirt_slot_free(domain, err) < 0 || export_socket_free(&server, err) < 0)
        return -1;
    if (virDomainBackupBegin(domain, xml, checkpoint, flags) == 0)
        return 0;
    libvirt_err(err, "backup of %s", subject);
    if (err->code != VIR_ERR_INTERNAL_ERROR)
        return -1;
    if (!backup_remove_left(domain, step))
        return export ? refuse_server(step, err) : -1;
    *err = (struct err){0};
    return virDomainBackupBegin(domain, xml, checkpoint, flags) == 0 ? 0 : libvirt_err(err, "backup of %s", subject);
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    int64_t at = clock_real_ms();
    bool already;

    if (step_domain(run, &domain, err) < 0 || begun(domain, step, &already, err) < 0)
        return -1;
    if (!already && begin(run, domain, step, err) < 0)
        return -1;
    if (attempt_rate_limit(run->attempt) >
        0) /* now, not when the guest is thawed: until then much would have been copied */
        backup_set_rate(domain, step_arg(step, "disks"), attempt_rate_limit(run->attempt));
    return learn(step, at, learned, err);
}

static int end(virDomainPtr domain, const struct step *step, struct err *err)
{
    const struct export_server server = export_server_of(step);

    if (server.socket || server.address)
        return export_abort(domain, step_arg(step, "folder"), &server, err);
    return backup_abort(domain, step_arg(step, "folder"), err);
}

static int undo(const struct step_run *run, const struct step *step, const struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    const char *checkpoint = facts_get(&step->args, "checkpoint");
    struct err why = {0};
    bool already;

    (void)learned;
    if (step_domain(run, &domain, &why) < 0)
        return why.code == VIR_ERR_NO_DOMAIN ? 0 : (*err = why, -1);
    if (begun_before(domain, step, &already, err) < 0 || end(domain, step, err) < 0 ||
        (checkpoint && checkpoint_remove(domain, checkpoint, err) < 0))
        return -1;
    backup_remove_left(domain, step);
    return 0;
}

/* An isolated backup that has ended leaves no trace that is ours alone: it is made again. */
static int settle(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                  struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    bool already;

    if (step_domain(run, &domain, err) < 0 || begun_before(domain, step, &already, err) < 0)
        return -1;
    *out = already ? SETTLED_DONE : SETTLED_UNKNOWN;
    return already ? learn(step, clock_real_ms(), learned, err) : 0;
}

const struct step_type step_backup_begin = {
    .name = "backup-begin",
    .class = STEP_ADDS,
    .render = render,
    .execute = execute,
    .undo = undo,
    .settle = settle,
};
