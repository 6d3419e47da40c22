/* The expected values come from an independent implementation (Python's hmac) of the layout in mac.h. */
#include "base/clock.h"
#include "base/err.h"
#include "crypto/keys.h"
#include "crypto/mac.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct mac *mac;
static struct key_ring ring;
static struct err err;

static int begin(void **state)
{
    (void)state;
    ring.count = 1;
    ring.items[0].generation = 3;
    for (int i = 0; i < KEY_BYTES; i++)
        ring.items[0].key[i] = (unsigned char)i;
    return mac_new(&mac, &err);
}

static int end(void **state)
{
    (void)state;
    mac_free(mac);
    mac_free(NULL);
    return 0;
}

static const char value[] = "\0\1\2value";
static const struct mac_input job = {.topic = "fleetsnap.jobs",
                                     .key = "kvm-1",
                                     .key_len = 5,
                                     .value = value,
                                     .value_len = 8,
                                     .fs_host = "kvm-1",
                                     .fs_job = "5d7157ac-68eb-59cc-8fd4-e29583774781"};

static void expect(const struct mac_input *input, const char *expected)
{
    char text[MAC_TEXT];

    assert_int_equal(mac_sign(mac, &ring, input, text, &err), 0);
    assert_string_equal(text, expected);
    assert_int_equal(mac_verify(mac, &ring, input, text, 1), MAC_OK);
}

static void the_layout_is_that_of_the_header(void **state)
{
    const struct mac_input absent = {.topic = "t", .fs_host = "", .fs_term = "7", .fs_rev = "3"};
    struct mac_input empty = absent;

    (void)state;
    empty.key = empty.value = "";
    for (int i = 0; i < 3; i++) { /* the context is used again */
        expect(&job, "3:9S18/HXqWhmrv+v6yoZxYS3k8ou47ojphTcqkV5Dd6k=");
        expect(&absent, "3:3Z+IjhQjoC19Mefsuki8+4pKEsnLjUDN/CfhsWs7MGQ=");
        expect(&empty, "3:JLOhVWihJzbSC09I+IGUxiJxFOlx6NLkNwcEYJYBDNE=");
    }
}

static void refused(const struct mac_input *input, const char *text)
{
    assert_int_equal(mac_verify(mac, &ring, input, text, 1), MAC_BAD);
}

static void any_changed_byte_fails(void **state)
{
    char text[MAC_TEXT];
    char changed[64];

    (void)state;
    mac_sign(mac, &ring, &job, text, &err);
    for (size_t i = 0; i < job.value_len * 8; i++) {
        struct mac_input input = job;
        memcpy(changed, job.value, job.value_len);
        changed[i / 8] ^= (char)(1 << i % 8);
        input.value = changed;
        refused(&input, text);
    }
    const size_t members[] = {offsetof(struct mac_input, topic), offsetof(struct mac_input, fs_host),
                              offsetof(struct mac_input, fs_job)};
    for (size_t m = 0; m < sizeof members / sizeof *members; m++) {
        const char *original = *(const char *const *)((const char *)&job + members[m]);
        for (size_t i = 0; i < strlen(original); i++) {
            struct mac_input input = job;
            snprintf(changed, sizeof changed, "%s", original);
            changed[i] ^= 1;
            *(const char **)((char *)&input + members[m]) = changed;
            refused(&input, text);
        }
    }
    for (size_t i = 2; text[i + 2]; i++) { /* the last digits hold fewer bits */
        snprintf(changed, sizeof changed, "%s", text);
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        refused(&job, changed);
    }
}

static void parts_cannot_move(void **state)
{
    char text[MAC_TEXT];

    (void)state;
    mac_sign(mac, &ring, &job, text, &err);
    struct mac_input moved = job;
    moved.key = "kvm-1\0";
    moved.key_len = 6;
    moved.value = value + 1;
    moved.value_len = 7;
    refused(&moved, text);
    moved = job;
    moved.fs_term = moved.fs_host;
    moved.fs_host = NULL;
    refused(&moved, text);
    moved = job;
    moved.fs_rev = "";
    refused(&moved, text);
    moved = job;
    moved.value = NULL;
    moved.value_len = 0;
    refused(&moved, text);
    moved = job;
    moved.value_len = 7;
    refused(&moved, text);
}

