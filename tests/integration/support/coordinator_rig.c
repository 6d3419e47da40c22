#include "integration/support/coordinator_rig.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/uuid.h"
#include "coordinator/deploys.h"
#include "coordinator/internal.h"
#include "coordinator/options.h"
#include "coordinator/plans.h"
#include "coordinator/view.h"
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
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <setjmp.h>

#include <cmocka.h>

enum { COPIES_MAX = 4096, OPTIONS_MAX = 32, LINE_BYTES = 1 << 20 };

extern char **environ;

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

struct rig_coordinator {
    pid_t pid;
    FILE *in, *out;
    int out_fd;
};

static void must(int result, const struct err *err)
{
    if (result < 0)
        fail_msg("%s", err->text);
}

static const char *server(const char *name)
{
    const char *value = getenv(name);

    if (!value)
        fail_msg("%s is not set: run by tests/stack/with", name);
    return value;
}

/* ---- the child: a coordinator that is told what to do by lines ---- */

static void say(json_t *answer)
{
    char *text = json_dumps(answer, JSON_COMPACT);

    puts(text);
    fflush(stdout);
    free(text);
    json_decref(answer);
}

static void say_result(int result, const struct err *err, json_t *good)
{
    if (result == 0) {
        json_object_set_new(good, "ok", json_true());
        say(good);
        return;
    }
    json_decref(good);
    say(json_pack("{s:s, s:s}", "error", err->text, "kind", err_kind_name(err->kind)));
}

static const struct caller tester = {
    .token = (char *)"tester", .from = (char *)"127.0.0.1", .role = (char *)"admin", .classes = (char *)"ABC"};

/* deadline_ms: from now; 0: the default. */
static int submit(struct coordinator *coordinator, const char *host, const char *target, const char *key, bool destroys,
                  int64_t deadline_ms, char *out, struct err *err)
{
    struct params_noop params = {.destroys = destroys};
    struct job job = {.op = OP_NOOP,
                      .target = {(char *)"null", (char *)target, NULL},
                      .host = (char *)host,
                      .params = &params,
                      .priority = 5,
                      .deadline_ms = deadline_ms ? clock_real_ms() + deadline_ms : 0};

    return coordinator_submit(coordinator, &tester, &job, *key == '-' ? NULL : key, out, err);
}

/* A hundred in one request: of one target, which does them one after the other, or of a hundred. */
static void command_submit_hundred(struct coordinator *coordinator, const char *host, bool spread)
{
    enum { HUNDRED = 100 };
    struct params_noop params = {0};
    struct job many[HUNDRED];
    const struct job *jobs[HUNDRED];
    char targets[HUNDRED][16];
    char ids[HUNDRED][UUID_TEXT];
    struct err errs[HUNDRED], err = {0};
    json_t *taken = json_array();

    for (int i = 0; i < HUNDRED; i++) {
        snprintf(targets[i], sizeof targets[i], "many-%d", spread ? i : 0);
        many[i] = (struct job){
            .op = OP_NOOP, .target = {(char *)"null", targets[i], NULL}, .host = (char *)host, .params = &params};
        jobs[i] = &many[i];
    }
    int result = coordinator_submit_many(coordinator, &tester, jobs, NULL, HUNDRED, ids, errs, &err);
    for (int i = 0; result == 0 && i < HUNDRED; i++) {
        if (errs[i].kind != ERR_NONE)
            result = err_set(&err, errs[i].kind, "%s", errs[i].text);
        json_array_append_new(taken, json_string(ids[i]));
    }
    say_result(result, &err, json_pack("{s:o}", "job_ids", taken));
}

static void command_state(struct coordinator *coordinator)
{
    struct coordinator_state state;

    coordinator_state(coordinator, &state);
    say(json_pack("{s:b, s:b, s:I, s:I, s:b, s:b, s:I, s:s}", "ok", 1, "leading", state.leading, "term",
                  (json_int_t)state.term, "epoch", (json_int_t)state.epoch, "redis_ok", state.redis_ok, "kafka_ok",
                  state.kafka_ok, "jobs_open", (json_int_t)state.jobs_open, "redis_problem", state.redis_problem));
}

