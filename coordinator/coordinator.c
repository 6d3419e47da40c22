/*
 * The main loop. It waits for four things at once: records of the ledger, delivery reports, answers of Redis, and writes that other threads hand over; and it does all that
 * changes the ledger. Each turn serves whole batches, so that one request to Kafka or Redis carries many jobs.
 *
 * Leading: follow the ledger always → nobody renews fs:leader → append TERM → read it back as the first of its number → the keeper raises fs:term and sees to the epoch →
 * lead: walk the open jobs, hear the ends that the view knows, serve the desk. A higher TERM ends it: what is under way is answered "try again", the memory is forgotten
 * and read anew.
 */
#include "coordinator/coordinator.h"

#include "base/alive.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/queue.h"
#include "coordinator/desk_write.h"
#include "coordinator/internal.h"
#include "coordinator/publisher.h"
#include "coordinator/view_feed.h"
#include "model/job_state.h"
#include "redis/redis.h"

#include <poll.h>
#include <stdio.h>

enum {
    ACKNOWLEDGED_MS = 20, /* the longest wait for Kafka; then the others have their turn */
    TURN_MS = 5,          /* the longest sleep while something is under way */
    IDLE_MS = 200,
    TICK_MS = 100,
    WALK_MS = 1000,
    BATCH_MAX = 1024,
    STAND_AGAIN_MS = 2000, /* a candidacy that nobody answers, or that was lost */
    FLUSH_MS = 5000,
    DRAIN_MS = 3000,
};

/* ---- leadership ---- */

static void step_down(struct coordinator *coordinator, const char *why)
{
    log_warning("leadership", "no longer leading: %s", why);
    leadership_step_down(&coordinator->leadership);
    keeper_lead(coordinator->keeper, 0);
    log_drop_drafts(coordinator, ERR_RETRY, "another coordinator leads now");
    coordinator->reload_wanted = true;
    coordinator->stand_not_before_ms = clock_monotonic_ms() + STAND_AGAIN_MS;
}

void coordinator_want_step_down(struct coordinator *coordinator, const char *why)
{
    coordinator->step_down_wanted = true;
    snprintf(coordinator->step_down_why, sizeof coordinator->step_down_why, "%s", why);
}

void coordinator_news(struct coordinator *coordinator, enum leadership_news news)
{
    switch (news) {
    case NEWS_NONE: return;
    case NEWS_LOST:
        log_info("leadership", "another coordinator was first with term %lld",
                 (long long)coordinator->leadership.highest);
        coordinator->stand_not_before_ms = clock_monotonic_ms() + STAND_AGAIN_MS;
        return;
    case NEWS_DEPOSED: step_down(coordinator, "the ledger has a higher term"); return;
    case NEWS_ELECTED:
        log_info("leadership", "elected with term %lld", (long long)coordinator->leadership.term);
        coordinator->next_n = 1;
        keeper_lead(coordinator->keeper, coordinator->leadership.term);
        return;
    }
}

static void begin_to_lead(struct coordinator *coordinator)
{
    struct err err = {0};

    if (audit_resume(&coordinator->audit, &coordinator->kafka, &err) < 0) {
        log_error("audit", "%s", err.text);
        return; /* tried again at the next tick: nobody leads without an audit */
    }
    pthread_mutex_lock(&coordinator->lock);
    ledger_inherit(coordinator->ledger);
    pthread_mutex_unlock(&coordinator->lock);
    coordinator->leadership.phase = PHASE_LEADING;
    for (struct ledger_node *node = ledger_first(coordinator->ledger); node; node = node->hh.next)
        if (node->older_count || (node->entry && node->entry->gone))
            log_bury(coordinator, node, node->entry && node->entry->gone);
    log_info("leadership", "leading with term %lld: %zu open jobs", (long long)coordinator->leadership.term,
             ledger_open_jobs(coordinator->ledger));
    dispatch_walk(coordinator);
    view_replay(coordinator->view);
}

