#include "bench/fleet_records.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/uuid.h"
#include "bench/speaker.h"
#include "coordinator/ledger.h"
#include "kafka/kafka.h"
#include "model/inventory.h"
#include "model/job_state.h"
#include "model/restore_point.h"
#include "model/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MARKS = 256, DISKS = 2, DAY_MS = 86400000 };
static const char REPOSITORY[] = "5f0c0e52-7d64-4c8e-9d0c-0f6b3f3f2a11",
                  JOURNAL[] = "0b2f7a54-6a52-4e0f-8a64-0a3a3b1fb111";

struct fleet {
    struct fleet_size size;
    struct speaker *speaker;
    int64_t n, now_ms;
};

static void need(int result, const struct err *err)
{
    if (result >= 0)
        return;
    fprintf(stderr, "bench: %s\n", err->text);
    exit(1);
}

static void derived_id(char out[UUID_TEXT], const char *what, long number)
{
    char text[24];
    const char *const parts[] = {"bench", what, text, NULL};

    snprintf(text, sizeof text, "%ld", number);
    uuid_derive(out, parts);
}

void fleet_host(char out[64], long host)
{
    snprintf(out, 64, "host-%05ld", host);
}

void fleet_target(char out[64], long target)
{
    char id[UUID_TEXT];

    derived_id(id, "target", target);
    snprintf(out, 64, "libvirt:%s", id);
}

static void host_of(const struct fleet *fleet, long target, char out[64])
{
    fleet_host(out, target % fleet->size.hosts);
}

/* The strings are the caller's buffers. */
static struct target target_of(long target, char id[UUID_TEXT], char name[32])
{
    derived_id(id, "target", target);
    snprintf(name, 32, "vm-%06ld", target);
    return (struct target){(char *)"libvirt", id, name};
}

/* ---- the ledger ---- */

static void put(struct fleet *fleet, struct ledger_entry *entry)
{
    char key[LEDGER_KEY_TEXT];

    entry->term = 1;
    entry->n = ++fleet->n;
    entry->at_ms = fleet->now_ms;
    entry->who = (char *)"bench";
    ledger_key_format(key, entry->kind, entry->id, (struct ledger_ref){1, entry->n});
    speaker_say(fleet->speaker, &(struct speech){.topic = TOPIC_LEDGER,
                                                 .key = key,
                                                 .type = &ledger_entry_record,
                                                 .record = entry,
                                                 .job = entry->kind == LEDGER_JOB ? entry->id : NULL});
}

static void put_job(struct fleet *fleet, long number)
{
    char job_id[UUID_TEXT], id[UUID_TEXT], name[32], host[64], run[UUID_TEXT];
    struct repository_ref repository = {(char *)REPOSITORY, (char *)"main", (char *)"/backup/main"};
    struct params_backup_create params = {.repository = &repository, .max_chain = 30, .max_chain_ms = 35LL * DAY_MS};
    struct job job = {.job_id = job_id,
                      .op = OP_BACKUP_CREATE,
                      .host = host,
                      .params = &params,
                      .priority = 3,
                      .issued_at_ms = fleet->now_ms - (fleet->size.jobs - number),
                      .deadline_ms = fleet->now_ms + DAY_MS,
                      .max_attempts = 3,
                      .backoff_ms = 1000,
                      .policy = (char *)"nightly",
                      .schedule = (char *)"daily",
                      .run = run,
                      .requested_by = (char *)"policy nightly"};
    struct ledger_job ledger_job = {.job = &job, .prepared_at_ms = job.issued_at_ms, .partition = -1, .offset = -1};
    struct ledger_entry entry = {.kind = LEDGER_JOB, .id = job_id, .job = &ledger_job};
    long target = number % fleet->size.targets;

    derived_id(job_id, "job", number);
    derived_id(run, "run", number / fleet->size.targets);
    job.target = target_of(target, id, name);
    host_of(fleet, target, host);
    put(fleet, &entry);
}