static void what_is_no_mac_is_malformed(void **state)
{
    static const char *const bad[] = {
        "",
        ":",
        "3",
        "3:",
        "3:AAAA",
        ":AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "x:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "03:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "4294967296:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "3:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "3:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= ",
        "99999999999999999999:AAAA",
        "3:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="};

    (void)state;
    assert_int_equal(mac_verify(mac, &ring, &job, NULL, 1), MAC_MALFORMED);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(mac_verify(mac, &ring, &job, bad[i], 1), MAC_MALFORMED);
}

static void generations_begin_and_end(void **state)
{
    struct key_ring two = {.count = 2, .items = {{.generation = 4, .key = {1}}, ring.items[0]}};
    char old[MAC_TEXT];
    char new[MAC_TEXT];

    (void)state;
    mac_sign(mac, &ring, &job, old, &err);
    two.items[1].not_after_ms = 1000;
    assert_int_equal(mac_sign(mac, &two, &job, new, &err), 0);
    assert_memory_equal(new, "4:", 2);
    assert_int_equal(mac_verify(mac, &two, &job, new, 5000), MAC_OK);
    assert_int_equal(mac_verify(mac, &two, &job, old, 999), MAC_OK);
    assert_int_equal(mac_verify(mac, &two, &job, old, 1000), MAC_ENDED_GENERATION);
    assert_int_equal(mac_verify(mac, &ring, &job, new, 1), MAC_UNKNOWN_GENERATION);
    clock_fake(2000, 1);
    two.items[0].not_after_ms = 3000; /* to end, not yet ended */
    assert_int_equal(mac_sign(mac, &two, &job, new, &err), 0);
    assert_memory_equal(new, "4:", 2);
    two.items[0].not_after_ms = 2000;
    assert_int_equal(mac_sign(mac, &two, &job, new, &err), -1);
    clock_fake(0, 0);
    assert_int_equal(mac_sign(mac, &(struct key_ring){0}, &job, new, &err), -1);
}

/* More keys than a row has places, all in one row: each must still give its own MAC. */
static void many_keys_push_each_other_out(void **state)
{
    struct key_ring one = {.count = 1, .items = {{.generation = 1}}};
    char first[20][MAC_TEXT];
    char again[MAC_TEXT];

    (void)state;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 20; i++) {
            one.items[0].key[31] = (unsigned char)i;
            mac_sign(mac, &one, &job, round ? again : first[i], &err);
            assert_string_equal(round ? again : first[i], first[i]);
            assert_true(i == 0 || strcmp(first[i], first[i - 1]) != 0);
        }
    }
}

static void large_values_too(void **state)
{
    char *large = calloc(1, 1024 * 1024);
    struct mac_input input = {.topic = "t", .value = large, .value_len = 1024 * 1024};
    char text[MAC_TEXT];

    (void)state;
    assert_int_equal(mac_sign(mac, &ring, &input, text, &err), 0);
    assert_int_equal(mac_verify(mac, &ring, &input, text, 1), MAC_OK);
    large[1024 * 1024 - 1] = 1;
    refused(&input, text);
    free(large);
}

static void every_verdict_has_a_text(void **state)
{
    (void)state;
    for (int verdict = MAC_OK; verdict <= MAC_MALFORMED; verdict++)
        assert_true(strlen(mac_verdict_text((enum mac_verdict)verdict)) > 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_layout_is_that_of_the_header),
        cmocka_unit_test(any_changed_byte_fails),
        cmocka_unit_test(parts_cannot_move),
        cmocka_unit_test(what_is_no_mac_is_malformed),
        cmocka_unit_test(generations_begin_and_end),
        cmocka_unit_test(many_keys_push_each_other_out),
        cmocka_unit_test(large_values_too),
        cmocka_unit_test(every_verdict_has_a_text),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
