#include "coordinator/runs.h"

#include "base/clock.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/uuid.h"
#include "coordinator/internal.h"
#include "coordinator/plan.h"
#include "coordinator/view_plan.h"
#include "model/job_state.h"

#include <stdio.h>
#include <string.h>

enum { WORDS_AT_ONCE = 500 };

/* ---- policies ---- */

void policy_id(const char *name, int64_t version, char out[128])
{
    snprintf(out, 128, "%.64s/%lld", name, (long long)version);
}

static bool is_policy(const struct ledger_node *node)
{
    return node->entry && node->entry->kind == LEDGER_POLICY && !node->entry->gone && node->entry->policy;
}

void policy_set_clear(struct policy_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        ledger_entry_free(set->items[i]);
    free(set->items);
    *set = (struct policy_set){0};
}

const struct ledger_entry *policy_set_find(const struct policy_set *set, const char *name)
{
    for (size_t i = 0; i < set->count; i++)
        if (strcmp(set->items[i]->policy->policy.name, name) == 0)
            return set->items[i];
    return NULL;
}

/* Keeps the higher version of each name. */
static int note_policy(struct policy_set *set, const struct ledger_entry *entry, struct err *err)
{
    struct ledger_entry **place = NULL, *copy;

    for (size_t i = 0; i < set->count && !place; i++)
        if (strcmp(set->items[i]->policy->policy.name, entry->policy->policy.name) == 0)
            place = &set->items[i];
    if (place && (*place)->policy->version >= entry->policy->version)
        return 0;
    if (!place) {
        struct ledger_entry **items = reallocarray(set->items, set->count + 1, sizeof *items);
        if (!items)
            return err_memory(err, "policies");
        set->items = items;
    }
    if (ledger_entry_clone(entry, &copy, err) < 0)
        return -1;
    if (place)
        ledger_entry_free(*place);
    else
        place = &set->items[set->count++];
    *place = copy;
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    const struct ledger_entry *const *one = a, *const *other = b;

    return strcmp((*one)->policy->policy.name, (*other)->policy->policy.name);
}

int policies_load(struct coordinator *coordinator, struct policy_set *out, struct err *err)
{
    CLEANUP(policy_set_clear) struct policy_set set = {0};
    LOCK_SCOPE(&coordinator->lock);

    for (struct ledger_node *node = ledger_first_other(coordinator->ledger); node; node = node->next)
        if (is_policy(node) && note_policy(&set, node->entry, err) < 0)
            return -1;
    if (set.count)
        qsort(set.items, set.count, sizeof *set.items, compare_names);
    *out = set;
    set = (struct policy_set){0};
    return 0;
}

int policy_load(struct coordinator *coordinator, const char *name, int64_t version, struct ledger_entry **out,
                struct err *err)
{
    const struct ledger_entry *found = NULL;
    LOCK_SCOPE(&coordinator->lock);

    *out = NULL;
    for (struct ledger_node *node = ledger_first_other(coordinator->ledger); node; node = node->next)
        if (is_policy(node) && strcmp(node->entry->policy->policy.name, name) == 0 &&
            (version ? node->entry->policy->version == version
                     : !found || node->entry->policy->version > found->policy->version))
            found = node->entry;
    return found ? ledger_entry_clone(found, out, err) : 0;
}

uint64_t policies_fingerprint(struct coordinator *coordinator)
{
    LOCK_SCOPE(&coordinator->lock);
    uint64_t mark = ledger_generation(coordinator->ledger);

    for (struct ledger_node *node = ledger_first_other(coordinator->ledger); node; node = node->next)
        if (node->entry && node->entry->kind == LEDGER_POLICY)
            mark = (mark ^ (uint64_t)node->newest.term << 40 ^ (uint64_t)node->newest.n) * 0x100000001b3ULL + 1;
    return mark;
}

/* ---- runs ---- */

struct heads {
    struct ledger_entry **items;
    size_t count;
};

static void heads_clear(struct heads *heads)
{
    for (size_t i = 0; i < heads->count; i++)
        ledger_entry_free(heads->items[i]);
    free(heads->items);
}

static int copy_heads(struct coordinator *coordinator, bool open_only, struct heads *out, struct err *err)
{
    LOCK_SCOPE(&coordinator->lock);
    for (struct ledger_node *node = ledger_first_other(coordinator->ledger); node; node = node->next) {
        const struct ledger_entry *entry = node->entry;
        if (!entry || entry->kind != LEDGER_RUN || entry->gone || !entry->run || (open_only && entry->run->ended_at_ms))
            continue;
        struct ledger_entry **items = reallocarray(out->items, out->count + 1, sizeof *items);
        if (!items)
            return err_memory(err, "runs");
        out->items = items;
        if (ledger_entry_clone(entry, &items[out->count], err) < 0)
            return -1;
        out->count++;
    }
    return 0;
}

