/*
 * How the outbox works. Per topic there is a list of entries in the order of their seq; an entry is waiting, sent or acknowledged. Acknowledgements come in order per
 * partition, but a topic may have several: only the acknowledged head of the list is deleted from the journal (`seq <= ?`), so nothing unacknowledged is ever lost.
 * Entries that wait to be produced are also in one queue over all topics. Values are kept in memory only from the turn that wrote them to the produce after its commit;
 * when there is no room, or after a restart, they are read back from the journal. Records are signed when they are produced: a key may end while a record waits.
 *
 * While many are on their way, others gather until those have arrived: few large requests cost the broker and librdkafka less than many small ones (and 2.0 asks its socket
 * without a pause while five are not answered). A single job never waits here.
 */
#include "worker/outbox.h"

#include "base/clock.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/log.h"
#include "crypto/mac.h"
#include "kafka/kafka.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { REFUSED_MS = 5000, SHELF_BYTES = 1 << 20, MANY = 64 };
enum entry_state { ENTRY_WAITING, ENTRY_SENT, ENTRY_ACKNOWLEDGED };

struct entry {
    struct entry *next, *next_waiting;
    int64_t seq, after;
    enum topic topic;
    enum entry_state state;
    int64_t not_before_ms;  /* monotonic; 0: it was never refused by our own side */
    struct outbox_row *row; /* in the shelf, until it is produced; NULL: read from the journal */
};

struct entries {
    struct entry *first, *last;
};

/* What this turn has added: rows with their bytes behind them, until outbox_produce. */
struct shelf {
    char *data;
    size_t used;
};

struct outbox {
    struct outbox_setup setup;
    struct mac *mac;
    struct kafka_producer *producer;
    int32_t status_partition;
    struct entries topics[TOPIC_COUNT];
    struct entry *waiting_first, *waiting_last;
    size_t count, on_the_way; /* not acknowledged; with the producer */
    struct entry *spare;      /* forgotten ones, to be used again */
    struct shelf shelf;
    int64_t skew_ms;
    int64_t not_before_ms; /* monotonic: a refusal by the broker is not repeated at once */
    bool refused;          /* said so */
};

static void wait_last(struct outbox *outbox, struct entry *entry)
{
    entry->state = ENTRY_WAITING;
    entry->next_waiting = NULL;
    if (outbox->waiting_last)
        outbox->waiting_last->next_waiting = entry;
    else
        outbox->waiting_first = entry;
    outbox->waiting_last = entry;
}

static int add_entry(struct outbox *outbox, const struct outbox_row *row, struct entry **out, struct err *err)
{
    struct entries *list = &outbox->topics[row->topic];
    struct entry *entry = outbox->spare ? outbox->spare : malloc(sizeof *entry);

    if (!entry)
        return err_memory(err, "outbox");
    if (entry == outbox->spare)
        outbox->spare = entry->next;
    *entry = (struct entry){.seq = row->seq, .after = row->after, .topic = row->topic};
    if (list->last)
        list->last->next = entry;
    else
        list->first = entry;
    list->last = entry;
    wait_last(outbox, entry);
    outbox->count++;
    *out = entry;
    return 0;
}

static int found_row(void *context, const struct outbox_row *row, struct err *err)
{
    struct entry *entry;

    return add_entry(context, row, &entry, err);
}

int outbox_open(const struct outbox_setup *setup, struct outbox **out, struct err *err)
{
    struct outbox *outbox = calloc(1, sizeof *outbox);

    if (!outbox)
        return err_memory(err, "outbox");
    outbox->setup = *setup;
    if (mac_new(&outbox->mac, err) < 0 || outbox_rows(setup->journal, found_row, outbox, err) < 0) {
        outbox_close(outbox);
        return -1;
    }
    *out = outbox;
    return 0;
}

static void entries_free(struct entry *entry)
{
    for (struct entry *next; entry; entry = next) {
        next = entry->next;
        free(entry);
    }
}

void outbox_close(struct outbox *outbox)
{
    if (!outbox)
        return;
    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        entries_free(outbox->topics[topic].first);
    entries_free(outbox->spare);
    free(outbox->shelf.data);
    mac_free(outbox->mac);
    free(outbox);
}

/* Copies to *at, which moves on; NULL stays NULL. */
static const void *keep(char **at, const void *data, size_t len)
{
    if (!data)
        return NULL;
    char *copy = memcpy(*at, data, len);
    *at += len;
    return copy;
}

