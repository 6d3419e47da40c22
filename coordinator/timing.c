/* From one instant at which something may change to the next: jobs whose time has come end, runs are planned at their slots, and those that may start do, in the order of the planner. */
#include "coordinator/timing.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUSY_NAME = 512 };

struct busy { /* a target with an open job of that policy and operation */
    UT_hash_handle hh;
    char name[];
};

struct lane { /* a run on its way */
    struct timed_run *timed;
    struct run_seat *seats;
    size_t count;
    bool planned, over;
};

struct course {
    struct lane *lanes;
    size_t count;
    struct busy *busy;
};

static void course_clear(struct course *course)
{
    struct busy *busy, *next;

    for (size_t i = 0; course->lanes && i < course->count; i++)
        free(course->lanes[i].seats);
    free(course->lanes);
    HASH_ITER (hh, course->busy, busy, next) {
        HASH_DEL(course->busy, busy);
        free(busy);
    }
}

static const struct run_member *member_of(const struct lane *lane, size_t index)
{
    return list_at(lane->timed->members, const struct run_member, index);
}

/* ---- targets that have a job ---- */

static struct busy *find_busy(const struct course *course, const struct lane *lane, size_t index, char name[BUSY_NAME])
{
    const char *target = member_of(lane, index)->target;
    struct busy *busy;

    snprintf(name, BUSY_NAME, "%s %s %s", lane->timed->run->policy,
             lane->timed->run->operation ? lane->timed->run->operation : "", target ? target : "");
    HASH_FIND_STR(course->busy, name, busy);
    return busy;
}

static bool is_busy(const struct course *course, const struct lane *lane, size_t index)
{
    char name[BUSY_NAME];

    return member_of(lane, index)->target && find_busy(course, lane, index, name);
}

static int mark_busy(struct course *course, const struct lane *lane, size_t index, struct err *err)
{
    char name[BUSY_NAME];

    if (!member_of(lane, index)->target || find_busy(course, lane, index, name))
        return 0;
    size_t len = strlen(name);
    struct busy *busy = calloc(1, sizeof *busy + len + 1);
    if (!busy)
        return err_memory(err, "timing");
    memcpy(busy->name, name, len + 1);
    HASH_ADD_STR(course->busy, name, busy);
    return 0;
}

static void end_job(struct course *course, struct lane *lane, size_t index, enum member_state state)
{
    char name[BUSY_NAME];
    struct busy *busy = find_busy(course, lane, index, name);

    lane->seats[index].state = state;
    if (!busy)
        return;
    HASH_DEL(course->busy, busy);
    free(busy);
}

/* ---- an instant ---- */

static void end_jobs(struct course *course, int64_t now_ms)
{
    for (struct lane *lane = course->lanes; lane < course->lanes + course->count; lane++)
        for (size_t i = 0; lane->planned && !lane->over && i < lane->count; i++) {
            const struct run_time *time = &lane->timed->times[i];
            if (lane->seats[i].state == MEMBER_OPEN && time->start_ms + time->duration_ms <= now_ms)
                end_job(course, lane, i, MEMBER_DONE);
        }
}

static int load_now(const struct course *course, struct run_load **out, struct err *err)
{
    if (run_load_new(out, err) < 0)
        return -1;
    run_load_remember(*out);
    for (const struct lane *lane = course->lanes; lane < course->lanes + course->count; lane++)
        for (size_t i = 0; lane->planned && !lane->over && i < lane->count; i++)
            if (lane->seats[i].state == MEMBER_OPEN)
                run_load_add(*out, lane->timed->run->policy, &lane->seats[i]);
    return 0;
}

static void plan_lane(const struct course *course, struct lane *lane)
{
    lane->planned = true;
    for (size_t i = 0; i < lane->count; i++) {
        const struct run_member *member = member_of(lane, i);
        bool busy = !member->skipped && lane->timed->skips_busy && is_busy(course, lane, i);
        lane->timed->times[i].busy = busy;
        lane->seats[i] = (struct run_seat){.state = member->skipped || busy ? MEMBER_SKIPPED : MEMBER_PENDING,
                                           .due_at_ms = member->due_at_ms,
                                           .host = member->host,
                                           .repository = member->repository,
                                           .pools = &member->pools,
                                           .host_ready = true};
    }
}

static int follow(struct course *course, struct lane *lane, size_t index, int64_t now_ms, const struct run_load *load,
                  struct err *err)
{
    struct run_seat *seat = &lane->seats[index];
    struct run_time *time = &lane->timed->times[index];

