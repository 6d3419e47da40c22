#include "worker/local_restore.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/text.h"
#include "base/uuid.h"
#include "model/fields.h"
#include "model/job.h"
#include "model/params.h"
#include "worker/backend.h"
#include "worker/local_points.h"
#include "worker/repository.h"
#include "worker/restore_journal.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { RESUME_TRIES = 120, RESUME_PAUSE_US = 500000 };

static const struct field restore_fields[] = {
    STRING(local_restore, repository),
    STRING(local_restore, backup, .max = 255),
    STRING(local_restore, to),
    STRING(local_restore, directory, OPTIONAL),
    STRING(local_restore, start, OPTIONAL, .max = 16),
    STRINGS(local_restore, disks, OPTIONAL, .max = 256),
    MAP(local_restore, map_network, OPTIONAL, .max = 256),
    BOOL(local_restore, keep_identity, OPTIONAL),
    BOOL(local_restore, dry_run, OPTIONAL),
    {0},
};
const struct record_type local_restore_record = {"local_restore", sizeof(struct local_restore), restore_fields};

static inline void repository_endp(struct repository *repository)
{
    repository_clear(repository);
}

/* ---- what is there ---- */

static int point_json(const struct restore_point *point, json_t *array, struct err *err)
{
    json_t *item = record_json(&restore_point_record, point, err);

    if (!item)
        return -1;
    return json_array_append_new(array, item) == 0 ? 0 : err_memory(err, point->id);
}

int local_restore_list(const char *path, json_t **out, struct err *err)
{
    CLEANUP(repository_endp) struct repository repository = {0};
    CLEANUP(points_clear) struct list points = {0};
    CLEANUP(strings_clear) struct strings damaged = {0};
    json_t *array = json_array();
    int failed = repository_open(path, NULL, &repository, err);

    failed = failed ? failed : local_points(&repository, &points, &damaged, err);
    for (size_t i = 0; i < points.count && !failed; i++)
        failed = point_json(list_at(&points, struct restore_point, i), array, err);
    for (size_t i = 0; i < damaged.count && !failed; i++)
        json_array_append_new(array, json_pack("{s:s, s:s}", "state", "damaged", "folder", damaged.items[i]));
    if (failed)
        json_decref(array);
    else
        *out = array;
    return failed;
}

/* ---- the job ---- */

static int fill_params(const struct local_restore *restore, const struct restore_point *point,
                       const struct repository *repository, const char *default_directory,
                       struct params_backup_restore *params, struct err *err)
{
    bool files = strchr(restore->to, '/') != NULL;
    int start = restore->start ? name_index(restore_start_names, restore->start) : START_NO;

    if (start < 0 || (files && start != START_NO))
        return err_set(err, ERR_PERMANENT,
                       start < 0 ? "--start: no, running or paused" : "--start: files cannot be started");
    if (!files && !name_valid_domain(restore->to))
        return err_set(err, ERR_PERMANENT, "--to: \"%.64s\" is no name for a machine", restore->to);
    params->start = start;
    params->new_identity = !restore->keep_identity;
    params->repository = calloc(1, sizeof *params->repository);
    if (!params->repository || string_set(&params->point, point->id, err) < 0 ||
        string_set(&params->source, point->target.id, err) < 0 ||
        string_set(&params->repository->id, repository->id, err) < 0 ||
        string_set(&params->repository->name, repository->name, err) < 0 ||
        string_set(&params->repository->path, repository->path, err) < 0)
        return err_memory(err, "restore");
    for (size_t i = 0; i < restore->disks.count; i++)
        if (strings_add(&params->disks, restore->disks.items[i], err) < 0)
            return -1;
    if (facts_copy(&params->map_network, &restore->map_network, err) < 0 ||
        string_set(&params->new_name, files ? NULL : restore->to, err) < 0)
        return -1;
    return string_set(&params->directory, files ? restore->to : default_directory, err);
}

static int make_job(const struct local_restore *restore, const struct backend_config *config,
                    const struct repository *repository, const struct restore_point *point, struct job **out,
                    struct err *err)
{
    CLEANUP(job_freep) struct job *job = calloc(1, sizeof *job);
    char id[UUID_TEXT], target[UUID_TEXT];

