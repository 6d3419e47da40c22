#include "coordinator/publisher.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "crypto/mac.h"
#include "kafka/kafka.h"
#include "model/job.h"
#include "wire/wire.h"

#include "coordinator/trust.h"

#include <stdio.h>
#include <string.h>

enum { METADATA_TIMEOUT_MS = 10000, PATIENT_LINGER_US = 10000, KEY_ENDS_SOON_MS = 5 * 60 * 1000 };

struct publisher {
    struct kafka_producer *producer;
    struct kafka_producer *patient; /* for what nobody waits for: few requests with many records */
    struct trust *trust;
    struct wire *wire;
    struct mac *mac;
    int32_t partitions[TOPIC_COUNT];
    char term[24];
};

static void publisher_closep(struct publisher **publisher)
{
    publisher_close(*publisher, 0);
}

/* The partitions of the topics that are chosen by host; also makes the first record of each topic quick. */
static int learn_topics(struct publisher *publisher, const struct kafka_options *kafka, struct err *err)
{
    static const enum topic written[] = {TOPIC_JOBS, TOPIC_STATUS, TOPIC_LEDGER, TOPIC_AUDIT, TOPIC_DLQ};

    for (size_t i = 0; i < sizeof written / sizeof *written; i++) {
        const char *name = topic_table[written[i]].name;
        if (kafka_partition_count(kafka, name, METADATA_TIMEOUT_MS, &publisher->partitions[written[i]], err) < 0)
            return err_wrap(err, "%s", name);
        if (publisher->partitions[written[i]] < 1)
            return err_set(err, ERR_PERMANENT, "%s: no such topic", name);
        if (kafka_producer_warm(publisher->producer, name, err) < 0 ||
            kafka_producer_warm(publisher->patient, name, err) < 0)
            return err_wrap(err, "%s", name);
    }
    return 0;
}

int publisher_open(const struct kafka_options *kafka, struct trust *trust, struct publisher **out, struct err *err)
{
    CLEANUP(publisher_closep) struct publisher *publisher = calloc(1, sizeof *publisher);
    struct kafka_options patient = *kafka;

    if (!publisher)
        return err_memory(err, "publisher");
    publisher->trust = trust;
    if (wire_new(&publisher->wire, err) < 0 || mac_new(&publisher->mac, err) < 0)
        return -1;
    patient.linger_us = PATIENT_LINGER_US;
    if (kafka_producer_open(kafka, &publisher->producer, err) < 0 ||
        kafka_producer_open(&patient, &publisher->patient, err) < 0 || learn_topics(publisher, kafka, err) < 0)
        return -1;
    *out = TAKE_PTR(publisher);
    return 0;
}

void publisher_close(struct publisher *publisher, int flush_ms)
{
    if (!publisher)
        return;
    kafka_producer_close(publisher->producer, flush_ms);
    kafka_producer_close(publisher->patient, flush_ms);
    mac_free(publisher->mac);
    wire_free(publisher->wire);
    free(publisher);
}

void publisher_set_term(struct publisher *publisher, int64_t term)
{
    snprintf(publisher->term, sizeof publisher->term, "%lld", (long long)term);
}

static size_t add_header(struct kafka_header *headers, size_t count, const char *name, const char *value)
{
    if (value)
        headers[count++] = (struct kafka_header){name, value};
    return count;
}

static int sign_and_produce(struct publisher *publisher, struct kafka_producer *producer, const struct key_ring *ring,
                            const struct mac_input *input, int32_t partition, const char *traceparent, uint64_t opaque,
                            struct err *err)
{
    struct kafka_header headers[KAFKA_HEADERS_MAX];
    char mac[MAC_TEXT];
    size_t count = 0;

    if (mac_sign(publisher->mac, ring, input, mac, err) < 0)
        return -1;
    count = add_header(headers, count, "fs-host", input->fs_host);
    count = add_header(headers, count, "fs-term", input->fs_term);
    count = add_header(headers, count, "fs-job", input->fs_job);
    count = add_header(headers, count, "fs-mac", mac);
    count = add_header(headers, count, "traceparent", traceparent);
    if (kafka_produce(producer, input->topic, partition, input->key, input->key_len, input->value, input->value_len,
                      headers, count, opaque, err) < 0)
        return -1;
    return 0;
}

