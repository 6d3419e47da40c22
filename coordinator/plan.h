#pragma once
/*
 * From a policy and the fleet to the members of a run. Pure: it is told each target (and restore point) and the picture of the fleet; what it answers is the same for a preview,
 * for the real run, and for a new leader that plans the slot again.
 */
#include "coordinator/policy.h"
#include "coordinator/world.h"
#include "model/run.h"

struct inventory_target;
struct ledger_policy;
struct restore_point;

struct plan; /* targets that are collected */

int plan_new(const struct policy *policy, const struct world *world, struct plan **out, struct err *err);
void plan_free(struct plan *plan);
static inline void plan_freep(struct plan **plan)
{
    plan_free(*plan);
}
/* One target of the inventory: taken if the policy selects it. */
int plan_add_target(struct plan *plan, const struct inventory_target *target, struct err *err);
/* Whether it has to know of backups: it verifies or copies them, or spreads fulls. */
bool plan_wants_points(const struct policy *policy);
/* One backup of the fleet, in any order, after the targets. Who does not want it ignores it. */
int plan_add_point(struct plan *plan, const struct restore_point *point, struct err *err);

/* So many targets were taken. */
size_t plan_size(const struct plan *plan);

enum { PLAN_WHY = 200 };

/* The run of that slot and its members, in the order of their turns. schedule NULL: manual, all at once. Caller clears both. */
int plan_run(struct plan *plan, const struct ledger_policy *policy, const struct policy_schedule *schedule,
             int64_t slot_ms, int64_t now_ms, struct run *out_run, struct list *out_members, struct err *err);
/* Ids that every leader derives alike. */
void plan_run_id(const struct run *run, char out[37]);
void plan_job_id(const struct run *run, const struct run_member *member, char out[37]);
/* The job of a member: complete but for what coordinator_submit adds. ERR_RETRY: its repository is not on its host now. Caller frees. */
int plan_job(const struct run *run, const char *run_id, const struct policy *policy, const struct run_member *member,
             const struct world *world, struct job **out, struct err *err);
