#pragma once
/* Private to common/kafka: what every handle shares. The only header of ours that includes rdkafka.h. */
#include "kafka/kafka.h"

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>

enum {
    KAFKA_RECORD_BYTES_MAX = 2 * 1024 * 1024, /* a record, and a batch of records, on every topic of ours */
    KAFKA_FETCH_BYTES_MAX = 8 * 1024 * 1024,  /* one answer to a fetch, over all partitions */
};

struct setting {
    const char *name;
    const char *value;
};

/* A librdkafka handle with its callbacks. Must not move once opened: librdkafka holds its address. */
struct kafka_client {
    rd_kafka_t *handle;
    rd_kafka_queue_t *queue; /* what event_fd watches; NULL: none */
    int event_fd;
    bool quiet;                 /* librdkafka's own complaints are for debugging only: the caller reports the failure */
    atomic_bool commit_refused; /* said once, until a commit works again */
};

/*
 * `settings` end with name NULL and are applied over those that all handles share, `options->extra` over both. `callbacks` may add to the
 * conf, or be NULL. The callbacks' opaque is `client`.
 */
int kafka_client_open(const struct kafka_options *options, rd_kafka_type_t type, const struct setting *settings,
                      void (*callbacks)(rd_kafka_conf_t *conf), struct kafka_client *client, struct err *err);
int kafka_client_watch(struct kafka_client *client, rd_kafka_queue_t *queue, struct err *err); /* takes the queue over */
void kafka_client_close(struct kafka_client *client); /* a zeroed one is fine */

/* A handle for one question (metadata, a record somewhere): reads, commits nothing, fetches without long waits. */
int kafka_client_open_probe(const struct kafka_options *options, struct kafka_client *client, struct err *err);

/* Kind and code from the library's code: "<what>: <library's text>". */
int kafka_err(struct err *err, rd_kafka_resp_err_t code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Looks at the list's element too: a call on partitions can succeed while the partition failed. */
rd_kafka_resp_err_t kafka_list_error(rd_kafka_resp_err_t code, const rd_kafka_topic_partition_list_t *list);
