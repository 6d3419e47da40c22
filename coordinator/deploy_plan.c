#include "coordinator/deploy_plan.h"

#include "base/err.h"
#include "base/uuid.h"
#include "coordinator/group.h"
#include "coordinator/internal.h"
#include "coordinator/runs.h"
#include "model/job.h"
#include "model/ledger_entry.h"

#include <stdio.h>
#include <string.h>

enum { PRIORITY = 8, BEGIN_START_MS = 60 * 1000, BACK_START_MS = 120 * 1000 };

static int name_run(struct run *run, const char *id, const struct deploy *deploy, enum deploy_run kind, int64_t slot_ms,
                    struct err *err)
{
    static const char *const operations[][3] = {
        [DEPLOY_SNAPSHOTS] = {"snapshot.create", "snapshot.revert", "snapshot.delete"},
        [DEPLOY_BACKUPS] = {"backup.create", NULL, "backup.delete"}}; /* deploy_hears() refuses to revert backups */
    char name[DEPLOY_ID_MAX + 16];

    snprintf(name, sizeof name, "deploy:%.100s", id);
    run->slot_ms = slot_ms;
    run->priority = PRIORITY;
    if (string_set(&run->policy, name, err) < 0 || string_set(&run->deploy, id, err) < 0 ||
        string_set(&run->schedule, deploy_run_names[kind], err) < 0)
        return -1;
    return string_set(&run->operation, operations[deploy->operation][kind], err);
}

void deploy_run_id(const char *id, enum deploy_run kind, int64_t slot_ms, char out[UUID_TEXT])
{
    char name[DEPLOY_ID_MAX + 16];
    struct run run = {.policy = name, .schedule = (char *)deploy_run_names[kind], .slot_ms = slot_ms};

    snprintf(name, sizeof name, "deploy:%.100s", id);
    plan_run_id(&run, out);
}

/* ---- begin ---- */

static int make_policy(const char *id, const struct deploy *deploy, struct ledger_policy *out, struct err *err)
{
    struct policy *policy = &out->policy;

    record_defaults(&policy_record, policy);
    policy->operation = deploy->operation == DEPLOY_BACKUPS ? POLICY_BACKUP_CREATE : POLICY_SNAPSHOT_CREATE;
    policy->overlap = OVERLAP_QUEUE;
    if (string_set(&policy->name, id, err) < 0 || string_set(&policy->repository, deploy->repository, err) < 0 ||
        string_set(&policy->select.labels, deploy->selector, err) < 0)
        return -1;
    return strings_add(&policy->select.kinds, "libvirt", err);
}

static int fill_member(struct run_member *member, const struct deploy *deploy, const struct world *world,
                       struct err *err)
{
    char why[PLAN_WHY];

    if (deploy->operation == DEPLOY_SNAPSHOTS && string_set(&member->snapshot, deploy->snapshot, err) < 0)
        return -1;
    if (member->skipped || world_host_ready(world, member->host))
        return 0;
    snprintf(why, sizeof why, "refused: host %.63s takes no work now", member->host);
    return string_set(&member->skipped, why, err);
}

int deploy_plan_begin(struct coordinator *coordinator, struct view_reader *reader, const struct world *world,
                      const char *id, const struct deploy *deploy, int64_t now_ms, struct run *out_run,
                      struct list *out_members, struct err *err)
{
    CLEANUP(run_clear) struct run run = {0};
    CLEANUP(run_members_clear) struct run_members members = {0};
    struct ledger_policy policy = {0};
    int result = make_policy(id, deploy, &policy, err);

    if (result == 0)
        result = run_plan(coordinator, reader, world, &policy, NULL, deploy->begun_at_ms, now_ms, &run,
                          &members.members, err);
    record_clear(&policy_record, &policy.policy);
    if (result < 0 || name_run(&run, id, deploy, DEPLOY_RUN_BEGIN, deploy->begun_at_ms, err) < 0)
        return -1;
    if (!members.members.count)
        return err_set(err, ERR_PERMANENT, "no target has the labels \"%s\"", deploy->selector);
    for (size_t i = 0; i < members.members.count; i++)
        if (fill_member(list_at(&members.members, struct run_member, i), deploy, world, err) < 0)
            return -1;
    run.quiesce = deploy->quiesce;
    if (deploy->group_limit_ms && group_plan(&run, &members.members, deploy->group_limit_ms, world,
                                             &(struct run_limits){.jobs = coordinator->options.limits_jobs,
                                                                  .per_host = coordinator->options.limits_per_host},
                                             err) < 0)
        return -1;
    run.stop_on_failure = true;
    run.start_within_ms = BEGIN_START_MS;
    run.window_end_at_ms = now_ms + deploy->within_ms;
    run.cancel_at_end = deploy->operation ==
                        DEPLOY_SNAPSHOTS; /* backups must begin by then: how long they push nobody knows */
    run.kind = deploy->kind;
    run.rate_limit_bytes = deploy->rate_limit_bytes;
    *out_run = run;
    *out_members = members.members;
    run = (struct run){0};
    members = (struct run_members){0};
    return 0;
}