static void stand(struct coordinator *coordinator, int64_t now_ms)
{
    struct err err = {0};
    int64_t term = leadership_stand(&coordinator->leadership);

    coordinator->stood_at_ms = now_ms;
    if (log_append_term(coordinator, term, &err) == 0)
        return;
    log_warning("leadership", "term %lld: %s", (long long)term, err.text);
    leadership_step_down(&coordinator->leadership);
    coordinator->stand_not_before_ms = now_ms + STAND_AGAIN_MS;
}

static void follow(struct coordinator *coordinator, const struct keeper_state *keeper, int64_t now_ms)
{
    struct leadership_inputs inputs = {
        .ledger_read = atomic_load(&coordinator->position) >= coordinator->ledger_end,
        .redis_ready = keeper->redis_ok,
        .hint_known = keeper->hint_known,
        .hint_present = keeper->hint_present,
        .hint_ours = keeper->hint_ours,
        .now_ms = now_ms,
        .not_before_ms = coordinator->stand_not_before_ms,
    };

    if (keeper->redis_term)
        coordinator->leadership.redis_term = keeper->redis_term;
    if (leadership_should_stand(&coordinator->leadership, &inputs))
        stand(coordinator, now_ms);
}

static void tick_leadership(struct coordinator *coordinator, int64_t now_ms)
{
    const struct keeper_state *keeper = &coordinator->kept;

    switch (coordinator->leadership.phase) {
    case PHASE_FOLLOWING: follow(coordinator, keeper, now_ms); return;
    case PHASE_CANDIDATE: return; /* a TERM that is slow still counts when it arrives */
    case PHASE_ELECTED:
        if (keeper->term_refused == coordinator->leadership.term)
            step_down(coordinator, "Redis knows a higher term");
        else if (keeper->term_raised == coordinator->leadership.term && view_caught_up(coordinator->view))
            begin_to_lead(coordinator);
        return;
    case PHASE_LEADING:
        if (coordinator->walk_wanted && now_ms - coordinator->last_walk_ms >= WALK_MS) {
            coordinator->last_walk_ms = now_ms;
            dispatch_walk(coordinator);
        }
        if (coordinator->replay_wanted) {
            coordinator->replay_wanted = false;
            view_replay(coordinator->view);
        }
        shares_tick(coordinator, now_ms);
        return;
    }
}

/* ---- the loop ---- */

static bool is_audit(uint64_t opaque)
{
    return opaque == OPAQUE_AUDIT || (opaque >= PUBLISHER_POINTERS && (opaque & OPAQUE_AUDIT_WAIT));
}

static void delivered(void *context, const struct kafka_delivery *delivery)
{
    struct coordinator *coordinator = context;

    coordinator->delivered++;
    coordinator->last_progress_ms = clock_monotonic_ms();
    if (is_audit(delivery->opaque) && delivery->opaque != OPAQUE_AUDIT)
        audit_delivered(coordinator, delivery->opaque, delivery->error != 0);
    else if (delivery->opaque >= PUBLISHER_POINTERS)
        dispatch_delivered(coordinator, delivery->opaque, delivery->error, delivery->partition, delivery->offset);
    else if (delivery->error)
        log_error("kafka", "a record was not taken: %s", delivery->error_text ? delivery->error_text : "");
    if (delivery->error && delivery->opaque == OPAQUE_LEDGER)
        coordinator_want_step_down(coordinator, "a record of the ledger was not taken");
    if (delivery->error && is_audit(delivery->opaque)) /* the next one would name a record that is not there */
        coordinator_want_step_down(coordinator, "a record of the audit was not taken");
}

static int reload(struct coordinator *coordinator, struct err *err)
{
    coordinator->reload_wanted = false;
    coordinator->leadership.highest = 0;
    pthread_mutex_lock(&coordinator->lock);
    ledger_clear(coordinator->ledger);
    pthread_mutex_unlock(&coordinator->lock);
    atomic_store(&coordinator->position, 0);
    return kafka_consumer_assign(coordinator->consumer, topic_table[TOPIC_LEDGER].name, 0, KAFKA_FROM_BEGINNING, err);
}

