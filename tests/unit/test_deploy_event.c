/* Which deploy events count, and what they ask for. */
#include "base/err.h"
#include "coordinator/deploy_event.h"
#include "model/ledger_entry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NOW = 100 * 60 * 1000 };

static struct deploy_event event_of(const char *event)
{
    return (struct deploy_event){.deploy_id = (char *)"7",
                                 .event = (char *)event,
                                 .selector = (char *)"app=shop",
                                 .token = (char *)"bot",
                                 .at_ms = NOW,
                                 .parallel = 1};
}

static struct ledger_token token_of(const char *classes)
{
    return (struct ledger_token){.name = (char *)"bot", .role = (char *)"operator", .classes = (char *)classes};
}

static void what_may_be_said(void **state)
{
    const struct ledger_token all = token_of("ABC");
    struct deploy_event event;

    (void)state;
    static const char *const good[] = {"begin", "succeeded", "failed"};
    for (size_t i = 0; i < 3; i++) {
        event = event_of(good[i]);
        assert_null(deploy_event_refused(&event, &all, NOW));
    }
    event = event_of("ended");
    assert_non_null(deploy_event_refused(&event, &all, NOW));
    event = event_of("begin");
    event.group = true;
    assert_null(deploy_event_refused(&event, &all, NOW));
    event = event_of("failed");
    event.group = true;
    assert_non_null(strstr(deploy_event_refused(&event, &all, NOW), "group"));
    event = event_of("begin");
    event.deploy_id = (char *)"a/b";
    assert_non_null(deploy_event_refused(&event, &all, NOW));
    event = event_of("succeeded");
    event.revert = true;
    assert_non_null(deploy_event_refused(&event, &all, NOW));
    event = event_of("failed");
    event.auto_revert = true;
    assert_non_null(deploy_event_refused(&event, &all, NOW));
    event = event_of("failed");
    event.parallel = DEPLOY_PARALLEL_MAX + 1;
    assert_non_null(deploy_event_refused(&event, &all, NOW));
}

static void its_time_is_that_of_its_record(void **state)
{
    const struct ledger_token all = token_of("ABC");
    const struct deploy_event event = event_of("begin");

    (void)state;
    assert_null(deploy_event_refused(&event, &all, NOW + DEPLOY_EVENT_SKEW_MS));
    assert_null(deploy_event_refused(&event, &all, NOW - DEPLOY_EVENT_SKEW_MS));
    assert_non_null(deploy_event_refused(&event, &all, NOW + DEPLOY_EVENT_SKEW_MS + 1));
    assert_non_null(deploy_event_refused(&event, &all, NOW - DEPLOY_EVENT_SKEW_MS - 1));
}

static void who_may_say_it(void **state)
{
    struct deploy_event begin = event_of("begin"), back = event_of("failed"), plain = event_of("failed");
    struct ledger_token token = token_of("AB");

    (void)state;
    back.revert = true;
    assert_null(deploy_event_refused(&begin, &token, NOW));
    assert_null(deploy_event_refused(&plain, &token, NOW));
    assert_non_null(strstr(deploy_event_refused(&back, &token, NOW), "class C"));
    begin.auto_revert = true;
    assert_non_null(strstr(deploy_event_refused(&begin, &token, NOW), "class C"));
    token = token_of("A");
    assert_non_null(strstr(deploy_event_refused(&plain, &token, NOW), "class B"));
    token = token_of("ABC");
    token.role = (char *)"viewer";
    assert_non_null(deploy_event_refused(&plain, &token, NOW));
    token = token_of("ABC");
    token.expires_at_ms = NOW;
    assert_non_null(deploy_event_refused(&plain, &token, NOW));
    assert_null(deploy_event_refused(&plain, &token, NOW - 1));
}

static void what_is_late_is_left(void **state)
{
    struct deploy_event begin = event_of("begin"), back = event_of("failed"), well = event_of("succeeded");

    (void)state;
    back.revert = true;
    assert_false(deploy_event_late(&begin, NOW, NOW + DEPLOY_EVENT_SKEW_MS));
    assert_true(deploy_event_late(&begin, NOW, NOW + DEPLOY_EVENT_SKEW_MS + 1));
    assert_true(deploy_event_late(&back, NOW, NOW + DEPLOY_EVENT_SKEW_MS + 1));
    assert_false(deploy_event_late(&well, NOW, NOW + 24 * 3600 * 1000));
}

static void what_it_asks_for(void **state)
{
    struct deploy_event event = event_of("begin");
    struct ledger_token token = token_of("ABC");
    struct deploy deploy = {0};
    struct deploy_word word = {0};
    struct err err = {0};

    (void)state;
    token.selector = (char *)"env=prod";
    event.timeout_ms = 5000;
    assert_int_equal(deploy_event_deploy(&event, &token, &deploy, &err), 0);
    assert_string_equal(deploy.selector, "app=shop,env=prod");
    assert_string_equal(deploy.snapshot, "deploy-7");
    assert_string_equal(deploy.token, "bot");
    assert_int_equal(deploy.timeout_ms, 5000);
    assert_int_equal(deploy.ttl_ms, 24 * 3600 * 1000);
    deploy_clear(&deploy);
    event.selector = NULL;
    assert_int_equal(deploy_event_deploy(&event, &token, &deploy, &err), -1);
    event = event_of("begin");
    event.ttl_ms = -1;
    assert_int_equal(deploy_event_deploy(&event, &token, &deploy, &err), -1);
    event = event_of("failed");
    event.revert = true;
    assert_int_equal(strings_add(&event.order, "db", &err), 0);
    assert_int_equal(deploy_event_word(&event, &word, &err), 0);
    assert_true(word.says == DEPLOY_SAYS_FAILED && word.revert && word.parallel == 1);
    assert_string_equal(word.order.items[0], "db");
    deploy_word_clear(&word);
    strings_clear(&event.order);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_may_be_said), cmocka_unit_test(its_time_is_that_of_its_record),
        cmocka_unit_test(who_may_say_it),   cmocka_unit_test(what_is_late_is_left),
        cmocka_unit_test(what_it_asks_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
