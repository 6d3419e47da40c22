#pragma once
/*
 * The audit topic, read from its beginning and proven: every record names the hash of the one before it. No coordinator is asked: what checks its records must not depend on it.
 */
#include "model/audit.h"

#include <stdint.h>

struct err;
struct kafka_options;

/* What was seen so far; zeroed before the first record. */
struct audit_proof {
    int64_t records, first_seq, last_seq;
    int64_t term;      /* the newest leadership that wrote */
    int64_t overtaken; /* records that a leader wrote after the next one had begun: no part of the chain */
    char previous[65]; /* SHA-256 of the last record's value, hex */
};

/* Pure. The next record, with its value's bytes and the term in its header. ERR_CONFLICT: the chain is broken here, and why. */
int audit_prove(struct audit_proof *proof, const struct audit *record, const void *value, size_t len, int64_t term,
                struct err *err);

/* Told of each record in order; `err` is what is wrong with it, or NULL. */
typedef void audit_visit(void *context, const struct audit *record, const struct err *wrong);

/*
 * Reads what is there now, all of it; *out_broken: how many records do not follow from the one before, cannot be read, or are missing between two others. Blocks; ERR_RETRY
 * when Kafka says nothing for 30 s.
 */
int audit_log_read(const struct kafka_options *kafka, struct audit_proof *proof, int64_t *out_broken,
                   audit_visit *visit, void *context, struct err *err);
