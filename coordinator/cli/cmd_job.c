#include "base/cleanup.h"
#include "base/err.h"
#include "base/parse.h"
#include "base/text.h"
#include "coordinator/cli/call.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/event.h"
#include "coordinator/cli/http.h"
#include "coordinator/cli/job_end.h"
#include "coordinator/cli/outcome.h"
#include "coordinator/cli/show.h"

#include <stdlib.h>
#include <string.h>

static int fetch(struct cli *cli, const struct invocation *invocation, json_t **out)
{
    struct text path = {0};
    char since[48];
    int64_t limit;
    int code = when_text(cli, "jobs", invocation_value(invocation, "since"), since, sizeof since);

    code = code ? code : limit_of(cli, "jobs", invocation, 50, &limit);
    if (code)
        return code;
    text_add(&path, "/v1/jobs");
    call_query(&path, "open", invocation_has(invocation, "open") ? "true" : NULL);
    call_query(&path, "target", invocation_value(invocation, "target"));
    call_query(&path, "host", invocation_value(invocation, "host"));
    call_query(&path, "state", invocation_value(invocation, "state"));
    call_query(&path, "op", invocation_value(invocation, "op"));
    call_query(&path, "since", *since ? since : NULL);
    code = call_list(cli, "jobs", limit, out, "%s", text_str(&path));
    text_free(&path);
    return code;
}

/* "RUNNING push 61 %", "WAITING lock", "LOST" */
static void add_state(struct table *table, const json_t *job)
{
    const char *state = member_text(job, "state"), *phase = member_text(job, "phase"),
               *waiting = member_text(job, "waiting");
    int64_t done = member_int(job, "done"), total = member_int(job, "total");

    if (member_true(job, "lost"))
        table_cell(table, "LOST");
    else if (strcmp(state, "RUNNING") == 0 && total > 0)
        table_cellf(table, "RUNNING %s %lld %%", phase, (long long)(done * 100 / total));
    else if (strcmp(state, "RUNNING") == 0)
        table_cellf(table, "RUNNING %s", phase);
    else if (strcmp(state, "WAITING") == 0)
        table_cellf(table, "WAITING %.*s", (int)strcspn(waiting, ":"), waiting);
    else
        table_cell(table, state);
}

int run_job_list(struct cli *cli, const struct invocation *invocation)
{
    static const struct table_column columns[] = {{"JOB", 0},
                                                  {"OPERATION", 0},
                                                  {"TARGET", COLUMN_SHRINK},
                                                  {"HOST", COLUMN_SHRINK},
                                                  {"STATE", COLUMN_SHRINK},
                                                  {"AGE", COLUMN_RIGHT},
                                                  {"BY", COLUMN_SHRINK | COLUMN_DROP}};
    json_t *jobs = NULL, *job;
    struct table table;
    size_t index;
    char age[32];

    int code = fetch(cli, invocation, &jobs);
    if (code)
        return code;
    if (cli->json)
        return cli_print_json(cli, jobs), json_decref(jobs), EXIT_DONE;
    table_init(&table, columns, sizeof columns / sizeof *columns);
    json_array_foreach(jobs, index, job)
    {
        table_cellf(&table, cli->verbose ? "%s" : "%.8s", member_text(job, "job_id"));
        table_cellf(&table, "%s%s", member_text(job, "op"), member_true(job, "dry_run") ? " (dry)" : "");
        table_cell(&table, show_target(job));
        table_cell(&table, member_text(job, "host"));
        add_state(&table, job);
        table_cell(&table, show_age(cli, job, "issued_at", age, sizeof age));
        table_cell(&table, show_or(member_text(job, "requested_by"), "–"));
    }
    show_table(cli, &table, "no jobs");
    table_free(&table);
    json_decref(jobs);
    return EXIT_DONE;
}

/* ---- show ---- */

