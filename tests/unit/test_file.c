#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char folder[] = "/tmp/test_file.XXXXXX";
static char path[256];

static const char *in(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
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

static void what_is_written_is_read(void **state)
{
    CLEANUP(freep) char *data = NULL;
    struct err err = {0};
    struct stat info;
    size_t len;

    (void)state;
    assert_int_equal(file_write_atomic(in("a"), "one\0two", 7, 0600, &err), 0);
    assert_int_equal(file_read(in("a"), 7, &data, &len, &err), 0);
    assert_int_equal(len, 7);
    assert_memory_equal(data, "one\0two", 8);
    assert_int_equal(stat(in("a"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(file_write_atomic(in("a"), "", 0, 0640, &err), 0);
    freep(&data);
    assert_int_equal(file_read(in("a"), 7, &data, &len, &err), 0);
    assert_int_equal(len, 0);
}

static void nothing_temporary_stays(void **state)
{
    struct err err = {0};
    char nowhere[300];

    (void)state;
    assert_int_equal(mkdir(in("sub"), 0755), 0);
    assert_int_equal(mkdir(in("sub/b"), 0755), 0);
    assert_int_equal(file_write_atomic(in("sub/b"), "x", 1, 0600, &err), -1); /* a directory is in the way */
    snprintf(nowhere, sizeof nowhere, "%s/absent/b", folder);
    assert_int_equal(file_write_atomic(nowhere, "x", 1, 0600, &err), -1);
    assert_int_equal(err.code, ENOENT);

    DIR *open_folder = opendir(in("sub"));
    int entries = 0;
    while (readdir(open_folder))
        entries++;
    closedir(open_folder);
    assert_int_equal(entries, 3); /* ., .., b */
}

static void larger_than_allowed_is_an_error(void **state)
{
    char *data = NULL;
    struct err err = {0};
    char big[10000] = {0};

    (void)state;
    memset(big, 'x', sizeof big);
    assert_int_equal(file_write_atomic(in("big"), big, sizeof big, 0600, &err), 0);
    assert_int_equal(file_read(in("big"), sizeof big - 1, &data, NULL, &err), -1);
    assert_null(data);
    assert_int_equal(err.kind, ERR_PERMANENT);
    assert_non_null(strstr(err.text, "larger than 9999"));
    assert_int_equal(file_read(folder, 10, &data, NULL, &err), -1);
    assert_int_equal(err.code, EISDIR);
    assert_int_equal(file_read(in("absent"), 10, &data, NULL, &err), -1);
    assert_int_equal(err.code, ENOENT);
}

static void a_secret_that_others_can_read_is_refused(void **state)
{
    CLEANUP(freep) char *data = NULL;
    struct err err = {0};

    (void)state;
    assert_int_equal(file_write_atomic(in("key"), "s", 1, 0640, &err), 0);
    assert_int_equal(file_read_secret(in("key"), 10, &data, NULL, &err), -1);
    assert_non_null(strstr(err.hint, "chmod 600"));
    chmod(in("key"), 0400);
    assert_int_equal(file_read_secret(in("key"), 10, &data, NULL, &err), 0);
}

static void directories_are_made_once(void **state)
{
    struct err err = {0};

    (void)state;
    assert_int_equal(file_make_directories(in("x/y/z"), 0700, &err), 0);
    assert_int_equal(file_make_directories(in("x/y/z"), 0700, &err), 0);
    assert_int_equal(file_make_directories(in("x/y/z/"), 0700, &err), 0);
    assert_true(file_exists(in("x/y/z")));
    assert_int_equal(file_write_atomic(in("x/f"), "", 0, 0600, &err), 0);
    assert_int_equal(file_make_directories(in("x/f"), 0700, &err), -1);
    assert_int_equal(err.code, ENOTDIR);
    assert_int_equal(file_make_directories(in("x/f/g"), 0700, &err), -1);
    assert_int_equal(file_make_directories("", 0700, &err), -1);
    assert_int_equal(file_remove(in("x/f"), &err), 0);
    assert_int_equal(file_remove(in("x/f"), &err), 0);
    assert_int_equal(file_remove(in("x"), &err), -1);
}

static void space_is_known(void **state)
{
    struct err err = {0};
    int64_t free_bytes;
    int64_t total_bytes;

    (void)state;
    assert_int_equal(file_free_space(folder, &free_bytes, &total_bytes, &err), 0);
    assert_true(total_bytes > 0 && free_bytes <= total_bytes);
    assert_int_equal(file_free_space(in("absent"), &free_bytes, NULL, &err), -1);
}

static void inside_means_after_links_are_followed(void **state)
{
    char root[300];
    char outside[300];

    (void)state;
    snprintf(root, sizeof root, "%s/root", folder);
    snprintf(outside, sizeof outside, "%s/root-2", folder);
    assert_int_equal(mkdir(root, 0755), 0);
    assert_int_equal(mkdir(outside, 0755), 0);
    assert_int_equal(symlink(outside, in("root/link")), 0);
    assert_int_equal(symlink("/nonexistent/place", in("root/dangling")), 0);
    assert_int_equal(symlink(root, in("alias")), 0);
    assert_true(file_inside(root, root));
    assert_true(file_inside(in("root/a"), root));
    assert_true(file_inside(in("root/not/there/yet"), root));
    assert_true(file_inside(in("alias/a"), root));
    assert_true(file_inside(in("root-2/../root/a"), root));
    assert_true(file_inside("/etc", "/"));
    assert_false(file_inside(outside, root));
    assert_false(file_inside(in("root/link/a"), root));
    assert_false(file_inside(in("root/dangling"), root));
    assert_false(file_inside(in("root/dangling/a"), root));
    assert_false(file_inside(in("root/.."), root));
    assert_false(file_inside(in("root/absent/../../root-2/a"), root));
    assert_false(file_inside("root/a", root));
    assert_false(file_inside(in("root/a"), "/nonexistent"));
}

static void another_directory_of_that_path_is_another(void **state)
{
    char *first, *again, *other;
    struct err err = {0};

    (void)state;
    assert_int_equal(mkdir(in("state"), 0700), 0);
    assert_int_equal(file_identity(in("state"), &first, &err), 0);
    assert_int_equal(file_identity(in("state"), &again, &err), 0);
    assert_string_equal(first, again);
    char before[4096];
    snprintf(before, sizeof before, "%s", in("before"));
    assert_int_equal(rename(in("state"), before), 0);
    assert_int_equal(file_identity(in("state"), &other, &err), -1);
    assert_int_equal(mkdir(in("state"), 0700), 0);
    assert_int_equal(file_identity(in("state"), &other, &err), 0);
    assert_string_not_equal(first, other);
    assert_memory_equal(first, in("state"), strlen(in("state")));
    free(first);
    free(again);
    free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(nothing_temporary_stays),
        cmocka_unit_test(larger_than_allowed_is_an_error),
        cmocka_unit_test(a_secret_that_others_can_read_is_refused),
        cmocka_unit_test(directories_are_made_once),
        cmocka_unit_test(space_is_known),
        cmocka_unit_test(inside_means_after_links_are_followed),
        cmocka_unit_test(another_directory_of_that_path_is_another),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
