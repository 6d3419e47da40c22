/*
 * Where to read on: the journal's position is (cluster, topic, partition, next offset) and, of the record before it, append time and job id. If that record is still there and is
 * that record, or if it is gone because the topic no longer keeps it, the position is true. Anything else (another cluster, a topic made anew, a log that was cut) means that the
 * offset counts something else: then from the beginning. Repeats are answered from the journal.
 */
#include "worker/kafka_link.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "kafka/kafka.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { ASK_MS = 5000, PAUSE_MS = 1000 };

struct linker {
    struct linker_setup setup;
    pthread_t thread;
    bool started;
    atomic_bool busy, stopping;
    struct position position;
    bool producer_too;
};

static void record_freep(struct kafka_record **record)
{
    if (*record)
        kafka_records_free(*record, 1);
}

static bool same_record(const struct kafka_record *record, const struct position *position)
{
    const char *job = kafka_header(record, "fs-job");

    return record->timestamp_ms == position->last_append_ms &&
           strncmp(job ? job : "", position->last_job, sizeof position->last_job - 1) == 0;
}

/* *out: whether the record before the position is what the journal remembers. What the topic no longer keeps is skipped. */
static int position_true(struct kafka_consumer *consumer, struct position *position, bool *out, struct err *err)
{
    const char *topic = topic_table[TOPIC_JOBS].name;
    CLEANUP(record_freep) struct kafka_record *held = NULL;
    struct kafka_record record = {0};
    int64_t low, high;
    bool found = false;

    if (kafka_watermarks(consumer, topic, position->partition, &low, &high, ASK_MS, err) < 0)
        return -1;
    if (position->next_offset - 1 < low || position->next_offset > high) {
        *out = position->next_offset <= high;
        if (position->next_offset < low)
            position->next_offset = low;
        return 0;
    }
    if (kafka_record_at(consumer, topic, position->partition, position->next_offset - 1, &record, &found, ASK_MS, err) <
        0)
        return -1;
    held = found ? &record : NULL;
    *out = found && same_record(&record, position);
    return 0;
}

static int find_start(struct kafka_consumer *consumer, struct position *position, const char *cluster,
                      int32_t partition, bool *out_anew, struct err *err)
{
    bool here = position->next_offset >= 0 && position->partition == partition &&
                strcmp(position->cluster, cluster) == 0;
    bool again = position->next_offset >= 0;

    if (here && position->next_offset > 0 && position_true(consumer, position, &here, err) < 0)
        return -1;
    *out_anew = again && !here;
    if (!here) {
        if (again)
            log_warning(
                "jobs",
                "the journal's position is not that of this topic: read from the beginning, repeats are answered from the journal");
        *position = (struct position){.next_offset = KAFKA_FROM_BEGINNING, .partition = partition};
    }
    snprintf(position->cluster, sizeof position->cluster, "%s", cluster);
    return 0;
}

/* Partition of this host on a topic. */
static int partition_on(const struct linker *linker, enum topic topic, int32_t *out, struct err *err)
{
    const char *host = linker->setup.host;
    int32_t count;

    if (kafka_partition_count(linker->setup.kafka, topic_table[topic].name, ASK_MS, &count, err) < 0)
        return -1;
    if (count == 0) {
        err_set(err, ERR_RETRY, "topic %s does not exist", topic_table[topic].name);
        return err_hint(err, "create the topics with `fleetsnap topic init`");
    }
    *out = kafka_partition_of(host, strlen(host), count);
    return 0;
}

static int open_consumer(struct linker *linker, struct kafka_link *link, struct err *err)
{
    char cluster[64], group[128];
    int32_t partition;

    snprintf(group, sizeof group, "fleetsnap.%s", linker->setup.host);
    if (partition_on(linker, TOPIC_JOBS, &partition, err) < 0 ||
        kafka_cluster_id(linker->setup.kafka, ASK_MS, cluster, err) < 0 ||
        kafka_consumer_open(linker->setup.kafka, group, &link->consumer, err) < 0)
        return -1;
    link->position = linker->position;
    if (find_start(link->consumer, &link->position, cluster, partition, &link->anew, err) < 0)
        return -1;
    return kafka_consumer_assign(link->consumer, topic_table[TOPIC_JOBS].name, partition, link->position.next_offset,
                                 err);
}

static int open_producer(struct linker *linker, struct kafka_link *link, struct err *err)
{
    if (partition_on(linker, TOPIC_STATUS, &link->status_partition, err) < 0 ||
        kafka_producer_open(linker->setup.kafka, &link->producer, err) < 0)
        return -1;
    return kafka_producer_warm(link->producer, topic_table[TOPIC_STATUS].name, err);
}

static struct kafka_link *try_link(struct linker *linker, struct err *err)
{
    struct kafka_link *link = calloc(1, sizeof *link);

    if (!link) {
        err_memory(err, "kafka");
        return NULL;
    }
    link->message.kind = MESSAGE_LINK;
    if ((!linker->producer_too || open_producer(linker, link, err) == 0) && open_consumer(linker, link, err) == 0)
        return link;
    kafka_link_free(link);
    return NULL;
}

static void pause_unless_stopping(const struct linker *linker)
{
    for (int ms = 0; ms < PAUSE_MS && !linker->stopping; ms += 50)
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
}

static void *linker_main(void *context)
{
    struct linker *linker = context;
    struct kafka_link *link = NULL;
    bool said = false;

    pthread_setname_np(pthread_self(), "kafka-link");
    while (!linker->stopping && !link) {
        struct err err = {0};
        link = try_link(linker, &err);
        if (link)
            break;
        if (!said)
            log_warning("kafka", "%s%s%s; tried again until it works", err.text, err.hint[0] ? ": " : "", err.hint);
        said = true;
        pause_unless_stopping(linker);
    }
    if (link)
        queue_push(linker->setup.to_loop, &link->message.item);
    linker->busy = false;
    return NULL;
}

int linker_open(const struct linker_setup *setup, struct linker **out, struct err *err)
{
    struct linker *linker = calloc(1, sizeof *linker);

    if (!linker)
        return err_memory(err, "kafka link");
    linker->setup = *setup;
    *out = linker;
    return 0;
}

int linker_begin(struct linker *linker, const struct position *position, bool producer_too, struct err *err)
{
    if (linker->started)
        pthread_join(linker->thread, NULL);
    linker->started = false;
    linker->position = *position;
    linker->producer_too = producer_too;
    linker->busy = true;
    int failed = pthread_create(&linker->thread, NULL, linker_main, linker);
    if (failed) {
        linker->busy = false;
        return err_errno(err, failed, "kafka link: thread");
    }
    linker->started = true;
    return 0;
}

bool linker_busy(const struct linker *linker)
{
    return linker->busy;
}

void linker_close(struct linker *linker)
{
    if (!linker)
        return;
    linker->stopping = true;
    if (linker->started)
        pthread_join(linker->thread, NULL);
    free(linker);
}

void kafka_link_free(struct kafka_link *link)
{
    if (!link)
        return;
    kafka_producer_close(link->producer, 0);
    kafka_consumer_close(link->consumer);
    free(link);
}
