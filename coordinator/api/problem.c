/* Problem documents (RFC 9457): every error of the API has the same shape, and says what, on what, why, and the way out. */
#include "base/err.h"
#include "coordinator/api/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *api_status_title(int status)
{
    static const struct {
        int status;
        const char *title;
    } titles[] = {{200, "OK"},
                  {201, "Created"},
                  {202, "Accepted"},
                  {400, "Bad Request"},
                  {401, "Unauthorized"},
                  {403, "Forbidden"},
                  {404, "Not Found"},
                  {405, "Method Not Allowed"},
                  {409, "Conflict"},
                  {413, "Content Too Large"},
                  {414, "URI Too Long"},
                  {415, "Unsupported Media Type"},
                  {422, "Unprocessable Content"},
                  {431, "Request Header Fields Too Large"},
                  {500, "Internal Server Error"},
                  {503, "Service Unavailable"},
                  {504, "Gateway Timeout"}};

    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
        if (titles[i].status == status)
            return titles[i].title;
    return "Error";
}

static json_t *document(int status, const char *kind, const char *subject, const char *detail, const char *hint)
{
    json_t *body = json_pack("{s:s+, s:s, s:i, s:s, s:s}", "type", "urn:fleetsnap:problem:", kind, "title",
                             api_status_title(status), "status", status, "kind", kind, "detail", detail);
    if (body && subject)
        json_object_set_new(body, "subject", json_string(subject));
    if (body && hint && *hint)
        json_object_set_new(body, "hint", json_string(hint));
    return body;
}

int api_problem(struct api_response *response, int status, const char *kind, const char *subject, const char *hint,
                const char *format, ...)
{
    char detail[1024];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(detail, sizeof detail, format, arguments);
    va_end(arguments);
    json_decref(response->body);
    response->status = status;
    response->body = document(status, kind, subject, detail, hint);
    if (status == 503)
        response->retry_after = 2;
    return 0;
}

int api_problem_err(struct api_response *response, const char *subject, const struct err *err)
{
    int status = 500;

    switch (err->kind) {
    case ERR_RETRY: status = 503; break;
    case ERR_PERMANENT: status = 422; break;
    case ERR_CONFLICT: status = 409; break;
    case ERR_CANCELLED: status = 409; break;
    case ERR_UNKNOWN: status = 504; break;
    case ERR_NONE: break;
    }
    return api_problem(response, status, err_kind_name(err->kind), subject, err->hint, "%s", err->text);
}

int api_usage(struct api_response *response, const char *subject, const struct err *err)
{
    if (err->kind == ERR_RETRY)
        return api_problem_err(response, subject, err);
    return api_problem(response, 400, "usage", subject, err->hint, "%s", err->text);
}

int api_answer(struct api_response *response, int status, json_t *body)
{
    if (!body)
        return api_problem(response, 503, "retry", NULL, NULL, "out of memory");
    json_decref(response->body);
    response->status = status;
    response->body = body;
    return 0;
}

int api_view(struct api_response *response, const char *subject, int failed, json_t *found, const struct err *err)
{
    return failed < 0 ? api_problem_err(response, subject, err) : api_answer(response, 200, found);
}

void api_response_clear(struct api_response *response)
{
    json_decref(response->body);
    free(response->location);
    free(response->allow);
    *response = (struct api_response){0};
}
