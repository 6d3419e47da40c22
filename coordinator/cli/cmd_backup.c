#include "base/cleanup.h"
#include "base/parse.h"
#include "base/text.h"
#include "coordinator/cli/backup_xml.h"
#include "coordinator/cli/call.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/show.h"

#include <stdio.h>
#include <string.h>

/* The newest verification that has an opinion. NULL: none. */
static const json_t *last_check(const json_t *point)
{
    const json_t *list = json_object_get(point, "verified");

    return json_array_get(list, json_array_size(list) - (json_array_size(list) ? 1 : 0));
}

static const char *shown_check(const json_t *point)
{
    const json_t *check = last_check(point);

    if (!check)
        return "–";
    return member_true(check, "ok") ? member_text(check, "depth") : "BAD";
}

/* Two machines of the list had this name: one was made again under it. */
static bool is_shared(const json_t *points, const json_t *target)
{
    const json_t *point;
    size_t index;

    json_array_foreach(points, index, point)
    {
        const json_t *other = json_object_get(point, "target");
        if (strcmp(member_text(other, "name"), member_text(target, "name")) == 0 &&
            strcmp(member_text(other, "id"), member_text(target, "id")) != 0)
            return true;
    }
    return false;
}

static void target_cell(struct table *table, const json_t *points, const json_t *point)
{
    const json_t *target = json_object_get(point, "target");

    if (*member_text(target, "name") && is_shared(points, target))
        table_cellf(table, "%s@%.8s", member_text(target, "name"), member_text(target, "id"));
    else
        table_cell(table, show_target(point));
}

static void print_table(struct cli *cli, const json_t *points)
{
    static const struct table_column columns[] = {
        {"BACKUP", 0},           {"TARGET", COLUMN_SHRINK}, {"MADE", 0},    {"KIND", 0}, {"SIZE", COLUMN_RIGHT},
        {"CHAIN", COLUMN_RIGHT}, {"LEVEL", COLUMN_DROP},    {"VERIFIED", 0}};
    struct table table;
    const json_t *point;
    size_t index;
    char time[48], size[32];

    table_init(&table, columns, sizeof columns / sizeof *columns);
    json_array_foreach(points, index, point)
    {
        bool complete = strcmp(member_text(point, "state"), "complete") == 0;
        if (cli->verbose)
            table_cell(&table, member_text(point, "id"));
        else
            table_cellf(&table, "%.8s", member_text(point, "id"));
        target_cell(&table, points, point);
        table_cell(&table, show_time(cli, point, "created_at", time, sizeof time));
        table_cell(&table, complete ? show_or(member_text(point, "backup_kind"), "–")
                                    : show_or(member_text(point, "state"), "–"));
        table_cell(&table, show_size(member_int(point, "size_bytes"), size, sizeof size));
        table_cellf(&table, "%lld", (long long)member_int(point, "chain_length"));
        table_cell(&table, show_or(member_text(point, "level"), "–"));
        table_cell(&table, shown_check(point));
    }
    show_table(cli, &table, "no backups");
    table_free(&table);
}

static int fetch(struct cli *cli, const struct invocation *invocation, json_t **out)
{
    static const char *const flags[] = {"latest", "full", "verified", "gone"};
    struct text path = {0};
    char since[48];
    int64_t limit;
    int code = when_text(cli, "backup list", invocation_value(invocation, "since"), since, sizeof since);

    code = code ? code : limit_of(cli, "backup list", invocation, 100, &limit);
    if (code)
        return code;
    text_add(&path, "/v1/points?kind=backup");
    call_query(&path, "target", invocation_argument(invocation, "TARGET"));
    call_query(&path, "repository", invocation_value(invocation, "repository"));
    call_query(&path, "since", *since ? since : NULL);
    call_query(&path, "parent", invocation_value(invocation, "children-of"));
    call_query(&path, "group", invocation_value(invocation, "group"));
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        call_query(&path, flags[i], invocation_has(invocation, flags[i]) ? "true" : NULL);
    code = call_list(cli, "backup list", limit, out, "%s", text_str(&path));
    text_free(&path);
    return code;
}

/* "shop-1@3e1f0000": as its backups can be asked for. Each once. */
static void list_gone(const json_t *points, const char *name, struct text *out)
{
    const json_t *point;
    size_t index;

    json_array_foreach(points, index, point)
    {
        const json_t *target = json_object_get(point, "target");
        char way[300];
        snprintf(way, sizeof way, "%.255s@%.8s", name, member_text(target, "id"));
        if (strcmp(member_text(target, "name"), name) == 0 && !strstr(text_str(out), way))
            text_addf(out, "%s%s", out->len ? ", " : "", way);
    }
}

/* The machine that is there has no backups: one that had its name before may have some. */
static void say_gone(struct cli *cli, const char *name)
{
    CLEANUP(text_freep) struct text list = {0};
    json_t *points = NULL;

    if (call_list(cli, "backup list", 0, &points, "/v1/points?kind=backup&gone=true") == 0)
        list_gone(points, name, &list);
    json_decref(points);
    if (list.len)
        fprintf(cli->err, "A machine that is gone had this name, and has backups: %s\n", text_str(&list));
}

