#include "coordinator/outlook.h"

#include "base/err.h"
#include "coordinator/options.h"
#include "coordinator/runs.h"
#include "model/ledger_entry.h"

#include <stdlib.h>

#define HOUR_MS (3600LL * 1000)
/* A job of a policy is given up after a day (plan_job.c): what began earlier is over, what begins later is not in the way. */
static const int64_t REACH_MS = 24 * HOUR_MS, REACH_MIN_MS = 60 * 1000, BACK_MAX_MS = 7 * 24 * HOUR_MS,
                     FAR_MS = 10LL * 366 * 24 * HOUR_MS;

struct prospect {
    const struct ledger_policy *policy;
    struct timetable table;
    struct plan *plan;
};

struct outlook {
    const struct coordinator_options *options;
    const struct world *world;
    struct prospect *items;
    size_t count;
};

int outlook_new(const struct coordinator_options *options, const struct world *world, struct outlook **out,
                struct err *err)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return err_memory(err, "preview");
    (*out)->options = options;
    (*out)->world = world;
    return 0;
}

void outlook_free(struct outlook *outlook)
{
    for (size_t i = 0; outlook && i < outlook->count; i++) {
        timetable_clear(&outlook->items[i].table);
        plan_free(outlook->items[i].plan);
    }
    if (outlook)
        free(outlook->items);
    free(outlook);
}

void outlook_run_clear(struct outlook_run *run)
{
    run_clear(&run->run);
    run_members_clear(&run->members);
    free(run->times);
    *run = (struct outlook_run){0};
}

int outlook_add(struct outlook *outlook, const struct ledger_policy *policy, struct err *err)
{
    struct prospect *items, prospect = {.policy = policy};

    if (outlook->count && (policy->paused || !policy->policy.schedules.count))
        return 0;
    items = reallocarray(outlook->items, outlook->count + 1, sizeof *items);
    if (!items)
        return err_memory(err, "preview");
    outlook->items = items;
    if (timetable_read(&policy->policy, &prospect.table, err) < 0)
        return -1;
    if (plan_new(&policy->policy, outlook->world, &prospect.plan, err) < 0) {
        timetable_clear(&prospect.table);
        return -1;
    }
    outlook->items[outlook->count++] = prospect;
    return 0;
}

bool outlook_wants_points(const struct outlook *outlook)
{
    for (size_t i = 0; i < outlook->count; i++)
        if (plan_wants_points(&outlook->items[i].policy->policy))
            return true;
    return false;
}

int outlook_add_target(struct outlook *outlook, const struct inventory_target *target, struct err *err)
{
    for (size_t i = 0; i < outlook->count; i++)
        if (plan_add_target(outlook->items[i].plan, target, err) < 0)
            return -1;
    return 0;
}

int outlook_add_point(struct outlook *outlook, const struct restore_point *point, struct err *err)
{
    for (size_t i = 0; i < outlook->count; i++)
        if (plan_add_point(outlook->items[i].plan, point, err) < 0)
            return -1;
    return 0;
}

bool outlook_next(const struct outlook *outlook, struct firing *firing)
{
    const struct prospect *own = &outlook->items[0];

    return timetable_next(&own->policy->policy, &own->table, firing->slot_ms + FAR_MS, firing);
}

/* ---- what is near ---- */

struct near { /* runs, the asked one first */
    struct outlook_run *items;
    size_t count, members;
};

static void near_clear(struct near *near)
{
    for (size_t i = 0; i < near->count; i++)
        outlook_run_clear(&near->items[i]);
    free(near->items);
    *near = (struct near){0};
}

static int add_run(const struct outlook *outlook, const struct prospect *prospect, const struct firing *firing,
                   struct near *near, struct err *err)
{
    struct outlook_run *items = reallocarray(near->items, near->count + 1, sizeof *items), *run;

    if (!items)
        return err_memory(err, "preview");
    near->items = items;
    run = &near->items[near->count];
    *run = (struct outlook_run){0};
    if (plan_run(prospect->plan, prospect->policy, firing->schedule, firing->slot_ms, firing->slot_ms, &run->run,
                 &run->members.members, err) < 0)
        return -1;
    near->count++;
    near->members += run->members.members.count;
    run_limits_of(outlook->options, &run->run, &prospect->policy->policy, &run->limits);
    run->times = calloc(run->members.members.count + 1, sizeof *run->times);
    return run->times ? 0 : err_memory(err, "preview");
}

struct reach { /* of what is near */
    int64_t back_ms, ahead_ms;
};

