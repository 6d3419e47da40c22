#include "tests/integration/support/fleet.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/uuid.h"
#include "crypto/keys.h"
#include "crypto/mac.h"
#include "kafka/kafka.h"
#include "model/audit.h"
#include "model/topics.h"
#include "wire/wire.h"
#include "worker/table.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

struct fleet {
    char host[64], directory[256], crash[128];
    const char *brokers;
    struct redis_options redis_options;
    char *password;
    struct redis *redis;
    struct kafka_options kafka;
    struct kafka_producer *producer;
    struct kafka_consumer *status, *dead;
    struct wire *wire;
    struct mac *mac;
    struct key_ring keys;
    int32_t jobs_partition;
    int64_t epoch;
    struct table seen;
    char *dead_letters[256];
    int dead_count;
    pid_t worker;
};

#define must(call)                                     \
    do {                                               \
        struct err must_err_ = {0};                    \
        struct err *err = &must_err_;                  \
        if ((call) < 0)                                \
            fail_msg("%s: %s", #call, must_err_.text); \
    } while (0)

static const char *need(const char *name)
{
    const char *value = getenv(name);

    if (!value)
        fail_msg("%s is not set: run this with tests/stack/with", name);
    return value;
}

static int64_t read_epoch(struct fleet *fleet)
{
    struct store_epoch epoch = {0};

    must(store_epoch_read(fleet->redis, &epoch, err));
    return epoch.n;
}

void fleet_epoch(struct fleet *fleet)
{
    struct store_server server;
    bool ok;

    must(store_load_functions(fleet->redis, err));
    must(store_term_raise(fleet->redis, 1, &ok, err));
    must(store_server_read(fleet->redis, &server, err));
    fleet->epoch = read_epoch(fleet) + 1 > fleet->epoch + 1 ? read_epoch(fleet) + 1 : fleet->epoch + 1;
    must(store_epoch_write(fleet->redis, 1, fleet->epoch, server.run_id, &ok, err));
    assert_true(ok);
}

static void open_redis(struct fleet *fleet)
{
    size_t len;

    fleet->redis_options.address = need("FLEETSNAP_REDIS");
    fleet->redis_options.user = need("FLEETSNAP_REDIS_USER");
    must(file_read(need("FLEETSNAP_REDIS_PASSWORD_FILE"), 4096, &fleet->password, &len, err));
    fleet->password[strcspn(fleet->password, "\n")] = '\0';
    fleet->redis_options.password = fleet->password;
    must(redis_new(&fleet->redis_options, &fleet->redis, err));
    fleet_epoch(fleet);
}

static void assign_end(struct fleet *fleet, struct kafka_consumer **out, enum topic topic)
{
    int32_t count;

    must(kafka_consumer_open(&fleet->kafka, NULL, out, err));
    must(kafka_partition_count(&fleet->kafka, topic_table[topic].name, 10000, &count, err));
    for (int32_t i = 0; i < count; i++) {
        int64_t low, high;
        must(kafka_watermarks(*out, topic_table[topic].name, i, &low, &high, 10000, err));
        must(kafka_consumer_assign(*out, topic_table[topic].name, i, high, err));
    }
}

static void open_kafka(struct fleet *fleet)
{
    struct kafka_topic_problem problems[64];
    size_t count, created;
    int32_t partitions;

    fleet->kafka = (struct kafka_options){
        .brokers = need("FLEETSNAP_KAFKA"), .client_id = "test", .linger_us = 200, .fetch_wait_ms = 100};
    must(kafka_topics_init(&fleet->kafka, true, false, problems, 64, &count, &created, err));
    must(kafka_producer_open(&fleet->kafka, &fleet->producer, err));
    must(kafka_producer_warm(fleet->producer, topic_table[TOPIC_JOBS].name, err));
    must(kafka_partition_count(&fleet->kafka, topic_table[TOPIC_JOBS].name, 10000, &partitions, err));
    fleet->jobs_partition = kafka_partition_of(fleet->host, strlen(fleet->host), partitions);
    assign_end(fleet, &fleet->status, TOPIC_STATUS);
    assign_end(fleet, &fleet->dead, TOPIC_DLQ);
}

static void write_key(struct fleet *fleet)
{
    char path[300], *text;

    fleet->keys.count = 1;
    fleet->keys.items[0].generation = 1;
    must(key_random(fleet->keys.items[0].key, KEY_BYTES, err));
    must(key_ring_format(&fleet->keys, &text, err));
    snprintf(path, sizeof path, "%s/host.key", fleet->directory);
    must(file_write_atomic(path, text, strlen(text), 0600, err));
    free(text);
}

struct fleet *fleet_open(const char *host)
{
    struct fleet *fleet = calloc(1, sizeof *fleet);
    static bool wired;

    signal(SIGPIPE, SIG_IGN);
    if (!wired)
        wire_init();
    wired = true;
    snprintf(fleet->host, sizeof fleet->host, "%.40s-%d", host, (int)getpid());
    snprintf(fleet->directory, sizeof fleet->directory, "/tmp/fleetsnap-test.XXXXXX");
    assert_non_null(mkdtemp(fleet->directory));
    must(wire_new(&fleet->wire, err));
    must(mac_new(&fleet->mac, err));
    write_key(fleet);
    open_redis(fleet);
    open_kafka(fleet);
    return fleet;
}

static void remove_directory(const char *path)
{
    char command[512];

    snprintf(command, sizeof command, "rm -rf -- '%s'", path);
    if (system(command) != 0)
        print_error("%s: not removed\n", path);
}

void fleet_close(struct fleet *fleet)
{
    if (fleet->worker) {
        fleet_kill(fleet, SIGKILL);
        fleet_wait_exit(fleet, 5000);
    }
    for (size_t i = 0; i < fleet->seen.capacity; i++)
        free(fleet->seen.entries[i].value);
    table_clear(&fleet->seen);
    for (int i = 0; i < fleet->dead_count; i++)
        free(fleet->dead_letters[i]);
    kafka_consumer_close(fleet->status);
    kafka_consumer_close(fleet->dead);
    kafka_producer_close(fleet->producer, 1000);
    redis_free(fleet->redis);
    mac_free(fleet->mac);
    wire_free(fleet->wire);
    free(fleet->password);
    if (!getenv("FLEETSNAP_TEST_KEEP"))
        remove_directory(fleet->directory);
    free(fleet);
}

const char *fleet_directory(const struct fleet *fleet)
{
    return fleet->directory;
}

const char *fleet_host(const struct fleet *fleet)
{
    return fleet->host;
}

struct redis *fleet_redis(struct fleet *fleet)
{
    return fleet->redis;
}

/* ---- the worker ---- */

void fleet_crash_at(struct fleet *fleet, const char *point)
{
    snprintf(fleet->crash, sizeof fleet->crash, "%s", point ? point : "");
}

/* Built beside this test: <build>/tests/integration/test_x and <build>/worker/fleetsnap-worker. */
static const char *worker_path(void)
{
    static char path[512];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 64);

    path[len > 0 ? len : 0] = '\0';
    for (int i = 0; i < 3; i++)
        if (strrchr(path, '/'))
            *strrchr(path, '/') = '\0';
    strcat(path, "/worker/fleetsnap-worker");
    return path;
}

