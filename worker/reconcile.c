/*
 * What a start finds in the journal, job by job:
 *
 *     ACCEPTED, WAITING        back into the backlog
 *     ACCEPTED, and begun      RUNNING: such jobs are named by one fact, not by their rows (begun.h)
 *     RUNNING without a plan   nothing had begun that is not over: afresh
 *     RUNNING with a plan      recovery on an executor; its target stays closed until that is through
 *     PARKED, not resolved     its target is closed
 *     ended, Redis not told    told now
 *
 * A job whose attempts twice began and ended with the death of the worker is PARKED (the boot id tells a crash from a power cut, a drain takes the mark away). If what it owes
 * is harmless in any state, a guest to thaw, that is paid first.
 */
#include "worker/reconcile.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "wire/wire.h"
#include "worker/begun.h"
#include "worker/finisher.h"
#include "worker/journal.h"
#include "worker/keeper.h"
#include "worker/worker.h"

#include <stdio.h>
#include <string.h>

enum { CRASHES_MAX = 2 };
static const char died_twice[] = "the worker died twice while it ran; what it left is not known";

static int decode_job(struct worker *worker, const struct inbox_row *row, struct job **out, struct err *err)
{
    struct job *job = calloc(1, sizeof *job);

    if (!job)
        return err_memory(err, "journal");
    if (wire_decode(worker->wire, &job_record, row->raw, row->raw_len, topic_table[TOPIC_JOBS].max_bytes, job, err) < 0 ||
        (row->traceparent && string_set(&job->traceparent, row->traceparent, err) < 0)) {
        job_free(job);
        return err_wrap(err, "journal: job %s", row->job_id);
    }
    *out = job;
    return 0;
}

/* An end that Redis was not told, of a job that is otherwise through. */
static int tell_redis(struct worker *worker, const struct inbox_row *row, struct err *err)
{
    const char *state = job_state_names[row->state];

    if (row->state == STATE_PARKED && row->resolved)
        state = job_state_names[strncmp(row->resolved, "done", 4) == 0 ? STATE_SUCCEEDED : STATE_FAILED];
    return finisher_add(worker->finisher, row->row, row->job_id, row->target, row->token, state, NULL, NULL, 0, err);
}

static void fill(struct work *work, const struct inbox_row *row)
{
    work->row = row->row;
    work->append_ms = row->append_ms;
    work->accepted_at_ms = row->accepted_at_ms;
    work->seq = row->seq;
    work->attempt = row->attempt;
    work->crashes = row->crashes;
    work->token = row->token;
    work->state = row->state;
    if (row->waiting)
        snprintf(work->waiting, sizeof work->waiting, "%s", row->waiting);
}

static int found(void *context, const struct inbox_row *row, struct err *err)
{
    struct worker *worker = context;
    struct work *work;
    struct job *job = NULL;
    bool parked = row->state == STATE_PARKED && !row->resolved;

    if (job_state_terminal(row->state) && !row->finished && tell_redis(worker, row, err) < 0)
        return -1;
    if (job_state_terminal(row->state) && !parked)
        return 0;
    if (decode_job(worker, row, &job, err) < 0) {
        log_error("journal", "%s; it is left alone", err->text);
        return 0;
    }
    if (work_new(job, &work, err) < 0) {
        job_free(job);
        return -1;
    }
    fill(work, row);
    return custody_enter(&worker->custody, work, err);
}

static int park(struct worker *worker, struct work *work, struct err *err)
{
    struct err why = {0};

    err_set(&why, ERR_UNKNOWN, "%s", died_twice);
    return custody_end(&worker->custody, work, STATE_PARKED, &why, NULL, err);
}

static int recover(struct worker *worker, struct work *work, struct err *err)
{
    work->task = TASK_RECOVER;
    work->recovers_since_ms = clock_monotonic_ms();
    if (work->class != CLASS_A && backlog_close(&worker->custody.backlog, work, err) < 0)
        return -1;
    work->closes_target = true;
    return backlog_add(&worker->custody.backlog, work, clock_monotonic_ms(), err);
}

static int go_on(struct worker *worker, struct work *work, bool rebooted, struct err *err)
{
    struct err why = {0};

    if (rebooted)
        work->crashes = 0;
    if (work->ops && journal_load_plan(worker->journal, work->row, work->ops, &work->plan, &why) < 0) {
        log_error(work->job->job_id, "%s", why.text);
        return custody_end(&worker->custody, work, STATE_PARKED, &why, NULL, err);
    }
    work->journaled = work->plan != NULL;
    if (work->state == STATE_PARKED) {
        work->stage = WORK_PARKED;
        return custody_close_parked(&worker->custody, work, err);
    }
    if (work->plan && work->crashes >= CRASHES_MAX)
        work->give_up = died_twice;
    if (work->state == STATE_RUNNING && (work->crashes > CRASHES_MAX || (work->crashes == CRASHES_MAX && !work->plan)))
        return park(worker, work, err); /* even giving up brought it down */
    if (work->plan)
        return recover(worker, work, err);
    if (work->state == STATE_RUNNING && work->attempt > 0)
        work->attempt--; /* it is the same attempt that begins again */
    return backlog_add(&worker->custody.backlog, work, clock_monotonic_ms(), err);
}

static int note_boot(struct worker *worker, bool *out_rebooted, struct err *err)
{
    char *boot_id;

    if (journal_fact(worker->journal, "boot_id", &boot_id, err) < 0)
        return -1;
    *out_rebooted = !boot_id || strcmp(boot_id, worker->boot_id) != 0;
    free(boot_id);
    return *out_rebooted ? journal_set_fact(worker->journal, "boot_id", worker->boot_id, err) : 0;
}

static bool had_begun(const struct work *work, const char *begun)
{
    return work->state == STATE_ACCEPTED && begun_names(begun, work->row);
}

int reconcile(struct worker *worker, struct err *err)
{
    CLEANUP(freep) char *begun = NULL;
    size_t jobs = 0;
    bool rebooted;

    if (journal_fact(worker->journal, begun_fact, &begun, err) < 0)
        return -1;
    if (note_boot(worker, &rebooted, err) < 0 || inbox_each_open(worker->journal, found, worker, err) < 0)
        return -1;
    for (struct work *work = worker->custody.first, *next; work; work = next) {
        next = work->next;
        jobs++;
        if ((had_begun(work, begun) && custody_had_begun(&worker->custody, work, err) < 0) ||
            go_on(worker, work, rebooted, err) < 0)
            return -1;
    }
    if (begun && journal_set_fact(worker->journal, begun_fact, "", err) < 0)
        return -1;
    if (jobs)
        log_info("journal", "%zu jobs in custody from before", jobs);
    return journal_commit(worker->journal, err);
}
