#include "coordinator/epoch.h"

#include <string.h>

static bool server_changed(const struct epoch_state *state, const struct epoch_inputs *inputs)
{
    return strcmp(state->run_id, inputs->server_run_id) != 0;
}

enum epoch_action epoch_decide(const struct epoch_state *state, const struct epoch_inputs *inputs)
{
    bool fits = inputs->redis_n > 0 && inputs->redis_n == inputs->ledger_n &&
                strcmp(inputs->redis_run_id, inputs->server_run_id) == 0;

    switch (state->phase) {
    case EPOCH_UNKNOWN:
    case EPOCH_FINE:
        if (!fits)
            return EPOCH_BUMP;
        return inputs->functions_present ? EPOCH_NOTHING : EPOCH_LOAD;
    case EPOCH_REBUILD: return server_changed(state, inputs) ? EPOCH_BUMP : EPOCH_AGAIN;
    case EPOCH_GRACE:
        if (server_changed(state, inputs))
            return EPOCH_BUMP;
        if (!inputs->functions_present)
            return EPOCH_AGAIN; /* emptied once more, functions and all */
        return inputs->now_ms >= state->grace_until_ms ? EPOCH_WRITE : EPOCH_NOTHING;
    }
    return EPOCH_NOTHING;
}
