#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "coordinator/cli/ask.h"
#include "coordinator/cli/call.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/show.h"
#include "coordinator/cli/snapshots.h"
#include "coordinator/cli/tree.h"

#include <stdlib.h>
#include <string.h>

/* {items, target, host}, and as_of where it comes from the view; with --live from the host, as it is now. */
static int fetch(struct cli *cli, const struct invocation *invocation, const char *subject, json_t **out)
{
    const char *target = invocation_argument(invocation, "TARGET");
    CLEANUP(text_free) struct text path = {0};
    json_t *job = NULL;

    if (!invocation_has(invocation, "live")) {
        text_add(&path, "/v1/targets");
        call_path(&path, target);
        return call_get(cli, subject, out, "%s/snapshots", text_str(&path));
    }
    int code = ask_host(cli, subject, "snapshot.list", target, json_pack("{s:b}", "refresh", 1), &job);
    if (code)
        return code;
    json_t *items = json_object_get(json_object_get(job, "result"), "snapshots");
    *out = json_pack("{s:o, s:O?, s:O?}", "items", items ? json_incref(items) : json_array(), "target",
                     json_object_get(job, "target"), "host", json_object_get(job, "host"));
    json_decref(job);
    return 0;
}

/* "current, made by others, no metadata" */
static void add_marks(struct table *table, const json_t *item)
{
    const char *const marks[] = {member_true(item, "current") ? "current" : NULL,
                                 *member_text(item, "owner") ? NULL : "made by others",
                                 member_true(item, "has_metadata") ? NULL : "no metadata"};
    CLEANUP(text_free) struct text text = {0};

    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (marks[i])
            text_addf(&text, "%s%s", text.len ? ", " : "", marks[i]);
    table_cell(table, text_str(&text));
}

static void print_table(struct cli *cli, const json_t *snapshots, const char *target)
{
    static const struct table_column columns[] = {{"SNAPSHOT", COLUMN_SHRINK},
                                                  {"KIND", 0},
                                                  {"STATE", 0},
                                                  {"MADE", 0},
                                                  {"PARENT", COLUMN_SHRINK},
                                                  {"CHILDREN", COLUMN_RIGHT | COLUMN_DROP},
                                                  {"LEVEL", COLUMN_DROP},
                                                  {"JOB", COLUMN_DROP},
                                                  {"", COLUMN_SHRINK},
                                                  {"DESCRIPTION", COLUMN_SHRINK | COLUMN_DROP}};
    struct table table;
    const json_t *item;
    size_t index;
    char time[48], none[320];

    table_init(&table, columns, sizeof columns / sizeof *columns);
    json_array_foreach(snapshots, index, item)
    {
        table_cell(&table, member_text(item, "name"));
        table_cell(&table, show_or(member_text(item, "location"), "–"));
        table_cell(&table, show_or(member_text(item, "state"), "–"));
        table_cell(&table, show_time(cli, item, "created_at", time, sizeof time));
        table_cell(&table, show_or(member_text(item, "parent"), "–"));
        table_cellf(&table, "%lld", (long long)member_int(item, "children"));
        table_cell(&table, show_or(member_text(item, "level"), "–"));
        table_cellf(&table, cli->verbose ? "%s" : "%.8s", show_or(member_text(item, "owner"), "–"));
        add_marks(&table, item);
        table_cell(&table, member_text(item, "description"));
    }
    snprintf(none, sizeof none, "no snapshots of %.280s", target);
    show_table(cli, &table, none);
    table_free(&table);
}

/* Where it is from: what is not live may be behind. A host reports what changes, and is alive when nothing does. */
static void print_source(struct cli *cli, const json_t *page)
{
    const char *host = member_text(page, "host");
    char age[32];

    if (!member_time(page, "as_of"))
        return;
    show_elapsed(cli, page, "as_of", age, sizeof age);
    if (member_true(page, "host_alive"))
        fprintf(cli->err, "as %s reported it, last changed %s ago; to ask it now: --live\n", host, age);
    else
        fprintf(cli->err, "! as %s reported it %s ago; the host is silent now\n", host, age);
}

static void print_list(struct cli *cli, const struct invocation *invocation, const json_t *page, const json_t *chosen)
{
    const json_t *item;
    size_t index;

    if (invocation_has(invocation, "count")) {
        fprintf(cli->out, "%zu\n", json_array_size(chosen));
    } else if (invocation_has(invocation, "name")) {
        json_array_foreach(chosen, index, item) fprintf(cli->out, "%s\n", member_text(item, "name"));
    } else {
        if (invocation_has(invocation, "tree"))
            tree_print(chosen, cli->utc, cli->out);
        else
            print_table(cli, chosen, show_target(page));
        fflush(cli->out);
        print_source(cli, page);
    }
}

