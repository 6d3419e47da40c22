#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void an_empty_text_is_a_string(void **state)
{
    struct text text = {0};

    (void)state;
    assert_string_equal(text_str(&text), "");
    char *taken = text_take(&text);
    assert_string_equal(taken, "");
    free(taken);
}

static void it_grows_and_stays_terminated(void **state)
{
    struct text text = {0};

    (void)state;
    for (int i = 0; i < 10000; i++) {
        text_addf(&text, "%d,", i % 10);
        assert_int_equal(text_str(&text)[text.len], '\0');
    }
    assert_int_equal(text.len, 20000);
    text_add_len(&text, "\0x", 2);
    assert_int_equal(text.len, 20002);
    text_free(&text);
    assert_null(text.data);
}

static void long_formats_fit(void **state)
{
    struct text text = {0};
    char long_text[5000];

    (void)state;
    memset(long_text, 'y', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    text_add(&text, "a");
    text_addf(&text, "%s!", long_text);
    assert_int_equal(text.len, 5001);
    text_clear(&text);
    assert_string_equal(text_str(&text), "");
    assert_non_null(text.data);
    text_free(&text);
}

static void taking_hands_it_over(void **state)
{
    struct text text = {0};

    (void)state;
    text_add(&text, "one");
    char *taken = text_take(&text);
    assert_string_equal(taken, "one");
    assert_string_equal(text_str(&text), "");
    text_add(&text, "two");
    assert_string_equal(text_str(&text), "two");
    free(taken);
    text_free(&text);
}

static void failure_sticks(void **state)
{
    struct text text = {0};

    (void)state;
    text_add(&text, "one");
    text.failed = true;
    text_add(&text, "two");
    assert_string_equal(text_str(&text), "one");
    assert_null(text_take(&text));
    text_add(&text, "again");
    assert_string_equal(text_str(&text), "again");
    text_free(&text);
}

static void mistakes_are_counted(void **state)
{
    (void)state;
    assert_int_equal(text_distance("", "abc"), 3);
    assert_int_equal(text_distance("kitten", "sitting"), 3);
    assert_int_equal(text_distance("same", "same"), 0);
    assert_int_equal(text_distance("shpo-1", "shop-1"), 1);
    assert_true(text_distance("a", "a-word-that-is-longer-than-all-the-words-that-anybody-will-ever-type-in") >= 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_text_is_a_string),
        cmocka_unit_test(it_grows_and_stays_terminated),
        cmocka_unit_test(long_formats_fit),
        cmocka_unit_test(taking_hands_it_over),
        cmocka_unit_test(failure_sticks),
        cmocka_unit_test(mistakes_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
