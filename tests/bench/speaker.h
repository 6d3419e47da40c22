#pragma once
/* Writes signed records as the leader and as hosts write them. One thread. Errors end the program: it is a bench. */
#include "crypto/keys.h"
#include "model/topics.h"

#include <stdint.h>

struct kafka_options;
struct record_type;
struct speaker;

struct speaker *speaker_open(const struct kafka_options *kafka, const unsigned char master[KEY_BYTES], int64_t term);
void speaker_close(struct speaker *speaker); /* when Kafka has it all */

struct speech {
    enum topic topic;
    int32_t partition; /* -1: by the key */
    const char *key;
    const struct record_type *type;
    const void *record;
    const char *host; /* NULL: the leader says it */
    const char *job;
};
void speaker_say(struct speaker *speaker, const struct speech *speech);
void speaker_wait(struct speaker *speaker, int ms); /* serves the producer for so long */
