/* Runs, as they are listed, shown and cancelled. */
#include "base/clock.h"
#include "base/err.h"
#include "base/parse.h"
#include "base/uuid.h"
#include "coordinator/internal.h"
#include "coordinator/plan.h"
#include "coordinator/plans.h"
#include "coordinator/plans_json.h"
#include "coordinator/runs.h"
#include "coordinator/view.h"
#include "model/job_state.h"

#include <stdio.h>
#include <string.h>

enum { RUNS_LIMIT = 100, RUNS_LIMIT_MAX = 10000 };

json_t *plans_time(int64_t ms)
{
    char text[40];

    return ms ? json_string(format_rfc3339(ms, text, sizeof text)) : json_null();
}

json_t *plans_record(const struct record_type *type, const void *record)
{
    json_t *json = record_json(type, record, NULL);

    return json ? json : json_null();
}

json_t *plans_run_json(const char *id, const struct run *run)
{
    json_t *item = plans_record(&run_record, run);

    json_object_set_new(item, "run_id", json_string(id));
    json_object_set_new(item, "outcome", json_string(run_outcome_names[run->outcome]));
    json_object_del(item, "parts");
    return item;
}

/* ---- list ---- */

struct listing {
    const char *policy;
    struct listed {
        int64_t planned_ms;
        json_t *item;
    } * items;
    size_t count;
};

static int note_run(void *context, const char *id, const struct ledger_entry *head, struct err *err)
{
    struct listing *listing = context;

    if (listing->policy && strcmp(listing->policy, head->run->policy) != 0)
        return 0;
    struct listed *items = reallocarray(listing->items, listing->count + 1, sizeof *items);
    if (!items)
        return err_memory(err, "runs");
    listing->items = items;
    items[listing->count++] = (struct listed){head->run->planned_at_ms, plans_run_json(id, head->run)};
    return 0;
}

static int newest_first(const void *a, const void *b)
{
    const struct listed *one = a, *other = b;

    return one->planned_ms != other->planned_ms ? (one->planned_ms > other->planned_ms ? -1 : 1) : 0;
}

int plans_runs(struct coordinator *coordinator, const char *policy, bool open_only, int64_t limit, json_t **out,
               struct err *err)
{
    struct listing listing = {.policy = policy};
    size_t most = limit > 0 && limit < RUNS_LIMIT_MAX ? (size_t)limit : RUNS_LIMIT;
    int result = runs_each(coordinator, open_only, note_run, &listing, err);
    json_t *items = json_array();

    if (listing.count)
        qsort(listing.items, listing.count, sizeof *listing.items, newest_first);
    for (size_t i = 0; i < listing.count; i++) {
        if (i < most)
            json_array_append(items, listing.items[i].item);
        json_decref(listing.items[i].item);
    }
    free(listing.items);
    if (result < 0)
        return json_decref(items), -1;
    *out = items;
    return 0;
}

/* ---- consistency groups ---- */

static void add_number(const json_t *facts, const char *fact, json_t *item, const char *member)
{
    const char *text = json_string_value(json_object_get(facts, fact));
    int64_t number;

    if (text && parse_int(text, 0, INT64_MAX, &number, NULL) == 0)
        json_object_set_new(item, member, json_integer(number));
}

void plans_add_group(struct view_reader *reader, const char *job_id, json_t *item)
{
    json_t *job = NULL;

    if (!reader || view_job(reader, job_id, &job, NULL) < 0 || !job)
        return;
    const json_t *facts = json_object_get(json_object_get(job, "result"), "facts");
    add_number(facts, "frozen_ms", item, "frozen_ms");
    add_number(facts, "group_skew_ms", item, "skew_ms");
    add_number(facts, "group_spread_ms", item, "spread_ms");
    json_decref(job);
}

/* ---- one ---- */

struct search {
    const char *prefix;
    size_t found;
    char id[UUID_TEXT];
    struct ledger_entry *head;
};

static int note_match(void *context, const char *id, const struct ledger_entry *head, struct err *err)
{
    struct search *search = context;

    if (strncmp(id, search->prefix, strlen(search->prefix)) != 0)
        return 0;
    if (search->found++)
        return 0;
    snprintf(search->id, sizeof search->id, "%s", id);
    return ledger_entry_clone(head, &search->head, err);
}

