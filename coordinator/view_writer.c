/*
 * The view thread: reads all that hosts say, folds it into SQLite, remembers in the same transaction how far it has read, and commits at once what comes alone, and what comes
 * in numbers together. What is said of jobs is told to the main loop as soon as a batch is read: what a crash takes back here is read from the topic again.
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/queue.h"
#include "coordinator/internal.h"
#include "coordinator/view_db.h"
#include "coordinator/view_internal.h"
#include "crypto/mac.h"
#include "kafka/kafka.h"
#include "model/job_state.h"
#include "model/topics.h"
#include "wire/wire.h"

#include <stdio.h>
#include <string.h>

enum {
    BATCH_MAX = 1024,
    COMMIT_MS = 5,    /* from one commit to the next */
    BUSY_COUNT = 256, /* records in one transaction */
    BUSY_COMMIT_MS = 250,
    GATHER_MS = 40, /* before people notice */
    GATHER_BYTES = 512 * 1024,
    IDLE_MS = 200,
    METADATA_MS = 10000,
    TIDY_MS = 3600 * 1000,
    AGAIN_MS = 1000,
};
static const int64_t KEEP_ENDED_MS = 40LL * 24 * 3600 * 1000;

/* ---- transactions ---- */

int view_begin(struct view *view, struct err *err)
{
    if (view->open)
        return 0;
    if (view_db_run(view->db, "BEGIN IMMEDIATE", err) < 0)
        return -1;
    view->open = true;
    return 0;
}

static int note_fed(struct view *view, struct err *err)
{
    view_bind_text(view->set_meta, 1, "fed_at");
    sqlite3_bind_int64(view->set_meta, 2, clock_real_ms());
    return view_step_done(view->db, view->set_meta, err);
}

/* Not `all`: young jobs wait for the next one, and so does how far was read. */
static int commit(struct view *view, bool all, struct err *err)
{
    if (!view->open && !view_jobs_waiting(view->jobs))
        return 0;
    if (view_begin(view, err) < 0 || view_jobs_flush(view->jobs, all, err) < 0 ||
        view_save_positions(view, all, err) < 0 || note_fed(view, err) < 0 || view_db_run(view->db, "COMMIT", err) < 0)
        return -1;
    view->open = false;
    view->committed_ms = clock_monotonic_ms();
    view->unwritten = 0;
    view_news_tell();
    return 0;
}

static int add_word(struct view *view, const char *job_id, int kind, int state, struct err *err)
{
    if (view->word_count == view->word_room) {
        size_t room = view->word_room ? view->word_room * 2 : 256;
        struct view_word *words = reallocarray(view->words, room, sizeof *words);
        if (!words)
            return err_memory(err, "view");
        view->words = words;
        view->word_room = room;
    }
    struct view_word *word = &view->words[view->word_count++];
    view_copy(word->job_id, sizeof word->job_id, job_id);
    word->kind = kind;
    word->state = state;
    return 0;
}

int view_add_word(struct view *view, struct view_job_row *row, int kind, struct err *err)
{
    struct view_word *known = row->word < view->word_count ? &view->words[row->word] : NULL;
    char job_id[UUID_TEXT];

    uuid_format(job_id, row->key);
    if (!known || strcmp(known->job_id, job_id) != 0) {
        row->word = view->word_count;
        return add_word(view, job_id, kind, row->state, err);
    }
    known->kind = kind;
    known->state = row->state;
    return 0;
}

/* ---- reading ---- */

static int read_record(struct view *view, const struct kafka_record *record, struct err *err)
{
    struct view_place *place = view_place_of(view, record);

    if (!place)
        return 0;
    if (place->read(view, record, err) < 0)
        return -1;
    place->next = record->offset + 1;
    return 0;
}

static void tell(struct view *view)
{
    if (view->word_count)
        view->options.source.said(view->options.source.context, view->words, view->word_count);
    view->word_count = 0;
}

/* Each record is freed as soon as it is read: what librdkafka made of it is warm, and its memory serves the next. */
static int read_batch(struct view *view, struct kafka_record *records, int count, struct err *err)
{
    view->ledger_high = -1;
    for (int i = 0; i < count; i++) {
        if (view_begin(view, err) < 0 || read_record(view, &records[i], err) < 0)
            return -1;
        kafka_records_free(&records[i], 1);
        view->unwritten++;
    }
    tell(view);
    return 0;
}

/* The word that the main loop may have missed of a job that the ledger has as open; WORD_NONE: published, and nobody has said anything of it. False: none. */
static bool missed_word(sqlite3_stmt *found, int *out_kind)
{
    enum { STATE, ENDED_AT, WORKER_SEQ, COORDINATOR_SEQ, RESOLVED };
    bool heard = sqlite3_column_int64(found, WORKER_SEQ) > 0;
    bool waits = sqlite3_column_int(found, STATE) == STATE_PARKED && !sqlite3_column_int(found, RESOLVED);

    if (sqlite3_column_int64(found, ENDED_AT) > 0) {
        *out_kind = WORD_LAST;
        return heard && !waits;
    }
    *out_kind = heard ? WORD_FIRST : WORD_NONE;
    if (heard && sqlite3_column_int(found, STATE) == STATE_RUNNING)
        return true;
    return !heard && sqlite3_column_int64(found, COORDINATOR_SEQ) < EVENT_PUBLISHED;
}