/* 1: they would be too many. */
static int add_near(const struct outlook *outlook, const struct prospect *prospect, const struct firing *asked,
                    const struct reach *reach, struct near *near, struct err *err)
{
    int64_t first_ms = asked->slot_ms - reach->back_ms, since_ms = prospect->policy->since_ms;
    struct firing firing = {.slot_ms = first_ms > since_ms ? first_ms : since_ms};

    while (timetable_next(&prospect->policy->policy, &prospect->table, asked->slot_ms + reach->ahead_ms, &firing)) {
        if (prospect == outlook->items && firing.schedule == asked->schedule && firing.slot_ms == asked->slot_ms)
            continue;
        if (near->members + plan_size(prospect->plan) > TIMING_MAX || near->count >= TIMING_MAX)
            return 1;
        if (add_run(outlook, prospect, &firing, near, err) < 0)
            return -1;
    }
    return 0;
}

static struct reach half_of(struct reach reach)
{
    bool least = reach.ahead_ms / 2 < REACH_MIN_MS;

    return (struct reach){least ? 0 : reach.back_ms / 2, least ? 0 : reach.ahead_ms / 2};
}

/* Firings that are asked for one after the other begin with the same past, so that what one leaves to the next is seen alike. */
static struct reach reach_of(int64_t first_ms, int64_t slot_ms)
{
    int64_t back_ms = slot_ms - first_ms + REACH_MS;

    return (struct reach){back_ms < BACK_MAX_MS ? back_ms : REACH_MS, REACH_MS};
}

/* The asked one and as much around it as can be counted through. */
static int gather(const struct outlook *outlook, int64_t first_ms, const struct firing *asked, struct near *near,
                  int64_t *out_reach_ms, struct err *err)
{
    for (struct reach reach = reach_of(first_ms, asked->slot_ms);; reach = half_of(reach)) {
        int more = 0;
        near_clear(near);
        if (add_run(outlook, &outlook->items[0], asked, near, err) < 0)
            return -1;
        for (size_t i = 0; reach.ahead_ms && more == 0 && i < outlook->count; i++)
            more = add_near(outlook, &outlook->items[i], asked, &reach, near, err);
        *out_reach_ms = reach.ahead_ms;
        if (more <= 0)
            return more;
    }
}

static const struct policy *policy_of(const struct outlook *outlook, const struct run *run)
{
    for (size_t i = 0; i < outlook->count; i++)
        if (strcmp(outlook->items[i].policy->policy.name, run->policy) == 0)
            return &outlook->items[i].policy->policy;
    return NULL;
}

/* Names of policies that live as long as the outlook. */
static void keep_names(const struct outlook *outlook, struct outlook_run *run)
{
    for (size_t i = 0; i < run->members.members.count; i++)
        for (size_t h = 0; h < run->times[i].holder_count; h++)
            for (size_t p = 0; p < outlook->count; p++)
                if (strcmp(outlook->items[p].policy->policy.name, run->times[i].holders[h]) == 0)
                    run->times[i].holders[h] = outlook->items[p].policy->policy.name;
}

int outlook_run(const struct outlook *outlook, int64_t first_ms, const struct firing *firing, outlook_took *took,
                void *context, struct outlook_run *out, struct err *err)
{
    CLEANUP(near_clear) struct near near = {0};
    int64_t reach_ms;

    if (gather(outlook, first_ms, firing, &near, &reach_ms, err) < 0)
        return -1;
    CLEANUP(freep) struct timed_run *timed = calloc(near.count, sizeof *timed);
    if (!timed)
        return err_memory(err, "preview");
    for (size_t r = 0; r < near.count; r++) {
        struct outlook_run *run = &near.items[r];
        const struct list *members = &run->members.members;
        for (size_t i = 0; i < members->count; i++)
            run->times[i].duration_ms = took(context, &run->run, list_at(members, struct run_member, i));
        timed[r] = (struct timed_run){.run = &run->run,
                                      .limits = &run->limits,
                                      .members = members,
                                      .skips_busy = policy_of(outlook, &run->run)->overlap == OVERLAP_SKIP,
                                      .times = run->times};
    }
    if (runs_timing(timed, near.count, err) < 0)
        return -1;
    keep_names(outlook, &near.items[0]);
    *out = near.items[0];
    near.items[0] = (struct outlook_run){0};
    out->reach_ms = reach_ms;
    out->timed = out->members.members.count <= TIMING_MAX;
    return 0;
}