static int read_ledger(struct coordinator *coordinator, struct err *err)
{
    static struct kafka_record records[BATCH_MAX]; /* the loop's own: it is the only reader */
    int count = kafka_consume(coordinator->consumer, 0, records, BATCH_MAX, err);

    if (count < 0)
        return err_wrap(err, "ledger");
    for (int i = 0; i < count && !coordinator->reload_wanted; i++) {
        log_read(coordinator, &records[i]);
        kafka_records_free(&records[i], 1); /* at once: its memory is warm, and serves the next */
    }
    kafka_records_free(records, (size_t)count);
    if (coordinator->reload_wanted && reload(coordinator, err) < 0)
        return err_wrap(err, "ledger");
    return count;
}

static void note_state(struct coordinator *coordinator, int64_t now_ms)
{
    const struct keeper_state *keeper = &coordinator->kept;
    bool stuck = coordinator->sent != coordinator->delivered && now_ms - coordinator->last_progress_ms > FLUSH_MS;
    int64_t position = atomic_load(&coordinator->position);

    LOCK_SCOPE(&coordinator->lock);
    struct coordinator_state *state = &coordinator->state;
    state->leading = coordinator->leadership.phase == PHASE_LEADING;
    state->term = coordinator->leadership.highest;
    state->epoch = keeper->epoch ? keeper->epoch : ledger_epoch(coordinator->ledger, NULL);
    state->redis_ok = keeper->redis_ok &&
                      (!state->leading || (redis_ready(coordinator->redis) && keeper->tickets_ready));
    snprintf(state->redis_problem, sizeof state->redis_problem, "%s",
             state->redis_ok     ? ""
             : !keeper->redis_ok ? keeper->problem
                                 : redis_problem(coordinator->redis));
    state->redis_rebuilding = state->leading && keeper->redis_ok && keeper->rebuilding;
    state->rebuild_left_ms = keeper->grace_until_ms > now_ms ? keeper->grace_until_ms - now_ms : 0;
    state->kafka_ok = !stuck;
    snprintf(state->kafka_problem, sizeof state->kafka_problem, "%s", stuck ? "records are not acknowledged" : "");
    state->ledger_lag = coordinator->ledger_end > position ? coordinator->ledger_end - position : 0;
}

static int mend_publisher(struct coordinator *coordinator, struct err *err)
{
    struct publisher *fresh = NULL;

    if (!publisher_broken(coordinator->publisher))
        return 0;
    if (coordinator->leadership.phase != PHASE_FOLLOWING)
        step_down(coordinator, "the producer has failed for good and is made anew");
    if (publisher_open(&coordinator->kafka, coordinator->trust, &fresh, err) < 0)
        return err_wrap(err, "producer");
    publisher_close(coordinator->publisher, 0);
    coordinator->publisher = fresh;
    coordinator->sent = coordinator->delivered = 0;
    return 0;
}

static int tick(struct coordinator *coordinator, struct err *err)
{
    int64_t now_ms = clock_monotonic_ms();

    if (coordinator->step_down_wanted) {
        coordinator->step_down_wanted = false;
        if (coordinator->leadership.phase != PHASE_FOLLOWING)
            step_down(coordinator, coordinator->step_down_why);
    }
    if (now_ms - coordinator->last_tick_ms < TICK_MS)
        return 0;
    coordinator->last_tick_ms = now_ms;
    if (coordinator->sent == coordinator->delivered)
        coordinator->last_progress_ms = now_ms;
    tick_leadership(coordinator, now_ms);
    note_state(coordinator, now_ms);
    return mend_publisher(coordinator, err);
}

