/* A member of a run and its job: the same id and the same words, whoever makes them. */
#include "coordinator/plan.h"

#include "base/err.h"
#include "base/parse.h"
#include "base/uuid.h"
#include "model/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t JOB_TIME_MS = 24LL * 3600 * 1000; /* a job of a policy that has not ended by then is given up */

/* ---- ids ---- */

void plan_run_id(const struct run *run, char out[UUID_TEXT])
{
    char slot[32];
    const char *parts[] = {"run", run->policy, run->schedule, slot, NULL};

    snprintf(slot, sizeof slot, "%lld", (long long)run->slot_ms);
    uuid_derive(out, parts);
}

void plan_job_id(const struct run *run, const struct run_member *member, char out[UUID_TEXT])
{
    char slot[32], retarget[32];
    const char *parts[] = {"policy", run->policy, run->schedule, member->target, member->point ? member->point : "",
                           slot,     retarget,    NULL};

    snprintf(slot, sizeof slot, "%lld", (long long)run->slot_ms);
    snprintf(retarget, sizeof retarget, "%lld", (long long)member->retarget);
    uuid_derive(out, parts);
}

/* ---- jobs ---- */

static int set_named(const struct world *world, const struct run_member *member, const char *name,
                     struct repository_ref **out, struct err *err)
{
    char why[PLAN_WHY];
    const struct world_place *place = world_repository(world, name, member->target, member->host, why);

    if (!place)
        return err_set(err, ERR_RETRY, "%s", why);
    *out = calloc(1, sizeof **out);
    if (!*out)
        return err_memory(err, "job");
    if (string_set(&(*out)->id, place->id, err) < 0 || string_set(&(*out)->name, place->name, err) < 0)
        return -1;
    return string_set(&(*out)->path, place->path, err);
}

static int set_repository(const struct world *world, const struct run_member *member, struct repository_ref **out,
                          struct err *err)
{
    return set_named(world, member, member->repository, out, err);
}

static int copy_globs(struct strings *out, const struct strings *from, struct err *err)
{
    for (size_t i = 0; i < from->count; i++)
        if (strings_add(out, from->items[i], err) < 0)
            return -1;
    return 0;
}

static int fill_backup(const struct run *run, const struct policy *policy, struct params_backup_create *params,
                       struct err *err)
{
    const struct policy_backup *backup = policy->backup;

    params->kind = run->kind;
    if (!backup)
        return 0;
    params->quiesce = backup->quiesce;
    params->rate_limit = backup->rate_limit_bytes;
    params->compress = backup->compress;
    params->max_chain = backup->max_chain;
    params->max_chain_ms = backup->max_chain_age_ms;
    return copy_globs(&params->include, &backup->include, err) < 0 ||
                   copy_globs(&params->exclude, &backup->exclude, err) < 0
               ? -1
               : 0;
}

/* Of a consistency group. The name is the group's: the restore point says it by itself. */
static int fill_group_backup(const struct run *run, struct params_backup_create *params, struct err *err)
{
    char text[160];

    snprintf(text, sizeof text, "of consistency group %s", run->deploy);
    params->kind = run->kind;
    params->quiesce = run->quiesce;
    params->rate_limit = run->rate_limit_bytes;
    return string_set(&params->description, text, err);
}

static int fill_snapshot(const struct run *run, const struct policy *policy, struct params_snapshot_create *params,
                         struct err *err)
{
    char name[160], time[40];

    snprintf(name, sizeof name, "%s-%.19sZ", policy->name, format_rfc3339(run->slot_ms, time, sizeof time));
    for (char *c = name; *c; c++)
        *c = *c == ':' ? '.' : *c;
    if (policy->snapshot) {
        params->kind = policy->snapshot->kind;
        params->quiesce = policy->snapshot->quiesce;
        params->disk_only = policy->snapshot->disk_only;
    }
    return string_set(&params->name, name, err);
}

/* A deploy names its snapshots, a group for itself calls them as it is called; a policy calls them after the slot. */
static int fill_deploy_snapshot(const struct run *run, const struct run_member *member,
                                struct params_snapshot_create *params, struct err *err)
{
    char text[160];

    bool standing = strcmp(member->snapshot, run->deploy) == 0;
    snprintf(text, sizeof text, "%s %s", standing ? "of consistency group" : "before deploy", run->deploy);
    params->quiesce = run->quiesce;
    return string_set(&params->name, member->snapshot, err) < 0 ? -1 : string_set(&params->description, text, err);
}

static int fill_about_point(const struct run_member *member, const struct world *world, char **point,
                            struct repository_ref **repository, struct err *err)
{
    return string_set(point, member->point, err) < 0 ? -1 : set_repository(world, member, repository, err);
}

/* It is the same machine, on another host: its UUID and addresses stay. */
static int fill_restore(const struct run *run, const struct run_member *member, const struct world *world,
                        const char *source, struct params_backup_restore *params, struct err *err)
{
    params->start = run->start;
    params->new_identity = false;
    if (string_set(&params->source, source, err) < 0 || string_set(&params->new_name, member->name, err) < 0)
        return -1;
    return fill_about_point(member, world, &params->point, &params->repository, err);
}

