/*
 * What the view costs per job, without servers: a broker inside the process (librdkafka's mock), records as the leader and a worker write them, and the view's own thread.
 *
 *     bench_view [JOBS [JOBS A SECOND]]
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/uuid.h"
#include "bench/speaker.h"
#include "bench/usage.h"
#include "coordinator/ledger.h"
#include "coordinator/view_feed.h"
#include "kafka/kafka.h"
#include "kafka/mock.h"
#include "model/status.h"
#include "model/topics.h"
#include "wire/wire.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TICK_MS = 10, ENDED_TICKS = 8, OPEN_MAX = 5000, STUCK_MS = 10000 };

struct bench {
    struct speaker *speaker;
    unsigned char master[KEY_BYTES];
    char (*ids)[UUID_TEXT];
    long jobs;
    int64_t seq;
    atomic_long ended, dead;
};

static void die(const char *what, const struct err *err)
{
    fprintf(stderr, "bench_view: %s: %s\n", what, err ? err->text : "");
    exit(1);
}

static void say(struct bench *bench, enum topic topic, int32_t partition, const char *key,
                const struct record_type *type, const void *record, const char *host, const char *job)
{
    speaker_say(bench->speaker, &(struct speech){topic, partition, key, type, record, host, job});
}

static void say_prepared(struct bench *bench, long i)
{
    struct params_noop params = {0};
    char name[32], key[LEDGER_KEY_TEXT];
    struct job job = {.job_id = bench->ids[i],
                      .op = OP_NOOP,
                      .host = (char *)"bench",
                      .params = &params,
                      .priority = 5,
                      .issued_at_ms = clock_real_ms(),
                      .deadline_ms = clock_real_ms() + 7 * 86400000LL,
                      .max_attempts = 3,
                      .backoff_ms = 1000,
                      .requested_by = (char *)"bench"};
    struct ledger_job ledger_job = {.job = &job, .prepared_at_ms = job.issued_at_ms, .partition = -1, .offset = -1};
    struct ledger_entry entry = {.kind = LEDGER_JOB,
                                 .id = bench->ids[i],
                                 .term = 1,
                                 .n = i + 1,
                                 .at_ms = job.issued_at_ms,
                                 .who = (char *)"bench",
                                 .job = &ledger_job};

    snprintf(name, sizeof name, "t%ld", i);
    job.target = (struct target){(char *)"null", name, name};
    ledger_key_format(key, LEDGER_JOB, bench->ids[i], (struct ledger_ref){1, i + 1});
    say(bench, TOPIC_LEDGER, 0, key, &ledger_entry_record, &entry, NULL, bench->ids[i]);
}

static void say_status(struct bench *bench, long i, enum job_state state)
{
    char name[32];
    struct status status = {.job_id = bench->ids[i],
                            .op = OP_NOOP,
                            .origin = ORIGIN_WORKER,
                            .seq = ++bench->seq,
                            .state = (int)state,
                            .host = (char *)"bench",
                            .at_ms = clock_real_ms()};

    snprintf(name, sizeof name, "t%ld", i);
    status.target = (struct target){(char *)"null", name, name};
    status.token = (3LL << 32) + i;
    status.attempt = 1;
    status.accepted_at_ms = status.started_at_ms = status.at_ms;
    status.journal = (char *)"0b2f7a54-6a52-4e0f-8a64-0a3a3b1fb111";
    say(bench, TOPIC_STATUS, 1, bench->ids[i], &status_record, &status, "bench", bench->ids[i]);
}

/* ---- the coordinator as the view sees it ---- */

static bool generations(void *context, const char *host, struct ledger_generation *out, size_t max, size_t *out_count)
{
    (void)context;
    (void)host;
    (void)max;
    out[0] = (struct ledger_generation){.generation = 1};
    *out_count = 1;
    return true;
}

static uint64_t version(void *context)
{
    (void)context;
    return 1;
}

static bool job_facts(void *context, const char *job_id, struct ledger_job_facts *out)
{
    (void)context;
    *out = (struct ledger_job_facts){.op = OP_NOOP, .host = "bench"};
    snprintf(out->target, sizeof out->target, "null:t%ld", strtol(job_id + 24, NULL, 16));
    return true;
}

static int open_jobs(void *context, char (**out)[UUID_TEXT], size_t *out_count, struct err *err)
{
    (void)context;
    (void)err;
    *out = NULL;
    *out_count = 0;
    return 0;
}

static int64_t position(void *context)
{
    (void)context;
    return INT64_MAX;
}

static void said(void *context, const struct view_word *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        atomic_fetch_add(&((struct bench *)context)->ended, words[i].kind == WORD_LAST);
}

