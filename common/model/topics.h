#pragma once
/* The topics: one table says name, settings and limits; `fleetsnap topic init` creates from it, everyone's limits follow from it. design.md "Topics". */
#include <stddef.h>
#include <stdint.h>

enum topic {
    TOPIC_JOBS,
    TOPIC_STATUS,
    TOPIC_LEDGER,
    TOPIC_CATALOG,
    TOPIC_INVENTORY,
    TOPIC_REQUESTS,
    TOPIC_DEPLOYS,
    TOPIC_AUDIT,
    TOPIC_DLQ,
    TOPIC_COUNT
};

struct topic_info {
    const char *name; /* "fleetsnap.jobs" */
    int partitions, partitions_dev;
    int64_t retention_ms; /* -1: compacted, not deleted */
    int compacted;
    size_t max_bytes; /* of a value that we read or write */
};

extern const struct topic_info topic_table[TOPIC_COUNT];
