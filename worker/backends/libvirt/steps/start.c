/*
 * start: pays stop. With a memory file the guest goes on where the snapshot was taken, else it boots. Paid out of turn it has stop's args: the state that the guest had.
 * args: as (running, paused, saved: as the memory file says), memory, memory_xml, reset_nvram
 */
#include "worker/backends/libvirt/definition.h"
#include "worker/backends/libvirt/steps/steps.h"

#include "base/clock.h"

#include <string.h>

static int render_start(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                        struct err *err)
{
    bool paused = strcmp(step_get(step, "as"), "paused") == 0;
    CLEANUP(freep) char *xml = NULL;

    (void)lost;
    if (*step_get(step, "memory") && definition_without_secrets(step_get(step, "memory_xml"), &xml, err) < 0)
        return -1;
    if (xml)
        text_addf(command, "virsh restore '%s' --xml /dev/stdin%s\n%s", step_get(step, "memory"),
                  paused ? " --paused" : "", xml);
    else
        text_addf(command, "virsh start '%s'%s%s", step_target(run), paused ? " --paused" : "",
                  *step_get(step, "reset_nvram") ? " --reset-nvram" : "");
    return 0;
}

static int start(struct libvirt_backend *backend, const struct step *step, virDomainPtr domain, struct err *err)
{
    const char *as = step_get(step, "as");
    unsigned restore = strcmp(as, "paused") == 0    ? VIR_DOMAIN_SAVE_PAUSED
                       : strcmp(as, "running") == 0 ? VIR_DOMAIN_SAVE_RUNNING
                                                    : 0;
    unsigned create = strcmp(as, "paused") == 0 ? VIR_DOMAIN_START_PAUSED : 0;
    int result;

    if (*step_get(step, "reset_nvram")) {
        create |= VIR_DOMAIN_START_RESET_NVRAM;
        restore |= VIR_DOMAIN_SAVE_RESET_NVRAM;
    }
    if (*step_get(step, "memory"))
        result = virDomainRestoreFlags(backend->connection, step_get(step, "memory"), step_get(step, "memory_xml"),
                                       restore);
    else
        result = virDomainCreateWithFlags(domain, create);
    return result == 0 ? 0 : libvirt_call_err(backend, err, "start %s", virDomainGetName(domain));
}

static int execute_start(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    int64_t stopped = facts_get_int(run->known, "stopped_at", 0);

    if (step_open(run, &domain, err) < 0)
        return -1;
    if (!libvirt_started(domain) && start(libvirt_of(run->backend), step, domain, err) < 0 && !libvirt_started(domain))
        return -1;
    return stopped ? facts_set_int(learned, "down_ms", clock_monotonic_ms() - stopped, err) : 0;
}

/* Only where it pays nothing: the guest was off, and the job asked for it to run. */
static int undo_start(const struct step_run *run, const struct step *step, const struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;

    (void)step;
    (void)learned;
    if (step_open(run, &domain, err) < 0)
        return -1;
    if (virDomainIsActive(domain) == 1 && virDomainDestroy(domain) < 0)
        return libvirt_call_err(libvirt_of(run->backend), err, "stop %s again", virDomainGetName(domain));
    return 0;
}

static int settle_start(const struct step_run *run, const struct step *step, struct facts *learned, enum settled *out,
                        struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;

    (void)step;
    (void)learned;
    if (step_open(run, &domain, err) < 0)
        return -1;
    *out = libvirt_busy(domain) ? SETTLED_BUSY : libvirt_started(domain) ? SETTLED_DONE : SETTLED_NOT_DONE;
    return 0;
}

const struct step_type step_start = {
    .name = "start",
    .class = STEP_ADDS,
    .render = render_start,
    .execute = execute_start,
    .undo = undo_start,
    .settle = settle_start,
};