/* What is known of a job whose outcome is not: where it stood, what is owed, and every fact that a person can hold against the world. Long ones (XML) whole only with -v. */
static void show_evidence(struct cli *cli, const json_t *job)
{
    const char *owed, *key;
    json_t *facts = json_object_get(json_object_get(job, "result"), "facts"), *value;

    if (*member_text(facts, "step"))
        show_pair(cli, "stood at", "step %s, %s", member_text(facts, "step"),
                  show_or(member_text(facts, "step_state"), "unknown"));
    owed = member_text(facts, "owed");
    if (*owed && !*member_text(job, "resolved"))
        show_pair(cli, "owed", "%s: it is paid when the job is resolved, or do it by hand", owed);
    json_object_foreach(facts, key, value)
    {
        const char *text = json_string_value(value);
        size_t len = text ? strcspn(text, "\n") : 0;

        if (!text || strcmp(key, "step") == 0 || strcmp(key, "step_state") == 0 || strcmp(key, "owed") == 0)
            continue;
        if (cli->verbose)
            show_pair(cli, "known", "%s = %s", key, text);
        else
            show_pair(cli, "known", "%s = %.*s%s", key, (int)(len > 100 ? 100 : len), text,
                      text[len] || len > 100 ? " …" : "");
    }
    if (*member_text(job, "resolved"))
        show_pair(cli, "resolved", "%s", member_text(job, "resolved"));
}

/* "at most 20 MiB/s" */
static void rate_text(int64_t rate, char *out, size_t size)
{
    char text[32];

    if (rate)
        snprintf(out, size, "at most %s/s", format_size(rate, text, sizeof text));
    else
        snprintf(out, size, "as fast as it can");
}

static void show_share(struct cli *cli, const json_t *share)
{
    char limit[32];

    if (share)
        show_pair(cli, "", "its share of repository %s, %s/s for the %lld that run", member_text(share, "repository"),
                  format_size(member_int(share, "limit"), limit, sizeof limit), (long long)member_int(share, "running"));
}

static void show_job(struct cli *cli, const json_t *job)
{
    const char *state = member_text(job, "state"), *by = member_text(job, "requested_by"),
               *reason = member_text(job, "reason");
    const json_t *event;
    size_t index;
    char time[48];

    fprintf(cli->out, "%s  %s on %s    %s%s%s\n", member_text(job, "op"), show_target(job), member_text(job, "host"),
            member_true(job, "lost") ? "LOST, last " : "", state, member_true(job, "dry_run") ? " (dry run)" : "");
    show_pair(cli, "job", "%s", member_text(job, "job_id"));
    show_pair(cli, "asked", "%s by %s%s%s", show_time(cli, job, "issued_at", time, sizeof time), show_or(by, "–"),
              *reason ? ", " : "", reason);
    if (*member_text(job, "replaces"))
        show_pair(cli, "replaces", "%s", member_text(job, "replaces"));
    if (json_object_get(job, "rate_limit")) {
        rate_text(member_int(job, "rate_limit"), time, sizeof time);
        show_pair(cli, "told", "to go %s", time);
    }
    show_share(cli, json_object_get(job, "rate_share"));
    if (*member_text(job, "waiting"))
        show_pair(cli, "waits", "%s", member_text(job, "waiting"));
    if (strcmp(state, "PARKED") == 0)
        show_evidence(cli, job);
    if (cli->verbose) {
        CLEANUP(freep) char *params = json_dumps(json_object_get(job, "params"), JSON_COMPACT | JSON_ENCODE_ANY);
        show_pair(cli, "params", "%s", params ? params : "");
    }
    json_array_foreach(json_object_get(job, "events"), index, event) event_print(cli, event, EVENT_OF_JOB);
}

/* `name` is the row's argument: JOB. */
static char *job_path(const struct invocation *invocation, const char *verb)
{
    struct text path = {0};

    text_add(&path, "/v1/jobs");
    call_path(&path, invocation_argument(invocation, "JOB"));
    text_addf(&path, "%s%s", *verb ? "/" : "", verb);
    return text_take(&path);
}

