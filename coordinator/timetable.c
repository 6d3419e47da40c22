#include "coordinator/timetable.h"

#include "base/err.h"
#include "coordinator/schedule.h"
#include "coordinator/zone.h"
#include "model/policy.h"

#include <stdlib.h>

void timetable_clear(struct timetable *table)
{
    zone_free(table->zone);
    free(table->crons);
    *table = (struct timetable){0};
}

int timetable_read(const struct policy *policy, struct timetable *out, struct err *err)
{
    CLEANUP(timetable_clear) struct timetable table = {0};

    table.crons = calloc(policy->schedules.count + 1, sizeof *table.crons);
    if (!table.crons)
        return err_memory(err, policy->name);
    if (zone_open(policy->time_zone, &table.zone, err) < 0)
        return err_wrap(err, "policy %s", policy->name);
    for (size_t i = 0; i < policy->schedules.count; i++)
        if (cron_parse(list_at(&policy->schedules, struct policy_schedule, i)->cron, &table.crons[i], err) < 0)
            return err_wrap(err, "policy %s", policy->name);
    *out = table;
    table = (struct timetable){0};
    return 0;
}

bool timetable_next(const struct policy *policy, const struct timetable *table, int64_t until_ms, struct firing *firing)
{
    struct firing next = {0};
    int64_t slot;

    for (size_t i = 0; i < policy->schedules.count; i++) {
        bool same_slot = firing->schedule && i > firing->index; /* may still fire at it */
        if (schedule_next(&table->crons[i], table->zone, firing->slot_ms - same_slot, until_ms, &slot) &&
            (!next.schedule || slot < next.slot_ms))
            next = (struct firing){list_at(&policy->schedules, const struct policy_schedule, i), i, slot};
    }
    if (next.schedule)
        *firing = next;
    return next.schedule != NULL;
}
