/*
 * Records. One that was consumed is a view of librdkafka's message and dies with it; one that kafka_record_at() found is a copy, because the handle
 * that read it is closed again soon.
 *
 * Headers come from outside: names and values are looked at only as far as the limits below, and a value that is not plain text is
 * never given out as text.
 */
#include "base/base64.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "kafka/consumer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_TEXT_MAX = 1024, HEADER_RAW_MAX = 4096, HEADER_NAME_MAX = 64, HEADERS_KEPT_MAX = 64 };

struct copy {
    char *topic;
    void *key, *value;
    struct facts headers; /* as kafka_headers() gives them */
};

void kafka_record_fill(struct kafka_record *out, rd_kafka_message_t *message)
{
    *out = (struct kafka_record){
        .topic = rd_kafka_topic_name(message->rkt),
        .partition = message->partition,
        .offset = message->offset,
        .timestamp_ms = rd_kafka_message_timestamp(message, NULL),
        .key = message->key,
        .key_len = message->key_len,
        .value = message->payload,
        .value_len = message->len,
        .handle_ = message,
    };
}

static void copy_free(struct copy *copy)
{
    if (!copy)
        return;
    free(copy->topic);
    free(copy->key);
    free(copy->value);
    facts_clear(&copy->headers);
    free(copy);
}
DEFINE_FREEP(struct copy, copy_free)

/* Absent stays absent, and empty stays empty. */
static bool duplicate(const void *data, size_t len, void **out)
{
    *out = data ? malloc(len ? len : 1) : NULL;
    if (*out)
        memcpy(*out, data, len);
    return *out || !data;
}

int kafka_record_copy(const rd_kafka_message_t *message, struct kafka_record *out, struct err *err)
{
    CLEANUP(copy_freep) struct copy *copy = calloc(1, sizeof *copy);
    struct kafka_record record;

    kafka_record_fill(&record, (rd_kafka_message_t *)message);
    if (!copy || !(copy->topic = strdup(record.topic)) || !duplicate(record.key, record.key_len, &copy->key) ||
        !duplicate(record.value, record.value_len, &copy->value))
        return err_memory(err, "kafka record");
    if (kafka_headers(&record, &copy->headers, err) < 0)
        return -1;
    record.topic = copy->topic;
    record.key = copy->key;
    record.value = copy->value;
    record.handle_ = NULL;
    record.copy_ = TAKE_PTR(copy);
    *out = record;
    return 0;
}

void kafka_records_free(struct kafka_record *records, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (records[i].handle_)
            rd_kafka_message_destroy(records[i].handle_);
        copy_free(records[i].copy_);
        records[i] = (struct kafka_record){0};
    }
}

/* UTF-8 is for the reader of a name or text to judge; a control character or a NUL inside is never text here. */
static bool is_text(const char *value, size_t len, size_t max)
{
    if (!value || len > max)
        return false;
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)value[i] < 0x20 || value[i] == 0x7f)
            return false;
    }
    return true;
}

const char *kafka_header(const struct kafka_record *record, const char *name)
{
    const struct copy *copy = record->copy_;
    rd_kafka_headers_t *headers;
    const void *value;
    size_t len;

    if (copy) {
        value = facts_get(&copy->headers, name);
        return value && strlen(value) <= HEADER_TEXT_MAX ? value : NULL;
    }
    /* librdkafka keeps a NUL behind each value. */
    if (!record->handle_ || rd_kafka_message_headers(record->handle_, &headers) ||
        rd_kafka_header_get_last(headers, name, &value, &len))
        return NULL;
    return is_text(value, len, HEADER_TEXT_MAX) ? value : NULL;
}

void kafka_headers_pick(const struct kafka_record *record, const char *const names[], size_t count, const char *out[])
{
    rd_kafka_headers_t *headers;
    const char *name;
    const void *value;
    size_t len;

    for (size_t i = 0; i < count; i++)
        out[i] = record->copy_ ? kafka_header(record, names[i]) : NULL;
    if (record->copy_ || !record->handle_ || rd_kafka_message_headers(record->handle_, &headers))
        return;
    for (size_t at = 0; !rd_kafka_header_get_all(headers, at, &name, &value, &len); at++)
        for (size_t i = 0; i < count; i++)
            if (strcmp(name, names[i]) == 0)
                out[i] = is_text(value, len, HEADER_TEXT_MAX) ? value : NULL;
}

/* A value that is no text, or a name that is none, is kept for people as far as the limits go. */
static int keep_header(struct facts *out, size_t index, const char *name, const void *value, size_t len, struct err *err)
{
    char encoded[BASE64_TEXT(HEADER_RAW_MAX)];
    char key[HEADER_NAME_MAX + 16];

    if (is_text(name, strlen(name), HEADER_NAME_MAX))
        snprintf(key, sizeof key, "%s", name);
    else
        snprintf(key, sizeof key, "header %zu", index);
    if (is_text(value, len, HEADER_RAW_MAX))
        return facts_set(out, key, value, err);
    strcat(key, ";base64");
    base64_encode(value ? value : "",
                  value && len < HEADER_RAW_MAX ? len
                  : value                       ? HEADER_RAW_MAX
                                                : 0,
                  encoded, sizeof encoded);
    return facts_set(out, key, encoded, err);
}

int kafka_headers(const struct kafka_record *record, struct facts *out, struct err *err)
{
    const struct copy *copy = record->copy_;
    rd_kafka_headers_t *headers;
    const char *name;
    const void *value;
    size_t len;

    if (copy)
        return facts_copy(out, &copy->headers, err);
    if (!record->handle_ || rd_kafka_message_headers(record->handle_, &headers))
        return 0;
    for (size_t i = 0; i < HEADERS_KEPT_MAX && !rd_kafka_header_get_all(headers, i, &name, &value, &len); i++) {
        if (keep_header(out, i, name, value, len, err) < 0)
            return -1;
    }
    return 0;
}
