/*
 * The order in which the topics are read makes what is missing tell something: a job is in the ledger before it is published, and published before its host speaks of it; an end is
 * in the ledger after its host said it. So: the ledger, up to where it ends first; then status, catalog, jobs; then what the ledger has got meanwhile.
 */
#include "coordinator/cli/history_reader.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "coordinator/cli/history.h"
#include "coordinator/cli/ledger_reader.h"
#include "coordinator/cli/topic_reader.h"
#include "kafka/kafka.h"
#include "model/job.h"
#include "model/restore_point.h"
#include "model/status.h"
#include "wire/wire.h"

#include <string.h>

enum { PROGRESS_EVERY = 512, FETCH_WAIT_MS = 100, OTHERS = 3 };

DEFINE_FREEP(struct ledger_reader, ledger_reader_close)
DEFINE_FREEP(struct wire, wire_free)

struct reading {
    struct history *history;
    struct ledger_reader *ledger;
    struct wire *wire;
    struct topic_reader *others[OTHERS];
    struct history_reading *out;
    history_progress *progress;
    void *context;
};

static struct history_place place_of(const struct kafka_record *record, enum topic topic)
{
    return (struct history_place){(int)topic, record->partition, record->offset, record->timestamp_ms};
}

static int seen(struct reading *reading, const struct kafka_record *record, enum topic topic, struct err *err)
{
    struct history_place at = place_of(record, topic);

    reading->out->topic = topic_table[topic].name;
    if (reading->out->records++ % PROGRESS_EVERY == 0 && reading->progress(reading->context, reading->out, err) < 0)
        return -1;
    history_seen(reading->history, &at);
    return 0;
}

/* -1: Kafka does not answer, or no memory; else it is left out. */
static int left_out(struct reading *reading, int result, const struct err *doubt, struct err *err)
{
    if (result < 0) {
        *err = *doubt;
        return -1;
    }
    reading->out->doubted++;
    return 0;
}

static int watch_ledger(void *context, const struct kafka_record *record, const struct ledger_entry *entry,
                        struct err *err)
{
    struct reading *reading = context;
    struct history_place at = place_of(record, TOPIC_LEDGER);

    return entry ? history_ledger(reading->history, &at, entry, err) : seen(reading, record, TOPIC_LEDGER, err);
}

static int read_value(struct reading *reading, const struct kafka_record *record, enum topic topic,
                      const struct record_type *type, void *out, struct err *doubt)
{
    if (!record->value)
        return err_set(doubt, ERR_PERMANENT, "no value"), 1;
    return wire_decode(reading->wire, type, record->value, record->value_len, topic_table[topic].max_bytes, out,
                       doubt) < 0
               ? 1
               : 0;
}

/* What is not believed of a job that the ledger does not know: does a host sign it all the same? */
static int take_stranger(struct reading *reading, const struct kafka_record *record, const struct history_place *at,
                         struct err *doubt)
{
    const char *host = kafka_header(record, "fs-host"), *job_id = kafka_header(record, "fs-job");
    CLEANUP(status_clear) struct status status = {0};
    struct ledger_job_facts facts;
    int result;

    if (!host || !job_id || (result = ledger_reader_job(reading->ledger, job_id, &facts, doubt)) == 0)
        return 1;
    if (result == 1)
        result = ledger_reader_verifies(reading->ledger, record, host, doubt);
    if (result == 0)
        result = read_value(reading, record, TOPIC_STATUS, &status_record, &status, doubt);
    if (result == 0 && strcmp(status.job_id, job_id) != 0)
        return 1;
    return result ? result : history_stranger(reading->history, at, &status, doubt);
}

static int take_status(void *context, const struct kafka_record *record, struct err *err)
{
    struct reading *reading = context;
    struct history_place at = place_of(record, TOPIC_STATUS);
    CLEANUP(status_clear) struct status status = {0};
    struct err doubt = {0};

    if (seen(reading, record, TOPIC_STATUS, err) < 0)
        return -1;
    int result = ledger_reader_status(reading->ledger, reading->wire, record, &status, &doubt);
    if (result == 0)
        return history_status(reading->history, &at, &status, err);
    if (result > 0)
        result = take_stranger(reading, record, &at, &doubt);
    if (result == 0)
        return 0;
    history_doubt(reading->history, kafka_header(record, "fs-job"));
    return left_out(reading, result, &doubt, err);
}

static int read_job(struct reading *reading, const struct kafka_record *record, struct job *out, struct err *doubt)
{
    const char *host = kafka_header(record, "fs-host"), *job_id = kafka_header(record, "fs-job");
    int result = host && job_id ? ledger_reader_verifies(reading->ledger, record, host, doubt) : 1;

    if (result == 0)
        result = read_value(reading, record, TOPIC_JOBS, &job_record, out, doubt);
    if (result == 0 && (strcmp(out->host, host) != 0 || strcmp(out->job_id, job_id) != 0))
        return job_clear(out), 1;
    return result;
}

