/*
 * The topics of model/topics.h on the brokers: what each must be (one list of settings per topic, with how a value is compared), which are missing or
 * wrong, and making those that are missing. What exists is never changed: a topic with another number of partitions would send a host's jobs
 * elsewhere, and a person must decide about the rest.
 *
 * LogAppendTime, because keys end and positions are checked by the broker's clock. Segments of at most 12 h, because retention and compaction work on
 * closed segments only. delete.retention.ms of 7 d is how long a reader may be away and still see that something was deleted.
 */
#include "model/topics.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/parse.h"
#include "kafka/admin.h"

#include <stdio.h>
#include <string.h>

enum { REPLICAS = 3, APPEAR_MS = 15000, APPEAR_STEP_MS = 100 };

/* ---- what a topic must be ---- */

struct plan { /* of one topic */
    struct wanted settings[WANTED_MAX];
    size_t count;
};

static void want(struct plan *plan, const char *name, enum compare compare, const char *value)
{
    struct wanted *wanted = &plan->settings[plan->count++];

    wanted->name = name;
    wanted->compare = compare;
    snprintf(wanted->value, sizeof wanted->value, "%s", value);
}

static void want_number(struct plan *plan, const char *name, enum compare compare, int64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%lld", (long long)value);
    want(plan, name, compare, text);
}

/* A batch of our producer may reach KAFKA_RECORD_BYTES_MAX, however small the topic's own records are. */
static void plan_topic(const struct topic_info *topic, bool dev, struct plan *plan)
{
    const int64_t hour_ms = 3600 * 1000;

    *plan = (struct plan){0};
    want(plan, "message.timestamp.type", SAME, "LogAppendTime");
    want_number(plan, "segment.ms", AT_MOST, 12 * hour_ms);
    want_number(plan, "max.message.bytes", AT_LEAST, KAFKA_RECORD_BYTES_MAX);
    if (topic->compacted) {
        want(plan, "cleanup.policy", SAME, "compact");
        want_number(plan, "delete.retention.ms", SAME, 7 * 24 * hour_ms);
    } else {
        want(plan, "cleanup.policy", SAME, "delete");
        want_number(plan, "retention.ms", SAME, topic->retention_ms);
    }
    if (!dev) {
        want_number(plan, "min.insync.replicas", SAME, REPLICAS - 1);
        want(plan, "unclean.leader.election.enable", SAME, "false");
    }
}

/* ---- what is wrong ---- */

struct findings {
    struct kafka_topic_problem *items;
    size_t max, count;
};

static void find_problem(struct findings *findings, const char *topic, const char *text)
{
    if (findings->count < findings->max) {
        struct kafka_topic_problem *problem = &findings->items[findings->count];
        snprintf(problem->topic, sizeof problem->topic, "%s", topic);
        snprintf(problem->text, sizeof problem->text, "%s", text);
    }
    findings->count++;
}

static bool fits(const struct wanted *wanted, const char *value)
{
    int64_t is;
    int64_t must;

    if (wanted->compare == SAME)
        return value && strcmp(value, wanted->value) == 0;
    if (!value || parse_int(value, INT64_MIN, INT64_MAX, &is, NULL) < 0 ||
        parse_int(wanted->value, INT64_MIN, INT64_MAX, &must, NULL) < 0)
        return false;
    return wanted->compare == AT_MOST ? is <= must : is >= must;
}

static void judge_settings(const char *topic, const struct plan *plan, const struct topic_facts *facts,
                           struct findings *findings)
{
    static const char *const words[] = {[SAME] = "", [AT_MOST] = "at most ", [AT_LEAST] = "at least "};

    for (size_t i = 0; i < plan->count; i++) {
        const struct wanted *wanted = &plan->settings[i];
        const char *value = topic_setting(facts, wanted->name);
        char text[192];

        if (fits(wanted, value))
            continue;
        snprintf(text, sizeof text, "%s is %.60s, must be %s%s", wanted->name, value ? value : "not set",
                 words[wanted->compare], wanted->value);
        find_problem(findings, topic, text);
    }
}

static void judge(const struct topic_info *topic, bool dev, const struct plan *plan, const struct topic_facts *facts,
                  struct findings *findings)
{
    int partitions = dev ? topic->partitions_dev : topic->partitions;
    char text[192];

