/*
 * ledger → ticket → MAC → publish → ledger.
 *
 * A job enters here when PREPARED has been read back. Its ticket goes to Redis in the loop's pipeline; when Redis has it the job is signed and handed to Kafka; the delivery
 * report makes PUBLISHED, and that read back ends the leader's part. Nothing here waits. What fails leaves the job at STAGE_IDLE and asks for a walk: once a second the
 * loop asks ledger_job_duty() of every open job, which is also all that a new leader does. So a crash at any point publishes the same id again, and a worker's journal
 * answers the second record.
 */
#include "base/clock.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/log.h"
#include "coordinator/internal.h"
#include "coordinator/publisher.h"
#include "model/job_state.h"
#include "redis/store.h"

#include <string.h>
#include <utlist.h>

static const int64_t TICKET_TTL_MS = 30LL * 24 * 3600 * 1000;

enum { SILENCE_MS = 1000 };

/* One job under way to Redis or Kafka, or to its host. The ledger may be cleared meanwhile: then the generation differs and the node is gone. */
struct flight {
    struct coordinator *coordinator;
    struct ledger_node *node;
    uint64_t generation;
    struct flight *prev, *next; /* SILENT: others */
    int64_t since_ms;           /* SILENT: monotonic */
};

static struct flight *flight_new(struct coordinator *coordinator, struct ledger_node *node)
{
    struct flight *flight = malloc(sizeof *flight);

    if (flight)
        *flight = (struct flight){
            .coordinator = coordinator, .node = node, .generation = ledger_generation(coordinator->ledger)};
    return flight;
}

/* The job that the flight is about, if there still is work to do on it. */
static struct ledger_node *flight_node(const struct flight *flight)
{
    if (flight->generation != ledger_generation(flight->coordinator->ledger) || !flight->node->entry ||
        flight->node->entry->job->outcome)
        return NULL;
    return flight->node;
}

static void try_later(struct coordinator *coordinator, struct ledger_node *node)
{
    node->stage = STAGE_IDLE;
    coordinator->walk_wanted = true;
    event_planned(coordinator, node);
}

bool dispatch_ready(const struct coordinator *coordinator, struct err *err)
{
    const struct keeper_state *keeper = &coordinator->kept;

    if (coordinator->leadership.phase != PHASE_LEADING) {
        err_set(err, ERR_RETRY, "this coordinator does not lead");
        err_hint(err, "ask the one that does; after a failure a standby takes over within 15 s");
    } else if (!keeper->redis_ok || !redis_ready(coordinator->redis))
        err_set(err, ERR_RETRY, "redis: %s",
                !keeper->redis_ok && keeper->problem[0] ? keeper->problem : redis_problem(coordinator->redis));
    else if (!keeper->tickets_ready)
        err_set(err, ERR_RETRY, "redis has lost its memory; the tickets are being written again");
    else
        return true;
    return false;
}

static int set_outcome(struct coordinator *coordinator, struct ledger_node *node, const char *outcome, struct err *err)
{
    LOCK_SCOPE(&coordinator->lock);
    return ledger_set_outcome(node, outcome, clock_real_ms(), err);
}

static void set_published(struct coordinator *coordinator, struct ledger_node *node, int64_t at_ms, int32_t partition,
                          int64_t offset)
{
    LOCK_SCOPE(&coordinator->lock);
    ledger_set_published(node, at_ms, partition, offset);
}

int dispatch_end(struct coordinator *coordinator, struct ledger_node *node, int state, const char *why, bool quiet,
                 struct err *err)
{
    if (set_outcome(coordinator, node, job_state_names[state], err) < 0)
        return -1;
    node->quiet_end = quiet;
    coordinator->shares_wanted |= node->running;
    if (log_mark(coordinator, node, job_state_names[state], why, err) == 0)
        return 0;
    set_outcome(coordinator, node, NULL, NULL);
    return -1;
}

static void end_unpublished(struct coordinator *coordinator, struct ledger_node *node, enum job_state state,
                            const char *why)
{
    struct err err = {0};

    node->stage = STAGE_RECORDING;
    if (dispatch_end(coordinator, node, state, why, false, &err) == 0)
        return;
    log_warning(node->key, "end is not recorded yet: %s", err.text);
    try_later(coordinator, node);
}

/* ---- publish ---- */

static void set_maybe_published(struct coordinator *coordinator, struct ledger_node *node)
{
    LOCK_SCOPE(&coordinator->lock);
    node->maybe_published = true;
}

