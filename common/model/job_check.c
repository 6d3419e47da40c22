/*
 * What a table of fields cannot say. The coordinator asks before it submits, the worker again before it plans: neither takes the other's word, because
 * from here on names and paths go into XML, paths and commands.
 */
#include "model/job_check.h"

#include "base/err.h"
#include "base/uuid.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define HOUR_MS (3600LL * 1000)

static const int64_t deadline_max_ms = 14 * 24 * HOUR_MS; /* as long as the topic keeps a job */

int check_wrong(struct err *err, const char *field, const char *format, ...)
{
    char text[384];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return err_set(err, ERR_PERMANENT, "%s: %s", field, text);
}

int check_contradiction(struct err *err, const char *a, const char *b, const char *why)
{
    return err_set(err, ERR_PERMANENT, "params: %s and %s exclude each other: %s", a, b, why);
}

int check_path(const char *field, const char *path, struct err *err)
{
    if (!path)
        return 0;
    if (*path != '/')
        return check_wrong(err, field, "must be an absolute path");
    if (strnlen(path, 4096) >= 4096 || !text_printable(path, false))
        return check_wrong(err, field, "is too long or has control characters");
    for (const char *at = strstr(path, "/.."); at; at = strstr(at + 1, "/.."))
        if (at[3] == '/' || at[3] == '\0')
            return check_wrong(err, field, "must not have \"..\" in it");
    return 0;
}

int check_uuid(const char *field, const char *text, struct err *err)
{
    return uuid_valid(text) ? 0 : check_wrong(err, field, "must be a UUID in lower case");
}

int check_text(const char *field, const char *text, bool lines, struct err *err)
{
    if (text && !text_printable(text, lines))
        return check_wrong(err, field, "has control characters or is not UTF-8");
    return 0;
}

int check_range(const char *field, int64_t value, int64_t min, int64_t max, struct err *err)
{
    if (value < min || value > max)
        return check_wrong(err, field, "must be between %lld and %lld", (long long)min, (long long)max);
    return 0;
}

/* A target dev such as "vda" or "sdb1"; nothing that could be read as a path or an option. */
bool check_disk_name(const char *name)
{
    return name_valid_plain(name);
}

int check_disk_names(const char *field, const struct strings *names, struct err *err)
{
    for (size_t i = 0; i < names->count; i++)
        if (!check_disk_name(names->items[i]))
            return check_wrong(err, field, "\"%.64s\" cannot be the name of a disk", names->items[i]);
    return 0;
}

int check_disk_choice(const struct strings *include, const struct strings *exclude, struct err *err)
{
    if (check_disk_names("params.include", include, err) < 0 || check_disk_names("params.exclude", exclude, err) < 0)
        return -1;
    for (size_t i = 0; i < include->count; i++)
        if (strings_have(exclude, include->items[i]))
            return check_wrong(err, "params.exclude", "%s is also included", include->items[i]);
    return 0;
}

/* What each kind of target can be asked for. "null" has no effects, so it takes all. */
static bool op_fits_target(enum op op, const char *kind)
{
    bool domain = strcmp(kind, "libvirt") == 0;
    bool canister = strcmp(kind, "canister") == 0;
    bool repository = strcmp(kind, "repository") == 0;

    switch (op) {
    case OP_NOOP: return false;
    case OP_SNAPSHOT_CREATE:
    case OP_SNAPSHOT_LIST:
    case OP_SNAPSHOT_SHOW:
    case OP_SNAPSHOT_REVERT:
    case OP_SNAPSHOT_DELETE:
    case OP_BACKUP_CREATE:
    case OP_BACKUP_COPY:
    case OP_BACKUP_RESTORE: return domain || canister;
    case OP_TARGET_RETIRE:
    case OP_TARGET_EXPORT:
    case OP_TARGET_EXPORT_FINISH:
    case OP_JOB_UNDO: return domain;
    case OP_BACKUP_VERIFY:
    case OP_BACKUP_DELETE: return domain || canister || repository;
    case OP_REPOSITORY_INIT:
    case OP_REPOSITORY_CHECK:
    case OP_REPOSITORY_CLEAN:
    case OP_REPOSITORY_IMPORT:
    case OP_REPOSITORY_REMOVE: return repository;
    case OP_NONE:
    case OP_COUNT: break;
    }
    return false;
}

static int check_address(const struct job *job, struct err *err)
{
    if (check_uuid("job_id", job->job_id, err) < 0)
        return -1;
    if (job->op <= OP_NONE || job->op >= OP_COUNT)
        return check_wrong(err, "op", "is unknown");
    if (!target_valid(&job->target))
        return check_wrong(err, "target", "is none: libvirt:<uuid>, canister:<principal> or repository:<uuid>");
    if (strcmp(job->target.kind, "null") != 0 && !op_fits_target((enum op)job->op, job->target.kind))
        return check_wrong(err, "op", "%s cannot be asked of a %s target", op_names[job->op], job->target.kind);
    if (!name_valid_host(job->host))
        return check_wrong(err, "host", "is not the name of a host");
    return 0;
}

static int check_times(const struct job *job, struct err *err)
{
    if (job->issued_at_ms <= 0)
        return check_wrong(err, "issued_at", "is missing");
    if (job->deadline_ms <= job->issued_at_ms)
        return check_wrong(err, "deadline", "must be after issued_at");
    if (job->deadline_ms - job->issued_at_ms > deadline_max_ms)
        return check_wrong(err, "deadline", "must be within 14 days of issued_at");
    if (job->not_before_ms < 0 || job->not_before_ms >= job->deadline_ms)
        return check_wrong(err, "not_before", "must be before the deadline");
    if (job->start_by_ms < 0 || job->start_by_ms > job->deadline_ms)
        return check_wrong(err, "start_by", "must not be after the deadline");
    if (job->start_by_ms && (job->start_by_ms < job->issued_at_ms || job->start_by_ms < job->not_before_ms))
        return check_wrong(err, "start_by", "must not be before issued_at and not_before");
    return job->slot_ms < 0 ? check_wrong(err, "slot", "is before 1970") : 0;
}

