/*
 * Records of a topic as they are, for tests of what is not believed: shown, sent once more, forged.
 *
 *   kafka_record list TOPIC                          one JSON object per line: partition, offset, key, headers, size
 *   kafka_record put TOPIC PARTITION [OPTION...]     value from standard input
 *   kafka_record again TOPIC PARTITION OFFSET [OPTION...]
 *   kafka_record deploy TOKEN EVENT [OPTION...]      EVENT: JSON of a deploy event; signed as the bearer of TOKEN would
 *   kafka_record request TOKEN REQUEST [OPTION...]   the same of a request
 *   kafka_record status KEY_FILE EVENT               EVENT: JSON of a status event; signed as its host would, whose key file it is
 *
 * Options: --key TEXT, --header NAME=VALUE (again: replaces the one of that name), --to PARTITION, --tombstone (put: no value).
 * Brokers are in FLEETSNAP_KAFKA.
 */
#include "base/err.h"
#include "base/facts.h"
#include "crypto/keys.h"
#include "crypto/mac.h"
#include "kafka/kafka.h"
#include "model/request.h"
#include "model/status.h"
#include "wire/wire.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 64, WAIT_MS = 20000, VALUE_MAX = 1 << 20 };

struct asked {
    const char *topic;
    int32_t partition, to;
    int64_t offset;
    const char *key;
    bool tombstone;
    struct facts headers;
};

static struct kafka_options options;

static int give_up(const struct err *err)
{
    fprintf(stderr, "kafka_record: %s\n", err->text);
    return 1;
}

/* ---- list ---- */

