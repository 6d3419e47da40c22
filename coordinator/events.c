/* What the leader says of jobs on the status topic (origin coordinator). */
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "coordinator/internal.h"
#include "coordinator/publisher.h"

static void send_status(struct coordinator *coordinator, const struct job *job, const struct status *status)
{
    struct publication publication = {.topic = TOPIC_STATUS,
                                      .partition = publisher_partition(coordinator->publisher, TOPIC_STATUS, job->host),
                                      .key = job->job_id,
                                      .type = &status_record,
                                      .record = status,
                                      .job = job->job_id,
                                      .opaque = OPAQUE_STATUS};
    struct err err = {0};

    if (publisher_send(coordinator->publisher, &publication, NULL, NULL, &err) < 0)
        log_warning(job->job_id, "%s is not said: %s", job_state_names[status->state], err.text);
    else
        coordinator->sent++;
}

static void say(struct coordinator *coordinator, const struct job *job, int64_t seq, int state, int64_t at_ms,
                const char *note, const char *error_text)
{
    struct job_error error = {.kind = state == STATE_CANCELLED ? ERR_CANCELLED : ERR_PERMANENT,
                              .text = (char *)error_text};
    struct status status = {
        .job_id = job->job_id,
        .op = job->op,
        .origin = ORIGIN_COORDINATOR,
        .seq = seq,
        .state = state,
        .host = job->host,
        .target = job->target,
        .error = error_text ? &error : NULL,
        .at_ms = at_ms,
        .note = (char *)note,
        .traceparent = job->traceparent,
    };

    send_status(coordinator, job, &status);
}

void event_send(struct coordinator *coordinator, const struct job *job, int64_t seq, int state, const char *note,
                const char *error_text)
{
    say(coordinator, job, seq, state, clock_real_ms(), note, error_text);
}

void event_bygone(struct coordinator *coordinator, const struct job *job, int state, const char *why)
{
    struct job_error error = {.kind = ERR_UNKNOWN, .text = (char *)why};
    CLEANUP(freep) char *note = NULL;
    CLEANUP(freep) char *resolved = NULL;
    struct status status = {
        .job_id = job->job_id,
        .op = job->op,
        .origin = ORIGIN_COORDINATOR,
        .seq = clock_real_us(),
        .state = state,
        .host = job->host,
        .target = job->target,
        .error = &error,
        .at_ms = clock_real_ms(),
        .traceparent = job->traceparent,
    };

    if (asprintf(&note, NOTE_BYGONE ": %s", why) < 0 || asprintf(&resolved, "failed: %s", why) < 0)
        return;
    status.note = note;
    status.resolved = state == STATE_PARKED ? resolved : NULL;
    send_status(coordinator, job, &status);
}

void event_published(struct coordinator *coordinator, struct ledger_node *node)
{
    const struct ledger_job *record = node->entry ? node->entry->job : NULL;

    if (!record || !record->published_at_ms || record->outcome || node->spoken)
        return;
    node->spoken = true;
    say(coordinator, record->job, EVENT_PUBLISHED, STATE_PUBLISHED, record->published_at_ms, NULL, NULL);
}

void event_planned(struct coordinator *coordinator, struct ledger_node *node)
{
    const struct ledger_job *record = node->entry ? node->entry->job : NULL;

    if (!record || record->published_at_ms || record->outcome || node->planned_said)
        return;
    node->planned_said = true;
    event_send(coordinator, record->job, EVENT_PLANNED, STATE_PLANNED, NULL, NULL);
}
