#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "crypto/digest.h"
#include "crypto/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/test_keys.XXXXXX";
static char path[256];
static struct err err;

static const char *in(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static const char *hex(const unsigned char key[KEY_BYTES])
{
    static char text[2 * KEY_BYTES + 1];

    for (int i = 0; i < KEY_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", key[i]);
    return text;
}

/* RFC 5869, test case 3: its first 32 bytes. */
static void derivation_is_that_of_rfc_5869(void **state)
{
    unsigned char ikm[22];
    unsigned char out[KEY_BYTES];

    (void)state;
    memset(ikm, 0x0b, sizeof ikm);
    assert_int_equal(key_derive(ikm, sizeof ikm, "", out, &err), 0);
    assert_string_equal(hex(out), "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
}

/* Expected values from an independent implementation. */
static void each_host_and_generation_has_its_key(void **state)
{
    unsigned char master[KEY_BYTES];
    unsigned char out[KEY_BYTES];
    char name[80];

    (void)state;
    for (int i = 0; i < KEY_BYTES; i++)
        master[i] = (unsigned char)i;
    assert_int_equal(key_derive_host(master, 3, "kvm-1", out, &err), 0);
    assert_string_equal(hex(out), "beab4bccac3e549be578b64cdd438b66e3a9ffe81d5c8f50865fcb8e58c7745d");
    assert_int_equal(key_derive_host(master, 3, "", out, &err), 0);
    assert_string_equal(hex(out), "13e30e5feb60fe2ce13fddddb63384ada30131f946d086a68739c45e9862e105");
    memset(name, 'a', sizeof name);
    name[64] = '\0';
    assert_int_equal(key_derive_host(master, 3, name, out, &err), -1);
}

static void a_master_is_made_once(void **state)
{
    unsigned char a[KEY_BYTES];
    unsigned char b[KEY_BYTES];
    struct stat info;

    (void)state;
    assert_int_equal(key_master_create(in("master"), &err), 0);
    assert_int_equal(stat(in("master"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(key_master_load(in("master"), a, &err), 0);
    assert_int_equal(key_master_create(in("master"), &err), -1);
    assert_int_equal(key_master_load(in("master"), b, &err), 0);
    assert_memory_equal(a, b, KEY_BYTES);
    chmod(in("master"), 0644);
    assert_int_equal(key_master_load(in("master"), b, &err), -1);
    assert_int_equal(file_write_atomic(in("short"), "AAAA\n", 5, 0600, &err), 0);
    assert_int_equal(key_master_load(in("short"), b, &err), -1);
    assert_int_equal(key_master_load(in("absent"), b, &err), -1);
}

static int load(const char *text, struct key_ring *out)
{
    assert_int_equal(file_write_atomic(in("ring"), text, strlen(text), 0600, &err), 0);
    *out = (struct key_ring){0};
    return key_ring_load(in("ring"), out, &err);
}

#define KEY_A "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define KEY_B "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static void a_ring_is_sorted_and_goes_both_ways(void **state)
{
    CLEANUP(freep) char *text = NULL;
    struct key_ring ring;

    (void)state;
    assert_int_equal(load("# keys of kvm-1\n\n1 " KEY_A " 2026-11-20T14:02:03Z\n  \n12  " KEY_B "\r\n", &ring), 0);
    assert_int_equal(ring.count, 2);
    assert_int_equal(ring.items[0].generation, 12);
    assert_int_equal(ring.items[0].key[0], 1);
    assert_int_equal(ring.items[0].not_after_ms, 0);
    assert_int_equal(ring.items[1].not_after_ms, 1795183323000);
    assert_int_equal(key_ring_format(&ring, &text, &err), 0);
    assert_string_equal(text, "12 " KEY_B "\n1 " KEY_A " 2026-11-20T14:02:03.000Z\n");
    assert_int_equal(load(text, &ring), 0);
    assert_int_equal(ring.count, 2);
}

static void a_bad_ring_names_the_line(void **state)
{
    static const struct {
        const char *text, *problem;
    } cases[] = {
        {"", "no key in it"},
        {"1\n", "line 1: not"},
        {"1 " KEY_A "\n1 " KEY_B "\n", "line 2: generation 1 is there twice"},
        {"0 " KEY_A "\n", "line 1: 0 is under"},
        {"x " KEY_A "\n", "line 1: \"x\" is not"},
        {"1 AAAA\n", "line 1: 32 bytes"},
        {"1 " KEY_A " tomorrow\n", "line 1: \"tomorrow\" is not"},
        {"1 " KEY_A " 2026-11-20T14:02:03Z x\n", "line 1: not"},
    };
    struct key_ring ring;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(load(cases[i].text, &ring), -1);
        assert_non_null(strstr(err.text, cases[i].problem));
        assert_null(strstr(err.text, "AAAA")); /* never the key itself */
        assert_int_equal(ring.count, 0);
    }
    char many[2048] = "";
    for (int i = 1; i <= KEY_RING_MAX + 1; i++)
        snprintf(many + strlen(many), sizeof many - strlen(many), "%d " KEY_A "\n", i);
    assert_int_equal(load(many, &ring), -1);
}

static void a_sealed_secret_opens_only_whole_and_with_its_key(void **state)
{
    unsigned char key[KEY_BYTES] = {1};
    unsigned char other[KEY_BYTES] = {2};
    CLEANUP(freep) char *sealed = NULL;
    CLEANUP(freep) char *again = NULL;
    unsigned char *data = NULL;
    size_t len;

    (void)state;
    assert_int_equal(key_seal(key, "secret", 6, &sealed, &err), 0);
    assert_int_equal(key_seal(key, "secret", 6, &again, &err), 0);
    assert_string_not_equal(sealed, again);
    assert_int_equal(key_unseal(key, sealed, &data, &len, &err), 0);
    assert_int_equal(len, 6);
    assert_memory_equal(data, "secret", 7);
    free(data);
    assert_int_equal(key_unseal(other, sealed, &data, &len, &err), -1);
    for (size_t i = 0; sealed[i]; i++) {
        char kept = sealed[i];
        sealed[i] = kept == 'A' ? 'B' : 'A';
        assert_int_equal(key_unseal(key, sealed, &data, &len, &err), -1);
        sealed[i] = kept;
    }
    assert_int_equal(key_unseal(key, "", &data, &len, &err), -1);
    assert_int_equal(key_unseal(key, "AAAA", &data, &len, &err), -1);
    freep(&sealed);
    assert_int_equal(key_seal(key, "", 0, &sealed, &err), 0);
    assert_int_equal(key_unseal(key, sealed, &data, &len, &err), 0);
    assert_int_equal(len, 0);
    free(data);
}

static bool count_bytes(void *context, int64_t bytes)
{
    *(int64_t *)context += bytes;
    return true;
}

static bool stop(void *context, int64_t bytes)
{
    (void)context;
    (void)bytes;
    return false;
}

/* FIPS 180-4 examples. */
static void digests(void **state)
{
    static const char abc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    char out[DIGEST_TEXT];
    char whole[DIGEST_TEXT];
    int64_t seen = 0;

    (void)state;
    digest_bytes("abc", 3, out);
    assert_string_equal(out, abc);
    digest_bytes("", 0, out);
    assert_string_equal(out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");

    size_t len = 3 * 1024 * 1024 + 5;
    char *data = malloc(len);
    memset(data, 'x', len);
    digest_bytes(data, len, whole);
    assert_int_equal(file_write_atomic(in("data"), data, len, 0600, &err), 0);
    free(data);
    assert_int_equal(digest_file(in("data"), DIGEST_DROP, count_bytes, &seen, out, &err), 0);
    assert_string_equal(out, whole);
    assert_int_equal(seen, len);
    assert_int_equal(digest_file(in("data"), DIGEST_DROP, NULL, NULL, out, &err), 0);
    assert_int_equal(digest_file(in("data"), DIGEST_KEEP, stop, NULL, out, &err), -1);
    assert_int_equal(err.kind, ERR_CANCELLED);
    assert_int_equal(digest_file(in("absent"), DIGEST_DROP, NULL, NULL, out, &err), -1);
    assert_int_equal(digest_file(folder, DIGEST_DROP, NULL, NULL, out, &err), -1);
}

static void random_bytes_differ(void **state)
{
    unsigned char a[KEY_BYTES] = {0};
    unsigned char b[KEY_BYTES] = {0};

    (void)state;
    assert_int_equal(key_random(a, sizeof a, &err), 0);
    assert_int_equal(key_random(b, sizeof b, &err), 0);
    assert_memory_not_equal(a, b, sizeof a);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[300];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(derivation_is_that_of_rfc_5869),
        cmocka_unit_test(each_host_and_generation_has_its_key),
        cmocka_unit_test(a_master_is_made_once),
        cmocka_unit_test(a_ring_is_sorted_and_goes_both_ways),
        cmocka_unit_test(a_bad_ring_names_the_line),
        cmocka_unit_test(a_sealed_secret_opens_only_whole_and_with_its_key),
        cmocka_unit_test(digests),
        cmocka_unit_test(random_bytes_differ),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
