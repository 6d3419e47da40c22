#include "coordinator/cli/http.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ANSWER_MAX = 64 * 1024 * 1024,
    EVENT_MAX = 4 * 1024 * 1024,
    CONNECT_S = 5,
    ANSWER_S = 60,
    SILENT_S = 30,
    TICK_MS = 100
};

struct http {
    CURL *curl;
    char *url;
    char *authorization; /* the header, NULL: none */
    int answer_s;
};

void http_patience(struct http *http, int seconds)
{
    http->answer_s = seconds;
}

int http_open(const char *url, const char *token, struct http **out, struct err *err)
{
    struct http *http = calloc(1, sizeof *http);

    if (!http)
        return err_memory(err, "http");
    curl_global_init(CURL_GLOBAL_DEFAULT);
    http->answer_s = ANSWER_S;
    http->curl = curl_easy_init();
    http->url = strdup(url);
    if (!http->curl || !http->url || (token && asprintf(&http->authorization, "Authorization: Bearer %s", token) < 0)) {
        http->authorization = NULL;
        return http_close(http), err_memory(err, "http");
    }
    size_t len = strlen(http->url);
    while (len && http->url[len - 1] == '/')
        http->url[--len] = '\0';
    *out = http;
    return 0;
}

void http_close(struct http *http)
{
    if (!http)
        return;
    curl_easy_cleanup(http->curl);
    if (http->authorization)
        explicit_bzero(http->authorization, strlen(http->authorization));
    free(http->authorization);
    free(http->url);
    free(http);
}

void http_answer_clear(struct http_answer *answer)
{
    json_decref(answer->body);
    *answer = (struct http_answer){0};
}

char *http_escape(const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    struct text out = {0};

    text_add(&out, "");
    for (; *text; text++) {
        if (strchr(plain, *text))
            text_add_len(&out, text, 1);
        else
            text_addf(&out, "%%%02X", (unsigned char)*text);
    }
    return text_take(&out);
}

static size_t collect(char *data, size_t size, size_t count, void *context)
{
    struct text *text = context;

    if (text->len + size * count > ANSWER_MAX)
        return 0;
    text_add_len(text, data, size * count);
    return text->failed ? 0 : size * count;
}

static struct curl_slist *add_header(struct curl_slist *list, const char *name, const char *value)
{
    CLEANUP(freep) char *line = NULL;

    if (asprintf(&line, "%s: %s", name, value) < 0)
        return line = NULL, list;
    struct curl_slist *more = curl_slist_append(list, line);
    return more ? more : list;
}

/* What every request has. `problem` has CURL_ERROR_SIZE bytes and outlives the transfer. Returns the headers; caller frees. */
static struct curl_slist *prepare(struct http *http, const char *path, const char *key, char *problem)
{
    CLEANUP(freep) char *url = NULL;
    struct curl_slist *headers = NULL;

