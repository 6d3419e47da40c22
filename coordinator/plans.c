/* Policies: applied, listed, paused, deleted. coordinator/plans_preview.c and plans_runs.c have the rest. */
#include "coordinator/plans.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/parse.h"
#include "base/uuid.h"
#include "coordinator/internal.h"
#include "coordinator/plan.h"
#include "coordinator/plans_json.h"
#include "coordinator/policy.h"
#include "coordinator/runs.h"
#include "coordinator/schedule.h"
#include "coordinator/zone.h"

#include <string.h>

static const int64_t FAR_MS = 10LL * 366 * 24 * 3600 * 1000;

/* ---- apply ---- */

static bool same_record(const struct record_type *type, const void *a, const void *b)
{
    CLEANUP(freep) char *one = NULL;
    CLEANUP(freep) char *other = NULL;

    return record_to_json(type, a, false, &one, NULL) == 0 && record_to_json(type, b, false, &other, NULL) == 0 &&
           strcmp(one, other) == 0;
}

static bool same_schedules(const struct policy *a, const struct policy *b)
{
    if (strcmp(a->time_zone, b->time_zone) != 0 || a->schedules.count != b->schedules.count)
        return false;
    for (size_t i = 0; i < a->schedules.count; i++)
        if (!same_record(&policy_schedule_record, list_at(&a->schedules, struct policy_schedule, i),
                         list_at(&b->schedules, struct policy_schedule, i)))
            return false;
    return true;
}

/* The record of the next version. It takes over what goes on: the pause, and, as long as nothing about times has changed, how far the schedules are. */
static int make_version(const struct policy_text *text, const struct ledger_entry *before, struct ledger_entry *out,
                        struct err *err)
{
    const struct ledger_policy *old = before ? before->policy : NULL;
    char id[128];

    out->kind = LEDGER_POLICY;
    out->policy = calloc(1, sizeof *out->policy);
    if (!out->policy)
        return err_memory(err, "policy");
    out->policy->version = old ? old->version + 1 : 1;
    out->policy->paused = old && old->paused;
    out->policy->since_ms = old && same_schedules(&old->policy, text->policy) ? old->since_ms : clock_real_ms();
    policy_id(text->policy->name, out->policy->version, id);
    if (string_set(&out->id, id, err) < 0 || string_set(&out->policy->source, text->source, err) < 0)
        return -1;
    return record_copy(&policy_record, &out->policy->policy, text->policy, err);
}

static int apply_one(struct coordinator *coordinator, const struct caller *caller, const struct policy_text *text,
                     const char *reason, bool dry_run, json_t *out, struct err *err)
{
    CLEANUP(ledger_entry_freep) struct ledger_entry *before = NULL;
    CLEANUP(ledger_entry_clear) struct ledger_entry entry = {0};

    if (policy_load(coordinator, text->policy->name, 0, &before, err) < 0 || make_version(text, before, &entry, err) < 0)
        return -1;
    bool same = before && strcmp(before->policy->source, text->source) == 0;
    if (string_set(&entry.why, reason, err) < 0)
        return -1;
    if (!same && !dry_run && coordinator_add(coordinator, caller, &entry, err) < 0) {
        err_wrap(err, "policy %s", text->policy->name);
        return err && err->kind == ERR_CONFLICT
                   ? err_hint(err, "somebody else changed it just now: look, and apply again")
                   : -1;
    }
    json_t *item = json_pack("{s:s, s:I, s:s, s:s?, s:s}", "name", text->policy->name, "version",
                             (json_int_t)(same ? before->policy->version : entry.policy->version), "change",
                             same     ? "unchanged"
                             : before ? "changed"
                                      : "created",
                             "before", before ? before->policy->source : NULL, "after", text->source);
    return json_array_append_new(out, item) < 0 ? err_memory(err, "policies") : 0;
}

