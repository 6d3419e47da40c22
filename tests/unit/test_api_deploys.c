/* Deploys by HTTP: what is refused before anything is done, and what reaches the planner. */
#include "api_world.h"

static void add_deploy(struct world *world)
{
    fake_load(world->fake, "deploys",
              "[{\"deploy_id\": \"7\", \"state\": \"ready\", \"ended\": false, \"pending\": false, \"targets\": []}]");
}

static int begin(struct world *world, const char *body)
{
    return world_ask(world, ADMIN, NULL, "POST", "/v1/deploys", body);
}

static void begin_says_what_was_asked(void **state)
{
    struct world *world = *state;

    assert_int_equal(begin(world, "{\"id\": \"7\", \"selector\": \"app=shop\", \"ttl\": \"2h\", \"timeout\": \"1h\","
                                  " \"overlap\": \"wait\", \"quiesce\": \"require\", \"auto_revert\": true}"),
                     202);
    assert_string_equal(member(world, "selector"), "app=shop");
    assert_string_equal(member(world, "snapshot"), "deploy-7");
    assert_string_equal(member(world, "overlap"), "wait");
    assert_string_equal(member(world, "quiesce"), "require");
    assert_int_equal(json_int(world->response.body, "ttl_ms"), 7200 * 1000);
    assert_int_equal(json_int(world->response.body, "timeout_ms"), 3600 * 1000);
    assert_int_equal(json_int(world->response.body, "within_ms"), 600 * 1000);
    assert_true(json_is_true(json_object_get(world->response.body, "auto_revert")));
    assert_int_equal(begin(world, "{\"id\": \"8\", \"selector\": \"app=shop\", \"dry_run\": true}"), 200);
    assert_int_equal(json_int(world->response.body, "ttl_ms"), 24 * 3600 * 1000);
}

static void a_group_is_a_deploy_of_one_point_in_time(void **state)
{
    struct world *world = *state;

    assert_int_equal(begin(world, "{\"id\": \"7\", \"selector\": \"app=shop\", \"group\": true}"), 202);
    assert_int_equal(json_int(world->response.body, "group_limit_ms"), 10000);
    assert_int_equal(begin(world, "{\"id\": \"8\", \"selector\": \"app=shop\", \"group\": true, \"group_limit\": \"3s\","
                                  " \"standing\": true}"),
                     202);
    assert_int_equal(json_int(world->response.body, "group_limit_ms"), 3000);
    assert_string_equal(member(world, "snapshot"), "8");
    assert_int_equal(json_int(world->response.body, "ttl_ms"), 0); /* until somebody deletes it */
    assert_int_equal(begin(world, "{\"id\": \"9\", \"selector\": \"app=shop\"}"), 202);
    assert_int_equal(json_int(world->response.body, "group_limit_ms"), 0);
}

#define BACKUPS "\"selector\": \"app=shop\", \"operation\": \"backup.create\", \"group\": true, \"standing\": true"

static void a_group_can_be_of_backups(void **state)
{
    struct world *world = *state;

    assert_int_equal(begin(world, "{\"id\": \"7\", " BACKUPS ", \"repository\": \"main\", \"kind\": \"full\","
                                  " \"rate_limit\": 1048576}"),
                     202);
    assert_string_equal(member(world, "operation"), "backup.create");
    assert_string_equal(member(world, "repository"), "main");
    assert_string_equal(member(world, "kind"), "full");
    assert_int_equal(json_int(world->response.body, "rate_limit_bytes"), 1048576);
}

