#pragma once
/*
 * Jobs as they come from Kafka: what is another host's is skipped undecoded, what does not verify or cannot be read becomes a dead letter, the rest is a job. Keeps the position.
 * The loop's thread.
 */
#include "model/job.h"
#include "worker/journal.h"

struct job_source;
struct kafka_consumer;
struct kafka_record;
struct key_ring;
struct wire;

struct job_source_setup { /* all outlive the source */
    const char *host;
    const struct key_ring *keys;
    struct wire *wire;
};

enum receipt_kind { RECEIPT_FOREIGN, RECEIPT_DEAD, RECEIPT_JOB };

struct receipt {
    enum receipt_kind kind;
    const struct kafka_record *record; /* until job_source_release */
    struct job *job;                   /* RECEIPT_JOB: the caller's */
    const char *traceparent;           /* NULL: none */
    char reason[512];                  /* RECEIPT_DEAD */
};

int job_source_open(const struct job_source_setup *setup, struct job_source **out, struct err *err);
void job_source_close(struct job_source *source); /* and its consumer; NULL is fine */
void job_source_use(struct job_source *source, struct kafka_consumer *consumer,
                    const struct position *position); /* takes the consumer; an old one is closed; NULL: none */
bool job_source_ready(const struct job_source *source);
int job_source_fd(const struct job_source *source); /* -1: none */
void job_source_pause(struct job_source *source, bool paused);
bool job_source_paused(const struct job_source *source);
/* What has come, without waiting; 0 … max. ERR_CONFLICT: the position is out of range. */
int job_source_take(struct job_source *source, struct err *err);
void job_source_read(struct job_source *source, int index, struct receipt *out); /* and moves the position behind it */
void job_source_release(struct job_source *source);
const struct position *job_source_position(const struct job_source *source);
void job_source_commit(struct job_source *source); /* to Kafka, for lag monitoring */
int64_t job_source_heard_ms(
    const struct job_source *source); /* monotonic: when the last record came, or the consumer was opened */
