/* What a token is, and what it allows: decisions without a socket. */
#include "coordinator/api/internal.h"
#include "fake/fake_coordinator.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char secret[] = "fst_bot.abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";

struct world {
    struct coordinator *fake;
    struct api_context context;
    struct view_reader *reader;
    struct api_response response;
};

static int make(void **state)
{
    struct world *world = calloc(1, sizeof *world);

    world->fake = fake_coordinator_new();
    fake_load_fleet(world->fake);
    world->context.coordinator = world->fake;
    api_token_hash("bootstrap-token-0123456789", world->context.admin_hash);
    assert_int_equal(replay_new(&world->context.replay, NULL), 0);
    assert_int_equal(view_reader_open(fake_coordinator_view(world->fake), &world->reader, NULL), 0);
    *state = world;
    return 0;
}

static int destroy(void **state)
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
static int ask(struct world *world, const char *token, const char *key, const char *method, const char *path,
               const char *body)
{
    char authorization[600];
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

static void grant(struct world *world, const char *role, const char *classes, const char *selector,
                  int64_t expires_at_ms)
{
    char hash[HASH_TEXT];

    api_token_hash(secret, hash);
    fake_put_token(world->fake, "bot", hash, role, classes, selector, expires_at_ms);
}

static const char *member(const struct world *world, const char *name)
{
    const char *text = json_text(world->response.body, name);

    return text ? text : "";
}

static void hashes_compare_whole(void **state)
{
    (void)state;
    assert_true(api_hash_equal("abc", "abc"));
    assert_false(api_hash_equal("abc", "abd"));
    assert_false(api_hash_equal("abc", "ab"));
    assert_false(api_hash_equal("abc", "abcd"));
    assert_false(api_hash_equal("", ""));
}

static void names_come_from_tokens(void **state)
{
    char name[64];

    (void)state;
    assert_true(api_token_name("fst_deploy.bot.SECRET", name, sizeof name));
    assert_string_equal(name, "deploy.bot");
    assert_false(api_token_name("fst_.SECRET", name, sizeof name));
    assert_false(api_token_name("other_x.SECRET", name, sizeof name));
    assert_false(api_token_name("fst_a/b.SECRET", name, sizeof name));
    assert_false(api_token_name("fst_nodot", name, sizeof name));
}

static void bearers_are_read_strictly(void **state)
{
    (void)state;
    assert_string_equal(api_bearer("Bearer 0123456789abcdef"), "0123456789abcdef");
    assert_string_equal(api_bearer("bearer  0123456789abcdef"), "0123456789abcdef");
    assert_null(api_bearer("Basic 0123456789abcdef"));
    assert_null(api_bearer("Bearer short"));
    assert_null(api_bearer("Bearer 0123456789 abcdef"));
    assert_null(api_bearer(NULL));
}

static void classes_are_letters(void **state)
{
    (void)state;
    assert_true(api_class_allowed("AB", CLASS_B));
    assert_false(api_class_allowed("AB", CLASS_C));
    assert_false(api_class_allowed(NULL, CLASS_A));
}

static void health_needs_no_token_and_the_rest_does(void **state)
{
    assert_int_equal(ask(*state, NULL, NULL, "GET", "/v1/health", NULL), 200);
    for (const struct api_route *route = api_routes; route->method; route++) {
        if (route->role == ROLE_PUBLIC || strchr(route->pattern, '{'))
            continue;
        assert_int_equal(ask(*state, NULL, NULL, route->method, route->pattern, NULL), 401);
        assert_int_equal(ask(*state, "fst_nobody.0123456789abcdefgh", NULL, route->method, route->pattern, NULL), 401);
    }
}

static void the_bootstrap_token_is_admin(void **state)
{
    assert_int_equal(ask(*state, "bootstrap-token-0123456789", NULL, "GET", "/v1/tokens", NULL), 200);
    assert_int_equal(ask(*state, "bootstrap-token-0123456788", NULL, "GET", "/v1/tokens", NULL), 401);
}

static void roles_are_enforced_and_refusals_audited(void **state)
{
    struct world *world = *state;

    grant(world, "viewer", "A", NULL, 0);
    assert_int_equal(ask(world, secret, NULL, "GET", "/v1/targets", NULL), 200);
    assert_int_equal(ask(world, secret, NULL, "POST", "/v1/jobs", "{}"), 403);
    assert_string_equal(member(world, "kind"), "forbidden");
    assert_int_equal(fake_audits(world->fake), 1);
    assert_non_null(strstr(fake_last_audit(world->fake), "/v1/jobs"));
    assert_null(strstr(fake_last_audit(world->fake), secret));
    assert_int_equal(ask(world, secret, NULL, "GET", "/v1/tokens", NULL), 403);
}

static void expired_tokens_are_refused(void **state)
{
    grant(*state, "admin", "ABC", NULL, 1000);
    assert_int_equal(ask(*state, secret, NULL, "GET", "/v1/targets", NULL), 401);
    assert_non_null(strstr(member(*state, "detail"), "expired"));
}

static void selectors_limit_what_is_seen(void **state)
{
    struct world *world = *state;

    grant(world, "operator", "ABC", "tier=web", 0);
    assert_int_equal(ask(world, secret, NULL, "GET", "/v1/targets", NULL), 200);
    assert_int_equal(json_array_size(json_object_get(world->response.body, "items")), 1);
    assert_int_equal(ask(world, secret, NULL, "GET", "/v1/targets/shop-1", NULL), 200);
    assert_int_equal(ask(world, secret, NULL, "GET", "/v1/targets/shop-2", NULL), 403);
    assert_int_equal(ask(world, secret, NULL, "GET", "/v1/points", NULL), 200);
    assert_int_equal(json_array_size(json_object_get(world->response.body, "items")), 3);
    assert_int_equal(ask(world, secret, NULL, "GET", "/v1/events", NULL), 403);
    assert_int_equal(ask(world, secret, NULL, "POST", "/v1/hosts/alpha/drain", "{}"), 403);
    assert_int_equal(ask(world, secret, NULL, "POST", "/v1/jobs", "{\"op\":\"snapshot.create\",\"target\":\"shop-2\"}"),
                     403);
    assert_int_equal(
        ask(world, secret, NULL, "POST", "/v1/jobs", "{\"op\":\"noop\",\"target\":\"null:t1\",\"host\":\"alpha\"}"),
        403);
    assert_int_equal(json_array_size(fake_submitted(world->fake)), 0);
}

static void classes_limit_what_is_started(void **state)
{
    struct world *world = *state;
    const char *revert = "{\"op\":\"snapshot.revert\",\"target\":\"shop-1\",\"params\":{\"name\":\"before-deploy\"}}";
    const char *dry =
        "{\"op\":\"snapshot.revert\",\"target\":\"shop-1\",\"params\":{\"name\":\"before-deploy\"},\"dry_run\":true}";

    grant(world, "operator", "AB", NULL, 0);
    assert_int_equal(ask(world, secret, NULL, "POST", "/v1/jobs", revert), 403);
    assert_non_null(strstr(member(world, "detail"), "class C"));
    assert_int_equal(json_array_size(fake_submitted(world->fake)), 0);
    assert_int_equal(ask(world, secret, NULL, "POST", "/v1/jobs", dry), 202);
}

static void tokens_are_shown_once_and_kept_as_hashes(void **state)
{
    struct world *world = *state;
    const char *admin = "bootstrap-token-0123456789";
    char token[600];

    assert_int_equal(
        ask(world, admin, NULL, "POST", "/v1/tokens", "{\"name\":\"ci\",\"role\":\"operator\",\"expires_in\":\"90d\"}"),
        201);
    snprintf(token, sizeof token, "%s", member(world, "token"));
    assert_int_equal(strncmp(token, "fst_ci.", 7), 0);
    assert_int_equal(strlen(token), 7 + 43);
    assert_string_equal(member(world, "classes"), "AB");
    assert_null(json_object_get(world->response.body, "hash"));
    assert_int_equal(ask(world, token, NULL, "GET", "/v1/targets", NULL), 200);
    assert_int_equal(ask(world, admin, NULL, "GET", "/v1/tokens", NULL), 200);
    char *listed = json_dumps(world->response.body, 0);
    assert_null(strstr(listed, token + 7));
    assert_null(strstr(listed, "hash"));
    free(listed);
    assert_int_equal(ask(world, admin, NULL, "POST", "/v1/tokens", "{\"name\":\"ci\",\"role\":\"viewer\"}"), 409);
    assert_int_equal(ask(world, admin, NULL, "DELETE", "/v1/tokens/ci", NULL), 200);
    assert_int_equal(ask(world, token, NULL, "GET", "/v1/targets", NULL), 401);
}

static void bad_tokens_are_not_made(void **state)
{
    static const char *const bodies[] = {"{\"role\":\"viewer\"}",
                                         "{\"name\":\"a b\",\"role\":\"viewer\"}",
                                         "{\"name\":\"a\",\"role\":\"root\"}",
                                         "{\"name\":\"a\",\"role\":\"viewer\",\"classes\":\"D\"}",
                                         "{\"name\":\"a\",\"role\":\"viewer\",\"selector\":\"a=(\"}",
                                         "{\"name\":\"a\",\"role\":\"viewer\",\"expires_in\":\"soon\"}",
                                         "{\"name\":\"bootstrap\",\"role\":\"viewer\"}",
                                         "{\"name\":\"a\",\"role\":\"viewer\",\"more\":1}"};

    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        assert_int_equal(ask(*state, "bootstrap-token-0123456789", NULL, "POST", "/v1/tokens", bodies[i]), 400);
}

static void a_key_makes_a_repeat_the_same_request(void **state)
{
    struct world *world = *state;
    const char *admin = "bootstrap-token-0123456789";
    char first[600];

    assert_int_equal(ask(world, admin, "k1", "POST", "/v1/tokens", "{\"name\":\"x\",\"role\":\"viewer\"}"), 201);
    snprintf(first, sizeof first, "%s", member(world, "token"));
    assert_int_equal(ask(world, admin, "k1", "POST", "/v1/tokens", "{\"name\":\"x\",\"role\":\"viewer\"}"), 201);
    assert_string_equal(member(world, "token"), first);
    assert_true(world->response.replayed);
    assert_int_equal(ask(world, admin, "k1", "POST", "/v1/tokens", "{\"name\":\"y\",\"role\":\"viewer\"}"), 409);
    assert_int_equal(ask(world, admin, "has blank", "POST", "/v1/tokens", "{\"name\":\"z\",\"role\":\"viewer\"}"), 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_compare_whole),
        cmocka_unit_test(names_come_from_tokens),
        cmocka_unit_test(bearers_are_read_strictly),
        cmocka_unit_test(classes_are_letters),
        cmocka_unit_test_setup_teardown(health_needs_no_token_and_the_rest_does, make, destroy),
        cmocka_unit_test_setup_teardown(the_bootstrap_token_is_admin, make, destroy),
        cmocka_unit_test_setup_teardown(roles_are_enforced_and_refusals_audited, make, destroy),
        cmocka_unit_test_setup_teardown(expired_tokens_are_refused, make, destroy),
        cmocka_unit_test_setup_teardown(selectors_limit_what_is_seen, make, destroy),
        cmocka_unit_test_setup_teardown(classes_limit_what_is_started, make, destroy),
        cmocka_unit_test_setup_teardown(tokens_are_shown_once_and_kept_as_hashes, make, destroy),
        cmocka_unit_test_setup_teardown(bad_tokens_are_not_made, make, destroy),
        cmocka_unit_test_setup_teardown(a_key_makes_a_repeat_the_same_request, make, destroy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
