#pragma once
/*
 * What three threads share of one attempt: the loop (makes it when the lock is taken), the executor (asks it) and the keeper (renews it). Fixed members are written before
 * it is shared; the others are atomic, the phase has its mutex. Counted: every thread that keeps a pointer has a reference.
 */
#include "model/op.h"
#include "redis/store.h"
#include "worker/runner.h"

#include <pthread.h>
#include <stdatomic.h>

/* A recovery that asks the world what became of a step may wait for ever. It acts, or looks; who only looks can be given away, and must not act when it comes back. */
enum hold_looks { HOLD_ACTS, HOLD_LOOKS, HOLD_GIVEN_AWAY };

enum { RATE_UNTOLD = -1 };

struct hold {
    atomic_int references;
    char *job_id, *target; /* fixed, like those up to slot_count */
    enum job_class class;
    int64_t token;            /* 0: goes on without a lock */
    struct store_slot *slots; /* that it has with its lock; NULL: none */
    size_t slot_count;
    _Atomic int64_t trusted_until_ms; /* monotonic: send of the last OK + ttl - 2 s */
    _Atomic int64_t began_ms;         /* monotonic, when an executor took it up; 0: not yet */
    atomic_bool lost;                 /* another owner has the lock */
    atomic_bool cancelled;            /* a person asked */
    atomic_int looks;                 /* enum hold_looks */
    atomic_bool in_round; /* a renewal is on its way: Redis is not told of the end before its answer, or it would take the lock again */
    _Atomic int64_t done, total;
    _Atomic int64_t
        rate_limit; /* bytes/s that it was told to keep to, by a person or as its share; 0: no limit; RATE_UNTOLD: nothing */
    atomic_bool told_to_end; /* an export: a person said that it may end well */
    atomic_int tellings;     /* how often it told something; it waits for a word, so Redis is asked often */
    pthread_mutex_t mutex;   /* protects phase, repository and told */
    struct facts told;       /* by the step that runs; empty: nothing */
    char phase[64];
    char repository[64];           /* where bytes are reserved; "": nowhere */
    int64_t renewed_ms, told_done; /* the keeper's own, like the rest */
    int64_t reserved_bytes, reserved_free_bytes, reserved_min_free_bytes, reserved_ms;
    char told_phase[64];
};

int hold_new(const char *job_id, const char *target, enum job_class class, int64_t token, struct hold **out,
             struct err *err);
int hold_set_slots(struct hold *hold, const struct store_slot *slots, size_t count,
                   struct err *err); /* before it is shared */
struct hold *hold_ref(struct hold *hold);
void hold_unref(struct hold *hold); /* NULL is fine */
void hold_phase_set(struct hold *hold, const char *phase);
void hold_phase_get(struct hold *hold, char out[64]);
/* A control word: "rate:<bytes/s>", 0 for no limit, counts from now on; any other is not for it. */
void hold_hear_rate(struct hold *hold, const char *control);
void hold_tell(struct hold *hold, const struct facts *facts);
/* A copy of what was told last; nothing where there is no memory for it. Caller clears. */
void hold_told(struct hold *hold, struct facts *out);
bool hold_look(struct hold *hold, bool begins);                 /* the executor; false: it was given away */
bool hold_give_away(struct hold *hold);                         /* the loop; false: it acts */
enum trust hold_trust(const struct hold *hold, int64_t now_ms); /* as last heard */
