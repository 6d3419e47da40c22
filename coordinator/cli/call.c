#include "coordinator/cli/call.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/text.h"
#include "coordinator/cli/http.h"

#include <stdarg.h>
#include <string.h>
#include <time.h>

void call_query(struct text *path, const char *name, const char *value)
{
    CLEANUP(freep) char *escaped = value ? http_escape(value) : NULL;

    if (escaped)
        text_addf(path, "%s%s=%s", strchr(text_str(path), '?') ? "&" : "?", name, escaped);
}

void call_path(struct text *path, const char *segment)
{
    CLEANUP(freep) char *escaped = http_escape(segment);

    text_addf(path, "/%s", escaped ? escaped : "");
}

/* verbs.md: what a status means for the person who called. */
static int exit_of(int status, const char *kind)
{
    switch (status) {
    case 401:
    case 403: return EXIT_FORBIDDEN;
    case 409: return strcmp(kind, "ambiguous") == 0 ? EXIT_USAGE : EXIT_FAILED;
    case 422: return EXIT_FAILED;
    case 503: return EXIT_UNREACHABLE;
    case 504: return EXIT_UNSEEN;
    default: return status >= 500 ? EXIT_UNREACHABLE : EXIT_USAGE;
    }
}

static int problem(struct cli *cli, const char *subject, const struct http_answer *answer, const char *key)
{
    const char *detail = member_text(answer->body, "detail"), *hint = member_text(answer->body, "hint");
    int code = exit_of(answer->status, member_text(answer->body, "kind"));

    if (cli->json && answer->body)
        cli_print_json(cli, answer->body);
    cli_fail(cli, code, subject, hint, "%s", *detail ? detail : "the coordinator did not say what is wrong");
    if (code == EXIT_UNSEEN && key)
        fprintf(cli->err, "It may have been taken. To ask again safely: --request-id %s\n", key);
    return code;
}

static int unreachable(struct cli *cli, const char *subject, const struct http_answer *answer, const struct err *err,
                       const char *key)
{
    if (!key || !answer->sent)
        return cli_fail_err(cli, EXIT_UNREACHABLE, subject, err);
    cli_fail(cli, EXIT_UNSEEN, subject, NULL, "%s", err->text);
    fprintf(cli->err, "It may have been taken. To ask again safely: --request-id %s\n", key);
    return EXIT_UNSEEN;
}

static void pause_ms(int ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

    nanosleep(&time, NULL);
}

/* Asks again while the coordinator says "later" (a standby is taking over): all our requests may be repeated. */
static int exchange(struct cli *cli, const char *subject, const char *method, const char *path, const json_t *body,
                    const char *key, json_t **out)
{
    int64_t until_ms = clock_monotonic_ms() + cli->retry_ms;
    struct http *http = cli_http(cli);
    struct http_answer answer;
    struct err err = {0};
    bool told = false;

    *out = NULL;
    if (!http)
        return EXIT_USAGE;
    for (;;) {
        if (http_request(http, method, path, body, key, &answer, &err) < 0)
            return unreachable(cli, subject, &answer, &err, key);
        if (answer.status != 503 || clock_monotonic_ms() >= until_ms || cli_interrupted())
            break;
        if (!told)
            fprintf(cli->err, "%s: %s; asking again …\n", subject, member_text(answer.body, "detail"));
        told = true;
        http_answer_clear(&answer);
        pause_ms(500);
    }
    int code = answer.status >= 200 && answer.status < 300 && answer.body ? 0 : problem(cli, subject, &answer, key);
    *out = code ? NULL : json_incref(answer.body);
    http_answer_clear(&answer);
    return code;
}

int call_get(struct cli *cli, const char *subject, json_t **out, const char *format, ...)
{
    CLEANUP(freep) char *path = NULL;
    va_list arguments;

    va_start(arguments, format);
    int len = vasprintf(&path, format, arguments);
    va_end(arguments);
    if (len < 0)
        return path = NULL, cli_fail(cli, EXIT_FAILED, subject, NULL, "out of memory");
    return exchange(cli, subject, "GET", path, NULL, NULL, out);
}

static void append_items(json_t *all, const json_t *page, int64_t limit)
{
    json_t *item;
    size_t index;

    json_array_foreach(json_object_get(page, "items"), index, item)
    {
        if (!limit || (int64_t)json_array_size(all) < limit)
            json_array_append(all, item);
    }
}

static int all_pages(struct cli *cli, const char *subject, int64_t limit, const char *first, json_t *all)
{
    CLEANUP(text_free) struct text path = {0};
    CLEANUP(freep) char *next = NULL;
    char size[24];

    snprintf(size, sizeof size, "%lld", (long long)(limit && limit < 1000 ? limit : 1000));
    do {
        json_t *page = NULL;
        text_clear(&path);
        text_add(&path, first);
        call_query(&path, "limit", size);
        call_query(&path, "after", next);
        int code = exchange(cli, subject, "GET", text_str(&path), NULL, NULL, &page);
        if (code)
            return code;
        append_items(all, page, limit);
        free(next);
        next = *member_text(page, "next") ? strdup(member_text(page, "next")) : NULL;
        json_decref(page);
    } while (next && (!limit || (int64_t)json_array_size(all) < limit));
    return 0;
}

int call_list(struct cli *cli, const char *subject, int64_t limit, json_t **out, const char *format, ...)
{
    CLEANUP(freep) char *path = NULL;
    va_list arguments;

    va_start(arguments, format);
    int len = vasprintf(&path, format, arguments);
    va_end(arguments);
    if (len < 0)
        return path = NULL, cli_fail(cli, EXIT_FAILED, subject, NULL, "out of memory");
    json_t *all = json_array();
    int code = all_pages(cli, subject, limit, path, all);
    if (code)
        json_decref(all);
    else
        *out = all;
    return code;
}

int call_change(struct cli *cli, const char *subject, const char *method, const char *path, const json_t *body,
                const char *key, json_t **out)
{
    return exchange(cli, subject, method, path, body, key, out);
}