int plans_apply(struct coordinator *coordinator, const struct caller *caller, const char *file, const char *yaml,
                const char *reason, bool dry_run, json_t **out, struct err *err)
{
    CLEANUP(policy_texts_clear) struct policy_texts texts = {0};
    json_t *items = json_array();
    int result = policies_read(file, yaml, strlen(yaml), &texts, err);

    for (size_t i = 0; result == 0 && i < texts.count; i++)
        result = apply_one(coordinator, caller, &texts.items[i], reason, dry_run, items, err);
    planner_wake(coordinator->planner);
    if (result < 0) {
        json_decref(items);
        return -1;
    }
    *out = json_pack("{s:o}", "policies", items);
    return *out ? 0 : err_memory(err, "policies");
}

/* ---- list, show ---- */

static json_t *next_firing(const struct policy_schedule *schedule, const struct zone *zone, int64_t now_ms)
{
    struct cron cron;
    int64_t next;

    if (!zone || cron_parse(schedule->cron, &cron, NULL) < 0 ||
        !schedule_next(&cron, zone, now_ms, now_ms + FAR_MS, &next))
        return json_null();
    return plans_time(next);
}

static json_t *schedules_json(const struct ledger_policy *policy, int64_t now_ms)
{
    json_t *items = json_array();
    struct zone *zone = NULL;

    zone_open(policy->policy.time_zone, &zone, NULL);
    for (size_t i = 0; i < policy->policy.schedules.count; i++) {
        const struct policy_schedule *schedule = list_at(&policy->policy.schedules, struct policy_schedule, i);
        json_array_append_new(items,
                              json_pack("{s:s, s:s, s:o}", "name", schedule->name, "cron", schedule->cron, "next_at",
                                        policy->paused ? json_null() : next_firing(schedule, zone, now_ms)));
    }
    zone_free(zone);
    return items;
}

struct last {
    const char *policy;
    json_t *run;
    int64_t planned_ms;
};

static int note_last(void *context, const char *id, const struct ledger_entry *head, struct err *err)
{
    struct last *last = context;

    (void)err;
    if (strcmp(head->run->policy, last->policy) != 0 || strcmp(head->run->schedule, "retention") == 0 ||
        head->run->planned_at_ms < last->planned_ms)
        return 0;
    last->planned_ms = head->run->planned_at_ms;
    json_decref(last->run);
    last->run = plans_run_json(id, head->run);
    return 0;
}

static json_t *policy_json(struct coordinator *coordinator, const struct ledger_entry *entry)
{
    const struct policy *policy = &entry->policy->policy;
    struct last last = {.policy = policy->name};

    runs_each(coordinator, false, note_last, &last, NULL);
    return json_pack("{s:s, s:I, s:s, s:s?, s:s?, s:b, s:s, s:I, s:o, s:o, s:s?, s:o}", "name", policy->name, "version",
                     (json_int_t)entry->policy->version, "operation", policy_operation_names[policy->operation],
                     "owner", policy->owner, "description", policy->description, "paused", entry->policy->paused,
                     "time_zone", policy->time_zone, "max_age_ms", (json_int_t)policy->max_age_ms, "schedules",
                     schedules_json(entry->policy, clock_real_ms()), "at", plans_time(entry->at_ms), "by", entry->who,
                     "last_run", last.run ? last.run : json_null());
}

int plans_list(struct coordinator *coordinator, json_t **out, struct err *err)
{
    CLEANUP(policy_set_clear) struct policy_set set = {0};
    json_t *items = json_array();

    if (policies_load(coordinator, &set, err) < 0)
        return json_decref(items), -1;
    for (size_t i = 0; i < set.count; i++)
        json_array_append_new(items, policy_json(coordinator, set.items[i]));
    *out = items;
    return 0;
}

struct versions {
    const char *name;
    json_t *items;
};

static int note_version(void *context, const struct ledger_entry *entry, struct err *err)
{
    const struct versions *versions = context;

    (void)err;
    if (!entry->gone && entry->policy && strcmp(entry->policy->policy.name, versions->name) == 0)
        json_array_append_new(versions->items,
                              json_pack("{s:I, s:o, s:s?, s:s?}", "version", (json_int_t)entry->policy->version, "at",
                                        plans_time(entry->at_ms), "by", entry->who, "reason", entry->why));
    return 0;
}

