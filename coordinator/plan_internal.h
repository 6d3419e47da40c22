#pragma once
/* The inside of a plan, shared by plan.c (targets, members, the run), plan_points.c (which backups are verified or copied) and plan_fulls.c. */
#include "coordinator/plan.h"
#include "model/target.h"

#include <uthash.h>

struct found_point {
    char *id, *repository, *host;
    int64_t created_ms, tested_ms;
    bool chosen; /* for the run that is being planned; without a sample all are */
};

struct found { /* a target that the policy selects */
    UT_hash_handle hh;
    char *name, *host;
    struct strings pools;       /* if a limit asks for them */
    struct strings checkpoints; /* restore points that left one which is still there; if limits.fulls asks */
    bool incremental, has_base; /* its backup could be one; and there is one that it could stand on */
    bool waits;                 /* for the next run: it would have to be a full */
    int64_t newest_ms;          /* its newest good backup in the policy's repository; 0: none */
    bool running;
    bool doubled;               /* defined on two hosts, and neither runs */
    struct found_point *points; /* newest first */
    size_t point_count, point_room;
    struct strings copies; /* "point repository" of each copy that there is */
    char target[TARGET_TEXT];
};

struct plan {
    const struct policy *policy;
    const struct world *world;
    struct policy_matcher *matcher;
    struct found *targets;
};

struct found *plan_find(const struct plan *plan, const char *target); /* NULL: the policy does not select it */
/* NULL: no memory; the member stays the list's. */
struct run_member *plan_add_member(struct list *members, const struct found *found, int64_t due_ms, struct err *err);
int plan_refuse(struct run_member *member, const char *why, struct err *err);

/* limits.fulls (plan_fulls.c) */
bool plan_spreads_fulls(const struct policy *policy);
int plan_note_checkpoints(struct found *found, const struct inventory_target *target, struct err *err);
void plan_note_base(const struct plan *plan, struct found *found, const struct restore_point *point);
int plan_spread_fulls(struct plan *plan, const struct policy_schedule *schedule, const struct run *run, struct err *err);

bool plan_about_points(const struct policy *policy); /* its members are backups, not targets */
/* Chooses those that this run verifies. */
int plan_draw_sample(struct plan *plan, const struct run *run, struct err *err);
int plan_members_of_points(const struct plan *plan, struct list *members, const struct found *found, int64_t due_ms,
                           struct err *err);
