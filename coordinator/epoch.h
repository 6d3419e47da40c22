#pragma once
/*
 * The incarnation of Redis' memory. fs:epoch is `n:run_id`; when it is missing, or names another server than the one that answers, an acknowledged write may be gone. Then
 * the leader gives the next number, in the ledger first; writes every ticket again; waits until holders have had time to take back what is theirs; and writes fs:epoch, if
 * the server is still the one it began with. Pure: the keeper does what is said here.
 */
#include <stdbool.h>
#include <stdint.h>

enum epoch_phase {
    EPOCH_UNKNOWN, /* not looked at yet by this reign */
    EPOCH_FINE,
    EPOCH_REBUILD, /* the number is in the ledger, the tickets are not all written */
    EPOCH_GRACE,   /* tickets are there; holders take back their locks */
};

struct epoch_state {
    enum epoch_phase phase;
    int64_t n;              /* of this rebuild */
    char run_id[64];        /* of the server that it is for */
    int64_t grace_until_ms; /* monotonic */
};

struct epoch_inputs {
    int64_t redis_n;           /* of fs:epoch; 0: missing */
    const char *redis_run_id;  /* of fs:epoch */
    const char *server_run_id; /* of the server that answers */
    bool functions_present;
    int64_t ledger_n; /* newest EPOCH of the ledger; 0: none */
    int64_t now_ms;   /* monotonic */
};

enum epoch_action {
    EPOCH_NOTHING,
    EPOCH_LOAD,  /* load the functions; all else is as it should be */
    EPOCH_BUMP,  /* write EPOCH(ledger_n + 1) to the ledger, load the functions, write the tickets */
    EPOCH_AGAIN, /* write the tickets (they failed) */
    EPOCH_WRITE, /* write fs:epoch */
};

enum epoch_action epoch_decide(const struct epoch_state *state, const struct epoch_inputs *inputs);