static void command_view(struct coordinator *coordinator, const char *what, const char *id)
{
    struct view_reader *reader = NULL;
    struct view_filter filter = {0};
    json_t *out = NULL;
    struct err err = {0};
    int result = view_reader_open(coordinator_view_path(coordinator), &reader, &err);

    if (result == 0 && strcmp(what, "job") == 0)
        result = view_job(reader, id, &out, &err);
    else if (result == 0 && strcmp(what, "jobs") == 0)
        result = view_jobs(reader, &filter, &out, &err);
    else if (result == 0 && strcmp(what, "hosts") == 0)
        result = view_hosts(reader, &filter, &out, &err);
    else if (result == 0 && strcmp(what, "targets") == 0)
        result = view_targets(reader, &filter, &out, &err);
    else if (result == 0 && strcmp(what, "points") == 0)
        result = view_points(reader, &filter, &out, &err);
    else if (result == 0 && strcmp(what, "dlq") == 0)
        result = view_dead_letters(reader, &filter, &out, &err);
    view_reader_close(reader);
    say_result(result, &err, json_pack("{s:o}", "view", out ? out : json_null()));
}

static void command_ledger(struct coordinator *coordinator, const char *id)
{
    struct ledger_entry *entry = NULL;
    struct err err = {0};
    int result = coordinator_get(coordinator, LEDGER_JOB, id, &entry, &err);

    say_result(result, &err,
               json_pack("{s:b, s:b, s:s?, s:s?}", "known", entry != NULL, "published",
                         entry && entry->job->published_at_ms, "outcome", entry ? entry->job->outcome : NULL, "cancel",
                         entry ? entry->job->cancel : NULL));
    ledger_entry_free(entry);
}

/* As the API does when somebody comes without a token that is known. */
static void command_refuse(struct coordinator *coordinator, int count)
{
    const struct caller stranger = {.from = (char *)"192.0.2.7"};

    for (int i = 0; i < count; i++)
        coordinator_audit(coordinator, &stranger, "api.refused", "/v1/jobs", NULL, "the token is not known");
    say(json_pack("{s:b}", "ok", 1));
}

static void command_letters(struct coordinator *coordinator, int count, int bytes)
{
    static int64_t offset; /* the view keeps one letter of each */
    CLEANUP(freep) char *value = calloc(1, (size_t)bytes + 1);

    for (int i = 0; i < count; i++) {
        struct kafka_record record = {
            .topic = (char *)"rig", .offset = offset++, .value = value, .value_len = (size_t)bytes};
        coordinator_dead_letter(coordinator, dead_letter_of(&record, "rig", NULL));
    }
    say(json_pack("{s:b}", "ok", 1));
}

/* kind hold: text is how many ms it is for (0: without end); kind pin: whose pins. */
static void command_put(struct coordinator *coordinator, int kind, const char *id, const char *text, bool gone)
{
    CLEANUP(ledger_entry_clear) struct ledger_entry entry = {.kind = kind, .gone = gone};
    struct err err = {0};

    must(string_set(&entry.id, id, &err), &err);
    must(facts_set(&entry.values, "reason", "rig", &err), &err);
    if (kind == LEDGER_PIN)
        must(facts_set(&entry.values, "key", text, &err), &err);
    else if (atoll(text))
        must(facts_set_int(&entry.values, "until_ms", clock_real_ms() + atoll(text), &err), &err);
    say_result(coordinator_put(coordinator, &tester, &entry, &err), &err, json_object());
}

struct adding {
    struct coordinator *coordinator;
    const char *name;
    int result;
};

static void *add_token(void *argument)
{
    struct adding *adding = argument;
    struct ledger_token token = {
        .name = (char *)adding->name, .hash = (char *)"x", .role = (char *)"viewer", .classes = (char *)"A"};
    struct ledger_entry entry = {.kind = LEDGER_TOKEN, .id = (char *)adding->name, .token = &token};

    adding->result = coordinator_add(adding->coordinator, &tester, &entry, NULL);
    return NULL;
}