int run_job_show(struct cli *cli, const struct invocation *invocation)
{
    CLEANUP(freep) char *path = job_path(invocation, "");
    json_t *job = NULL;
    int code = call_get(cli, "job show", &job, "%s", path);

    if (code)
        return code;
    if (cli->json)
        return cli_print_json(cli, job), json_decref(job), EXIT_DONE;
    show_job(cli, job);
    if (member_true(job, "dry_run") && strcmp(member_text(job, "state"), "SUCCEEDED") == 0)
        plan_print(cli, cli->out, job);
    else if (outcome_exit(member_text(job, "state")) != EXIT_UNSEEN)
        outcome_print(cli, job, "");
    json_decref(job);
    return EXIT_DONE;
}

/* ---- watch ---- */

static enum stream_verdict on_event(void *context, const char *name, const json_t *data)
{
    struct cli *cli = context;

    if (cli->json && strcmp(name, "end") != 0) {
        cli_print_json(cli, data);
    } else if (strcmp(name, "status") == 0) {
        event_print(cli, data, EVENT_OF_ANY);
        fflush(cli->out);
    }
    return strcmp(name, "end") == 0 ? STREAM_STOP : STREAM_GO_ON;
}

static enum stream_verdict on_tick(void *context)
{
    (void)context;
    return cli_interrupted() ? STREAM_STOP : STREAM_GO_ON;
}

/* All jobs until ^C; with --json also the events of one. */
static int watch_stream(struct cli *cli, const char *path, int64_t cursor)
{
    struct stream_watcher watcher = {on_event, on_tick, cli};
    struct http *http = cli_http(cli);
    struct http_answer answer = {0};
    struct err err = {0};
    int code = EXIT_DONE;

    if (!http)
        return EXIT_USAGE;
    cli_catch_interrupts();
    if (http_stream(http, path, &cursor, &watcher, &answer, &err) < 0)
        code = cli_fail_err(cli, EXIT_UNREACHABLE, "job watch", &err);
    else if (answer.status != 200)
        code = cli_fail(cli, answer.status == 403 ? EXIT_FORBIDDEN : EXIT_USAGE, "job watch",
                        member_text(answer.body, "hint"), "%s", member_text(answer.body, "detail"));
    http_answer_clear(&answer);
    return code;
}

static int watch_json(struct cli *cli, const char *job_id)
{
    char path[128];
    json_t *job = NULL;

    snprintf(path, sizeof path, "/v1/jobs/%s/events", job_id);
    int code = watch_stream(cli, path, 0);
    if (code == 0 && (code = job_fetch(cli, "job watch", job_id, &job)) == 0)
        code = outcome_exit(member_text(job, "state"));
    json_decref(job);
    return code;
}

int run_job_watch(struct cli *cli, const struct invocation *invocation)
{
    json_t *job = NULL;

    if (!invocation_argument(invocation, "JOB"))
        return watch_stream(cli, "/v1/events", -1);
    CLEANUP(freep) char *path = job_path(invocation, "");
    int code = call_get(cli, "job watch", &job, "%s", path);
    if (code == 0 && cli->json)
        code = watch_json(cli, member_text(job, "job_id"));
    else if (code == 0)
        code = job_finish(cli, "job watch", job, NULL, false);
    json_decref(job);
    return code;
}

/* ---- cancel, retry, resolve ---- */

static int would(struct cli *cli, const struct invocation *invocation, const char *what)
{
    CLEANUP(freep) char *path = job_path(invocation, "");
    json_t *job = NULL;
    int code = call_get(cli, "job", &job, "%s", path);

    if (code == 0)
        fprintf(cli->out, "job %.8s (%s %s on %s, %s) would be %s; nothing has been changed.\n",
                member_text(job, "job_id"), member_text(job, "op"), show_target(job), member_text(job, "host"),
                member_text(job, "state"), what);
    json_decref(job);
    return code;
}

