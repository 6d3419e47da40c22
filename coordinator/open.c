/* Opening and closing a coordinator, and the questions about the ledger and the state that other threads ask. */
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/queue.h"
#include "base/text.h"
#include "base/uuid.h"
#include "coordinator/internal.h"
#include "coordinator/notifier.h"
#include "coordinator/publisher.h"
#include "coordinator/trust.h"
#include "coordinator/view_feed.h"
#include "crypto/mac.h"
#include "model/job_state.h"
#include "redis/redis.h"
#include "wire/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

enum { SECRET_MAX = 4096, FLUSH_MS = 5000, WATERMARK_MS = 10000, PROBLEMS_MAX = 32, STOP_MS = 10000 };

/* ---- questions ---- */

void coordinator_state(struct coordinator *coordinator, struct coordinator_state *out)
{
    LOCK_SCOPE(&coordinator->lock);
    *out = coordinator->state;
    out->jobs_open = (int64_t)ledger_open_jobs(coordinator->ledger);
}

const char *coordinator_view_path(const struct coordinator *coordinator)
{
    return coordinator->view_path;
}

/* A job that ended is kept small: what is left of it, as a record. */
static int entry_of_ended(const struct ledger_node *node, struct ledger_entry **out, struct err *err)
{
    CLEANUP(ledger_entry_freep) struct ledger_entry *entry = calloc(1, sizeof *entry);

    if (!entry || !(entry->job = calloc(1, sizeof *entry->job)) ||
        !(entry->job->job = calloc(1, sizeof *entry->job->job)))
        return err_memory(err, "ledger");
    entry->kind = LEDGER_JOB;
    entry->term = node->newest.term;
    entry->n = node->newest.n;
    entry->job->ended_at_ms = node->ended->ended_at_ms;
    entry->job->job->op = node->ended->op;
    const char *id = strchr(node->key, ':') + 1;
    if (string_set(&entry->id, id, err) < 0 || string_set(&entry->job->job->job_id, id, err) < 0 ||
        string_set(&entry->job->job->host, node->ended->host, err) < 0 ||
        string_set(&entry->job->outcome, job_state_names[node->ended->outcome], err) < 0 ||
        target_parse(node->ended->target, &entry->job->job->target, err) < 0)
        return -1;
    *out = TAKE_PTR(entry);
    return 0;
}

static int entry_of(const struct ledger_node *node, struct ledger_entry **out, struct err *err)
{
    *out = NULL;
    if (!node || (node->entry && node->entry->gone))
        return 0;
    return node->ended ? entry_of_ended(node, out, err) : ledger_entry_clone(node->entry, out, err);
}

int coordinator_get(struct coordinator *coordinator, int kind, const char *id, struct ledger_entry **out,
                    struct err *err)
{
    LOCK_SCOPE(&coordinator->lock);
    return entry_of(ledger_find(coordinator->ledger, kind, id), out, err);
}

int coordinator_ended_jobs(struct coordinator *coordinator, const char *repository, size_t max, struct strings *out,
                           bool *out_deletes_ended, struct err *err)
{
    LOCK_SCOPE(&coordinator->lock);
    if (!coordinator->state.leading) /* what the ledger says is not known yet */
        return err_set(err, ERR_RETRY, "this coordinator does not lead");
    return ledger_ended_jobs(coordinator->ledger, repository, max, out, out_deletes_ended, err);
}

/* Copies under the lock, calls without it. */
static struct ledger_node *first_of_kind(struct coordinator *coordinator, int kind)
{
    return kind == LEDGER_JOB ? ledger_first(coordinator->ledger) : ledger_first_other(coordinator->ledger);
}

static struct ledger_node *next_of_kind(struct ledger_node *node, int kind)
{
    return kind == LEDGER_JOB ? node->hh.next : node->next;
}

static bool is_of_kind(const struct ledger_node *node, int kind)
{
    return (node->entry ? node->entry->kind : LEDGER_JOB) == kind;
}

