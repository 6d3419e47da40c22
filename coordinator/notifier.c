/*
 * Once in `notify.every`, while this coordinator leads: the rules look (notifier_look.c), what is new or over is written to the ledger, and each webhook is told what it was
 * not told yet, in one signed POST. What waits for a receiver that does not answer is in the ledger, not in a queue: so it is bounded (NOTICES_MAX), and the next leader
 * goes on with it.
 */
#include "coordinator/notifier.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "coordinator/internal.h"
#include "coordinator/notice.h"
#include "coordinator/notifier_look.h"
#include "coordinator/plans_json.h"
#include "coordinator/runs.h"
#include "coordinator/view.h"
#include "coordinator/webhook.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NOTICES_MAX = 1000, NEW_AT_ONCE = 200, EVENTS_AT_ONCE = 100, SECRET_MIN = 16, SECRET_MAX = 4096 };

struct receiver {
    const char *name, *url; /* the options' */
    int64_t failures;       /* in a row */
    int64_t next_try_ms;    /* monotonic */
};

struct notifier {
    struct coordinator *coordinator;
    pthread_t thread;
    pthread_mutex_t mutex; /* protects nothing but the wait for the next round */
    pthread_cond_t changed;
    _Atomic bool stopping;

    /* the thread's own */
    char *secret;
    struct receiver *receivers;
    size_t receiver_count;
    struct view_reader *reader;
    struct looker *looker;
    struct webhook *webhook;
    int64_t term;       /* 0: not leading */
    int64_t watched_ms; /* real; since when it leads and Redis was whole; 0: it is not */
    int64_t given_up, not_kept;
    char problem[200];
};

struct notices { /* copies of the ledger's */
    struct ledger_entry **items;
    size_t count;
};

static void notices_clear(struct notices *notices)
{
    for (size_t i = 0; i < notices->count; i++)
        ledger_entry_free(notices->items[i]);
    free(notices->items);
}

static int notices_add(struct notices *notices, struct ledger_entry *entry, struct err *err)
{
    struct ledger_entry **grown = reallocarray(notices->items, notices->count + 1, sizeof *grown);

    if (!grown) {
        ledger_entry_free(entry);
        return err_memory(err, "notices");
    }
    notices->items = grown;
    grown[notices->count++] = entry;
    return 0;
}

static int copy_notice(void *context, const struct ledger_entry *entry, struct err *err)
{
    struct ledger_entry *copy;

    if (entry->gone)
        return 0;
    return ledger_entry_clone(entry, &copy, err) < 0 ? -1 : notices_add(context, copy, err);
}

/* ---- what is new, and what is over ---- */

static const struct policy_notification *wanted_by(const struct policy_set *policies, const struct notice *notice)
{
    const struct ledger_entry *policy = notice->policy ? policy_set_find(policies, notice->policy) : NULL;

    return policy ? policy->policy->policy.notification : NULL;
}

static bool is_told(const struct notifier *notifier, const struct policy_set *policies, const struct notice *notice)
{
    for (size_t i = 0; i < notifier->receiver_count; i++)
        if (notice_concerns(notice, notifier->receivers[i].name, wanted_by(policies, notice)) &&
            notice_untold(notice, notifier->receivers[i].name))
            return false;
    return true;
}

static int put(struct notifier *notifier, struct ledger_entry *entry, struct err *err)
{
    return coordinator_put(notifier->coordinator, NULL, entry, err);
}

static int move_notices(struct notifier *notifier, const struct policy_set *policies, const struct alarms *alarms,
                        struct notices *notices, int64_t now_ms, struct err *err)
{
    for (size_t i = 0; i < notices->count; i++) {
        struct ledger_entry *entry = notices->items[i];
        struct notice notice;
        if (!notice_read(entry, &notice))
            continue;
        enum notice_move move = notice_next(&notice, alarms, is_told(notifier, policies, &notice));
        if (move == NOTICE_STAY)
            continue;
        if (move == NOTICE_END && notice_end(entry, now_ms, err) < 0)
            return -1;
        entry->gone = move == NOTICE_FORGET;
        if (put(notifier, entry, err) < 0)
            return -1;
    }
    return 0;
}

static bool is_known(const struct notices *notices, const struct alarm *alarm)
{
    struct notice notice;

    for (size_t i = 0; i < notices->count; i++)
        if (notice_read(notices->items[i], &notice) && notice.rule == alarm->rule &&
            strcmp(notice.subject, alarm->subject) == 0)
            return true;
    return false;
}

