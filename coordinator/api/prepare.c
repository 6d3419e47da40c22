/*
 * What a person leaves open, filled in before the job is made: which machine a name means, which host has it, which repository, which restore point an id begins. After
 * this the worker has nothing to guess, and what was asked is written out in the ledger.
 */
#include "base/err.h"
#include "base/uuid.h"
#include "coordinator/api/submit.h"
#include "model/target.h"

#include <stdio.h>
#include <string.h>

int submission_usage(struct submission *submission, const char *subject, const char *text)
{
    api_problem(submission->response, 400, "usage", subject, NULL, "%s: %s", subject, text);
    return -1;
}

int submission_set_text(struct submission *submission, json_t *object, const char *member, const char *value)
{
    if (json_object_set_new(object, member, json_string(value)) == 0)
        return 0;
    return api_problem(submission->response, 503, "retry", member, NULL, "out of memory"), -1;
}

int submission_complete_id(struct submission *submission, const char *what, const char *member)
{
    const char *prefix = json_text(submission->params, member);
    char id[UUID_TEXT];

    if (!prefix || uuid_valid(prefix))
        return 0;
    if (api_resolve_id(submission->request, submission->response, what, prefix, id) < 0)
        return -1;
    return submission_set_text(submission, submission->params, member, id);
}

/* "name" with host "alpha" is "alpha/name"; other forms say their place themselves. */
static int resolve(struct submission *submission, struct api_target *out)
{
    const char *text = submission->target;
    CLEANUP(freep) char *full = NULL;

    if (!text || !*text)
        return submission_usage(submission, "target", "is missing");
    if (submission->host && !strchr(text, '/') && !strchr(text, ':')) {
        if (asprintf(&full, "%s/%s", submission->host, text) < 0)
            return submission_usage(submission, "target", "out of memory");
        text = full;
    }
    if (api_resolve_target(submission->request, submission->response, text, out) < 0)
        return -1;
    if (!submission->host || (out->host && strcmp(out->host, submission->host) == 0))
        return 0;
    api_problem(submission->response, 409, "conflict", out->name, NULL, "%s is on host %s, not on %s", out->name,
                out->host ? out->host : "none", submission->host);
    api_target_clear(out);
    return -1;
}

int submission_prepare_target(struct submission *submission)
{
    struct api_target target = {0};

    if (resolve(submission, &target) < 0)
        return -1;
    int result = submission_target(submission, target.kind, target.id, target.name, target.host);
    api_target_clear(&target);
    return result;
}

/* The null backend's targets are in no inventory: kind:id and host say all; they have no labels, so no selector includes them. */
static int prepare_noop(struct submission *submission)
{
    struct target target = {0};
    struct err err = {0};

    if (!submission->target || strncmp(submission->target, "null:", 5) != 0)
        return submission_prepare_target(submission);
    if (!submission->host)
        return submission_usage(submission, "host", "is missing");
    if (target_parse(submission->target, &target, &err) < 0)
        return api_usage(submission->response, "target", &err), -1;
    const struct api_target found = {.kind = target.kind, .id = target.id, .name = target.id};
    int result = api_scope_check(submission->request, submission->response, &found);
    if (result == 0)
        result = submission_target(submission, target.kind, target.id, target.id, submission->host);
    record_clear(&target_record, &target);
    return result;
}

/* params.repository as people give it: a text, or an object with id or name; NULL: not given. */
const char *submission_asked_repository(const struct submission *submission)
{
    const json_t *value = json_object_get(submission->params, "repository");

    if (json_is_string(value))
        return json_string_value(value);
    return json_text(value, "id") ? json_text(value, "id") : json_text(value, "name");
}

int submission_set_repository(struct submission *submission, const struct api_repository *repository)
{
    json_t *value = json_pack("{s:s?, s:s?, s:s?}", "id", repository->id, "name", repository->name, "path",
                              repository->path);

    if (value && json_object_set_new(submission->params, "repository", value) == 0)
        return 0;
    return submission_usage(submission, "repository", "out of memory");
}

int submission_fill_repository(struct submission *submission, const char *text, const char *host)
{
    struct api_repository repository = {0};

    if (api_resolve_repository(submission->request, submission->response, text, host, &repository) < 0)
        return -1;
    int result = submission_set_repository(submission, &repository);
    api_repository_clear(&repository);
    return result;
}

/* The target's own default, if it has one; out has room for any name. */
static void default_repository(struct submission *submission, char *out, size_t size)
{
    char text[TARGET_TEXT];
    struct view_filter filter = {.target = target_format(&submission->job.target, text), .limit = 1};
    json_t *page = NULL;

    *out = '\0';
    if (view_targets(submission->request->reader, &filter, &page, NULL) < 0)
        return;
    const char *name = json_text(json_array_get(json_object_get(page, "items"), 0), "default_repository");
    snprintf(out, size, "%s", name ? name : "");
    json_decref(page);
}

static int prepare_backup_create(struct submission *submission)
{
    char fallback[256];
    const char *asked = submission_asked_repository(submission);

    if (submission_prepare_target(submission) < 0 || submission_complete_id(submission, "point", "parent") < 0)
        return -1;
    if (!asked) {
        default_repository(submission, fallback, sizeof fallback);
        asked = *fallback ? fallback : NULL;
    }
    return submission_fill_repository(submission, asked, submission->job.host);
}

int submission_prepare(struct submission *submission)
{
    switch ((enum op)submission->job.op) {
    case OP_NOOP: return prepare_noop(submission);
    case OP_SNAPSHOT_CREATE:
    case OP_SNAPSHOT_LIST:
    case OP_SNAPSHOT_SHOW:
    case OP_SNAPSHOT_REVERT:
    case OP_SNAPSHOT_DELETE: return submission_prepare_target(submission);
    case OP_BACKUP_CREATE: return prepare_backup_create(submission);
    case OP_BACKUP_VERIFY:
    case OP_BACKUP_DELETE: return submission_prepare_point(submission);
    case OP_BACKUP_RESTORE: return submission_prepare_restore(submission);
    case OP_REPOSITORY_CHECK:
    case OP_REPOSITORY_IMPORT: return submission_prepare_repository(submission);
    case OP_REPOSITORY_CLEAN: return submission_prepare_clean(submission);
    case OP_REPOSITORY_REMOVE: return submission_prepare_remove(submission);
    case OP_BACKUP_COPY: return submission_prepare_copy(submission);
    case OP_TARGET_RETIRE: return submission_prepare_retire(submission);
    case OP_JOB_UNDO: return submission_prepare_undo(submission);
    case OP_TARGET_EXPORT:
        return submission_prepare_target(submission) < 0 ? -1 : submission_prepare_export(submission);
    case OP_TARGET_EXPORT_FINISH:
        return submission_prepare_target(submission) < 0 ? -1 : submission_prepare_export_finish(submission);
    case OP_REPOSITORY_INIT:
    case OP_NONE:
    case OP_COUNT: break;
    }
    return submission_usage(submission, "op", "is not possible here");
}
