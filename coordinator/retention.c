#include "coordinator/retention.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "coordinator/zone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum bucket { BUCKET_HOUR, BUCKET_DAY, BUCKET_WEEK, BUCKET_MONTH, BUCKET_YEAR, BUCKETS };

static const char *const bucket_names[BUCKETS] = {"hourly", "daily", "weekly", "monthly", "yearly"};
static const int64_t HOUR = 3600, DAY = 24 * 3600;

struct decision {
    const struct retention_rules *rules;
    const struct zone *zone;
    int64_t now_ms;
    struct retention_point **newest_first; /* all */
    size_t count;
};

bool retention_given(const struct retention_rules *rules)
{
    return rules->last || rules->hourly || rules->daily || rules->weekly || rules->monthly || rules->yearly ||
           rules->keep_within_ms;
}

/* The first rule that keeps a point is the one that is shown. */
static void keep(struct retention_point *point, const char *rule)
{
    if (!point->keep)
        snprintf(point->rule, sizeof point->rule, "%s", rule);
    point->keep = true;
}

static bool good(const struct retention_point *point)
{
    return point->complete && !point->foreign && !point->bad;
}

static bool counted(const struct decision *decision, const struct retention_point *point)
{
    return good(point) && (point->verified || !decision->rules->verified_only);
}

static int64_t floor_div(int64_t value, int64_t by)
{
    return value / by - (value % by < 0);
}

/* A number that points of the same local hour, day, … share, and no others. */
static int64_t bucket_of(const struct zone *zone, enum bucket bucket, int64_t created_ms)
{
    int64_t local = zone_local(zone, floor_div(created_ms, 1000)), days = floor_div(local, DAY), year;
    int month, day;

    date_from_days(days, &year, &month, &day);
    switch (bucket) {
    case BUCKET_HOUR: return floor_div(local, HOUR);
    case BUCKET_DAY: return days;
    case BUCKET_WEEK: return floor_div(days + 3, 7); /* from Monday: 1970-01-01 was a Thursday */
    case BUCKET_MONTH: return year * 12 + month;
    case BUCKET_YEAR:
    case BUCKETS: break;
    }
    return year;
}

static void keep_newest_of_each(const struct decision *decision, enum bucket bucket, int64_t wanted)
{
    int64_t before = INT64_MIN, found = 0;
    char rule[64];

    for (size_t i = 0; i < decision->count && found < wanted; i++) {
        struct retention_point *point = decision->newest_first[i];
        int64_t its = bucket_of(decision->zone, bucket, point->created_ms);
        if (!counted(decision, point) || its == before)
            continue;
        before = its;
        snprintf(rule, sizeof rule, "%s %lld of %lld", bucket_names[bucket], (long long)++found, (long long)wanted);
        keep(point, rule);
    }
}

static void keep_newest(const struct decision *decision, int64_t wanted, bool verified, const char *name)
{
    int64_t found = 0;
    char rule[64];

    for (size_t i = 0; i < decision->count && found < wanted; i++) {
        struct retention_point *point = decision->newest_first[i];
        if (verified ? !good(point) || !point->verified : !counted(decision, point))
            continue;
        snprintf(rule, sizeof rule, "%s %lld of %lld", name, (long long)++found, (long long)wanted);
        keep(point, rule);
    }
}

static void keep_by_number(const struct decision *decision)
{
    const struct retention_rules *rules = decision->rules;
    const int64_t wanted[BUCKETS] = {rules->hourly, rules->daily, rules->weekly, rules->monthly, rules->yearly};

    keep_newest(decision, rules->last, false, "last");
    for (enum bucket bucket = BUCKET_HOUR; bucket < BUCKETS; bucket++)
        keep_newest_of_each(decision, bucket, wanted[bucket]);
    keep_newest(decision, rules->min_verified, true, "verified");
}

/* The newest good point, and the newest that was proven good. */
static void keep_last_good(const struct decision *decision)
{
    bool any = false, proven = false;

    for (size_t i = 0; i < decision->count && !(any && proven); i++) {
        struct retention_point *point = decision->newest_first[i];
        if (!good(point))
            continue;
        if (!any || point->verified)
            keep(point, any ? "the last verified one" : "the last good one");
        any = true;
        proven |= point->verified;
    }
}

/* What is not for the rules to decide. */
static void keep_one(const struct decision *decision, struct retention_point *point)
{
    int64_t within_ms = decision->rules->keep_within_ms;

    if (point->foreign)
        keep(point, "not of this policy");
    else if (!point->complete)
        keep(point, "not complete: its job decides");
    else if (point->pinned)
        keep(point, "pinned");
    else if (decision->rules->verified_only && !point->verified && !point->bad)
        keep(point, "not verified yet");
    else if (within_ms && point->created_ms > decision->now_ms - within_ms)
        keep(point, "within keep_within");
    else if (point->created_ms > decision->now_ms)
        keep(point, "from the future: a clock is wrong");
}

static struct retention_point *find(const struct decision *decision, const char *id)
{
    for (size_t i = 0; id && i < decision->count; i++)
        if (strcmp(decision->newest_first[i]->id, id) == 0)
            return decision->newest_first[i];
    return NULL;
}

