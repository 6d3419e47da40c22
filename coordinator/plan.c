#include "coordinator/plan.h"

#include "base/err.h"
#include "coordinator/schedule.h"
#include "model/inventory.h"
#include "model/job.h"
#include "model/ledger_entry.h"
#include "model/restore_point.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct found_point {
    char *id, *repository, *host;
    int64_t created_ms;
};

struct found { /* a target that the policy selects */
    UT_hash_handle hh;
    char *name, *host;
    bool running;
    bool doubled; /* defined on two hosts, and neither runs */
    struct found_point *points;
    size_t point_count;
    struct strings copies; /* "point repository" of each copy that there is */
    char target[TARGET_TEXT];
};

struct plan {
    const struct policy *policy;
    const struct world *world;
    struct policy_matcher *matcher;
    struct found *targets;
};

int plan_new(const struct policy *policy, const struct world *world, struct plan **out, struct err *err)
{
    CLEANUP(plan_freep) struct plan *plan = calloc(1, sizeof *plan);

    if (!plan)
        return err_memory(err, policy->name);
    plan->policy = policy;
    plan->world = world;
    if (policy_matcher_new(policy, &plan->matcher, err) < 0)
        return -1;
    *out = TAKE_PTR(plan);
    return 0;
}

static void found_free(struct found *found)
{
    for (size_t i = 0; i < found->point_count; i++) {
        free(found->points[i].id);
        free(found->points[i].repository);
        free(found->points[i].host);
    }
    free(found->points);
    strings_clear(&found->copies);
    free(found->name);
    free(found->host);
    free(found);
}

void plan_free(struct plan *plan)
{
    struct found *found, *next;

    if (!plan)
        return;
    HASH_ITER (hh, plan->targets, found, next) {
        HASH_DEL(plan->targets, found);
        found_free(found);
    }
    policy_matcher_free(plan->matcher);
    free(plan);
}

/* ---- targets ---- */

static struct found *find(const struct plan *plan, const char *target)
{
    struct found *found;

    HASH_FIND_STR(plan->targets, target, found);
    return found;
}

/* The same target on a second host: the one that runs; if both are off, a person must say. */
static int meet_again(struct found *found, const struct inventory_target *target, bool running, struct err *err)
{
    if (found->running == running) {
        found->doubled = true;
        return 0;
    }
    found->doubled = false;
    if (!running)
        return 0;
    found->running = true;
    return string_set(&found->host, target->host, err);
}

int plan_add_target(struct plan *plan, const struct inventory_target *target, struct err *err)
{
    struct policy_target asked = {target->target.kind, target->target.name, target->host, &target->labels};
    bool running = target->state && strcmp(target->state, "shutoff") != 0;
    char text[TARGET_TEXT];

    if (!policy_selects(plan->matcher, &asked))
        return 0;
    struct found *found = find(plan, target_format(&target->target, text));
    if (found)
        return meet_again(found, target, running, err);
    found = calloc(1, sizeof *found);
    if (!found || string_set(&found->name, target->target.name, err) < 0 ||
        string_set(&found->host, target->host, err) < 0) {
        if (found)
            found_free(found);
        return err_memory(err, "plan");
    }
    memcpy(found->target, text, sizeof text);
    found->running = running;
    HASH_ADD_STR(plan->targets, target, found);
    return 0;
}

size_t plan_size(const struct plan *plan)
{
    return HASH_COUNT(plan->targets);
}

/* ---- what is to be verified, or copied ---- */

bool plan_wants_points(const struct policy *policy)
{
    return policy->operation == POLICY_BACKUP_VERIFY || policy->operation == POLICY_BACKUP_COPY;
}

static bool proven(const struct restore_point *point, int depth)
{
    for (size_t i = 0; i < point->verified.count; i++) {
        const struct point_verification *one = list_at(&point->verified, struct point_verification, i);
        if (one->ok && one->depth >= depth)
            return true;
    }
    return false;
}

