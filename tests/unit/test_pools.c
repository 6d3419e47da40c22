#include "base/err.h"
#include "coordinator/pools.h"
#include "model/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct err err;
static struct pools *pools;

static int setup(void **state)
{
    (void)state;
    assert_int_equal(pools_new(&pools, &err), 0);
    pools_add(pools, "alpha", "/var/lib/images/", &err);
    pools_add(pools, "alpha", "/var/lib/images/fast", &err);
    pools_add(pools, "", "/mnt/shared", &err);
    pools_add(pools, "alpha", "relative", &err);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pools_free(pools);
    return 0;
}

static const char *pool(const char *host, const char *source)
{
    static char name[POOL_NAME];

    return pools_find(pools, host, source, name) ? name : "none";
}

static void a_disk_lies_in_the_innermost_pool(void **state)
{
    (void)state;
    assert_string_equal(pool("alpha", "/var/lib/images/a.qcow2"), "alpha:/var/lib/images");
    assert_string_equal(pool("alpha", "/var/lib/images/deep/er/a.qcow2"), "alpha:/var/lib/images");
    assert_string_equal(pool("alpha", "/var/lib/images/fast/a.qcow2"), "alpha:/var/lib/images/fast");
    assert_string_equal(pool("alpha", "/var/lib/images-old/a.qcow2"), "alpha:/var/lib/images-old");
}

static void pools_of_hosts_are_their_own_unless_shared(void **state)
{
    (void)state;
    assert_string_equal(pool("beta", "/var/lib/images/fast/x/a.qcow2"), "beta:/var/lib/images/fast/x");
    assert_string_equal(pool("alpha", "/mnt/shared/a/b.qcow2"), "/mnt/shared");
    assert_string_equal(pool("beta", "/mnt/shared/a.qcow2"), "/mnt/shared");
}

static void what_is_no_file_lies_nowhere(void **state)
{
    char longest[5000];

    (void)state;
    assert_string_equal(pool("alpha", "/dev/vg0/a"), "alpha:/dev/vg0");
    assert_string_equal(pool("alpha", "/a.qcow2"), "alpha:/");
    assert_string_equal(pool("alpha", NULL), "none");
    assert_string_equal(pool("alpha", ""), "none");
    assert_string_equal(pool("alpha", "rbd/image"), "none");
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    longest[0] = longest[300] = '/';
    assert_string_equal(pool("alpha", longest), "none");
    longest[400] = '\0';
    assert_int_equal(strlen(pool("alpha", longest)), POOL_NAME - 1);
}

static void they_move_with_their_target(void **state)
{
    struct strings names = {0};

    (void)state;
    strings_add(&names, "alpha:/images", &err);
    strings_add(&names, "/mnt/shared", &err);
    assert_int_equal(pools_move(&names, "alpha", "beta", &err), 0);
    assert_string_equal(names.items[0], "beta:/images");
    assert_string_equal(names.items[1], "/mnt/shared");
    strings_clear(&names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_disk_lies_in_the_innermost_pool, setup, teardown),
        cmocka_unit_test_setup_teardown(pools_of_hosts_are_their_own_unless_shared, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_file_lies_nowhere, setup, teardown),
        cmocka_unit_test(they_move_with_their_target),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
