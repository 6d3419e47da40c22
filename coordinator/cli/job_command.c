/*
 * The commands that start jobs: request → (dry run → question) → submit → wait → say how it ended. Of one target, or of all that a selector names; then everything is
 * planned and confirmed before anything is done.
 */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "base/uuid.h"
#include "coordinator/cli/ask.h"
#include "coordinator/cli/call.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/group_points.h"
#include "coordinator/cli/job_end.h"
#include "coordinator/cli/outcome.h"
#include "coordinator/cli/snapshots.h"

#include <stdlib.h>
#include <string.h>

struct task {
    json_t *request;
    json_t *plan;     /* the dry run's job */
    json_t *accepted; /* 202 */
    char key[160];    /* Idempotency-Key */
    int code;
};

struct batch {
    struct cli *cli;
    const struct invocation *invocation;
    char subject[160]; /* "snapshot revert shop-1" */
    struct task *tasks;
    size_t count;
    bool group; /* a restore of all its machines: each is planned before any is begun */
};

static void batch_clear(struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        json_decref(batch->tasks[i].request);
        json_decref(batch->tasks[i].plan);
        json_decref(batch->tasks[i].accepted);
    }
    free(batch->tasks);
}

/* ---- which requests ---- */

static int add_task(struct batch *batch, json_t *request)
{
    const char *id = invocation_value(batch->invocation, "request-id");
    struct task *tasks = realloc(batch->tasks, (batch->count + 1) * sizeof *tasks);
    char random[UUID_TEXT];

    if (!tasks)
        return json_decref(request), cli_fail(batch->cli, EXIT_FAILED, batch->subject, NULL, "out of memory");
    batch->tasks = tasks;
    struct task *task = &tasks[batch->count++];
    *task = (struct task){.request = request};
    uuid_random(random);
    snprintf(task->key, sizeof task->key, "%.100s", id ? id : random);
    return 0;
}

/* One id for many targets: each gets its own, made of it and the target. */
static void derive_keys(struct batch *batch)
{
    char derived[UUID_TEXT];

    for (size_t i = 0; i < batch->count && batch->count > 1; i++) {
        const json_t *request = batch->tasks[i].request;
        const char *parts[] = {batch->tasks[i].key, member_text(request, "target"),
                               member_text(json_object_get(request, "params"), "point"), NULL};
        uuid_derive(derived, parts);
        snprintf(batch->tasks[i].key, sizeof batch->tasks[i].key, "%s", derived);
    }
}

static int add_selected(struct batch *batch, const json_t *request, const char *selector)
{
    struct text path = {0};
    json_t *targets = NULL, *item;
    size_t index;

    text_add(&path, "/v1/targets");
    call_query(&path, "selector", selector);
    int code = call_list(batch->cli, batch->subject, 0, &targets, "%s", text_str(&path));
    text_free(&path);
    if (code)
        return code;
    if (json_array_size(targets) == 0)
        code = cli_fail(batch->cli, EXIT_USAGE, batch->subject, "All of them: fleetsnap targets",
                        "no target has the labels \"%s\"", selector);
    json_array_foreach(targets, index, item)
    {
        const json_t *target = json_object_get(item, "target");
        char text[300];
        json_t *copy = json_deep_copy(request);
        snprintf(text, sizeof text, "%s:%s", member_text(target, "kind"), member_text(target, "id"));
        json_object_set_new(copy, "target", json_string(text));
        code = code ? json_decref(copy), code : add_task(batch, copy);
    }
    json_decref(targets);
    return code;
}

/* The backups of a group, each to its own machine or to a new one. */
static int add_group(struct batch *batch, const json_t *request)
{
    const char *as = invocation_value(batch->invocation, "as");
    json_t *points = NULL, *point;
    size_t index;
    int code = group_points(batch->cli, batch->subject, batch->invocation, &points);

    batch->group = true;
    json_array_foreach(points, index, point)
    {
        json_t *copy = json_deep_copy(request), *params = json_object_get(copy, "params");
        json_object_set(params, "point", json_object_get(point, "id"));
        if (as)
            json_object_set_new(params, "new_name", group_member_name(as, point));
        code = code ? json_decref(copy), code : add_task(batch, copy);
    }
    json_decref(points);
    return code;
}