int run_backup_list(struct cli *cli, const struct invocation *invocation)
{
    const char *target = invocation_argument(invocation, "TARGET");
    json_t *points = NULL;
    int code = fetch(cli, invocation, &points);

    if (code)
        return code;
    if (cli->json)
        cli_print_json(cli, points);
    else
        print_table(cli, points);
    if (!cli->json && target && json_array_size(points) == 0)
        say_gone(cli, target);
    json_decref(points);
    return EXIT_DONE;
}

static void print_disks(struct cli *cli, const json_t *point)
{
    const json_t *disk;
    size_t index;
    char size[32], stored[32];

    json_array_foreach(json_object_get(point, "disks"), index, disk)
    {
        const char *reason = member_text(disk, "reason"), *hash = member_text(disk, "sha256");
        show_pair(cli, index ? "" : "disks", "%s  %s  %s, %s stored%s%s%s%s%.12s", member_text(disk, "name"),
                  member_text(disk, "mode"), show_size(member_int(disk, "size_bytes"), size, sizeof size),
                  show_size(member_int(disk, "stored_bytes"), stored, sizeof stored), *reason ? " (" : "", reason,
                  *reason ? ")" : "", *hash ? "  sha256 " : "", hash);
    }
}

static void print_chain(struct cli *cli, const json_t *point)
{
    const json_t *item;
    size_t index;
    char time[48], size[32];

    json_array_foreach(json_object_get(point, "points_of_chain"), index, item)
    {
        bool self = strcmp(member_text(item, "id"), member_text(point, "id")) == 0;
        show_pair(cli, index ? "" : "chain", "%.8s  %-12s  %s  %s%s", member_text(item, "id"),
                  member_text(item, "backup_kind"), show_time(cli, item, "created_at", time, sizeof time),
                  show_size(member_int(item, "size_bytes"), size, sizeof size), self ? "  ← this one" : "");
    }
}

static void print_checks(struct cli *cli, const json_t *point)
{
    const json_t *check;
    size_t index;
    char time[48];

    json_array_foreach(json_object_get(point, "verified"), index, check)
        show_pair(cli, index ? "" : "verified", "%s  %s  %s  %s", show_time(cli, check, "at", time, sizeof time),
                  member_text(check, "depth"), member_true(check, "ok") ? "good" : "BAD", member_text(check, "text"));
    if (!index)
        show_pair(cli, "verified", "never");
}

static void print_group(struct cli *cli, const json_t *point)
{
    char skew[32];

    if (!*member_text(point, "group"))
        return;
    show_pair(cli, "group", "%s, of %lld machines; it had stood still for %s when the last one did",
              show_or(member_text(point, "group_name"), member_text(point, "group")),
              (long long)member_int(point, "group_members"),
              format_duration(member_int(point, "group_skew_ms"), skew, sizeof skew));
}

static void print_one(struct cli *cli, const json_t *point)
{
    const char *why = member_text(point, "level_reason"), *fallback = member_text(point, "fallback_reason");
    char text[48];

    fprintf(cli->out, "backup %s\n", member_text(point, "id"));
    show_pair(cli, "target", "%s on %s", show_target(point), member_text(point, "host"));
    show_pair(cli, "made", "%s", show_time(cli, point, "created_at", text, sizeof text));
    show_pair(cli, "kind", "%s%s%s%s", show_or(member_text(point, "backup_kind"), "–"), *fallback ? " (because " : "",
              fallback, *fallback ? ")" : "");
    show_pair(cli, "state", "%s", member_text(point, "state"));
    show_pair(cli, "level", "%s%s%s%s", show_or(member_text(point, "level"), "–"), *why ? " (" : "", why,
              *why ? ")" : "");
    show_pair(cli, "size", "%s", show_size(member_int(point, "size_bytes"), text, sizeof text));
    show_pair(cli, "frozen", "%s", format_duration(member_int(point, "frozen_ms"), text, sizeof text));
    print_group(cli, point);
    show_pair(cli, "took", "%s", format_duration(member_int(point, "duration_ms"), text, sizeof text));
    show_pair(cli, "repository", "%s", show_or(member_text(point, "repository_name"), member_text(point, "repository")));
    if (*member_text(point, "folder"))
        show_pair(cli, "folder", "%s", member_text(point, "folder"));
    print_disks(cli, point);
    print_chain(cli, point);
    print_checks(cli, point);
    if (*member_text(point, "requested_by"))
        show_pair(cli, "asked by", "%s  %s", member_text(point, "requested_by"), member_text(point, "reason"));
}

static int print_xml(struct cli *cli, const json_t *point)
{
    CLEANUP(freep) char *xml = backup_xml_of(point);

    if (!xml)
        return cli_fail(cli, EXIT_FAILED, "backup show", NULL, "out of memory");
    fprintf(cli->out, "%s\n", xml);
    return EXIT_DONE;
}

int run_backup_show(struct cli *cli, const struct invocation *invocation)
{
    struct text path = {0};
    json_t *point = NULL;

    text_add(&path, "/v1/points");
    call_path(&path, invocation_argument(invocation, "BACKUP"));
    int code = call_get(cli, "backup show", &point, "%s", text_str(&path));
    text_free(&path);
    if (code)
        return code;
    if (cli->json)
        cli_print_json(cli, point);
    else if (invocation_has(invocation, "xml"))
        code = print_xml(cli, point);
    else
        print_one(cli, point);
    json_decref(point);
    return EXIT_DONE;
}
