/* What no rule keeps becomes a run of deletions, each decided again by the worker from the manifests, under the lock. And what nobody asks for any more is forgotten. */
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "coordinator/expire.h"
#include "coordinator/plan.h"
#include "coordinator/planner.h"
#include "coordinator/world.h"
#include "model/restore_point.h"

#include <stdio.h>
#include <string.h>

enum { DAY = 24 * 3600, PASS_HOURS = 6, VERSIONS_KEPT = 20 };

static const int64_t RUN_KEPT_MS = 41LL * DAY * 1000; /* longer than its jobs, which stay 40 d */
static const int64_t EMPTY_KEPT_MS = 1LL * DAY * 1000;

/* ---- deletions ---- */

struct pass {
    struct planner *planner;
    struct run_members *members; /* beside the policies */
};

static bool deleting_already(const struct planner *planner, const char *policy)
{
    for (const struct active *active = planner->runs; active; active = active->hh.next)
        if (strcmp(active->run.policy, policy) == 0 && strcmp(active->run.schedule, "retention") == 0)
            return true;
    return false;
}

static size_t index_of(const struct planner *planner, const char *name)
{
    size_t i = 0;

    while (i < planner->policies.count && strcmp(planner->policies.items[i]->policy->policy.name, name) != 0)
        i++;
    return i;
}

static const char *place_of(const struct planner *planner, const struct expire_point *point, bool snapshot)
{
    const struct restore_point asked = {.repository = point->repository, .host = point->host};
    char why[PLAN_WHY];

    if (snapshot)
        return point->host;
    const struct world_place *place = world_place_of_point(planner->world, &asked, NULL, why);
    return place ? place->host : NULL; /* none now: a later pass finds it */
}

static int add_deletion(struct pass *pass, const struct expire_group *group, size_t index, struct err *err)
{
    const struct expire_point *point = &group->points[index];
    bool snapshot = group->policy->policy.operation == POLICY_SNAPSHOT_CREATE;
    const char *host = place_of(pass->planner, point, snapshot);
    struct list *members = &pass->members[index_of(pass->planner, group->policy->policy.name)].members;

    if (!host)
        return 0;
    struct run_member *member = list_add(members, &run_member_record, err);
    if (!member || string_set(&member->target, group->target, err) < 0 ||
        string_set(&member->name, group->target_name, err) < 0 || string_set(&member->host, host, err) < 0 ||
        string_set(&member->point, point->id, err) < 0)
        return -1;
    member->merge = group->marks[index].merge;
    return snapshot ? string_set(&member->snapshot, point->name, err)
                    : string_set(&member->repository, point->repository, err);
}

/* In the order in which they may go: children before parents. */
static int note_group(void *context, const struct expire_group *group, struct err *err)
{
    struct pass *pass = context;

    if (deleting_already(pass->planner, group->policy->policy.name))
        return 0;
    for (size_t order = 1; order <= group->count; order++)
        for (size_t i = 0; i < group->count; i++)
            if (group->marks[i].order == order && add_deletion(pass, group, i, err) < 0)
                return -1;
    return 0;
}

static int write_pass(struct planner *planner, const struct ledger_policy *policy, const struct list *members,
                      int64_t now_ms, struct err *err)
{
    CLEANUP(run_clear) struct run run = {0};
    bool snapshots = policy->policy.operation == POLICY_SNAPSHOT_CREATE;
    char id[UUID_TEXT];

    record_defaults(&run_record, &run);
    if (string_set(&run.policy, policy->policy.name, err) < 0 || string_set(&run.schedule, "retention", err) < 0 ||
        string_set(&run.operation, snapshots ? "snapshot.delete" : "backup.delete", err) < 0)
        return -1;
    run.version = policy->version;
    run.slot_ms = run.planned_at_ms = now_ms;
    run.members = (int64_t)members->count;
    run.parts = (int64_t)(members->count + RUN_PART_MEMBERS - 1) / RUN_PART_MEMBERS;
    run.priority = policy->policy.priority > 0 ? policy->policy.priority - 1 : 0;
    run.window_end_at_ms = now_ms +
                           PASS_HOURS * 3600 * 1000LL; /* what a dead host keeps from going is asked again then */
    plan_run_id(&run, id);
    if (run_write(planner->coordinator, NULL, id, &run, members, err) < 0)
        return -1;
    log_info(id, "policy %s, retention: %zu to delete", run.policy, members->count);
    return 0;
}

