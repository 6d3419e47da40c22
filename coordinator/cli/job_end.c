/* The end of a job that was accepted: waiting for it, going away from it, saying how it was. */
#include "coordinator/cli/job_end.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/text.h"
#include "base/uuid.h"
#include "coordinator/cli/call.h"
#include "coordinator/cli/http.h"
#include "coordinator/cli/outcome.h"
#include "coordinator/cli/wait.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { REPORTED_MS = 1000, UNLISTED_MS = 5000 };

int job_fetch(struct cli *cli, const char *subject, const char *job_id, json_t **out)
{
    return call_get(cli, subject, out, "/v1/jobs/%s", job_id);
}

static const char *shown_target(const json_t *accepted)
{
    const json_t *target = json_object_get(accepted, "target");

    return *member_text(target, "name") ? member_text(target, "name") : member_text(target, "id");
}

static bool may_still_cancel(const json_t *accepted, const struct progress *progress)
{
    return strcmp(member_text(accepted, "class"), "C") == 0 && !progress->class_c_begun;
}

/* True: it was asked. Without a word: it may have ended just now. */
static bool ask_to_cancel(struct cli *cli, const char *id, const char *reason)
{
    char path[128], key[UUID_TEXT];
    json_t *body = json_pack("{s:s}", "reason", reason);
    struct http_answer answer = {0};

    uuid_random(key);
    snprintf(path, sizeof path, "/v1/jobs/%s/cancel", id);
    bool asked = http_request(cli_http(cli), "POST", path, body, key, &answer, NULL) == 0 && answer.status == 202;
    http_answer_clear(&answer);
    json_decref(body);
    return asked;
}

static int detach(struct cli *cli, const json_t *accepted, const struct progress *progress)
{
    const char *id = member_text(accepted, "job_id");

    if (member_true(accepted, "dry_run")) { /* nobody waits for it any more */
        ask_to_cancel(cli, id, "nobody waits for the answer");
        fprintf(cli->err, "stopped; nothing was changed.\n");
        return EXIT_DECLINED;
    }
    if (may_still_cancel(accepted, progress)) {
        if (ask_to_cancel(cli, id, "interrupted before anything was taken away"))
            fprintf(cli->err,
                    "detached, and the job was asked to cancel: nothing was heard of it that takes something away.\n"
                    "fleetsnap job watch %.8s\n",
                    id);
        return EXIT_UNSEEN;
    }
    fprintf(cli->err, "detached; the job goes on.   fleetsnap job watch %.8s     fleetsnap job cancel %.8s\n", id, id);
    return EXIT_UNSEEN;
}

static int not_seen(struct cli *cli, const json_t *accepted, enum wait_outcome outcome, const struct progress *progress)
{
    const char *id = member_text(accepted, "job_id");

    if (outcome == WAIT_DETACHED)
        return detach(cli, accepted, progress);
    if (outcome == WAIT_LOST)
        return cli_fail(cli, EXIT_UNKNOWN, shown_target(accepted),
                        "When the host is back its job ends by itself: fleetsnap job watch",
                        "host %s is silent; whether job %.8s has done anything is not known", progress->host, id);
    return cli_fail(cli, EXIT_UNSEEN, shown_target(accepted), "fleetsnap job watch",
                    "job %s was submitted, its end was not seen", id);
}

static int wait_until(struct cli *cli, const char *subject, const json_t *accepted, json_t *plan, bool quiet,
                      bool until_exported, json_t **out_job, char **out_phases)
{
    struct progress progress;
    const char *id = member_text(accepted, "job_id");

    progress_begin(&progress, shown_target(accepted), member_text(accepted, "host"), member_text(accepted, "op"),
                   clock_monotonic_ms());
    progress.steps = plan ? json_object_get(json_object_get(plan, "result"), "steps") : NULL;
    progress.until_exported = until_exported;
    cli_catch_interrupts();
    enum wait_outcome outcome = wait_for_job(cli, id, &progress, quiet);
    int code = outcome == WAIT_ENDED || outcome == WAIT_EXPORTED ? job_fetch(cli, subject, id, out_job)
                                                                 : not_seen(cli, accepted, outcome, &progress);
    if (code == 0 && out_phases)
        *out_phases = strdup(text_str(&progress.phases));
    progress_clear(&progress);
    return code;
}

