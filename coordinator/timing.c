#include "coordinator/timing.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <stdlib.h>

static struct run_seat seat_of(const struct run_member *member)
{
    return (struct run_seat){.state = member->skipped ? MEMBER_SKIPPED : MEMBER_PENDING,
                             .due_at_ms = member->due_at_ms,
                             .host = member->host,
                             .repository = member->repository,
                             .host_ready = true};
}

static int load_now(const struct run *run, const struct run_seat *seats, size_t count, struct run_load **out,
                    struct err *err)
{
    if (run_load_new(out, err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (seats[i].state == MEMBER_OPEN)
            run_load_add(*out, run->policy, seats[i].host, seats[i].repository);
    return 0;
}

/* Jobs whose time has come end, and those that may start do. */
static int step(const struct run *run, const struct run_limits *limits, int64_t now_ms, struct run_seat *seats,
                struct run_time *times, size_t count, struct err *err)
{
    struct run_load *load = NULL;

    for (size_t i = 0; i < count; i++)
        if (seats[i].state == MEMBER_OPEN && times[i].start_ms + times[i].duration_ms <= now_ms)
            seats[i].state = MEMBER_DONE;
    if (load_now(run, seats, count, &load, err) < 0)
        return -1;
    run_decide(run, limits, now_ms, seats, count, load);
    run_load_free(load);
    for (size_t i = 0; i < count; i++) {
        if (seats[i].move == MOVE_DROP)
            seats[i].state = MEMBER_CANCELLED;
        if (seats[i].move != MOVE_SUBMIT)
            continue;
        seats[i].state = MEMBER_OPEN;
        times[i].start_ms = now_ms;
        times[i].end_ms = times[i].duration_ms ? now_ms + times[i].duration_ms : 0;
    }
    return 0;
}

/* The next instant at which something may change; 0: nothing will. A job of which nobody knows how long it takes ends at once: what waits for it is not held back by a guess. */
static int64_t next_instant(const struct run_seat *seats, const struct run_time *times, size_t count, int64_t now_ms)
{
    int64_t next = 0;

    for (size_t i = 0; i < count; i++) {
        int64_t at = seats[i].state == MEMBER_OPEN      ? times[i].start_ms + times[i].duration_ms
                     : seats[i].state == MEMBER_PENDING ? seats[i].due_at_ms
                                                        : 0;
        if (seats[i].state == MEMBER_OPEN && at <= now_ms)
            at = now_ms + 1;
        if (at > now_ms && (!next || at < next))
            next = at;
    }
    return next;
}

int run_timing(const struct run *run, const struct run_limits *limits, const struct list *members,
               struct run_time *times, struct err *err)
{
    CLEANUP(freep) struct run_seat *seats = NULL;

    if (members->count > TIMING_MAX)
        return 0;
    if (!(seats = calloc(members->count + 1, sizeof *seats)))
        return err_memory(err, "timing");
    for (size_t i = 0; i < members->count; i++)
        seats[i] = seat_of(list_at(members, const struct run_member, i));
    for (int64_t now_ms = run->slot_ms; now_ms; now_ms = next_instant(seats, times, members->count, now_ms))
        if (step(run, limits, now_ms, seats, times, members->count, err) < 0)
            return -1;
    return 0;
}
