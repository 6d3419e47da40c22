/*
 * Ten thousand jobs are under way when their leader is killed, and more are being asked for: the other coordinator ends every one that was taken, and the real worker does none of
 * them twice. On servers of its own, since it leaves much behind.
 */
#include "integration/support/coordinator_rig.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/uuid.h"
#include "kafka/kafka.h"
#include "model/status.h"
#include "model/topics.h"
#include "wire/wire.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uthash.h>

#include <cmocka.h>

enum { JOBS = 10000, HUNDRED = 100, BATCH = 512, KILL_AFTER = JOBS / 4, PATIENCE_MS = 300000 };

/* What its host said of it: a repeat of an event is not another one, and who runs a job twice says two ends. */
struct heard_job {
    UT_hash_handle hh;
    char id[UUID_TEXT];
    bool taken; /* somebody was told that it is */
    int runs, ends, state;
    int64_t run_seq, end_seq, attempt;
};

struct scene {
    struct rig *rig;
    struct rig_coordinator *leader, *standby;
    pid_t worker;
    /* The listener's, until it has ended. */
    struct kafka_consumer *consumer;
    struct wire *wire;
    struct heard_job *jobs;
    size_t ended;
    char problem[300];
    /* Shared. */
    pthread_mutex_t lock; /* jobs, ended, problem */
    pid_t victim;         /* killed at the KILL_AFTERth end */
    atomic_bool stopping;
    pthread_t listener;
    bool listening;
};

static void must(int result, const struct err *err)
{
    if (result < 0)
        fail_msg("%s", err->text);
}

/* ---- what the host says ---- */

static struct heard_job *job_of(struct scene *scene, const char *id)
{
    struct heard_job *job;

    HASH_FIND_STR(scene->jobs, id, job);
    if (job)
        return job;
    job = calloc(1, sizeof *job);
    snprintf(job->id, sizeof job->id, "%s", id);
    HASH_ADD_STR(scene->jobs, id, job);
    return job;
}

static void note(struct scene *scene, const struct status *status)
{
    struct heard_job *job = job_of(scene, status->job_id);

    job->attempt = status->attempt > job->attempt ? status->attempt : job->attempt;
    if (status->state == STATE_RUNNING && status->seq != job->run_seq) {
        job->run_seq = status->seq;
        job->runs++;
    } else if (job_state_terminal((enum job_state)status->state) && status->seq != job->end_seq) {
        job->end_seq = status->seq;
        job->state = status->state;
        if (job->ends++ == 0 && ++scene->ended == KILL_AFTER)
            kill(scene->victim, SIGKILL);
    }
}

static void hear(struct scene *scene, const struct kafka_record *record)
{
    CLEANUP(status_clear) struct status status = {0};
    struct err err = {0};

    if (wire_decode(scene->wire, &status_record, record->value, record->value_len, topic_table[TOPIC_STATUS].max_bytes,
                    &status, &err) < 0)
        snprintf(scene->problem, sizeof scene->problem, "%.290s", err.text);
    else if (status.origin == ORIGIN_WORKER)
        note(scene, &status);
    else if (job_state_terminal((enum job_state)status.state))
        snprintf(scene->problem, sizeof scene->problem, "the leader ended job %s itself", status.job_id);
}

static void *listen_all(void *argument)
{
    static struct kafka_record records[BATCH];
    struct scene *scene = argument;

    while (!atomic_load(&scene->stopping)) {
        struct err err = {0};
        int count = kafka_consume(scene->consumer, 100, records, BATCH, &err);
        pthread_mutex_lock(&scene->lock);
        if (count < 0)
            snprintf(scene->problem, sizeof scene->problem, "%.290s", err.text);
        for (int i = 0; i < count; i++)
            hear(scene, &records[i]);
        pthread_mutex_unlock(&scene->lock);
        kafka_records_free(records, count > 0 ? (size_t)count : 0);
    }
    return NULL;
}