static void become_worker(struct fleet *fleet, const char *const options[])
{
    static char arguments[10][400];
    const char *argv[40] = {worker_path()};
    int count = 1;
    char log[300];

    snprintf(arguments[0], 400, "--host=%s", fleet->host);
    snprintf(arguments[1], 400, "--state_directory=%s/state", fleet->directory);
    snprintf(arguments[2], 400, "--kafka.brokers=%s", fleet->kafka.brokers);
    snprintf(arguments[3], 400, "--redis.address=%s", fleet->redis_options.address);
    snprintf(arguments[4], 400, "--redis.user=%s", fleet->redis_options.user);
    snprintf(arguments[5], 400, "--redis.password_file=%s", need("FLEETSNAP_REDIS_PASSWORD_FILE"));
    snprintf(arguments[6], 400, "--key_file=%s/host.key", fleet->directory);
    snprintf(arguments[7], 400, "--backends=null");
    snprintf(arguments[8], 400, "--dev=true");
    for (int i = 0; i < 9; i++)
        argv[count++] = arguments[i];
    for (; options && *options; options++)
        argv[count++] = *options;
    snprintf(log, sizeof log, "%s/log", fleet->directory);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(fd, 1);
    dup2(fd, 2);
    if (fleet->crash[0])
        setenv("FLEETSNAP_CRASH", fleet->crash, 1);
    execv(argv[0], (char *const *)argv);
    _exit(127);
}

