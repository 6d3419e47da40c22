/*
 * The answers of the last requests that changed something, by caller and Idempotency-Key: a client that lost an answer repeats the request and gets it again, and
 * nothing happens twice. In memory only: jobs need no more (their id is derived from the key), for the rest a restart makes the window shorter than 10 minutes.
 * Only what was really done is kept; a refusal may be repeated.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/text.h"
#include "coordinator/api/internal.h"
#include "crypto/digest.h"

#include <string.h>

enum { ENTRIES = 512, KEEP_MS = 10 * 60 * 1000 };

struct entry {
    char key[DIGEST_TEXT];     /* of caller and key; "": free */
    char request[DIGEST_TEXT]; /* of method, path and body */
    int64_t until_ms;
    int status;
    char *location;
    json_t *body;
};

struct replay {
    pthread_mutex_t lock; /* protects entries, next */
    struct entry entries[ENTRIES];
    size_t next;
};

int replay_new(struct replay **out, struct err *err)
{
    struct replay *replay = calloc(1, sizeof *replay);

    if (!replay)
        return err_memory(err, "api");
    pthread_mutex_init(&replay->lock, NULL);
    *out = replay;
    return 0;
}

static void entry_clear(struct entry *entry)
{
    json_decref(entry->body);
    free(entry->location);
    *entry = (struct entry){0};
}

void replay_free(struct replay *replay)
{
    if (!replay)
        return;
    for (size_t i = 0; i < ENTRIES; i++)
        entry_clear(&replay->entries[i]);
    pthread_mutex_destroy(&replay->lock);
    free(replay);
}

/* Parts are joined with a byte that none of them holds. */
static void fingerprint(const struct api_request *request, char key[DIGEST_TEXT], char whole[DIGEST_TEXT])
{
    struct text text = {0};

    text_addf(&text, "%s\n%s", request->caller.token ? request->caller.token : "", request->idempotency_key);
    digest_bytes(text_str(&text), text.len, key);
    text_clear(&text);
    text_addf(&text, "%s\n%s\n", request->method, request->path);
    if (request->body_len)
        text_add_len(&text, request->body, request->body_len);
    digest_bytes(text_str(&text), text.len, whole);
    text_free(&text);
}

static struct entry *find(struct replay *replay, const char *key)
{
    int64_t now = clock_monotonic_ms();

    for (size_t i = 0; i < ENTRIES; i++) {
        struct entry *entry = &replay->entries[i];
        if (*entry->key && entry->until_ms <= now)
            entry_clear(entry);
        if (strcmp(entry->key, key) == 0)
            return entry;
    }
    return NULL;
}

enum replay_answer replay_find(struct replay *replay, const struct api_request *request, struct api_response *response)
{
    char key[DIGEST_TEXT], whole[DIGEST_TEXT];

    fingerprint(request, key, whole);
    LOCK_SCOPE(&replay->lock);
    struct entry *entry = find(replay, key);
    if (!entry)
        return REPLAY_NEW;
    if (strcmp(entry->request, whole) != 0)
        return REPLAY_OTHER;
    response->status = entry->status;
    response->body = json_deep_copy(entry->body);
    response->location = entry->location ? strdup(entry->location) : NULL;
    response->replayed = true;
    return REPLAY_SAME;
}

void replay_store(struct replay *replay, const struct api_request *request, const struct api_response *response)
{
    struct entry fresh = {.until_ms = clock_monotonic_ms() + KEEP_MS, .status = response->status};

    if (response->status >= 300 || !response->body)
        return;
    fingerprint(request, fresh.key, fresh.request);
    fresh.body = json_deep_copy(response->body);
    fresh.location = response->location ? strdup(response->location) : NULL;
    LOCK_SCOPE(&replay->lock);
    struct entry *entry = find(replay, fresh.key);
    if (!entry) {
        entry = &replay->entries[replay->next];
        replay->next = (replay->next + 1) % ENTRIES;
    }
    entry_clear(entry);
    *entry = fresh;
}
