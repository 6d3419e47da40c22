/*
 * The callers' side of a submission: what a job needs before the main loop sees it is done here, on the caller's thread (copying, checking, deriving the id), and the caller waits here for
 * the loop's answer.
 */
#include "base/clock.h"
#include "coordinator/desk_write.h"
#include "model/job_state.h"

#include <stdio.h>
#include <string.h>

enum { MANY_MAX = 10000 };

static const int64_t DEADLINE_MS = 7LL * 24 * 3600 * 1000, START_BY_MS = 15LL * 60 * 1000;

static void derive_id(const struct caller *caller, const char *idempotency_key, char out[UUID_TEXT])
{
    const char *parts[] = {"request", caller && caller->token ? caller->token : "", idempotency_key, NULL};

    if (idempotency_key && *idempotency_key)
        uuid_derive(out, parts);
    else
        uuid_random(out);
}

/* planned: by a policy, with an id of its own that every leader derives alike. */
static int complete_job(struct job *job, const struct caller *caller, const char *idempotency_key, bool planned,
                        struct err *err)
{
    char id[UUID_TEXT];

    if (planned)
        snprintf(id, sizeof id, "%s", job->job_id);
    else
        derive_id(caller, idempotency_key, id);
    job->issued_at_ms = clock_real_ms();
    if (!job->deadline_ms)
        job->deadline_ms = job->issued_at_ms + DEADLINE_MS;
    if (!job->start_by_ms && job_class(job) == CLASS_C) {
        int64_t from = job->not_before_ms > job->issued_at_ms ? job->not_before_ms : job->issued_at_ms;
        job->start_by_ms = from + START_BY_MS < job->deadline_ms ? from + START_BY_MS : job->deadline_ms;
    }
    if (!job->max_attempts)
        job->max_attempts = 5;
    if (!job->backoff_ms)
        job->backoff_ms = 1000;
    if (string_set(&job->job_id, id, err) < 0)
        return -1;
    if (idempotency_key && *idempotency_key && !job->request_id && string_set(&job->request_id, idempotency_key, err) < 0)
        return -1;
    return caller && caller->token ? string_set(&job->requested_by, caller->token, err) : 0;
}

static int check_class(const struct job *job, const struct caller *caller, struct err *err)
{
    const char *class = class_names[job_class(job)];

    if (!caller || !caller->classes || strstr(caller->classes, class))
        return 0;
    err_set(err, ERR_PERMANENT, "%s is of class %s; token \"%s\" may do %s", op_names[job->op], class,
            caller->token ? caller->token : "", caller->classes);
    return err_hint(err, "fleetsnap token create --classes %s", class[0] == 'B' ? "AB" : "ABC");
}

static int check_host(struct coordinator *coordinator, const struct job *job, struct err *err)
{
    LOCK_SCOPE(&coordinator->lock);
    if (!coordinator->state.leading) /* what the ledger says is not known yet */
        return err_set(err, ERR_RETRY, "this coordinator does not lead");
    const struct ledger_node *node = ledger_find(coordinator->ledger, LEDGER_HOST, job->host);
    const struct fleet_host *host = fleet_find(coordinator->fleet, job->host);
    const char *state = node && node->entry && !node->entry->gone && node->entry->host ? node->entry->host->state : NULL;

    if (!state || strcmp(state, "removed") == 0)
        return err_set(err, ERR_PERMANENT, "host %s is not enrolled", job->host);
    if (strcmp(state, "draining") == 0) {
        err_set(err, ERR_PERMANENT, "host %s is draining: it takes no new jobs", job->host);
        return err_hint(err, "fleetsnap host resume %s", job->host);
    }
    if (job_class(job) != CLASS_C || (host && host->alive))
        return 0;
    err_set(err, ERR_RETRY,
            "host %s has no heartbeat: what takes data away is not sent to a host that may wake up days later",
            job->host);
    return err_hint(err, "on %s: systemctl status fleetsnap-worker", job->host);
}

