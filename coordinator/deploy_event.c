#include "coordinator/deploy_event.h"

#include "base/err.h"
#include "model/job.h"
#include "model/ledger_entry.h"

#include <string.h>

static bool is_event(const struct deploy_event *event, const char *name)
{
    return strcmp(event->event, name) == 0;
}

bool deploy_event_begins(const struct deploy_event *event)
{
    return is_event(event, "begin");
}

static bool allows(const struct ledger_token *token, char class)
{
    return token->classes && strchr(token->classes, class);
}

static const char *not_allowed(const struct deploy_event *event, const struct ledger_token *token, int64_t appended_ms)
{
    if (token->expires_at_ms && token->expires_at_ms <= appended_ms)
        return "its token had expired";
    if (!token->role || strcmp(token->role, "viewer") == 0)
        return "its token may only read";
    if (!allows(token, 'B'))
        return "its token does not allow class B";
    if ((event->auto_revert || event->revert) && !allows(token, 'C'))
        return "its token does not allow class C, which a revert needs";
    return NULL;
}

const char *deploy_event_refused(const struct deploy_event *event, const struct ledger_token *token, int64_t appended_ms)
{
    int64_t skew_ms = event->at_ms - appended_ms;

    if (!deploy_event_begins(event) && !is_event(event, "succeeded") && !is_event(event, "failed"))
        return "its event is none of begin, succeeded, failed";
    if (!deploy_id_valid(event->deploy_id))
        return "its deploy_id is no id of a deploy";
    if (event->group && !deploy_event_begins(event))
        return "only begin can ask for a group";
    if (skew_ms > DEPLOY_EVENT_SKEW_MS || skew_ms < -DEPLOY_EVENT_SKEW_MS)
        return "its time is not that at which it was written: written again, or by a wrong clock";
    if (event->revert && !is_event(event, "failed"))
        return "only failed can ask for a revert";
    if (event->auto_revert && !deploy_event_begins(event))
        return "only begin can ask for a revert by itself";
    if (event->parallel < 0 || event->parallel > DEPLOY_PARALLEL_MAX)
        return "its parallel cannot be";
    return not_allowed(event, token, appended_ms);
}

bool deploy_event_late(const struct deploy_event *event, int64_t appended_ms, int64_t now_ms)
{
    return (deploy_event_begins(event) || event->revert) && now_ms - appended_ms > DEPLOY_EVENT_SKEW_MS;
}

int deploy_event_deploy(const struct deploy_event *event, const struct ledger_token *token, struct deploy *out,
                        struct err *err)
{
    const char *own = token->selector && *token->selector ? token->selector : NULL;
    struct deploy deploy = {.ttl_ms = event->ttl_ms,
                            .timeout_ms = event->timeout_ms,
                            .within_ms = event->within_ms,
                            .overlap = event->overlap,
                            .quiesce = event->quiesce,
                            .auto_revert = event->auto_revert,
                            .group_limit_ms = event->group ? GROUP_LIMIT_MS : 0};

    if (string_set(&deploy.reason, event->reason, err) < 0 ||
        deploy_complete(&deploy, event->deploy_id, event->selector, own, token->name, err) < 0) {
        deploy_clear(&deploy);
        return -1;
    }
    *out = deploy;
    return 0;
}

int deploy_event_word(const struct deploy_event *event, struct deploy_word *out, struct err *err)
{
    CLEANUP(deploy_word_clear)
    struct deploy_word word = {.says = is_event(event, "failed") ? DEPLOY_SAYS_FAILED : DEPLOY_SAYS_SUCCEEDED,
                               .revert = event->revert,
                               .keep_going = event->keep_going,
                               .parallel = event->parallel ? event->parallel : 1};

    for (size_t i = 0; i < event->order.count; i++)
        if (strings_add(&word.order, event->order.items[i], err) < 0)
            return -1;
    if (string_set(&word.reason, event->reason, err) < 0)
        return -1;
    *out = word;
    word = (struct deploy_word){0};
    return 0;
}