/* What a leader may not have lived to record. The ledger's open jobs are few, whatever the file holds. */
static int replay(struct view *view, struct err *err)
{
    const struct view_source *source = &view->options.source;
    CLEANUP(freep) char(*ids)[UUID_TEXT] = NULL;
    sqlite3_stmt *statement = NULL;
    size_t count = 0;
    int result = 0, kind, step = SQLITE_DONE;

    if (commit(view, true, err) < 0 || source->open_jobs(source->context, &ids, &count, err) < 0 ||
        view_db_prepare(view->db,
                        "SELECT state, ended_at, worker_seq, coordinator_seq, resolved FROM jobs WHERE job_id = ?1",
                        &statement, err) < 0)
        return -1;
    for (size_t i = 0; result == 0 && i < count; i++) {
        view_bind_job(statement, 1, ids[i]);
        if ((step = sqlite3_step(statement)) == SQLITE_ROW && missed_word(statement, &kind))
            result = add_word(view, ids[i], kind, sqlite3_column_int(statement, 0), err);
        else if (step != SQLITE_ROW && step != SQLITE_DONE)
            result = view_db_fail(view->db, "replay", err);
        sqlite3_reset(statement);
    }
    sqlite3_finalize(statement);
    tell(view);
    return result;
}

static int tidy(struct view *view, struct err *err)
{
    char sql[512];
    long long before = clock_real_ms() - KEEP_ENDED_MS;

    if (clock_monotonic_ms() - view->tidied_ms < TIDY_MS)
        return 0;
    view->tidied_ms = clock_monotonic_ms();
    if (commit(view, true, err) < 0 || view_begin(view, err) < 0)
        return -1;
    snprintf(sql, sizeof sql,
             "DELETE FROM events WHERE job IN (SELECT id FROM jobs WHERE ended_at > 0 AND ended_at < %lld);"
             "DELETE FROM jobs WHERE ended_at > 0 AND ended_at < %lld; DELETE FROM dlq WHERE at < %lld;",
             before, before, before);
    view_jobs_forget(view->jobs);
    return view_db_run(view->db, sql, err) < 0 ? -1 : commit(view, true, err);
}

static void look_whether_caught_up(struct view *view)
{
    if (atomic_load(&view->caught_up))
        return;
    for (size_t i = 0; i < view->place_count; i++)
        if (view->places[i].next < view->places[i].end)
            return;
    atomic_store(&view->caught_up, true);
    log_info("view", "has read what was there");
}

/* Few records: all of them, at once or soon. Many: later, for then most pages and jobs are written once instead of several times. */
static int commit_when_due(struct view *view, int count, struct err *err)
{
    bool busy = view->unwritten >= BUSY_COUNT;
    int limit_ms = busy ? BUSY_COMMIT_MS : COMMIT_MS;

    if ((count == 0 && !busy) || clock_monotonic_ms() - view->committed_ms >= limit_ms)
        return commit(view, !busy, err);
    return 0;
}

static int open_consumer(struct view *view, struct kafka_consumer **out, struct err *err)
{
    struct kafka_options options = view->options.kafka;

    if (view->pace.gathers) {
        options.fetch_wait_ms = GATHER_MS;
        options.fetch_min_bytes = GATHER_BYTES;
    }
    return kafka_consumer_open(&options, NULL, out, err);
}

/* A consumer cannot change how it fetches: another one goes on from where this one is. When that fails this one stays. */
static void change_pace(struct view *view)
{
    struct kafka_consumer *consumer = NULL;
    struct err err = {0};
    int failed = open_consumer(view, &consumer, &err);

    for (size_t i = 0; !failed && i < view->place_count; i++)
        failed = kafka_consumer_assign(consumer, view->places[i].topic, view->places[i].partition, view->places[i].next,
                                       &err);
    if (failed) {
        log_warning("view", "%s", err.text);
        kafka_consumer_close(consumer);
        return;
    }
    kafka_consumer_close(view->consumer);
    view->consumer = consumer;
}

static int turn(struct view *view, struct err *err)
{
    static struct kafka_record records[BATCH_MAX]; /* the view thread's own */
    int wait = view->open || view_jobs_waiting(view->jobs) ? COMMIT_MS : IDLE_MS;
    int count = kafka_consume(view->consumer, wait, records, BATCH_MAX, err);

    if (count < 0)
        return -1;
    int result = read_batch(view, records, count, err);
    kafka_records_free(records, (size_t)count);
    if (result < 0 || view_keep_notes(view, err) < 0)
        return -1;
    if (commit_when_due(view, count, err) < 0)
        return -1;
    look_whether_caught_up(view);
    if (view_pace_note(&view->pace, clock_monotonic_ms(), count))
        change_pace(view);
    if (atomic_load(&view->caught_up) && atomic_exchange(&view->replay_wanted, false) && replay(view, err) < 0)
        return -1;
    return tidy(view, err);
}

