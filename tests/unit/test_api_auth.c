/* What a token is, and what it allows: decisions without a socket. */
#include "api_world.h"

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
    assert_int_equal(world_ask(*state, NULL, NULL, "GET", "/v1/health", NULL), 200);
    for (const struct api_route *route = api_routes; route->method; route++) {
        if (route->role == ROLE_PUBLIC || strchr(route->pattern, '{'))
            continue;
        assert_int_equal(world_ask(*state, NULL, NULL, route->method, route->pattern, NULL), 401);
        assert_int_equal(world_ask(*state, "fst_nobody.0123456789abcdefgh", NULL, route->method, route->pattern, NULL),
                         401);
    }
}

static void the_bootstrap_token_is_admin(void **state)
{
    assert_int_equal(world_ask(*state, "bootstrap-token-0123456789", NULL, "GET", "/v1/tokens", NULL), 200);
    assert_int_equal(world_ask(*state, "bootstrap-token-0123456788", NULL, "GET", "/v1/tokens", NULL), 401);
}

static void roles_are_enforced_and_refusals_audited(void **state)
{
    struct world *world = *state;

    grant(world, "viewer", "A", NULL, 0);
    assert_int_equal(world_ask(world, SECRET, NULL, "GET", "/v1/targets", NULL), 200);
    assert_int_equal(world_ask(world, SECRET, NULL, "POST", "/v1/jobs", "{}"), 403);
    assert_string_equal(member(world, "kind"), "forbidden");
    assert_int_equal(fake_audits(world->fake), 1);
    assert_non_null(strstr(fake_last_audit(world->fake), "/v1/jobs"));
    assert_null(strstr(fake_last_audit(world->fake), SECRET));
    assert_int_equal(world_ask(world, SECRET, NULL, "GET", "/v1/tokens", NULL), 403);
}

static void expired_tokens_are_refused(void **state)
{
    grant(*state, "admin", "ABC", NULL, 1000);
    assert_int_equal(world_ask(*state, SECRET, NULL, "GET", "/v1/targets", NULL), 401);
    assert_non_null(strstr(member(*state, "detail"), "expired"));
}

static void selectors_limit_what_is_seen(void **state)
{
    struct world *world = *state;

    grant(world, "operator", "ABC", "tier=web", 0);
    assert_int_equal(world_ask(world, SECRET, NULL, "GET", "/v1/targets", NULL), 200);
    assert_int_equal(json_array_size(json_object_get(world->response.body, "items")), 1);
    assert_int_equal(world_ask(world, SECRET, NULL, "GET", "/v1/targets/shop-1", NULL), 200);
    assert_int_equal(world_ask(world, SECRET, NULL, "GET", "/v1/targets/shop-2", NULL), 403);
    assert_int_equal(world_ask(world, SECRET, NULL, "GET", "/v1/points", NULL), 200);
    assert_int_equal(json_array_size(json_object_get(world->response.body, "items")), 3);
    assert_int_equal(world_ask(world, SECRET, NULL, "GET", "/v1/events", NULL), 403);
    assert_int_equal(world_ask(world, SECRET, NULL, "POST", "/v1/hosts/alpha/drain", "{}"), 403);
    assert_int_equal(
        world_ask(world, SECRET, NULL, "POST", "/v1/jobs", "{\"op\":\"snapshot.create\",\"target\":\"shop-2\"}"), 403);
    assert_int_equal(world_ask(world, SECRET, NULL, "POST", "/v1/jobs",
                               "{\"op\":\"noop\",\"target\":\"null:t1\",\"host\":\"alpha\"}"),
                     403);
    assert_int_equal(json_array_size(fake_submitted(world->fake)), 0);
}

static void a_job_outside_the_selector_is_not_described(void **state)
{
    const char *admin = "bootstrap-token-0123456789";
    struct world *world = *state;
    char undo[128];

    assert_int_equal(
        world_ask(world, admin, NULL, "POST", "/v1/jobs", "{\"op\":\"snapshot.create\",\"target\":\"shop-2\"}"), 202);
    snprintf(undo, sizeof undo, "{\"op\":\"job.undo\",\"params\":{\"job\":\"%s\"}}", member(world, "job_id"));
    assert_int_equal(world_ask(world, admin, NULL, "POST", "/v1/jobs", undo), 422);
    grant(world, "operator", "ABC", "tier=web", 0);
    assert_int_equal(world_ask(world, SECRET, NULL, "POST", "/v1/jobs", undo), 403);
    assert_null(strstr(member(world, "detail"), "snapshot.create"));
}

