/* The pretended host: what a test says and reads in place of a worker, and the state in which each begins. */
#include "integration/support/coordinator_rig_internal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/uuid.h"
#include "crypto/digest.h"
#include "crypto/keys.h"
#include "crypto/mac.h"
#include "kafka/kafka.h"
#include "model/audit.h"
#include "model/inventory.h"
#include "model/restore_point.h"
#include "model/status.h"
#include "model/topics.h"
#include "redis/store.h"
#include "wire/wire.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

enum { COPIES_MAX = 4096 };

struct copy {
    char job_id[UUID_TEXT];
    uint64_t sum; /* of the value's bytes */
};

struct rig {
    char directory[128], host[64];
    struct kafka_options kafka;
    struct redis *redis;
    struct kafka_producer *producer;
    struct kafka_consumer *consumer;
    struct wire *wire;
    struct mac *mac;
    struct key_ring ring;
    unsigned char master[KEY_BYTES];
    int32_t job_partitions, status_partitions;
    int64_t audit_from; /* offset */
    struct copy copies[COPIES_MAX];
    size_t copy_count;
    struct job *jobs[COPIES_MAX];
};

void rig_must(int result, const struct err *err)
{
    if (result < 0)
        fail_msg("%s", err->text);
}

/* A coordinator's term and epoch are no other test's. */
static void empty_redis(struct rig *rig)
{
    const char *flush[] = {"FLUSHALL"};
    struct err err = {0};
    struct redis_reply *reply = redis_call(rig->redis, &err, 1, flush, NULL);

    if (!reply)
        fail_msg("redis: %s", err.text);
    redis_reply_free(reply);
}

static void open_redis(struct rig *rig)
{
    CLEANUP(freep) char *password = NULL;
    struct err err = {0};

    rig_must(file_read_secret(rig_server("FLEETSNAP_REDIS_PASSWORD_FILE"), 4096, &password, NULL, &err), &err);
    password[strcspn(password, "\n")] = '\0';
    struct redis_options options = {rig_server("FLEETSNAP_REDIS"), rig_server("FLEETSNAP_REDIS_USER"), password, 0};
    rig_must(redis_new(&options, &rig->redis, &err), &err);
    empty_redis(rig);
}

static void open_kafka(struct rig *rig)
{
    struct kafka_topic_problem problems[32];
    size_t count, created;
    int64_t low, high;
    struct err err = {0};

    rig->kafka = (struct kafka_options){
        .brokers = rig_server("FLEETSNAP_KAFKA"), .client_id = "rig", .fetch_wait_ms = 500};
    rig_must(kafka_topics_init(&rig->kafka, true, false, problems, 32, &count, &created, &err), &err);
    rig_must(kafka_producer_open(&rig->kafka, &rig->producer, &err), &err);
    rig_must(kafka_consumer_open(&rig->kafka, NULL, &rig->consumer, &err), &err);
    rig_must(kafka_partition_count(&rig->kafka, topic_table[TOPIC_JOBS].name, 5000, &rig->job_partitions, &err), &err);
    rig_must(kafka_partition_count(&rig->kafka, topic_table[TOPIC_STATUS].name, 5000, &rig->status_partitions, &err),
             &err);
    int32_t mine = kafka_partition_of(rig->host, strlen(rig->host), rig->job_partitions);
    rig_must(kafka_watermarks(rig->consumer, topic_table[TOPIC_JOBS].name, mine, &low, &high, 5000, &err), &err);
    rig_must(kafka_consumer_assign(rig->consumer, topic_table[TOPIC_JOBS].name, mine, high, &err), &err);
    rig_must(kafka_watermarks(rig->consumer, topic_table[TOPIC_AUDIT].name, 0, &low, &rig->audit_from, 5000, &err),
             &err);
}

void rig_use_key(struct rig *rig, uint32_t generation)
{
    struct err err = {0};

    rig->ring = (struct key_ring){.count = 1};
    rig->ring.items[0].generation = generation;
    rig_must(key_derive_host(rig->master, generation, rig->host, rig->ring.items[0].key, &err), &err);
}