static int copy_kind(struct coordinator *coordinator, int kind, struct ledger_entry ***out, size_t *out_count,
                     struct err *err)
{
    struct ledger_node *node;
    size_t room = 0;

    LOCK_SCOPE(&coordinator->lock);
    for (node = first_of_kind(coordinator, kind); node; node = next_of_kind(node, kind))
        room += is_of_kind(node, kind);
    struct ledger_entry **copies = calloc(room + 1, sizeof *copies);
    if (!copies)
        return err_memory(err, "ledger");
    *out = copies;
    for (node = first_of_kind(coordinator, kind); node; node = next_of_kind(node, kind)) {
        if (!is_of_kind(node, kind))
            continue;
        if (entry_of(node, &copies[*out_count], err) < 0)
            return -1;
        *out_count += copies[*out_count] != NULL;
    }
    return 0;
}

int coordinator_each(struct coordinator *coordinator, int kind,
                     int (*each)(void *context, const struct ledger_entry *entry, struct err *err), void *context,
                     struct err *err)
{
    struct ledger_entry **copies = NULL;
    size_t count = 0;
    int result = copy_kind(coordinator, kind, &copies, &count, err);

    for (size_t i = 0; i < count; i++) {
        if (result == 0)
            result = each(context, copies[i], err);
        ledger_entry_free(copies[i]);
    }
    free(copies);
    return result;
}

/* ---- what the view asks ---- */

static bool source_generations(void *context, const char *host, struct ledger_generation *out, size_t max,
                               size_t *out_count)
{
    struct coordinator *coordinator = context;

    LOCK_SCOPE(&coordinator->lock);
    return ledger_generations(coordinator->ledger, host, out, max, out_count);
}

static uint64_t source_version(void *context)
{
    struct coordinator *coordinator = context;

    LOCK_SCOPE(&coordinator->lock);
    return ledger_keys_version(coordinator->ledger);
}

static bool source_job(void *context, const char *job_id, struct ledger_job_facts *out)
{
    struct coordinator *coordinator = context;

    LOCK_SCOPE(&coordinator->lock);
    const struct ledger_node *node = ledger_find_job(coordinator->ledger, job_id);
    return node && ledger_job_facts(node, out);
}

static int source_open_jobs(void *context, char (**out)[UUID_TEXT], size_t *out_count, struct err *err)
{
    struct coordinator *coordinator = context;
    LOCK_SCOPE(&coordinator->lock);
    size_t count = 0;

    char(*ids)[UUID_TEXT] = calloc(ledger_open_jobs(coordinator->ledger) + 1, sizeof *ids);
    if (!ids)
        return err_memory(err, "open jobs");
    for (const struct ledger_node *node = ledger_first_open_job(coordinator->ledger); node; node = node->next)
        snprintf(ids[count++], UUID_TEXT, "%s", node->entry->id);
    *out = ids;
    *out_count = count;
    return 0;
}

static int64_t source_position(void *context)
{
    struct coordinator *coordinator = context;

    return atomic_load(&coordinator->position);
}

static void source_said(void *context, const struct view_word *words, size_t count)
{
    desk_say_words(context, words, count);
}

static void source_dead_letter(void *context, struct dead_letter *letter)
{
    coordinator_dead_letter(context, letter);
}

static struct trust_source trust_source_of(struct coordinator *coordinator)
{
    return (struct trust_source){coordinator, source_generations, source_version};
}

static int start_view(struct coordinator *coordinator, struct err *err)
{
    struct view_options options = {
        .path = coordinator->view_path,
        .kafka = coordinator->kafka,
        .master = coordinator->master,
        .source = {coordinator, trust_source_of(coordinator), source_job, source_open_jobs, source_position,
                   source_said, source_dead_letter},
    };

    return view_start(&options, &coordinator->view, err);
}

/* ---- opening ---- */

