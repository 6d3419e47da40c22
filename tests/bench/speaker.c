#include "bench/speaker.h"

#include "base/err.h"
#include "crypto/mac.h"
#include "kafka/kafka.h"
#include "wire/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct speaker {
    struct wire *wire;
    struct mac *mac;
    struct kafka_producer *producer;
    unsigned char master[KEY_BYTES];
    char term[24];
    struct key_ring leader, host;
    char host_name[64]; /* whose ring `host` is */
};

enum { CLOSE_MS = 60000 };

static void die(const char *what, const struct err *err)
{
    fprintf(stderr, "bench: %s: %s\n", what, err->text);
    exit(1);
}

static void derive(struct speaker *speaker, const char *host, struct key_ring *out)
{
    struct err err = {0};

    *out = (struct key_ring){.items = {{.generation = 1}}, .count = 1};
    if (key_derive_host(speaker->master, 1, host, out->items[0].key, &err) < 0)
        die("key", &err);
}

struct speaker *speaker_open(const struct kafka_options *kafka, const unsigned char master[KEY_BYTES], int64_t term)
{
    struct speaker *speaker = calloc(1, sizeof *speaker);
    struct err err = {0};

    if (!speaker || wire_new(&speaker->wire, &err) < 0 || mac_new(&speaker->mac, &err) < 0 ||
        kafka_producer_open(kafka, &speaker->producer, &err) < 0)
        die("open", &err);
    memcpy(speaker->master, master, KEY_BYTES);
    snprintf(speaker->term, sizeof speaker->term, "%lld", (long long)term);
    derive(speaker, "", &speaker->leader);
    return speaker;
}

void speaker_close(struct speaker *speaker)
{
    kafka_producer_close(speaker->producer, CLOSE_MS);
    mac_free(speaker->mac);
    wire_free(speaker->wire);
    free(speaker);
}

static const struct key_ring *ring_of(struct speaker *speaker, const char *host)
{
    if (!host)
        return &speaker->leader;
    if (strcmp(speaker->host_name, host) != 0) {
        derive(speaker, host, &speaker->host);
        snprintf(speaker->host_name, sizeof speaker->host_name, "%s", host);
    }
    return &speaker->host;
}

void speaker_say(struct speaker *speaker, const struct speech *speech)
{
    struct err err = {0};
    const unsigned char *value;
    char mac[MAC_TEXT];
    size_t len, count = 0, key_len = strlen(speech->key);
    struct kafka_header headers[KAFKA_HEADERS_MAX];

    if (wire_encode(speaker->wire, speech->type, speech->record, &value, &len, &err) < 0)
        die("encode", &err);
    struct mac_input input = {.topic = topic_table[speech->topic].name,
                              .key = speech->key,
                              .key_len = key_len,
                              .value = value,
                              .value_len = len,
                              .fs_host = speech->host,
                              .fs_term = speech->host ? NULL : speaker->term,
                              .fs_job = speech->job};
    if (mac_sign(speaker->mac, ring_of(speaker, speech->host), &input, mac, &err) < 0)
        die("sign", &err);
    headers[count++] = speech->host ? (struct kafka_header){"fs-host", speech->host}
                                    : (struct kafka_header){"fs-term", speaker->term};
    if (speech->job)
        headers[count++] = (struct kafka_header){"fs-job", speech->job};
    headers[count++] = (struct kafka_header){"fs-mac", mac};
    while (kafka_produce(speaker->producer, input.topic, speech->partition, speech->key, key_len, value, len, headers,
                         count, 0, &err) < 0)
        speaker_wait(speaker, 1);
}

void speaker_wait(struct speaker *speaker, int ms)
{
    kafka_producer_poll(speaker->producer, ms, NULL, NULL);
}
