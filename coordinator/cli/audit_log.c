#include "coordinator/cli/audit_log.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "crypto/digest.h"
#include "kafka/kafka.h"
#include "model/topics.h"
#include "wire/wire.h"

#include <stdlib.h>
#include <string.h>

enum { BATCH = 256, TIMEOUT_MS = 30000, WAIT_MS = 1000 };

DEFINE_FREEP(struct kafka_consumer, kafka_consumer_close)
DEFINE_FREEP(struct wire, wire_free)

static int compare(const struct audit_proof *proof, const struct audit *record, struct err *err)
{
    if (proof->records == 0)
        return 0; /* those before it have expired, or there were none */
    if (record->seq != proof->last_seq + 1)
        return err_set(err, ERR_CONFLICT, "record %lld follows record %lld: %s", (long long)record->seq,
                       (long long)proof->last_seq, record->seq <= proof->last_seq ? "one too many" : "some are missing");
    if (!record->previous || strcmp(record->previous, proof->previous) != 0)
        return err_set(err, ERR_CONFLICT,
                       "record %lld does not name the hash of record %lld: that one is not what was written",
                       (long long)record->seq, (long long)proof->last_seq);
    return 0;
}

int audit_prove(struct audit_proof *proof, const struct audit *record, const void *value, size_t len, int64_t term,
                struct err *err)
{
    if (term < proof->term) {
        proof->overtaken++;
        return 0;
    }
    int result = compare(proof, record, err);
    if (proof->records++ == 0)
        proof->first_seq = record->seq;
    proof->term = term;
    proof->last_seq = record->seq;
    digest_bytes(value, len, proof->previous);
    return result;
}

struct reader {
    struct wire *wire;
    struct audit_proof *proof;
    int64_t broken;
    audit_visit *visit;
    void *context;
};

static void take(struct reader *reader, const struct kafka_record *record)
{
    const char *term = kafka_header(record, "fs-term");
    struct audit audit = {0};
    struct err err = {0};

    if (!record->value)
        err_set(&err, ERR_CONFLICT, "offset %lld: no value", (long long)record->offset);
    else if (wire_decode(reader->wire, &audit_record, record->value, record->value_len,
                         topic_table[TOPIC_AUDIT].max_bytes, &audit, &err) < 0)
        err_wrap(&err, "offset %lld", (long long)record->offset);
    else
        audit_prove(reader->proof, &audit, record->value, record->value_len, term ? strtoll(term, NULL, 10) : 0, &err);
    reader->broken += err.kind != ERR_NONE;
    reader->visit(reader->context, &audit, err.kind == ERR_NONE ? NULL : &err);
    audit_clear(&audit);
}

static int read_until(struct kafka_consumer *consumer, int64_t end, struct reader *reader, struct err *err)
{
    struct kafka_record records[BATCH];

    for (int silent = 0; silent < TIMEOUT_MS;) {
        int count = kafka_consume(consumer, WAIT_MS, records, BATCH, err);
        bool over = false;

        if (count < 0)
            return -1;
        for (int i = 0; i < count; i++) {
            if (records[i].offset < end)
                take(reader, &records[i]);
            over |= records[i].offset >= end - 1;
        }
        kafka_records_free(records, (size_t)count);
        if (over)
            return 0;
        silent = count ? 0 : silent + WAIT_MS;
    }
    return err_set(err, ERR_RETRY, "Kafka says nothing for %d s", TIMEOUT_MS / 1000);
}

int audit_log_read(const struct kafka_options *kafka, struct audit_proof *proof, int64_t *out_broken,
                   audit_visit *visit, void *context, struct err *err)
{
    CLEANUP(kafka_consumer_closep) struct kafka_consumer *consumer = NULL;
    CLEANUP(wire_freep) struct wire *wire = NULL;
    const char *topic = topic_table[TOPIC_AUDIT].name;
    int64_t low, high;

    *proof = (struct audit_proof){0};
    *out_broken = 0;
    if (wire_new(&wire, err) < 0 || kafka_consumer_open(kafka, NULL, &consumer, err) < 0 ||
        kafka_watermarks(consumer, topic, 0, &low, &high, TIMEOUT_MS, err) < 0)
        return err_wrap(err, "%s", topic);
    if (low >= high)
        return 0;
    struct reader reader = {wire, proof, 0, visit, context};
    if (kafka_consumer_assign(consumer, topic, 0, low, err) < 0 || read_until(consumer, high, &reader, err) < 0)
        return err_wrap(err, "%s", topic);
    *out_broken = reader.broken;
    return 0;
}