    if (!job)
        return err_memory(err, "restore");
    record_defaults(&job_record, job);
    job->op = OP_BACKUP_RESTORE;
    job->dry_run = restore->dry_run;
    job->issued_at_ms = clock_real_ms();
    job->params = calloc(1, sizeof(struct params_backup_restore));
    uuid_random(id);
    uuid_random(target);
    if (!job->params || string_set(&job->job_id, id, err) < 0 || string_set(&job->host, config->host, err) < 0 ||
        string_set(&job->target.kind, "libvirt", err) < 0 || string_set(&job->target.id, target, err) < 0 ||
        string_set(&job->target.name, restore->to, err) < 0)
        return err_memory(err, "restore");
    record_defaults(&params_backup_restore_record, job->params);
    if (fill_params(restore, point, repository, config->pools && config->pools->count ? config->pools->items[0] : NULL,
                    job->params, err) < 0)
        return -1;
    *out = TAKE_PTR(job);
    return 0;
}

/* ---- the runner's surroundings ---- */

struct local {
    const struct local_watch *watch;
    struct restore_journal *journal;
};

static int save_plan(void *context, const char *plan_json, struct err *err)
{
    return restore_journal_plan(((struct local *)context)->journal, plan_json, err);
}

static int save_steps(void *context, const struct step_change *changes, size_t count, struct err *err)
{
    return restore_journal_steps(((struct local *)context)->journal, changes, count, err);
}

/* Nobody else can have the lock of a machine that does not exist yet; and nothing here takes anything away. */
static enum trust trust_ours(void *context)
{
    (void)context;
    return TRUST_OURS;
}

static enum trust confirm(void *context, const struct plan *plan, char *detail)
{
    (void)plan;
    (void)detail;
    return trust_ours(context);
}

static int reserve(void *context, const char *repository, int64_t bytes, int64_t free_bytes, int64_t min_free_bytes,
                   struct err *err)
{
    (void)context;
    if (bytes <= free_bytes - min_free_bytes)
        return 0;
    return err_set(err, ERR_RETRY, "repository %s: full", repository);
}

static void tell(const struct local *local, json_t *event)
{
    local->watch->told(local->watch->context, event);
    json_decref(event);
}

static void phase(void *context, const char *name)
{
    tell(context, json_pack("{s:s}", "phase", name));
}

static void progress(void *context, int64_t done, int64_t total)
{
    tell(context, json_pack("{s:I, s:I}", "done", (json_int_t)done, "total", (json_int_t)total));
}

static bool cancelled(void *context)
{
    const struct local_watch *watch = ((struct local *)context)->watch;

    return watch->cancelled(watch->context);
}

static bool stopping(void *context)
{
    const struct local_watch *watch = ((struct local *)context)->watch;

    return watch->stopping(watch->context);
}

static bool never(void *context)
{
    (void)context;
    return false;
}

static int64_t no_limit(void *context)
{
    (void)context;
    return 0;
}

static struct runner_env env_of(struct local *local)
{
    return (struct runner_env){
        .context = local,
        .save_plan = save_plan,
        .save_steps = save_steps,
        .confirm_lock = confirm,
        .lock_trust = trust_ours,
        .reserve = reserve,
        .phase = phase,
        .progress = progress,
        .cancelled = cancelled,
        .stopping = stopping,
        .lock_lost = never,
        .rate_limit = no_limit,
    };
}

/* ---- what came of it ---- */

static const char *state_of(const struct outcome *outcome)
{
    if (outcome->kind == OUTCOME_ENDED)
        return job_state_names[outcome->state];
    return outcome->kind == OUTCOME_LEFT ? "LEFT" : "FAILED";
}

static int outcome_json(const struct job *job, const struct outcome *outcome, json_t **out, struct err *err)
{
    json_t *json = json_pack("{s:s, s:s, s:s, s:b}", "job_id", job->job_id, "state", state_of(outcome), "to",
                             job->target.name, "dry_run", job->dry_run);

    if (outcome->err.kind != ERR_NONE)
        json_object_set_new(json, "error",
                            json_pack("{s:s, s:s, s:s}", "kind", err_kind_name(outcome->err.kind), "text",
                                      outcome->err.text, "hint", outcome->err.hint));
    if (outcome->report.result)
        json_object_set_new(json, "result", record_json(&job_result_record, outcome->report.result, NULL));
    if (!json)
        return err_memory(err, "restore");
    *out = json;
    return 0;
}