/* The newest `most` stay, newest first. */
static void place_point(struct found *found, struct found_point *point, size_t most)
{
    size_t at = 0;

    while (at < found->point_count && found->points[at].created_ms > point->created_ms)
        at++;
    if (found->point_count == most) {
        struct found_point *last = &found->points[most - 1];
        struct found_point *out = at == most ? point : last;
        free(out->id);
        free(out->repository);
        free(out->host);
        if (at == most)
            return;
        found->point_count--;
    }
    memmove(&found->points[at + 1], &found->points[at], (found->point_count - at) * sizeof *point);
    found->points[at] = *point;
    found->point_count++;
}

static char *copy_key(char out[96], const char *point, const char *repository)
{
    snprintf(out, 96, "%.40s %.40s", point, repository ? repository : "");
    return out;
}

/* Whether it may be one of those that the policy is about. */
static bool concerns(const struct plan *plan, const struct restore_point *point)
{
    const struct policy_verify *verify = plan->policy->verify;
    size_t last = point->verified.count;

    if (plan->policy->operation == POLICY_BACKUP_VERIFY)
        return !proven(point, verify ? verify->depth : VERIFY_CHECKSUM);
    return !point->copied_point && !(last && !list_at(&point->verified, struct point_verification, last - 1)->ok);
}

static int note_point(struct found *found, const struct restore_point *point, size_t most, struct err *err)
{
    struct found_point its = {.created_ms = point->created_at_ms};

    if (!found->points && !(found->points = calloc(most + 1, sizeof *found->points)))
        return err_memory(err, "plan");
    if (string_set(&its.id, point->id, err) < 0 || string_set(&its.repository, point->repository, err) < 0 ||
        string_set(&its.host, point->host, err) < 0) {
        free(its.id);
        free(its.repository);
        return -1;
    }
    place_point(found, &its, most);
    return 0;
}

int plan_add_point(struct plan *plan, const struct restore_point *point, struct err *err)
{
    const struct policy_verify *verify = plan->policy->verify;
    char text[TARGET_TEXT], key[96];

    if (!plan_wants_points(plan->policy) || point->state != POINT_COMPLETE || strcmp(point->kind, "backup") != 0)
        return 0;
    struct found *found = find(plan, target_format(&point->target, text));
    if (!found)
        return 0;
    if (plan->policy->operation == POLICY_BACKUP_COPY && point->copied_point &&
        strings_add(&found->copies, copy_key(key, point->copied_point, point->repository), err) < 0)
        return -1;
    return concerns(plan, point) ? note_point(found, point, verify ? (size_t)verify->newest : 1, err) : 0;
}

/* ---- members ---- */

static struct run_member *add_member(struct list *members, const struct found *found, int64_t due_ms, struct err *err)
{
    struct run_member *member = list_add(members, &run_member_record, err);

    if (!member || string_set(&member->target, found->target, err) < 0 ||
        string_set(&member->name, found->name, err) < 0 || string_set(&member->host, found->host, err) < 0)
        return NULL;
    member->due_at_ms = due_ms;
    return member;
}

static int refuse(struct run_member *member, const char *why, struct err *err)
{
    char text[PLAN_WHY + 16];

    snprintf(text, sizeof text, "refused: %s", why);
    return string_set(&member->skipped, text, err);
}

static int member_of_target(const struct plan *plan, struct list *members, const struct found *found, int64_t due_ms,
                            struct err *err)
{
    struct run_member *member = add_member(members, found, due_ms, err);
    char why[PLAN_WHY];
    const struct world_place *place = NULL;

    if (!member)
        return -1;
    if (found->doubled)
        return refuse(member, "it is defined on two hosts, and runs on neither", err);
    if (plan->policy->operation != POLICY_BACKUP_CREATE)
        return 0;
    place = world_repository(plan->world, plan->policy->repository, found->target, found->host, why);
    return place ? string_set(&member->repository, place->id, err) : refuse(member, why, err);
}

/* Where the job about that point runs; of one that is to be copied: where it goes. NULL: nowhere, and why. */
static const struct world_place *place_of(const struct plan *plan, const struct found *found,
                                          const struct found_point *its, char why[PLAN_WHY])
{
    const struct restore_point point = {.repository = its->repository, .host = its->host};

    return plan->policy->operation == POLICY_BACKUP_COPY
               ? world_place_of_copy(plan->world, &point, plan->policy->repository, found->host, why)
               : world_place_of_point(plan->world, &point, found->host, why);
}