void fleet_start(struct fleet *fleet, const char *const options[])
{
    assert_int_equal(fleet->worker, 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        become_worker(fleet, options);
    fleet->worker = pid;
}

pid_t fleet_pid(const struct fleet *fleet)
{
    return fleet->worker;
}

void fleet_kill(struct fleet *fleet, int signal)
{
    assert_int_equal(kill(fleet->worker, signal), 0);
}

bool fleet_running(struct fleet *fleet)
{
    siginfo_t info = {0};

    return fleet->worker && waitid(P_PID, (id_t)fleet->worker, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == 0;
}

int fleet_wait_exit(struct fleet *fleet, int timeout_ms)
{
    int64_t until = clock_monotonic_ms() + timeout_ms;
    int status = 0;

    while (waitpid(fleet->worker, &status, WNOHANG) == 0) {
        if (clock_monotonic_ms() > until)
            fail_msg("the worker does not end");
        fleet_read(fleet, 10);
    }
    fleet->worker = 0;
    return status;
}

/* ---- jobs ---- */

void fleet_job(const struct fleet *fleet, struct job *out, const char *target)
{
    char id[UUID_TEXT], unique[128]; /* locks are the fleet's: a target of another test is another target */

    uuid_random(id);
    snprintf(unique, sizeof unique, "%s.%s", fleet->host, target);
    *out = (struct job){0};
    record_defaults(&job_record, out);
    out->job_id = strdup(id);
    out->op = OP_NOOP;
    out->host = strdup(fleet->host);
    out->target = (struct target){.kind = strdup("null"), .id = strdup(unique), .name = strdup(target)};
    out->params = calloc(1, sizeof(struct params_noop));
    record_defaults(op_info(OP_NOOP)->params, out->params);
    out->priority = 5;
    out->issued_at_ms = clock_real_ms();
    out->deadline_ms = out->issued_at_ms + 3600000;
    out->max_attempts = 3;
    out->backoff_ms = 100;
    out->requested_by = strdup("test");
}

static void write_ticket(struct fleet *fleet, const struct job *job)
{
    char target[TARGET_TEXT];
    struct store_command command = {0};
    struct store_ticket ticket = {
        .job_id = job->job_id,
        .host = job->host,
        .target = target_format(&job->target, target),
        .op = op_names[job->op],
        .job_class = (int)job_class(job),
        .term = 1,
        .deadline_ms = job->deadline_ms,
        .state = "",
        .cancel = "",
        .control = "",
        .journal = "",
        .ttl_ms = 3600000,
    };

    must(store_ticket_command(&ticket, &command, err));
    struct redis_reply *reply = store_call(fleet->redis, &command, NULL);
    assert_int_equal(store_ticket_answer(reply), TICKET_OK);
    redis_reply_free(reply);
    store_command_clear(&command);
}

static void sign(struct fleet *fleet, const struct job *job, const char *host, const void *value, size_t len,
                 char out[MAC_TEXT])
{
    struct mac_input input = {
        .topic = topic_table[TOPIC_JOBS].name,
        .key = job->host,
        .key_len = strlen(job->host),
        .value = value,
        .value_len = len,
        .fs_host = host,
        .fs_job = job->job_id,
    };

    must(mac_sign(fleet->mac, &fleet->keys, &input, out, err));
}

static void delivered(void *context, const struct kafka_delivery *delivery)
{
    (void)context;
    assert_int_equal(delivery->error, 0);
}

void fleet_submit(struct fleet *fleet, const struct job *job, const struct submit *how)
{
    static const struct submit straight;
    const unsigned char *encoded;
    size_t len;
    char mac[MAC_TEXT];

    how = how ? how : &straight;
    if (!how->no_ticket)
        write_ticket(fleet, job);
    if (how->only_ticket)
        return;
    must(wire_encode(fleet->wire, &job_record, job, &encoded, &len, err));
    const void *value = how->raw ? how->raw : encoded;
    const char *host = how->header_host ? how->header_host : job->host;
    len = how->raw ? how->raw_len : len;
    sign(fleet, job, host, value, len, mac);
    if (how->bad_mac)
        mac[5] = mac[5] == 'A' ? 'B' : 'A';
    struct kafka_header headers[] = {{"fs-host", host},
                                     {"fs-job", job->job_id},
                                     {"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
                                     {"fs-mac", mac}};
    must(kafka_produce(fleet->producer, topic_table[TOPIC_JOBS].name, fleet->jobs_partition, job->host,
                       strlen(job->host), value, len, headers, how->no_mac ? 3 : 4, 0, err));
    kafka_producer_poll(fleet->producer, 0, delivered, NULL);
}

void fleet_flush(struct fleet *fleet)
{
    int64_t until = clock_monotonic_ms() + 60000;

    while (kafka_producer_queued(fleet->producer)) {
        assert_true(clock_monotonic_ms() < until);
        kafka_producer_poll(fleet->producer, 10, delivered, NULL);
    }
}

static void call(struct fleet *fleet, struct store_command *command)
{
    struct err err = {0};
    struct redis_reply *reply = store_call(fleet->redis, command, &err);

    if (!reply || redis_reply_is_error(reply))
        fail_msg("redis: %s", reply ? redis_reply_text(reply) : err.text);
    redis_reply_free(reply);
    store_command_clear(command);
}

void fleet_cancel(struct fleet *fleet, const char *job_id)
{
    struct store_command command = {0};

    must(store_cancel_command(1, job_id, "test", &command, err));
    call(fleet, &command);
}

void fleet_control(struct fleet *fleet, const char *job_id, const char *word)
{
    struct store_command command = {0};

    must(store_control_command(1, job_id, word, &command, err));
    call(fleet, &command);
}

/* ---- what is said ---- */

static struct seen *seen_of(struct fleet *fleet, const char *job_id)
{
    struct seen *seen = table_get(&fleet->seen, job_id);

    if (seen)
        return seen;
    seen = calloc(1, sizeof *seen);
    snprintf(seen->job_id, sizeof seen->job_id, "%s", job_id);
    must(table_put(&fleet->seen, seen->job_id, seen, err));
    return seen;
}

static bool repeated(const struct seen *seen, int64_t seq)
{
    for (int i = 0; i < seen->count && i < FLEET_EVENTS_MAX; i++)
        if (seen->seq[i] == seq)
            return true;
    return false;
}

static void note(struct fleet *fleet, const struct status *status)
{
    struct seen *seen = seen_of(fleet, status->job_id);

    if (!repeated(seen, status->seq) && job_state_terminal((enum job_state)status->state) && !status->resolved)
        seen->terminal++;
    if (seen->count < FLEET_EVENTS_MAX) {
        seen->seq[seen->count] = status->seq;
        seen->states[seen->count] = status->state;
    }
    seen->count++;
    seen->state = status->state;
    snprintf(seen->error, sizeof seen->error, "%s", status->error ? status->error->text : "");
    snprintf(seen->waiting, sizeof seen->waiting, "%s", status->waiting ? status->waiting : "");
    snprintf(seen->note, sizeof seen->note, "%s", status->note ? status->note : "");
    if (status->resolved)
        snprintf(seen->resolved, sizeof seen->resolved, "%s", status->resolved);
}

static void read_status(struct fleet *fleet, int timeout_ms)
{
    struct kafka_record records[256];
    int count = kafka_consume(fleet->status, timeout_ms, records, 256, NULL);

    for (int i = 0; i < count; i++) {
        struct status status = {0};
        const char *host = kafka_header(&records[i], "fs-host");
        if (!host || strcmp(host, fleet->host) != 0)
            continue;
        must(wire_decode(fleet->wire, &status_record, records[i].value, records[i].value_len, 1 << 20, &status, err));
        note(fleet, &status);
        status_clear(&status);
    }
    if (count > 0)
        kafka_records_free(records, (size_t)count);
}

static void read_dead(struct fleet *fleet)
{
    struct kafka_record records[64];
    int count = kafka_consume(fleet->dead, 0, records, 64, NULL);

    for (int i = 0; i < count; i++) {
        struct dead_letter letter = {0};
        must(wire_decode(fleet->wire, &dead_letter_record, records[i].value, records[i].value_len, 1 << 20, &letter,
                         err));
        if (strcmp(letter.by, fleet->host) == 0 && fleet->dead_count < 256)
            fleet->dead_letters[fleet->dead_count++] = strdup(letter.reason);
        dead_letter_clear(&letter);
    }
    if (count > 0)
        kafka_records_free(records, (size_t)count);
}

void fleet_read(struct fleet *fleet, int timeout_ms)
{
    kafka_producer_poll(fleet->producer, 0, delivered, NULL);
    read_status(fleet, timeout_ms);
    read_dead(fleet);
}

int fleet_dead_letters(struct fleet *fleet, const char *reason_part)
{
    int count = 0;

    for (int i = 0; i < fleet->dead_count; i++)
        count += strstr(fleet->dead_letters[i], reason_part) != NULL;
    return count;
}

struct seen *fleet_seen(struct fleet *fleet, const char *job_id)
{
    return table_get(&fleet->seen, job_id);
}

struct seen *fleet_wait_state(struct fleet *fleet, const char *job_id, int state, int timeout_ms)
{
    int64_t until = clock_monotonic_ms() + timeout_ms;
    struct seen *seen;

    while (!(seen = fleet_seen(fleet, job_id)) || seen->state != state) {
        if (clock_monotonic_ms() > until)
            fail_msg("job %s is not %s but %s %s%s", job_id, job_state_names[state],
                     seen ? job_state_names[seen->state] : "silent", seen ? seen->waiting : "", seen ? seen->error : "");
        fleet_read(fleet, 20);
    }
    return seen;
}

struct seen *fleet_wait_reason(struct fleet *fleet, const char *job_id, const char *reason, int timeout_ms)
{
    int64_t until = clock_monotonic_ms() + timeout_ms;
    struct seen *seen;

    while (!(seen = fleet_seen(fleet, job_id)) || seen->state != STATE_WAITING ||
           strncmp(seen->waiting, reason, strlen(reason)) != 0) {
        if (clock_monotonic_ms() > until)
            fail_msg("job %s does not wait for \"%s\" but is %s %s%s", job_id, reason,
                     seen ? job_state_names[seen->state] : "silent", seen ? seen->waiting : "", seen ? seen->error : "");
        fleet_read(fleet, 20);
    }
    return seen;
}

struct seen *fleet_wait_end(struct fleet *fleet, const char *job_id, int timeout_ms)
{
    int64_t until = clock_monotonic_ms() + timeout_ms;
    struct seen *seen;

    while (!(seen = fleet_seen(fleet, job_id)) || !job_state_terminal((enum job_state)seen->state)) {
        if (clock_monotonic_ms() > until)
            fail_msg("job %s does not end: %s %s", job_id, seen ? job_state_names[seen->state] : "silent",
                     seen ? seen->waiting : "");
        fleet_read(fleet, 20);
    }
    return seen;
}