int job_wait(struct cli *cli, const char *subject, const json_t *accepted, json_t *plan, bool quiet, json_t **out_job,
             char **out_phases)
{
    return wait_until(cli, subject, accepted, plan, quiet, false, out_job, out_phases);
}

int job_wait_exported(struct cli *cli, const char *subject, const json_t *accepted, json_t **out_job)
{
    return wait_until(cli, subject, accepted, NULL, false, true, out_job, NULL);
}

/*
 * What a host says of its machines comes a moment behind the end of a job. Who has made or deleted a snapshot looks at the list in the next line, so wait for the host's
 * word, but not long: it is only a list.
 */
static void wait_until_reported(struct cli *cli, const json_t *job)
{
    const json_t *target = json_object_get(job, "target");
    int64_t until_ms = clock_monotonic_ms() + (cli->retry_ms < REPORTED_MS ? cli->retry_ms : REPORTED_MS);
    bool tells = strncmp(member_text(job, "op"), "snapshot.", 9) == 0 ||
                 strcmp(member_text(job, "op"), "target.retire") == 0;
    bool reported = !tells || member_true(job, "dry_run") || strcmp(member_text(job, "state"), "SUCCEEDED") != 0;
    char path[400];

    snprintf(path, sizeof path, "/v1/targets/%.60s:%.250s", member_text(target, "kind"), member_text(target, "id"));
    while (!reported && !cli_interrupted() && clock_monotonic_ms() < until_ms) {
        struct http_answer answer = {0};
        reported = http_request(cli_http(cli), "GET", path, NULL, NULL, &answer, NULL) < 0 || answer.status != 200 ||
                   member_time(answer.body, "at") >= member_time(job, "ended_at");
        http_answer_clear(&answer);
        if (!reported)
            nanosleep(&(struct timespec){.tv_nsec = 30 * 1000000L}, NULL);
    }
}

/* The same for a repository that was taken out of the fleet: its host stops telling of it. */
static void wait_until_unlisted(struct cli *cli, const json_t *job)
{
    int64_t until_ms = clock_monotonic_ms() + UNLISTED_MS;
    bool gone = strcmp(member_text(job, "op"), "repository.remove") != 0 || member_true(job, "dry_run") ||
                strcmp(member_text(job, "state"), "SUCCEEDED") != 0;
    char path[128];

    snprintf(path, sizeof path, "/v1/repositories/%.60s", member_text(json_object_get(job, "target"), "id"));
    while (!gone && !cli_interrupted() && clock_monotonic_ms() < until_ms) {
        struct http_answer answer = {0};
        gone = http_request(cli_http(cli), "GET", path, NULL, NULL, &answer, NULL) < 0 || answer.status == 404;
        http_answer_clear(&answer);
        if (!gone)
            nanosleep(&(struct timespec){.tv_nsec = 50 * 1000000L}, NULL);
    }
}

int job_finish(struct cli *cli, const char *subject, const json_t *accepted, json_t *plan, bool no_wait)
{
    CLEANUP(freep) char *phases = NULL;
    json_t *job = NULL;

    if (no_wait) {
        if (cli->json)
            cli_print_json(cli, accepted);
        else
            fprintf(cli->out, "%s\n", member_text(accepted, "job_id"));
        return EXIT_DONE;
    }
    int code = job_wait(cli, subject, accepted, plan, false, &job, &phases);
    if (code == 0 && cli->json) {
        code = outcome_code(job);
        cli_print_json(cli, job);
    } else if (code == 0) {
        code = member_true(job, "dry_run") && strcmp(member_text(job, "state"), "SUCCEEDED") == 0
            ? plan_print(cli, cli->out, job),
        EXIT_DONE : outcome_print(cli, job, phases ? phases : "");
        fflush(cli->out);
    }
    if (job) {
        wait_until_reported(cli, job);
        wait_until_unlisted(cli, job);
    }
    json_decref(job);
    return code;
}
