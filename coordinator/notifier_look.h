#pragma once
/* What the rules of alarm.h are asked about, from view and ledger. One thread; it remembers how repositories filled. */
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

int looker_new(struct looker **out, struct err *err);
void looker_free(struct looker *looker); /* NULL is fine */
/* Takes a sample of each repository's room, at most one in 10 min; also where this coordinator does not lead. */
void looker_sample(struct looker *looker, struct view_reader *reader, int64_t now_ms);
/* All that is so now. A rule that could not be looked at is not `looked`, and *err says why; the others are. */
void looker_look(struct looker *looker, const struct look *look, struct alarms *out, struct err *err);
