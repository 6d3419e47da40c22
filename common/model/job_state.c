#include "model/job_state.h"

#include <stddef.h>

const char *const job_state_names[] = {
    "PLANNED", "PUBLISHED", "ACCEPTED", "WAITING",  "RUNNING", "SUCCEEDED",
    "FAILED",  "CANCELLED", "EXPIRED",  "REJECTED", "PARKED",  NULL,
};

#define BIT(state) (1U << (state))

enum {
    ENDS_UNSTARTED = BIT(STATE_CANCELLED) | BIT(STATE_EXPIRED) | BIT(STATE_REJECTED),
    /* With custody every end is possible from every state: what a journal of before or the ticket knows is said without going through RUNNING again. */
    ENDS_ALL = ENDS_UNSTARTED | BIT(STATE_SUCCEEDED) | BIT(STATE_FAILED) | BIT(STATE_PARKED),
    AT_WORK = BIT(STATE_WAITING) | BIT(STATE_RUNNING),
};

static const unsigned edges[STATE_COUNT] = {
    /* A job in the ledger only: nobody executes it, so it cannot have failed. */
    [STATE_PLANNED] = BIT(STATE_PUBLISHED) | ENDS_UNSTARTED,
    /* Published again after a crash of the coordinator. ACCEPTED may be left out (accepted_at is in the next event). */
    [STATE_PUBLISHED] = BIT(STATE_PUBLISHED) | BIT(STATE_ACCEPTED) | AT_WORK | ENDS_UNSTARTED | BIT(STATE_FAILED),
    [STATE_ACCEPTED] = AT_WORK | ENDS_ALL,
    [STATE_WAITING] = AT_WORK | ENDS_ALL, /* again with another reason */
    [STATE_RUNNING] = AT_WORK | ENDS_ALL, /* again with another phase; WAITING is a retry */
    /* Once more, with `resolved`. */
    [STATE_PARKED] = BIT(STATE_PARKED),
};

bool job_state_terminal(enum job_state state)
{
    return state >= STATE_SUCCEEDED && state <= STATE_PARKED;
}

bool job_state_may_follow(enum job_state from, enum job_state to)
{
    if ((int)from < 0 || from >= STATE_COUNT || (int)to < 0 || to >= STATE_COUNT)
        return false;
    return (edges[from] & BIT(to)) != 0;
}
