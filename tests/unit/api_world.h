#pragma once
/* The API on the fake coordinator, without HTTP: one request after the other. */
#include "coordinator/api/internal.h"
#include "fake/fake_coordinator.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ADMIN  "bootstrap-token-0123456789"
#define SECRET "fst_bot.abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"

struct world {
    struct coordinator *fake;
    struct api_context context;
    struct view_reader *reader;
    struct api_response response;
};

static inline int world_make(void **state)
{
    struct world *world = calloc(1, sizeof *world);

    world->fake = fake_coordinator_new();
    fake_load_fleet(world->fake);
    world->context.coordinator = world->fake;
    api_token_hash(ADMIN, world->context.admin_hash);
    assert_int_equal(replay_new(&world->context.replay, NULL), 0);
    assert_int_equal(view_reader_open(fake_coordinator_view(world->fake), &world->reader, NULL), 0);
    *state = world;
    return 0;
}

static inline int world_destroy(void **state)
{
    struct world *world = *state;

    api_response_clear(&world->response);
    view_reader_close(world->reader);
    replay_free(world->context.replay);
    fake_coordinator_free(world->fake);
    free(world);
    return 0;
}

/* One request; the answer's status. The response stays for a look until the next. */
static inline int world_ask(struct world *world, const char *token, const char *key, const char *method,
                            const char *path, const char *body)
{
    char authorization[640];
    struct api_request request = {.context = &world->context,
                                  .reader = world->reader,
                                  .method = method,
                                  .path = path,
                                  .idempotency_key = key,
                                  .body = body,
                                  .body_len = body ? strlen(body) : 0};

    snprintf(authorization, sizeof authorization, "Bearer %s", token ? token : "");
    request.authorization = token ? authorization : NULL;
    api_response_clear(&world->response);
    api_dispatch(&request, &world->response);
    api_request_clear(&request);
    return world->response.status;
}

/* Token "bot", whose bearer token is SECRET. */
static inline void grant(struct world *world, const char *role, const char *classes, const char *selector,
                         int64_t expires_at_ms)
{
    char hash[HASH_TEXT];

    api_token_hash(SECRET, hash);
    fake_put_token(world->fake, "bot", hash, role, classes, selector, expires_at_ms);
}

/* A text of the last answer; "" if there is none. */
static inline const char *member(const struct world *world, const char *name)
{
    const char *text = json_text(world->response.body, name);

    return text ? text : "";
}