int publisher_send(struct publisher *publisher, const struct publication *publication, const unsigned char **out_value,
                   size_t *out_len, struct err *err)
{
    const struct topic_info *topic = &topic_table[publication->topic];
    const struct key_ring *ring = trust_ring(publisher->trust, "");
    const unsigned char *value = NULL;
    size_t len = 0;

    if (!ring)
        return err_set(err, ERR_PERMANENT, "the leader has no key that has not ended");
    if (publication->record &&
        wire_encode(publisher->wire, publication->type, publication->record, &value, &len, err) < 0)
        return err_wrap(err, "%s", topic->name);
    if (len > topic->max_bytes)
        return err_set(err, ERR_PERMANENT, "%s: %zu bytes are over the limit of %zu", topic->name, len,
                       topic->max_bytes);
    struct mac_input input = {.topic = topic->name,
                              .key = publication->key,
                              .key_len = publication->key ? strlen(publication->key) : 0,
                              .value = value,
                              .value_len = len,
                              .fs_term = publisher->term,
                              .fs_job = publication->job};
    struct kafka_producer *producer = publication->patient ? publisher->patient : publisher->producer;
    if (sign_and_produce(publisher, producer, ring, &input, publication->partition, NULL, publication->opaque, err) < 0)
        return err_wrap(err, "%s", topic->name);
    if (out_value) {
        *out_value = value;
        *out_len = len;
    }
    return 0;
}

/*
 * A host whose key was just rotated may still have the old file: until shortly before the old key ends, jobs are signed with it, for both files verify that. A job signed with a
 * key that its host does not have would be a dead letter.
 */
static struct key_ring job_ring(const struct key_ring *ring)
{
    int64_t soon_ms = clock_real_ms() + KEY_ENDS_SOON_MS;
    struct key_ring one = {.count = ring->count ? 1 : 0};

    one.items[0] = ring->items[0];
    if (ring->count > 1 && ring->items[1].not_after_ms > soon_ms)
        one.items[0] = ring->items[1];
    return one;
}

int publisher_send_job(struct publisher *publisher, const struct job *job, uint64_t opaque, struct err *err)
{
    const struct topic_info *topic = &topic_table[TOPIC_JOBS];
    const struct key_ring *ring = trust_ring(publisher->trust, job->host);
    const unsigned char *value;
    size_t len;

    if (!ring)
        return err_set(err, ERR_PERMANENT, "host %s is not enrolled", job->host);
    if (wire_encode(publisher->wire, &job_record, job, &value, &len, err) < 0)
        return err_wrap(err, "job %s", job->job_id);
    if (len > topic->max_bytes)
        return err_set(err, ERR_PERMANENT, "job %s: %zu bytes are over the limit of %zu", job->job_id, len,
                       topic->max_bytes);
    struct mac_input input = {.topic = topic->name,
                              .key = job->host,
                              .key_len = strlen(job->host),
                              .value = value,
                              .value_len = len,
                              .fs_host = job->host,
                              .fs_job = job->job_id};
    struct key_ring one = job_ring(ring);
    int result = sign_and_produce(publisher, publisher->producer, &one, &input,
                                  publisher_partition(publisher, TOPIC_JOBS, job->host), job->traceparent, opaque, err);
    explicit_bzero(&one, sizeof one);
    return result;
}

int32_t publisher_partition(const struct publisher *publisher, enum topic topic, const char *host)
{
    return kafka_partition_of(host, strlen(host), publisher->partitions[topic]);
}

int publisher_poll(struct publisher *publisher, void (*delivered)(void *context, const struct kafka_delivery *delivery),
                   void *context)
{
    return kafka_producer_poll(publisher->producer, 0, delivered, context) +
           kafka_producer_poll(publisher->patient, 0, delivered, context);
}

void publisher_flush(struct publisher *publisher, int timeout_ms,
                     void (*delivered)(void *context, const struct kafka_delivery *delivery), void *context)
{
    if (kafka_producer_queued(publisher->producer) > 0)
        kafka_producer_flush(publisher->producer, timeout_ms, delivered, context);
}

int publisher_fd(struct publisher *publisher)
{
    return kafka_producer_fd(publisher->producer);
}

bool publisher_broken(const struct publisher *publisher)
{
    return kafka_producer_fatal(publisher->producer) || kafka_producer_fatal(publisher->patient);
}
