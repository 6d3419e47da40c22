/* deploy status, deploy list, and how the targets of a deploy are shown. */
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/text.h"
#include "coordinator/cli/call.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/deploy_show.h"
#include "coordinator/cli/show.h"

#include <stdio.h>
#include <string.h>

enum { LIST_LIMIT = 20 };

void deploy_path(struct text *path, const char *id, const char *verb)
{
    text_add(path, "/v1/deploys");
    call_path(path, id);
    if (verb)
        text_addf(path, "/%s", verb);
}

int deploy_fetch(struct cli *cli, const char *subject, const char *id, json_t **out)
{
    CLEANUP(text_freep) struct text path = {0};

    deploy_path(&path, id, NULL);
    return call_get(cli, subject, out, "%s", text_str(&path));
}

/* ---- targets ---- */

const char *deploy_makes(const json_t *deploy)
{
    return strcmp(member_text(deploy, "operation"), "backup.create") == 0 ? "backup" : "snapshot";
}

const char *deploy_target_name(const json_t *target)
{
    return show_or(member_text(target, "name"), member_text(target, "target"));
}

static const char *state_of(const json_t *target, const char *phase)
{
    return member_text(json_object_get(target, phase), "state");
}

size_t deploy_count_state(const json_t *deploy, const char *phase, const char *state)
{
    const json_t *target;
    size_t index, count = 0;

    json_array_foreach(json_object_get(deploy, "targets"), index, target)
        count += strcmp(state_of(target, phase), state) == 0;
    return count;
}

size_t deploy_count_targets(const json_t *deploy, const char *phase)
{
    const json_t *target;
    size_t index, count = 0;

    json_array_foreach(json_object_get(deploy, "targets"), index, target) count += *state_of(target, phase) != 0;
    return count;
}

/* "shop-2 on beta: snapshot FAILED: why" for each that did not go well. */
void deploy_say_failures(struct cli *cli, const json_t *deploy, const char *phase)
{
    const json_t *target;
    size_t index;

    json_array_foreach(json_object_get(deploy, "targets"), index, target)
    {
        const json_t *job = json_object_get(target, phase);
        const char *state = member_text(job, "state"), *why = member_text(job, "why");
        if (*state && strcmp(state, "SUCCEEDED") != 0)
            fprintf(cli->err, "  %s on %s: %s %s%s%s\n", deploy_target_name(target), member_text(target, "host"), phase,
                    state, *why ? ": " : "", why);
    }
}

void deploy_show_targets(struct cli *cli, const json_t *deploy)
{
    const char *const phases[] = {deploy_makes(deploy), "revert", "delete"};
    const struct table_column columns[] = {{"TARGET", COLUMN_SHRINK},
                                           {"HOST", COLUMN_SHRINK},
                                           {strcmp(*phases, "backup") == 0 ? "BACKUP" : "SNAPSHOT", 0},
                                           {"REVERT", 0},
                                           {"DELETE", COLUMN_DROP},
                                           {"WHY", COLUMN_SHRINK}};
    const json_t *target;
    struct table table;
    size_t index;

    table_init(&table, columns, sizeof columns / sizeof *columns);
    json_array_foreach(json_object_get(deploy, "targets"), index, target)
    {
        const char *why = "";
        table_cell(&table, deploy_target_name(target));
        table_cell(&table, member_text(target, "host"));
        for (size_t i = 0; i < sizeof phases / sizeof *phases; i++) {
            const char *its = member_text(json_object_get(target, phases[i]), "why");
            table_cell(&table, show_or(state_of(target, phases[i]), "–"));
            why = *its ? its : why;
        }
        table_cell(&table, why);
    }
    show_table(cli, &table, "it has no targets yet");
    table_free(&table);
}

void deploy_group_text(const json_t *items, const char *member, struct text *out)
{
    const json_t *item;
    size_t index;
    int64_t longest = -1, spread = -1;
    char first[32], second[32];

    json_array_foreach(items, index, item)
    {
        const json_t *job = member ? json_object_get(item, member) : item;
        if (member_int(job, "frozen_ms") > longest && json_object_get(job, "frozen_ms"))
            longest = member_int(job, "frozen_ms");
        if (json_object_get(job, "spread_ms"))
            spread = member_int(job, "spread_ms");
    }
    if (spread < 0)
        return;
    text_addf(out, "one point in time; the last was ready for it %s after the first",
              format_duration(spread, first, sizeof first));
    if (longest >= 0)
        text_addf(out, ", none stood still for longer than %s", format_duration(longest, second, sizeof second));
}

