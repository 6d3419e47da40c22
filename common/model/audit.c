#include "model/audit.h"

#include "model/fields.h"

enum { VALUE_MAX = 1024 * 1024 };

static const struct field audit_fields[] = {
    INT(audit, seq),
    TIME(audit, at),
    STRING(audit, who, .max = 256),
    STRING(audit, from, OPTIONAL, .max = 256),
    STRING(audit, action, .max = 64),
    STRING(audit, subject, OPTIONAL, .max = 1024),
    STRING(audit, reason, OPTIONAL),
    STRING(audit, outcome, .max = 1024),
    MAP(audit, details, OPTIONAL, .max = 256),
    STRING(audit, previous, OPTIONAL, .max = 64),
    {0},
};
const struct record_type audit_record = {"audit", sizeof(struct audit), audit_fields};

static const struct field dead_letter_fields[] = {
    STRING(dead_letter, topic, .max = 255),
    INT(dead_letter, partition),
    INT(dead_letter, offset),
    TIME(dead_letter, at),
    BYTES(dead_letter, key, OPTIONAL, .max = 64 * 1024),
    BYTES(dead_letter, value, OPTIONAL, .max = VALUE_MAX),
    MAP(dead_letter, headers, OPTIONAL, .max = 64),
    STRING(dead_letter, reason),
    STRING(dead_letter, by, .max = 63),
    {0},
};
const struct record_type dead_letter_record = {"dead_letter", sizeof(struct dead_letter), dead_letter_fields};