int run_snapshot_list(struct cli *cli, const struct invocation *invocation)
{
    json_t *page = NULL, *chosen = NULL;
    struct err err = {0};
    int code = fetch(cli, invocation, "snapshot list", &page);

    if (code)
        return code;
    if (snapshots_select(json_object_get(page, "items"), invocation, &chosen, &err) < 0)
        code = cli_fail_err(cli, EXIT_USAGE, "snapshot list", &err);
    else if (cli->json)
        cli_print_json(cli, chosen);
    else
        print_list(cli, invocation, page, chosen);
    json_decref(chosen);
    json_decref(page);
    return code;
}

/* ---- one ---- */

static void print_names(struct cli *cli, const char *label, const json_t *names)
{
    CLEANUP(text_free) struct text text = {0};
    const json_t *name;
    size_t index;

    json_array_foreach(names, index, name) text_addf(&text, "%s%s", index ? ", " : "", json_string_value(name));
    show_pair(cli, label, "%s", text.len ? text_str(&text) : "–");
}

static void print_one(struct cli *cli, const json_t *page, const json_t *item)
{
    const char *owner = member_text(item, "owner");
    const json_t *file;
    size_t index;
    char time[48];

    fprintf(cli->out, "snapshot %s%s\n", member_text(item, "name"), member_true(item, "current") ? "  ← current" : "");
    show_pair(cli, "machine", "%s on %s", show_target(page), member_text(page, "host"));
    if (*member_text(item, "description"))
        show_pair(cli, "description", "%s", member_text(item, "description"));
    show_pair(cli, "made", "%s", show_time(cli, item, "created_at", time, sizeof time));
    show_pair(cli, "kind", "%s, %s%s", show_or(member_text(item, "location"), "–"),
              show_or(member_text(item, "state"), "–"), member_true(item, "has_metadata") ? "" : ", no metadata");
    show_pair(cli, "level", "%s", show_or(member_text(item, "level"), "–"));
    show_pair(cli, "parent", "%s", show_or(member_text(item, "parent"), "–"));
    print_names(cli, "children", json_object_get(item, "children_names"));
    print_names(cli, "descendants", json_object_get(item, "descendants"));
    show_pair(cli, "made by", "%s%s", *owner ? "job " : "others", owner);
    json_array_foreach(json_object_get(item, "files"), index, file)
        show_pair(cli, index ? "" : "files", "%s", json_string_value(file));
}

/* A copy of the item with where it stands in the tree; caller decrefs. */
static json_t *with_place(const json_t *page, const json_t *item)
{
    const json_t *all = json_object_get(page, "items");
    const char *name = member_text(item, "name");
    json_t *out = json_copy((json_t *)item);

    json_object_set_new(out, "children_names", snapshot_names_below(all, name, false));
    json_object_set_new(out, "descendants", snapshot_names_below(all, name, true));
    json_object_set(out, "target", json_object_get(page, "target"));
    json_object_set(out, "host", json_object_get(page, "host"));
    return out;
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
    const char *near = name ? snapshot_near(all, name) : NULL;
    char hint[300] = "";

    if (near)
        snprintf(hint, sizeof hint, "Did you mean %s?", near);
    if (name)
        return cli_fail(cli, EXIT_USAGE, "snapshot show", hint, "no snapshot \"%s\"", name);
    return cli_fail(cli, EXIT_USAGE, "snapshot show", NULL, "there is no current snapshot");
}

static void show_one(struct cli *cli, const json_t *page, const json_t *item)
{
    json_t *full = with_place(page, item);

    if (cli->json) {
        cli_print_json(cli, full);
    } else {
        print_one(cli, page, full);
        fflush(cli->out);
        print_source(cli, page);
    }
    json_decref(full);
}

int run_snapshot_show(struct cli *cli, const struct invocation *invocation)
{
    const char *name = invocation_argument(invocation, "NAME");
    json_t *page = NULL;

    if (!name == !invocation_has(invocation, "current"))
        return cli_fail(cli, EXIT_USAGE, "snapshot show", NULL, "say which snapshot: NAME or --current");
    if (invocation_has(invocation, "xml"))
        return show_xml(cli, invocation);
    int code = fetch(cli, invocation, "snapshot show", &page);
    if (code)
        return code;
    const json_t *item = snapshot_row_find(json_object_get(page, "items"), name);
    if (item)
        show_one(cli, page, item);
    else
        code = no_such(cli, json_object_get(page, "items"), name);
    json_decref(page);
    return code;
}
