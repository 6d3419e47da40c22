#include "base/err.h"
#include "model/record.h"
#include "model/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ID "5d7157ac-68eb-59cc-8fd4-e29583774781"

static void good_ones_go_both_ways(void **state)
{
    static const char *const good[] = {"libvirt:" ID, "repository:" ID, "canister:rrkah-fqaaa-aaaaa-aaaaq-cai",
                                       "null:bench-1"};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct target target = {0};
        char text[TARGET_TEXT];
        assert_int_equal(target_parse(good[i], &target, NULL), 0);
        assert_true(target_valid(&target));
        assert_string_equal(target_format(&target, text), good[i]);
        record_clear(&target_record, &target);
    }
}

static void others_are_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "libvirt",
                                      "libvirt:",
                                      ":" ID,
                                      "libvirt:web-1",
                                      "LIBVIRT:" ID,
                                      "libvirt:5D7157AC-68eb-59cc-8fd4-e29583774781",
                                      "canister:a b",
                                      "canister:-a",
                                      "canister:A",
                                      "null:",
                                      "null:../x",
                                      "vmware:" ID,
                                      "libvirt:" ID "\n"};
    struct target target = {0};
    struct err err = {0};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(target_parse(bad[i], &target, &err), -1);
        assert_int_equal(err.kind, ERR_PERMANENT);
        assert_null(target.kind);
    }
    assert_false(target_valid(&target));
}

static void names_of_hosts(void **state)
{
    char longest[65] = {0};

    (void)state;
    assert_true(name_valid_host("kvm-1.rack.example"));
    assert_true(name_valid_host("0"));
    memset(longest, 'a', 63);
    assert_true(name_valid_host(longest));
    longest[63] = 'a';
    assert_false(name_valid_host(longest));
    static const char *const bad[] = {"", "-a", ".a", "A", "a b", "a/b", "a:b", "a\n", "é"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(name_valid_host(bad[i]));
    assert_false(name_valid_host(NULL));
}

static void plain_names(void **state)
{
    static const char *const bad[] = {"", "-a", ".a", "_a", "a b", "a/b", "..", "a'b", "$(a)", "a;b"};

    (void)state;
    assert_true(name_valid_plain("Nightly_1.a-b"));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(name_valid_plain(bad[i]));
    assert_false(name_valid_plain(NULL));
}

static void names_of_snapshots(void **state)
{
    static const char *const good[] = {"pre-deploy 42", "ä", "a<b>&\"'", "日本", "-rf", "a.b"};
    static const char *const bad[] = {"", ".a", "a/b", "a\nb", "\x7f", "a\xc2\x85", "\xff", "\xc3", "a\x1b[0m"};
    char longest[257] = {0};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(name_valid_snapshot(good[i]) && name_valid_domain(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(name_valid_snapshot(bad[i]));
    memset(longest, 'a', 255);
    assert_true(name_valid_snapshot(longest));
    longest[255] = 'a';
    assert_false(name_valid_snapshot(longest));
    assert_false(name_valid_snapshot(NULL));
}

static void utf8_is_that_of_rfc_3629(void **state)
{
    static const char *const good[] = {"",
                                       "a",
                                       "\x7f",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xbf",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xc2\x41",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xe2\x82",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xf8\x88\x80\x80\x80",
                                      "\xfe",
                                      "\xff",
                                      "a\xf0\x90\x80"};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(utf8_valid(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(utf8_valid(bad[i]));
    assert_true(text_printable("a\tb\n", true));
    assert_false(text_printable("a\tb", false));
    assert_false(text_printable("a\r", true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_ones_go_both_ways), cmocka_unit_test(others_are_refused),
        cmocka_unit_test(names_of_hosts),         cmocka_unit_test(plain_names),
        cmocka_unit_test(names_of_snapshots),     cmocka_unit_test(utf8_is_that_of_rfc_3629),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