/* The folder belongs to one instance; its id tells an earlier start of ours from another coordinator. */
static int take_directory(struct coordinator *coordinator, struct err *err)
{
    const char *folder = coordinator->options.state_directory;
    CLEANUP(freep) char *known = NULL;
    char path[600], id[UUID_TEXT];

    if (file_make_directories(folder, 0700, err) < 0)
        return -1;
    snprintf(path, sizeof path, "%s/lock", folder);
    coordinator->directory_lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (coordinator->directory_lock < 0)
        return err_errno(err, errno, path);
    if (flock(coordinator->directory_lock, LOCK_EX | LOCK_NB) < 0)
        return err_set(err, ERR_PERMANENT, "%s: another coordinator uses this state_directory", folder);
    snprintf(path, sizeof path, "%s/instance", folder);
    if (file_exists(path) && file_read(path, 64, &known, NULL, err) == 0 && strlen(known) >= UUID_TEXT - 1) {
        snprintf(id, sizeof id, "%s", known);
    } else {
        uuid_random(id);
        if (file_write_atomic(path, id, strlen(id), 0600, err) < 0)
            return -1;
    }
    snprintf(coordinator->identity, sizeof coordinator->identity, "%.63s/%.36s", coordinator->options.name, id);
    snprintf(coordinator->view_path, sizeof coordinator->view_path, "%s/view.db", folder);
    return 0;
}

static int load_master(struct coordinator *coordinator, struct err *err)
{
    const char *path = coordinator->options.master_key_file;

    if (!file_exists(path)) {
        if (key_master_create(path, err) < 0)
            return err_wrap(err, "master_key_file");
        log_info("coordinator",
                 "made the fleet's master key: %s (keep a copy: without it every host is enrolled again)", path);
    }
    return key_master_load(path, coordinator->master, err) < 0 ? err_wrap(err, "master_key_file") : 0;
}

static int load_password(struct coordinator *coordinator, struct err *err)
{
    const char *path = coordinator->options.redis_password_file;

    if (!path)
        return 0;
    if (file_read_secret(path, SECRET_MAX, &coordinator->redis_password, NULL, err) < 0)
        return err_wrap(err, "redis.password_file");
    coordinator->redis_password[strcspn(coordinator->redis_password, "\r\n")] = '\0';
    return 0;
}

static int check_topics(struct coordinator *coordinator, struct err *err)
{
    struct kafka_topic_problem problems[PROBLEMS_MAX];
    struct text text = {0};
    size_t count = 0;

    if (kafka_topics_check(&coordinator->kafka, coordinator->options.dev, problems, PROBLEMS_MAX, &count, err) < 0)
        return err_wrap(err, "topics");
    if (count == 0)
        return 0;
    for (size_t i = 0; i < count && i < PROBLEMS_MAX; i++)
        text_addf(&text, "%s%s: %s", i ? "; " : "", problems[i].topic, problems[i].text);
    err_set(err, ERR_PERMANENT, "topics are not as they must be: %s", text_str(&text));
    text_free(&text);
    return err_hint(
        err,
        "fleetsnap topic init creates what is missing; settings of topics that exist are changed by Kafka's own tools");
}

static int open_connections(struct coordinator *coordinator, struct err *err)
{
    struct redis_options redis = {coordinator->options.redis_address, coordinator->options.redis_user,
                                  coordinator->redis_password, 0};
    struct trust_source source = trust_source_of(coordinator);
    int64_t low;

    if (ledger_new(&coordinator->ledger, err) < 0 || fleet_new(&coordinator->fleet, err) < 0 ||
        queue_new(&coordinator->desk, err) < 0)
        return -1;
    if (wire_new(&coordinator->wire, err) < 0 || mac_new(&coordinator->mac, err) < 0 ||
        trust_new(coordinator->master, &source, &coordinator->trust, err) < 0)
        return -1;
    if (check_topics(coordinator, err) < 0 ||
        publisher_open(&coordinator->kafka, coordinator->trust, &coordinator->publisher, err) < 0)
        return -1;
    if (redis_new(&redis, &coordinator->redis, err) < 0 ||
        kafka_consumer_open(&coordinator->kafka, NULL, &coordinator->consumer, err) < 0)
        return -1;
    if (kafka_watermarks(coordinator->consumer, topic_table[TOPIC_LEDGER].name, 0, &low, &coordinator->ledger_end,
                         WATERMARK_MS, err) < 0)
        return err_wrap(err, "ledger");
    atomic_store(&coordinator->position, low == coordinator->ledger_end ? coordinator->ledger_end : 0);
    return kafka_consumer_assign(coordinator->consumer, topic_table[TOPIC_LEDGER].name, 0, KAFKA_FROM_BEGINNING, err);
}

