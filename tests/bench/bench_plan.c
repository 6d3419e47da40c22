/*
 * A large fleet, without its hosts: what planning, restarts, the view and the lists of the API cost. bench-plan starts the servers and calls the parts in order:
 *
 *     bench_plan begin|records|floor|build|serve COORDINATOR.YAML TARGETS HOSTS JOBS
 *
 * begin leads for the first time and applies a policy; records writes the fleet (fleet_records.c); floor reads the ledger with a bare consumer; build starts a coordinator that has no
 * view yet; serve starts one that has, plans a run of all targets, and asks for pages of every list. Each part is a process of its own, so its memory is its own. One line per figure.
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/uuid.h"
#include "bench/fleet_pages.h"
#include "bench/fleet_records.h"
#include "bench/usage.h"
#include "coordinator/api/api.h"
#include "coordinator/coordinator.h"
#include "coordinator/internal.h"
#include "coordinator/options.h"
#include "coordinator/plans.h"
#include "coordinator/runs.h"
#include "coordinator/view.h"
#include "coordinator/view_feed.h"
#include "coordinator/world.h"
#include "kafka/kafka.h"
#include "model/topics.h"
#include "wire/wire.h"

#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { READY_MS = 3600000, BATCH = 1024, DRIVE_S = 5 };
static const char POLICY[] =
    "name: nightly\nowner: bench\nselect:\n  kinds: [libvirt]\noperation: backup.create\nrepository: main\ntime_zone: UTC\n";

struct bench {
    struct coordinator_options options, kept;
    struct coordinator *coordinator;
    struct fleet_size size;
    pthread_t loop;
};

static void die(const char *what, const struct err *err)
{
    fprintf(stderr, "bench_plan: %s: %s\n", what, err ? err->text : "");
    exit(1);
}

static void figure(const char *what, double value, const char *unit)
{
    printf("%-44s %12.*f %s\n", what, value < 10 ? 3 : value < 1000 ? 1 : 0, value, unit);
    fflush(stdout);
}

static void nap(int ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

/* ---- the coordinator ---- */

static void *run_loop(void *context)
{
    struct err err = {0};

    pthread_setname_np(pthread_self(), "loop");
    if (coordinator_run(context, &err) < 0)
        die("coordinator", &err);
    return NULL;
}

static void start(struct bench *bench)
{
    struct err err = {0};

    if (coordinator_start(&bench->options, &bench->coordinator, &err) < 0)
        die("start", &err);
    pthread_create(&bench->loop, NULL, run_loop, bench->coordinator);
}

/* And Redis has the epoch: else the next to lead would take its memory for lost. */
static void wait_leading(struct bench *bench)
{
    int64_t until_ms = clock_monotonic_ms() + READY_MS;
    struct coordinator_state state;
    struct keeper_state kept;

    for (;;) {
        coordinator_state(bench->coordinator, &state);
        keeper_state(bench->coordinator->keeper, &kept);
        if (state.leading && state.redis_ok && kept.epoch)
            return;
        if (clock_monotonic_ms() > until_ms)
            die("does not lead", NULL);
        nap(2);
    }
}

static void wait_caught_up(struct bench *bench)
{
    int64_t until_ms = clock_monotonic_ms() + READY_MS;

    while (!view_caught_up(bench->coordinator->view)) {
        if (clock_monotonic_ms() > until_ms)
            die("the view does not catch up", NULL);
        nap(2);
    }
}

static void stop(struct bench *bench)
{
    coordinator_stop(bench->coordinator);
    pthread_join(bench->loop, NULL);
    coordinator_free(bench->coordinator);
}

/* ---- begin, records ---- */

static const struct caller admin = {(char *)"bench", (char *)"local", (char *)"admin", (char *)"ABC", NULL};

static void begin(struct bench *bench)
{
    json_t *out = NULL;
    struct err err = {0};

    start(bench);
    wait_leading(bench);
    if (plans_apply(bench->coordinator, &admin, "bench", POLICY, "bench", false, &out, &err) < 0)
        die("policy", &err);
    json_decref(out);
    stop(bench);
}

static void records(struct bench *bench)
{
    unsigned char master[KEY_BYTES];
    struct kafka_options kafka;
    struct err err = {0};
    double began = usage_wall();

    coordinator_kafka_options(&bench->kept, &kafka);
    kafka.linger_us = 5000;
    if (key_master_load(bench->kept.master_key_file, master, &err) < 0)
        die("master key", &err);
    fleet_write(&kafka, master, &bench->size);
    figure("records written in", usage_wall() - began, "s");
}

