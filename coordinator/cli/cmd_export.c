/*
 * target export-finish. An export that runs holds the lock of its machine: it is told by a word. Only where none runs is there a job to start, which looks at what the
 * hypervisor still does.
 */
#include "base/cleanup.h"
#include "base/text.h"
#include "base/uuid.h"
#include "coordinator/cli/call.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/export_show.h"
#include "coordinator/cli/http.h"
#include "coordinator/cli/job_end.h"
#include "coordinator/cli/outcome.h"
#include "coordinator/cli/show.h"

#include <stdio.h>
#include <string.h>

static const char subject[] = "target export-finish";

/* What was typed is the beginning of an export's id: that job. NULL: it is not. */
static json_t *job_named(struct cli *cli, const char *typed)
{
    struct text path = {0};
    struct http_answer answer = {0};
    json_t *job = NULL;

    if (!uuid_prefix_valid(typed))
        return NULL;
    text_add(&path, "/v1/jobs");
    call_path(&path, typed);
    if (http_request(cli_http(cli), "GET", text_str(&path), NULL, NULL, &answer, NULL) == 0 && answer.status == 200 &&
        strcmp(member_text(answer.body, "op"), "target.export") == 0)
        job = json_incref(answer.body);
    text_free(&path);
    http_answer_clear(&answer);
    return job;
}

/* Of those that have not ended, the one that runs: others wait for it. */
static json_t *one_of(json_t *jobs)
{
    json_t *job;
    size_t index;

    json_array_foreach(jobs, index, job)
    {
        if (strcmp(member_text(job, "state"), "RUNNING") == 0)
            return json_incref(job);
    }
    return json_incref(json_array_get(jobs, 0));
}

/* The export of this target that has not ended; *out stays NULL where there is none. */
static int job_of_target(struct cli *cli, const char *typed, json_t **out)
{
    struct text path = {0};
    json_t *jobs = NULL;

    text_add(&path, "/v1/jobs?op=target.export&open=true");
    call_query(&path, "target", typed);
    int code = call_list(cli, subject, 100, &jobs, "%s", text_str(&path));
    text_free(&path);
    if (code == 0 && json_array_size(jobs) > 0)
        *out = one_of(jobs);
    json_decref(jobs);
    return code;
}

static bool ended(const json_t *job)
{
    return outcome_exit(member_text(job, "state")) != EXIT_UNSEEN;
}

static int say_how(struct cli *cli, const json_t *job)
{
    const json_t *facts = json_object_get(json_object_get(job, "result"), "facts");
    char age[32];

    if (cli->json)
        return cli_print_json(cli, job), EXIT_DONE;
    if (ended(job)) {
        outcome_print(cli, job, "");
        return EXIT_DONE;
    }
    fprintf(cli->out, "job %.8s exports %s on %s: %s %s for %s", member_text(job, "job_id"), show_target(job),
            member_text(job, "host"), member_text(job, "state"), member_text(job, "phase"),
            show_elapsed(cli, job, "issued_at", age, sizeof age));
    if (*member_text(facts, "clients"))
        fprintf(cli->out, ", connections %s", member_text(facts, "clients"));
    fputc('\n', cli->out);
    export_print(cli->out, job);
    return EXIT_DONE;
}

/* Not where it is read: it is over. */
static int wait_for_end(struct cli *cli, const json_t *job)
{
    json_t *ended_job = NULL;
    int code = job_wait(cli, subject, job, NULL, true, &ended_job, NULL);

    if (code == 0 && cli->json)
        cli_print_json(cli, ended_job);
    if (code == 0)
        code = cli->json ? outcome_code(ended_job) : outcome_print(cli, ended_job, "");
    json_decref(ended_job);
    return code;
}

/* What was asked for is no failure: a cancelled export is one that was cancelled. */
static int tell(struct cli *cli, const struct invocation *invocation, const json_t *job, const char *how)
{
    const char *id = member_text(job, "job_id");
    json_t *answer = NULL;
    char path[96];

    snprintf(path, sizeof path, "/v1/jobs/%s/finish", id);
    json_t *body = json_pack("{s:s, s:s*}", "how", how, "reason", invocation_value(invocation, "reason"));
    int code = call_change(cli, subject, "POST", path, body, invocation_value(invocation, "request-id"), &answer);
    json_decref(body);
    json_decref(answer);
    if (code == 0)
        code = invocation_has(invocation, "no-wait") ? job_finish(cli, subject, job, NULL, true)
                                                     : wait_for_end(cli, job);
    return code == EXIT_DECLINED && strcmp(how, "cancel") == 0 ? EXIT_DONE : code;
}

static int finish(struct cli *cli, const struct invocation *invocation, const json_t *job)
{
    const char *how = invocation_value(invocation, "how"), *id = member_text(job, "job_id");

    if (!how || strcmp(how, "check") == 0)
        return say_how(cli, job);
    if (ended(job))
        return cli_fail(cli, EXIT_FAILED, subject, NULL, "job %.8s has already ended: %s", id,
                        member_text(job, "state"));
    if (!invocation_has(invocation, "dry-run"))
        return tell(cli, invocation, job, how);
    fprintf(cli->out, "job %.8s (%s on %s, %s) would be told to end: %s; nothing has been changed.\n", id,
            show_target(job), member_text(job, "host"), member_text(job, "state"),
            strcmp(how, "done") == 0 ? "its checkpoint stays" : "nothing of it stays");
    return EXIT_DONE;
}

int run_export_finish(struct cli *cli, const struct invocation *invocation)
{
    const char *typed = invocation_argument(invocation, "TARGET|JOB");
    json_t *job = typed ? job_named(cli, typed) : NULL;
    int code = typed && !job ? job_of_target(cli, typed, &job) : 0;

    if (code == 0)
        code = job ? finish(cli, invocation, job) : run_job_command(cli, invocation);
    json_decref(job);
    return code;
}