static size_t text_size(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

/* NULL when the shelf is full: such a row is read back from the journal. */
static struct outbox_row *shelve(struct shelf *shelf, const struct outbox_row *row)
{
    size_t job = text_size(row->job), revision = text_size(row->revision), traceparent = text_size(row->traceparent);
    size_t size = sizeof *row + row->key_len + row->value_len + job + revision + traceparent;

    size += -size % _Alignof(struct outbox_row);
    if (!shelf->data)
        shelf->data = malloc(SHELF_BYTES);
    if (!shelf->data || size > SHELF_BYTES - shelf->used)
        return NULL;
    struct outbox_row *copy = (struct outbox_row *)(void *)(shelf->data + shelf->used);
    char *at = (char *)(copy + 1);
    shelf->used += size;
    *copy = *row;
    copy->key = keep(&at, row->key, row->key_len);
    copy->value = keep(&at, row->value, row->value_len);
    copy->job = keep(&at, row->job, job);
    copy->revision = keep(&at, row->revision, revision);
    copy->traceparent = keep(&at, row->traceparent, traceparent);
    return copy;
}

int outbox_add(struct outbox *outbox, struct outbox_row *row, struct err *err)
{
    struct entry *entry;

    if (outbox_row_add(outbox->setup.journal, row, err) < 0 || add_entry(outbox, row, &entry, err) < 0)
        return -1;
    entry->row = shelve(&outbox->shelf, row);
    return 0;
}

void outbox_use(struct outbox *outbox, struct kafka_producer *producer, int32_t status_partition)
{
    outbox->producer = producer;
    outbox->status_partition = status_partition;
    outbox->waiting_first = outbox->waiting_last = NULL;
    outbox->on_the_way = 0;
    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        for (struct entry *entry = outbox->topics[topic].first; entry; entry = entry->next)
            if (entry->state != ENTRY_ACKNOWLEDGED)
                wait_last(outbox, entry);
}

int32_t outbox_status_partition(const struct outbox *outbox)
{
    return outbox->status_partition;
}

static int sign(struct outbox *outbox, const struct outbox_row *row, char out[MAC_TEXT], struct err *err)
{
    struct mac_input input = {
        .topic = topic_table[row->topic].name,
        .key = row->key,
        .key_len = row->key_len,
        .value = row->value,
        .value_len = row->value_len,
        .fs_host = outbox->setup.host,
        .fs_job = row->job,
        .fs_rev = row->revision,
    };

    return mac_sign(outbox->mac, outbox->setup.keys, &input, out, err);
}

static int produce_row(struct outbox *outbox, const struct entry *entry, const struct outbox_row *row, struct err *err)
{
    struct kafka_header headers[KAFKA_HEADERS_MAX];
    int32_t partition = row->topic == TOPIC_STATUS ? outbox->status_partition : -1;
    char mac[MAC_TEXT];
    size_t count = 0;

    if (sign(outbox, row, mac, err) < 0)
        return -1;
    headers[count++] = (struct kafka_header){"fs-host", outbox->setup.host};
    headers[count++] = (struct kafka_header){"fs-mac", mac};
    if (row->job)
        headers[count++] = (struct kafka_header){"fs-job", row->job};
    if (row->revision)
        headers[count++] = (struct kafka_header){"fs-rev", row->revision};
    if (row->traceparent)
        headers[count++] = (struct kafka_header){"traceparent", row->traceparent};
    return kafka_produce(outbox->producer, topic_table[row->topic].name, partition, row->key, row->key_len, row->value,
                         row->value_len, headers, count, (uint64_t)(uintptr_t)entry, err);
}

/* The catalog still has records up to `after` to acknowledge. */
static bool gated(const struct outbox *outbox, const struct entry *entry)
{
    const struct entry *catalog = outbox->topics[TOPIC_CATALOG].first;

    for (; catalog && catalog->state == ENTRY_ACKNOWLEDGED; catalog = catalog->next)
        ;
    return entry->after && catalog && catalog->seq <= entry->after;
}

struct reading {
    struct outbox *outbox;
    const struct entry *entry;
    bool found;
};

static int produce_read(void *context, const struct outbox_row *row, struct err *err)
{
    struct reading *reading = context;

    reading->found = true;
    return produce_row(reading->outbox, reading->entry, row, err);
}

static int produce_from_journal(struct outbox *outbox, const struct entry *entry, struct err *err)
{
    struct reading reading = {outbox, entry, false};

    if (outbox_row_read(outbox->setup.journal, entry->seq, produce_read, &reading, err) < 0)
        return -1;
    return reading.found ? 0 : err_set(err, ERR_UNKNOWN, "outbox: record %" PRId64 " is not in the journal", entry->seq);
}

static int produce_entry(struct outbox *outbox, struct entry *entry, struct err *err)
{
    crash_point("publish.before", topic_table[entry->topic].name);
    if ((entry->row ? produce_row(outbox, entry, entry->row, err) : produce_from_journal(outbox, entry, err)) < 0)
        return -1;
    crash_point("publish.after", topic_table[entry->topic].name);
    entry->row = NULL;
    entry->state = ENTRY_SENT;
    outbox->on_the_way++;
    return 0;
}

/* What is left waits in the journal alone. */
static void put_back(struct outbox *outbox, struct entry *first)
{
    while (first) {
        struct entry *next = first->next_waiting;
        first->row = NULL;
        wait_last(outbox, first);
        first = next;
    }
}

/* One that can never be sent must not keep all others. */
static void hold_back(struct outbox *outbox, struct entry *entry, const struct err *err)
{
    if (!entry->not_before_ms)
        log_error("outbox", "record %" PRId64 " of %s stays here: %s", entry->seq, topic_table[entry->topic].name,
                  err->text);
    entry->not_before_ms = clock_monotonic_ms() + REFUSED_MS;
    entry->row = NULL;
    wait_last(outbox, entry);
}

/* What has to wait goes behind, in the order in which it was. */
static void produce_waiting(struct outbox *outbox, struct entry *entry)
{
    struct err err = {0};

    for (struct entry *next; entry; entry = next) {
        next = entry->next_waiting;
        if (gated(outbox, entry) || (entry->not_before_ms && clock_monotonic_ms() < entry->not_before_ms)) {
            entry->row = NULL;
            wait_last(outbox, entry);
        } else if (produce_entry(outbox, entry, &err) < 0) {
            if (err.kind == ERR_RETRY) {
                put_back(outbox, entry);
                break;
            }
            hold_back(outbox, entry, &err);
        }
    }
}

void outbox_produce(struct outbox *outbox)
{
    struct entry *first = outbox->waiting_first;

    if (!first || outbox->on_the_way >= MANY)
        return;
    outbox->waiting_first = outbox->waiting_last = NULL;
    if (!outbox->producer || clock_monotonic_ms() < outbox->not_before_ms)
        put_back(outbox, first);
    else
        produce_waiting(outbox, first);
    outbox->shelf.used = 0;
}

void outbox_delivered(void *context, const struct kafka_delivery *delivery)
{
    struct entry *entry = (struct entry *)(uintptr_t)delivery->opaque; /* alive: only acknowledged entries are freed */
    struct outbox *outbox = context;

    outbox->on_the_way--;
    if (delivery->error == 0) {
        entry->state = ENTRY_ACKNOWLEDGED;
        outbox->refused = false;
        if (delivery->timestamp_ms > 0)
            outbox->skew_ms = delivery->timestamp_ms - clock_real_ms();
        return;
    }
    if (!outbox->refused)
        log_error("outbox", "%s: %s; tried again", topic_table[entry->topic].name, delivery->error_text);
    outbox->refused = true;
    outbox->not_before_ms = clock_monotonic_ms() + 1000;
    wait_last(outbox, entry);
}

static void forget_topic(struct outbox *outbox, enum topic topic)
{
    struct entries *list = &outbox->topics[topic];
    int64_t up_to = 0;

    while (list->first && list->first->state == ENTRY_ACKNOWLEDGED) {
        struct entry *entry = list->first;
        up_to = entry->seq;
        list->first = entry->next;
        if (!list->first)
            list->last = NULL;
        outbox->count--;
        entry->next = outbox->spare;
        outbox->spare = entry;
    }
    if (up_to)
        outbox_rows_done(outbox->setup.journal, topic, up_to);
}

void outbox_forget(struct outbox *outbox)
{
    for (enum topic topic = 0; topic < TOPIC_COUNT; topic++)
        forget_topic(outbox, topic);
}

size_t outbox_count(const struct outbox *outbox)
{
    return outbox->count;
}

int64_t outbox_broker_skew_ms(const struct outbox *outbox)
{
    return outbox->skew_ms;
}