static void dead_letter(void *context, struct dead_letter *letter)
{
    (void)letter;
    atomic_fetch_add(&((struct bench *)context)->dead, 1);
}

static void feed(struct bench *bench, long rate)
{
    int64_t begin = clock_monotonic_ms();
    long per_tick = rate * TICK_MS / 1000;

    for (long tick = 0; (tick - ENDED_TICKS) * per_tick < bench->jobs; tick++) {
        for (long i = tick * per_tick; i < (tick + 1) * per_tick; i++) {
            if (i < bench->jobs)
                say_prepared(bench, i);
            long over = i - ENDED_TICKS * per_tick;
            if (over >= 0 && over < bench->jobs)
                say_status(bench, over, STATE_SUCCEEDED);
        }
        speaker_wait(bench->speaker, 0);
        while (tick * per_tick - atomic_load(&bench->ended) > OPEN_MAX) /* the broker keeps 5 MiB of a partition */
            speaker_wait(bench->speaker, 1);
        int64_t left = begin + (tick + 1) * TICK_MS - clock_monotonic_ms();
        if (left > 0)
            speaker_wait(bench->speaker, (int)left);
    }
}

int main(int argc, char **argv)
{
    struct bench bench = {.jobs = argc > 1 ? atol(argv[1]) : 100000};
    long rate = argc > 2 ? atol(argv[2]) : 10000;
    struct kafka_mock *mock;
    struct view *view;
    struct err err = {0};
    char path[] = "/tmp/fs-bench-view.XXXXXX", file[64], command[80];

    log_set_level(LOG_LEVEL_WARNING);
    wire_init();
    if (!mkdtemp(path) || kafka_mock_open(1, &mock, &err) < 0)
        die("start", &err);
    snprintf(file, sizeof file, "%s/view.db", path);
    static const enum topic topics[] = {TOPIC_LEDGER, TOPIC_INVENTORY, TOPIC_CATALOG, TOPIC_STATUS, TOPIC_DLQ};
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++)
        if (kafka_mock_topic(mock, topic_table[topics[i]].name, topics[i] == TOPIC_STATUS ? 4 : 1, &err) < 0)
            die("topic", &err);
    struct kafka_options kafka = {
        .brokers = kafka_mock_brokers(mock), .client_id = "bench", .linger_us = 5000, .fetch_wait_ms = 10};
    bench.speaker = speaker_open(&kafka, bench.master, 1);
    bench.ids = calloc((size_t)bench.jobs, sizeof *bench.ids);
    for (long i = 0; i < bench.jobs; i++) {
        uuid_random(bench.ids[i]);
        snprintf(bench.ids[i] + 24, 13, "%012lx", i & 0xffffffffffff); /* so that the job's number can be read from it */
    }
    struct ledger_entry term = {.kind = LEDGER_TERM,
                                .id = (char *)"x",
                                .term = 1,
                                .n = 0,
                                .nonce = (char *)"x",
                                .who = (char *)"bench",
                                .at_ms = 1};
    say(&bench, TOPIC_LEDGER, 0, "term:x@1", &ledger_entry_record, &term, NULL, NULL);

    struct view_options options = {
        .path = file,
        .kafka = kafka,
        .master = bench.master,
        .source = {.context = &bench,
                   .trust = {.context = &bench, .generations = generations, .version = version},
                   .job = job_facts,
                   .open_jobs = open_jobs,
                   .position = position,
                   .said = said,
                   .dead_letter = dead_letter}};
    if (view_start(&options, &view, &err) < 0)
        die("view", &err);
    double before = usage_thread("view");
    int64_t begin = clock_monotonic_ms();
    feed(&bench, rate);
    while (atomic_load(&bench.ended) < bench.jobs && clock_monotonic_ms() - begin < STUCK_MS + bench.jobs * 2000 / rate)
        speaker_wait(bench.speaker, 5);
    printf("jobs %ld ended %ld dead %ld in %.1f s: view %.1f us/job, consumer %.1f us/job\n", bench.jobs,
           atomic_load(&bench.ended), atomic_load(&bench.dead), (double)(clock_monotonic_ms() - begin) / 1e3,
           (usage_thread("view") - before) * 1e6 / (double)bench.jobs,
           usage_thread("rdk:broker1") * 1e6 / (double)bench.jobs);
    view_stop(view);
    speaker_close(bench.speaker);
    kafka_mock_close(mock);
    snprintf(command, sizeof command, "rm -r %s", path);
    return system(command) == 0 && atomic_load(&bench.ended) == bench.jobs ? 0 : 1;
}
