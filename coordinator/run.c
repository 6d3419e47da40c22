#include "coordinator/run.h"

#include "base/err.h"
#include "coordinator/group.h"
#include "model/job_state.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- load ---- */

enum { LOAD_NAME = 320 };

struct load_count {
    UT_hash_handle hh;
    int64_t jobs;
    bool broken; /* by a circuit breaker: jobs of policies, no more than `most` */
    int64_t most;
    size_t holder_count;
    const char *holders[RUN_HOLDERS]; /* whose, the first few; if it remembers */
    char name[];
};

struct run_load {
    struct load_count *counts;
    bool remembers;
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

/* The nth thing that such a job counts for: of pools it may have several. False: there is no such one. */
static bool load_name(enum run_limit limit, const char *policy, const struct run_seat *seat, size_t nth,
                      char out[LOAD_NAME])
{
    const char *repository = seat->repository ? seat->repository : "";
    bool pools = limit == LIMIT_PER_POOL || limit == LIMIT_POLICY_PER_POOL;

    if (nth >= (pools ? seat->pools ? seat->pools->count : 0 : 1))
        return false;
    switch (limit) {
    case LIMIT_JOBS: snprintf(out, LOAD_NAME, "fleet"); return true;
    case LIMIT_POLICY_JOBS: snprintf(out, LOAD_NAME, "policy/%s", policy); return true;
    case LIMIT_PER_HOST: snprintf(out, LOAD_NAME, "host/%s", seat->host); return true;
    case LIMIT_POLICY_PER_HOST: snprintf(out, LOAD_NAME, "policy/%s/host/%s", policy, seat->host); return true;
    case LIMIT_PER_REPOSITORY: snprintf(out, LOAD_NAME, "repository/%s", repository); return *repository;
    case LIMIT_POLICY_PER_REPOSITORY:
        snprintf(out, LOAD_NAME, "policy/%s/repository/%s", policy, repository);
        return *repository;
    case LIMIT_PER_POOL: snprintf(out, LOAD_NAME, "pool/%s", seat->pools->items[nth]); return true;
    case LIMIT_POLICY_PER_POOL:
        snprintf(out, LOAD_NAME, "policy/%s/pool/%s", policy, seat->pools->items[nth]);
        return true;
    case LIMIT_NONE:
    case LIMIT_COUNT: break;
    }
    return false;
}

static int64_t most_of(const struct run_limits *limits, enum run_limit limit)
{
    switch (limit) {
    case LIMIT_JOBS: return limits->jobs;
    case LIMIT_POLICY_JOBS: return limits->policy_jobs;
    case LIMIT_PER_HOST: return limits->per_host;
    case LIMIT_POLICY_PER_HOST: return limits->policy_per_host;
    case LIMIT_PER_REPOSITORY: return limits->per_repository;
    case LIMIT_POLICY_PER_REPOSITORY: return limits->policy_per_repository;
    case LIMIT_PER_POOL: return limits->per_pool;
    case LIMIT_POLICY_PER_POOL: return limits->policy_per_pool;
    case LIMIT_NONE:
    case LIMIT_COUNT: break;
    }
    return 0;
}

static struct load_count *find_count(const struct run_load *load, const char *name)
{
    struct load_count *count;

    HASH_FIND_STR(load->counts, name, count);
    return count;
}

static void note_holder(struct load_count *count, const char *policy)
{
    for (size_t i = 0; i < count->holder_count; i++)
        if (strcmp(count->holders[i], policy) == 0)
            return;
    if (count->holder_count < RUN_HOLDERS)
        count->holders[count->holder_count++] = policy;
}

/* NULL: no memory. A job too many, then, not one too few. */
static struct load_count *count_of(struct run_load *load, const char *name)
{
    struct load_count *count = find_count(load, name);
    size_t len = strlen(name);

