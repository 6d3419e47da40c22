#include "coordinator/cli/topic_reader.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "kafka/kafka.h"

#include <stdlib.h>

enum { BATCH = 1024, TIMEOUT_MS = 30000, WAIT_MS = 500 };

struct topic_reader {
    struct kafka_consumer *consumer;
    const char *topic;
    int32_t partitions;
    int64_t *next; /* by partition: the offset that comes next; KAFKA_FROM_END: not known yet */
    int64_t *end;  /* where it ended when it was asked */
};

void topic_reader_close(struct topic_reader *reader)
{
    if (!reader)
        return;
    kafka_consumer_close(reader->consumer);
    free(reader->next);
    free(reader->end);
    free(reader);
}

DEFINE_FREEP(struct topic_reader, topic_reader_close)

static int find_begin(struct topic_reader *reader, int64_t since_ms, struct err *err)
{
    int64_t high;

    if (since_ms > 0)
        return kafka_offsets_since(reader->consumer, reader->topic, reader->partitions, since_ms, reader->next,
                                   TIMEOUT_MS, err);
    for (int32_t i = 0; i < reader->partitions; i++)
        if (since_ms < 0)
            reader->next[i] = KAFKA_FROM_END;
        else if (kafka_watermarks(reader->consumer, reader->topic, i, &reader->next[i], &high, TIMEOUT_MS, err) < 0)
            return -1;
    return 0;
}

static int begin(struct topic_reader *reader, int64_t since_ms, struct err *err)
{
    if (find_begin(reader, since_ms, err) < 0)
        return -1;
    for (int32_t i = 0; i < reader->partitions; i++)
        if (kafka_consumer_assign(reader->consumer, reader->topic, i, reader->next[i], err) < 0)
            return -1;
    return 0;
}

int topic_reader_open(const struct kafka_options *kafka, const char *topic, int64_t since_ms, struct topic_reader **out,
                      struct err *err)
{
    CLEANUP(topic_reader_closep) struct topic_reader *reader = calloc(1, sizeof *reader);

    if (!reader)
        return err_memory(err, topic);
    reader->topic = topic;
    if (kafka_partition_count(kafka, topic, TIMEOUT_MS, &reader->partitions, err) < 0)
        return err_wrap(err, "%s", topic);
    if (!reader->partitions)
        return err_set(err, ERR_PERMANENT, "%s: there is no such topic", topic);
    reader->next = calloc((size_t)reader->partitions, sizeof *reader->next);
    reader->end = calloc((size_t)reader->partitions, sizeof *reader->end);
    if (!reader->next || !reader->end)
        return err_memory(err, topic);
    if (kafka_consumer_open(kafka, NULL, &reader->consumer, err) < 0 || begin(reader, since_ms, err) < 0)
        return err_wrap(err, "%s", topic);
    *out = TAKE_PTR(reader);
    return 0;
}

bool topic_reader_next(const struct topic_reader *reader, int32_t partition, int64_t *out)
{
    if (partition >= reader->partitions)
        return false;
    *out = reader->next[partition];
    return true;
}

int topic_reader_poll(struct topic_reader *reader, int wait_ms, topic_visit *visit, void *context, struct err *err)
{
    struct kafka_record records[BATCH];
    int result = 0, count = kafka_consume(reader->consumer, wait_ms, records, BATCH, err);

    if (count < 0)
        return err_wrap(err, "%s", reader->topic);
    for (int i = 0; i < count && result == 0; i++) {
        reader->next[records[i].partition] = records[i].offset + 1;
        result = visit(context, &records[i], err);
    }
    kafka_records_free(records, (size_t)count);
    return result < 0 ? -1 : count;
}

static bool reached(const struct topic_reader *reader)
{
    for (int32_t i = 0; i < reader->partitions; i++)
        if (reader->next[i] < reader->end[i])
            return false;
    return true;
}

int topic_reader_catch_up(struct topic_reader *reader, topic_visit *visit, void *context, struct err *err)
{
    int64_t low;

    for (int32_t i = 0; i < reader->partitions; i++)
        if (kafka_watermarks(reader->consumer, reader->topic, i, &low, &reader->end[i], TIMEOUT_MS, err) < 0)
            return err_wrap(err, "%s", reader->topic);
    for (int silent = 0, count; !reached(reader); silent = count ? 0 : silent + WAIT_MS) {
        if (silent >= TIMEOUT_MS)
            return err_set(err, ERR_RETRY, "%s: Kafka says nothing for %d s", reader->topic, TIMEOUT_MS / 1000);
        if ((count = topic_reader_poll(reader, WAIT_MS, visit, context, err)) < 0)
            return -1;
    }
    return 0;
}
