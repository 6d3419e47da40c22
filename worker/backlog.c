#include "worker/backlog.h"

#include "base/err.h"
#include "base/log.h"
#include "worker/work.h"

#include <stdlib.h>
#include <string.h>

struct gate { /* of one target: closed while somebody holds it. A job that runs holds it; one that is recovered or PARKED, too, so there may be several */
    struct work *holders;      /* by next_holder, the first to close it last */
    const struct work *inside; /* was given out: no other is, whoever holds the gate */
    struct work *blocked;      /* by next_blocked, newest first: ready again it finds its order in the heap */
    char target[TARGET_TEXT];
};

static bool better(const struct work *a, const struct work *b)
{
    return a->job->priority != b->job->priority ? a->job->priority > b->job->priority : a->row < b->row;
}

void backlog_init(struct backlog *backlog, const int64_t limits[3])
{
    *backlog = (struct backlog){0};
    for (int class = 0; class < 3; class ++)
        backlog->limits[class] = limits[class];
}

void backlog_clear(struct backlog *backlog)
{
    for (size_t i = 0; i < backlog->gates.capacity; i++)
        free(backlog->gates.entries[i].value);
    table_clear(&backlog->gates);
    for (int class = 0; class < 3; class ++)
        heap_clear(&backlog->ready[class]);
    heap_clear(&backlog->later);
}

int backlog_add(struct backlog *backlog, struct work *work, int64_t now_ms, struct err *err)
{
    bool later = work->wake_ms > now_ms;

    int failed = later ? heap_push(&backlog->later, work->wake_ms, work->row, work, err)
                       : heap_push(&backlog->ready[work->class], -work->job->priority, work->row, work, err);
    if (failed)
        return -1;
    work->place = later ? PLACE_LATER : PLACE_READY;
    work->stage = WORK_WAITING;
    return 0;
}

static void unblock(struct backlog *backlog, struct work *work)
{
    struct gate *gate = table_get(&backlog->gates, work->target);

    if (!gate)
        return;
    for (struct work **link = &gate->blocked; *link; link = &(*link)->next_blocked)
        if (*link == work) {
            *link = work->next_blocked;
            backlog->blocked--;
            return;
        }
}

void backlog_remove(struct backlog *backlog, struct work *work)
{
    if (work->place == PLACE_READY)
        heap_remove(&backlog->ready[work->class], work);
    else if (work->place == PLACE_LATER)
        heap_remove(&backlog->later, work);
    else if (work->place == PLACE_BLOCKED)
        unblock(backlog, work);
    work->place = PLACE_NONE;
    work->next_blocked = NULL;
}

int backlog_wake(struct backlog *backlog, int64_t now_ms, struct err *err)
{
    struct work *work;

    while ((work = heap_first(&backlog->later)) && work->wake_ms <= now_ms) {
        heap_remove(&backlog->later, work);
        if (backlog_add(backlog, work, now_ms, err) < 0)
            return -1;
    }
    return 0;
}

int64_t backlog_next_wake_ms(const struct backlog *backlog)
{
    const struct work *work = heap_first(&backlog->later);

    return work ? work->wake_ms : INT64_MAX;
}

static struct gate *make_gate(struct backlog *backlog, const struct work *work, struct err *err)
{
    struct gate *gate = calloc(1, sizeof *gate);

    if (!gate) {
        err_memory(err, "backlog");
        return NULL;
    }
    memcpy(gate->target, work->target, sizeof gate->target);
    if (table_put(&backlog->gates, gate->target, gate, err) == 0)
        return gate;
    free(gate);
    return NULL;
}

static bool holds(const struct gate *gate, const struct work *work)
{
    for (const struct work *holder = gate->holders; holder; holder = holder->next_holder)
        if (holder == work)
            return true;
    return false;
}