int runs_each(struct coordinator *coordinator, bool open_only, run_visitor *visit, void *context, struct err *err)
{
    CLEANUP(heads_clear) struct heads heads = {0};

    if (copy_heads(coordinator, open_only, &heads, err) < 0)
        return -1;
    for (size_t i = 0; i < heads.count; i++)
        if (visit(context, heads.items[i]->id, heads.items[i], err) < 0)
            return -1;
    return 0;
}

static void part_id(const char *id, size_t part, char out[RUN_PART_ID])
{
    snprintf(out, RUN_PART_ID, "%.36s/%u", id, (unsigned)part);
}

static int append_members(struct list *out, const struct list *part, struct err *err)
{
    for (size_t i = 0; i < part->count; i++) {
        struct run_member *member = list_add(out, &run_member_record, err);
        if (!member || record_copy(&run_member_record, member, list_at(part, struct run_member, i), err) < 0)
            return -1;
    }
    return 0;
}

int run_load_members(struct coordinator *coordinator, const char *id, const struct run *run, struct list *out,
                     struct err *err)
{
    struct run_members all = {0};
    char part[RUN_PART_ID];
    int result = 0;

    for (size_t i = 0; result == 0 && i < (size_t)run->parts; i++) {
        LOCK_SCOPE(&coordinator->lock);
        part_id(id, i, part);
        const struct ledger_node *node = ledger_find(coordinator->ledger, LEDGER_RUN, part);
        if (!node || !node->entry || !node->entry->members)
            result = err_set(err, ERR_RETRY, "run %.8s: part %zu of its members is missing", id, i);
        else
            result = append_members(&all.members, &node->entry->members->members, err);
    }
    if (result < 0) {
        run_members_clear(&all);
        return -1;
    }
    *out = all.members;
    return 0;
}

int run_write_head(struct coordinator *coordinator, const struct caller *caller, const char *id, const struct run *run,
                   const char *why, struct err *err)
{
    const struct ledger_entry entry = {
        .kind = LEDGER_RUN, .id = (char *)id, .run = (struct run *)run, .why = (char *)why}; /* lent: put copies */

    return coordinator_put(coordinator, caller, &entry, err);
}

int run_write_part(struct coordinator *coordinator, const char *id, const struct list *members, size_t part,
                   struct err *err)
{
    char its[RUN_PART_ID];
    size_t first = part * RUN_PART_MEMBERS, left = members->count - first;
    struct run_members some = {.members = {.items = list_at(members, struct run_member, first),
                                           .count = left < RUN_PART_MEMBERS ? left : RUN_PART_MEMBERS}};
    const struct ledger_entry entry = {.kind = LEDGER_RUN, .id = its, .members = &some};

    part_id(id, part, its);
    return coordinator_put(coordinator, NULL, &entry, err);
}

int run_write(struct coordinator *coordinator, const struct caller *caller, const char *id, const struct run *run,
              const struct list *members, struct err *err)
{
    char why[200];

    for (size_t part = 0; part < (size_t)run->parts; part++)
        if (run_write_part(coordinator, id, members, part, err) < 0)
            return err_wrap(err, "run %.8s: members", id);
    crash_point("run.before", run->schedule);
    snprintf(why, sizeof why, "policy %.64s, %.64s, %lld members", run->policy, run->schedule, (long long)run->members);
    if (run_write_head(coordinator, caller, id, run, why, err) < 0)
        return err_wrap(err, "run %.8s", id);
    crash_point("run.after", run->schedule);
    return 0;
}