    if (seat->full != LIMIT_NONE) {
        time->full = seat->full;
        time->holder_count = run_load_holders(load, seat->full, lane->timed->run->policy, seat, time->holders);
    }
    if (seat->move == MOVE_DROP)
        seat->state = MEMBER_CANCELLED;
    if (seat->move == MOVE_CANCEL) {
        time->end_ms = now_ms;
        time->cut = true;
        end_job(course, lane, index, MEMBER_CANCELLED);
    }
    if (seat->move != MOVE_SUBMIT)
        return 0;
    seat->state = MEMBER_OPEN;
    time->start_ms = now_ms;
    time->end_ms = time->duration_ms ? now_ms + time->duration_ms : 0;
    return mark_busy(course, lane, index, err);
}

static int step_lane(struct course *course, struct lane *lane, int64_t now_ms, struct run_load *load, struct err *err)
{
    bool open = false;

    if (!lane->planned)
        plan_lane(course, lane);
    for (size_t i = 0; i < lane->count; i++)
        lane->seats[i].target_busy = lane->seats[i].state == MEMBER_PENDING && is_busy(course, lane, i);
    run_decide(lane->timed->run, lane->timed->limits, now_ms, lane->seats, lane->count, load);
    for (size_t i = 0; i < lane->count; i++) {
        if (follow(course, lane, i, now_ms, load, err) < 0)
            return -1;
        open |= lane->seats[i].state == MEMBER_PENDING || lane->seats[i].state == MEMBER_OPEN;
    }
    lane->over = !open;
    return 0;
}

static int step(struct course *course, int64_t now_ms, struct err *err)
{
    struct run_load *load = NULL;
    int result = 0;

    end_jobs(course, now_ms);
    if (load_now(course, &load, err) < 0)
        return -1;
    for (struct lane *lane = course->lanes; result == 0 && lane < course->lanes + course->count; lane++) {
        if (lane->timed->run->slot_ms > now_ms || lane->over)
            continue;
        result = step_lane(course, lane, now_ms, load, err);
    }
    run_load_free(load);
    return result;
}

/* ---- the next instant ---- */

static void sooner(int64_t *next_ms, int64_t at_ms, int64_t now_ms)
{
    if (at_ms > now_ms && (!*next_ms || at_ms < *next_ms))
        *next_ms = at_ms;
}

static void next_of_lane(const struct lane *lane, int64_t now_ms, int64_t *next_ms)
{
    sooner(next_ms, lane->timed->run->window_end_at_ms, now_ms);
    for (size_t i = 0; i < lane->count; i++) {
        const struct run_time *time = &lane->timed->times[i];
        int64_t end_ms = time->start_ms + time->duration_ms;
        if (lane->seats[i].state == MEMBER_PENDING)
            sooner(next_ms, lane->seats[i].due_at_ms, now_ms);
        else if (lane->seats[i].state == MEMBER_OPEN)
            sooner(next_ms, end_ms > now_ms ? end_ms : now_ms + 1, now_ms);
    }
}

/* 0: nothing will change any more. A job of which nobody knows how long it takes ends at once: what waits for it is not held back by a guess. */
static int64_t next_instant(const struct course *course, int64_t now_ms)
{
    int64_t next_ms = 0;

    for (const struct lane *lane = course->lanes; lane < course->lanes + course->count; lane++) {
        if (!lane->planned)
            sooner(&next_ms, lane->timed->run->slot_ms, now_ms);
        else if (!lane->over)
            next_of_lane(lane, now_ms, &next_ms);
    }
    return next_ms;
}

/* ---- the whole ---- */

static int compare_timed(const void *a, const void *b)
{
    const struct timed_run *one = a, *other = b;

    return run_order(one->run, other->run);
}

static int lay_course(struct timed_run *runs, size_t count, struct course *out, struct err *err)
{
    out->lanes = calloc(count + 1, sizeof *out->lanes);
    if (!out->lanes)
        return err_memory(err, "timing");
    for (; out->count < count; out->count++) {
        struct lane *lane = &out->lanes[out->count];
        *lane = (struct lane){.timed = &runs[out->count], .count = runs[out->count].members->count};
        if (!(lane->seats = calloc(lane->count + 1, sizeof *lane->seats)))
            return err_memory(err, "timing");
    }
    return 0;
}

int runs_timing(struct timed_run *runs, size_t count, struct err *err)
{
    CLEANUP(course_clear) struct course course = {0};
    size_t members = 0;

    for (size_t i = 0; i < count; i++)
        members += runs[i].members->count;
    if (members > TIMING_MAX)
        return 0;
    if (count)
        qsort(runs, count, sizeof *runs, compare_timed);
    if (lay_course(runs, count, &course, err) < 0)
        return -1;
    for (int64_t now_ms = next_instant(&course, INT64_MIN); now_ms; now_ms = next_instant(&course, now_ms))
        if (step(&course, now_ms, err) < 0)
            return -1;
    return 0;
}