static void start_listening(struct scene *scene)
{
    struct kafka_options options = {.brokers = getenv("FLEETSNAP_KAFKA"), .client_id = "many", .fetch_wait_ms = 100};
    const char *topic = topic_table[TOPIC_STATUS].name;
    int32_t partitions = 0;
    struct err err = {0};

    must(wire_new(&scene->wire, &err), &err);
    must(kafka_consumer_open(&options, NULL, &scene->consumer, &err), &err);
    must(kafka_partition_count(&options, topic, PATIENCE_MS, &partitions, &err), &err);
    for (int32_t i = 0; i < partitions; i++) {
        int64_t low, high;
        must(kafka_watermarks(scene->consumer, topic, i, &low, &high, PATIENCE_MS, &err), &err);
        must(kafka_consumer_assign(scene->consumer, topic, i, high, &err), &err);
    }
    scene->listening = pthread_create(&scene->listener, NULL, listen_all, scene) == 0;
    assert_true(scene->listening);
}

/* ---- the worker ---- */

static void become_worker(const char *directory)
{
    char arguments[9][400], *argv[12] = {(char *)BINARY_DIR "/worker/fleetsnap-worker"}, log[300];

    snprintf(arguments[0], 400, "--host=alpha");
    snprintf(arguments[1], 400, "--state_directory=%s/w", directory);
    snprintf(arguments[2], 400, "--kafka.brokers=%s", getenv("FLEETSNAP_KAFKA"));
    snprintf(arguments[3], 400, "--redis.address=%s", getenv("FLEETSNAP_REDIS"));
    snprintf(arguments[4], 400, "--redis.user=%s", getenv("FLEETSNAP_REDIS_USER"));
    snprintf(arguments[5], 400, "--redis.password_file=%s", getenv("FLEETSNAP_REDIS_PASSWORD_FILE"));
    snprintf(arguments[6], 400, "--key_file=%s/host.key", directory);
    snprintf(arguments[7], 400, "--backends=null");
    snprintf(arguments[8], 400, "--dev=true");
    for (int i = 0; i < 9; i++)
        argv[i + 1] = arguments[i];
    snprintf(log, sizeof log, "%s/worker.log", directory);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    dup2(fd, 1);
    dup2(fd, 2);
    execv(argv[0], argv);
    _exit(127);
}

static void start_worker(struct scene *scene, const char *key)
{
    char path[300];
    struct err err = {0};

    snprintf(path, sizeof path, "%s/host.key", rig_directory(scene->rig));
    must(file_write_atomic(path, key, strlen(key), 0600, &err), &err);
    scene->worker = fork();
    assert_true(scene->worker >= 0);
    if (scene->worker == 0)
        become_worker(rig_directory(scene->rig));
}

/* ---- the scene ---- */

static int set_up(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);

    pthread_mutex_init(&scene->lock, NULL);
    scene->rig = rig_open("alpha");
    start_listening(scene);
    scene->leader = coordinator_rig_start(scene->rig, "c1", NULL, NULL);
    rig_wait_leading(scene->leader, PATIENCE_MS);
    scene->standby = coordinator_rig_start(scene->rig, "c2", NULL, NULL);
    scene->victim = rig_pid(scene->leader);
    *state = scene;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *scene = *state;
    struct heard_job *job, *next;

    atomic_store(&scene->stopping, true);
    if (scene->listening)
        pthread_join(scene->listener, NULL);
    if (scene->worker > 0) {
        kill(scene->worker, SIGKILL);
        waitpid(scene->worker, NULL, 0);
    }
    coordinator_rig_stop(scene->leader, 0);
    coordinator_rig_stop(scene->standby, 0);
    kafka_consumer_close(scene->consumer);
    wire_free(scene->wire);
    HASH_ITER (hh, scene->jobs, job, next) {
        HASH_DEL(scene->jobs, job);
        free(job);
    }
    rig_close(scene->rig);
    pthread_mutex_destroy(&scene->lock);
    free(scene);
    return 0;
}