static void open_keys(struct rig *rig)
{
    char path[256];
    struct err err = {0};

    snprintf(path, sizeof path, "%s/master.key", rig->directory);
    rig_must(key_master_create(path, &err), &err);
    rig_must(key_master_load(path, rig->master, &err), &err);
    rig_use_key(rig, 1);
    rig_must(wire_new(&rig->wire, &err), &err);
    rig_must(mac_new(&rig->mac, &err), &err);
}

struct rig *rig_open(const char *host)
{
    struct rig *rig = calloc(1, sizeof *rig);

    signal(SIGPIPE, SIG_IGN);
    snprintf(rig->host, sizeof rig->host, "%s", host);
    snprintf(rig->directory, sizeof rig->directory, "/tmp/fleetsnap-rig-XXXXXX");
    assert_non_null(mkdtemp(rig->directory));
    open_redis(rig);
    open_kafka(rig);
    open_keys(rig);
    return rig;
}

void rig_close(struct rig *rig)
{
    char command[160];

    kafka_consumer_close(rig->consumer);
    kafka_producer_close(rig->producer, 1000);
    empty_redis(rig);
    redis_free(rig->redis);
    mac_free(rig->mac);
    wire_free(rig->wire);
    for (size_t i = 0; i < rig->copy_count; i++)
        job_free(rig->jobs[i]);
    snprintf(command, sizeof command, "rm -rf '%s'", rig->directory);
    if (system(command) != 0)
        print_message("%s is left\n", rig->directory);
    free(rig);
}

const char *rig_host(const struct rig *rig)
{
    return rig->host;
}

const char *rig_directory(const struct rig *rig)
{
    return rig->directory;
}

struct redis *rig_redis(struct rig *rig)
{
    return rig->redis;
}

static bool verifies(struct rig *rig, const struct kafka_record *record)
{
    const char *mac = kafka_header(record, "fs-mac"), *host = kafka_header(record, "fs-host");
    struct mac_input input = {.topic = record->topic,
                              .key = record->key,
                              .key_len = record->key_len,
                              .value = record->value,
                              .value_len = record->value_len,
                              .fs_host = host,
                              .fs_job = kafka_header(record, "fs-job")};

    return mac && host && strcmp(host, rig->host) == 0 &&
           mac_verify(rig->mac, &rig->ring, &input, mac, record->timestamp_ms) == MAC_OK;
}

static void take_in(struct rig *rig, const struct kafka_record *record)
{
    struct job *job = calloc(1, sizeof *job);
    struct copy *copy = &rig->copies[rig->copy_count];
    struct err err = {0};

    assert_true(rig->copy_count < COPIES_MAX);
    rig_must(wire_decode(rig->wire, &job_record, record->value, record->value_len, topic_table[TOPIC_JOBS].max_bytes,
                         job, &err),
             &err);
    snprintf(copy->job_id, sizeof copy->job_id, "%s", job->job_id);
    for (size_t i = 0; i < record->value_len; i++)
        copy->sum = copy->sum * 1099511628211u + ((const unsigned char *)record->value)[i];
    rig->jobs[rig->copy_count++] = job;
}

void rig_read_jobs(struct rig *rig, int timeout_ms)
{
    struct kafka_record records[64];
    struct err err = {0};
    int count = kafka_consume(rig->consumer, timeout_ms, records, 64, &err);

    rig_must(count, &err);
    for (int i = 0; i < count; i++)
        if (verifies(rig, &records[i]))
            take_in(rig, &records[i]);
    kafka_records_free(records, (size_t)count);
}

static const struct job *find_job(const struct rig *rig, const char *job_id)
{
    for (size_t i = 0; i < rig->copy_count; i++)
        if (strcmp(rig->copies[i].job_id, job_id) == 0)
            return rig->jobs[i];
    return NULL;
}