/* Takes the flight over. */
static void record_published(struct coordinator *coordinator, struct flight *flight, int64_t at_ms, int32_t partition,
                             int64_t offset)
{
    struct ledger_node *node = flight->node;
    struct err err = {0};

    set_published(coordinator, node, at_ms, partition, offset);
    node->stage = STAGE_RECORDING;
    if (log_mark(coordinator, node, NULL, NULL, &err) == 0) {
        flight->since_ms = clock_monotonic_ms();
        DL_APPEND(coordinator->silent, flight);
        return;
    }
    free(flight);
    set_published(coordinator, node, 0, -1, -1);
    try_later(coordinator, node); /* published once more: the worker's journal answers */
}

/* It must not be published any more, and perhaps was: since when, if so, nobody knows. From now on its host's word counts, or its silence (overdue.h). */
static void assume_published(struct coordinator *coordinator, struct ledger_node *node)
{
    struct flight *flight = flight_new(coordinator, node);

    if (flight)
        record_published(coordinator, flight, node->entry->job->prepared_at_ms, -1, -1);
    else
        coordinator->walk_wanted = true;
}

static void end_or_assume(struct coordinator *coordinator, struct ledger_node *node, const char *why)
{
    if (node->maybe_published)
        assume_published(coordinator, node);
    else
        end_unpublished(coordinator, node, STATE_REJECTED, why);
}

static void publish(struct coordinator *coordinator, struct flight *flight)
{
    struct ledger_node *node = flight->node;
    const struct ledger_job *record = node->entry->job;
    struct err err = {0};

    node->stage = STAGE_IDLE;
    if (ledger_job_duty(node, clock_real_ms()) != DUTY_PUBLISH || coordinator->leadership.phase != PHASE_LEADING) {
        free(flight);
        dispatch_job(coordinator, node); /* cancelled or too late meanwhile */
        return;
    }
    crash_point("publish.before", op_names[record->job->op]);
    if (publisher_send_job(coordinator->publisher, record->job, (uint64_t)(uintptr_t)flight, &err) == 0) {
        coordinator->sent++;
        set_maybe_published(coordinator, node);
        node->stage = STAGE_PUBLISHING;
        return;
    }
    free(flight);
    if (err.kind == ERR_RETRY) {
        try_later(coordinator, node);
        return;
    }
    log_error(record->job->job_id, "cannot be published: %s", err.text);
    end_or_assume(coordinator, node, err.text);
}

void dispatch_delivered(struct coordinator *coordinator, uint64_t opaque, int error, int32_t partition, int64_t offset)
{
    struct flight *flight = (struct flight *)(uintptr_t)opaque;
    struct ledger_node *node = flight_node(flight);

    if (!node || node->stage != STAGE_PUBLISHING) {
        free(flight);
        return;
    }
    if (error || coordinator->leadership.phase != PHASE_LEADING) {
        free(flight);
        try_later(coordinator, node);
        return;
    }
    crash_point("publish.after", op_names[node->entry->job->job->op]);
    record_published(coordinator, flight, clock_real_ms(), partition, offset);
}

void dispatch_break_silence(struct coordinator *coordinator, bool now)
{
    int64_t before_ms = clock_monotonic_ms() - SILENCE_MS;
    struct flight *flight;

    while ((flight = coordinator->silent) && (now || flight->since_ms <= before_ms)) {
        struct ledger_node *node = flight_node(flight);
        DL_DELETE(coordinator->silent, flight);
        free(flight);
        if (node && coordinator->leadership.phase == PHASE_LEADING)
            event_published(coordinator, node);
    }
}

/* ---- tickets ---- */

static void ticket_answered(void *context, enum redis_outcome outcome, const struct redis_reply *reply)
{
    struct flight *flight = context;
    struct coordinator *coordinator = flight->coordinator;
    struct ledger_node *node = flight_node(flight);

    if (!node || node->stage != STAGE_TICKET) {
        free(flight);
        return;
    }
    if (outcome == REDIS_ANSWERED && !redis_reply_is_error(reply) && store_ticket_answer(reply) == TICKET_OK) {
        crash_point("ticket.after", op_names[node->entry->job->job->op]);
        publish(coordinator, flight);
        return;
    }
    if (outcome == REDIS_ANSWERED && redis_reply_is_error(reply))
        log_warning(node->key, "ticket: redis says: %s", redis_reply_text(reply));
    else if (outcome == REDIS_ANSWERED)
        coordinator_want_step_down(coordinator, "Redis knows a higher term");
    free(flight);
    try_later(coordinator, node);
}

