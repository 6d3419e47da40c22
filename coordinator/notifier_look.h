#pragma once
/* What the rules of alarm.h are asked about, from view and ledger. One thread. */
#include "coordinator/alarm.h"

struct coordinator;
struct looker;
struct view_reader;

struct look {
    struct coordinator *coordinator;
    struct view_reader *reader;
    int64_t now_ms;
    int64_t watched_ms; /* since when this coordinator leads and Redis was whole */
    bool heartbeats_known;
    int64_t silent_ms, filling_within_ms;
    bool wanted[ALARM_RULES];
};

/* What it observed before is in state_directory. */
int looker_new(const char *state_directory, struct looker **out, struct err *err);
void looker_free(struct looker *looker); /* NULL is fine */
static inline void looker_freep(struct looker **looker)
{
    looker_free(*looker);
}
/* What only time shows (observed.h), at most once in 10 min; also where this coordinator does not lead. */
void looker_observe(struct looker *looker, struct coordinator *coordinator, struct view_reader *reader, int64_t now_ms);
/* All that is so now. A rule that could not be looked at is not `looked`, and *err says why; the others are. */
void looker_look(struct looker *looker, const struct look *look, struct alarms *out, struct err *err);
