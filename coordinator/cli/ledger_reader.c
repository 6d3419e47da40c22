#include "coordinator/cli/ledger_reader.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/parse.h"
#include "coordinator/belief.h"
#include "coordinator/cli/topic_reader.h"
#include "coordinator/leadership.h"
#include "coordinator/trust.h"
#include "crypto/mac.h"
#include "kafka/kafka.h"
#include "model/status.h"
#include "model/topics.h"
#include "wire/wire.h"

#include <stdlib.h>
#include <string.h>

struct ledger_reader {
    struct topic_reader *topic;
    struct wire *wire;
    struct mac *mac;
    struct trust *trust;
    struct ledger *ledger;
    ledger_watch *watch; /* NULL: nobody looks on */
    void *watcher;
    struct leadership terms; /* only its `highest`: a record behind a higher TERM does not count */
};

static bool generations(void *context, const char *host, struct ledger_generation *out, size_t max, size_t *out_count)
{
    return ledger_generations(context, host, out, max, out_count);
}

static uint64_t version(void *context)
{
    return ledger_keys_version(context);
}

void ledger_reader_close(struct ledger_reader *reader)
{
    if (!reader)
        return;
    topic_reader_close(reader->topic);
    wire_free(reader->wire);
    mac_free(reader->mac);
    trust_free(reader->trust);
    ledger_free(reader->ledger);
    free(reader);
}

DEFINE_FREEP(struct ledger_reader, ledger_reader_close)

int ledger_reader_open(const struct kafka_options *kafka, const unsigned char master[KEY_BYTES],
                       struct ledger_reader **out, struct err *err)
{
    CLEANUP(ledger_reader_closep) struct ledger_reader *reader = calloc(1, sizeof *reader);

    if (!reader)
        return err_memory(err, "ledger");
    leadership_init(&reader->terms, "");
    if (ledger_new(&reader->ledger, err) < 0)
        return -1;
    struct trust_source source = {reader->ledger, generations, version};
    if (trust_new(master, &source, &reader->trust, err) < 0 || mac_new(&reader->mac, err) < 0 ||
        wire_new(&reader->wire, err) < 0 ||
        topic_reader_open(kafka, topic_table[TOPIC_LEDGER].name, TOPIC_FROM_BEGINNING, &reader->topic, err) < 0)
        return -1;
    *out = TAKE_PTR(reader);
    return 0;
}

void ledger_reader_watch(struct ledger_reader *reader, ledger_watch *watch, void *context)
{
    reader->watch = watch;
    reader->watcher = context;
}

/* ---- the ledger ---- */

static int show(struct ledger_reader *reader, const struct kafka_record *record, const struct ledger_entry *entry,
                struct err *err)
{
    return reader->watch ? reader->watch(reader->watcher, record, entry, err) : 0;
}

static bool signed_by(struct ledger_reader *reader, const char *host, const struct mac_input *said, const char *mac,
                      int64_t at_ms, const char **out_why)
{
    const struct key_ring *ring = trust_ring(reader->trust, host);

    *out_why = !ring ? "the host is not enrolled" : "no fs-mac";
    if (!ring || !mac)
        return false;
    enum mac_verdict verdict = mac_verify(reader->mac, ring, said, mac, at_ms);
    *out_why = mac_verdict_text(verdict);
    return verdict == MAC_OK;
}

static int apply(struct ledger_reader *reader, const struct kafka_record *record, int64_t term, struct err *err)
{
    CLEANUP(ledger_entry_freep) struct ledger_entry *entry = calloc(1, sizeof *entry);

    if (!entry)
        return err_memory(err, "ledger");
    if (wire_decode(reader->wire, &ledger_entry_record, record->value, record->value_len,
                    topic_table[TOPIC_LEDGER].max_bytes, entry, NULL) < 0 ||
        entry->term != term)
        return 0; /* of no use to anybody: the coordinator names it */
    if (entry->kind == LEDGER_TERM)
        leadership_read_term(&reader->terms, term, entry->nonce);
    else if (!leadership_drops(&reader->terms, term))
        return show(reader, record, entry, err) < 0 ? -1 : ledger_apply(reader->ledger, TAKE_PTR(entry), NULL, err);
    return 0;
}

static int take(void *context, const struct kafka_record *record, struct err *err)
{
    struct ledger_reader *reader = context;
    struct mac_input said;
    const char *mac = trust_input(record, &said), *why;
    int64_t term;

    if (show(reader, record, NULL, err) < 0)
        return -1;
    if (!said.fs_term || parse_int(said.fs_term, 1, INT64_MAX, &term, NULL) < 0 ||
        !signed_by(reader, "", &said, mac, record->timestamp_ms, &why))
        return 0;
    if (record->value)
        return apply(reader, record, term, err);
    if (record->key && !leadership_drops(&reader->terms, term))
        ledger_tombstone(reader->ledger, record->key, record->key_len);
    return 0;
}

int ledger_reader_catch_up(struct ledger_reader *reader, struct err *err)
{
    return topic_reader_catch_up(reader->topic, take, reader, err);
}

/* ---- what others say ---- */

int ledger_reader_verifies(struct ledger_reader *reader, const struct kafka_record *record, const char *host,
                           struct err *err)
{
    struct mac_input said;
    const char *mac = trust_input(record, &said), *why;

    if (signed_by(reader, host, &said, mac, record->timestamp_ms, &why))
        return 0;
    if (ledger_reader_catch_up(reader, err) < 0)
        return -1;
    if (signed_by(reader, host, &said, mac, record->timestamp_ms, &why))
        return 0;
    err_set(err, ERR_PERMANENT, "%s", why);
    return 1;
}

int ledger_reader_job(struct ledger_reader *reader, const char *job_id, struct ledger_job_facts *out, struct err *err)
{
    const struct ledger_node *node = ledger_find_job(reader->ledger, job_id);

    if (!node && ledger_reader_catch_up(reader, err) < 0)
        return -1;
    node = node ? node : ledger_find_job(reader->ledger, job_id);
    if (node && ledger_job_facts(node, out))
        return 0;
    err_set(err, ERR_PERMANENT, "the ledger knows no such job");
    return 1;
}

static int doubt(struct err *err, const char *why)
{
    err_set(err, ERR_PERMANENT, "%s", why);
    return 1;
}

int ledger_reader_status(struct ledger_reader *reader, struct wire *wire, const struct kafka_record *record,
                         struct status *out, struct err *err)
{
    struct mac_input said;
    struct ledger_job_facts facts;
    int result;

    trust_input(record, &said);
    if (!belief_names_job(&said))
        return doubt(err, "no fs-job, or another key");
    if ((result = ledger_reader_job(reader, said.fs_job, &facts, err)) != 0)
        return result;
    if (said.fs_host && strcmp(said.fs_host, facts.host) != 0)
        return doubt(err, "fs-host is not the host of the job");
    if ((result = ledger_reader_verifies(reader, record, said.fs_host ? said.fs_host : "", err)) != 0)
        return result;
    if (wire_decode(wire, &status_record, record->value, record->value_len, topic_table[TOPIC_STATUS].max_bytes, out,
                    err) < 0)
        return 1;
    if (belief_status_fits(&said, out, &facts))
        return 0;
    record_clear(&status_record, out);
    return doubt(err, "the event speaks of another job, target or origin than its headers");
}
