/*
 * Status events, and the ledger's word on what a job is. A worker's event is believed if its MAC is of the host that the ledger names for the job: so no host speaks for
 * another's job. The leader's carries fs-term.
 */
#include "base/err.h"
#include "base/log.h"
#include "base/parse.h"
#include "coordinator/belief.h"
#include "coordinator/ledger.h"
#include "coordinator/view_db.h"
#include "coordinator/view_internal.h"
#include "kafka/kafka.h"
#include "model/ledger_entry.h"
#include "model/status.h"
#include "model/topics.h"
#include "wire/wire.h"

#include <stdio.h>
#include <string.h>

/* What a job is never changes: once the view has read it in the ledger, the main loop need not be asked. */
static bool find_facts(struct view *view, const struct view_job_row *row, const char *job_id,
                       struct ledger_job_facts *out)
{
    if (!row || !row->has_spec)
        return view_knows_job(view, job_id, out);
    view_copy(out->host, sizeof out->host, row->host);
    view_copy(out->target, sizeof out->target, row->target);
    return true;
}

static bool from_right_host(struct view *view, const struct signed_record *record, const struct ledger_job_facts *facts,
                            const char **out_why)
{
    const char *host = record->said.fs_host;

    if (!host)
        return view_verifies(view, record, "", out_why); /* the leader's own */
    *out_why = "fs-host is not the host of the job";
    return strcmp(host, facts->host) == 0 && view_verifies(view, record, host, out_why);
}

/* True if the event is to be believed; *out_row is the row of its job, NULL: out of memory. */
static bool check_status(struct view *view, const struct signed_record *heard, struct status *status,
                         struct view_job_row **out_row, const char **out_why)
{
    const struct kafka_record *record = heard->record;
    const char *job_id = heard->said.fs_job;
    unsigned char key[UUID_BYTES];
    struct ledger_job_facts facts;
    struct err err = {0};
    static _Thread_local char text[256];

    if (!belief_names_job(&heard->said) || !uuid_parse(job_id, key)) {
        *out_why = "no fs-job, or another key";
        return false;
    }
    *out_row = view_jobs_get(view->jobs, key, NULL);
    if (!find_facts(view, *out_row, job_id, &facts)) {
        *out_why = "the ledger knows no such job";
        return false;
    }
    if (!from_right_host(view, heard, &facts, out_why))
        return false;
    if (wire_peek(view->wire, &status_record, record->value, record->value_len, topic_table[TOPIC_STATUS].max_bytes,
                  status, &err) < 0) {
        snprintf(text, sizeof text, "%.255s", err.text);
        *out_why = text;
        return false;
    }
    *out_why = "the event speaks of another job, target or origin than its headers";
    return belief_status_fits(&heard->said, status, &facts);
}

static int fold(struct view *view, const struct kafka_record *record, const struct status *status,
                struct view_job_row *row, struct err *err)
{
    int state_before = row->state;
    int64_t worker_seq_before = row->worker_seq;
    enum fold_verdict verdict = fold_status(row, status);

    if (verdict == FOLD_OLD)
        return 0;
    /* Of a batch only the first: the leader's PUBLISHED may come after the worker's RUNNING. */
    bool first = !row->last_row && !row->spoke;
    bool speaks = row->worker_seq != worker_seq_before || row->state != state_before || first;
    if (view_jobs_add_event(row, record->value, record->value_len, speaks, err) < 0)
        return -1;
    if (verdict == FOLD_ENDED)
        return view_add_word(view, row, WORD_LAST, err);
    bool begins = !worker_seq_before && row->worker_seq;
    bool moves = row->op == OP_BACKUP_CREATE && (state_before == STATE_RUNNING) != (row->state == STATE_RUNNING);
    return begins || moves ? view_add_word(view, row, WORD_FIRST, err) : 0;
}

int view_read_status(struct view *view, const struct kafka_record *record, struct err *err)
{
    const char *why = "";
    struct view_job_row *row = NULL;
    struct signed_record heard;
    struct status status = {0};
    int result = 0;

    view_read_headers(record, &heard);
    if (!check_status(view, &heard, &status, &row, &why))
        view_refuse(view, record, why);
    else {
        if (heard.said.fs_host)
            view_heard(view, heard.said.fs_host, record->timestamp_ms);
        result = row ? fold(view, record, &status, row, err) : err_memory(err, "view");
    }
    return result;
}

