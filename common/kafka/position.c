/*
 * Looking at a log without reading on: watermarks, and the one record at an offset. On a handle of its own (the probe), for two reasons: a broker
 * serves one request per connection at a time, so a question on the consumer's connection waits behind a fetch that may sleep for
 * fetch_wait_ms; and the consumer's assignment must not be disturbed. The probe costs a few MB of metadata where topics have many
 * partitions, so kafka_consume() closes it when nobody has asked for PROBE_IDLE_MS.
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "kafka/consumer.h"

enum { PROBE_IDLE_MS = 5000 };

static rd_kafka_t *probe(struct kafka_consumer *consumer, struct err *err)
{
    consumer->probe_used_ms = clock_monotonic_ms();
    if (!consumer->probe.handle && kafka_client_open_probe(&consumer->options, &consumer->probe, err) < 0)
        return NULL;
    return consumer->probe.handle;
}

void kafka_probe_close_idle(struct kafka_consumer *consumer)
{
    if (consumer->probe.handle && clock_monotonic_ms() - consumer->probe_used_ms > PROBE_IDLE_MS)
        kafka_client_close(&consumer->probe);
}

int kafka_watermarks(struct kafka_consumer *consumer, const char *topic, int32_t partition, int64_t *low, int64_t *high,
                     int timeout_ms, struct err *err)
{
    rd_kafka_t *handle = probe(consumer, err);
    int64_t first = 0;
    int64_t end = 0;
    rd_kafka_resp_err_t code;

    if (!handle)
        return -1;
    code = rd_kafka_query_watermark_offsets(handle, topic, partition, &first, &end, timeout_ms);
    if (code)
        return kafka_err(err, code, "kafka watermarks of %s[%d]", topic, (int)partition);
    *low = first;
    *high = end;
    return 0;
}

static void listp(rd_kafka_topic_partition_list_t **list)
{
    if (*list)
        rd_kafka_topic_partition_list_destroy(*list);
}

static void messagep(rd_kafka_message_t **message)
{
    if (*message)
        rd_kafka_message_destroy(*message);
}

/* What the broker knows of the times of all partitions; -1: nothing is that young. */
static int ask_times(rd_kafka_t *handle, rd_kafka_topic_partition_list_t *all, int timeout_ms, struct err *err)
{
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(handle, all, timeout_ms);

    for (int i = 0; !code && i < all->cnt; i++)
        code = all->elems[i].err;
    return code ? kafka_err(err, code, "kafka offsets by time") : 0;
}

int kafka_offsets_since(struct kafka_consumer *consumer, const char *topic, int32_t partitions, int64_t since_ms,
                        int64_t *out, int timeout_ms, struct err *err)
{
    CLEANUP(listp) rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(partitions);
    rd_kafka_t *handle = probe(consumer, err);
    int64_t low;

    if (!all || !handle)
        return handle ? err_memory(err, "kafka offsets") : -1;
    for (int32_t i = 0; i < partitions; i++)
        rd_kafka_topic_partition_list_add(all, topic, i)->offset = since_ms;
    if (ask_times(handle, all, timeout_ms, err) < 0)
        return err_wrap(err, "%s", topic);
    for (int i = 0; i < all->cnt; i++) {
        int32_t partition = all->elems[i].partition;
        out[partition] = all->elems[i].offset;
        if (out[partition] < 0 &&
            kafka_watermarks(consumer, topic, partition, &low, &out[partition], timeout_ms, err) < 0)
            return -1;
    }
    return 0;
}

/* What the first message from `offset` on says: the record, one behind it (compacted away), the end, or that the offset is out of range. */
static int judge(const rd_kafka_message_t *message, int64_t offset, struct kafka_record *out, bool *out_found,
                 struct err *err)
{
    switch ((int)message->err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        if (message->offset == offset && kafka_record_copy(message, out, err) < 0)
            return -1;
        *out_found = message->offset == offset;
        return 0;
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE: *out_found = false; return 0;
    default: return kafka_err(err, message->err, "kafka record %lld", (long long)offset);
    }
}

static int first_from(rd_kafka_t *handle, int64_t offset, int timeout_ms, struct kafka_record *out, bool *out_found,
                      struct err *err)
{
    int64_t end = clock_monotonic_ms() + timeout_ms;
    int64_t left;

    while ((left = end - clock_monotonic_ms()) >= 0) {
        CLEANUP(messagep) rd_kafka_message_t *message = rd_kafka_consumer_poll(handle, (int)left);
        if (message && message->rkt)
            return judge(message, offset, out, out_found, err);
    }
    return kafka_err(err, RD_KAFKA_RESP_ERR__TIMED_OUT, "kafka record %lld", (long long)offset);
}

int kafka_record_at(struct kafka_consumer *consumer, const char *topic, int32_t partition, int64_t offset,
                    struct kafka_record *out, bool *out_found, int timeout_ms, struct err *err)
{
    CLEANUP(listp) rd_kafka_topic_partition_list_t *one = rd_kafka_topic_partition_list_new(1);
    rd_kafka_t *handle = probe(consumer, err);
    rd_kafka_resp_err_t code;
    int result;

    if (!one || !handle)
        return handle ? err_memory(err, "kafka record") : -1;
    rd_kafka_topic_partition_list_add(one, topic, partition)->offset = offset;
    code = rd_kafka_assign(handle, one);
    if (code)
        return kafka_err(err, code, "kafka %s[%d]", topic, (int)partition);
    result = first_from(handle, offset, timeout_ms, out, out_found, err);
    rd_kafka_assign(handle, NULL);
    return result < 0 ? err_wrap(err, "kafka %s[%d]", topic, (int)partition) : 0;
}
