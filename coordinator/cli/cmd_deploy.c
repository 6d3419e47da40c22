/* deploy: a gate for pipelines. begin waits for the snapshots, failed --revert for the way back; both say of each target what became of it. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"
#include "base/text.h"
#include "coordinator/cli/call.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/deploy_show.h"
#include "coordinator/cli/show.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { POLL_MS = 300 };

static bool is_state(const json_t *deploy, const char *state)
{
    return strcmp(member_text(deploy, "state"), state) == 0;
}

/* ---- waiting ---- */

static const struct deploy_finish begin_finishes[] = {
    {"ready", EXIT_DONE, NULL, "every target has its snapshot"},
    {"succeeded", EXIT_DONE, NULL, "it has succeeded already"},
    {"refused", EXIT_FAILED, NULL, "refused, nothing was done"},
    {"undone", EXIT_FAILED, "snapshot", "the snapshots that were made are deleted"},
    {"", EXIT_FAILED, NULL, "it cannot begin any more"}, /* any other end */
    {NULL, 0, NULL, NULL},
};
const struct deploy_finish deploy_reverts[] = {
    {"reverted", EXIT_DONE, NULL, "every target is back"},
    {"revert_failed", EXIT_SOME, "revert", "not every target is back; its snapshots are kept"},
    {"refused", EXIT_DONE, NULL, "nothing had been done"},
    {"undone", EXIT_DONE, NULL, "its snapshots are deleted, nothing was to be reverted"},
    {"", EXIT_FAILED, NULL, "it is not reverted"},
    {NULL, 0, NULL, NULL},
};

static const struct deploy_finish *finish_of(const struct deploy_finish *finishes, const json_t *deploy)
{
    if (member_true(deploy, "pending"))
        return NULL;
    for (; finishes->state; finishes++)
        if (is_state(deploy, finishes->state) || (!*finishes->state && member_true(deploy, "ended")))
            return finishes;
    return NULL;
}

/* None at all, or an outcome that nobody knows, is more than some. */
static int exit_of(const struct deploy_finish *finish, const json_t *deploy)
{
    if (finish->code != EXIT_SOME)
        return finish->code;
    if (deploy_count_state(deploy, "revert", "PARKED") || deploy_count_state(deploy, "revert", "LOST") ||
        deploy_count_state(deploy, "revert", "OPEN"))
        return EXIT_UNKNOWN;
    return deploy_count_state(deploy, "revert", "SUCCEEDED") ? EXIT_SOME : EXIT_FAILED;
}

static int finished(struct cli *cli, const char *noun, const struct deploy_finish *finish, const json_t *deploy)
{
    const char *id = member_text(deploy, "deploy_id"), *why = member_text(deploy, "why");
    int code = exit_of(finish, deploy);

    if (cli->json)
        cli_print_json(cli, deploy);
    else
        fprintf(code ? cli->err : cli->out, "%s %s: %s: %s%s%s\n", noun, id, member_text(deploy, "state"),
                code && *why ? why : finish->text, code && *why ? "; " : "", code && *why ? finish->text : "");
    if (finish->phase)
        deploy_say_failures(cli, deploy, finish->phase);
    if (code)
        fprintf(cli->err, "Target by target: fleetsnap deploy status %s\n", id);
    return code;
}

static void say_change(struct cli *cli, const char *noun, const json_t *deploy, char **last)
{
    const char *state = member_text(deploy, "state");
    const char *phase = strcmp(state, "undoing") == 0     ? "delete"
                        : strcmp(state, "reverting") == 0 ? "revert"
                                                          : deploy_makes(deploy);
    CLEANUP(text_freep) struct text now = {0};

    text_addf(&now, "%s", state);
    if (deploy_count_targets(deploy, phase))
        text_addf(&now, ": %zu of %zu done", deploy_count_state(deploy, phase, "SUCCEEDED"),
                  deploy_count_targets(deploy, phase));
    if (*last && strcmp(*last, text_str(&now)) == 0)
        return;
    fprintf(cli->err, "%s %s: %s\n", noun, member_text(deploy, "deploy_id"), text_str(&now));
    free(*last);
    *last = text_take(&now);
}

