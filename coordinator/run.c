#include "coordinator/run.h"

#include "base/err.h"
#include "coordinator/group.h"
#include "model/job_state.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- load ---- */

enum { LOAD_NAME = 256, LOADS = 6 };

struct load_count {
    UT_hash_handle hh;
    int64_t jobs;
    char name[];
};

struct run_load {
    struct load_count *counts;
};

int run_load_new(struct run_load **out, struct err *err)
{
    *out = calloc(1, sizeof **out);
    return *out ? 0 : err_memory(err, "load");
}

void run_load_free(struct run_load *load)
{
    struct load_count *count, *next;

    if (!load)
        return;
    HASH_ITER (hh, load->counts, count, next) {
        HASH_DEL(load->counts, count);
        free(count);
    }
    free(load);
}

static int64_t load_of(const struct run_load *load, const char *name)
{
    struct load_count *count;

    HASH_FIND_STR(load->counts, name, count);
    return count ? count->jobs : 0;
}

static void raise_load(struct run_load *load, const char *name)
{
    struct load_count *count;

    HASH_FIND_STR(load->counts, name, count);
    if (!count) {
        size_t len = strlen(name);
        count = calloc(1, sizeof *count + len + 1);
        if (!count)
            return; /* a job too many, not one too few */
        memcpy(count->name, name, len + 1);
        HASH_ADD_STR(load->counts, name, count);
    }
    count->jobs++;
}

/* What a job counts for, each with its limit. Returns how many names. */
static size_t names_of(const struct run_limits *limits, const char *policy, const char *host, const char *repository,
                       char names[LOADS][LOAD_NAME], int64_t most[LOADS])
{
    static const struct run_limits none;
    size_t count = 0;

    limits = limits ? limits : &none;
#define NAME(limit, ...) (most[count] = limits->limit, snprintf(names[count++], LOAD_NAME, __VA_ARGS__))
    NAME(jobs, "fleet");
    NAME(per_host, "host/%s", host);
    NAME(policy_jobs, "policy/%s", policy);
    NAME(policy_per_host, "policy/%s/host/%s", policy, host);
    if (repository) {
        NAME(per_repository, "repository/%s", repository);
        NAME(policy_per_repository, "policy/%s/repository/%s", policy, repository);
    }
#undef NAME
    return count;
}

void run_load_add(struct run_load *load, const char *policy, const char *host, const char *repository)
{
    char names[LOADS][LOAD_NAME];
    int64_t most[LOADS];
    size_t count = names_of(NULL, policy, host, repository, names, most);

    for (size_t i = 0; i < count; i++)
        raise_load(load, names[i]);
}

static bool take_room(struct run_load *load, const struct run_limits *limits, const char *policy,
                      const struct run_seat *seat)
{
    char names[LOADS][LOAD_NAME];
    int64_t most[LOADS];
    size_t count = names_of(limits, policy, seat->host, seat->repository, names, most);

    for (size_t i = 0; i < count; i++)
        if (most[i] && load_of(load, names[i]) >= most[i])
            return false;
    for (size_t i = 0; i < count; i++)
        raise_load(load, names[i]);
    return true;
}

/* ---- what became of the jobs ---- */

static enum member_state end_of(enum job_state state)
{
    switch (state) {
    case STATE_SUCCEEDED: return MEMBER_DONE;
    case STATE_CANCELLED: return MEMBER_CANCELLED;
    case STATE_PARKED: return MEMBER_UNKNOWN;
    case STATE_PLANNED:
    case STATE_PUBLISHED:
    case STATE_ACCEPTED:
    case STATE_WAITING:
    case STATE_RUNNING:
    case STATE_FAILED:
    case STATE_EXPIRED:
    case STATE_REJECTED:
    case STATE_COUNT: break;
    }
    return MEMBER_FAILED;
}

