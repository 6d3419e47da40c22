/*
 * A consumer by explicit assignment. No subscription, so no rebalance, no max.poll.interval and no eviction: a job may last hours. The group
 * is a name to commit offsets under, for people who watch lag; positions come from the caller.
 *
 * Everything arrives on the consumer's one queue, whose eventfd the caller's loop polls: records, and the errors of partitions, which are
 * handed out one per call after the records that were in front of them. That brokers cannot be reached is no error: librdkafka reconnects.
 *
 * Two traps of librdkafka 2.0.2 shape this file. Resuming a partition that is not paused rewinds it and delivers records again, so `paused` is
 * kept here. And a partition whose queue is full is left alone for a whole second, however fast the caller is: the queue must hold what the caller
 * can take in that second, or throughput ends at queue size per second (QUEUE_KBYTES: 16 MiB/s, some 30,000 jobs/s).
 */
#include "kafka/consumer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_KBYTES "16384"

enum { FETCH_WAIT_MS = 5000, SOCKET_SLACK_MS = 10000, INTRODUCE_MS = 300 };

/* Commits serve monitoring only, so a refusal (no ACL on the group) is worth one line, not an error. */
static void on_commit(rd_kafka_t *handle, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *offsets,
                      void *opaque)
{
    struct kafka_client *client = opaque;

    (void)handle;
    code = kafka_list_error(code, offsets);
    if (code && !atomic_exchange(&client->commit_refused, true))
        log_warning("kafka", "offsets are not committed, so lag monitoring is blind: %s", rd_kafka_err2str(code));
    else if (!code)
        atomic_store(&client->commit_refused, false);
}

static void set_callbacks(rd_kafka_conf_t *conf)
{
    rd_kafka_conf_set_offset_commit_cb(conf, on_commit);
}

static int open_handle(struct kafka_consumer *consumer, const struct kafka_options *options, const char *group,
                       struct err *err)
{
    int wait = options->fetch_wait_ms > 0 ? options->fetch_wait_ms : FETCH_WAIT_MS;
    char fetch_wait[16];
    char fetch_min[16];
    char socket_timeout[16];
    const struct setting settings[] = {
        {"group.id", group ? group : "fleetsnap-reader"},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"auto.offset.reset",
         "error"}, /* a position that is gone is the caller's to judge; the default would skip to the end */
        {"isolation.level", "read_committed"},
        {"check.crcs", "true"},
        {"fetch.wait.max.ms", fetch_wait},
        {"fetch.min.bytes", fetch_min},
        {"socket.timeout.ms", socket_timeout},
        {"queued.max.messages.kbytes", QUEUE_KBYTES},
        {"fetch.max.bytes", "8388608"},
        {NULL, NULL},
    };

    snprintf(fetch_wait, sizeof fetch_wait, "%d", wait);
    snprintf(fetch_min, sizeof fetch_min, "%d", options->fetch_min_bytes > 0 ? options->fetch_min_bytes : 1);
    snprintf(socket_timeout, sizeof socket_timeout, "%d", wait + SOCKET_SLACK_MS);
    return kafka_client_open(options, RD_KAFKA_CONSUMER, settings, set_callbacks, &consumer->client, err);
}

/* The caller's options may not live as long as the consumer, which opens a probe with them later. */
static int keep_options(struct kafka_consumer *consumer, const struct kafka_options *options, struct err *err)
{
    consumer->brokers = strdup(options->brokers ? options->brokers : "");
    consumer->client_id = strdup(options->client_id ? options->client_id : "fleetsnap");
    if (!consumer->brokers || !consumer->client_id)
        return err_memory(err, "kafka consumer");
    consumer->options = *options;
    consumer->options.brokers = consumer->brokers;
    consumer->options.client_id = consumer->client_id;
    consumer->options.extra = options->extra ? &consumer->extra : NULL;
    return options->extra ? facts_copy(&consumer->extra, options->extra, err) : 0;
}

static int open_all(struct kafka_consumer *consumer, const struct kafka_options *options, const char *group,
                    struct err *err)
{
    if (keep_options(consumer, options, err) < 0 || open_handle(consumer, options, group, err) < 0)
        return -1;
    rd_kafka_poll_set_consumer(consumer->client.handle);
    consumer->assigned = rd_kafka_topic_partition_list_new(1);
    if (!consumer->assigned)
        return err_memory(err, "kafka consumer");
    return kafka_client_watch(&consumer->client, rd_kafka_queue_get_consumer(consumer->client.handle), err);
}