int rig_copies(struct rig *rig, const char *job_id)
{
    int count = 0;

    for (size_t i = 0; i < rig->copy_count; i++)
        count += strcmp(rig->copies[i].job_id, job_id) == 0;
    return count;
}

int rig_total(const struct rig *rig)
{
    return (int)rig->copy_count;
}

bool rig_copies_agree(struct rig *rig, const char *job_id)
{
    const struct copy *first = NULL;

    for (size_t i = 0; i < rig->copy_count; i++) {
        if (strcmp(rig->copies[i].job_id, job_id) != 0)
            continue;
        if (first && first->sum != rig->copies[i].sum)
            return false;
        first = &rig->copies[i];
    }
    return first != NULL;
}

void rig_wait_job(struct rig *rig, const char *job_id, int timeout_ms)
{
    int64_t until_ms = clock_monotonic_ms() + timeout_ms;

    while (!rig_copies(rig, job_id)) {
        if (clock_monotonic_ms() > until_ms)
            fail_msg("job %s does not arrive", job_id);
        rig_read_jobs(rig, 100);
    }
}

/* What was produced is on the broker. */
static void flush(struct rig *rig)
{
    int64_t until_ms = clock_monotonic_ms() + 60000;

    while (kafka_producer_queued(rig->producer)) {
        assert_true(clock_monotonic_ms() < until_ms);
        kafka_producer_poll(rig->producer, 50, NULL, NULL);
    }
}

void rig_say(struct rig *rig, const char *job_id, const struct rig_say *what)
{
    const struct job *job = find_job(rig, job_id);
    const char *host = what->as_host ? what->as_host : rig->host, *topic = topic_table[TOPIC_STATUS].name;
    struct key_ring ring = rig->ring;
    const unsigned char *value;
    size_t len;
    char mac[MAC_TEXT];
    struct err err = {0};

    assert_non_null(job);
    struct status status = {.job_id = job->job_id,
                            .op = job->op,
                            .origin = ORIGIN_WORKER,
                            .seq = what->seq,
                            .state = what->state,
                            .host = rig->host,
                            .target = job->target,
                            .at_ms = clock_real_ms(),
                            .attempt = 1,
                            .journal = (char *)"rig"};
    if (what->as_host)
        rig_must(key_derive_host(rig->master, 1, host, ring.items[0].key, &err), &err);
    if (what->bad_mac)
        ring.items[0].key[0] ^= 1;
    rig_must(wire_encode(rig->wire, &status_record, &status, &value, &len, &err), &err);
    struct mac_input input = {.topic = topic,
                              .key = job_id,
                              .key_len = strlen(job_id),
                              .value = value,
                              .value_len = len,
                              .fs_host = host,
                              .fs_job = job_id};
    rig_must(mac_sign(rig->mac, &ring, &input, mac, &err), &err);
    struct kafka_header headers[] = {{"fs-host", host}, {"fs-job", job_id}, {"fs-mac", mac}};
    rig_must(kafka_produce(rig->producer, topic, kafka_partition_of(rig->host, strlen(rig->host), rig->status_partitions),
                           job_id, strlen(job_id), value, len, headers, 3, 1, &err),
             &err);
    flush(rig);
}

