#pragma once
/*
 * How a member of a consistency group votes (docs/groups.md): what it says next, and when it has waited long enough. Pure; the step that asks and waits is in barrier_step.c, who
 * counts the votes is fs_barrier.
 */
#include "redis/store.h"

struct err;

enum {
    BARRIER_GATHER_MS = 60000, /* from its own ready until all are */
    BARRIER_RESERVE_MS = 5000  /* from there until all have said so again */
};

struct barrier_wait {
    enum barrier_vote vote; /* to be given until it is answered */
    int64_t until_ms;       /* monotonic */
};

enum barrier_move {
    BARRIER_ASK,      /* give wait->vote, again if it was given before */
    BARRIER_THROUGH,  /* all have voted: what comes next may begin */
    BARRIER_GIVEN_UP, /* it comes to nothing; the error says why */
};

/* Before the guest stands still: ready, then reserved. */
void barrier_gather(struct barrier_wait *wait, int64_t now_ms);
/* When it stands still. go_ms: when the first barrier was passed; the guest may stand still for limit_ms. */
void barrier_freeze(struct barrier_wait *wait, int64_t go_ms, int64_t limit_ms);
/* What follows from an answer. ERR_PERMANENT: the group came to nothing. ERR_CANCELLED: this member was told to stop. */
enum barrier_move barrier_next(struct barrier_wait *wait, const struct barrier_result *heard, int64_t now_ms,
                               bool cancelled, struct err *err);
int barrier_pause_ms(const struct barrier_wait *wait); /* until it is asked again */