int deploy_wait(struct cli *cli, const char *subject, const char *noun, const struct deploy_finish *finishes,
                json_t *deploy)
{
    CLEANUP(freep) char *last = NULL, *id = strdup(member_text(deploy, "deploy_id"));
    const struct timespec pause = {0, POLL_MS * 1000000L};

    cli_catch_interrupts();
    for (;;) {
        const struct deploy_finish *finish = finish_of(finishes, deploy);
        int code = finish ? finished(cli, noun, finish, deploy) : 0;
        if (!finish && !cli->json)
            say_change(cli, noun, deploy, &last);
        json_decref(deploy);
        if (finish)
            return code;
        if (cli_interrupted()) {
            fprintf(cli->err, "detached; the %s goes on.   fleetsnap deploy status %s\n", noun, id);
            return EXIT_UNSEEN;
        }
        nanosleep(&pause, NULL);
        code = deploy_fetch(cli, subject, id, &deploy);
        if (code) {
            fprintf(cli->err, "It goes on. The same command again waits on; it begins nothing twice.\n");
            return code;
        }
    }
}

/* ---- begin ---- */

static void show_targets_of_dry(struct cli *cli, const json_t *dry)
{
    const json_t *target;
    size_t index;

    json_array_foreach(json_object_get(dry, "targets"), index, target)
        fprintf(cli->out, "  %s on %s%s%s\n", deploy_target_name(target), member_text(target, "host"),
                *member_text(target, "refused") ? "  " : "", member_text(target, "refused"));
    if (*member_text(dry, "refused"))
        fprintf(cli->out, "It would be refused: %s\n", member_text(dry, "refused"));
}

static void say_dry(struct cli *cli, const char *noun, const json_t *dry)
{
    const char *id = member_text(dry, "deploy_id");
    size_t count = json_array_size(json_object_get(dry, "targets"));

    if (strcmp(deploy_makes(dry), "backup") == 0)
        fprintf(cli->out, "%s %s would be the backups of %zu machines; nothing has been changed.\n", noun, id, count);
    else if (strcmp(noun, "group") == 0)
        fprintf(cli->out, "%s %s would be the snapshot %s of %zu machines; nothing has been changed.\n", noun, id,
                member_text(dry, "snapshot"), count);
    else
        fprintf(cli->out, "%s %s would make the snapshot %s of %zu targets; nothing has been changed.\n", noun, id,
                member_text(dry, "snapshot"), count);
    show_targets_of_dry(cli, dry);
}

static int show_dry(struct cli *cli, const char *noun, const json_t *dry)
{
    if (cli->json)
        cli_print_json(cli, dry);
    else if (json_object_get(dry, "dry_run"))
        say_dry(cli, noun, dry);
    else
        fprintf(cli->out, "%s %s is there already: it is %s; nothing would be changed.\n", noun,
                member_text(dry, "deploy_id"), member_text(dry, "state"));
    return *member_text(dry, "refused") ? EXIT_FAILED : EXIT_DONE;
}

int deploy_ask(struct cli *cli, const struct invocation *invocation, const char *subject, const char *noun,
               const struct deploy_finish *finishes, json_t *body)
{
    bool dry = invocation_has(invocation, "dry-run");
    json_t *deploy = NULL;
    int code = call_change(cli, subject, "POST", "/v1/deploys", body, invocation_value(invocation, "request-id"),
                           &deploy);

    if (code == 0 && !dry && !invocation_has(invocation, "no-wait")) {
        json_decref(body);
        return deploy_wait(cli, subject, noun, finishes, deploy);
    }
    if (code == 0 && dry)
        code = show_dry(cli, noun, deploy);
    else if (code == 0 && cli->json)
        cli_print_json(cli, deploy);
    else if (code == 0)
        fprintf(cli->out, "%s\n", json_string_value(json_object_get(body, "id")));
    json_decref(body);
    json_decref(deploy);
    return code;
}