static int note_new(struct notifier *notifier, const struct alarms *alarms, struct notices *notices, int64_t now_ms,
                    struct err *err)
{
    size_t added = 0;

    notifier->not_kept = 0;
    for (size_t i = 0; i < alarms->count; i++) {
        struct ledger_entry *entry;
        if (alarms->items[i].unsure || is_known(notices, &alarms->items[i]))
            continue;
        if (notices->count >= NOTICES_MAX || added == NEW_AT_ONCE) {
            notifier->not_kept++;
            continue;
        }
        if (notice_new(&alarms->items[i], now_ms, &entry, err) < 0)
            return -1;
        struct err why = {0};
        if (put(notifier, entry, &why) < 0) {
            ledger_entry_free(entry);
            if (why.kind == ERR_PERMANENT) { /* this one will never do; the others may */
                log_warning("notify", "%s: %s", alarms->items[i].subject, why.text);
                notifier->not_kept++;
                continue;
            }
            *err = why;
            return -1;
        }
        added++;
        if (notices_add(notices, entry, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- telling ---- */

struct delivery {
    size_t which[EVENTS_AT_ONCE]; /* notices */
    const char *what[EVENTS_AT_ONCE];
    size_t count;
};

static void collect(const struct policy_set *policies, const struct notices *notices, const struct receiver *receiver,
                    struct delivery *out)
{
    out->count = 0;
    for (size_t i = 0; i < notices->count && out->count < EVENTS_AT_ONCE; i++) {
        struct notice notice;
        if (!notice_read(notices->items[i], &notice) ||
            !notice_concerns(&notice, receiver->name, wanted_by(policies, &notice)))
            continue;
        const char *what = notice_untold(&notice, receiver->name);
        if (what) {
            out->which[out->count] = i;
            out->what[out->count++] = what;
        }
    }
}

static char *body_of(const struct notifier *notifier, const struct notices *notices, const struct delivery *delivery,
                     int64_t now_ms)
{
    json_t *events = json_array();

    for (size_t i = 0; i < delivery->count; i++) {
        struct notice notice;
        if (notice_read(notices->items[delivery->which[i]], &notice))
            json_array_append_new(events, notice_event(&notice, delivery->what[i]));
    }
    json_t *body = json_pack("{s:i, s:s, s:o, s:I, s:I, s:o}", "version", 1, "coordinator",
                             notifier->coordinator->options.name, "at", plans_time(now_ms), "given_up",
                             (json_int_t)notifier->given_up, "not_kept", (json_int_t)notifier->not_kept, "events",
                             events);
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    return text;
}

static int record(struct notifier *notifier, struct notices *notices, const struct receiver *receiver,
                  const struct delivery *delivery, bool given_up, struct err *err)
{
    for (size_t i = 0; i < delivery->count; i++) {
        struct ledger_entry *entry = notices->items[delivery->which[i]];
        if (notice_set_told(entry, receiver->name, delivery->what[i], given_up, err) < 0 ||
            put(notifier, entry, err) < 0)
            return -1;
    }
    return 0;
}

static int failed(struct notifier *notifier, struct notices *notices, struct receiver *receiver,
                  const struct delivery *delivery, const struct err *why, struct err *err)
{
    unsigned seed = (unsigned)clock_monotonic_ms();

    if (receiver->failures++ == 0)
        log_warning("notify", "webhook %s: %s", receiver->name, why->text);
    snprintf(notifier->problem, sizeof notifier->problem, "webhook %.60s: %.120s", receiver->name, why->text);
    receiver->next_try_ms = clock_monotonic_ms() + webhook_pause_ms(receiver->failures, (uint32_t)rand_r(&seed));
    if (receiver->failures < notifier->coordinator->options.notify_attempts)
        return 0;
    notifier->given_up += (int64_t)delivery->count;
    log_warning("notify", "webhook %s: %zu events are given up after %lld attempts", receiver->name, delivery->count,
                (long long)receiver->failures);
    receiver->failures = 0;
    return record(notifier, notices, receiver, delivery, true, err);
}

static int tell(struct notifier *notifier, const struct policy_set *policies, struct notices *notices,
                struct receiver *receiver, struct err *err)
{
    int64_t now_ms = clock_real_ms();
    struct delivery delivery;
    struct err why = {0};

    if (clock_monotonic_ms() < receiver->next_try_ms)
        return 0;
    collect(policies, notices, receiver, &delivery);
    if (!delivery.count)
        return 0;
    CLEANUP(freep) char *body = body_of(notifier, notices, &delivery, now_ms);
    if (!body)
        return err_memory(err, "webhook");
    if (webhook_post(notifier->webhook, receiver->url, notifier->secret, body, now_ms, &why) < 0)
        return atomic_load(&notifier->stopping) ? 0 : failed(notifier, notices, receiver, &delivery, &why, err);
    if (receiver->failures)
        log_info("notify", "webhook %s answers again", receiver->name);
    receiver->failures = receiver->next_try_ms = 0;
    notifier->problem[0] = '\0';
    return record(notifier, notices, receiver, &delivery, false, err);
}

/* ---- a round ---- */

static void show_state(struct notifier *notifier, const struct policy_set *policies, const struct notices *notices)
{
    struct coordinator *coordinator = notifier->coordinator;
    int64_t waiting = 0;

    for (size_t i = 0; i < notices->count; i++) {
        struct notice notice;
        waiting += notice_read(notices->items[i], &notice) && !is_told(notifier, policies, &notice);
    }
    LOCK_SCOPE(&coordinator->lock);
    coordinator->state.notify_waiting = waiting;
    coordinator->state.notify_given_up = notifier->given_up;
    coordinator->state.notify_not_kept = notifier->not_kept;
    snprintf(coordinator->state.notify_problem, sizeof coordinator->state.notify_problem, "%s", notifier->problem);
}

/* Redis that was down has lost the signs of life, too: hosts have their time from its return. */
static void watch_from(struct notifier *notifier, const struct coordinator_state *state, int64_t now_ms)
{
    bool whole = state->redis_ok && !state->redis_rebuilding;

    if (!whole)
        notifier->watched_ms = 0;
    else if (!notifier->watched_ms)
        notifier->watched_ms = now_ms;
}

static void look_all(struct notifier *notifier, int64_t now_ms, struct alarms *out)
{
    const struct coordinator_options *options = &notifier->coordinator->options;
    struct look look = {.coordinator = notifier->coordinator,
                        .reader = notifier->reader,
                        .now_ms = now_ms,
                        .watched_ms = notifier->watched_ms,
                        .heartbeats_known = notifier->watched_ms != 0,
                        .silent_ms = options->host_silent_ms,
                        .filling_within_ms = options->notify_filling_within_ms};
    struct err err = {0};

    for (size_t i = 0; i < options->notify_rules.count; i++)
        look.wanted[name_index(alarm_rule_names, options->notify_rules.items[i])] = true;
    looker_look(notifier->looker, &look, out, &err);
    if (err.kind)
        log_debug("notify", "%s", err.text);
}

static int lead(struct notifier *notifier, int64_t now_ms, struct err *err)
{
    CLEANUP(alarms_clear) struct alarms alarms = {0};
    CLEANUP(notices_clear) struct notices notices = {0};
    CLEANUP(policy_set_clear) struct policy_set policies = {0};

    look_all(notifier, now_ms, &alarms);
    if (policies_load(notifier->coordinator, &policies, err) < 0 ||
        coordinator_each(notifier->coordinator, LEDGER_NOTICE, copy_notice, &notices, err) < 0 ||
        move_notices(notifier, &policies, &alarms, &notices, now_ms, err) < 0 ||
        note_new(notifier, &alarms, &notices, now_ms, err) < 0)
        return -1;
    for (size_t i = 0; i < notifier->receiver_count && !atomic_load(&notifier->stopping); i++)
        if (tell(notifier, &policies, &notices, &notifier->receivers[i], err) < 0)
            return -1;
    show_state(notifier, &policies, &notices);
    return 0;
}

static void make_round(struct notifier *notifier)
{
    struct coordinator_state state;
    int64_t now_ms = clock_real_ms();
    struct err err = {0};

    coordinator_state(notifier->coordinator, &state);
    if (!notifier->reader && view_reader_open(notifier->coordinator->view_path, &notifier->reader, NULL) < 0)
        return;
    looker_observe(notifier->looker, notifier->coordinator, notifier->reader, now_ms);
    if (notifier->term != (state.leading ? state.term : 0))
        notifier->watched_ms = 0;
    notifier->term = state.leading ? state.term : 0;
    if (!notifier->term)
        return;
    watch_from(notifier, &state, now_ms);
    if (lead(notifier, now_ms, &err) < 0)
        log_debug("notify", "%s; tried again", err.text);
}

/* ---- the thread ---- */

static bool wait_round(struct notifier *notifier)
{
    int64_t until_ms = clock_monotonic_ms() + notifier->coordinator->options.notify_every_ms;
    struct timespec until = {until_ms / 1000, until_ms % 1000 * 1000000};

    LOCK_SCOPE(&notifier->mutex);
    while (!atomic_load(&notifier->stopping) && pthread_cond_timedwait(&notifier->changed, &notifier->mutex, &until) == 0)
        ;
    return !atomic_load(&notifier->stopping);
}

static void *notifier_main(void *argument)
{
    struct notifier *notifier = argument;

    pthread_setname_np(pthread_self(), "notifier");
    while (wait_round(notifier))
        make_round(notifier);
    return NULL;
}

static void notifier_free(struct notifier *notifier)
{
    if (!notifier)
        return;
    view_reader_close(notifier->reader);
    looker_free(notifier->looker);
    webhook_close(notifier->webhook);
    if (notifier->secret)
        explicit_bzero(notifier->secret, strlen(notifier->secret));
    free(notifier->secret);
    free(notifier->receivers);
    free(notifier);
}

DEFINE_FREEP(struct notifier, notifier_free)

static int read_options(struct notifier *notifier, const struct coordinator_options *options, struct err *err)
{
    const char *file = options->notify_secret_file;

    for (size_t i = 0; i < options->notify_rules.count; i++)
        if (name_index(alarm_rule_names, options->notify_rules.items[i]) < 0)
            return err_set(err, ERR_PERMANENT, "notify.rules: no rule is called \"%s\"", options->notify_rules.items[i]);
    if (!file)
        return err_set(err, ERR_PERMANENT, "notify.secret_file: is needed with notify.webhooks");
    if (file_read_secret(file, SECRET_MAX, &notifier->secret, NULL, err) < 0)
        return err_wrap(err, "notify.secret_file");
    notifier->secret[strcspn(notifier->secret, "\r\n")] = '\0';
    if (strlen(notifier->secret) < SECRET_MIN)
        return err_set(err, ERR_PERMANENT, "notify.secret_file: %s holds less than %d characters", file, SECRET_MIN);
    notifier->receiver_count = options->notify_webhooks.count;
    notifier->receivers = calloc(notifier->receiver_count, sizeof *notifier->receivers);
    if (!notifier->receivers)
        return err_memory(err, "notify");
    for (size_t i = 0; i < notifier->receiver_count; i++) {
        const struct fact *webhook = &options->notify_webhooks.items[i];
        if (strncmp(webhook->value, "http://", 7) != 0 && strncmp(webhook->value, "https://", 8) != 0)
            return err_set(err, ERR_PERMANENT, "notify.webhooks: %s is no URL of http or https", webhook->key);
        notifier->receivers[i] = (struct receiver){.name = webhook->key, .url = webhook->value};
    }
    return 0;
}

int notifier_start(struct coordinator *coordinator, struct notifier **out, struct err *err)
{
    CLEANUP(notifier_freep) struct notifier *notifier = NULL;
    pthread_condattr_t attributes;

    *out = NULL;
    if (!coordinator->options.notify_webhooks.count)
        return 0;
    if (!(notifier = calloc(1, sizeof *notifier)))
        return err_memory(err, "notifier");
    notifier->coordinator = coordinator;
    if (read_options(notifier, &coordinator->options, err) < 0 ||
        looker_new(coordinator->options.state_directory, &notifier->looker, err) < 0 ||
        webhook_open(coordinator->options.notify_timeout_ms, &notifier->stopping, &notifier->webhook, err) < 0)
        return -1;
    pthread_mutex_init(&notifier->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&notifier->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_lock(&coordinator->lock); /* the planner and others are at work already */
    coordinator->state.notify_webhooks = (int64_t)notifier->receiver_count;
    pthread_mutex_unlock(&coordinator->lock);
    if (pthread_create(&notifier->thread, NULL, notifier_main, notifier) != 0)
        return err_set(err, ERR_RETRY, "notifier: no thread");
    *out = TAKE_PTR(notifier);
    return 0;
}

void notifier_stop(struct notifier *notifier)
{
    if (!notifier)
        return;
    pthread_mutex_lock(&notifier->mutex);
    atomic_store(&notifier->stopping, true);
    pthread_cond_signal(&notifier->changed);
    pthread_mutex_unlock(&notifier->mutex);
    pthread_join(notifier->thread, NULL);
    pthread_cond_destroy(&notifier->changed);
    pthread_mutex_destroy(&notifier->mutex);
    notifier_free(notifier);
}