int run_job_cancel(struct cli *cli, const struct invocation *invocation)
{
    CLEANUP(freep) char *path = job_path(invocation, "cancel");
    json_t *answer = NULL;

    if (invocation_has(invocation, "dry-run"))
        return would(cli, invocation, "asked to stop");
    json_t *body = json_pack("{s:s*}", "reason", invocation_value(invocation, "reason"));
    int code = call_change(cli, "job cancel", "POST", path, body, invocation_value(invocation, "request-id"), &answer);
    if (code == 0 && cli->json)
        cli_print_json(cli, answer);
    else if (code == 0)
        fprintf(cli->out, "job %.8s was asked to stop; what it has done is undone.   fleetsnap job watch %.8s\n",
                member_text(answer, "job_id"), member_text(answer, "job_id"));
    json_decref(body);
    json_decref(answer);
    return code;
}

int run_job_set(struct cli *cli, const struct invocation *invocation)
{
    CLEANUP(freep) char *path = job_path(invocation, "rate");
    const char *value = invocation_value(invocation, "rate");
    json_t *answer = NULL;
    struct err err = {0};
    char text[64], what[96];
    int64_t rate = 0;

    if (!value)
        return cli_fail(cli, EXIT_USAGE, "job set", NULL, "say what: --rate SIZE, 0 for no limit");
    if (parse_size(value, &rate, &err) < 0)
        return cli_fail_err(cli, EXIT_USAGE, "job set", &err);
    rate_text(rate, text, sizeof text);
    snprintf(what, sizeof what, "told to go %s", text);
    if (invocation_has(invocation, "dry-run"))
        return would(cli, invocation, what);
    json_t *body = json_pack("{s:I, s:s*}", "rate_limit", (json_int_t)rate, "reason",
                             invocation_value(invocation, "reason"));
    int code = call_change(cli, "job set", "POST", path, body, invocation_value(invocation, "request-id"), &answer);
    if (code == 0 && cli->json)
        cli_print_json(cli, answer);
    else if (code == 0)
        fprintf(cli->out, "job %.8s was told to go %s.   fleetsnap job watch %.8s\n", member_text(answer, "job_id"),
                text, member_text(answer, "job_id"));
    json_decref(body);
    json_decref(answer);
    return code;
}

int run_job_retry(struct cli *cli, const struct invocation *invocation)
{
    CLEANUP(freep) char *path = job_path(invocation, "retry");
    json_t *accepted = NULL;

    if (invocation_has(invocation, "dry-run"))
        return would(cli, invocation, "started again under a new id");
    int code = call_change(cli, "job retry", "POST", path, NULL, invocation_value(invocation, "request-id"), &accepted);
    if (code == 0)
        code = job_finish(cli, "job retry", accepted, NULL, invocation_has(invocation, "no-wait"));
    json_decref(accepted);
    return code;
}

int run_job_resolve(struct cli *cli, const struct invocation *invocation)
{
    CLEANUP(freep) char *path = job_path(invocation, "resolve");
    const char *as = invocation_value(invocation, "as"), *reason = invocation_value(invocation, "reason");
    json_t *answer = NULL;

    if (!as || !reason)
        return cli_fail(cli, EXIT_USAGE, "job resolve", NULL,
                        "say how it ended and how you know: --as done|failed --reason TEXT");
    if (invocation_has(invocation, "dry-run"))
        return would(cli, invocation, "resolved, and its target opened");
    json_t *body = json_pack("{s:s, s:s}", "as", as, "reason", reason);
    int code = call_change(cli, "job resolve", "POST", path, body, invocation_value(invocation, "request-id"), &answer);
    if (code == 0 && cli->json)
        cli_print_json(cli, answer);
    else if (code == 0)
        fprintf(cli->out, "job %.8s is resolved as %s; its host pays what is owed and opens the target.\n",
                member_text(answer, "job_id"), as);
    json_decref(body);
    json_decref(answer);
    return code;
}
