/* The main loop's side of the desk: each write becomes a record of the ledger, or an answer. */
#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "coordinator/desk_write.h"
#include "coordinator/publisher.h"
#include "coordinator/view_feed.h"
#include "model/job_state.h"

#include <stdio.h>
#include <string.h>

enum { KAFKA_SILENT_MS = 5000 };

/* Records that nobody acknowledges pile up here, not at the callers'. */
static bool kafka_answers(const struct coordinator *coordinator, struct err *err)
{
    int64_t silent_ms = clock_monotonic_ms() - coordinator->last_progress_ms;

    if (coordinator->sent == coordinator->delivered || silent_ms < KAFKA_SILENT_MS)
        return true;
    err_set(err, ERR_RETRY, "kafka has acknowledged nothing for %lld s", (long long)silent_ms / 1000);
    return false;
}

static void refuse(struct coordinator *coordinator, struct desk_write *write, enum err_kind kind, const char *text)
{
    struct err err = {0};

    err_set(&err, kind, "%s", text);
    desk_answer(coordinator, write, &err);
}

/* ---- submit ---- */

static bool same_params(const struct job *a, const struct job *b)
{
    CLEANUP(freep) char *one = NULL;
    CLEANUP(freep) char *other = NULL;

    if (!a->params || !b->params)
        return a->params == b->params;
    if (a->op == OP_REPOSITORY_CLEAN) /* the target says all; which jobs have ended is the ledger's word, and changes */
        return true;
    if (record_to_json(op_info((enum op)a->op)->params, a->params, false, &one, NULL) < 0 ||
        record_to_json(op_info((enum op)b->op)->params, b->params, false, &other, NULL) < 0)
        return false;
    return strcmp(one, other) == 0;
}

static bool same_request(const struct ledger_node *node, const struct job *job)
{
    char target[TARGET_TEXT], wanted[TARGET_TEXT];

    target_format(&job->target, wanted);
    if (node->ended)
        return node->ended->op == job->op && strcmp(node->ended->target, wanted) == 0;
    const struct job *known = node->entry->job->job;
    return known->op == job->op && strcmp(target_format(&known->target, target), wanted) == 0 &&
           known->dry_run == job->dry_run && same_params(known, job);
}

static void answer_repeat(struct coordinator *coordinator, struct ledger_node *node, struct desk_write *write)
{
    struct desk_write *first = node->write;

    if (!same_request(node, write->entry->job->job))
        refuse(coordinator, write, ERR_CONFLICT, "this idempotency key was used for another request");
    else if (node->stage == STAGE_PREPARING && first) {
        write->also = first->also;
        first->also = write;
    } else
        desk_answer(coordinator, write, NULL);
}

static void serve_submit(struct coordinator *coordinator, struct desk_write *write)
{
    struct ledger_node *node = ledger_find_job(coordinator->ledger, write->job_id);
    struct err err = {0};

    if (!dispatch_ready(coordinator, &err) || !kafka_answers(coordinator, &err)) {
        desk_answer(coordinator, write, &err);
        return;
    }
    if (node) {
        answer_repeat(coordinator, node, write);
        return;
    }
    if (!audit_first(coordinator, write, "job.submit", write->job_id))
        return;
    crash_point("prepare.before", op_names[write->entry->job->job->op]);
    pthread_mutex_lock(&coordinator->lock);
    node = ledger_add(coordinator->ledger, TAKE_PTR(write->entry), &err);
    pthread_mutex_unlock(&coordinator->lock);
    if (!node) {
        desk_answer(coordinator, write, &err);
        return;
    }
    node->stage = STAGE_PREPARING;
    node->write = write;
    if (log_append_job(coordinator, node, DRAFT_PREPARED, write->call->who, write->reason, write, &err) == 0)
        return;
    pthread_mutex_lock(&coordinator->lock);
    ledger_remove(coordinator->ledger, node);
    pthread_mutex_unlock(&coordinator->lock);
    desk_answer(coordinator, write, &err);
}

/* ---- words about a job ---- */

/* The open job that a word is about; answers the write when there is none. */
static struct ledger_node *open_job(struct coordinator *coordinator, struct desk_write *write)
{
    struct ledger_node *node = ledger_find_job(coordinator->ledger, write->job_id);
    char text[128];
    struct err err = {0};