/* Everything from the beginning: rows go, the file and those who read it stay. */
static int start_over(struct view *view, struct err *err)
{
    bool in_range;

    log_warning("view", "what it has read is no longer there: built anew from the topics");
    if (view->open)
        view_db_run(view->db, "ROLLBACK", NULL);
    view->open = false;
    view->word_count = 0;
    view_jobs_forget(view->jobs);
    if (view_begin(view, err) < 0 || view_db_empty(view->db, err) < 0 || view_db_run(view->db, "COMMIT", err) < 0)
        return -1;
    view->open = false;
    return view_assign_all(view, &in_range, err);
}

static int assign_or_start_over(struct view *view, struct err *err)
{
    bool in_range;

    if (view_assign_all(view, &in_range, err) < 0)
        return -1;
    return in_range ? 0 : start_over(view, err);
}

/* ---- the thread ---- */

/* A write that failed leaves rows in memory that are not in the file: begin again from the last commit. */
static void recover(struct view *view, const struct err *why)
{
    struct err err = {0};

    log_error("view", "%s", why->text);
    if (view->open)
        view_db_run(view->db, "ROLLBACK", NULL);
    view->open = false;
    view->word_count = 0;
    view_jobs_forget(view->jobs);
    view_sleep_ms(AGAIN_MS);
    if ((why->kind == ERR_CONFLICT ? start_over(view, &err) : assign_or_start_over(view, &err)) < 0)
        log_error("view", "%s", err.text);
}

static void *view_main(void *argument)
{
    struct view *view = argument;

    pthread_setname_np(pthread_self(), "view");
    view_wait_for_ledger(view); /* who is enrolled, before anybody is called a stranger */
    while (!atomic_load(&view->stopping)) {
        struct err err = {0};
        if (turn(view, &err) < 0)
            recover(view, &err);
    }
    struct err err = {0};
    if (commit(view, true, &err) < 0)
        log_warning("view", "%s", err.text);
    return NULL;
}

static void view_free(struct view *view)
{
    struct heard_host *host, *next;

    if (!view)
        return;
    kafka_consumer_close(view->consumer);
    view_jobs_close(view->jobs);
    view_finalize(view);
    sqlite3_close(view->db);
    trust_free(view->trust);
    mac_free(view->mac);
    wire_free(view->wire);
    HASH_ITER (hh, view->heard, host, next) {
        HASH_DEL(view->heard, host);
        free(host);
    }
    if (view->notes) {
        for (struct queue_item *item = queue_take_all(view->notes), *after; item; item = after) {
            after = item->next;
            free(item);
        }
        queue_free(view->notes);
    }
    pthread_mutex_destroy(&view->mutex);
    free(view->places);
    free(view->words);
    free(view);
}

DEFINE_FREEP(struct view, view_free)

static int open_all(struct view *view, struct err *err)
{
    static const struct {
        enum topic topic;
        view_read_record *read;
    } topics[] = {{TOPIC_LEDGER, view_read_ledger},
                  {TOPIC_INVENTORY, view_read_inventory},
                  {TOPIC_CATALOG, view_read_catalog},
                  {TOPIC_STATUS, view_read_status},
                  {TOPIC_DLQ, view_read_dlq}};
    char cluster[64];

    if (kafka_cluster_id(&view->options.kafka, METADATA_MS, cluster, err) < 0 ||
        view_db_open_writer(view->options.path, cluster, &view->db, err) < 0)
        return -1;
    if (queue_new(&view->notes, err) < 0 || wire_new(&view->wire, err) < 0 || mac_new(&view->mac, err) < 0 ||
        view_prepare(view, err) < 0)
        return -1;
    if (trust_new(view->options.master, &view->options.source.trust, &view->trust, err) < 0)
        return -1;
    if (open_consumer(view, &view->consumer, err) < 0)
        return -1;
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++)
        if (view_add_places(view, topics[i].topic, topics[i].read, err) < 0)
            return err_wrap(err, "%s", topic_table[topics[i].topic].name);
    return assign_or_start_over(view, err);
}

int view_start(const struct view_options *options, struct view **out, struct err *err)
{
    CLEANUP(view_freep) struct view *view = calloc(1, sizeof *view);

    if (!view)
        return err_memory(err, "view");
    view->options = *options;
    view->ledger_high = -1;
    view->tidied_ms = clock_monotonic_ms();
    pthread_mutex_init(&view->mutex, NULL);
    if (open_all(view, err) < 0)
        return err_wrap(err, "view");
    if (pthread_create(&view->thread, NULL, view_main, view) != 0)
        return err_set(err, ERR_RETRY, "view: no thread");
    *out = TAKE_PTR(view);
    return 0;
}

void view_stop(struct view *view)
{
    if (!view)
        return;
    atomic_store(&view->stopping, true);
    pthread_join(view->thread, NULL);
    view_free(view);
}

bool view_caught_up(struct view *view)
{
    return atomic_load(&view->caught_up);
}

void view_replay(struct view *view)
{
    atomic_store(&view->replay_wanted, true);
}