int run_deploy_begin(struct cli *cli, const struct invocation *invocation)
{
    const char *id = invocation_value(invocation, "id");
    bool dry = invocation_has(invocation, "dry-run");

    if (!id || !invocation_value(invocation, "selector"))
        return cli_fail(cli, EXIT_USAGE, "deploy begin", NULL, "say which: --id ID and -l SELECTOR");
    if (invocation_has(invocation, "group-limit") && !invocation_has(invocation, "group"))
        return cli_fail(cli, EXIT_USAGE, "deploy begin", NULL, "--group-limit is the limit of a group: add --group");
    if (invocation_has(invocation, "wait") && invocation_has(invocation, "no-wait"))
        return cli_fail(cli, EXIT_USAGE, "deploy begin", NULL, "--wait and --no-wait exclude each other");
    json_t *body = json_pack(
        "{s:s, s:s, s:s*, s:s*, s:s*, s:s*, s:s*, s:b, s:b, s:s*, s:s*, s:b}", "id", id, "selector",
        invocation_value(invocation, "selector"), "ttl", invocation_value(invocation, "ttl"), "timeout",
        invocation_value(invocation, "timeout"), "within", invocation_value(invocation, "within"), "overlap",
        invocation_value(invocation, "overlap"), "quiesce", invocation_value(invocation, "quiesce"), "auto_revert",
        invocation_has(invocation, "auto-revert"), "group", invocation_has(invocation, "group"), "group_limit",
        invocation_value(invocation, "group-limit"), "reason", invocation_value(invocation, "reason"), "dry_run", dry);
    return deploy_ask(cli, invocation, "deploy begin", "deploy", begin_finishes, body);
}

/* ---- how it ended ---- */

int run_deploy_succeeded(struct cli *cli, const struct invocation *invocation)
{
    CLEANUP(text_freep) struct text path = {0};
    const char *id = invocation_argument(invocation, "DEPLOY");
    bool dry = invocation_has(invocation, "dry-run");
    json_t *deploy = NULL;

    deploy_path(&path, id, "succeeded");
    json_t *body = json_pack("{s:s*, s:b}", "reason", invocation_value(invocation, "reason"), "dry_run", dry);
    int code = call_change(cli, "deploy succeeded", "POST", text_str(&path), body,
                           invocation_value(invocation, "request-id"), &deploy);
    json_decref(body);
    if (code == 0 && cli->json)
        cli_print_json(cli, deploy);
    else if (code == 0)
        fprintf(cli->out,
                dry ? "deploy %s would be said to have succeeded; nothing has been changed.\n"
                    : "deploy %s has succeeded; its snapshots are deleted when their time is over\n",
                id);
    json_decref(deploy);
    return code;
}

/* "a,b" → ["a", "b"]; NULL: NULL. */
static json_t *order_of(const char *text)
{
    json_t *order = text ? json_array() : NULL;

    for (const char *at = text; at && *at;) {
        size_t len = strcspn(at, ",");
        if (len)
            json_array_append_new(order, json_stringn(at, len));
        at += len + (at[len] == ',');
    }
    return order;
}

static json_t *failed_body(const struct invocation *invocation, bool dry, int64_t parallel)
{
    json_t *body = json_pack("{s:b, s:s*, s:b}", "revert", invocation_has(invocation, "revert"), "reason",
                             invocation_value(invocation, "reason"), "dry_run", dry);
    json_t *order = order_of(invocation_value(invocation, "order"));

    if (order)
        json_object_set_new(body, "order", order);
    if (invocation_has(invocation, "keep-going"))
        json_object_set_new(body, "keep_going", json_true());
    if (parallel)
        json_object_set_new(body, "parallel", json_integer(parallel));
    return body;
}

