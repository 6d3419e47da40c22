/*
 * The view thread: reads all that hosts say, folds it into SQLite, remembers in the same transaction how far it has read, and commits at once what comes alone, and what comes
 * in numbers together. What a job's end means for the ledger is said after the commit: so the coordinator never acts on what a crash could take back.
 *
 * Records are trusted by what the *main loop* has read of the ledger: it applies a job before it publishes it, so the leader always knows the job of an event. A standby
 * may lag; then the view asks for the ledger's end and waits until the main loop has come that far, before it says that a job is unknown.
 */
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
#include <time.h>

enum {
    BATCH_MAX = 1024,
    BUSY_COUNT = 64,      /* records in one read */
    COMMIT_MS = 5,        /* from one commit to the next */
    BUSY_COMMIT_MS = 100, /* while there is more to read at once: pages and events of a job are written together */
    GATHER_MS = 40,       /* before people notice */
    GATHER_BYTES = 512 * 1024,
    IDLE_MS = 200,
    WAIT_LEDGER_MS = 10000,
    WATERMARK_MS = 5000,
    METADATA_MS = 10000,
    TIDY_MS = 3600 * 1000,
    AGAIN_MS = 1000,
    REFUSALS_LOGGED = 10
};
static const int64_t KEEP_ENDED_MS = 40LL * 24 * 3600 * 1000;

struct host_note {
    struct queue_item item;
    char host[64];
    int64_t heartbeat_at_ms;
    bool alive, enrolled;
};

static void sleep_ms(int ms)
{
    struct timespec pause = {ms / 1000, (long)(ms % 1000) * 1000000};

    nanosleep(&pause, NULL);
}

/* ---- belief ---- */

/* Until the main loop has read what was in the ledger when this batch had come in. */
static void wait_for_ledger(struct view *view)
{
    int64_t low, until_ms = clock_monotonic_ms() + WAIT_LEDGER_MS;

    if (view->ledger_high < 0 && kafka_watermarks(view->consumer, topic_table[TOPIC_LEDGER].name, 0, &low,
                                                  &view->ledger_high, WATERMARK_MS, NULL) < 0)
        return;
    while (!atomic_load(&view->stopping) &&
           view->options.source.position(view->options.source.context) < view->ledger_high &&
           clock_monotonic_ms() < until_ms)
        sleep_ms(5);
}

static enum mac_verdict verify_once(struct view *view, const struct kafka_record *record, const char *host,
                                    bool *out_enrolled)
{
    const char *mac = kafka_header(record, "fs-mac");
    const struct key_ring *ring = trust_ring(view->trust, host);
    struct mac_input input = {.topic = record->topic,
                              .key = record->key,
                              .key_len = record->key_len,
                              .value = record->value,
                              .value_len = record->value_len,
                              .fs_host = kafka_header(record, "fs-host"),
                              .fs_term = kafka_header(record, "fs-term"),
                              .fs_job = kafka_header(record, "fs-job"),
                              .fs_rev = kafka_header(record, "fs-rev")};

    *out_enrolled = ring != NULL;
    if (!ring || !mac)
        return MAC_MALFORMED;
    return mac_verify(view->mac, ring, &input, mac, record->timestamp_ms);
}

bool view_verifies(struct view *view, const struct kafka_record *record, const char *host, const char **out_why)
{
    bool enrolled;
    enum mac_verdict verdict = verify_once(view, record, host, &enrolled);

    if (!enrolled || verdict == MAC_UNKNOWN_GENERATION) {
        wait_for_ledger(view);
        verdict = verify_once(view, record, host, &enrolled);
    }
    *out_why = !enrolled                        ? "the host is not enrolled"
               : kafka_header(record, "fs-mac") ? mac_verdict_text(verdict)
                                                : "no fs-mac";
    return enrolled && verdict == MAC_OK;
}

bool view_knows_job(struct view *view, const char *job_id, struct ledger_job_facts *out)
{
    const struct view_source *source = &view->options.source;

    if (source->job(source->context, job_id, out))
        return true;
    wait_for_ledger(view);
    return source->job(source->context, job_id, out);
}

