/* The files of a disk's chain against their checksums, on a thread beside the copy. */
#include "base/err.h"
#include "base/file.h"
#include "crypto/digest.h"
#include "model/restore_point.h"
#include "worker/backends/libvirt/chain_sums.h"
#include "worker/repository.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char source[] = "11111111-2222-4333-8444-555555555555";
static char root[64], chain_folder[128];

static int set_up(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/fs-sums-XXXXXX");
    if (!mkdtemp(root) || repository_init(root, "id-1", "main", 5, NULL) < 0)
        return -1;
    snprintf(chain_folder, sizeof chain_folder, "%s/%s/full", root, source);
    return 0;
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

static char *path_of(const char *point, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/%s/vda.qcow2", chain_folder, point);
    return out;
}

static void write_disk(const char *point, const char *content)
{
    struct err err = {0};
    char path[PATH_MAX];

    if (file_write_atomic(path_of(point, path), content, strlen(content), 0600, &err) < 0)
        fail_msg("%s", err.text);
}

/* sum: NULL where it is not known yet. */
static void add_point(const char *id, const char *parent, const char *sum)
{
    struct restore_point point = {.id = strdup(id),
                                  .format = 1,
                                  .revision = 1,
                                  .kind = strdup("backup"),
                                  .host = strdup("h"),
                                  .state = POINT_COMPLETE,
                                  .created_at_ms = parent ? 2 : 1,
                                  .chain = strdup("full"),
                                  .parent = parent ? strdup(parent) : NULL};
    struct point_disk *disk = list_add(&point.disks, &point_disk_record, NULL);
    struct err err = {0};
    char folder[PATH_MAX];

    point.target = (struct target){strdup("libvirt"), strdup(source), NULL};
    disk->name = strdup("vda");
    disk->file = strdup("vda.qcow2");
    disk->format = strdup("qcow2");
    disk->mode = strdup(parent ? "incremental" : "full");
    disk->sha256 = sum ? strdup(sum) : NULL;
    snprintf(folder, sizeof folder, "%s/%s", chain_folder, id);
    if (file_make_directories(folder, 0755, &err) < 0 || manifest_write(folder, &point, &err) < 0)
        fail_msg("%s", err.text);
    restore_point_clear(&point);
}

static void add_chain(bool full_known, bool heir_known)
{
    char sum[DIGEST_TEXT];

    digest_bytes("whole", 5, sum);
    add_point("full", NULL, full_known ? sum : NULL);
    digest_bytes("change", 6, sum);
    add_point("heir", "full", heir_known ? sum : NULL);
    write_disk("full", "whole");
    write_disk("heir", "change");
}

static struct chain_sums *begin(void)
{
    const struct chain_sums_of of = {root, source, chain_folder, "heir", "vda"};
    struct chain_sums *sums = NULL;
    struct err err = {0};

    if (chain_sums_begin(&of, &sums, &err) < 0)
        fail_msg("%s", err.text);
    return sums;
}

static bool never(void *context)
{
    (void)context;
    return false;
}

static void nothing_is_known_yet(void **state)
{
    struct err err = {0};

    (void)state;
    add_chain(false, false);
    assert_null(begin());
    assert_int_equal(chain_sums_wait(NULL, never, NULL, &err), 0);
    assert_false(chain_sums_bad(NULL));
}

static void all_are_good(void **state)
{
    struct err err = {0};

    (void)state;
    add_chain(true, true);
    struct chain_sums *sums = begin();
    assert_non_null(sums);
    assert_int_equal(chain_sums_wait(sums, never, NULL, &err), 0);
    assert_false(chain_sums_bad(sums));
    chain_sums_end(sums);
}

static void assert_damaged(const char *point)
{
    struct chain_sums *sums = begin();
    struct err err = {0};

    assert_non_null(sums);
    assert_int_equal(chain_sums_wait(sums, never, NULL, &err), -1);
    assert_int_equal(err.kind, ERR_PERMANENT);
    assert_non_null(strstr(err.text, point));
    assert_non_null(strstr(err.text, "damaged"));
    assert_true(chain_sums_bad(sums));
    chain_sums_end(sums);
}

static void every_file_counts(void **state)
{
    (void)state;
    add_chain(true, true);
    write_disk("full", "whOle");
    assert_damaged("full");
    write_disk("full", "whole");
    write_disk("heir", "chanGe");
    assert_damaged("heir");
    add_chain(true, false);
    write_disk("full", "whOle");
    assert_damaged("full");
}

static void one_that_cannot_be_read_is_not_good(void **state)
{
    struct err err = {0};
    char path[PATH_MAX];

    (void)state;
    add_chain(true, true);
    assert_int_equal(unlink(path_of("full", path)), 0);
    struct chain_sums *sums = begin();
    assert_int_equal(chain_sums_wait(sums, never, NULL, &err), -1);
    assert_non_null(strstr(err.text, path));
    chain_sums_end(sums);
}

static bool second_time(void *context)
{
    return ++*(int *)context > 1;
}

/* 256 GiB of nothing take minutes to read: it is stopped in the middle, by the one who waits and by the end. */
static void it_can_be_stopped(void **state)
{
    struct err err = {0};
    char path[PATH_MAX];
    int asked = 0;

    (void)state;
    add_chain(true, true);
    if (truncate(path_of("full", path), (off_t)256 << 30) < 0)
        skip(); /* this file system has no such files */
    struct chain_sums *sums = begin();
    assert_int_equal(chain_sums_wait(sums, second_time, &asked, &err), -1);
    assert_int_equal(err.kind, ERR_CANCELLED);
    assert_false(chain_sums_bad(sums));
    chain_sums_end(sums);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_known_yet), TEST(all_are_good),
        TEST(every_file_counts),    TEST(one_that_cannot_be_read_is_not_good),
        TEST(it_can_be_stopped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
