/*
 * The leader's pen. A record is sent, remembered as a draft, and counts when it is read back with no higher TERM before it. The ledger has one partition and one idempotent
 * producer, so drafts come back in the order in which they were sent: the oldest is always the next.
 *
 * Each record of a job is complete. What a leader writes about a job goes into the node at once (so that the next record carries it too) and has its effects when the draft
 * comes back. A leader that is deposed with drafts on their way forgets its memory and reads the ledger again.
 */
#include "base/clock.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/log.h"
#include "base/parse.h"
#include "coordinator/internal.h"
#include "coordinator/publisher.h"
#include "coordinator/trust.h"
#include "crypto/mac.h"
#include "wire/wire.h"

#include <stdio.h>
#include <string.h>
#include <utlist.h>

enum { REFUSALS_LOGGED = 10, MARKS_WAIT_MS = 5, MARKS_MANY = 256 };

static int send_entry(struct coordinator *coordinator, const struct ledger_entry *entry,
                      const unsigned char **out_value, size_t *out_len, struct err *err)
{
    char key[LEDGER_KEY_TEXT];
    struct publication publication = {.topic = TOPIC_LEDGER,
                                      .partition = 0,
                                      .key = key,
                                      .type = &ledger_entry_record,
                                      .record = entry,
                                      .opaque = OPAQUE_LEDGER};

    ledger_key_format(key, entry->kind, entry->id, (struct ledger_ref){entry->term, entry->n});
    if (publisher_send(coordinator->publisher, &publication, out_value, out_len, err) < 0)
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
    return send_entry(coordinator, &entry, NULL, NULL, err);
}

static void draft_free(struct draft *draft)
{
    if (!draft)
        return;
    ledger_entry_free(draft->entry);
    free(draft->value);
    free(draft->marked);
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
    if (send_entry(coordinator, entry, NULL, NULL, err) < 0)
        return -1;
    DL_APPEND(coordinator->drafts, draft);
    draft = NULL;
    return 0;
}

int log_append_job(struct coordinator *coordinator, struct ledger_node *node, enum draft_step step, const char *who,
                   const char *why, struct desk_write *write, struct err *err)
{
    CLEANUP(draft_freep) struct draft *draft = draft_new(coordinator, step, write);
    const unsigned char *value;

    if (!draft)
        return err_memory(err, "ledger");
    struct ledger_entry record = *node->entry; /* borrowed: the strings stay the node's */
    record.term = draft->ref.term;
    record.n = draft->ref.n;
    record.at_ms = clock_real_ms();
    record.who = (char *)(who ? who : coordinator->options.name);
    record.why = (char *)why;
    draft->node = node;
    if (send_entry(coordinator, &record, &value, &draft->value_len, err) < 0)
        return -1;
    draft->value = malloc(draft->value_len); /* NULL: it is verified and decoded like anyone's */
    if (draft->value)
        memcpy(draft->value, value, draft->value_len);
    DL_APPEND(coordinator->drafts, draft);
    draft = NULL;
    return 0;
}

/* ---- marks ---- */

static int fill_mark(struct ledger_mark *mark, const struct ledger_node *node, const char *outcome, const char *why,
                     struct err *err)
{
    const struct ledger_job *job = node->entry->job;

    mark->at_ms = outcome ? job->ended_at_ms : job->published_at_ms;
    mark->partition = outcome ? -1 : job->partition;
    mark->offset = outcome ? -1 : job->offset;
    if (string_set(&mark->job, node->entry->id, err) < 0 || string_set(&mark->outcome, outcome, err) < 0)
        return -1;
    return string_set(&mark->why, why, err);
}

int log_mark(struct coordinator *coordinator, struct ledger_node *node, const char *outcome, const char *why,
             struct err *err)
{
    struct ledger_entry *entry = coordinator->marks;
    struct ledger_mark *mark;

    if (entry && entry->marks.count >= LEDGER_MARKS_MAX) {
        log_write_marks(coordinator, true);
        entry = coordinator->marks;
        if (entry)
            return err_set(err, ERR_RETRY, "the ledger takes no more at the moment");
    }
    if (!entry) {
        entry = calloc(1, sizeof *entry);
        if (!entry)
            return err_memory(err, "ledger");
        entry->kind = LEDGER_MARKS;
        coordinator->marks = entry;
        coordinator->marks_since_ms = clock_monotonic_ms();
    }
    mark = list_add(&entry->marks, &ledger_mark_record, err);
    if (!mark)
        return -1;
    coordinator->marked[entry->marks.count - 1] = node;
    if (fill_mark(mark, node, outcome, why, err) == 0)
        return 0;
    record_clear(&ledger_mark_record, mark);
    entry->marks.count--;
    return -1;
}