/* Whoever can write to a topic could fill the log: a few lines a minute say enough, the DLQ has them all. */
static bool may_log(struct view *view)
{
    int64_t minute = clock_monotonic_ms() / 60000;

    if (minute != view->refused_minute && view->refused > REFUSALS_LOGGED)
        log_warning("view", "%lld more records were not believed", (long long)(view->refused - REFUSALS_LOGGED));
    if (minute != view->refused_minute)
        view->refused = 0;
    view->refused_minute = minute;
    return ++view->refused <= REFUSALS_LOGGED;
}

void view_refuse(struct view *view, const struct kafka_record *record, const char *why)
{
    struct dead_letter *letter = dead_letter_of(record, why, NULL);

    if (may_log(view))
        log_warning("view", "%s[%d]@%lld is not believed: %s", record->topic, record->partition,
                    (long long)record->offset, why);
    if (letter)
        view->options.source.dead_letter(view->options.source.context, letter);
}

void view_heard(struct view *view, const char *name, int64_t at_ms)
{
    struct heard_host *host;

    LOCK_SCOPE(&view->mutex);
    HASH_FIND_STR(view->heard, name, host);
    if (!host) {
        host = calloc(1, sizeof *host);
        if (!host)
            return;
        snprintf(host->name, sizeof host->name, "%s", name);
        HASH_ADD_STR(view->heard, name, host);
    }
    if (at_ms > host->at_ms)
        host->at_ms = at_ms;
}

int64_t view_host_heard_ms(struct view *view, const char *name)
{
    struct heard_host *host;

    LOCK_SCOPE(&view->mutex);
    HASH_FIND_STR(view->heard, name, host);
    return host ? host->at_ms : 0;
}

/* ---- transactions ---- */

static int begin(struct view *view, struct err *err)
{
    if (view->open)
        return 0;
    if (view_db_run(view->db, "BEGIN IMMEDIATE", err) < 0)
        return -1;
    view->open = true;
    return 0;
}

static int save_positions(struct view *view, struct err *err)
{
    for (size_t i = 0; i < view->place_count; i++) {
        struct view_place *place = &view->places[i];
        if (!place->moved)
            continue;
        view_bind_text(view->set_position, 1, place->topic);
        sqlite3_bind_int(view->set_position, 2, place->partition);
        sqlite3_bind_int64(view->set_position, 3, place->next);
        if (view_step_done(view->db, view->set_position, err) < 0)
            return -1;
        place->moved = false;
    }
    view_bind_text(view->set_meta, 1, "fed_at");
    sqlite3_bind_int64(view->set_meta, 2, clock_real_ms());
    return view_step_done(view->db, view->set_meta, err);
}

static void tell_ends(struct view *view)
{
    for (size_t i = 0; i < view->end_count; i++)
        view->options.source.ended(view->options.source.context, view->ends[i].job_id, view->ends[i].state);
    view->end_count = 0;
}

static int commit(struct view *view, struct err *err)
{
    if (!view->open)
        return 0;
    if (view_jobs_flush(view->jobs, err) < 0 || save_positions(view, err) < 0 ||
        view_db_run(view->db, "COMMIT", err) < 0)
        return -1;
    view->open = false;
    view->committed_ms = clock_monotonic_ms();
    tell_ends(view);
    view_news_tell();
    return 0;
}

int view_add_end(struct view *view, const char *job_id, int state, struct err *err)
{
    if (view->end_count == view->end_room) {
        size_t room = view->end_room ? view->end_room * 2 : 256;
        struct view_end *ends = reallocarray(view->ends, room, sizeof *ends);
        if (!ends)
            return err_memory(err, "view");
        view->ends = ends;
        view->end_room = room;
    }
    struct view_end *end = &view->ends[view->end_count++];
    snprintf(end->job_id, sizeof end->job_id, "%s", job_id);
    end->state = state;
    return 0;
}

/* ---- reading ---- */

static struct view_place *place_of(struct view *view, const struct kafka_record *record)
{
    for (size_t i = 0; i < view->place_count; i++)
        if (view->places[i].partition == record->partition && strcmp(view->places[i].topic, record->topic) == 0)
            return &view->places[i];
    return NULL;
}