static int take_job(void *context, const struct kafka_record *record, struct err *err)
{
    struct reading *reading = context;
    struct history_place at = place_of(record, TOPIC_JOBS);
    CLEANUP(job_clear) struct job job = {0};
    struct err doubt = {0};

    if (seen(reading, record, TOPIC_JOBS, err) < 0)
        return -1;
    int result = read_job(reading, record, &job, &doubt);
    if (result == 0)
        return history_job(reading->history, &at, &job, err);
    history_doubt(reading->history, kafka_header(record, "fs-job"));
    return left_out(reading, result, &doubt, err);
}

/* Of its own host, about a job of it. */
static int writer_verifies(struct reading *reading, const struct kafka_record *record, const char *writer,
                           struct err *doubt)
{
    const char *host = kafka_header(record, "fs-host");
    struct ledger_job_facts facts;
    int result = writer && host ? ledger_reader_job(reading->ledger, writer, &facts, doubt) : 1;

    if (result == 0 && strcmp(host, facts.host) != 0)
        return 1;
    return result ? result : ledger_reader_verifies(reading->ledger, record, host, doubt);
}

static int take_point(void *context, const struct kafka_record *record, struct err *err)
{
    struct reading *reading = context;
    struct history_place at = place_of(record, TOPIC_CATALOG);
    const char *writer = kafka_header(record, "fs-job");
    CLEANUP(restore_point_clear) struct restore_point point = {0};
    struct err doubt = {0};
    char id[64] = "";

    if (seen(reading, record, TOPIC_CATALOG, err) < 0)
        return -1;
    if (record->key && record->key_len < sizeof id)
        memcpy(id, record->key, record->key_len);
    int result = writer_verifies(reading, record, writer, &doubt);
    if (result == 0 && record->value)
        result = read_value(reading, record, TOPIC_CATALOG, &restore_point_record, &point, &doubt);
    if (result == 0 && record->value && strcmp(point.id, id) != 0)
        result = 1;
    if (result)
        return left_out(reading, result, &doubt, err);
    return history_catalog(reading->history, &at, id, writer, record->value ? &point : NULL, err);
}

static const struct {
    enum topic topic;
    topic_visit *visit;
} others[OTHERS] = {{TOPIC_STATUS, take_status}, {TOPIC_CATALOG, take_point}, {TOPIC_JOBS, take_job}};

static int open_topic(struct reading *reading, const struct kafka_options *kafka, int which, struct err *err)
{
    struct topic_reader **reader = &reading->others[which];
    int64_t offset;

    if (topic_reader_open(kafka, topic_table[others[which].topic].name, TOPIC_FROM_BEGINNING, reader, err) < 0)
        return -1;
    for (int32_t i = 0; topic_reader_next(*reader, i, &offset); i++)
        if (history_begin(reading->history, (int)others[which].topic, i, offset, err) < 0)
            return -1;
    return 0;
}

/* All are opened first: what they have comes while the ledger is read. Where they end is asked when it is their turn. */
static int read_all(struct reading *reading, const struct kafka_options *kafka, struct err *err)
{
    for (int i = 0; i < OTHERS; i++)
        if (open_topic(reading, kafka, i, err) < 0)
            return -1;
    if (ledger_reader_catch_up(reading->ledger, err) < 0)
        return -1;
    history_ledger_is_read(reading->history);
    for (int i = 0; i < OTHERS; i++)
        if (topic_reader_catch_up(reading->others[i], others[i].visit, reading, err) < 0)
            return -1;
    return ledger_reader_catch_up(reading->ledger, err);
}

int history_read(const struct kafka_options *kafka, const unsigned char master[KEY_BYTES], struct history *history,
                 struct history_reading *out, history_progress *progress, void *context, struct err *err)
{
    CLEANUP(ledger_reader_closep) struct ledger_reader *ledger = NULL;
    CLEANUP(wire_freep) struct wire *wire = NULL;
    struct kafka_options quick = *kafka;

    quick.fetch_wait_ms = FETCH_WAIT_MS; /* what is asked for is there */
    *out = (struct history_reading){0};
    if (wire_new(&wire, err) < 0 || ledger_reader_open(&quick, master, &ledger, err) < 0)
        return -1;
    struct reading reading = {history, ledger, wire, {NULL}, out, progress, context};
    ledger_reader_watch(ledger, watch_ledger, &reading);
    int result = read_all(&reading, &quick, err);
    for (int i = 0; i < OTHERS; i++)
        topic_reader_close(reading.others[i]);
    if (result < 0)
        return -1;
    out->topic = NULL;
    history_end(history);
    return progress(context, out, err);
}
