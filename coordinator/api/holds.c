/*
 * Holds: what is held starts nothing. The ledger has them, Redis says no to the workers; the answer comes when Redis does. What runs already goes on, unless it is asked to stop.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/parse.h"
#include "coordinator/api/internal.h"
#include "model/hold.h"
#include "model/job_state.h"
#include "model/select.h"
#include "model/target.h"

#include <stdio.h>
#include <string.h>

enum { REASON_MAX = 500, PAGE = 1000 };

static json_t *time_json(int64_t at_ms)
{
    char text[40];

    return at_ms ? json_string(format_rfc3339(at_ms, text, sizeof text)) : json_null();
}

static json_t *hold_json(const struct ledger_entry *entry)
{
    return json_pack(
        "{s:s, s:s, s:o, s:s?, s:o}", "hold", entry->id, "reason", facts_get_or(&entry->values, "reason", ""), "until",
        time_json(facts_get_int(&entry->values, "until_ms", 0)), "by", entry->who, "at", time_json(entry->at_ms));
}

static int add_hold(void *context, const struct ledger_entry *entry, struct err *err)
{
    if (entry->gone || hold_over(entry, clock_real_ms()))
        return 0;
    return json_array_append_new(context, hold_json(entry)) < 0 ? err_memory(err, "holds") : 0;
}

int api_holds_list(struct api_request *request, struct api_response *response)
{
    json_t *items = json_array();
    struct err err = {0};

    if (coordinator_each(request->context->coordinator, LEDGER_HOLD, add_hold, items, &err) < 0)
        return json_decref(items), api_problem_err(response, "holds", &err);
    return api_answer(response, 200, json_pack("{s:o, s:n}", "items", items, "next"));
}

/* ---- what is to be held; each: false, and the response says why ---- */

static bool take_id(struct api_response *response, enum hold_scope scope, const char *subject, char *id)
{
    struct err err = {0};

    if (hold_id(scope, subject, id, &err) == 0)
        return true;
    return api_usage(response, subject, &err), false;
}

static bool take_target(struct api_request *request, struct api_response *response, const char *text, char *id)
{
    struct api_target target = {0};
    char name[TARGET_TEXT];

    if (api_resolve_target(request, response, text, &target) < 0)
        return false;
    snprintf(name, sizeof name, "%s:%s", target.kind, target.id);
    api_target_clear(&target);
    return take_id(response, HOLD_TARGET, name, id);
}

/* A token for some targets holds only those. */
static bool take_selector(struct api_request *request, struct api_response *response, const char *text, char *id)
{
    const char *own = request->caller.selector;
    struct selector *selector = NULL;
    char both[HOLD_ID_MAX + 1];
    struct err err = {0};

    if (selector_parse(text, &selector, &err) < 0)
        return api_usage(response, "selector", &err), false;
    selector_free(selector);
    if ((size_t)snprintf(both, sizeof both, "%s%s%s", text, own ? "," : "", own ? own : "") >= sizeof both)
        return api_problem(response, 400, "usage", "selector", NULL, "selector: is too long"), false;
    return take_id(response, HOLD_SELECTOR, both, id);
}

static bool take_host(struct api_request *request, struct api_response *response, const char *host, char *id)
{
    if (!api_scope_is_all(request, response))
        return false;
    if (name_valid_host(host))
        return take_id(response, HOLD_HOST, host, id);
    return api_problem(response, 400, "usage", "host", NULL, "\"%s\" is no name of a host", host), false;
}

static bool take_what(struct api_request *request, struct api_response *response, char *id)
{
    const char *target = api_text(request, "target"), *selector = api_text(request, "selector");
    const char *host = api_text(request, "host");
    bool all = api_flag(request, "all");

    if (!!target + !!selector + !!host + all != 1) {
        api_problem(response, 400, "usage", "target", NULL, "say what: one of target, selector, host, all");
        return false;
    }
    if (target)
        return take_target(request, response, target, id);
    if (selector)
        return take_selector(request, response, selector, id);
    if (host)
        return take_host(request, response, host, id);
    return api_scope_is_all(request, response) && take_id(response, HOLD_ALL, "", id);
}

static bool take_words(struct api_request *request, struct api_response *response, struct ledger_entry *entry)
{
    const char *reason = api_text(request, "reason"), *duration = api_text(request, "for");
    int64_t for_ms = 0;
    struct err err = {0};

    if (!reason || !*reason || strlen(reason) > REASON_MAX) {
        api_problem(response, 400, "usage", "reason", NULL,
                    "reason: must say why, in at most %d bytes: it is what a waiting job shows", REASON_MAX);
        return false;
    }
    if (duration && (parse_duration(duration, &for_ms, &err) < 0 || for_ms <= 0)) {
        api_problem(response, 400, "usage", "for", NULL, "for: %s", err.text[0] ? err.text : "must be above 0");
        return false;
    }
    if (facts_set(&entry->values, "reason", reason, &err) < 0 || string_set(&entry->why, reason, &err) < 0 ||
        string_set(&entry->who, request->caller.token, &err) < 0 ||
        (for_ms && facts_set_int(&entry->values, "until_ms", clock_real_ms() + for_ms, &err) < 0)) {
        api_problem_err(response, "hold", &err);
        return false;
    }
    entry->at_ms = clock_real_ms();
    return true;
}

/* ---- --cancel-running ---- */