/* It is in that repository, or a copy of it is. */
static bool is_there(const struct plan *plan, const struct found *found, const struct found_point *its,
                     const struct world_place *to)
{
    char key[96];

    return plan->policy->operation == POLICY_BACKUP_COPY && to &&
           (strcmp(its->repository, to->id) == 0 || strings_have(&found->copies, copy_key(key, its->id, to->id)));
}

static int members_of_points(const struct plan *plan, struct list *members, const struct found *found, int64_t due_ms,
                             struct err *err)
{
    for (size_t i = 0; i < found->point_count; i++) {
        const struct found_point *its = &found->points[i];
        char why[PLAN_WHY];
        const struct world_place *place = place_of(plan, found, its, why);
        if (is_there(plan, found, its, place))
            continue;
        struct run_member *member = add_member(members, found, due_ms, err);
        if (!member || string_set(&member->point, its->id, err) < 0 ||
            string_set(&member->repository, its->repository, err) < 0 ||
            (place ? string_set(&member->host, place->host, err) : refuse(member, why, err)) < 0)
            return -1;
    }
    return 0;
}

static int compare_members(const void *a, const void *b)
{
    const struct run_member *one = a, *other = b;

    if (one->due_at_ms != other->due_at_ms)
        return one->due_at_ms < other->due_at_ms ? -1 : 1;
    int order = strcmp(one->target, other->target);
    return order ? order : strcmp(one->point ? one->point : "", other->point ? other->point : "");
}

/* A backup's kind by the schedule, else by the policy. */
static int kind_of(const struct policy *policy, const struct policy_schedule *schedule)
{
    int own = policy->backup ? policy->backup->kind : BACKUP_AUTO;

    return schedule && schedule->kind ? schedule->kind - 1 : own;
}

static int fill_run(const struct ledger_policy *policy, const struct policy_schedule *schedule, int64_t slot_ms,
                    int64_t now_ms, size_t members, struct run *out, struct err *err)
{
    record_defaults(&run_record, out);
    if (string_set(&out->policy, policy->policy.name, err) < 0 ||
        string_set(&out->schedule, schedule ? schedule->name : "manual", err) < 0 ||
        string_set(&out->operation, policy_operation_names[policy->policy.operation], err) < 0)
        return -1;
    out->version = policy->version;
    out->slot_ms = slot_ms;
    out->kind = kind_of(&policy->policy, schedule);
    out->planned_at_ms = now_ms;
    out->members = (int64_t)members;
    out->parts = (int64_t)(members + RUN_PART_MEMBERS - 1) / RUN_PART_MEMBERS;
    out->priority = policy->policy.priority;
    if (schedule && schedule->window_ms) {
        out->window_end_at_ms = slot_ms + schedule->window_ms;
        out->cancel_at_end = schedule->window_end == WINDOW_END_CANCEL;
    }
    return 0;
}

int plan_run(struct plan *plan, const struct ledger_policy *policy, const struct policy_schedule *schedule,
             int64_t slot_ms, int64_t now_ms, struct run *out_run, struct list *out_members, struct err *err)
{
    struct run_members members = {0};
    struct run run = {0};
    struct found *found, *next;
    int result = 0;

    HASH_ITER (hh, plan->targets, found, next) {
        int64_t due = slot_ms + schedule_spread(plan->policy->name, found->target, schedule ? schedule->spread_ms : 0);
        if (result == 0)
            result = plan_wants_points(plan->policy) ? members_of_points(plan, &members.members, found, due, err)
                                                     : member_of_target(plan, &members.members, found, due, err);
    }
    if (result == 0)
        result = fill_run(policy, schedule, slot_ms, now_ms, members.members.count, &run, err);
    if (result < 0) {
        run_members_clear(&members);
        run_clear(&run);
        return -1;
    }
    if (members.members.count)
        qsort(members.members.items, members.members.count, sizeof(struct run_member), compare_members);
    *out_run = run;
    *out_members = members.members;
    return 0;
}
