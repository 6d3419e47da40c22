/*
 * limits.fulls: which targets' next backup must be a full one though the policy does not ask for it. The worker knows for certain (it looks at the bitmaps); the coordinator knows that it
 * must be one where a guest that runs and could have an incremental has no checkpoint of any of its backups any more: a revert and a restore in place take them away, and the inventory
 * says which are left.
 */
#include "coordinator/plan_internal.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "coordinator/fulls.h"
#include "coordinator/timetable.h"
#include "model/inventory.h"
#include "model/job.h"
#include "model/restore_point.h"

#include <stdlib.h>
#include <string.h>

static const int64_t HOUR_MS = 3600LL * 1000, DAY_MS = 24 * 3600LL * 1000;

bool plan_spreads_fulls(const struct policy *policy)
{
    return policy->operation == POLICY_BACKUP_CREATE && policy->limits.fulls > 0;
}

static bool could_be_incremental(const struct inventory_target *target)
{
    for (size_t i = 0; i < target->disks.count; i++) {
        const struct inventory_disk *disk = list_at(&target->disks, struct inventory_disk, i);
        if (disk->backup && strcmp(disk->backup, "incremental") == 0)
            return true;
    }
    return false;
}

int plan_note_checkpoints(struct found *found, const struct inventory_target *target, struct err *err)
{
    strings_clear(&found->checkpoints);
    found->incremental = found->running && could_be_incremental(target);
    for (size_t i = 0; i < target->checkpoints.count; i++) {
        const char *owner = list_at(&target->checkpoints, struct inventory_checkpoint, i)->owner;
        if (owner && strings_add(&found->checkpoints, owner, err) < 0)
            return -1;
    }
    return 0;
}

void plan_note_base(const struct plan *plan, struct found *found, const struct restore_point *point)
{
    size_t tests = point->verified.count;
    char why[PLAN_WHY];
    const struct world_place *place = world_repository(plan->world, plan->policy->repository, found->target,
                                                       found->host, why);

    if (!place || !point->repository || strcmp(point->repository, place->id) != 0 || point->copied_point ||
        (tests && !list_at(&point->verified, struct point_verification, tests - 1)->ok))
        return;
    found->newest_ms = point->created_at_ms > found->newest_ms ? point->created_at_ms : found->newest_ms;
    found->has_base |= strings_have(&found->checkpoints, point->id);
}

/* One that has no backup yet is not kept waiting for its first. */
static bool must_be_full(const struct found *found)
{
    return found->incremental && !found->doubled && found->newest_ms && !found->has_base;
}

static int64_t slot_before(const struct policy *policy, const struct timetable *table, int64_t slot_ms)
{
    const int64_t spans[] = {HOUR_MS, DAY_MS, 8 * DAY_MS, 35 * DAY_MS, 400 * DAY_MS};

    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
        struct firing firing = {.slot_ms = slot_ms - spans[i]};
        int64_t before_ms = 0;
        while (timetable_next(policy, table, slot_ms - 1, &firing))
            before_ms = firing.slot_ms;
        if (before_ms)
            return before_ms;
    }
    return 0;
}

static int64_t end_of_next(const struct policy *policy, const struct timetable *table, int64_t slot_ms)
{
    struct firing next = {.slot_ms = slot_ms};

    if (!timetable_next(policy, table, slot_ms + 400 * DAY_MS, &next))
        return 0;
    return next.slot_ms + (next.schedule->window_ms ? next.schedule->window_ms : next.schedule->spread_ms);
}

static int rule_of(const struct policy *policy, int64_t slot_ms, struct fulls_rule *out, struct err *err)
{
    CLEANUP(timetable_clear) struct timetable table = {0};

    if (timetable_read(policy, &table, err) < 0)
        return -1;
    *out = (struct fulls_rule){.most = policy->limits.fulls,
                               .before_ms = slot_before(policy, &table, slot_ms),
                               .next_end_ms = end_of_next(policy, &table, slot_ms),
                               .max_age_ms = policy->max_age_ms};
    return 0;
}

int plan_spread_fulls(struct plan *plan, const struct policy_schedule *schedule, const struct run *run, struct err *err)
{
    CLEANUP(freep) struct fulls_item *items = calloc(plan_size(plan) + 1, sizeof *items);
    struct fulls_rule rule;
    size_t count = 0, next = 0;

    if (!items)
        return err_memory(err, "fulls");
    for (struct found *found = plan->targets; found; found = found->hh.next) {
        found->waits = false;
        if (must_be_full(found))
            items[count++] = (struct fulls_item){.target = found->target, .newest_ms = found->newest_ms};
    }
    if (!schedule || run->kind != BACKUP_AUTO || !count)
        return 0; /* who runs it by hand, or asks for a kind, has decided */
    if (rule_of(plan->policy, run->slot_ms, &rule, err) < 0 || fulls_choose(&rule, items, count, err) < 0)
        return -1;
    for (struct found *found = plan->targets; found; found = found->hh.next)
        if (must_be_full(found))
            found->waits = items[next++].waits;
    return 0;
}