static int read_record(struct view *view, const struct kafka_record *record, struct err *err)
{
    static const struct {
        enum topic topic;
        int (*read)(struct view *view, const struct kafka_record *record, struct err *err);
    } readers[] = {
        {TOPIC_STATUS, view_read_status},       {TOPIC_LEDGER, view_read_ledger}, {TOPIC_CATALOG, view_read_catalog},
        {TOPIC_INVENTORY, view_read_inventory}, {TOPIC_DLQ, view_read_dlq},
    };
    struct view_place *place = place_of(view, record);

    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++)
        if (strcmp(record->topic, topic_table[readers[i].topic].name) == 0 && readers[i].read(view, record, err) < 0)
            return -1;
    if (place) {
        place->next = record->offset + 1;
        place->moved = true;
    }
    return 0;
}

/* Each record is freed as soon as it is read: what librdkafka made of it is warm, and its memory serves the next. */
static int read_batch(struct view *view, struct kafka_record *records, int count, struct err *err)
{
    view->ledger_high = -1;
    for (int i = 0; i < count; i++) {
        if (begin(view, err) < 0 || read_record(view, &records[i], err) < 0)
            return -1;
        kafka_records_free(&records[i], 1);
    }
    return 0;
}

static int keep_notes(struct view *view, struct err *err)
{
    int result = 0;

    for (struct queue_item *item = queue_take_all(view->notes), *next; item; item = next) {
        struct host_note *note = (struct host_note *)item;
        next = item->next;
        if (result == 0 && (result = begin(view, err)) == 0) {
            view_bind_text(view->note_host, 1, note->host);
            sqlite3_bind_int64(view->note_host, 2, note->heartbeat_at_ms);
            sqlite3_bind_int(view->note_host, 3, note->alive);
            sqlite3_bind_int(view->note_host, 4, note->enrolled);
            result = view_step_done(view->db, view->note_host, err);
        }
        free(note);
    }
    return result;
}

void view_note_host(struct view *view, const char *host, int64_t heartbeat_at_ms, bool alive, bool enrolled)
{
    struct host_note *note = calloc(1, sizeof *note);

    if (!note)
        return;
    *note = (struct host_note){.heartbeat_at_ms = heartbeat_at_ms, .alive = alive, .enrolled = enrolled};
    snprintf(note->host, sizeof note->host, "%s", host);
    queue_push(view->notes, &note->item);
}

/* Ends that the ledger may lack: a leader died between the event and its record. */
static int replay_ends(struct view *view, struct err *err)
{
    sqlite3_stmt *statement = NULL;
    struct ledger_job_facts facts;
    const struct view_source *source = &view->options.source;

    if (commit(view, err) < 0)
        return -1;
    if (view_db_prepare(
            view->db,
            "SELECT job_id, state FROM jobs WHERE ended_at > ?1 AND worker_seq > 0 AND (state <> ?2 OR resolved)",
            &statement, err) < 0)
        return -1;
    sqlite3_bind_int64(statement, 1, clock_real_ms() - KEEP_ENDED_MS);
    sqlite3_bind_int(statement, 2, STATE_PARKED);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        const char *job_id = view_text(statement, 0);
        if (source->job(source->context, job_id, &facts) && !facts.ended)
            source->ended(source->context, job_id, sqlite3_column_int(statement, 1));
    }
    sqlite3_finalize(statement);
    return 0;
}