/* Eight at once: how many succeed. */
static void command_rush(struct coordinator *coordinator, const char *name)
{
    enum { MANY = 8 };
    struct adding adding[MANY];
    pthread_t threads[MANY];
    int succeeded = 0;

    for (int i = 0; i < MANY; i++) {
        adding[i] = (struct adding){coordinator, name, -1};
        pthread_create(&threads[i], NULL, add_token, &adding[i]);
    }
    for (int i = 0; i < MANY; i++) {
        pthread_join(threads[i], NULL);
        succeeded += adding[i].result == 0;
    }
    say(json_pack("{s:b, s:i}", "ok", 1, "succeeded", succeeded));
}

/* what: apply (a: file), now, runs, run, cancel */
static void command_plans(struct coordinator *coordinator, const char *what, const char *a)
{
    struct view_reader *reader = NULL;
    CLEANUP(freep) char *yaml = NULL;
    char id[UUID_TEXT] = "";
    json_t *out = NULL;
    struct err err = {0};
    int result = view_reader_open(coordinator_view_path(coordinator), &reader, &err);

    if (result == 0 && strcmp(what, "apply") == 0) {
        must(file_read(a, 65536, &yaml, NULL, &err), &err);
        result = plans_apply(coordinator, &tester, "rig.yaml", yaml, NULL, false, &out, &err);
    } else if (result == 0 && strcmp(what, "now") == 0)
        result = plans_run_now(coordinator, reader, &tester, a, id, &err);
    else if (result == 0 && strcmp(what, "cancel") == 0)
        result = plans_run_cancel(coordinator, &tester, a, "enough", id, &err);
    else if (result == 0 && strcmp(what, "runs") == 0)
        result = plans_runs(coordinator, a, false, 0, &out, &err);
    else if (result == 0)
        result = plans_run_show(coordinator, NULL, a, &out, &err);
    view_reader_close(reader);
    say_result(result < 0 ? -1 : 0, &err, json_pack("{s:s, s:o}", "run_id", id, "found", out ? out : json_null()));
}

/* what: look, begin (b: its labels), show, succeeded, revert */
static void command_deploy(struct coordinator *coordinator, const char *what, const char *id, const char *selector)
{
    CLEANUP(deploy_clear) struct deploy deploy = {0};
    const struct deploy_word word = {
        .says = *what == 's' ? DEPLOY_SAYS_SUCCEEDED : DEPLOY_SAYS_FAILED, .revert = *what == 'r', .parallel = 1};
    struct view_reader *reader = NULL;
    json_t *out = NULL;
    struct err err = {0};
    int result = view_reader_open(coordinator_view_path(coordinator), &reader, &err);

    if (result == 0 && (strcmp(what, "look") == 0 || strcmp(what, "begin") == 0)) {
        must(deploy_complete(&deploy, id, selector, NULL, tester.token, &err), &err);
        result = deploys_begin(coordinator, reader, &tester, id, &deploy, *what == 'l', &out, &err);
    } else if (result == 0 && strcmp(what, "show") == 0)
        result = deploys_show(coordinator, reader, &tester, id, &out, &err);
    else if (result == 0)
        result = deploys_say(coordinator, reader, &tester, id, &word, false, &out, &err);
    view_reader_close(reader);
    say_result(result < 0 ? -1 : 0, &err, json_pack("{s:o}", "found", out ? out : json_null()));
}