static int check_limits(const struct job *job, struct err *err)
{
    if (check_range("priority", job->priority, 0, 9, err) < 0)
        return -1;
    if (check_range("max_attempts", job->max_attempts, 1, 100, err) < 0)
        return -1;
    return check_range("backoff_ms", job->backoff_ms, 0, 24 * HOUR_MS, err);
}

static int check_words(const struct job *job, struct err *err)
{
    const struct {
        const char *name;
        const char *text;
    } words[] = {
        {"policy", job->policy},
        {"run", job->run},
        {"group", job->group},
        {"deploy_id", job->deploy_id},
        {"request_id", job->request_id},
        {"schedule", job->schedule},
        {"requested_by", job->requested_by},
        {"traceparent", job->traceparent},
    };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (check_text(words[i].name, words[i].text, false, err) < 0)
            return -1;
    if (job->replaces && check_uuid("replaces", job->replaces, err) < 0)
        return -1;
    return check_text("reason", job->reason, true, err);
}

/* Two machines at least would be usual; one is a group, too. */
static int check_group(const struct job *job, struct err *err)
{
    if (!job->group && !job->group_members && !job->group_limit_ms)
        return 0;
    if (!job->group || !*job->group)
        return check_wrong(err, "group", "is missing, but it has members or a limit");
    if (job->op != OP_SNAPSHOT_CREATE && job->op != OP_BACKUP_CREATE)
        return check_wrong(err, "group", "only snapshot.create and backup.create can be done in a consistency group");
    if (check_range("group_members", job->group_members, 1, GROUP_MEMBERS_MAX, err) < 0)
        return -1;
    return check_range("group_limit_ms", job->group_limit_ms, GROUP_LIMIT_MIN_MS, GROUP_LIMIT_MAX_MS, err);
}

static int check_digest(const char *field, const char *digest, struct err *err)
{
    if (digest && (strlen(digest) != 64 || strspn(digest, "0123456789abcdef") != 64))
        return check_wrong(err, field, "must be 64 hex digits");
    return 0;
}

static int check_expect(const struct job_expect *expect, struct err *err)
{
    if (!expect)
        return 0;
    if (check_digest("expect.definition", expect->definition, err) < 0)
        return -1;
    if (check_text("expect.current_snapshot", expect->current_snapshot, false, err) < 0)
        return -1;
    for (size_t i = 0; i < expect->disks.count; i++)
        if (check_text("expect.disks", expect->disks.items[i], false, err) < 0)
            return -1;
    return 0;
}

static int check_noop(const struct params_noop *params, struct err *err)
{
    static const char *const outcomes[] = {"", "permanent", "retry", "unknown", NULL};

    if (params->fail && name_index(outcomes, params->fail) < 0)
        return check_wrong(err, "params.fail", "must be permanent, retry or unknown");
    return check_range("params.spin_us", params->spin_us, 0, 60 * 1000 * 1000, err);
}

static int check_finish(const struct params_target_export_finish *params, struct err *err)
{
    return params->job ? check_uuid("params.job", params->job, err) : 0;
}

static int check_params(const struct job *job, struct err *err)
{
    const void *params = job->params;

    switch ((enum op)job->op) {
    case OP_NOOP: return check_noop(params, err);
    case OP_SNAPSHOT_CREATE: return check_snapshot_create(params, err);
    case OP_SNAPSHOT_SHOW: return check_snapshot_show(params, err);
    case OP_SNAPSHOT_REVERT: return check_snapshot_revert(params, err);
    case OP_SNAPSHOT_DELETE: return check_snapshot_delete(params, err);
    case OP_BACKUP_CREATE: return check_backup_create(params, err);
    case OP_BACKUP_RESTORE: return check_backup_restore(job, params, err);
    case OP_BACKUP_VERIFY: return check_backup_verify(params, err);
    case OP_BACKUP_DELETE: return check_backup_delete(params, err);
    case OP_REPOSITORY_INIT: return check_repository_init(params, err);
    case OP_REPOSITORY_CHECK:
    case OP_REPOSITORY_IMPORT:
    case OP_REPOSITORY_REMOVE: return check_repository_job(job, err);
    case OP_REPOSITORY_CLEAN: return check_repository_clean(job, params, err);
    case OP_BACKUP_COPY: return check_backup_copy(params, err);
    case OP_TARGET_RETIRE: return check_target_retire(params, err);
    case OP_JOB_UNDO: return check_uuid("params.job", ((const struct params_job_undo *)params)->job, err);
    case OP_TARGET_EXPORT: return check_target_export(params, err);
    case OP_TARGET_EXPORT_FINISH: return check_finish(params, err);
    case OP_SNAPSHOT_LIST: return 0;
    case OP_NONE:
    case OP_COUNT: break;
    }
    return check_wrong(err, "op", "is unknown");
}

int job_check(const struct job *job, struct err *err)
{
    if (check_address(job, err) < 0 || check_times(job, err) < 0 || check_limits(job, err) < 0)
        return -1;
    if (check_words(job, err) < 0 || check_group(job, err) < 0 || check_digest("plan_digest", job->plan_digest, err) < 0)
        return -1;
    if (check_expect(job->expect, err) < 0)
        return -1;
    if (!job->params)
        return check_wrong(err, "params", "are missing");
    return check_params(job, err);
}
