/*
 * One idempotent producer. kafka_produce() copies the record into librdkafka's queue; librdkafka sends it again until the broker has it (in order,
 * without duplicates) or message_timeout_ms ends. Only the delivery report says that a record is on the log, and closing a producer drops what
 * has none: the caller's outbox keeps every record until its report came.
 *
 * Reports are called back from rd_kafka_poll() on the thread that polls; the caller's function is in the producer only for that long.
 */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "kafka/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOPICS_MAX = 32, WARM_TIMEOUT_MS = 5000 };

struct kafka_producer {
    struct kafka_client client;
    rd_kafka_topic_t *topics[TOPICS_MAX]; /* looked up once: by name, librdkafka walks a list under a lock for each record */
    const char *names[TOPICS_MAX];        /* theirs */
    size_t topic_count;
    void (*delivered)(void *context, const struct kafka_delivery *delivery); /* during a poll only */
    void *context;
    int served;
};

static void on_delivery(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque)
{
    /* The client is the first member, and it is the handle's opaque. */
    struct kafka_producer *producer = opaque;
    struct kafka_delivery delivery = {
        .opaque = (uint64_t)(uintptr_t)message->_private,
        .partition = message->partition,
        .offset = message->err ? -1 : message->offset,
        .timestamp_ms = rd_kafka_message_timestamp(message, NULL),
        .error = message->err,
        .error_text = message->err ? rd_kafka_err2str(message->err) : NULL,
    };

    (void)handle;
    producer->served++;
    if (producer->delivered)
        producer->delivered(producer->context, &delivery);
}

static void set_callbacks(rd_kafka_conf_t *conf)
{
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
}

static int open_handle(struct kafka_producer *producer, const struct kafka_options *options, struct err *err)
{
    char linger[32];
    char timeout[16];
    const struct setting settings[] = {
        {"enable.idempotence", "true"},
        {"acks", "all"},
        {"linger.ms", linger},
        {"message.timeout.ms", timeout},
        {"message.max.bytes", "2097152"},
        {"queue.buffering.max.kbytes", "65536"}, /* the default is 1 GiB */
        {"partitioner", "murmur2_random"},       /* kafka_partition_of(), and any other client's choice */
        {NULL, NULL},
    };

    snprintf(linger, sizeof linger, "%d.%03d", options->linger_us / 1000, options->linger_us % 1000);
    snprintf(timeout, sizeof timeout, "%d", options->message_timeout_ms);
    return kafka_client_open(options, RD_KAFKA_PRODUCER, settings, set_callbacks, &producer->client, err);
}

int kafka_producer_open(const struct kafka_options *options, struct kafka_producer **out, struct err *err)
{
    struct kafka_producer *producer = calloc(1, sizeof *producer);

    if (!producer)
        return err_memory(err, "kafka producer");
    if (open_handle(producer, options, err) < 0 ||
        kafka_client_watch(&producer->client, rd_kafka_queue_get_main(producer->client.handle), err) < 0) {
        kafka_producer_close(producer, 0);
        return -1;
    }
    *out = producer;
    return 0;
}

void kafka_producer_close(struct kafka_producer *producer, int flush_ms)
{
    if (!producer)
        return;
    if (producer->client.handle) {
        rd_kafka_flush(producer->client.handle, flush_ms);
        if (rd_kafka_outq_len(producer->client.handle) > 0)
            log_debug("kafka", "%d records not acknowledged at close", rd_kafka_outq_len(producer->client.handle));
    }
    for (size_t i = 0; i < producer->topic_count; i++)
        rd_kafka_topic_destroy(producer->topics[i]);
    kafka_client_close(&producer->client);
    free(producer);
}

static rd_kafka_topic_t *topic_handle(struct kafka_producer *producer, const char *name, struct err *err)
{
    for (size_t i = 0; i < producer->topic_count; i++) {
        if (strcmp(producer->names[i], name) == 0)
            return producer->topics[i];
    }

    rd_kafka_topic_t *topic = NULL;
    if (producer->topic_count < TOPICS_MAX)
        topic = rd_kafka_topic_new(producer->client.handle, name, NULL);
    if (!topic)
        err_set(err, ERR_PERMANENT, "kafka topic %s: not a topic of ours", name);
    else {
        producer->names[producer->topic_count] = rd_kafka_topic_name(topic);
        producer->topics[producer->topic_count++] = topic;
    }
    return topic;
}

