/* The keeper's renewals: every held lock in one pipeline, and one lock at once for an executor that is about to take something away. */
#include "worker/keeper_internal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

static void fill_renewal(const struct keeper *keeper, struct hold *hold, const struct renewal *renewal,
                         struct store_renew *out)
{
    int64_t trusted = hold->trusted_until_ms;

    *out = (struct store_renew){
        .job_id = hold->job_id,
        .host = keeper->setup.host,
        .instance = keeper->setup.instance,
        .target = hold->target,
        .token = hold->token,
        .ttl_ms = KEEPER_LOCK_TTL_MS,
        .run_id = redis_run_id(keeper->redis),
        .trusted_until_real_ms = trusted < renewal->sent_ms ? clock_real_ms() - (renewal->sent_ms - trusted) : 0,
        .phase = renewal->phase,
        .done = hold->done,
        .total = hold->total,
        .slot_count = hold->slot_count,
    };
    if (hold->slot_count)
        memcpy(out->slots, hold->slots, hold->slot_count * sizeof *hold->slots);
}

void keeper_say(struct keeper *keeper, const char *job_id, const struct renew_result *heard)
{
    struct word *word = calloc(1, sizeof *word);

    if (!word)
        return; /* heard again in the next round */
    word->message.kind = MESSAGE_WORD;
    snprintf(word->job_id, sizeof word->job_id, "%s", job_id);
    snprintf(word->control, sizeof word->control, "%s", heard->control);
    word->cancel = heard->cancel;
    word->lost = heard->answer == RENEW_LOST;
    queue_push(keeper->setup.to_loop, &word->message.item);
}

/* "finish:done" */
static void hear_finish(struct hold *hold, const char *control)
{
    if (strcmp(control, "finish:done") == 0 && !atomic_exchange(&hold->told_to_end, true))
        log_info(hold->job_id, "told to end");
}

static void take_answer(struct keeper *keeper, const struct renewal *renewal, const struct renew_result *result)
{
    struct hold *hold = renewal->hold;

    if (result->answer == RENEW_NO_ANSWER)
        return;
    hold->renewed_ms = renewal->sent_ms;
    hold->told_done = hold->done;
    memcpy(hold->told_phase, renewal->phase, sizeof hold->told_phase);
    if (result->answer == RENEW_OK || result->answer == RENEW_TAKEN_BACK || result->answer == RENEW_PINNED)
        hold->trusted_until_ms = renewal->sent_ms + KEEPER_LOCK_TTL_MS - KEEPER_MARGIN_MS;
    hold_hear_rate(hold, result->control);
    hear_finish(hold, result->control);
    bool lost_now = result->answer == RENEW_LOST && !atomic_exchange(&hold->lost, true);
    bool cancelled_now = result->cancel && !atomic_exchange(&hold->cancelled, true);
    if (lost_now)
        log_error(hold->job_id, "the lock on %s is another's: %s", hold->target, result->detail);
    if (lost_now || cancelled_now)
        keeper_say(keeper, hold->job_id, result);
}

static void renewal_begin(const struct keeper *keeper, struct hold *hold, struct renewal *out)
{
    (void)keeper;
    out->hold = hold;
    out->sent_ms = clock_monotonic_ms();
    hold_phase_get(hold, out->phase);
}

void keeper_renew(struct keeper *keeper, struct hold *const *holds, size_t count)
{
    enum { ROUND = 64 };
    struct renewal renewals[ROUND];
    struct store_command commands[ROUND] = {0};
    int argcs[ROUND] = {0};
    const char *const *argvs[ROUND] = {0};
    struct redis_reply *replies[ROUND] = {0};
    struct err err;

    if (count > ROUND) {
        keeper_renew(keeper, holds + ROUND, count - ROUND);
        count = ROUND;
    }
    size_t made = 0;
    for (; made < count; made++) {
        struct store_renew renew;
        renewal_begin(keeper, holds[made], &renewals[made]);
        fill_renewal(keeper, holds[made], &renewals[made], &renew);
        if (store_renew_command(&renew, &commands[made], &err) < 0)
            break;
        argcs[made] = commands[made].argc;
        argvs[made] = commands[made].argv;
    }
    redis_call_many(keeper->redis, made, argcs, argvs, replies, &err);
    for (size_t i = 0; i < made; i++) {
        struct renew_result result;
        store_renew_answer(replies[i] ? REDIS_ANSWERED : REDIS_LOST, replies[i], &result);
        take_answer(keeper, &renewals[i], &result);
        redis_reply_free(replies[i]);
        store_command_clear(&commands[i]);
    }
}

static enum trust trust_of(const struct renew_result *result, const struct hold *hold)
{
    switch (result->answer) {
    case RENEW_OK:
    case RENEW_TAKEN_BACK: return hold_trust(hold, clock_monotonic_ms());
    case RENEW_LOST: return TRUST_LOST;
    case RENEW_PINNED: return TRUST_PINNED;
    case RENEW_NO_ANSWER: break;
    }
    return TRUST_STALE;
}

/* The points that the plan takes away, NULL-terminated. */
static const char **points_of(const struct plan *plan)
{
    const char **points = calloc(plan->taken_points.count + 1, sizeof *points);

    for (size_t i = 0; points && i < plan->taken_points.count; i++)
        points[i] = plan->taken_points.items[i];
    return points;
}

