/* What a policy would do, by the code that does it; and which targets no policy protects. */
#include "base/clock.h"
#include "base/err.h"
#include "base/parse.h"
#include "coordinator/expire.h"
#include "coordinator/internal.h"
#include "coordinator/plans.h"
#include "coordinator/plans_json.h"
#include "coordinator/policy.h"
#include "coordinator/runs.h"
#include "coordinator/schedule.h"
#include "coordinator/timing.h"
#include "coordinator/view_plan.h"
#include "coordinator/world.h"
#include "coordinator/zone.h"
#include "model/inventory.h"
#include "model/restore_point.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRINGS_MAX = 100 };

static const int64_t FAR_MS = 10LL * 366 * 24 * 3600 * 1000;

/* ---- what a backup of each target will weigh: as much as the last one of its kind ---- */

static int note_size(void *context, const struct restore_point *point, struct err *err)
{
    json_t *sizes =
        context; /* target → {"full": bytes, "incremental": bytes …}: of the newest, since they come oldest first */
    char target[TARGET_TEXT];

    if (point->state != POINT_COMPLETE || !point->backup_kind)
        return 0;
    json_t *own = json_object_get(sizes, target_format(&point->target, target));
    if (!own) {
        own = json_object();
        json_object_set_new(sizes, target, own);
    }
    char duration[64];
    snprintf(duration, sizeof duration, "%.30s took", point->backup_kind);
    return json_object_set_new(own, point->backup_kind, json_integer((json_int_t)point->size_bytes)) < 0 ||
                   json_object_set_new(own, duration, json_integer((json_int_t)point->duration_ms)) < 0
               ? err_memory(err, "preview")
               : 0;
}

/* 0: nothing is known. */
static int64_t expected(const json_t *sizes, const char *target, int kind, bool duration)
{
    const json_t *own = json_object_get(sizes, target);
    bool full = kind == BACKUP_FULL || !json_object_get(own, "incremental");
    const char *name = kind == BACKUP_DIFFERENTIAL ? "differential" : full ? "full" : "incremental";
    char took[64];

    snprintf(took, sizeof took, "%s took", name);
    return json_integer_value(json_object_get(own, duration ? took : name));
}

/* ---- firings ---- */

struct firing {
    const struct policy_schedule *schedule;
    int64_t slot_ms;
};

/* The earliest slot of all schedules after each one's last. */
static bool next_firing(const struct policy *policy, const struct cron *crons, const struct zone *zone,
                        int64_t *last_ms, struct firing *out)
{
    size_t best = policy->schedules.count;
    int64_t slot;

    for (size_t i = 0; i < policy->schedules.count; i++)
        if (schedule_next(&crons[i], zone, last_ms[i], last_ms[i] + FAR_MS, &slot) &&
            (best == policy->schedules.count || slot < out->slot_ms)) {
            best = i;
            *out = (struct firing){list_at(&policy->schedules, struct policy_schedule, i), slot};
        }
    if (best == policy->schedules.count)
        return false;
    last_ms[best] = out->slot_ms;
    return true;
}

struct preview {
    struct coordinator *coordinator;
    struct view_reader *reader;
    struct world *world;
    const struct ledger_policy *policy;
    json_t *sizes;
};

static bool backs_up(const struct run *run, const struct run_member *member)
{
    return strcmp(run->operation, "backup.create") == 0 && !member->skipped;
}

static struct run_time *times_of(const struct preview *preview, const struct run *run, const struct list *members,
                                 struct err *err)
{
    CLEANUP(freep) struct run_time *times = calloc(members->count + 1, sizeof *times);
    struct run_limits limits;

    if (!times)
        return err_memory(err, "preview"), NULL;
    for (size_t i = 0; i < members->count; i++) {
        const struct run_member *member = list_at(members, struct run_member, i);
        times[i].duration_ms = backs_up(run, member) ? expected(preview->sizes, member->target, run->kind, true) : 0;
    }
    run_limits_of(&preview->coordinator->options, run, &preview->policy->policy, &limits);
    return run_timing(run, &limits, members, times, err) < 0 ? NULL : TAKE_PTR(times);
}