    if (facts->partitions != partitions) {
        snprintf(text, sizeof text, "has %d partitions, must have %d", facts->partitions, partitions);
        find_problem(findings, topic->name, text);
    }
    if (!dev && facts->replicas < REPLICAS) {
        snprintf(text, sizeof text, "has %d replicas, must have at least %d", facts->replicas, REPLICAS);
        find_problem(findings, topic->name, text);
    }
    judge_settings(topic->name, plan, facts, findings);
}

static int check_one(struct admin *admin, const struct topic_info *topic, bool dev, struct findings *findings,
                     struct err *err)
{
    struct topic_facts facts;
    struct plan plan;

    plan_topic(topic, dev, &plan);
    if (admin_topic(admin, topic->name, &facts, err) < 0)
        return -1;
    if (facts.partitions == 0)
        find_problem(findings, topic->name, "does not exist");
    else if (admin_settings(admin, topic->name, plan.settings, plan.count, &facts, err) < 0)
        return -1;
    else
        judge(topic, dev, &plan, &facts, findings);
    return 0;
}

static int check_all(struct admin *admin, bool dev, struct findings *findings, struct err *err)
{
    for (int i = 0; i < TOPIC_COUNT; i++) {
        if (check_one(admin, &topic_table[i], dev, findings, err) < 0)
            return -1;
    }
    return 0;
}

int kafka_topics_check(const struct kafka_options *options, bool dev, struct kafka_topic_problem *problems, size_t max,
                       size_t *out_count, struct err *err)
{
    struct findings findings = {.items = problems, .max = max};
    struct admin admin = {0};
    int result;

    if (admin_open(options, &admin, err) < 0)
        return -1;
    result = check_all(&admin, dev, &findings, err);
    admin_close(&admin);
    if (result == 0)
        *out_count = findings.count < max ? findings.count : max;
    return result;
}

/* ---- making what is missing ---- */

/* A topic that was just made is not at once in every broker's metadata. */
static int wait_for(struct admin *admin, const char *topic, struct err *err)
{
    int64_t end = clock_monotonic_ms() + APPEAR_MS;
    struct topic_facts facts = {0};

    while (clock_monotonic_ms() < end) {
        if (admin_topic(admin, topic, &facts, err) < 0)
            return -1;
        if (facts.partitions > 0)
            return 0;
        admin_pause(admin, APPEAR_STEP_MS);
    }
    return err_set(err, ERR_RETRY, "kafka topic %s: was made, but has not appeared", topic);
}

static int make_one(struct admin *admin, const struct topic_info *topic, bool dev, bool dry_run, size_t *created,
                    struct err *err)
{
    struct topic_facts facts;
    struct plan plan;

    if (admin_topic(admin, topic->name, &facts, err) < 0)
        return -1;
    if (facts.partitions > 0)
        return 0;
    (*created)++;
    if (dry_run)
        return 0;
    plan_topic(topic, dev, &plan);
    if (admin_create(admin, topic->name, dev ? topic->partitions_dev : topic->partitions, dev ? 1 : REPLICAS,
                     plan.settings, plan.count, err) < 0)
        return -1;
    return wait_for(admin, topic->name, err);
}

static int init_all(struct admin *admin, bool dev, bool dry_run, struct findings *findings, size_t *created,
                    struct err *err)
{
    for (int i = 0; i < TOPIC_COUNT; i++) {
        if (make_one(admin, &topic_table[i], dev, dry_run, created, err) < 0)
            return -1;
    }
    return check_all(admin, dev, findings, err);
}

int kafka_topics_init(const struct kafka_options *options, bool dev, bool dry_run, struct kafka_topic_problem *problems,
                      size_t max, size_t *out_count, size_t *out_created, struct err *err)
{
    struct findings findings = {.items = problems, .max = max};
    struct admin admin = {0};
    size_t created = 0;
    int result;

    if (admin_open(options, &admin, err) < 0)
        return -1;
    result = init_all(&admin, dev, dry_run, &findings, &created, err);
    admin_close(&admin);
    if (result < 0)
        return -1;
    *out_count = findings.count < max ? findings.count : max;
    *out_created = created;
    return 0;
}