static void print_record(const struct kafka_record *record)
{
    struct facts headers = {0};
    struct err err = {0};
    json_t *map = json_object();

    if (kafka_headers(record, &headers, &err) == 0)
        for (size_t i = 0; i < headers.count; i++)
            json_object_set_new(map, headers.items[i].key, json_string(headers.items[i].value));
    json_t *key = record->key ? json_stringn(record->key, record->key_len) : NULL; /* NULL too for what is no text */
    json_t *line = json_pack("{s:i, s:I, s:o, s:I, s:b, s:o}", "partition", (int)record->partition, "offset",
                             (json_int_t)record->offset, "key", key ? key : json_null(), "size",
                             (json_int_t)record->value_len, "tombstone", !record->value, "headers", map);
    json_dumpf(line, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(line);
    facts_clear(&headers);
}

static int list_partition(struct kafka_consumer *consumer, const char *topic, int32_t partition, struct err *err)
{
    struct kafka_record records[BATCH];
    int64_t low, high, next;

    if (kafka_watermarks(consumer, topic, partition, &low, &high, WAIT_MS, err) < 0)
        return -1;
    if (low < high && kafka_consumer_assign(consumer, topic, partition, KAFKA_FROM_BEGINNING, err) < 0)
        return -1;
    for (next = low; next < high;) {
        int count = kafka_consume(consumer, WAIT_MS, records, BATCH, err);
        if (count <= 0)
            return count < 0 ? -1 : err_set(err, ERR_RETRY, "%s: the broker does not answer", topic);
        for (int i = 0; i < count; i++) {
            if (records[i].partition == partition && records[i].offset < high)
                print_record(&records[i]);
            next = records[i].partition == partition ? records[i].offset + 1 : next;
        }
        kafka_records_free(records, (size_t)count);
    }
    return 0;
}

static int list(const struct asked *request)
{
    struct kafka_consumer *consumer = NULL;
    struct err err = {0};
    int32_t partitions = 0;
    int failed = kafka_partition_count(&options, request->topic, WAIT_MS, &partitions, &err);

    for (int32_t i = 0; failed == 0 && i < partitions; i++) {
        failed = kafka_consumer_open(&options, NULL, &consumer, &err);
        if (failed == 0)
            failed = list_partition(consumer, request->topic, i, &err);
        kafka_consumer_close(consumer);
        consumer = NULL;
    }
    return failed < 0 ? give_up(&err) : 0;
}

/* ---- put, again ---- */

static void delivered(void *context, const struct kafka_delivery *delivery)
{
    if (delivery->error)
        fprintf(stderr, "kafka_record: %s\n", delivery->error_text);
    else
        printf("{\"partition\": %d, \"offset\": %lld}\n", delivery->partition, (long long)delivery->offset);
    *(int *)context = delivery->error ? 1 : 0;
}

static int send_it(const struct asked *request, int32_t partition, const void *key, size_t key_len, const void *value,
                   size_t value_len)
{
    struct kafka_header headers[KAFKA_HEADERS_MAX];
    struct kafka_producer *producer = NULL;
    struct err err = {0};
    size_t count = 0;
    int result = 1;

    for (; count < request->headers.count && count < KAFKA_HEADERS_MAX; count++)
        headers[count] = (struct kafka_header){request->headers.items[count].key, request->headers.items[count].value};
    if (kafka_producer_open(&options, &producer, &err) < 0 ||
        kafka_produce(producer, request->topic, partition, key, key_len, value, value_len, headers, count, 0, &err) < 0) {
        kafka_producer_close(producer, 0);
        return give_up(&err);
    }
    kafka_producer_poll(producer, WAIT_MS, delivered, &result);
    kafka_producer_close(producer, 1000);
    return result;
}

static int put(const struct asked *request)
{
    static char value[VALUE_MAX];
    size_t len = request->tombstone ? 0 : fread(value, 1, sizeof value, stdin);

    return send_it(request, request->partition, request->key, request->key ? strlen(request->key) : 0,
                   request->tombstone ? NULL : value, len);
}

/* The headers of the record, with those of the command line in their place. */
static int merge_headers(const struct kafka_record *record, struct asked *request, struct err *err)
{
    struct facts merged = {0};

    if (kafka_headers(record, &merged, err) < 0 || facts_merge(&merged, &request->headers, err) < 0)
        return -1;
    facts_clear(&request->headers);
    request->headers = merged;
    return 0;
}

static int again(struct asked *request)
{
    struct kafka_consumer *consumer = NULL;
    struct kafka_record record;
    struct err err = {0};
    bool found = false;
    int result;

    if (kafka_consumer_open(&options, NULL, &consumer, &err) < 0 ||
        kafka_record_at(consumer, request->topic, request->partition, request->offset, &record, &found, WAIT_MS, &err) <
            0)
        return kafka_consumer_close(consumer), give_up(&err);
    if (!found)
        err_set(&err, ERR_PERMANENT, "%s: no record %lld in partition %d", request->topic, (long long)request->offset,
                request->partition);
    if (!found || merge_headers(&record, request, &err) < 0)
        return give_up(&err);
    result = send_it(request, request->to < 0 ? request->partition : request->to,
                     request->key ? request->key : record.key, request->key ? strlen(request->key) : record.key_len,
                     record.value, record.value_len);
    kafka_records_free(&record, 1);
    kafka_consumer_close(consumer);
    return result;
}

/* ---- deploy, request, status ---- */

/* host, job: NULL for what is no host's. */
static int sign(struct asked *request, const struct key_ring *ring, const char *host, const char *job,
                const void *value, size_t len, struct err *err)
{
    const struct mac_input input = {.topic = request->topic,
                                    .key = request->key,
                                    .key_len = strlen(request->key),
                                    .value = value,
                                    .value_len = len,
                                    .fs_host = host,
                                    .fs_job = job};
    char text[MAC_TEXT];
    struct mac *mac = NULL;

    if ((host && facts_set(&request->headers, "fs-host", host, err) < 0) ||
        (job && facts_set(&request->headers, "fs-job", job, err) < 0) || mac_new(&mac, err) < 0)
        return -1;
    int result = mac_sign(mac, ring, &input, text, err);
    mac_free(mac);
    return result < 0 ? -1 : facts_set(&request->headers, "fs-mac", text, err);
}

static int send_signed(struct asked *request, int32_t partition, const struct key_ring *ring, const char *host,
                       const char *job, const struct record_type *type, const void *record)
{
    const unsigned char *value;
    struct wire *wire = NULL;
    size_t len;
    struct err err = {0};

    wire_init();
    if (wire_new(&wire, &err) < 0 || wire_encode(wire, type, record, &value, &len, &err) < 0 ||
        sign(request, ring, host, job, value, len, &err) < 0)
        return wire_free(wire), give_up(&err);
    int result = send_it(request, partition, request->key, strlen(request->key), value, len);
    wire_free(wire);
    return result;
}

static int send_by_bearer(struct asked *request, const char *token, const struct record_type *type, const void *record)
{
    struct key_ring ring = {.items = {{.generation = 1}}, .count = 1};
    struct err err = {0};

    request->key = request->key ? request->key : "e2e";
    if (key_derive((const unsigned char *)token, strlen(token), "fleetsnap/request", ring.items[0].key, &err) < 0)
        return give_up(&err);
    return send_signed(request, 0, &ring, NULL, NULL, type, record);
}

static int deploy(struct asked *request, const char *token, const char *json)
{
    CLEANUP(deploy_event_clear) struct deploy_event event = {0};
    struct err err = {0};

    request->topic = "fleetsnap.deploys";
    if (record_from_json_lenient(&deploy_event_record, &event, json, strlen(json), &err) < 0)
        return give_up(&err);
    return send_by_bearer(request, token, &deploy_event_record, &event);
}

static int ask(struct asked *request, const char *token, const char *json)
{
    CLEANUP(request_clear) struct request asked = {0};
    struct err err = {0};

    request->topic = "fleetsnap.requests";
    if (record_from_json_lenient(&request_record, &asked, json, strlen(json), &err) < 0)
        return give_up(&err);
    return send_by_bearer(request, token, &request_record, &asked);
}

static int say(struct asked *request, const char *key_file, const char *json)
{
    CLEANUP(status_clear) struct status event = {0};
    struct key_ring ring;
    int32_t partitions;
    struct err err = {0};

    request->topic = "fleetsnap.status";
    if (record_from_json_lenient(&status_record, &event, json, strlen(json), &err) < 0 ||
        key_ring_load(key_file, &ring, &err) < 0 ||
        kafka_partition_count(&options, request->topic, WAIT_MS, &partitions, &err) < 0)
        return give_up(&err);
    request->key = event.job_id;
    return send_signed(request, kafka_partition_of(event.host, strlen(event.host), partitions), &ring, event.host,
                       event.job_id, &status_record, &event);
}

/* ---- command line ---- */

static int usage(void)
{
    fputs("usage: kafka_record list TOPIC | put TOPIC PARTITION | again TOPIC PARTITION OFFSET"
          "     | deploy TOKEN EVENT | request TOKEN REQUEST | status KEY_FILE EVENT\n"
          "       [--key TEXT] [--header NAME=VALUE]... [--to PARTITION] [--tombstone]\n",
          stderr);
    return 2;
}

static int add_header(struct asked *request, const char *text)
{
    const char *equals = text ? strchr(text, '=') : NULL;
    char name[64];
    struct err err = {0};

    if (!equals)
        return -1;
    snprintf(name, sizeof name, "%.*s", (int)(equals - text), text);
    return facts_set(&request->headers, name, equals + 1, &err);
}

static int read_options(struct asked *request, char **words)
{
    for (; *words; words++) {
        if (strcmp(*words, "--tombstone") == 0)
            request->tombstone = true;
        else if (strcmp(*words, "--key") == 0 && words[1])
            request->key = *++words;
        else if (strcmp(*words, "--to") == 0 && words[1])
            request->to = atoi(*++words);
        else if (strcmp(*words, "--header") != 0 || add_header(request, *++words) < 0)
            return -1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct asked request = {.to = -1};
    const char *what = argc > 2 ? argv[1] : "";
    bool deploys = strcmp(what, "deploy") == 0, asks = strcmp(what, "request") == 0, says = strcmp(what, "status") == 0;
    int words = strcmp(what, "list") == 0    ? 3
                : strcmp(what, "put") == 0   ? 4
                : strcmp(what, "again") == 0 ? 5
                : deploys || asks || says    ? 4
                                             : 0;

    options = (struct kafka_options){
        .brokers = getenv("FLEETSNAP_KAFKA"), .client_id = "kafka_record", .fetch_wait_ms = 200};
    if (!words || argc < words || !options.brokers || read_options(&request, argv + words) < 0)
        return usage();
    if (deploys || asks || says) {
        int sent = (deploys ? deploy : asks ? ask : say)(&request, argv[2], argv[3]);
        facts_clear(&request.headers);
        return sent;
    }
    request.topic = argv[2];
    request.partition = words > 3 ? atoi(argv[3]) : 0;
    request.offset = words > 4 ? atoll(argv[4]) : 0;
    int result = words == 3 ? list(&request) : words == 4 ? put(&request) : again(&request);
    facts_clear(&request.headers);
    return result;
}
