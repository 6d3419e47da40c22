/*
 * stop and power_off: the guest's process ends, as at a power failure. stop owes start, and the plan goes on to start it; power_off is for a snapshot of a guest that was off:
 * only taking it back starts the guest again.
 * args: as (running, paused: what it is now)
 */
#include "worker/backends/libvirt/steps/steps.h"

#include "base/clock.h"

#include <string.h>

static int render_stop(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                       struct err *err)
{
    (void)step;
    (void)err;
    text_addf(command, "virsh destroy '%s' --graceful", step_target(run));
    text_add(lost, "the running state: memory and everything not yet on disk");
    return 0;
}

/* Asked kindly, QEMU writes out its caches; that the guest does not need, but the disk that is kept for the way back does. */
static int destroy(virDomainPtr domain)
{
    if (virDomainDestroyFlags(domain, VIR_DOMAIN_DESTROY_GRACEFUL) == 0)
        return 0;
    return virDomainDestroyFlags(domain, 0);
}

static int execute_stop(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;

    (void)step;
    if (step_open(run, &domain, err) < 0 || facts_set_int(learned, "stopped_at", clock_monotonic_ms(), err) < 0)
        return -1;
    if (virDomainIsActive(domain) == 1 && destroy(domain) < 0 && virDomainIsActive(domain) == 1)
        return libvirt_call_err(libvirt_of(run->backend), err, "stop %s", virDomainGetName(domain));
    return 0;
}

static int settle_stop(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                       struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;

    (void)step;
    (void)learned;
    if (step_open(run, &domain, err) < 0)
        return -1;
    if (virDomainIsActive(domain) == 0)
        *out = SETTLED_DONE;
    else
        *out = libvirt_busy(domain) ? SETTLED_BUSY : SETTLED_NOT_DONE;
    return 0;
}

static int undo_power_off(const struct step_run *run, const struct step *step, const struct facts *learned,
                          struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    unsigned flags = strcmp(step_get(step, "as"), "paused") == 0 ? VIR_DOMAIN_START_PAUSED : 0;

    (void)learned;
    if (step_open(run, &domain, err) < 0)
        return -1;
    if (virDomainIsActive(domain) != 1 && virDomainCreateWithFlags(domain, flags) < 0)
        return libvirt_call_err(libvirt_of(run->backend), err, "start %s again", virDomainGetName(domain));
    return 0;
}

const struct step_type step_stop = {
    .name = "stop",
    .class = STEP_DESTROYS,
    .owes = &step_start,
    .render = render_stop,
    .execute = execute_stop,
    .settle = settle_stop,
};

const struct step_type step_power_off = {
    .name = "power_off",
    .class = STEP_DESTROYS,
    .render = render_stop,
    .execute = execute_stop,
    .undo = undo_power_off,
    .settle = settle_stop,
};