int plans_show(struct coordinator *coordinator, const char *name, json_t **out, struct err *err)
{
    CLEANUP(ledger_entry_freep) struct ledger_entry *entry = NULL;
    struct versions versions = {name, json_array()};

    *out = NULL;
    int result = policy_load(coordinator, name, 0, &entry, err);
    if (result == 0 && entry)
        result = coordinator_each(coordinator, LEDGER_POLICY, note_version, &versions, err);
    if (result < 0 || !entry)
        return json_decref(versions.items), result;
    json_t *item = policy_json(coordinator, entry);
    json_object_set_new(item, "policy", plans_record(&policy_record, &entry->policy->policy));
    json_object_set_new(item, "source", json_string(entry->policy->source));
    json_object_set_new(item, "reason", entry->why ? json_string(entry->why) : json_null());
    json_object_set_new(item, "versions", versions.items);
    *out = item;
    return 0;
}

/* ---- pause, delete, run now ---- */

int plans_pause(struct coordinator *coordinator, const struct caller *caller, const char *name, bool pause,
                const char *reason, struct err *err)
{
    CLEANUP(ledger_entry_freep) struct ledger_entry *entry = NULL;

    if (policy_load(coordinator, name, 0, &entry, err) < 0)
        return -1;
    if (!entry || entry->policy->paused == pause)
        return entry != NULL;
    entry->policy->paused = pause;
    if (!pause) /* what was missed meanwhile does not pile up */
        entry->policy->since_ms = clock_real_ms();
    if (string_set(&entry->why, reason, err) < 0 || coordinator_put(coordinator, caller, entry, err) < 0)
        return -1;
    planner_wake(coordinator->planner);
    return 1;
}

struct deletion {
    struct coordinator *coordinator;
    const struct caller *caller;
    const char *name, *reason;
};

static int delete_version(void *context, const struct ledger_entry *entry, struct err *err)
{
    const struct deletion *deletion = context;
    const struct ledger_entry gone = {
        .kind = LEDGER_POLICY, .id = entry->id, .gone = true, .why = (char *)deletion->reason};

    if (entry->gone || !entry->policy || strcmp(entry->policy->policy.name, deletion->name) != 0)
        return 0;
    return coordinator_put(deletion->coordinator, deletion->caller, &gone, err);
}

int plans_delete(struct coordinator *coordinator, const struct caller *caller, const char *name, const char *reason,
                 struct err *err)
{
    CLEANUP(ledger_entry_freep) struct ledger_entry *entry = NULL;
    struct deletion deletion = {coordinator, caller, name, reason};

    if (policy_load(coordinator, name, 0, &entry, err) < 0)
        return -1;
    if (!entry)
        return 0;
    if (coordinator_each(coordinator, LEDGER_POLICY, delete_version, &deletion, err) < 0)
        return -1;
    planner_wake(coordinator->planner);
    return 1;
}

int plans_run_now(struct coordinator *coordinator, struct view_reader *reader, const struct caller *caller,
                  const char *name, char *out_run_id, struct err *err)
{
    CLEANUP(ledger_entry_freep) struct ledger_entry *entry = NULL;
    CLEANUP(world_freep) struct world *world = NULL;
    CLEANUP(run_clear) struct run run = {0};
    CLEANUP(run_members_clear) struct run_members members = {0};
    int64_t now_ms = clock_real_ms();

    if (policy_load(coordinator, name, 0, &entry, err) < 0)
        return -1;
    if (!entry)
        return 0;
    if (world_read(coordinator, reader, &world, err) < 0 ||
        run_plan(coordinator, reader, world, entry->policy, NULL, now_ms, now_ms, &run, &members.members, err) < 0)
        return -1;
    if (!members.members.count)
        return err_set(err, ERR_CONFLICT, "policy %s selects nothing that could be done now", name);
    if (string_set(&run.requested_by, caller ? caller->token : NULL, err) < 0)
        return -1;
    plan_run_id(&run, out_run_id);
    if (run_write(coordinator, caller, out_run_id, &run, &members.members, err) < 0)
        return -1;
    planner_wake(coordinator->planner);
    return 1;
}