static json_t *firing_json(const struct preview *preview, const struct run *run, const struct list *members,
                           const struct run_time *times)
{
    json_t *targets = json_array();
    int64_t total = 0, end_ms = 0;

    for (size_t i = 0; i < members->count; i++) {
        const struct run_member *member = list_at(members, struct run_member, i);
        int64_t bytes = backs_up(run, member) ? expected(preview->sizes, member->target, run->kind, false) : 0;
        total += bytes;
        end_ms = times[i].end_ms > end_ms ? times[i].end_ms : end_ms;
        json_array_append_new(targets, json_pack("{s:s, s:s?, s:s, s:o, s:o, s:o, s:s?, s:s?, s:I}", "target",
                                                 member->target, "name", member->name, "host", member->host, "due_at",
                                                 plans_time(member->due_at_ms), "expected_start_at",
                                                 plans_time(times[i].start_ms), "expected_end_at",
                                                 plans_time(times[i].end_ms), "point", member->point, "skipped",
                                                 member->skipped, "expected_bytes", (json_int_t)bytes));
    }
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:I}", "schedule", run->schedule, "slot", plans_time(run->slot_ms),
                     "window_end_at", plans_time(run->window_end_at_ms), "expected_end_at", plans_time(end_ms),
                     "targets", targets, "expected_bytes", (json_int_t)total);
}

static int add_firing(const struct preview *preview, const struct firing *firing, json_t *out, struct err *err)
{
    CLEANUP(run_clear) struct run run = {0};
    CLEANUP(run_members_clear) struct run_members members = {0};

    if (run_plan(preview->coordinator, preview->reader, preview->world, preview->policy, firing->schedule,
                 firing->slot_ms, firing->slot_ms, &run, &members.members, err) < 0)
        return -1;
    CLEANUP(freep) struct run_time *times = times_of(preview, &run, &members.members, err);
    if (!times)
        return -1;
    return json_array_append_new(out, firing_json(preview, &run, &members.members, times)) < 0
               ? err_memory(err, "preview")
               : 0;
}

static int add_firings(const struct preview *preview, int64_t count, json_t *out, struct err *err)
{
    const struct policy *policy = &preview->policy->policy;
    CLEANUP(freep) struct cron *crons = calloc(policy->schedules.count + 1, sizeof *crons);
    CLEANUP(freep) int64_t *last_ms = calloc(policy->schedules.count + 1, sizeof *last_ms);
    CLEANUP(zone_freep) struct zone *zone = NULL;
    struct firing firing = {0};

    if (!crons || !last_ms)
        return err_memory(err, "preview");
    if (zone_open(policy->time_zone, &zone, err) < 0)
        return -1;
    for (size_t i = 0; i < policy->schedules.count; i++) {
        last_ms[i] = clock_real_ms();
        if (cron_parse(list_at(&policy->schedules, struct policy_schedule, i)->cron, &crons[i], err) < 0)
            return -1;
    }
    if (!policy->schedules.count) { /* what run-now would do */
        firing.slot_ms = clock_real_ms();
        return add_firing(preview, &firing, out, err);
    }
    while (count-- > 0 && next_firing(policy, crons, zone, last_ms, &firing))
        if (add_firing(preview, &firing, out, err) < 0)
            return -1;
    return 0;
}

/* ---- retention ---- */

static int add_group(void *context, const struct expire_group *group, struct err *err)
{
    json_t *points = json_array();

    for (size_t i = group->count; i-- > 0;) {
        const struct expire_point *point = &group->points[i];
        const struct retention_point *mark = &group->marks[i];
        json_array_append_new(points, json_pack("{s:s, s:s?, s:o, s:I, s:b, s:s?}", "id", point->id, "point_name",
                                                point->name, "created_at", plans_time(point->created_ms), "size_bytes",
                                                (json_int_t)point->size_bytes, "keep", mark->keep, "rule",
                                                mark->keep ? mark->rule : NULL));
    }
    json_t *item = json_pack("{s:s, s:s?, s:o}", "target", group->target, "name", group->target_name, "points", points);
    return json_array_append_new(context, item) < 0 ? err_memory(err, "preview") : 0;
}

static int add_retention(const struct preview *preview, json_t *out, struct err *err)
{
    struct ledger_entry entry = {.kind = LEDGER_POLICY, .policy = (struct ledger_policy *)preview->policy}; /* lent */
    struct ledger_entry *items[1] = {&entry};
    const struct policy_set only = {items, 1};

    return expire_each(preview->coordinator, preview->reader, &only, NULL, clock_real_ms(), add_group, out, err);
}

/* ---- the whole ---- */

static int make_preview(struct preview *preview, int64_t firings, json_t **out, struct err *err)
{
    json_t *slots = json_array(), *retention = json_array();

    preview->sizes = json_object();
    int result = world_read(preview->coordinator, preview->reader, &preview->world, err);
    if (result == 0 && preview->policy->policy.operation == POLICY_BACKUP_CREATE)
        result = view_each_point(preview->reader, "backup", NULL, note_size, preview->sizes, err);
    if (result == 0)
        result = add_firings(preview, firings, slots, err);
    if (result == 0)
        result = add_retention(preview, retention, err);
    json_decref(preview->sizes);
    world_free(preview->world);
    if (result < 0) {
        json_decref(slots);
        json_decref(retention);
        return -1;
    }
    *out = json_pack("{s:s, s:b, s:o, s:o}", "name", preview->policy->policy.name, "paused", preview->policy->paused,
                     "firings", slots, "retention", retention);
    return *out ? 1 : err_memory(err, "preview");
}

