/*
 * The keeper thread: everything about Redis that may block. Once a second it asks who leads and which epoch it is; for a leader it renews fs:leader, raises fs:term, sees
 * to the epoch (epoch.h) and writes the tickets anew after Redis lost its memory; and it reads the heartbeats and says which jobs are LOST. What it finds out is in struct
 * keeper_state; what must be recorded goes over the desk like everybody's.
 *
 * FLUSHALL during the grace of a rebuild leaves functions but takes the tickets: fs:term is then missing, which keeper_round() sees by raising it at every round.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/parse.h"
#include "coordinator/bygone.h"
#include "coordinator/epoch.h"
#include "coordinator/holds.h"
#include "coordinator/internal.h"
#include "coordinator/overdue.h"
#include "coordinator/rebuild.h"
#include "coordinator/view_feed.h"
#include "redis/store.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { ROUND_MS = 1000, HINT_MS = 3000, TIDY_MS = 3600 * 1000, OVERDUE_MS = 60 * 1000 };

struct keeper {
    struct coordinator *coordinator;
    pthread_t thread;
    pthread_mutex_t mutex; /* protects state, lead_term, stopping, hurry, holds_version */
    pthread_cond_t changed;
    struct keeper_state state;
    int64_t lead_term;
    bool stopping, hurry;   /* hurry: somebody waits for holds */
    uint64_t holds_version; /* of the ledger's holds and pins that Redis has */

    /* the thread's own */
    struct redis *redis;
    struct epoch_state epoch;
    int64_t reign;        /* the term that epoch belongs to */
    int64_t functions_of; /* the term that loaded the functions: an older program may have left others */
    int64_t hint_sent_ms, poll_ms, tidy_ms, overdue_ms;
    int64_t epoch_changed_ms; /* real */
    struct holds_state holds;
    uint64_t settled; /* version of the ledger's keys of which every host that is gone has no open job */
};

void keeper_state(struct keeper *keeper, struct keeper_state *out)
{
    LOCK_SCOPE(&keeper->mutex);
    *out = keeper->state;
}

void keeper_lead(struct keeper *keeper, int64_t term)
{
    LOCK_SCOPE(&keeper->mutex);
    keeper->lead_term = term;
    keeper->state.tickets_ready = keeper->state.rebuilding = false;
    pthread_cond_broadcast(&keeper->changed);
}

/* ---- what is said to others ---- */

static void say_down(struct keeper *keeper, const struct err *err)
{
    LOCK_SCOPE(&keeper->mutex);
    if (keeper->state.redis_ok)
        log_warning("redis", "%s", err->text);
    keeper->state.redis_ok = keeper->state.hint_known = false;
    snprintf(keeper->state.problem, sizeof keeper->state.problem, "%.255s", err->text);
}

static void say_hint(struct keeper *keeper, const char *hint)
{
    const char *identity = keeper->coordinator->identity;

    LOCK_SCOPE(&keeper->mutex);
    if (!keeper->state.redis_ok)
        log_info("redis", "answers");
    keeper->state.redis_ok = keeper->state.hint_known = true;
    keeper->state.problem[0] = '\0';
    keeper->state.hint_present = hint != NULL;
    keeper->state.hint_ours = hint && strstr(hint, identity);
}

/* fs:term; 0: not known. */
static int64_t read_term(struct keeper *keeper)
{
    const char *argv[] = {"GET", "fs:term"};
    struct redis_reply *reply = redis_call(keeper->redis, NULL, 2, argv, NULL);
    const char *text = reply && !redis_reply_is_error(reply) ? redis_reply_text(reply) : NULL;
    int64_t term = 0;

    if (!text || parse_int(text, 1, INT64_MAX - 1, &term, NULL) < 0)
        term = 0;
    redis_reply_free(reply);
    return term;
}

static void say_term(struct keeper *keeper, int64_t term, bool ok)
{
    int64_t redis_term = ok ? 0 : read_term(keeper);

    LOCK_SCOPE(&keeper->mutex);
    if (ok)
        keeper->state.term_raised = term;
    else
        keeper->state.term_refused = term;
    keeper->state.redis_term = redis_term;
}

