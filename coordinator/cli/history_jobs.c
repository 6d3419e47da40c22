/*
 * What is remembered of each job, and the rules that need more than one topic. A rule accuses only by records that are there: that something is missing is held against nobody
 * unless the topic is known to be whole from before the job on (history_seen.c), the ledger's record is old enough for the others to have been read past it (late), and nothing
 * that could have said it failed to verify (doubted).
 */
#include "base/err.h"
#include "coordinator/cli/history_internal.h"
#include "crypto/digest.h"
#include "model/job.h"
#include "model/job_state.h"
#include "model/ledger_entry.h"
#include "model/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the ledger ---- */

static int content_of(const struct job *job, char out[17], struct err *err)
{
    char digest[DIGEST_TEXT], *text = NULL;

    if (record_to_json(&job_record, job, false, &text, err) < 0)
        return -1;
    digest_bytes(text, strlen(text), digest);
    snprintf(out, 17, "%.16s", digest);
    free(text);
    return 0;
}

static void learn_deletion(struct judged_job *job, const struct job *asked)
{
    const struct params_target_retire *retire = asked->op == OP_TARGET_RETIRE ? asked->params : NULL;
    const struct params_backup_delete *params = asked->op == OP_BACKUP_DELETE ? asked->params : NULL;

    job->really_last = (retire && retire->really_last) || (params && params->really_last);
    job->only_point = params && params->scope == SCOPE_SELF && params->point && uuid_parse(params->point, job->point);
}

static int learn(struct history *history, const struct history_place *at, const struct ledger_job *record,
                 struct judged_job *job, struct err *err)
{
    const struct job *asked = record->job;
    char target[TARGET_TEXT];

    job->in_ledger = true;
    job->late = history->ledger_read;
    job->ledger = *at;
    /* A word to the job writes its record again, and the older one is compacted away. */
    job->since_ms = record->prepared_at_ms && record->prepared_at_ms < at->at_ms ? record->prepared_at_ms : at->at_ms;
    job->op = asked->op;
    job->class = (int)job_class(asked);
    job->reaches_alone = strcmp(asked->target.kind, "repository") != 0 && strcmp(asked->target.kind, "canister") != 0;
    job->host = history_intern(&history->names, asked->host, err);
    job->target = history_intern(&history->names, target_format(&asked->target, target), err);
    if (!job->host || !job->target || content_of(asked, job->content, err) < 0)
        return -1;
    learn_deletion(job, asked);
    if (asked->op == OP_REPOSITORY_INIT && !asked->dry_run &&
        !history_intern(&history->repositories_made, asked->target.id, err))
        return -1;
    return 0;
}

static void note_outcome(struct history *history, const struct history_place *at, struct judged_job *job,
                         const char *outcome)
{
    int state = outcome ? name_index(job_state_names, outcome) : -1;
    char id[UUID_TEXT];

    if (state < 0 || state == job->outcome)
        return;
    if (job->outcome >= 0) {
        uuid_format(id, job->id);
        history_blame(history, RULE_ENDS, id, PROOFS(&job->outcome_at, at),
                      "the ledger says that it ended as %s, and as %s", job_state_names[job->outcome],
                      job_state_names[state]);
        return;
    }
    job->outcome = state;
    job->outcome_at = *at;
    if (history->ledger_read)
        job->outcome_at.offset = -1;
}

static int ledger_job(struct history *history, const struct history_place *at, const struct ledger_entry *entry,
                      struct err *err)
{
    struct judged_job *job;

    if (!entry->job || !entry->job->job || !uuid_valid(entry->id))
        return 0;
    if (!(job = history_job_of(history, entry->id, true, err)))
        return -1;
    if (!job->in_ledger && learn(history, at, entry->job, job, err) < 0)
        return -1;
    note_outcome(history, at, job, entry->job->outcome);
    return 0;
}

static int ledger_marks(struct history *history, const struct history_place *at, const struct ledger_entry *entry,
                        struct err *err)
{
    for (size_t i = 0; i < entry->marks.count; i++) {
        const struct ledger_mark *mark = list_at(&entry->marks, struct ledger_mark, i);
        struct judged_job *job = history_job_of(history, mark->job, true, err);

        if (!job && uuid_valid(mark->job))
            return -1;
        if (job)
            note_outcome(history, at, job, mark->outcome);
    }
    return 0;
}

int history_ledger(struct history *history, const struct history_place *at, const struct ledger_entry *entry,
                   struct err *err)
{
    switch (entry->kind) {
    case LEDGER_JOB: return ledger_job(history, at, entry, err);
    case LEDGER_MARKS: return ledger_marks(history, at, entry, err);
    case LEDGER_PIN: return kept_pin(history, at, entry, err);
    default: return 0;
    }
}

void history_ledger_is_read(struct history *history)
{
    history->ledger_read = true;
}

/* ---- what was published ---- */

static void judge_copy(struct history *history, const struct history_place *at, const struct job *asked,
                       struct judged_job *job, const char *content)
{
    const struct history_place *before = history_place_is(&job->published) ? &job->published : &job->ledger;

    if (job->host && strcmp(job->host, asked->host) != 0)
        history_blame(history, RULE_ONCE, asked->job_id, PROOFS(before, at), "it was sent to %s, and it is %s's",
                      asked->host, job->host);
    else if (job->in_ledger && strcmp(job->content, content) != 0)
        history_blame(history, RULE_TICKET, asked->job_id, PROOFS(&job->ledger, at),
                      "what was sent to %s is not what the ledger says was asked for", asked->host);
}

