/* start: the restored domain, running or paused at its first instruction. */
#include "base/text.h"
#include "worker/backends/libvirt/backup.h"
#include "worker/backends/libvirt/backup_tools.h"

static int render(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                  struct err *err)
{
    const struct params_backup_restore *params = run->job->params;

    (void)lost;
    (void)err;
    text_addf(command, "virsh start '%s'%s", params->new_name ? params->new_name : run->job->target.id,
              facts_get(&step->args, "paused") ? " --paused" : "");
    return 0;
}

static int execute(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    unsigned flags = facts_get(&step->args, "paused") ? VIR_DOMAIN_START_PAUSED : 0;

    if (step_domain(run, &domain, err) < 0)
        return -1;
    if (!libvirt_started(domain) && virDomainCreateWithFlags(domain, flags) < 0)
        return libvirt_call_err(libvirt_of(run->backend), err, "start %s", step_subject(run));
    return facts_set(learned, "started", flags ? "paused" : "running", err);
}

static int undo(const struct step_run *run, const struct step *step, const struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    struct err why = {0};

    (void)step;
    (void)learned;
    if (step_domain(run, &domain, &why) < 0)
        return why.code == VIR_ERR_NO_DOMAIN ? 0 : (*err = why, -1);
    if (virDomainIsActive(domain) == 1 && virDomainDestroy(domain) < 0 && virDomainIsActive(domain) == 1)
        return libvirt_err(err, "stop %s", step_subject(run));
    return 0;
}

static int settle(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                  struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;

    (void)learned;
    (void)step;
    if (step_domain(run, &domain, err) < 0)
        return -1;
    *out = libvirt_busy(domain) ? SETTLED_BUSY : libvirt_started(domain) ? SETTLED_DONE : SETTLED_NOT_DONE;
    return 0;
}

const struct step_type step_restore_start = {
    .name = "restore-start",
    .class = STEP_ADDS,
    .render = render,
    .execute = execute,
    .undo = undo,
    .settle = settle,
};
