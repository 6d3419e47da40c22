#pragma once
/*
 * The audit topic: one partition, each record carries the SHA-256 of the value of the one before, so that nothing can be taken out or changed unseen. Written by the leader,
 * from the main loop. A new leader reads the end of the topic first.
 */
#include "model/audit.h"

struct audit_chain;
struct err;
struct kafka_options;
struct publisher;

struct audit_chain {
    int64_t seq;       /* of the last record */
    char previous[65]; /* its hash; "" for the first */
};

/* Reads the newest record of the topic. Blocks for up to some seconds. */
int audit_resume(struct audit_chain *chain, const struct kafka_options *kafka, struct err *err);
/* Fills seq, at and previous and sends it; the record's other fields are the caller's. `opaque` comes back with the delivery report. */
int audit_append(struct audit_chain *chain, struct publisher *publisher, struct audit *record, uint64_t opaque,
                 struct err *err);