static void confirm(struct keeper *keeper, struct keeper_request *request)
{
    CLEANUP(freep) const char **points = points_of(request->plan);
    struct store_command command = {0};
    struct store_renew renew;
    struct renewal renewal;
    struct renew_result result = {.answer = RENEW_NO_ANSWER};
    struct err err = {0};

    renewal_begin(keeper, request->hold, &renewal);
    fill_renewal(keeper, request->hold, &renewal, &renew);
    renew.taken_points = points;
    renew.pins_key = request->plan->pins_key;
    if (points && request->hold->token && store_renew_command(&renew, &command, &err) == 0) {
        struct redis_reply *reply = store_call(keeper->redis, &command, &err);
        store_renew_answer(reply ? REDIS_ANSWERED : REDIS_LOST, reply, &result);
        redis_reply_free(reply);
    }
    store_command_clear(&command);
    take_answer(keeper, &renewal, &result);
    request->trust = trust_of(&result, request->hold);
    snprintf(request->detail, sizeof request->detail, "%.255s",
             result.answer == RENEW_NO_ANSWER ? err.text : result.detail);
}

static void reserve(struct keeper *keeper, struct keeper_request *request)
{
    struct store_command command = {0};
    struct err err;
    int64_t total;

    request->reserved = RESERVE_NO_ANSWER;
    if (store_reserve_command(request->repository, request->hold->job_id, request->bytes, request->free_bytes,
                              request->min_free_bytes, &command, &err) == 0) {
        struct redis_reply *reply = store_call(keeper->redis, &command, &err);
        request->reserved = store_reserve_answer(reply ? REDIS_ANSWERED : REDIS_LOST, reply, &total);
        redis_reply_free(reply);
    }
    store_command_clear(&command);
    request->hold->reserved_bytes = request->bytes;
    request->hold->reserved_free_bytes = request->free_bytes;
    request->hold->reserved_min_free_bytes = request->min_free_bytes;
    request->hold->reserved_ms = clock_monotonic_ms();
}

/* A reservation ends ten minutes after it was last asked for, and a push may take hours. Redis may have forgotten it: then it is asked for with the room of its day. */
void keeper_reserve_again(struct keeper *keeper, struct hold *hold)
{
    char repository[sizeof hold->repository];
    struct keeper_request request = {
        .hold = hold,
        .repository = repository,
        .bytes = hold->reserved_bytes,
        .free_bytes = hold->reserved_free_bytes,
        .min_free_bytes = hold->reserved_min_free_bytes,
    };

    pthread_mutex_lock(&hold->mutex);
    memcpy(repository, hold->repository, sizeof repository);
    pthread_mutex_unlock(&hold->mutex);
    reserve(keeper, &request);
}

/* An attempt of the job is its token, under this start of the worker: who comes back after a restart is another. */
static void vote(struct keeper *keeper, struct keeper_request *request)
{
    struct store_command command = {0};
    struct err err = {0};
    char attempt[128];

    snprintf(attempt, sizeof attempt, "%s/%lld", keeper->setup.instance, (long long)request->hold->token);
    request->barrier->attempt = attempt;
    if (store_barrier_command(request->barrier, &command, &err) == 0) {
        struct redis_reply *reply = store_call(keeper->redis, &command, &err);
        store_barrier_answer(reply ? REDIS_ANSWERED : REDIS_LOST, reply, request->voted);
        redis_reply_free(reply);
    }
    store_command_clear(&command);
    if (err.kind != ERR_NONE && request->voted->answer == BARRIER_NO_ANSWER)
        snprintf(request->voted->detail, sizeof request->voted->detail, "%.255s", err.text);
}

void keeper_answer(struct keeper *keeper, struct keeper_request *request)
{
    if (request->plan)
        confirm(keeper, request);
    else if (request->barrier)
        vote(keeper, request);
    else
        reserve(keeper, request);
    sem_post(&request->done);
}

/* Flags of waiting and parked jobs, and of running ones without a lock, 64 to a pipeline. */
static size_t copy_watched(struct keeper *keeper, char (**out)[UUID_TEXT])
{
    LOCK_SCOPE(&keeper->mutex);
    char(*ids)[UUID_TEXT] = calloc(keeper->watched.count + 1, sizeof *ids);
    size_t count = 0;

    for (size_t i = 0; ids && i < keeper->watched.capacity; i++)
        if (keeper->watched.entries[i].key)
            snprintf(ids[count++], UUID_TEXT, "%s", keeper->watched.entries[i].key);
    *out = ids;
    return count;
}

static void read_some_flags(struct keeper *keeper, char (*ids)[UUID_TEXT], size_t count)
{
    struct store_command commands[64] = {0};
    int argcs[64] = {0};
    const char *const *argvs[64] = {0};
    struct redis_reply *replies[64] = {0};
    struct err err;
    size_t made = 0;

    for (; made < count && store_flags_command(ids[made], keeper->setup.host, &commands[made], &err) == 0; made++) {
        argcs[made] = commands[made].argc;
        argvs[made] = commands[made].argv;
    }
    redis_call_many(keeper->redis, made, argcs, argvs, replies, &err);
    for (size_t i = 0; i < made; i++) {
        struct renew_result result;
        store_renew_answer(replies[i] ? REDIS_ANSWERED : REDIS_LOST, replies[i], &result);
        if (result.answer == RENEW_OK && (result.cancel || result.control[0]))
            keeper_say(keeper, ids[i], &result);
        redis_reply_free(replies[i]);
        store_command_clear(&commands[i]);
    }
}

void keeper_read_flags(struct keeper *keeper)
{
    char(*ids)[UUID_TEXT];
    size_t count = copy_watched(keeper, &ids);

    for (size_t at = 0; at < count; at += 64)
        read_some_flags(keeper, ids + at, count - at < 64 ? count - at : 64);
    free(ids);
}
