#pragma once
/* The life of a job. The legal edges are one table in job_state.c; a test walks every edge. */
#include <stdbool.h>

enum job_state {
    STATE_PLANNED,   /* coordinator: in the ledger */
    STATE_PUBLISHED, /* coordinator: on the topic */
    STATE_ACCEPTED,  /* worker: in its journal (custody) */
    STATE_WAITING,   /* worker: with a reason */
    STATE_RUNNING,   /* worker: with phase and progress */
    STATE_SUCCEEDED,
    STATE_FAILED,
    STATE_CANCELLED,
    STATE_EXPIRED,
    STATE_REJECTED,
    STATE_PARKED, /* terminal: never change (PARKED is published again with `resolved`) */
    STATE_COUNT,
};

extern const char *const job_state_names[]; /* "PLANNED", …; NULL at the end */
bool job_state_terminal(enum job_state state);
bool job_state_may_follow(enum job_state from, enum job_state to);
