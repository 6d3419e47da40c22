#pragma once
/*
 * What Fleetsnap keeps in Redis, as typed requests and answers over the functions in functions/ (design.md "Redis"). Each x_command() builds the argv of one FCALL into
 * a struct store_command; each x_answer() reads its reply. So the same call works pipelined (loop), synchronous (keeper, tests) and in tests without a server. Pure but
 * for allocation; any thread.
 *
 * Every answer has a value for "no answer" (the connection was lost, or the server refused with an error: it is loading, a replica, out of memory, lacks the functions):
 * the call may or may not have run, and may be repeated.
 */
#include "base/facts.h"
#include "model/record.h"
#include "redis/redis.h"

enum { STORE_ARGS_MAX = 48, STORE_FUNCTIONS_VERSION = 1 };

/* Zeroed at first; x_command() may be called on one again, which keeps its memory. */
struct store_command {
    int argc;
    const char *argv[STORE_ARGS_MAX];
    struct text *arena_; /* owns the formatted arguments */
    size_t offsets_[STORE_ARGS_MAX];
};

void store_command_clear(struct store_command *command);
void store_send(struct redis *redis, const struct store_command *command, redis_callback *callback, void *context);
struct redis_reply *store_call(struct redis *redis, const struct store_command *command, struct err *err);

/* ---- functions library, epoch, leader (synchronous) ---- */

int store_load_functions(struct redis *redis, struct err *err); /* FUNCTION LOAD REPLACE; leader only */
bool store_functions_present(struct redis *redis, struct err *err);

struct store_epoch {
    int64_t n; /* 0: fs:epoch is missing */
    char run_id[64];
};
int store_epoch_read(struct redis *redis, struct store_epoch *out, struct err *err);
/* Written only if run_id is still the server's, term is not lower than fs:term, and n not lower than the one that is there. */
int store_epoch_write(struct redis *redis, int64_t term, int64_t n, const char *run_id, bool *out_written,
                      struct err *err);
int store_term_raise(struct redis *redis, int64_t term, bool *out_ok, struct err *err); /* false: a higher one is there */
int store_leader_hint(struct redis *redis, int64_t term, const char *who,
                      struct err *err); /* fs:leader, 9 s; ERR_CONFLICT: deposed */

/* ---- tickets (coordinator) ---- */

struct store_ticket {
    const char *job_id, *host, *target; /* target "kind:id" */
    const char *op;
    int job_class; /* 0 A, 1 B, 2 C */
    int64_t term, deadline_ms;
    const char *state;            /* "" for a new one; a rebuilt one carries what is known */
    const char *cancel, *control; /* "" none; control "resolve:done: reason", "finish:done", "rate:<bytes/s>" */
    int64_t token;
    const char *journal; /* "" unknown: the first acquire writes it */
    int64_t ttl_ms;      /* 30 d; 0: none (PARKED) */
};
/* TERM: a higher term leads. ABSENT: no such ticket (cancel, control). */
enum ticket_answer { TICKET_OK, TICKET_TERM, TICKET_ABSENT, TICKET_NO_ANSWER };
/*
 * A ticket that exists keeps its host, target and owner; of what is given, only what cannot be taken back is added: a terminal state, a cancel or control word where
 * there was none, a higher token, the journal where none was known.
 */
int store_ticket_command(const struct store_ticket *ticket, struct store_command *out, struct err *err);
enum ticket_answer store_ticket_answer(const struct redis_reply *reply); /* of all three; NULL: NO_ANSWER */
int store_cancel_command(int64_t term, const char *job_id, const char *who, struct store_command *out, struct err *err);
int store_control_command(int64_t term, const char *job_id, const char *word, struct store_command *out,
                          struct err *err);

/* ---- acquire, renew, progress, finish (worker) ---- */

struct store_slot { /* fs:sem:<name>; names without line breaks */
    const char *name;
    int64_t limit;
};

