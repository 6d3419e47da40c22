#include "base/base64.h"
#include "base/clock.h"
#include "base/uuid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void random_ones_differ_and_are_valid(void **state)
{
    char a[UUID_TEXT];
    char b[UUID_TEXT];

    (void)state;
    uuid_random(a);
    uuid_random(b);
    assert_string_not_equal(a, b);
    assert_true(uuid_valid(a));
    assert_int_equal(a[14], '4');
    assert_non_null(strchr("89ab", a[19]));
}

static void a_child_gives_out_others_than_its_parent(void **state)
{
    char ours[UUID_TEXT], theirs[UUID_TEXT] = "";
    int fds[2], status = -1;

    (void)state;
    uuid_random(ours); /* what is left over would be the child's, too */
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    if (child == 0) {
        uuid_random(theirs);
        _exit(write(fds[1], theirs, sizeof theirs) == (ssize_t)sizeof theirs ? 0 : 1);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(read(fds[0], theirs, sizeof theirs), (ssize_t)sizeof theirs);
    uuid_random(ours);
    assert_string_not_equal(ours, theirs);
    close(fds[0]);
    close(fds[1]);
}

/* The expected values are those of Python's uuid.uuid5. */
static void derived_ones_are_version_5_of_the_joined_parts(void **state)
{
    char id[UUID_TEXT];

    (void)state;
    uuid_derive(id, (const char *const[]){"a", "b", NULL});
    assert_string_equal(id, "a4d72ad6-8ae0-517e-bc80-b7d50f980e50");
    uuid_derive(id, (const char *const[]){NULL});
    assert_string_equal(id, "570a950a-1785-5663-8ad5-12cf68a4f25c");
    uuid_derive(id, (const char *const[]){"a text that is longer than one block of SHA-1, which takes sixty-four bytes",
                                          "é", NULL});
    assert_string_equal(id, "4af0307d-7c53-5efa-a433-ac4054cb7163");
}

static void parts_do_not_run_together(void **state)
{
    char a[UUID_TEXT];
    char b[UUID_TEXT];

    (void)state;
    uuid_derive(a, (const char *const[]){"ab", "c", NULL});
    uuid_derive(b, (const char *const[]){"a", "bc", NULL});
    assert_string_not_equal(a, b);
}

static void only_lower_case_text_of_36_is_valid(void **state)
{
    static const char *const bad[] = {"",
                                      "5d7157ac-68eb-59cc-8fd4-e2958377478",
                                      "5d7157ac-68eb-59cc-8fd4-e295837747811",
                                      "5D7157AC-68eb-59cc-8fd4-e29583774781",
                                      "5d7157ac068eb-59cc-8fd4-e29583774781",
                                      "5d7157ag-68eb-59cc-8fd4-e29583774781"};

    (void)state;
    assert_true(uuid_valid("5d7157ac-68eb-59cc-8fd4-e29583774781"));
    assert_false(uuid_valid(NULL));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(uuid_valid(bad[i]));
}

static void a_beginning_needs_four_characters(void **state)
{
    (void)state;
    assert_true(uuid_prefix_valid("5d71"));
    assert_true(uuid_prefix_valid("5d7157ac-"));
    assert_true(uuid_prefix_valid("5d7157ac-68eb-59cc-8fd4-e29583774781"));
    assert_false(uuid_prefix_valid("5d7"));
    assert_false(uuid_prefix_valid("5d7157ac68"));
    assert_false(uuid_prefix_valid("web-1"));
    assert_false(uuid_prefix_valid("5d7157ac-68eb-59cc-8fd4-e295837747811"));
    assert_false(uuid_prefix_valid(NULL));
}

static void bytes_have_the_order_of_the_texts(void **state)
{
    static const char text[] = "5d7157ac-68eb-59cc-8fd4-e29583774781";
    unsigned char bytes[UUID_BYTES], first[UUID_BYTES], last[UUID_BYTES];
    char back[UUID_TEXT];

    (void)state;
    assert_true(uuid_parse(text, bytes));
    uuid_format(back, bytes);
    assert_string_equal(back, text);
    assert_true(uuid_range(text, first, last));
    assert_memory_equal(first, bytes, UUID_BYTES);
    assert_memory_equal(last, bytes, UUID_BYTES);
    assert_true(uuid_range("5d715", first, last)); /* ends within a byte */
    uuid_format(back, first);
    assert_string_equal(back, "5d715000-0000-0000-0000-000000000000");
    uuid_format(back, last);
    assert_string_equal(back, "5d715fff-ffff-ffff-ffff-ffffffffffff");
    assert_true(uuid_range("", first, last));
    assert_false(uuid_range("5d7157ac68", first, last));
    assert_false(uuid_range("5d7157ac-68eb-59cc-8fd4-e295837747811", first, last));
    assert_false(uuid_parse("5d7157ac-68eb-59cc-8fd4-e2958377478g", bytes));
}

static void base64_goes_both_ways(void **state)
{
    static const struct {
        const char *plain, *text;
    } cases[] = {{"", ""},
                 {"f", "Zg=="},
                 {"fo", "Zm8="},
                 {"foo", "Zm9v"},
                 {"foob", "Zm9vYg=="},
                 {"fooba", "Zm9vYmE="},
                 {"foobar", "Zm9vYmFy"}};
    char out[64];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(base64_encode(cases[i].plain, strlen(cases[i].plain), out, sizeof out), strlen(cases[i].text));
        assert_string_equal(out, cases[i].text);
        assert_int_equal(base64_decode(cases[i].text, out, sizeof out), strlen(cases[i].plain));
        assert_memory_equal(out, cases[i].plain, strlen(cases[i].plain));
    }
    assert_int_equal(base64_encode("foo", 3, out, 4), -1);
    assert_int_equal(base64_decode("Zm9v", out, 2), -1);
}

static void base64_is_strict(void **state)
{
    static const char *const bad[] = {"Z",        "Zg",   "Zg=",    "Zh==", "Zm9=", "Zm 9",
                                      "Zg==Zg==", "=g==", "Zm9v\n", "====", "Z===", "-_=="};
    char out[64];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(base64_decode(bad[i], out, sizeof out), -1);
}

static void a_fake_clock_stands_still(void **state)
{
    (void)state;
    clock_fake(1000, 50);
    assert_int_equal(clock_real_ms(), 1000);
    assert_int_equal(clock_real_us(), 1000000);
    assert_int_equal(clock_monotonic_ms(), 50);
    clock_fake(0, 0);
    assert_true(clock_real_ms() > 1600000000000);
    int64_t before = clock_monotonic_us();
    assert_true(clock_monotonic_us() >= before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_ones_differ_and_are_valid),
        cmocka_unit_test(a_child_gives_out_others_than_its_parent),
        cmocka_unit_test(derived_ones_are_version_5_of_the_joined_parts),
        cmocka_unit_test(parts_do_not_run_together),
        cmocka_unit_test(only_lower_case_text_of_36_is_valid),
        cmocka_unit_test(a_beginning_needs_four_characters),
        cmocka_unit_test(bytes_have_the_order_of_the_texts),
        cmocka_unit_test(base64_goes_both_ways),
        cmocka_unit_test(base64_is_strict),
        cmocka_unit_test(a_fake_clock_stands_still),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