static int state_of(long job)
{
    return job % FLEET_FAILED_EVERY == 0 ? STATE_FAILED : STATE_SUCCEEDED;
}

/* What became of `count` jobs: published, or how they ended. */
static void put_marks(struct fleet *fleet, long first, long count, bool ended)
{
    static char ids[MARKS][UUID_TEXT];
    static struct ledger_mark marks[MARKS];
    char id[64];
    struct ledger_entry entry = {.kind = LEDGER_MARKS, .id = id, .marks = {marks, (size_t)count}};

    for (long i = 0; i < count; i++) {
        derived_id(ids[i], "job", first + i);
        marks[i] = (struct ledger_mark){.job = ids[i],
                                        .at_ms = fleet->now_ms,
                                        .partition = ended ? -1 : 0,
                                        .offset = ended ? -1 : first + i,
                                        .outcome = ended ? (char *)job_state_names[state_of(first + i)] : NULL};
    }
    snprintf(id, sizeof id, "1.%lld", (long long)fleet->n + 1);
    put(fleet, &entry);
}

/* ---- what hosts say ---- */

static void say_status(struct fleet *fleet, long number, int state)
{
    char job_id[UUID_TEXT], id[UUID_TEXT], name[32], host[64];
    struct job_error error = {ERR_PERMANENT, 28, (char *)"repository main: no space left",
                              (char *)"Make room, or add a repository."};
    struct job_result result = {.point = job_id};
    struct err err = {0};
    struct status status = {.job_id = job_id,
                            .op = OP_BACKUP_CREATE,
                            .origin = ORIGIN_WORKER,
                            .seq = fleet->now_ms * 1000 + 2 * number + (state != STATE_RUNNING),
                            .state = state,
                            .host = host,
                            .at_ms = fleet->now_ms,
                            .accepted_at_ms = fleet->now_ms,
                            .token = (3LL << 32) + number,
                            .attempt = 1,
                            .error = state == STATE_FAILED ? &error : NULL,
                            .result = state == STATE_SUCCEEDED ? &result : NULL,
                            .journal = (char *)JOURNAL};

    derived_id(job_id, "job", number);
    status.target = target_of(number % fleet->size.targets, id, name);
    host_of(fleet, number % fleet->size.targets, host);
    if (status.result) {
        need(facts_set_int(&result.facts, "size_bytes", 1LL << 30, &err), &err);
        need(facts_set(&result.facts, "level", "filesystem", &err), &err);
    }
    speaker_say(fleet->speaker, &(struct speech){TOPIC_STATUS, -1, job_id, &status_record, &status, host, job_id});
    facts_clear(&result.facts);
}

static void say_point(struct fleet *fleet, long number)
{
    char job_id[UUID_TEXT], id[UUID_TEXT], name[32], host[64];
    struct restore_point point = {.id = job_id,
                                  .format = 1,
                                  .revision = 1,
                                  .kind = (char *)"backup",
                                  .state = POINT_COMPLETE,
                                  .host = host,
                                  .created_at_ms = fleet->now_ms,
                                  .completed_at_ms = fleet->now_ms,
                                  .backup_kind = (char *)"full",
                                  .chain = job_id,
                                  .chain_length = 1,
                                  .repository = (char *)REPOSITORY,
                                  .level = (char *)"filesystem",
                                  .size_bytes = 1LL << 30,
                                  .policy = (char *)"nightly",
                                  .writer = job_id};

    derived_id(job_id, "job", number);
    point.target = target_of(number, id, name);
    host_of(fleet, number, host);
    speaker_say(fleet->speaker,
                &(struct speech){TOPIC_CATALOG, -1, job_id, &restore_point_record, &point, host, job_id});
}