struct store_acquire {
    const char *job_id, *host, *instance, *target, *journal;
    int job_class;
    int64_t epoch;           /* as the worker last read it */
    const char *run_id;      /* of this connection */
    int64_t token;           /* highest seen by this worker; the fence rises above it */
    int64_t attempt, ttl_ms; /* 30000 */
    bool goes_on;            /* began before its worker died: what keeps a job from starting does not keep it */
    struct store_slot slots[8];
    size_t slot_count;
};
enum acquire_answer {
    ACQUIRE_OK,
    ACQUIRE_EPOCH,
    ACQUIRE_HOLD,
    ACQUIRE_TERMINAL,
    ACQUIRE_NOTICKET,
    ACQUIRE_REFUSED,
    ACQUIRE_EXPIRED,
    ACQUIRE_CANCELLED,
    ACQUIRE_HELD,
    ACQUIRE_SLOTS,
    ACQUIRE_LOST
};
struct acquire_result {
    enum acquire_answer answer;
    int64_t token;    /* OK; 0 for class A, which has no lock */
    int64_t ttl_ms;   /* HELD */
    char control[64]; /* OK: a rate that its ticket says already; "": none */
    char detail[256]; /* HELD: "host/job"; HOLD: reason; REFUSED: why ("journal: …" is a class C job that began under another one);
                         SLOTS: which; TERMINAL: state; CANCELLED: who; LOST: why */
};
/*
 * The same job, host and instance again gets the same token, as long as its lock lives. Another instance of the host gets the lock of a dead one only after it
 * has the host's claim. A PARKED job that was resolved may acquire its target, to pay what it owes.
 */
int store_acquire_command(const struct store_acquire *acquire, struct store_command *out, struct err *err);
void store_acquire_answer(enum redis_outcome outcome, const struct redis_reply *reply, struct acquire_result *out);

struct store_renew {
    const char *job_id, *host, *instance, *target;
    int64_t token, ttl_ms,
        epoch;          /* token 0: no lock, but slots, progress and flags. epoch is not needed: the token tells it */
    const char *run_id; /* of this connection */
    int64_t trusted_until_real_ms; /* when our trust ran out, for "taken back" after a loss of memory; 0: still trusted. Goes over as "so long
                                        ago", so that clocks need not agree */
    const char *phase; /* progress travels with the renewal */
    int64_t done, total;
    const char *const *taken_points; /* restore points that the next class C step takes away, NULL-terminated; may be NULL */
    const char *pins_key;       /* "repository:<id>", "libvirt:<id>" whose pins are checked; several: a line each */
    struct store_slot slots[8]; /* none given: those of the acquire, which Redis knows unless it lost its memory */
    size_t slot_count;
};
enum renew_answer { RENEW_OK, RENEW_TAKEN_BACK, RENEW_LOST, RENEW_PINNED, RENEW_NO_ANSWER };
struct renew_result {
    enum renew_answer answer;
    bool cancel;
    char control[256];
    char detail[256]; /* LOST: why; PINNED: the point; NO_ANSWER: why, also "the pins are not known yet" (the lock is renewed then) */
};
int store_renew_command(const struct store_renew *renew, struct store_command *out, struct err *err);
void store_renew_answer(enum redis_outcome outcome, const struct redis_reply *reply, struct renew_result *out);
/* Flags of accepted jobs that hold no lock (waiting, parked): cancel and control words; same answer. NO_ANSWER also without a ticket. */
int store_flags_command(const char *job_id, const char *host, struct store_command *out, struct err *err);

struct store_finish {
    const char *job_id, *host, *target;
    int64_t token; /* 0: ran without one */
    const char *state; /* terminal name; PARKED keeps the target closed, any other after PARKED opens it; "" = released for a retry (lock and
                          slots freed, ticket stays open) */
    struct store_slot slots[8];
    size_t slot_count;
};
enum finish_answer { FINISH_OK, FINISH_DUP, FINISH_STALE, FINISH_NO_ANSWER };
int store_finish_command(const struct store_finish *finish, struct store_command *out, struct err *err);
enum finish_answer store_finish_answer(enum redis_outcome outcome, const struct redis_reply *reply);

/* ---- hosts ---- */

