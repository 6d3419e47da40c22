#pragma once
/* What of a deploy event counts: pure. The same as by HTTP, but for what a record on a topic can be besides: old, or written again. */
#include "model/deploy.h"
#include "model/request.h"

struct err;
struct ledger_token;

enum { DEPLOY_EVENT_SKEW_MS = 15 * 60 * 1000 };

/* Why its writer may not say that, or it is none; NULL: it may. appended_ms: of the record, by the broker. Its MAC is somebody else's to look at. */
const char *deploy_event_refused(const struct deploy_event *event, const struct ledger_token *token,
                                 int64_t appended_ms);
/* What must happen soon or not at all (a snapshot before, a revert after) is too late: a coordinator that reads on after an outage leaves it. */
bool deploy_event_late(const struct deploy_event *event, int64_t appended_ms, int64_t now_ms);
bool deploy_event_begins(const struct deploy_event *event);
/* What it asks for; caller clears. */
int deploy_event_deploy(const struct deploy_event *event, const struct ledger_token *token, struct deploy *out,
                        struct err *err);
int deploy_event_word(const struct deploy_event *event, struct deploy_word *out, struct err *err);