static void serve_line(struct coordinator *coordinator, char *line)
{
    char verb[32] = "", a[256] = "", b[256] = "", c[256] = "", d[256] = "-", id[UUID_TEXT] = "";
    struct err err = {0};

    if (sscanf(line, "%31s %255s %255s %255s %255s", verb, a, b, c, d) < 1)
        return;
    if (strcmp(verb, "state") == 0)
        command_state(coordinator);
    else if (strcmp(verb, "enroll") == 0 || strcmp(verb, "rotate") == 0) {
        CLEANUP(freep) char *file = NULL;
        int result = coordinator_enroll(coordinator, &tester, a, *verb == 'r', &file, &err);
        say_result(result, &err, json_pack("{s:s?}", "key_file", file));
    } else if (strcmp(verb, "replace") == 0) {
        CLEANUP(freep) char *file = NULL;
        int result = coordinator_replace_host(coordinator, &tester, a, "burnt", &file, &err);
        say_result(result, &err, json_pack("{s:s?}", "key_file", file));
    } else if (strcmp(verb, "submit") == 0 || strcmp(verb, "destroy") == 0) {
        int result = submit(coordinator, a, b, c, *verb == 'd', 0, id, &err);
        say_result(result, &err, json_pack("{s:s}", "job_id", id));
    } else if (strcmp(verb, "brief") == 0) { /* c: ms to its deadline; d: idempotency key */
        int result = submit(coordinator, a, b, d, false, atoll(c), id, &err);
        say_result(result, &err, json_pack("{s:s}", "job_id", id));
    } else if (strcmp(verb, "submit-hundred") == 0)
        command_submit_hundred(coordinator, a, strcmp(b, "spread") == 0);
    else if (strcmp(verb, "refuse") == 0)
        command_refuse(coordinator, atoi(a));
    else if (strcmp(verb, "hold") == 0 || strcmp(verb, "release") == 0)
        command_put(coordinator, LEDGER_HOLD, a, b, *verb == 'r');
    else if (strcmp(verb, "pin") == 0 || strcmp(verb, "unpin") == 0)
        command_put(coordinator, LEDGER_PIN, a, b, *verb == 'u');
    else if (strcmp(verb, "rush") == 0)
        command_rush(coordinator, a);
    else if (strcmp(verb, "letters") == 0)
        command_letters(coordinator, atoi(a), atoi(b));
    else if (strcmp(verb, "cancel") == 0)
        say_result(coordinator_cancel(coordinator, &tester, a, b, &err), &err, json_object());
    else if (strcmp(verb, "resolve") == 0)
        say_result(coordinator_resolve(coordinator, &tester, a, true, b, &err), &err, json_object());
    else if (strcmp(verb, "retry") == 0) {
        int result = coordinator_retry(coordinator, &tester, a, id, &err);
        say_result(result, &err, json_pack("{s:s}", "job_id", id));
    } else if (strcmp(verb, "view") == 0)
        command_view(coordinator, a, b);
    else if (strcmp(verb, "plans") == 0)
        command_plans(coordinator, a, b);
    else if (strcmp(verb, "deploy") == 0)
        command_deploy(coordinator, a, b, c);
    else if (strcmp(verb, "ledger") == 0)
        command_ledger(coordinator, a);
    else
        say(json_pack("{s:s}", "error", "what?"));
}

static void *serve_lines(void *argument)
{
    static char line[4096];

    while (fgets(line, sizeof line, stdin))
        serve_line(argument, line);
    coordinator_stop(argument); /* the test is over */
    return NULL;
}

static struct coordinator *the_child;

static void on_term(int signal_number)
{
    (void)signal_number;
    raise(SIGKILL);
}

void rig_child(int argc, char **argv)
{
    struct coordinator_options options = {0};
    struct err err = {0};
    pthread_t thread;

    if (argc < 2 || strcmp(argv[1], "--coordinator") != 0)
        return;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGALRM, on_term);
    alarm(600); /* nothing outlives a test that was killed */
    wire_init();
    if (coordinator_options_load(NULL, (const char *const *)argv + 2, &options, &err) < 0 ||
        coordinator_start(&options, &the_child, &err) < 0) {
        log_error("rig", "%s", err.text);
        _exit(3);
    }
    pthread_create(&thread, NULL, serve_lines, the_child);
    int result = coordinator_run(the_child, &err);
    if (result < 0)
        log_error("rig", "%s", err.text);
    pthread_join(thread, NULL);
    coordinator_free(the_child);
    _exit(result < 0 ? 4 : 0);
}

/* ---- processes ---- */

static size_t add_option(char **argv, size_t count, const char *name, const char *value)
{
    if (asprintf(&argv[count], "%s=%s", name, value) < 0)
        fail_msg("out of memory");
    return count + 1;
}

static void spawn(struct rig_coordinator *coordinator, char **argv, const char *crash)
{
    int to[2], from[2];
    posix_spawn_file_actions_t actions;

    assert_int_equal(pipe2(to, O_CLOEXEC), 0);
    assert_int_equal(pipe2(from, O_CLOEXEC), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, to[0], 0);
    posix_spawn_file_actions_adddup2(&actions, from[1], 1);
    if (crash)
        setenv("FLEETSNAP_CRASH", crash, 1);
    else
        unsetenv("FLEETSNAP_CRASH");
    assert_int_equal(posix_spawn(&coordinator->pid, "/proc/self/exe", &actions, NULL, argv, environ), 0);
    unsetenv("FLEETSNAP_CRASH");
    posix_spawn_file_actions_destroy(&actions);
    close(to[0]);
    close(from[1]);
    coordinator->in = fdopen(to[1], "w");
    coordinator->out = fdopen(from[0], "r");
    coordinator->out_fd = from[0];
}