int history_job(struct history *history, const struct history_place *at, const struct job *job, struct err *err)
{
    struct judged_job *known = history_job_of(history, job->job_id, true, err);
    char content[17];

    if (!known)
        return uuid_valid(job->job_id) ? -1 : 0;
    if (content_of(job, content, err) < 0)
        return -1;
    judge_copy(history, at, job, known, content);
    if (!known->in_ledger && !known->host && !(known->host = history_intern(&history->names, job->host, err)))
        return -1;
    if (!history_place_is(&known->published))
        known->published = *at;
    return 0;
}

/* ---- at the end ---- */

/* The ledger begins with the fleet, or after a loss of it; and an ended job stays in it for longer than REMEMBERED_MS. */
static bool ledger_would_know(const struct history *history, int64_t at_ms)
{
    static const int64_t REMEMBERED_MS = INT64_C(30) * 24 * 3600 * 1000;

    return history->born_ms && at_ms - HISTORY_SLACK_MS > history->born_ms && at_ms > history->newest_ms - REMEMBERED_MS;
}

/* Everything that a topic had to say of this job was still there to be read. */
static bool covers(const struct history *history, int topic, const struct judged_job *job)
{
    return job->in_ledger && !job->late && seen_since(history, topic, job->since_ms);
}

int history_stranger(struct history *history, const struct history_place *at, const struct status *status,
                     struct err *err)
{
    struct judged_job *job = history_job_of(history, status->job_id, true, err);

    if (!job)
        return uuid_valid(status->job_id) ? -1 : 0;
    if (history_place_is(&job->first_word))
        return 0;
    job->first_word = *at;
    /* What it had accepted before the ledger began, it may say after that. */
    if (!ledger_would_know(history, status->accepted_at_ms) || !ledger_would_know(history, at->at_ms))
        return 0;
    job->stranger = true;
    return 0;
}

static void judge_ledger(struct history *history, const struct judged_job *job, const char *id)
{
    bool published = history_place_is(&job->published), spoke = history_place_is(&job->first_word);

    if (!published && !spoke)
        return;
    history_checked(history, RULE_TICKET);
    if (!job->in_ledger && published && ledger_would_know(history, job->published.at_ms))
        history_blame(history, RULE_TICKET, id, PROOFS(&job->published),
                      "it was published, and the ledger does not know it");
    else if (!job->in_ledger && job->stranger)
        history_blame(history, RULE_TICKET, id, PROOFS(&job->first_word),
                      "a host had it, and the ledger does not know it");
    else if (!job->in_ledger || (!published && (job->doubted || !covers(history, TOPIC_JOBS, job))))
        history_unknown(history, RULE_TICKET);
    else if (!published)
        history_blame(history, RULE_TICKET, id, PROOFS(&job->ledger, &job->first_word),
                      "its host had it, and it never was published");
}

static const struct word *end_like(const struct judged_job *job, int state)
{
    for (int i = 0; i < JOURNALS; i++)
        if (history_place_is(&job->journals[i].end.at) && job->journals[i].end.state == state)
            return &job->journals[i].end;
    return NULL;
}

/* Only a host can say that a job succeeded or failed; the ledger repeats it. */
static void judge_outcome(struct history *history, const struct judged_job *job, const char *id)
{
    const struct word *first = &job->journals[0].end;

    if (history_place_is(&first->at) || history_place_is(&job->leader.at))
        history_checked(history, RULE_ENDS);
    if ((job->outcome != STATE_SUCCEEDED && job->outcome != STATE_FAILED) || !history_place_is(&job->outcome_at) ||
        end_like(job, job->outcome))
        return;
    if (history_place_is(&first->at))
        history_blame(history, RULE_ENDS, id, PROOFS(&job->outcome_at, &first->at),
                      "the ledger says that it ended as %s, its host as %s", job_state_names[job->outcome],
                      job_state_names[first->state]);
    else if (job->doubted || !covers(history, TOPIC_STATUS, job))
        history_unknown(history, RULE_ENDS);
    else
        history_blame(history, RULE_ENDS, id, PROOFS(&job->outcome_at),
                      "the ledger says that it ended as %s, and its host never said so", job_state_names[job->outcome]);
}

/* The coordinator itself ends what nobody can have, and nothing else. */
static void judge_unpublished(struct history *history, const struct judged_job *job, const char *id)
{
    bool published = history_place_is(&job->published);
    const struct history_place *had = published ? &job->published : &job->first_word;

    if (history_place_is(&job->leader.at) && job->leader.seq == EVENT_ENDED && history_place_is(had))
        history_blame(history, RULE_ENDS, id, PROOFS(&job->leader.at, had),
                      "the coordinator says that it ended as %s and never was published, and %s",
                      job_state_names[job->leader.state], published ? "it was" : "its host had it");
}

void history_end(struct history *history)
{
    char id[UUID_TEXT];

    for (struct judged_job *job = history->jobs; job; job = job->hh.next) {
        uuid_format(id, job->id);
        judge_outcome(history, job, id);
        judge_unpublished(history, job, id);
        judge_ledger(history, job, id);
    }
    kept_end(history);
}