/* ---- back ---- */

/* "name", "host/name" or "kind:id" */
static bool is_called(const struct run_member *member, const char *name)
{
    char full[400];

    snprintf(full, sizeof full, "%s/%s", member->host, member->name ? member->name : "");
    return strcmp(name, full) == 0 || strcmp(name, member->target) == 0 ||
           (member->name && strcmp(name, member->name) == 0);
}

static int add(struct list *out, const struct run_member *member, struct err *err)
{
    struct run_member *copy = list_add(out, &run_member_record, err);

    if (!copy || string_set(&copy->target, member->target, err) < 0 || string_set(&copy->name, member->name, err) < 0 ||
        string_set(&copy->host, member->host, err) < 0 || string_set(&copy->repository, member->repository, err) < 0 ||
        string_set(&copy->point, member->point, err) < 0)
        return -1;
    return string_set(&copy->snapshot, member->snapshot, err);
}

static int add_in_order(const struct deploy *deploy, const struct list *members, const bool *made, bool *taken,
                        struct list *out, struct err *err)
{
    for (size_t i = 0; i < deploy->order.count; i++)
        for (size_t m = 0; m < members->count; m++) {
            const struct run_member *member = list_at(members, struct run_member, m);
            if (!made[m] || taken[m] || !is_called(member, deploy->order.items[i]))
                continue;
            taken[m] = true;
            if (add(out, member, err) < 0)
                return -1;
        }
    return 0;
}

int deploy_plan_back(const char *id, const struct deploy *deploy, enum deploy_run kind, const struct list *members,
                     const bool *made, int64_t now_ms, struct run *out_run, struct list *out_members, struct err *err)
{
    CLEANUP(run_clear) struct run run = {0};
    CLEANUP(run_members_clear) struct run_members all = {0};
    CLEANUP(freep) bool *taken = calloc(members->count + 1, sizeof *taken);
    bool revert = kind == DEPLOY_RUN_REVERT;

    if (!taken)
        return err_memory(err, id);
    record_defaults(&run_record, &run);
    if (name_run(&run, id, deploy, kind, revert ? deploy->revert_at_ms : deploy->delete_at_ms, err) < 0 ||
        (revert && add_in_order(deploy, members, made, taken, &all.members, err) < 0))
        return -1;
    for (size_t i = members->count; i-- > 0;)
        if (made[i] && !taken[i] && add(&all.members, list_at(members, struct run_member, i), err) < 0)
            return -1;
    run.planned_at_ms = now_ms;
    run.members = (int64_t)all.members.count;
    run.parts = (run.members + RUN_PART_MEMBERS - 1) / RUN_PART_MEMBERS;
    run.start_within_ms = BACK_START_MS;
    if (revert) {
        run.in_order = true;
        run.at_once = deploy->parallel;
        run.stop_on_failure = !deploy->keep_going;
    }
    *out_run = run;
    *out_members = all.members;
    run = (struct run){0};
    all = (struct run_members){0};
    return 0;
}

/* ---- looks ---- */

bool deploy_plan_refused(const struct list *members, char out[300])
{
    for (size_t i = 0; i < members->count; i++) {
        const struct run_member *member = list_at(members, struct run_member, i);
        if (!run_member_refused(member))
            continue;
        snprintf(out, 300, "%.100s: %.190s", member->name ? member->name : member->target,
                 member->skipped + strlen("refused: "));
        return true;
    }
    return false;
}

const struct run_member *deploy_plan_common(const struct list *members, const struct list *others)
{
    for (size_t i = 0; i < members->count; i++)
        for (size_t o = 0; o < others->count; o++)
            if (strcmp(list_at(members, struct run_member, i)->target, list_at(others, struct run_member, o)->target) ==
                0)
                return list_at(members, struct run_member, i);
    return NULL;
}

const char *deploy_plan_stranger(const struct list *members, const struct strings *order)
{
    for (size_t i = 0; i < order->count; i++) {
        bool found = false, twice = false;
        for (size_t m = 0; m < members->count; m++)
            found |= is_called(list_at(members, struct run_member, m), order->items[i]);
        for (size_t before = 0; before < i; before++)
            twice |= strcmp(order->items[before], order->items[i]) == 0;
        if (!found || twice)
            return order->items[i];
    }
    return NULL;
}
