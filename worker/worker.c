/*
 * The order of a start: state directory and journal (nothing without them) · keys · Redis: the journal's birth, the host's claim · what the journal left (reconcile) · threads ·
 * Kafka, whenever it answers. The first claim needs Redis; a worker that has had it before in this boot goes on without.
 */
#include "worker/worker.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/uuid.h"
#include "wire/wire.h"
#include "worker/finisher.h"
#include "worker/inspect.h"
#include "worker/inventory_publisher.h"
#include "worker/job_source.h"
#include "worker/journal.h"
#include "worker/kafka_link.h"
#include "worker/keeper.h"
#include "worker/local_service.h"
#include "worker/loop.h"
#include "worker/outbox.h"
#include "worker/pool.h"
#include "worker/reconcile.h"
#include "worker/surveyor.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

enum { CLAIM_PATIENCE_MS = 60000, ASK_AGAIN_MS = 500, JOIN_MS = 5000, FLUSH_MS = 2000 };

static int read_identity(struct worker *worker, struct err *err)
{
    CLEANUP(freep) char *boot = NULL;
    char nonce[UUID_TEXT];
    size_t len;

    if (file_read("/proc/sys/kernel/random/boot_id", 256, &boot, &len, err) < 0)
        return -1;
    boot[strcspn(boot, "\n")] = '\0';
    snprintf(worker->boot_id, sizeof worker->boot_id, "%.36s", boot);
    uuid_random(nonce);
    /* With 64 characters at most, Redis keeps a ticket in one compact piece. The whole boot id has a field of its own. */
    snprintf(worker->instance, sizeof worker->instance, "%.8s+%s", worker->boot_id, nonce);
    return 0;
}

static int read_secrets(struct worker *worker, struct err *err)
{
    const struct worker_options *options = worker->options;
    size_t len;

    if (key_ring_load(options->key_file, &worker->keys, err) < 0)
        return -1;
    if (!options->redis_password_file)
        return 0;
    if (file_read_secret(options->redis_password_file, 4096, &worker->redis_password, &len, err) < 0)
        return -1;
    worker->redis_password[strcspn(worker->redis_password, "\r\n")] = '\0';
    return 0;
}

static void fill_settings(struct worker *worker)
{
    const struct worker_options *options = worker->options;

    worker->pools = (struct strings){options->pools.items, options->pools.count};
    worker->repositories = (struct strings){options->repositories.items, options->repositories.count};
    worker->backends = (struct backend_config){
        .host = options->host,
        .libvirt_uri = options->libvirt_uri,
        .state_directory = options->state_directory,
        .pools = &worker->pools,
        .repositories = &worker->repositories,
        .agent_timeout_ms = options->agent_timeout_ms,
        .frozen_limit_ms = options->frozen_limit_ms,
    };
    worker->kafka = (struct kafka_options){
        .brokers = options->kafka_brokers,
        .client_id = options->host,
        .extra = &options->kafka_extra,
        .linger_us = 2000,
    };
    worker->redis_options = (struct redis_options){
        .address = options->redis_address, .user = options->redis_user, .password = worker->redis_password};
}

static int open_signals(struct worker *worker, struct err *err)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    worker->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return worker->signals < 0 ? err_set(err, ERR_PERMANENT, "signalfd failed") : 0;
}

/* ---- Redis, before anything runs ---- */

/* Waits half a second; false: a signal says stop. */
static bool pause_for_redis(const struct worker *worker)
{
    struct pollfd fd = {.fd = worker->signals, .events = POLLIN};

    return poll(&fd, 1, ASK_AGAIN_MS) == 0;
}

static int stopped(struct err *err)
{
    return err_set(err, ERR_CANCELLED, "stopped while waiting for Redis");
}

static int give_birth(struct worker *worker, struct err *err)
{
    int64_t now_us;
    bool said = false;

    if (journal_birth_us(worker->journal))
        return 0;
    while (keeper_time_us(worker->keeper, &now_us, err) < 0) {
        if (!said)
            log_warning("redis", "%s; a first start waits for it", err->text);
        said = true;
        if (!pause_for_redis(worker))
            return stopped(err);
    }
    return journal_be_born(worker->journal, now_us, err);
}

static int had_claim(struct worker *worker, bool *out, struct err *err)
{
    CLEANUP(freep) char *claimed = NULL;

    if (journal_fact(worker->journal, "claimed", &claimed, err) < 0)
        return -1;
    *out = claimed && strcmp(claimed, worker->boot_id) == 0;
    return 0;
}

