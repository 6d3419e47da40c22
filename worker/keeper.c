/*
 * How the keeper works.
 *
 * A lock in Redis is held for 30 s. Its holder trusts it until monotonic(send of the last OK) + 30 s - 2 s: what Redis believes is at most that old, whatever the clocks of
 * the two say, and the 2 s cover the way of an answer. Past that no class C step begins; whether the lock is lost or only unknown is told by the next answer.
 *
 * The thread sleeps on its queue of requests. Each time it wakes it serves what was asked (an executor waits for it), then does what is due:
 *   every 5 s a lock whose job shows no progress, every second one that does   renew, 64 to a pipeline: progress goes, cancel comes (an export waits for
 *                                                                            its word: every second)
 *   every second (less often with thousands of jobs)                          flags of the jobs that hold no lock: cancel, and control words of PARKED ones
 *   every 15 s                                                               the host's claim, 45 s
 *   every 3 minutes                                                          bytes that a job has reserved: that lapses after 10
 *   every 30 s                                                               fs:hold, for the time when Redis does not answer
 * Redis calls wait 2 s at most. What the keeper hears it writes into the job's hold (atomics, read by the executor) and tells the loop, which alone decides and journals.
 *
 * A hold is kept only from the time when its job has run for a second: most jobs that only read never come here, and 30 s are long.
 */
#include "worker/keeper_internal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

enum {
    RENEW_IDLE_MS = 5000,
    RENEW_BUSY_MS = 1000,
    CLAIM_EVERY_MS = 15000,
    HOLDS_EVERY_MS = 30000,
    FLAGS_EVERY_MS = 1000,
    LONGEST_SLEEP_MS = 250,
    RESERVE_EVERY_MS = 180000
};

int keeper_open(const struct keeper_setup *setup, struct keeper **out, struct err *err)
{
    struct keeper *keeper = calloc(1, sizeof *keeper);

    if (!keeper || pthread_mutex_init(&keeper->mutex, NULL) != 0) {
        free(keeper);
        return err_memory(err, "keeper");
    }
    keeper->setup = *setup;
    if (redis_new(setup->redis, &keeper->redis, err) < 0 || queue_new(&keeper->requests, err) < 0) {
        keeper_close(keeper);
        return -1;
    }
    *out = keeper;
    return 0;
}

int keeper_claim(struct keeper *keeper, char detail[256], struct err *err)
{
    struct store_command command = {0};
    struct store_claim claim = {
        .host = keeper->setup.host,
        .instance = keeper->setup.instance,
        .boot_id = keeper->setup.boot_id,
        .state_directory = keeper->setup.state_directory,
        .version = keeper->setup.version,
        .running = keeper->running,
        .free_bytes = keeper->free_bytes,
        .ttl_ms = KEEPER_CLAIM_TTL_MS,
        .directory_locked = true,
    };
    enum claim_answer answer = CLAIM_NO_ANSWER;

    if (store_claim_command(&claim, &command, err) == 0) {
        struct redis_reply *reply = store_call(keeper->redis, &command, err);
        answer = store_claim_answer(reply ? REDIS_ANSWERED : REDIS_LOST, reply, detail);
        if (reply && answer == CLAIM_NO_ANSWER)
            err_set(err, ERR_RETRY, "redis: %s",
                    redis_reply_text(reply) ? redis_reply_text(reply) : "unexpected answer");
        redis_reply_free(reply);
    }
    store_command_clear(&command);
    return answer == CLAIM_OK ? 0 : answer == CLAIM_OTHER ? 1 : -1;
}

int keeper_time_us(struct keeper *keeper, int64_t *out, struct err *err)
{
    return store_time_us(keeper->redis, out, err);
}

static void renew_claim(struct keeper *keeper, int64_t now)
{
    char detail[256] = "";
    struct err err;

    if (now - keeper->claimed_ms < CLAIM_EVERY_MS)
        return;
    int answer = keeper_claim(keeper, detail, &err);
    keeper->claimed_ms = answer < 0 ? now - CLAIM_EVERY_MS + 1000 : now;
    if (answer == 1 && !atomic_exchange(keeper->setup.claim_lost, true))
        log_error(keeper->setup.host, "another worker has this host's claim: %s", detail);
}

static bool due(struct hold *hold, int64_t now)
{
    char phase[64];

    hold_phase_get(hold, phase);
    bool moved = hold->done != hold->told_done || strcmp(phase, hold->told_phase) != 0 || hold->tellings;
    return now - hold->renewed_ms >= (moved ? RENEW_BUSY_MS : RENEW_IDLE_MS);
}

