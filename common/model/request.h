#pragma once
/* What other systems write: requests and deploy events (topics fleetsnap.requests, fleetsnap.deploys). */
#include "model/deploy.h"
#include "model/job.h"

struct request {
    char *request_id; /* makes a repeat safe */
    int op;
    char *target; /* name, host/name or kind:id */
    void *params;
    char *token; /* name of the API token */
    int64_t at_ms, deadline_ms;
    bool dry_run;
    char *reason;
};

struct deploy_event {
    char *deploy_id;
    char *event; /* begin, succeeded, failed */
    char *selector;
    char *token;
    int64_t at_ms, ttl_ms;
    bool group, revert;
    char *reason;
    int64_t timeout_ms, within_ms;
    int overlap, quiesce; /* enum deploy_overlap, enum quiesce */
    bool auto_revert;
    struct strings order;
    bool keep_going;
    int64_t parallel;
};

extern const struct record_type request_record, deploy_event_record;
DEFINE_RECORD(request, request_record)
DEFINE_RECORD(deploy_event, deploy_event_record)