static void say_tickets(struct keeper *keeper, bool ready, int64_t epoch)
{
    LOCK_SCOPE(&keeper->mutex);
    if (keeper->lead_term == keeper->reign)
        keeper->state.tickets_ready = ready;
    keeper->state.epoch = epoch;
    keeper->state.rebuilding = !epoch && keeper->epoch.n > 1; /* the first epoch ever replaces nothing */
    keeper->state.grace_until_ms = keeper->epoch.phase == EPOCH_GRACE ? keeper->epoch.grace_until_ms : 0;
}

/* ---- one round ---- */

static int read_hint(struct keeper *keeper, struct err *err)
{
    const char *argv[] = {"GET", "fs:leader"};
    struct redis_reply *reply = redis_call(keeper->redis, err, 2, argv, NULL);

    if (!reply)
        return -1;
    say_hint(keeper, redis_reply_is_error(reply) ? NULL : redis_reply_text(reply));
    redis_reply_free(reply);
    return 0;
}

static int record_epoch(struct keeper *keeper, int64_t n, const char *run_id, struct err *err)
{
    struct ledger_entry *entry = calloc(1, sizeof *entry);

    if (!entry)
        return err_memory(err, "epoch");
    entry->kind = LEDGER_EPOCH;
    entry->epoch = n;
    if (string_set(&entry->id, "redis", err) < 0 || string_set(&entry->run_id, run_id, err) < 0) {
        ledger_entry_free(entry);
        return -1;
    }
    return desk_put_and_wait(keeper->coordinator, entry, err);
}

static int64_t ledger_n(struct keeper *keeper)
{
    LOCK_SCOPE(&keeper->coordinator->lock);
    return ledger_epoch(keeper->coordinator->ledger, NULL);
}

/* Who waits for a hold or a pin waits until Redis has it. */
static int refresh_holds(struct keeper *keeper, bool anew, struct err *err)
{
    if (holds_refresh(keeper->coordinator, keeper->redis, keeper->reign, anew, &keeper->holds, err) < 0)
        return -1;
    LOCK_SCOPE(&keeper->mutex);
    if (keeper->holds.version != keeper->holds_version) {
        keeper->holds_version = keeper->holds.version;
        pthread_cond_broadcast(&keeper->changed);
    }
    return 0;
}

static int write_tickets(struct keeper *keeper, bool first_ever, struct err *err)
{
    struct coordinator *coordinator = keeper->coordinator;
    size_t written = 0;

    if (store_load_functions(keeper->redis, err) < 0)
        return err_wrap(err, "functions");
    if (refresh_holds(keeper, true, err) < 0)
        return -1;
    if (rebuild_tickets(coordinator, keeper->redis, keeper->reign, &written, err) < 0)
        return err_wrap(err, "tickets");
    int64_t grace_ms = first_ever ? 0 : coordinator->options.holders_grace_ms;
    keeper->epoch.phase = EPOCH_GRACE;
    keeper->epoch.grace_until_ms = clock_monotonic_ms() + grace_ms;
    log_info("redis", "epoch %lld: %zu tickets written; holders have %lld s", (long long)keeper->epoch.n, written,
             (long long)grace_ms / 1000);
    say_tickets(keeper, true, 0);
    return 0;
}

/* Above what Redis has, too: of a ledger that was lost only that is left. */
static int bump_epoch(struct keeper *keeper, int64_t known_n, struct err *err)
{
    snprintf(keeper->epoch.run_id, sizeof keeper->epoch.run_id, "%s", redis_run_id(keeper->redis));
    keeper->epoch.n = known_n + 1;
    keeper->epoch_changed_ms = clock_real_ms();
    say_tickets(keeper, false, 0);
    if (known_n)
        log_warning("redis", "its memory is not the one of epoch %lld: rebuilding", (long long)known_n);
    if (record_epoch(keeper, keeper->epoch.n, keeper->epoch.run_id, err) < 0)
        return err_wrap(err, "epoch %lld", (long long)keeper->epoch.n);
    keeper->epoch.phase = EPOCH_REBUILD;
    return write_tickets(keeper, known_n == 0, err);
}

