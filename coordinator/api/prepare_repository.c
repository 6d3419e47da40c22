/* Jobs on a repository itself, and target.retire, which takes its backups from one: who uses it, what the ledger lets go. */
#include "base/err.h"
#include "base/uuid.h"
#include "coordinator/api/submit.h"
#include "model/target.h"

#include <stdio.h>
#include <string.h>

/* ---- target.retire ---- */

/* The repositories that hold backups of the target; -1: the view does not answer. */
static int backups_in(struct submission *submission, struct strings *out, struct err *err)
{
    char text[TARGET_TEXT];
    struct view_filter filter = {.target = target_format(&submission->job.target, text), .kind = "backup"};
    json_t *page = NULL, *point;
    size_t index;
    int result = 0;

    filter.limit = 1000;
    if (view_points(submission->request->reader, &filter, &page, err) < 0)
        return -1;
    json_array_foreach(json_object_get(page, "items"), index, point)
    {
        const char *id = json_text(point, "repository");

        if (result == 0 && id && !strings_have(out, id))
            result = strings_add(out, id, err);
    }
    json_decref(page);
    return result;
}

/* Nobody said which: the only one that has backups of the machine. None: there is nothing to delete. */
static int only_repository(struct submission *submission)
{
    CLEANUP(strings_clear) struct strings ids = {0};
    const char *name = submission->job.target.name;
    struct err err = {0};

    if (backups_in(submission, &ids, &err) < 0)
        return api_problem_err(submission->response, name, &err), -1;
    if (ids.count == 1)
        return submission_fill_repository(submission, ids.items[0], submission->job.host);
    if (ids.count == 0) {
        json_object_del(submission->params, "really_last");
        return submission_set_text(submission, submission->params, "backups", "keep");
    }
    api_problem(submission->response, 422, "permanent", name,
                "Say whose go with --repository; the others: fleetsnap backup delete BACKUP --all",
                "%s has backups in %zu repositories", name, ids.count);
    return -1;
}

int submission_prepare_retire(struct submission *submission)
{
    const char *backups = json_text(submission->params, "backups");
    CLEANUP(freep)
    char *asked = submission_asked_repository(submission) ? strdup(submission_asked_repository(submission)) : NULL;

    if (submission_prepare_target(submission) < 0)
        return -1;
    if (!backups || strcmp(backups, "delete") != 0)
        return asked ? submission_usage(submission, "params.repository", "is for backups=delete") : 0;
    return asked ? submission_fill_repository(submission, asked, submission->job.host) : only_repository(submission);
}

/* ---- jobs on a repository itself ---- */

int submission_prepare_repository(struct submission *submission)
{
    const char *asked = submission_asked_repository(submission);
    struct api_repository repository = {0};

    if (!asked)
        return submission_usage(submission, "params.repository", "is missing");
    if (!api_scope_is_all(submission->request, submission->response) ||
        api_resolve_repository(submission->request, submission->response, asked, submission->host, &repository) < 0)
        return -1;
    int result = submission_set_repository(submission, &repository);
    if (result == 0)
        result = submission_target(submission, "repository", repository.id, repository.name, repository.host);
    api_repository_clear(&repository);
    return result;
}

/* What may be taken away is for the ledger to say, not for whoever asks. */
int submission_prepare_clean(struct submission *submission)
{
    CLEANUP(strings_clear) struct strings ended = {0};
    json_t *ids = json_array();
    bool deletes_ended;
    struct err err = {0};

    if (json_object_get(submission->params, "ended") || json_object_get(submission->params, "deletes_ended"))
        return json_decref(ids),
               submission_usage(submission, "params", "ended and deletes_ended are filled in by the coordinator");
    if (submission_prepare_repository(submission) < 0)
        return json_decref(ids), -1;
    if (coordinator_ended_jobs(submission->request->context->coordinator, submission->job.target.id, CLEAN_JOBS_MAX,
                               &ended, &deletes_ended, &err) < 0)
        return json_decref(ids), api_problem_err(submission->response, submission->job.target.name, &err), -1;
    for (size_t i = 0; i < ended.count; i++)
        json_array_append_new(ids, json_string(ended.items[i]));
    json_object_set_new(submission->params, "deletes_ended", json_boolean(deletes_ended));
    return json_object_set_new(submission->params, "ended", ids) < 0
               ? submission_usage(submission, "ended", "out of memory")
               : 0;
}

/* How many jobs use the repository, and the id of one of them; -1: the view does not answer. A look at it (dry run) is no use. */
static int count_users(struct submission *submission, const struct view_filter *filter, char first[UUID_TEXT],
                       struct err *err)
{
    json_t *page = NULL, *job;
    size_t index;
    int used = 0;

    if (view_jobs(submission->request->reader, filter, &page, err) < 0)
        return -1;
    json_array_foreach(json_object_get(page, "items"), index, job)
    {
        if (json_is_true(json_object_get(job, "dry_run")) || json_text(job, "resolved"))
            continue;
        used++;
        snprintf(first, UUID_TEXT, "%s", json_text(job, "job_id") ? json_text(job, "job_id") : "?");
    }
    json_decref(page);
    return used;
}

static int refuse_used(struct submission *submission)
{
    const char *name = submission->job.target.name;
    struct view_filter open = {.repository = submission->job.target.id, .open_only = true, .limit = 100};
    struct view_filter parked = {.repository = submission->job.target.id, .state = "PARKED", .limit = 100};
    char job[UUID_TEXT] = "";
    struct err err = {0};
    int used = count_users(submission, &open, job, &err);
    int unknown = used < 0 ? -1 : count_users(submission, &parked, job, &err);

    if (unknown < 0)
        return api_problem_err(submission->response, name, &err), -1;
    if (used + unknown == 0)
        return 0;
    api_problem(submission->response, 409, "conflict", name,
                unknown ? "Say how it ended: fleetsnap job resolve" : "Wait for it, or fleetsnap job cancel",
                "%d job%s use%s repository %s, or may have: %.8s%s", used + unknown, used + unknown == 1 ? "" : "s",
                used + unknown == 1 ? "s" : "", name, job, used + unknown == 1 ? "" : " and others");
    return -1;
}

int submission_prepare_remove(struct submission *submission)
{
    return submission_prepare_repository(submission) < 0 ? -1 : refuse_used(submission);
}