    if (coordinator->leadership.phase != PHASE_LEADING || !kafka_answers(coordinator, &err)) {
        refuse(coordinator, write, ERR_RETRY, err.kind ? err.text : "this coordinator does not lead");
        return NULL;
    }
    if (!node) {
        snprintf(text, sizeof text, "no job %s", write->job_id);
        refuse(coordinator, write, ERR_PERMANENT, text);
        return NULL;
    }
    if (node->ended || node->entry->job->outcome) {
        snprintf(text, sizeof text, "job %s has ended already: %s", write->job_id,
                 node->ended ? job_state_names[node->ended->outcome] : node->entry->job->outcome);
        refuse(coordinator, write, ERR_CONFLICT, text);
        return NULL;
    }
    return node;
}

/* Takes `text`; the caller owns what was there before. */
static char *set_word(struct coordinator *coordinator, char **field, char *text)
{
    LOCK_SCOPE(&coordinator->lock);
    char *before = *field;

    *field = text;
    return before;
}

/* Gives back what it was. */
static int64_t set_rate(struct coordinator *coordinator, struct ledger_node *node, int64_t rate_limit)
{
    LOCK_SCOPE(&coordinator->lock);
    int64_t before = node->entry->job->rate_limit;

    node->entry->job->rate_limit = rate_limit;
    return before;
}

static char **field_of(struct ledger_job *record, enum draft_step step)
{
    return step == DRAFT_CANCEL ? &record->cancel : step == DRAFT_FINISH ? &record->finish : &record->resolve;
}

static void serve_word(struct coordinator *coordinator, struct desk_write *write, enum draft_step step)
{
    struct ledger_node *node = open_job(coordinator, write);
    struct err err = {0};
    char **field;

    if (!node)
        return;
    field = field_of(node->entry->job, step);
    if (*field && step != DRAFT_RESOLVE) { /* asked before */
        desk_answer(coordinator, write, NULL);
        return;
    }
    if (step == DRAFT_RESOLVE && !audit_first(coordinator, write, "job.resolve", write->job_id))
        return;
    CLEANUP(freep) char *text = NULL;
    if (string_set(&text, write->text, &err) < 0) {
        desk_answer(coordinator, write, &err);
        return;
    }
    CLEANUP(freep) char *before = set_word(coordinator, field, TAKE_PTR(text));
    if (step != DRAFT_CANCEL)
        node->control_written = false;
    if (log_append_job(coordinator, node, step, write->call->who, write->reason, write, &err) == 0) {
        node->words_on_their_way++;
        return;
    }
    free(set_word(coordinator, field, TAKE_PTR(before))); /* not recorded: not said, and not known to whoever asks again */
    desk_answer(coordinator, write, &err);
}

/* Unlike the others it may be said again, with another number; the last one counts. */
static void serve_rate(struct coordinator *coordinator, struct desk_write *write)
{
    struct ledger_node *node = open_job(coordinator, write);
    struct err err = {0};

    if (!node || !audit_first(coordinator, write, "job.rate", write->job_id))
        return;
    int64_t before = set_rate(coordinator, node, write->rate_limit);
    node->control_written = false;
    coordinator->shares_wanted = true;
    if (log_append_job(coordinator, node, DRAFT_RATE, write->call->who, write->reason, write, &err) == 0) {
        node->words_on_their_way++;
        return;
    }
    set_rate(coordinator, node, before);
    desk_answer(coordinator, write, &err);
}

/* In the ledger, or on its way there: the newest word counts. */
static bool is_there(const struct coordinator *coordinator, const struct ledger_entry *entry)
{
    const struct ledger_node *node = ledger_find(coordinator->ledger, entry->kind, entry->id);
    bool there = node && node->entry && !node->entry->gone;

    for (const struct draft *draft = coordinator->drafts; draft; draft = draft->next)
        if (draft->entry && draft->entry->kind == entry->kind && strcmp(draft->entry->id, entry->id) == 0)
            there = !draft->entry->gone;
    return there;
}