int planner_expire(struct planner *planner, int64_t now_ms, struct err *err)
{
    size_t count = planner->policies.count;
    struct pass pass = {planner, calloc(count + 1, sizeof *pass.members)};

    if (!pass.members)
        return err_memory(err, "retention");
    int result = planner_world(planner, err);
    if (result == 0)
        result = expire_each(planner->coordinator, planner->reader, &planner->policies, NULL, now_ms, note_group, &pass,
                             err);
    for (size_t i = 0; i < count; i++) {
        const struct ledger_policy *policy = planner->policies.items[i]->policy;
        if (result == 0 && pass.members[i].members.count && !policy->paused)
            result = write_pass(planner, policy, &pass.members[i].members, now_ms, err);
        run_members_clear(&pass.members[i]);
    }
    free(pass.members);
    return result;
}

/* ---- forgetting ---- */

struct newest {
    struct planner *planner;
    struct mark *slots; /* by "policy/schedule" */
    int64_t now_ms;
};

static struct mark *newest_of(struct newest *newest, const struct run *run)
{
    char name[160];
    struct mark *mark;

    snprintf(name, sizeof name, "%.64s/%.64s", run->policy, run->schedule);
    HASH_FIND_STR(newest->slots, name, mark);
    if (mark)
        return mark;
    mark = calloc(1, sizeof *mark + strlen(name) + 1);
    if (!mark)
        return NULL;
    strcpy(mark->name, name);
    HASH_ADD_STR(newest->slots, name, mark);
    return mark;
}

static int note_newest(void *context, const char *id, const struct ledger_entry *head, struct err *err)
{
    struct mark *mark;

    (void)id;
    if (!run_is_of_policy(head->run))
        return 0;
    mark = newest_of(context, head->run);
    if (!mark)
        return err_memory(err, "runs");
    if (head->run->slot_ms > mark->slot_ms)
        mark->slot_ms = head->run->slot_ms;
    return 0;
}

/* Those of a deploy stay as long as it does: they say which snapshots it has. */
static int forget_of_deploy(struct planner *planner, const char *id, const struct run *run, struct err *err)
{
    CLEANUP(ledger_entry_freep) struct ledger_entry *deploy = NULL;

    if (coordinator_get(planner->coordinator, LEDGER_DEPLOY, run->deploy, &deploy, err) < 0)
        return -1;
    return deploy && !deploy->gone ? 0 : run_forget(planner->coordinator, id, run, err);
}

/* The newest run of a schedule is also the memory of how far it is. */
static int forget_old(void *context, const char *id, const struct ledger_entry *head, struct err *err)
{
    struct newest *newest = context;
    const struct run *run = head->run;

    if (run->deploy)
        return run->ended_at_ms ? forget_of_deploy(newest->planner, id, run, err) : 0;
    if (run->recovers)
        return run->ended_at_ms && newest->now_ms - run->ended_at_ms >= RUN_KEPT_MS
                   ? run_forget(newest->planner->coordinator, id, run, err)
                   : 0;
    const struct mark *mark = newest_of(newest, run);
    int64_t kept_ms = run->members ? RUN_KEPT_MS : EMPTY_KEPT_MS;

    if (!run->ended_at_ms || newest->now_ms - run->ended_at_ms < kept_ms || !mark || run->slot_ms >= mark->slot_ms)
        return 0;
    return run_forget(newest->planner->coordinator, id, run, err);
}

static bool in_use(const struct planner *planner, const char *policy, int64_t version)
{
    for (const struct active *active = planner->runs; active; active = active->hh.next)
        if (active->run.version == version && strcmp(active->run.policy, policy) == 0)
            return true;
    return false;
}

static int forget_version(void *context, const struct ledger_entry *entry, struct err *err)
{
    const struct newest *newest = context;
    struct planner *planner = newest->planner;
    const struct ledger_entry *now = entry->policy ? policy_set_find(&planner->policies, entry->policy->policy.name)
                                                   : NULL;

    if (entry->gone || !now || now->policy->version - entry->policy->version < VERSIONS_KEPT ||
        in_use(planner, entry->policy->policy.name, entry->policy->version))
        return 0;
    const struct ledger_entry gone = {.kind = LEDGER_POLICY, .id = entry->id, .gone = true};
    return coordinator_put(planner->coordinator, NULL, &gone, err);
}

int planner_tidy(struct planner *planner, int64_t now_ms, struct err *err)
{
    struct newest newest = {planner, NULL, now_ms};
    struct mark *mark, *next;
    int result = runs_each(planner->coordinator, false, note_newest, &newest, err);

    if (result == 0)
        result = runs_each(planner->coordinator, false, forget_old, &newest, err);
    if (result == 0)
        result = coordinator_each(planner->coordinator, LEDGER_POLICY, forget_version, &newest, err);
    HASH_ITER (hh, newest.slots, mark, next) {
        HASH_DEL(newest.slots, mark);
        free(mark);
    }
    return result;
}