static void write_ticket(struct coordinator *coordinator, struct ledger_node *node)
{
    const struct job *job = node->entry->job->job;
    char target[TARGET_TEXT], control[1100];
    struct store_command *command = &coordinator->ticket;

    shares_begin(coordinator, node);
    ledger_job_control(node, control, sizeof control);
    struct store_ticket ticket = {
        .job_id = job->job_id,
        .host = job->host,
        .target = target_format(&job->target, target),
        .op = op_names[job->op],
        .job_class = job_class(job),
        .term = coordinator->leadership.term,
        .deadline_ms = job->deadline_ms,
        .state = "",
        .cancel = node->entry->job->cancel ? node->entry->job->cancel : "",
        .control = control,
        .journal = "",
        .ttl_ms = TICKET_TTL_MS,
    };
    struct flight *flight = flight_new(coordinator, node);
    struct err err = {0};

    if (!flight || store_ticket_command(&ticket, command, &err) < 0) {
        log_error(job->job_id, "ticket: %s", err.text);
        free(flight);
        try_later(coordinator, node);
        return;
    }
    node->stage = STAGE_TICKET;
    node->control_written = !node->maybe_published; /* a ticket that is there keeps its word */
    store_send(coordinator->redis, command, ticket_answered, flight);
}

/* ---- words to a published job ---- */

static void cancel_answered(void *context, enum redis_outcome outcome, const struct redis_reply *reply)
{
    struct flight *flight = context;
    struct ledger_node *node = flight_node(flight);

    if (node && (outcome != REDIS_ANSWERED || redis_reply_is_error(reply))) {
        node->cancel_flagged = false;
        flight->coordinator->walk_wanted = true;
    }
    free(flight);
}

static void control_answered(void *context, enum redis_outcome outcome, const struct redis_reply *reply)
{
    struct flight *flight = context;
    struct ledger_node *node = flight_node(flight);

    if (node && (outcome != REDIS_ANSWERED || redis_reply_is_error(reply))) {
        node->control_written = false;
        flight->coordinator->walk_wanted = true;
    }
    free(flight);
}

static void send_word(struct coordinator *coordinator, struct ledger_node *node, struct store_command *command,
                      redis_callback *answered)
{
    struct flight *flight = flight_new(coordinator, node);

    if (flight)
        store_send(coordinator->redis, command, answered, flight);
    else
        coordinator->walk_wanted = true;
    store_command_clear(command);
}

static void flag_cancel(struct coordinator *coordinator, struct ledger_node *node)
{
    struct store_command command = {0};

    if (store_cancel_command(coordinator->leadership.term, node->entry->id, node->entry->job->cancel, &command, NULL) < 0)
        return;
    node->cancel_flagged = true;
    send_word(coordinator, node, &command, cancel_answered);
}

static void write_control(struct coordinator *coordinator, struct ledger_node *node)
{
    struct store_command command = {0};
    char word[1100];

    ledger_job_control(node, word, sizeof word);
    if (store_control_command(coordinator->leadership.term, node->entry->id, word, &command, NULL) < 0)
        return;
    node->control_written = true;
    send_word(coordinator, node, &command, control_answered);
}

/* ---- what is owed ---- */

void dispatch_job(struct coordinator *coordinator, struct ledger_node *node)
{
    switch (ledger_job_duty(node, clock_real_ms())) {
    case DUTY_NONE: return;
    case DUTY_END_CANCELLED:
        flag_cancel(coordinator, node);
        end_unpublished(coordinator, node, STATE_CANCELLED, node->entry->job->cancel);
        return;
    case DUTY_END_EXPIRED:
        end_unpublished(coordinator, node, STATE_EXPIRED, "its deadline came before it was published");
        return;
    case DUTY_ASSUME_PUBLISHED: assume_published(coordinator, node); return;
    case DUTY_PUBLISH:
    case DUTY_FLAG_CANCEL:
    case DUTY_CONTROL: break;
    }
    if (!dispatch_ready(coordinator, NULL)) {
        coordinator->walk_wanted = true;
        return;
    }
    switch (ledger_job_duty(node, clock_real_ms())) {
    case DUTY_PUBLISH: write_ticket(coordinator, node); return;
    case DUTY_CONTROL:
        write_control(coordinator, node);
        if (ledger_job_duty(node, clock_real_ms()) == DUTY_FLAG_CANCEL)
            flag_cancel(coordinator, node);
        return;
    case DUTY_FLAG_CANCEL: flag_cancel(coordinator, node); return;
    case DUTY_NONE:
    case DUTY_END_CANCELLED:
    case DUTY_END_EXPIRED:
    case DUTY_ASSUME_PUBLISHED: return;
    }
}

void dispatch_walk(struct coordinator *coordinator)
{
    struct ledger_node *node, *next;

    coordinator->walk_wanted = false;
    for (node = ledger_first_open_job(coordinator->ledger); node; node = next) {
        next = node->next;
        dispatch_job(coordinator, node);
    }
}
