#include "coordinator/notice.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "coordinator/plans_json.h"
#include "model/policy.h"

#include <stdio.h>
#include <string.h>

#define TOLD    "told."
#define DROPPED "given up: "

static int64_t number_of(const struct ledger_entry *entry, const char *key)
{
    return facts_get_int(&entry->values, key, 0);
}

bool notice_read(const struct ledger_entry *entry, struct notice *out)
{
    const char *colon = entry->kind == LEDGER_NOTICE && !entry->gone ? strchr(entry->id, ':') : NULL;
    char rule[64];

    if (!colon)
        return false;
    snprintf(rule, sizeof rule, "%.*s", (int)(colon - entry->id), entry->id);
    int index = name_index(alarm_rule_names, rule);
    if (index < 0)
        return false;
    *out = (struct notice){.entry = entry,
                           .rule = (enum alarm_rule)index,
                           .subject = colon + 1,
                           .policy = facts_get(&entry->values, "policy"),
                           .text = facts_get_or(&entry->values, "text", ""),
                           .since_ms = number_of(entry, "since_ms"),
                           .over_ms = number_of(entry, "over_ms")};
    return true;
}

int notice_new(const struct alarm *alarm, int64_t now_ms, struct ledger_entry **out, struct err *err)
{
    CLEANUP(ledger_entry_freep) struct ledger_entry *entry = calloc(1, sizeof *entry);
    char id[256];

    if (!entry)
        return err_memory(err, "notice");
    entry->kind = LEDGER_NOTICE;
    snprintf(id, sizeof id, "%s:%s", alarm_rule_names[alarm->rule], alarm->subject);
    if (string_set(&entry->id, id, err) < 0 || facts_set(&entry->values, "text", alarm->text, err) < 0 ||
        facts_set_int(&entry->values, "since_ms", alarm->at_ms ? alarm->at_ms : now_ms, err) < 0 ||
        facts_set_int(&entry->values, "noticed_ms", now_ms, err) < 0 ||
        (*alarm->policy && facts_set(&entry->values, "policy", alarm->policy, err) < 0))
        return -1;
    record_fit(&ledger_entry_record, entry); /* a text that was cut may end within a character */
    *out = TAKE_PTR(entry);
    return 0;
}

int notice_end(struct ledger_entry *entry, int64_t now_ms, struct err *err)
{
    return facts_set_int(&entry->values, "over_ms", now_ms, err);
}

/* ---- who is told ---- */

static bool wants(const struct strings *wanted, const char *name)
{
    return !wanted->count || strings_have(wanted, name);
}

bool notice_concerns(const struct notice *notice, const char *receiver, const struct policy_notification *wanted)
{
    return !wanted || (wants(&wanted->rules, alarm_rule_names[notice->rule]) && wants(&wanted->to, receiver));
}

static void told_key(const char *receiver, char out[96])
{
    snprintf(out, 96, TOLD "%.80s", receiver);
}

const char *notice_untold(const struct notice *notice, const char *receiver)
{
    char key[96];
    const char *told;

    told_key(receiver, key);
    told = facts_get(&notice->entry->values, key);
    if (!notice->over_ms)
        return told ? NULL : "open";
    if (!told || strcmp(told, "open") != 0)
        return NULL;
    return notice->rule == ALARM_FAILED ? NULL : "over"; /* what has failed stays so */
}

int notice_set_told(struct ledger_entry *entry, const char *receiver, const char *what, bool given_up, struct err *err)
{
    char key[96], value[64];

    told_key(receiver, key);
    snprintf(value, sizeof value, "%s%s", given_up ? DROPPED : "", what);
    return facts_set(&entry->values, key, value, err);
}

/* ---- what becomes of it ---- */

enum notice_move notice_next(const struct notice *notice, const struct alarms *now, bool told)
{
    if (notice->over_ms)
        return told ? NOTICE_FORGET : NOTICE_STAY;
    if (!now->looked[notice->rule] || alarms_find(now, notice->rule, notice->subject))
        return NOTICE_STAY;
    return NOTICE_END;
}

/* ---- as it is sent ---- */

json_t *notice_event(const struct notice *notice, const char *what)
{
    char id[320];

    snprintf(id, sizeof id, "%s@%lld/%s", notice->entry->id, (long long)notice->since_ms, what);
    return json_pack("{s:s, s:s, s:s, s:s, s:s?, s:s, s:o, s:o}", "id", id, "rule", alarm_rule_names[notice->rule],
                     "state", what, "subject", notice->subject, "policy", notice->policy, "text", notice->text, "since",
                     plans_time(notice->since_ms), "over", plans_time(notice->over_ms));
}
