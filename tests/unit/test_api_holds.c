/* Holds and pins over the API: who may, what is recorded, what is answered. */
#include "api_world.h"
#include "base/clock.h"
#include "model/hold.h"

static struct ledger_entry *entry_of(struct world *world, int kind, const char *id)
{
    struct ledger_entry *entry = NULL;

    assert_int_equal(coordinator_get(world->fake, kind, id, &entry, NULL), 0);
    return entry;
}

static void ids_of_holds_say_what_is_held(void **state)
{
    char id[HOLD_ID_MAX + 1], long_text[300];

    (void)state;
    assert_int_equal(hold_scope_of("all"), HOLD_ALL);
    assert_int_equal(hold_scope_of("host:alpha"), HOLD_HOST);
    assert_int_equal(hold_scope_of("target:libvirt:x"), HOLD_TARGET);
    assert_string_equal(hold_subject("target:libvirt:x"), "libvirt:x");
    assert_int_equal(hold_scope_of("selector:app=shop"), HOLD_SELECTOR);
    assert_int_equal(hold_scope_of("host:"), HOLD_NONE);
    assert_int_equal(hold_scope_of("everything"), HOLD_NONE);
    assert_int_equal(hold_id(HOLD_HOST, "alpha", id, NULL), 0);
    assert_string_equal(id, "host:alpha");
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    assert_int_equal(hold_id(HOLD_SELECTOR, long_text, id, NULL), -1);
    assert_int_equal(hold_id(HOLD_SELECTOR, "a=b@c", id, NULL), -1);
}

static void a_machine_is_held_listed_and_released(void **state)
{
    struct world *world = *state;
    const char *id = "target:libvirt:a0000000-0000-4000-8000-000000000001";

    assert_int_equal(world_ask(world, ADMIN, NULL, "POST", "/v1/holds",
                               "{\"target\":\"shop-1\",\"reason\":\"new disk\",\"for\":\"2h\"}"),
                     201);
    assert_string_equal(member(world, "hold"), id);
    struct ledger_entry *entry = entry_of(world, LEDGER_HOLD, id);
    assert_string_equal(facts_get(&entry->values, "reason"), "new disk");
    assert_in_range(facts_get_int(&entry->values, "until_ms", 0) - clock_real_ms(), 7100000, 7200000);
    assert_false(hold_over(entry, clock_real_ms()));
    assert_true(hold_over(entry, clock_real_ms() + 7200001));
    assert_string_equal(entry->who, "bootstrap");
    ledger_entry_free(entry);
    assert_int_equal(world_ask(world, ADMIN, NULL, "GET", "/v1/holds", NULL), 200);
    assert_int_equal(json_array_size(json_object_get(world->response.body, "items")), 1);
    assert_int_equal(world_ask(world, ADMIN, NULL, "DELETE", "/v1/holds/target%3Ashop-1", NULL), 200);
    assert_int_equal(world_ask(world, ADMIN, NULL, "DELETE", "/v1/holds/target%3Ashop-1", NULL), 404);
    assert_int_equal(world_ask(world, ADMIN, NULL, "GET", "/v1/holds", NULL), 200);
    assert_int_equal(json_array_size(json_object_get(world->response.body, "items")), 0);
}

static void a_hold_says_exactly_what_and_why(void **state)
{
    static const char *const bodies[] = {"{\"target\":\"shop-1\"}",
                                         "{\"reason\":\"x\"}",
                                         "{\"target\":\"shop-1\",\"all\":true,\"reason\":\"x\"}",
                                         "{\"selector\":\"a=(\",\"reason\":\"x\"}",
                                         "{\"host\":\"No Host\",\"reason\":\"x\"}",
                                         "{\"all\":true,\"reason\":\"x\",\"for\":\"soon\"}",
                                         "{\"all\":true,\"reason\":\"x\",\"until\":\"soon\"}"};

    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        assert_int_equal(world_ask(*state, ADMIN, NULL, "POST", "/v1/holds", bodies[i]), 400);
    assert_int_equal(world_ask(*state, ADMIN, NULL, "POST", "/v1/holds", "{\"target\":\"nobody\",\"reason\":\"x\"}"),
                     404);
    assert_int_equal(world_ask(*state, ADMIN, NULL, "GET", "/v1/holds", NULL), 200);
    assert_int_equal(json_array_size(json_object_get(((struct world *)*state)->response.body, "items")), 0);
}