static int build_headers(const struct kafka_header *headers, size_t count, rd_kafka_headers_t **out, struct err *err)
{
    rd_kafka_headers_t *list = rd_kafka_headers_new(count);

    if (!list)
        return err_memory(err, "kafka headers");
    for (size_t i = 0; i < count; i++) {
        if (rd_kafka_header_add(list, headers[i].name, -1, headers[i].value, -1)) {
            rd_kafka_headers_destroy(list);
            return err_memory(err, "kafka headers");
        }
    }
    *out = list;
    return 0;
}

/* With F_COPY, librdkafka tells "no key" and "no value" from empty ones by the pointer alone. */
static int hand_over(struct kafka_producer *producer, rd_kafka_topic_t *topic, rd_kafka_vu_t *parts, size_t count,
                     struct err *err)
{
    rd_kafka_error_t *failure = rd_kafka_produceva(producer->client.handle, parts, count);

    if (!failure)
        return 0;
    rd_kafka_resp_err_t code = rd_kafka_error_code(failure);
    rd_kafka_error_destroy(failure);
    return kafka_err(err, code, "kafka topic %s", rd_kafka_topic_name(topic));
}

int kafka_produce(struct kafka_producer *producer, const char *topic, int32_t partition, const void *key,
                  size_t key_len, const void *value, size_t value_len, const struct kafka_header *headers,
                  size_t header_count, uint64_t opaque, struct err *err)
{
    rd_kafka_topic_t *handle = topic_handle(producer, topic, err);
    rd_kafka_headers_t *list = NULL;

    if (!handle || (header_count > 0 && build_headers(headers, header_count, &list, err) < 0))
        return -1;

    rd_kafka_vu_t parts[] = {
        {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = handle},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {.ptr = (void *)key, .size = key_len}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {.ptr = (void *)value, .size = value_len}},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = (void *)(uintptr_t)opaque},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = list}, /* theirs once it succeeded */
    };
    if (hand_over(producer, handle, parts, sizeof parts / sizeof *parts - (list ? 0 : 1), err) == 0)
        return 0;
    if (list)
        rd_kafka_headers_destroy(list);
    return -1;
}

static void begin_to_serve(struct kafka_producer *producer,
                           void (*delivered)(void *context, const struct kafka_delivery *delivery), void *context)
{
    producer->delivered = delivered;
    producer->context = context;
    producer->served = 0;
}

static int served(struct kafka_producer *producer)
{
    producer->delivered = NULL;
    producer->context = NULL;
    return producer->served;
}

int kafka_producer_poll(struct kafka_producer *producer, int timeout_ms,
                        void (*delivered)(void *context, const struct kafka_delivery *delivery), void *context)
{
    begin_to_serve(producer, delivered, context);
    rd_kafka_poll(producer->client.handle, timeout_ms);
    return served(producer);
}

int kafka_producer_flush(struct kafka_producer *producer, int timeout_ms,
                         void (*delivered)(void *context, const struct kafka_delivery *delivery), void *context)
{
    begin_to_serve(producer, delivered, context);
    rd_kafka_flush(producer->client.handle, timeout_ms);
    kafka_fd_clear(producer->client.event_fd); /* it was raised for what has been served */
    rd_kafka_poll(producer->client.handle, 0);
    return served(producer);
}

int kafka_producer_fd(struct kafka_producer *producer)
{
    return producer->client.event_fd;
}

size_t kafka_producer_queued(const struct kafka_producer *producer)
{
    return (size_t)rd_kafka_outq_len(producer->client.handle);
}

bool kafka_producer_fatal(const struct kafka_producer *producer)
{
    return rd_kafka_fatal_error(producer->client.handle, NULL, 0) != RD_KAFKA_RESP_ERR_NO_ERROR;
}

int kafka_producer_warm(struct kafka_producer *producer, const char *topic, struct err *err)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_topic_t *handle = topic_handle(producer, topic, err);
    rd_kafka_resp_err_t code;

    if (!handle)
        return -1;
    code = rd_kafka_metadata(producer->client.handle, 0, handle, &metadata, WARM_TIMEOUT_MS);
    if (code)
        return kafka_err(err, code, "kafka topic %s", topic);
    if (metadata->topic_cnt == 1)
        code = metadata->topics[0].err;
    rd_kafka_metadata_destroy(metadata);
    return code ? kafka_err(err, code, "kafka topic %s", topic) : 0;
}
