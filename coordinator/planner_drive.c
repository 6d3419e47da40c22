/* Runs that have not ended: what became of their jobs is looked up in the ledger, run_decide() says what is next, the desk is told. */
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "coordinator/breaker.h"
#include "coordinator/plan.h"
#include "coordinator/planner.h"
#include "coordinator/policy.h"
#include "coordinator/pools.h"
#include "coordinator/view.h"
#include "coordinator/world.h"
#include "model/job_state.h"

#include <stdio.h>
#include <string.h>

enum { SUBMIT_AT_ONCE = 200, CANCEL_AT_ONCE = 100, RETARGETS = 3, EXPIRE_AFTER_MS = 1000 };

static struct run_member *member_at(const struct active *active, size_t index)
{
    return list_at(&active->members, struct run_member, index);
}

/* ---- adopting ---- */

void active_free(struct active *active)
{
    if (!active)
        return;
    struct run_members members = {.members = active->members};
    run_members_clear(&members);
    run_clear(&active->run);
    ledger_entry_free(active->policy);
    free(active->job_ids);
    free(active->seats);
    free(active);
}

DEFINE_FREEP(struct active, active_free)

static void seat_member(struct active *active, size_t index)
{
    struct run_member *member = member_at(active, index);

    plan_job_id(&active->run, member, active->job_ids[index]);
    active->seats[index] = (struct run_seat){.state = run_member_refused(member) ? MEMBER_FAILED
                                                      : member->skipped          ? MEMBER_SKIPPED
                                                                                 : MEMBER_PENDING,
                                             .due_at_ms = member->due_at_ms,
                                             .host = member->host,
                                             .repository = member->repository,
                                             .pools = &member->pools};
}

static int adopt(void *context, const char *id, const struct ledger_entry *head, struct err *err)
{
    struct planner *planner = context;
    struct active *active;

    HASH_FIND_STR(planner->runs, id, active);
    if (active) /* only the wish to cancel may have come since */
        return head->run->cancel && !active->run.cancel ? string_set(&active->run.cancel, head->run->cancel, err) : 0;
    CLEANUP(active_freep) struct active *new = calloc(1, sizeof *new);
    if (!new)
        return err_memory(err, "run");
    snprintf(new->id, sizeof new->id, "%s", id);
    new->fresh = true;
    if (record_copy(&run_record, &new->run, head->run, err) < 0 ||
        run_load_members(planner->coordinator, id, head->run, &new->members, err) < 0 ||
        policy_load(planner->coordinator, head->run->policy, head->run->version, &new->policy, err) < 0)
        return -1;
    new->job_ids = calloc(new->members.count + 1, sizeof *new->job_ids);
    new->seats = calloc(new->members.count + 1, sizeof *new->seats);
    if (!new->job_ids || !new->seats)
        return err_memory(err, "run");
    for (size_t i = 0; i < new->members.count; i++)
        seat_member(new, i);
    active = TAKE_PTR(new);
    HASH_ADD_STR(planner->runs, id, active);
    return 0;
}

int planner_adopt(struct planner *planner, struct err *err)
{
    return runs_each(planner->coordinator, true, adopt, planner, err);
}

/* ---- what became of the jobs ---- */

/* Where the target is now, if it is one place. out: "" otherwise. */
static int host_now(struct planner *planner, const char *target, char out[64], struct err *err)
{
    struct view_filter filter = {.target = target, .limit = 2};
    json_t *page = NULL;

    if (view_targets(planner->reader, &filter, &page, err) < 0)
        return -1;
    json_t *items = json_object_get(page, "items");
    const char *host = json_array_size(items) == 1 ? json_string_value(json_object_get(json_array_get(items, 0), "host"))
                                                   : NULL;
    snprintf(out, 64, "%s", host ? host : "");
    json_decref(page);
    return 0;
}

/* A target that moved before its job ran is planned again where it is now; what takes away asks a person instead. */
static int follow_target(struct planner *planner, struct active *active, size_t index, struct err *err)
{
    struct run_member *member = member_at(active, index);
    char host[64], why[PLAN_WHY];

    if (member->point || member->snapshot || member->retarget >= RETARGETS)
        return 0;
    if (host_now(planner, member->target, host, err) < 0 || planner_world(planner, err) < 0)
        return -1;
    if (!*host || strcmp(host, member->host) == 0 ||
        (member->repository && !world_repository(planner->world, member->repository, member->target, host, why)))
        return 0;
    if (pools_move(&member->pools, member->host, host, err) < 0 || string_set(&member->host, host, err) < 0)
        return -1;
    member->retarget++;
    log_info(active->job_ids[index], "%s moved to %s: planned again", member->name ? member->name : member->target,
             host);
    seat_member(active, index);
    return run_write_part(planner->coordinator, active->id, &active->members, index / RUN_PART_MEMBERS, err);
}