/* Another boot's claim runs out in 45 s if nobody renews it; one that is renewed is alive. */
static int claim_host(struct worker *worker, struct err *err)
{
    int64_t until = clock_monotonic_ms() + CLAIM_PATIENCE_MS;
    char detail[256] = "";
    bool before, said = false;
    int answer;

    if (had_claim(worker, &before, err) < 0)
        return -1;
    while ((answer = keeper_claim(worker->keeper, detail, err)) != 0) {
        if (answer < 0 && before) {
            log_warning("redis", "%s; going on with the claim of before", err->text);
            return 0;
        }
        if (answer > 0 && clock_monotonic_ms() >= until)
            return err_set(err, ERR_CONFLICT, "host %s belongs to another worker: %s", worker->options->host, detail);
        if (!said)
            log_warning(worker->options->host,
                        answer > 0 ? "claimed by %s; waiting for that to run out" : "cannot be claimed: %s",
                        answer > 0 ? detail : err->text);
        said = true;
        if (!pause_for_redis(worker))
            return stopped(err);
    }
    if (before)
        return 0;
    return journal_set_fact(worker->journal, "claimed", worker->boot_id, err) < 0 ? -1
                                                                                  : journal_commit(worker->journal, err);
}

static int open_keeper(struct worker *worker, struct err *err)
{
    struct keeper_setup setup = {
        .redis = &worker->redis_options,
        .host = worker->options->host,
        .instance = worker->instance,
        .boot_id = worker->boot_id,
        .version = FLEETSNAP_VERSION,
        .to_loop = worker->to_loop,
        .claim_lost = &worker->claim_lost,
    };

    if (file_identity(worker->options->state_directory, &worker->state_identity, err) < 0)
        return -1;
    setup.state_directory = worker->state_identity;
    if (keeper_open(&setup, &worker->keeper, err) < 0 || give_birth(worker, err) < 0 || claim_host(worker, err) < 0)
        return -1;
    return keeper_start(worker->keeper, err);
}

/* ---- the parts ---- */

static void finish_heard(void *context, int64_t row, const char *job_id)
{
    struct worker *worker = context;
    struct work *work = custody_find(&worker->custody, job_id);

    if (inbox_finished(worker->journal, row, &worker->err) < 0)
        worker->admission.failed = -1;
    if (work && work->stage == WORK_ENDING)
        custody_drop(&worker->custody, work);
}

static int open_custody(struct worker *worker, struct err *err)
{
    const struct worker_options *options = worker->options;
    struct custody_setup setup = {
        .journal = worker->journal,
        .outbox = worker->outbox,
        .wire = worker->wire,
        .keeper = worker->keeper,
        .finisher = worker->finisher,
        .host = options->host,
        .backends = &options->backends,
        .limits = {options->limit_reads ? options->limit_reads : options->executors,
                   options->limit_adds ? options->limit_adds : options->executors,
                   options->limit_destroys ? options->limit_destroys : options->executors},
        .repository_slots = options->repository_slots,
        .stuck_ms = options->stuck_ms,
    };
    CLEANUP(freep) char *holds = NULL;

    custody_open(&worker->custody, &setup);
    worker->admission = (struct admission){
        .custody = &worker->custody,
        .redis = worker->redis,
        .journal = worker->journal,
        .host = options->host,
        .instance = worker->instance,
        .executors = options->executors,
    };
    admission_open(&worker->admission);
    if (journal_fact(worker->journal, "holds", &holds, err) < 0 ||
        (holds && facts_from_json(&worker->admission.holds, holds, err) < 0))
        return -1;
    return reconcile(worker, err);
}

/* Each member holds an executor until all are ready. */
static int64_t group_room(const struct worker_options *options)
{
    return options->limit_adds && options->limit_adds < options->executors ? options->limit_adds : options->executors;
}

static int open_records(struct worker *worker, struct err *err)
{
    struct outbox_setup outbox = {worker->journal, worker->options->host, &worker->keys};
    struct job_source_setup source = {worker->options->host, &worker->keys, worker->wire};
    struct inventory_publisher_setup inventory = {
        .journal = worker->journal,
        .outbox = NULL,
        .wire = worker->wire,
        .host = worker->options->host,
        .version = FLEETSNAP_VERSION,
        .boot_id = worker->boot_id,
        .instance = worker->instance,
        .executors = worker->options->executors,
        .group_members = group_room(worker->options),
        .heartbeat_ms = worker->options->heartbeat_ms,
    };

    if (outbox_open(&outbox, &worker->outbox, err) < 0 || job_source_open(&source, &worker->source, err) < 0)
        return -1;
    inventory.outbox = worker->outbox;
    return inventory_publisher_open(&inventory, &worker->inventory, err);
}

