/* What recover.c decides by is read here, from view and ledger; what it decides becomes a run, which the planner drives like every other. */
#include "coordinator/plans_recover.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/uuid.h"
#include "coordinator/internal.h"
#include "coordinator/plan.h"
#include "coordinator/plans_json.h"
#include "coordinator/policy.h"
#include "coordinator/recover.h"
#include "coordinator/runs.h"
#include "coordinator/view_plan.h"
#include "model/inventory.h"
#include "model/restore_point.h"

#include <stdio.h>
#include <string.h>

enum { PRIORITY = 8, START_WITHIN_MS = 10 * 60 * 1000 };

struct reading {
    struct coordinator *coordinator;
    const struct recovery *asked;
    struct recover recover;
    struct policy_set policies;
    struct policy_matcher **matchers;
    struct strings elsewhere; /* targets that other hosts have */
    bool host_known, host_alive;
};

static void reading_clear(struct reading *reading)
{
    for (size_t i = 0; reading->matchers && i < reading->policies.count; i++)
        policy_matcher_free(reading->matchers[i]);
    free(reading->matchers);
    policy_set_clear(&reading->policies);
    strings_clear(&reading->elsewhere);
    recover_clear(&reading->recover);
}

static bool is_one_of(const struct strings *strings, const char *text)
{
    for (size_t i = 0; i < strings->count; i++)
        if (strcmp(strings->items[i], text) == 0)
            return true;
    return false;
}

/* ---- what there is ---- */

/* New disks go to the first pool of a worker, if nothing else is said. */
static int64_t room_of(const struct inventory_host *host)
{
    const struct inventory_space *pool = host->pools.count ? list_at(&host->pools, const struct inventory_space, 0)
                                                           : NULL;

    return pool && pool->ok ? pool->free_bytes - pool->min_free_bytes - pool->reserved_bytes : 0;
}

static bool takes_work(struct coordinator *coordinator, const char *name)
{
    LOCK_SCOPE(&coordinator->lock);
    const struct ledger_node *node = ledger_find(coordinator->ledger, LEDGER_HOST, name);
    const struct ledger_host *host = node && node->entry && !node->entry->gone ? node->entry->host : NULL;

    return host && strcmp(host->state, "enrolled") == 0;
}

static int note_host(void *context, const struct inventory_host *host, bool alive, struct err *err)
{
    struct reading *reading = context;

    if (strcmp(host->host, reading->asked->host) == 0) {
        reading->host_known = true;
        reading->host_alive = alive;
    }
    if (!is_one_of(reading->asked->onto, host->host))
        return 0;
    struct recover_place *place = recover_add_place(&reading->recover, host->host, err);
    if (!place)
        return -1;
    place->ready = alive && takes_work(reading->coordinator, host->host);
    place->room_bytes = room_of(host);
    for (size_t i = 0; i < host->repositories.count; i++) {
        const struct inventory_space *space = list_at(&host->repositories, const struct inventory_space, i);
        if (space->ok && space->id && strings_add(&place->repositories, space->id, err) < 0)
            return -1;
    }
    return 0;
}

static int64_t priority_of(const struct reading *reading, const struct inventory_target *target)
{
    const struct policy_target asked = {target->target.kind, target->target.name, target->host, &target->labels};
    int64_t highest = 0;

    for (size_t i = 0; i < reading->policies.count; i++)
        if (policy_selects(reading->matchers[i], &asked) && reading->policies.items[i]->policy->policy.priority > highest)
            highest = reading->policies.items[i]->policy->policy.priority;
    return highest;
}

static int note_target(void *context, const struct inventory_target *target, struct err *err)
{
    struct reading *reading = context;
    char key[TARGET_TEXT];

    if (strcmp(target->target.kind, "libvirt") != 0)
        return 0;
    target_format(&target->target, key);
    if (strcmp(target->host, reading->asked->host) == 0) {
        struct recover_item *item = recover_add_item(&reading->recover, key, target->target.name, err);
        if (!item)
            return -1;
        item->priority = priority_of(reading, target);
        return 0;
    }
    for (size_t i = 0; i < reading->recover.place_count; i++)
        if (strcmp(reading->recover.places[i].host, target->host) == 0 && target->target.name &&
            strings_add(&reading->recover.places[i].machines, target->target.name, err) < 0)
            return -1;
    return strings_add(&reading->elsewhere, key, err);
}

