#include "coordinator/cli/cmd_policy.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/parse.h"
#include "base/text.h"
#include "coordinator/cli/call.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/diff.h"
#include "coordinator/cli/run_watch.h"
#include "coordinator/cli/show.h"

#include <stdio.h>
#include <string.h>

enum { FILE_BYTES_MAX = 192 * 1024 /* the API takes 256 KiB, and JSON makes it longer */ };

char *policy_path(const struct invocation *invocation, const char *verb)
{
    struct text path = {0};

    text_add(&path, "/v1/policies");
    call_path(&path, invocation_argument(invocation, "POLICY"));
    text_addf(&path, "%s%s", *verb ? "/" : "", verb);
    return text_take(&path);
}

/* ---- apply, diff ---- */

int policy_read(struct cli *cli, const char *subject, const char *file, char **out)
{
    struct err err = {0};

    if (file_read(file, FILE_BYTES_MAX, out, NULL, &err) < 0)
        return cli_fail_err(cli, EXIT_USAGE, subject, &err);
    return 0;
}

static int send_file(struct cli *cli, const char *subject, const struct invocation *invocation, const char *file,
                     bool dry_run, json_t **out)
{
    CLEANUP(freep) char *yaml = NULL;
    const char *name = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
    int code = policy_read(cli, subject, file, &yaml);

    if (code)
        return code;
    json_t *body = json_pack("{s:s, s:s, s:s*, s:b}", "yaml", yaml, "file", name, "reason",
                             invocation_value(invocation, "reason"), "dry_run", dry_run);
    if (!body)
        return cli_fail(cli, EXIT_USAGE, subject, NULL, "%s: is not UTF-8", file);
    /* one key for each file: the same key twice would be the same request */
    CLEANUP(text_freep) struct text key = {0};
    const char *given = invocation_value(invocation, "request-id");
    if (given)
        text_addf(&key, "%s/%s", given, name);
    code = call_change(cli, subject, "POST", "/v1/policies", body, given ? text_str(&key) : NULL, out);
    json_decref(body);
    return code;
}

static void print_applied(struct cli *cli, const json_t *answer, bool dry_run)
{
    const json_t *item;
    size_t index;

    json_array_foreach(json_object_get(answer, "policies"), index, item)
        fprintf(cli->out, "policy %s %s%s, version %lld\n", member_text(item, "name"), dry_run ? "would be " : "",
                member_text(item, "change"), (long long)member_int(item, "version"));
}

int run_policy_apply(struct cli *cli, const struct invocation *invocation)
{
    bool dry_run = invocation_has(invocation, "dry-run");

    for (size_t i = 0; i < invocation->argument_count; i++) {
        json_t *answer = NULL;
        int code = send_file(cli, "policy apply", invocation, invocation->arguments[i], dry_run, &answer);
        if (code)
            return code;
        if (cli->json)
            cli_print_json(cli, answer);
        else
            print_applied(cli, answer, dry_run);
        json_decref(answer);
    }
    if (dry_run && !cli->json)
        fprintf(cli->err, "Nothing has been changed.\n");
    return EXIT_DONE;
}

static size_t print_diff(struct cli *cli, const json_t *answer)
{
    const json_t *item;
    size_t index, changed = 0;

    json_array_foreach(json_object_get(answer, "policies"), index, item)
    {
        if (strcmp(member_text(item, "change"), "unchanged") == 0)
            continue;
        changed++;
        fprintf(cli->out, "policy %s %s\n", member_text(item, "name"),
                strcmp(member_text(item, "change"), "created") == 0 ? "is new" : "changes");
        diff_print(cli->out, member_text(item, "before"), member_text(item, "after"));
    }
    return changed;
}

int run_policy_diff(struct cli *cli, const struct invocation *invocation)
{
    size_t changed = 0;

    for (size_t i = 0; i < invocation->argument_count; i++) {
        json_t *answer = NULL;
        int code = send_file(cli, "policy diff", invocation, invocation->arguments[i], true, &answer);
        if (code)
            return code;
        if (cli->json)
            cli_print_json(cli, answer);
        changed += cli->json ? 0 : print_diff(cli, answer);
        json_decref(answer);
    }
    return changed ? EXIT_FAILED : EXIT_DONE;
}

/* ---- list, show ---- */

