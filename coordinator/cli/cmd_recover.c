/* recover: what could be restored where, as a table; then the run, to its end, and a line for each machine. */
#include "base/cleanup.h"
#include "base/text.h"
#include "coordinator/cli/call.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/run_watch.h"
#include "coordinator/cli/show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "a,b" and "a" "b" alike. Caller decrefs. */
static json_t *names_of(const struct invocation *invocation, const char *option)
{
    CLEANUP(freep) char *text = strdup(invocation_value(invocation, option));
    json_t *names = json_array();
    char *save = NULL;

    for (char *name = text ? strtok_r(text, ", ", &save) : NULL; name; name = strtok_r(NULL, ", ", &save))
        json_array_append_new(names, json_string(name));
    return names;
}

static void show_plan(struct cli *cli, FILE *out, const json_t *plan)
{
    static const struct table_column columns[] = {
        {"TARGET", COLUMN_SHRINK}, {"RESTORE POINT", 0}, {"AGE", COLUMN_RIGHT}, {"SIZE", COLUMN_RIGHT}, {"ONTO", 0},
        {"STARTS", COLUMN_RIGHT},  {"FITS", 0}};
    struct cli printer = *cli;
    struct table table;
    const json_t *target;
    size_t index;
    char age[32], size[32];

    printer.out = out;
    table_init(&table, columns, sizeof columns / sizeof *columns);
    json_array_foreach(json_object_get(plan, "targets"), index, target)
    {
        bool known = *member_text(target, "point"), fits = *member_text(target, "onto");
        table_cell(&table, member_text(target, "name"));
        table_cellf(&table, known ? "%.8s  %s" : "–", member_text(target, "point"), member_text(target, "backup_kind"));
        table_cell(&table, known ? show_age(cli, target, "created_at", age, sizeof age) : "–");
        table_cell(&table, known ? show_size(member_int(target, "size_bytes"), size, sizeof size) : "–");
        table_cell(&table, fits ? member_text(target, "onto") : "–");
        table_cellf(&table, fits ? "%lld" : "–", (long long)member_int(target, "order"));
        table_cell(&table, fits ? "yes" : member_text(target, "why"));
    }
    show_table(&printer, &table, "nothing is known of machines of that host");
    table_free(&table);
    fprintf(out, "%lld of %lld can be recovered, %s. The order is by priority.%s\n",
            (long long)member_int(plan, "recoverable"), (long long)member_int(plan, "total"),
            show_size(member_int(plan, "size_bytes"), size, sizeof size),
            member_true(plan, "dry_run") ? " Without --dry-run: do it." : "");
}

/* What became of each machine. */
static void report(struct cli *cli, const char *id)
{
    json_t *run = NULL;
    const json_t *job;
    size_t index;

    if (call_get(cli, "recover", &run, "/v1/runs/%s", id) != 0)
        return;
    json_array_foreach(json_object_get(run, "jobs"), index, job)
    {
        const char *why = member_text(job, *member_text(job, "skipped") ? "skipped" : "why");
        fprintf(cli->out, "%s on %s  %s%s%s\n", member_text(job, "name"), member_text(job, "host"),
                member_text(job, "state"), *why ? ": " : "", why);
    }
    json_decref(run);
}

static int watch(struct cli *cli, const char *host, const json_t *plan)
{
    char id[40];

    snprintf(id, sizeof id, "%s", member_text(plan, "run_id"));
    if (!cli->json)
        show_plan(cli, cli->err, plan);
    if (!*id)
        return cli_fail(cli, EXIT_FAILED, "recover", NULL, "nothing of host %s can be recovered there", host);
    int code = run_watch(cli, "recover", id);
    if (!cli->json && code != EXIT_UNSEEN) {
        report(cli, id);
        fprintf(cli->err,
                "Before %s comes back: fleetsnap host remove %s, or host replace; else its machines are there twice.\n",
                host, host);
    }
    return code;
}

int run_recover(struct cli *cli, const struct invocation *invocation)
{
    const char *host = invocation_value(invocation, "host"), *start = invocation_value(invocation, "start");
    bool dry = invocation_has(invocation, "dry-run");
    json_t *plan = NULL;

    if (!host || !invocation_has(invocation, "onto"))
        return cli_fail(cli, EXIT_USAGE, "recover", NULL,
                        "say which host is gone, and where its machines go: --host beta --onto gamma,delta");
    json_t *body = json_pack("{s:s, s:o, s:s*, s:b, s:b}", "host", host, "onto", names_of(invocation, "onto"), "start",
                             start, "force", invocation_has(invocation, "force"), "dry_run", dry);
    int code = call_change(cli, "recover", "POST", "/v1/recover", body, invocation_value(invocation, "request-id"),
                           &plan);
    json_decref(body);
    if (code)
        return code;
    if (!dry && !invocation_has(invocation, "no-wait"))
        code = watch(cli, host, plan);
    else if (cli->json)
        cli_print_json(cli, plan);
    else if (dry)
        show_plan(cli, cli->out, plan);
    else
        fprintf(cli->out, "%s\n", member_text(plan, "run_id"));
    if (!code && dry && member_int(plan, "recoverable") < member_int(plan, "total"))
        code = member_int(plan, "recoverable") ? EXIT_SOME : EXIT_FAILED;
    json_decref(plan);
    return code;
}
