#pragma once
/* From a deploy to the runs that do what it asks for. */
#include "coordinator/deploy.h"
#include "coordinator/plan.h"

struct coordinator;
struct view_reader;

/* Every leader derives the same. */
void deploy_run_id(const char *id, enum deploy_run kind, int64_t slot_ms, char out[37]);
/* The snapshots of all that it selects now. ERR_PERMANENT: it selects nothing. Members that can have none are refused (run_member_refused). Caller clears both. */
int deploy_plan_begin(struct coordinator *coordinator, struct view_reader *reader, const struct world *world,
                      const char *id, const struct deploy *deploy, int64_t now_ms, struct run *out_run,
                      struct list *out_members, struct err *err);
/* Pure: a revert, or the deletion, of those snapshots of the run of its begin that were made. Reverts: those that deploy->order names first, then the others, the last first. */
int deploy_plan_back(const char *id, const struct deploy *deploy, enum deploy_run kind, const struct list *members,
                     const bool *made, int64_t now_ms, struct run *out_run, struct list *out_members, struct err *err);
/* The first member that is refused, as "name: why"; false: none is. Pure. */
bool deploy_plan_refused(const struct list *members, char out[300]);
/* A target that both have; NULL: none. Pure. */
const struct run_member *deploy_plan_common(const struct list *members, const struct list *others);
/* A name of the order that is no target of these, or stands there twice; NULL: none. Pure. */
const char *deploy_plan_stranger(const struct list *members, const struct strings *order);
