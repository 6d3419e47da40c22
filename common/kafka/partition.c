/*
 * Kafka's default partitioner. The number must be the same in every client ever written for Kafka, so this is the Java client's murmur2
 * (org.apache.kafka.common.utils.Utils) bit for bit, seed included; the test holds it to that client's own vectors.
 */
#include "kafka/kafka.h"

#include <assert.h>

static uint32_t mix(uint32_t value)
{
    value *= 0x5bd1e995;
    value ^= value >> 24;
    return value * 0x5bd1e995;
}

static uint32_t murmur2(const unsigned char *data, size_t len)
{
    uint32_t hash = 0x9747b28c ^ (uint32_t)len;

    for (; len >= 4; data += 4, len -= 4) {
        uint32_t word = data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
        hash = hash * 0x5bd1e995 ^ mix(word);
    }
    if (len > 0) {
        for (size_t i = 0; i < len; i++)
            hash ^= (uint32_t)data[i] << (8 * i);
        hash *= 0x5bd1e995;
    }
    hash ^= hash >> 13;
    hash *= 0x5bd1e995;
    return hash ^ hash >> 15;
}

int32_t kafka_partition_of(const char *key, size_t len, int32_t partitions)
{
    assert(partitions > 0);
    return (int32_t)(murmur2((const unsigned char *)key, len) & 0x7fffffff) % partitions;
}
