#pragma once
/* The topics, read for a history: from where they begin now to where they end. What does not verify is left out, and counted. Reads only. */
#include "crypto/keys.h"

#include <stdint.h>

struct err;
struct history;
struct kafka_options;

struct history_reading {
    const char *topic; /* that is being read; NULL: none any more */
    int64_t records;   /* in all, so far */
    int64_t doubted;   /* of them that are not believed */
};

/* Now and then, on the caller's thread; -1 ends the reading. */
typedef int history_progress(void *context, const struct history_reading *reading, struct err *err);

/* Feeds the history, and ends it. Blocks; ERR_RETRY when Kafka says nothing for 30 s. */
int history_read(const struct kafka_options *kafka, const unsigned char master[KEY_BYTES], struct history *history,
                 struct history_reading *out, history_progress *progress, void *context, struct err *err);