/* The holds that are due, each with a reference. */
static size_t collect_due(struct keeper *keeper, int64_t now, struct hold ***out)
{
    LOCK_SCOPE(&keeper->mutex);
    struct hold **holds = calloc(keeper->kept_count + 1, sizeof *holds);
    size_t count = 0;

    for (size_t i = 0; holds && i < keeper->kept_count; i++)
        if (due(keeper->kept[i], now)) {
            keeper->kept[i]->in_round = true;
            holds[count++] = hold_ref(keeper->kept[i]);
        }
    *out = holds;
    return count;
}

static void renew_due(struct keeper *keeper, int64_t now)
{
    struct hold **holds;
    size_t count = collect_due(keeper, now, &holds);

    if (count)
        keeper_renew(keeper, holds, count);
    for (size_t i = 0; i < count; i++) {
        if (holds[i]->reserved_ms && now - holds[i]->reserved_ms >= RESERVE_EVERY_MS)
            keeper_reserve_again(keeper, holds[i]);
        holds[i]->in_round = false;
        hold_unref(holds[i]);
    }
    free(holds);
}

static int holds_json(const struct redis_reply *reply, char **out, struct err *err)
{
    struct facts holds = {0};
    int failed = 0;

    for (size_t i = 0; !failed && i + 1 < redis_reply_count(reply); i += 2) {
        const char *who = redis_reply_text(redis_reply_at(reply, i)),
                   *why = redis_reply_text(redis_reply_at(reply, i + 1));
        failed = who && why ? facts_set(&holds, who, why, err) : 0;
    }
    if (!failed)
        failed = facts_to_json(&holds, out, err);
    facts_clear(&holds);
    return failed;
}

static void say_holds(struct keeper *keeper, char *json)
{
    struct holds_heard *heard = calloc(1, sizeof *heard + strlen(json) + 1);

    if (!heard) {
        free(json);
        return;
    }
    heard->message.kind = MESSAGE_HOLDS;
    strcpy(heard->json, json);
    free(keeper->holds);
    keeper->holds = json;
    queue_push(keeper->setup.to_loop, &heard->message.item);
}

static void read_holds(struct keeper *keeper, int64_t now)
{
    const char *argv[] = {"HGETALL", "fs:hold"};
    struct err err;
    char *json = NULL;

    if (now - keeper->holds_read_ms < HOLDS_EVERY_MS)
        return;
    keeper->holds_read_ms = now;
    struct redis_reply *reply = redis_call(keeper->redis, &err, 2, argv, NULL);
    if (reply && !redis_reply_is_error(reply) && holds_json(reply, &json, &err) == 0 &&
        (!keeper->holds || strcmp(json, keeper->holds) != 0))
        say_holds(keeper, json);
    else
        free(json);
    redis_reply_free(reply);
}

static void give_back_space(struct keeper *keeper)
{
    struct strings freed;

    pthread_mutex_lock(&keeper->mutex);
    freed = keeper->freed;
    keeper->freed = (struct strings){0};
    pthread_mutex_unlock(&keeper->mutex);
    for (size_t i = 0; i < freed.count; i++) {
        struct store_command command = {0};
        struct err err;
        char *job = strchr(freed.items[i], ' ');
        *job++ = '\0';
        if (store_unreserve_command(freed.items[i], job, &command, &err) == 0)
            redis_reply_free(store_call(keeper->redis, &command, &err));
        store_command_clear(&command);
    }
    strings_clear(&freed);
}

static void do_what_is_due(struct keeper *keeper)
{
    int64_t now = clock_monotonic_ms();

    renew_claim(keeper, now);
    renew_due(keeper, now);
    if (now - keeper->flags_read_ms >= FLAGS_EVERY_MS + (int64_t)keeper->watched.count / 2) {
        keeper->flags_read_ms = now;
        keeper_read_flags(keeper);
    }
    give_back_space(keeper);
    read_holds(keeper, now);
}

static void *keeper_main(void *context)
{
    struct keeper *keeper = context;
    int64_t looked_ms = 0;

    pthread_setname_np(pthread_self(), "keeper");
    while (!keeper->stopping) {
        struct queue_item *request = queue_wait_one(keeper->requests, LONGEST_SLEEP_MS);
        if (request)
            keeper_answer(keeper, (struct keeper_request *)request);
        if (clock_monotonic_ms() - looked_ms >= LONGEST_SLEEP_MS) {
            looked_ms = clock_monotonic_ms();
            do_what_is_due(keeper);
        }
    }
    give_back_space(keeper);
    return NULL;
}

int keeper_start(struct keeper *keeper, struct err *err)
{
    keeper->claimed_ms = clock_monotonic_ms();
    int failed = pthread_create(&keeper->thread, NULL, keeper_main, keeper);

    if (failed)
        return err_errno(err, failed, "keeper: thread");
    keeper->started = true;
    return 0;
}

