#pragma once
/*
 * What others tell the loop, turned into changes of memory and journal, in the turn's transaction. One function per teller; none waits. -1: the journal could not be written, the
 * turn must not be committed.
 */
struct err;
struct worker;

int hear_threads(struct worker *worker, struct err *err);               /* executors, keeper, surveyor, kafka-link */
int hear_redis(struct worker *worker, short happened, struct err *err); /* answers to acquire and finish; the epoch */
void hear_deliveries(struct worker *worker);            /* what Kafka has acknowledged leaves the outbox */
int hear_kafka(struct worker *worker, struct err *err); /* new jobs; their records live until job_source_release */
