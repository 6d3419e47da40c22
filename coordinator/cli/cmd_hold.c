/* hold, release, backup pin, snapshot pin: what nobody may start, what nobody may take away. */
#include "base/cleanup.h"
#include "base/text.h"
#include "coordinator/cli/call.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/show.h"

#include <stdlib.h>
#include <string.h>

/* Exactly one of them says what is meant; *out_value is NULL with --all. 0 or an exit code. */
static int what(struct cli *cli, const struct invocation *invocation, const char **out_member, const char **out_value)
{
    const struct {
        const char *member, *value;
        bool said;
    } ways[] = {{"target", invocation_argument(invocation, "TARGET"), invocation_argument(invocation, "TARGET")},
                {"selector", invocation_value(invocation, "selector"), invocation_has(invocation, "selector")},
                {"host", invocation_value(invocation, "host"), invocation_has(invocation, "host")},
                {"all", NULL, invocation_has(invocation, "all")}};
    int said = 0;

    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        if (!ways[i].said)
            continue;
        said++;
        *out_member = ways[i].member;
        *out_value = ways[i].value;
    }
    return said == 1 ? 0
                     : cli_fail(cli, EXIT_USAGE, invocation->command->noun, NULL,
                                "say what: one of TARGET, -l SELECTOR, --host HOST, --all");
}

static void show_hold(struct cli *cli, const json_t *hold)
{
    const json_t *item;
    size_t index;
    char time[48];

    fprintf(cli->out, "%s is held%s%s: %s\n", member_text(hold, "hold"), member_time(hold, "until") ? " until " : "",
            member_time(hold, "until") ? show_time(cli, hold, "until", time, sizeof time) : "",
            member_text(hold, "reason"));
    json_array_foreach(json_object_get(hold, "cancelled"), index, item)
        fprintf(cli->out, "job %.8s is asked to stop\n", json_string_value(item));
    json_array_foreach(json_object_get(hold, "not_cancelled"), index, item)
        fprintf(cli->err, "job %.8s goes on: %s\n", member_text(item, "job_id"), member_text(item, "why"));
}

int run_hold(struct cli *cli, const struct invocation *invocation)
{
    const char *member = NULL, *value = NULL, *reason = invocation_value(invocation, "reason");
    json_t *answer = NULL;
    int code = what(cli, invocation, &member, &value);

    if (code)
        return code;
    if (!reason)
        return cli_fail(cli, EXIT_USAGE, "hold", NULL, "say why: --reason TEXT; a job that waits shows it");
    if (invocation_has(invocation, "dry-run"))
        return fprintf(cli->out, "%s%s%s would be held; nothing has been changed.\n", value ? member : "all",
                       value ? " " : "", value ? value : ""),
               EXIT_DONE;
    json_t *body = json_pack("{s:s, s:s*, s:b}", "reason", reason, "for", invocation_value(invocation, "for"),
                             "cancel_running", invocation_has(invocation, "cancel-running"));
    json_object_set_new(body, member, value ? json_string(value) : json_true());
    code = call_change(cli, "hold", "POST", "/v1/holds", body, invocation_value(invocation, "request-id"), &answer);
    if (code == 0 && cli->json)
        cli_print_json(cli, answer);
    else if (code == 0)
        show_hold(cli, answer);
    json_decref(body);
    json_decref(answer);
    return code;
}

int run_hold_list(struct cli *cli, const struct invocation *invocation)
{
    static const struct table_column columns[] = {
        {"HELD", COLUMN_SHRINK}, {"UNTIL", 0}, {"SINCE", 0}, {"BY", COLUMN_SHRINK}, {"WHY", COLUMN_SHRINK}};
    json_t *holds = NULL, *hold;
    struct table table;
    size_t index;
    char time[48];

    (void)invocation;
    int code = call_list(cli, "holds", 0, &holds, "/v1/holds");
    if (code)
        return code;
    if (cli->json)
        return cli_print_json(cli, holds), json_decref(holds), EXIT_DONE;
    table_init(&table, columns, sizeof columns / sizeof *columns);
    json_array_foreach(holds, index, hold)
    {
        table_cell(&table, member_text(hold, "hold"));
        table_cell(&table,
                   member_time(hold, "until") ? show_time(cli, hold, "until", time, sizeof time) : "it is released");
        table_cell(&table, show_time(cli, hold, "at", time, sizeof time));
        table_cell(&table, show_or(member_text(hold, "by"), "–"));
        table_cell(&table, member_text(hold, "reason"));
    }
    show_table(cli, &table, "nothing is held");
    table_free(&table);
    json_decref(holds);
    return EXIT_DONE;
}

/* DELETE with a reason. 0 and *out, or an exit code. */
static int end(struct cli *cli, const struct invocation *invocation, const char *subject, const char *path, json_t **out)
{
    json_t *body = json_pack("{s:s*}", "reason", invocation_value(invocation, "reason"));
    int code = call_change(cli, subject, "DELETE", path, body, invocation_value(invocation, "request-id"), out);

    json_decref(body);
    return code;
}

