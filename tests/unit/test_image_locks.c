#include "worker/backends/libvirt/image.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* What QEMU does with an image of its own. */
static void hold(int fd, off_t byte, short how)
{
    struct flock lock = {.l_type = how, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

    assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
}

static void test_who_has_an_image_open_is_seen_by_the_lock(void **state)
{
    char path[] = "/tmp/fs-image-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_false(image_open(path) || image_written(path));
    hold(fd, 99, F_RDLCK);
    hold(fd, 200, F_RDLCK);
    assert_false(image_open(path) || image_written(path));
    hold(fd, 100, F_RDLCK);
    assert_true(image_open(path) && !image_written(path));
    hold(fd, 101, F_RDLCK);
    assert_true(image_open(path) && image_written(path));
    close(fd);
    assert_false(image_open(path) || image_written(path));
    unlink(path);
    assert_false(image_open(path) || image_written(path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_who_has_an_image_open_is_seen_by_the_lock)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