/* The journal goes where nothing is left to be done or taken back. */
static int end(struct local *local, struct outcome *outcome, json_t **out, struct err *err)
{
    bool left = outcome->kind == OUTCOME_LEFT || outcome->kind == OUTCOME_AGAIN ||
                (outcome->kind == OUTCOME_ENDED && outcome->state == STATE_PARKED);
    int failed = outcome_json(local->journal->job, outcome, out, err);

    outcome_clear(outcome);
    (left ? restore_journal_free : restore_journal_end)(local->journal);
    return failed;
}

/* ---- one that was interrupted ---- */

static void recover(struct local *local, struct backend *backend, struct outcome *outcome)
{
    const struct runner_env env = env_of(local);

    for (int try = 0; try < RESUME_TRIES; try++) {
        struct journaled_plan plan = {0};

        outcome_clear(outcome);
        *outcome = (struct outcome){0};
        if (restore_journal_resume(local->journal, backend->ops, &plan, &outcome->err) < 0) {
            outcome->kind = OUTCOME_ENDED;
            outcome->state = STATE_PARKED;
            return;
        }
        runner_recover(&env, backend, local->journal->job, RECOVERY_ON, &plan, outcome);
        journaled_plan_clear(&plan);
        if (outcome->kind != OUTCOME_AGAIN || stopping(local))
            return;
        usleep(RESUME_PAUSE_US); /* a call of the dead one is still at work */
    }
}

static bool same(const struct job *job, const struct local_restore *restore, const struct restore_point *point)
{
    const struct params_backup_restore *params = job->params;

    return strcmp(job->target.name, restore->to) == 0 && strcmp(params->point, point->id) == 0;
}

/* 1: *out is the answer: it was the one that is asked for now, or what became of it is not known. 0: there is none any more. */
static int finish_interrupted(const struct local_restore *restore, const struct restore_point *point,
                              const struct backend_config *config, struct backend *backend,
                              const struct local_watch *watch, json_t **out, struct err *err)
{
    struct local local = {.watch = watch};
    struct outcome outcome = {0};

    if (restore_journal_find(config->state_directory, &local.journal, err) < 0)
        return -1;
    if (!local.journal)
        return 0;
    tell(&local, json_pack("{s:s}", "resumed", local.journal->job->target.name));
    recover(&local, backend, &outcome);
    bool done = outcome.kind == OUTCOME_ENDED && outcome.state == STATE_SUCCEEDED &&
                same(local.journal->job, restore, point);
    bool over = outcome.kind != OUTCOME_LEFT && outcome.kind != OUTCOME_AGAIN &&
                !(outcome.kind == OUTCOME_ENDED && outcome.state == STATE_PARKED);
    if (end(&local, &outcome, out, err) < 0)
        return -1;
    if (done || !over)
        return 1;
    json_decref(*out);
    *out = NULL;
    return 0;
}

int local_restore_run(const struct local_restore *restore, const struct backend_config *config,
                      const struct local_watch *watch, json_t **out, struct err *err)
{
    CLEANUP(repository_endp) struct repository repository = {0};
    CLEANUP(points_clear) struct list points = {0};
    const struct backend_ops *ops = backend_find("libvirt");
    const struct restore_point *point;
    struct backend *backend = NULL;
    struct local local = {.watch = watch};
    struct outcome outcome = {0};
    struct job *job = NULL;
    int result;

    if (repository_open(restore->repository, NULL, &repository, err) < 0 ||
        local_points(&repository, &points, NULL, err) < 0 ||
        local_point_choose(&points, restore->repository, restore->backup, &point, err) < 0 ||
        ops->open(config, &backend, err) < 0)
        return -1;
    result = restore->dry_run ? 0 : finish_interrupted(restore, point, config, backend, watch, out, err);
    if (result == 0 && (result = make_job(restore, config, &repository, point, &job, err)) == 0 &&
        (result = restore_journal_new(restore->dry_run ? NULL : config->state_directory, job, &local.journal, err)) < 0)
        job_free(job);
    else if (result == 0) {
        const struct runner_env env = env_of(&local);
        runner_run(&env, backend, job, &outcome);
        result = end(&local, &outcome, out, err);
    }
    ops->close(backend);
    return result < 0 ? -1 : 0;
}
