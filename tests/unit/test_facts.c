#include "base/err.h"
#include "base/facts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void entries_are_found_replaced_and_removed(void **state)
{
    struct facts facts = {0};
    struct err err = {0};
    char key[16];

    (void)state;
    for (int i = 0; i < 500; i++) {
        snprintf(key, sizeof key, "k%03d", i * 7 % 500);
        assert_int_equal(facts_set_int(&facts, key, i, &err), 0);
    }
    assert_int_equal(facts.count, 500);
    for (size_t i = 1; i < facts.count; i++)
        assert_true(strcmp(facts.items[i - 1].key, facts.items[i].key) < 0);
    assert_int_equal(facts_set(&facts, "k003", "again", &err), 0);
    assert_int_equal(facts.count, 500);
    assert_string_equal(facts_get(&facts, "k003"), "again");
    for (int i = 0; i < 500; i += 2) {
        snprintf(key, sizeof key, "k%03d", i);
        facts_remove(&facts, key);
    }
    facts_remove(&facts, "absent");
    assert_int_equal(facts.count, 250);
    assert_null(facts_get(&facts, "k000"));
    assert_non_null(facts_get(&facts, "k001"));
    for (int i = 0; i < 500; i++) {
        snprintf(key, sizeof key, "k%03d", i);
        assert_int_equal(facts_setf(&facts, &err, key, "%d!", i), 0);
    }
    assert_string_equal(facts_get(&facts, "k499"), "499!");
    facts_clear(&facts);
    assert_int_equal(facts.count, 0);
}

static void numbers_have_a_fallback(void **state)
{
    struct facts facts = {0};

    (void)state;
    facts_set_int(&facts, "n", -5, NULL);
    facts_set(&facts, "junk", "5x", NULL);
    assert_int_equal(facts_get_int(&facts, "n", 1), -5);
    assert_int_equal(facts_get_int(&facts, "junk", 1), 1);
    assert_int_equal(facts_get_int(&facts, "absent", 2), 2);
    assert_string_equal(facts_get_or(&facts, "absent", "f"), "f");
    facts_clear(&facts);
}

static void limits_hold(void **state)
{
    struct facts facts = {0};
    struct err err = {0};
    char key[200];

    (void)state;
    memset(key, 'k', sizeof key);
    key[128] = '\0';
    assert_int_equal(facts_set(&facts, key, "v", &err), 0);
    key[128] = 'k';
    key[129] = '\0';
    assert_int_equal(facts_set(&facts, key, "v", &err), -1);
    assert_int_equal(err.kind, ERR_PERMANENT);

    char *value = malloc(1024 * 1024 + 2);
    memset(value, 'v', 1024 * 1024 + 1);
    value[1024 * 1024] = '\0';
    assert_int_equal(facts_set(&facts, "long", value, &err), 0);
    value[1024 * 1024] = 'v';
    value[1024 * 1024 + 1] = '\0';
    assert_int_equal(facts_set(&facts, "longer", value, &err), -1);
    free(value);

    for (int i = 0; facts.count < FACTS_MAX; i++)
        assert_int_equal(facts_setf(&facts, &err, (snprintf(key, sizeof key, "%d", i), key), "x"), 0);
    assert_int_equal(facts_set(&facts, "one more", "x", &err), -1);
    assert_int_equal(facts_set(&facts, "5", "replaced", &err), 0);
    facts_clear(&facts);
}

static void copies_and_merges_are_deep(void **state)
{
    struct facts a = {0};
    struct facts b = {0};

    (void)state;
    facts_set(&a, "x", "1", NULL);
    facts_set(&a, "y", "2", NULL);
    assert_int_equal(facts_copy(&b, &a, NULL), 0);
    assert_true(facts_equal(&a, &b));
    facts_set(&b, "y", "3", NULL);
    assert_false(facts_equal(&a, &b));
    assert_int_equal(facts_merge(&a, &b, NULL), 0);
    assert_string_equal(facts_get(&a, "y"), "3");
    facts_clear(&a);
    assert_string_equal(facts_get(&b, "x"), "1");
    facts_clear(&b);
}

static void json_goes_both_ways(void **state)
{
    struct facts facts = {0};
    struct facts back = {0};
    struct err err = {0};
    char *json;

    (void)state;
    facts_set(&facts, "b", "a \"quote\"\nand é", NULL);
    facts_set(&facts, "a", "", NULL);
    assert_int_equal(facts_to_json(&facts, &json, &err), 0);
    assert_string_equal(json, "{\"a\":\"\",\"b\":\"a \\\"quote\\\"\\nand é\"}");
    assert_int_equal(facts_from_json(&back, json, &err), 0);
    assert_true(facts_equal(&facts, &back));
    free(json);
    facts_clear(&facts);
    facts_clear(&back);
}

static void json_is_strict(void **state)
{
    static const char *const bad[] = {"",    "[]", "{\"a\":1}", "{\"a\":\"x\",\"b\":null}", "{\"a\":\"1\",\"a\":\"2\"}",
                                      "{} x"};
    struct facts facts = {0};
    struct err err = {0};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(facts_from_json(&facts, bad[i], &err), -1);
        assert_int_equal(facts.count, 0);
    }
    facts_set(&facts, "k", "\xff", NULL);
    char *json;
    assert_int_equal(facts_to_json(&facts, &json, &err), -1);
    facts_clear(&facts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_found_replaced_and_removed),
        cmocka_unit_test(numbers_have_a_fallback),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(copies_and_merges_are_deep),
        cmocka_unit_test(json_goes_both_ways),
        cmocka_unit_test(json_is_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