/* --current: the name of the current snapshot, which every API call is told. As its host has it now: what takes away must not take the one that was current a moment ago. */
static int name_current(struct batch *batch, json_t *request)
{
    json_t *job = NULL;
    int code = ask_host(batch->cli, batch->subject, "snapshot.list", member_text(request, "target"),
                        json_pack("{s:b}", "refresh", 1), &job);

    if (code)
        return code;
    const json_t *current = snapshot_row_find(json_object_get(json_object_get(job, "result"), "snapshots"), NULL);
    if (current)
        json_object_set_new(json_object_get(request, "params"), "name", json_string(member_text(current, "name")));
    else
        code = cli_fail(batch->cli, EXIT_USAGE, batch->subject, NULL, "there is no current snapshot");
    json_decref(job);
    return code;
}

static bool names_a_snapshot(const struct batch *batch)
{
    const char *op = batch->invocation->command->op;

    return strcmp(op, "snapshot.revert") == 0 || strcmp(op, "snapshot.delete") == 0;
}

/* Which snapshot: NAME or --current, exactly one of them. */
static int check_name(struct batch *batch, json_t *request)
{
    bool named = json_object_get(json_object_get(request, "params"), "name"),
         current = invocation_has(batch->invocation, "current");

    if (named == current)
        return cli_fail(batch->cli, EXIT_USAGE, batch->subject, NULL, "say which snapshot: NAME or --current");
    return current ? name_current(batch, request) : 0;
}

/* BACKUP is the beginning of an id, or (with --at, or when it cannot be an id) a target whose newest backup is meant. */
static void name_point(const struct batch *batch, json_t *request)
{
    json_t *params = json_object_get(request, "params");
    const char *point = member_text(params, "point");

    if (!*point || (!invocation_has(batch->invocation, "at") && uuid_prefix_valid(point)))
        return;
    if (!json_object_get(params, "at"))
        json_object_set_new(params, "at", json_string("latest"));
    json_object_set_new(request, "target", json_string(point));
    json_object_del(params, "point");
}

static int collect(struct batch *batch)
{
    const char *selector = invocation_value(batch->invocation, "selector");
    json_t *request = NULL;
    struct err err = {0};

    if (invocation_request(batch->invocation, &request, &err) < 0)
        return cli_fail_err(batch->cli, EXIT_USAGE, batch->subject, &err);
    if (strcmp(batch->invocation->command->op, "backup.restore") == 0 && invocation_has(batch->invocation, "group")) {
        int code = add_group(batch, request);
        json_decref(request);
        derive_keys(batch);
        return code;
    }
    name_point(batch, request);
    if (!selector && names_a_snapshot(batch)) {
        int code = check_name(batch, request);
        if (code)
            return json_decref(request), code;
    }
    if (!selector)
        return add_task(batch, request);
    int code = add_selected(batch, request, selector);
    for (size_t i = 0; i < batch->count && !code && names_a_snapshot(batch); i++)
        code = check_name(batch, batch->tasks[i].request);
    json_decref(request);
    derive_keys(batch);
    return code;
}

static int submit(struct batch *batch, const json_t *request, const char *key, json_t **out)
{
    return call_change(batch->cli, batch->subject, "POST", "/v1/jobs", request, key, out);
}

/* ---- destructive: plan first, ask, bind what was confirmed ---- */

static bool destroys(const struct task *task)
{
    const char *op = member_text(task->request, "op");
    const json_t *params = json_object_get(task->request, "params");

    if (strcmp(op, "backup.restore") == 0)
        return member_true(params, "in_place");
    if (strcmp(op, "snapshot.create") == 0)
        return member_true(params, "halt") || member_true(params, "reuse_external");
    return strcmp(op, "snapshot.revert") == 0 || strcmp(op, "snapshot.delete") == 0 ||
           strcmp(op, "backup.delete") == 0 || strcmp(op, "repository.clean") == 0 ||
           strcmp(op, "repository.remove") == 0 || strcmp(op, "target.retire") == 0 || strcmp(op, "job.undo") == 0 ||
           (strcmp(op, "target.export_finish") == 0 && *member_text(params, "how") &&
            strcmp(member_text(params, "how"), "check") != 0);
}

static int plan_task(struct batch *batch, struct task *task)
{
    json_t *request = json_deep_copy(task->request), *accepted = NULL;
    char key[176];

    snprintf(key, sizeof key, "%.120s-plan", task->key);
    json_object_set_new(request, "dry_run", json_true());
    int code = submit(batch, request, key, &accepted);
    if (code == 0)
        code = job_wait(batch->cli, batch->subject, accepted, NULL, true, &task->plan, NULL);
    json_decref(request);
    json_decref(accepted);
    if (code || strcmp(member_text(task->plan, "state"), "SUCCEEDED") == 0)
        return code;
    if (batch->cli->json)
        cli_print_json(batch->cli, task->plan);
    return outcome_print(batch->cli, task->plan, "");
}