static void a_token_for_some_machines_holds_only_those(void **state)
{
    struct world *world = *state;

    grant(world, "viewer", "A", NULL, 0);
    assert_int_equal(world_ask(world, SECRET, NULL, "POST", "/v1/holds", "{\"all\":true,\"reason\":\"x\"}"), 403);
    grant(world, "operator", "AB", "tier=web", 0);
    assert_int_equal(world_ask(world, SECRET, NULL, "POST", "/v1/holds", "{\"all\":true,\"reason\":\"x\"}"), 403);
    assert_int_equal(world_ask(world, SECRET, NULL, "POST", "/v1/holds", "{\"host\":\"alpha\",\"reason\":\"x\"}"), 403);
    assert_int_equal(world_ask(world, SECRET, NULL, "POST", "/v1/holds", "{\"target\":\"shop-2\",\"reason\":\"x\"}"),
                     403);
    assert_int_equal(world_ask(world, SECRET, NULL, "POST", "/v1/holds", "{\"target\":\"shop-1\",\"reason\":\"x\"}"),
                     201);
    assert_int_equal(
        world_ask(world, SECRET, NULL, "POST", "/v1/holds", "{\"selector\":\"app=shop\",\"reason\":\"x\"}"), 201);
    assert_string_equal(member(world, "hold"), "selector:app=shop,tier=web");
    assert_int_equal(world_ask(world, ADMIN, NULL, "POST", "/v1/holds", "{\"all\":true,\"reason\":\"x\"}"), 201);
    assert_int_equal(world_ask(world, SECRET, NULL, "DELETE", "/v1/holds/all", NULL), 403);
    assert_int_equal(world_ask(world, SECRET, NULL, "DELETE", "/v1/holds/selector%3Aapp%3Dshop%2Ctier%3Dweb", NULL),
                     200);
}

static void what_runs_is_asked_to_stop_only_if_that_is_said(void **state)
{
    struct world *world = *state;

    fake_script(world->fake, "noop", "[{\"state\":\"RUNNING\"}]");
    assert_int_equal(world_ask(world, ADMIN, NULL, "POST", "/v1/jobs",
                               "{\"op\":\"noop\",\"target\":\"null:t1\",\"host\":\"alpha\"}"),
                     202);
    char id[64];
    snprintf(id, sizeof id, "%s", member(world, "job_id"));
    assert_int_equal(world_ask(world, ADMIN, NULL, "POST", "/v1/holds", "{\"host\":\"alpha\",\"reason\":\"x\"}"), 201);
    assert_null(json_object_get(world->response.body, "cancelled"));
    assert_int_equal(world_ask(world, ADMIN, NULL, "POST", "/v1/holds",
                               "{\"host\":\"beta\",\"reason\":\"x\",\"cancel_running\":true}"),
                     201);
    assert_int_equal(json_array_size(json_object_get(world->response.body, "cancelled")), 0);
    assert_int_equal(world_ask(world, ADMIN, NULL, "POST", "/v1/holds",
                               "{\"host\":\"alpha\",\"reason\":\"x\",\"cancel_running\":true}"),
                     201);
    json_t *asked = json_object_get(world->response.body, "cancelled");
    assert_int_equal(json_array_size(asked), 1);
    assert_string_equal(json_string_value(json_array_get(asked, 0)), id);
}

static void a_pin_names_what_the_worker_will_ask_for(void **state)
{
    struct world *world = *state;
    const char *snapshot = "d0000000-0000-4000-8000-000000000001";
    char path[100];

    assert_int_equal(world_ask(world, ADMIN, NULL, "GET", "/v1/points", NULL), 200);
    assert_true(
        json_is_null(json_object_get(json_array_get(json_object_get(world->response.body, "items"), 0), "pinned")));
    snprintf(path, sizeof path, "/v1/points/%s/pin", snapshot);
    assert_int_equal(world_ask(world, ADMIN, NULL, "POST", path, "{}"), 400);
    assert_int_equal(world_ask(world, ADMIN, NULL, "POST", path, "{\"reason\":\"release\"}"), 200);
    struct ledger_entry *entry = entry_of(world, LEDGER_PIN, snapshot);
    assert_string_equal(facts_get(&entry->values, "key"), "libvirt:a0000000-0000-4000-8000-000000000001");
    ledger_entry_free(entry);
    assert_int_equal(world_ask(world, ADMIN, NULL, "GET", "/v1/points/d0000000-0000-4000-8000-000000000001", NULL), 200);
    assert_string_equal(json_text(json_object_get(world->response.body, "pinned"), "reason"), "release");
    assert_int_equal(world_ask(world, ADMIN, NULL, "DELETE", path, NULL), 200);
    assert_int_equal(world_ask(world, ADMIN, NULL, "DELETE", path, NULL), 404);
    assert_null(entry_of(world, LEDGER_PIN, snapshot));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, world_make, world_destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_of_holds_say_what_is_held),
        TEST(a_machine_is_held_listed_and_released),
        TEST(a_hold_says_exactly_what_and_why),
        TEST(a_token_for_some_machines_holds_only_those),
        TEST(what_runs_is_asked_to_stop_only_if_that_is_said),
        TEST(a_pin_names_what_the_worker_will_ask_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
