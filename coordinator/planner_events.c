/*
 * Deploy events. No offset is kept: a new leader reads the topic (7 days) from its beginning, and the ledger knows what was said. An event that the ledger cannot take now is read again.
 * What cannot be read or trusted goes to the dead-letter topic with the reason; once, unless the leader changes within the time in which an event is new.
 */
#include "coordinator/planner_events.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "coordinator/deploy_event.h"
#include "coordinator/deploys.h"
#include "coordinator/planner.h"
#include "coordinator/topic_key.h"
#include "crypto/mac.h"
#include "kafka/kafka.h"
#include "model/audit.h"
#include "model/topics.h"
#include "wire/wire.h"

#include <stdio.h>
#include <string.h>

enum { BATCH = 64, METADATA_MS = 5000, EVENT_MAX = 256 * 1024, EARLY_MAX = 200 };

struct heard { /* one record, and who it is of */
    struct deploy_event event;
    struct ledger_entry *token;
    int64_t appended_ms;
};

struct planner_events {
    struct kafka_consumer *consumer;
    struct wire *wire;
    struct mac *mac;
    struct heard early[EARLY_MAX]; /* words of deploys that nobody has begun yet: partitions have no common order */
    size_t early_count;
};

DEFINE_FREEP(struct planner_events, planner_events_close)

static void heard_clear(struct heard *heard)
{
    deploy_event_clear(&heard->event);
    ledger_entry_free(heard->token);
}

void planner_events_close(struct planner_events *events)
{
    if (!events)
        return;
    for (size_t i = 0; i < events->early_count; i++)
        heard_clear(&events->early[i]);
    kafka_consumer_close(events->consumer);
    wire_free(events->wire);
    mac_free(events->mac);
    free(events);
}

static int open_events(struct coordinator *coordinator, struct planner_events **out, struct err *err)
{
    CLEANUP(planner_events_closep) struct planner_events *events = calloc(1, sizeof *events);
    const char *topic = topic_table[TOPIC_DEPLOYS].name;
    int32_t partitions = 0;

    if (!events)
        return err_memory(err, "deploy events");
    if (wire_new(&events->wire, err) < 0 || mac_new(&events->mac, err) < 0 ||
        kafka_partition_count(&coordinator->kafka, topic, METADATA_MS, &partitions, err) < 0 ||
        kafka_consumer_open(&coordinator->kafka, NULL, &events->consumer, err) < 0)
        return -1;
    for (int32_t i = 0; i < partitions; i++)
        if (kafka_consumer_assign(events->consumer, topic, i, KAFKA_FROM_BEGINNING, err) < 0)
            return -1;
    *out = TAKE_PTR(events);
    return 0;
}

/* ---- one event ---- */

static void refuse(struct coordinator *coordinator, const struct kafka_record *record, const char *why)
{
    struct dead_letter *letter;

    log_warning("deploys", "event %d@%lld: %s", record->partition, (long long)record->offset, why);
    if (clock_real_ms() - record->timestamp_ms > DEPLOY_EVENT_SKEW_MS) /* read again by a new leader: it is there */
        return;
    letter = dead_letter_of(record, why, NULL);
    if (letter)
        coordinator_dead_letter(coordinator, letter);
}

/* 1: believed; 0: refused, and why; -1: later. */
static int believe(struct planner *planner, const struct kafka_record *record, struct heard *heard,
                   char why[TOPIC_KEY_WHY], struct err *err)
{
    struct planner_events *events = planner->events;
    struct err cause = {0};

    if (!record->value || wire_decode(events->wire, &deploy_event_record, record->value, record->value_len, EVENT_MAX,
                                      &heard->event, &cause) < 0)
        return snprintf(why, TOPIC_KEY_WHY, "%.290s", record->value ? cause.text : "it has no value"), 0;
    int believed = topic_key_believe(planner->coordinator, events->mac, record, heard->event.token, &heard->token, why,
                                     err);
    if (believed <= 0)
        return believed;
    const char *refused = deploy_event_refused(&heard->event, heard->token->token, record->timestamp_ms);
    if (refused)
        return snprintf(why, TOPIC_KEY_WHY, "%.290s", refused), 0;
    return 1;
}

static int begin(struct planner *planner, const struct caller *caller, const struct heard *heard, struct err *err)
{
    CLEANUP(deploy_clear) struct deploy deploy = {0};

    if (deploy_event_deploy(&heard->event, heard->token->token, &deploy, err) < 0)
        return -1;
    return deploys_record(planner->coordinator, caller, heard->event.deploy_id, &deploy, err);
}

