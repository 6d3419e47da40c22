/*
 * Deploys that want to be looked at: what the ledger says of each is put together, deploy_decide() says what is next, and that is written. One step a deploy and round: each step is
 * a record, and the next follows from it, here or at another leader.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "coordinator/deploy_plan.h"
#include "coordinator/deploys.h"
#include "coordinator/group.h"
#include "coordinator/planner.h"
#include "coordinator/world.h"
#include "model/job_state.h"

#include <stdio.h>
#include <string.h>

struct looking { /* at one deploy */
    struct planner *planner;
    const char *id;
    const struct deploy *deploy;
    int64_t now_ms;
    enum deploy_run kind;
    char run_id[UUID_TEXT];
    struct ledger_entry *head, *word; /* of its run; the next word */
    struct run begin;                 /* while it is planning: what would be done */
    struct run_members members;
    char blocked[300], crowded[300], unfit[300];
    struct deploy_sight sight;
};

static void looking_clear(struct looking *looking)
{
    ledger_entry_free(looking->head);
    ledger_entry_free(looking->word);
    run_clear(&looking->begin);
    run_members_clear(&looking->members);
}

/* ---- what there is ---- */

static int look_at_run(struct looking *looking, struct err *err)
{
    struct deploy_sight *sight = &looking->sight;
    int64_t slot_ms;

    if (!deploy_run_of(looking->deploy, &looking->kind, &slot_ms))
        return 0;
    deploy_run_id(looking->id, looking->kind, slot_ms, looking->run_id);
    if (coordinator_get(looking->planner->coordinator, LEDGER_RUN, looking->run_id, &looking->head, err) < 0)
        return -1;
    const struct run *run = looking->head && !looking->head->gone ? looking->head->run : NULL;
    sight->has_run = run != NULL;
    sight->stop_asked = run && run->cancel;
    sight->run = run && run->ended_at_ms ? (enum run_outcome)run->outcome : RUN_RUNNING;
    return 0;
}

/* What became of its snapshots, beside the members; where nothing is known nothing was asked. */
static int words_of(struct looking *looking, const struct list *members, struct job_word *words, char (*ids)[UUID_TEXT],
                    struct err *err)
{
    struct coordinator *coordinator = looking->planner->coordinator;
    CLEANUP(ledger_entry_freep) struct ledger_entry *head = NULL;
    char run_id[UUID_TEXT];

    deploy_run_id(looking->id, DEPLOY_RUN_BEGIN, looking->deploy->begun_at_ms, run_id);
    if (coordinator_get(coordinator, LEDGER_RUN, run_id, &head, err) < 0)
        return -1;
    if (!head || !head->run)
        return 0;
    for (size_t i = 0; i < members->count; i++)
        plan_job_id(head->run, list_at(members, struct run_member, i), ids[i]);
    runs_job_words(coordinator, ids, members->count, words);
    return 0;
}

/* The snapshots that are there for sure, or the backups (then each member has the id of its own), and whether one may still come to be; where nobody knows (PARKED) a person decides. */
static int made_of(struct looking *looking, struct list *members, bool *made, bool *out_unended, struct err *err)
{
    CLEANUP(freep) char(*ids)[UUID_TEXT] = calloc(members->count + 1, sizeof *ids);
    CLEANUP(freep) struct job_word *words = calloc(members->count + 1, sizeof *words);

    if (!ids || !words)
        return err_memory(err, looking->id);
    if (words_of(looking, members, words, ids, err) < 0)
        return -1;
    for (size_t i = 0; i < members->count; i++) {
        made[i] = words[i].known && words[i].ended && words[i].state == STATE_SUCCEEDED;
        *out_unended |= words[i].known && !words[i].ended && !strings_sorted_have(&looking->planner->parked, ids[i]);
        if (looking->deploy->operation == DEPLOY_BACKUPS && made[i] &&
            string_set(&list_at(members, struct run_member, i)->point, ids[i], err) < 0)
            return -1;
    }
    return 0;
}