static int open_threads(struct worker *worker, struct err *err)
{
    struct pool_setup pool = {&worker->backends, worker->to_loop, worker->keeper, worker->options->executors,
                              worker->options->spare_executors};
    struct surveyor_setup surveyor = {&worker->backends, &worker->options->backends, worker->options->inventory_ms,
                                      worker->to_loop};
    struct linker_setup linker = {&worker->kafka, worker->options->host, worker->to_loop};
    struct position position;

    if (position_read(worker->journal, topic_table[TOPIC_JOBS].name, &position, err) < 0)
        return -1;
    worker->position_written = position.next_offset;
    if (pool_open(&pool, &worker->pool, err) < 0 || surveyor_start(&surveyor, &worker->surveyor, err) < 0 ||
        linker_open(&linker, &worker->linker, err) < 0)
        return -1;
    return linker_begin(worker->linker, &position, true, err);
}

static int open_parts(struct worker *worker, struct err *err)
{
    const char *directory = worker->options->state_directory;

    if (read_identity(worker, err) < 0 || journal_open(directory, &worker->journal, err) < 0 ||
        read_secrets(worker, err) < 0)
        return -1;
    fill_settings(worker);
    if (local_service_start(&worker->backends, &worker->local, err) < 0 || open_signals(worker, err) < 0 ||
        queue_new(&worker->to_loop, err) < 0 || wire_new(&worker->wire, err) < 0 || open_keeper(worker, err) < 0)
        return -1;
    if (redis_new(&worker->redis_options, &worker->redis, err) < 0 ||
        finisher_open(worker->redis, worker->options->host, finish_heard, worker, &worker->finisher, err) < 0)
        return -1;
    if (open_records(worker, err) < 0 || open_custody(worker, err) < 0 ||
        inspector_open(directory, worker->journal, &worker->inspector, err) < 0)
        return -1;
    return open_threads(worker, err);
}

int worker_open(const struct worker_options *options, void (*notify)(const char *state), struct worker **out,
                struct err *err)
{
    struct worker *worker = calloc(1, sizeof *worker);

    if (!worker)
        return err_memory(err, "worker");
    worker->options = options;
    worker->notify = notify;
    worker->signals = -1;
    worker->started_ms = clock_monotonic_ms();
    if (open_parts(worker, err) < 0) {
        worker_close(worker);
        return -1;
    }
    log_info("worker", "%s on host %s, journal %s", FLEETSNAP_VERSION, options->host, journal_id(worker->journal));
    *out = worker;
    return 0;
}

int worker_run(struct worker *worker)
{
    return loop_run(worker);
}

/* What threads have sent and nobody will hear: saves are refused, so that their executors can end. */
static void drop_messages(struct worker *worker)
{
    for (struct queue_item *item = worker->to_loop ? queue_take_all(worker->to_loop) : NULL, *next; item; item = next) {
        struct message *message = (struct message *)item;
        next = item->next;
        if (message->kind == MESSAGE_SAVE)
            pool_saved((struct save *)message, -1);
        else if (message->kind == MESSAGE_LINK)
            kafka_link_free((struct kafka_link *)message);
        else if (message->kind == MESSAGE_INVENTORY)
            survey_free((struct survey *)message);
        else if (message->kind != MESSAGE_ENDED)
            free(message);
    }
}

static bool join_executors(struct worker *worker)
{
    int64_t until = clock_monotonic_ms() + JOIN_MS;

    while (worker->pool && pool_join(worker->pool, 50) > 0) {
        drop_messages(worker);
        if (clock_monotonic_ms() >= until)
            return false;
    }
    return true;
}

static void close_parts(struct worker *worker)
{
    local_service_close(worker->local);
    surveyor_close(worker->surveyor);
    linker_close(worker->linker);
    keeper_close(worker->keeper);
    drop_messages(worker);
    pool_free(worker->pool);
    inspector_close(worker->inspector);
    inventory_publisher_close(worker->inventory);
    custody_close(&worker->custody);
    finisher_close(worker->finisher);
    job_source_close(worker->source);
    kafka_producer_close(worker->producer, FLUSH_MS);
    outbox_close(worker->outbox);
    redis_free(worker->redis);
    wire_free(worker->wire);
    queue_free(worker->to_loop);
    journal_close(worker->journal);
}

bool worker_close(struct worker *worker)
{
    if (!join_executors(worker))
        return false;
    close_parts(worker);
    if (worker->signals >= 0)
        close(worker->signals);
    admission_close(&worker->admission);
    if (worker->redis_password)
        explicit_bzero(worker->redis_password, strlen(worker->redis_password));
    free(worker->redis_password);
    free(worker->state_identity);
    explicit_bzero(&worker->keys, sizeof worker->keys);
    free(worker);
    return true;
}