static void say_host(struct fleet *fleet, const char *host)
{
    struct inventory_space space = {.id = (char *)REPOSITORY,
                                    .name = (char *)"main",
                                    .path = (char *)"/backup/main",
                                    .total_bytes = 1LL << 42,
                                    .free_bytes = 1LL << 41,
                                    .ok = true};
    struct inventory_backend backend = {.kind = (char *)"libvirt", .uri = (char *)"qemu:///system", .ok = true};
    struct inventory_host own = {.host = (char *)host,
                                 .version = (char *)"1.0.0",
                                 .state = (char *)"running",
                                 .journal = (char *)JOURNAL,
                                 .backends = {&backend, 1},
                                 .repositories = {&space, 1},
                                 .executors = 4};
    struct inventory inventory = {.at_ms = fleet->now_ms, .revision = 1, .host = &own};

    speaker_say(fleet->speaker, &(struct speech){TOPIC_INVENTORY, -1, host, &inventory_record, &inventory, host, NULL});
}

static void say_target(struct fleet *fleet, long number)
{
    static const char *const apps[] = {"shop", "mail", "wiki", "build"}, *const tiers[] = {"web", "db"};
    char id[UUID_TEXT], name[32], host[64], key[200], text[64];
    struct inventory_disk disks[DISKS];
    struct inventory_target own = {.host = host,
                                   .state = (char *)(number % 5 ? "running" : "shutoff"),
                                   .persistent = true,
                                   .agent = (char *)"answers"};
    struct inventory inventory = {.at_ms = fleet->now_ms, .revision = 1, .target = &own};
    struct err err = {0};

    for (int i = 0; i < DISKS; i++)
        disks[i] = (struct inventory_disk){.name = (char *)(i ? "vdb" : "vda"),
                                           .device = (char *)"disk",
                                           .format = (char *)"qcow2",
                                           .source = (char *)"/var/lib/libvirt/images/disk.qcow2",
                                           .type = (char *)"file",
                                           .size_bytes = 1LL << 34,
                                           .backup = (char *)"incremental"};
    own.disks = (struct list){disks, DISKS};
    own.target = target_of(number, id, name);
    host_of(fleet, number, host);
    need(facts_set(&own.labels, "app", apps[number % 4], &err), &err);
    need(facts_set(&own.labels, "tier", tiers[number / 4 % 2], &err), &err);
    fleet_target(text, number);
    snprintf(key, sizeof key, "%s/%s", host, text);
    speaker_say(fleet->speaker, &(struct speech){TOPIC_INVENTORY, -1, key, &inventory_record, &inventory, host, NULL});
    facts_clear(&own.labels);
}

/* ---- all ---- */

static void write_hosts(struct fleet *fleet)
{
    for (long i = 0; i < fleet->size.hosts; i++) {
        char host[64];
        struct ledger_host state = {.state = (char *)"enrolled"};
        struct ledger_entry entry = {.kind = LEDGER_HOST, .id = host, .host = &state};
        fleet_host(host, i);
        put(fleet, &entry);
        say_host(fleet, host);
        for (long target = i; target < fleet->size.targets; target += fleet->size.hosts)
            say_target(fleet, target);
    }
}

static void write_jobs(struct fleet *fleet)
{
    for (long first = 0; first < fleet->size.jobs; first += MARKS) {
        long count = fleet->size.jobs - first < MARKS ? fleet->size.jobs - first : MARKS;
        for (long i = first; i < first + count; i++)
            put_job(fleet, i);
        put_marks(fleet, first, count, false);
        for (long i = first; i < first + count; i++) {
            say_status(fleet, i, STATE_RUNNING);
            if (i < fleet->size.targets && state_of(i) == STATE_SUCCEEDED)
                say_point(fleet, i);
            say_status(fleet, i, state_of(i));
        }
        put_marks(fleet, first, count, true);
    }
}

void fleet_write(const struct kafka_options *kafka, const unsigned char *master, const struct fleet_size *size)
{
    struct fleet fleet = {.size = *size, .n = 1000000, .now_ms = clock_real_ms()};

    fleet.speaker = speaker_open(kafka, master, 1);
    write_hosts(&fleet);
    write_jobs(&fleet);
    speaker_close(fleet.speaker);
}