static void begin_refuses_what_it_cannot_mean(void **state)
{
    static const char *const bodies[] = {
        "{\"selector\": \"app=shop\"}",
        "{\"id\": \"a/b\", \"selector\": \"app=shop\"}",
        "{\"id\": \"7\"}",
        "{\"id\": \"7\", \"selector\": \"\"}",
        "{\"id\": \"7\", \"selector\": \"app in\"}",
        "{\"id\": \"7\", \"selector\": \"app=shop\", \"ttl\": \"0s\"}",
        "{\"id\": \"7\", \"selector\": \"app=shop\", \"ttl\": 60}",
        "{\"id\": \"7\", \"selector\": \"app=shop\", \"timeout\": \"9999h\"}",
        "{\"id\": \"7\", \"selector\": \"app=shop\", \"overlap\": \"perhaps\"}",
        "{\"id\": \"7\", \"selector\": \"app=shop\", \"auto_revert\": \"yes\"}",
        "{\"id\": \"7\", \"selector\": \"app=shop\", \"group\": \"yes\"}",
        "{\"id\": \"7\", \"selector\": \"app=shop\", \"group_limit\": \"5s\"}",
        "{\"id\": \"7\", \"selector\": \"app=shop\", \"group\": true, \"group_limit\": \"2h\"}",
        "{\"id\": \"7\", \"selector\": \"app=shop\", \"group\": true, \"group_limit\": \"1ms\"}",
        "{\"id\": \"7\", \"selector\": \"app=shop\", \"group\": true, \"quiesce\": \"never\"}",
        "{\"id\": \"7\", \"selector\": \"app=shop\", \"standing\": true}",
        "{\"id\": \"7\", \"selector\": \"app=shop\", \"operation\": \"backup.create\"}",
        "{\"id\": \"7\", \"selector\": \"app=shop\", \"operation\": \"backup.create\", \"group\": true}",
        "{\"id\": \"7\", \"selector\": \"app=shop\", \"group\": true, \"repository\": \"main\"}",
        "{\"id\": \"7\", " BACKUPS ", \"rate_limit\": \"fast\"}",
        "{\"id\": \"7\", " BACKUPS ", \"rate_limit\": -1}",
        "{\"id\": \"7\", " BACKUPS ", \"kind\": \"half\"}",
        "{\"id\": \"7\", " BACKUPS ", \"operation\": \"noop\"}",
        "{\"id\": \"7\", \"selector\": \"app=shop\", \"group\": true, \"standing\": true, \"auto_revert\": true}",
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        if (begin(world, bodies[i]) != 400)
            fail_msg("%s is answered %d", bodies[i], world->response.status);
    assert_int_equal(begin(world, "{\"id\": \"7\", \"selector\": \"app=nothing\"}"), 404);
}

static void classes_are_needed(void **state)
{
    static const char simple[] = "{\"id\": \"7\", \"selector\": \"tier=web\"}",
                      by_itself[] = "{\"id\": \"8\", \"selector\": \"tier=web\", \"auto_revert\": true}";
    struct world *world = *state;

    add_deploy(world);
    grant(world, "operator", "AB", "app=shop", 0);
    assert_int_equal(world_ask(world, SECRET, NULL, "POST", "/v1/deploys", by_itself), 403);
    assert_int_equal(world_ask(world, SECRET, NULL, "POST", "/v1/deploys/7/failed", "{\"revert\": true}"), 403);
    assert_int_equal(world_ask(world, SECRET, NULL, "POST", "/v1/deploys/7/failed", "{}"), 200);
    assert_int_equal(world_ask(world, SECRET, NULL, "POST", "/v1/deploys/7/succeeded", NULL), 200);
    grant(world, "operator", "ABC", "app=shop", 0);
    assert_int_equal(world_ask(world, SECRET, NULL, "POST", "/v1/deploys", by_itself), 202);
    assert_string_equal(member(world, "selector"), "tier=web,app=shop"); /* the token's is part of it */
    grant(world, "operator", "A", NULL, 0);
    assert_int_equal(world_ask(world, SECRET, NULL, "POST", "/v1/deploys", simple), 403);
    grant(world, "viewer", "ABC", NULL, 0);
    assert_int_equal(world_ask(world, SECRET, NULL, "POST", "/v1/deploys", simple), 403);
    assert_int_equal(world_ask(world, SECRET, NULL, "GET", "/v1/deploys/7", NULL), 200);
}

static void how_it_is_reverted(void **state)
{
    struct world *world = *state;

    add_deploy(world);
    assert_int_equal(world_ask(world, ADMIN, NULL, "POST", "/v1/deploys/7/failed",
                               "{\"revert\": true, \"order\": [\"a\", \"b\"], \"keep_going\": true, \"parallel\": 3}"),
                     202);
    const json_t *said = json_object_get(world->response.body, "said");
    assert_string_equal(json_text(said, "says"), "failed");
    assert_int_equal(json_array_size(json_object_get(said, "order")), 2);
    assert_true(json_is_true(json_object_get(said, "keep_going")));
    assert_int_equal(json_int(said, "parallel"), 3);
    assert_int_equal(world_ask(world, ADMIN, NULL, "POST", "/v1/deploys/7/failed", "{\"order\": [\"a\"]}"), 400);
    assert_int_equal(
        world_ask(world, ADMIN, NULL, "POST", "/v1/deploys/7/failed", "{\"revert\": true, \"parallel\": 0}"), 400);
    assert_int_equal(
        world_ask(world, ADMIN, NULL, "POST", "/v1/deploys/7/failed", "{\"revert\": true, \"order\": [7]}"), 400);
    assert_int_equal(world_ask(world, ADMIN, NULL, "POST", "/v1/deploys/8/failed", "{\"revert\": true}"), 404);
    assert_int_equal(world_ask(world, ADMIN, NULL, "GET", "/v1/deploys/8", NULL), 404);
    assert_int_equal(world_ask(world, ADMIN, NULL, "GET", "/v1/deploys", NULL), 200);
    assert_int_equal(json_array_size(json_object_get(world->response.body, "items")), 1);
}

static void a_contradiction_is_a_conflict(void **state)
{
    struct world *world = *state;

    add_deploy(world);
    fake_fail_next(world->fake, ERR_CONFLICT, "deploy 7 is reverted: that stands", NULL);
    assert_int_equal(world_ask(world, ADMIN, NULL, "POST", "/v1/deploys/7/succeeded", NULL), 409);
    assert_string_equal(member(world, "detail"), "deploy 7 is reverted: that stands");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_make, world_destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(begin_says_what_was_asked),
        TEST(begin_refuses_what_it_cannot_mean),
        TEST(classes_are_needed),
        TEST(a_group_is_a_deploy_of_one_point_in_time),
        TEST(a_group_can_be_of_backups),
        TEST(begin_refuses_what_it_cannot_mean),
        TEST(classes_are_needed),
        TEST(how_it_is_reverted),
        TEST(a_contradiction_is_a_conflict),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
