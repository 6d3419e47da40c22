/*
 * One exchange: its limits are checked before anything is kept (URL, number of headers, length of the body as announced and as it comes), then it is dispatched on this
 * thread, with this thread's reader of the view. An event stream's connection is suspended while it has nothing to say.
 */
#include "coordinator/api/http.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct exchange {
    size_t uri_len;
    char *path; /* still encoded: libmicrohttpd's own has lost which "/" was a "%2F" inside a name */
    bool begun, refused;
    struct text body;
    int64_t begun_ms;
};

void *http_begin(void *api, const char *uri, struct MHD_Connection *connection)
{
    struct exchange *exchange = calloc(1, sizeof *exchange);

    (void)api;
    (void)connection;
    if (exchange) {
        exchange->uri_len = strlen(uri);
        exchange->path = strndup(uri, strcspn(uri, "?"));
        exchange->begun_ms = clock_monotonic_ms();
    }
    return exchange;
}

void http_completed(void *api, struct MHD_Connection *connection, void **exchange, enum MHD_RequestTerminationCode code)
{
    struct exchange *done = *exchange;

    (void)api;
    (void)connection;
    (void)code;
    if (!done)
        return;
    if (done->body.data)
        explicit_bzero(done->body.data, done->body.len);
    text_free(&done->body);
    free(done->path);
    free(done);
    *exchange = NULL;
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* ---- answers ---- */

struct stream_reader { /* of one connection */
    struct streams *streams;
    int64_t stream;
    struct MHD_Connection *connection;
};

static void resume(void *context)
{
    MHD_resume_connection(((struct stream_reader *)context)->connection);
}

static ssize_t read_stream(void *context, uint64_t position, char *out, size_t max)
{
    struct stream_reader *reader = context;
    long len = streams_read(reader->streams, reader->stream, out, max, resume, reader);

    (void)position;
    if (len < 0)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (len == 0) /* a wake that came between is remembered by the library: it then does not sleep */
        MHD_suspend_connection(reader->connection);
    return len;
}

static void free_stream(void *context)
{
    struct stream_reader *reader = context;

    streams_close(reader->streams, reader->stream);
    free(reader);
}

static struct MHD_Response *stream_response(struct api *api, struct MHD_Connection *connection, int64_t stream)
{
    struct stream_reader *reader = calloc(1, sizeof *reader);

    if (!reader)
        return streams_close(api->context.streams, stream), NULL;
    *reader = (struct stream_reader){.streams = api->context.streams, .stream = stream, .connection = connection};
    struct MHD_Response *response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16 * 1024, read_stream, reader,
                                                                      free_stream);
    if (!response)
        free_stream(reader);
    else
        MHD_add_response_header(response, "Content-Type", "text/event-stream");
    return response;
}

static struct MHD_Response *json_response(const struct api_response *answer)
{
    char *text = json_dumps(answer->body, JSON_COMPACT);

    if (!text)
        return NULL;
    struct MHD_Response *response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
    if (!response)
        return free(text), NULL;
    MHD_add_response_header(response, "Content-Type",
                            answer->status >= 400 ? "application/problem+json" : "application/json");
    return response;
}

static void add_headers(struct MHD_Response *response, const struct api_response *answer)
{
    char seconds[16];

    MHD_add_response_header(response, "Cache-Control", "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (answer->location)
        MHD_add_response_header(response, "Location", answer->location);
    if (answer->allow)
        MHD_add_response_header(response, "Allow", answer->allow);
    if (answer->status == 401)
        MHD_add_response_header(response, "WWW-Authenticate", "Bearer realm=\"fleetsnap\"");
    if (answer->replayed)
        MHD_add_response_header(response, "Idempotency-Replayed", "true");
    if (answer->retry_after) {
        snprintf(seconds, sizeof seconds, "%d", answer->retry_after);
        MHD_add_response_header(response, "Retry-After", seconds);
    }
}

static enum MHD_Result answer(struct api *api, struct MHD_Connection *connection, struct api_response *answer_)
{
    struct MHD_Response *response = answer_->stream ? stream_response(api, connection, answer_->stream)
                                                    : json_response(answer_);

    if (!response)
        return MHD_NO;
    add_headers(response, answer_);
    enum MHD_Result result = MHD_queue_response(connection, (unsigned)(answer_->status ? answer_->status : 200),
                                                response);
    MHD_destroy_response(response);
    return result;
}

/* ---- requests ---- */

static enum MHD_Result add_query(void *context, enum MHD_ValueKind kind, const char *key, const char *value)
{
    (void)kind;
    return facts_set(context, key, value ? value : "", NULL) == 0 ? MHD_YES : MHD_NO;
}

static void peer(struct MHD_Connection *connection, char *out, size_t size)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info ? info->client_addr : NULL;

    *out = '\0';
    if (address && address->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, out, (socklen_t)size);
    else if (address && address->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, out, (socklen_t)size);
}

