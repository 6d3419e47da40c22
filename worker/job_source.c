#include "worker/job_source.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/uuid.h"
#include "crypto/mac.h"
#include "kafka/kafka.h"
#include "wire/wire.h"

#include <stdio.h>
#include <string.h>

enum { BATCH = 1024 };

struct job_source {
    struct job_source_setup setup;
    struct mac *mac;
    struct kafka_consumer *consumer;
    struct position position;
    int64_t committed;
    int64_t heard_ms;
    bool paused;
    struct kafka_record records[BATCH];
    int taken;
};

int job_source_open(const struct job_source_setup *setup, struct job_source **out, struct err *err)
{
    struct job_source *source = calloc(1, sizeof *source);

    if (!source)
        return err_memory(err, "jobs");
    source->setup = *setup;
    source->position.next_offset = -1;
    if (mac_new(&source->mac, err) < 0) {
        free(source);
        return -1;
    }
    *out = source;
    return 0;
}

void job_source_close(struct job_source *source)
{
    if (!source)
        return;
    job_source_release(source);
    kafka_consumer_close(source->consumer);
    mac_free(source->mac);
    free(source);
}

void job_source_use(struct job_source *source, struct kafka_consumer *consumer, const struct position *position)
{
    kafka_consumer_close(source->consumer);
    source->consumer = consumer;
    source->heard_ms = clock_monotonic_ms();
    if (position)
        source->position = *position;
    source->committed = source->position.next_offset;
    if (consumer && source->paused)
        kafka_consumer_pause(consumer, true);
}

bool job_source_ready(const struct job_source *source)
{
    return source->consumer != NULL;
}

int job_source_fd(const struct job_source *source)
{
    return source->consumer ? kafka_consumer_fd(source->consumer) : -1;
}

void job_source_pause(struct job_source *source, bool paused)
{
    if (source->paused == paused)
        return;
    source->paused = paused;
    if (source->consumer)
        kafka_consumer_pause(source->consumer, paused);
}

bool job_source_paused(const struct job_source *source)
{
    return source->paused;
}

int job_source_take(struct job_source *source, struct err *err)
{
    source->taken = 0;
    if (!source->consumer)
        return 0;
    kafka_fd_clear(kafka_consumer_fd(source->consumer));
    int count = kafka_consume(source->consumer, 0, source->records, BATCH, err);
    if (count < 0)
        return -1;
    if (count)
        source->heard_ms = clock_monotonic_ms();
    source->taken = count;
    return count;
}

void job_source_release(struct job_source *source)
{
    if (source->taken)
        kafka_records_free(source->records, (size_t)source->taken);
    source->taken = 0;
}

static bool key_is_ours(const struct job_source *source, const struct kafka_record *record)
{
    return record->key && record->key_len == strlen(source->setup.host) &&
           memcmp(record->key, source->setup.host, record->key_len) == 0;
}

/* The header decides; a record without one is ours if its key says so, or every host of the partition would write a dead letter. */
static bool is_ours(const struct job_source *source, const struct kafka_record *record)
{
    const char *host = kafka_header(record, "fs-host");

    return host ? strcmp(host, source->setup.host) == 0 : key_is_ours(source, record);
}

static int dead(struct receipt *out, const char *reason)
{
    out->kind = RECEIPT_DEAD;
    snprintf(out->reason, sizeof out->reason, "%s", reason);
    return -1;
}

static int verify(struct job_source *source, const struct kafka_record *record, struct receipt *out)
{
    const char *mac = kafka_header(record, "fs-mac");
    struct mac_input input = {
        .topic = record->topic,
        .key = record->key,
        .key_len = record->key_len,
        .value = record->value,
        .value_len = record->value_len,
        .fs_host = kafka_header(record, "fs-host"),
        .fs_term = kafka_header(record, "fs-term"),
        .fs_job = kafka_header(record, "fs-job"),
        .fs_rev = kafka_header(record, "fs-rev"),
    };

    if (!mac)
        return dead(out, "not signed: no fs-mac header");
    enum mac_verdict verdict = mac_verify(source->mac, source->setup.keys, &input, mac, record->timestamp_ms);
    return verdict == MAC_OK ? 0 : dead(out, mac_verdict_text(verdict));
}

static int decode(struct job_source *source, const struct kafka_record *record, struct receipt *out)
{
    CLEANUP(job_freep) struct job *job = calloc(1, sizeof *job);
    const char *header = kafka_header(record, "fs-job");
    struct err err = {0};

    if (!record->value)
        return dead(out, "a job without a value");
    if (!job || wire_decode(source->setup.wire, &job_record, record->value, record->value_len,
                            topic_table[TOPIC_JOBS].max_bytes, job, &err) < 0)
        return dead(out, job ? err.text : "out of memory");
    if (!job->job_id || !uuid_valid(job->job_id))
        return dead(out, "the job's id is not a UUID");
    if (!header || strcmp(header, job->job_id) != 0)
        return dead(out, "the header fs-job is not the job's id");
    out->kind = RECEIPT_JOB;
    out->job = TAKE_PTR(job);
    out->traceparent = kafka_header(record, "traceparent");
    return 0;
}

static void move_behind(struct job_source *source, const struct kafka_record *record)
{
    const char *job = kafka_header(record, "fs-job");

    source->position.next_offset = record->offset + 1;
    source->position.last_append_ms = record->timestamp_ms;
    snprintf(source->position.last_job, sizeof source->position.last_job, "%s", job ? job : "");
}

void job_source_read(struct job_source *source, int index, struct receipt *out)
{
    const struct kafka_record *record = &source->records[index];

    *out = (struct receipt){.kind = RECEIPT_FOREIGN, .record = record};
    move_behind(source, record);
    if (is_ours(source, record) && verify(source, record, out) == 0)
        decode(source, record, out);
}

const struct position *job_source_position(const struct job_source *source)
{
    return &source->position;
}

void job_source_commit(struct job_source *source)
{
    struct err err;

    if (!source->consumer || source->committed == source->position.next_offset || source->position.next_offset < 0)
        return;
    source->committed = source->position.next_offset;
    if (kafka_commit_async(source->consumer, topic_table[TOPIC_JOBS].name, source->position.partition,
                           source->committed, &err) < 0)
        log_debug("jobs", "%s", err.text);
}

int64_t job_source_heard_ms(const struct job_source *source)
{
    return source->heard_ms;
}
