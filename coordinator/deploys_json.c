/* Deploys as the API shows them: the record, and of each target what its jobs have come to. */
#include "coordinator/deploys_json.h"

#include "base/err.h"
#include "base/uuid.h"
#include "coordinator/deploy_plan.h"
#include "coordinator/internal.h"
#include "coordinator/plans_json.h"
#include "coordinator/runs.h"
#include "coordinator/view.h"
#include "model/job_state.h"

#include <stdio.h>
#include <string.h>

enum { LIST_LIMIT = 100, LIST_LIMIT_MAX = 10000 };

/* What is done for a target, by what the deploy makes. */
static const char *const phase_names[][3] = {
    [DEPLOY_SNAPSHOTS] = {[DEPLOY_RUN_BEGIN] = "snapshot", [DEPLOY_RUN_REVERT] = "revert", [DEPLOY_RUN_DELETE] = "delete"},
    [DEPLOY_BACKUPS] = {[DEPLOY_RUN_BEGIN] = "backup", [DEPLOY_RUN_REVERT] = "revert", [DEPLOY_RUN_DELETE] = "delete"},
};

/* Of what the others do not have there is nothing to say. */
static void only_its_own(json_t *item, const struct deploy *deploy)
{
    static const char *const of_backups[] = {"repository", "kind", "rate_limit_bytes"};

    if (deploy->operation == DEPLOY_BACKUPS)
        json_object_del(item, "snapshot");
    for (size_t i = 0; i < 3 && deploy->operation != DEPLOY_BACKUPS; i++)
        json_object_del(item, of_backups[i]);
}

static json_t *deploy_json(const struct ledger_entry *entry)
{
    const struct deploy *deploy = entry->deploy;
    json_t *item = plans_record(&deploy_record, deploy);

    json_object_set_new(item, "deploy_id", json_string(entry->id));
    json_object_set_new(item, "ended", json_boolean(deploy_ended(deploy)));
    json_object_set_new(item, "deadline_at",
                        deploy->state == DEPLOY_READY ? plans_time(deploy->state_at_ms + deploy->timeout_ms)
                                                      : json_null());
    json_object_set_new(item, "by", json_string(deploy->token));
    json_object_del(item, "token");
    json_object_del(item, "words");
    only_its_own(item, deploy);
    return item;
}

/* ---- targets ---- */

/* The error of a job that did not succeed, as the view has it. */
static json_t *why_of(struct view_reader *reader, const char *job_id)
{
    json_t *job = NULL, *why;

    if (!reader || view_job(reader, job_id, &job, NULL) < 0 || !job)
        return json_null();
    const json_t *error = json_object_get(job, "error");
    const char *text = json_string_value(json_object_get(error, "text"));
    why = text ? json_string(text) : json_null();
    json_decref(job);
    return why;
}

static json_t *job_json(struct view_reader *reader, const struct run *run, const struct run_member *member,
                        const char *job_id, const struct job_word *word)
{
    const char *state = member->skipped ? "REFUSED"
                        : !word->known  ? (run->ended_at_ms ? "NOT_STARTED" : "PENDING")
                        : word->ended   ? job_state_names[word->state]
                        : word->lost    ? "LOST"
                                        : "OPEN";
    bool failed = word->known && !(word->ended && word->state == STATE_SUCCEEDED);

    json_t *item = json_pack("{s:o, s:s, s:o}", "job_id", word->known ? json_string(job_id) : json_null(), "state",
                             state, "why",
                             member->skipped ? json_string(member->skipped)
                             : failed        ? why_of(reader, job_id)
                                             : json_null());
    if (run->group_limit_ms && word->known)
        plans_add_group(reader, job_id, item);
    return item;
}

static json_t *find_target(json_t *targets, const struct run_member *member, const char *begun)
{
    size_t index;
    json_t *item;

    json_array_foreach(targets, index, item)
    {
        if (strcmp(json_string_value(json_object_get(item, "target")), member->target) == 0)
            return item;
    }
    item = json_pack("{s:s, s:s?, s:s, s:n, s:n, s:n}", "target", member->target, "name", member->name, "host",
                     member->host, begun, "revert", "delete");
    json_array_append_new(targets, item);
    return item;
}

/* What became of the members of one run, into the targets. The id of the run, or null. */
static json_t *add_run(struct coordinator *coordinator, struct view_reader *reader, const char *id,
                       const char *const phases[3], enum deploy_run kind, int64_t slot_ms, json_t *targets,
                       struct err *err)
{
    CLEANUP(ledger_entry_freep) struct ledger_entry *head = NULL;
    CLEANUP(run_members_clear) struct run_members members = {0};
    char run_id[UUID_TEXT], job_id[1][UUID_TEXT];
    struct job_word word;