int run_release(struct cli *cli, const struct invocation *invocation)
{
    const char *member = NULL, *value = NULL;
    CLEANUP(freep) char *id = NULL;
    struct text path = {0};
    json_t *answer = NULL;
    int code = what(cli, invocation, &member, &value);

    if (code)
        return code;
    if (asprintf(&id, "%s%s%s", member, value ? ":" : "", value ? value : "") < 0)
        return id = NULL, cli_fail(cli, EXIT_FAILED, "release", NULL, "out of memory");
    if (invocation_has(invocation, "dry-run"))
        return fprintf(cli->out, "%s would be released; nothing has been changed.\n", id), EXIT_DONE;
    text_add(&path, "/v1/holds");
    call_path(&path, id);
    code = end(cli, invocation, "release", text_str(&path), &answer);
    text_free(&path);
    if (code == 0 && cli->json)
        cli_print_json(cli, answer);
    else if (code == 0)
        fprintf(cli->out, "%s is released\n", member_text(answer, "hold"));
    json_decref(answer);
    return code;
}

/* ---- pins ---- */

static int change_pin(struct cli *cli, const struct invocation *invocation, const char *point, bool pin)
{
    const char *reason = invocation_value(invocation, "reason"), *subject = invocation->command->noun;
    struct text path = {0};
    json_t *answer = NULL, *body = json_pack("{s:s*}", "reason", reason);

    text_add(&path, "/v1/points");
    call_path(&path, point);
    text_add(&path, "/pin");
    int code = call_change(cli, subject, pin ? "POST" : "DELETE", text_str(&path), body,
                           invocation_value(invocation, "request-id"), &answer);
    text_free(&path);
    if (code == 0 && cli->json)
        cli_print_json(cli, answer);
    else if (code == 0)
        fprintf(cli->out, "%s %.8s is %s\n", subject, member_text(answer, "point"),
                pin ? "pinned: nobody takes it away" : "not pinned any more");
    json_decref(body);
    json_decref(answer);
    return code;
}

static int check_pin(struct cli *cli, const struct invocation *invocation, bool pin, bool *out_done)
{
    *out_done = invocation_has(invocation, "dry-run");
    if (pin && !invocation_value(invocation, "reason"))
        return cli_fail(cli, EXIT_USAGE, invocation->command->noun, NULL, "say why: --reason TEXT");
    if (*out_done)
        fprintf(cli->out, "it would be %s; nothing has been changed.\n", pin ? "pinned" : "unpinned");
    return 0;
}

static int backup_pin(struct cli *cli, const struct invocation *invocation, bool pin)
{
    bool done;
    int code = check_pin(cli, invocation, pin, &done);

    return code || done ? code : change_pin(cli, invocation, invocation_argument(invocation, "BACKUP"), pin);
}

int run_backup_pin(struct cli *cli, const struct invocation *invocation)
{
    return backup_pin(cli, invocation, true);
}

int run_backup_unpin(struct cli *cli, const struct invocation *invocation)
{
    return backup_pin(cli, invocation, false);
}

/* The restore point of a snapshot. 0 and *out (caller frees), or an exit code. */
static int find_snapshot(struct cli *cli, const struct invocation *invocation, char **out)
{
    const char *name = invocation_argument(invocation, "NAME");
    struct text path = {0};
    json_t *points = NULL, *point;
    size_t index;

    text_add(&path, "/v1/points");
    call_query(&path, "target", invocation_argument(invocation, "TARGET"));
    call_query(&path, "kind", "snapshot");
    int code = call_list(cli, "snapshot", 0, &points, "%s", text_str(&path));
    text_free(&path);
    json_array_foreach(points, index, point)
    {
        if (!*out && strcmp(member_text(point, "name"), name) == 0)
            *out = strdup(member_text(point, "id"));
    }
    json_decref(points);
    return code || *out
               ? code
               : cli_fail(cli, EXIT_USAGE, "snapshot", "fleetsnap snapshots shows who made them",
                          "%s: no snapshot %s that Fleetsnap made", invocation_argument(invocation, "TARGET"), name);
}

static int snapshot_pin(struct cli *cli, const struct invocation *invocation, bool pin)
{
    CLEANUP(freep) char *point = NULL;
    bool done;
    int code = check_pin(cli, invocation, pin, &done);

    if (code || done)
        return code;
    code = find_snapshot(cli, invocation, &point);
    return code ? code : change_pin(cli, invocation, point, pin);
}

int run_snapshot_pin(struct cli *cli, const struct invocation *invocation)
{
    return snapshot_pin(cli, invocation, true);
}

int run_snapshot_unpin(struct cli *cli, const struct invocation *invocation)
{
    return snapshot_pin(cli, invocation, false);
}
