/* The callers' side of the desk but for submissions (desk_submit.c): words about a job, other records, what nobody waits for. */
#include "base/clock.h"
#include "base/log.h"
#include "coordinator/desk_write.h"
#include "coordinator/view_feed.h"
#include "model/job_state.h"

#include <stdio.h>
#include <string.h>

enum { REASON_MAX = 1000, LETTER_UNIT = 4096 };

/* ---- words about a job ---- */

static int make_word(enum desk_kind kind, const struct caller *caller, const char *job_id, const char *text,
                     const char *reason, struct desk_write **out, struct err *err)
{
    CLEANUP(desk_write_freep) struct desk_write *write = NULL;

    if (!uuid_valid(job_id))
        return err_set(err, ERR_PERMANENT, "\"%.64s\" is not the id of a job", job_id);
    if (reason && (strlen(reason) > REASON_MAX || !utf8_valid(reason)))
        return err_set(err, ERR_PERMANENT, "reason: is longer than %d bytes or not UTF-8", REASON_MAX);
    if (desk_request_new(kind, caller, reason, &write, err) < 0 || string_set(&write->text, text, err) < 0)
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
    return desk_ask(coordinator, write, err);
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
    return desk_ask(coordinator, write, err);
}

/* Only a job of that operation that runs can hear a word; the reason why not: "no backup", "it has no rate", "its rate cannot be set". */
static int check_hears(struct coordinator *coordinator, const char *job_id, int wanted, const char *not_it,
                       const char *then, const char *not_now, struct err *err)
{
    struct view_job_record known = {0};

    if (know_job(coordinator, job_id, &known, err) < 0)
        return -1;
    bool is_it = (int)known.job->op == wanted && !known.job->dry_run;
    const char *op = op_names[known.job->op];
    job_free(known.job);
    if (!is_it)
        return err_set(err, ERR_CONFLICT, "job %s is %s but %s: %s", job_id, not_it, op, then);
    if (known.state == STATE_RUNNING)
        return 0;
    return err_set(err, ERR_CONFLICT, "job %s is %s, not RUNNING: %s", job_id, job_state_names[known.state], not_now);
}

int coordinator_set_rate(struct coordinator *coordinator, const struct caller *caller, const char *job_id,
                         int64_t rate_limit, const char *reason, struct err *err)
{
    struct desk_write *write;

    if (rate_limit < 0)
        return err_set(err, ERR_PERMANENT, "rate_limit: must not be below 0");
    if (check_hears(coordinator, job_id, OP_BACKUP_CREATE, "no backup", "it has no rate", "its rate cannot be set",
                    err) < 0 ||
        make_word(DESK_RATE, caller, job_id, NULL, reason, &write, err) < 0)
        return -1;
    write->rate_limit = rate_limit ? rate_limit : RATE_NONE;
    return desk_ask(coordinator, write, err);
}

int coordinator_finish(struct coordinator *coordinator, const struct caller *caller, const char *job_id,
                       const char *reason, struct err *err)
{
    struct desk_write *write;

    if (check_hears(coordinator, job_id, OP_TARGET_EXPORT, "no export", "it ends by itself", "nothing is exported",
                    err) < 0 ||
        make_word(DESK_FINISH, caller, job_id, "done", reason, &write, err) < 0)
        return -1;
    return desk_ask(coordinator, write, err);
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
    CLEANUP(desk_write_freep) struct desk_write *write = NULL;

    if (desk_request_new(DESK_PUT, caller, entry->why, &write, err) < 0 ||
        ledger_entry_clone(entry, &write->entry, err) < 0)
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
    if (desk_ask(coordinator, write, err) < 0)
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
    struct desk_write *write;

    if (desk_request_new(DESK_PUT, NULL, NULL, &write, err) < 0) {
        ledger_entry_free(entry);
        return -1;
    }
    write->entry = entry;
    return desk_ask(coordinator, write, err);
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
    struct audit record = {.who = write->call->who,
                           .from = write->call->from,
                           .subject = write->subject,
                           .reason = write->reason,
                           .outcome = write->outcome};

    record_fit(&audit_record, &record); /* in place */
}

void coordinator_audit(struct coordinator *coordinator, const struct caller *caller, const char *action,
                       const char *subject, const char *reason, const char *outcome)
{
    static const struct caller nobody = {0};
    bool known = caller && caller->token && *caller->token;
    int64_t suppressed;

    if (!fits(coordinator, known ? &coordinator->callers : &coordinator->strangers, 1, &suppressed))
        return;
    CLEANUP(desk_write_freep) struct desk_write *write = NULL;
    if (desk_request_new(DESK_AUDIT, caller ? caller : &nobody, reason, &write, NULL) < 0 ||
        string_set(&write->action, action, NULL) < 0 || string_set(&write->subject, subject, NULL) < 0 ||
        string_set(&write->outcome, outcome, NULL) < 0)
        return;
    write->suppressed = suppressed;
    make_text(write);
    queue_push(coordinator->desk, &TAKE_PTR(write)->item);
}
