/*
 * thaw: pays freeze. Harmless in any state and as often as wanted. A guest that has thawed by itself (Windows does, after 10 s; our own guard, at the limit) was not consistent
 * to the end: known "thawed_early" is "1", and the restore point does not claim more than it has; where the freeze was required, what was made is taken back.
 * args: quiesce
 */
#include "worker/backends/libvirt/thaw_guard.h"

#include "base/clock.h"
#include "base/text.h"

#include <string.h>
#include <time.h>

enum { RETRY_MS = 20 };

static int render_thaw(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                       struct err *err)
{
    (void)step;
    (void)lost;
    (void)err;
    text_addf(command, "virsh domfsthaw '%s'", run->job->target.name ? run->job->target.name : run->job->target.id);
    return 0;
}

/* The agent may just be connecting (a worker that was restarted), so it is asked again for as long as one command may take. -1: not thawed. */
static int thaw(struct libvirt_backend *backend, virDomainPtr domain, bool was_frozen, struct err *err)
{
    int64_t until = clock_monotonic_ms() + backend->base.config->agent_timeout_ms;

    for (;;) {
        int count;

        if (virDomainIsActive(domain) != 1)
            return 0;
        if (libvirt_agent_timeout(backend, domain, err) < 0)
            return -1;
        count = virDomainFSThaw(domain, NULL, 0, 0);
        if (count >= 0)
            return count;
        libvirt_err(err, "%s: thaw", virDomainGetName(domain));
        if (!was_frozen || clock_monotonic_ms() >= until)
            return -1;
        nanosleep(&(struct timespec){.tv_nsec = RETRY_MS * 1000000L}, NULL);
    }
}

/* The freeze of this job has certainly frozen nothing: said once. */
static bool nothing_frozen(struct libvirt_backend *backend, const struct job *job)
{
    bool nothing = strcmp(backend->unfrozen, job->job_id) == 0;

    if (nothing)
        backend->unfrozen[0] = '\0';
    return nothing;
}

static int learn(const struct facts *known, bool early, struct facts *learned, struct err *err)
{
    int64_t since = facts_get_int(known, "frozen_since", 0);

    if (facts_get_int(known, "frozen", 0) > 0 &&
        facts_set_int(learned, "frozen_ms", clock_monotonic_ms() - since, err) < 0)
        return -1;
    if (!early)
        return 0;
    if (facts_set(learned, "thawed_early", "1", err) < 0)
        return -1;
    return facts_set(learned, "level_reason", "the guest thawed before the point in time was complete", err);
}

static int execute_thaw(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    struct libvirt_backend *backend = libvirt_of(run->backend);
    bool fired = thaw_guard_end(backend);
    bool refused = nothing_frozen(backend, run->job);
    bool required = run->attempt && strcmp(facts_get_or(&step->args, "quiesce", ""), "require") == 0;
    int64_t frozen = facts_get_int(run->known, "frozen", 0);
    bool early;
    int count;

    if (libvirt_domain(backend, run->job->target.id, &domain, err) < 0)
        return err && err->code == VIR_ERR_NO_DOMAIN ? 0 : -1;
    count = thaw(backend, domain, !refused, err);
    if (count < 0 && !refused)
        return -1;
    early = fired || (frozen > 0 && count == 0 && virDomainIsActive(domain) == 1);
    if (early && required)
        return err_set(err, ERR_RETRY, "quiesce require: %s thawed before the point in time was complete",
                       virDomainGetName(domain));
    return learn(run->known, early, learned, err);
}

const struct step_type step_thaw = {
    .name = "thaw",
    .class = STEP_ADDS,
    .pay_first = true,
    .render = render_thaw,
    .execute = execute_thaw,
};
