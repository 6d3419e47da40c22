#pragma once
/*
 * What the next runs of a policy would come to, among the runs of all others that are near. Pure: policies, targets and the picture of the fleet in, one course of events out, by
 * what really plans (plan.h), decides (run.h) and counts time (timing.h).
 */
#include "coordinator/plan.h"
#include "coordinator/timetable.h"
#include "coordinator/timing.h"

struct coordinator_options;
struct outlook;

struct outlook_run { /* one firing */
    struct run run;
    struct run_limits limits;
    struct run_members members;
    struct run_time *times; /* by member; names of policies in it are lent by the outlook */
    int64_t reach_ms; /* runs whose slot is so near are taken into account; 0: no others, for there are too many */
    bool timed;       /* false: too many members even so */
};
void outlook_run_clear(struct outlook_run *run);

/* How long that job would take; 0: nobody knows. */
typedef int64_t outlook_took(void *context, const struct run *run, const struct run_member *member);

/* Options and world are lent. Caller frees. */
int outlook_new(const struct coordinator_options *options, const struct world *world, struct outlook **out,
                struct err *err);
void outlook_free(struct outlook *outlook);
static inline void outlook_freep(struct outlook **outlook)
{
    outlook_free(*outlook);
}
/* A policy, lent: the first is the one that is asked about. One that is paused, or has no schedule, starts nothing beside it. */
int outlook_add(struct outlook *outlook, const struct ledger_policy *policy, struct err *err);
bool outlook_wants_points(const struct outlook *outlook);
/* Each target, then each backup, of the fleet. */
int outlook_add_target(struct outlook *outlook, const struct inventory_target *target, struct err *err);
int outlook_add_point(struct outlook *outlook, const struct restore_point *point, struct err *err);

/* The next firing of the first policy, as timetable_next; false: none within ten years. */
bool outlook_next(const struct outlook *outlook, struct firing *firing);
/* first_ms: slot of the first firing that is asked for. A firing without schedule: what run-now would do. Caller clears. */
int outlook_run(const struct outlook *outlook, int64_t first_ms, const struct firing *firing, outlook_took *took,
                void *context, struct outlook_run *out, struct err *err);
