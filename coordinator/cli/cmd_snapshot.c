#include "base/cleanup.h"
#include "base/text.h"
#include "coordinator/cli/call.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/job_command.h"
#include "coordinator/cli/outcome.h"
#include "coordinator/cli/show.h"
#include "coordinator/cli/snapshots.h"
#include "coordinator/cli/tree.h"

#include <stdlib.h>
#include <string.h>

/* A job that only reads, run to its end without a word. 0 and *out, its job; or an exit code. */
static int ask_host(struct cli *cli, const char *subject, const char *op, const char *target, json_t *params,
                    json_t **out)
{
    json_t *request = json_pack("{s:s, s:s, s:o}", "op", op, "target", target, "params", params), *accepted = NULL;
    int code = call_change(cli, subject, "POST", "/v1/jobs", request, NULL, &accepted);

    code = code ? code : job_wait(cli, subject, accepted, NULL, true, out, NULL);
    json_decref(request);
    json_decref(accepted);
    if (code || strcmp(member_text(*out, "state"), "SUCCEEDED") == 0)
        return code;
    code = outcome_print(cli, *out, "");
    json_decref(*out);
    *out = NULL;
    return code;
}

/* From the view, or with --live from the host. */
static int fetch(struct cli *cli, const struct invocation *invocation, const char *subject, json_t **out)
{
    const char *target = invocation_argument(invocation, "TARGET");
    struct text path = {0};
    json_t *job = NULL;

    if (invocation_has(invocation, "live")) {
        int code = ask_host(cli, subject, "snapshot.list", target, json_pack("{s:b}", "refresh", 1), &job);
        if (code)
            return code;
        *out = json_incref(json_object_get(json_object_get(job, "result"), "snapshots"));
        *out = *out ? *out : json_array();
        json_decref(job);
        return 0;
    }
    text_add(&path, "/v1/targets");
    call_path(&path, target);
    int code = call_list(cli, subject, 0, out, "%s/snapshots", text_str(&path));
    text_free(&path);
    return code;
}

static void print_table(struct cli *cli, const json_t *snapshots)
{
    static const struct table_column columns[] = {{"SNAPSHOT", COLUMN_SHRINK}, {"KIND", 0},  {"STATE", 0}, {"MADE", 0},
                                                  {"PARENT", COLUMN_SHRINK},   {"LEVEL", 0}, {"", 0}};
    struct table table;
    const json_t *item;
    size_t index;
    char time[48];

    table_init(&table, columns, sizeof columns / sizeof *columns);
    json_array_foreach(snapshots, index, item)
    {
        table_cell(&table, member_text(item, "name"));
        table_cell(&table, show_or(member_text(item, "location"), "–"));
        table_cell(&table, show_or(member_text(item, "state"), "–"));
        table_cell(&table, show_time(cli, item, "created_at", time, sizeof time));
        table_cell(&table, show_or(member_text(item, "parent"), "–"));
        table_cell(&table, show_or(member_text(item, "level"), "–"));
        table_cellf(&table, "%s%s", member_true(item, "current") ? "current " : "",
                    *member_text(item, "owner") ? "" : "(made by others)");
    }
    show_table(cli, &table);
    table_free(&table);
}

static void print_list(struct cli *cli, const struct invocation *invocation, const json_t *snapshots)
{
    const json_t *item;
    size_t index;

    if (invocation_has(invocation, "count"))
        fprintf(cli->out, "%zu\n", json_array_size(snapshots));
    else if (invocation_has(invocation, "tree"))
        tree_print(snapshots, cli->utc, cli->out);
    else if (!invocation_has(invocation, "name"))
        print_table(cli, snapshots);
    else {
        json_array_foreach(snapshots, index, item) fprintf(cli->out, "%s\n", member_text(item, "name"));
    }
}

