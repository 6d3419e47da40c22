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
    struct hold *hold;
    const char *job_id, *target, *state; /* behind the slots, like their names */
    size_t slot_count;
    struct store_slot slots[];
};

struct finisher {
    struct redis *redis;
    const char *host;
    finisher_heard *heard;
    void *context;
    struct store_command command;  /* used again for each */
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
    store_command_clear(&finisher->command);
    free(finisher);
}

static void queue_last(struct finisher *finisher, struct farewell *farewell)
{
    farewell->next = NULL;
    *finisher->end = farewell;
    finisher->end = &farewell->next;
}

static const char *keep(char **at, const char *text)
{
    char *copy = *at;

    *at = stpcpy(copy, text) + 1;
    return copy;
}

/* The farewell and all its text in one piece. */
static struct farewell *farewell_new(const char *job_id, const char *target, const char *state,
                                     const struct store_slot *slots, size_t slot_count)
{
    size_t size = sizeof(struct farewell) + slot_count * sizeof *slots + strlen(job_id) + strlen(target) +
                  strlen(state) + 3;

    for (size_t i = 0; i < slot_count; i++)
        size += strlen(slots[i].name) + 1;
    struct farewell *farewell = malloc(size);
    if (!farewell)
        return NULL;
    char *at = (char *)&farewell->slots[slot_count];
    *farewell = (struct farewell){.slot_count = slot_count};
    farewell->job_id = keep(&at, job_id);
    farewell->target = keep(&at, target);
    farewell->state = keep(&at, state);
    for (size_t i = 0; i < slot_count; i++)
        farewell->slots[i] = (struct store_slot){keep(&at, slots[i].name), slots[i].limit};
    return farewell;
}

int finisher_add(struct finisher *finisher, int64_t row, const char *job_id, const char *target, int64_t token,
                 const char *state, struct hold *hold, const struct store_slot *slots, size_t slot_count,
                 struct err *err)
{
    struct farewell *farewell = farewell_new(job_id, target, state, slots, slot_count);

    if (!farewell)
        return err_memory(err, "farewell");
    farewell->finisher = finisher;
    farewell->row = row;
    farewell->token = token;
    farewell->hold = hold ? hold_ref(hold) : NULL;
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
    struct store_command *command = &finisher->command;
    struct store_finish finish = {
        .job_id = farewell->job_id,
        .host = finisher->host,
        .target = farewell->target,
        .token = farewell->token,
        .state = farewell->state,
        .slot_count = farewell->slot_count,
    };
    struct err err;

    memcpy(finish.slots, farewell->slots, farewell->slot_count * sizeof *finish.slots);
    if (store_finish_command(&finish, command, &err) < 0) {
        log_error(farewell->job_id, "%s", err.text);
        queue_last(finisher, farewell);
    } else {
        crash_point("finish.before", farewell->job_id);
        store_send(finisher->redis, command, answered, farewell);
    }
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