int kafka_consumer_open(const struct kafka_options *options, const char *group_for_commits, struct kafka_consumer **out,
                        struct err *err)
{
    struct kafka_consumer *consumer = calloc(1, sizeof *consumer);

    if (!consumer)
        return err_memory(err, "kafka consumer");
    if (open_all(consumer, options, group_for_commits, err) < 0) {
        kafka_consumer_close(consumer);
        return -1;
    }
    *out = consumer;
    return 0;
}

void kafka_consumer_close(struct kafka_consumer *consumer)
{
    if (!consumer)
        return;
    while (consumer->batch_at < consumer->batch_count)
        rd_kafka_message_destroy(consumer->batch[consumer->batch_at++]);
    if (consumer->assigned)
        rd_kafka_topic_partition_list_destroy(consumer->assigned);
    kafka_client_close(&consumer->client);
    kafka_client_close(&consumer->probe);
    facts_clear(&consumer->extra);
    free(consumer->brokers);
    free(consumer->client_id);
    free(consumer);
}

static void listp(rd_kafka_topic_partition_list_t **list)
{
    if (*list)
        rd_kafka_topic_partition_list_destroy(*list);
}

static void pause_list(struct kafka_consumer *consumer, rd_kafka_topic_partition_list_t *list, bool paused)
{
    rd_kafka_t *handle = consumer->client.handle;
    rd_kafka_resp_err_t code;

    code = paused ? rd_kafka_pause_partitions(handle, list) : rd_kafka_resume_partitions(handle, list);
    code = kafka_list_error(code, list);
    if (code)
        log_warning("kafka", "%s: %s", paused ? "pause" : "resume", rd_kafka_err2str(code));
}

/* Records of the old position that were taken from librdkafka already. */
static void drop_pending(struct kafka_consumer *consumer, const char *topic, int32_t partition)
{
    size_t kept = 0;

    for (size_t i = consumer->batch_at; i < consumer->batch_count; i++) {
        rd_kafka_message_t *message = consumer->batch[i];
        if (message->rkt && message->partition == partition && strcmp(rd_kafka_topic_name(message->rkt), topic) == 0)
            rd_kafka_message_destroy(message);
        else
            consumer->batch[kept++] = message;
    }
    consumer->batch_at = 0;
    consumer->batch_count = kept;
}

/* Other partitions go on undisturbed: librdkafka's incremental calls need no group for this. */
static int change(struct kafka_consumer *consumer, rd_kafka_topic_partition_list_t *one, bool add, struct err *err)
{
    rd_kafka_t *handle = consumer->client.handle;
    rd_kafka_error_t *failure;

    failure = add ? rd_kafka_incremental_assign(handle, one) : rd_kafka_incremental_unassign(handle, one);
    if (!failure)
        return 0;
    kafka_err(err, rd_kafka_error_code(failure), "kafka %s[%d]: %s", one->elems[0].topic, (int)one->elems[0].partition,
              rd_kafka_error_string(failure));
    rd_kafka_error_destroy(failure);
    return -1;
}

/*
 * librdkafka looks for the leader of a topic that is new to it only once a second. Asking for its metadata at once saves that second before the first record. The
 * answer is not needed, and not waited for when no broker can be reached.
 */
static void introduce(struct kafka_consumer *consumer, const char *name)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *topic;

    for (int i = 0; i < consumer->assigned->cnt; i++) {
        if (strcmp(consumer->assigned->elems[i].topic, name) == 0)
            return;
    }
    topic = rd_kafka_topic_new(consumer->client.handle, name, NULL);
    if (!topic)
        return;
    if (!rd_kafka_metadata(consumer->client.handle, 0, topic, &metadata, INTRODUCE_MS))
        rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(topic);
}

int kafka_consumer_assign(struct kafka_consumer *consumer, const char *topic, int32_t partition, int64_t offset,
                          struct err *err)
{
    CLEANUP(listp) rd_kafka_topic_partition_list_t *one = rd_kafka_topic_partition_list_new(1);

    if (!one)
        return err_memory(err, "kafka assignment");
    rd_kafka_topic_partition_list_add(one, topic, partition)->offset = offset;
    introduce(consumer, topic);
    if (rd_kafka_topic_partition_list_find(consumer->assigned, topic, partition)) {
        if (change(consumer, one, false, err) < 0)
            return -1;
        rd_kafka_topic_partition_list_del(consumer->assigned, topic, partition);
        drop_pending(consumer, topic, partition);
    }
    if (change(consumer, one, true, err) < 0)
        return -1;
    rd_kafka_topic_partition_list_add(consumer->assigned, topic, partition);
    if (consumer->paused)
        pause_list(consumer, one, true);
    return 0;
}

