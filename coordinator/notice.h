#pragma once
/*
 * What was said of which alarm, as the ledger keeps it (kind notice, id `<rule>:<subject>`): so a new leader neither forgets nor repeats. Pure.
 *
 * A notice is written before anybody is told, and says of each receiver what it was told. Told is written after the receiver has answered: a leader that dies in between tells it again, with the same id.
 */
#include "coordinator/alarm.h"
#include "model/ledger_entry.h"

#include <jansson.h>

struct notice { /* points into its entry */
    const struct ledger_entry *entry;
    enum alarm_rule rule;
    const char *subject, *policy, *text;
    int64_t since_ms, over_ms; /* over_ms 0: it is so */
};

/* False: it is none, or of a rule that is not known. */
bool notice_read(const struct ledger_entry *entry, struct notice *out);
/* A new entry for an alarm, nobody told. Caller frees. */
int notice_new(const struct alarm *alarm, int64_t now_ms, struct ledger_entry **out, struct err *err);
int notice_end(struct ledger_entry *entry, int64_t now_ms, struct err *err);

/* Who is to be told of it: names of receivers. */
bool notice_concerns(const struct notice *notice, const char *receiver, const struct policy_notification *wanted);
/* What the receiver has still to be told: "open", "over"; NULL: nothing. Of what was over before it was told of nothing is told. */
const char *notice_untold(const struct notice *notice, const char *receiver);
/* how: "open", "over"; or given up. */
int notice_set_told(struct ledger_entry *entry, const char *receiver, const char *what, bool given_up, struct err *err);

enum notice_move { NOTICE_STAY, NOTICE_END, NOTICE_FORGET };
/* What becomes of a notice by what is so now; `told`: nobody is to be told any more. */
enum notice_move notice_next(const struct notice *notice, const struct alarms *now, bool told);

/* One event of a delivery: {id, rule, state, subject, policy, text, since, over}. The id is the same however often it is sent. */
json_t *notice_event(const struct notice *notice, const char *what);