static void serve_put(struct coordinator *coordinator, struct desk_write *write)
{
    struct err err = {0};
    bool ours = write->entry->kind == LEDGER_EPOCH; /* the keeper's: before we lead in full */
    char action[64];

    snprintf(action, sizeof action, "%s.%s", ledger_kind_names[write->entry->kind],
             write->entry->gone ? "delete" : "put");
    if (coordinator->leadership.phase < (ours ? PHASE_ELECTED : PHASE_LEADING))
        err_set(&err, ERR_RETRY, "this coordinator does not lead");
    else if (write->only_new && is_there(coordinator, write->entry))
        err_set(&err, ERR_CONFLICT, "there is a %s \"%s\" already", ledger_kind_names[write->entry->kind],
                write->entry->id);
    else if (kafka_answers(coordinator, &err)) {
        if (!audit_first(coordinator, write, action, write->entry->id))
            return;
        if (log_append_entry(coordinator, TAKE_PTR(write->entry), write, &err) == 0)
            return;
    }
    desk_answer(coordinator, write, &err);
}

/* ---- what nobody waits for ---- */

static void serve_end(struct coordinator *coordinator, struct ledger_node *node, int state)
{
    struct err err = {0};

    bool awaited = node->entry->job->job && node->entry->job->job->deploy_id; /* somebody waits for what is next */

    if (dispatch_end(coordinator, node, state, NULL, true, &err) == 0) {
        if (awaited)
            planner_wake(coordinator->planner);
        return;
    }
    log_debug(node->key, "end is not recorded yet: %s", err.text);
    coordinator->replay_wanted = true;
}

/* PARKED stays PARKED, for nobody knows its outcome; but it is over. All else has expired. */
static void serve_bygone(struct coordinator *coordinator, struct ledger_node *node, int state)
{
    const char *host = node->entry->job->job->host;
    enum job_state end = state == STATE_PARKED ? STATE_PARKED : STATE_EXPIRED;
    char why[256];
    struct err err = {0};

    if (node->stage != STAGE_IDLE || !ledger_job_bygone(coordinator->ledger, node))
        return;
    snprintf(why, sizeof why, "host %s was replaced or removed; what became of what it had begun, nobody will say",
             host);
    log_info(node->key, "%s: %s", job_state_names[end], why);
    node->bygone = true;
    if (dispatch_end(coordinator, node, (int)end, why, false, &err) < 0)
        log_debug(node->key, "end is not recorded yet: %s", err.text); /* the keeper asks again */
}

static void serve_word_of_view(struct coordinator *coordinator, const struct view_word *word)
{
    struct ledger_node *node = ledger_find_job(coordinator->ledger, word->job_id);

    if (!node || !node->entry || node->entry->job->outcome)
        return;
    switch (word->kind) {
    case WORD_NONE: event_published(coordinator, node); return;
    case WORD_FIRST:
        node->spoken = true;
        shares_running(coordinator, node, word->state);
        return;
    case WORD_LAST: serve_end(coordinator, node, word->state); return;
    case WORD_BYGONE: serve_bygone(coordinator, node, word->state); return;
    }
}

static void serve_words(struct coordinator *coordinator, const struct desk_write *write)
{
    for (size_t i = 0; i < write->word_count && coordinator->leadership.phase == PHASE_LEADING; i++)
        serve_word_of_view(coordinator, &write->words[i]);
}

static void serve_opinion(struct coordinator *coordinator, struct desk_write *write, bool lost)
{
    struct ledger_node *node = ledger_find_job(coordinator->ledger, write->job_id);
    const struct ledger_job *record = node && node->entry ? node->entry->job : NULL;

    if (coordinator->leadership.phase != PHASE_LEADING || !record || record->outcome || node->lost == lost)
        return;
    pthread_mutex_lock(&coordinator->lock);
    node->lost = lost;
    coordinator->jobs_lost |= lost;
    coordinator->shares_wanted |= node->running;
    pthread_mutex_unlock(&coordinator->lock);
    event_published(coordinator, node); /* after this it would be old */
    /* Above every number that this or an earlier leader gave: the clock in microseconds, as for a new journal. */
    event_send(coordinator, record->job, clock_real_us(), STATE_PUBLISHED,
               lost ? "lost: the host gives no sign of life" : "found: the host is back", NULL);
    log_info(record->job->job_id, lost ? "LOST: host %s gives no sign of life" : "host %s is back", record->job->host);
}

