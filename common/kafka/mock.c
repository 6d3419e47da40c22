#include "kafka/mock.h"

#include "base/err.h"
#include "kafka/client.h"

#include <librdkafka/rdkafka_mock.h>
#include <stdlib.h>

struct kafka_mock {
    struct kafka_client owner; /* a mock cluster lives in a handle; this one does nothing else */
    rd_kafka_mock_cluster_t *cluster;
};

int kafka_mock_open(int brokers, struct kafka_mock **out, struct err *err)
{
    static const struct setting none[] = {{NULL, NULL}};
    const struct kafka_options options = {.brokers = "127.0.0.1:1", .client_id = "mock"};
    struct kafka_mock *mock = calloc(1, sizeof *mock);

    if (!mock)
        return err_memory(err, "kafka mock");
    mock->owner.quiet = true;
    if (kafka_client_open(&options, RD_KAFKA_PRODUCER, none, NULL, &mock->owner, err) < 0 ||
        !(mock->cluster = rd_kafka_mock_cluster_new(mock->owner.handle, brokers))) {
        kafka_mock_close(mock);
        return err_set(err, ERR_PERMANENT, "kafka mock: cannot be made");
    }
    *out = mock;
    return 0;
}

void kafka_mock_close(struct kafka_mock *mock)
{
    if (!mock)
        return;
    if (mock->cluster)
        rd_kafka_mock_cluster_destroy(mock->cluster);
    kafka_client_close(&mock->owner);
    free(mock);
}

const char *kafka_mock_brokers(const struct kafka_mock *mock)
{
    return rd_kafka_mock_cluster_bootstraps(mock->cluster);
}

int kafka_mock_topic(struct kafka_mock *mock, const char *topic, int partitions, struct err *err)
{
    rd_kafka_resp_err_t code = rd_kafka_mock_topic_create(mock->cluster, topic, partitions, 1);

    return code ? kafka_err(err, code, "kafka mock: topic %s", topic) : 0;
}

void kafka_mock_fail(struct kafka_mock *mock, enum kafka_mock_request request, int error, int times)
{
    while (times-- > 0)
        rd_kafka_mock_push_request_errors(mock->cluster, (int16_t)request, 1, (rd_kafka_resp_err_t)error);
}

void kafka_mock_down(struct kafka_mock *mock, int32_t broker)
{
    rd_kafka_mock_broker_set_down(mock->cluster, broker);
}

void kafka_mock_up(struct kafka_mock *mock, int32_t broker)
{
    rd_kafka_mock_broker_set_up(mock->cluster, broker);
}

void kafka_mock_fatal(struct kafka_producer *producer)
{
    struct kafka_client *client = (struct kafka_client *)producer; /* its first member */

    rd_kafka_test_fatal_error(client->handle, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "injected by a test");
}
