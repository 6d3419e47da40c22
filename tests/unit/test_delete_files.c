#include "worker/backends/libvirt/backup.h"

#include "base/err.h"
#include "base/file.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* REPOSITORY/TARGET/CHAIN/POINT */
static char repository[] = "/tmp/fs-delete-XXXXXX";

static void make(const char *below)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/%s", repository, below);
    assert_int_equal(mkdir(path, 0700), 0);
}

static bool there(const char *below)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/%s", repository, below);
    return file_exists(path);
}

static void delete_point(const char *below)
{
    struct step step = {.type = &step_delete_files, .class = STEP_DESTROYS};
    struct facts known = {0}, learned = {0};
    struct step_run run = {.known = &known};
    struct err err = {0};
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/%s", repository, below);
    assert_int_equal(facts_set(&step.args, "folder", path, &err), 0);
    assert_int_equal(step_delete_files.execute(&run, &step, &learned, &err), 0);
    facts_clear(&step.args);
    facts_clear(&learned);
}

/* As one finds it who died when the point's folder was gone, and those above it were not. */
static void test_a_repeat_removes_the_empty_folders_above(void **state)
{
    (void)state;
    make("target");
    make("target/chain");
    delete_point("target/chain/point");
    assert_false(there("target"));
    make("target");
    delete_point("target/chain/point");
    assert_false(there("target"));
    assert_true(there(""));
}

static void test_what_holds_another_point_stays(void **state)
{
    (void)state;
    make("target");
    make("target/chain");
    make("target/chain/another");
    make("target/chain/point");
    delete_point("target/chain/point");
    assert_false(there("target/chain/point"));
    assert_true(there("target/chain/another"));
    delete_point("target/chain/another");
    assert_false(there("target"));
}

static int begin(void **state)
{
    (void)state;
    return mkdtemp(repository) ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    return rmdir(repository);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_repeat_removes_the_empty_folders_above),
        cmocka_unit_test(test_what_holds_another_point_stays),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
