#pragma once
/* A whole topic read by the command itself: all partitions, from where it is told, to where they end now or for ever. Belongs to one thread. */
#include <stdbool.h>
#include <stdint.h>

struct err;
struct kafka_options;
struct kafka_record;
struct topic_reader;

enum { TOPIC_FROM_BEGINNING = 0, TOPIC_FROM_END = -1 };

/* Of one record, in the order of its partition; -1 ends the reading. */
typedef int topic_visit(void *context, const struct kafka_record *record, struct err *err);

/* since_ms: append time of the first record that counts, or TOPIC_FROM_*. Blocks; ERR_RETRY when Kafka does not answer for 30 s. `kafka` outlives it. */
int topic_reader_open(const struct kafka_options *kafka, const char *topic, int64_t since_ms, struct topic_reader **out,
                      struct err *err);
void topic_reader_close(struct topic_reader *reader); /* NULL is fine */
/* The offset that comes next in a partition: at first, where it begins (KAFKA_FROM_END: not known yet). False: there is no such partition. */
bool topic_reader_next(const struct topic_reader *reader, int32_t partition, int64_t *out);
/* All that is there now. Blocks; ERR_RETRY when Kafka says nothing for 30 s. */
int topic_reader_catch_up(struct topic_reader *reader, topic_visit *visit, void *context, struct err *err);
/* What has come; waits at most wait_ms for the first. Returns how many, or -1. */
int topic_reader_poll(struct topic_reader *reader, int wait_ms, topic_visit *visit, void *context, struct err *err);
