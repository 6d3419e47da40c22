/*
 * How a job is admitted.
 *
 * The backlog gives jobs in their order; each is looked at once more (cancelled? too late?) and, after the commit, asked of Redis in one pipelined call that gives all or
 * nothing. The answers, and what they mean here:
 *
 *     OK(token)    RUNNING                                TERMINAL   it ended under another journal: said once more, with what is known
 *     HELD(owner)  WAITING(lock: owner), again            REFUSED    REJECTED (class C begun under another journal: PARKED)
 *     SLOTS        WAITING(slots: which), again           EXPIRED, CANCELLED   so it ends
 *     HOLD         WAITING(hold: reason), again           NOTICKET   A goes on, it only reads; B and C WAITING(ticket), REJECTED after a minute of it: the coordinator writes
 *     EPOCH, LOST  as when Redis is down, below                      the ticket before it publishes, and fs:epoch only after it has rebuilt all tickets
 *
 * Redis is down, or does not know its epoch: A goes on. B goes on with token 0 where no other host reaches the target, the journal is older than the job (so this host has seen
 * everything that it did since) and nobody held it back when that was last heard; but not in the first second of a worker, which has had no time to connect. Everything else is
 * WAITING(redis).
 *
 * Recovery: what is owed and harmless in any state (a guest to thaw) is paid at once. Then the lock is asked for, and what keeps a job from starting does not keep it (goes_on).
 * While there is none it waits, its target closed; class B goes on without when Redis does not answer and no other host reaches the target. A minute later a plan that has a
 * way back is taken back under the journal alone, where no other host reaches the target and the lock was not heard to be another's. What Redis knows as ended, or as begun
 * elsewhere, is PARKED.
 */
#include "worker/admission.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "worker/finisher.h"
#include "worker/journal.h"
#include "worker/keeper.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    AHEAD_MAX = 1024,
    AHEAD_US = 20000,
    LOCK_AGAIN_MS = 1000,
    HOLD_AGAIN_MS = 5000,
    REDIS_AGAIN_MS = 1000,
    TICKET_AGAIN_MS = 2000,
    TICKET_PATIENCE_MS = 60000,
    FAREWELL_AGAIN_MS = 50,
    CUT_OFF_MS = 60000
};
enum { EPOCH_EVERY_MS = 5000, EPOCH_RETRY_MS = 500, CONNECT_MS = 1000, CONNECT_AGAIN_MS = 20 };

void admission_open(struct admission *admission)
{
    admission->asking_end = &admission->asking;
    admission->started_ms = clock_monotonic_ms();
}

void admission_ran(struct admission *admission, const struct work *work, int64_t run_us)
{
    int64_t *typical = &admission->typical_us[work->job->op];

    *typical = *typical ? (*typical * 7 + run_us) / 8 + 1 : run_us + 1;
}

/* Of one that was accepted before this start something may have been said. */
static bool brief(const struct admission *admission, const struct work *work)
{
    int64_t typical = admission->typical_us[work->job->op];
    int64_t age_ms = clock_real_ms() - work->accepted_at_ms;

    return typical && typical < AHEAD_US && age_ms < clock_monotonic_ms() - admission->started_ms;
}

/* Short jobs spend their time waiting for Redis and commits, not for executors: more of them are on their way than executors are. */
static int64_t ahead(void *context, const struct work *work)
{
    const struct admission *admission = context;
    int64_t typical = admission->typical_us[work->job->op];

    if (!typical || admission->custody->stuck || admission->custody->backlog.limits[work->class] < admission->executors)
        return 0;
    return AHEAD_US / typical < AHEAD_MAX ? AHEAD_US / typical : AHEAD_MAX;
}

/* ---- fs:epoch ---- */

static void read_epoch(struct admission *admission, const char *text)
{
    const char *colon = text ? strchr(text, ':') : NULL;

    admission->epoch = colon && strcmp(colon + 1, admission->run_id) == 0 ? strtoll(text, NULL, 10) : 0;
}

static void epoch_answered(void *context, enum redis_outcome outcome, const struct redis_reply *reply)
{
    struct admission *admission = context;
    int64_t before = admission->epoch;

    admission->reading_epoch = false;
    if (outcome == REDIS_LOST)
        return;
    read_epoch(admission, redis_reply_is_error(reply) ? NULL : redis_reply_text(reply));
    if (admission->epoch != before)
        log_info("redis",
                 admission->epoch ? "epoch %" PRId64
                                  : "has no epoch yet (%" PRId64
                                    "): it lost its memory, or the coordinator has not been here",
                 admission->epoch);
}