void run_hear(const struct run *run, const struct job_word *word, bool parked, struct run_seat *seat)
{
    seat->cancel_asked |= word->cancel_asked;
    seat->lost = word->known && !word->ended && !parked && word->lost && !run->deploy;
    if (!word->known)
        seat->state = MEMBER_PENDING;
    else if (word->ended)
        seat->state = end_of((enum job_state)word->state);
    else
        seat->state = parked ? MEMBER_UNKNOWN : seat->lost ? MEMBER_FAILED : MEMBER_OPEN;
}

/* ---- moves ---- */

static bool window_over(const struct run *run, int64_t now_ms)
{
    return run->window_end_at_ms && now_ms >= run->window_end_at_ms;
}

/* A host that takes no work is waited for, but by the runs that cannot wait for long. */
static bool stuck_too_long(const struct run *run, int64_t now_ms, struct run_seat *seat)
{
    if (seat->host_ready || !run->start_within_ms) {
        seat->stuck_since_ms = 0;
        return false;
    }
    if (!seat->stuck_since_ms)
        seat->stuck_since_ms = now_ms;
    return now_ms - seat->stuck_since_ms >= run->start_within_ms;
}

static enum member_move move_of(const struct run *run, const struct run_limits *limits, int64_t now_ms,
                                struct run_seat *seat, struct run_load *load)
{
    bool stop = run->cancel || (window_over(run, now_ms) && run->cancel_at_end);

    if (seat->state == MEMBER_OPEN)
        return stop && !seat->cancel_asked ? MOVE_CANCEL : MOVE_NONE;
    if (seat->state != MEMBER_PENDING)
        return MOVE_NONE;
    if (run->cancel || window_over(run, now_ms))
        return MOVE_DROP;
    if (seat->due_at_ms > now_ms || seat->target_busy || seat->waits_for_earlier)
        return MOVE_NONE;
    if (stuck_too_long(run, now_ms, seat))
        return MOVE_REFUSE;
    return seat->host_ready && take_room(load, limits, run->policy, seat) ? MOVE_SUBMIT : MOVE_NONE;
}

static bool any_without_success(const struct run_seat *seats, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (seats[i].state == MEMBER_FAILED || seats[i].state == MEMBER_UNKNOWN || seats[i].state == MEMBER_CANCELLED)
            return true;
    return false;
}

void run_decide(const struct run *run, const struct run_limits *limits, int64_t now_ms, struct run_seat *seats,
                size_t count, struct run_load *load)
{
    bool stopped = run->stop_on_failure && any_without_success(seats, count), blocked = false;

    for (size_t i = 0; i < count; i++) {
        struct run_seat *seat = &seats[i];
        if (seat->state == MEMBER_PENDING && (stopped || blocked)) {
            seat->move = stopped ? MOVE_DROP : MOVE_NONE;
            continue;
        }
        seat->move = move_of(run, limits, now_ms, seat, load);
        blocked |= run->in_order && seat->state == MEMBER_PENDING && seat->move != MOVE_SUBMIT;
    }
    if (run->group_limit_ms)
        group_decide(seats, count);
}

/* ---- how far it is ---- */

void run_count(const struct run_seat *seats, size_t count, struct run_counts *out)
{
    *out = (struct run_counts){0};
    for (size_t i = 0; i < count; i++)
        switch (seats[i].state) {
        case MEMBER_PENDING: out->pending++; break;
        case MEMBER_OPEN: out->open++; break;
        case MEMBER_DONE: out->done++; break;
        case MEMBER_FAILED: out->failed++; break;
        case MEMBER_CANCELLED: out->cancelled++; break;
        case MEMBER_UNKNOWN: out->unknown++; break;
        case MEMBER_SKIPPED: out->skipped++; break;
        }
}

enum run_outcome run_judge(const struct run *run, const struct run_counts *counts)
{
    if (counts->pending || counts->open)
        return RUN_RUNNING;
    if (counts->unknown)
        return RUN_UNKNOWN;
    if (counts->failed)
        return counts->done ? RUN_SOME_FAILED : RUN_FAILED;
    if (run->cancel || counts->cancelled)
        return RUN_CANCELLED;
    return counts->done ? RUN_DONE : RUN_EMPTY;
}
