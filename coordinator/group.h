#pragma once
/*
 * A consistency group as the leader plans it: which targets can be one point in time, and which other group is in the way. Pure. How the members come to it by themselves is the
 * workers' (worker/barrier.h, docs/groups.md).
 */
#include "coordinator/run.h"
#include "model/run.h"

struct world;

/* Makes the members of a run one group: each that cannot be in it says why (skipped "refused: …"), for then there is none. limits: those of all runs. */
int group_plan(struct run *run, struct list *members, int64_t limit_ms, const struct world *world,
               const struct run_limits *limits, struct err *err);
/* A member whose host has one of the others, which wait for each other, too; NULL: none. */
const struct run_member *group_same_host(const struct list *members, const struct list *others);
/* All that wait begin at once, or none does. */
void group_decide(struct run_seat *seats, size_t count);
