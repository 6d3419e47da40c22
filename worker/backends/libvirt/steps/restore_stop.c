/*
 * restore-stop: the guest is switched off, because its disks are about to be exchanged: nothing that it could still write would survive. Owes the start from before
 * it; the start is paid with the new disks, or with the old ones when they were put back.
 */
#include "base/text.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/backup_tools.h"

static int render_stop(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                       struct err *err)
{
    (void)step;
    (void)err;
    text_addf(command, "virsh destroy '%s' --graceful", step_subject(run));
    text_addf(lost, "what %s has in memory", step_subject(run));
    return 0;
}

static int stop(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;

    (void)step;
    if (step_domain(run, &domain, err) < 0)
        return -1;
    if (virDomainIsActive(domain) == 1 && virDomainDestroyFlags(domain, VIR_DOMAIN_DESTROY_GRACEFUL) < 0 &&
        virDomainDestroy(domain) < 0 && virDomainIsActive(domain) != 0)
        return libvirt_call_err(libvirt_of(run->backend), err, "stop %s", step_subject(run));
    return facts_set(learned, "stopped", "yes", err);
}

static int settle_stop(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                       struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;

    (void)step;
    if (step_domain(run, &domain, err) < 0)
        return -1;
    *out = libvirt_busy(domain) ? SETTLED_BUSY : virDomainIsActive(domain) == 1 ? SETTLED_NOT_DONE : SETTLED_DONE;
    return *out == SETTLED_DONE ? facts_set(learned, "stopped", "yes", err) : 0;
}

static int render_start(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                        struct err *err)
{
    (void)lost;
    (void)err;
    text_addf(command, "virsh start '%s'%s", step_subject(run), facts_get(&step->args, "paused") ? " --paused" : "");
    return 0;
}

static int start(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    unsigned flags = facts_get(&step->args, "paused") ? VIR_DOMAIN_START_PAUSED : 0;

    if (step_domain(run, &domain, err) < 0)
        return -1;
    if (!libvirt_started(domain) && virDomainCreateWithFlags(domain, flags) < 0)
        return libvirt_err(err, "start %s", step_subject(run));
    return facts_set(learned, "started", flags ? "paused" : "running", err);
}

const struct step_type step_restore_stop = {
    .name = "restore-stop",
    .class = STEP_DESTROYS,
    .owes = &step_restore_resume,
    .render = render_stop,
    .execute = stop,
    .settle = settle_stop,
};

const struct step_type step_restore_resume = {
    .name = "restore-resume",
    .class = STEP_ADDS,
    .render = render_start,
    .execute = start,
};
