/* What the ledger says of a job, and what is owed to it. */
#include "coordinator/ledger_internal.h"

#include "base/err.h"
#include "coordinator/bandwidth.h"
#include "model/job_state.h"

#include <stdio.h>
#include <string.h>

const char *ledger_params_point(const struct job *job)
{
    return job->op == OP_BACKUP_DELETE && job->params ? ((const struct params_backup_delete *)job->params)->point : NULL;
}

static void copy(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text ? text : "");
}

bool ledger_job_facts(const struct ledger_node *node, struct ledger_job_facts *out)
{
    *out = (struct ledger_job_facts){.ended = node->ended != NULL};
    if (node->ended) {
        out->op = node->ended->op;
        copy(out->host, sizeof out->host, node->ended->host);
        copy(out->target, sizeof out->target, node->ended->target);
        copy(out->repository, sizeof out->repository, node->ended->repository);
        copy(out->point, sizeof out->point, node->ended->point);
        return true;
    }
    if (!node->entry || !node->entry->job || !node->entry->job->job)
        return false;
    const struct job *job = node->entry->job->job;
    const struct repository_ref *repository = job_repository(job);
    out->op = job->op;
    copy(out->host, sizeof out->host, job->host);
    target_format(&job->target, out->target);
    copy(out->repository, sizeof out->repository, repository ? repository->id : NULL);
    copy(out->point, sizeof out->point, ledger_params_point(job));
    return true;
}

int ledger_set_outcome(struct ledger_node *node, const char *outcome, int64_t at_ms, struct err *err)
{
    if (string_set(&node->entry->job->outcome, outcome, err) < 0)
        return -1;
    node->entry->job->ended_at_ms = outcome ? at_ms : 0;
    return 0;
}

void ledger_set_published(struct ledger_node *node, int64_t at_ms, int32_t partition, int64_t offset)
{
    node->entry->job->published_at_ms = at_ms;
    node->entry->job->partition = partition;
    node->entry->job->offset = offset;
}

void ledger_inherit(struct ledger *ledger)
{
    for (struct ledger_node *node = ledger_first_open_job(ledger); node; node = node->next) {
        node->maybe_published = !node->entry->job->published_at_ms;
        node->untold = true;
    }
}

bool ledger_job_out(const struct ledger_node *node)
{
    const struct ledger_job *record = node->entry ? node->entry->job : NULL;

    return record && !record->outcome && (record->published_at_ms || node->maybe_published);
}

static enum ledger_duty unpublished_duty(const struct ledger_node *node, int64_t now_ms)
{
    const struct ledger_job *record = node->entry->job;
    bool over = record->job->deadline_ms && record->job->deadline_ms <= now_ms;

    if (node->maybe_published)
        return over ? DUTY_ASSUME_PUBLISHED : DUTY_PUBLISH;
    if (record->cancel)
        return DUTY_END_CANCELLED;
    return over ? DUTY_END_EXPIRED : DUTY_PUBLISH;
}

enum ledger_duty ledger_job_duty(const struct ledger_node *node, int64_t now_ms)
{
    const struct ledger_job *record = node->entry ? node->entry->job : NULL;

    if (!record || record->outcome || node->stage != STAGE_IDLE || node->words_on_their_way)
        return DUTY_NONE;
    if (!record->published_at_ms)
        return unpublished_duty(node, now_ms);
    if ((record->resolve || record->finish || record->rate_limit || node->level) && !node->control_written)
        return DUTY_CONTROL;
    return record->cancel && !node->cancel_flagged ? DUTY_FLAG_CANCEL : DUTY_NONE;
}

int64_t ledger_job_own_rate(const struct ledger_job *record)
{
    const struct params_backup_create *params = record->job->params;

    if (record->rate_limit)
        return record->rate_limit > 0 ? record->rate_limit : 0;
    return record->job->op == OP_BACKUP_CREATE && params ? params->rate_limit : 0;
}

void ledger_job_control(const struct ledger_node *node, char *out, size_t size)
{
    const struct ledger_job *record = node->entry->job;

    if (record->resolve)
        snprintf(out, size, "resolve:%s", record->resolve);
    else if (record->finish)
        snprintf(out, size, "finish:%s", record->finish);
    else if (record->rate_limit || node->level)
        snprintf(out, size, "rate:%lld", (long long)bandwidth_rate(node->level, ledger_job_own_rate(record)));
    else
        snprintf(out, size, "%s", "");
}

bool ledger_job_overdue(const struct ledger_node *node, int64_t now_ms, int64_t grace_ms)
{
    const struct ledger_job *record = node->entry ? node->entry->job : NULL;

    return record && !record->outcome && record->published_at_ms && node->stage == STAGE_IDLE &&
           record->job->deadline_ms && now_ms - record->job->deadline_ms > grace_ms;
}

bool ledger_job_bygone(const struct ledger *ledger, const struct ledger_node *node)
{
    const struct ledger_job *record = node->entry ? node->entry->job : NULL;

    return record && !record->outcome && record->prepared_at_ms < ledger_host_since(ledger, record->job->host);
}

static bool delete_is_open(const struct ledger *ledger, const char *repository)
{
    struct ledger_job_facts facts;

    for (const struct ledger_node *node = ledger_first_open_job(ledger); node; node = node->next)
        if (ledger_job_facts(node, &facts) && (facts.op == OP_BACKUP_DELETE || facts.op == OP_TARGET_RETIRE) &&
            strcmp(facts.repository, repository) == 0)
            return true;
    return false;
}

static int add_ended(const struct ledger *ledger, const char *repository, bool succeeded, size_t max,
                     struct strings *out, struct err *err)
{
    const struct ledger_node *oldest = ledger_first_ended_job(ledger), *node = oldest ? oldest->prev : NULL;

    for (; node && out->count < max; node = node == oldest ? NULL : node->prev) {
        const struct ledger_ended *ended = node->ended;

        if (!ended->repository || strcmp(ended->repository, repository) != 0 ||
            (ended->outcome == STATE_SUCCEEDED) != succeeded)
            continue;
        if (strings_add(out, node->key + strlen("job:"), err) < 0)
            return -1;
    }
    return 0;
}

int ledger_ended_jobs(const struct ledger *ledger, const char *repository, size_t max, struct strings *out,
                      bool *out_deletes_ended, struct err *err)
{
    struct strings jobs = {0};

    if (add_ended(ledger, repository, false, max, &jobs, err) < 0 ||
        add_ended(ledger, repository, true, max, &jobs, err) < 0) {
        strings_clear(&jobs);
        return -1;
    }
    *out_deletes_ended = !delete_is_open(ledger, repository);
    *out = jobs;
    return 0;
}
