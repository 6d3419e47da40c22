/* Deploys in the ledger: one record that only the planner changes once it is there, and what it was told, each written once. */
#include "coordinator/deploys.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/uuid.h"
#include "coordinator/deploy_plan.h"
#include "coordinator/deploys_json.h"
#include "coordinator/internal.h"
#include "coordinator/runs.h"

#include <stdio.h>
#include <string.h>

enum { WORD_ID = DEPLOY_ID_MAX + 24, TRIES = 5 };

static void word_id(const char *id, int64_t n, char out[WORD_ID])
{
    snprintf(out, WORD_ID, "%.100s/%lld", id, (long long)n);
}

/* ---- reading ---- */

static const struct deploy *deploy_of(const struct ledger_node *node)
{
    const struct ledger_entry *entry = node->entry;

    return entry && entry->kind == LEDGER_DEPLOY && !entry->gone ? entry->deploy : NULL;
}

static void copies_clear(struct deploy_copies *copies)
{
    for (size_t i = 0; i < copies->count; i++)
        ledger_entry_free(copies->items[i]);
    free(copies->items);
}

static int oldest_first(const void *a, const void *b)
{
    const struct ledger_entry *const *one = a, *const *other = b;
    int64_t left = (*one)->deploy->begun_at_ms, right = (*other)->deploy->begun_at_ms;

    return left != right ? (left < right ? -1 : 1) : strcmp((*one)->id, (*other)->id);
}

int deploys_copy(struct coordinator *coordinator, bool (*wanted)(const struct deploy *deploy, int64_t now_ms),
                 int64_t now_ms, struct deploy_copies *out, struct err *err)
{
    CLEANUP(copies_clear) struct deploy_copies copies = {0};
    LOCK_SCOPE(&coordinator->lock);

    for (struct ledger_node *node = ledger_first_other(coordinator->ledger); node; node = node->next) {
        const struct deploy *deploy = deploy_of(node);
        if (!deploy || !wanted(deploy, now_ms))
            continue;
        struct ledger_entry **items = reallocarray(copies.items, copies.count + 1, sizeof *items);
        if (!items)
            return err_memory(err, "deploys");
        copies.items = items;
        if (ledger_entry_clone(node->entry, &items[copies.count], err) < 0)
            return -1;
        copies.count++;
    }
    if (copies.count)
        qsort(copies.items, copies.count, sizeof *copies.items, oldest_first);
    *out = copies;
    copies = (struct deploy_copies){0};
    return 0;
}

void deploy_copies_clear(struct deploy_copies *copies)
{
    copies_clear(copies);
    *copies = (struct deploy_copies){0};
}

static bool restless(const struct deploy *deploy, int64_t now_ms)
{
    return !deploy_settled(deploy) || deploy_is_old(deploy, now_ms);
}

int deploys_each_restless(struct coordinator *coordinator, int64_t now_ms,
                          int (*each)(void *context, const struct ledger_entry *entry, struct err *err), void *context,
                          struct err *err)
{
    CLEANUP(copies_clear) struct deploy_copies copies = {0};

    if (deploys_copy(coordinator, restless, now_ms, &copies, err) < 0)
        return -1;
    for (size_t i = 0; i < copies.count; i++)
        if (each(context, copies.items[i], err) < 0)
            return -1;
    return (int)copies.count;
}

int deploy_next_word(struct coordinator *coordinator, const char *id, int64_t words, struct ledger_entry **out,
                     struct err *err)
{
    CLEANUP(ledger_entry_freep) struct ledger_entry *entry = NULL;
    char its[WORD_ID];

    word_id(id, words + 1, its);
    if (coordinator_get(coordinator, LEDGER_DEPLOY, its, &entry, err) < 0)
        return -1;
    *out = entry && !entry->gone && entry->word ? TAKE_PTR(entry) : NULL;
    return 0;
}

int deploy_members(struct coordinator *coordinator, const char *id, const struct deploy *deploy, struct list *out,
                   struct err *err)
{
    CLEANUP(ledger_entry_freep) struct ledger_entry *head = NULL;
    char run[UUID_TEXT];