static int send_marks(struct coordinator *coordinator, struct err *err)
{
    CLEANUP(draft_freep) struct draft *draft = draft_new(coordinator, DRAFT_MARKS, NULL);
    struct ledger_entry *entry = coordinator->marks;
    char id[64];

    if (!draft)
        return err_memory(err, "ledger");
    entry->term = draft->ref.term;
    entry->n = draft->ref.n;
    entry->at_ms = clock_real_ms();
    snprintf(id, sizeof id, "%lld.%lld", (long long)entry->term, (long long)entry->n);
    draft->marked = reallocarray(NULL, entry->marks.count, sizeof *draft->marked);
    if (!draft->marked)
        return err_memory(err, "ledger");
    memcpy(draft->marked, coordinator->marked, entry->marks.count * sizeof *draft->marked);
    if (string_set(&entry->id, id, err) < 0 || send_entry(coordinator, entry, NULL, NULL, err) < 0)
        return -1;
    draft->entry = TAKE_PTR(coordinator->marks);
    DL_APPEND(coordinator->drafts, draft);
    draft = NULL;
    return 0;
}

void log_write_marks(struct coordinator *coordinator, bool now)
{
    struct err err = {0};

    if (!coordinator->marks || (!now && coordinator->marks->marks.count < MARKS_MANY &&
                                clock_monotonic_ms() - coordinator->marks_since_ms < MARKS_WAIT_MS))
        return;
    crash_point("published.before", NULL);
    if (send_marks(coordinator, &err) == 0)
        return;
    log_debug("ledger", "marks: %s; tried again", err.text);
    coordinator->marks_since_ms = clock_monotonic_ms();
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
    ledger_entry_free(TAKE_PTR(coordinator->marks));
    audit_flush(coordinator);
    audit_drop_waits(coordinator, &err);
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
    const struct key_ring *ring = trust_ring(coordinator->trust, "");
    struct mac_input input;
    const char *mac = trust_input(record, &input);

    *out_why = "no fs-term or fs-mac";
    if (!input.fs_term || !mac || !ring || !record->key || parse_int(input.fs_term, 1, INT64_MAX, out_term, NULL) < 0)
        return false;
    enum mac_verdict verdict = mac_verify(coordinator->mac, ring, &input, mac, record->timestamp_ms);
    *out_why = mac_verdict_text(verdict);
    return verdict == MAC_OK;
}

static bool key_names(const struct kafka_record *record, const char *text)
{
    return record->key_len == strlen(text) && memcmp(record->key, text, record->key_len) == 0;
}

/*
 * The oldest draft, if this is its record to the last bit. Whoever could write it has what we wrote: so there is nothing to verify, and nothing to read. Most records of a
 * leader are such.
 */
static struct draft *draft_same(struct coordinator *coordinator, const struct kafka_record *record)
{
    struct draft *draft = coordinator->drafts;
    char key[LEDGER_KEY_TEXT];

    if (!draft || !draft->value || !record->value || record->value_len != draft->value_len || !record->key ||
        draft->ref.term != coordinator->leadership.term || memcmp(record->value, draft->value, draft->value_len) != 0)
        return NULL;
    ledger_key_format(key, LEDGER_JOB, draft->node->entry->id, draft->ref);
    return key_names(record, key) ? draft : NULL;
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
        if (coordinator->leadership.phase == PHASE_FOLLOWING)
            coordinator->stand_not_before_ms = leadership_patience(
                coordinator->stand_not_before_ms, clock_monotonic_ms(), clock_real_ms() - record->timestamp_ms);
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

static void confirm(struct coordinator *coordinator, struct draft *draft)
{
    DL_DELETE(coordinator->drafts, draft);
    coordinator_confirmed(coordinator, draft);
    draft_free(draft);
}

void log_read(struct coordinator *coordinator, const struct kafka_record *record)
{
    const char *why;
    int64_t term = 0;
    struct draft *draft;

    if ((draft = draft_same(coordinator, record)))
        confirm(coordinator, draft);
    else if (!record_verifies(coordinator, record, &term, &why))
        refuse(coordinator, record, why);
    else if (!record->value) {
        LOCK_SCOPE(&coordinator->lock);
        if (!leadership_drops(&coordinator->leadership, term))
            ledger_tombstone(coordinator->ledger, record->key, record->key_len);
    } else if ((draft = draft_of(coordinator, record, term)))
        confirm(coordinator, draft);
    else
        read_entry(coordinator, record, term);
    atomic_store(&coordinator->position, record->offset + 1);
}