struct rig_coordinator *coordinator_rig_start(struct rig *rig, const char *name, const char *crash,
                                              const char *const options[])
{
    struct rig_coordinator *coordinator = calloc(1, sizeof *coordinator);
    char *argv[OPTIONS_MAX + 1] = {strdup("coordinator"), strdup("--coordinator")}, path[256];
    size_t count = 2;

    count = add_option(argv, count, "name", name);
    snprintf(path, sizeof path, "%s/%s", rig->directory, name);
    count = add_option(argv, count, "state_directory", path);
    snprintf(path, sizeof path, "%s/master.key", rig->directory);
    count = add_option(argv, count, "master_key_file", path);
    count = add_option(argv, count, "kafka.brokers", server("FLEETSNAP_KAFKA"));
    count = add_option(argv, count, "redis.address", server("FLEETSNAP_REDIS"));
    count = add_option(argv, count, "redis.user", server("FLEETSNAP_REDIS_USER"));
    count = add_option(argv, count, "redis.password_file", server("FLEETSNAP_REDIS_PASSWORD_FILE"));
    count = add_option(argv, count, "dev", "true");
    count = add_option(argv, count, "holders_grace", "1s");
    count = add_option(argv, count, "heartbeat_poll", "200ms");
    for (size_t i = 0; options && options[i]; i++)
        argv[count++] = strdup(options[i]);
    spawn(coordinator, argv, crash);
    for (size_t i = 0; i < count; i++)
        free(argv[i]);
    return coordinator;
}

pid_t rig_pid(const struct rig_coordinator *coordinator)
{
    return coordinator->pid;
}

bool rig_wait_death(struct rig_coordinator *coordinator, int timeout_ms)
{
    int64_t until_ms = clock_monotonic_ms() + timeout_ms;

    while (coordinator->pid > 0 && clock_monotonic_ms() < until_ms) {
        if (waitpid(coordinator->pid, NULL, WNOHANG) == coordinator->pid) {
            coordinator->pid = 0;
            return true;
        }
        poll(NULL, 0, 10);
    }
    return coordinator->pid == 0;
}

void coordinator_rig_stop(struct rig_coordinator *coordinator, int signal_number)
{
    if (!coordinator)
        return;
    fclose(coordinator->in); /* the end of its lines stops it in good order */
    if (coordinator->pid > 0 && signal_number)
        kill(coordinator->pid, signal_number);
    if (!rig_wait_death(coordinator, 20000)) {
        kill(coordinator->pid, SIGKILL);
        waitpid(coordinator->pid, NULL, 0);
        fail_msg("the coordinator did not stop");
    }
    fclose(coordinator->out);
    free(coordinator);
}

static json_t *ask_line(struct rig_coordinator *coordinator, const char *line)
{
    CLEANUP(freep) char *answer = malloc(LINE_BYTES);

    if (coordinator->pid <= 0 || fprintf(coordinator->in, "%s\n", line) < 0 || fflush(coordinator->in) != 0)
        return NULL;
    if (!fgets(answer, LINE_BYTES, coordinator->out))
        return NULL;
    return json_loads(answer, 0, NULL);
}

json_t *rig_ask(struct rig_coordinator *coordinator, const char *format, ...)
{
    char line[2048];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    return ask_line(coordinator, line);
}

json_t *rig_insist(struct rig_coordinator *coordinator, int timeout_ms, const char *format, ...)
{
    int64_t until_ms = clock_monotonic_ms() + timeout_ms;
    char line[2048], last[600] = "nothing";
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    do {
        json_t *answer = ask_line(coordinator, line);
        if (!answer)
            fail_msg("%s: the coordinator has died", line);
        if (json_is_true(json_object_get(answer, "ok")))
            return answer;
        snprintf(last, sizeof last, "%s", json_string_value(json_object_get(answer, "error")));
        json_decref(answer);
        poll(NULL, 0, 50);
    } while (clock_monotonic_ms() < until_ms);
    fail_msg("%s: %s", line, last);
    return NULL;
}

