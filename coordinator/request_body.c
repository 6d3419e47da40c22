#include "coordinator/request_body.h"

#include "base/err.h"
#include "base/parse.h"
#include "model/ledger_entry.h"
#include "model/op.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

const char *request_refused(const struct request *request, const struct ledger_token *token, int64_t appended_ms)
{
    int64_t skew_ms = request->at_ms - appended_ms;

    if (!request->request_id || !*request->request_id)
        return "it has no request_id, so a repeat could not be told from a new one";
    if (skew_ms > REQUEST_SKEW_MS || skew_ms < -REQUEST_SKEW_MS)
        return "its time is not that at which it was written: written again, or by a wrong clock";
    if (token->expires_at_ms && token->expires_at_ms <= appended_ms)
        return "its token had expired";
    return NULL;
}

/* Avro has a value for every field: what equals the field's default, or is an empty text, was not said. At any depth, for a repository is named by one of its three. */
static void drop_what_is_not_said(json_t *object, const json_t *defaults)
{
    const char *name;
    json_t *value;
    void *next;

    json_object_foreach_safe(object, next, name, value)
    {
        const json_t *usual = json_object_get(defaults, name);

        if (json_is_object(value))
            drop_what_is_not_said(value, usual);
        if (json_is_null(value) || (usual && json_equal(value, usual)) ||
            (json_is_string(value) && !json_string_length(value)) || (json_is_object(value) && !json_object_size(value)))
            json_object_del(object, name);
    }
}

static json_t *params_of(const struct request *request, struct err *err)
{
    const struct record_type *type = op_info((enum op)request->op)->params;
    CLEANUP(freep) void *usual = calloc(1, type->size);

    if (!usual)
        return err_memory(err, "request"), NULL;
    if (!request->params)
        return json_object();
    record_defaults(type, usual);
    json_auto_t *defaults = record_json(type, usual, err);
    json_t *params = defaults ? record_json(type, request->params, err) : NULL;
    record_clear(type, usual);
    if (params)
        drop_what_is_not_said(params, defaults);
    return params;
}

int request_body(const struct request *request, char **out, struct err *err)
{
    char deadline[40];
    json_t *params = params_of(request, err);

    if (!params)
        return -1;
    json_auto_t *body = json_pack("{s:s, s:o, s:b}", "op", op_names[request->op], "params", params, "dry_run",
                                  request->dry_run);
    if (!body)
        return err_memory(err, "request");
    if (request->target && *request->target)
        json_object_set_new(body, "target", json_string(request->target));
    if (request->reason && *request->reason)
        json_object_set_new(body, "reason", json_string(request->reason));
    if (request->deadline_ms)
        json_object_set_new(body, "deadline",
                            json_string(format_rfc3339(request->deadline_ms, deadline, sizeof deadline)));
    *out = json_dumps(body, JSON_COMPACT);
    return *out ? 0 : err_memory(err, "request");
}