    deploy_run_id(id, DEPLOY_RUN_BEGIN, deploy->begun_at_ms, run);
    if (coordinator_get(coordinator, LEDGER_RUN, run, &head, err) < 0)
        return -1;
    return head && !head->gone && head->run ? run_load_members(coordinator, run, head->run, out, err) : 0;
}

static bool holds_targets(const struct deploy *deploy, int64_t now_ms)
{
    (void)now_ms;
    return deploy_holds_targets(deploy);
}

int deploy_blocked(struct coordinator *coordinator, const char *id, const struct list *members, char out[300],
                   struct err *err)
{
    CLEANUP(copies_clear) struct deploy_copies copies = {0};

    if (deploys_copy(coordinator, holds_targets, 0, &copies, err) < 0)
        return -1;
    for (size_t i = 0; i < copies.count; i++) {
        CLEANUP(run_members_clear) struct run_members others = {0};
        const struct ledger_entry *other = copies.items[i];
        if (strcmp(other->id, id) == 0)
            continue;
        if (deploy_members(coordinator, other->id, other->deploy, &others.members, err) < 0)
            return -1;
        const struct run_member *common = deploy_plan_common(members, &others.members);
        if (!common)
            continue;
        snprintf(out, 300, "%.100s is in deploy %.100s, which is %s", common->name ? common->name : common->target,
                 other->id, deploy_state_names[other->deploy->state]);
        return 1;
    }
    return 0;
}

/* ---- writing ---- */

int deploy_write(struct coordinator *coordinator, const char *id, const struct deploy *deploy, const char *why,
                 struct err *err)
{
    const struct ledger_entry entry = {.kind = LEDGER_DEPLOY,
                                       .id = (char *)id,
                                       .deploy = (struct deploy *)deploy,
                                       .why = (char *)why}; /* lent: put copies */

    return coordinator_put(coordinator, NULL, &entry, err);
}

/* The words first: without its record they are nothing, but the record says how many there are. */
int deploy_forget(struct coordinator *coordinator, const char *id, const struct deploy *deploy, struct err *err)
{
    char its[WORD_ID];

    for (int64_t n = deploy->words; n >= 1; n--) {
        word_id(id, n, its);
        const struct ledger_entry word = {.kind = LEDGER_DEPLOY, .id = its, .gone = true};
        if (coordinator_put(coordinator, NULL, &word, err) < 0)
            return -1;
    }
    const struct ledger_entry entry = {.kind = LEDGER_DEPLOY, .id = (char *)id, .gone = true};
    return coordinator_put(coordinator, NULL, &entry, err);
}

/* ---- begin ---- */

static int find(struct coordinator *coordinator, const char *id, struct ledger_entry **out, struct err *err)
{
    CLEANUP(ledger_entry_freep) struct ledger_entry *entry = NULL;

    if (coordinator_get(coordinator, LEDGER_DEPLOY, id, &entry, err) < 0)
        return -1;
    *out = entry && !entry->gone && entry->deploy ? TAKE_PTR(entry) : NULL;
    return 0;
}

/* 1: it is that one, as it stands; 0: there is none. */
static int find_same(struct coordinator *coordinator, const char *id, const struct deploy *asked, struct err *err)
{
    CLEANUP(ledger_entry_freep) struct ledger_entry *entry = NULL;

    if (find(coordinator, id, &entry, err) < 0 || !entry)
        return err && err->kind ? -1 : 0;
    bool same = strcmp(entry->deploy->selector, asked->selector) == 0 && strcmp(entry->deploy->token, asked->token) == 0;
    if (same && !entry->deploy->group_limit_ms == !asked->group_limit_ms &&
        entry->deploy->standing == asked->standing && entry->deploy->operation == asked->operation)
        return 1;
    if (same)
        return err_set(err, ERR_CONFLICT, "there is \"%s\" already: %s", id,
                       entry->deploy->operation        ? "a group of backups"
                       : entry->deploy->standing       ? "a group for itself"
                       : entry->deploy->group_limit_ms ? "a deploy of one point in time"
                                                       : "a deploy that is no group");
    err_set(err, ERR_CONFLICT, "there is another deploy \"%s\": begun by %s, for %s", id, entry->deploy->token,
            entry->deploy->selector);
    return err_hint(err, "Every deploy needs an id of its own: the number of the pipeline's run, or a commit");
}