void admission_watch_epoch(struct admission *admission)
{
    const char *argv[] = {"GET", "fs:epoch"};
    int64_t now = clock_monotonic_ms();
    bool same = strcmp(redis_run_id(admission->redis), admission->run_id) == 0;

    if (!redis_ready(admission->redis) || admission->reading_epoch)
        return;
    if (same && now - admission->epoch_read_ms < (admission->epoch ? EPOCH_EVERY_MS : EPOCH_RETRY_MS))
        return;
    if (!same)
        admission->epoch = 0;
    snprintf(admission->run_id, sizeof admission->run_id, "%s", redis_run_id(admission->redis));
    admission->epoch_read_ms = now;
    admission->reading_epoch = true;
    redis_send(admission->redis, 2, argv, NULL, epoch_answered, admission);
}

/* ---- without Redis ---- */

static const char *held_back(const struct admission *admission, const struct work *work)
{
    const char *reason = facts_get(&admission->holds, "all");
    char name[TARGET_TEXT + 8];

    if (reason)
        return reason;
    snprintf(name, sizeof name, "host:%s", admission->host);
    reason = facts_get(&admission->holds, name);
    snprintf(name, sizeof name, "target:%s", work->target);
    return reason ? reason : facts_get(&admission->holds, name);
}

static bool may_run_alone(const struct admission *admission, const struct work *work)
{
    if (held_back(admission, work))
        return false;
    if (work->class == CLASS_A)
        return true;
    return work->class == CLASS_B && work->ops->only_here &&
           journal_birth_us(admission->journal) / 1000 < work->job->issued_at_ms;
}

static int recover(struct admission *admission, struct work *work, enum recovery how, int64_t token,
                   int64_t trusted_until_ms, struct err *err)
{
    work->recovery = how;
    return custody_hand_over(admission->custody, work, TASK_RECOVER, token, trusted_until_ms, err);
}

static int recover_without_lock(struct admission *admission, struct work *work, int64_t again_ms, struct err *err)
{
    int64_t now = clock_monotonic_ms();
    bool nobody_else = work->ops->only_here && !work->lock_lost;

    if (!work->cut_off_since_ms)
        work->cut_off_since_ms = now;
    if (nobody_else && now - work->cut_off_since_ms >= CUT_OFF_MS && !journaled_plan_final(work->plan))
        return recover(admission, work, RECOVERY_BACK, 0, 0, err);
    return custody_wait(admission->custody, work, again_ms, err, "recovery");
}

static int recover_alone(struct admission *admission, struct work *work, struct err *err)
{
    if (clock_monotonic_ms() - admission->started_ms < CONNECT_MS)
        return custody_wait(admission->custody, work, CONNECT_AGAIN_MS, err, "recovery");
    if (work->class != CLASS_C && work->ops->only_here && !work->lock_lost)
        return recover(admission, work, RECOVERY_ON, 0, 0, err);
    return recover_without_lock(admission, work, REDIS_AGAIN_MS, err);
}

static int go_on_alone(struct admission *admission, struct work *work, const char *why, struct err *err)
{
    bool starts = clock_monotonic_ms() - admission->started_ms < CONNECT_MS;

    if (work->task == TASK_RECOVER)
        return recover_alone(admission, work, err);
    if (starts && work->class != CLASS_A) /* a cancel or a hold may be in Redis, to which there is no connection yet */
        return custody_wait(admission->custody, work, CONNECT_AGAIN_MS, err, "redis: %s", why);
    if (may_run_alone(admission, work))
        return custody_begin(admission->custody, work, 0, 0, err);
    return custody_wait(admission->custody, work, REDIS_AGAIN_MS, err, "redis: %s", why);
}

/* ---- the answer ---- */

static int no_ticket(struct admission *admission, struct work *work, struct err *err)
{
    int64_t now = clock_monotonic_ms();
    struct err why = {0};

    if (work->class == CLASS_A)
        return custody_begin(admission->custody, work, 0, 0, err);
    if (!work->ticketless_since_ms)
        work->ticketless_since_ms = now;
    if (now - work->ticketless_since_ms < TICKET_PATIENCE_MS)
        return custody_wait(admission->custody, work, TICKET_AGAIN_MS, err, "ticket: Redis has none for this job");
    err_set(&why, ERR_PERMANENT,
            "Redis has had no ticket for this job for a minute; nothing that changes something runs without one");
    return custody_end(admission->custody, work, STATE_REJECTED, &why, NULL, err);
}

/* It ended under another journal of this host: its result is not known here. */
static int ended_elsewhere(struct admission *admission, struct work *work, const struct acquire_result *result,
                           struct err *err)
{
    int state = name_index(job_state_names, result->detail);
    struct err why = {0};