/* 1, 0, -1; the head is the caller's. */
static int find_run(struct coordinator *coordinator, const char *prefix, char id[UUID_TEXT], struct ledger_entry **out,
                    struct err *err)
{
    struct search search = {.prefix = prefix};

    if (!uuid_prefix_valid(prefix))
        return 0;
    int result = runs_each(coordinator, false, note_match, &search, err);
    if (result == 0 && search.found > 1)
        result = err_set(err, ERR_CONFLICT, "%s begins the ids of %zu runs: say more of it", prefix, search.found);
    if (result < 0 || !search.found) {
        ledger_entry_free(search.head);
        return result;
    }
    memcpy(id, search.id, UUID_TEXT);
    *out = search.head;
    return 1;
}

static const char *state_text(const struct run *run, const struct run_member *member, const struct job_word *word)
{
    if (member->skipped)
        return run_member_refused(member) ? "REFUSED" : "SKIPPED";
    if (!word->known)
        return run->ended_at_ms ? "CANCELLED" : "PENDING";
    return word->ended ? job_state_names[word->state] : word->lost ? "LOST" : "OPEN";
}

static json_t *members_json(struct coordinator *coordinator, struct view_reader *reader, const struct run *run,
                            const struct list *members, char (*ids)[UUID_TEXT], struct job_word *words)
{
    json_t *items = json_array();

    for (size_t i = 0; i < members->count; i++)
        plan_job_id(run, list_at(members, struct run_member, i), ids[i]);
    runs_job_words(coordinator, ids, members->count, words);
    for (size_t i = 0; i < members->count; i++) {
        const struct run_member *member = list_at(members, struct run_member, i);
        json_t *item = plans_record(&run_member_record, member);
        json_object_set_new(item, "job_id", words[i].known ? json_string(ids[i]) : json_null());
        json_object_set_new(item, "state", json_string(state_text(run, member, &words[i])));
        if (run->group_limit_ms && words[i].known)
            plans_add_group(reader, ids[i], item);
        json_array_append_new(items, item);
    }
    return items;
}

int plans_run_show(struct coordinator *coordinator, struct view_reader *reader, const char *prefix, json_t **out,
                   struct err *err)
{
    CLEANUP(ledger_entry_freep) struct ledger_entry *head = NULL;
    CLEANUP(run_members_clear) struct run_members members = {0};
    char id[UUID_TEXT];
    int found = find_run(coordinator, prefix, id, &head, err);

    if (found <= 0)
        return found;
    if (run_load_members(coordinator, id, head->run, &members.members, err) < 0)
        return -1;
    CLEANUP(freep) char(*ids)[UUID_TEXT] = calloc(members.members.count + 1, sizeof *ids);
    CLEANUP(freep) struct job_word *words = calloc(members.members.count + 1, sizeof *words);
    if (!ids || !words)
        return err_memory(err, "run");
    json_t *item = plans_run_json(id, head->run);
    json_t *list = members_json(coordinator, reader, head->run, &members.members, ids, words);
    json_object_set_new(item, "members", json_integer((json_int_t)members.members.count));
    json_object_set_new(item, "jobs", list);
    *out = item;
    return 1;
}

int plans_run_cancel(struct coordinator *coordinator, const struct caller *caller, const char *prefix,
                     const char *reason, char *out_run_id, struct err *err)
{
    CLEANUP(ledger_entry_freep) struct ledger_entry *head = NULL;
    char text[600];
    int found = find_run(coordinator, prefix, out_run_id, &head, err);

    if (found <= 0)
        return found;
    if (head->run->ended_at_ms)
        return err_set(err, ERR_CONFLICT, "run %.8s has ended already: %s", out_run_id,
                       run_outcome_names[head->run->outcome]);
    if (head->run->cancel)
        return 1;
    snprintf(text, sizeof text, "%s%s%s", caller && caller->token ? caller->token : "", reason ? ": " : "",
             reason ? reason : "");
    if (string_set(&head->run->cancel, text, err) < 0 ||
        run_write_head(coordinator, caller, out_run_id, head->run, reason, err) < 0)
        return -1;
    planner_wake(coordinator->planner);
    return 1;
}