int backlog_close(struct backlog *backlog, struct work *work, struct err *err)
{
    struct gate *gate = table_get(&backlog->gates, work->target);

    if (!gate && !(gate = make_gate(backlog, work, err)))
        return -1;
    if (holds(gate, work))
        return 0;
    work->next_holder = gate->holders;
    gate->holders = work;
    return 0;
}

static int enter(struct backlog *backlog, struct work *work, struct err *err)
{
    if (backlog_close(backlog, work, err) < 0)
        return -1;
    ((struct gate *)table_get(&backlog->gates, work->target))->inside = work;
    return 0;
}

/* Class A passes every gate: it reads. A job passes its own, when nobody is inside. */
static bool passes(struct backlog *backlog, struct work *work)
{
    struct gate *gate = work->class == CLASS_A ? NULL : table_get(&backlog->gates, work->target);

    if (!gate || (!gate->inside && holds(gate, work)))
        return true;
    work->next_blocked = gate->blocked;
    gate->blocked = work;
    work->place = PLACE_BLOCKED;
    backlog->blocked++;
    return false;
}

/* The class whose first job is the best of those with room; -1: none. */
static int best_class(const struct backlog *backlog, int64_t (*ahead)(void *, const struct work *), void *context)
{
    int best = -1;

    for (int class = 0; class < 3; class ++) {
        const struct work *first = heap_first(&backlog->ready[class]);
        if (!first || backlog->started[class] >= backlog->limits[class] + ahead(context, first))
            continue;
        if (best < 0 || better(first, heap_first(&backlog->ready[best])))
            best = class;
    }
    return best;
}

struct work *backlog_next(struct backlog *backlog, int64_t (*ahead)(void *, const struct work *), void *context)
{
    int class;

    while ((class = best_class(backlog, ahead, context)) >= 0) {
        struct work *work = heap_pop(&backlog->ready[class]);
        struct err err;
        work->place = PLACE_NONE;
        if (!passes(backlog, work))
            continue;
        if (work->class != CLASS_A && enter(backlog, work, &err) < 0) {
            log_error(work->job->job_id, "%s", err.text);
            return NULL;
        }
        backlog->started[class]++;
        return work;
    }
    return NULL;
}

/* They look at the gate again when it is their turn. */
static void unblock_all(struct backlog *backlog, struct gate *gate)
{
    struct work *blocked = gate->blocked, *next;

    gate->blocked = NULL;
    for (; blocked; blocked = next) {
        struct err err;
        next = blocked->next_blocked;
        blocked->next_blocked = NULL;
        backlog->blocked--;
        blocked->place = PLACE_NONE;
        if (backlog_add(backlog, blocked, INT64_MAX, &err) < 0)
            log_error(blocked->job->job_id, "%s", err.text);
    }
}

static void leave(struct backlog *backlog, struct work *work, bool closed)
{
    struct gate *gate = table_get(&backlog->gates, work->target);

    if (!gate || !holds(gate, work))
        return;
    if (gate->inside == work)
        gate->inside = NULL;
    for (struct work **link = &gate->holders; !closed && *link; link = &(*link)->next_holder)
        if (*link == work) {
            *link = work->next_holder;
            work->next_holder = NULL;
            break;
        }
    unblock_all(backlog, gate);
    if (gate->holders)
        return;
    table_remove(&backlog->gates, work->target);
    free(gate);
}

void backlog_open(struct backlog *backlog, struct work *work)
{
    leave(backlog, work, false);
}

void backlog_done(struct backlog *backlog, struct work *work, bool closed)
{
    backlog->started[work->class]--;
    leave(backlog, work, closed);
}

const struct work *backlog_blocker(const struct backlog *backlog, const struct work *work)
{
    const struct gate *gate = work->place == PLACE_BLOCKED ? table_get(&backlog->gates, work->target) : NULL;

    return gate && gate->inside ? gate->inside : gate ? gate->holders : NULL;
}

size_t backlog_count(const struct backlog *backlog)
{
    return backlog->ready[0].count + backlog->ready[1].count + backlog->ready[2].count + backlog->later.count +
           backlog->blocked;
}