static int fill_params(const struct run *run, const struct policy *policy, const struct run_member *member,
                       const struct world *world, struct job *job, struct err *err)
{
    struct params_backup_create *backup = job->params;
    struct params_backup_verify *verify = job->params;
    struct params_backup_copy *copy = job->params;
    struct params_backup_delete *remove = job->params;
    struct params_snapshot_delete *snapshot = job->params;
    struct params_snapshot_revert *revert = job->params;

    if (job->op == OP_BACKUP_CREATE)
        return (run->deploy ? fill_group_backup(run, backup, err) : fill_backup(run, policy, backup, err)) < 0
                   ? -1
                   : set_repository(world, member, &backup->repository, err);
    if (job->op == OP_SNAPSHOT_CREATE)
        return run->deploy ? fill_deploy_snapshot(run, member, job->params, err)
                           : fill_snapshot(run, policy, job->params, err);
    if (job->op == OP_BACKUP_RESTORE)
        return fill_restore(run, member, world, job->target.id, job->params, err);
    if (job->op == OP_SNAPSHOT_REVERT)
        return string_set(&revert->name, member->snapshot, err);
    if (job->op == OP_BACKUP_VERIFY) {
        verify->depth = policy->verify ? policy->verify->depth : VERIFY_CHECKSUM;
        return fill_about_point(member, world, &verify->point, &verify->repository, err);
    }
    if (job->op == OP_BACKUP_COPY)
        return fill_about_point(member, world, &copy->point, &copy->repository, err) < 0
                   ? -1
                   : set_named(world, member, policy->repository, &copy->to, err);
    if (job->op == OP_BACKUP_DELETE) {
        remove->merge = member->merge || run->deploy != NULL; /* of a group: what was made since may stand on it */
        return fill_about_point(member, world, &remove->point, &remove->repository, err);
    }
    if (job->op == OP_SNAPSHOT_DELETE)
        return string_set(&snapshot->name, member->snapshot, err) < 0 ? -1
                                                                      : string_set(&snapshot->point, member->point, err);
    return err_set(err, ERR_PERMANENT, "a run cannot do %s", run->operation);
}

static int fill_names(const struct run *run, const char *run_id, const struct run_member *member, struct job *job,
                      struct err *err)
{
    char id[UUID_TEXT], who[160], why[256], time[40];

    plan_job_id(run, member, id);
    bool of_policy = run_is_of_policy(run);
    snprintf(who, sizeof who, "%s%.120s", of_policy ? "policy:" : "", run->policy);
    if (run->deploy)
        snprintf(why, sizeof why, "deploy %s, %s", run->deploy, run->schedule);
    else if (run->recovers)
        snprintf(why, sizeof why, "host %s is gone: recovered", run->recovers);
    else
        snprintf(why, sizeof why, "policy %s, %s of %s", run->policy, run->schedule,
                 format_rfc3339(run->slot_ms, time, sizeof time));
    if (target_parse(member->target, &job->target, err) < 0 || string_set(&job->target.name, member->name, err) < 0 ||
        string_set(&job->job_id, id, err) < 0 || string_set(&job->host, member->host, err) < 0 ||
        string_set(&job->policy, of_policy ? run->policy : NULL, err) < 0 ||
        string_set(&job->deploy_id, run->deploy, err) < 0 || string_set(&job->run, run_id, err) < 0 ||
        string_set(&job->schedule, of_policy ? run->schedule : NULL, err) < 0)
        return -1;
    return string_set(&job->requested_by, run->requested_by ? run->requested_by : who, err) < 0
               ? -1
               : string_set(&job->reason, why, err);
}

int plan_job(const struct run *run, const char *run_id, const struct policy *policy, const struct run_member *member,
             const struct world *world, struct job **out, struct err *err)
{
    CLEANUP(job_freep) struct job *job = calloc(1, sizeof *job);
    enum op op = op_from_name(run->operation);

    if (!job || op == OP_NONE)
        return err_set(err, ERR_PERMANENT, "a run cannot do %s", run->operation);
    record_defaults(&job_record, job);
    job->op = (int)op;
    job->params = calloc(1, op_info(op)->params->size);
    if (!job->params)
        return err_memory(err, "job");
    record_defaults(op_info(op)->params, job->params);
    job->priority = run->priority;
    job->slot_ms = run_is_of_policy(run) ? run->slot_ms : 0;
    job->deadline_ms = (run->planned_at_ms > member->due_at_ms ? run->planned_at_ms : member->due_at_ms) + JOB_TIME_MS;
    if (run->window_end_at_ms) {
        job->start_by_ms = run->window_end_at_ms;
        job->deadline_ms = run->cancel_at_end ? run->window_end_at_ms : job->deadline_ms;
        if (job->deadline_ms < job->start_by_ms)
            job->deadline_ms = job->start_by_ms;
    }
    if (run->group_limit_ms) { /* one point in time is not made twice: who fails ends it for all */
        job->group_members = run->members;
        job->group_limit_ms = run->group_limit_ms;
        job->max_attempts = 1;
        if (string_set(&job->group, run_id, err) < 0)
            return -1;
    }
    if (fill_names(run, run_id, member, job, err) < 0 || fill_params(run, policy, member, world, job, err) < 0)
        return -1;
    *out = TAKE_PTR(job);
    return 0;
}
