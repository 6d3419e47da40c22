/* The child of a test: a coordinator that is told what to do by lines, and answers each with a line of JSON. */
#include "integration/support/coordinator_rig_internal.h"

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
#include "wire/wire.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

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

/* Into repository `name`, the same on every host; rate_limit: of its own. */
static int submit_backup(struct coordinator *coordinator, const char *host, const char *target, const char *name,
                         int64_t rate_limit, char *out, struct err *err)
{
    struct repository_ref repository = {(char *)"00000000-0000-4000-8000-00000000ba5e", (char *)name, (char *)"/backup"};
    struct params_backup_create params = {
        .repository = &repository, .rate_limit = rate_limit, .max_chain = 30, .max_chain_ms = 35LL * 24 * 3600 * 1000};
    struct job job = {.op = OP_BACKUP_CREATE,
                      .target = {(char *)"libvirt", (char *)target, NULL},
                      .host = (char *)host,
                      .params = &params};

    return coordinator_submit(coordinator, &tester, &job, NULL, out, err);
}

static void command_share(struct coordinator *coordinator, const char *job_id)
{
    struct coordinator_rate rate = {0};
    bool told = coordinator_rate(coordinator, job_id, &rate);

    say(json_pack("{s:b, s:b, s:I, s:b, s:s, s:I, s:I, s:I}", "ok", 1, "told", told, "rate_limit",
                  (json_int_t)rate.rate_limit, "shared", rate.shared, "repository", rate.repository, "limit",
                  (json_int_t)rate.of.limit, "each", (json_int_t)rate.of.each, "running", (json_int_t)rate.of.running));
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

    rig_must(string_set(&entry.id, id, &err), &err);
    rig_must(facts_set(&entry.values, "reason", "rig", &err), &err);
    if (kind == LEDGER_PIN)
        rig_must(facts_set(&entry.values, "key", text, &err), &err);
    else if (atoll(text))
        rig_must(facts_set_int(&entry.values, "until_ms", clock_real_ms() + atoll(text), &err), &err);
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
        rig_must(file_read(a, 65536, &yaml, NULL, &err), &err);
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
        rig_must(deploy_complete(&deploy, id, selector, NULL, tester.token, &err), &err);
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
    } else if (strcmp(verb, "backup") == 0) {
        int result = submit_backup(coordinator, a, b, c, atoll(d), id, &err);
        say_result(result, &err, json_pack("{s:s}", "job_id", id));
    } else if (strcmp(verb, "rate") == 0)
        say_result(coordinator_set_rate(coordinator, &tester, a, atoll(b), "rig", &err), &err, json_object());
    else if (strcmp(verb, "share") == 0)
        command_share(coordinator, a);
    else if (strcmp(verb, "submit-hundred") == 0)
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