static int look_first(struct coordinator *coordinator, struct view_reader *reader, const char *id,
                      const struct deploy *asked, json_t **out_dry, struct err *err)
{
    CLEANUP(world_freep) struct world *world = NULL;
    CLEANUP(run_clear) struct run run = {0};
    CLEANUP(run_members_clear) struct run_members members = {0};
    char why[300] = "";

    if (world_read(coordinator, reader, &world, err) < 0 ||
        deploy_plan_begin(coordinator, reader, world, id, asked, asked->begun_at_ms, &run, &members.members, err) < 0)
        return -1;
    int blocked = deploy_blocked(coordinator, id, &members.members, why, err);
    if (blocked < 0)
        return -1;
    if (!blocked)
        deploy_plan_refused(&members.members, why);
    if (out_dry) {
        *out_dry = deploys_dry_json(id, asked, &members.members, *why ? why : NULL);
        return 0;
    }
    if (!blocked || asked->overlap == DEPLOY_OVERLAP_WAIT)
        return 0;
    err_set(err, ERR_CONFLICT, "%s", why);
    return err_hint(err, "Wait for it with: fleetsnap deploy begin --overlap wait");
}

/* Of several at once one is first; the same again is known. */
static int write_first(struct coordinator *coordinator, const struct caller *caller, const char *id,
                       const struct deploy *deploy, struct err *err)
{
    const struct ledger_entry entry = {
        .kind = LEDGER_DEPLOY, .id = (char *)id, .deploy = (struct deploy *)deploy, .why = deploy->reason}; /* lent */

    if (coordinator_add(coordinator, caller, &entry, err) < 0 &&
        (err->kind != ERR_CONFLICT || find_same(coordinator, id, deploy, err) <= 0))
        return -1;
    planner_wake(coordinator->planner);
    return 0;
}

/* Lent: its strings are the caller's. */
static struct deploy begun_now(const struct deploy *asked)
{
    struct deploy deploy = *asked;

    deploy.begun_at_ms = deploy.state_at_ms = clock_real_ms();
    deploy.state = DEPLOY_PLANNING;
    deploy.parallel = 1;
    return deploy;
}

int deploys_record(struct coordinator *coordinator, const struct caller *caller, const char *id,
                   const struct deploy *asked, struct err *err)
{
    const struct deploy deploy = begun_now(asked);
    int same = find_same(coordinator, id, &deploy, err);

    return same ? (same < 0 ? -1 : 0) : write_first(coordinator, caller, id, &deploy, err);
}

int deploys_begin(struct coordinator *coordinator, struct view_reader *reader, const struct caller *caller,
                  const char *id, const struct deploy *asked, bool dry_run, json_t **out, struct err *err)
{
    const struct deploy deploy = begun_now(asked);
    int same = find_same(coordinator, id, &deploy, err);

    if (same < 0 || (!same && look_first(coordinator, reader, id, &deploy, dry_run ? out : NULL, err) < 0))
        return -1;
    if (dry_run && !same)
        return 0;
    if (!same && write_first(coordinator, caller, id, &deploy, err) < 0)
        return -1;
    return deploys_show(coordinator, reader, caller, id, out, err) < 0 ? -1 : 0;
}

/* ---- words ---- */

bool deploys_allow(const struct deploy *deploy, const struct caller *caller)
{
    const char *own = caller ? caller->selector : NULL;
    size_t len = own ? strlen(own) : 0, all = strlen(deploy->selector);

    if (!own)
        return true;
    return all >= len && strcmp(deploy->selector + all - len, own) == 0 &&
           (all == len || deploy->selector[all - len - 1] == ',');
}

/* How many words there are, and the last that was not taken in (caller frees). */
static int last_word(struct coordinator *coordinator, const char *id, const struct deploy *deploy, int64_t *out_count,
                     struct ledger_entry **out, struct err *err)
{
    struct ledger_entry *next = NULL;

