/*
 * What a person leaves open, filled in before the job is made: which machine a name means, which host has it, which repository, which restore point an id begins. After
 * this the worker has nothing to guess, and what was asked is written out in the ledger.
 */
#include "base/err.h"
#include "base/parse.h"
#include "base/uuid.h"
#include "coordinator/api/submit.h"
#include "model/target.h"

#include <stdio.h>
#include <string.h>

static int usage(struct submission *submission, const char *subject, const char *text)
{
    api_problem(submission->response, 400, "usage", subject, NULL, "%s: %s", subject, text);
    return -1;
}

static int set_text(struct submission *submission, json_t *object, const char *member, const char *value)
{
    if (json_object_set_new(object, member, json_string(value)) == 0)
        return 0;
    return api_problem(submission->response, 503, "retry", member, NULL, "out of memory"), -1;
}

/* "name" with host "alpha" is "alpha/name"; other forms say their place themselves. */
static int resolve(struct submission *submission, struct api_target *out)
{
    const char *text = submission->target;
    CLEANUP(freep) char *full = NULL;

    if (!text || !*text)
        return usage(submission, "target", "is missing");
    if (submission->host && !strchr(text, '/') && !strchr(text, ':')) {
        if (asprintf(&full, "%s/%s", submission->host, text) < 0)
            return usage(submission, "target", "out of memory");
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

static int prepare_target(struct submission *submission)
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
        return prepare_target(submission);
    if (!submission->host)
        return usage(submission, "host", "is missing");
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
static const char *asked_repository(const struct submission *submission)
{
    const json_t *value = json_object_get(submission->params, "repository");

    if (json_is_string(value))
        return json_string_value(value);
    return json_text(value, "id") ? json_text(value, "id") : json_text(value, "name");
}

static int set_repository(struct submission *submission, const struct api_repository *repository)
{
    json_t *value = json_pack("{s:s?, s:s?, s:s?}", "id", repository->id, "name", repository->name, "path",
                              repository->path);

    if (value && json_object_set_new(submission->params, "repository", value) == 0)
        return 0;
    return usage(submission, "repository", "out of memory");
}

static int fill_repository(struct submission *submission, const char *text, const char *host)
{
    struct api_repository repository = {0};

    if (api_resolve_repository(submission->request, submission->response, text, host, &repository) < 0)
        return -1;
    int result = set_repository(submission, &repository);
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

/* The beginning of a restore point's id becomes the whole. */
static int complete_id(struct submission *submission, const char *member)
{
    const char *prefix = json_text(submission->params, member);
    char id[UUID_TEXT];

    if (!prefix || uuid_valid(prefix))
        return 0;
    if (api_resolve_id(submission->request, submission->response, "point", prefix, id) < 0)
        return -1;
    return set_text(submission, submission->params, member, id);
}

static int prepare_backup_create(struct submission *submission)
{
    char fallback[256];
    const char *asked = asked_repository(submission);

    if (prepare_target(submission) < 0 || complete_id(submission, "parent") < 0)
        return -1;
    if (!asked) {
        default_repository(submission, fallback, sizeof fallback);
        asked = *fallback ? fallback : NULL;
    }
    return fill_repository(submission, asked, submission->job.host);
}

/* params.point, or params.at with a target: "latest" or a time. */
static int find_point(struct submission *submission, json_t **out)
{
    const char *prefix = json_text(submission->params, "point");
    const char *at = json_text(submission->params, "at");
    char text[TARGET_TEXT];
    int64_t at_ms = 0;
    struct err err = {0};

    if (prefix)
        return api_resolve_point(submission->request, submission->response, prefix, out);
    if (!at)
        return usage(submission, "params.point", "is missing; or say at: latest or a time, with a target");
    if (strcmp(at, "latest") != 0 && parse_time(at, &at_ms, &err) < 0)
        return api_usage(submission->response, "params.at", &err), -1;
    if (!submission->target)
        return usage(submission, "target", "is missing");
    if (api_resolve_source(submission->request, submission->response, submission->target, text) < 0)
        return -1;
    return api_resolve_latest(submission->request, submission->response, text, at_ms, out);
}

static int require_backup(struct submission *submission, const json_t *point)
{
    const char *kind = json_text(point, "kind");
    const char *id = json_text(point, "id");

    if (kind && strcmp(kind, "backup") == 0)
        return 0;
    api_problem(submission->response, 422, "permanent", id, "Snapshots: fleetsnap snapshot revert TARGET NAME",
                "%.8s is a %s, not a backup", id ? id : "?", kind ? kind : "?");
    return -1;
}

/* Where the source is now, or NULL: it is gone. Caller frees. */
static char *current_host(struct submission *submission, const json_t *target)
{
    char text[TARGET_TEXT];
    struct view_filter filter = {.target = text, .limit = 1};
    json_t *page = NULL;

    snprintf(text, sizeof text, "%s:%s", json_text(target, "kind"), json_text(target, "id"));
    if (view_targets(submission->request->reader, &filter, &page, NULL) < 0)
        return NULL;
    const char *host = json_text(json_array_get(json_object_get(page, "items"), 0), "host");
    char *copy = host ? strdup(host) : NULL;
    json_decref(page);
    return copy;
}

static int resolve_on(struct submission *submission, const char *repository, const char *host,
                      struct api_repository *out)
{
    struct api_response ignored = {0};

    int result = api_resolve_repository(submission->request, &ignored, repository, host, out);
    api_response_clear(&ignored);
    return result;
}

/*
 * Where a job on a backup runs: where it was asked to; else where the machine is now, else where the backup was made, else anywhere that has the repository.
 */
static int place_point_job(struct submission *submission, const json_t *point, const char *now_on,
                           struct api_repository *out)
{
    const char *repository = json_text(point, "repository");
    const char *places[] = {submission->host, now_on, json_text(point, "host")};

    if (submission->host)
        return api_resolve_repository(submission->request, submission->response, repository, submission->host, out);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (places[i] && resolve_on(submission, repository, places[i], out) == 0)
            return 0;
    return api_resolve_repository(submission->request, submission->response, repository, NULL, out);
}

static int point_job(struct submission *submission, const json_t *point)
{
    const json_t *target = json_object_get(point, "target");
    CLEANUP(freep) char *now_on = current_host(submission, target);
    struct api_repository repository = {0};

    if (place_point_job(submission, point, now_on, &repository) < 0)
        return -1;
    int result = set_repository(submission, &repository);
    if (result == 0)
        result = submission_target(submission, json_text(target, "kind"), json_text(target, "id"),
                                   json_text(target, "name"), repository.host);
    api_repository_clear(&repository);
    return result < 0 ? result : set_text(submission, submission->params, "point", json_text(point, "id"));
}

static int prepare_point(struct submission *submission)
{
    json_t *point = NULL;

    if (find_point(submission, &point) < 0)
        return -1;
    int result = require_backup(submission, point) < 0 ? -1 : point_job(submission, point);
    json_decref(point);
    json_object_del(submission->params, "at");
    return result;
}

/* The new domain's UUID: the same for a repeated request, else random. */
static void new_uuid(const struct submission *submission, char out[UUID_TEXT])
{
    const struct api_request *request = submission->request;
    const char *parts[] = {"restore", request->caller.token, request->idempotency_key, NULL};

    if (request->idempotency_key)
        uuid_derive(out, parts);
    else
        uuid_random(out);
}

/* A machine of that name that is not the one that this request made before. */
static int name_is_free(struct submission *submission, const char *host, const char *name, const char *id)
{
    char text[512];
    json_t *found = NULL, *similar = NULL;
    struct err err = {0};

    snprintf(text, sizeof text, "%s/%s", host, name);
    if (view_resolve(submission->request->reader, text, &found, &similar, &err) < 0)
        return api_problem_err(submission->response, name, &err), -1;
    const char *existing = json_text(json_array_get(found, 0), "id");
    int result = 0;
    if (existing && strcmp(existing, id) != 0) {
        api_problem(submission->response, 409, "conflict", name, "Choose another name with --as",
                    "host %s already has a machine named %s", host, name);
        result = -1;
    }
    json_decref(found);
    json_decref(similar);
    return result;
}

static int restore_to_new(struct submission *submission, const char *name)
{
    char id[UUID_TEXT];

    if (!name_valid_domain(name))
        return usage(submission, "params.new_name", "is no name for a machine");
    new_uuid(submission, id);
    if (name_is_free(submission, submission->job.host, name, id) < 0)
        return -1;
    CLEANUP(freep) char *host = strdup(submission->job.host);
    return submission_target(submission, "libvirt", id, name, host);
}

static int restore_in_place(struct submission *submission, const json_t *point)
{
    CLEANUP(freep) char *now_on = current_host(submission, json_object_get(point, "target"));
    const char *name = json_text(json_object_get(point, "target"), "name");

    if (now_on && strcmp(now_on, submission->job.host) == 0)
        return 0;
    if (now_on)
        api_problem(submission->response, 409, "conflict", name, NULL,
                    "%s is on host %s, and the repository is not there", name, now_on);
    else
        api_problem(submission->response, 422, "permanent", name, "Restore it to a new machine: --as NAME",
                    "%s does not exist any more, so it cannot be restored in place", name);
    return -1;
}

static int prepare_restore(struct submission *submission)
{
    const char *name = json_text(submission->params, "new_name");
    bool in_place = json_is_true(json_object_get(submission->params, "in_place"));
    json_t *point = NULL;

    if (!name == !in_place)
        return usage(submission, "params", "say either new_name (to a new machine) or in_place");
    if (find_point(submission, &point) < 0)
        return -1;
    int result = require_backup(submission, point) < 0 ? -1 : point_job(submission, point);
    if (result == 0)
        result = set_text(submission, submission->params, "source", json_text(json_object_get(point, "target"), "id"));
    if (result == 0)
        result = name ? restore_to_new(submission, name) : restore_in_place(submission, point);
    json_decref(point);
    json_object_del(submission->params, "at");
    return result;
}

/* Both repositories must be on one host; where the copy goes is said by name. */
static int prepare_copy(struct submission *submission)
{
    const json_t *value = json_object_get(submission->params, "to");
    const char *to = json_is_string(value) ? json_string_value(value) : json_text(value, "id");
    struct api_repository repository = {0};
    CLEANUP(freep) char *asked = to ? strdup(to) : NULL;

    if (!asked)
        return usage(submission, "params.to", "is missing: the repository that gets the copy");
    if (prepare_point(submission) < 0 ||
        api_resolve_repository(submission->request, submission->response, asked, submission->job.host, &repository) < 0)
        return -1;
    json_t *object = json_pack("{s:s?, s:s?, s:s?}", "id", repository.id, "name", repository.name, "path",
                               repository.path);
    api_repository_clear(&repository);
    return json_object_set_new(submission->params, "to", object) == 0 ? 0 : usage(submission, "to", "out of memory");
}

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
        return fill_repository(submission, ids.items[0], submission->job.host);
    if (ids.count == 0) {
        json_object_del(submission->params, "really_last");
        return set_text(submission, submission->params, "backups", "keep");
    }
    api_problem(submission->response, 422, "permanent", name,
                "Say whose go with --repository; the others: fleetsnap backup delete BACKUP --all",
                "%s has backups in %zu repositories", name, ids.count);
    return -1;
}

static int prepare_retire(struct submission *submission)
{
    const char *backups = json_text(submission->params, "backups");
    CLEANUP(freep) char *asked = asked_repository(submission) ? strdup(asked_repository(submission)) : NULL;

    if (prepare_target(submission) < 0)
        return -1;
    if (!backups || strcmp(backups, "delete") != 0)
        return asked ? usage(submission, "params.repository", "is for backups=delete") : 0;
    return asked ? fill_repository(submission, asked, submission->job.host) : only_repository(submission);
}

/* ---- jobs on a repository itself ---- */

static int prepare_repository(struct submission *submission)
{
    const char *asked = asked_repository(submission);
    struct api_repository repository = {0};

    if (!asked)
        return usage(submission, "params.repository", "is missing");
    if (!api_scope_is_all(submission->request, submission->response) ||
        api_resolve_repository(submission->request, submission->response, asked, submission->host, &repository) < 0)
        return -1;
    int result = set_repository(submission, &repository);
    if (result == 0)
        result = submission_target(submission, "repository", repository.id, repository.name, repository.host);
    api_repository_clear(&repository);
    return result;
}

/* What may be taken away is for the ledger to say, not for whoever asks. */
static int prepare_clean(struct submission *submission)
{
    CLEANUP(strings_clear) struct strings ended = {0};
    json_t *ids = json_array();
    bool deletes_ended;
    struct err err = {0};

    if (json_object_get(submission->params, "ended") || json_object_get(submission->params, "deletes_ended"))
        return json_decref(ids), usage(submission, "params", "ended and deletes_ended are filled in by the coordinator");
    if (prepare_repository(submission) < 0)
        return json_decref(ids), -1;
    if (coordinator_ended_jobs(submission->request->context->coordinator, submission->job.target.id, CLEAN_JOBS_MAX,
                               &ended, &deletes_ended, &err) < 0)
        return json_decref(ids), api_problem_err(submission->response, submission->job.target.name, &err), -1;
    for (size_t i = 0; i < ended.count; i++)
        json_array_append_new(ids, json_string(ended.items[i]));
    json_object_set_new(submission->params, "deletes_ended", json_boolean(deletes_ended));
    return json_object_set_new(submission->params, "ended", ids) < 0 ? usage(submission, "ended", "out of memory") : 0;
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

static int prepare_remove(struct submission *submission)
{
    return prepare_repository(submission) < 0 ? -1 : refuse_used(submission);
}

int submission_prepare(struct submission *submission)
{
    switch ((enum op)submission->job.op) {
    case OP_NOOP: return prepare_noop(submission);
    case OP_SNAPSHOT_CREATE:
    case OP_SNAPSHOT_LIST:
    case OP_SNAPSHOT_SHOW:
    case OP_SNAPSHOT_REVERT:
    case OP_SNAPSHOT_DELETE: return prepare_target(submission);
    case OP_BACKUP_CREATE: return prepare_backup_create(submission);
    case OP_BACKUP_VERIFY:
    case OP_BACKUP_DELETE: return prepare_point(submission);
    case OP_BACKUP_RESTORE: return prepare_restore(submission);
    case OP_REPOSITORY_CHECK:
    case OP_REPOSITORY_IMPORT: return prepare_repository(submission);
    case OP_REPOSITORY_CLEAN: return prepare_clean(submission);
    case OP_REPOSITORY_REMOVE: return prepare_remove(submission);
    case OP_BACKUP_COPY: return prepare_copy(submission);
    case OP_TARGET_RETIRE: return prepare_retire(submission);
    case OP_JOB_UNDO: return submission_prepare_undo(submission);
    case OP_TARGET_EXPORT: return prepare_target(submission) < 0 ? -1 : submission_prepare_export(submission);
    case OP_TARGET_EXPORT_FINISH:
        return prepare_target(submission) < 0 ? -1 : submission_prepare_export_finish(submission);
    case OP_REPOSITORY_INIT:
    case OP_NONE:
    case OP_COUNT: break;
    }
    return usage(submission, "op", "is not possible here");
}