static int write_epoch(struct keeper *keeper, struct err *err)
{
    bool written = false;

    if (store_epoch_write(keeper->redis, keeper->reign, keeper->epoch.n, keeper->epoch.run_id, &written, err) < 0)
        return err_wrap(err, "epoch");
    if (!written) {
        keeper->epoch.phase = EPOCH_UNKNOWN;
        return err_set(err, ERR_RETRY, "another server answers since: epoch %lld is not written",
                       (long long)keeper->epoch.n);
    }
    keeper->epoch.phase = EPOCH_FINE;
    log_info("redis", "epoch %lld", (long long)keeper->epoch.n);
    say_tickets(keeper, true, keeper->epoch.n);
    return 0;
}

static int see_to_epoch(struct keeper *keeper, struct err *err)
{
    struct store_epoch written = {0};
    char server[64];
    int64_t known = ledger_n(keeper);

    if (store_epoch_read(keeper->redis, &written, err) < 0)
        return -1;
    snprintf(server, sizeof server, "%s", redis_run_id(keeper->redis));
    bool present = store_functions_present(keeper->redis, err);
    struct epoch_inputs inputs = {written.n, written.run_id, server, present, known, clock_monotonic_ms()};
    switch (epoch_decide(&keeper->epoch, &inputs)) {
    case EPOCH_NOTHING:
        if (keeper->epoch.phase == EPOCH_UNKNOWN) {
            keeper->epoch.phase = EPOCH_FINE;
            say_tickets(keeper, true, written.n);
        }
        return 0;
    case EPOCH_LOAD: return store_load_functions(keeper->redis, err);
    case EPOCH_BUMP: return bump_epoch(keeper, known > written.n ? known : written.n, err);
    case EPOCH_AGAIN: return write_tickets(keeper, false, err);
    case EPOCH_WRITE: return write_epoch(keeper, err);
    }
    return 0;
}

/* Functions must be there before fs:term can be raised. */
static int raise_term(struct keeper *keeper, struct err *err)
{
    bool ok = false, loaded = keeper->functions_of == keeper->reign && store_functions_present(keeper->redis, err);

    if (!loaded && store_load_functions(keeper->redis, err) < 0)
        return err_wrap(err, "functions");
    keeper->functions_of = keeper->reign;
    if (store_term_raise(keeper->redis, keeper->reign, &ok, err) < 0)
        return err_wrap(err, "term");
    say_term(keeper, keeper->reign, ok);
    return ok ? 0 : err_set(err, ERR_CONFLICT, "Redis knows a higher term than %lld", (long long)keeper->reign);
}

bool keeper_await_holds(struct keeper *keeper, uint64_t version, int64_t timeout_ms)
{
    int64_t until_ms = clock_monotonic_ms() + timeout_ms;
    struct timespec until = {until_ms / 1000, until_ms % 1000 * 1000000};

    LOCK_SCOPE(&keeper->mutex);
    keeper->hurry = true;
    pthread_cond_broadcast(&keeper->changed);
    while (keeper->holds_version < version && !keeper->stopping &&
           pthread_cond_timedwait(&keeper->changed, &keeper->mutex, &until) == 0)
        ;
    return keeper->holds_version >= version;
}

static int lead(struct keeper *keeper, int64_t term, struct err *err)
{
    int64_t now_ms = clock_monotonic_ms();

    if (keeper->reign != term) {
        keeper->reign = term;
        keeper->epoch = (struct epoch_state){.phase = EPOCH_UNKNOWN};
        keeper->hint_sent_ms = 0;
        keeper->settled = 0;
    }
    if (raise_term(keeper, err) < 0)
        return -1;
    if (!keeper->hint_sent_ms || now_ms - keeper->hint_sent_ms >= HINT_MS - ROUND_MS / 2) {
        if (store_leader_hint(keeper->redis, term, keeper->coordinator->identity, err) < 0)
            return -1;
        keeper->hint_sent_ms = now_ms;
    }
    return see_to_epoch(keeper, err) < 0 ? -1 : refresh_holds(keeper, false, err);
}

static int64_t led_term(struct keeper *keeper)
{
    LOCK_SCOPE(&keeper->mutex);
    return keeper->lead_term;
}

/* It walks all open jobs. */
static int64_t overdue_every_ms(const struct coordinator *coordinator)
{
    int64_t grace_ms = coordinator->options.overdue_grace_ms;

    return grace_ms < OVERDUE_MS ? grace_ms : OVERDUE_MS;
}