/* 1: said; 0: there is no such deploy; -1. */
static int say(struct planner *planner, const struct caller *caller, const struct heard *heard, struct err *err)
{
    CLEANUP(deploy_word_clear) struct deploy_word word = {0};
    json_t *out = NULL;

    if (deploy_event_word(&heard->event, &word, err) < 0)
        return -1;
    int said = deploys_say(planner->coordinator, NULL, caller, heard->event.deploy_id, &word, false, &out, err);
    json_decref(out);
    return said;
}

/* Its deploy may begin a moment later. What is kept is taken over. False: it has had its time, or there are too many. */
static bool keep_early(struct planner_events *events, struct heard *heard)
{
    if (events->early_count == EARLY_MAX || clock_real_ms() - heard->appended_ms > DEPLOY_EVENT_SKEW_MS)
        return false;
    events->early[events->early_count++] = *heard;
    *heard = (struct heard){0};
    return true;
}

/* What contradicts, or comes too late, changes nothing, and is in the audit: once, while it is new. */
static int act(struct planner *planner, struct heard *heard, struct err *err)
{
    int64_t appended_ms = heard->appended_ms;
    const struct ledger_token *token = heard->token->token;
    const struct caller caller = {.token = token->name,
                                  .from = (char *)"fleetsnap.deploys",
                                  .role = token->role,
                                  .classes = token->classes,
                                  .selector = token->selector && *token->selector ? token->selector : NULL};
    struct err why = {0};

    if (deploy_event_late(&heard->event, appended_ms, clock_real_ms())) {
        log_debug(heard->event.deploy_id, "event %s is from too long ago: left", heard->event.event);
        return 0;
    }
    bool begins = deploy_event_begins(&heard->event);
    int done = begins ? begin(planner, &caller, heard, &why) : say(planner, &caller, heard, &why);
    if (done > 0 || (begins && done == 0) || (done == 0 && keep_early(planner->events, heard)))
        return 0;
    if (done == 0)
        err_set(&why, ERR_PERMANENT, "there is no deploy \"%s\"", heard->event.deploy_id);
    if (why.kind == ERR_RETRY || why.kind == ERR_UNKNOWN) {
        if (err)
            *err = why;
        return -1;
    }
    log_info(heard->event.deploy_id, "event %s changes nothing: %s", heard->event.event, why.text);
    if (clock_real_ms() - appended_ms <= DEPLOY_EVENT_SKEW_MS)
        coordinator_audit(planner->coordinator, &caller, "deploy.event", heard->event.deploy_id, heard->event.event,
                          why.text);
    return 0;
}

static int take(struct planner *planner, const struct kafka_record *record, struct err *err)
{
    CLEANUP(heard_clear) struct heard heard = {0};
    char why[TOPIC_KEY_WHY];
    int believed = believe(planner, record, &heard, why, err);

    if (believed < 0)
        return -1;
    heard.appended_ms = record->timestamp_ms;
    if (believed)
        return act(planner, &heard, err);
    refuse(planner->coordinator, record, why);
    return 0;
}

/* Words that came before their deploy, once more; a token that was revoked meanwhile says nothing any more. */
static int act_on_early(struct planner *planner, struct err *err)
{
    struct planner_events *events = planner->events;
    size_t count = events->early_count;

    events->early_count = 0; /* what is still too early is put back, at a place that was read already */
    for (size_t i = 0; i < count; i++) {
        CLEANUP(heard_clear) struct heard heard = events->early[i];
        struct ledger_entry *token = NULL;
        int result = coordinator_get(planner->coordinator, LEDGER_TOKEN, heard.event.token, &token, err);
        bool valid = token && !token->gone && token->token;
        ledger_entry_free(token);
        if (result == 0 && valid)
            result = act(planner, &heard, err);
        if (result < 0) {
            for (size_t rest = i + 1; rest < count; rest++)
                heard_clear(&events->early[rest]);
            return -1; /* all is read again */
        }
    }
    return 0;
}

int planner_events_read(struct planner *planner, struct err *err)
{
    struct kafka_record records[BATCH];
    int count, result = 0;

    if (!planner->events && open_events(planner->coordinator, &planner->events, err) < 0)
        return -1;
    count = kafka_consume(planner->events->consumer, 0, records, BATCH, err);
    for (int i = 0; i < count && result == 0; i++)
        result = take(planner, &records[i], err);
    if (count > 0)
        kafka_records_free(records, (size_t)count);
    if (count >= 0 && result == 0)
        result = act_on_early(planner, err);
    if (count < 0 || result < 0) /* from the beginning again: what was taken is known */
        planner_events_close(TAKE_PTR(planner->events));
    if (count == BATCH && result == 0)
        planner_wake(planner);
    return count < 0 ? -1 : result;
}