    if (count || !(count = calloc(1, sizeof *count + len + 1)))
        return count;
    memcpy(count->name, name, len + 1);
    HASH_ADD_STR(load->counts, name, count);
    return count;
}

void run_load_break(struct run_load *load, enum run_limit limit, const char *name, int64_t most)
{
    const struct run_seat seat = {.host = name, .repository = name};
    char full[LOAD_NAME];
    struct load_count *count = load_name(limit, "", &seat, 0, full) ? count_of(load, full) : NULL;

    if (!count)
        return;
    count->broken = true;
    count->most = most;
}

static void raise_load(struct run_load *load, const char *name, const char *policy)
{
    struct load_count *count = count_of(load, name);

    if (!count)
        return;
    count->jobs++;
    if (load->remembers)
        note_holder(count, policy);
}

void run_load_remember(struct run_load *load)
{
    load->remembers = true;
}

void run_load_add(struct run_load *load, const char *policy, const struct run_seat *seat)
{
    char name[LOAD_NAME];

    for (enum run_limit limit = LIMIT_JOBS; limit < LIMIT_COUNT; limit++)
        for (size_t nth = 0; load_name(limit, policy, seat, nth, name); nth++)
            raise_load(load, name, policy);
}

size_t run_load_holders(const struct run_load *load, enum run_limit limit, const char *policy,
                        const struct run_seat *seat, const char *out[RUN_HOLDERS])
{
    struct load_count all = {0};
    char name[LOAD_NAME];

    for (size_t nth = 0; load_name(limit, policy, seat, nth, name); nth++) {
        const struct load_count *count = find_count(load, name);
        for (size_t i = 0; count && i < count->holder_count; i++)
            note_holder(&all, count->holders[i]);
    }
    memcpy(out, all.holders, sizeof all.holders);
    return all.holder_count;
}

/* Which kind of limit leaves no room for that one thing that a job counts for. */
static enum run_limit full_at(const struct load_count *count, enum run_limit limit, int64_t most, bool breaks)
{
    if (count && most && count->jobs >= most)
        return limit;
    return count && breaks && count->broken && count->jobs >= count->most ? LIMIT_BROKEN : LIMIT_NONE;
}

/* Takes the room that a job needs, or says which limit leaves none. */
static enum run_limit take_room(struct run_load *load, const struct run_limits *limits, const struct run *run,
                                const struct run_seat *seat)
{
    char name[LOAD_NAME];

    for (enum run_limit limit = LIMIT_JOBS; limit < LIMIT_COUNT; limit++) {
        int64_t most = most_of(limits, limit);
        bool breaks = (limit == LIMIT_PER_HOST || limit == LIMIT_PER_REPOSITORY) && run_is_of_policy(run);
        for (size_t nth = 0; (most || breaks) && load_name(limit, run->policy, seat, nth, name); nth++) {
            enum run_limit full = full_at(find_count(load, name), limit, most, breaks);
            if (full != LIMIT_NONE)
                return full;
        }
    }
    run_load_add(load, run->policy, seat);
    return LIMIT_NONE;
}

/* Where the limit is one of a single place. */
static const char *place_of(enum run_limit limit, const struct run_seat *seat)
{
    if (limit == LIMIT_PER_HOST || limit == LIMIT_POLICY_PER_HOST)
        return seat->host;
    if (limit == LIMIT_PER_POOL || limit == LIMIT_POLICY_PER_POOL)
        return seat->pools && seat->pools->count == 1 ? seat->pools->items[0] : NULL;
    return NULL;
}

void run_limit_text(enum run_limit limit, const struct run_limits *limits, const char *policy,
                    const struct run_seat *seat, char *out, size_t size)
{
    static const char *const names[LIMIT_COUNT] = {
        [LIMIT_JOBS] = "jobs",
        [LIMIT_POLICY_JOBS] = "jobs",
        [LIMIT_PER_HOST] = "per_host",
        [LIMIT_POLICY_PER_HOST] = "per_host",
        [LIMIT_PER_REPOSITORY] = "per_repository",
        [LIMIT_POLICY_PER_REPOSITORY] = "per_repository",
        [LIMIT_PER_POOL] = "per_pool",
        [LIMIT_POLICY_PER_POOL] = "per_pool",
    };
    bool own = limit == LIMIT_POLICY_JOBS || limit == LIMIT_POLICY_PER_HOST || limit == LIMIT_POLICY_PER_REPOSITORY ||
               limit == LIMIT_POLICY_PER_POOL;
    const char *place = place_of(limit, seat);

    snprintf(out, size, "limits.%s %lld%s%s%s%s", names[limit] ? names[limit] : "", (long long)most_of(limits, limit),
             own ? " of policy " : "", own ? policy : "", place ? " on " : "", place ? place : "");
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

void run_hear(const struct job_word *word, bool parked, struct run_seat *seat)
{
    seat->cancel_asked |= word->cancel_asked;
    seat->lost = word->known && !word->ended && !parked && word->lost;
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
    if (seat->lost && run->deploy) /* nobody waits for it any more */
        return seat->cancel_asked ? MOVE_NONE : MOVE_CANCEL;
    if (seat->state != MEMBER_PENDING)
        return MOVE_NONE;
    if (run->cancel || window_over(run, now_ms))
        return MOVE_DROP;
    if (seat->due_at_ms > now_ms || seat->target_busy || seat->waits_for_earlier)
        return MOVE_NONE;
    if (stuck_too_long(run, now_ms, seat))
        return MOVE_REFUSE;
    if (!seat->host_ready)
        return MOVE_NONE;
    seat->full = take_room(load, limits, run, seat);
    return seat->full == LIMIT_NONE ? MOVE_SUBMIT : MOVE_NONE;
}

static bool any_without_success(const struct run_seat *seats, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (seats[i].state == MEMBER_FAILED || seats[i].state == MEMBER_UNKNOWN || seats[i].state == MEMBER_CANCELLED)
            return true;
    return false;
}

int run_order(const struct run *one, const struct run *other)
{
    if (one->priority != other->priority)
        return one->priority > other->priority ? -1 : 1;
    if (one->slot_ms != other->slot_ms)
        return one->slot_ms < other->slot_ms ? -1 : 1;
    int order = strcmp(one->policy, other->policy);
    return order ? order : strcmp(one->schedule, other->schedule);
}

/* A group that has failed has no use for backups that may go on for hours; a snapshot has ended before it can be told. */
static void give_up_rest(struct run_seat *seats, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (seats[i].state == MEMBER_OPEN && !seats[i].cancel_asked)
            seats[i].move = MOVE_CANCEL;
}

void run_decide(const struct run *run, const struct run_limits *limits, int64_t now_ms, struct run_seat *seats,
                size_t count, struct run_load *load)
{
    bool stopped = run->stop_on_failure && any_without_success(seats, count), blocked = false;

    for (size_t i = 0; i < count; i++) {
        struct run_seat *seat = &seats[i];
        seat->full = LIMIT_NONE;
        if (seat->state == MEMBER_PENDING && (stopped || blocked)) {
            seat->move = stopped ? MOVE_DROP : MOVE_NONE;
            continue;
        }
        seat->move = move_of(run, limits, now_ms, seat, load);
        blocked |= run->in_order && seat->state == MEMBER_PENDING && seat->move != MOVE_SUBMIT;
    }
    if (run->group_limit_ms)
        group_decide(seats, count);
    if (stopped && run->group_limit_ms && run_makes_backups(run))
        give_up_rest(seats, count);
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
