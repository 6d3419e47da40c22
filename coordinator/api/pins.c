/* Pins: a restore point that is pinned is taken away by nobody. The ledger has them, Redis names them to the worker right before it would; the answer comes when Redis does. */
#include "base/err.h"
#include "base/parse.h"
#include "base/uuid.h"
#include "coordinator/api/internal.h"
#include "model/target.h"

#include <stdio.h>
#include <string.h>

int api_pin_show(struct api_request *request, json_t *point, struct err *err)
{
    CLEANUP(ledger_entry_freep) struct ledger_entry *entry = NULL;
    const char *id = json_text(point, "id");
    char at[40];

    if (!id || coordinator_get(request->context->coordinator, LEDGER_PIN, id, &entry, err) < 0)
        return -1;
    if (!entry || entry->gone)
        return json_object_set_new(point, "pinned", json_null());
    return json_object_set_new(point, "pinned",
                               json_pack("{s:s, s:s?, s:s}", "reason", facts_get_or(&entry->values, "reason", ""), "by",
                                         entry->who, "at", format_rfc3339(entry->at_ms, at, sizeof at)));
}

/* Whose pins the worker asks for: backups by repository, snapshots by target. */
static int pin_key(const json_t *point, struct ledger_entry *entry, struct err *err)
{
    const json_t *target = json_object_get(point, "target");
    const char *kind = json_text(point, "kind"), *name = json_text(point, "name");

    if (kind && strcmp(kind, "backup") == 0)
        return facts_setf(&entry->values, err, "key", "repository:%s", json_text(point, "repository"));
    if (name && facts_set(&entry->values, "name", name, err) < 0)
        return -1;
    return facts_setf(&entry->values, err, "key", "%s:%s", json_text(target, "kind"), json_text(target, "id"));
}

static int put_pin(struct api_request *request, const json_t *point, const char *reason, struct err *err)
{
    CLEANUP(ledger_entry_clear) struct ledger_entry entry = {.kind = LEDGER_PIN};

    if (pin_key(point, &entry, err) < 0 || facts_set(&entry.values, "reason", reason, err) < 0 ||
        string_set(&entry.id, json_text(point, "id"), err) < 0 || string_set(&entry.why, reason, err) < 0 ||
        string_set(&entry.who, request->caller.token, err) < 0)
        return -1;
    return coordinator_put(request->context->coordinator, &request->caller, &entry, err);
}

int api_points_pin(struct api_request *request, struct api_response *response)
{
    static const char *const members[] = {"reason", NULL};
    const char *reason = api_text(request, "reason");
    json_t *point = NULL;
    struct err err = {0};

    if (!api_members(request, response, members))
        return 0;
    if (!reason || !*reason || strlen(reason) > 1000)
        return api_problem(response, 400, "usage", "reason", NULL, "reason: must say why, in at most 1000 bytes");
    if (api_resolve_point(request, response, request->arguments[0], &point) < 0)
        return 0;
    if (put_pin(request, point, reason, &err) < 0)
        api_problem_err(response, request->arguments[0], &err);
    else
        api_answer(response, 200,
                   json_pack("{s:O, s:b, s:s}", "point", json_object_get(point, "id"), "pinned", 1, "reason", reason));
    json_decref(point);
    return 0;
}

/* A whole id does: its point may be gone. */
static bool find_pin(struct api_request *request, struct api_response *response, struct ledger_entry **out)
{
    const char *asked = request->arguments[0];
    json_t *point = NULL;
    struct err err = {0};

    if (request->caller.selector || !uuid_valid(asked)) {
        if (api_resolve_point(request, response, asked, &point) < 0)
            return false;
        asked = json_text(point, "id");
    }
    int failed = coordinator_get(request->context->coordinator, LEDGER_PIN, asked, out, &err);
    if (failed < 0)
        api_problem_err(response, asked, &err);
    else if (!*out || (*out)->gone)
        api_problem(response, 404, "not_found", asked, NULL, "%.8s is not pinned", asked);
    json_decref(point);
    return failed == 0 && *out && !(*out)->gone;
}

int api_points_unpin(struct api_request *request, struct api_response *response)
{
    static const char *const members[] = {"reason", NULL};
    CLEANUP(ledger_entry_freep) struct ledger_entry *entry = NULL;
    struct err err = {0};

    if (!api_members(request, response, members) || !find_pin(request, response, &entry))
        return 0;
    entry->gone = true;
    if (string_set(&entry->why, api_text(request, "reason"), &err) < 0 ||
        coordinator_put(request->context->coordinator, &request->caller, entry, &err) < 0)
        return api_problem_err(response, request->arguments[0], &err);
    return api_answer(response, 200, json_pack("{s:s, s:b}", "point", entry->id, "pinned", 0));
}