static void classes_limit_what_is_started(void **state)
{
    struct world *world = *state;
    const char *revert = "{\"op\":\"snapshot.revert\",\"target\":\"shop-1\",\"params\":{\"name\":\"before-deploy\"}}";
    const char *dry =
        "{\"op\":\"snapshot.revert\",\"target\":\"shop-1\",\"params\":{\"name\":\"before-deploy\"},\"dry_run\":true}";

    grant(world, "operator", "AB", NULL, 0);
    assert_int_equal(world_ask(world, SECRET, NULL, "POST", "/v1/jobs", revert), 403);
    assert_non_null(strstr(member(world, "detail"), "class C"));
    assert_int_equal(json_array_size(fake_submitted(world->fake)), 0);
    assert_int_equal(world_ask(world, SECRET, NULL, "POST", "/v1/jobs", dry), 202);
}

static void tokens_are_shown_once_and_kept_as_hashes(void **state)
{
    struct world *world = *state;
    const char *admin = "bootstrap-token-0123456789";
    char token[600];

    assert_int_equal(world_ask(world, admin, NULL, "POST", "/v1/tokens",
                               "{\"name\":\"ci\",\"role\":\"operator\",\"expires_in\":\"90d\"}"),
                     201);
    snprintf(token, sizeof token, "%s", member(world, "token"));
    assert_int_equal(strncmp(token, "fst_ci.", 7), 0);
    assert_int_equal(strlen(token), 7 + 43);
    assert_string_equal(member(world, "classes"), "AB");
    assert_null(json_object_get(world->response.body, "hash"));
    assert_int_equal(world_ask(world, token, NULL, "GET", "/v1/targets", NULL), 200);
    assert_int_equal(world_ask(world, admin, NULL, "GET", "/v1/tokens", NULL), 200);
    char *listed = json_dumps(world->response.body, 0);
    assert_null(strstr(listed, token + 7));
    assert_null(strstr(listed, "hash"));
    free(listed);
    assert_int_equal(world_ask(world, admin, NULL, "POST", "/v1/tokens", "{\"name\":\"ci\",\"role\":\"viewer\"}"), 409);
    assert_int_equal(world_ask(world, admin, NULL, "DELETE", "/v1/tokens/ci", NULL), 200);
    assert_int_equal(world_ask(world, token, NULL, "GET", "/v1/targets", NULL), 401);
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
        assert_int_equal(world_ask(*state, "bootstrap-token-0123456789", NULL, "POST", "/v1/tokens", bodies[i]), 400);
}

static void a_key_makes_a_repeat_the_same_request(void **state)
{
    struct world *world = *state;
    const char *admin = "bootstrap-token-0123456789";
    char first[600];

    assert_int_equal(world_ask(world, admin, "k1", "POST", "/v1/tokens", "{\"name\":\"x\",\"role\":\"viewer\"}"), 201);
    snprintf(first, sizeof first, "%s", member(world, "token"));
    assert_int_equal(world_ask(world, admin, "k1", "POST", "/v1/tokens", "{\"name\":\"x\",\"role\":\"viewer\"}"), 201);
    assert_string_equal(member(world, "token"), first);
    assert_true(world->response.replayed);
    assert_int_equal(world_ask(world, admin, "k1", "POST", "/v1/tokens", "{\"name\":\"y\",\"role\":\"viewer\"}"), 409);
    assert_int_equal(world_ask(world, admin, "has blank", "POST", "/v1/tokens", "{\"name\":\"z\",\"role\":\"viewer\"}"),
                     400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_compare_whole),
        cmocka_unit_test(names_come_from_tokens),
        cmocka_unit_test(bearers_are_read_strictly),
        cmocka_unit_test(classes_are_letters),
        cmocka_unit_test_setup_teardown(health_needs_no_token_and_the_rest_does, world_make, world_destroy),
        cmocka_unit_test_setup_teardown(the_bootstrap_token_is_admin, world_make, world_destroy),
        cmocka_unit_test_setup_teardown(roles_are_enforced_and_refusals_audited, world_make, world_destroy),
        cmocka_unit_test_setup_teardown(expired_tokens_are_refused, world_make, world_destroy),
        cmocka_unit_test_setup_teardown(selectors_limit_what_is_seen, world_make, world_destroy),
        cmocka_unit_test_setup_teardown(a_job_outside_the_selector_is_not_described, world_make, world_destroy),
        cmocka_unit_test_setup_teardown(classes_limit_what_is_started, world_make, world_destroy),
        cmocka_unit_test_setup_teardown(tokens_are_shown_once_and_kept_as_hashes, world_make, world_destroy),
        cmocka_unit_test_setup_teardown(bad_tokens_are_not_made, world_make, world_destroy),
        cmocka_unit_test_setup_teardown(a_key_makes_a_repeat_the_same_request, world_make, world_destroy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
