/*
 * snapshot create --group and snapshot revert --group: one point in time over many machines, made and gone back to as a whole. For the coordinator it is a deploy that nobody has to
 * end (`standing`); without --group these commands start jobs like any other.
 */
#include "base/cleanup.h"
#include "base/text.h"
#include "coordinator/cli/call.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/deploy_show.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { AT_ONCE = 1000 }; /* all of them */

static const struct deploy_finish made[] = {
    {"succeeded", EXIT_DONE, NULL, "every machine has its snapshot, all of one point in time"},
    {"refused", EXIT_FAILED, NULL, "refused, nothing was done"},
    {"undone", EXIT_FAILED, "snapshot", "there is no point in time; the snapshots that were made are deleted"},
    {"", EXIT_FAILED, NULL, "it is not there any more"},
    {NULL, 0, NULL, NULL},
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

static int create_group(struct cli *cli, const struct invocation *invocation)
{
    static const char *const allowed[] = {"name", NULL};
    const char *name = invocation_value(invocation, "name"), *selector = invocation_value(invocation, "selector");
    bool dry = invocation_has(invocation, "dry-run");
    int code = check_words(cli, "snapshot create", invocation, allowed);

    if (code)
        return code;
    if (!name || !selector)
        return cli_fail(cli, EXIT_USAGE, "snapshot create", NULL,
                        "a group needs a selector and a name of its own: -l SELECTOR --group --name NAME");
    json_t *body = json_pack("{s:s, s:s, s:b, s:b, s:s*, s:s*, s:s*, s:b}", "id", name, "selector", selector, "group",
                             1, "standing", 1, "group_limit", invocation_value(invocation, "group-limit"), "ttl",
                             invocation_value(invocation, "group-ttl"), "reason",
                             invocation_value(invocation, "reason"), "dry_run", dry);
    return deploy_ask(cli, invocation, "snapshot create", "group", made, body);
}

int run_snapshot_create(struct cli *cli, const struct invocation *invocation)
{
    static const char *const of_groups[] = {"group-limit", "group-ttl"};

    if (invocation_has(invocation, "group"))
        return create_group(cli, invocation);
    for (size_t i = 0; i < sizeof of_groups / sizeof *of_groups; i++)
        if (invocation_has(invocation, of_groups[i]))
            return cli_fail(cli, EXIT_USAGE, "snapshot create", NULL, "--%s is said of a group: add --group",
                            of_groups[i]);
    return run_job_command(cli, invocation);
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
