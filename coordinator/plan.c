#include "coordinator/plan_internal.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "coordinator/pools.h"
#include "coordinator/schedule.h"
#include "model/inventory.h"
#include "model/job.h"
#include "model/ledger_entry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    strings_clear(&found->pools);
    strings_clear(&found->checkpoints);
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

struct found *plan_find(const struct plan *plan, const char *target)
{
    struct found *found;

    HASH_FIND_STR(plan->targets, target, found);
    return found;
}

/* Where its disks lie, if a limit of the policy or of the fleet asks. What does not lie in one of so many counts for none. */
static int note_pools(const struct plan *plan, struct found *found, const struct inventory_target *target,
                      struct err *err)
{
    char name[POOL_NAME];

    strings_clear(&found->pools);
    if (!plan->policy->limits.per_pool && !world_limits_pools(plan->world))
        return 0;
    for (size_t i = 0; i < target->disks.count && found->pools.count < RUN_POOLS; i++) {
        const struct inventory_disk *disk = list_at(&target->disks, struct inventory_disk, i);
        if (disk->device && strcmp(disk->device, "disk") == 0 &&
            world_pool(plan->world, target->host, disk->source, name) && !strings_have(&found->pools, name) &&
            strings_add(&found->pools, name, err) < 0)
            return -1;
    }
    return 0;
}

static int note_details(const struct plan *plan, struct found *found, const struct inventory_target *target,
                        struct err *err)
{
    if (plan_spreads_fulls(plan->policy) && plan_note_checkpoints(found, target, err) < 0)
        return -1;
    return note_pools(plan, found, target, err);
}

/* The same target on a second host: the one that runs; if both are off, a person must say. */
static int meet_again(const struct plan *plan, struct found *found, const struct inventory_target *target, bool running,
                      struct err *err)
{
    if (found->running == running) {
        found->doubled = true;
        return 0;
    }
    found->doubled = false;
    if (!running)
        return 0;
    found->running = true;
    return note_details(plan, found, target, err) < 0 ? -1 : string_set(&found->host, target->host, err);
}

int plan_add_target(struct plan *plan, const struct inventory_target *target, struct err *err)
{
    struct policy_target asked = {target->target.kind, target->target.name, target->host, &target->labels};
    bool running = target->state && strcmp(target->state, "shutoff") != 0;
    char text[TARGET_TEXT];

    if (!policy_selects(plan->matcher, &asked))
        return 0;
    struct found *found = plan_find(plan, target_format(&target->target, text));
    if (found)
        return meet_again(plan, found, target, running, err);
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
    return note_details(plan, found, target, err);
}

size_t plan_size(const struct plan *plan)
{
    return HASH_COUNT(plan->targets);
}

/* ---- members ---- */

struct run_member *plan_add_member(struct list *members, const struct found *found, int64_t due_ms, struct err *err)
{
    struct run_member *member = list_add(members, &run_member_record, err);

    if (!member || string_set(&member->target, found->target, err) < 0 ||
        string_set(&member->name, found->name, err) < 0 || string_set(&member->host, found->host, err) < 0)
        return NULL;
    member->due_at_ms = due_ms;
    return member;
}

int plan_refuse(struct run_member *member, const char *why, struct err *err)
{
    char text[PLAN_WHY + 16];

    snprintf(text, sizeof text, "refused: %s", why);
    return string_set(&member->skipped, text, err);
}

static int member_of_target(const struct plan *plan, struct list *members, const struct found *found, int64_t due_ms,
                            struct err *err)
{
    struct run_member *member = plan_add_member(members, found, due_ms, err);
    char why[PLAN_WHY];
    const struct world_place *place = NULL;

    if (!member)
        return -1;
    for (size_t i = 0; i < found->pools.count; i++)
        if (strings_add(&member->pools, found->pools.items[i], err) < 0)
            return -1;
    if (found->doubled)
        return plan_refuse(member, "it is defined on two hosts, and runs on neither", err);
    if (plan->policy->operation != POLICY_BACKUP_CREATE)
        return 0;
    if (found->waits)
        return string_set(&member->skipped,
                          "it waits for the next run: it would have to be a full one, and limits.fulls leaves no room",
                          err);
    place = world_repository(plan->world, plan->policy->repository, found->target, found->host, why);
    return place ? string_set(&member->repository, place->id, err) : plan_refuse(member, why, err);
}

/* ---- the run ---- */

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
                    int64_t now_ms, struct run *out, struct err *err)
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
    out->priority = policy->policy.priority;
    if (schedule && schedule->window_ms) {
        out->window_end_at_ms = slot_ms + schedule->window_ms;
        out->cancel_at_end = schedule->window_end == WINDOW_END_CANCEL;
    }
    return 0;
}

static int add_members(const struct plan *plan, const struct policy_schedule *schedule, int64_t slot_ms,
                       struct list *members, struct err *err)
{
    for (const struct found *found = plan->targets; found; found = found->hh.next) {
        int64_t due = slot_ms + schedule_spread(plan->policy->name, found->target, schedule ? schedule->spread_ms : 0);
        if ((plan_about_points(plan->policy) ? plan_members_of_points(plan, members, found, due, err)
                                             : member_of_target(plan, members, found, due, err)) < 0)
            return -1;
    }
    if (members->count)
        qsort(members->items, members->count, sizeof(struct run_member), compare_members);
    return 0;
}

int plan_run(struct plan *plan, const struct ledger_policy *policy, const struct policy_schedule *schedule,
             int64_t slot_ms, int64_t now_ms, struct run *out_run, struct list *out_members, struct err *err)
{
    CLEANUP(run_members_clear) struct run_members members = {0};
    CLEANUP(run_clear) struct run run = {0};

    if (fill_run(policy, schedule, slot_ms, now_ms, &run, err) < 0 ||
        (policy_samples(plan->policy) && plan_draw_sample(plan, &run, err) < 0) ||
        (plan_spreads_fulls(plan->policy) && plan_spread_fulls(plan, schedule, &run, err) < 0) ||
        add_members(plan, schedule, slot_ms, &members.members, err) < 0)
        return -1;
    run.members = (int64_t)members.members.count;
    run.parts = (run.members + RUN_PART_MEMBERS - 1) / RUN_PART_MEMBERS;
    *out_run = run;
    *out_members = members.members;
    run = (struct run){0};
    members = (struct run_members){0};
    return 0;
}
