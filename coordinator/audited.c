/*
 * Who asked for what. Most records of the audit may linger some milliseconds; of what takes data away or gives power (class C, resolve, tokens, keys, hosts, holds, pins) the
 * record is acknowledged by Kafka before the ledger hears of it, so nothing of that kind can happen, or be answered, and leave no trace. A write waits here meanwhile, and is
 * served once more when its record is safe. The other way round there may be a record of something that then failed.
 *
 * What strangers can cause is limited: a record says how many before it were not kept.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "coordinator/desk_write.h"
#include "coordinator/publisher.h"

#include <stdio.h>
#include <string.h>
#include <utlist.h>

enum { AUDIT_JOBS_MAX = 1024 };

struct audit_wait {
    struct audit_wait *prev, *next;
    struct desk_write *write; /* NULL: it was answered; the report is still to come */
};

/* All of the record is borrowed, but for its details. */
static int append(struct coordinator *coordinator, const struct desk_call *by, struct audit *record, uint64_t opaque,
                  struct err *err)
{
    record->who = by && by->who ? by->who : coordinator->options.name;
    record->from = by && by->from ? by->from : (char *)"";
    int result = audit_append(&coordinator->audit, coordinator->publisher, record, opaque, err);
    if (result == 0)
        coordinator->sent++;
    free(record->previous);
    facts_clear(&record->details);
    return result;
}

static void log_failure(const struct audit *record, const struct err *err)
{
    log_error("audit", "%s %s by %s is not recorded: %s", record->action, record->subject ? record->subject : "",
              record->who, err->text);
}

/* ---- jobs, by request ---- */

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

void audit_job(struct coordinator *coordinator, const struct desk_write *by, const char *job_id)
{
    struct audit_jobs *jobs = &coordinator->audit_jobs;

    if (by->audited)
        return;
    if (jobs->count == AUDIT_JOBS_MAX || jobs->call != by->call || !same_text(jobs->reason, by->reason))
        audit_flush(coordinator);
    if (!jobs->count) {
        jobs->call = desk_call_keep(by->call);
        string_set(&jobs->reason, by->reason, NULL);
    }
    text_add(&jobs->ids, jobs->count++ ? " " : "");
    text_add(&jobs->ids, job_id);
}

void audit_flush(struct coordinator *coordinator)
{
    struct audit_jobs jobs = coordinator->audit_jobs;
    char *ids = (char *)text_str(&jobs.ids);
    struct audit record = {.action = (char *)"job.submit",
                           .subject = jobs.count == 1 ? ids : NULL,
                           .reason = jobs.reason,
                           .outcome = (char *)"allowed"};
    struct err err = {0};

    if (!jobs.count)
        return;
    coordinator->audit_jobs = (struct audit_jobs){0};
    if ((jobs.count > 1 && facts_set(&record.details, "jobs", ids, &err) < 0) ||
        append(coordinator, jobs.call, &record, OPAQUE_AUDIT, &err) < 0)
        log_failure(&record, &err);
    desk_call_release(jobs.call);
    free(jobs.reason);
    text_free(&jobs.ids);
}

/* ---- the rest ---- */

void audit_say(struct coordinator *coordinator, const struct desk_write *by, const char *action, const char *subject,
               const char *reason, const char *outcome)
{
    struct audit record = {
        .action = (char *)action, .subject = (char *)subject, .reason = (char *)reason, .outcome = (char *)outcome};
    struct err err = {0};
    char count[24];

    if (by->audited)
        return;
    audit_flush(coordinator);
    snprintf(count, sizeof count, "%lld", (long long)by->suppressed);
    if ((by->suppressed && facts_set(&record.details, "suppressed", count, &err) < 0) ||
        append(coordinator, by->call, &record, OPAQUE_AUDIT, &err) < 0)
        log_failure(&record, &err);
}

/* ---- what must not be lost ---- */

static bool must_be_safe(const struct desk_write *write)
{
    switch (write->kind) {
    case DESK_SUBMIT: return job_class(write->entry->job->job) == CLASS_C;
    case DESK_PUT: return write->entry->kind != LEDGER_EPOCH;
    case DESK_RESOLVE: return true;
    case DESK_CANCEL:
    case DESK_RATE:
    case DESK_FINISH:
    case DESK_AUDIT:
    case DESK_WORDS:
    case DESK_DEAD_LETTER:
    case DESK_LOST:
    case DESK_OVERDUE:
    case DESK_FOUND:
    case DESK_FORGET:
    case DESK_WAKE: break;
    }
    return false;
}

static int send_first(struct coordinator *coordinator, struct desk_write *write, const char *action,
                      const char *subject, struct err *err)
{
    struct audit_wait *wait = calloc(1, sizeof *wait);
    struct audit record = {
        .action = (char *)action, .subject = (char *)subject, .reason = write->reason, .outcome = (char *)"allowed"};

    if (!wait)
        return err_memory(err, "audit");
    audit_flush(coordinator);
    if (append(coordinator, write->call, &record, (uint64_t)(uintptr_t)wait | OPAQUE_AUDIT_WAIT, err) < 0) {
        free(wait);
        return -1;
    }
    wait->write = write;
    DL_APPEND(coordinator->audits, wait);
    return 0;
}

bool audit_first(struct coordinator *coordinator, struct desk_write *write, const char *action, const char *subject)
{
    struct err err = {0};

    if (write->audited || !must_be_safe(write))
        return true;
    if (send_first(coordinator, write, action, subject, &err) < 0) {
        err_wrap(&err, "audit");
        desk_answer(coordinator, write, &err);
    }
    return false;
}

void audit_delivered(struct coordinator *coordinator, uint64_t opaque, bool failed)
{
    struct audit_wait *wait = (struct audit_wait *)(uintptr_t)(opaque & ~(uint64_t)OPAQUE_AUDIT_WAIT);
    struct desk_write *write = wait->write;
    struct err err = {0};

    if (write)
        DL_DELETE(coordinator->audits, wait);
    free(wait);
    if (!write)
        return;
    if (failed) {
        err_set(&err, ERR_RETRY, "the audit has not taken the record of it: nothing was done");
        desk_answer(coordinator, write, &err);
        return;
    }
    write->audited = true;
    desk_serve_one(coordinator, write);
}

void audit_drop_waits(struct coordinator *coordinator, const struct err *err)
{
    struct audit_wait *wait, *next;

    DL_FOREACH_SAFE (coordinator->audits, wait, next) {
        DL_DELETE(coordinator->audits, wait);
        desk_answer(coordinator, TAKE_PTR(wait->write), err);
    }
}
