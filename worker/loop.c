/*
 * How the worker lives: one turn after another.
 *
 *     wait for something ─► hear everybody: signals, threads, Redis, Kafka's acknowledgements, new jobs ─► look at the clock ─► start what may start
 *       ─► COMMIT ─► and only now: answer executors that wait for their journal, begin attempts, tell Redis of ends, ask it for locks, produce
 *
 * What is heard changes memory and the journal, in one transaction per turn however much was heard: a commit costs an fsync, so a hundred jobs share one. What goes out
 * goes after the commit: no effect, no event and no lock is ahead of the journal. The position in fleetsnap.jobs is written in the same transaction as the jobs that it passes.
 *
 * The loop never waits for anything but poll. What may wait has a thread: executors (libvirt, files), keeper (synchronous Redis), linker (the first answer of a broker),
 * surveyor (inventory). They hand over messages through one queue; docs/threads.md says who owns what.
 *
 * When the journal cannot be written (disk full) memory is ahead of it and nothing more may follow: the loop refuses every save, so that executors pay what they owe and come
 * back, and the process ends; the next start goes on from what is written.
 */
#include "worker/loop.h"

#include "base/alive.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/log.h"
#include "worker/begun.h"
#include "worker/finisher.h"
#include "worker/hearing.h"
#include "worker/inspect.h"
#include "worker/job_source.h"
#include "worker/journal.h"
#include "worker/outbox.h"
#include "worker/pool.h"
#include "worker/surveyor.h"
#include "worker/sweep.h"
#include "worker/worker.h"

#include <poll.h>
#include <string.h>
#include <sys/signalfd.h>

enum {
    SWEEP_MS = 1000,
    NEAR_MS = 5,
    POSITION_MS = 5000,
    OFFSET_COMMIT_MS = 200,
    HARD_STOP_MS = 15000,
    FAREWELL_MS = 5000
};

/* ---- waiting ---- */

static int64_t sleep_ms(const struct worker *worker)
{
    int64_t now = clock_monotonic_ms();
    int64_t wake = worker->swept_ms + SWEEP_MS;
    int64_t backlog = backlog_next_wake_ms(&worker->custody.backlog);
    int64_t notes = journal_notes_due_ms(worker->journal);
    int redis = redis_wait_ms(worker->redis);

    if (backlog < wake)
        wake = backlog;
    if (notes < wake)
        wake = notes;
    if (redis >= 0 && now + redis < wake)
        wake = now + redis;
    if (finisher_count(worker->finisher) && now + NEAR_MS < wake)
        wake = now + NEAR_MS;
    return wake > now ? wake - now : 0;
}

static void wait_for_something(struct worker *worker, short *redis_happened)
{
    int64_t ms = sleep_ms(worker);
    struct timespec limit = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    struct pollfd fds[] = {
        {.fd = worker->signals, .events = POLLIN},
        {.fd = queue_fd(worker->to_loop), .events = POLLIN},
        {.fd = redis_fd(worker->redis), .events = redis_events(worker->redis)},
        {.fd = job_source_fd(worker->source), .events = POLLIN},
        {.fd = worker->producer ? kafka_producer_fd(worker->producer) : -1, .events = POLLIN},
        {.fd = inspector_fd(worker->inspector), .events = inspector_events(worker->inspector)},
    };

    ppoll(fds, sizeof fds / sizeof *fds, &limit, NULL);
    *redis_happened = fds[2].revents;
    if (fds[5].revents)
        inspector_serve(worker->inspector);
}

/* ---- signals ---- */

static void stop_hard(struct worker *worker)
{
    worker->stopped_hard = true;
    pool_stop(worker->pool);
}

static void begin_drain(struct worker *worker)
{
    log_info("worker", "stopping: %lld running jobs may go on for %lld s", (long long)worker->running,
             (long long)worker->options->drain_ms / 1000);
    if (worker->notify)
        worker->notify("STOPPING=1");
    worker->drain_until_ms = clock_monotonic_ms() + worker->options->drain_ms;
    worker->admission.closed = true;
    job_source_pause(worker->source, true);
}

static void hear_signals(struct worker *worker)
{
    struct signalfd_siginfo info;

    while (read(worker->signals, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGHUP)
            continue;
        if (worker->drain_until_ms) {
            log_warning("worker", "second signal: stopping at once; what runs is settled by the next start");
            _exit(1);
        }
        begin_drain(worker);
    }
}

/* ---- the end of a turn ---- */

/* With the jobs that it passes; alone (records of other hosts) only now and then. */
static int write_position(struct worker *worker, struct err *err)
{
    const struct position *position = job_source_position(worker->source);
    int64_t now = clock_monotonic_ms();

    if (position->next_offset < 0 || position->next_offset == worker->position_written)
        return 0;
    if (!journal_open_transaction(worker->journal) && now - worker->position_ms < POSITION_MS)
        return 0;
    worker->position_ms = now;
    worker->position_written = position->next_offset;
    return position_write(worker->journal, topic_table[TOPIC_JOBS].name, position, err);
}

static void answer_saves(struct worker *worker, int failed)
{
    for (struct save *save = worker->saves, *next; save; save = next) {
        next = (struct save *)save->message.item.next;
        if (failed && save->err)
            *save->err = worker->err;
        pool_saved(save, failed);
    }
    worker->saves = NULL;
}

static void begin_attempts(struct worker *worker)
{
    struct queue_item *first = custody_take_starting(&worker->custody);

    for (struct queue_item *item = first; item; item = item->next)
        worker->running++;
    pool_submit_list(worker->pool, first);
}

