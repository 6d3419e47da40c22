#include "worker/finisher.h"

#include "base/clock.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/log.h"
#include "redis/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AGAIN_MS = 1000 };

struct farewell {
    struct farewell *next;
    struct finisher *finisher;
    int64_t row, token, not_before_ms;
    char job_id[40];
    char target[TARGET_TEXT];
    char state[16];
    struct hold *hold;
    size_t slot_count;
    struct store_slot slots[8];
    char slot_names[8][80];
};

struct finisher {
    struct redis *redis;
    const char *host;
    finisher_heard *heard;
    void *context;
    struct farewell *first, **end; /* to be sent */
    size_t count;                  /* of these and of those on their way */
};

int finisher_open(struct redis *redis, const char *host, finisher_heard *heard, void *context, struct finisher **out,
                  struct err *err)
{
    struct finisher *finisher = calloc(1, sizeof *finisher);

    if (!finisher)
        return err_memory(err, "finisher");
    *finisher = (struct finisher){.redis = redis, .host = host, .heard = heard, .context = context};
    finisher->end = &finisher->first;
    *out = finisher;
    return 0;
}

static void farewell_free(struct farewell *farewell)
{
    farewell->finisher->count--;
    hold_unref(farewell->hold);
    free(farewell);
}

void finisher_close(struct finisher *finisher)
{
    if (!finisher)
        return;
    for (struct farewell *farewell = finisher->first, *next; farewell; farewell = next) {
        next = farewell->next;
        farewell_free(farewell);
    }
    free(finisher);
}

static void queue_last(struct finisher *finisher, struct farewell *farewell)
{
    farewell->next = NULL;
    *finisher->end = farewell;
    finisher->end = &farewell->next;
}

int finisher_add(struct finisher *finisher, int64_t row, const char *job_id, const char *target, int64_t token,
                 const char *state, struct hold *hold, const struct store_slot *slots, size_t slot_count,
                 struct err *err)
{
    struct farewell *farewell = calloc(1, sizeof *farewell);

    if (!farewell)
        return err_memory(err, "finisher");
    farewell->finisher = finisher;
    farewell->row = row;
    farewell->token = token;
    farewell->hold = hold ? hold_ref(hold) : NULL;
    snprintf(farewell->job_id, sizeof farewell->job_id, "%s", job_id);
    snprintf(farewell->target, sizeof farewell->target, "%s", target);
    snprintf(farewell->state, sizeof farewell->state, "%s", state);
    farewell->slot_count = slot_count;
    for (size_t i = 0; i < slot_count; i++) {
        snprintf(farewell->slot_names[i], sizeof farewell->slot_names[i], "%s", slots[i].name);
        farewell->slots[i] = (struct store_slot){farewell->slot_names[i], slots[i].limit};
    }
    finisher->count++;
    queue_last(finisher, farewell);
    return 0;
}

bool finisher_waits(const struct finisher *finisher, const char *job_id)
{
    for (const struct farewell *farewell = finisher->first; farewell; farewell = farewell->next)
        if (strcmp(farewell->job_id, job_id) == 0)
            return true;
    return false;
}

static void answered(void *context, enum redis_outcome outcome, const struct redis_reply *reply)
{
    struct farewell *farewell = context;
    struct finisher *finisher = farewell->finisher;
    enum finish_answer answer = store_finish_answer(outcome, reply);

    if (answer == FINISH_NO_ANSWER) {
        if (outcome == REDIS_ANSWERED)
            log_debug(farewell->job_id, "finish: %s",
                      redis_reply_text(reply) ? redis_reply_text(reply) : "unexpected answer");
        farewell->not_before_ms = clock_monotonic_ms() + AGAIN_MS;
        queue_last(finisher, farewell);
        return;
    }
    if (answer == FINISH_STALE)
        log_warning(farewell->job_id, "a higher token was given for %s while this job ran; what is journaled stays",
                    farewell->target);
    crash_point("finish.after", farewell->job_id);
    if (farewell->state[0])
        finisher->heard(finisher->context, farewell->row, farewell->job_id);
    farewell_free(farewell);
}

static void send(struct finisher *finisher, struct farewell *farewell)
{
    struct store_command command = {0};
    struct store_finish finish = {
        .job_id = farewell->job_id,
        .host = finisher->host,
        .target = farewell->target,
        .token = farewell->token,
        .state = farewell->state,
        .slot_count = farewell->slot_count,
    };
    struct err err;

    memcpy(finish.slots, farewell->slots, sizeof finish.slots);
    if (store_finish_command(&finish, &command, &err) < 0) {
        log_error(farewell->job_id, "%s", err.text);
        queue_last(finisher, farewell);
    } else {
        crash_point("finish.before", farewell->job_id);
        store_send(finisher->redis, &command, answered, farewell);
    }
    store_command_clear(&command);
}

static bool may_go(const struct farewell *farewell, int64_t now)
{
    return now >= farewell->not_before_ms && !(farewell->hold && farewell->hold->in_round);
}

void finisher_send(struct finisher *finisher)
{
    struct farewell *farewell = finisher->first, *next;
    int64_t now = clock_monotonic_ms();

    if (!farewell || !redis_ready(finisher->redis))
        return;
    finisher->first = NULL;
    finisher->end = &finisher->first;
    for (; farewell; farewell = next) {
        next = farewell->next;
        if (may_go(farewell, now))
            send(finisher, farewell);
        else
            queue_last(finisher, farewell);
    }
}

size_t finisher_count(const struct finisher *finisher)
{
    return finisher->count;
}