static void bind_plan(struct task *task)
{
    const char *digest = member_text(json_object_get(task->plan, "result"), "plan_digest");

    if (*digest)
        json_object_set_new(task->request, "plan_digest", json_string(digest));
}

static bool answered_yes(struct batch *batch)
{
    char line[16] = "";

    fprintf(batch->cli->err, batch->count > 1 ? "Do all of it? [y/N] " : "Do it? [y/N] ");
    fflush(batch->cli->err);
    return fgets(line, sizeof line, batch->cli->in) && (*line == 'y' || *line == 'Y');
}

static void show_plans(struct batch *batch, bool in_full)
{
    for (size_t i = 0; i < batch->count; i++) {
        CLEANUP(text_free) struct text lost = {0};
        if (in_full) {
            plan_print(batch->cli, batch->cli->err, batch->tasks[i].plan);
            continue;
        }
        plan_lost(batch->tasks[i].plan, &lost);
        if (lost.len)
            fprintf(batch->cli->err, "Lost by it: %s.\n", text_str(&lost));
    }
}

/* Each, and what was planned is what will be done. */
static int plan_all(struct batch *batch)
{
    int code = 0;

    for (size_t i = 0; i < batch->count && !code; i++) {
        code = plan_task(batch, &batch->tasks[i]);
        if (!code)
            bind_plan(&batch->tasks[i]);
    }
    return code;
}

static int confirm(struct batch *batch)
{
    struct cli *cli = batch->cli;
    bool yes = invocation_has(batch->invocation, "yes");
    bool askable = cli->in_terminal && cli->err_terminal;

    if (!yes && !askable)
        return cli_fail(cli, EXIT_USAGE, batch->subject, "Look first with --dry-run, then say --yes",
                        "this takes away data or a running state, and nobody can be asked here");
    int code = plan_all(batch);
    if (code)
        return code;
    show_plans(batch, !yes);
    if (yes || answered_yes(batch))
        return 0;
    return cli_fail(cli, EXIT_DECLINED, batch->subject, NULL, "not done; nothing was changed");
}

/* ---- all together ---- */

/* An export that can be read is what was waited for; one that ended before has failed. */
static int run_until_exported(struct batch *batch, const struct task *task)
{
    json_t *job = NULL;
    int code = job_wait_exported(batch->cli, batch->subject, task->accepted, &job);

    if (code == 0 && outcome_exit(member_text(job, "state")) != EXIT_UNSEEN)
        code = outcome_print(batch->cli, job, "");
    if (code == 0 && batch->cli->json)
        cli_print_json(batch->cli, job);
    else if (code == 0)
        fprintf(batch->cli->err,
                "It is exported until it is told otherwise: fleetsnap target export-finish %.8s --how done\n",
                member_text(job, "job_id"));
    json_decref(job);
    return code;
}

static int run_one(struct batch *batch, struct task *task)
{
    if (invocation_has(batch->invocation, "detach") && !member_true(task->request, "dry_run"))
        return run_until_exported(batch, task);
    return job_finish(batch->cli, batch->subject, task->accepted, task->plan,
                      invocation_has(batch->invocation, "no-wait"));
}

static int run_all(struct batch *batch)
{
    size_t good = 0;
    int code = 0;

    for (size_t i = 0; i < batch->count; i++)
        batch->tasks[i].code = submit(batch, batch->tasks[i].request, batch->tasks[i].key, &batch->tasks[i].accepted);
    for (size_t i = 0; i < batch->count; i++) {
        struct task *task = &batch->tasks[i];
        if (task->code == 0 && !cli_interrupted())
            task->code = run_one(batch, task);
        else if (task->code == 0)
            task->code = EXIT_UNSEEN;
        good += task->code == 0;
        code = task->code ? task->code : code;
    }
    if (batch->count > 1 && good && good < batch->count)
        code = cli_fail(batch->cli, EXIT_SOME, batch->subject, NULL, "%zu of %zu failed", batch->count - good,
                        batch->count);
    return code;
}

int run_job_command(struct cli *cli, const struct invocation *invocation)
{
    CLEANUP(batch_clear) struct batch batch = {.cli = cli, .invocation = invocation};
    char name[64];

    command_name(invocation->command, name, sizeof name);
    snprintf(batch.subject, sizeof batch.subject, "%s%s%.80s", name, invocation->argument_count ? " " : "",
             invocation->argument_count ? invocation->arguments[0] : "");
    int code = collect(&batch);
    bool real = code == 0 && batch.count && !invocation_has(invocation, "dry-run");
    if (real && destroys(&batch.tasks[0]))
        code = confirm(&batch);
    else if (real && batch.group)
        code = plan_all(&batch);
    return code ? code : run_all(&batch);
}
