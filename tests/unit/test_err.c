#include "base/err.h"
#include "model/target.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void set_and_wrap_keep_kind_code_and_hint(void **state)
{
    struct err err = {0};

    (void)state;
    assert_int_equal(err_set_code(&err, ERR_CONFLICT, 42, "domain %s has no disk", "web-1"), -1);
    err_hint(&err, "add %d", 1);
    assert_int_equal(err_wrap(&err, "snapshot %s", "a"), -1);
    assert_string_equal(err.text, "snapshot a: domain web-1 has no disk");
    assert_string_equal(err.hint, "add 1");
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_int_equal(err.code, 42);
}

static void a_new_error_forgets_the_old_hint(void **state)
{
    struct err err = {0};

    (void)state;
    err_set(&err, ERR_RETRY, "one");
    err_hint(&err, "old");
    err_set(&err, ERR_RETRY, "two");
    assert_string_equal(err.hint, "");
}

static void null_is_fine_everywhere(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, ERR_RETRY, "x"), -1);
    assert_int_equal(err_wrap(NULL, "x"), -1);
    assert_int_equal(err_hint(NULL, "x"), -1);
    assert_int_equal(err_errno(NULL, EIO, "x"), -1);
    assert_int_equal(err_memory(NULL, "x"), -1);
}

static void text_may_be_its_own_argument(void **state)
{
    struct err err = {0};

    (void)state;
    err_set(&err, ERR_RETRY, "inner");
    err_set(&err, ERR_UNKNOWN, "<%s>", err.text);
    assert_string_equal(err.text, "<inner>");
    err_wrap(&err, "%s", err.text);
    assert_string_equal(err.text, "<inner>: <inner>");
}

static void long_texts_are_cut_at_a_character(void **state)
{
    static const char *const characters[] = {"a", "é", "€", "😀"};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        for (size_t lead = 0; lead < 4; lead++) {
            char long_text[1024] = "";
            struct err err = {0};
            memset(long_text, 'x', lead);
            while (strlen(long_text) < 700)
                strcat(long_text, characters[i]);
            err_set(&err, ERR_RETRY, "%s", long_text);
            assert_true(utf8_valid(err.text));
            assert_true(strlen(err.text) > sizeof err.text - 5);
            err_wrap(&err, "%s", "subject");
            assert_true(utf8_valid(err.text));
        }
    }
}

static void errno_says_whether_it_may_pass(void **state)
{
    struct err err = {0};

    (void)state;
    err_errno(&err, ENOSPC, "/backup");
    assert_int_equal(err.kind, ERR_RETRY);
    assert_int_equal(err.code, ENOSPC);
    assert_string_equal(err.text, "/backup: No space left on device");
    err_errno(&err, EACCES, "/backup");
    assert_int_equal(err.kind, ERR_PERMANENT);
}

static void every_kind_has_a_name(void **state)
{
    static const char *const names[] = {"none", "retry", "permanent", "conflict", "cancelled", "unknown"};

    (void)state;
    for (int kind = ERR_NONE; kind <= ERR_UNKNOWN; kind++)
        assert_string_equal(err_kind_name((enum err_kind)kind), names[kind]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_and_wrap_keep_kind_code_and_hint),
        cmocka_unit_test(a_new_error_forgets_the_old_hint),
        cmocka_unit_test(null_is_fine_everywhere),
        cmocka_unit_test(text_may_be_its_own_argument),
        cmocka_unit_test(long_texts_are_cut_at_a_character),
        cmocka_unit_test(errno_says_whether_it_may_pass),
        cmocka_unit_test(every_kind_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
