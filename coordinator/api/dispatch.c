/* The way of every request: route → token → role → body → answered before? → handler. */
#include "base/err.h"
#include "base/text.h"
#include "coordinator/api/internal.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decodes one path segment; NULL if it is malformed or hides a NUL. */
static char *decode(const char *text, size_t len)
{
    char *out = malloc(len + 1);
    size_t used = 0;

    for (size_t i = 0; out && i < len; i++) {
        int value = (unsigned char)text[i];
        if (text[i] == '%') {
            int high = i + 2 < len ? hex_digit(text[i + 1]) : -1;
            int low = i + 2 < len ? hex_digit(text[i + 2]) : -1;
            value = high < 0 || low < 0 ? 0 : high * 16 + low;
            i += 2;
        }
        if (!value)
            return free(out), NULL;
        out[used++] = (char)value;
    }
    if (out)
        out[used] = '\0';
    return out;
}

static void free_arguments(char *arguments[ARGUMENTS_MAX])
{
    for (size_t i = 0; i < ARGUMENTS_MAX; i++) {
        free(arguments[i]);
        arguments[i] = NULL;
    }
}

/* One segment each of pattern and path; true if they agree. */
static bool match_segment(const char *pattern, size_t pattern_len, const char *path, size_t len, char **argument)
{
    if (*pattern != '{')
        return pattern_len == len && memcmp(pattern, path, len) == 0;
    *argument = len ? decode(path, len) : NULL;
    return *argument;
}

bool api_route_match(const struct api_route *route, const char *path, char *arguments[ARGUMENTS_MAX])
{
    const char *pattern = route->pattern;
    size_t count = 0;

    memset(arguments, 0, sizeof(char *) * ARGUMENTS_MAX);
    while (*pattern == '/' && *path == '/') {
        size_t pattern_len = strcspn(++pattern, "/");
        size_t len = strcspn(++path, "/");
        if (!match_segment(pattern, pattern_len, path, len, &arguments[count]))
            break;
        count += *pattern == '{';
        pattern += pattern_len;
        path += len;
    }
    if (!*pattern && !*path)
        return true;
    free_arguments(arguments);
    return false;
}

static const struct api_route *find_route(struct api_request *request, struct api_response *response)
{
    struct text allow = {0};

    for (const struct api_route *route = api_routes; route->method; route++) {
        if (!api_route_match(route, request->path, request->arguments))
            continue;
        if (strcmp(route->method, request->method) == 0)
            return text_free(&allow), route;
        free_arguments(request->arguments);
        text_addf(&allow, "%s%s", allow.len ? ", " : "", route->method);
    }
    if (allow.len) {
        api_problem(response, 405, "usage", request->path, NULL, "%s is not possible here; %s is", request->method,
                    text_str(&allow));
        response->allow = text_take(&allow);
        return NULL;
    }
    api_problem(response, 404, "not_found", request->path, "The routes are in docs/openapi.yaml", "no such route");
    return NULL;
}

static bool is_change(const struct api_request *request)
{
    return strcmp(request->method, "GET") != 0;
}

static bool key_valid(const char *key)
{
    size_t len = strlen(key);

    for (size_t i = 0; i < len; i++)
        if (!isgraph((unsigned char)key[i]))
            return false;
    return len >= 1 && len <= KEY_MAX_BYTES;
}

/* NUL bytes cannot hide: jansson refuses \u0000 unless told otherwise. */
static bool parse_body(struct api_request *request, struct api_response *response)
{
    json_error_t problem;

    if (!request->body_len || !is_change(request))
        return true;
    request->json = json_loadb(request->body, request->body_len, JSON_REJECT_DUPLICATES, &problem);
    if (!request->json) {
        api_problem(response, 400, "usage", "body", NULL, "the body is not JSON: %s (line %d, column %d)", problem.text,
                    problem.line, problem.column);
        return false;
    }
    if (json_is_object(request->json))
        return true;
    api_problem(response, 400, "usage", "body", NULL, "the body is not a JSON object");
    return false;
}

static bool check_key(struct api_request *request, struct api_response *response)
{
    if (!request->idempotency_key || key_valid(request->idempotency_key))
        return true;
    api_problem(response, 400, "usage", "Idempotency-Key", NULL,
                "the key is 1 to %d printable characters without blanks", KEY_MAX_BYTES);
    return false;
}

static void handle_once(struct api_request *request, struct api_response *response)
{
    struct replay *replay = request->context->replay;

    if (!is_change(request) || !request->idempotency_key || !replay) {
        request->route->handler(request, response);
        return;
    }
    switch (replay_find(replay, request, response)) {
    case REPLAY_SAME: return;
    case REPLAY_OTHER:
        api_problem(response, 409, "conflict", "Idempotency-Key", "Use a new key for a new request",
                    "the key was used for another request");
        return;
    case REPLAY_NEW: break;
    }
    request->route->handler(request, response);
    replay_store(replay, request, response);
}

static void answer_known(struct api_request *request, struct api_response *response)
{
    if (request->route->role != ROLE_PUBLIC && !api_authorize(request, response))
        return;
    if (!check_key(request, response) || !parse_body(request, response))
        return;
    handle_once(request, response);
    if (!response->body && !response->stream)
        api_problem(response, 500, "unknown", request->path, NULL, "the request was not answered");
}

void api_dispatch(struct api_request *request, struct api_response *response)
{
    request->route = find_route(request, response);
    if (!request->route || (request->route->role != ROLE_PUBLIC && !api_authenticate(request, response)))
        return;
    answer_known(request, response);
}

void api_dispatch_known(struct api_request *request, struct api_response *response)
{
    request->route = find_route(request, response);
    if (request->route)
        answer_known(request, response);
}

void api_request_clear(struct api_request *request)
{
    free_arguments(request->arguments);
    facts_clear(&request->query);
    json_decref(request->json);
    free(request->caller.token);
    free(request->caller.role);
    free(request->caller.classes);
    free(request->caller.selector);
    request->caller = (struct caller){0};
    request->json = NULL;
}

bool api_members(struct api_request *request, struct api_response *response, const char *const *allowed)
{
    const char *name;
    json_t *value;

    json_object_foreach(request->json, name, value)
    {
        if (name_index(allowed, name) >= 0)
            continue;
        api_problem(response, 400, "usage", name, NULL, "%s: unknown member", name);
        return false;
    }
    return true;
}

const char *json_text(const json_t *object, const char *member)
{
    return json_string_value(json_object_get(object, member));
}

int64_t json_int(const json_t *object, const char *member)
{
    return json_integer_value(json_object_get(object, member));
}

const char *api_text(const struct api_request *request, const char *member)
{
    return json_text(request->json, member);
}

bool api_flag(const struct api_request *request, const char *member)
{
    return json_is_true(json_object_get(request->json, member));
}
