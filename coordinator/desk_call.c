/*
 * A caller and its request: the writes that it hands to the main loop share one counted call, which names who asks and takes the answers. Whoever lets go of it last frees it, so a caller that
 * waits no longer does no harm.
 */
#include "base/clock.h"
#include "coordinator/desk_write.h"

#include <stdio.h>
#include <time.h>

struct desk_call *desk_call_keep(struct desk_call *call)
{
    atomic_fetch_add(&call->references, 1);
    return call;
}

void desk_call_release(struct desk_call *call)
{
    if (!call || atomic_fetch_sub(&call->references, 1) != 1)
        return;
    pthread_cond_destroy(&call->answered);
    pthread_mutex_destroy(&call->mutex);
    free(call->results);
    free(call->who);
    free(call->from);
    free(call);
}

static int set_caller(struct desk_call *call, const struct caller *caller, struct err *err)
{
    if (!caller)
        return 0;
    if (string_set(&call->who, caller->token ? caller->token : "", err) < 0)
        return -1;
    return string_set(&call->from, caller->from ? caller->from : "", err);
}

int desk_call_new(const struct caller *caller, size_t count, struct desk_call **out, struct err *err)
{
    struct desk_call *call = calloc(1, sizeof *call);
    pthread_condattr_t attributes;

    if (!call)
        return err_memory(err, "request");
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&call->answered, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&call->mutex, NULL);
    atomic_init(&call->references, 1);
    call->results = calloc(count, sizeof *call->results);
    if (!call->results || set_caller(call, caller, err) < 0) {
        desk_call_release(call);
        return err_memory(err, "request");
    }
    *out = call;
    return 0;
}

struct desk_write *desk_write_new(enum desk_kind kind, struct err *err)
{
    struct desk_write *write = calloc(1, sizeof *write);

    if (write)
        write->kind = kind;
    else
        err_memory(err, "request");
    return write;
}

void desk_write_free(struct desk_write *write)
{
    if (!write)
        return;
    ledger_entry_free(write->entry);
    dead_letter_free(write->letter);
    free(write->words);
    free(write->text);
    free(write->reason);
    free(write->action);
    free(write->subject);
    free(write->outcome);
    desk_call_release(write->call);
    free(write);
}

void desk_call_add(struct desk_call *call, struct desk_write *write, size_t index)
{
    write->call = desk_call_keep(call);
    write->index = index;
    call->remaining++;
}

int desk_request_new(enum desk_kind kind, const struct caller *caller, const char *reason, struct desk_write **out,
                     struct err *err)
{
    CLEANUP(desk_call_releasep) struct desk_call *call = NULL;
    CLEANUP(desk_write_freep) struct desk_write *write = desk_write_new(kind, err);

    if (!write || desk_call_new(caller, 1, &call, err) < 0 || string_set(&write->reason, reason, err) < 0)
        return -1;
    desk_call_add(call, write, 0);
    *out = TAKE_PTR(write);
    return 0;
}

void desk_answer(struct coordinator *coordinator, struct desk_write *write, const struct err *err)
{
    struct desk_write *also = write->also;
    struct desk_call *call = write->call;

    if (call && call->waited_for) {
        LOCK_SCOPE(&call->mutex);
        call->results[write->index].answered = true;
        if (err)
            call->results[write->index].err = *err;
        if (--call->remaining == 0)
            pthread_cond_signal(&call->answered);
        atomic_fetch_sub(&coordinator->in_flight, 1);
    }
    desk_write_free(write);
    if (also)
        desk_answer(coordinator, also, err);
}

static void wait_for_answers(struct desk_call *call, int64_t timeout_ms)
{
    int64_t until_ms = clock_monotonic_ms() + timeout_ms;
    struct timespec until = {until_ms / 1000, until_ms % 1000 * 1000000};

    LOCK_SCOPE(&call->mutex);
    while (call->remaining && pthread_cond_timedwait(&call->answered, &call->mutex, &until) == 0)
        ;
}

int desk_result(struct desk_call *call, size_t index, struct err *err)
{
    LOCK_SCOPE(&call->mutex);
    const struct desk_result *result = &call->results[index];

    if (!result->answered)
        return err_set(err, ERR_UNKNOWN, "submitted, outcome not seen: the ledger has not answered in time");
    if (result->err.kind == ERR_NONE)
        return 0;
    if (err)
        *err = result->err;
    return -1;
}

static bool take_places(struct coordinator *coordinator, size_t count, struct err *err)
{
    int64_t before = atomic_fetch_add(&coordinator->in_flight, (int64_t)count);

    if (!atomic_load(&coordinator->stopping) && before + (int64_t)count <= coordinator->options.jobs_in_flight)
        return true;
    atomic_fetch_sub(&coordinator->in_flight, (int64_t)count);
    err_set(err, ERR_RETRY, before ? "%lld requests are on their way already" : "the coordinator stops",
            (long long)before);
    return false;
}

int desk_ask_all(struct coordinator *coordinator, struct desk_call *call, struct queue_item *first, struct err *err)
{
    if (!take_places(coordinator, call->remaining, err)) {
        for (struct queue_item *item = first, *next; item; item = next) {
            next = item->next;
            desk_write_free((struct desk_write *)item);
        }
        return -1;
    }
    call->waited_for = true;
    queue_push_list(coordinator->desk, first);
    wait_for_answers(call, coordinator->options.write_timeout_ms);
    return 0;
}

int desk_ask(struct coordinator *coordinator, struct desk_write *write, struct err *err)
{
    CLEANUP(desk_call_releasep) struct desk_call *call = desk_call_keep(write->call);

    write->item.next = NULL;
    return desk_ask_all(coordinator, call, &write->item, err) < 0 ? -1 : desk_result(call, 0, err);
}