/* The keeper has looked: nobody has it. */
static void serve_overdue(struct coordinator *coordinator, struct desk_write *write)
{
    struct ledger_node *node = ledger_find_job(coordinator->ledger, write->job_id);
    char why[256];
    struct err err = {0};

    if (coordinator->leadership.phase != PHASE_LEADING || !node ||
        !ledger_job_overdue(node, clock_real_ms(), coordinator->options.overdue_grace_ms))
        return;
    snprintf(why, sizeof why,
             "its deadline is over and host %s has given no sign of having taken it; if it did, what it says counts",
             node->entry->job->job->host);
    log_info(write->job_id, "EXPIRED: %s", why);
    if (dispatch_end(coordinator, node, STATE_EXPIRED, why, false, &err) < 0)
        log_debug(write->job_id, "end is not recorded yet: %s", err.text);
}

static void serve_dead_letter(struct coordinator *coordinator, struct desk_write *write)
{
    struct publication publication = {
        .topic = TOPIC_DLQ, .partition = -1, .type = &dead_letter_record, .record = write->letter, .opaque = OPAQUE_DLQ};
    struct err err = {0};

    if (coordinator->leadership.phase != PHASE_LEADING)
        return; /* whoever leads reads it too */
    if (publisher_send(coordinator->publisher, &publication, NULL, NULL, &err) < 0)
        log_error("dlq", "%s@%lld: %s", write->letter->topic, (long long)write->letter->offset, err.text);
    else
        coordinator->sent++;
}

/* Its record is the only one left of it: one tombstone removes the job. */
static void serve_forget(struct coordinator *coordinator, struct desk_write *write)
{
    struct ledger_node *node = ledger_find_job(coordinator->ledger, write->job_id);

    if (coordinator->leadership.phase == PHASE_LEADING && node && node->ended)
        log_bury(coordinator, node, true);
}

static void serve_audit(struct coordinator *coordinator, struct desk_write *write)
{
    if (coordinator->leadership.phase == PHASE_LEADING)
        audit_say(coordinator, write, write->action, write->subject, write->reason, write->outcome);
    else
        log_info("audit", "%s %s by %s: %s (not recorded: this coordinator does not lead)", write->action,
                 write->subject, write->call->who, write->outcome);
}

static void serve_quiet(struct coordinator *coordinator, struct desk_write *write)
{
    switch (write->kind) {
    case DESK_AUDIT: serve_audit(coordinator, write); break;
    case DESK_WORDS: serve_words(coordinator, write); break;
    case DESK_DEAD_LETTER: serve_dead_letter(coordinator, write); break;
    case DESK_LOST: serve_opinion(coordinator, write, true); break;
    case DESK_OVERDUE: serve_overdue(coordinator, write); break;
    case DESK_FOUND: serve_opinion(coordinator, write, false); break;
    case DESK_FORGET: serve_forget(coordinator, write); break;
    case DESK_SUBMIT:
    case DESK_CANCEL:
    case DESK_RESOLVE:
    case DESK_RATE:
    case DESK_FINISH:
    case DESK_PUT:
    case DESK_WAKE: break;
    }
    desk_write_free(write);
}

void desk_serve_one(struct coordinator *coordinator, struct desk_write *write)
{
    switch (write->kind) {
    case DESK_SUBMIT: serve_submit(coordinator, write); break;
    case DESK_CANCEL: serve_word(coordinator, write, DRAFT_CANCEL); break;
    case DESK_RESOLVE: serve_word(coordinator, write, DRAFT_RESOLVE); break;
    case DESK_RATE: serve_rate(coordinator, write); break;
    case DESK_FINISH: serve_word(coordinator, write, DRAFT_FINISH); break;
    case DESK_PUT: serve_put(coordinator, write); break;
    case DESK_AUDIT:
    case DESK_WORDS:
    case DESK_DEAD_LETTER:
    case DESK_LOST:
    case DESK_OVERDUE:
    case DESK_FOUND:
    case DESK_FORGET:
    case DESK_WAKE: serve_quiet(coordinator, write); break;
    }
}

void desk_serve(struct coordinator *coordinator)
{
    for (struct queue_item *item = queue_take_all(coordinator->desk), *next; item; item = next) {
        next = item->next;
        desk_serve_one(coordinator, (struct desk_write *)item);
    }
}

void desk_refuse_all(struct coordinator *coordinator)
{
    for (struct queue_item *item = queue_take_all(coordinator->desk), *next; item; item = next) {
        struct desk_write *write = (struct desk_write *)item;
        next = item->next;
        if (write->call && write->call->waited_for)
            refuse(coordinator, write, ERR_RETRY, "the coordinator stops");
        else
            desk_write_free(write);
    }
}