    deploy_run_id(id, kind, slot_ms, run_id);
    if (!slot_ms || coordinator_get(coordinator, LEDGER_RUN, run_id, &head, err) < 0 || !head || head->gone ||
        !head->run || run_load_members(coordinator, run_id, head->run, &members.members, err) < 0)
        return json_null();
    for (size_t i = 0; i < members.members.count; i++) {
        const struct run_member *member = list_at(&members.members, struct run_member, i);
        plan_job_id(head->run, member, job_id[0]);
        runs_job_words(coordinator, job_id, 1, &word);
        json_object_set_new(find_target(targets, member, phases[DEPLOY_RUN_BEGIN]), phases[kind],
                            job_json(reader, head->run, member, job_id[0], &word));
    }
    return json_string(run_id);
}

int deploys_show(struct coordinator *coordinator, struct view_reader *reader, const struct caller *caller,
                 const char *id, json_t **out, struct err *err)
{
    CLEANUP(ledger_entry_freep) struct ledger_entry *entry = NULL;

    if (coordinator_get(coordinator, LEDGER_DEPLOY, id, &entry, err) < 0)
        return -1;
    if (!entry || entry->gone || !entry->deploy || !deploys_allow(entry->deploy, caller))
        return 0;
    const struct deploy *deploy = entry->deploy;
    const int64_t slots[] = {[DEPLOY_RUN_BEGIN] = deploy->begun_at_ms,
                             [DEPLOY_RUN_REVERT] = deploy->revert_at_ms,
                             [DEPLOY_RUN_DELETE] = deploy->delete_at_ms};
    json_t *item = deploy_json(entry), *targets = json_array(), *runs = json_object();
    CLEANUP(ledger_entry_freep) struct ledger_entry *word = NULL;
    struct err why = {0};
    deploy_next_word(coordinator, id, deploy->words, &word, &why);
    json_object_set_new(item, "pending", json_boolean(word != NULL));
    for (int kind = DEPLOY_RUN_BEGIN; kind <= DEPLOY_RUN_DELETE; kind++)
        json_object_set_new(runs, deploy_run_names[kind],
                            add_run(coordinator, reader, id, phase_names[deploy->operation], (enum deploy_run)kind,
                                    slots[kind], targets, &why));
    json_object_set_new(item, "targets", targets);
    json_object_set_new(item, "runs", runs);
    if (why.kind) {
        json_decref(item);
        if (err)
            *err = why;
        return -1;
    }
    *out = item;
    return 1;
}

json_t *deploys_dry_json(const char *id, const struct deploy *deploy, const struct list *members, const char *refused)
{
    json_t *targets = json_array();

    for (size_t i = 0; i < members->count; i++) {
        const struct run_member *member = list_at(members, struct run_member, i);
        json_array_append_new(targets, json_pack("{s:s, s:s?, s:s, s:s?}", "target", member->target, "name",
                                                 member->name, "host", member->host, "refused", member->skipped));
    }
    bool backups = deploy->operation == DEPLOY_BACKUPS;
    return json_pack("{s:s, s:b, s:s, s:s, s:s*, s:o, s:s?}", "deploy_id", id, "dry_run", 1, "operation",
                     deploy_operation_names[deploy->operation], "selector", deploy->selector, "snapshot",
                     backups ? NULL : deploy->snapshot, "targets", targets, "refused", refused);
}

/* ---- list ---- */

static bool any(const struct deploy *deploy, int64_t now_ms)
{
    (void)deploy;
    (void)now_ms;
    return true;
}

static bool open(const struct deploy *deploy, int64_t now_ms)
{
    (void)now_ms;
    return !deploy_ended(deploy);
}

int deploys_list(struct coordinator *coordinator, const struct caller *caller, bool open_only, int64_t limit,
                 json_t **out, struct err *err)
{
    CLEANUP(deploy_copies_clear) struct deploy_copies copies = {0};
    size_t most = limit > 0 && limit < LIST_LIMIT_MAX ? (size_t)limit : LIST_LIMIT;

    if (deploys_copy(coordinator, open_only ? open : any, 0, &copies, err) < 0)
        return -1;
    *out = json_array();
    for (size_t i = copies.count; i-- > 0 && json_array_size(*out) < most;)
        if (deploys_allow(copies.items[i]->deploy, caller))
            json_array_append_new(*out, deploy_json(copies.items[i]));
    return 0;
}