/* A machine that the lists know no more (its host was removed, or replaced), but whose backups that host made. */
static int note_maker(void *context, const struct restore_point *point, struct err *err)
{
    struct reading *reading = context;
    char key[TARGET_TEXT];

    if (strcmp(point->target.kind, "libvirt") != 0 || !point->host || strcmp(point->host, reading->asked->host) != 0 ||
        strings_sorted_have(&reading->elsewhere, target_format(&point->target, key)))
        return 0;
    reading->host_known = true;
    return recover_add_item(&reading->recover, key, point->target.name, err) ? 0 : -1;
}

static int note_point(void *context, const struct restore_point *point, struct err *err)
{
    struct reading *reading = context;

    return recover_add_point(&reading->recover, point, err);
}

static int read_policies(struct reading *reading, struct err *err)
{
    if (policies_load(reading->coordinator, &reading->policies, err) < 0)
        return -1;
    reading->matchers = calloc(reading->policies.count + 1, sizeof(struct policy_matcher *));
    if (!reading->matchers)
        return err_memory(err, "recover");
    for (size_t i = 0; i < reading->policies.count; i++)
        if (policy_matcher_new(&reading->policies.items[i]->policy->policy, &reading->matchers[i], err) < 0)
            return -1;
    return 0;
}

static int read_all(struct reading *reading, struct view_reader *reader, struct err *err)
{
    if (read_policies(reading, err) < 0 || view_each_host(reader, note_host, reading, err) < 0 ||
        view_each_target(reader, note_target, reading, err) < 0)
        return -1;
    strings_sort(&reading->elsewhere);
    if (view_each_point(reader, "backup", NULL, note_maker, reading, err) < 0)
        return -1;
    return view_each_point(reader, "backup", NULL, note_point, reading, err);
}

/* ---- may it be? ---- */

static int check(const struct reading *reading, struct err *err)
{
    const struct recovery *asked = reading->asked;

    if (!reading->host_known) {
        err_set(err, ERR_PERMANENT, "no host \"%s\", and no backup that it made", asked->host);
        return err_hint(err, "All of them: fleetsnap hosts");
    }
    for (size_t i = 0; i < asked->onto->count; i++) {
        bool known = false;
        for (size_t j = 0; j < reading->recover.place_count; j++)
            known = known || strcmp(reading->recover.places[j].host, asked->onto->items[i]) == 0;
        if (strcmp(asked->onto->items[i], asked->host) == 0)
            return err_set(err, ERR_PERMANENT, "onto: %s is the host whose machines are to go elsewhere", asked->host);
        if (!known)
            return err_set(err, ERR_PERMANENT, "onto: no host \"%s\"", asked->onto->items[i]);
    }
    if (!reading->host_alive || asked->force || asked->dry_run)
        return 0;
    err_set(err, ERR_CONFLICT, "host %s is alive: its machines would be there twice, with the same addresses",
            asked->host);
    return err_hint(err, "Stop it first, or --force");
}

/* ---- the run ---- */

static int add_member(struct list *members, const struct recover_item *item, const char *host, int64_t now_ms,
                      struct err *err)
{
    struct run_member *member = list_add(members, &run_member_record, err);
    char why[RECOVER_WHY + 16];

    if (!member || string_set(&member->target, item->target, err) < 0 || string_set(&member->name, item->name, err) < 0 ||
        string_set(&member->host, item->onto ? item->onto->host : host, err) < 0)
        return -1;
    member->due_at_ms = now_ms;
    snprintf(why, sizeof why, "refused: %s", item->why);
    if (!item->onto)
        return string_set(&member->skipped, why, err);
    return string_set(&member->point, item->point, err) < 0 ? -1
                                                            : string_set(&member->repository, item->repository, err);
}

static int fill_run(const struct recovery *asked, const struct caller *caller, size_t members, struct run *out,
                    struct err *err)
{
    char name[128];

