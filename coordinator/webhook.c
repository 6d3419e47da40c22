#include "coordinator/webhook.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "crypto/digest.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_PAUSE_MS = 5000, LAST_PAUSE_MS = 600000, DOUBLINGS = 10, CONNECT_MS = 5000 };

struct webhook {
    CURL *curl;
    const _Atomic bool *stopping;
    int64_t timeout_ms;
};

void webhook_sign(const char *secret, int64_t timestamp, const char *body, char out[WEBHOOK_SIGNATURE])
{
    CLEANUP(freep) char *text = NULL;
    char hex[DIGEST_TEXT];

    if (asprintf(&text, "%" PRId64 ".%s", timestamp, body) < 0) {
        text = NULL;
        snprintf(out, WEBHOOK_SIGNATURE, "v1=");
        return;
    }
    digest_hmac(secret, strlen(secret), text, strlen(text), hex);
    snprintf(out, WEBHOOK_SIGNATURE, "v1=%s", hex);
}

int64_t webhook_pause_ms(int64_t failures, uint32_t random)
{
    int64_t doublings = failures < 1           ? 0
                        : failures > DOUBLINGS ? DOUBLINGS
                                               : failures - 1,
            pause_ms = (int64_t)FIRST_PAUSE_MS << doublings;

    if (pause_ms > LAST_PAUSE_MS)
        pause_ms = LAST_PAUSE_MS;
    return pause_ms - pause_ms / 4 + pause_ms / 2 * (random % 1024) / 1023;
}

int webhook_open(int64_t timeout_ms, const _Atomic bool *stopping, struct webhook **out, struct err *err)
{
    struct webhook *webhook = calloc(1, sizeof *webhook);

    if (!webhook)
        return err_memory(err, "webhook");
    curl_global_init(CURL_GLOBAL_DEFAULT);
    webhook->curl = curl_easy_init();
    webhook->stopping = stopping;
    webhook->timeout_ms = timeout_ms;
    if (!webhook->curl) {
        webhook_close(webhook);
        return err_memory(err, "webhook");
    }
    *out = webhook;
    return 0;
}

void webhook_close(struct webhook *webhook)
{
    if (!webhook)
        return;
    curl_easy_cleanup(webhook->curl);
    free(webhook);
}

static size_t ignore(char *data, size_t size, size_t count, void *context)
{
    (void)data;
    (void)context;
    return size * count;
}

static int stop_wanted(void *context, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up_now)
{
    const struct webhook *webhook = context;

    (void)total;
    (void)now;
    (void)up_total;
    (void)up_now;
    return atomic_load(webhook->stopping);
}

static void set_up(struct webhook *webhook, const char *url, const char *body, char *problem)
{
    CURL *curl = webhook->curl;

    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)webhook->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)(webhook->timeout_ms < CONNECT_MS ? webhook->timeout_ms : CONNECT_MS));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "fleetsnap/" FLEETSNAP_VERSION);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, stop_wanted);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, webhook);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, problem);
}

static struct curl_slist *headers_of(const char *secret, const char *body, int64_t now_ms)
{
    char timestamp[64], line[WEBHOOK_SIGNATURE + 32], signature[WEBHOOK_SIGNATURE];
    struct curl_slist *list = curl_slist_append(NULL, "Content-Type: application/json");

    webhook_sign(secret, now_ms / 1000, body, signature);
    snprintf(timestamp, sizeof timestamp, "Fleetsnap-Timestamp: %" PRId64, now_ms / 1000);
    snprintf(line, sizeof line, "Fleetsnap-Signature: %s", signature);
    const char *const more[] = {timestamp, line, "Expect:"};
    for (size_t i = 0; list && i < sizeof more / sizeof *more; i++) {
        struct curl_slist *longer = curl_slist_append(list, more[i]);
        if (!longer) {
            curl_slist_free_all(list);
            return NULL;
        }
        list = longer;
    }
    return list;
}

int webhook_post(struct webhook *webhook, const char *url, const char *secret, const char *body, int64_t now_ms,
                 struct err *err)
{
    struct curl_slist *headers = headers_of(secret, body, now_ms);
    char problem[CURL_ERROR_SIZE] = "";
    long status = 0;

    if (!headers)
        return err_memory(err, "webhook");
    set_up(webhook, url, body, problem);
    curl_easy_setopt(webhook->curl, CURLOPT_HTTPHEADER, headers);
    CURLcode code = curl_easy_perform(webhook->curl);
    curl_easy_getinfo(webhook->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_setopt(webhook->curl, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(webhook->curl, CURLOPT_ERRORBUFFER, NULL);
    curl_slist_free_all(headers);
    if (code != CURLE_OK)
        return err_set_code(err, ERR_RETRY, (int)code, "no answer: %s", *problem ? problem : curl_easy_strerror(code));
    if (status < 200 || status > 299)
        return err_set(err, ERR_RETRY, "it answers %ld", status);
    return 0;
}