static int look_at_lost(struct looking *looking, struct err *err)
{
    CLEANUP(run_members_clear) struct run_members begun = {0};

    if (!looking->deploy->cleaning || !looking->sight.has_run || looking->sight.run == RUN_RUNNING)
        return 0;
    if (deploy_members(looking->planner->coordinator, looking->id, looking->deploy, &begun.members, err) < 0)
        return -1;
    CLEANUP(freep) bool *made = calloc(begun.members.count + 1, sizeof *made);
    if (!made)
        return err_memory(err, looking->id);
    return made_of(looking, &begun.members, made, &looking->sight.unended, err);
}

struct crowd {
    struct coordinator *coordinator;
    const struct list *members;
    char *why; /* 300 bytes */
};

/* Two groups on one host could wait for each other's executors. A run that is written counts, whatever its deploy says yet. */
static int look_at_group(void *context, const char *id, const struct ledger_entry *head, struct err *err)
{
    struct crowd *crowd = context;
    CLEANUP(run_members_clear) struct run_members others = {0};

    if (!head->run->group_limit_ms || head->run->ended_at_ms || *crowd->why)
        return 0;
    if (run_load_members(crowd->coordinator, id, head->run, &others.members, err) < 0)
        return -1;
    const struct run_member *common = group_same_host(crowd->members, &others.members);
    if (common)
        snprintf(crowd->why, 300, "another consistency group is being made on host %.63s: %.100s", common->host,
                 head->run->deploy ? head->run->deploy : id);
    return 0;
}

/* What its snapshots would be; that it selects nothing may change while a new leader reads on. */
static int look_at_targets(struct looking *looking, struct err *err)
{
    struct planner *planner = looking->planner;
    struct deploy_sight *sight = &looking->sight;
    struct err why = {0};

    if (looking->deploy->state != DEPLOY_PLANNING || sight->has_run)
        return 0;
    sight->unfit_since_ms = looking->deploy->begun_at_ms > planner->led_at_ms ? looking->deploy->begun_at_ms
                                                                              : planner->led_at_ms;
    if (planner_world(planner, err) < 0)
        return -1;
    if (deploy_plan_begin(planner->coordinator, planner->reader, planner->world, looking->id, looking->deploy,
                          looking->now_ms, &looking->begin, &looking->members.members, &why) < 0) {
        snprintf(looking->unfit, sizeof looking->unfit, "%.290s", why.text);
        sight->unfit = looking->unfit;
        if (why.kind == ERR_PERMANENT)
            return 0;
        if (err)
            *err = why;
        return -1;
    }
    int blocked = deploy_blocked(planner->coordinator, looking->id, &looking->members.members, looking->blocked, err);
    sight->blocked = blocked > 0 ? looking->blocked : NULL;
    if (deploy_plan_refused(&looking->members.members, looking->unfit))
        sight->unfit = looking->unfit;
    if (blocked < 0 || !looking->deploy->group_limit_ms)
        return blocked < 0 ? -1 : 0;
    struct crowd crowd = {planner->coordinator, &looking->members.members, looking->crowded};
    if (runs_each(planner->coordinator, true, look_at_group, &crowd, err) < 0)
        return -1;
    sight->crowded = *looking->crowded ? looking->crowded : NULL;
    return 0;
}

static int look_at_token(struct looking *looking, struct err *err)
{
    CLEANUP(ledger_entry_freep) struct ledger_entry *entry = NULL;
    const char *name = looking->deploy->token;

    if (!looking->deploy->auto_revert || looking->deploy->state != DEPLOY_READY)
        return 0;
    if (coordinator_get(looking->planner->coordinator, LEDGER_TOKEN, name, &entry, err) < 0)
        return -1;
    const struct ledger_token *token = entry && !entry->gone ? entry->token : NULL;
    looking->sight.may_revert = token ? strchr(token->classes, 'C') &&
                                            (!token->expires_at_ms || token->expires_at_ms > looking->now_ms)
                                      : strcmp(name, "bootstrap") == 0;
    return 0;
}

static int look(struct looking *looking, struct err *err)
{
    if (look_at_run(looking, err) < 0 || look_at_lost(looking, err) < 0 || look_at_targets(looking, err) < 0 ||
        look_at_token(looking, err) < 0 ||
        deploy_next_word(looking->planner->coordinator, looking->id, looking->deploy->words, &looking->word, err) < 0)
        return -1;
    looking->sight.word = looking->word ? looking->word->word : NULL;
    return 0;
}

