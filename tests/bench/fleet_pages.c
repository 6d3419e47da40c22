#include "bench/fleet_pages.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/parse.h"
#include "bench/fleet_records.h"
#include "bench/usage.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGES = 100, TOKEN_MAX = 4096 };

struct answer {
    char *data;
    size_t len;
};

static size_t take(char *data, size_t one, size_t count, void *context)
{
    struct answer *answer = context;
    char *more = realloc(answer->data, answer->len + one * count + 1);

    if (!more)
        return 0;
    answer->data = more;
    memcpy(answer->data + answer->len, data, one * count);
    answer->len += one * count;
    answer->data[answer->len] = '\0';
    return one * count;
}

/* Its `next`, or "". */
static void get(CURL *curl, const char *base, const char *path, const char *after, char next[300], double *out_ms)
{
    struct answer answer = {0};
    char url[1200];
    long status = 0;

    snprintf(url, sizeof url, "%s%s%s%s", base, path, *after ? (strchr(path, '?') ? "&after=" : "?after=") : "", after);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    double began = usage_wall();
    CURLcode code = curl_easy_perform(curl);
    *out_ms = (usage_wall() - began) * 1000;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK || status != 200) {
        fprintf(stderr, "bench_plan: %s: %s, %ld %s\n", url, curl_easy_strerror(code), status,
                answer.data ? answer.data : "");
        exit(1);
    }
    next[0] = '\0';
    json_t *json = json_loads(answer.data, 0, NULL);
    const char *cursor = json_string_value(json_object_get(json, "next"));
    if (cursor) {
        char *escaped = curl_easy_escape(curl, cursor, 0);
        snprintf(next, 300, "%s", escaped);
        curl_free(escaped);
    }
    json_decref(json);
    free(answer.data);
}

/* Page after page, each asked for with the cursor of the one before; at the end from the beginning. */
static void turn_pages(CURL *curl, const char *base, const char *path)
{
    static double ms[PAGES], cpu_ms[PAGES];
    char next[300] = "", after[300], what[100];

    for (int i = 0; i < PAGES; i++) {
        snprintf(after, sizeof after, "%s", next);
        double cpu = usage_process();
        get(curl, base, path, after, next, &ms[i]);
        cpu_ms[i] = (usage_process() - cpu) * 1000;
    }
    snprintf(what, sizeof what, "GET %.40s", path);
    printf("%-44s p50 %7.2f  p99 %7.2f ms   CPU, with the one who asks: p50 %7.2f  p99 %7.2f ms\n", what,
           usage_percentile(ms, PAGES, 50), usage_percentile(ms, PAGES, 99), usage_percentile(cpu_ms, PAGES, 50),
           usage_percentile(cpu_ms, PAGES, 99));
    fflush(stdout);
}

/* Of machines, jobs and hosts in the middle of the fleet. */
static void ask_all(CURL *curl, const char *base, const struct fleet_size *size)
{
    char target[64], host[64], minute_ago[40], of_host[2][100], of_target[100], young[100];

    fleet_target(target, size->targets / 2);
    fleet_host(host, size->hosts / 2);
    snprintf(of_host[0], sizeof of_host[0], "/targets?host=%s", host);
    snprintf(of_host[1], sizeof of_host[1], "/jobs?host=%s", host);
    snprintf(of_target, sizeof of_target, "/jobs?target=%s", target);
    snprintf(young, sizeof young, "/jobs?since=%s",
             format_rfc3339(clock_real_ms() - 60000, minute_ago, sizeof minute_ago));
    const char *const paths[] = {"/health",
                                 "/targets",
                                 "/targets?limit=1000",
                                 "/targets?name=vm-000077",
                                 "/targets?state=shutoff",
                                 "/targets?state=crashed",
                                 "/targets?selector=app%3Dshop",
                                 of_host[0],
                                 "/hosts",
                                 "/jobs",
                                 "/jobs?limit=1000",
                                 "/jobs?state=FAILED",
                                 "/jobs?state=RUNNING",
                                 "/jobs?state=PARKED",
                                 "/jobs?state=LOST",
                                 "/jobs?open=true",
                                 "/jobs?op=backup.create",
                                 "/jobs?op=backup.restore",
                                 of_host[1],
                                 of_target,
                                 young,
                                 "/points",
                                 "/repositories",
                                 "/runs",
                                 "/policies"};

    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        turn_pages(curl, base, paths[i]);
}

void fleet_ask_pages(int port, const char *token_file, const struct fleet_size *size)
{
    CLEANUP(freep) char *token = NULL;
    char base[64], header[TOKEN_MAX + 40];
    struct err err = {0};
    size_t len;

    if (file_read_secret(token_file, TOKEN_MAX, &token, &len, &err) < 0) {
        fprintf(stderr, "bench_plan: %s\n", err.text);
        exit(1);
    }
    snprintf(header, sizeof header, "Authorization: Bearer %.*s", (int)strcspn(token, "\n"), token);
    snprintf(base, sizeof base, "http://127.0.0.1:%d/v1", port);
    struct curl_slist *headers = curl_slist_append(NULL, header);
    CURL *curl = curl_easy_init();
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    ask_all(curl, base, size);
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
}
