#pragma once
/* The inside of a plan, shared by plan.c (targets, members, the run) and plan_points.c (which backups are verified or copied). */
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
    struct strings pools; /* if a limit asks for them */
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

/* Chooses those that this run verifies. */
int plan_draw_sample(struct plan *plan, const struct run *run, struct err *err);
int plan_members_of_points(const struct plan *plan, struct list *members, const struct found *found, int64_t due_ms,
                           struct err *err);