static void reopen_producer(struct worker *worker)
{
    struct err err;
    struct kafka_producer *producer;

    if (!worker->producer || !kafka_producer_fatal(worker->producer))
        return;
    log_warning("kafka", "the producer cannot go on and is opened anew; nothing is lost: the outbox is sent again");
    if (kafka_producer_open(&worker->kafka, &producer, &err) < 0) {
        log_error("kafka", "%s", err.text);
        return;
    }
    kafka_producer_close(worker->producer, 0);
    worker->producer = producer;
    outbox_use(worker->outbox, producer, outbox_status_partition(worker->outbox));
}

static void commit_offset(struct worker *worker)
{
    int64_t now = clock_monotonic_ms();

    if (now - worker->committed_ms < OFFSET_COMMIT_MS)
        return;
    worker->committed_ms = now;
    job_source_commit(worker->source);
}

static void pass_crash_points(struct custody *custody)
{
    if (custody->accepted)
        crash_point("accept.after", custody->accepted);
    if (custody->ended)
        crash_point("result.after", custody->ended);
    custody->accepted = custody->ended = NULL;
}

/* Everything that had to wait for the commit. */
static void after_commit(struct worker *worker)
{
    pass_crash_points(&worker->custody);
    if (worker->custody.changed)
        surveyor_wake(worker->surveyor);
    worker->custody.changed = false;
    answer_saves(worker, 0);
    begin_attempts(worker);
    finisher_send(worker->finisher);
    admission_ask(&worker->admission);
    outbox_produce(worker->outbox);
    commit_offset(worker);
    redis_process(worker->redis, 0); /* writes what was just sent; answers are heard in the next turn */
}

static int hear_and_decide(struct worker *worker, short redis_happened, struct err *err)
{
    hear_deliveries(worker);
    if (hear_threads(worker, err) < 0 || hear_redis(worker, redis_happened, err) < 0 || hear_kafka(worker, err) < 0)
        return -1;
    if (clock_monotonic_ms() - worker->swept_ms >= SWEEP_MS && sweep(worker, err) < 0)
        return -1;
    if (admission_start(&worker->admission, err) < 0 || begun_write(&worker->custody, err) < 0 ||
        write_position(worker, err) < 0)
        return -1;
    bool due = worker->drain_until_ms || clock_monotonic_ms() >= journal_notes_due_ms(worker->journal);
    return due ? journal_write_notes(worker->journal, err) : 0;
}

static int turn(struct worker *worker)
{
    struct err *err = &worker->err;
    short redis_happened = 0;

    wait_for_something(worker, &redis_happened);
    hear_signals(worker);
    int failed = hear_and_decide(worker, redis_happened, err);
    if (!failed) {
        failed = journal_commit(worker->journal, err);
    }
    job_source_release(worker->source);
    if (failed)
        return -1;
    after_commit(worker);
    reopen_producer(worker);
    return 0;
}

/* ---- the end ---- */

/* Executors come back by themselves once nothing can be saved any more; their results are not written, so the next start settles them. */
static void hear_after_failure(struct worker *worker, struct message *message)
{
    struct save *save = (struct save *)message;

    if (message->kind == MESSAGE_ENDED)
        worker->running--;
    if (message->kind != MESSAGE_SAVE)
        return;
    if (save->err)
        *save->err = worker->err;
    pool_saved(save, -1);
}

static int fail(struct worker *worker)
{
    int64_t until = clock_monotonic_ms() + HARD_STOP_MS;

    log_error("worker", "%s%s%s; what runs pays what it owes, then this worker stops", worker->err.text,
              worker->err.hint[0] ? ": " : "", worker->err.hint);
    worker->failed = true;
    answer_saves(worker, -1);
    stop_hard(worker);
    while (worker->running > 0 && clock_monotonic_ms() < until) {
        struct queue_item *item = queue_wait_one(worker->to_loop, 100);
        if (item)
            hear_after_failure(worker, (struct message *)item);
    }
    return 1;
}

static bool everything_said(const struct worker *worker)
{
    return outbox_count(worker->outbox) == 0 && finisher_count(worker->finisher) == 0;
}

/* True while there is a reason to take another turn. */
static bool draining_goes_on(struct worker *worker)
{
    int64_t now = clock_monotonic_ms();

    if (!worker->drain_until_ms)
        return true;
    if (worker->running > 0 && !worker->stopped_hard && now >= worker->drain_until_ms) {
        log_warning("worker", "%lld jobs are still running: the next start goes on with them",
                    (long long)worker->running);
        stop_hard(worker);
        worker->drain_until_ms = now;
    }
    if (worker->running > 0)
        return now < worker->drain_until_ms + HARD_STOP_MS;
    if (!worker->stopped_hard) { /* all came back in time: a moment to say so */
        worker->stopped_hard = true;
        worker->drain_until_ms = now;
    }
    return !everything_said(worker) && now < worker->drain_until_ms + FAREWELL_MS;
}

int loop_run(struct worker *worker)
{
    int64_t said_ms = 0;

    if (worker->notify)
        worker->notify("READY=1");
    while (draining_goes_on(worker)) {
        if (turn(worker) < 0)
            return fail(worker);
        if (worker->claim_lost) {
            log_error("worker", "this host belongs to another worker now: stopping; no step is started");
            stop_hard(worker);
            return 1;
        }
        alive_say(worker->notify, &said_ms);
    }
    return 0;
}
