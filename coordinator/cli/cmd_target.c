#include "base/cleanup.h"
#include "base/parse.h"
#include "base/text.h"
#include "coordinator/cli/call.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/show.h"

#include <stdlib.h>
#include <string.h>

/* A policy backs it up, and its newest backup is as young as that policy wants. */
static bool is_protected(const json_t *target)
{
    return strcmp(member_text(target, "protection"), "protected") == 0;
}

/* "nightly, hourly"; "none !" */
static void add_policies(struct table *table, const json_t *target)
{
    CLEANUP(text_freep) struct text names = {0};
    const json_t *name;
    size_t index;

    json_array_foreach(json_object_get(target, "policies"), index, name)
        text_addf(&names, "%s%s", index ? ", " : "", json_string_value(name));
    table_cellf(table, "%s%s", show_or(text_str(&names), "none"),
                strcmp(member_text(target, "protection"), "unprotected") == 0 ? " !" : "");
}

/* "incremental 1.2 MiB", "–" */
static void add_backup(struct table *table, const json_t *backup)
{
    char size[32];

    if (!json_is_object(backup))
        table_cell(table, "–");
    else
        table_cellf(table, "%s %s",
                    show_or(member_text(backup, "backup_kind"), show_or(member_text(backup, "kind"), "backup")),
                    show_size(member_int(backup, "size_bytes"), size, sizeof size));
}

/* The view says the depth, or only whether. */
static const char *verified(const json_t *backup)
{
    const json_t *value = json_object_get(backup, "verified");

    if (json_is_string(value))
        return json_string_value(value);
    return json_is_true(value) || (json_is_array(value) && json_array_size(value)) ? "yes" : "–";
}

static void add_migratable(struct table *table, const json_t *target)
{
    bool yes = member_true(target, "migratable");
    const char *reason = member_text(target, "migratable_reason");

    table_cellf(table, "%s%s%s%s", yes ? "yes" : "no", !yes && *reason ? " (" : "", yes ? "" : reason,
                !yes && *reason ? ")" : "");
}

static size_t print_targets(struct cli *cli, const json_t *targets)
{
    static const struct table_column columns[] = {
        {"TARGET", COLUMN_SHRINK},    {"HOST", COLUMN_SHRINK},        {"STATE", 0},    {"LABELS", COLUMN_SHRINK},
        {"POLICY", COLUMN_SHRINK},    {"LAST BACKUP", COLUMN_SHRINK}, {"VERIFIED", 0}, {"AGE", 0},
        {"MIGRATABLE", COLUMN_SHRINK}};
    struct table table;
    size_t index, unprotected = 0;
    json_t *target;
    char age[32];

    table_init(&table, columns, sizeof columns / sizeof *columns);
    json_array_foreach(targets, index, target)
    {
        const json_t *backup = json_object_get(target, "last_backup");
        CLEANUP(freep) char *labels = show_labels(json_object_get(target, "labels"));
        bool good = is_protected(target);
        table_cell(&table, show_target(target));
        table_cellf(&table, "%s%s", member_text(target, "host"),
                    json_is_false(json_object_get(target, "host_alive")) ? " !" : "");
        table_cell(&table, show_or(member_text(target, "state"), "–"));
        table_cell(&table, labels ? labels : "");
        add_policies(&table, target);
        add_backup(&table, backup);
        table_cell(&table, verified(backup));
        table_cellf(&table, "%s%s", show_age(cli, backup, "created_at", age, sizeof age), good ? "" : " !");
        add_migratable(&table, target);
        unprotected += !good;
    }
    show_table(cli, &table, "no targets");
    fflush(cli->out); /* what is said beside it comes after it */
    table_free(&table);
    return unprotected;
}

