/*
 * snapshot create --group, backup create --group and snapshot revert --group: one point in time over many machines, made and gone back to as a whole. For the coordinator it is a
 * deploy that nobody has to end (`standing`); without --group these commands start jobs like any other. (backup restore --group starts jobs: job_command.c.)
 */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/parse.h"
#include "base/text.h"
#include "coordinator/cli/call.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/deploy_show.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { AT_ONCE = 1000 }; /* all of them */

static const struct deploy_finish made_snapshots[] = {
    {"succeeded", EXIT_DONE, NULL, "every machine has its snapshot, all of one point in time"},
    {"refused", EXIT_FAILED, NULL, "refused, nothing was done"},
    {"undone", EXIT_FAILED, "snapshot", "there is no point in time; the snapshots that were made are deleted"},
    {"", EXIT_FAILED, NULL, "it is not there any more"},
    {NULL, 0, NULL, NULL},
};
static const struct deploy_finish made_backups[] = {
    {"succeeded", EXIT_DONE, NULL, "every machine has its backup, all of one point in time"},
    {"refused", EXIT_FAILED, NULL, "refused, nothing was done"},
    {"undone", EXIT_FAILED, "backup", "there is no point in time; the backups that were made are deleted"},
    {"", EXIT_FAILED, NULL, "it is not there any more"},
    {NULL, 0, NULL, NULL},
};

struct making { /* how a group is made */
    const char *subject, *operation;
    const char *const *allowed; /* what can be said of each of its jobs */
    const struct deploy_finish *finishes;
};

/* What a job of one machine can be told, and a group cannot. The name of the first that was given; NULL: none. */
static const char *not_of_a_group(const struct invocation *invocation, const char *const *allowed)
{
    static const char *const of_jobs[] = {"host", "priority", "not-before", "deadline", "current", NULL};

    for (size_t i = 0; i < invocation->value_count; i++) {
        const struct option_row *row = invocation->values[i].row;
        bool known = false, jobs = row->param != NULL;
        for (size_t k = 0; allowed[k]; k++)
            known |= strcmp(row->name, allowed[k]) == 0;
        for (size_t k = 0; of_jobs[k]; k++)
            jobs |= strcmp(row->name, of_jobs[k]) == 0;
        if (jobs && !known)
            return row->name;
    }
    return NULL;
}

static int check_words(struct cli *cli, const char *subject, const struct invocation *invocation,
                       const char *const *allowed)
{
    const char *wrong = not_of_a_group(invocation, allowed);

    if (wrong)
        return cli_fail(cli, EXIT_USAGE, subject, NULL, "--%s cannot be said of a group", wrong);
    if (invocation->argument_count)
        return cli_fail(cli, EXIT_USAGE, subject, NULL, "a group is not one machine: leave out \"%s\"",
                        invocation->arguments[0]);
    return 0;
}

/* ---- create ---- */

static int take_rate(struct cli *cli, const struct making *making, const struct invocation *invocation, json_t *body)
{
    const char *text = invocation_value(invocation, "rate-limit");
    struct err err = {0};
    int64_t bytes;

    if (!text)
        return 0;
    if (parse_size(text, &bytes, &err) < 0)
        return cli_fail(cli, EXIT_USAGE, making->subject, NULL, "--rate-limit: %s", err.text);
    json_object_set_new(body, "rate_limit", json_integer(bytes));
    return 0;
}

static int create_group(struct cli *cli, const struct making *making, const struct invocation *invocation)
{
    const char *name = invocation_value(invocation, "name"), *selector = invocation_value(invocation, "selector");
    bool dry = invocation_has(invocation, "dry-run");
    int code = check_words(cli, making->subject, invocation, making->allowed);

    if (code)
        return code;
    if (!name || !selector)
        return cli_fail(cli, EXIT_USAGE, making->subject, NULL,
                        "a group needs a selector and a name of its own: -l SELECTOR --group --name NAME");
    json_t *body = json_pack(
        "{s:s, s:s, s:s, s:b, s:b, s:s*, s:s*, s:s*, s:s*, s:s*, s:b}", "id", name, "selector", selector, "operation",
        making->operation, "group", 1, "standing", 1, "group_limit", invocation_value(invocation, "group-limit"), "ttl",
        invocation_value(invocation, "group-ttl"), "repository", invocation_value(invocation, "repository"), "kind",
        invocation_value(invocation, "kind"), "reason", invocation_value(invocation, "reason"), "dry_run", dry);
    code = take_rate(cli, making, invocation, body);
    if (code)
        return json_decref(body), code;
    return deploy_ask(cli, invocation, making->subject, "group", making->finishes, body);
}