/* ---- status, list ---- */

static void show_deploy(struct cli *cli, const json_t *deploy)
{
    char time[48];

    fprintf(cli->out, "deploy %s  %s%s%s\n", member_text(deploy, "deploy_id"), member_text(deploy, "state"),
            *member_text(deploy, "why") ? ": " : "", member_text(deploy, "why"));
    show_pair(cli, "targets", "%s", member_text(deploy, "selector"));
    show_pair(cli, "begun", "%s by %s", show_time(cli, deploy, "begun_at", time, sizeof time),
              member_text(deploy, "by"));
    if (*member_text(deploy, "snapshot"))
        show_pair(cli, "snapshots", "%s", member_text(deploy, "snapshot"));
    if (*member_text(deploy, "repository"))
        show_pair(cli, "repository", "%s", member_text(deploy, "repository"));
    if (member_int(deploy, "group_limit_ms")) {
        CLEANUP(text_freep) struct text group = {0};
        deploy_group_text(json_object_get(deploy, "targets"), deploy_makes(deploy), &group);
        show_pair(cli, "group", "%s", group.len ? text_str(&group) : "one point in time, or none");
    }
    if (member_time(deploy, "deadline_at"))
        show_pair(cli, "waits until", "%s%s", show_time(cli, deploy, "deadline_at", time, sizeof time),
                  member_true(deploy, "auto_revert") ? ", then it is reverted" : ", then it expires");
    if (member_time(deploy, "cleaned_at"))
        show_pair(cli, "deleted", "%s", show_time(cli, deploy, "cleaned_at", time, sizeof time));
    else if (member_time(deploy, "expires_at"))
        show_pair(cli, "kept until", "%s", show_time(cli, deploy, "expires_at", time, sizeof time));
    deploy_show_targets(cli, deploy);
}

int run_deploy_status(struct cli *cli, const struct invocation *invocation)
{
    json_t *deploy = NULL;
    int code = deploy_fetch(cli, "deploy status", invocation_argument(invocation, "DEPLOY"), &deploy);

    if (code)
        return code;
    if (cli->json)
        cli_print_json(cli, deploy);
    else
        show_deploy(cli, deploy);
    json_decref(deploy);
    return EXIT_DONE;
}

int run_deploy_list(struct cli *cli, const struct invocation *invocation)
{
    static const struct table_column columns[] = {
        {"DEPLOY", COLUMN_SHRINK},           {"STATE", 0},          {"SINCE", 0},
        {"TARGETS", COLUMN_SHRINK},          {"BY", COLUMN_SHRINK}, {"KEPT UNTIL", COLUMN_DROP},
        {"WHY", COLUMN_SHRINK | COLUMN_DROP}};
    json_t *deploys = NULL, *deploy;
    struct table table;
    size_t index;
    int64_t limit;
    char time[48];

    int code = limit_of(cli, "deploys", invocation, LIST_LIMIT, &limit);
    if (code == 0)
        code = call_list(cli, "deploys", limit, &deploys, "/v1/deploys%s",
                         invocation_has(invocation, "open") ? "?open=true" : "");
    if (code)
        return code;
    if (cli->json)
        return cli_print_json(cli, deploys), json_decref(deploys), EXIT_DONE;
    table_init(&table, columns, sizeof columns / sizeof *columns);
    json_array_foreach(deploys, index, deploy)
    {
        table_cell(&table, member_text(deploy, "deploy_id"));
        table_cell(&table, member_text(deploy, "state"));
        table_cell(&table, show_time(cli, deploy, "state_at", time, sizeof time));
        table_cell(&table, member_text(deploy, "selector"));
        table_cell(&table, member_text(deploy, "by"));
        table_cell(&table, member_time(deploy, "cleaned_at") ? "deleted"
                                                             : show_time(cli, deploy, "expires_at", time, sizeof time));
        table_cell(&table, member_text(deploy, "why"));
    }
    show_table(cli, &table, "no deploys");
    table_free(&table);
    json_decref(deploys);
    return EXIT_DONE;
}