static int entry_of_job(struct coordinator *coordinator, const struct caller *caller, const struct job *job,
                        const char *idempotency_key, bool planned, struct ledger_entry **out, struct err *err)
{
    CLEANUP(ledger_entry_freep) struct ledger_entry *entry = calloc(1, sizeof *entry);

    if (!entry || !(entry->job = calloc(1, sizeof *entry->job)))
        return err_memory(err, "job");
    entry->kind = LEDGER_JOB;
    entry->job->partition = entry->job->offset = -1;
    if (job_clone(job, &entry->job->job, err) < 0 ||
        complete_job(entry->job->job, caller, idempotency_key, planned, err) < 0)
        return -1;
    entry->job->prepared_at_ms = entry->job->job->issued_at_ms;
    if (string_set(&entry->id, entry->job->job->job_id, err) < 0 ||
        string_set(&entry->who, entry->job->job->requested_by, err) < 0 || string_set(&entry->why, job->reason, err) < 0)
        return -1;
    if (job_check(entry->job->job, err) < 0 || check_class(entry->job->job, caller, err) < 0 ||
        check_host(coordinator, entry->job->job, err) < 0)
        return -1;
    *out = TAKE_PTR(entry);
    return 0;
}

static int make_submit(struct coordinator *coordinator, const struct caller *caller, const struct job *job,
                       const char *idempotency_key, bool planned, struct desk_write **out, struct err *err)
{
    CLEANUP(desk_write_freep) struct desk_write *write = desk_write_new(DESK_SUBMIT, err);

    if (!write || string_set(&write->reason, job->reason, err) < 0 ||
        entry_of_job(coordinator, caller, job, idempotency_key, planned, &write->entry, err) < 0)
        return -1;
    snprintf(write->job_id, sizeof write->job_id, "%s", write->entry->id);
    *out = TAKE_PTR(write);
    return 0;
}

/* Makes the writes of all jobs that are not refused at once; the list is the caller's. */
static struct queue_item *make_all(struct coordinator *coordinator, struct desk_call *call, const struct caller *caller,
                                   const struct job *const jobs[], const char *const idempotency_keys[], bool planned,
                                   size_t count, char (*out_job_ids)[UUID_TEXT], struct err *errs)
{
    struct queue_item *first = NULL, **last = &first;
    struct desk_write *write;

    for (size_t i = 0; i < count; i++) {
        errs[i] = (struct err){0};
        if (make_submit(coordinator, caller, jobs[i], idempotency_keys ? idempotency_keys[i] : NULL, planned, &write,
                        &errs[i]) < 0)
            continue;
        if (out_job_ids)
            memcpy(out_job_ids[i], write->job_id, UUID_TEXT);
        desk_call_add(call, write, i);
        *last = &write->item;
        last = &write->item.next;
    }
    return first;
}

static int submit_many(struct coordinator *coordinator, const struct caller *caller, const struct job *const jobs[],
                       const char *const idempotency_keys[], bool planned, size_t count, char (*out_job_ids)[UUID_TEXT],
                       struct err *errs, struct err *err)
{
    CLEANUP(desk_call_releasep) struct desk_call *call = NULL;
    struct queue_item *first;

    if (count > MANY_MAX)
        return err_set(err, ERR_PERMANENT, "%zu jobs at once are over the limit of %d", count, MANY_MAX);
    if (desk_call_new(caller, count, &call, err) < 0)
        return -1;
    first = make_all(coordinator, call, caller, jobs, idempotency_keys, planned, count, out_job_ids, errs);
    if (first && desk_ask_all(coordinator, call, first, err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (errs[i].kind == ERR_NONE)
            desk_result(call, i, &errs[i]);
    return 0;
}

int coordinator_submit(struct coordinator *coordinator, const struct caller *caller, const struct job *job,
                       const char *idempotency_key, char *out_job_id, struct err *err)
{
    struct err refused;

    if (submit_many(coordinator, caller, &job, &idempotency_key, false, 1, (char(*)[UUID_TEXT])out_job_id, &refused,
                    err) < 0)
        return -1;
    if (refused.kind == ERR_NONE)
        return 0;
    if (err)
        *err = refused;
    return -1;
}

int coordinator_submit_many(struct coordinator *coordinator, const struct caller *caller,
                            const struct job *const jobs[], const char *const idempotency_keys[], size_t count,
                            char (*out_job_ids)[UUID_TEXT], struct err *errs, struct err *err)
{
    return submit_many(coordinator, caller, jobs, idempotency_keys, false, count, out_job_ids, errs, err);
}

int desk_submit_planned(struct coordinator *coordinator, const struct job *const jobs[], size_t count, struct err *errs,
                        struct err *err)
{
    return submit_many(coordinator, NULL, jobs, NULL, true, count, NULL, errs, err);
}
