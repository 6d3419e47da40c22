/*
 * What hosts and leader say of jobs. A host's journal says each thing once, with a number of its own; the same number again is the same event, sent again. So what comes in which
 * order does not matter: an end may be overtaken by its own repetition.
 *
 * A new journal answers for jobs that it never saw begin: as ended, if Redis says so, or not run. That is no second end (docs/protocol.md): what counts is that it ran nothing.
 */
#include "base/err.h"
#include "coordinator/cli/history_internal.h"
#include "model/job.h"
#include "model/job_state.h"
#include "model/status.h"

#include <stdlib.h>
#include <string.h>

static uint64_t hash_of(const char *text)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */

    for (; text && *text; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return hash ? hash : 1;
}

static struct judged_journal *journal_of(struct judged_job *job, const char *name)
{
    static const struct history_place nowhere = {.offset = -1};
    uint64_t hash = hash_of(name);
    struct judged_journal *journal = job->journals;

    for (; journal < job->journals + JOURNALS; journal++)
        if (!journal->name || journal->name == hash)
            break;
    if (journal == job->journals + JOURNALS) { /* a third: the second has been judged */
        journal--;
        *journal = (struct judged_journal){
            .running.at = nowhere, .last.at = nowhere, .end.at = nowhere, .resolved_at = nowhere};
    }
    journal->name = hash;
    return journal;
}

/* ---- running ---- */

static bool may_have_begun(const struct judged_journal *journal)
{
    bool ended = history_place_is(&journal->end.at);

    if (ended && (journal->end.state == STATE_CANCELLED || journal->end.state == STATE_EXPIRED ||
                  journal->end.state == STATE_REJECTED))
        return false;
    return ended || history_place_is(&journal->running.at);
}

/* Under another journal than the first: that one may still have been at it, or done. */
static void judge_start(struct history *history, const struct judged_job *job, const char *id,
                        const struct judged_journal *journal, const struct history_place *at)
{
    const struct judged_journal *first = job->journals;
    const struct history_place *before = history_place_is(&first->end.at) ? &first->end.at : &first->running.at;

    if (job->class != CLASS_C)
        return;
    history_checked(history, RULE_ONCE);
    if (journal != first && may_have_begun(first))
        history_blame(history, RULE_ONCE, id, PROOFS(before, at), "%s on %s runs again, under another journal of %s",
                      op_names[job->op], job->target, job->host);
}

/* What changes something has the lock's token, from Redis, which gives none without a ticket. An end with an error may be Redis' own word, said again by a new journal. */
static void judge_ticket(struct history *history, const struct judged_job *job, const struct history_place *at,
                         const struct status *status)
{
    bool acts = status->state == STATE_RUNNING || (status->state == STATE_SUCCEEDED && !status->error);

    if (acts && !status->token && (job->class == CLASS_C || (job->class == CLASS_B && !job->reaches_alone)))
        history_blame(history, RULE_TICKET, status->job_id, PROOFS(&job->ledger, at),
                      "%s on %s is %s without a token: nobody gave it the lock", op_names[job->op], job->target,
                      job_state_names[status->state]);
}

/* ---- locks ---- */

/* Each token is one job's. Their order is not judged: an end may wait for its catalog records while the next job begins. */
static int judge_token(struct history *history, struct judged_job *job, const char *id, int64_t token,
                       const struct history_place *at, struct err *err)
{
    struct judged_token wanted, *given;

    if (!token || token == job->token)
        return 0;
    job->token = token;
    history_checked(history, RULE_LOCK);
    memset(&wanted, 0, sizeof wanted);
    wanted.of.target = job->target;
    wanted.of.token = token;
    HASH_FIND(hh, history->tokens, &wanted.of, sizeof wanted.of, given);
    if (given && given->job != job)
        history_blame(history, RULE_LOCK, id, PROOFS(&given->at, at), "token %lld on %s was another job's before",
                      (long long)token, job->target);
    if (given)
        return 0;
    if (!(given = malloc(sizeof *given)))
        return err_memory(err, "history");
    *given = wanted;
    given->job = job;
    given->at = *at;
    HASH_ADD(hh, history->tokens, of, sizeof given->of, given);
    return 0;
}

/* ---- ends ---- */

static void spoke_after(struct history *history, const struct judged_job *job, const char *id, const struct word *end,
                        const struct word *last)
{
    bool ran = last->state == STATE_RUNNING && job->class == CLASS_C;

    history_blame(history, ran ? RULE_ONCE : RULE_ENDS, id, PROOFS(&end->at, &last->at),
                  "it ended as %s, and is %s after that", job_state_names[end->state], job_state_names[last->state]);
}

/* What a new journal may say of a job that ended under the one before. */
static bool only_answers(const struct judged_job *job, const struct word *end)
{
    const struct judged_journal *first = job->journals;
    bool resolved_so = (first->resolved == 'd' && end->state == STATE_SUCCEEDED) ||
                       (first->resolved == 'f' && end->state == STATE_FAILED);

    return job->class == CLASS_A || !history_place_is(&first->end.at) || end->state == first->end.state ||
           (end->state != STATE_SUCCEEDED && end->state != STATE_FAILED) || resolved_so;
}

