/* Which targets a policy protects, and which none does. */
#include "base/clock.h"
#include "base/err.h"
#include "base/parse.h"
#include "coordinator/plans.h"
#include "coordinator/policy.h"
#include "coordinator/runs.h"
#include "model/ledger_entry.h"

#include <stdlib.h>
#include <string.h>

static int labels_of(const json_t *item, struct facts *out, struct err *err)
{
    const char *name;
    json_t *value;

    json_object_foreach(json_object_get((json_t *)item, "labels"), name,
                        value) if (json_is_string(value) &&
                                   facts_set(out, name, json_string_value(value), err) < 0) return -1;
    return 0;
}

/* The newest backup is older than the strictest of the policies allows, or there is none. */
static bool is_late(const json_t *item, int64_t max_age_ms, int64_t now_ms)
{
    const char *text = json_string_value(json_object_get(json_object_get(item, "last_backup"), "created_at"));
    int64_t created_ms = 0;

    return max_age_ms && (!text || parse_time(text, &created_ms, NULL) < 0 || now_ms - created_ms > max_age_ms);
}

static int annotate(const struct policy_set *set, struct policy_matcher *const *matchers, json_t *item, struct err *err)
{
    CLEANUP(facts_clear) struct facts labels = {0};
    const json_t *own = json_object_get(item, "target");
    json_t *names = json_array();
    int64_t max_age_ms = 0;
    bool backed_up = false;

    if (labels_of(item, &labels, err) < 0)
        return json_decref(names), -1;
    struct policy_target target = {json_string_value(json_object_get(own, "kind")),
                                   json_string_value(json_object_get(own, "name")),
                                   json_string_value(json_object_get(item, "host")), &labels};
    for (size_t i = 0; i < set->count; i++) {
        const struct policy *policy = &set->items[i]->policy->policy;
        if (!policy_selects(matchers[i], &target))
            continue;
        json_array_append_new(names, json_string(policy->name));
        if (policy->operation != POLICY_BACKUP_CREATE || set->items[i]->policy->paused)
            continue;
        backed_up = true;
        if (policy->max_age_ms && (!max_age_ms || policy->max_age_ms < max_age_ms))
            max_age_ms = policy->max_age_ms;
    }
    json_object_set_new(item, "policies", names);
    json_object_set_new(item, "protection",
                        json_string(!backed_up                                   ? "unprotected"
                                    : is_late(item, max_age_ms, clock_real_ms()) ? "late"
                                                                                 : "protected"));
    return 0;
}

int plans_annotate(struct coordinator *coordinator, json_t *items, bool unprotected_only, struct err *err)
{
    CLEANUP(policy_set_clear) struct policy_set set = {0};
    CLEANUP(freep) struct policy_matcher **matchers = NULL;
    int result = policies_load(coordinator, &set, err);

    if (result < 0 || !(matchers = calloc(set.count + 1, sizeof *matchers)))
        return result < 0 ? -1 : err_memory(err, "policies");
    for (size_t i = 0; result == 0 && i < set.count; i++)
        result = policy_matcher_new(&set.items[i]->policy->policy, &matchers[i], err);
    for (size_t i = json_array_size(items); result == 0 && i-- > 0;) {
        json_t *item = json_array_get(items, i);
        result = annotate(&set, matchers, item, err);
        const char *protection = json_string_value(json_object_get(item, "protection"));
        if (result == 0 && unprotected_only && strcmp(protection, "protected") == 0)
            json_array_remove(items, i);
    }
    for (size_t i = 0; i < set.count; i++)
        policy_matcher_free(matchers[i]);
    return result;
}
