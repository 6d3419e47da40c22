/* The first edge: a verified job comes into custody, or is refused, or is a repeat. */
#include "worker/custody.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/log.h"
#include "kafka/kafka.h"
#include "worker/job_source.h"
#include "worker/options.h"
#include "worker/outbox.h"
#include "worker/teller.h"

#include <stdio.h>
#include <string.h>

static struct teller teller_of(const struct custody *custody)
{
    return (struct teller){custody->setup.wire, custody->setup.outbox, custody->setup.host,
                           journal_id(custody->setup.journal)};
}

static bool kind_served(const struct custody *custody, const char *kind)
{
    for (size_t i = 0; i < custody->setup.backends->count; i++)
        if (strcmp(custody->setup.backends->items[i], kind) == 0)
            return backend_find(kind) != NULL;
    return false;
}

/* STATE_ACCEPTED, or the state in which it ends at once; `why` says why. */
static enum job_state judge(const struct custody *custody, const struct work *work, struct err *why)
{
    const struct job *job = work->job;

    if (job_check(job, why) < 0)
        return STATE_REJECTED;
    if (strcmp(job->host, custody->setup.host) != 0)
        return err_set(why, ERR_PERMANENT, "the job is for host %s, this is %s", job->host, custody->setup.host),
               STATE_REJECTED;
    if (!kind_served(custody, job->target.kind))
        return err_set(why, ERR_PERMANENT, "this worker does not serve targets of kind %s", job->target.kind),
               STATE_REJECTED;
    if (!backend_verb(work->ops, (enum op)job->op))
        return err_set(why, ERR_PERMANENT, "%s: backend %s of this worker does not do that", op_names[job->op],
                       work->ops->kind),
               STATE_REJECTED;
    if (work_expired(work, clock_real_ms()))
        return err_set(why, ERR_PERMANENT, "too late: its deadline, or the time by which it had to start, has passed"),
               STATE_EXPIRED;
    return STATE_ACCEPTED;
}

static int tell_row(void *context, const struct inbox_row *row, struct err *err)
{
    const struct custody *custody = context;
    struct teller teller = teller_of(custody);

    return row->last_status
               ? tell_again(&teller, row->job_id, row->traceparent, row->last_status, row->last_status_len, err)
               : 0;
}

/* What a repeat is answered with: the last event, with its old seq. */
static int answer_repeat(struct custody *custody, const struct work *work, struct err *err)
{
    struct teller teller = teller_of(custody);
    struct telling telling = {.phase = work->told_phase};

    if (work->stage == WORK_ENDING || work->stage == WORK_PARKED)
        return inbox_read(custody->setup.journal, work->row, tell_row, custody, err);
    return tell_status(&teller, work, &telling, NULL, NULL, err);
}

static int add_row(struct custody *custody, struct work *work, const struct receipt *receipt, bool *out_known,
                   struct err *err)
{
    struct inbox_row row = {
        .job_id = work->job->job_id,
        .target = work->target,
        .raw = receipt->record->value,
        .raw_len = receipt->record->value_len,
        .traceparent = work->job->traceparent,
        .append_ms = work->append_ms,
        .accepted_at_ms = work->accepted_at_ms,
        .state = STATE_ACCEPTED,
        .seq = work->seq,
        .not_before_ms = work->job->not_before_ms,
    };

    return inbox_add(custody->setup.journal, &row, &work->row, out_known, err);
}

static int64_t delay_of(const struct job *job)
{
    int64_t now = clock_real_ms();

    return job->not_before_ms > now ? job->not_before_ms - now : 0;
}

static int refuse(struct custody *custody, struct work *work, enum job_state state, const struct err *why,
                  struct err *err)
{
    bool foreign = strcmp(work->job->host, custody->setup.host) != 0;

    if (custody_end(custody, work, state, why, NULL, err) < 0)
        return -1;
    if (foreign) /* its ticket is another host's: Redis is not told, so nothing more is heard of it */
        custody_drop(custody, work);
    return 0;
}

/*
 * That a job is in custody is an event of its own only if it stays there: most jobs begin at once, and then RUNNING says when it was accepted. Who waits for longer than a
 * sweep has it said by the sweep; with its old seq, so that readers take a repetition after a restart for what it is.
 */
int custody_say_accepted(struct custody *custody, struct work *work, struct err *err)
{
    struct teller teller = teller_of(custody);
    const struct telling nothing = {0};

    if (work->state != STATE_ACCEPTED || work->told_accepted)
        return 0;
    work->told_accepted = true;
    return tell_status(&teller, work, &nothing, NULL, NULL, err);
}

/* In the journal for the first time. */
static int take_in(struct custody *custody, struct work *work, struct err *err)
{
    struct err why = {0};
    enum job_state state = judge(custody, work, &why);
    int64_t now = clock_monotonic_ms();

    if (custody_enter(custody, work, err) < 0)
        return -1;
    if (state != STATE_ACCEPTED) {
        work->seq--; /* the row's seq was meant for ACCEPTED, which is not said */
        log_info(work->job->job_id, "%s: %s", job_state_names[state], why.text);
        return refuse(custody, work, state, &why, err);
    }
    int64_t delay = delay_of(work->job);
    work->wake_ms = now + delay;
    if (backlog_add(&custody->backlog, work, now, err) < 0)
        return -1;
    return delay ? custody_say_accepted(custody, work, err) : 0;
}

static struct work *new_work(const struct custody *custody, struct receipt *receipt, struct err *err)
{
    struct work *work;

    if (receipt->traceparent && string_set(&receipt->job->traceparent, receipt->traceparent, err) < 0)
        return NULL;
    if (work_new(receipt->job, &work, err) < 0)
        return NULL;
    receipt->job = NULL;
    work->state = STATE_ACCEPTED;
    work->append_ms = receipt->record->timestamp_ms;
    work->accepted_at_ms = clock_real_ms();
    work->seq = journal_birth_us(custody->setup.journal) + 1;
    return work;
}

int custody_accept(struct custody *custody, struct receipt *receipt, struct err *err)
{
    struct work *old = custody_find(custody, receipt->job->job_id);
    bool known = false;

    if (old) {
        job_free(TAKE_PTR(receipt->job));
        return answer_repeat(custody, old, err);
    }
    struct work *work = new_work(custody, receipt, err);
    if (!work) {
        job_free(TAKE_PTR(receipt->job));
        return -1;
    }
    custody->accepted = work_crash_name(work);
    crash_point("accept.before", custody->accepted);
    if (add_row(custody, work, receipt, &known, err) < 0 || known) {
        int failed = known ? inbox_read(custody->setup.journal, work->row, tell_row, custody, err) : -1;
        work_free(work);
        return failed;
    }
    return take_in(custody, work, err);
}
