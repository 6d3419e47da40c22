/*
 * A record of ours has come back from the ledger, so it is durable: what it says becomes true in memory, who asked for it is answered, and the job takes its next step. The main loop's
 * thread.
 */
#include "base/clock.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/log.h"
#include "coordinator/desk_write.h"
#include "coordinator/internal.h"
#include "model/job_state.h"

#include <string.h>

static void answer(struct coordinator *coordinator, struct draft *draft)
{
    if (draft->write)
        desk_answer(coordinator, TAKE_PTR(draft->write), NULL);
}

static void confirm_job(struct coordinator *coordinator, struct draft *draft)
{
    struct err err = {0};

    pthread_mutex_lock(&coordinator->lock);
    if (ledger_confirm(coordinator->ledger, draft->node, draft->ref, &err) < 0)
        log_error(draft->node->key, "%s", err.text);
    pthread_mutex_unlock(&coordinator->lock);
    if (draft->node->older_count)
        log_bury(coordinator, draft->node, false);
}

static void confirm_prepared(struct coordinator *coordinator, struct draft *draft)
{
    struct ledger_node *node = draft->node;
    const struct job *job = node->entry->job->job;

    crash_point("prepare.after", op_names[job->op]);
    confirm_job(coordinator, draft);
    node->stage = STAGE_IDLE;
    node->write = NULL;
    if (draft->write)
        audit_job(coordinator, draft->write, job->job_id);
    answer(coordinator, draft);
    dispatch_job(coordinator, node);
    if (node->stage == STAGE_IDLE) /* it waits: else there is more to say in a moment */
        event_planned(coordinator, node);
}

static void confirm_published(struct coordinator *coordinator, struct ledger_node *node)
{
    if (node->stage == STAGE_RECORDING)
        node->stage = STAGE_IDLE;
    dispatch_job(coordinator, node);
}

/* The event of an end that only the coordinator knows goes out before the node is made small. */
static void confirm_ended(struct coordinator *coordinator, struct ledger_node *node, const char *why)
{
    const struct ledger_job *record = node->entry->job;

    if (node->bygone)
        event_bygone(coordinator, record->job, name_index(job_state_names, record->outcome), why);
    else if (!node->quiet_end) {
        /* Of a published job people may have been told LOST, with a number from the clock. */
        int64_t seq = record->published_at_ms ? clock_real_us() : EVENT_ENDED;
        event_send(coordinator, record->job, seq, name_index(job_state_names, record->outcome), NULL, why);
    }
    node->stage = STAGE_IDLE;
}

static void confirm_mark(struct coordinator *coordinator, const struct ledger_mark *mark, struct ledger_node *node)
{
    if (!node->entry)
        return;
    if (mark->outcome)
        confirm_ended(coordinator, node, mark->why);
    else if (!node->entry->job->outcome)
        confirm_published(coordinator, node);
}

static void confirm_marks(struct coordinator *coordinator, struct draft *draft)
{
    struct err err = {0};

    crash_point("published.after", NULL);
    for (size_t i = 0; i < draft->entry->marks.count; i++)
        confirm_mark(coordinator, list_at(&draft->entry->marks, struct ledger_mark, i), draft->marked[i]);
    LOCK_SCOPE(&coordinator->lock);
    if (ledger_apply_marks(coordinator->ledger, TAKE_PTR(draft->entry), draft->marked, NULL, &err) < 0)
        log_error("ledger", "marks: %s", err.text);
}

static void confirm_word(struct coordinator *coordinator, struct draft *draft, const char *action)
{
    draft->node->words_on_their_way--;
    confirm_job(coordinator, draft);
    if (draft->write)
        audit_say(coordinator, draft->write, action, draft->write->job_id, draft->write->reason, "allowed");
    answer(coordinator, draft);
    dispatch_job(coordinator, draft->node);
}

static void confirm_put(struct coordinator *coordinator, struct draft *draft)
{
    struct ledger_node *node = NULL;
    char key[LEDGER_KEY_TEXT];
    struct err err = {0};
    bool gone = draft->entry->gone;

    ledger_node_key(key, draft->entry->kind, draft->entry->id);
    pthread_mutex_lock(&coordinator->lock);
    int result = ledger_apply(coordinator->ledger, TAKE_PTR(draft->entry), &node, &err);
    pthread_mutex_unlock(&coordinator->lock);
    if (result < 0)
        log_error("ledger", "%s: %s", key, err.text);
    else if (gone || node->older_count)
        log_bury(coordinator, node, gone);
    answer(coordinator, draft);
}

void coordinator_confirmed(struct coordinator *coordinator, struct draft *draft)
{
    switch (draft->step) {
    case DRAFT_PREPARED: confirm_prepared(coordinator, draft); return;
    case DRAFT_FINISH: confirm_word(coordinator, draft, "job.finish"); return;
    case DRAFT_MARKS: confirm_marks(coordinator, draft); return;
    case DRAFT_CANCEL: confirm_word(coordinator, draft, "job.cancel"); return;
    case DRAFT_RESOLVE: confirm_word(coordinator, draft, "job.resolve"); return;
    case DRAFT_RATE: confirm_word(coordinator, draft, "job.rate"); return;
    case DRAFT_PUT: confirm_put(coordinator, draft); return;
    }
}
