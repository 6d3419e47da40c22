/* What the parts of a history share, and its verdict. The rules are in history_jobs.c, history_status.c and history_kept.c. */
#include "base/err.h"
#include "coordinator/cli/history_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const history_rule_names[RULE_COUNT + 1] = {"ends", "once", "ticket", "lock", "kept", NULL};
const char *const history_rule_texts[RULE_COUNT] = {
    [RULE_ENDS] = "each job ends once",
    [RULE_ONCE] = "what takes something away never runs twice",
    [RULE_TICKET] = "nothing runs without ledger and ticket",
    [RULE_LOCK] = "no token of a lock was given twice",
    [RULE_KEPT] = "nothing that is kept was deleted",
};

int history_new(struct history **out, struct err *err)
{
    struct history *history = calloc(1, sizeof *history);

    if (!history)
        return err_memory(err, "history");
    *out = history;
    return 0;
}

static void free_names(struct interned *names)
{
    struct interned *name, *next;

    HASH_ITER (hh, names, name, next) {
        HASH_DEL(names, name);
        free(name);
    }
}

void history_free(struct history *history)
{
    struct judged_job *job, *next_job;
    struct judged_token *token, *next_token;
    struct judged_point *point, *next_point;
    struct point_group *group, *next_group;

    if (!history)
        return;
    HASH_ITER (hh, history->jobs, job, next_job) {
        HASH_DEL(history->jobs, job);
        free(job);
    }
    HASH_ITER (hh, history->tokens, token, next_token) {
        HASH_DEL(history->tokens, token);
        free(token);
    }
    HASH_ITER (hh, history->points, point, next_point) {
        HASH_DEL(history->points, point);
        free(point);
    }
    HASH_ITER (hh, history->groups, group, next_group) {
        HASH_DEL(history->groups, group);
        free(group);
    }
    free_names(history->names);
    free_names(history->repositories_made);
    for (struct pinned *pin = history->pins, *next; pin; pin = next) {
        next = pin->next;
        free(pin);
    }
    for (int i = 0; i < TOPIC_COUNT; i++)
        free(history->seen[i].partitions);
    free(history->findings);
    free(history);
}

/* ---- shared ---- */

const char *history_intern(struct interned **names, const char *text, struct err *err)
{
    struct interned *name;

    text = text ? text : "";
    HASH_FIND_STR(*names, text, name);
    if (name)
        return name->text;
    name = calloc(1, sizeof *name + strlen(text) + 1);
    if (!name) {
        err_memory(err, "history");
        return NULL;
    }
    strcpy(name->text, text);
    HASH_ADD_STR(*names, text, name);
    return name->text;
}

bool history_place_is(const struct history_place *place)
{
    return place->offset >= 0;
}

struct judged_job *history_job_of(struct history *history, const char *job_id, bool make, struct err *err)
{
    static const struct history_place nowhere = {.offset = -1};
    unsigned char id[UUID_BYTES];
    struct judged_job *job = NULL;

    if (!job_id || !uuid_parse(job_id, id))
        return NULL;
    HASH_FIND(hh, history->jobs, id, UUID_BYTES, job);
    if (job || !make)
        return job;
    job = calloc(1, sizeof *job);
    if (!job) {
        err_memory(err, "history");
        return NULL;
    }
    memcpy(job->id, id, UUID_BYTES);
    job->outcome = -1;
    job->ledger = job->outcome_at = job->published = job->leader.at = job->first_word = nowhere;
    for (int i = 0; i < JOURNALS; i++)
        job->journals[i].running.at = job->journals[i].last.at = job->journals[i].end.at =
            job->journals[i].resolved_at = nowhere;
    HASH_ADD(hh, history->jobs, id, UUID_BYTES, job);
    return job;
}

void history_checked(struct history *history, enum history_rule rule)
{
    history->tallies[rule].checked++;
}

void history_unknown(struct history *history, enum history_rule rule)
{
    history->tallies[rule].unknown++;
}

void history_blame(struct history *history, enum history_rule rule, const char *subject,
                   const struct history_place *const proofs[], const char *format, ...)
{
    struct history_finding *findings;
    va_list arguments;

    history->tallies[rule].broken++;
    history->broken++;
    if (history->finding_count == HISTORY_FINDINGS_MAX ||
        !(findings = reallocarray(history->findings, history->finding_count + 1, sizeof *findings)))
        return; /* counted all the same */
    history->findings = findings;
    struct history_finding *finding = &findings[history->finding_count++];
    *finding = (struct history_finding){.rule = rule};
    snprintf(finding->subject, sizeof finding->subject, "%s", subject);
    va_start(arguments, format);
    vsnprintf(finding->text, sizeof finding->text, format, arguments);
    va_end(arguments);
    for (; *proofs && finding->proof_count < HISTORY_PROOFS; proofs++)
        if (history_place_is(*proofs))
            finding->proofs[finding->proof_count++] = **proofs;
}

/* ---- the verdict ---- */

struct history_tally history_tally(const struct history *history, enum history_rule rule)
{
    return history->tallies[rule];
}

const struct history_finding *history_findings(const struct history *history, size_t *out_count)
{
    *out_count = history->finding_count;
    return history->findings;
}

int64_t history_broken(const struct history *history)
{
    return history->broken;
}

int64_t history_jobs(const struct history *history, int64_t *out_open)
{
    int64_t count = 0;

    *out_open = 0;
    for (const struct judged_job *job = history->jobs; job; job = job->hh.next) {
        count += job->in_ledger;
        *out_open += job->in_ledger && job->outcome < 0 && !history_place_is(&job->journals[0].end.at) &&
                     !history_place_is(&job->leader.at);
    }
    return count;
}
