#pragma once
/*
 * When the jobs of runs would start and end, by how long such jobs took and by the limits that they share: the runs' own decision (run.h), asked again and again as their jobs would
 * end. Pure.
 */
#include "coordinator/run.h"

struct err;

struct run_time {
    int64_t duration_ms;      /* in: how long its job will take; 0: nobody knows */
    int64_t start_ms, end_ms; /* out; 0: it gets no job, or start: its window is over before its turn; end: not known */
    bool busy;                /* an earlier job of its policy would still be open on its target: it is left out */
    bool cut;                 /* it would be cancelled at the end of its window */
    enum run_limit full;      /* which limit it waited for last */
    size_t holder_count;
    const char *holders[RUN_HOLDERS]; /* the policies whose jobs took the room; names of the runs */
};

struct timed_run {
    const struct run *run;           /* planned at its slot */
    const struct run_limits *limits; /* alike in what holds for all */
    const struct list *members;      /* struct run_member */
    bool skips_busy;                 /* overlap: skip */
    struct run_time *times;          /* as many as members */
};

enum { TIMING_MAX = 4000 /* members of all; it takes time with the square of them */ };
/* Sorts the runs by whose turn comes first. Nothing is filled in for more than TIMING_MAX. */
int runs_timing(struct timed_run *runs, size_t count, struct err *err);