struct store_claim {
    const char *host, *instance, *boot_id;
    const char *state_directory; /* with device and inode: two containers of one machine have the same boot id, and may have the same path */
    const char *version;
    int64_t running, free_bytes, ttl_ms; /* 45000 */
    bool directory_locked; /* we hold the lock on that state directory: a claim of the same boot id and directory is taken back */
};
enum claim_answer { CLAIM_OK, CLAIM_OTHER, CLAIM_NO_ANSWER };
int store_claim_command(const struct store_claim *claim, struct store_command *out, struct err *err);
/* detail: whose it is and for how long, or why there was no answer. */
enum claim_answer store_claim_answer(enum redis_outcome outcome, const struct redis_reply *reply, char detail[256]);

struct store_host {
    bool alive;
    int64_t ttl_ms;
    char instance[128];
    char version[64];
    int64_t running;
};
/* Of many in few round trips; out[i] is of hosts[i]. */
int store_hosts_read(struct redis *redis, const char *const hosts[], size_t count, struct store_host out[],
                     struct err *err);

/* ---- space reserved in a repository ---- */

/* A repeat sets the new amount and keeps it for 10 more minutes; one that does not grow is never refused. */
int store_reserve_command(const char *repository, const char *job_id, int64_t bytes, int64_t free_bytes,
                          int64_t min_free_bytes, struct store_command *out, struct err *err);
enum reserve_answer { RESERVE_OK, RESERVE_FULL, RESERVE_NO_ANSWER };
enum reserve_answer store_reserve_answer(enum redis_outcome outcome, const struct redis_reply *reply,
                                         int64_t *out_reserved_total);
int store_unreserve_command(const char *repository, const char *job_id, struct store_command *out, struct err *err);

/* ---- consistency groups (worker) ---- */

/* READY: locked and planned. RESERVED: still there. FROZEN: its guest stands still. ABORT: the group comes to nothing. */
enum barrier_vote { VOTE_READY, VOTE_RESERVED, VOTE_FROZEN, VOTE_ABORT };
struct store_barrier {
    const char *group, *job_id;
    const char *attempt; /* without blanks; another of the same job ends the group */
    int64_t members;
    enum barrier_vote vote;
    const char *why; /* ABORT; NULL otherwise */
};
/* ON: all have given that vote. LATE: too late to abort, all were frozen. */
enum barrier_answer { BARRIER_ON, BARRIER_WAIT, BARRIER_ABORT, BARRIER_LATE, BARRIER_NO_ANSWER };
struct barrier_result {
    enum barrier_answer answer;
    int64_t skew_ms;   /* ON, of FROZEN: it stood still so long before the last one did */
    int64_t spread_ms; /* and the first one */
    char detail[256];  /* ABORT: why; NO_ANSWER: why */
};
/* The same again is asked again: WAIT until the last of them has voted. */
int store_barrier_command(const struct store_barrier *barrier, struct store_command *out, struct err *err);
void store_barrier_answer(enum redis_outcome outcome, const struct redis_reply *reply, struct barrier_result *out);

/* ---- reading and replacing as a whole (coordinator, doctor; synchronous) ---- */

struct store_job {
    bool found;
    char state[32], owner[192], phase[64], cancel[192], control[192]; /* owner: "host/instance", "" before it ran */
    int64_t token, done, total, heartbeat_ms;
};
int store_job_read(struct redis *redis, const char *job_id, struct store_job *out, struct err *err);
int store_time_us(struct redis *redis, int64_t *out, struct err *err); /* TIME */
/* Replaces fs:hold: pairs of "all", "host:<host>" or "target:<kind:id>" and the reason. ERR_CONFLICT: deposed. */
int store_holds_write(struct redis *redis, int64_t term, const struct strings *pairs, struct err *err);
/* Replaces the pins of "repository:<id>" or "<target>". ERR_CONFLICT: deposed. */
int store_pins_write(struct redis *redis, int64_t term, const char *key, const struct strings *points, struct err *err);
/* These are all that have pins: others lose theirs. ERR_CONFLICT: deposed. */
int store_pins_keys(struct redis *redis, int64_t term, const struct strings *keys, struct err *err);

struct store_server {
    char version[32], run_id[64], policy[32];
    bool append_only;
};
int store_server_read(struct redis *redis, struct store_server *out, struct err *err);
