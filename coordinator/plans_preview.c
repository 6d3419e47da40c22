/* What a policy would do, by the code that does it. */
#include "base/clock.h"
#include "base/err.h"
#include "coordinator/expire.h"
#include "coordinator/internal.h"
#include "coordinator/outlook.h"
#include "coordinator/plans.h"
#include "coordinator/plans_json.h"
#include "coordinator/policy.h"
#include "coordinator/runs.h"
#include "coordinator/view_plan.h"
#include "coordinator/world.h"
#include "model/inventory.h"
#include "model/restore_point.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRINGS_MAX = 100 };

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

struct preview {
    struct coordinator *coordinator;
    struct view_reader *reader;
    const struct ledger_policy *policy;
    struct policy_set others; /* all that are applied */
    struct outlook *outlook;
    struct strings busy; /* targets that have an open job of it now; sorted */
    json_t *sizes;
};

static bool backs_up(const struct run *run, const struct run_member *member)
{
    return strcmp(run->operation, "backup.create") == 0 && !member->skipped;
}

static int64_t took(void *context, const struct run *run, const struct run_member *member)
{
    const struct preview *preview = context;

    return backs_up(run, member) ? expected(preview->sizes, member->target, run->kind, true) : 0;
}

static json_t *holders_json(const struct run_time *time)
{
    json_t *holders = json_array();

    for (size_t i = 0; i < time->holder_count; i++)
        json_array_append_new(holders, json_string(time->holders[i]));
    return holders;
}

static json_t *member_json(const struct preview *preview, const struct outlook_run *its, size_t index, int64_t bytes)
{
    const struct run_member *member = list_at(&its->members.members, struct run_member, index);
    const struct run_time *time = &its->times[index];
    const struct run_seat seat = {.host = member->host, .repository = member->repository, .pools = &member->pools};
    const char *skipped = member->skipped ? member->skipped
                          : time->busy    ? "an earlier job of this policy would still be open on it"
                                          : NULL;
    char limit[200] = "";

    if (time->full != LIMIT_NONE)
        run_limit_text(time->full, &its->limits, its->run.policy, &seat, limit, sizeof limit);
    return json_pack("{s:s, s:s?, s:s, s:o, s:o, s:o, s:b, s:s?, s:o, s:b, s:s?, s:s?, s:I}", "target", member->target,
                     "name", member->name, "host", member->host, "due_at", plans_time(member->due_at_ms),
                     "expected_start_at", plans_time(time->start_ms), "expected_end_at", plans_time(time->end_ms),
                     "cut", time->cut, "limit", *limit ? limit : NULL, "behind", holders_json(time), "busy_now",
                     strings_sorted_have(&preview->busy, member->target), "point", member->point, "skipped", skipped,
                     "expected_bytes", (json_int_t)bytes);
}

static json_t *firing_json(const struct preview *preview, const struct outlook_run *its)
{
    json_t *targets = json_array();
    int64_t total = 0, end_ms = 0;

    for (size_t i = 0; i < its->members.members.count; i++) {
        const struct run_member *member = list_at(&its->members.members, struct run_member, i);
        bool works = backs_up(&its->run, member) && !its->times[i].busy;
        int64_t bytes = works ? expected(preview->sizes, member->target, its->run.kind, false) : 0;
        total += bytes;
        end_ms = its->times[i].end_ms > end_ms ? its->times[i].end_ms : end_ms;
        json_array_append_new(targets, member_json(preview, its, i, bytes));
    }
    return json_pack("{s:s, s:o, s:o, s:o, s:b, s:I, s:o, s:I}", "schedule", its->run.schedule, "slot",
                     plans_time(its->run.slot_ms), "window_end_at", plans_time(its->run.window_end_at_ms),
                     "expected_end_at", plans_time(end_ms), "timed", its->timed, "reach_ms", (json_int_t)its->reach_ms,
                     "targets", targets, "expected_bytes", (json_int_t)total);
}

static int add_firing(struct preview *preview, int64_t first_ms, const struct firing *firing, json_t *out,
                      struct err *err)
{
    CLEANUP(outlook_run_clear) struct outlook_run its = {0};

    if (outlook_run(preview->outlook, first_ms, firing, took, preview, &its, err) < 0)
        return -1;
    return json_array_append_new(out, firing_json(preview, &its)) < 0 ? err_memory(err, "preview") : 0;
}

static int add_firings(struct preview *preview, int64_t count, json_t *out, struct err *err)
{
    struct firing firing = {.slot_ms = clock_real_ms()};
    int64_t first_ms = 0;

    if (!preview->policy->policy.schedules.count) /* what run-now would do */
        return add_firing(preview, firing.slot_ms, &firing, out, err);
    while (count-- > 0 && outlook_next(preview->outlook, &firing)) {
        first_ms = first_ms ? first_ms : firing.slot_ms;
        if (add_firing(preview, first_ms, &firing, out, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- who takes room ---- */

static int look_at_target(void *context, const struct inventory_target *target, struct err *err)
{
    return outlook_add_target(context, target, err);
}

static int look_at_point(void *context, const struct restore_point *point, struct err *err)
{
    return outlook_add_point(context, point, err);
}

/* One that cannot be understood here (another tzdata) starts nothing either. */
static void add_others(struct preview *preview)
{
    const char *own = preview->policy->policy.name;
    struct err ignored = {0};

    for (size_t i = 0; i < preview->others.count; i++)
        if (strcmp(preview->others.items[i]->policy->policy.name, own) != 0)
            outlook_add(preview->outlook, preview->others.items[i]->policy, &ignored);
}

static int look_around(struct preview *preview, const struct world *world, struct err *err)
{
    const struct policy *policy = &preview->policy->policy;

    if (policies_load(preview->coordinator, &preview->others, err) < 0 ||
        outlook_new(&preview->coordinator->options, world, &preview->outlook, err) < 0 ||
        outlook_add(preview->outlook, preview->policy, err) < 0)
        return -1;
    add_others(preview);
    if (view_each_target(preview->reader, look_at_target, preview->outlook, err) < 0)
        return -1;
    if (outlook_wants_points(preview->outlook) &&
        view_each_point(preview->reader, "backup", NULL, look_at_point, preview->outlook, err) < 0)
        return -1;
    return policy->overlap == OVERLAP_SKIP
               ? runs_busy_targets(preview->coordinator, policy->name, policy_operation_names[policy->operation],
                                   &preview->busy, err)
               : 0;
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
                                                *mark->rule ? mark->rule : NULL));
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

static void preview_clear(struct preview *preview)
{
    outlook_free(preview->outlook);
    policy_set_clear(&preview->others);
    strings_clear(&preview->busy);
    json_decref(preview->sizes);
}

static int make_preview(struct preview *preview, int64_t firings, json_t **out, struct err *err)
{
    json_t *slots = json_array(), *retention = json_array();
    CLEANUP(world_freep) struct world *world = NULL;

    preview->sizes = json_object();
    int result = world_read(preview->coordinator, preview->reader, &world, err);
    if (result == 0)
        result = view_each_point(preview->reader, "backup", NULL, note_size, preview->sizes, err);
    if (result == 0)
        result = look_around(preview, world, err);
    if (result == 0)
        result = add_firings(preview, firings, slots, err);
    if (result == 0)
        result = add_retention(preview, retention, err);
    preview_clear(preview);
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