    curl_easy_reset(http->curl);
    if (asprintf(&url, "%s%s", http->url, path) < 0)
        return url = NULL, NULL;
    *problem = '\0';
    curl_easy_setopt(http->curl, CURLOPT_URL, url);
    curl_easy_setopt(http->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(http->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(http->curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
    curl_easy_setopt(http->curl, CURLOPT_ERRORBUFFER, problem);
    curl_easy_setopt(http->curl, CURLOPT_USERAGENT, "fleetsnap/" FLEETSNAP_VERSION);
    if (http->authorization)
        headers = curl_slist_append(headers, http->authorization);
    if (key)
        headers = add_header(headers, "Idempotency-Key", key);
    headers = curl_slist_append(headers, "Expect:");
    return headers;
}

static int no_answer(struct http *http, CURLcode code, const char *problem, struct err *err)
{
    const char *why = *problem ? problem : curl_easy_strerror(code);

    if (code == CURLE_WRITE_ERROR)
        return err_set_code(err, ERR_PERMANENT, (int)code, "%s: the answer is too long", http->url);
    err_set_code(err, ERR_RETRY, (int)code, "no answer from %s: %s", http->url, why);
    return err_hint(err, "Is the coordinator up there? Another address: --url, or FLEETSNAP_URL");
}

/* Whether the server may have acted although no answer came. */
static bool may_have_arrived(CURLcode code)
{
    return code != CURLE_COULDNT_CONNECT && code != CURLE_COULDNT_RESOLVE_HOST && code != CURLE_COULDNT_RESOLVE_PROXY &&
           code != CURLE_URL_MALFORMAT && code != CURLE_UNSUPPORTED_PROTOCOL && code != CURLE_SSL_CONNECT_ERROR &&
           code != CURLE_PEER_FAILED_VERIFICATION;
}

static int perform(struct http *http, const char *problem, const struct text *text, struct http_answer *out,
                   struct err *err)
{
    CURLcode code = curl_easy_perform(http->curl);
    long status = 0;

    out->sent = code == CURLE_OK || may_have_arrived(code);
    if (code != CURLE_OK)
        return no_answer(http, code, problem, err);
    curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &status);
    out->status = (int)status;
    out->body = text->len ? json_loadb(text->data, text->len, 0, NULL) : NULL;
    return 0;
}

int http_request(struct http *http, const char *method, const char *path, const json_t *body, const char *key,
                 struct http_answer *out, struct err *err)
{
    CLEANUP(freep) char *data = body ? json_dumps(body, JSON_COMPACT) : NULL;
    CLEANUP(text_free) struct text text = {0};
    char problem[CURL_ERROR_SIZE];
    struct curl_slist *headers = prepare(http, path, key, problem);

    *out = (struct http_answer){0};
    if (data)
        headers = curl_slist_append(headers, "Content-Type: application/json");
    curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(http->curl, CURLOPT_TIMEOUT, (long)http->answer_s);
    curl_easy_setopt(http->curl, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(http->curl, CURLOPT_WRITEDATA, &text);
    if (strcmp(method, "GET") != 0) {
        curl_easy_setopt(http->curl, CURLOPT_CUSTOMREQUEST, method);
        curl_easy_setopt(http->curl, CURLOPT_POSTFIELDS, data ? data : "");
        curl_easy_setopt(http->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(data ? strlen(data) : 0));
    }
    int result = perform(http, problem, &text, out, err);
    curl_slist_free_all(headers);
    return result;
}

/* ---- event streams ---- */

struct stream {
    const struct stream_watcher *watcher;
    int64_t *cursor;
    struct text line, name, data;
    struct text plain; /* the answer, when it is no stream */
    bool is_stream, known, stopped;
    CURL *curl;
};

static void dispatch(struct stream *stream)
{
    json_t *data = stream->data.len ? json_loads(text_str(&stream->data), 0, NULL) : NULL;

    if (data && stream->watcher->event(stream->watcher->context, text_str(&stream->name), data) == STREAM_STOP)
        stream->stopped = true;
    json_decref(data);
    text_clear(&stream->name);
    text_clear(&stream->data);
}

static bool field(const char *line, const char *name, const char **value)
{
    size_t len = strlen(name);

    if (strncmp(line, name, len) != 0 || line[len] != ':')
        return false;
    *value = line + len + 1 + (line[len + 1] == ' ');
    return true;
}

static void take_line(struct stream *stream)
{
    const char *line = text_str(&stream->line), *value;

    if (!*line)
        dispatch(stream);
    else if (field(line, "event", &value)) {
        text_clear(&stream->name);
        text_add(&stream->name, value);
    } else if (field(line, "data", &value)) {
        if (stream->data.len)
            text_add(&stream->data, "\n");
        text_add(&stream->data, value);
    } else if (field(line, "id", &value))
        *stream->cursor = strtoll(value, NULL, 10);
    text_clear(&stream->line);
}

static bool is_event_stream(CURL *curl)
{
    const char *type = NULL;

    curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
    return type && strncmp(type, "text/event-stream", 17) == 0;
}

static size_t feed(char *data, size_t size, size_t count, void *context)
{
    struct stream *stream = context;
    size_t len = size * count;

    if (!stream->known) {
        stream->known = true;
        stream->is_stream = is_event_stream(stream->curl);
    }
    if (!stream->is_stream)
        return collect(data, size, count, &stream->plain);
    for (size_t i = 0; i < len && !stream->stopped; i++) {
        if (data[i] == '\n')
            take_line(stream);
        else if (data[i] != '\r')
            text_add_len(&stream->line, data + i, 1);
        if (stream->line.len > EVENT_MAX || stream->data.len > EVENT_MAX)
            return 0;
    }
    return len;
}

/* Runs the transfer; the watcher ticks meanwhile. */
static CURLcode drive(CURLM *multi, struct stream *stream)
{
    int running = 1, left;

    while (!stream->stopped) {
        if (curl_multi_perform(multi, &running) != CURLM_OK)
            return CURLE_OUT_OF_MEMORY;
        if (!running || stream->stopped)
            break;
        if (stream->watcher->tick && stream->watcher->tick(stream->watcher->context) == STREAM_STOP)
            stream->stopped = true;
        else
            curl_multi_poll(multi, NULL, 0, TICK_MS, NULL);
    }
    const CURLMsg *message = curl_multi_info_read(multi, &left);
    return stream->stopped || !message ? CURLE_OK : message->data.result;
}

static void stream_clear(struct stream *stream)
{
    text_free(&stream->line);
    text_free(&stream->name);
    text_free(&stream->data);
    text_free(&stream->plain);
}

static struct curl_slist *prepare_stream(struct http *http, const char *path, struct stream *stream, char *problem)
{
    char cursor[32];
    struct curl_slist *headers = prepare(http, path, NULL, problem);

    snprintf(cursor, sizeof cursor, "%lld", (long long)*stream->cursor);
    if (*stream->cursor > 0)
        headers = add_header(headers, "Last-Event-ID", cursor);
    headers = curl_slist_append(headers, "Accept: text/event-stream");
    curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(http->curl, CURLOPT_WRITEFUNCTION, feed);
    curl_easy_setopt(http->curl, CURLOPT_WRITEDATA, stream);
    curl_easy_setopt(http->curl, CURLOPT_LOW_SPEED_LIMIT, 1L); /* the server speaks every 10 s */
    curl_easy_setopt(http->curl, CURLOPT_LOW_SPEED_TIME, (long)SILENT_S);
    return headers;
}

int http_stream(struct http *http, const char *path, int64_t *cursor, const struct stream_watcher *watcher,
                struct http_answer *answer, struct err *err)
{
    CLEANUP(stream_clear) struct stream stream = {.watcher = watcher, .cursor = cursor, .curl = http->curl};
    char problem[CURL_ERROR_SIZE];
    CURLM *multi = curl_multi_init();
    long status = 0;

    *answer = (struct http_answer){0};
    if (!multi)
        return err_memory(err, "http");
    struct curl_slist *headers = prepare_stream(http, path, &stream, problem);
    curl_multi_add_handle(multi, http->curl);
    CURLcode code = drive(multi, &stream);
    curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_multi_remove_handle(multi, http->curl);
    curl_multi_cleanup(multi);
    curl_slist_free_all(headers);
    if (code != CURLE_OK)
        return no_answer(http, code, problem, err);
    answer->status = (int)status;
    if (!stream.is_stream && stream.plain.len)
        answer->body = json_loadb(stream.plain.data, stream.plain.len, 0, NULL);
    return 0;
}