static void take_resolved(struct history *history, const char *id, struct judged_journal *journal,
                          const struct history_place *at, const struct status *status)
{
    char how = status->resolved[0] == 'd' ? 'd' : 'f';

    if (status->state != STATE_PARKED)
        history_blame(history, RULE_ENDS, id, PROOFS(&journal->end.at, at),
                      "a person decided on it, and it is %s, not PARKED", job_state_names[status->state]);
    else if (journal->resolved && journal->resolved != how)
        history_blame(history, RULE_ENDS, id, PROOFS(&journal->resolved_at, at),
                      "it was resolved as done, and as failed");
    if (journal->resolved)
        return;
    journal->resolved = how;
    journal->resolved_at = *at;
    if (!history_place_is(&journal->end.at)) { /* the word before it has expired, or comes later */
        journal->end = (struct word){status->seq, STATE_PARKED, *at};
        return;
    }
    if (journal->end.state != STATE_PARKED)
        history_blame(history, RULE_ENDS, id, PROOFS(&journal->end.at, at), "it ended as %s, and is PARKED after that",
                      job_state_names[journal->end.state]);
}

static void take_end(struct history *history, struct judged_job *job, const char *id, struct judged_journal *journal,
                     const struct word *said)
{
    struct word *end = &journal->end;

    if (history_place_is(&end->at)) {
        bool before_it_was_resolved = journal->resolved && said->state == STATE_PARKED && said->seq <= end->seq;
        if (said->state != end->state || (said->seq != end->seq && !before_it_was_resolved))
            history_blame(history, RULE_ENDS, id, PROOFS(&end->at, &said->at), "it ended as %s, and once more as %s",
                          job_state_names[end->state], job_state_names[said->state]);
        return;
    }
    *end = *said;
    if (history_place_is(&journal->last.at) && journal->last.seq >= said->seq)
        spoke_after(history, job, id, end, &journal->last);
    if (journal != job->journals && !only_answers(job, end))
        history_blame(history, RULE_ENDS, id, PROOFS(&job->journals[0].end.at, &said->at),
                      "it ended as %s, and under another journal as %s", job_state_names[job->journals[0].end.state],
                      job_state_names[said->state]);
}

static void take_on_the_way(struct history *history, struct judged_job *job, const char *id,
                            struct judged_journal *journal, const struct word *said)
{
    if (said->state == STATE_RUNNING && !history_place_is(&journal->running.at)) {
        journal->running = *said;
        judge_start(history, job, id, journal, &said->at);
    }
    if (history_place_is(&journal->end.at) && said->seq >= journal->end.seq &&
        (!history_place_is(&journal->last.at) || journal->last.seq < journal->end.seq))
        spoke_after(history, job, id, &journal->end, said);
    if (!history_place_is(&journal->last.at) || said->seq > journal->last.seq)
        journal->last = *said;
}

/* Its end, where nobody else will say one. */
static void leader_says(struct history *history, struct judged_job *job, const char *id, const struct history_place *at,
                        const struct status *status)
{
    bool bygone = status->note && strncmp(status->note, NOTE_BYGONE, sizeof NOTE_BYGONE - 1) == 0;

    if (!job_state_terminal((enum job_state)status->state))
        return;
    if (!history_place_is(&job->leader.at))
        job->leader = (struct word){status->seq, status->state, *at};
    else if (job->leader.state != status->state && !bygone)
        history_blame(history, RULE_ENDS, id, PROOFS(&job->leader.at, at),
                      "the coordinator says that it ended as %s, and as %s", job_state_names[job->leader.state],
                      job_state_names[status->state]);
}

/* What was said before, said again, has an old number. */
static bool is_news(const struct judged_journal *journal, const struct status *status)
{
    return !(history_place_is(&journal->last.at) && status->seq <= journal->last.seq) &&
           !(history_place_is(&journal->end.at) && status->seq <= journal->end.seq);
}

static int worker_says(struct history *history, struct judged_job *job, const struct history_place *at,
                       const struct status *status, struct err *err)
{
    const struct word said = {status->seq, status->state, *at};
    struct judged_journal *journal = journal_of(job, status->journal);

    if (!history_place_is(&job->first_word))
        job->first_word = *at;
    if (is_news(journal, status)) {
        judge_ticket(history, job, at, status);
        if (judge_token(history, job, status->job_id, status->token, at, err) < 0)
            return -1;
    }
    if (!job_state_terminal((enum job_state)status->state))
        take_on_the_way(history, job, status->job_id, journal, &said);
    else if (status->resolved)
        take_resolved(history, status->job_id, journal, at, status);
    else
        take_end(history, job, status->job_id, journal, &said);
    return 0;
}

int history_status(struct history *history, const struct history_place *at, const struct status *status, struct err *err)
{
    struct judged_job *job = history_job_of(history, status->job_id, false, err);

    if (!job || !job->in_ledger) /* not believed either */
        return 0;
    if (status->origin == ORIGIN_WORKER)
        return worker_says(history, job, at, status, err);
    leader_says(history, job, status->job_id, at, status);
    return 0;
}

void history_doubt(struct history *history, const char *job_id)
{
    struct judged_job *job = history_job_of(history, job_id, false, NULL);

    if (job)
        job->doubted = true;
}