static int64_t next_of(const json_t *policy, const char **out_schedule)
{
    const json_t *schedule;
    int64_t next = 0;
    size_t index;

    *out_schedule = "";
    json_array_foreach(json_object_get(policy, "schedules"), index, schedule)
    {
        int64_t at = member_time(schedule, "next_at");
        if (!at || (next && at >= next))
            continue;
        next = at;
        *out_schedule = member_text(schedule, "name");
    }
    return next;
}

static void add_next(struct cli *cli, struct table *table, const json_t *policy)
{
    const char *schedule;
    int64_t next = next_of(policy, &schedule);
    char time[48];

    if (member_true(policy, "paused"))
        table_cell(table, "paused");
    else if (next)
        table_cellf(table, "%s  %s", format_time(next, cli->utc, time, sizeof time), schedule);
    else
        table_cell(table, "by run-now only");
}

int run_policy_list(struct cli *cli, const struct invocation *invocation)
{
    static const struct table_column columns[] = {{"POLICY", COLUMN_SHRINK},
                                                  {"OPERATION", 0},
                                                  {"NEXT", COLUMN_SHRINK},
                                                  {"LAST RUN", COLUMN_SHRINK},
                                                  {"OWNER", COLUMN_SHRINK | COLUMN_DROP},
                                                  {"VERSION", COLUMN_RIGHT | COLUMN_DROP}};
    json_t *policies = NULL, *policy;
    struct table table;
    size_t index;
    char age[32];

    (void)invocation;
    int code = call_list(cli, "policies", 0, &policies, "/v1/policies");
    if (code)
        return code;
    if (cli->json)
        return cli_print_json(cli, policies), json_decref(policies), EXIT_DONE;
    table_init(&table, columns, sizeof columns / sizeof *columns);
    json_array_foreach(policies, index, policy)
    {
        const json_t *last = json_object_get(policy, "last_run");
        table_cell(&table, member_text(policy, "name"));
        table_cell(&table, member_text(policy, "operation"));
        add_next(cli, &table, policy);
        if (json_is_object(last))
            table_cellf(&table, "%s, %s ago", member_text(last, "outcome"),
                        show_age(cli, last, "planned_at", age, sizeof age));
        else
            table_cell(&table, "–");
        table_cell(&table, show_or(member_text(policy, "owner"), "–"));
        table_cellf(&table, "%lld", (long long)member_int(policy, "version"));
    }
    show_table(cli, &table, "no policies");
    table_free(&table);
    json_decref(policies);
    return EXIT_DONE;
}

static void show_policy(struct cli *cli, const json_t *policy)
{
    const json_t *item;
    size_t index;
    char time[48];

    fprintf(cli->out, "%s%s\n", member_text(policy, "name"), member_true(policy, "paused") ? "  paused" : "");
    if (*member_text(policy, "description"))
        show_pair(cli, "for", "%s", member_text(policy, "description"));
    show_pair(cli, "does", "%s", member_text(policy, "operation"));
    json_array_foreach(json_object_get(policy, "schedules"), index, item)
        show_pair(cli, index ? "" : "when", "%s: %s (%s), next %s", member_text(item, "name"), member_text(item, "cron"),
                  member_text(policy, "time_zone"), show_time(cli, item, "next_at", time, sizeof time));
    const json_t *last = json_object_get(policy, "last_run");
    if (json_is_object(last))
        show_pair(cli, "last run", "%.8s  %s, %s", member_text(last, "run_id"), member_text(last, "outcome"),
                  show_time(cli, last, "planned_at", time, sizeof time));
    json_array_foreach(json_object_get(policy, "versions"), index, item)
        show_pair(cli, index ? "" : "versions", "%lld  %s  %s%s%s", (long long)member_int(item, "version"),
                  show_time(cli, item, "at", time, sizeof time), show_or(member_text(item, "by"), "–"),
                  *member_text(item, "reason") ? ": " : "", member_text(item, "reason"));
    fprintf(cli->out, "\n%s", member_text(policy, "source"));
}

int run_policy_show(struct cli *cli, const struct invocation *invocation)
{
    CLEANUP(freep) char *path = policy_path(invocation, "");
    json_t *policy = NULL;
    int code = call_get(cli, "policy show", &policy, "%s", path);

    if (code)
        return code;
    if (cli->json)
        cli_print_json(cli, policy);
    else if (invocation_has(invocation, "source"))
        fputs(member_text(policy, "source"), cli->out);
    else
        show_policy(cli, policy);
    json_decref(policy);
    return EXIT_DONE;
}