static void wait_for_events(struct coordinator *coordinator)
{
    bool busy = coordinator->sent != coordinator->delivered || coordinator->drafts || coordinator->marks ||
                redis_in_flight(coordinator->redis) || coordinator->leadership.phase == PHASE_ELECTED;
    int redis_wait = redis_wait_ms(coordinator->redis), wait = busy ? TURN_MS : TICK_MS;
    struct pollfd fds[4] = {
        {.fd = kafka_consumer_fd(coordinator->consumer), .events = POLLIN},
        {.fd = publisher_fd(coordinator->publisher), .events = POLLIN},
        {.fd = queue_fd(coordinator->desk), .events = POLLIN},
        {.fd = redis_fd(coordinator->redis), .events = redis_events(coordinator->redis)},
    };

    if (redis_wait >= 0 && redis_wait < wait)
        wait = redis_wait;
    if (coordinator->more)
        wait = 0;
    if (poll(fds, 4, wait) > 0) {
        for (int i = 0; i < 2; i++)
            if (fds[i].revents)
                kafka_fd_clear(fds[i].fd);
    }
    redis_process(coordinator->redis, fds[3].fd >= 0 ? fds[3].revents : 0);
}

static void bury_idle_marks(struct coordinator *coordinator)
{
    struct ledger_node *node;

    while (coordinator->leadership.phase == PHASE_LEADING && (node = ledger_next_idle_marks(coordinator->ledger)))
        log_bury(coordinator, node, true);
}

/*
 * Requests cost, not records. So what a turn has written leaves at its end, in one request for each partition, and the next turn begins when it is acknowledged; what comes meanwhile is gathered.
 * (With five requests on their way librdkafka 2.0 also asks its socket without a pause until one is answered.)
 */
static void send_and_wait(struct coordinator *coordinator)
{
    publisher_flush(coordinator->publisher, ACKNOWLEDGED_MS, delivered, coordinator);
}

static int turn(struct coordinator *coordinator, struct err *err)
{
    wait_for_events(coordinator);
    keeper_state(coordinator->keeper, &coordinator->kept);
    publisher_poll(coordinator->publisher, delivered, coordinator);
    int read = read_ledger(coordinator, err);
    if (read < 0)
        return -1;
    coordinator->more = read > 0;
    desk_serve(coordinator);
    log_write_marks(coordinator, false);
    audit_flush(coordinator);
    dispatch_break_silence(coordinator, false);
    bury_idle_marks(coordinator);
    redis_process(coordinator->redis, 0); /* sends what the turn asked of Redis */
    send_and_wait(coordinator);
    alive_say(coordinator->notify, &coordinator->said_alive_ms);
    return tick(coordinator, err);
}

/* What is on its way to the ledger is waited for, a little; who still waits then does not know. */
static int drain(struct coordinator *coordinator, struct err *err)
{
    int64_t until_ms = clock_monotonic_ms() + DRAIN_MS;

    while ((coordinator->drafts || coordinator->marks || coordinator->audits) && clock_monotonic_ms() < until_ms)
        if (turn(coordinator, err) < 0)
            return -1;
    return 0;
}

void coordinator_notify(struct coordinator *coordinator, void (*notify)(const char *state))
{
    coordinator->notify = notify;
}

int coordinator_run(struct coordinator *coordinator, struct err *err)
{
    int result = 0;

    while (result == 0 && !atomic_load(&coordinator->stopping))
        result = turn(coordinator, err);
    if (result == 0)
        result = drain(coordinator, err);
    dispatch_break_silence(coordinator, true);
    atomic_store(&coordinator->stopping, true);
    log_drop_drafts(coordinator, ERR_UNKNOWN, "the coordinator stopped before the ledger answered");
    desk_refuse_all(coordinator);
    return result;
}

void coordinator_stop(struct coordinator *coordinator)
{
    atomic_store(&coordinator->stopping, true);
    desk_say(coordinator, DESK_WAKE, NULL);
}