void rig_catalog(struct rig *rig, const char *job_id, const char *point_id, int64_t revision, bool tombstone)
{
    const struct job *job = find_job(rig, job_id);
    const char *topic = topic_table[TOPIC_CATALOG].name;
    const unsigned char *value = NULL;
    size_t len = 0;
    char mac[MAC_TEXT], number[24];
    struct err err = {0};

    assert_non_null(job);
    struct restore_point point = {.id = (char *)point_id,
                                  .format = 1,
                                  .revision = revision,
                                  .kind = (char *)"snapshot",
                                  .state = POINT_COMPLETE,
                                  .target = job->target,
                                  .host = rig->host,
                                  .created_at_ms = clock_real_ms(),
                                  .writer = job->job_id};
    if (!tombstone)
        rig_must(wire_encode(rig->wire, &restore_point_record, &point, &value, &len, &err), &err);
    snprintf(number, sizeof number, "%lld", (long long)revision);
    struct mac_input input = {.topic = topic,
                              .key = point_id,
                              .key_len = strlen(point_id),
                              .value = value,
                              .value_len = len,
                              .fs_host = rig->host,
                              .fs_job = job_id,
                              .fs_rev = tombstone ? number : NULL};
    rig_must(mac_sign(rig->mac, &rig->ring, &input, mac, &err), &err);
    struct kafka_header headers[] = {{"fs-host", rig->host}, {"fs-job", job_id}, {"fs-mac", mac}, {"fs-rev", number}};
    rig_must(kafka_produce(rig->producer, topic, 0, point_id, strlen(point_id), value, len, headers, tombstone ? 4 : 3,
                           1, &err),
             &err);
    flush(rig);
}

static void send_inventory(struct rig *rig, const char *key, const struct inventory *inventory)
{
    const char *topic = topic_table[TOPIC_INVENTORY].name;
    const unsigned char *value = NULL;
    size_t len = 0;
    char mac[MAC_TEXT];
    struct err err = {0};

    rig_must(wire_encode(rig->wire, &inventory_record, inventory, &value, &len, &err), &err);
    struct mac_input input = {
        .topic = topic, .key = key, .key_len = strlen(key), .value = value, .value_len = len, .fs_host = rig->host};
    rig_must(mac_sign(rig->mac, &rig->ring, &input, mac, &err), &err);
    struct kafka_header headers[] = {{"fs-host", rig->host}, {"fs-mac", mac}};
    rig_must(kafka_produce(rig->producer, topic, 0, key, strlen(key), value, len, headers, 2, 1, &err), &err);
}

void rig_inventory(struct rig *rig, int machines)
{
    struct inventory_host host = {.host = rig->host, .version = (char *)"rig", .state = (char *)"running"};
    struct inventory inventory = {.at_ms = clock_real_ms(), .revision = clock_real_us(), .host = &host};
    char id[48], name[16], key[256];

    send_inventory(rig, rig->host, &inventory);
    for (int i = 0; i < machines; i++) {
        snprintf(id, sizeof id, "00000000-0000-4000-8000-%012d", i);
        snprintf(name, sizeof name, "vm-%d", i);
        snprintf(key, sizeof key, "%s/libvirt:%s", rig->host, id);
        struct inventory_target target = {
            .host = rig->host, .target = {(char *)"libvirt", id, name}, .state = (char *)"running"};
        inventory = (struct inventory){.at_ms = clock_real_ms(), .revision = clock_real_us(), .target = &target};
        send_inventory(rig, key, &inventory);
    }
    flush(rig);
}

static json_t *read_audit(struct rig *rig, const struct kafka_record *record, char previous[DIGEST_TEXT])
{
    CLEANUP(freep) char *text = NULL;
    struct audit audit = {0};
    struct err err = {0};

    rig_must(wire_decode(rig->wire, &audit_record, record->value, record->value_len, topic_table[TOPIC_AUDIT].max_bytes,
                         &audit, &err),
             &err);
    if (*previous)
        assert_string_equal(audit.previous, previous);
    digest_bytes(record->value, record->value_len, previous);
    rig_must(record_to_json(&audit_record, &audit, false, &text, &err), &err);
    audit_clear(&audit);
    return json_loads(text, 0, NULL);
}

json_t *rig_audits(struct rig *rig)
{
    const char *topic = topic_table[TOPIC_AUDIT].name;
    char previous[DIGEST_TEXT] = "";
    json_t *all = json_array();
    int64_t low, high;
    struct err err = {0};

    rig_must(kafka_watermarks(rig->consumer, topic, 0, &low, &high, 5000, &err), &err);
    for (int64_t offset = rig->audit_from; offset < high; offset++) {
        struct kafka_record record;
        bool found = false;
        rig_must(kafka_record_at(rig->consumer, topic, 0, offset, &record, &found, 5000, &err), &err);
        if (!found)
            continue;
        json_array_append_new(all, read_audit(rig, &record, previous));
        kafka_records_free(&record, 1);
    }
    return all;
}