static int open_all(struct coordinator *coordinator, struct err *err)
{
    char nonce[UUID_TEXT];

    uuid_random(nonce);
    leadership_init(&coordinator->leadership, nonce);
    coordinator->last_progress_ms = clock_monotonic_ms();
    if (take_directory(coordinator, err) < 0 || load_master(coordinator, err) < 0 || load_password(coordinator, err) < 0)
        return -1;
    if (open_connections(coordinator, err) < 0)
        return -1;
    if (start_view(coordinator, err) < 0 || keeper_start(coordinator, &coordinator->keeper, err) < 0)
        return -1;
    if (planner_start(coordinator, &coordinator->planner, err) < 0)
        return -1;
    return notifier_start(coordinator, &coordinator->notifier, err);
}

DEFINE_FREEP(struct coordinator, coordinator_free)

int coordinator_start(struct coordinator_options *options, struct coordinator **out, struct err *err)
{
    CLEANUP(coordinator_freep) struct coordinator *coordinator = calloc(1, sizeof *coordinator);

    if (!coordinator)
        return err_memory(err, "coordinator");
    coordinator->directory_lock = -1;
    pthread_mutex_init(&coordinator->lock, NULL);
    pthread_mutex_init(&coordinator->limits, NULL);
    coordinator->strangers = (struct bucket){.capacity = 60, .per_second = 1};
    coordinator->callers = (struct bucket){.capacity = 600, .per_second = 10};
    coordinator->letters = (struct bucket){.capacity = 10000, .per_second = 250}; /* 40 MB, 1 MB/s */
    coordinator->options = *options;
    coordinator_kafka_options(&coordinator->options, &coordinator->kafka);
    snprintf(coordinator->state.name, sizeof coordinator->state.name, "%s", options->name);
    coordinator->state.started_at_ms = clock_real_ms();
    if (open_all(coordinator, err) < 0) {
        coordinator->options = (struct coordinator_options){0}; /* still the caller's */
        return -1;
    }
    *options = (struct coordinator_options){0};
    *out = TAKE_PTR(coordinator);
    return 0;
}

/* Threads first, from those who ask to those who are asked; then what they used. */
void coordinator_free(struct coordinator *coordinator)
{
    if (!coordinator)
        return;
    atomic_store(&coordinator->stopping, true);
    if (coordinator->desk) {
        log_drop_drafts(coordinator, ERR_UNKNOWN, "the coordinator stops");
        desk_refuse_all(coordinator);
    }
    notifier_stop(coordinator->notifier);
    planner_stop(coordinator->planner);
    keeper_stop(coordinator->keeper);
    view_stop(coordinator->view);
    if (coordinator->desk) {
        desk_refuse_all(coordinator);
        queue_free(coordinator->desk);
    }
    publisher_close(coordinator->publisher, FLUSH_MS);
    kafka_consumer_close(coordinator->consumer);
    redis_free(coordinator->redis);
    store_command_clear(&coordinator->ticket);
    trust_free(coordinator->trust);
    mac_free(coordinator->mac);
    wire_free(coordinator->wire);
    fleet_free(coordinator->fleet);
    shares_free(coordinator);
    ledger_free(coordinator->ledger);
    if (coordinator->redis_password)
        explicit_bzero(coordinator->redis_password, strlen(coordinator->redis_password));
    free(coordinator->redis_password);
    explicit_bzero(coordinator->master, sizeof coordinator->master);
    closep(&coordinator->directory_lock);
    pthread_mutex_destroy(&coordinator->lock);
    pthread_mutex_destroy(&coordinator->limits);
    coordinator_options_free(&coordinator->options);
    free(coordinator);
}
