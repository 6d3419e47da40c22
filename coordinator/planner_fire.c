/* Slots that are due become runs. A slot is settled by its run in the ledger: a crash before it fires the slot again, with the same ids; after it, never. */
#include "base/err.h"
#include "base/log.h"
#include "base/parse.h"
#include "coordinator/plan.h"
#include "coordinator/planner.h"
#include "coordinator/schedule.h"

#include <string.h>

void planner_compiled_free(struct planner *planner)
{
    for (size_t i = 0; planner->compiled && i < planner->policies.count; i++)
        timetable_clear(&planner->compiled[i]);
    free(TAKE_PTR(planner->compiled));
}

/* One that cannot be understood here (another tzdata) stops only itself: its zone stays NULL. */
int planner_compile(struct planner *planner, struct err *err)
{
    planner->compiled = calloc(planner->policies.count + 1, sizeof *planner->compiled);
    if (!planner->compiled)
        return err_memory(err, "planner");
    for (size_t i = 0; i < planner->policies.count; i++) {
        struct err why = {0};
        if (timetable_read(&planner->policies.items[i]->policy->policy, &planner->compiled[i], &why) < 0)
            log_error("planner", "%s: its schedules stand still", why.text);
    }
    return 0;
}

static int fire_slot(struct planner *planner, const struct ledger_policy *policy,
                     const struct policy_schedule *schedule, int64_t slot_ms, int64_t now_ms, struct err *err)
{
    CLEANUP(run_clear) struct run run = {0};
    CLEANUP(run_members_clear) struct run_members members = {0};
    char id[UUID_TEXT], time[40];

    if (planner_world(planner, err) < 0 || run_plan(planner->coordinator, planner->reader, planner->world, policy,
                                                    schedule, slot_ms, now_ms, &run, &members.members, err) < 0)
        return -1;
    plan_run_id(&run, id);
    if (run_write(planner->coordinator, NULL, id, &run, &members.members, err) < 0)
        return -1;
    log_info(id, "policy %s, %s of %s: %lld targets", run.policy, run.schedule,
             format_rfc3339(slot_ms, time, sizeof time), (long long)run.members);
    return 0;
}

static int fire_schedule(struct planner *planner, const struct ledger_policy *policy, const struct timetable *compiled,
                         size_t index, int64_t now_ms, struct err *err)
{
    const struct policy_schedule *schedule = list_at(&policy->policy.schedules, struct policy_schedule, index);
    int64_t mark_ms = planner_mark(planner, policy->policy.name, schedule->name), slots[SCHEDULE_DUE_MAX], seen_ms;
    size_t count = schedule_due(&compiled->crons[index], compiled->zone,
                                mark_ms > policy->since_ms ? mark_ms : policy->since_ms, now_ms,
                                (enum schedule_missed)schedule->missed, schedule->missed_limit, slots, &seen_ms);

    for (size_t i = 0; i < count; i++) {
        bool over = schedule->window_ms && slots[i] + schedule->window_ms <= now_ms; /* nothing could start any more */
        if (!over && fire_slot(planner, policy, schedule, slots[i], now_ms, err) < 0)
            return err_wrap(err, "policy %s, %s", policy->policy.name, schedule->name);
        if (planner_set_mark(planner, policy->policy.name, schedule->name, slots[i], err) < 0)
            return -1;
    }
    return planner_set_mark(planner, policy->policy.name, schedule->name, seen_ms, err);
}

static void fire_policy(struct planner *planner, const struct ledger_policy *policy, const struct timetable *compiled,
                        int64_t now_ms)
{
    struct err err = {0};

    for (size_t i = 0; i < policy->policy.schedules.count; i++)
        if (fire_schedule(planner, policy, compiled, i, now_ms, &err) < 0) {
            planner_trouble(planner, &err);
            return; /* tried again in the next round; the others go on */
        }
}

void planner_fire(struct planner *planner, int64_t now_ms)
{
    for (size_t i = 0; i < planner->policies.count; i++) {
        const struct ledger_policy *policy = planner->policies.items[i]->policy;
        if (!policy->paused && planner->compiled[i].zone)
            fire_policy(planner, policy, &planner->compiled[i], now_ms);
    }
}
