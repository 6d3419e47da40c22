/*
 * freeze: the guest writes what it has in memory and holds further writes. Owes thaw from before the command is sent, because an agent that does not answer in time may still
 * freeze later. An unknown mount "freezes" nothing and says success, so the number of frozen file systems must be above 0.
 * What follows takes libvirt's one place for a job, and would wait for it: so it must be free, or nothing is frozen.
 * A command that was not sent, and one that the agent answers with an error, have frozen nothing: the thaw is told so (unfrozen). No answer says nothing: then the guest may be frozen.
 * With quiesce prefer a failure is no failure of the job: known "frozen" is "0", and "level_reason" says why.
 */
#include "worker/backends/libvirt/thaw_guard.h"

#include "base/clock.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

static int render_freeze(const struct step_run *run, const struct step *step, struct text *command, struct text *lost,
                         struct err *err)
{
    (void)step;
    (void)lost;
    (void)err;
    text_addf(command, "virsh domfsfreeze '%s'", run->job->target.name ? run->job->target.name : run->job->target.id);
    return 0;
}

/* The host's limit; in a consistency group the group's, if that is shorter. */
static int64_t frozen_limit_ms(const struct libvirt_backend *backend, const struct job *job)
{
    int64_t limit_ms = backend->base.config->frozen_limit_ms;

    return job->group_limit_ms && job->group_limit_ms < limit_ms ? job->group_limit_ms : limit_ms;
}

/* What was planned may be long ago, and an agent that was there then may be gone. */
static int prepare(struct libvirt_backend *backend, const struct job *job, virDomainPtr domain, struct err *err)
{
    if (libvirt_agent(backend, domain) != AGENT_ANSWERS)
        return err_set(err, ERR_RETRY, "%s: the guest agent does not answer any more", virDomainGetName(domain));
    if (libvirt_agent_timeout(backend, domain, err) < 0)
        return -1;
    return thaw_guard_begin(backend, domain, frozen_limit_ms(backend, job), err);
}

/* *out_certain: where it fails, that nothing is frozen by it. */
static int freeze(struct libvirt_backend *backend, const struct job *job, virDomainPtr domain, bool *out_certain,
                  struct err *err)
{
    int count;

    *out_certain = true;
    if (prepare(backend, job, domain, err) < 0)
        return -1;
    count = virDomainFSFreeze(domain, NULL, 0, 0);
    if (count < 0) {
        libvirt_err(err, "%s: freeze", virDomainGetName(domain));
        *out_certain = libvirt_agent_answered(err->code) && virConnectIsAlive(backend->connection) == 1;
        return -1;
    }
    if (count == 0)
        return err_set(err, ERR_RETRY, "%s: the agent froze no file system", virDomainGetName(domain));
    return count;
}

static int learn_failure(struct facts *learned, const struct err *failure, struct err *err)
{
    if (facts_set(learned, "frozen", "0", err) < 0)
        return -1;
    return facts_setf(learned, err, "level_reason", "freeze failed: %s", failure->text);
}

static int execute_freeze(const struct step_run *run, const struct step *step, struct facts *learned, struct err *err)
{
    CLEANUP(domain_freep) virDomainPtr domain = NULL;
    struct libvirt_backend *backend = libvirt_of(run->backend);
    bool required = strcmp(facts_get_or(&step->args, "quiesce", ""), "require") == 0;
    int64_t began = clock_monotonic_ms();
    struct err failure = {0};
    bool certain;
    int count;

    if (libvirt_domain(backend, run->job->target.id, &domain, err) < 0 || libvirt_slot_free(domain, err) < 0)
        return -1;
    count = freeze(backend, run->job, domain, &certain, &failure);
    snprintf(backend->unfrozen, sizeof backend->unfrozen, "%s", count < 0 && certain ? run->job->job_id : "");
    if (count < 0 && required) {
        *err = failure;
        return -1;
    }
    if (facts_set_int(learned, "frozen_since", began, err) < 0 ||
        facts_set_int(learned, "freeze_ms", clock_monotonic_ms() - began, err) < 0)
        return -1;
    return count < 0 ? learn_failure(learned, &failure, err) : facts_set_int(learned, "frozen", count, err);
}

const struct step_type step_freeze = {
    .name = "freeze",
    .class = STEP_ADDS,
    .with_next = true,
    .owes = &step_thaw,
    .render = render_freeze,
    .execute = execute_freeze,
    .settle = settle_by_repeating, /* whether it was frozen is past: recovery has paid the thaw before it asks */
};
