/* The report: all that the view and the ledger know of targets, points and failed jobs is handed to readiness.c. */
#include "base/clock.h"
#include "base/err.h"
#include "coordinator/plans.h"
#include "coordinator/policy.h"
#include "coordinator/readiness.h"
#include "coordinator/runs.h"
#include "coordinator/view.h"
#include "coordinator/view_plan.h"
#include "model/inventory.h"
#include "model/restore_point.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 1000, PAGES_MAX = 20 };

struct reporting {
    struct readiness *readiness;
    struct policy_matcher **matchers; /* by policy */
    bool *selected;
    size_t policies;
};

static int note_host(void *context, const struct inventory_host *host, bool alive, struct err *err)
{
    struct reporting *reporting = context;

    for (size_t i = 0; alive && i < host->repositories.count; i++) {
        const struct inventory_space *space = list_at(&host->repositories, const struct inventory_space, i);
        if (space->ok && space->id && readiness_add_repository(reporting->readiness, space->id, err) < 0)
            return -1;
    }
    return 0;
}

static int note_target(void *context, const struct inventory_target *target, struct err *err)
{
    struct reporting *reporting = context;
    const struct policy_target asked = {target->target.kind, target->target.name, target->host, &target->labels};
    char key[TARGET_TEXT];

    if (strcmp(target->target.kind, "repository") == 0)
        return 0;
    for (size_t i = 0; i < reporting->policies; i++)
        reporting->selected[i] = policy_selects(reporting->matchers[i], &asked);
    return readiness_add_target(reporting->readiness, target_format(&target->target, key), target->target.name,
                                target->host, reporting->selected, err);
}

static int note_point(void *context, const struct restore_point *point, struct err *err)
{
    struct reporting *reporting = context;

    return readiness_add_point(reporting->readiness, point, err);
}

/* ---- jobs that did not succeed ---- */

static const char *text_of(const json_t *object, const char *member)
{
    return json_string_value(json_object_get(object, member));
}

static int note_jobs(struct reporting *reporting, const json_t *jobs, const char *state, struct err *err)
{
    const json_t *job;
    size_t index;

    json_array_foreach(jobs, index, job)
    {
        const struct readiness_failure failure = {text_of(job, "policy"), text_of(job, "op"), state,
                                                  text_of(json_object_get(job, "error"), "text")};
        if (!json_is_true(json_object_get(job, "dry_run")) &&
            readiness_add_failure(reporting->readiness, &failure, err) < 0)
            return -1;
    }
    return 0;
}

static int read_failures(struct reporting *reporting, struct view_reader *reader, const char *state, int64_t since_ms,
                         struct err *err)
{
    struct view_filter filter = {.state = state, .since_ms = since_ms, .limit = PAGE};
    char cursor[64] = "";

    for (int i = 0; i < PAGES_MAX; i++) {
        json_t *page = NULL;
        filter.after = *cursor ? cursor : NULL;
        if (view_jobs(reader, &filter, &page, err) < 0)
            return -1;
        int result = note_jobs(reporting, json_object_get(page, "items"), state, err);
        const char *next = text_of(page, "next");
        snprintf(cursor, sizeof cursor, "%s", next ? next : "");
        json_decref(page);
        if (result < 0 || !*cursor)
            return result;
    }
    return 0;
}

static int read_all(struct reporting *reporting, struct view_reader *reader, int64_t since_ms, struct err *err)
{
    static const char *const states[] = {"FAILED", "REJECTED", "EXPIRED", "PARKED", "LOST", NULL};

    if (view_each_host(reader, note_host, reporting, err) < 0 ||
        view_each_target(reader, note_target, reporting, err) < 0 ||
        view_each_point(reader, "backup", NULL, note_point, reporting, err) < 0)
        return -1;
    for (size_t i = 0; states[i]; i++)
        if (read_failures(reporting, reader, states[i], since_ms, err) < 0)
            return -1;
    return 0;
}

static int add_policies(struct reporting *reporting, const struct policy_set *set, struct err *err)
{
    reporting->policies = set->count;
    reporting->matchers = calloc(set->count + 1, sizeof *reporting->matchers);
    reporting->selected = calloc(set->count + 1, sizeof *reporting->selected);
    if (!reporting->matchers || !reporting->selected)
        return err_memory(err, "report");
    for (size_t i = 0; i < set->count; i++) {
        const struct ledger_policy *policy = set->items[i]->policy;
        if (policy_matcher_new(&policy->policy, &reporting->matchers[i], err) < 0 ||
            readiness_add_policy(reporting->readiness, &policy->policy, policy->paused, err) < 0)
            return -1;
    }
    return 0;
}

int plans_report(struct coordinator *coordinator, struct view_reader *reader, int64_t since_ms, json_t **out,
                 struct err *err)
{
    CLEANUP(policy_set_clear) struct policy_set set = {0};
    CLEANUP(readiness_freep) struct readiness *readiness = NULL;
    struct reporting reporting = {0};
    int result = readiness_new(since_ms, clock_real_ms(), &readiness, err);

    reporting.readiness = readiness;
    if (result == 0)
        result = policies_load(coordinator, &set, err);
    if (result == 0)
        result = add_policies(&reporting, &set, err);
    if (result == 0)
        result = read_all(&reporting, reader, since_ms, err);
    for (size_t i = 0; reporting.matchers && i < reporting.policies; i++)
        policy_matcher_free(reporting.matchers[i]);
    free(reporting.matchers);
    free(reporting.selected);
    return result < 0 ? -1 : readiness_json(readiness, out, err);
}