void kafka_consumer_pause(struct kafka_consumer *consumer, bool paused)
{
    if (consumer->paused == paused)
        return;
    consumer->paused = paused;
    if (consumer->assigned->cnt > 0)
        pause_list(consumer, consumer->assigned, paused);
}

/* False if it is not about a partition of ours: the group's coordinator, say, which only commits need. */
static bool partition_error(const rd_kafka_message_t *message, struct err *err)
{
    if (!message->rkt || message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        log_debug("kafka", "consumer: %s", rd_kafka_message_errstr(message));
        return false;
    }
    kafka_err(err, message->err, "kafka %s[%d] at %lld", rd_kafka_topic_name(message->rkt), (int)message->partition,
              (long long)message->offset);
    return true;
}

/* Hands out what was taken, up to an error, which is handed out by the next call. */
static int hand_out(struct kafka_consumer *consumer, struct kafka_record *out, size_t max, struct err *err)
{
    size_t count = 0;

    while (consumer->batch_at < consumer->batch_count && count < max) {
        rd_kafka_message_t *message = consumer->batch[consumer->batch_at];
        if (!message->err) {
            kafka_record_fill(&out[count++], message);
        } else if (count > 0) {
            break;
        } else {
            bool ours = partition_error(message, err);
            rd_kafka_message_destroy(message);
            if (ours) {
                consumer->batch_at++;
                return -1;
            }
        }
        consumer->batch_at++;
    }
    return (int)count;
}

static ssize_t take(struct kafka_consumer *consumer, int timeout_ms, size_t max)
{
    ssize_t count = rd_kafka_consume_batch_queue(consumer->client.queue, timeout_ms,
                                                 consumer->batch + consumer->batch_count, max);

    if (count > 0)
        consumer->batch_count += (size_t)count;
    return count;
}

/* librdkafka waits until the batch is full or the time is over, so waiting is done for one record only. */
static int refill(struct kafka_consumer *consumer, int timeout_ms, size_t max, struct err *err)
{
    consumer->batch_at = consumer->batch_count = 0;
    if (take(consumer, 0, max) == 0 && timeout_ms != 0 && take(consumer, timeout_ms, 1) == 1 && max > 1)
        take(consumer, 0, max - 1);
    if (consumer->batch_count == 0 && rd_kafka_fatal_error(consumer->client.handle, NULL, 0))
        return kafka_err(err, RD_KAFKA_RESP_ERR__FATAL, "kafka consumer");
    return 0;
}

int kafka_consume(struct kafka_consumer *consumer, int timeout_ms, struct kafka_record *out, size_t max, struct err *err)
{
    kafka_probe_close_idle(consumer);
    if (consumer->batch_at == consumer->batch_count &&
        refill(consumer, timeout_ms, max < BATCH_MAX ? max : BATCH_MAX, err) < 0)
        return -1;
    return hand_out(consumer, out, max, err);
}

int kafka_consumer_fd(struct kafka_consumer *consumer)
{
    return consumer->client.event_fd;
}

/* Never the synchronous commit: on a group that we may not use, it does not return. */
int kafka_commit_async(struct kafka_consumer *consumer, const char *topic, int32_t partition, int64_t next_offset,
                       struct err *err)
{
    CLEANUP(listp) rd_kafka_topic_partition_list_t *one = rd_kafka_topic_partition_list_new(1);

    if (!one)
        return err_memory(err, "kafka commit");
    rd_kafka_topic_partition_list_add(one, topic, partition)->offset = next_offset;
    rd_kafka_resp_err_t code = rd_kafka_commit(consumer->client.handle, one, 1);
    return code ? kafka_err(err, code, "kafka commit of %s[%d]", topic, (int)partition) : 0;
}

int kafka_committed(struct kafka_consumer *consumer, const char *topic, int32_t partitions, int64_t *out,
                    int timeout_ms, struct err *err)
{
    CLEANUP(listp) rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(partitions);

    if (!all)
        return err_memory(err, "kafka commits");
    for (int32_t i = 0; i < partitions; i++)
        rd_kafka_topic_partition_list_add(all, topic, i);
    rd_kafka_resp_err_t code = rd_kafka_committed(consumer->client.handle, all, timeout_ms);
    for (int i = 0; !code && i < all->cnt; i++)
        code = all->elems[i].err;
    if (code)
        return kafka_err(err, code, "kafka commits of %s", topic);
    for (int i = 0; i < all->cnt; i++)
        out[all->elems[i].partition] = all->elems[i].offset < 0 ? KAFKA_FROM_BEGINNING : all->elems[i].offset;
    return 0;
}
