#pragma once
/*
 * Holds and pins, from the ledger to Redis, which answers who asks. A hold is for all, a host, a target, or the targets that a selector matches, now or later; it may have
 * an end. Keeper thread.
 */
#include <stdbool.h>
#include <stdint.h>

struct coordinator;
struct err;
struct redis;

/* What the keeper remembers of what Redis has. Zeroed: nothing. */
struct holds_state {
    uint64_t version; /* of the ledger's holds and pins */
    int64_t term;
    uint64_t holds_sum; /* of the pairs */
    bool timed;         /* some have an end, or follow a selector: looked at again from time to time */
    int64_t looked_ms;  /* monotonic */
};
/* Writes what has changed; all, if `anew`. Asks the main loop to end holds whose time is over. */
int holds_refresh(struct coordinator *coordinator, struct redis *redis, int64_t term, bool anew,
                  struct holds_state *state, struct err *err);
