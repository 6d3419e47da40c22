#pragma once
/* When the jobs of a run would start and end, by how long such jobs took and by the limits: the run's own decision (run.h), asked again and again as its jobs would end. Pure. Other runs are not known to it. */
#include "coordinator/run.h"

struct err;

struct run_time {
    int64_t duration_ms;      /* in: how long its job will take; 0: nobody knows */
    int64_t start_ms, end_ms; /* out; 0: it gets no job, or start: its window is over before its turn; end: not known */
};

enum { TIMING_MAX = 2000 /* members; it takes time with the square of them */ };
/* times: by member, as many as members. Nothing is filled in for more than TIMING_MAX. */
int run_timing(const struct run *run, const struct run_limits *limits, const struct list *members,
               struct run_time *times, struct err *err);
