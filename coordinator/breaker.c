#include "coordinator/breaker.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "coordinator/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { KEY = 256, ID = 64 };

struct breaker {
    UT_hash_handle hh;
    bool of_host;
    int64_t failures;    /* in a row */
    char repository[ID]; /* of a host's failures; "": none */
    bool many;           /* they were not all into that one repository */
    int64_t until_ms;    /* open until then, half-open after it; 0: closed */
    int64_t wait_ms;
    char *name; /* in the key */
    char key[];
};

struct breakers {
    struct breaker *items;
};

int breakers_new(struct breakers **out, struct err *err)
{
    *out = calloc(1, sizeof **out);
    return *out ? 0 : err_memory(err, "breakers");
}

void breakers_free(struct breakers *breakers)
{
    struct breaker *breaker, *next;

    if (!breakers)
        return;
    HASH_ITER (hh, breakers->items, breaker, next) {
        HASH_DEL(breakers->items, breaker);
        free(breaker);
    }
    free(breakers);
}

/* NULL: there is none, and it was not to be made, or cannot be. */
static struct breaker *find(struct breakers *breakers, bool of_host, const char *name, bool make)
{
    char key[KEY];
    struct breaker *breaker;
    size_t len = (size_t)snprintf(key, sizeof key, "%s/%.200s", of_host ? "host" : "repository", name);

    HASH_FIND_STR(breakers->items, key, breaker);
    if (breaker || !make || !(breaker = calloc(1, sizeof *breaker + len + 1)))
        return breaker;
    memcpy(breaker->key, key, len + 1);
    breaker->name = strchr(breaker->key, '/') + 1;
    breaker->of_host = of_host;
    HASH_ADD_STR(breakers->items, key, breaker);
    return breaker;
}

static void close_it(struct breakers *breakers, bool of_host, const char *name)
{
    struct breaker *breaker = find(breakers, of_host, name, false);

    if (!breaker)
        return;
    HASH_DEL(breakers->items, breaker);
    free(breaker);
}

/* What was under way when it opened says nothing new; what was let through as a probe does. */
static bool count_failure(struct breaker *breaker, int64_t now_ms)
{
    breaker->failures++;
    if (breaker->until_ms ? now_ms < breaker->until_ms : breaker->failures < BREAKER_FAILURES)
        return false;
    breaker->wait_ms = breaker->wait_ms ? breaker->wait_ms * 2 : BREAKER_FIRST_MS;
    if (breaker->wait_ms > BREAKER_MOST_MS)
        breaker->wait_ms = BREAKER_MOST_MS;
    breaker->until_ms = now_ms + breaker->wait_ms;
    return true;
}

static bool fail_host(struct breaker *breaker, const char *repository, int64_t now_ms)
{
    repository = repository ? repository : "";
    breaker->many |= !*repository || (breaker->failures && strcmp(breaker->repository, repository) != 0);
    snprintf(breaker->repository, sizeof breaker->repository, "%s", repository);
    if (breaker->many)
        return count_failure(breaker, now_ms);
    breaker->failures++;
    return false;
}

void breakers_note(struct breakers *breakers, const char *host, const char *repository, bool ok, int64_t now_ms,
                   bool *out_opened)
{
    *out_opened = false;
    if (ok) {
        close_it(breakers, true, host);
        if (repository)
            close_it(breakers, false, repository);
        return;
    }
    struct breaker *of_host = find(breakers, true, host, true),
                   *of_repository = repository ? find(breakers, false, repository, true) : NULL;
    if (of_host)
        *out_opened |= fail_host(of_host, repository, now_ms);
    if (of_repository)
        *out_opened |= count_failure(of_repository, now_ms);
}

void breakers_limit(const struct breakers *breakers, int64_t now_ms, struct run_load *load)
{
    for (const struct breaker *breaker = breakers->items; breaker; breaker = breaker->hh.next)
        if (breaker->until_ms)
            run_load_break(load, breaker->of_host ? LIMIT_PER_HOST : LIMIT_PER_REPOSITORY, breaker->name,
                           now_ms < breaker->until_ms ? 0 : 1);
}

void breakers_each(const struct breakers *breakers, breaker_visitor *visit, void *context)
{
    for (const struct breaker *breaker = breakers->items; breaker; breaker = breaker->hh.next) {
        const struct breaker_state state = {breaker->of_host ? "host" : "repository", breaker->name, breaker->failures,
                                            breaker->until_ms};
        if (breaker->until_ms)
            visit(context, &state);
    }
}