int rig_acquire(struct rig *rig, const char *job_id, const char *target, char detail[256], int64_t *out_token)
{
    struct store_epoch epoch;
    struct store_command command = {0};
    struct acquire_result result;
    struct err err = {0};

    do
        rig_must(store_epoch_read(rig->redis, &epoch, &err), &err);
    while (!epoch.n && poll(NULL, 0, 20) == 0);
    struct store_acquire acquire = {.job_id = job_id,
                                    .host = rig->host,
                                    .instance = "rig",
                                    .target = target,
                                    .journal = "rig",
                                    .job_class = CLASS_B,
                                    .epoch = epoch.n,
                                    .run_id = epoch.run_id,
                                    .attempt = 1,
                                    .ttl_ms = 30000};
    rig_must(store_acquire_command(&acquire, &command, &err), &err);
    struct redis_reply *reply = store_call(rig->redis, &command, &err);
    store_acquire_answer(reply ? REDIS_ANSWERED : REDIS_LOST, reply, &result);
    redis_reply_free(reply);
    store_command_clear(&command);
    snprintf(detail, 256, "%s", result.detail);
    *out_token = result.token;
    return result.answer;
}

void rig_target(struct rig *rig, const char *id, const char *label, const char *value)
{
    const char *topic = topic_table[TOPIC_INVENTORY].name;
    struct inventory_target target = {
        .host = rig->host, .target = {(char *)"null", (char *)id, (char *)id}, .state = (char *)"running"};
    struct inventory inventory = {.at_ms = clock_real_ms(), .revision = clock_real_us(), .target = &target};
    const unsigned char *bytes;
    size_t len;
    char mac[MAC_TEXT], key[256];
    struct err err = {0};

    rig_must(facts_set(&target.labels, label, value, &err), &err);
    rig_must(wire_encode(rig->wire, &inventory_record, &inventory, &bytes, &len, &err), &err);
    facts_clear(&target.labels);
    snprintf(key, sizeof key, "%s/null:%s", rig->host, id);
    struct mac_input input = {
        .topic = topic, .key = key, .key_len = strlen(key), .value = bytes, .value_len = len, .fs_host = rig->host};
    rig_must(mac_sign(rig->mac, &rig->ring, &input, mac, &err), &err);
    struct kafka_header headers[] = {{"fs-host", rig->host}, {"fs-mac", mac}};
    rig_must(kafka_produce(rig->producer, topic, 0, key, strlen(key), bytes, len, headers, 2, 1, &err), &err);
    flush(rig);
}

void rig_heartbeat(struct rig *rig)
{
    struct store_claim claim = {.host = rig->host,
                                .instance = "rig",
                                .boot_id = "rig",
                                .state_directory = "/rig",
                                .version = "test",
                                .ttl_ms = 45000,
                                .directory_locked = true};
    struct store_command command = {0};
    struct err err = {0};

    rig_must(store_claim_command(&claim, &command, &err), &err);
    struct redis_reply *reply = store_call(rig->redis, &command, &err);
    if (!reply)
        fail_msg("claim: %s", err.text);
    redis_reply_free(reply);
    store_command_clear(&command);
}

int rig_scene_set_up(void **state)
{
    struct rig_scene *scene = calloc(1, sizeof *scene);

    scene->rig = rig_open("alpha");
    scene->coordinator = coordinator_rig_start(scene->rig, "c1", NULL, NULL);
    rig_wait_leading(scene->coordinator, 30000);
    json_decref(rig_insist(scene->coordinator, 10000, "enroll alpha"));
    *state = scene;
    return 0;
}

int rig_scene_tear_down(void **state)
{
    struct rig_scene *scene = *state;

    coordinator_rig_stop(scene->coordinator, 0);
    rig_close(scene->rig);
    free(scene);
    return 0;
}
