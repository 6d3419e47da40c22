#pragma once
/* The schedules of a policy, ready to be asked. Pure, but for time zones, which are read from the system. */
#include "coordinator/cron.h"

#include <stddef.h>
#include <stdint.h>

struct err;
struct policy;
struct policy_schedule;
struct zone;

struct timetable {
    struct zone *zone;
    struct cron *crons; /* by schedule */
};

struct firing {
    const struct policy_schedule *schedule; /* of the policy; NULL: none yet */
    size_t index;
    int64_t slot_ms;
};

/* Caller clears. */
int timetable_read(const struct policy *policy, struct timetable *out, struct err *err);
void timetable_clear(struct timetable *table);
/* The next one after `firing` (after its slot, if it has no schedule), by slot, then by their order in the policy, and not after `until_ms`. False: none. */
bool timetable_next(const struct policy *policy, const struct timetable *table, int64_t until_ms, struct firing *firing);
