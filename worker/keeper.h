#pragma once
/*
 * Keeps what this host holds in Redis: renews locks in one pipeline, carries progress, hears cancel and control words of every job in custody, answers an executor that must
 * know whether its lock is still ours right now, reserves space, renews the host's claim. One thread, one connection of its own; never behind anything slow.
 */
#include "base/uuid.h"
#include "worker/hold.h"
#include "worker/message.h"

struct keeper;
struct redis_options;

enum { KEEPER_LOCK_TTL_MS = 30000, KEEPER_MARGIN_MS = 2000, KEEPER_CLAIM_TTL_MS = 45000 };

struct keeper_setup { /* all outlive the keeper */
    const struct redis_options *redis;
    const char *host, *instance, *boot_id, *state_directory, *version;
    struct queue *to_loop;
    atomic_bool *claim_lost; /* set when another instance has this host's claim */
};

struct word { /* to the loop, which frees it with free() */
    struct message message;
    char job_id[UUID_TEXT];
    bool cancel, lost;
    char control[256];
};

struct holds_heard { /* to the loop, which frees it with free(): what people hold back */
    struct message message;
    char json[]; /* facts: host name, target or "all" → reason */
};

int keeper_open(const struct keeper_setup *setup, struct keeper **out, struct err *err); /* no thread yet */
/* Before keeper_start, on the caller's thread: claims the host. 0: claimed; 1: another has it (detail names it); -1: Redis does not answer. */
int keeper_claim(struct keeper *keeper, char detail[256], struct err *err);
int keeper_time_us(struct keeper *keeper, int64_t *out, struct err *err); /* Redis' TIME; likewise */
int keeper_start(struct keeper *keeper, struct err *err);
void keeper_close(struct keeper *keeper); /* joins; NULL is fine */

/* From the loop. */
void keeper_keep(struct keeper *keeper, struct hold *hold);    /* renews it from now on; takes a reference */
void keeper_release(struct keeper *keeper, struct hold *hold); /* no more; releases what is reserved */
void keeper_watch(struct keeper *keeper, const char *job_id);  /* reads the flags of a job that holds no lock */
void keeper_unwatch(struct keeper *keeper, const char *job_id);
void keeper_tell(struct keeper *keeper, int64_t running, int64_t free_bytes); /* travels with the claim */

/* From an executor; each waits for one round trip at most (2 s). */
enum trust keeper_confirm(struct keeper *keeper, struct hold *hold, const struct plan *plan, char detail[256]);
int keeper_reserve(struct keeper *keeper, struct hold *hold, const char *repository, int64_t bytes, int64_t free_bytes,
                   int64_t min_free_bytes, struct err *err);
/* A vote in the consistency group of the hold's job. Without a lock nobody is ready: ABORT. */
void keeper_barrier(struct keeper *keeper, struct hold *hold, const struct job *job, enum barrier_vote vote,
                    const char *why, struct barrier_result *out);
