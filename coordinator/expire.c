#include "coordinator/expire.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "coordinator/policy.h"
#include "coordinator/runs.h"
#include "coordinator/view_plan.h"
#include "coordinator/zone.h"
#include "model/restore_point.h"

#include <stdlib.h>
#include <string.h>

struct pass {
    const struct policy_set *policies;
    const char *only;
    struct zone **zones; /* beside the policies; NULL: no rules */
    struct strings pins; /* sorted */
    int64_t now_ms;
    expire_visitor *visit;
    void *context;
    char target[TARGET_TEXT]; /* whose points are being collected */
    char *target_name;
    struct expire_point *points;
    size_t count, room;
};

/* ---- points of one target ---- */

static void point_clear(struct expire_point *point)
{
    free(point->id);
    free(point->parent);
    free(point->name);
    free(point->policy);
    free(point->kind);
    free(point->repository);
    free(point->host);
    *point = (struct expire_point){0};
}

static void drop_points(struct pass *pass)
{
    for (size_t i = 0; i < pass->count; i++)
        point_clear(&pass->points[i]);
    pass->count = 0;
}

static int copy_point(struct expire_point *out, const struct restore_point *point, struct err *err)
{
    const struct point_verification *last = point->verified.count ? list_at(&point->verified, struct point_verification,
                                                                            point->verified.count - 1)
                                                                  : NULL;

    *out = (struct expire_point){.created_ms = point->created_at_ms,
                                 .size_bytes = point->size_bytes,
                                 .complete = point->state == POINT_COMPLETE,
                                 .verified = last && last->ok,
                                 .bad = last && !last->ok};
    if (string_set(&out->id, point->id, err) < 0 || string_set(&out->parent, point->parent, err) < 0 ||
        string_set(&out->name, point->name, err) < 0 || string_set(&out->policy, point->policy, err) < 0 ||
        string_set(&out->kind, point->kind, err) < 0 || string_set(&out->repository, point->repository, err) < 0)
        return -1;
    return string_set(&out->host, point->host, err);
}

/* ---- one target, one policy ---- */

static bool same(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

static const char *kind_made(const struct policy *policy)
{
    return policy->operation == POLICY_SNAPSHOT_CREATE ? "snapshot" : "backup";
}

static bool made_any(const struct pass *pass, const struct policy *policy)
{
    for (size_t i = 0; i < pass->count; i++)
        if (same(pass->points[i].policy, policy->name) && same(pass->points[i].kind, kind_made(policy)))
            return true;
    return false;
}

/* Backups and snapshots never count for each other. The points stay pass's; a snapshot that goes leaves its children whole, so it has no parent here. */
static size_t select_points(const struct pass *pass, const struct policy *policy, struct expire_point *points,
                            struct retention_point *marks)
{
    const char *kind = kind_made(policy);
    size_t count = 0;

    for (size_t i = 0; i < pass->count; i++) {
        const struct expire_point *point = &pass->points[i];
        if (!same(point->kind, kind))
            continue;
        points[count] = *point;
        marks[count++] = (struct retention_point){
            .id = point->id,
            .parent = policy->operation == POLICY_SNAPSHOT_CREATE ? NULL : point->parent,
            .created_ms = point->created_ms,
            .complete = point->complete,
            .verified = point->verified,
            .bad = point->bad,
            .pinned = strings_sorted_have(&pass->pins, point->id),
            .foreign = !same(point->policy, policy->name),
        };
    }
    return count;
}

static int decide(struct pass *pass, const struct ledger_policy *policy, const struct zone *zone, struct err *err)
{
    CLEANUP(freep) struct expire_point *points = calloc(pass->count, sizeof *points);
    CLEANUP(freep) struct retention_point *marks = calloc(pass->count, sizeof *marks);
    struct retention_rules rules = policy_rules(policy->policy.retention);
    struct expire_group group = {policy, pass->target, pass->target_name, points, marks, 0};

    if (!points || !marks)
        return err_memory(err, "retention");
    group.count = select_points(pass, &policy->policy, points, marks);
    if (retention_decide(&rules, zone, pass->now_ms, marks, group.count, err) < 0)
        return -1;
    return pass->visit(pass->context, &group, err);
}

static int flush(struct pass *pass, struct err *err)
{
    int result = 0;

    for (size_t i = 0; result == 0 && pass->count && i < pass->policies->count; i++) {
        const struct ledger_policy *policy = pass->policies->items[i]->policy;
        if (pass->zones[i] && made_any(pass, &policy->policy))
            result = decide(pass, policy, pass->zones[i], err);
    }
    drop_points(pass);
    return result;
}

static int note_point(void *context, const struct restore_point *point, struct err *err)
{
    struct pass *pass = context;
    char target[TARGET_TEXT];

    if (strcmp(pass->target, target_format(&point->target, target)) != 0) {
        if (flush(pass, err) < 0)
            return -1;
        memcpy(pass->target, target, sizeof target);
    }
    if (pass->count == pass->room) {
        size_t room = pass->room ? pass->room * 2 : 64;
        struct expire_point *points = reallocarray(pass->points, room, sizeof *points);
        if (!points)
            return err_memory(err, "retention");
        pass->points = points;
        pass->room = room;
    }
    if (copy_point(&pass->points[pass->count++], point, err) < 0)
        return -1;
    return string_set(&pass->target_name, point->target.name, err);
}

/* ---- the pass ---- */

static int open_zones(struct pass *pass, struct err *err)
{
    pass->zones = calloc(pass->policies->count + 1, sizeof *pass->zones);
    if (!pass->zones)
        return err_memory(err, "retention");
    for (size_t i = 0; i < pass->policies->count; i++) {
        const struct policy *policy = &pass->policies->items[i]->policy->policy;
        if (policy->retention && (!pass->only || strcmp(pass->only, policy->name) == 0) &&
            zone_open(policy->time_zone, &pass->zones[i], err) < 0)
            return err_wrap(err, "policy %s", policy->name);
    }
    return 0;
}

static int note_pin(void *context, const struct ledger_entry *entry, struct err *err)
{
    struct pass *pass = context;

    return entry->gone ? 0 : strings_add(&pass->pins, entry->id, err);
}

static void pass_clear(struct pass *pass)
{
    drop_points(pass);
    free(pass->points);
    for (size_t i = 0; pass->zones && i < pass->policies->count; i++)
        zone_free(pass->zones[i]);
    free(pass->zones);
    free(pass->target_name);
    strings_clear(&pass->pins);
}

int expire_each(struct coordinator *coordinator, struct view_reader *reader, const struct policy_set *policies,
                const char *only, int64_t now_ms, expire_visitor *visit, void *context, struct err *err)
{
    CLEANUP(pass_clear)
    struct pass pass = {.policies = policies, .only = only, .now_ms = now_ms, .visit = visit, .context = context};

    if (open_zones(&pass, err) < 0 || coordinator_each(coordinator, LEDGER_PIN, note_pin, &pass, err) < 0)
        return -1;
    strings_sort(&pass.pins);
    if (view_each_point(reader, NULL, NULL, note_point, &pass, err) < 0)
        return -1;
    return flush(&pass, err);
}
