#pragma once
/* Private to common/kafka: the consumer's insides, shared by consumer.c (assign, consume, commit) and position.c (looking at the log). */
#include "base/facts.h"
#include "kafka/client.h"

enum { BATCH_MAX = 1024 };

struct kafka_consumer {
    struct kafka_client client;
    rd_kafka_topic_partition_list_t *assigned;
    bool paused;
    rd_kafka_message_t *batch[BATCH_MAX]; /* taken from librdkafka, not yet handed out: [batch_at, batch_count) */
    size_t batch_at, batch_count;
    struct kafka_options options; /* for the probe; points into the four below */
    char *brokers, *client_id;
    struct facts extra;
    struct kafka_client probe; /* open only while positions are being looked at */
    int64_t probe_used_ms;
};

void kafka_record_fill(struct kafka_record *out, rd_kafka_message_t *message); /* owns the message */
int kafka_record_copy(const rd_kafka_message_t *message, struct kafka_record *out,
                      struct err *err); /* outlives the handle */
void kafka_probe_close_idle(struct kafka_consumer *consumer);