int run_target_list(struct cli *cli, const struct invocation *invocation)
{
    struct text path = {0};
    json_t *targets = NULL;

    text_add(&path, "/v1/targets");
    call_query(&path, "selector", invocation_value(invocation, "selector"));
    call_query(&path, "host", invocation_value(invocation, "host"));
    call_query(&path, "state", invocation_value(invocation, "state"));
    call_query(&path, "q", invocation_value(invocation, "match"));
    call_query(&path, "unprotected", invocation_has(invocation, "unprotected") ? "true" : NULL);
    int code = call_list(cli, "targets", 0, &targets, "%s", text_str(&path));
    text_free(&path);
    if (code)
        return code;
    if (cli->json)
        cli_print_json(cli, targets);
    else if (print_targets(cli, targets) && !invocation_has(invocation, "unprotected"))
        fprintf(
            cli->err,
            "! no policy backs it up, its backup is older than its policy allows, or a host that is silent: fleetsnap targets --unprotected\n");
    json_decref(targets);
    return EXIT_DONE;
}

static void show_disks(struct cli *cli, const json_t *target)
{
    const json_t *disk;
    size_t index;
    char size[32];

    json_array_foreach(json_object_get(target, "disks"), index, disk)
    {
        const char *backup = member_text(disk, "backup"), *reason = member_text(disk, "reason");
        show_pair(cli, index ? "" : "disks", "%s  %s  %s  %s  backup: %s%s%s%s", member_text(disk, "name"),
                  show_or(member_text(disk, "format"), "–"),
                  show_size(member_int(disk, "size_bytes"), size, sizeof size),
                  show_or(member_text(disk, "source"), "–"), show_or(backup, "–"), *reason ? " (" : "", reason,
                  *reason ? ")" : "");
    }
}

static void show_last_backup(struct cli *cli, const json_t *target)
{
    const json_t *backup = json_object_get(target, "last_backup");
    char time[48], size[32];

    if (json_is_object(backup))
        show_pair(cli, "last backup", "%s  %.8s  %s  verified: %s",
                  show_time(cli, backup, "created_at", time, sizeof time), member_text(backup, "id"),
                  show_size(member_int(backup, "size_bytes"), size, sizeof size), verified(backup));
    else
        show_pair(cli, "last backup", "never !");
}

static void show_one(struct cli *cli, const json_t *target)
{
    CLEANUP(freep) char *labels = show_labels(json_object_get(target, "labels"));
    const json_t *id = json_object_get(target, "target");
    char time[48];

    fprintf(cli->out, "%s on %s  %s\n", show_target(target), member_text(target, "host"), member_text(target, "state"));
    show_pair(cli, "id", "%s:%s", member_text(id, "kind"), member_text(id, "id"));
    show_pair(cli, "labels", "%s", labels ? labels : "");
    show_pair(cli, "agent", "%s", show_or(member_text(target, "agent"), "–"));
    show_disks(cli, target);
    show_pair(cli, "snapshots", "%zu", json_array_size(json_object_get(target, "snapshots")));
    show_pair(cli, "checkpoints", "%zu", json_array_size(json_object_get(target, "checkpoints")));
    show_pair(cli, "migratable", "%s %s", member_true(target, "migratable") ? "yes" : "no",
              member_text(target, "migratable_reason"));
    show_pair(cli, "repository", "%s", show_or(member_text(target, "default_repository"), "no default"));
    show_last_backup(cli, target);
    if (*member_text(target, "job"))
        show_pair(cli, "running", "%s", member_text(target, "job"));
    show_pair(cli, "as of", "%s", show_time(cli, target, "at", time, sizeof time));
}

int run_target_show(struct cli *cli, const struct invocation *invocation)
{
    struct text path = {0};
    json_t *target = NULL;

    text_add(&path, "/v1/targets");
    call_path(&path, invocation_argument(invocation, "TARGET"));
    int code = call_get(cli, "target show", &target, "%s", text_str(&path));
    text_free(&path);
    if (code)
        return code;
    if (cli->json)
        cli_print_json(cli, target);
    else
        show_one(cli, target);
    json_decref(target);
    return EXIT_DONE;
}