/* A chain is as good as its first link. Bounded: what a broken catalog says may be a circle. */
static void keep_parents(const struct decision *decision, const struct retention_point *point)
{
    struct retention_point *parent = find(decision, point->parent);
    char rule[64];

    for (size_t depth = 0; parent && !parent->keep && depth < decision->count; depth++) {
        snprintf(rule, sizeof rule, "needed by %.8s", point->id);
        keep(parent, rule);
        parent->merge = decision->rules->merge; /* if it can be: decide_merges() */
        parent = find(decision, parent->parent);
    }
}

static size_t depth_of(const struct decision *decision, const struct retention_point *point)
{
    size_t depth = 0;

    while (depth < decision->count && (point = find(decision, point->parent)))
        depth++;
    return depth;
}

/* ---- merges ---- */

/* Goes without a trace; what is merged lives on in its heir. */
static bool vanishes(const struct retention_point *point)
{
    return !point->keep && !point->merge;
}

/* The point into which this one would be merged: the only one that builds on it, now or when those between are merged. NULL: none, or several, and each would become as large as all of them. */
static const struct retention_point *heir_of(const struct decision *decision, const struct retention_point *point)
{
    for (size_t depth = 0; depth < decision->count; depth++) {
        const struct retention_point *heir = NULL;
        for (size_t i = 0; i < decision->count; i++) {
            const struct retention_point *child = decision->newest_first[i];
            if (!child->parent || strcmp(child->parent, point->id) != 0 || vanishes(child))
                continue;
            if (heir)
                return NULL;
            heir = child;
        }
        if (!heir || heir->keep)
            return heir;
        point = heir;
    }
    return NULL;
}

/* A merge of what was found damaged would hide that. */
static bool sound(const struct decision *decision, const struct retention_point *point)
{
    size_t depth = 0;

    for (; point && depth <= decision->count; point = find(decision, point->parent), depth++)
        if (!point->complete || point->bad)
            return false;
    return depth <= decision->count;
}

static void decide_merge(const struct decision *decision, struct retention_point *point)
{
    const struct retention_point *heir = heir_of(decision, point);

    point->merge = heir && sound(decision, heir);
    if (!point->merge)
        return;
    point->keep = false;
    snprintf(point->rule, sizeof point->rule, "merged into %.8s", heir->id);
}

/* From the end of each chain: what is merged there is in nobody's way. Until it is its turn a candidate is kept. */
static void decide_merges(const struct decision *decision, size_t *depths)
{
    size_t deepest = 0;

    for (size_t i = 0; i < decision->count; i++) {
        depths[i] = depth_of(decision, decision->newest_first[i]);
        deepest = depths[i] > deepest ? depths[i] : deepest;
    }
    for (size_t depth = deepest + 1; depth-- > 0;)
        for (size_t i = 0; i < decision->count; i++)
            if (decision->newest_first[i]->merge && depths[i] == depth)
                decide_merge(decision, decision->newest_first[i]);
}

/* ---- the whole ---- */

static int compare_newest(const void *a, const void *b)
{
    const struct retention_point *one = *(struct retention_point *const *)a,
                                 *other = *(struct retention_point *const *)b;

    if (one->created_ms != other->created_ms)
        return one->created_ms > other->created_ms ? -1 : 1;
    return strcmp(other->id, one->id);
}

/* Deepest first; of one depth, the oldest first. `depths` has room for all. */
static void number_deletions(const struct decision *decision, size_t *depths)
{
    size_t next = 0, deepest = 0;

    for (size_t i = 0; i < decision->count; i++) {
        depths[i] = decision->newest_first[i]->keep ? 0 : depth_of(decision, decision->newest_first[i]);
        deepest = depths[i] > deepest ? depths[i] : deepest;
    }
    for (size_t depth = deepest + 1; depth-- > 0;)
        for (size_t i = decision->count; i-- > 0;)
            if (!decision->newest_first[i]->keep && depths[i] == depth)
                decision->newest_first[i]->order = ++next;
}

int retention_decide(const struct retention_rules *rules, const struct zone *zone, int64_t now_ms,
                     struct retention_point *points, size_t count, struct err *err)
{
    CLEANUP(freep) struct retention_point **sorted = calloc(count + 1, sizeof *sorted);
    CLEANUP(freep) size_t *depths = calloc(count + 1, sizeof *depths);
    struct decision decision = {rules, zone, now_ms, sorted, count};

    if (!sorted || !depths)
        return err_memory(err, "retention");
    for (size_t i = 0; i < count; i++) {
        sorted[i] = &points[i];
        points[i].keep = points[i].merge = false;
        points[i].order = 0;
        points[i].rule[0] = '\0';
    }
    qsort(sorted, count, sizeof *sorted, compare_newest);
    for (size_t i = 0; i < count; i++)
        keep_one(&decision, sorted[i]);
    keep_by_number(&decision);
    keep_last_good(&decision);
    if (!retention_given(rules))
        for (size_t i = 0; i < count; i++)
            keep(sorted[i], "no rule deletes anything");
    for (size_t i = 0; i < count; i++)
        if (sorted[i]->keep)
            keep_parents(&decision, sorted[i]);
    if (rules->merge)
        decide_merges(&decision, depths);
    number_deletions(&decision, depths);
    return 0;
}