/* Walks all open jobs, but only after a host was replaced or removed. */
static void settle_bygone(struct keeper *keeper)
{
    pthread_mutex_lock(&keeper->coordinator->lock);
    uint64_t version = ledger_keys_version(keeper->coordinator->ledger);
    pthread_mutex_unlock(&keeper->coordinator->lock);
    if (keeper->settled != version && bygone_judge(keeper->coordinator, keeper->redis) == 0)
        keeper->settled = version;
}

static void keeper_round(struct keeper *keeper)
{
    struct coordinator *coordinator = keeper->coordinator;
    int64_t term = led_term(keeper), now_ms = clock_monotonic_ms();
    struct err err = {0};

    if (read_hint(keeper, &err) < 0) {
        say_down(keeper, &err);
        return;
    }
    if (term && lead(keeper, term, &err) < 0) {
        log_warning("redis", "%s", err.text);
        if (err.kind == ERR_RETRY)
            say_down(keeper, &err);
        return;
    }
    if (now_ms - keeper->poll_ms >= coordinator->options.heartbeat_poll_ms || !keeper->poll_ms) {
        keeper->poll_ms = now_ms;
        if (heartbeats_read(coordinator, keeper->redis, &err) < 0)
            log_debug("redis", "heartbeats: %s", err.text);
        else if (term)
            heartbeats_judge(coordinator, keeper->redis, keeper->epoch_changed_ms);
    }
    if (term && keeper->epoch.phase == EPOCH_FINE)
        settle_bygone(keeper);
    if (term && keeper->epoch.phase == EPOCH_FINE && now_ms - keeper->overdue_ms >= overdue_every_ms(coordinator)) {
        keeper->overdue_ms = now_ms;
        overdue_judge(coordinator, keeper->redis);
    }
    if (term && now_ms - keeper->tidy_ms >= TIDY_MS) {
        keeper->tidy_ms = now_ms;
        rebuild_forget_old(coordinator);
    }
}

/* ---- the thread ---- */

static bool wait_round(struct keeper *keeper, int64_t term)
{
    int64_t until_ms = clock_monotonic_ms() + (keeper->coordinator->options.heartbeat_poll_ms < ROUND_MS
                                                   ? keeper->coordinator->options.heartbeat_poll_ms
                                                   : ROUND_MS);
    struct timespec until = {until_ms / 1000, until_ms % 1000 * 1000000};

    LOCK_SCOPE(&keeper->mutex);
    while (!keeper->stopping && !keeper->hurry && keeper->lead_term == term &&
           pthread_cond_timedwait(&keeper->changed, &keeper->mutex, &until) == 0)
        ;
    keeper->hurry = false;
    return !keeper->stopping;
}

static void *keeper_main(void *argument)
{
    struct keeper *keeper = argument;
    int64_t term;

    pthread_setname_np(pthread_self(), "keeper");
    do {
        term = led_term(keeper);
        keeper_round(keeper);
    } while (wait_round(keeper, term));
    return NULL;
}

int keeper_start(struct coordinator *coordinator, struct keeper **out, struct err *err)
{
    struct redis_options redis = {coordinator->options.redis_address, coordinator->options.redis_user,
                                  coordinator->redis_password, 0};
    CLEANUP(freep) struct keeper *keeper = calloc(1, sizeof *keeper);
    pthread_condattr_t attributes;

    if (!keeper)
        return err_memory(err, "keeper");
    keeper->coordinator = coordinator;
    if (redis_new(&redis, &keeper->redis, err) < 0)
        return -1;
    pthread_mutex_init(&keeper->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&keeper->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    keeper->tidy_ms = keeper->overdue_ms = clock_monotonic_ms();
    if (pthread_create(&keeper->thread, NULL, keeper_main, keeper) != 0) {
        redis_free(keeper->redis);
        return err_set(err, ERR_RETRY, "keeper: no thread");
    }
    *out = TAKE_PTR(keeper);
    return 0;
}

void keeper_stop(struct keeper *keeper)
{
    if (!keeper)
        return;
    pthread_mutex_lock(&keeper->mutex);
    keeper->stopping = true;
    pthread_cond_broadcast(&keeper->changed);
    pthread_mutex_unlock(&keeper->mutex);
    pthread_join(keeper->thread, NULL);
    redis_free(keeper->redis);
    pthread_cond_destroy(&keeper->changed);
    pthread_mutex_destroy(&keeper->mutex);
    free(keeper);
}
