#pragma once
/* Puts what happens to a job into words for Kafka: status events, catalog records, dead letters. Writes outbox rows in the turn's transaction. The loop's thread. */
#include "worker/work.h"

struct kafka_record;
struct outbox;
struct record_type;
struct wire;

struct teller {
    struct wire *wire;
    struct outbox *outbox;
    const char *host, *journal;
};

struct telling { /* what a status event says beside the job's own state; zero: nothing */
    const struct err *error;
    const struct job_result *result;
    const char *resolved, *note;
    int64_t done, total;
    const char *phase;
    int64_t after; /* outbox seq of the job's last catalog record */
};

/* Encodes work's state with its seq and adds it to the outbox. *out_value points into the wire object (may be NULL): valid until the next encoding. */
int tell_status(const struct teller *teller, const struct work *work, const struct telling *telling,
                const unsigned char **out_value, size_t *out_len, struct err *err);
/* A status value that was told before, word for word. */
int tell_again(const struct teller *teller, const char *job_id, const char *traceparent, const void *value, size_t len,
               struct err *err);
/* PARKED once more, with what a person decided: the last event's error and result, a new seq. */
int tell_resolved(const struct teller *teller, const struct work *work, const char *resolved, const void *last,
                  size_t last_len, const unsigned char **out_value, size_t *out_len, struct err *err);
/* The restore points that a job wrote or took away. *out_after: seq of the last row, 0: none. */
int tell_catalog(const struct teller *teller, const struct work *work, const struct report *report, int64_t *out_after,
                 struct err *err);
/* As wire_encode(). Others' words may be no text, or too long for their field (a tool's, a guest's, a poisoned record's): they are cut rather than not said, for what cannot be
 * encoded would stop the worker, and stop it again at each start. */
int tell_encode(struct wire *wire, const struct record_type *type, const void *record, const unsigned char **out,
                size_t *out_len, struct err *err);
int tell_dead_letter(const struct teller *teller, const struct kafka_record *record, const char *reason,
                     struct err *err);
