#pragma once
/*
 * Who leads, decided by the ledger alone. A candidate appends TERM(highest + 1, its nonce); whoever's TERM is the first with its number in the log leads from there on, until
 * a higher one appears. A record behind a higher TERM than its own is dropped by every reader. Pure: no I/O, no clock.
 */
#include "base/uuid.h"

#include <stdint.h>

enum leadership_phase {
    PHASE_FOLLOWING, /* reads */
    PHASE_CANDIDATE, /* its TERM is sent, not yet read back */
    PHASE_ELECTED,   /* its TERM was the first of its number; fs:term is not raised yet, nothing may be published */
    PHASE_LEADING,
};

struct leadership {
    enum leadership_phase phase;
    char nonce[UUID_TEXT]; /* of this start */
    int64_t term;          /* ours: of the candidacy or the reign; 0 while following */
    int64_t highest;       /* in the log so far */
    int64_t redis_term; /* the highest that Redis knows, if it refused ours: a ledger that was lost begins at 1 again */
};

enum leadership_news { NEWS_NONE, NEWS_ELECTED, NEWS_LOST, NEWS_DEPOSED }; /* LOST: a candidacy; DEPOSED: a reign */

struct leadership_inputs {
    bool ledger_read;              /* to its end */
    bool redis_ready;              /* nobody new leads while Redis is down */
    bool hint_known;               /* fs:leader was read since Redis answers */
    bool hint_present;             /* somebody renews it */
    bool hint_ours;                /* by an earlier start of this very instance: nobody else has its state directory */
    int64_t now_ms, not_before_ms; /* monotonic; a candidate that lost waits */
};

void leadership_init(struct leadership *leadership, const char *nonce);
/* A TERM record was read. */
enum leadership_news leadership_read_term(struct leadership *leadership, int64_t term, const char *nonce);
/* True if a record of `term` that is read now does not count. */
bool leadership_drops(const struct leadership *leadership, int64_t term);
bool leadership_should_stand(const struct leadership *leadership, const struct leadership_inputs *inputs);
/*
 * Until when not to stand, monotonic ms: another's TERM of that age was read, and its writer has not had the time yet to say in Redis that it leads. Not long after an old one,
 * so that a standby takes over at once.
 */
enum { LEADERSHIP_PATIENCE_MS = 2000 };
int64_t leadership_patience(int64_t not_before_ms, int64_t now_ms, int64_t age_ms);
/* The number to stand with. */
int64_t leadership_stand(struct leadership *leadership);
void leadership_step_down(struct leadership *leadership);
