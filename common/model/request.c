#include "model/request.h"

#include "model/fields.h"

static const struct field request_fields[] = {
    STRING(request, request_id, .max = 128),
    ENUM(request, op, op_names), /* before params: says which record they are */
    STRING(request, target, .max = 512),
    PARAMS(request, params),
    STRING(request, token, .max = 128),
    TIME(request, at),
    TIME(request, deadline, OPTIONAL),
    BOOL(request, dry_run, OPTIONAL),
    STRING(request, reason, OPTIONAL, .max = 1024),
    {0},
};
const struct record_type request_record = {"request", sizeof(struct request), request_fields};

static const struct field deploy_event_fields[] = {
    STRING(deploy_event, deploy_id, .max = 128),
    STRING(deploy_event, event, .max = 32),
    STRING(deploy_event, selector, OPTIONAL),
    STRING(deploy_event, token, .max = 128),
    TIME(deploy_event, at),
    INT(deploy_event, ttl_ms, OPTIONAL),
    BOOL(deploy_event, group, OPTIONAL),
    BOOL(deploy_event, revert, OPTIONAL),
    STRING(deploy_event, reason, OPTIONAL, .max = 1024),
    INT(deploy_event, timeout_ms, OPTIONAL),
    INT(deploy_event, within_ms, OPTIONAL),
    ENUM(deploy_event, overlap, deploy_overlap_names, OPTIONAL),
    ENUM(deploy_event, quiesce, quiesce_names, OPTIONAL),
    BOOL(deploy_event, auto_revert, OPTIONAL),
    STRINGS(deploy_event, order, OPTIONAL, .max = DEPLOY_ORDER_MAX),
    BOOL(deploy_event, keep_going, OPTIONAL),
    INT(deploy_event, parallel, OPTIONAL, .fallback = 1),
    {0},
};
const struct record_type deploy_event_record = {"deploy_event", sizeof(struct deploy_event), deploy_event_fields};
