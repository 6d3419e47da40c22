/*
 * The leader's pen. A record is sent, remembered as a draft, and counts when it is read back with no higher TERM before it. The ledger has one partition and one idempotent
 * producer, so drafts come back in the order in which they were sent: the oldest is always the next.
 *
 * Each record of a job is complete. What a leader writes about a job goes into the node at once (so that the next record carries it too) and has its effects when the draft
 * comes back. A leader that is deposed with drafts on their way forgets its memory and reads the ledger again.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/parse.h"
#include "coordinator/internal.h"
#include "coordinator/publisher.h"
#include "coordinator/trust.h"
#include "crypto/mac.h"
#include "wire/wire.h"

#include <string.h>
#include <utlist.h>

enum { REFUSALS_LOGGED = 10 };

static int send_entry(struct coordinator *coordinator, const struct ledger_entry *entry, struct err *err)
{
    char key[LEDGER_KEY_TEXT];
    struct publication publication = {.topic = TOPIC_LEDGER,
                                      .partition = 0,
                                      .key = key,
                                      .type = &ledger_entry_record,
                                      .record = entry,
                                      .opaque = OPAQUE_LEDGER,
                                      .job = entry->kind == LEDGER_JOB ? entry->id : NULL};

    ledger_key_format(key, entry->kind, entry->id, (struct ledger_ref){entry->term, entry->n});
    if (publisher_send(coordinator->publisher, &publication, NULL, NULL, err) < 0)
        return -1;
    coordinator->sent++;
    return 0;
}

int log_append_term(struct coordinator *coordinator, int64_t term, struct err *err)
{
    struct ledger_entry entry = {.kind = LEDGER_TERM,
                                 .id = coordinator->leadership.nonce,
                                 .term = term,
                                 .at_ms = clock_real_ms(),
                                 .who = coordinator->options.name,
                                 .nonce = coordinator->leadership.nonce};

    publisher_set_term(coordinator->publisher, term);
    return send_entry(coordinator, &entry, err);
}

static void draft_free(struct draft *draft)
{
    if (!draft)
        return;
    ledger_entry_free(draft->entry);
    free(draft->why);
    free(draft);
}

DEFINE_FREEP(struct draft, draft_free)

static struct draft *draft_new(struct coordinator *coordinator, enum draft_step step, struct desk_write *write)
{
    struct draft *draft = calloc(1, sizeof *draft);

    if (draft)
        *draft = (struct draft){
            .step = step, .ref = {coordinator->leadership.term, coordinator->next_n++}, .write = write};
    return draft;
}

int log_append_entry(struct coordinator *coordinator, struct ledger_entry *entry, struct desk_write *write,
                     struct err *err)
{
    CLEANUP(draft_freep) struct draft *draft = draft_new(coordinator, DRAFT_PUT, write);

    if (!draft) {
        ledger_entry_free(entry);
        return err_memory(err, "ledger");
    }
    draft->entry = entry;
    entry->term = draft->ref.term;
    entry->n = draft->ref.n;
    entry->at_ms = clock_real_ms();
    if (send_entry(coordinator, entry, err) < 0)
        return -1;
    DL_APPEND(coordinator->drafts, draft);
    draft = NULL;
    return 0;
}

int log_append_job(struct coordinator *coordinator, struct ledger_node *node, enum draft_step step, const char *who,
                   const char *why, struct desk_write *write, bool quiet, struct err *err)
{
    CLEANUP(draft_freep) struct draft *draft = draft_new(coordinator, step, write);

    if (!draft)
        return err_memory(err, "ledger");
    struct ledger_entry record = *node->entry; /* borrowed: the strings stay the node's */
    record.term = draft->ref.term;
    record.n = draft->ref.n;
    record.at_ms = clock_real_ms();
    record.who = (char *)(who ? who : coordinator->options.name);
    record.why = (char *)why;
    draft->node = node;
    draft->quiet = quiet;
    if (step == DRAFT_ENDED && why && string_set(&draft->why, why, err) < 0)
        return -1;
    if (send_entry(coordinator, &record, err) < 0)
        return -1;
    DL_APPEND(coordinator->drafts, draft);
    draft = NULL;
    return 0;
}

static void bury_one(struct coordinator *coordinator, const struct ledger_node *node, struct ledger_ref ref)
{
    char key[LEDGER_KEY_TEXT];
    const char *id = strchr(node->key, ':') + 1;
    struct publication publication = {.topic = TOPIC_LEDGER,
                                      .partition = 0,
                                      .patient = true,
                                      .key = key,
                                      .type = &ledger_entry_record,
                                      .opaque = OPAQUE_LEDGER};
    struct err err = {0};

    snprintf(key, sizeof key, "%s@%lld.%lld", node->key, (long long)ref.term, (long long)ref.n);
    if (publisher_send(coordinator->publisher, &publication, NULL, NULL, &err) < 0)
        log_debug(id, "tombstone: %s; the next leader writes it", err.text);
    else
        coordinator->sent++;
}

void log_bury(struct coordinator *coordinator, struct ledger_node *node, bool newest_too)
{
    for (size_t i = 0; i < node->older_count; i++)
        bury_one(coordinator, node, node->older[i]);
    if (newest_too)
        bury_one(coordinator, node, node->newest);
}

