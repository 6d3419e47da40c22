#include "coordinator/cli/status_filter.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "model/select.h"

#include <string.h>

static int unknown_state(const char *name, struct err *err)
{
    err_set(err, ERR_PERMANENT, "no job is ever \"%s\"", name);
    return err_hint(err, "States: PLANNED, PUBLISHED, ACCEPTED, WAITING, RUNNING, SUCCEEDED, FAILED, CANCELLED, EXPIRED, "
                         "REJECTED, PARKED; several with commas between");
}

int status_filter_states(const char *text, unsigned *out, struct err *err)
{
    struct strings names = {0};
    unsigned states = 0;
    int result = text ? strings_add_words(&names, text, ",", err) : 0;

    for (size_t i = 0; i < names.count && result == 0; i++) {
        int state = name_index(job_state_names, names.items[i]);
        if (state >= 0)
            states |= 1U << state;
        else
            result = unknown_state(names.items[i], err);
    }
    strings_clear(&names);
    if (result == 0)
        *out = states;
    return result;
}

static bool names_target(const char *wanted, const struct status *status)
{
    const char *slash = strchr(wanted, '/'), *name = status->target.name ? status->target.name : "";
    size_t host_len = slash ? (size_t)(slash - wanted) : 0;
    char text[TARGET_TEXT];

    if (strcmp(wanted, name) == 0 || strcmp(wanted, status->target.id) == 0 ||
        strcmp(wanted, target_format(&status->target, text)) == 0)
        return true;
    return slash && status->host && strlen(status->host) == host_len && strncmp(wanted, status->host, host_len) == 0 &&
           strcmp(slash + 1, name) == 0;
}

static bool same(const char *wanted, const char *found)
{
    return !wanted || (found && strcmp(wanted, found) == 0);
}

bool status_filter_wants(const struct status_filter *filter, const struct status *status, const struct facts *labels)
{
    static const struct facts none = {0};

    return same(filter->host, status->host) && same(filter->kind, status->target.kind) &&
           (!filter->op || filter->op == status->op) &&
           (!filter->states || filter->states & 1U << (unsigned)status->state) &&
           (!filter->job || strncmp(filter->job, status->job_id, strlen(filter->job)) == 0) &&
           (!filter->target || names_target(filter->target, status)) &&
           (!filter->selector || selector_match(filter->selector, labels ? labels : &none));
}