/* How a job of a policy ended, that this leader saw begin. */
static int note_end(struct planner *planner, const struct active *active, const struct run_seat *seat, bool ok,
                    struct err *err)
{
    bool opened;

    if (!planner->breakers && (ok || breakers_new(&planner->breakers, err) < 0))
        return ok ? 0 : -1;
    breakers_note(planner->breakers, seat->host, seat->repository, ok, clock_real_ms(), &opened);
    if (opened)
        log_warning("planner",
                    "job after job fails on %s%s%s, the last of policy %s: only a probe now and then is let through",
                    seat->host, seat->repository ? ", into repository " : "", seat->repository ? seat->repository : "",
                    active->run.policy);
    return 0;
}

static int note_word(struct planner *planner, struct active *active, size_t index, const struct job_word *word,
                     struct err *err)
{
    struct run_seat *seat = &active->seats[index];
    bool tells = seat->state == MEMBER_OPEN && word->ended && run_is_of_policy(&active->run);

    if (tells && (word->state == STATE_SUCCEEDED || word->state == STATE_FAILED) &&
        note_end(planner, active, seat, word->state == STATE_SUCCEEDED, err) < 0)
        return -1;
    run_hear(word, strings_sorted_have(&planner->parked, active->job_ids[index]), seat);
    if (seat->state == MEMBER_FAILED && word->ended && word->state == STATE_REJECTED)
        return follow_target(planner, active, index, err);
    return 0;
}

static bool is_asked(const struct active *active, const struct run_seat *seat)
{
    return seat->state == MEMBER_OPEN || seat->lost || (active->fresh && seat->state == MEMBER_PENDING);
}

static int ask_jobs(struct planner *planner, struct active *active, struct err *err)
{
    size_t count = active->members.count, asked = 0;
    CLEANUP(freep) size_t *which = calloc(count + 1, sizeof *which);
    CLEANUP(freep) char(*ids)[UUID_TEXT] = calloc(count + 1, sizeof *ids);
    CLEANUP(freep) struct job_word *words = calloc(count + 1, sizeof *words);

    if (!which || !ids || !words)
        return err_memory(err, "run");
    for (size_t i = 0; i < count; i++)
        if (is_asked(active, &active->seats[i])) {
            memcpy(ids[asked], active->job_ids[i], UUID_TEXT);
            which[asked++] = i;
        }
    runs_job_words(planner->coordinator, ids, asked, words);
    for (size_t i = 0; i < asked; i++)
        if (note_word(planner, active, which[i], &words[i], err) < 0)
            return -1;
    active->fresh = false;
    return 0;
}

/* ---- acting ---- */

static int refuse_member(struct planner *planner, struct active *active, size_t index, const struct err *why,
                         struct err *err)
{
    struct run_member *member = member_at(active, index);
    char text[300];

    snprintf(text, sizeof text, "refused: %.280s", why->text);
    log_warning(active->id, "%s: %s", member->name ? member->name : member->target, text);
    if (string_set(&member->skipped, text, err) < 0)
        return -1;
    active->seats[index].state = MEMBER_FAILED;
    return run_write_part(planner->coordinator, active->id, &active->members, index / RUN_PART_MEMBERS, err);
}

struct batch {
    struct job *jobs[SUBMIT_AT_ONCE];
    size_t members[SUBMIT_AT_ONCE];
    struct err errs[SUBMIT_AT_ONCE];
    size_t count;
};

static void batch_clear(struct batch **batch)
{
    for (size_t i = 0; *batch && i < (*batch)->count; i++)
        job_free((*batch)->jobs[i]);
    free(*batch);
}

static int add_job(struct planner *planner, struct active *active, size_t index, struct batch *batch, struct err *err)
{
    struct err why = {0};

    if (planner_world(planner, err) < 0)
        return -1;
    if (plan_job(&active->run, active->id, active->policy ? &active->policy->policy->policy : NULL,
                 member_at(active, index), planner->world, &batch->jobs[batch->count], &why) == 0) {
        batch->members[batch->count++] = index;
        return 0;
    }
    return why.kind == ERR_RETRY ? 0 : refuse_member(planner, active, index, &why, err);
}

