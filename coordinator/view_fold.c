/* What an event changes in a job's row. Pure. */
#include "coordinator/view_rows.h"
#include "model/status.h"

#include <string.h>

/* A parked job has not ended before somebody has said what became of it. */
static void note_times(struct view_job_row *row, const struct status *status)
{
    row->at = status->at_ms;
    if (status->started_at_ms && !row->started_at)
        row->started_at = status->started_at_ms;
    if (status->state == STATE_RUNNING && !row->started_at)
        row->started_at = status->at_ms;
    if (job_state_terminal((enum job_state)status->state) && (status->state != STATE_PARKED || status->resolved) &&
        !row->ended_at)
        row->ended_at = status->at_ms;
}

/*
 * The host was replaced or removed: what the coordinator says then is the last word on its job. A number that no worker reaches stands for that: events come by partitions, and the worker's may be
 * read later, when the view is built anew.
 */
static void fold_bygone(struct view_job_row *row, const struct status *status)
{
    bool parked = row->state == STATE_PARKED && !row->resolved;

    row->lost = false;
    row->worker_seq = INT64_MAX;
    if (parked && status->resolved) {
        row->resolved = true;
        note_times(row, status);
    } else if (!job_state_terminal((enum job_state)row->state)) {
        row->state = status->state;
        row->resolved = status->resolved != NULL;
        note_times(row, status);
    }
}

static enum fold_verdict fold_coordinator(struct view_job_row *row, const struct status *status)
{
    if (status->seq <= row->coordinator_seq)
        return FOLD_OLD;
    row->coordinator_seq = status->seq;
    if (status->note && strncmp(status->note, NOTE_BYGONE, strlen(NOTE_BYGONE)) == 0)
        fold_bygone(row, status);
    else if (status->note && strncmp(status->note, "lost", 4) == 0)
        row->lost = !job_state_terminal((enum job_state)row->state);
    else if (status->note && strncmp(status->note, "found", 5) == 0)
        row->lost = false;
    else if (!row->worker_seq && !job_state_terminal((enum job_state)row->state)) {
        row->state = status->state;
        row->lost = row->lost && !job_state_terminal((enum job_state)row->state);
        note_times(row, status);
    }
    return FOLD_NEWS;
}

/* A worker knows more than the coordinator: its word replaces even an end that the coordinator assumed. Its own end is never changed, but PARKED may be resolved. */
static enum fold_verdict fold_worker(struct view_job_row *row, const struct status *status)
{
    bool ended = row->worker_seq && job_state_terminal((enum job_state)row->state),
         resolves = row->state == STATE_PARKED && status->state == STATE_PARKED && status->resolved;

    if (status->seq <= row->worker_seq || (ended && !resolves))
        return FOLD_OLD;
    row->worker_seq = status->seq;
    row->lost = false;
    if (!job_state_terminal((enum job_state)status->state))
        row->ended_at = 0;
    row->state = status->state;
    row->token = status->token > row->token ? status->token : row->token;
    if (status->journal)
        view_copy(row->journal, sizeof row->journal, status->journal);
    note_times(row, status);
    row->resolved = status->resolved != NULL;
    if (!job_state_terminal((enum job_state)status->state) || (status->state == STATE_PARKED && !status->resolved))
        return FOLD_NEWS;
    return FOLD_ENDED;
}

enum fold_verdict fold_status(struct view_job_row *row, const struct status *status)
{
    enum fold_verdict verdict = status->origin == ORIGIN_WORKER ? fold_worker(row, status)
                                                                : fold_coordinator(row, status);

    if (verdict == FOLD_OLD)
        return verdict;
    row->op = row->op ? row->op : status->op;
    if (!row->host[0])
        view_copy(row->host, sizeof row->host, status->host ? status->host : "");
    if (!row->target[0])
        target_format(&status->target, row->target);
    row->dirty = true;
    return verdict;
}
