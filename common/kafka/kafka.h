#pragma once
/*
 * Kafka, as Fleetsnap uses it: one idempotent producer, consumers by explicit assignment (never a group subscription), admin calls. No rdkafka type leaves this folder.
 * Every handle belongs to one thread. Values and keys are bytes here; framing is wire's, MACs are crypto's.
 *
 * Errors: ERR_RETRY for what may pass by itself, ERR_PERMANENT for refusals (authentication, ACL, size), ERR_CONFLICT for a position that is not in the log.
 * Brokers that cannot be reached are no error of produce and consume: librdkafka tries for ever, and callers see silence.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct facts;
struct kafka_producer;
struct kafka_consumer;

enum { KAFKA_HEADERS_MAX = 8 };

struct kafka_options {
    const char *brokers;
    const char *client_id;
    const struct facts *extra; /* librdkafka properties from the configuration (TLS …); applied last; may be NULL */
    int linger_us;             /* producer; 200 where latency counts and nobody flushes */
    int message_timeout_ms;    /* producer; 0: for ever (the outbox owns the time-out) */
    int fetch_wait_ms;         /* consumer; 0: 5000 */
    int fetch_min_bytes;       /* consumer; 0: 1. The broker gathers this much, or answers after fetch_wait_ms */
};

struct kafka_header {
    const char *name;
    const char *value; /* NUL-terminated text */
};

/* ---- producer ---- */

struct kafka_delivery { /* one acknowledged or failed record */
    uint64_t opaque;    /* as given to kafka_produce */
    int32_t partition;
    int64_t offset; /* -1 if it failed */
    int64_t timestamp_ms;
    int error; /* 0, or a rd_kafka_resp_err_t */
    const char *error_text;
};

int kafka_producer_open(const struct kafka_options *options, struct kafka_producer **out, struct err *err);
/* Flushes for at most flush_ms; what is not acknowledged by then is dropped without a report. NULL is fine. */
void kafka_producer_close(struct kafka_producer *producer, int flush_ms);
/*
 * Copies everything. partition -1: by the key's murmur2 hash, at random without one. key NULL: none; value NULL: tombstone.
 * ERR_RETRY when the local queue is full.
 */
int kafka_produce(struct kafka_producer *producer, const char *topic, int32_t partition, const void *key,
                  size_t key_len, const void *value, size_t value_len, const struct kafka_header *headers,
                  size_t header_count, uint64_t opaque, struct err *err);
/* Serves delivery reports, in order per partition; `delivered` (may be NULL) is called on this thread. Returns how many. */
int kafka_producer_poll(struct kafka_producer *producer, int timeout_ms,
                        void (*delivered)(void *context, const struct kafka_delivery *delivery), void *context);
/* Sends what lingers, and waits until Kafka has taken or refused all of it. Otherwise as a poll. */
int kafka_producer_flush(struct kafka_producer *producer, int timeout_ms,
                         void (*delivered)(void *context, const struct kafka_delivery *delivery), void *context);
/* An eventfd, readable when poll has something to serve. kafka_fd_clear() it before the poll, never after: it speaks once per filling. */
int kafka_producer_fd(struct kafka_producer *producer);
size_t kafka_producer_queued(const struct kafka_producer *producer);
/* Destroy it, open a new one, send again from the outbox. */
bool kafka_producer_fatal(const struct kafka_producer *producer);
/* Fetches the topic's metadata (at most 5 s), so that the first produce does not wait a second. */
int kafka_producer_warm(struct kafka_producer *producer, const char *topic, struct err *err);

/* ---- consumer ---- */

enum { KAFKA_FROM_BEGINNING = -2, KAFKA_FROM_END = -1 };

struct kafka_record {
    const char *topic;
    int32_t partition;
    int64_t offset, timestamp_ms; /* LogAppendTime */
    const void *key;              /* NULL: none */
    size_t key_len;
    const void *value; /* NULL: tombstone */
    size_t value_len;
    void *handle_; /* private: librdkafka's message, */
    void *copy_;   /* private: or a copy of one */
};

/* group NULL: never commits. */
int kafka_consumer_open(const struct kafka_options *options, const char *group_for_commits, struct kafka_consumer **out,
                        struct err *err);
/* Its records must have been freed. Waits for nothing; NULL is fine. */
void kafka_consumer_close(struct kafka_consumer *consumer);
/* Adds one partition from `offset` (or KAFKA_FROM_*). May be called for several; a repeat moves the position. The first of a topic may take 0.3 s. */
int kafka_consumer_assign(struct kafka_consumer *consumer, const char *topic, int32_t partition, int64_t offset,
                          struct err *err);