/* ---- what is done ---- */

static int start_back(struct looking *looking, struct err *err)
{
    struct coordinator *coordinator = looking->planner->coordinator;
    CLEANUP(run_members_clear) struct run_members begun = {0}, members = {0};
    CLEANUP(run_clear) struct run run = {0};

    if (deploy_members(coordinator, looking->id, looking->deploy, &begun.members, err) < 0)
        return -1;
    CLEANUP(freep) bool *made = calloc(begun.members.count + 1, sizeof *made);
    bool unended = false;
    if (!made)
        return err_memory(err, looking->id);
    if (made_of(looking, &begun.members, made, &unended, err) < 0 ||
        deploy_plan_back(looking->id, looking->deploy, looking->kind, &begun.members, made, looking->now_ms, &run,
                         &members.members, err) < 0)
        return -1;
    return run_write(coordinator, NULL, looking->run_id, &run, &members.members, err);
}

static int start(struct looking *looking, struct err *err)
{
    if (looking->kind != DEPLOY_RUN_BEGIN)
        return start_back(looking, err);
    if (string_set(&looking->begin.requested_by, looking->deploy->token, err) < 0)
        return -1;
    return run_write(looking->planner->coordinator, NULL, looking->run_id, &looking->begin, &looking->members.members,
                     err);
}

static int stop(struct looking *looking, struct err *err)
{
    static const char why[] = "the deploy was said to have failed";

    if (string_set(&looking->head->run->cancel, why, err) < 0)
        return -1;
    return run_write_head(looking->planner->coordinator, NULL, looking->run_id, looking->head->run, why, err);
}

static int write_change(struct looking *looking, const struct deploy_move *move, struct err *err)
{
    struct coordinator *coordinator = looking->planner->coordinator;
    const char *state = deploy_state_names[move->next.state];
    const struct caller us = {.token = coordinator->options.name};
    char action[64];

    if (deploy_write(coordinator, looking->id, &move->next, move->next.why, err) < 0)
        return -1;
    if (!move->warns) {
        log_info(looking->id, "deploy: %s%s", state,
                 move->next.state != looking->deploy->state ? ""
                 : move->next.cleaning                      ? ", what was made is being deleted"
                 : move->next.cleaned_at_ms                 ? ", what was made is deleted"
                                                            : "");
        return 0;
    }
    const char *what = move->next.state == looking->deploy->state || move->next.state == DEPLOY_UNDONE
                           ? "not all that was made for it could be deleted"
                           : move->next.why;
    log_warning(looking->id, "deploy: %s: %s", state, what ? what : "");
    snprintf(action, sizeof action, "deploy.%s", state);
    coordinator_audit(coordinator, &us, action, looking->id, NULL, what ? what : state);
    return 0;
}

static int act(struct looking *looking, struct err *err)
{
    struct deploy_move move;

    deploy_decide(looking->deploy, &looking->sight, looking->now_ms, &move);
    switch (move.act) {
    case DEPLOY_REST: return 0;
    case DEPLOY_START:
        if (start(looking, err) < 0)
            return -1;
        break;
    case DEPLOY_STOP:
        if (stop(looking, err) < 0)
            return -1;
        break;
    case DEPLOY_CHANGE:
        if (write_change(looking, &move, err) < 0)
            return -1;
        break;
    case DEPLOY_FORGET: return deploy_forget(looking->planner->coordinator, looking->id, looking->deploy, err);
    }
    planner_wake(looking->planner);
    return 0;
}

static int drive(void *context, const struct ledger_entry *entry, struct err *err)
{
    struct planner *planner = context;
    CLEANUP(looking_clear)
    struct looking looking = {.planner = planner, .id = entry->id, .deploy = entry->deploy, .now_ms = clock_real_ms()};
    struct err why = {0};

    (void)err;
    if (look(&looking, &why) < 0 || act(&looking, &why) < 0) {
        err_wrap(&why, "deploy %s", entry->id);
        planner_trouble(planner, &why); /* the others go on */
    }
    return 0;
}

int planner_deploys(struct planner *planner, int64_t now_ms, struct err *err)
{
    return deploys_each_restless(planner->coordinator, now_ms, drive, planner, err);
}
