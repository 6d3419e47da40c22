/*
 * The planner's thread: once a second, and when woken, while this coordinator leads. A thread of its own because a plan reads the whole view, which the main loop must never wait
 * for; everything that counts goes through the desk, so it is in the ledger before it has an effect, and a leader that is overtaken is refused there.
 */
#include "coordinator/planner.h"
#include "coordinator/breaker.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "coordinator/planner_events.h"
#include "coordinator/view.h"
#include "coordinator/view_plan.h"
#include "coordinator/world.h"

#include <stdio.h>
#include <string.h>

enum { ROUND_MS = 1000, PARKED_EVERY_MS = 10 * 1000, TIDY_EVERY_MS = 10 * 60 * 1000, SAY_EVERY_MS = 60 * 1000 };

/* ---- small parts ---- */

void planner_trouble(struct planner *planner, const struct err *err)
{
    int64_t now_ms = clock_monotonic_ms();

    if (now_ms - planner->said_ms < SAY_EVERY_MS && strcmp(planner->said, err->text) == 0)
        return;
    log_warning("planner", "%s", err->text);
    planner->said_ms = now_ms;
    snprintf(planner->said, sizeof planner->said, "%s", err->text);
}

int planner_world(struct planner *planner, struct err *err)
{
    return planner->world ? 0 : world_read(planner->coordinator, planner->reader, &planner->world, err);
}

static void mark_name(const char *policy, const char *schedule, char out[160])
{
    snprintf(out, 160, "%.64s/%.64s", policy, schedule);
}

int64_t planner_mark(const struct planner *planner, const char *policy, const char *schedule)
{
    char name[160];
    struct mark *mark;

    mark_name(policy, schedule, name);
    HASH_FIND_STR(planner->marks, name, mark);
    return mark ? mark->slot_ms : 0;
}

int planner_set_mark(struct planner *planner, const char *policy, const char *schedule, int64_t slot_ms, struct err *err)
{
    char name[160];
    struct mark *mark;

    mark_name(policy, schedule, name);
    HASH_FIND_STR(planner->marks, name, mark);
    if (!mark) {
        size_t len = strlen(name) + 1;
        mark = calloc(1, sizeof *mark + len);
        if (!mark)
            return err_memory(err, "planner");
        memcpy(mark->name, name, len);
        HASH_ADD_STR(planner->marks, name, mark);
    }
    if (slot_ms > mark->slot_ms)
        mark->slot_ms = slot_ms;
    return 0;
}

static void forget(struct planner *planner)
{
    struct mark *mark, *next_mark;
    struct active *active, *next;

    HASH_ITER (hh, planner->marks, mark, next_mark) {
        HASH_DEL(planner->marks, mark);
        free(mark);
    }
    HASH_ITER (hh, planner->runs, active, next) {
        HASH_DEL(planner->runs, active);
        active_free(active);
    }
    planner_compiled_free(planner);
    policy_set_clear(&planner->policies);
    strings_clear(&planner->parked);
    breakers_free(TAKE_PTR(planner->breakers));
    planner_events_close(TAKE_PTR(planner->events));
    planner->fingerprint = 0;
    planner->term = planner->parked_ms = 0;
}

/* ---- a round ---- */

static int64_t leading_term(struct planner *planner)
{
    struct coordinator_state state;

    coordinator_state(planner->coordinator, &state);
    return state.leading ? state.term : 0;
}

static int note_mark(void *context, const char *id, const struct ledger_entry *head, struct err *err)
{
    (void)id;
    if (!run_is_of_policy(head->run))
        return 0;
    return planner_set_mark(context, head->run->policy, head->run->schedule, head->run->slot_ms, err);
}

static int begin(struct planner *planner, int64_t term, struct err *err)
{
    forget(planner);
    if (!planner->reader && view_reader_open(planner->coordinator->view_path, &planner->reader, err) < 0)
        return -1;
    if (runs_each(planner->coordinator, false, note_mark, planner, err) < 0)
        return -1;
    planner->expire_ms = planner->tidy_ms = planner->ttl_ms = 0;
    planner->led_at_ms = clock_real_ms();
    planner->term = term;
    return 0;
}

static int load_policies(struct planner *planner, struct err *err)
{
    uint64_t fingerprint = policies_fingerprint(planner->coordinator);

    if (planner->compiled && fingerprint == planner->fingerprint)
        return 0;
    planner_compiled_free(planner);
    policy_set_clear(&planner->policies);
    if (policies_load(planner->coordinator, &planner->policies, err) < 0 || planner_compile(planner, err) < 0)
        return -1;
    planner->fingerprint = fingerprint;
    planner->expire_ms = 0; /* rules may have changed */
    return 0;
}