/*
 * Up to `max` records (1024 at most per call); their memory lives until kafka_records_free. timeout_ms 0: what is there. An error of a
 * partition comes as -1, after the records before it; ERR_CONFLICT: its position is out of range, and it is silent until assigned again.
 */
int kafka_consume(struct kafka_consumer *consumer, int timeout_ms, struct kafka_record *out, size_t max,
                  struct err *err);
void kafka_records_free(struct kafka_record *records, size_t count);
/* NUL-terminated, ≤ 1 KiB; NULL if absent or not text (control characters); the last of several; valid as long as the record. */
const char *kafka_header(const struct kafka_record *record, const char *name);
/* Several in one pass: out[i] is what kafka_header() gives for names[i]. */
void kafka_headers_pick(const struct kafka_record *record, const char *const names[], size_t count, const char *out[]);
/* The first 64, for the DLQ; binary values, and those beyond 4 KiB, as "name;base64" of at most 4 KiB. */
int kafka_headers(const struct kafka_record *record, struct facts *out, struct err *err);
/* An eventfd like kafka_producer_fd: clear it, then consume until less than `max` comes. */
int kafka_consumer_fd(struct kafka_consumer *consumer);
void kafka_fd_clear(int fd);
/*
 * The whole assignment, also what is assigned later; a repeat does nothing (resuming twice rewinds in librdkafka 2.0.2). Drops what was fetched ahead, so pause
 * with hysteresis. A few records that were on their way may still come.
 */
void kafka_consumer_pause(struct kafka_consumer *consumer, bool paused);
/* A refusal is logged once and changes nothing: what must not be done twice cannot stand on it. */
int kafka_commit_async(struct kafka_consumer *consumer, const char *topic, int32_t partition, int64_t next_offset,
                       struct err *err);
/* out[p]: what was committed last for partition p of the topic, of `partitions`, in the consumer's group; KAFKA_FROM_BEGINNING: nothing. */
int kafka_committed(struct kafka_consumer *consumer, const char *topic, int32_t partitions, int64_t *out,
                    int timeout_ms, struct err *err);
/* *low: the first offset that is there; *high: the one that the next record gets. Does not disturb the assignment. */
int kafka_watermarks(struct kafka_consumer *consumer, const char *topic, int32_t partition, int64_t *low, int64_t *high,
                     int timeout_ms, struct err *err);
/* out[p]: where partition p of the topic, of `partitions`, has its first record appended at `since_ms` or later, or where its next one will be. */
int kafka_offsets_since(struct kafka_consumer *consumer, const char *topic, int32_t partitions, int64_t since_ms,
                        int64_t *out, int timeout_ms, struct err *err);
/* One record at exactly `offset` (the position check); *out_found false if there is none any more. Does not disturb the assignment. */
int kafka_record_at(struct kafka_consumer *consumer, const char *topic, int32_t partition, int64_t offset,
                    struct kafka_record *out, bool *out_found, int timeout_ms, struct err *err);

/* ---- both, admin ---- */

/* murmur2 as in Kafka's default partitioner: toPositive(murmur2(key)) mod partitions. */
int32_t kafka_partition_of(const char *key, size_t len, int32_t partitions);
int kafka_cluster_id(const struct kafka_options *options, int timeout_ms, char out[64], struct err *err);
int kafka_partition_count(const struct kafka_options *options, const char *topic, int timeout_ms, int32_t *out,
                          struct err *err); /* 0: no such topic */
int kafka_broker_info(const struct kafka_options *options, int timeout_ms, int *out_brokers, struct err *err);

struct kafka_topic_problem {
    char topic[64];
    char text[192]; /* "cleanup.policy is delete, must be compact" */
};

/*
 * Creates what is missing of model/topics.h; finds what is wrong; changes nothing that exists. dev: small partition counts, one replica. dry_run: creates nothing,
 * *out_created counts what would be, and the missing ones are among the problems.
 */
int kafka_topics_init(const struct kafka_options *options, bool dev, bool dry_run, struct kafka_topic_problem *problems,
                      size_t max, size_t *out_count, size_t *out_created, struct err *err);
/* A missing topic is a problem too: "does not exist". */
int kafka_topics_check(const struct kafka_options *options, bool dev, struct kafka_topic_problem *problems, size_t max,
                       size_t *out_count, struct err *err);
