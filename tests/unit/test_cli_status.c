/* Which events of the status topic are shown. */
#include "base/err.h"
#include "coordinator/cli/status_filter.h"
#include "model/op.h"
#include "model/select.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct status failed = {.job_id = (char *)"0d9b1c1e-8c0c-5b2f-9f3f-5a3c8f3d2b11",
                                     .op = OP_BACKUP_CREATE,
                                     .state = STATE_FAILED,
                                     .host = (char *)"alpha",
                                     .target = {.kind = (char *)"libvirt",
                                                .id = (char *)"3e1f0000-0000-4000-8000-000000000001",
                                                .name = (char *)"shop-1"}};

static bool wants(struct status_filter filter)
{
    return status_filter_wants(&filter, &failed, NULL);
}

static void nothing_asked_shows_all(void **state)
{
    (void)state;
    assert_true(wants((struct status_filter){0}));
}

static void each_filter_must_fit(void **state)
{
    (void)state;
    assert_true(wants((struct status_filter){.host = "alpha", .op = OP_BACKUP_CREATE, .kind = "libvirt"}));
    assert_false(wants((struct status_filter){.host = "beta", .op = OP_BACKUP_CREATE}));
    assert_false(wants((struct status_filter){.host = "alpha", .op = OP_SNAPSHOT_CREATE}));
    assert_false(wants((struct status_filter){.kind = "canister"}));
    assert_true(wants((struct status_filter){.job = "0d9b"}));
    assert_false(wants((struct status_filter){.job = "0d9c"}));
}

static void a_target_has_four_names(void **state)
{
    (void)state;
    assert_true(wants((struct status_filter){.target = "shop-1"}));
    assert_true(wants((struct status_filter){.target = "alpha/shop-1"}));
    assert_true(wants((struct status_filter){.target = "3e1f0000-0000-4000-8000-000000000001"}));
    assert_true(wants((struct status_filter){.target = "libvirt:3e1f0000-0000-4000-8000-000000000001"}));
    assert_false(wants((struct status_filter){.target = "beta/shop-1"}));
    assert_false(wants((struct status_filter){.target = "alph/shop-1"}));
    assert_false(wants((struct status_filter){.target = "shop"}));
}

static void states_are_words(void **state)
{
    struct err err = {0};
    unsigned states = 7;

    (void)state;
    assert_int_equal(status_filter_states("FAILED,PARKED", &states, &err), 0);
    assert_int_equal(states, 1U << STATE_FAILED | 1U << STATE_PARKED);
    assert_true(wants((struct status_filter){.states = states}));
    assert_false(wants((struct status_filter){.states = 1U << STATE_RUNNING}));
    assert_int_equal(status_filter_states("FAILED,BROKEN", &states, &err), -1);
    assert_int_equal(err.kind, ERR_PERMANENT);
    assert_non_null(strstr(err.text, "BROKEN"));
    assert_int_equal(status_filter_states(NULL, &states, &err), 0);
    assert_int_equal(states, 0);
}

static void labels_that_are_not_known_are_none(void **state)
{
    struct status_filter filter = {0};
    struct facts labels = {0};

    (void)state;
    assert_int_equal(facts_set(&labels, "app", "shop", NULL), 0);
    assert_int_equal(selector_parse("app=shop", &filter.selector, NULL), 0);
    assert_true(status_filter_wants(&filter, &failed, &labels));
    assert_false(status_filter_wants(&filter, &failed, NULL));
    selector_free(filter.selector);
    assert_int_equal(selector_parse("!app", &filter.selector, NULL), 0);
    assert_true(status_filter_wants(&filter, &failed, NULL));
    selector_free(filter.selector);
    facts_clear(&labels);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_asked_shows_all),
        cmocka_unit_test(each_filter_must_fit),
        cmocka_unit_test(a_target_has_four_names),
        cmocka_unit_test(states_are_words),
        cmocka_unit_test(labels_that_are_not_known_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
