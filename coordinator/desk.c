/*
 * The callers' side of the desk: what a request needs before the main loop sees it is done here, on the caller's thread (copying, checking, deriving the id), and the
 * caller waits here for the loop's answer.
 */
#include "base/clock.h"
#include "base/log.h"
#include "coordinator/desk_write.h"
#include "coordinator/view_feed.h"
#include "model/job_state.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { REASON_MAX = 1000, MANY_MAX = 10000, LETTER_UNIT = 4096 };

/* ---- calls ---- */

static void call_release(struct desk_call *call)
{
    if (!call || atomic_fetch_sub(&call->references, 1) != 1)
        return;
    pthread_cond_destroy(&call->answered);
    pthread_mutex_destroy(&call->mutex);
    free(call->results);
    free(call);
}

DEFINE_FREEP(struct desk_call, call_release)

static int call_new(size_t count, struct desk_call **out, struct err *err)
{
    CLEANUP(freep) struct desk_call *call = calloc(1, sizeof *call);
    pthread_condattr_t attributes;

    if (!call || !(call->results = calloc(count, sizeof *call->results)))
        return err_memory(err, "request");
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&call->answered, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&call->mutex, NULL);
    atomic_init(&call->references, 1);
    *out = TAKE_PTR(call);
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
    free(write->who);
    free(write->from);
    free(write->reason);
    free(write->action);
    free(write->subject);
    free(write->outcome);
    call_release(write->call);
    free(write);
}

DEFINE_FREEP(struct desk_write, desk_write_free)

static void call_add(struct desk_call *call, struct desk_write *write, size_t index)
{
    atomic_fetch_add(&call->references, 1);
    write->call = call;
    write->index = index;
    call->remaining++;
}