int run_snapshot_list(struct cli *cli, const struct invocation *invocation)
{
    json_t *all = NULL;
    int code = fetch(cli, invocation, "snapshot list", &all);

    if (code)
        return code;
    json_t *chosen = snapshots_filter(all, invocation);
    if (invocation_has(invocation, "topological")) {
        json_t *sorted = snapshots_sorted(chosen);
        json_decref(chosen);
        chosen = sorted;
    }
    if (cli->json)
        cli_print_json(cli, chosen);
    else
        print_list(cli, invocation, chosen);
    json_decref(chosen);
    json_decref(all);
    return EXIT_DONE;
}

static void print_children(struct cli *cli, const json_t *all, const char *name)
{
    struct text children = {0};
    const json_t *item;
    size_t index;

    json_array_foreach(all, index, item)
    {
        if (strcmp(member_text(item, "parent"), name) == 0)
            text_addf(&children, "%s%s", children.len ? ", " : "", member_text(item, "name"));
    }
    show_pair(cli, "children", "%s", children.len ? text_str(&children) : "–");
    text_free(&children);
}

static void print_one(struct cli *cli, const json_t *all, const json_t *item)
{
    const json_t *file;
    size_t index;
    char time[48];

    fprintf(cli->out, "snapshot %s%s\n", member_text(item, "name"), member_true(item, "current") ? "  ← current" : "");
    if (*member_text(item, "description"))
        show_pair(cli, "description", "%s", member_text(item, "description"));
    show_pair(cli, "made", "%s", show_time(cli, item, "created_at", time, sizeof time));
    show_pair(cli, "kind", "%s, %s", show_or(member_text(item, "location"), "–"),
              show_or(member_text(item, "state"), "–"));
    show_pair(cli, "level", "%s", show_or(member_text(item, "level"), "–"));
    show_pair(cli, "parent", "%s", show_or(member_text(item, "parent"), "–"));
    print_children(cli, all, member_text(item, "name"));
    show_pair(cli, "made by", "%s", *member_text(item, "owner") ? member_text(item, "owner") : "others");
    json_array_foreach(json_object_get(item, "files"), index, file)
        show_pair(cli, index ? "" : "files", "%s", json_string_value(file));
}

static int show_xml(struct cli *cli, const struct invocation *invocation)
{
    const char *name = invocation_argument(invocation, "NAME");
    json_t *job = NULL;
    json_t *params = name ? json_pack("{s:s}", "name", name) : json_pack("{s:b}", "current", 1);
    int code = ask_host(cli, "snapshot show", "snapshot.show", invocation_argument(invocation, "TARGET"), params, &job);

    if (code)
        return code;
    if (cli->json)
        cli_print_json(cli, json_object_get(job, "result"));
    else
        fprintf(cli->out, "%s\n", member_text(json_object_get(job, "result"), "xml"));
    json_decref(job);
    return EXIT_DONE;
}

static int no_such(struct cli *cli, const json_t *all, const char *name)
{
    const char *best = NULL;
    const json_t *item;
    size_t index, least = 4;
    char hint[300] = "";

    json_array_foreach(all, index, item)
    {
        size_t distance = name ? word_distance(name, member_text(item, "name")) : least;
        best = distance < least ? member_text(item, "name") : best;
        least = distance < least ? distance : least;
    }
    if (best)
        snprintf(hint, sizeof hint, "Did you mean %s?", best);
    if (name)
        return cli_fail(cli, EXIT_USAGE, "snapshot show", hint, "no snapshot \"%s\"", name);
    return cli_fail(cli, EXIT_USAGE, "snapshot show", NULL, "there is no current snapshot");
}

int run_snapshot_show(struct cli *cli, const struct invocation *invocation)
{
    const char *name = invocation_argument(invocation, "NAME");
    json_t *all = NULL;

    if (!name == !invocation_has(invocation, "current"))
        return cli_fail(cli, EXIT_USAGE, "snapshot show", NULL, "say which snapshot: NAME or --current");
    if (invocation_has(invocation, "xml"))
        return show_xml(cli, invocation);
    int code = fetch(cli, invocation, "snapshot show", &all);
    if (code)
        return code;
    const json_t *item = snapshot_row_find(all, name);
    if (!item)
        code = no_such(cli, all, name);
    else if (cli->json)
        cli_print_json(cli, item);
    else
        print_one(cli, all, item);
    json_decref(all);
    return code;
}