/* On a terminal the question repeats what is lost; elsewhere --revert is the word that was asked for. */
static bool confirmed(struct cli *cli, const struct invocation *invocation, const char *id, const json_t *deploy)
{
    char age[48], line[64];

    if (invocation_has(invocation, "yes") || !cli->in_terminal)
        return true;
    deploy_show_targets(cli, deploy);
    fprintf(
        cli->err,
        "All that these %zu targets did since deploy %s began, %s ago, would be taken back, the memory of running guests too.\nGo on? [y/N] ",
        deploy_count_state(deploy, "snapshot", "SUCCEEDED"), id, show_elapsed(cli, deploy, "begun_at", age, sizeof age));
    fflush(cli->err);
    return fgets(line, sizeof line, cli->in) && (tolower((unsigned char)*line) == 'y');
}

static int say_failed(struct cli *cli, const struct invocation *invocation, bool dry, int64_t parallel, json_t **out)
{
    CLEANUP(text_freep) struct text path = {0};
    json_t *body = failed_body(invocation, dry, parallel);

    deploy_path(&path, invocation_argument(invocation, "DEPLOY"), "failed");
    int code = call_change(cli, "deploy failed", "POST", text_str(&path), body,
                           invocation_value(invocation, "request-id"), out);
    json_decref(body);
    return code;
}

static int check_failed(struct cli *cli, const struct invocation *invocation, int64_t *out_parallel)
{
    static const char *const how[] = {"order", "keep-going", "stop-on-failure", "parallel"};
    const char *parallel = invocation_value(invocation, "parallel");

    for (size_t i = 0; i < sizeof how / sizeof *how; i++)
        if (invocation_has(invocation, how[i]) && !invocation_has(invocation, "revert"))
            return cli_fail(cli, EXIT_USAGE, "deploy failed", NULL, "--%s says how to revert: add --revert", how[i]);
    if (invocation_has(invocation, "keep-going") && invocation_has(invocation, "stop-on-failure"))
        return cli_fail(cli, EXIT_USAGE, "deploy failed", NULL, "--keep-going and --stop-on-failure exclude each other");
    *out_parallel = 0;
    if (parallel && parse_int(parallel, 1, 1000, out_parallel, NULL) < 0)
        return cli_fail(cli, EXIT_USAGE, "deploy failed", NULL, "--parallel: must be from 1 to 1000");
    return 0;
}

static int show_dry_failed(struct cli *cli, const json_t *deploy, bool revert)
{
    if (cli->json)
        return cli_print_json(cli, deploy), EXIT_DONE;
    fprintf(cli->out, "deploy %s would be said to have failed%s; nothing has been changed.\n",
            member_text(deploy, "deploy_id"), revert ? ", and these would be reverted to their snapshots" : "");
    if (revert)
        deploy_show_targets(cli, deploy);
    return EXIT_DONE;
}

int run_deploy_failed(struct cli *cli, const struct invocation *invocation)
{
    const char *id = invocation_argument(invocation, "DEPLOY");
    bool revert = invocation_has(invocation, "revert"), dry = invocation_has(invocation, "dry-run");
    json_t *deploy = NULL;
    int64_t parallel;
    int code = check_failed(cli, invocation, &parallel);

    if (code == 0)
        code = say_failed(cli, invocation, dry || revert, parallel, &deploy); /* a revert: first whether it can be */
    if (code == 0 && dry)
        code = show_dry_failed(cli, deploy, revert);
    if (code || dry)
        return json_decref(deploy), code;
    if (revert && !confirmed(cli, invocation, id, deploy))
        return json_decref(deploy), cli_fail(cli, EXIT_DECLINED, "deploy failed", NULL, "nothing was changed");
    if (revert) {
        json_decref(deploy);
        code = say_failed(cli, invocation, false, parallel, &deploy);
        if (code)
            return code;
        if (!invocation_has(invocation, "no-wait"))
            return deploy_wait(cli, "deploy failed", "deploy", deploy_reverts, deploy);
    }
    if (cli->json)
        cli_print_json(cli, deploy);
    else
        fprintf(cli->out, "deploy %s has failed%s\n", id,
                revert ? "; it is being reverted" : "; its snapshots are kept for a while");
    json_decref(deploy);
    return EXIT_DONE;
}
