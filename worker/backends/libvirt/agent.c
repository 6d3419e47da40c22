/*
 * The guest agent. libvirt waits for its answers for ever unless told otherwise, so the time-out is set before every command, to one value everywhere: it is a property of
 * the domain, and threads would else shorten each other's.
 */
#include "worker/backends/libvirt/agent.h"

#include "base/clock.h"

#include <string.h>
#include <time.h>

enum { CONNECT_WAIT_MS = 300, POLL_MS = 20 };

int libvirt_agent_timeout(struct libvirt_backend *backend, virDomainPtr domain, struct err *err)
{
    int64_t seconds = (backend->base.config->agent_timeout_ms + 999) / 1000;

    if (virDomainAgentSetResponseTimeout(domain, seconds > 0 ? (int)seconds : 1, 0) < 0)
        return libvirt_err(err, "%s: agent time-out", virDomainGetName(domain));
    return 0;
}

/* What the definition says of the agent's channel: AGENT_ANSWERS here means that something in the guest has it open. */
static enum agent_answer channel_state(virDomainPtr domain)
{
    CLEANUP(xml_freep) xmlDocPtr doc = NULL;
    CLEANUP(freep) char *state = NULL;
    xmlNodePtr target;

    if (libvirt_domain_xml(domain, 0, &doc, NULL) < 0)
        return AGENT_NONE;
    target = xml_find(xmlDocGetRootElement(doc), "devices/channel/target[@name='org.qemu.guest_agent.0']");
    if (!target)
        return AGENT_NONE;
    state = xml_get_at(target, "@state");
    return !state || strcmp(state, "connected") == 0 ? AGENT_ANSWERS : AGENT_SILENT;
}

bool libvirt_agent_answered(int code)
{
    return code == VIR_ERR_INTERNAL_ERROR || code == 113; /* AGENT_COMMAND_FAILED, since 11.2 */
}

/* guest-get-time is harmless, old, and quick. An agent that refuses it (while frozen, or by its own list) does answer. */
static bool answers(struct libvirt_backend *backend, virDomainPtr domain)
{
    long long seconds;
    unsigned nanoseconds;

    if (libvirt_agent_timeout(backend, domain, NULL) < 0)
        return false;
    if (virDomainGetTime(domain, &seconds, &nanoseconds, 0) == 0)
        return true;
    return libvirt_agent_answered(libvirt_code());
}

enum agent_answer libvirt_agent_now(struct libvirt_backend *backend, virDomainPtr domain)
{
    enum agent_answer channel = channel_state(domain);

    if (channel != AGENT_ANSWERS)
        return channel;
    return answers(backend, domain) ? AGENT_ANSWERS : AGENT_SILENT;
}

/* The embedded driver has an agent connected only some milliseconds after it was opened. */
enum agent_answer libvirt_agent(struct libvirt_backend *backend, virDomainPtr domain)
{
    int64_t until = clock_monotonic_ms() + CONNECT_WAIT_MS;
    enum agent_answer answer;

    while ((answer = libvirt_agent_now(backend, domain)) == AGENT_SILENT && clock_monotonic_ms() < until)
        nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
    return answer;
}

const char *level_reached(const struct facts *known, const char *planned)
{
    bool frozen = facts_get_int(known, "frozen", 0) > 0 && !facts_get(known, "thawed_early");

    return strcmp(planned, "filesystem") == 0 && !frozen ? "crash" : planned;
}

static int cannot_freeze(int quiesce, struct plan *plan, enum err_kind kind, const char *why, const char *hint,
                         struct err *err)
{
    if (quiesce != QUIESCE_REQUIRE)
        return facts_set(&plan->facts, "level_reason", why, err);
    err_set(err, kind, "quiesce require: %s", why);
    return err_hint(err, "%s", hint);
}

static int plan_freeze_running(struct libvirt_backend *backend, virDomainPtr domain, int quiesce, struct plan *plan,
                               bool *out_frozen, struct err *err)
{
    enum agent_answer answer = libvirt_agent(backend, domain);

    if (answer == AGENT_NONE)
        return cannot_freeze(quiesce, plan, ERR_PERMANENT, "the domain has no guest agent channel",
                             "add the channel org.qemu.guest_agent.0 to the domain, or use --quiesce prefer", err);
    if (answer == AGENT_SILENT)
        return cannot_freeze(quiesce, plan, ERR_RETRY, "the guest agent does not answer",
                             "in the guest: systemctl status qemu-guest-agent; or use --quiesce prefer", err);
    if (!plan_add(plan, &step_freeze, err, "quiesce", quiesce_names[quiesce], NULL))
        return -1;
    *out_frozen = true;
    return 0;
}

int plan_freeze(struct libvirt_backend *backend, virDomainPtr domain, int quiesce, struct plan *plan, bool *out_frozen,
                struct err *err)
{
    int state;

    *out_frozen = false;
    if (libvirt_domain_state(domain, &state, NULL, err) < 0)
        return -1;
    if (state == VIR_DOMAIN_SHUTOFF || state == VIR_DOMAIN_CRASHED)
        return 0; /* nothing writes */
    if (quiesce == QUIESCE_NEVER)
        return facts_set(&plan->facts, "level_reason", "quiesce never", err);
    if (state != VIR_DOMAIN_RUNNING && state != VIR_DOMAIN_BLOCKED)
        return cannot_freeze(quiesce, plan, ERR_PERMANENT, "the guest is paused, so its agent cannot answer",
                             "resume the guest, or use --quiesce prefer", err);
    return plan_freeze_running(backend, domain, quiesce, plan, out_frozen, err);
}