static bool matches(struct api_request *request, const char *id, const json_t *job)
{
    const json_t *target = json_object_get(job, "target");
    char text[TARGET_TEXT];
    struct view_filter filter = {.target = text, .selector = hold_subject(id), .limit = 1};
    json_t *page = NULL;

    snprintf(text, sizeof text, "%s:%s", json_text(target, "kind"), json_text(target, "id"));
    switch (hold_scope_of(id)) {
    case HOLD_ALL: return true;
    case HOLD_HOST: return json_text(job, "host") && strcmp(json_text(job, "host"), hold_subject(id)) == 0;
    case HOLD_TARGET: return strcmp(text, hold_subject(id)) == 0;
    case HOLD_NONE: return false;
    case HOLD_SELECTOR: break;
    }
    if (view_targets(request->reader, &filter, &page, NULL) < 0)
        return false;
    bool found = json_array_size(json_object_get(page, "items")) > 0;
    json_decref(page);
    return found;
}

static bool class_allowed(const struct api_request *request, const json_t *job)
{
    const char *class = json_text(job, "class");
    int index = class ? name_index(class_names, class) : CLASS_C;

    return api_class_allowed(request->caller.classes, index < 0 ? CLASS_C : (enum job_class)index);
}

static void cancel_one(struct api_request *request, const json_t *job, const char *reason, json_t *asked,
                       json_t *not_asked)
{
    const char *id = json_text(job, "job_id"), *why = "the token does not allow its class";
    struct err err = {0};

    if (class_allowed(request, job)) {
        if (coordinator_cancel(request->context->coordinator, &request->caller, id, reason, &err) == 0) {
            json_array_append_new(asked, json_string(id));
            return;
        }
        why = err.text;
    }
    json_array_append_new(not_asked, json_pack("{s:s, s:s}", "job_id", id, "why", why));
}

/* What runs is asked to stop, as by job cancel. */
static void cancel_running(struct api_request *request, const char *id, const char *reason, json_t *answer)
{
    struct view_filter filter = {.state = job_state_names[STATE_RUNNING], .limit = PAGE};
    json_t *page = NULL, *job, *asked = json_array(), *not_asked = json_array();
    size_t index;

    if (hold_scope_of(id) == HOLD_HOST)
        filter.host = hold_subject(id);
    if (view_jobs(request->reader, &filter, &page, NULL) == 0) {
        json_array_foreach(json_object_get(page, "items"), index, job)
        {
            if (matches(request, id, job))
                cancel_one(request, job, reason, asked, not_asked);
        }
    }
    json_decref(page);
    json_object_set_new(answer, "cancelled", asked);
    json_object_set_new(answer, "not_cancelled", not_asked);
}

int api_holds_create(struct api_request *request, struct api_response *response)
{
    static const char *const members[] = {"target", "selector", "host", "all", "reason", "for", "cancel_running", NULL};
    CLEANUP(ledger_entry_clear) struct ledger_entry entry = {.kind = LEDGER_HOLD};
    char id[HOLD_ID_MAX + 1];
    struct err err = {0};

    if (!api_members(request, response, members) || !take_what(request, response, id) ||
        !take_words(request, response, &entry))
        return 0;
    if (string_set(&entry.id, id, &err) < 0 ||
        coordinator_put(request->context->coordinator, &request->caller, &entry, &err) < 0)
        return api_problem_err(response, id, &err);
    json_t *answer = hold_json(&entry);
    if (api_flag(request, "cancel_running"))
        cancel_running(request, id, entry.why, answer);
    return api_answer(response, 201, answer);
}

/* ---- release ---- */

static bool may_release(struct api_request *request, struct api_response *response, const char *id)
{
    const char *own = request->caller.selector;
    struct err err = {0};

    if (!own)
        return true;
    if (hold_scope_of(id) == HOLD_TARGET) {
        int allowed = api_scope_allows(request, hold_subject(id), &err);
        if (allowed > 0)
            return true;
        if (allowed < 0)
            return api_problem_err(response, id, &err), false;
    }
    size_t len = strlen(own), all = strlen(id);
    if (hold_scope_of(id) == HOLD_SELECTOR && all > len && id[all - len - 1] == ',' && strcmp(id + all - len, own) == 0)
        return true;
    return api_scope_is_all(request, response);
}

/* "target:<name>" may be typed; a target that is gone is known by its id only. */
static bool find_hold(struct api_request *request, struct api_response *response, char *id, struct ledger_entry **out)
{
    const char *asked = request->arguments[0];
    struct coordinator *coordinator = request->context->coordinator;
    struct err err = {0};

    snprintf(id, HOLD_ID_MAX + 1, "%s", asked);
    if (coordinator_get(coordinator, LEDGER_HOLD, id, out, &err) == 0 && !*out && hold_scope_of(asked) == HOLD_TARGET &&
        (!take_target(request, response, hold_subject(asked), id) ||
         coordinator_get(coordinator, LEDGER_HOLD, id, out, &err) < 0))
        return err.kind ? (api_problem_err(response, asked, &err), false) : false;
    if (err.kind)
        return api_problem_err(response, asked, &err), false;
    if (*out && !(*out)->gone)
        return true;
    api_problem(response, 404, "not_found", asked, "All of them: fleetsnap holds", "%s is not held", asked);
    return false;
}

int api_holds_release(struct api_request *request, struct api_response *response)
{
    static const char *const members[] = {"reason", NULL};
    CLEANUP(ledger_entry_freep) struct ledger_entry *entry = NULL;
    char id[HOLD_ID_MAX + 1];
    struct err err = {0};

    if (!api_members(request, response, members) || !find_hold(request, response, id, &entry) ||
        !may_release(request, response, id))
        return 0;
    entry->gone = true;
    if (string_set(&entry->why, api_text(request, "reason"), &err) < 0 ||
        coordinator_put(request->context->coordinator, &request->caller, entry, &err) < 0)
        return api_problem_err(response, id, &err);
    return api_answer(response, 200, json_pack("{s:s, s:b}", "hold", id, "released", 1));
}
