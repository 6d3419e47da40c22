#pragma once
/* What a request on the topic fleetsnap.requests means: pure. It is the body of POST /v1/jobs, so nothing that is said there is decided twice. */
#include "model/request.h"

struct err;
struct ledger_token;

enum { REQUEST_SKEW_MS = 15 * 60 * 1000 };

/* Why its writer may not say that; NULL: it may. appended_ms: of the record, by the broker. Its MAC is somebody else's to look at, classes and selector are the API's. */
const char *request_refused(const struct request *request, const struct ledger_token *token, int64_t appended_ms);
/* The JSON; caller frees. What is as if nothing was said of it is left out: the coordinator fills it in, as it does for a person. */
int request_body(const struct request *request, char **out, struct err *err);