/* ---- floor: somebody who only reads ---- */

static void read_bare(struct bench *bench)
{
    static struct kafka_record batch[BATCH];
    struct kafka_consumer *consumer;
    struct kafka_options kafka;
    struct err err = {0};
    int64_t low, high, next = 0;
    double began = usage_wall(), cpu = usage_process();

    coordinator_kafka_options(&bench->kept, &kafka);
    if (kafka_consumer_open(&kafka, NULL, &consumer, &err) < 0 ||
        kafka_watermarks(consumer, topic_table[TOPIC_LEDGER].name, 0, &low, &high, READY_MS, &err) < 0 ||
        kafka_consumer_assign(consumer, topic_table[TOPIC_LEDGER].name, 0, low, &err) < 0)
        die("consumer", &err);
    while (next < high) {
        int count = kafka_consume(consumer, 100, batch, BATCH, &err);
        if (count < 0)
            die("consume", &err);
        if (count)
            next = batch[count - 1].offset + 1;
        kafka_records_free(batch, (size_t)count);
    }
    figure("ledger: records", (double)(high - low), "");
    figure("ledger: a bare consumer reads them in", usage_wall() - began, "s");
    figure("ledger: its CPU", usage_process() - cpu, "s");
    kafka_consumer_close(consumer);
}

/* ---- build: no view yet ---- */

static void must(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK)
        return;
    fprintf(stderr, "bench_plan: %s: %s\n", sql, sqlite3_errmsg(db));
    exit(1);
}

static int copy_schema(void *context, int columns, char **values, char **names)
{
    (void)columns;
    (void)names;
    must(context, values[0]);
    return 0;
}

/* The same rows into the same tables, by SQLite alone: its CPU is what no view can go below. */
static void insert_bare(const char *view_path)
{
    CLEANUP(freep) char *path = NULL;
    char *attach;
    sqlite3 *db;
    double began, cpu;

    if (asprintf(&path, "%s.bare", view_path) < 0 || sqlite3_open(path, &db) != SQLITE_OK)
        die("bare", NULL);
    must(db, "PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA cache_size=-32768");
    attach = sqlite3_mprintf("ATTACH %Q AS view", view_path);
    must(db, attach);
    sqlite3_free(attach);
    if (sqlite3_exec(db, "SELECT sql FROM view.sqlite_master WHERE sql IS NOT NULL", copy_schema, db, NULL) != SQLITE_OK)
        die(sqlite3_errmsg(db), NULL);
    began = usage_wall();
    cpu = usage_process();
    must(db, "BEGIN; INSERT INTO targets SELECT * FROM view.targets ORDER BY rowid;"
             "INSERT INTO hosts SELECT * FROM view.hosts ORDER BY rowid;"
             "INSERT INTO points SELECT * FROM view.points ORDER BY rowid;"
             "INSERT INTO jobs SELECT * FROM view.jobs ORDER BY id;"
             "INSERT INTO events SELECT * FROM view.events ORDER BY id; COMMIT");
    figure("view: the same rows inserted by SQLite alone", usage_wall() - began, "s");
    figure("view: CPU of that", usage_process() - cpu, "s");
    sqlite3_close(db);
    unlink(path);
}

static void build(struct bench *bench)
{
    char path[512];
    double began = usage_wall(), records = 3 * (double)bench->size.jobs + 2 * (double)bench->size.targets;

    start(bench);
    snprintf(path, sizeof path, "%s", coordinator_view_path(bench->coordinator));
    wait_leading(bench);
    figure("start without a view: leads after", usage_wall() - began, "s");
    wait_caught_up(bench);
    double wall = usage_wall() - began, cpu = usage_thread("view");
    figure("view: built anew in", wall, "s");
    figure("view: CPU of its thread", cpu, "s");
    figure("view: CPU per record", cpu * 1e6 / records, "us");
    figure("memory, peak", (double)usage_memory_kib("VmHWM") / 1024, "MiB");
    stop(bench);
    insert_bare(path);
}

/* ---- serve: plans ---- */

