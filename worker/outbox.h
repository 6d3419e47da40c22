#pragma once
/*
 * What this host has to say to Kafka. A record is written to the journal in the transaction of the change that it reports, produced after that transaction's commit, and
 * deleted in a transaction after its acknowledgement. A terminal status waits until the catalog has acknowledged the records of its job. The loop's thread.
 */
#include "worker/journal.h"

struct kafka_delivery;
struct kafka_producer;
struct key_ring;
struct outbox;

struct outbox_setup { /* all outlive the outbox */
    struct journal *journal;
    const char *host;
    const struct key_ring *keys;
};

int outbox_open(const struct outbox_setup *setup, struct outbox **out,
                struct err *err); /* reads what an earlier start left */
void outbox_close(struct outbox *outbox);
/* In the turn's transaction; sets row->seq. Copies. */
int outbox_add(struct outbox *outbox, struct outbox_row *row, struct err *err);
/* A (new) producer, owned by the caller, or NULL: everything not acknowledged is produced again through it. */
void outbox_use(struct outbox *outbox, struct kafka_producer *producer, int32_t status_partition);
int32_t outbox_status_partition(const struct outbox *outbox);
/* After the commit. Never waits: what the producer has no room for stays. */
void outbox_produce(struct outbox *outbox);
void outbox_delivered(void *outbox, const struct kafka_delivery *delivery); /* for kafka_producer_poll */
void outbox_forget(struct outbox *outbox); /* what is acknowledged; the journal deletes it with its next transaction */
size_t outbox_count(const struct outbox *outbox);           /* not acknowledged yet */
int64_t outbox_broker_skew_ms(const struct outbox *outbox); /* broker's append time - our clock, of the last acknowledgement */