static int create(struct cli *cli, const struct making *making, const struct invocation *invocation)
{
    static const char *const of_groups[] = {"group-limit", "group-ttl"};

    if (invocation_has(invocation, "group"))
        return create_group(cli, making, invocation);
    for (size_t i = 0; i < sizeof of_groups / sizeof *of_groups; i++)
        if (invocation_has(invocation, of_groups[i]))
            return cli_fail(cli, EXIT_USAGE, making->subject, NULL, "--%s is said of a group: add --group",
                            of_groups[i]);
    return run_job_command(cli, invocation);
}

int run_snapshot_create(struct cli *cli, const struct invocation *invocation)
{
    static const char *const allowed[] = {"name", NULL};
    static const struct making making = {"snapshot create", "snapshot.create", allowed, made_snapshots};

    return create(cli, &making, invocation);
}

int run_backup_create(struct cli *cli, const struct invocation *invocation)
{
    static const char *const allowed[] = {"repository", "kind", "rate-limit", NULL};
    static const struct making making = {"backup create", "backup.create", allowed, made_backups};

    if (invocation_has(invocation, "name") && !invocation_has(invocation, "group"))
        return cli_fail(cli, EXIT_USAGE, "backup create", NULL, "--name is said of a group: add --group");
    if (invocation_has(invocation, "xml") && invocation_has(invocation, "group"))
        return cli_fail(cli, EXIT_USAGE, "backup create", NULL, "--xml cannot be said of a group");
    return create(cli, &making, invocation);
}

/* ---- revert ---- */

/* All go back at the same time, as far as they can. */
static int say_revert(struct cli *cli, const struct invocation *invocation, bool dry, json_t **out)
{
    CLEANUP(text_freep) struct text path = {0};
    json_t *body = json_pack("{s:b, s:b, s:i, s:s*, s:b}", "revert", 1, "keep_going", 1, "parallel", AT_ONCE, "reason",
                             invocation_value(invocation, "reason"), "dry_run", dry);

    deploy_path(&path, invocation_value(invocation, "group"), "failed");
    int code = call_change(cli, "snapshot revert", "POST", text_str(&path), body,
                           invocation_value(invocation, "request-id"), out);
    json_decref(body);
    return code;
}

static int confirm(struct cli *cli, const struct invocation *invocation, const json_t *group)
{
    char line[16] = "";

    if (invocation_has(invocation, "yes"))
        return 0;
    if (!cli->in_terminal || !cli->err_terminal)
        return cli_fail(cli, EXIT_USAGE, "snapshot revert", "Look first with --dry-run, then say --yes",
                        "this takes away data and running states, and nobody can be asked here");
    deploy_show_targets(cli, group);
    fprintf(cli->err,
            "All that these %zu machines did since would be taken back, the memory of running guests too.\nGo on? [y/N] ",
            deploy_count_state(group, "snapshot", "SUCCEEDED"));
    fflush(cli->err);
    if (fgets(line, sizeof line, cli->in) && tolower((unsigned char)*line) == 'y')
        return 0;
    return cli_fail(cli, EXIT_DECLINED, "snapshot revert", NULL, "nothing was changed");
}

static int revert_group(struct cli *cli, const struct invocation *invocation)
{
    static const char *const allowed[] = {NULL};
    bool dry = invocation_has(invocation, "dry-run");
    json_t *group = NULL;
    int code = check_words(cli, "snapshot revert", invocation, allowed);

    if (code == 0 && invocation_has(invocation, "selector"))
        code = cli_fail(cli, EXIT_USAGE, "snapshot revert", NULL, "--group says which machines: leave out -l");
    if (code == 0)
        code = say_revert(cli, invocation, true, &group); /* first whether it can be */
    if (code == 0 && !member_true(group, "standing"))
        code = cli_fail(cli, EXIT_USAGE, "snapshot revert", "fleetsnap deploy failed --revert takes a deploy back",
                        "%s is a deploy, not a group for itself", member_text(group, "deploy_id"));
    if (code == 0 && dry && cli->json)
        cli_print_json(cli, group);
    else if (code == 0 && dry)
        deploy_show_targets(cli, group);
    else if (code == 0)
        code = confirm(cli, invocation, group);
    if (code || dry)
        return json_decref(group), code;
    json_decref(group);
    code = say_revert(cli, invocation, false, &group);
    if (code)
        return code;
    if (!invocation_has(invocation, "no-wait"))
        return deploy_wait(cli, "snapshot revert", "group", deploy_reverts, group);
    fprintf(cli->out, "%s\n", invocation_value(invocation, "group"));
    json_decref(group);
    return EXIT_DONE;
}

int run_snapshot_revert(struct cli *cli, const struct invocation *invocation)
{
    return invocation_has(invocation, "group") ? revert_group(cli, invocation) : run_job_command(cli, invocation);
}