int plans_preview(struct coordinator *coordinator, struct view_reader *reader, const char *name, const char *file,
                  const char *yaml, int64_t firings, json_t **out, struct err *err)
{
    CLEANUP(ledger_entry_freep) struct ledger_entry *entry = NULL;
    CLEANUP(policy_texts_clear) struct policy_texts texts = {0};
    struct ledger_policy given = {.version = 0};
    struct preview preview = {.coordinator = coordinator, .reader = reader, .policy = &given};

    if (firings < 1 || firings > FIRINGS_MAX)
        return err_set(err, ERR_PERMANENT, "runs: must be within 1 to %d", FIRINGS_MAX);
    if (yaml) {
        if (policies_read(file, yaml, strlen(yaml), &texts, err) < 0)
            return -1;
        if (texts.count != 1)
            return err_set(err, ERR_PERMANENT, "%s: holds %zu policies; a preview is of one", file, texts.count);
        given.policy = *texts.items[0].policy; /* lent */
        return make_preview(&preview, firings, out, err);
    }
    if (policy_load(coordinator, name, 0, &entry, err) < 0)
        return -1;
    if (!entry)
        return 0;
    preview.policy = entry->policy;
    return make_preview(&preview, firings, out, err);
}

/* ---- which targets are protected ---- */

static int labels_of(const json_t *item, struct facts *out, struct err *err)
{
    const char *name;
    json_t *value;

    json_object_foreach(json_object_get((json_t *)item, "labels"), name,
                        value) if (json_is_string(value) &&
                                   facts_set(out, name, json_string_value(value), err) < 0) return -1;
    return 0;
}

/* The newest backup is older than the strictest of the policies allows, or there is none. */
static bool is_late(const json_t *item, int64_t max_age_ms, int64_t now_ms)
{
    const char *text = json_string_value(json_object_get(json_object_get(item, "last_backup"), "created_at"));
    int64_t created_ms = 0;

    return max_age_ms && (!text || parse_time(text, &created_ms, NULL) < 0 || now_ms - created_ms > max_age_ms);
}

static int annotate(const struct policy_set *set, struct policy_matcher *const *matchers, json_t *item, struct err *err)
{
    CLEANUP(facts_clear) struct facts labels = {0};
    const json_t *own = json_object_get(item, "target");
    json_t *names = json_array();
    int64_t max_age_ms = 0;
    bool backed_up = false;

    if (labels_of(item, &labels, err) < 0)
        return json_decref(names), -1;
    struct policy_target target = {json_string_value(json_object_get(own, "kind")),
                                   json_string_value(json_object_get(own, "name")),
                                   json_string_value(json_object_get(item, "host")), &labels};
    for (size_t i = 0; i < set->count; i++) {
        const struct policy *policy = &set->items[i]->policy->policy;
        if (!policy_selects(matchers[i], &target))
            continue;
        json_array_append_new(names, json_string(policy->name));
        if (policy->operation != POLICY_BACKUP_CREATE || set->items[i]->policy->paused)
            continue;
        backed_up = true;
        if (policy->max_age_ms && (!max_age_ms || policy->max_age_ms < max_age_ms))
            max_age_ms = policy->max_age_ms;
    }
    json_object_set_new(item, "policies", names);
    json_object_set_new(item, "protection",
                        json_string(!backed_up                                   ? "unprotected"
                                    : is_late(item, max_age_ms, clock_real_ms()) ? "late"
                                                                                 : "protected"));
    return 0;
}

int plans_annotate(struct coordinator *coordinator, json_t *items, bool unprotected_only, struct err *err)
{
    CLEANUP(policy_set_clear) struct policy_set set = {0};
    CLEANUP(freep) struct policy_matcher **matchers = NULL;
    int result = policies_load(coordinator, &set, err);

    if (result < 0 || !(matchers = calloc(set.count + 1, sizeof *matchers)))
        return result < 0 ? -1 : err_memory(err, "policies");
    for (size_t i = 0; result == 0 && i < set.count; i++)
        result = policy_matcher_new(&set.items[i]->policy->policy, &matchers[i], err);
    for (size_t i = json_array_size(items); result == 0 && i-- > 0;) {
        json_t *item = json_array_get(items, i);
        result = annotate(&set, matchers, item, err);
        const char *protection = json_string_value(json_object_get(item, "protection"));
        if (result == 0 && unprotected_only && strcmp(protection, "protected") == 0)
            json_array_remove(items, i);
    }
    for (size_t i = 0; i < set.count; i++)
        policy_matcher_free(matchers[i]);
    return result;
}