    record_defaults(&run_record, out);
    snprintf(name, sizeof name, "recover:%.63s", asked->host);
    if (string_set(&out->policy, name, err) < 0 || string_set(&out->schedule, "recover", err) < 0 ||
        string_set(&out->operation, "backup.restore", err) < 0 || string_set(&out->recovers, asked->host, err) < 0 ||
        string_set(&out->requested_by, caller ? caller->token : NULL, err) < 0)
        return -1;
    out->start = asked->start;
    out->slot_ms = out->planned_at_ms = clock_real_ms();
    out->members = (int64_t)members;
    out->parts = (int64_t)(members + RUN_PART_MEMBERS - 1) / RUN_PART_MEMBERS;
    out->priority = PRIORITY;
    out->start_within_ms = START_WITHIN_MS;
    return 0;
}

static int write_run(struct reading *reading, const struct caller *caller, char id[UUID_TEXT], struct err *err)
{
    CLEANUP(run_members_clear) struct run_members members = {0};
    CLEANUP(run_clear) struct run run = {0};

    if (fill_run(reading->asked, caller, reading->recover.item_count, &run, err) < 0)
        return -1;
    for (size_t i = 0; i < reading->recover.item_count; i++)
        if (add_member(&members.members, &reading->recover.items[i], reading->asked->host, run.planned_at_ms, err) < 0)
            return -1;
    plan_run_id(&run, id);
    if (run_write(reading->coordinator, caller, id, &run, &members.members, err) < 0)
        return -1;
    log_info(id, "%s: %zu machines", run.policy, reading->recover.item_count);
    planner_wake(reading->coordinator->planner);
    return 0;
}

/* ---- the answer ---- */

static json_t *item_json(const struct recover_item *item, size_t order)
{
    bool found = item->created_at_ms != 0;

    return json_pack("{s:o, s:s, s:s, s:s?, s:s?, s:o, s:I, s:s?, s:s?}", "order",
                     item->onto ? json_integer((json_int_t)order) : json_null(), "target", item->target, "name",
                     item->name, "point", found ? item->point : NULL, "backup_kind", found ? item->kind : NULL,
                     "created_at", plans_time(item->created_at_ms), "size_bytes", (json_int_t)item->size_bytes, "onto",
                     item->onto ? item->onto->host : NULL, "why", item->onto ? NULL : item->why);
}

static json_t *answer(const struct reading *reading, const char *run_id, size_t recoverable)
{
    json_t *targets = json_array();
    size_t order = 0;
    int64_t bytes = 0;

    for (size_t i = 0; i < reading->recover.item_count; i++) {
        const struct recover_item *item = &reading->recover.items[i];
        order += item->onto != NULL;
        bytes += item->onto ? item->size_bytes : 0;
        json_array_append_new(targets, item_json(item, order));
    }
    return json_pack("{s:s, s:s?, s:b, s:b, s:o, s:I, s:I, s:I}", "host", reading->asked->host, "run_id", run_id,
                     "dry_run", reading->asked->dry_run, "alive", reading->host_alive, "targets", targets,
                     "recoverable", (json_int_t)recoverable, "total", (json_int_t)reading->recover.item_count,
                     "size_bytes", (json_int_t)bytes);
}

int plans_recover(struct coordinator *coordinator, struct view_reader *reader, const struct caller *caller,
                  const struct recovery *asked, json_t **out, struct err *err)
{
    CLEANUP(reading_clear) struct reading reading = {.coordinator = coordinator, .asked = asked};
    char id[UUID_TEXT] = "";
    size_t recoverable = 0;

    if (read_all(&reading, reader, err) < 0 || check(&reading, err) < 0)
        return -1;
    recover_decide(&reading.recover);
    for (size_t i = 0; i < reading.recover.item_count; i++)
        recoverable += reading.recover.items[i].onto != NULL;
    if (!asked->dry_run && recoverable && write_run(&reading, caller, id, err) < 0)
        return -1;
    *out = answer(&reading, *id ? id : NULL, recoverable);
    return *out ? 0 : err_memory(err, "recover");
}
