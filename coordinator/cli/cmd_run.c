#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"
#include "base/text.h"
#include "coordinator/cli/call.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/deploy_show.h"
#include "coordinator/cli/run_watch.h"
#include "coordinator/cli/show.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { LIST_LIMIT = 20, POLL_MS = 500 };

static int64_t count(const json_t *run, const char *member)
{
    return member_int(run, member);
}

/* "12 done, 1 failed of 40" */
static void add_counts(const json_t *run, struct text *out)
{
    static const char *const members[] = {"done", "failed", "unknown", "cancelled", "skipped"};

    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (count(run, members[i]))
            text_addf(out, "%s%lld %s", out->len ? ", " : "", (long long)count(run, members[i]), members[i]);
    text_addf(out, "%sof %lld", out->len ? " " : "none yet ", (long long)member_int(run, "members"));
}

static int exit_of(const char *outcome)
{
    static const struct {
        const char *outcome;
        int code;
    } codes[] = {{"done", EXIT_DONE},     {"empty", EXIT_DONE},      {"some_failed", EXIT_SOME},
                 {"failed", EXIT_FAILED}, {"unknown", EXIT_UNKNOWN}, {"cancelled", EXIT_DECLINED},
                 {"running", EXIT_UNSEEN}};

    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(codes[i].outcome, outcome) == 0)
            return codes[i].code;
    return EXIT_UNKNOWN;
}

/* ---- list ---- */

int run_run_list(struct cli *cli, const struct invocation *invocation)
{
    static const struct table_column columns[] = {
        {"RUN", 0},     {"POLICY", COLUMN_SHRINK},  {"SCHEDULE", COLUMN_SHRINK | COLUMN_DROP}, {"SLOT", 0},
        {"OUTCOME", 0}, {"TARGETS", COLUMN_SHRINK}, {"BY", COLUMN_SHRINK | COLUMN_DROP}};
    struct text path = {0};
    json_t *runs = NULL, *run;
    struct table table;
    size_t index;
    int64_t limit;
    char time[48];

    int code = limit_of(cli, "runs", invocation, LIST_LIMIT, &limit);
    if (code)
        return code;
    text_add(&path, "/v1/runs");
    call_query(&path, "policy", invocation_value(invocation, "policy"));
    call_query(&path, "open", invocation_has(invocation, "open") ? "true" : NULL);
    code = call_list(cli, "runs", limit, &runs, "%s", text_str(&path));
    text_free(&path);
    if (code)
        return code;
    if (cli->json)
        return cli_print_json(cli, runs), json_decref(runs), EXIT_DONE;
    table_init(&table, columns, sizeof columns / sizeof *columns);
    json_array_foreach(runs, index, run)
    {
        CLEANUP(text_freep) struct text counts = {0};
        add_counts(run, &counts);
        table_cellf(&table, cli->verbose ? "%s" : "%.8s", member_text(run, "run_id"));
        table_cell(&table, member_text(run, "policy"));
        table_cell(&table, member_text(run, "schedule"));
        table_cell(&table, show_time(cli, run, "slot", time, sizeof time));
        table_cell(&table, member_text(run, "outcome"));
        table_cell(&table, text_str(&counts));
        table_cell(&table, show_or(member_text(run, "requested_by"), "–"));
    }
    show_table(cli, &table, "no runs");
    table_free(&table);
    json_decref(runs);
    return EXIT_DONE;
}

/* ---- show ---- */

static int fetch(struct cli *cli, const char *subject, const char *id, json_t **out)
{
    struct text path = {0};

    text_add(&path, "/v1/runs");
    call_path(&path, id);
    int code = call_get(cli, subject, out, "%s", text_str(&path));
    text_free(&path);
    return code;
}

static void add_time(struct table *table, const json_t *job, const char *member)
{
    char text[32];

    table_cell(table, json_object_get(job, member) ? format_duration(member_int(job, member), text, sizeof text) : "–");
}

static void show_jobs(struct cli *cli, const json_t *run)
{
    static const struct table_column columns[] = {
        {"TARGET", COLUMN_SHRINK}, {"HOST", COLUMN_SHRINK},    {"STATE", 0},  {"JOB", COLUMN_DROP},
        {"TURN", COLUMN_DROP},     {"WHY NOT", COLUMN_SHRINK}, {"FROZEN", 0}, {"SKEW", 0}};
    bool group = member_int(run, "group_limit_ms") > 0;
    const json_t *job;
    struct table table;
    size_t index;
    char time[48];

    table_init(&table, columns, sizeof columns / sizeof *columns - (group ? 0 : 2));
    json_array_foreach(json_object_get(run, "jobs"), index, job)
    {
        const char *point = member_text(job, "point"), *name = member_text(job, "name");
        table_cellf(&table, "%s%s%.8s", *name ? name : member_text(job, "target"), *point ? " " : "", point);
        table_cell(&table, member_text(job, "host"));
        table_cell(&table, member_text(job, "state"));
        table_cellf(&table, cli->verbose ? "%s" : "%.8s", show_or(member_text(job, "job_id"), "–"));
        table_cell(&table, show_time(cli, job, "due_at", time, sizeof time));
        table_cell(&table, member_text(job, "skipped"));
        for (size_t i = 0; group && i < 2; i++)
            add_time(&table, job, i ? "skew_ms" : "frozen_ms");
    }
    show_table(cli, &table, "it selected nothing");
    table_free(&table);
}

