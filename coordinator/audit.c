#include "coordinator/audit.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "coordinator/publisher.h"
#include "crypto/digest.h"
#include "kafka/kafka.h"
#include "wire/wire.h"

#include <string.h>

enum { READ_TIMEOUT_MS = 5000, LOOK_BACK_MAX = 16 };

DEFINE_FREEP(struct kafka_consumer, kafka_consumer_close)
DEFINE_FREEP(struct wire, wire_free)

static int take_over(struct audit_chain *chain, const struct kafka_record *record, struct err *err)
{
    CLEANUP(wire_freep) struct wire *wire = NULL;
    struct audit last = {0};

    if (wire_new(&wire, err) < 0)
        return -1;
    if (wire_decode(wire, &audit_record, record->value, record->value_len, topic_table[TOPIC_AUDIT].max_bytes, &last,
                    err) < 0)
        return err_wrap(err, "%s: offset %lld", record->topic, (long long)record->offset);
    chain->seq = last.seq;
    digest_bytes(record->value, record->value_len, chain->previous);
    audit_clear(&last);
    return 0;
}

int audit_resume(struct audit_chain *chain, const struct kafka_options *kafka, struct err *err)
{
    CLEANUP(kafka_consumer_closep) struct kafka_consumer *consumer = NULL;
    const char *topic = topic_table[TOPIC_AUDIT].name;
    int64_t low, high;

    *chain = (struct audit_chain){0};
    if (kafka_consumer_open(kafka, NULL, &consumer, err) < 0 ||
        kafka_watermarks(consumer, topic, 0, &low, &high, READ_TIMEOUT_MS, err) < 0)
        return err_wrap(err, "audit");
    for (int64_t offset = high - 1; offset >= low && offset >= high - LOOK_BACK_MAX; offset--) {
        struct kafka_record record;
        bool found = false;
        if (kafka_record_at(consumer, topic, 0, offset, &record, &found, READ_TIMEOUT_MS, err) < 0)
            return err_wrap(err, "audit");
        if (!found)
            continue;
        int result = record.value ? take_over(chain, &record, err) : 0;
        kafka_records_free(&record, 1);
        return result;
    }
    return 0;
}

int audit_append(struct audit_chain *chain, struct publisher *publisher, struct audit *record, uint64_t opaque,
                 struct err *err)
{
    const unsigned char *value;
    size_t len;

    record->seq = chain->seq + 1;
    if (!record->at_ms)
        record->at_ms = clock_real_ms();
    if (chain->previous[0] && string_set(&record->previous, chain->previous, err) < 0)
        return -1;
    struct publication publication = {
        .topic = TOPIC_AUDIT, .partition = 0, .patient = true, .type = &audit_record, .record = record, .opaque = opaque};
    if (publisher_send(publisher, &publication, &value, &len, err) < 0)
        return -1;
    chain->seq++;
    digest_bytes(value, len, chain->previous);
    return 0;
}