/* Taken, or perhaps: the ledger knows in the next round. Refused for now: it stays pending. */
static int note_submitted(struct planner *planner, struct active *active, const struct batch *batch, struct err *err)
{
    for (size_t i = 0; i < batch->count; i++) {
        const struct err *why = &batch->errs[i];
        if (why->kind == ERR_NONE || why->kind == ERR_UNKNOWN)
            active->seats[batch->members[i]].state = MEMBER_OPEN;
        else if (why->kind == ERR_RETRY)
            planner_trouble(planner, why);
        else if (refuse_member(planner, active, batch->members[i], why, err) < 0)
            return -1;
    }
    return 0;
}

static int submit_some(struct planner *planner, struct active *active, struct err *err)
{
    CLEANUP(batch_clear) struct batch *batch = calloc(1, sizeof *batch);

    if (!batch)
        return err_memory(err, "run");
    for (size_t i = 0; i < active->members.count && batch->count < SUBMIT_AT_ONCE; i++)
        if (active->seats[i].move == MOVE_SUBMIT && add_job(planner, active, i, batch, err) < 0)
            return -1;
    if (!batch->count)
        return 0;
    if (desk_submit_planned(planner->coordinator, (const struct job *const *)batch->jobs, batch->count, batch->errs,
                            err) < 0)
        return -1;
    return note_submitted(planner, active, batch, err);
}

static void cancel_some(struct planner *planner, struct active *active)
{
    size_t asked = 0;

    for (size_t i = 0; i < active->members.count && asked < CANCEL_AT_ONCE; i++) {
        struct err err = {0};
        if (active->seats[i].move != MOVE_CANCEL)
            continue;
        const char *why = active->run.cancel      ? active->run.cancel
                          : active->seats[i].lost ? "its host is silent, and the deploy did not wait for it"
                          : run_makes_backups(&active->run) && active->run.group_limit_ms
                              ? "another machine of its group has failed"
                              : "the window of its schedule is over";
        asked++;
        if (coordinator_cancel(planner->coordinator, NULL, active->job_ids[i], why, &err) == 0 ||
            err.kind == ERR_CONFLICT) /* it has ended meanwhile */
            active->seats[i].cancel_asked = true;
        else
            planner_trouble(planner, &err);
    }
}

static void drop(struct active *active)
{
    for (size_t i = 0; i < active->members.count; i++)
        if (active->seats[i].move == MOVE_DROP)
            active->seats[i].state = MEMBER_CANCELLED;
}