/* ---- the ledger ---- */

static int keep_job(struct view *view, const struct kafka_record *record, const struct ledger_entry *entry,
                    struct err *err)
{
    unsigned char key[UUID_BYTES];
    struct view_job_row *row;

    if (!entry->job || !entry->job->job || !uuid_parse(entry->id, key))
        return 0;
    row = view_jobs_get(view->jobs, key, err);
    if (!row)
        return -1;
    return row->has_spec ? 0 : view_jobs_set_spec(row, entry->job->job, record->value, record->value_len, err);
}

static int keep_record(struct view *view, const struct kafka_record *record, const struct ledger_entry *entry,
                       struct err *err)
{
    sqlite3_stmt *statement = entry->gone ? view->remove_record : view->set_record;

    sqlite3_bind_int(statement, 1, entry->kind);
    view_bind_text(statement, 2, entry->id);
    if (!entry->gone)
        view_bind_blob(statement, 3, record->value, record->value_len);
    return view_step_done(view->db, statement, err);
}

static int note_term(struct view *view, const struct ledger_entry *entry, struct err *err)
{
    leadership_read_term(&view->ledger, entry->term, NULL);
    view_bind_text(view->set_meta, 1, "term");
    sqlite3_bind_int64(view->set_meta, 2, view->ledger.highest);
    return view_step_done(view->db, view->set_meta, err);
}

static int use_entry(struct view *view, const struct kafka_record *record, const struct ledger_entry *entry,
                     struct err *err)
{
    if (entry->kind == LEDGER_TERM)
        return note_term(view, entry, err);
    if (leadership_drops(&view->ledger, entry->term))
        return 0;
    if (entry->kind == LEDGER_JOB)
        return keep_job(view, record, entry, err);
    if (entry->kind == LEDGER_HOST && entry->host && !entry->gone &&
        view_drop_host(view, entry->id, entry->host->since_ms, err) < 0)
        return -1;
    if (entry->kind == LEDGER_REPOSITORY || entry->kind == LEDGER_DEFAULT || entry->kind == LEDGER_HOST)
        return keep_record(view, record, entry, err);
    return 0;
}

/* The id in a key `job:<id>@…`. Not the header: asking for one makes librdkafka parse all. */
static bool job_in_key(const struct kafka_record *record, unsigned char out[UUID_BYTES])
{
    enum { PREFIX = 4, ID = UUID_TEXT - 1 };
    const char *key = record->key;
    char text[UUID_TEXT];

    if (!key || record->key_len <= PREFIX + ID || memcmp(key, "job:", PREFIX) != 0 || key[PREFIX + ID] != '@')
        return false;
    memcpy(text, key + PREFIX, ID);
    text[ID] = '\0';
    return uuid_parse(text, out);
}

/* Of a job only the first record is read: what it is never changes, and its life is told by the status topic. */
static bool known_already(struct view *view, const struct kafka_record *record)
{
    unsigned char job_id[UUID_BYTES];
    struct view_job_row *row = job_in_key(record, job_id) ? view_jobs_get(view->jobs, job_id, NULL) : NULL;

    return row && row->has_spec;
}

/* What became of jobs the status topic tells. */
static bool is_of_no_use(const struct kafka_record *record)
{
    return record->key && record->key_len > 6 && memcmp(record->key, "marks:", 6) == 0;
}

int view_read_ledger(struct view *view, const struct kafka_record *record, struct err *err)
{
    struct signed_record heard;
    struct ledger_entry entry = {0};
    const char *why;
    int64_t term = 0;
    int result = 0;

    if (!record->value || is_of_no_use(record) || known_already(view, record))
        return 0;
    view_read_headers(record, &heard);
    if (!view_verifies(view, &heard, "", &why) || !heard.said.fs_term ||
        parse_int(heard.said.fs_term, 1, INT64_MAX, &term, NULL) < 0)
        return 0; /* the main loop reads it too, and says so */
    if (wire_peek(view->wire, &ledger_entry_record, record->value, record->value_len,
                  topic_table[TOPIC_LEDGER].max_bytes, &entry, NULL) == 0 &&
        entry.term == term)
        result = use_entry(view, record, &entry, err);
    return result;
}