/* A hundred jobs; false: the one who was asked has died, and nobody knows which it has taken. */
static bool submit_hundred(struct scene *scene, struct rig_coordinator *coordinator)
{
    json_t *answer = rig_ask(coordinator, "submit-hundred alpha spread"), *id;
    size_t index;

    if (!answer)
        return false;
    if (!json_is_true(json_object_get(answer, "ok")))
        fail_msg("%s", json_string_value(json_object_get(answer, "error")));
    pthread_mutex_lock(&scene->lock);
    json_array_foreach(json_object_get(answer, "job_ids"), index, id) job_of(scene, json_string_value(id))->taken = true;
    pthread_mutex_unlock(&scene->lock);
    json_decref(answer);
    return true;
}

static void check(struct scene *scene, size_t *out_left, size_t *out_taken)
{
    struct heard_job *job, *next;
    char problem[sizeof scene->problem];

    *out_left = *out_taken = 0;
    pthread_mutex_lock(&scene->lock);
    HASH_ITER (hh, scene->jobs, job, next) {
        *out_taken += job->taken;
        *out_left += job->ends == 0;
        if (job->runs > 1 || job->ends > 1 || job->attempt > 1 || (job->ends && job->state != STATE_SUCCEEDED))
            snprintf(scene->problem, sizeof scene->problem, "job %s: ran %d times, ended %d times, as %s, attempt %d",
                     job->id, job->runs, job->ends, job_state_names[job->state], (int)job->attempt);
    }
    memcpy(problem, scene->problem, sizeof problem);
    pthread_mutex_unlock(&scene->lock);
    if (problem[0])
        fail_msg("%s", problem);
}

static int64_t open_jobs(struct rig_coordinator *coordinator)
{
    json_t *state = rig_ask(coordinator, "state");
    int64_t open = json_integer_value(json_object_get(state, "jobs_open"));

    assert_non_null(state);
    json_decref(state);
    return open;
}

static void wait_until_all_ended(struct scene *scene)
{
    int64_t until_ms = clock_monotonic_ms() + PATIENCE_MS, open;
    size_t left, taken;

    do {
        check(scene, &left, &taken);
        open = open_jobs(scene->standby);
        if (!left && !open)
            return;
        poll(NULL, 0, 200);
    } while (clock_monotonic_ms() < until_ms);
    fail_msg("of %zu jobs %zu have not ended, %d are open", taken, left, (int)open);
}

static void a_leader_dies_with_ten_thousand_jobs_under_way(void **state)
{
    struct scene *scene = *state;
    json_t *enrolled = rig_insist(scene->leader, PATIENCE_MS, "enroll alpha");
    int64_t open_until_ms = clock_monotonic_ms() + PATIENCE_MS;
    size_t left, taken;

    for (int i = 0; i < JOBS / HUNDRED; i++)
        assert_true(submit_hundred(scene, scene->leader));
    while (open_jobs(scene->leader) != JOBS) {
        assert_true(clock_monotonic_ms() < open_until_ms);
        poll(NULL, 0, 50);
    }
    start_worker(scene, json_string_value(json_object_get(enrolled, "key_file")));
    json_decref(enrolled);
    for (int64_t until_ms = clock_monotonic_ms() + PATIENCE_MS; submit_hundred(scene, scene->leader);)
        assert_true(clock_monotonic_ms() < until_ms && poll(NULL, 0, 100) == 0); /* until it dies */
    check(scene, &left, &taken);
    print_message("killed with %zu jobs under way\n", left);
    rig_wait_leading(scene->standby, PATIENCE_MS);
    assert_true(submit_hundred(scene, scene->standby));
    wait_until_all_ended(scene);
    check(scene, &left, &taken);
    assert_true(taken >= JOBS + HUNDRED);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_leader_dies_with_ten_thousand_jobs_under_way, set_up, tear_down),
    };

    rig_child(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