static int refuse_stuck(struct planner *planner, struct active *active, struct err *err)
{
    for (size_t i = 0; i < active->members.count; i++) {
        struct err why = {0};
        if (active->seats[i].move != MOVE_REFUSE)
            continue;
        err_set(&why, ERR_RETRY, "host %s takes no work", active->seats[i].host);
        if (refuse_member(planner, active, i, &why, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- the end ---- */

/* The ledger knows of the end some moments before the view shows the points that came of it. */
static void expire_soon(struct planner *planner)
{
    int64_t soon_ms = clock_monotonic_ms() + EXPIRE_AFTER_MS;

    if (planner->expire_ms > soon_ms)
        planner->expire_ms = soon_ms;
}

static int end_run(struct planner *planner, struct active *active, enum run_outcome outcome,
                   const struct run_counts *counts, struct err *err)
{
    struct run *run = &active->run;
    char why[200];

    run->outcome = (int)outcome;
    run->ended_at_ms = clock_real_ms();
    run->done = (int64_t)counts->done;
    run->failed = (int64_t)counts->failed;
    run->unknown = (int64_t)counts->unknown;
    run->cancelled = (int64_t)counts->cancelled;
    run->skipped = (int64_t)counts->skipped;
    snprintf(why, sizeof why, "%s: %zu done, %zu failed, %zu unknown, %zu cancelled, %zu skipped",
             run_outcome_names[outcome], counts->done, counts->failed, counts->unknown, counts->cancelled,
             counts->skipped);
    if (run_write_head(planner->coordinator, NULL, active->id, run, why, err) < 0) {
        run->ended_at_ms = 0;
        run->outcome = RUN_RUNNING;
        return err_wrap(err, "run %.8s", active->id);
    }
    log_info(active->id, "%s%s, %s: %s", run_is_of_policy(run) ? "policy " : "", run->policy, run->schedule, why);
    if (run->deploy)
        planner_wake(planner); /* what follows is decided by the deploy */
    else if (counts->done && strcmp(run->schedule, "retention") != 0)
        expire_soon(planner);
    return 0;
}

/* ---- a round of one run ---- */

static int note_circumstances(struct planner *planner, struct active *active, struct err *err)
{
    CLEANUP(strings_clear) struct strings busy = {0};
    bool deletes = strcmp(active->run.schedule, "retention") == 0;

    if (planner_world(planner, err) < 0 ||
        runs_busy_targets(planner->coordinator, active->run.policy, active->run.operation, &busy, err) < 0)
        return -1;
    for (size_t i = 0; i < active->members.count; i++) {
        struct run_seat *seat = &active->seats[i];
        const struct run_member *member = member_at(active, i);
        if (seat->state != MEMBER_PENDING)
            continue;
        seat->host_ready = world_host_ready(planner->world, member->host);
        seat->target_busy = strings_sorted_have(&busy, member->target);
        const struct run_seat *before = i ? seat - 1 : NULL;
        seat->waits_for_earlier = deletes && before && strcmp(member_at(active, i - 1)->target, member->target) == 0 &&
                                  (before->state == MEMBER_PENDING || before->state == MEMBER_OPEN);
    }
    return 0;
}

static bool any_pending(const struct active *active)
{
    for (size_t i = 0; i < active->members.count; i++)
        if (active->seats[i].state == MEMBER_PENDING)
            return true;
    return false;
}

static int drive_one(struct planner *planner, struct active *active, int64_t now_ms, struct run_load *load,
                     struct err *err)
{
    struct run_limits limits;
    struct run_counts counts;

    if (!active->policy && run_is_of_policy(&active->run) && !active->run.cancel &&
        string_set(&active->run.cancel, "its policy was deleted", err) < 0)
        return -1;
    if (any_pending(active) && note_circumstances(planner, active, err) < 0)
        return -1;
    run_limits_of(&planner->coordinator->options, &active->run, active->policy ? &active->policy->policy->policy : NULL,
                  &limits);
    run_decide(&active->run, &limits, now_ms, active->seats, active->members.count, load);
    drop(active);
    if (refuse_stuck(planner, active, err) < 0)
        return -1;
    cancel_some(planner, active);
    if (submit_some(planner, active, err) < 0)
        return -1;
    run_count(active->seats, active->members.count, &counts);
    enum run_outcome outcome = run_judge(&active->run, &counts);
    if (outcome == RUN_RUNNING)
        return 0;
    if (end_run(planner, active, outcome, &counts, err) < 0)
        return -1;
    HASH_DEL(planner->runs, active);
    active_free(active);
    return 0;
}

static int load_now(struct planner *planner, struct run_load **out, struct err *err)
{
    struct run_load *load = NULL;

    if (run_load_new(&load, err) < 0)
        return -1;
    for (const struct active *active = planner->runs; active; active = active->hh.next)
        for (size_t i = 0; i < active->members.count; i++)
            if (active->seats[i].state == MEMBER_OPEN)
                run_load_add(load, active->run.policy, &active->seats[i]);
    if (planner->breakers)
        breakers_limit(planner->breakers, clock_real_ms(), load);
    *out = load;
    return 0;
}

static void show_breaker(void *context, const struct breaker_state *its)
{
    struct coordinator_state *state = context;
    size_t index = state->breaker_count++;

    if (index >= STATE_BREAKERS)
        return;
    struct coordinator_breaker *out = &state->breakers[index];
    *out = (struct coordinator_breaker){.failures = its->failures, .probe_at_ms = its->probe_at_ms};
    snprintf(out->kind, sizeof out->kind, "%s", its->kind);
    snprintf(out->name, sizeof out->name, "%.63s", its->name);
}

void planner_show_breakers(struct planner *planner)
{
    LOCK_SCOPE(&planner->coordinator->lock);
    planner->coordinator->state.breaker_count = 0;
    if (planner->breakers)
        breakers_each(planner->breakers, show_breaker, &planner->coordinator->state);
}

static int compare_runs(struct active *a, struct active *b)
{
    int order = run_order(&a->run, &b->run);

    return order ? order : strcmp(a->id, b->id);
}

int planner_drive(struct planner *planner, int64_t now_ms, struct err *err)
{
    struct active *active, *next;
    struct run_load *load = NULL;

    HASH_ITER (hh, planner->runs, active, next)
        if (ask_jobs(planner, active, err) < 0)
            return -1; /* without it the load is not known, and nothing more may start */
    if (load_now(planner, &load, err) < 0)
        return -1;
    HASH_SORT(planner->runs, compare_runs);
    HASH_ITER (hh, planner->runs, active, next) {
        struct err why = {0};
        if (drive_one(planner, active, now_ms, load, &why) < 0)
            planner_trouble(planner, &why); /* the others go on */
    }
    run_load_free(load);
    planner_show_breakers(planner);
    return 0;
}