void keeper_close(struct keeper *keeper)
{
    if (!keeper)
        return;
    keeper->stopping = true;
    if (keeper->started) {
        queue_close(keeper->requests);
        pthread_join(keeper->thread, NULL);
    }
    for (size_t i = 0; i < keeper->kept_count; i++)
        hold_unref(keeper->kept[i]);
    for (size_t i = 0; i < keeper->watched.capacity; i++)
        free(keeper->watched.entries[i].value);
    table_clear(&keeper->watched);
    strings_clear(&keeper->freed);
    queue_free(keeper->requests);
    redis_free(keeper->redis);
    pthread_mutex_destroy(&keeper->mutex);
    free(keeper->kept);
    free(keeper->holds);
    free(keeper);
}

void keeper_keep(struct keeper *keeper, struct hold *hold)
{
    LOCK_SCOPE(&keeper->mutex);

    if (keeper->kept_count == keeper->kept_capacity) {
        size_t capacity = keeper->kept_capacity ? keeper->kept_capacity * 2 : 64;
        struct hold **kept = realloc(keeper->kept, capacity * sizeof *kept);
        if (!kept)
            return; /* asked again by the next sweep: the loop looks whether it is kept */
        keeper->kept = kept;
        keeper->kept_capacity = capacity;
    }
    keeper->kept[keeper->kept_count++] = hold_ref(hold);
}

static void note_reservation(struct keeper *keeper, struct hold *hold)
{
    char both[128];

    pthread_mutex_lock(&hold->mutex);
    int len = hold->repository[0] ? snprintf(both, sizeof both, "%s %s", hold->repository, hold->job_id) : 0;
    pthread_mutex_unlock(&hold->mutex);
    if (len > 0)
        strings_add(&keeper->freed, both, NULL);
}

void keeper_release(struct keeper *keeper, struct hold *hold)
{
    LOCK_SCOPE(&keeper->mutex);

    note_reservation(keeper, hold);
    for (size_t i = 0; i < keeper->kept_count; i++)
        if (keeper->kept[i] == hold) {
            keeper->kept[i] = keeper->kept[--keeper->kept_count];
            hold_unref(hold);
            return;
        }
}

void keeper_watch(struct keeper *keeper, const char *job_id)
{
    LOCK_SCOPE(&keeper->mutex);
    char *copy = table_get(&keeper->watched, job_id) ? NULL : strdup(job_id);

    if (copy && table_put(&keeper->watched, copy, copy, NULL) < 0)
        free(copy);
}

void keeper_unwatch(struct keeper *keeper, const char *job_id)
{
    LOCK_SCOPE(&keeper->mutex);

    free(table_remove(&keeper->watched, job_id));
}

void keeper_tell(struct keeper *keeper, int64_t running, int64_t free_bytes)
{
    keeper->running = running;
    keeper->free_bytes = free_bytes;
}

static void ask(struct keeper *keeper, struct keeper_request *request)
{
    sem_init(&request->done, 0, 0);
    queue_push(keeper->requests, &request->item);
    while (sem_wait(&request->done) < 0)
        ;
    sem_destroy(&request->done);
}

enum trust keeper_confirm(struct keeper *keeper, struct hold *hold, const struct plan *plan, char detail[256])
{
    struct keeper_request request = {.hold = hold, .plan = plan};

    if (hold->lost)
        return TRUST_LOST;
    ask(keeper, &request);
    memcpy(detail, request.detail, sizeof request.detail);
    return request.trust;
}

/* Without an answer the job goes on: min_free of the repository is checked by the backend as well. */
int keeper_reserve(struct keeper *keeper, struct hold *hold, const char *repository, int64_t bytes, int64_t free_bytes,
                   int64_t min_free_bytes, struct err *err)
{
    struct keeper_request request = {.hold = hold,
                                     .repository = repository,
                                     .bytes = bytes,
                                     .free_bytes = free_bytes,
                                     .min_free_bytes = min_free_bytes};

    pthread_mutex_lock(&hold->mutex);
    snprintf(hold->repository, sizeof hold->repository, "%s", repository);
    pthread_mutex_unlock(&hold->mutex);
    ask(keeper, &request);
    if (request.reserved != RESERVE_FULL)
        return 0;
    err_set(err, ERR_RETRY, "repository %s: full, or reserved by other jobs", repository);
    return err_hint(err, "delete backups that are no longer needed, or wait until others have finished");
}

void keeper_barrier(struct keeper *keeper, struct hold *hold, const struct job *job, enum barrier_vote vote,
                    const char *why, struct barrier_result *out)
{
    struct store_barrier barrier = {
        .group = job->group, .job_id = job->job_id, .members = job->group_members, .vote = vote, .why = why};
    struct keeper_request request = {.hold = hold, .barrier = &barrier, .voted = out};

    *out = (struct barrier_result){.answer = BARRIER_NO_ANSWER};
    if (!hold->token && vote != VOTE_ABORT)
        *out = (struct barrier_result){.answer = BARRIER_ABORT, .detail = "a member runs without a lock"};
    else
        ask(keeper, &request);
}
