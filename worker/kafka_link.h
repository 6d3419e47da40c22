#pragma once
/*
 * The way to Kafka. Opening it asks questions that wait for a broker (partitions, cluster, is the journal's position still true?), so it happens on a thread of its own, again and
 * again until a broker answers; the finished handles are then handed to the loop, which owns them from there on.
 */
#include "worker/journal.h"
#include "worker/message.h"

struct kafka_consumer;
struct kafka_options;
struct kafka_producer;
struct linker;

struct kafka_link { /* to the loop, which closes the handles and frees it */
    struct message message;
    struct kafka_producer *producer; /* NULL: only a consumer was asked for */
    struct kafka_consumer *consumer; /* assigned, reading from position.next_offset */
    struct position position;
    int32_t status_partition;
    bool anew; /* the journal's position is not of this cluster, or topic: what was said before is not there */
};

struct linker_setup { /* all outlive the linker */
    const struct kafka_options *kafka;
    const char *host;
    struct queue *to_loop;
};

int linker_open(const struct linker_setup *setup, struct linker **out, struct err *err);
/* Begins to link from the journal's `position`. One at a time: the next after its MESSAGE_LINK has come. */
int linker_begin(struct linker *linker, const struct position *position, bool producer_too, struct err *err);
bool linker_busy(const struct linker *linker);
void linker_close(struct linker *linker); /* joins; NULL is fine */
void kafka_link_free(struct kafka_link *link);