/* ---- pause, resume, run-now, delete ---- */

static int change(struct cli *cli, const struct invocation *invocation, const char *subject, const char *method,
                  const char *verb, json_t **out)
{
    CLEANUP(freep) char *path = policy_path(invocation, verb);
    json_t *body = json_pack("{s:s*}", "reason", invocation_value(invocation, "reason"));
    int code = call_change(cli, subject, method, path, body, invocation_value(invocation, "request-id"), out);

    json_decref(body);
    if (code == 0 && cli->json)
        cli_print_json(cli, *out);
    return code;
}

static int pause_or_resume(struct cli *cli, const struct invocation *invocation, const char *verb, const char *would,
                           const char *done)
{
    const char *name = invocation_argument(invocation, "POLICY");
    json_t *answer = NULL;

    if (invocation_has(invocation, "dry-run"))
        return fprintf(cli->out, "policy %s would %s; nothing has been changed.\n", name, would), EXIT_DONE;
    int code = change(cli, invocation, "policy", "POST", verb, &answer);
    if (code == 0 && !cli->json)
        fprintf(cli->out, "policy %s %s\n", name, done);
    json_decref(answer);
    return code;
}

int run_policy_pause(struct cli *cli, const struct invocation *invocation)
{
    return pause_or_resume(cli, invocation, "pause", "start nothing by itself",
                           "starts nothing by itself; what runs goes on");
}

int run_policy_resume(struct cli *cli, const struct invocation *invocation)
{
    return pause_or_resume(cli, invocation, "resume", "go on with its next slot", "goes on with its next slot");
}

int run_policy_run_now(struct cli *cli, const struct invocation *invocation)
{
    const char *name = invocation_argument(invocation, "POLICY");
    json_t *answer = NULL;
    char id[40];

    if (invocation_has(invocation, "dry-run"))
        return fprintf(cli->out, "policy %s would run now; which targets: fleetsnap policy preview %s\n", name, name),
               EXIT_DONE;
    bool json = cli->json, wait = !invocation_has(invocation, "no-wait");
    cli->json = json && !wait; /* waiting, the run itself is what is printed */
    int code = change(cli, invocation, "policy run-now", "POST", "run", &answer);
    cli->json = json;
    snprintf(id, sizeof id, "%s", member_text(answer, "run_id"));
    json_decref(answer);
    if (code)
        return code;
    if (wait)
        return run_watch(cli, "policy run-now", id);
    if (!json)
        fprintf(cli->out, "%s\n", id);
    return EXIT_DONE;
}

static int confirm(struct cli *cli, const struct invocation *invocation, const char *name)
{
    char line[16] = "";

    if (invocation_has(invocation, "yes"))
        return 0;
    if (!cli->in_terminal || !cli->err_terminal)
        return cli_fail(cli, EXIT_USAGE, "policy delete", "Say --yes",
                        "this ends a policy, and nobody can be asked here");
    fprintf(cli->err,
            "Policy %s ends: its targets are backed up no more by it, its runs are cancelled. What it made stays, "
            "and no retention looks at that any more. Do it? [y/N] ",
            name);
    fflush(cli->err);
    if (fgets(line, sizeof line, cli->in) && (*line == 'y' || *line == 'Y'))
        return 0;
    return cli_fail(cli, EXIT_DECLINED, "policy delete", NULL, "not done; nothing was changed");
}

int run_policy_delete(struct cli *cli, const struct invocation *invocation)
{
    const char *name = invocation_argument(invocation, "POLICY");
    json_t *answer = NULL;

    if (invocation_has(invocation, "dry-run"))
        return fprintf(cli->out, "policy %s would end, and what it made would stay; nothing has been changed.\n", name),
               EXIT_DONE;
    int code = confirm(cli, invocation, name);
    if (code == 0)
        code = change(cli, invocation, "policy delete", "DELETE", "", &answer);
    if (code == 0 && !cli->json)
        fprintf(cli->out, "policy %s is deleted; what it made stays\n", name);
    json_decref(answer);
    return code;
}