    *out_count = deploy->words;
    while (deploy_next_word(coordinator, id, *out_count, &next, err) == 0 && next) {
        ledger_entry_free(*out);
        *out = TAKE_PTR(next);
        ++*out_count;
    }
    return err && err->kind ? -1 : 0;
}

static int refuse_word(const char *id, const struct deploy *deploy, const struct deploy_word *pending,
                       const struct deploy_word *word, struct err *err)
{
    if (pending)
        return err_set(err, ERR_CONFLICT, "deploy %s was said to have %s before: that stands", id,
                       deploy_says_names[pending->says]);
    if (word->revert && deploy->operation == DEPLOY_SNAPSHOTS && (deploy->cleaned_at_ms || deploy->cleaning))
        return err_set(err, ERR_CONFLICT, "deploy %s cannot be reverted any more: its snapshots are deleted", id);
    err_set(err, ERR_CONFLICT, "deploy %s is %s: that stands", id, deploy_state_names[deploy->state]);
    if (word->revert && deploy->operation == DEPLOY_BACKUPS)
        return err_hint(err, "It is of backups: fleetsnap backup restore --group %s", id);
    if (word->revert)
        return err_hint(err, "By hand: fleetsnap snapshot revert TARGET %s", deploy->snapshot);
    return -1;
}

static int check_order(struct coordinator *coordinator, const char *id, const struct deploy *deploy,
                       const struct deploy_word *word, struct err *err)
{
    CLEANUP(run_members_clear) struct run_members members = {0};

    if (!word->order.count)
        return 0;
    if (deploy_members(coordinator, id, deploy, &members.members, err) < 0)
        return -1;
    const char *stranger = deploy_plan_stranger(&members.members, &word->order);
    if (!stranger || !members.members.count) /* none yet: nothing will be reverted */
        return 0;
    err_set(err, ERR_PERMANENT, "order: \"%s\" is no target of deploy %s, or is named twice", stranger, id);
    return err_hint(err, "Its targets: fleetsnap deploy status %s", id);
}

/* 1: said or known; 0: no such deploy; -1. *out_again: another word came in between. */
static int say_once(struct coordinator *coordinator, const struct caller *caller, const char *id,
                    const struct deploy_word *word, bool dry_run, bool *out_again, struct err *err)
{
    CLEANUP(ledger_entry_freep) struct ledger_entry *entry = NULL, *pending = NULL;
    char its[WORD_ID];
    int64_t count;

    if (find(coordinator, id, &entry, err) < 0)
        return -1;
    if (!entry || !deploys_allow(entry->deploy, caller))
        return 0;
    if (last_word(coordinator, id, entry->deploy, &count, &pending, err) < 0 ||
        check_order(coordinator, id, entry->deploy, word, err) < 0)
        return -1;
    const struct deploy_word *before = pending ? pending->word : NULL;
    enum deploy_hears hears = deploy_hears(entry->deploy, before, word);
    if (hears == DEPLOY_REFUSES)
        return refuse_word(id, entry->deploy, before, word, err);
    if (hears == DEPLOY_KNOWS || dry_run)
        return 1;
    word_id(id, count + 1, its);
    const struct ledger_entry said = {
        .kind = LEDGER_DEPLOY, .id = its, .word = (struct deploy_word *)word, .why = word->reason};
    if (coordinator_add(coordinator, caller, &said, err) == 0)
        return 1;
    *out_again = err->kind == ERR_CONFLICT;
    return -1;
}

int deploys_say(struct coordinator *coordinator, struct view_reader *reader, const struct caller *caller,
                const char *id, const struct deploy_word *word, bool dry_run, json_t **out, struct err *err)
{
    int said = -1;
    bool again = true;

    for (int i = 0; i < TRIES && again; i++) {
        *err = (struct err){0};
        again = false;
        said = say_once(coordinator, caller, id, word, dry_run, &again, err);
    }
    if (said <= 0)
        return said;
    planner_wake(coordinator->planner);
    return deploys_show(coordinator, reader, caller, id, out, err);
}
