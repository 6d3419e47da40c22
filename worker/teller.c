#include "worker/teller.h"

#include "base/clock.h"
#include "base/err.h"
#include "kafka/kafka.h"
#include "model/audit.h"
#include "model/restore_point.h"
#include "model/status.h"
#include "wire/wire.h"
#include "worker/outbox.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEAD_KEY_MAX = 64 * 1024, DEAD_VALUE_MAX = 900 * 1024 }; /* together below the limit of the topic */

/* The event borrows from job and telling: it is encoded and forgotten. */
static struct status status_of(const struct teller *teller, const struct work *work, const struct telling *telling,
                               struct job_error *error)
{
    struct status status = {
        .job_id = work->job->job_id,
        .op = work->job->op,
        .origin = ORIGIN_WORKER,
        .seq = work->seq,
        .state = (int)work->state,
        .phase = (char *)telling->phase,
        .done = telling->done,
        .total = telling->total,
        .waiting = work->state == STATE_WAITING ? (char *)work->waiting : NULL,
        .token = work->token,
        .attempt = work->attempt,
        .host = (char *)teller->host,
        .target = work->job->target,
        .result = (struct job_result *)telling->result,
        .at_ms = clock_real_ms(),
        .accepted_at_ms = work->accepted_at_ms,
        .resolved = (char *)telling->resolved,
        .note = (char *)telling->note,
        .journal = (char *)teller->journal,
        .traceparent = work->job->traceparent,
        .started_at_ms = work->silent_since_ms,
    };

    if (telling->error && telling->error->kind != ERR_NONE) {
        *error = (struct job_error){(int)telling->error->kind, telling->error->code, (char *)telling->error->text,
                                    telling->error->hint[0] ? (char *)telling->error->hint : NULL};
        status.error = error;
    }
    return status;
}

int tell_encode(struct wire *wire, const struct record_type *type, const void *record, const unsigned char **out,
                size_t *out_len, struct err *err)
{
    struct err why = {0};

    if (wire_encode(wire, type, record, out, out_len, &why) == 0)
        return 0;
    void *copy = calloc(1, type->size);
    int failed = copy ? record_copy(type, copy, record, err) : err_memory(err, type->name);
    if (!failed && record_fit(type, copy) == 0)
        failed = (*err = why, -1);
    if (!failed)
        failed = wire_encode(wire, type, copy, out, out_len, err);
    record_free(type, copy);
    return failed;
}

/* A result that is too long for the topic says that it is cut: facts stay, what grows without bound goes. */
static int encode(const struct teller *teller, struct status *status, const unsigned char **out, size_t *out_len,
                  struct err *err)
{
    struct job_result cut;
    size_t max = topic_table[TOPIC_STATUS].max_bytes;

    if (tell_encode(teller->wire, &status_record, status, out, out_len, err) < 0)
        return -1;
    if (*out_len <= max || !status->result)
        return 0;
    cut = (struct job_result){.facts = status->result->facts,
                              .plan_digest = status->result->plan_digest,
                              .point = status->result->point,
                              .truncated = true};
    status->result = &cut;
    int failed = tell_encode(teller->wire, &status_record, status, out, out_len, err);
    status->result = NULL;
    return failed;
}

static int add_status(const struct teller *teller, const char *job_id, const char *traceparent, const void *value,
                      size_t len, int64_t after, struct err *err)
{
    struct outbox_row row = {
        .topic = TOPIC_STATUS,
        .key = job_id,
        .key_len = strlen(job_id),
        .value = value,
        .value_len = len,
        .job = job_id,
        .traceparent = traceparent,
        .after = after,
    };

    return outbox_add(teller->outbox, &row, err);
}

int tell_status(const struct teller *teller, const struct work *work, const struct telling *telling,
                const unsigned char **out_value, size_t *out_len, struct err *err)
{
    struct job_error error;
    struct status status = status_of(teller, work, telling, &error);
    const unsigned char *value;
    size_t len;

    if (encode(teller, &status, &value, &len, err) < 0)
        return err_wrap(err, "job %s: status", work->job->job_id);
    if (out_value) {
        *out_value = value;
        *out_len = len;
    }
    return add_status(teller, work->job->job_id, work->job->traceparent, value, len, telling->after, err);
}

int tell_again(const struct teller *teller, const char *job_id, const char *traceparent, const void *value, size_t len,
               struct err *err)
{
    return add_status(teller, job_id, traceparent, value, len, 0, err);
}

int tell_resolved(const struct teller *teller, const struct work *work, const char *resolved, const void *last,
                  size_t last_len, const unsigned char **out_value, size_t *out_len, struct err *err)
{
    CLEANUP(status_freep) struct status *status = calloc(1, sizeof *status);

    if (!status ||
        wire_decode(teller->wire, &status_record, last, last_len, topic_table[TOPIC_STATUS].max_bytes, status, err) < 0)
        return status ? -1 : err_memory(err, "status");
    status->seq = work->seq;
    status->at_ms = clock_real_ms();
    if (string_set(&status->resolved, resolved, err) < 0 ||
        tell_encode(teller->wire, &status_record, status, out_value, out_len, err) < 0)
        return -1;
    return add_status(teller, work->job->job_id, work->job->traceparent, *out_value, *out_len, 0, err);
}

static int tell_change(const struct teller *teller, const struct work *work, const struct catalog_change *change,
                       int64_t *out_seq, struct err *err)
{
    const char *id = change->point ? change->point->id : change->id;
    struct outbox_row row = {.topic = TOPIC_CATALOG, .key = id, .key_len = strlen(id), .job = work->job->job_id};
    char revision[24];
    const unsigned char *value;

    snprintf(revision, sizeof revision, "%" PRId64, change->revision);
    if (!change->point) {
        row.revision = revision;
    } else {
        if (tell_encode(teller->wire, &restore_point_record, change->point, &value, &row.value_len, err) < 0)
            return err_wrap(err, "job %s: catalog", work->job->job_id);
        row.value = value;
    }
    if (outbox_add(teller->outbox, &row, err) < 0)
        return -1;
    *out_seq = row.seq;
    return 0;
}

int tell_catalog(const struct teller *teller, const struct work *work, const struct report *report, int64_t *out_after,
                 struct err *err)
{
    *out_after = 0;
    for (size_t i = 0; i < report->change_count; i++)
        if (tell_change(teller, work, &report->changes[i], out_after, err) < 0)
            return -1;
    return 0;
}

int tell_dead_letter(const struct teller *teller, const struct kafka_record *record, const char *reason, struct err *err)
{
    struct dead_letter letter = {
        .topic = (char *)record->topic,
        .partition = record->partition,
        .offset = record->offset,
        .at_ms = clock_real_ms(),
        .key = {(unsigned char *)record->key, record->key_len < DEAD_KEY_MAX ? record->key_len : DEAD_KEY_MAX},
        .value = {(unsigned char *)record->value,
                  record->value_len < DEAD_VALUE_MAX ? record->value_len : DEAD_VALUE_MAX},
        .reason = (char *)reason,
        .by = (char *)teller->host,
    };
    const unsigned char *value;
    struct outbox_row row = {.topic = TOPIC_DLQ};
    int failed = kafka_headers(record, &letter.headers, err);

    if (!failed)
        failed = tell_encode(teller->wire, &dead_letter_record, &letter, &value, &row.value_len, err);
    facts_clear(&letter.headers);
    if (failed)
        return err_wrap(err, "dead letter");
    row.value = value;
    return outbox_add(teller->outbox, &row, err);
}