void rig_wait_leading(struct rig_coordinator *coordinator, int timeout_ms)
{
    int64_t until_ms = clock_monotonic_ms() + timeout_ms;

    while (clock_monotonic_ms() < until_ms) {
        json_t *state = rig_ask(coordinator, "state");
        if (!state)
            fail_msg("the coordinator has died");
        bool leads = json_is_true(json_object_get(state, "leading")) && json_is_true(json_object_get(state, "redis_ok"));
        json_decref(state);
        if (leads)
            return;
        poll(NULL, 0, 50);
    }
    fail_msg("it does not lead");
}

void rig_wait_state(struct rig_coordinator *coordinator, const char *job_id, const char *state, int timeout_ms,
                    json_t **out)
{
    int64_t until_ms = clock_monotonic_ms() + timeout_ms;
    char last[64] = "unknown";

    while (clock_monotonic_ms() < until_ms) {
        json_t *answer = rig_ask(coordinator, "view job %s", job_id), *job = json_object_get(answer, "view");
        const char *now = json_string_value(json_object_get(job, "state"));
        snprintf(last, sizeof last, "%s", now ? now : "unknown");
        if (now && strcmp(now, state) == 0) {
            if (out)
                *out = json_incref(job);
            json_decref(answer);
            return;
        }
        json_decref(answer);
        poll(NULL, 0, 20);
    }
    fail_msg("job %s is %s, not %s", job_id, last, state);
}

/* ---- the pretended host ---- */

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

    must(file_read_secret(server("FLEETSNAP_REDIS_PASSWORD_FILE"), 4096, &password, NULL, &err), &err);
    password[strcspn(password, "\n")] = '\0';
    struct redis_options options = {server("FLEETSNAP_REDIS"), server("FLEETSNAP_REDIS_USER"), password, 0};
    must(redis_new(&options, &rig->redis, &err), &err);
    empty_redis(rig);
}

static void open_kafka(struct rig *rig)
{
    struct kafka_topic_problem problems[32];
    size_t count, created;
    int64_t low, high;
    struct err err = {0};

    rig->kafka = (struct kafka_options){.brokers = server("FLEETSNAP_KAFKA"), .client_id = "rig", .fetch_wait_ms = 500};
    must(kafka_topics_init(&rig->kafka, true, false, problems, 32, &count, &created, &err), &err);
    must(kafka_producer_open(&rig->kafka, &rig->producer, &err), &err);
    must(kafka_consumer_open(&rig->kafka, NULL, &rig->consumer, &err), &err);
    must(kafka_partition_count(&rig->kafka, topic_table[TOPIC_JOBS].name, 5000, &rig->job_partitions, &err), &err);
    must(kafka_partition_count(&rig->kafka, topic_table[TOPIC_STATUS].name, 5000, &rig->status_partitions, &err), &err);
    int32_t mine = kafka_partition_of(rig->host, strlen(rig->host), rig->job_partitions);
    must(kafka_watermarks(rig->consumer, topic_table[TOPIC_JOBS].name, mine, &low, &high, 5000, &err), &err);
    must(kafka_consumer_assign(rig->consumer, topic_table[TOPIC_JOBS].name, mine, high, &err), &err);
    must(kafka_watermarks(rig->consumer, topic_table[TOPIC_AUDIT].name, 0, &low, &rig->audit_from, 5000, &err), &err);
}

void rig_use_key(struct rig *rig, uint32_t generation)
{
    struct err err = {0};

    rig->ring = (struct key_ring){.count = 1};
    rig->ring.items[0].generation = generation;
    must(key_derive_host(rig->master, generation, rig->host, rig->ring.items[0].key, &err), &err);
}

