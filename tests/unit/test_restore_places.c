/* Where the disks of a restored domain go. */
#include "worker/backends/libvirt/restore_places.h"

#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct restore_origin disks[] = {
    {"vda", "qcow2", NULL, "/images/web.qcow2"},
    {"vdb", "raw", "fast", NULL},
    {"vdc", "raw", NULL, "/images/deep/web.img"},
    {"vdd", "raw", NULL, NULL},
};
enum { DISKS = sizeof disks / sizeof *disks };

struct asked {
    struct facts files, pools;
    struct restore_wish wish;
    char *out[DISKS];
    struct err err;
};

static int set_up(void **state)
{
    struct asked *asked = calloc(1, sizeof *asked);

    asked->wish = (struct restore_wish){"copy", &asked->files, &asked->pools};
    *state = asked;
    return 0;
}

static int tear_down(void **state)
{
    struct asked *asked = *state;

    for (size_t i = 0; i < DISKS; i++)
        free(asked->out[i]);
    facts_clear(&asked->files);
    facts_clear(&asked->pools);
    free(asked);
    return 0;
}

static int choose(struct asked *asked)
{
    return restore_choose_files(&asked->wish, disks, DISKS, asked->out, &asked->err);
}

static void who_asks_for_nothing_gets_the_folder(void **state)
{
    struct asked *asked = *state;

    assert_int_equal(choose(asked), 0);
    for (size_t i = 0; i < DISKS; i++)
        assert_null(asked->out[i]);
}

static void pools_are_names_or_directories(void **state)
{
    struct asked *asked = *state;

    facts_set(&asked->pools, "/images/", "/new", NULL);
    facts_set(&asked->pools, "fast", "/ssd", NULL);
    assert_int_equal(choose(asked), 0);
    assert_string_equal(asked->out[0], "/new/copy-vda.qcow2");
    assert_string_equal(asked->out[1], "/ssd/copy-vdb.raw");
    assert_null(asked->out[2]); /* deeper is another directory */
    assert_null(asked->out[3]);
}

static void a_file_that_is_asked_for_goes_before_the_pool(void **state)
{
    struct asked *asked = *state;

    facts_set(&asked->pools, "/images", "/new", NULL);
    facts_set(&asked->files, "vda", "/elsewhere/a.img", NULL);
    assert_int_equal(choose(asked), 0);
    assert_string_equal(asked->out[0], "/elsewhere/a.img");
}

static void what_fits_nothing_is_refused(void **state)
{
    struct asked *asked = *state;

    facts_set(&asked->pools, "slow", "/new", NULL);
    assert_int_equal(choose(asked), -1);
    assert_string_equal(asked->err.text, "no disk that is restored was in pool slow");
    assert_string_equal(asked->err.hint,
                        "they were: vda in /images, vdb in pool fast, vdc in /images/deep, vdd in none");
    facts_remove(&asked->pools, "slow");
    facts_set(&asked->files, "vdz", "/new/z", NULL);
    assert_int_equal(choose(asked), -1);
    assert_string_equal(asked->err.text, "disk vdz is given a file, but is none of those that are restored");
}

static void two_disks_are_never_one_file(void **state)
{
    struct asked *asked = *state;

    facts_set(&asked->files, "vda", "/new/a", NULL);
    facts_set(&asked->files, "vdc", "/new/a", NULL);
    assert_int_equal(choose(asked), -1);
    assert_string_equal(asked->err.text, "disks vda and vdc would be one file, /new/a");
    assert_null(asked->out[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_asks_for_nothing_gets_the_folder, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pools_are_names_or_directories, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_is_asked_for_goes_before_the_pool, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_fits_nothing_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(two_disks_are_never_one_file, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