static struct view_reader *thread_reader(struct api *api, struct err *err)
{
    struct view_reader *reader = pthread_getspecific(api->reader_key);

    if (reader || view_reader_open(api->context.view_path, &reader, err) < 0)
        return reader;
    pthread_setspecific(api->reader_key, reader);
    return reader;
}

static void refuse(struct api_response *response, struct exchange *exchange, int status, const char *what)
{
    exchange->refused = true;
    api_problem(response, status, "too_large", "request", NULL, "%s", what);
}

/* Before anything is read: what is already known to be over a limit. */
static void check_head(const struct api *api, struct MHD_Connection *connection, struct exchange *exchange,
                       struct api_response *response)
{
    const struct api_config *config = &api->context.config;
    const char *length = header(connection, "Content-Length");
    int64_t bytes = 0;

    if (exchange->uri_len > config->url_max_bytes)
        refuse(response, exchange, 414, "the URL is too long");
    else if (MHD_get_connection_values(connection, MHD_HEADER_KIND, NULL, NULL) > config->headers_max)
        refuse(response, exchange, 431, "there are too many headers");
    else if (length && (parse_int(length, 0, INT64_MAX, &bytes, NULL) < 0 || (size_t)bytes > config->body_max_bytes))
        refuse(response, exchange, 413, "the body is too long");
}

static bool is_json(struct MHD_Connection *connection)
{
    const char *type = header(connection, "Content-Type");

    return type && strncasecmp(type, "application/json", 16) == 0 && (!type[16] || strchr("; ", type[16]));
}

static void run(struct api *api, struct MHD_Connection *connection, struct api_request *request,
                struct api_response *response)
{
    struct err err = {0};

    if (MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, add_query, &request->query) < 0 ||
        request->query.count > 64)
        api_problem(response, 400, "usage", "query", NULL, "the query cannot be read");
    else if (request->body_len && !is_json(connection))
        api_problem(response, 415, "usage", "Content-Type", NULL, "send the body as application/json");
    else if (!(request->reader = thread_reader(api, &err)) && strcmp(request->path, "/v1/health") != 0)
        api_problem(response, 503, "retry", "view", "It is built within seconds after the start",
                    "the view is not there: %s", err.text);
    else
        api_dispatch(request, response);
}

static enum MHD_Result serve(struct api *api, struct MHD_Connection *connection, const char *url, const char *method,
                             struct exchange *exchange)
{
    char from[INET6_ADDRSTRLEN];
    struct api_request request = {.context = &api->context,
                                  .method = method,
                                  .path = exchange->path ? exchange->path : url,
                                  .authorization = header(connection, "Authorization"),
                                  .idempotency_key = header(connection, "Idempotency-Key"),
                                  .last_event_id = header(connection, "Last-Event-ID"),
                                  .peer = from,
                                  .body = text_str(&exchange->body),
                                  .body_len = exchange->body.len};
    struct api_response response = {0};

    peer(connection, from, sizeof from);
    request.caller.from = from;
    run(api, connection, &request, &response);
    log_debug("api", "%s %s from %s: %d in %lld ms", method, url, from, response.status ? response.status : 200,
              (long long)(clock_monotonic_ms() - exchange->begun_ms));
    enum MHD_Result result = answer(api, connection, &response);
    request.caller.from = NULL;
    api_request_clear(&request);
    api_response_clear(&response);
    return result;
}

static enum MHD_Result refuse_now(struct api *api, struct MHD_Connection *connection, struct api_response *response)
{
    enum MHD_Result result = answer(api, connection, response);

    api_response_clear(response);
    return result;
}

enum MHD_Result http_access(void *argument, struct MHD_Connection *connection, const char *url, const char *method,
                            const char *version, const char *data, size_t *data_size, void **context)
{
    struct api *api = argument;
    struct exchange *exchange = *context;
    struct api_response response = {0};

    (void)version;
    if (!exchange)
        return MHD_NO;
    if (!exchange->begun) {
        exchange->begun = true;
        check_head(api, connection, exchange, &response);
        return exchange->refused ? refuse_now(api, connection, &response) : MHD_YES;
    }
    if (*data_size) {
        if (exchange->body.len + *data_size <= api->context.config.body_max_bytes)
            text_add_len(&exchange->body, data, *data_size);
        else
            exchange->refused = true; /* the rest is read and thrown away: only then may be answered */
        *data_size = 0;
        return MHD_YES;
    }
    if (exchange->refused || exchange->body.failed) {
        refuse(&response, exchange, 413, "the body is too long");
        return refuse_now(api, connection, &response);
    }
    return serve(api, connection, url, method, exchange);
}