static void scan_bare(const char *view_path)
{
    sqlite3 *db;
    sqlite3_stmt *row;
    double began = usage_wall(), cpu = usage_process();
    size_t bytes = 0;

    if (sqlite3_open_v2(view_path, &db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(db, "SELECT value FROM targets WHERE NOT gone", -1, &row, NULL) != SQLITE_OK)
        die("scan", NULL);
    while (sqlite3_step(row) == SQLITE_ROW) {
        sqlite3_column_blob(row, 0);
        bytes += (size_t)sqlite3_column_bytes(row, 0);
    }
    sqlite3_finalize(row);
    sqlite3_close(db);
    figure("plan: SQLite alone reads the targets in", usage_wall() - began, "s");
    figure("plan: CPU of that", usage_process() - cpu, "s");
    figure("plan: bytes of targets", (double)bytes / 1048576, "MiB");
}

static void write_run(struct bench *bench, struct run *run, struct list *members)
{
    struct err err = {0};
    char id[37];
    double began = usage_wall(), cpu = usage_process();

    uuid_random(id);
    if (run_write(bench->coordinator, &admin, id, run, members, &err) < 0)
        die("run", &err);
    figure("run: in the ledger after", usage_wall() - began, "s");
    figure("run: CPU of that", usage_process() - cpu, "s");
    planner_wake(bench->coordinator->planner);
    nap(1000); /* adopted */
    cpu = usage_thread("planner");
    nap(DRIVE_S * 1000);
    figure("run: CPU of the planner, each second", (usage_thread("planner") - cpu) / DRIVE_S, "s");
}

static void plan(struct bench *bench)
{
    CLEANUP(ledger_entry_freep) struct ledger_entry *policy = NULL;
    CLEANUP(run_clear) struct run run = {0};
    CLEANUP(run_members_clear) struct run_members members = {0};
    struct view_reader *reader;
    struct world *world;
    struct err err = {0};

    if (policy_load(bench->coordinator, "nightly", 0, &policy, &err) < 0 || !policy ||
        view_reader_open(coordinator_view_path(bench->coordinator), &reader, &err) < 0)
        die("plan", &err);
    usage_forget_peak();
    long before = usage_memory_kib("VmRSS");
    double began = usage_wall(), cpu = usage_thread("bench_plan");
    int64_t now_ms = clock_real_ms();
    if (world_read(bench->coordinator, reader, &world, &err) < 0 ||
        run_plan(bench->coordinator, reader, world, policy->policy, NULL, now_ms, now_ms, &run, &members.members,
                 &err) < 0)
        die("plan", &err);
    double wall = usage_wall() - began;
    figure("plan: members", (double)members.members.count, "");
    figure("plan: made in", wall, "s");
    figure("plan: CPU of that", usage_thread("bench_plan") - cpu, "s");
    figure("plan: memory, peak above before", (double)(usage_memory_kib("VmHWM") - before) / 1024, "MiB");
    scan_bare(coordinator_view_path(bench->coordinator));
    world_free(world);
    view_reader_close(reader);
    write_run(bench, &run, &members.members);
}

/* ---- serve ---- */

static void serve(struct bench *bench)
{
    struct api_config config = {.listen = bench->kept.http_listen, .admin_token_file = bench->kept.admin_token_file};
    struct api *api;
    struct err err = {0};
    double began = usage_wall();

    start(bench);
    figure("restart: threads run after", usage_wall() - began, "s");
    wait_leading(bench);
    figure("restart: leads after", usage_wall() - began, "s");
    figure("restart: CPU of the main loop", usage_thread("loop"), "s");
    wait_caught_up(bench);
    figure("restart: the view has caught up after", usage_wall() - began, "s");
    figure("restart: CPU of all", usage_process(), "s");
    figure("restart: memory", (double)usage_memory_kib("VmRSS") / 1024, "MiB");
    plan(bench);
    if (api_start(&config, bench->coordinator, coordinator_view_path(bench->coordinator), &api, &err) < 0)
        die("api", &err);
    fleet_ask_pages(api_port(api), bench->kept.admin_token_file, &bench->size);
    api_stop(api);
    stop(bench);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(struct bench *bench);
    } parts[] = {{"begin", begin}, {"records", records}, {"floor", read_bare}, {"build", build}, {"serve", serve}};
    struct bench bench = {0};
    struct err err = {0};

    if (argc != 6) {
        fprintf(stderr, "usage: bench_plan begin|records|floor|build|serve COORDINATOR.YAML TARGETS HOSTS JOBS\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    log_set_level(LOG_LEVEL_WARNING);
    wire_init();
    bench.size = (struct fleet_size){atol(argv[3]), atol(argv[4]), atol(argv[5])};
    if (coordinator_options_load(argv[2], NULL, &bench.options, &err) < 0 ||
        coordinator_options_load(argv[2], NULL, &bench.kept, &err) < 0)
        die("options", &err);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strcmp(argv[1], parts[i].name) == 0)
            return parts[i].run(&bench), 0;
    die(argv[1], NULL);
}
