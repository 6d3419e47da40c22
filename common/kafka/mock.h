#pragma once
/*
 * A Kafka broker inside the process, for tests without servers (librdkafka's mock cluster). It keeps records, headers and commits, and fails on order; it knows no
 * LogAppendTime, no admin requests and no compaction, and a consumer waits its whole fetch_wait_ms: give it 10.
 */
#include <stdint.h>

struct err;
struct kafka_mock;

enum kafka_mock_request {
    KAFKA_MOCK_PRODUCE = 0,
    KAFKA_MOCK_FETCH = 1,
    KAFKA_MOCK_LIST_OFFSETS = 2,
    KAFKA_MOCK_OFFSET_COMMIT = 8,
    KAFKA_MOCK_INIT_PRODUCER_ID = 22
};

int kafka_mock_open(int brokers, struct kafka_mock **out, struct err *err);
void kafka_mock_close(struct kafka_mock *mock); /* after every client of it; NULL is fine */
const char *kafka_mock_brokers(const struct kafka_mock *mock);
int kafka_mock_topic(struct kafka_mock *mock, const char *topic, int partitions, struct err *err);
/* The next `times` requests of that kind fail with this rd_kafka_resp_err_t; -195 cuts the connection. */
void kafka_mock_fail(struct kafka_mock *mock, enum kafka_mock_request request, int error, int times);
void kafka_mock_down(struct kafka_mock *mock, int32_t broker); /* brokers count from 1 */
void kafka_mock_up(struct kafka_mock *mock, int32_t broker);
struct kafka_producer;
void kafka_mock_fatal(struct kafka_producer *producer); /* as after an error that an idempotent producer cannot go on from */