    err_set(&why, ERR_UNKNOWN,
            "the job ended before, under another journal of this host; its result is not known any more");
    return custody_end(admission->custody, work,
                       state >= 0 && job_state_terminal((enum job_state)state) ? (enum job_state)state : STATE_REJECTED,
                       &why, NULL, err);
}

static int end_with(struct admission *admission, struct work *work, enum job_state state, enum err_kind kind,
                    const char *text, struct err *err)
{
    struct err why = {0};

    err_set(&why, kind, "%s", text);
    return custody_end(admission->custody, work, state, &why, NULL, err);
}

static int refused(struct admission *admission, struct work *work, const struct acquire_result *result, struct err *err)
{
    if (work->class == CLASS_C && strncmp(result->detail, "journal:", 8) == 0)
        return end_with(admission, work, STATE_PARKED, ERR_UNKNOWN,
                        "it began under another journal of this host: what became of it is not known", err);
    if (strncmp(result->detail, "target is closed", 16) == 0)
        return custody_wait(admission->custody, work, HOLD_AGAIN_MS, err, "parked: %s", result->detail);
    return end_with(admission, work, STATE_REJECTED, ERR_PERMANENT, result->detail, err);
}

static int give_up(struct admission *admission, struct work *work, const char *why, struct err *err)
{
    work->give_up = why;
    return recover(admission, work, RECOVERY_ON, 0, 0, err);
}

/* The instance before this one had the lock: it runs out. */
static bool held_by_itself(const struct admission *admission, const struct work *work, const char *owner)
{
    size_t host = strlen(admission->host);

    return strncmp(owner, admission->host, host) == 0 && owner[host] == '/' &&
           strcmp(owner + host + 1, work->job->job_id) == 0;
}

/* A plan that is already under way. */
static int recovering(struct admission *admission, struct work *work, const struct acquire_result *result,
                      int64_t trusted_until_ms, struct err *err)
{
    bool closed = result->answer == ACQUIRE_REFUSED && strncmp(result->detail, "target is closed", 16) == 0;

    if (result->answer == ACQUIRE_OK) {
        work->cut_off_since_ms = 0;
        work->lock_lost = false;
        return recover(admission, work, RECOVERY_ON, result->token, trusted_until_ms, err);
    }
    if (result->answer == ACQUIRE_TERMINAL)
        return give_up(admission, work, "Redis has it as ended, the journal as under way; which is true is not known",
                       err);
    if (result->answer == ACQUIRE_REFUSED && !closed)
        return give_up(admission, work, "it began here, but its ticket is another host's or another journal's", err);
    if (closed || (result->answer == ACQUIRE_HELD && !held_by_itself(admission, work, result->detail))) {
        work->lock_lost = true;
        return custody_wait(admission->custody, work, LOCK_AGAIN_MS, err, "recovery");
    }
    return recover_without_lock(admission, work, LOCK_AGAIN_MS, err);
}

static int admitted(struct admission *admission, struct work *work, const struct acquire_result *result, struct err *err)
{
    struct custody *custody = admission->custody;
    int64_t trusted = work->asked_ms + KEEPER_LOCK_TTL_MS - KEEPER_MARGIN_MS;

    if (work->task == TASK_RECOVER && result->answer != ACQUIRE_EPOCH && result->answer != ACQUIRE_LOST)
        return recovering(admission, work, result, trusted, err);
    if (result->answer != ACQUIRE_NOTICKET)
        work->ticketless_since_ms = 0;
    switch (result->answer) {
    case ACQUIRE_OK: return custody_begin(custody, work, result->token, trusted, err);
    case ACQUIRE_HELD: return custody_wait(custody, work, LOCK_AGAIN_MS, err, "lock: %s", result->detail);
    case ACQUIRE_SLOTS: return custody_wait(custody, work, LOCK_AGAIN_MS, err, "slots: %s", result->detail);
    case ACQUIRE_HOLD: return custody_wait(custody, work, HOLD_AGAIN_MS, err, "hold: %s", result->detail);
    case ACQUIRE_NOTICKET: return no_ticket(admission, work, err);
    case ACQUIRE_TERMINAL: return ended_elsewhere(admission, work, result, err);
    case ACQUIRE_REFUSED: return refused(admission, work, result, err);
    case ACQUIRE_EXPIRED:
        return end_with(admission, work, STATE_EXPIRED, ERR_PERMANENT, "its deadline has passed", err);
    case ACQUIRE_CANCELLED:
        return end_with(admission, work, STATE_CANCELLED, ERR_CANCELLED, "cancelled before it began", err);
    case ACQUIRE_EPOCH: admission->epoch = 0; return go_on_alone(admission, work, "it does not know its epoch", err);
    case ACQUIRE_LOST: break;
    }
    return go_on_alone(admission, work, "no answer", err);
}