static void open_keys(struct rig *rig)
{
    char path[256];
    struct err err = {0};

    snprintf(path, sizeof path, "%s/master.key", rig->directory);
    must(key_master_create(path, &err), &err);
    must(key_master_load(path, rig->master, &err), &err);
    rig_use_key(rig, 1);
    must(wire_new(&rig->wire, &err), &err);
    must(mac_new(&rig->mac, &err), &err);
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
    must(wire_decode(rig->wire, &job_record, record->value, record->value_len, topic_table[TOPIC_JOBS].max_bytes, job,
                     &err),
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

    must(count, &err);
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
        must(key_derive_host(rig->master, 1, host, ring.items[0].key, &err), &err);
    if (what->bad_mac)
        ring.items[0].key[0] ^= 1;
    must(wire_encode(rig->wire, &status_record, &status, &value, &len, &err), &err);
    struct mac_input input = {.topic = topic,
                              .key = job_id,
                              .key_len = strlen(job_id),
                              .value = value,
                              .value_len = len,
                              .fs_host = host,
                              .fs_job = job_id};
    must(mac_sign(rig->mac, &ring, &input, mac, &err), &err);
    struct kafka_header headers[] = {{"fs-host", host}, {"fs-job", job_id}, {"fs-mac", mac}};
    must(kafka_produce(rig->producer, topic, kafka_partition_of(rig->host, strlen(rig->host), rig->status_partitions),
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
        must(wire_encode(rig->wire, &restore_point_record, &point, &value, &len, &err), &err);
    snprintf(number, sizeof number, "%lld", (long long)revision);
    struct mac_input input = {.topic = topic,
                              .key = point_id,
                              .key_len = strlen(point_id),
                              .value = value,
                              .value_len = len,
                              .fs_host = rig->host,
                              .fs_job = job_id,
                              .fs_rev = tombstone ? number : NULL};
    must(mac_sign(rig->mac, &rig->ring, &input, mac, &err), &err);
    struct kafka_header headers[] = {{"fs-host", rig->host}, {"fs-job", job_id}, {"fs-mac", mac}, {"fs-rev", number}};
    must(kafka_produce(rig->producer, topic, 0, point_id, strlen(point_id), value, len, headers, tombstone ? 4 : 3, 1,
                       &err),
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

    must(wire_encode(rig->wire, &inventory_record, inventory, &value, &len, &err), &err);
    struct mac_input input = {
        .topic = topic, .key = key, .key_len = strlen(key), .value = value, .value_len = len, .fs_host = rig->host};
    must(mac_sign(rig->mac, &rig->ring, &input, mac, &err), &err);
    struct kafka_header headers[] = {{"fs-host", rig->host}, {"fs-mac", mac}};
    must(kafka_produce(rig->producer, topic, 0, key, strlen(key), value, len, headers, 2, 1, &err), &err);
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

    must(wire_decode(rig->wire, &audit_record, record->value, record->value_len, topic_table[TOPIC_AUDIT].max_bytes,
                     &audit, &err),
         &err);
    if (*previous)
        assert_string_equal(audit.previous, previous);
    digest_bytes(record->value, record->value_len, previous);
    must(record_to_json(&audit_record, &audit, false, &text, &err), &err);
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

    must(kafka_watermarks(rig->consumer, topic, 0, &low, &high, 5000, &err), &err);
    for (int64_t offset = rig->audit_from; offset < high; offset++) {
        struct kafka_record record;
        bool found = false;
        must(kafka_record_at(rig->consumer, topic, 0, offset, &record, &found, 5000, &err), &err);
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
        must(store_epoch_read(rig->redis, &epoch, &err), &err);
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
    must(store_acquire_command(&acquire, &command, &err), &err);
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

    must(facts_set(&target.labels, label, value, &err), &err);
    must(wire_encode(rig->wire, &inventory_record, &inventory, &bytes, &len, &err), &err);
    facts_clear(&target.labels);
    snprintf(key, sizeof key, "%s/null:%s", rig->host, id);
    struct mac_input input = {
        .topic = topic, .key = key, .key_len = strlen(key), .value = bytes, .value_len = len, .fs_host = rig->host};
    must(mac_sign(rig->mac, &rig->ring, &input, mac, &err), &err);
    struct kafka_header headers[] = {{"fs-host", rig->host}, {"fs-mac", mac}};
    must(kafka_produce(rig->producer, topic, 0, key, strlen(key), bytes, len, headers, 2, 1, &err), &err);
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

    must(store_claim_command(&claim, &command, &err), &err);
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
