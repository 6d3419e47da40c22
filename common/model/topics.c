#include "model/topics.h"

#define DAYS_MS(days) ((int64_t)(days)*24 * 3600 * 1000)

enum {
    JOB_MAX = 64 * 1024,
    VALUE_MAX = 1024 * 1024,
    LETTER_MAX = VALUE_MAX + 128 * 1024 /* a value, its key and headers, and why */
};

const struct topic_info topic_table[TOPIC_COUNT] = {
    /* name, partitions, dev, retention, compacted, max */
    [TOPIC_JOBS] = {"fleetsnap.jobs", 512, 8, DAYS_MS(14), 0, JOB_MAX},
    [TOPIC_STATUS] = {"fleetsnap.status", 64, 4, DAYS_MS(30), 0, VALUE_MAX},
    [TOPIC_LEDGER] = {"fleetsnap.ledger", 1, 1, -1, 1, VALUE_MAX},
    [TOPIC_CATALOG] = {"fleetsnap.catalog", 16, 1, -1, 1, VALUE_MAX},
    [TOPIC_INVENTORY] = {"fleetsnap.inventory", 16, 1, -1, 1, VALUE_MAX},
    [TOPIC_REQUESTS] = {"fleetsnap.requests", 4, 1, DAYS_MS(7), 0, VALUE_MAX},
    [TOPIC_DEPLOYS] = {"fleetsnap.deploys", 4, 1, DAYS_MS(7), 0, VALUE_MAX},
    [TOPIC_AUDIT] = {"fleetsnap.audit", 1, 1, DAYS_MS(400), 0, VALUE_MAX},
    [TOPIC_DLQ] = {"fleetsnap.dlq", 4, 1, DAYS_MS(30), 0, LETTER_MAX},
};
