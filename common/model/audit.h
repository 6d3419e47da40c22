#pragma once
/* Who asked for what, from where, why; refusals and confirmations. Each record carries the hash of the one before (topic fleetsnap.audit). */
#include "model/record.h"

struct audit {
    int64_t seq, at_ms;
    char *who, *from; /* token name; address */
    char *action;     /* "job.submit", "job.cancel", "token.put", "host.put", … */
    char *subject;
    char *reason;
    char *outcome; /* allowed, refused: why */
    struct facts details;
    char *previous; /* SHA-256 of the value bytes of the record before */
};

struct dead_letter {
    char *topic;
    int64_t partition, offset, at_ms;
    struct bytes key, value;
    struct facts headers; /* printable; others as base64 with key "name;base64" */
    char *reason;
    char *by; /* host id, or "coordinator" */
};

extern const struct record_type audit_record, dead_letter_record;
DEFINE_RECORD(audit, audit_record)
DEFINE_RECORD(dead_letter, dead_letter_record)