void desk_answer(struct coordinator *coordinator, struct desk_write *write, const struct err *err)
{
    struct desk_write *also = write->also;
    struct desk_call *call = write->call;

    if (call) {
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

static int result_of(struct desk_call *call, size_t index, struct err *err)
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

/* Hands one write over and waits. Takes it over. */
static int ask(struct coordinator *coordinator, struct desk_write *write, struct err *err)
{
    CLEANUP(call_releasep) struct desk_call *call = NULL;

    if (call_new(1, &call, err) < 0 || !take_places(coordinator, 1, err)) {
        desk_write_free(write);
        return -1;
    }
    call_add(call, write, 0);
    queue_push(coordinator->desk, &write->item);
    wait_for_answers(call, coordinator->options.write_timeout_ms);
    return result_of(call, 0, err);
}

static int set_caller(struct desk_write *write, const struct caller *caller, const char *reason, struct err *err)
{
    if (string_set(&write->who, caller && caller->token ? caller->token : "", err) < 0 ||
        string_set(&write->from, caller && caller->from ? caller->from : "", err) < 0)
        return -1;
    return string_set(&write->reason, reason, err);
}

/* ---- submit ---- */

static const int64_t DEADLINE_MS = 7LL * 24 * 3600 * 1000, START_BY_MS = 15LL * 60 * 1000;

static void derive_id(const struct caller *caller, const char *idempotency_key, char out[UUID_TEXT])
{
    const char *parts[] = {"request", caller && caller->token ? caller->token : "", idempotency_key, NULL};

    if (idempotency_key && *idempotency_key)
        uuid_derive(out, parts);
    else
        uuid_random(out);
}

/* planned: by a policy, with an id of its own that every leader derives alike. */
static int complete_job(struct job *job, const struct caller *caller, const char *idempotency_key, bool planned,
                        struct err *err)
{
    char id[UUID_TEXT];

    if (planned)
        snprintf(id, sizeof id, "%s", job->job_id);
    else
        derive_id(caller, idempotency_key, id);
    job->issued_at_ms = clock_real_ms();
    if (!job->deadline_ms)
        job->deadline_ms = job->issued_at_ms + DEADLINE_MS;
    if (!job->start_by_ms && job_class(job) == CLASS_C) {
        int64_t from = job->not_before_ms > job->issued_at_ms ? job->not_before_ms : job->issued_at_ms;
        job->start_by_ms = from + START_BY_MS < job->deadline_ms ? from + START_BY_MS : job->deadline_ms;
    }
    if (!job->max_attempts)
        job->max_attempts = 5;
    if (!job->backoff_ms)
        job->backoff_ms = 1000;
    if (string_set(&job->job_id, id, err) < 0)
        return -1;
    if (idempotency_key && *idempotency_key && !job->request_id && string_set(&job->request_id, idempotency_key, err) < 0)
        return -1;
    return caller && caller->token ? string_set(&job->requested_by, caller->token, err) : 0;
}

static int check_class(const struct job *job, const struct caller *caller, struct err *err)
{
    const char *class = class_names[job_class(job)];

    if (!caller || !caller->classes || strstr(caller->classes, class))
        return 0;
    err_set(err, ERR_PERMANENT, "%s is of class %s; token \"%s\" may do %s", op_names[job->op], class,
            caller->token ? caller->token : "", caller->classes);
    return err_hint(err, "fleetsnap token create --classes %s", class[0] == 'B' ? "AB" : "ABC");
}

static int check_host(struct coordinator *coordinator, const struct job *job, struct err *err)
{
    LOCK_SCOPE(&coordinator->lock);
    if (!coordinator->state.leading) /* what the ledger says is not known yet */
        return err_set(err, ERR_RETRY, "this coordinator does not lead");
    const struct ledger_node *node = ledger_find(coordinator->ledger, LEDGER_HOST, job->host);
    const struct fleet_host *host = fleet_find(coordinator->fleet, job->host);
    const char *state = node && node->entry && !node->entry->gone && node->entry->host ? node->entry->host->state : NULL;

    if (!state || strcmp(state, "removed") == 0)
        return err_set(err, ERR_PERMANENT, "host %s is not enrolled", job->host);
    if (strcmp(state, "draining") == 0) {
        err_set(err, ERR_PERMANENT, "host %s is draining: it takes no new jobs", job->host);
        return err_hint(err, "fleetsnap host resume %s", job->host);
    }
    if (job_class(job) != CLASS_C || (host && host->alive))
        return 0;
    err_set(err, ERR_RETRY,
            "host %s has no heartbeat: what takes data away is not sent to a host that may wake up days later",
            job->host);
    return err_hint(err, "on %s: systemctl status fleetsnap-worker", job->host);
}

static int entry_of_job(struct coordinator *coordinator, const struct caller *caller, const struct job *job,
                        const char *idempotency_key, bool planned, struct ledger_entry **out, struct err *err)
{
    CLEANUP(ledger_entry_freep) struct ledger_entry *entry = calloc(1, sizeof *entry);

    if (!entry || !(entry->job = calloc(1, sizeof *entry->job)))
        return err_memory(err, "job");
    entry->kind = LEDGER_JOB;
    entry->job->partition = entry->job->offset = -1;
    if (job_clone(job, &entry->job->job, err) < 0 ||
        complete_job(entry->job->job, caller, idempotency_key, planned, err) < 0)
        return -1;
    entry->job->prepared_at_ms = entry->job->job->issued_at_ms;
    if (string_set(&entry->id, entry->job->job->job_id, err) < 0 ||
        string_set(&entry->who, entry->job->job->requested_by, err) < 0 || string_set(&entry->why, job->reason, err) < 0)
        return -1;
    if (job_check(entry->job->job, err) < 0 || check_class(entry->job->job, caller, err) < 0 ||
        check_host(coordinator, entry->job->job, err) < 0)
        return -1;
    *out = TAKE_PTR(entry);
    return 0;
}

static int make_submit(struct coordinator *coordinator, const struct caller *caller, const struct job *job,
                       const char *idempotency_key, bool planned, struct desk_write **out, struct err *err)
{
    CLEANUP(desk_write_freep) struct desk_write *write = desk_write_new(DESK_SUBMIT, err);

    if (!write || set_caller(write, caller, job->reason, err) < 0 ||
        entry_of_job(coordinator, caller, job, idempotency_key, planned, &write->entry, err) < 0)
        return -1;
    snprintf(write->job_id, sizeof write->job_id, "%s", write->entry->id);
    *out = TAKE_PTR(write);
    return 0;
}

int coordinator_submit(struct coordinator *coordinator, const struct caller *caller, const struct job *job,
                       const char *idempotency_key, char *out_job_id, struct err *err)
{
    struct desk_write *write;

    if (make_submit(coordinator, caller, job, idempotency_key, false, &write, err) < 0)
        return -1;
    snprintf(out_job_id, UUID_TEXT, "%s", write->job_id);
    return ask(coordinator, write, err);
}

static int submit_many(struct coordinator *coordinator, const struct caller *caller, const struct job *const jobs[],
                       const char *const idempotency_keys[], bool planned, size_t count, char (*out_job_ids)[UUID_TEXT],
                       struct err *errs, struct err *err)
{
    CLEANUP(call_releasep) struct desk_call *call = NULL;
    struct queue_item *first = NULL, **last = &first;
    struct desk_write *write;
    size_t made = 0;

    if (count > MANY_MAX)
        return err_set(err, ERR_PERMANENT, "%zu jobs at once are over the limit of %d", count, MANY_MAX);
    if (call_new(count, &call, err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        errs[i] = (struct err){0};
        if (make_submit(coordinator, caller, jobs[i], idempotency_keys ? idempotency_keys[i] : NULL, planned, &write,
                        &errs[i]) < 0)
            continue;
        if (out_job_ids)
            memcpy(out_job_ids[i], write->job_id, UUID_TEXT);
        call_add(call, write, i);
        *last = &write->item;
        last = &write->item.next;
        made++;
    }
    if (!made)
        return 0;
    if (!take_places(coordinator, made, err)) {
        for (struct queue_item *item = first, *next; item; item = next) {
            next = item->next;
            desk_write_free((struct desk_write *)item);
        }
        return -1;
    }
    queue_push_list(coordinator->desk, first);
    wait_for_answers(call, coordinator->options.write_timeout_ms);
    for (size_t i = 0; i < count; i++)
        if (errs[i].kind == ERR_NONE)
            result_of(call, i, &errs[i]);
    return 0;
}

int coordinator_submit_many(struct coordinator *coordinator, const struct caller *caller,
                            const struct job *const jobs[], const char *const idempotency_keys[], size_t count,
                            char (*out_job_ids)[UUID_TEXT], struct err *errs, struct err *err)
{
    return submit_many(coordinator, caller, jobs, idempotency_keys, false, count, out_job_ids, errs, err);
}

int desk_submit_planned(struct coordinator *coordinator, const struct job *const jobs[], size_t count, struct err *errs,
                        struct err *err)
{
    return submit_many(coordinator, NULL, jobs, NULL, true, count, NULL, errs, err);
}

/* ---- words about a job ---- */

static int make_word(enum desk_kind kind, const struct caller *caller, const char *job_id, const char *text,
                     const char *reason, struct desk_write **out, struct err *err)
{
    CLEANUP(desk_write_freep) struct desk_write *write = NULL;

    if (!uuid_valid(job_id))
        return err_set(err, ERR_PERMANENT, "\"%.64s\" is not the id of a job", job_id);
    if (reason && (strlen(reason) > REASON_MAX || !utf8_valid(reason)))
        return err_set(err, ERR_PERMANENT, "reason: is longer than %d bytes or not UTF-8", REASON_MAX);
    if (!(write = desk_write_new(kind, err)) || set_caller(write, caller, reason, err) < 0 ||
        string_set(&write->text, text, err) < 0)
        return -1;
    snprintf(write->job_id, sizeof write->job_id, "%s", job_id);
    *out = TAKE_PTR(write);
    return 0;
}

int coordinator_cancel(struct coordinator *coordinator, const struct caller *caller, const char *job_id,
                       const char *reason, struct err *err)
{
    struct desk_write *write;
    char text[192]; /* the ticket keeps no more */

    snprintf(text, sizeof text, "%s%s%s", caller && caller->token ? caller->token : "", reason && *reason ? ": " : "",
             reason ? reason : "");
    while (!utf8_valid(text) && *text)
        text[strlen(text) - 1] = '\0';
    if (make_word(DESK_CANCEL, caller, job_id, text, reason, &write, err) < 0)
        return -1;
    return ask(coordinator, write, err);
}

/* What is known of a job: by the view, or, when that is a moment behind, by the ledger. */
static int know_job(struct coordinator *coordinator, const char *job_id, struct view_job_record *out, struct err *err)
{
    CLEANUP(ledger_entry_freep) struct ledger_entry *entry = NULL;

    if (!uuid_valid(job_id))
        return err_set(err, ERR_PERMANENT, "\"%.64s\" is not the id of a job", job_id);
    if (view_job_record(coordinator->view_path, job_id, out, err) < 0)
        return -1;
    if (out->found && out->job)
        return 0;
    if (coordinator_get(coordinator, LEDGER_JOB, job_id, &entry, err) < 0)
        return -1;
    if (!entry)
        return err_set(err, ERR_PERMANENT, "no job %s", job_id);
    out->found = true;
    out->state = out->state ? out->state : entry->job->published_at_ms ? STATE_PUBLISHED : STATE_PLANNED;
    out->job = TAKE_PTR(entry->job->job);
    return 0;
}

static int check_parked(struct coordinator *coordinator, const char *job_id, struct err *err)
{
    struct view_job_record known = {0};

    if (know_job(coordinator, job_id, &known, err) < 0)
        return -1;
    job_free(known.job);
    if (known.state == STATE_PARKED)
        return 0;
    return err_set(err, ERR_CONFLICT, "job %s is %s, not PARKED: there is nothing to resolve", job_id,
                   job_state_names[known.state]);
}

int coordinator_resolve(struct coordinator *coordinator, const struct caller *caller, const char *job_id, bool done,
                        const char *reason, struct err *err)
{
    struct desk_write *write;
    char text[REASON_MAX + 16];

    if (!reason || !*reason)
        return err_set(err, ERR_PERMANENT, "reason: must say how you know");
    snprintf(text, sizeof text, "%s: %s", done ? "done" : "failed", reason);
    if (check_parked(coordinator, job_id, err) < 0 ||
        make_word(DESK_RESOLVE, caller, job_id, text, reason, &write, err) < 0)
        return -1;
    return ask(coordinator, write, err);
}

static int check_retry(const struct view_job_record *known, const char *job_id, struct err *err)
{
    if (known->state == STATE_SUCCEEDED)
        return err_set(err, ERR_CONFLICT, "job %s has SUCCEEDED: submit it anew if it is to be done again", job_id);
    if (known->state == STATE_PARKED && !known->resolved) {
        err_set(err, ERR_CONFLICT, "job %s is PARKED: its outcome is not known", job_id);
        return err_hint(err, "fleetsnap job resolve %s --as done|failed --reason …", job_id);
    }
    if (job_state_terminal((enum job_state)known->state))
        return 0;
    if (!known->lost)
        return err_set(err, ERR_CONFLICT, "job %s is %s: only one that ended can be tried again", job_id,
                       job_state_names[known->state]);
    if (job_class(known->job) == CLASS_C)
        return err_set(err, ERR_CONFLICT, "job %s is LOST and of class C: its host may still do it", job_id);
    return 0;
}

int coordinator_retry(struct coordinator *coordinator, const struct caller *caller, const char *job_id,
                      char *out_job_id, struct err *err)
{
    struct view_job_record known = {0};
    int result = -1;

    if (know_job(coordinator, job_id, &known, err) < 0)
        return -1;
    if (check_retry(&known, job_id, err) == 0 && string_set(&known.job->replaces, job_id, err) == 0 &&
        string_set(&known.job->request_id, NULL, err) == 0) {
        known.job->deadline_ms = known.job->start_by_ms = known.job->not_before_ms = 0;
        result = coordinator_submit(coordinator, caller, known.job, NULL, out_job_id, err);
    }
    job_free(known.job);
    return result;
}

/* ---- other records ---- */

static int make_put(const struct ledger_entry *entry, const struct caller *caller, struct desk_write **out,
                    struct err *err)
{
    CLEANUP(desk_write_freep) struct desk_write *write = desk_write_new(DESK_PUT, err);

    if (!write || ledger_entry_clone(entry, &write->entry, err) < 0 || set_caller(write, caller, entry->why, err) < 0)
        return -1;
    if (caller && caller->token && string_set(&write->entry->who, caller->token, err) < 0)
        return -1;
    *out = TAKE_PTR(write);
    return 0;
}

/* Held and pinned are answered only when Redis has them: it is Redis that says no to a worker. */
static int await_redis(struct coordinator *coordinator, struct err *err)
{
    pthread_mutex_lock(&coordinator->lock);
    uint64_t version = ledger_holds_version(coordinator->ledger);
    pthread_mutex_unlock(&coordinator->lock);
    if (keeper_await_holds(coordinator->keeper, version, coordinator->options.write_timeout_ms))
        return 0;
    return err_set(err, ERR_UNKNOWN, "it is recorded, but redis does not have it yet: it is not in force before");
}

static int put(struct coordinator *coordinator, const struct caller *caller, const struct ledger_entry *entry,
               bool only_new, struct err *err)
{
    struct desk_write *write;

    if (entry->kind == LEDGER_TERM || entry->kind == LEDGER_EPOCH || entry->kind == LEDGER_JOB)
        return err_set(err, ERR_PERMANENT, "records of kind %s are not put by hand", ledger_kind_names[entry->kind]);
    if (!entry->id || !*entry->id || strlen(entry->id) > 255 || strchr(entry->id, '@'))
        return err_set(err, ERR_PERMANENT, "%s: a record needs an id of 1 to 255 bytes without @",
                       ledger_kind_names[entry->kind]);
    if (make_put(entry, caller, &write, err) < 0)
        return -1;
    write->only_new = only_new;
    if (ask(coordinator, write, err) < 0)
        return -1;
    return entry->kind == LEDGER_HOLD || entry->kind == LEDGER_PIN ? await_redis(coordinator, err) : 0;
}

int coordinator_put(struct coordinator *coordinator, const struct caller *caller, const struct ledger_entry *entry,
                    struct err *err)
{
    return put(coordinator, caller, entry, false, err);
}

int coordinator_add(struct coordinator *coordinator, const struct caller *caller, const struct ledger_entry *entry,
                    struct err *err)
{
    return put(coordinator, caller, entry, true, err);
}

int desk_put_and_wait(struct coordinator *coordinator, struct ledger_entry *entry, struct err *err)
{
    struct desk_write *write = desk_write_new(DESK_PUT, err);

    if (!write) {
        ledger_entry_free(entry);
        return -1;
    }
    write->entry = entry;
    return ask(coordinator, write, err);
}

int desk_say(struct coordinator *coordinator, enum desk_kind kind, const char *job_id)
{
    struct desk_write *write = desk_write_new(kind, NULL);

    if (!write)
        return -1;
    snprintf(write->job_id, sizeof write->job_id, "%s", job_id ? job_id : "");
    queue_push(coordinator->desk, &write->item);
    return 0;
}

int desk_say_words(struct coordinator *coordinator, const struct view_word *words, size_t count)
{
    CLEANUP(desk_write_freep) struct desk_write *write = desk_write_new(DESK_WORDS, NULL);

    if (!write || !(write->words = reallocarray(NULL, count, sizeof *words)))
        return -1;
    memcpy(write->words, words, count * sizeof *words);
    write->word_count = count;
    queue_push(coordinator->desk, &TAKE_PTR(write)->item);
    return 0;
}

static bool fits(struct coordinator *coordinator, struct bucket *bucket, int64_t cost, int64_t *out_suppressed)
{
    LOCK_SCOPE(&coordinator->limits);
    return bucket_take(bucket, cost, clock_monotonic_ms(), out_suppressed);
}

/* What was not kept is still on its topic, for as long as that keeps it. */
static int note_suppressed(struct dead_letter *letter, int64_t suppressed, struct err *err)
{
    CLEANUP(freep) char *reason = NULL;

    if (!suppressed)
        return 0;
    if (asprintf(&reason, "%s (and %lld before it, too many to keep)", letter->reason, (long long)suppressed) < 0)
        return err_memory(err, "dead letter");
    return string_set(&letter->reason, reason, err);
}

void coordinator_dead_letter(struct coordinator *coordinator, struct dead_letter *letter)
{
    int64_t suppressed, cost = 1 + (int64_t)((letter->key.len + letter->value.len) / LETTER_UNIT);
    struct desk_write *write = NULL;

    if (fits(coordinator, &coordinator->letters, cost, &suppressed) && note_suppressed(letter, suppressed, NULL) == 0)
        write = desk_write_new(DESK_DEAD_LETTER, NULL);
    if (!write) {
        dead_letter_free(letter);
        return;
    }
    write->letter = letter;
    queue_push(coordinator->desk, &write->item);
}

/* A path may be anything: what is no text is recorded all the same. */
static void make_text(struct desk_write *write)
{
    struct audit record = {.who = write->who,
                           .from = write->from,
                           .subject = write->subject,
                           .reason = write->reason,
                           .outcome = write->outcome};

    record_fit(&audit_record, &record); /* in place */
}

void coordinator_audit(struct coordinator *coordinator, const struct caller *caller, const char *action,
                       const char *subject, const char *reason, const char *outcome)
{
    bool known = caller && caller->token && *caller->token;
    int64_t suppressed;

    if (!fits(coordinator, known ? &coordinator->callers : &coordinator->strangers, 1, &suppressed))
        return;
    struct desk_write *write = desk_write_new(DESK_AUDIT, NULL);
    if (!write)
        return;
    write->suppressed = suppressed;
    if (set_caller(write, caller, reason, NULL) < 0 || string_set(&write->action, action, NULL) < 0 ||
        string_set(&write->subject, subject, NULL) < 0 || string_set(&write->outcome, outcome, NULL) < 0) {
        desk_write_free(write);
        return;
    }
    make_text(write);
    queue_push(coordinator->desk, &write->item);
}
