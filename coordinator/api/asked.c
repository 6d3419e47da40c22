/* Jobs that are not asked for by HTTP: the same way behind the token. */
#include "base/clock.h"
#include "base/err.h"
#include "coordinator/api/http.h"

#include <stdio.h>
#include <string.h>

enum { VIEW_MS = 60 * 1000 };

/* With all that a job needs there, what is refused is refused for good. What is not found by a coordinator that has just started may be in what its view has not read yet. */
static bool may_pass(struct coordinator *coordinator, int status)
{
    struct coordinator_state state;

    coordinator_state(coordinator, &state);
    bool whole = state.leading && state.kafka_ok && state.redis_ok && !state.redis_rebuilding;
    return status == 504 || (status >= 500 && !whole) ||
           (status == 404 && clock_real_ms() - state.started_at_ms < VIEW_MS);
}

static enum request_answer judge(struct api *api, const struct api_response *response, char *why, size_t size)
{
    const char *hint = json_text(response->body, "hint"), *detail = json_text(response->body, "detail");

    if (response->status == 202)
        return REQUEST_TAKEN;
    snprintf(why, size, "%s%s%s", detail ? detail : "it was not answered", hint ? ". " : "", hint ? hint : "");
    return may_pass(api->context.coordinator, response->status) ? REQUEST_LATER : REQUEST_REFUSED;
}

enum request_answer api_ask(struct api *api, const struct caller *caller, const char *key, const char *body, char *why,
                            size_t size)
{
    struct api_request request = {.context = &api->context,
                                  .method = "POST",
                                  .path = "/v1/jobs",
                                  .idempotency_key = key,
                                  .peer = caller->from,
                                  .body = body,
                                  .body_len = strlen(body)};
    struct api_response response = {0};
    struct err err = {0};

    snprintf(why, size, "%s", "");
    if ((!api->asking && view_reader_open(api->context.view_path, &api->asking, &err) < 0) ||
        api_caller_fill(&request.caller, caller->token, caller->role, caller->classes, caller->selector, &err) < 0) {
        snprintf(why, size, "%s", err.text);
        api_request_clear(&request);
        return REQUEST_LATER;
    }
    request.caller.from = caller->from;
    request.reader = api->asking;
    api_dispatch_known(&request, &response);
    enum request_answer asked = judge(api, &response, why, size);
    api_response_clear(&response);
    api_request_clear(&request);
    return asked;
}