static int ask_parked(struct planner *planner, struct err *err)
{
    int64_t now_ms = clock_monotonic_ms();

    if (!planner->runs || (planner->parked_ms && now_ms - planner->parked_ms < PARKED_EVERY_MS))
        return 0;
    planner->parked_ms = now_ms;
    strings_clear(&planner->parked);
    if (view_parked_jobs(planner->reader, &planner->parked, err) < 0)
        return -1;
    strings_sort(&planner->parked);
    return 0;
}

static int expire_and_tidy(struct planner *planner, int64_t now_ms, struct err *err)
{
    int64_t monotonic_ms = clock_monotonic_ms();

    if (monotonic_ms >= planner->expire_ms) {
        planner->expire_ms = monotonic_ms + planner->coordinator->options.retention_every_ms;
        if (planner_expire(planner, now_ms, err) < 0)
            return err_wrap(err, "retention");
    }
    if (monotonic_ms >= planner->tidy_ms) {
        planner->tidy_ms = monotonic_ms + TIDY_EVERY_MS;
        if (planner_tidy(planner, now_ms, err) < 0)
            return err_wrap(err, "old runs");
    }
    return 0;
}

static int lead(struct planner *planner, int64_t term, struct err *err)
{
    int64_t now_ms = clock_real_ms();

    if (planner->term != term && begin(planner, term, err) < 0)
        return -1;
    if (load_policies(planner, err) < 0)
        return -1;
    struct err events = {0};
    if (planner_events_read(planner, &events) < 0)
        planner_trouble(planner, &events); /* what is asked otherwise goes on */
    int deploys = planner_deploys(planner, now_ms, err);
    if (deploys < 0)
        return -1;
    if (planner_ttl(planner, now_ms, err) < 0)
        return -1;
    if (planner_adopt(planner, err) < 0) /* a recovery is a run without a policy */
        return -1;
    if (!planner->policies.count && !planner->marks && !planner->runs && !deploys)
        return 0;
    if (ask_parked(planner, err) < 0)
        return -1;
    planner_fire(planner, now_ms);
    if (planner_adopt(planner, err) < 0 || planner_drive(planner, now_ms, err) < 0)
        return -1;
    return expire_and_tidy(planner, now_ms, err);
}

static void make_round(struct planner *planner)
{
    int64_t term = leading_term(planner);
    struct err err = {0};

    if (!term) {
        if (planner->term) {
            forget(planner);
            planner_show_breakers(planner);
        }
        return;
    }
    if (lead(planner, term, &err) < 0)
        planner_trouble(planner, &err);
    world_free(TAKE_PTR(planner->world));
}

/* ---- the thread ---- */

static bool wait_round(struct planner *planner)
{
    int64_t until_ms = clock_monotonic_ms() + ROUND_MS;
    struct timespec until = {until_ms / 1000, until_ms % 1000 * 1000000};

    LOCK_SCOPE(&planner->mutex);
    while (!planner->stopping && !planner->wanted &&
           pthread_cond_timedwait(&planner->changed, &planner->mutex, &until) == 0)
        ;
    planner->wanted = false;
    return !planner->stopping;
}

static void *planner_main(void *argument)
{
    struct planner *planner = argument;

    pthread_setname_np(pthread_self(), "planner");
    while (wait_round(planner))
        make_round(planner);
    return NULL;
}

int planner_start(struct coordinator *coordinator, struct planner **out, struct err *err)
{
    CLEANUP(freep) struct planner *planner = calloc(1, sizeof *planner);
    pthread_condattr_t attributes;

    if (!planner)
        return err_memory(err, "planner");
    planner->coordinator = coordinator;
    pthread_mutex_init(&planner->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&planner->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (pthread_create(&planner->thread, NULL, planner_main, planner) != 0)
        return err_set(err, ERR_RETRY, "planner: no thread");
    *out = TAKE_PTR(planner);
    return 0;
}

void planner_wake(struct planner *planner)
{
    if (!planner)
        return;
    LOCK_SCOPE(&planner->mutex);
    planner->wanted = true;
    pthread_cond_signal(&planner->changed);
}

void planner_stop(struct planner *planner)
{
    if (!planner)
        return;
    pthread_mutex_lock(&planner->mutex);
    planner->stopping = true;
    pthread_cond_signal(&planner->changed);
    pthread_mutex_unlock(&planner->mutex);
    pthread_join(planner->thread, NULL);
    forget(planner);
    view_reader_close(planner->reader);
    pthread_cond_destroy(&planner->changed);
    pthread_mutex_destroy(&planner->mutex);
    free(planner);
}