void log_drop_drafts(struct coordinator *coordinator, int kind, const char *why)
{
    struct draft *draft, *next;
    struct err err = {0};

    err_set(&err, (enum err_kind)kind, "%s", why);
    DL_FOREACH_SAFE (coordinator->drafts, draft, next) {
        if (draft->write)
            desk_answer(coordinator, draft->write, &err);
        DL_DELETE(coordinator->drafts, draft);
        draft_free(draft);
    }
}

/* ---- reading ---- */

static bool record_verifies(struct coordinator *coordinator, const struct kafka_record *record, int64_t *out_term,
                            const char **out_why)
{
    const char *term = kafka_header(record, "fs-term"), *mac = kafka_header(record, "fs-mac");
    const struct key_ring *ring = trust_ring(coordinator->trust, "");
    struct mac_input input = {.topic = record->topic,
                              .key = record->key,
                              .key_len = record->key_len,
                              .value = record->value,
                              .value_len = record->value_len,
                              .fs_host = kafka_header(record, "fs-host"),
                              .fs_term = term,
                              .fs_job = kafka_header(record, "fs-job"),
                              .fs_rev = kafka_header(record, "fs-rev")};

    *out_why = "no fs-term or fs-mac";
    if (!term || !mac || !ring || !record->key || parse_int(term, 1, INT64_MAX, out_term, NULL) < 0)
        return false;
    enum mac_verdict verdict = mac_verify(coordinator->mac, ring, &input, mac, record->timestamp_ms);
    *out_why = mac_verdict_text(verdict);
    return verdict == MAC_OK;
}

static bool key_names(const struct kafka_record *record, const char *text)
{
    return record->key_len == strlen(text) && memcmp(record->key, text, record->key_len) == 0;
}

/* The oldest draft, if this record is it. */
static struct draft *draft_of(struct coordinator *coordinator, const struct kafka_record *record, int64_t term)
{
    struct draft *draft = coordinator->drafts;
    char node_key[LEDGER_KEY_TEXT];
    struct ledger_ref ref;

    if (!draft || term != coordinator->leadership.term ||
        !ledger_key_parse(record->key, record->key_len, node_key, &ref))
        return NULL;
    return ref.term == draft->ref.term && ref.n == draft->ref.n ? draft : NULL;
}

static int decode_entry(struct coordinator *coordinator, const struct kafka_record *record, int64_t term,
                        struct ledger_entry **out, struct err *err)
{
    CLEANUP(ledger_entry_freep) struct ledger_entry *entry = calloc(1, sizeof *entry);
    char key[LEDGER_KEY_TEXT];

    if (!entry)
        return err_memory(err, "ledger");
    if (wire_decode(coordinator->wire, &ledger_entry_record, record->value, record->value_len,
                    topic_table[TOPIC_LEDGER].max_bytes, entry, err) < 0)
        return -1;
    ledger_key_format(key, entry->kind, entry->id, (struct ledger_ref){entry->term, entry->n});
    if (entry->term != term || !key_names(record, key))
        return err_set(err, ERR_PERMANENT, "key and content name different records");
    *out = TAKE_PTR(entry);
    return 0;
}

static void refuse(struct coordinator *coordinator, const struct kafka_record *record, const char *why)
{
    struct dead_letter *letter = dead_letter_of(record, why, NULL);

    if (++coordinator->refused <= REFUSALS_LOGGED)
        log_warning("ledger", "offset %lld is not believed: %s%s", (long long)record->offset, why,
                    coordinator->refused == REFUSALS_LOGGED ? "; more go to the dead letters without a line" : "");
    if (letter)
        coordinator_dead_letter(coordinator, letter);
}

static void read_entry(struct coordinator *coordinator, const struct kafka_record *record, int64_t term)
{
    struct ledger_entry *entry = NULL;
    struct err err = {0};

    if (decode_entry(coordinator, record, term, &entry, &err) < 0) {
        refuse(coordinator, record, err.text);
        return;
    }
    if (entry->kind == LEDGER_TERM) {
        enum leadership_news news = leadership_read_term(&coordinator->leadership, entry->term, entry->nonce);
        ledger_entry_free(entry);
        coordinator_news(coordinator, news);
        return;
    }
    if (leadership_drops(&coordinator->leadership, term)) {
        log_debug("ledger", "%s: written by a leader of term %lld behind a higher one: dropped", entry->id,
                  (long long)term);
        ledger_entry_free(entry);
        return;
    }
    LOCK_SCOPE(&coordinator->lock);
    if (ledger_apply(coordinator->ledger, entry, NULL, &err) < 0)
        log_error("ledger", "offset %lld: %s", (long long)record->offset, err.text);
}

void log_read(struct coordinator *coordinator, const struct kafka_record *record)
{
    const char *why;
    int64_t term = 0;
    struct draft *draft;

    if (!record_verifies(coordinator, record, &term, &why))
        refuse(coordinator, record, why);
    else if (!record->value) {
        LOCK_SCOPE(&coordinator->lock);
        if (!leadership_drops(&coordinator->leadership, term))
            ledger_tombstone(coordinator->ledger, record->key, record->key_len);
    } else if ((draft = draft_of(coordinator, record, term))) {
        DL_DELETE(coordinator->drafts, draft);
        coordinator_confirmed(coordinator, draft);
        draft_free(draft);
    } else
        read_entry(coordinator, record, term);
    atomic_store(&coordinator->position, record->offset + 1);
}