/* The head first: members without one are nothing. */
int run_forget(struct coordinator *coordinator, const char *id, const struct run *run, struct err *err)
{
    char its[RUN_PART_ID];
    const struct ledger_entry head = {.kind = LEDGER_RUN, .id = (char *)id, .gone = true};
    const struct ledger_entry part = {.kind = LEDGER_RUN, .id = its, .gone = true};

    if (coordinator_put(coordinator, NULL, &head, err) < 0)
        return -1;
    for (size_t i = 0; i < (size_t)run->parts; i++) {
        part_id(id, i, its);
        if (coordinator_put(coordinator, NULL, &part, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- sorted lists ---- */

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void strings_sort(struct strings *strings)
{
    if (strings->count)
        qsort(strings->items, strings->count, sizeof *strings->items, compare_strings);
}

bool strings_sorted_have(const struct strings *sorted, const char *text)
{
    return sorted->count && bsearch(&text, sorted->items, sorted->count, sizeof *sorted->items, compare_strings);
}

/* ---- one firing ---- */

static int plan_target(void *context, const struct inventory_target *target, struct err *err)
{
    return plan_add_target(context, target, err);
}

static int plan_point(void *context, const struct restore_point *point, struct err *err)
{
    return plan_add_point(context, point, err);
}

static int skip_busy(struct coordinator *coordinator, const struct policy *policy, struct list *members, struct err *err)
{
    CLEANUP(strings_clear) struct strings busy = {0};

    if (policy->overlap != OVERLAP_SKIP)
        return 0;
    if (runs_busy_targets(coordinator, policy->name, policy_operation_names[policy->operation], &busy, err) < 0)
        return -1;
    for (size_t i = 0; i < members->count; i++) {
        struct run_member *member = list_at(members, struct run_member, i);
        if (!member->skipped && strings_sorted_have(&busy, member->target) &&
            string_set(&member->skipped, "an earlier job of this policy is still open on it", err) < 0)
            return -1;
    }
    return 0;
}

int run_plan(struct coordinator *coordinator, struct view_reader *reader, const struct world *world,
             const struct ledger_policy *policy, const struct policy_schedule *schedule, int64_t slot_ms,
             int64_t now_ms, struct run *out_run, struct list *out_members, struct err *err)
{
    CLEANUP(plan_freep) struct plan *plan = NULL;
    CLEANUP(run_clear) struct run run = {0};
    CLEANUP(run_members_clear) struct run_members members = {0};

    if (plan_new(&policy->policy, world, &plan, err) < 0 || view_each_target(reader, plan_target, plan, err) < 0)
        return -1;
    if (plan_wants_points(&policy->policy) && view_each_point(reader, "backup", NULL, plan_point, plan, err) < 0)
        return -1;
    if (plan_run(plan, policy, schedule, slot_ms, now_ms, &run, &members.members, err) < 0 ||
        skip_busy(coordinator, &policy->policy, &members.members, err) < 0)
        return -1;
    *out_run = run;
    *out_members = members.members;
    run = (struct run){0};
    members = (struct run_members){0};
    return 0;
}

/* ---- jobs ---- */

static struct job_word word_of(const struct ledger_node *node)
{
    struct job_word word = {.known = node != NULL};

    if (!node)
        return word;
    if (node->ended) {
        word.ended = true;
        word.state = node->ended->outcome;
    } else if (node->entry && node->entry->job) {
        word.cancel_asked = node->entry->job->cancel != NULL;
        word.ended = node->entry->job->outcome != NULL;
        word.lost = !word.ended && node->lost;
        word.state = word.ended ? name_index(job_state_names, node->entry->job->outcome) : 0;
    }
    return word;
}

void runs_job_words(struct coordinator *coordinator, char (*ids)[UUID_TEXT], size_t count, struct job_word *out)
{
    for (size_t i = 0; i < count;) {
        LOCK_SCOPE(&coordinator->lock); /* in bites: the main loop waits */
        for (size_t end = i + WORDS_AT_ONCE; i < count && i < end; i++)
            out[i] = word_of(ledger_find_job(coordinator->ledger, ids[i]));
    }
}

int runs_busy_targets(struct coordinator *coordinator, const char *policy, const char *operation, struct strings *out,
                      struct err *err)
{
    char target[TARGET_TEXT];
    int op = (int)op_from_name(operation);
    LOCK_SCOPE(&coordinator->lock);

    for (const struct ledger_node *node = ledger_first_open_job(coordinator->ledger); node; node = node->next) {
        const struct job *job = node->entry && node->entry->job ? node->entry->job->job : NULL;
        if (job && job->op == op && job->policy && strcmp(job->policy, policy) == 0 &&
            strings_add(out, target_format(&job->target, target), err) < 0)
            return -1;
    }
    strings_sort(out);
    return 0;
}

void run_limits_of(const struct coordinator_options *options, const struct run *run, const struct policy *policy,
                   struct run_limits *out)
{
    *out = (struct run_limits){.jobs = options->limits_jobs,
                               .per_host = options->limits_per_host,
                               .per_repository = options->limits_per_repository,
                               .per_pool = options->limits_per_pool,
                               .policy_jobs = run->at_once};
    if (policy) {
        out->policy_jobs = policy->limits.jobs;
        out->policy_per_host = policy->limits.per_host;
        out->policy_per_repository = policy->limits.per_repository;
        out->policy_per_pool = policy->limits.per_pool;
    }
}
