#pragma once
/*
 * What the leader writes to Kafka: encoded, signed, produced. Main loop only. Delivery reports come back with the opaque value given here.
 */
#include "model/topics.h"

#include <stdbool.h>
#include <stdint.h>

struct err;
struct job;
struct kafka_delivery;
struct kafka_options;
struct kafka_record;
struct publisher;
struct record_type;
struct trust;

/* Opaque values below PUBLISHER_POINTERS name what the record was; others are pointers of the caller's, with the lowest bit set for a record of the audit that is waited for. */
enum publisher_opaque { OPAQUE_LEDGER = 1, OPAQUE_STATUS, OPAQUE_AUDIT, OPAQUE_DLQ, PUBLISHER_POINTERS = 4096 };
enum { OPAQUE_AUDIT_WAIT = 1 };

struct publication {
    enum topic topic;
    int32_t partition; /* -1: by key */
    bool patient; /* nobody waits for it: sent some milliseconds later, with others; in order among such records only */
    const char *key; /* NULL: none */
    const struct record_type *type;
    const void *record; /* NULL: tombstone */
    const char *job;    /* fs-job; NULL: none */
    uint64_t opaque;
};

/* `trust` is borrowed. */
int publisher_open(const struct kafka_options *kafka, struct trust *trust, struct publisher **out, struct err *err);
void publisher_close(struct publisher *publisher, int flush_ms);
void publisher_set_term(struct publisher *publisher, int64_t term);
/* Signed with the leader's key and fs-term. *out_value (may be NULL): the framed bytes, valid until the next call. */
int publisher_send(struct publisher *publisher, const struct publication *publication, const unsigned char **out_value,
                   size_t *out_len, struct err *err);
/* A job, signed with the key of its host, to the host's partition. */
int publisher_send_job(struct publisher *publisher, const struct job *job, uint64_t opaque, struct err *err);
int32_t publisher_partition(const struct publisher *publisher, enum topic topic,
                            const char *host); /* murmur2(host) mod partitions */
int publisher_poll(struct publisher *publisher, void (*delivered)(void *context, const struct kafka_delivery *delivery),
                   void *context);
/* Sends what is not patient at once, and waits until Kafka has it. */
void publisher_flush(struct publisher *publisher, int timeout_ms,
                     void (*delivered)(void *context, const struct kafka_delivery *delivery), void *context);
int publisher_fd(struct publisher *publisher);
bool publisher_broken(const struct publisher *publisher); /* close it, open another */
