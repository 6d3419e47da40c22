#include "base/err.h"
#include "base/facts.h"
#include "model/select.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct facts labels;

static int make_labels(void **state)
{
    (void)state;
    facts_set(&labels, "app", "shop", NULL);
    facts_set(&labels, "tier", "web", NULL);
    facts_set(&labels, "example.com/env", "prod", NULL);
    facts_set(&labels, "in", "x", NULL);
    facts_set(&labels, "empty", "", NULL);
    return 0;
}

static int clear_labels(void **state)
{
    (void)state;
    facts_clear(&labels);
    return 0;
}

static bool matches(const char *text)
{
    struct selector *selector;
    struct err err = {0};

    if (selector_parse(text, &selector, &err) < 0)
        fail_msg("%s", err.text);
    bool result = selector_match(selector, &labels);
    selector_free(selector);
    return result;
}

static void what_matches(void **state)
{
    static const char *const yes[] = {"",
                                      "  ",
                                      "app",
                                      "app=shop",
                                      "app==shop",
                                      "app = shop",
                                      "tier!=db",
                                      "absent!=x",
                                      "app in (a,shop)",
                                      "app in ( shop )",
                                      "tier notin (a, b)",
                                      "absent notin (a)",
                                      "!absent",
                                      "! absent",
                                      "app=shop,tier!=db,example.com/env in (prod,test),!legacy,in",
                                      "in=x",
                                      "in in (x)",
                                      "empty=",
                                      "empty",
                                      "in,app"};

    (void)state;
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        assert_true(matches(yes[i]));
    assert_true(matches(NULL));
    assert_true(selector_match(NULL, &labels));
}

static void what_does_not(void **state)
{
    static const char *const no[] = {
        "absent",           "app=web", "app!=shop", "app in (a,b)",  "app notin (shop)", "!app",
        "app=shop,tier=db", "app=",    "absent=",   "absent in (a)", "app in ()"};

    (void)state;
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        assert_false(matches(no[i]));
}

static void errors_name_the_column(void **state)
{
    static const struct {
        const char *text;
        const char *problem;
    } cases[] = {
        {"app=shop,", "column 10: expected the name of a label"},
        {",app", "column 1: expected the name of a label"},
        {"app=a b", "column 7: expected \",\" or the end"},
        {"app in a", "column 5: expected \",\" or the end"},
        {"app in (a", "column 10: expected \",\" or \")\""},
        {"app in (a;b)", "column 10: expected \",\" or \")\""},
        {"!", "column 2: expected the name of a label"},
        {"!app=x", "column 5: expected \",\" or the end"},
        {"app=$(x)", "column 5: expected \",\" or the end"},
        {"a==b==c", "column 5: expected \",\" or the end"},
    };
    struct selector *selector = NULL;
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(selector_parse(cases[i].text, &selector, &err), -1);
        assert_null(selector);
        assert_int_equal(err.kind, ERR_PERMANENT);
        assert_non_null(strstr(err.text, cases[i].problem));
    }
}

static void size_is_limited(void **state)
{
    struct selector *selector = NULL;
    char *text = malloc(5000);
    struct err err;

    (void)state;
    memset(text, 'a', 5000);
    text[4097] = '\0';
    assert_int_equal(selector_parse(text, &selector, &err), -1);
    for (int i = 0; i < 130; i++)
        text[i] = i % 2 ? ',' : 'a';
    text[127] = '\0';
    assert_int_equal(selector_parse(text, &selector, &err), 0);
    selector_free(selector);
    text[127] = ',';
    text[129] = '\0';
    assert_int_equal(selector_parse(text, &selector, &err), -1);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_matches),
        cmocka_unit_test(what_does_not),
        cmocka_unit_test(errors_name_the_column),
        cmocka_unit_test(size_is_limited),
    };
    return cmocka_run_group_tests(tests, make_labels, clear_labels);
}