static void answered(void *context, enum redis_outcome outcome, const struct redis_reply *reply)
{
    struct work *work = context;
    struct admission *admission = work->admission;
    struct acquire_result result;

    store_acquire_answer(outcome, reply, &result);
    if (result.answer == ACQUIRE_OK)
        snprintf(work->rate_word, sizeof work->rate_word, "%.31s", result.control);
    if (!admission->failed)
        admission->failed = admitted(admission, work, &result, admission->err);
}

/* ---- the question ---- */

static int ask(struct admission *admission, struct work *work, struct err *err)
{
    struct store_command *command = &admission->command;
    struct store_acquire acquire = {
        .job_id = work->job->job_id,
        .host = admission->host,
        .instance = admission->instance,
        .target = work->target,
        .journal = journal_id(admission->journal),
        .job_class = (int)work->class,
        .epoch = admission->epoch,
        .run_id = admission->run_id,
        .token = token_highest(admission->journal),
        .attempt = work->attempt + (work->task == TASK_RUN),
        .goes_on = work->task == TASK_RECOVER,
        .ttl_ms = KEEPER_LOCK_TTL_MS,
        .slot_count = work->slot_count,
    };

    memcpy(acquire.slots, work->slots, sizeof work->slots);
    if (store_acquire_command(&acquire, command, err) < 0)
        return -1;
    work->admission = admission;
    work->asked_ms = clock_monotonic_ms();
    store_send(admission->redis, command, answered, work);
    return 0;
}

void admission_close(struct admission *admission)
{
    store_command_clear(&admission->command);
    facts_clear(&admission->holds);
}

void admission_ask(struct admission *admission)
{
    struct work *work = admission->asking, *next;
    struct err err;

    admission->asking = NULL;
    admission->asking_end = &admission->asking;
    for (; work; work = next) {
        next = work->next_blocked;
        work->next_blocked = NULL;
        if (ask(admission, work, &err) < 0)
            log_error(work->job->job_id, "%s",
                      err.text); /* stays ACQUIRING: only memory can fail here, and a restart asks again */
    }
}

static void ask_after_commit(struct admission *admission, struct work *work)
{
    work->stage = WORK_ACQUIRING;
    work->next_blocked = NULL;
    *admission->asking_end = work;
    admission->asking_end = &work->next_blocked;
}

static int consider(struct admission *admission, struct work *work, struct err *err)
{
    work->stage = WORK_ACQUIRING; /* taken from the backlog, and counted there */
    work->brief = brief(admission, work);
    if (work->task == TASK_RUN && work->cancelled)
        return end_with(admission, work, STATE_CANCELLED, ERR_CANCELLED, "cancelled before it began", err);
    if (work->task == TASK_RUN && work_expired(work, clock_real_ms()))
        return end_with(admission, work, STATE_EXPIRED, ERR_PERMANENT,
                        "its deadline, or the time by which it had to start, has passed", err);
    if (work->task == TASK_RECOVER && work->give_up)
        return recover(admission, work, RECOVERY_ON, 0, 0, err);
    if (work->task == TASK_RECOVER && journaled_plan_owes_first(work->plan))
        return recover(admission, work, RECOVERY_DEBTS, 0, 0, err);
    if (!redis_ready(admission->redis))
        return go_on_alone(admission, work, redis_problem(admission->redis), err);
    if (work->attempt > 0 &&
        finisher_waits(admission->custody->setup.finisher, work->job->job_id)) /* of the attempt before */
        return custody_wait(admission->custody, work, FAREWELL_AGAIN_MS, err, "%s",
                            work->state == STATE_WAITING ? work->waiting : "redis");
    if (!admission->epoch && !admission->reading_epoch)
        return go_on_alone(admission, work, "it does not know its epoch", err);
    if (!admission->epoch) /* about to be known */
        return custody_wait(admission->custody, work, 5, err, "redis: connecting");
    ask_after_commit(admission, work);
    return 0;
}

int admission_start(struct admission *admission, struct err *err)
{
    struct work *work;

    if (admission->closed)
        return 0;
    if (backlog_wake(&admission->custody->backlog, clock_monotonic_ms(), err) < 0)
        return -1;
    while ((work = backlog_next(&admission->custody->backlog, ahead, admission)))
        if (consider(admission, work, err) < 0)
            return -1;
    return 0;
}