static void show_run(struct cli *cli, const json_t *run)
{
    CLEANUP(text_freep) struct text counts = {0};
    char time[48];

    add_counts(run, &counts);
    fprintf(cli->out, "%s  %s of policy %s, %s\n", member_text(run, "run_id"), member_text(run, "operation"),
            member_text(run, "policy"), member_text(run, "schedule"));
    if (member_int(run, "group_limit_ms")) {
        CLEANUP(text_freep) struct text group = {0};
        deploy_group_text(json_object_get(run, "jobs"), NULL, &group);
        show_pair(cli, "group", "%s", group.len ? text_str(&group) : "one point in time, or none");
    }
    show_pair(cli, "slot", "%s", show_time(cli, run, "slot", time, sizeof time));
    show_pair(cli, "asked by", "%s", show_or(member_text(run, "requested_by"), "its schedule"));
    show_pair(cli, "outcome", "%s: %s", member_text(run, "outcome"), text_str(&counts));
    if (member_time(run, "window_end_at"))
        show_pair(cli, "window", "until %s", show_time(cli, run, "window_end_at", time, sizeof time));
    if (*member_text(run, "cancel"))
        show_pair(cli, "cancelled", "%s", member_text(run, "cancel"));
    if (member_time(run, "ended_at"))
        show_pair(cli, "ended", "%s", show_time(cli, run, "ended_at", time, sizeof time));
    show_jobs(cli, run);
}

int run_run_show(struct cli *cli, const struct invocation *invocation)
{
    json_t *run = NULL;
    int code = fetch(cli, "run show", invocation_argument(invocation, "RUN"), &run);

    if (code)
        return code;
    if (cli->json)
        cli_print_json(cli, run);
    else
        show_run(cli, run);
    json_decref(run);
    return EXIT_DONE;
}

/* ---- watch ---- */

/* As it stands, from the states of its jobs: the run's own numbers are written at its end. */
static void add_progress(const json_t *run, struct text *out)
{
    static const char *const states[][2] = {{"SUCCEEDED", "done"},  {"OPEN", "under way"},      {"PENDING", "waiting"},
                                            {"FAILED", "failed"},   {"REJECTED", "rejected"},   {"EXPIRED", "expired"},
                                            {"REFUSED", "refused"}, {"CANCELLED", "cancelled"}, {"PARKED", "parked"},
                                            {"SKIPPED", "skipped"}};
    const json_t *jobs = json_object_get(run, "jobs"), *job;
    size_t index;

    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        size_t found = 0;
        json_array_foreach(jobs, index, job) found += strcmp(member_text(job, "state"), states[i][0]) == 0;
        if (found)
            text_addf(out, "%s%zu %s", out->len ? ", " : "", found, states[i][1]);
    }
    text_addf(out, " of %zu", json_array_size(jobs));
}

static void say_change(struct cli *cli, const json_t *run, char **last)
{
    CLEANUP(text_freep) struct text now = {0};

    add_progress(run, &now);
    if (*last && strcmp(*last, text_str(&now)) == 0)
        return;
    fprintf(cli->err, "%.8s %s, %s: %s\n", member_text(run, "run_id"), member_text(run, "policy"),
            member_text(run, "schedule"), text_str(&now));
    free(*last);
    *last = text_take(&now);
}

static int finished(struct cli *cli, const json_t *run)
{
    const char *outcome = member_text(run, "outcome");
    CLEANUP(text_freep) struct text counts = {0};

    add_counts(run, &counts);
    if (cli->json)
        cli_print_json(cli, run);
    else
        fprintf(exit_of(outcome) ? cli->err : cli->out, "run %.8s of policy %s: %s, %s\n", member_text(run, "run_id"),
                member_text(run, "policy"), outcome, text_str(&counts));
    if (exit_of(outcome))
        fprintf(cli->err, "Which and why: fleetsnap run show %.8s\n", member_text(run, "run_id"));
    return exit_of(outcome);
}

int run_watch(struct cli *cli, const char *subject, const char *id)
{
    CLEANUP(freep) char *last = NULL;
    const struct timespec pause = {0, POLL_MS * 1000000L};

    cli_catch_interrupts();
    for (;;) {
        json_t *run = NULL;
        int code = fetch(cli, subject, id, &run);
        if (code)
            return code;
        if (!cli->json)
            say_change(cli, run, &last);
        if (member_time(run, "ended_at")) {
            code = finished(cli, run);
            json_decref(run);
            return code;
        }
        json_decref(run);
        if (cli_interrupted()) {
            fprintf(cli->err, "detached; the run goes on.   fleetsnap run watch %.8s     fleetsnap run cancel %.8s\n",
                    id, id);
            return EXIT_UNSEEN;
        }
        nanosleep(&pause, NULL);
    }
}

int run_run_watch(struct cli *cli, const struct invocation *invocation)
{
    return run_watch(cli, "run watch", invocation_argument(invocation, "RUN"));
}

/* ---- cancel ---- */

int run_run_cancel(struct cli *cli, const struct invocation *invocation)
{
    const char *id = invocation_argument(invocation, "RUN");
    struct text path = {0};
    json_t *answer = NULL;

    if (invocation_has(invocation, "dry-run"))
        return fprintf(
                   cli->out,
                   "run %s would start nothing more, and its jobs would be asked to stop; nothing has been changed.\n",
                   id),
               EXIT_DONE;
    json_t *body = json_pack("{s:s*}", "reason", invocation_value(invocation, "reason"));
    text_add(&path, "/v1/runs");
    call_path(&path, id);
    text_add(&path, "/cancel");
    int code = call_change(cli, "run cancel", "POST", text_str(&path), body, invocation_value(invocation, "request-id"),
                           &answer);
    text_free(&path);
    json_decref(body);
    if (code == 0 && cli->json)
        cli_print_json(cli, answer);
    else if (code == 0)
        fprintf(cli->out, "run %.8s was asked to stop; how it ends: fleetsnap run watch %.8s\n",
                member_text(answer, "run_id"), member_text(answer, "run_id"));
    json_decref(answer);
    return code;
}
