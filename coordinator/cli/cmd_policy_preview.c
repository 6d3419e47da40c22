#include "base/cleanup.h"
#include "base/parse.h"
#include "base/text.h"
#include "coordinator/cli/call.h"
#include "coordinator/cli/cmd_policy.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/show.h"

#include <stdio.h>
#include <string.h>

/* Which limit lets it start later, and whose jobs are before it. */
static void preview_delay(struct cli *cli, const json_t *target)
{
    const json_t *behind = json_object_get(target, "behind"), *policy;
    const char *limit = member_text(target, "limit");
    char time[48];
    size_t index;

    fprintf(cli->out, "%25sits turn comes, but %s lets it start about %s", "", *limit ? limit : "an earlier job on it",
            show_time(cli, target, "expected_start_at", time, sizeof time));
    json_array_foreach(behind, index, policy)
        fprintf(cli->out, "%s%s", index ? ", " : ", behind ", json_string_value(policy));
    fprintf(cli->out, "\n");
}

/* timed: somebody could tell when the jobs would start. */
static void preview_target(struct cli *cli, const json_t *target, bool timed)
{
    const char *skipped = member_text(target, "skipped"), *point = member_text(target, "point");
    bool refused = strncmp(skipped, "refused", 7) == 0;
    char time[48];

    fprintf(cli->out, "    %-19s  %s on %s%s%.8s%s%s\n", show_time(cli, target, "due_at", time, sizeof time),
            show_or(member_text(target, "name"), member_text(target, "target")), member_text(target, "host"),
            *point ? "  " : "", point,
            !*skipped ? ""
            : refused ? "  "
                      : "  left out: ",
            skipped);
    if (*skipped)
        return;
    if (member_time(target, "expected_start_at") > member_time(target, "due_at"))
        preview_delay(cli, target);
    else if (timed && !member_time(target, "expected_start_at"))
        fprintf(cli->out, "%25sit would not start before its window is over\n", "");
    if (member_true(target, "cut"))
        fprintf(cli->out, "%25sit would be cancelled at the end of its window\n", "");
    if (member_true(target, "busy_now"))
        fprintf(cli->out, "%25sa job of this policy is open on it: if it still is at the slot, it is left out\n", "");
}

/* Where there is too much to count through. */
static void preview_reach(struct cli *cli, const json_t *firing)
{
    int64_t reach_ms = member_int(firing, "reach_ms");

    if (json_is_false(json_object_get(firing, "timed")))
        fprintf(cli->out, "    too many targets to say when each would start\n");
    else if (json_object_get(firing, "reach_ms") && reach_ms < 24LL * 3600 * 1000)
        fprintf(cli->out, "    of other runs only those within %lld min of it are counted: there are too many\n",
                (long long)(reach_ms / 60000));
}

static void preview_firing(struct cli *cli, const json_t *firing)
{
    const json_t *targets = json_object_get(firing, "targets"), *target;
    size_t index, skipped = 0;
    bool timed = false;
    char time[48], size[32];

    json_array_foreach(targets, index, target)
    {
        skipped += *member_text(target, "skipped") != 0;
        timed |= member_time(target, "expected_start_at") != 0;
    }
    fprintf(cli->out, "%s  %s: %zu targets", show_time(cli, firing, "slot", time, sizeof time),
            member_text(firing, "schedule"), json_array_size(targets) - skipped);
    if (skipped)
        fprintf(cli->out, " (%zu get no job)", skipped);
    if (member_int(firing, "expected_bytes"))
        fprintf(cli->out, ", about %s", show_size(member_int(firing, "expected_bytes"), size, sizeof size));
    if (member_time(firing, "expected_end_at"))
        fprintf(cli->out, ", ends about %s", show_time(cli, firing, "expected_end_at", time, sizeof time));
    if (member_time(firing, "window_end_at"))
        fprintf(cli->out, ", until %s", show_time(cli, firing, "window_end_at", time, sizeof time));
    fprintf(cli->out, "\n");
    preview_reach(cli, firing);
    json_array_foreach(targets, index, target) preview_target(cli, target, timed);
}

static void preview_retention(struct cli *cli, const json_t *groups)
{
    static const struct table_column columns[] = {{"TARGET", COLUMN_SHRINK}, {"POINT", 0}, {"CREATED", 0},
                                                  {"SIZE", COLUMN_RIGHT},    {"", 0},      {"RULE", COLUMN_SHRINK}};
    const json_t *group, *point;
    struct table table;
    size_t i, j, gone = 0;
    char time[48], size[32];

    table_init(&table, columns, sizeof columns / sizeof *columns);
    json_array_foreach(groups, i, group)
    {
        json_array_foreach(json_object_get(group, "points"), j, point)
        {
            bool keep = member_true(point, "keep");
            gone += !keep;
            table_cell(&table, show_or(member_text(group, "name"), member_text(group, "target")));
            table_cellf(&table, "%.8s", member_text(point, "id"));
            table_cell(&table, show_time(cli, point, "created_at", time, sizeof time));
            table_cell(&table, show_size(member_int(point, "size_bytes"), size, sizeof size));
            table_cell(&table, keep ? "stays" : "goes");
            table_cell(&table, show_or(member_text(point, "rule"), "no rule keeps it"));
        }
    }
    fprintf(cli->out, "\nRetention now: %zu would be deleted\n", gone);
    show_table(cli, &table, "no restore points of this policy");
    table_free(&table);
}

static int fetch_preview(struct cli *cli, const struct invocation *invocation, json_t **out)
{
    const char *file = invocation_value(invocation, "file"), *runs = invocation_value(invocation, "runs");
    CLEANUP(freep) char *path = NULL;
    CLEANUP(freep) char *yaml = NULL;
    int64_t firings = 3;

    if (!file == !invocation_argument(invocation, "POLICY"))
        return cli_fail(cli, EXIT_USAGE, "policy preview", NULL, "say the name of a policy, or --file");
    if (runs)
        parse_int(runs, 1, 100, &firings, NULL);
    if (!file) {
        path = policy_path(invocation, "preview");
        return call_get(cli, "policy preview", out, "%s?runs=%lld", path, (long long)firings);
    }
    int code = policy_read(cli, "policy preview", file, &yaml);
    if (code)
        return code;
    json_t *body = json_pack("{s:s, s:s, s:I}", "yaml", yaml, "file", file, "runs", (json_int_t)firings);
    code = body ? call_change(cli, "policy preview", "POST", "/v1/preview", body, NULL, out)
                : cli_fail(cli, EXIT_USAGE, "policy preview", NULL, "%s: is not UTF-8", file);
    json_decref(body);
    return code;
}

int run_policy_preview(struct cli *cli, const struct invocation *invocation)
{
    json_t *preview = NULL;
    const json_t *firing;
    size_t index;
    int code = fetch_preview(cli, invocation, &preview);

    if (code)
        return code;
    if (cli->json)
        return cli_print_json(cli, preview), json_decref(preview), EXIT_DONE;
    if (member_true(preview, "paused"))
        fprintf(cli->out, "The policy is paused: nothing of this happens before fleetsnap policy resume %s\n",
                member_text(preview, "name"));
    json_array_foreach(json_object_get(preview, "firings"), index, firing) preview_firing(cli, firing);
    if (json_array_size(json_object_get(preview, "retention")))
        preview_retention(cli, json_object_get(preview, "retention"));
    json_decref(preview);
    return EXIT_DONE;
}
