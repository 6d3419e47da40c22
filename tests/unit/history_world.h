#pragma once
/*
 * A history that is told to the judge record by record: the ledger first, then what others say. Time is in minutes since the ledger began. An old job, with all that belongs to it,
 * stands at the beginning of every topic, so that what is missing after minute 1 is missing for certain.
 */
#include "base/err.h"
#include "base/text.h"
#include "coordinator/cli/history.h"
#include "model/job.h"
#include "model/ledger_entry.h"
#include "model/restore_point.h"
#include "model/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OLD     "00000000-0000-4000-8000-000000000001"
#define JOB     "11111111-1111-4111-8111-111111111111"
#define OTHER   "22222222-2222-4222-8222-222222222222"
#define MACHINE "33333333-3333-4333-8333-333333333333"
#define PLACE   "44444444-4444-4444-8444-444444444444"
#define POINT   "55555555-5555-4555-8555-555555555555"
#define BETTER  "66666666-6666-4666-8666-666666666666"

enum { TOKEN = 7, MINUTE_MS = 60000 };
static const int64_t ledger_began_ms = INT64_C(1700000000000);

static struct history *history;
static struct err err;
static int64_t offsets[TOPIC_COUNT];
static int minute;

static inline int64_t now_ms(void)
{
    return ledger_began_ms + (int64_t)minute * MINUTE_MS;
}

static inline struct history_place place(enum topic topic)
{
    struct history_place at = {(int)topic, 0, offsets[topic]++, now_ms()};

    history_seen(history, &at);
    return at;
}

/* ---- jobs ---- */

static inline struct job job_of(const char *id, enum op op)
{
    return (struct job){.job_id = (char *)id,
                        .op = op,
                        .host = (char *)"alpha",
                        .target = {(char *)"libvirt", (char *)MACHINE, (char *)"shop-1"}};
}

static inline struct job reading(const char *id)
{
    static struct params_snapshot_list params;
    struct job job = job_of(id, OP_SNAPSHOT_LIST);

    job.params = &params;
    return job;
}

static inline struct job adding(void)
{
    static struct params_snapshot_create params;
    struct job job = job_of(JOB, OP_SNAPSHOT_CREATE);

    job.params = &params;
    return job;
}

static inline struct job taking(void)
{
    static struct params_snapshot_delete params = {.name = (char *)"old"};
    struct job job = job_of(JOB, OP_SNAPSHOT_DELETE);

    job.params = &params;
    return job;
}

/* ---- what the ledger says ---- */

static inline void ledger(struct ledger_entry *entry)
{
    struct history_place at = place(TOPIC_LEDGER);

    assert_int_equal(history_ledger(history, &at, entry, &err), 0);
}

static inline void prepared(const struct job *job, const char *outcome)
{
    struct ledger_job record = {.job = (struct job *)job, .prepared_at_ms = now_ms(), .outcome = (char *)outcome};

    ledger(&(struct ledger_entry){.kind = LEDGER_JOB, .id = job->job_id, .job = &record});
}

static inline void ended(const char *id, const char *outcome)
{
    struct ledger_mark mark = {.job = (char *)id, .at_ms = now_ms(), .outcome = (char *)outcome};

    ledger(&(struct ledger_entry){.kind = LEDGER_MARKS, .id = (char *)"1.1", .marks = {.items = &mark, .count = 1}});
}

/* ---- what is on the other topics ---- */

static inline void published(const struct job *job)
{
    struct history_place at = place(TOPIC_JOBS);

    assert_int_equal(history_job(history, &at, job, &err), 0);
}

static inline void say(struct status status)
{
    struct history_place at = place(TOPIC_STATUS);

    status.job_id = status.job_id ? status.job_id : (char *)JOB;
    status.journal = status.journal ? status.journal : (char *)"first";
    status.accepted_at_ms = now_ms();
    assert_int_equal(history_status(history, &at, &status, &err), 0);
}

/* A word of the worker, or of the coordinator; further members may be given. */
#define SAY(seq_, state_, ...) \
    say((struct status){.origin = ORIGIN_WORKER, .seq = (seq_), .state = STATE_##state_, ##__VA_ARGS__})
#define LEADER_SAYS(seq_, state_, ...) \
    say((struct status){.origin = ORIGIN_COORDINATOR, .seq = (seq_), .state = STATE_##state_, ##__VA_ARGS__})

/* point NULL: a tombstone. */
static inline void catalog(const char *id, const char *writer, const struct restore_point *point)
{
    struct history_place at = place(TOPIC_CATALOG);

    assert_int_equal(history_catalog(history, &at, id, writer, point, &err), 0);
}

/* ---- the world ---- */

static inline void others_begin(enum topic topic, int64_t offset)
{
    offsets[topic] = offset;
    assert_int_equal(history_begin(history, (int)topic, 0, offset, &err), 0);
}

static inline int history_setup(void **state)
{
    struct job old = reading(OLD);

    (void)state;
    minute = 0;
    memset(offsets, 0, sizeof offsets);
    assert_int_equal(history_new(&history, &err), 0);
    others_begin(TOPIC_JOBS, 0);
    others_begin(TOPIC_STATUS, 0);
    others_begin(TOPIC_CATALOG, 0);
    prepared(&old, NULL);
    ended(OLD, "SUCCEEDED");
    minute = 10;
    return 0;
}

/* The ledger is read; what comes is on the other topics. */
static inline void then(void)
{
    struct job old = reading(OLD);
    int then_minute = minute;

    history_ledger_is_read(history);
    minute = 0;
    if (!offsets[TOPIC_JOBS])
        published(&old);
    if (!offsets[TOPIC_STATUS])
        SAY(3, SUCCEEDED, .job_id = (char *)OLD);
    minute = then_minute;
}

/* In the ledger, published, and the ledger says how it ended (NULL: not). */
static inline void asked(const struct job *job, const char *outcome)
{
    prepared(job, NULL);
    if (outcome)
        ended(job->job_id, outcome);
    then();
    published(job);
}

static inline int history_teardown(void **state)
{
    (void)state;
    history_free(history);
    history = NULL;
    return 0;
}

/* ---- the verdict ---- */

/* Exactly one finding, of this rule, that says this. */
static inline void breaks(enum history_rule rule, const char *subject, const char *text)
{
    size_t count;
    const struct history_finding *findings;

    history_end(history);
    findings = history_findings(history, &count);
    assert_int_equal(count, 1);
    assert_int_equal(history_broken(history), 1);
    assert_int_equal(history_tally(history, rule).broken, 1);
    assert_int_equal(findings[0].rule, rule);
    assert_string_equal(findings[0].subject, subject);
    assert_true(findings[0].proof_count > 0);
    if (!strstr(findings[0].text, text))
        fail_msg("\"%s\" does not say \"%s\"", findings[0].text, text);
}

static inline void not_known(enum history_rule rule, int64_t count)
{
    history_end(history);
    assert_int_equal(history_broken(history), 0);
    assert_int_equal(history_tally(history, rule).unknown, count);
}

static inline void is_clean(void)
{
    size_t count;
    const struct history_finding *findings;

    history_end(history);
    findings = history_findings(history, &count);
    if (count)
        fail_msg("accuses: %s: %s", findings[0].subject, findings[0].text);
    for (int rule = 0; rule < RULE_COUNT; rule++)
        assert_int_equal(history_tally(history, (enum history_rule)rule).unknown, 0);
}