static int tidy(struct view *view, struct err *err)
{
    char sql[256];
    long long before = clock_real_ms() - KEEP_ENDED_MS;

    if (clock_monotonic_ms() - view->tidied_ms < TIDY_MS)
        return 0;
    view->tidied_ms = clock_monotonic_ms();
    if (commit(view, err) < 0 || begin(view, err) < 0)
        return -1;
    snprintf(sql, sizeof sql,
             "DELETE FROM events WHERE job IN (SELECT id FROM jobs WHERE ended_at > 0 AND ended_at < %lld);"
             "DELETE FROM jobs WHERE ended_at > 0 AND ended_at < %lld; DELETE FROM dlq WHERE at < %lld;",
             before, before, before);
    view_jobs_forget(view->jobs);
    return view_db_run(view->db, sql, err) < 0 ? -1 : commit(view, err);
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

static bool due(const struct view *view, int count)
{
    int limit_ms = count < BUSY_COUNT ? COMMIT_MS : BUSY_COMMIT_MS;

    return view->open && (count == 0 || clock_monotonic_ms() - view->committed_ms >= limit_ms);
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
    int wait = view->open ? COMMIT_MS : IDLE_MS;
    int count = kafka_consume(view->consumer, wait, records, BATCH_MAX, err);

    if (count < 0)
        return -1;
    int result = read_batch(view, records, count, err);
    kafka_records_free(records, (size_t)count);
    if (result < 0 || keep_notes(view, err) < 0)
        return -1;
    if (due(view, count) && commit(view, err) < 0)
        return -1;
    look_whether_caught_up(view);
    if (view_pace_note(&view->pace, clock_monotonic_ms(), count))
        change_pace(view);
    if (atomic_load(&view->caught_up) && atomic_exchange(&view->replay_wanted, false) && replay_ends(view, err) < 0)
        return -1;
    return tidy(view, err);
}

/* ---- places ---- */

static int add_places(struct view *view, enum topic topic, struct err *err)
{
    int32_t partitions;

    if (kafka_partition_count(&view->options.kafka, topic_table[topic].name, METADATA_MS, &partitions, err) < 0)
        return -1;
    struct view_place *places = reallocarray(view->places, view->place_count + (size_t)partitions + 1, sizeof *places);
    if (!places)
        return err_memory(err, "view");
    view->places = places;
    for (int32_t i = 0; i < partitions; i++)
        view->places[view->place_count++] = (struct view_place){.topic = topic_table[topic].name, .partition = i};
    return 0;
}

static int64_t saved_position(struct view *view, const struct view_place *place)
{
    sqlite3_stmt *statement = NULL;
    int64_t next = -1;

    if (view_db_prepare(view->db, "SELECT next FROM positions WHERE topic = ?1 AND partition = ?2", &statement, NULL) < 0)
        return -1;
    view_bind_text(statement, 1, place->topic);
    sqlite3_bind_int(statement, 2, place->partition);
    if (sqlite3_step(statement) == SQLITE_ROW)
        next = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return next;
}

static int assign_place(struct view *view, struct view_place *place, bool *out_in_range, struct err *err)
{
    int64_t low, high, saved = saved_position(view, place);

    if (kafka_watermarks(view->consumer, place->topic, place->partition, &low, &high, WATERMARK_MS, err) < 0)
        return -1;
    *out_in_range = saved < 0 || (saved >= low && saved <= high);
    place->next = saved >= 0 ? saved : low;
    place->end = high;
    return kafka_consumer_assign(view->consumer, place->topic, place->partition,
                                 saved >= 0 ? saved : KAFKA_FROM_BEGINNING, err);
}

static int64_t saved_term(struct view *view)
{
    sqlite3_stmt *statement = NULL;
    int64_t term = 0;

    if (view_db_prepare(view->db, "SELECT value FROM meta WHERE key = 'term'", &statement, NULL) == 0 &&
        sqlite3_step(statement) == SQLITE_ROW)
        term = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return term;
}

static int assign_all(struct view *view, bool *out_in_range, struct err *err)
{
    *out_in_range = true;
    for (size_t i = 0; i < view->place_count; i++) {
        bool in_range;
        if (assign_place(view, &view->places[i], &in_range, err) < 0)
            return -1;
        *out_in_range &= in_range;
    }
    leadership_init(&view->ledger, "");
    view->ledger.highest = saved_term(view);
    return 0;
}

/* Everything from the beginning: rows go, the file and those who read it stay. */
static int start_over(struct view *view, struct err *err)
{
    bool in_range;

    log_warning("view", "what it has read is no longer there: built anew from the topics");
    if (view->open)
        view_db_run(view->db, "ROLLBACK", NULL);
    view->open = false;
    view->end_count = 0;
    view_jobs_forget(view->jobs);
    if (begin(view, err) < 0 || view_db_empty(view->db, err) < 0 || view_db_run(view->db, "COMMIT", err) < 0)
        return -1;
    view->open = false;
    return assign_all(view, &in_range, err);
}

static int assign_or_start_over(struct view *view, struct err *err)
{
    bool in_range;

    if (assign_all(view, &in_range, err) < 0)
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
    view->end_count = 0;
    view_jobs_forget(view->jobs);
    sleep_ms(AGAIN_MS);
    if ((why->kind == ERR_CONFLICT ? start_over(view, &err) : assign_or_start_over(view, &err)) < 0)
        log_error("view", "%s", err.text);
}

static void *view_main(void *argument)
{
    struct view *view = argument;

    pthread_setname_np(pthread_self(), "view");
    wait_for_ledger(view); /* who is enrolled, before anybody is called a stranger */
    while (!atomic_load(&view->stopping)) {
        struct err err = {0};
        if (turn(view, &err) < 0)
            recover(view, &err);
    }
    struct err err = {0};
    if (commit(view, &err) < 0)
        log_warning("view", "%s", err.text);
    return NULL;
}

static int prepare_all(struct view *view, struct err *err)
{
    const struct {
        sqlite3_stmt **statement;
        const char *sql;
    } statements[] = {
        {&view->set_position, "INSERT OR REPLACE INTO positions VALUES(?1, ?2, ?3)"},
        {&view->set_meta, "INSERT OR REPLACE INTO meta VALUES(?1, ?2)"},
        {&view->get_point, "SELECT revision, closed, target, repository FROM points WHERE id = ?1"},
        {&view->set_point,
         "INSERT OR REPLACE INTO points(id, revision, closed, kind, target, host, repository, name, state, created_at, size_bytes, writer, value)"
         " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"},
        {&view->get_target, "SELECT revision FROM targets WHERE key = ?1"},
        {&view->set_target,
         "INSERT OR REPLACE INTO targets(key, revision, gone, host, target, name, state, at, value) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"},
        {&view->get_host, "SELECT revision FROM hosts WHERE host = ?1"},
        {&view->set_host,
         "INSERT INTO hosts(host, revision, gone, at, value) VALUES(?1, ?2, ?3, ?4, ?5) ON CONFLICT(host) DO UPDATE SET revision = excluded.revision,"
         " gone = excluded.gone, at = excluded.at, value = excluded.value"},
        {&view->note_host,
         "INSERT INTO hosts(host, heartbeat_at, alive, enrolled) VALUES(?1, ?2, ?3, ?4) ON CONFLICT(host) DO UPDATE SET heartbeat_at = excluded.heartbeat_at,"
         " alive = excluded.alive, enrolled = excluded.enrolled"},
        {&view->set_record, "INSERT OR REPLACE INTO records VALUES(?1, ?2, ?3)"},
        {&view->remove_record, "DELETE FROM records WHERE kind = ?1 AND id = ?2"},
        {&view->add_dead, "INSERT OR IGNORE INTO dlq(partition, offset, at, source, value) VALUES(?1, ?2, ?3, ?4, ?5)"},
    };

    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        if (view_db_prepare(view->db, statements[i].sql, statements[i].statement, err) < 0)
            return -1;
    return view_jobs_open(view->db, &view->jobs, err);
}

static void view_free(struct view *view)
{
    struct heard_host *host, *next;

    if (!view)
        return;
    kafka_consumer_close(view->consumer);
    view_jobs_close(view->jobs);
    sqlite3_stmt *statements[] = {view->set_position, view->set_meta,   view->get_point,     view->set_point,
                                  view->get_target,   view->set_target, view->get_host,      view->set_host,
                                  view->note_host,    view->set_record, view->remove_record, view->add_dead};
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        sqlite3_finalize(statements[i]);
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
    free(view->ends);
    free(view);
}

DEFINE_FREEP(struct view, view_free)

static int open_all(struct view *view, struct err *err)
{
    static const enum topic topics[] = {TOPIC_LEDGER, TOPIC_INVENTORY, TOPIC_CATALOG, TOPIC_STATUS, TOPIC_DLQ};
    char cluster[64];

    if (kafka_cluster_id(&view->options.kafka, METADATA_MS, cluster, err) < 0 ||
        view_db_open_writer(view->options.path, cluster, &view->db, err) < 0)
        return -1;
    if (queue_new(&view->notes, err) < 0 || wire_new(&view->wire, err) < 0 || mac_new(&view->mac, err) < 0 ||
        prepare_all(view, err) < 0)
        return -1;
    if (trust_new(view->options.master, &view->options.source.trust, &view->trust, err) < 0)
        return -1;
    if (open_consumer(view, &view->consumer, err) < 0)
        return -1;
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++)
        if (add_places(view, topics[i], err) < 0)
            return err_wrap(err, "%s", topic_table[topics[i]].name);
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

void view_replay_ends(struct view *view)
{
    atomic_store(&view->replay_wanted, true);
}
