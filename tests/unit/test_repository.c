/* Repositories, manifests and leases, on a temporary directory. */
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/uuid.h"
#include "worker/repository.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char target[] = "11111111-2222-4333-8444-555555555555";
static char root[64];

static int set_up(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/fs-repository-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    clock_fake(0, 0);
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

static struct repository opened(void)
{
    struct repository repository = {0};
    struct err err = {0};

    assert_int_equal(repository_init(root, "id-1", "main", 5, &err), 0);
    assert_int_equal(repository_open(root, "id-1", &repository, &err), 0);
    return repository;
}

static void add_point(const struct repository *repository, const char *id, const char *parent, const char *chain,
                      int64_t at, int state)
{
    struct restore_point point = {.id = strdup(id),
                                  .format = 1,
                                  .revision = 1,
                                  .kind = strdup("backup"),
                                  .host = strdup("h"),
                                  .state = state,
                                  .created_at_ms = at,
                                  .chain = strdup(chain),
                                  .parent = parent ? strdup(parent) : NULL};
    struct err err = {0};
    char *folder;

    point.target = (struct target){strdup("libvirt"), strdup(target), NULL};
    assert_int_equal(repository_point_folder(repository, target, chain, id, &folder, &err), 0);
    assert_int_equal(file_make_directories(folder, 0755, &err), 0);
    if (manifest_write(folder, &point, &err) < 0)
        fail_msg("%s", err.text);
    free(folder);
    restore_point_clear(&point);
}

/* A worker that dies while it writes leaves its temporary file; the repeat of the job takes it. */
static void test_a_death_in_a_manifest_leaves_nothing(void **state)
{
    struct restore_point point = {.id = strdup("p"),
                                  .kind = strdup("backup"),
                                  .format = 1,
                                  .revision = 1,
                                  .chain = strdup("p"),
                                  .host = strdup("h"),
                                  .created_at_ms = 1,
                                  .writer = strdup("job-1")};
    struct restore_point read = {0};
    char folder[128], left[160];
    struct err err = {0};
    FILE *file;

    (void)state;
    point.target = (struct target){strdup("libvirt"), strdup("t"), NULL};
    snprintf(folder, sizeof folder, "%s/half", root);
    snprintf(left, sizeof left, "%s/manifest.json.job-1", folder);
    assert_int_equal(file_make_directories(folder, 0755, &err), 0);
    file = fopen(left, "w");
    assert_non_null(file);
    fputs("{ half of", file);
    fclose(file);
    if (manifest_write(folder, &point, &err) < 0)
        fail_msg("%s", err.text);
    if (manifest_read(folder, &read, &err) < 0)
        fail_msg("%s", err.text);
    assert_false(file_exists(left));
    restore_point_clear(&read);
    restore_point_clear(&point);
}

static void test_marker(void **state)
{
    struct repository repository = {0};
    struct err err = {0};
    char path[PATH_MAX];

    (void)state;
    assert_int_equal(repository_open(root, NULL, &repository, &err), -1);
    assert_int_equal(err.kind, ERR_PERMANENT);
    assert_non_null(strstr(err.text, "not mounted"));
    repository = opened();
    assert_string_equal(repository.name, "main");
    assert_int_equal(repository.min_free_percent, 5);
    repository_clear(&repository);
    assert_int_equal(repository_init(root, "id-1", "main", 5, &err), 0); /* ours already */
    assert_int_equal(repository_init(root, "id-2", "other", 5, &err), -1);
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_int_equal(repository_open(root, "id-2", &repository, &err), -1);
    assert_int_equal(err.kind, ERR_CONFLICT);
    snprintf(path, sizeof path, "%s/full", root);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(file_write_atomic("/dev/null/x", "", 0, 0644, NULL), -1);
    char file[PATH_MAX + 8];
    snprintf(file, sizeof file, "%s/a", path);
    assert_int_equal(file_write_atomic(file, "x", 1, 0644, &err), 0);
    assert_int_equal(repository_init(path, "id-3", "third", 5, &err), -1);
    assert_int_equal(err.kind, ERR_PERMANENT);
}

static void test_allowed(void **state)
{
    struct strings roots = {0};
    char path[128];

    (void)state;
    assert_false(repository_allowed(root, &roots));
    strings_add(&roots, root, NULL);
    assert_true(repository_allowed(root, &roots));
    snprintf(path, sizeof path, "%s/new", root);
    assert_true(repository_allowed(path, &roots));
    snprintf(path, sizeof path, "%s/../etc", root);
    assert_false(repository_allowed(path, &roots));
    assert_false(repository_allowed("/etc", &roots));
    strings_clear(&roots);
}

static void test_points_and_chains(void **state)
{
    struct repository repository = opened();
    struct list points = {0}, chain = {0};
    struct strings damaged = {0};
    struct restore_point point = {0};
    struct err err = {0};
    char *folder, file[PATH_MAX];

    (void)state;
    assert_int_equal(repository_points(&repository, target, false, &points, &damaged, &err), 0);
    assert_int_equal(points.count, 0);
    add_point(&repository, "c", "b", "a", 3000, POINT_COMPLETE);
    add_point(&repository, "a", NULL, "a", 1000, POINT_COMPLETE);
    add_point(&repository, "b", "a", "a", 2000, POINT_COMPLETE);
    add_point(&repository, "d", "c", "a", 4000, POINT_INCOMPLETE);
    add_point(&repository, "x", "gone", "x", 5000, POINT_COMPLETE);
    assert_int_equal(repository_point_folder(&repository, target, "a", "broken", &folder, &err), 0);
    mkdir(folder, 0755);
    snprintf(file, sizeof file, "%s/manifest.json", folder);
    assert_int_equal(file_write_atomic(file, "{\"id\":", 6, 0644, &err), 0);
    free(folder);
    assert_int_equal(repository_points(&repository, target, false, &points, &damaged, &err), 0);
    assert_int_equal(points.count, 4);
    assert_string_equal(list_at(&points, struct restore_point, 0)->id, "a");
    assert_string_equal(list_at(&points, struct restore_point, 2)->id, "c");
    assert_int_equal(damaged.count, 1);
    points_clear(&points);
    assert_int_equal(repository_points(&repository, target, true, &points, NULL, &err), 0);
    assert_int_equal(points.count, 5);
    points_clear(&points);
    assert_int_equal(repository_chain(&repository, target, "c", &chain, &err), 0);
    assert_int_equal(chain.count, 3);
    assert_string_equal(list_at(&chain, struct restore_point, 0)->id, "a");
    assert_string_equal(list_at(&chain, struct restore_point, 2)->id, "c");
    points_clear(&chain);
    assert_int_equal(repository_chain(&repository, target, "d", &chain, &err), -1);
    assert_int_equal(repository_chain(&repository, target, "x", &chain, &err), -1);
    assert_non_null(strstr(err.text, "gone"));
    assert_int_equal(repository_find(&repository, target, "b", &point, &folder, &err), 0);
    assert_string_equal(point.parent, "a");
    restore_point_clear(&point);
    free(folder);
    assert_int_equal(repository_find(&repository, target, "nobody", &point, NULL, &err), -1);
    assert_int_equal(repository_find(&repository, "../x", "b", &point, NULL, &err), -1);
    assert_int_equal(repository_find(&repository, target, "../b", &point, NULL, &err), -1);
    strings_clear(&damaged);
    repository_clear(&repository);
}

static void test_a_loop_of_parents_is_no_chain(void **state)
{
    struct repository repository = opened();
    struct list chain = {0};
    struct err err = {0};

    (void)state;
    add_point(&repository, "a", "b", "a", 1000, POINT_COMPLETE);
    add_point(&repository, "b", "a", "a", 2000, POINT_COMPLETE);
    assert_int_equal(repository_chain(&repository, target, "b", &chain, &err), -1);
    repository_clear(&repository);
}

static void test_owner(void **state)
{
    struct repository repository = opened();
    struct err err = {0};
    char *owner;

    (void)state;
    add_point(&repository, "a", NULL, "a", 1000, POINT_COMPLETE);
    assert_int_equal(repository_owner(&repository, "a", &owner, &err), 0);
    assert_string_equal(owner, target);
    free(owner);
    assert_int_equal(repository_owner(&repository, "b", &owner, &err), 0);
    assert_null(owner);
    repository_clear(&repository);
}

static void test_marking_deleted(void **state)
{
    struct repository repository = opened();
    struct restore_point point = {0};
    struct list points = {0};
    struct err err = {0};
    char *folder;

    (void)state;
    add_point(&repository, "a", NULL, "a", 1000, POINT_COMPLETE);
    assert_int_equal(repository_find(&repository, target, "a", &point, &folder, &err), 0);
    restore_point_clear(&point);
    assert_int_equal(manifest_mark_deleted(folder, &err), 0);
    assert_int_equal(manifest_mark_deleted(folder, &err), 0);
    assert_int_equal(manifest_read(folder, &point, &err), 0);
    assert_int_equal(point.state, POINT_DELETED);
    restore_point_clear(&point);
    assert_int_equal(repository_points(&repository, target, false, &points, NULL, &err), 0);
    assert_int_equal(points.count, 0);
    assert_int_equal(manifest_unmark_deleted(folder, &err), 0);
    assert_int_equal(manifest_read(folder, &point, &err), 0);
    assert_int_equal(point.state, POINT_COMPLETE);
    restore_point_clear(&point);
    free(folder);
    repository_clear(&repository);
}

static void test_a_newer_manifest_is_refused(void **state)
{
    static const char text[] =
        "{\"id\":\"a\",\"format\":2,\"revision\":1,\"kind\":\"backup\",\"state\":\"complete\",\"host\":\"h\","
        "\"created_at\":\"2026-01-01T00:00:00.000Z\",\"target\":{\"kind\":\"libvirt\",\"id\":\"t\",\"name\":\"n\"},\"new\":1}";
    struct restore_point point = {0};
    struct err err = {0};
    char file[PATH_MAX];

    (void)state;
    snprintf(file, sizeof file, "%s/manifest.json", root);
    assert_int_equal(file_write_atomic(file, text, strlen(text), 0644, &err), 0);
    assert_int_equal(manifest_read(root, &point, &err), -1);
    assert_non_null(strstr(err.text, "newer"));
}

static void test_leases(void **state)
{
    struct err err = {0};

    (void)state;
    clock_fake(1700000000000, 1);
    assert_int_equal(lease_check_free(root, NULL, &err), 0);
    assert_int_equal(lease_take(root, "job-1", "host-1", &err), 0);
    assert_int_equal(lease_check_free(root, "job-1", &err), 0);
    assert_int_equal(lease_check_free(root, "job-2", &err), -1);
    assert_int_equal(err.kind, ERR_RETRY);
    assert_non_null(strstr(err.text, "job-1"));
    assert_non_null(strstr(err.text, "host-1"));
    clock_fake(1700000000000 + 599000, 1);
    assert_int_equal(lease_check_free(root, "job-2", &err), -1);
    assert_int_equal(lease_renew(root, "job-1", &err), 0);
    clock_fake(1700000000000 + 601000, 1);
    assert_int_equal(lease_check_free(root, "job-2", &err), -1);
    clock_fake(1700000000000 + 1300000, 1);
    assert_int_equal(lease_check_free(root, "job-2", &err), 0); /* stale */
    assert_int_equal(lease_take(root, "job-1", "host-1", &err), 0);
    lease_drop(root, "job-1");
    assert_int_equal(lease_check_free(root, "job-2", &err), 0);
    assert_int_equal(lease_take(root, "../job", "host-1", &err), -1);
}

static void test_leases_of_who_wants_to_be_alone(void **state)
{
    struct err err = {0};

    (void)state;
    clock_fake(1700000000000, 1);
    assert_int_equal(lease_take(root, "reader", "host-1", &err), 0);
    assert_int_equal(lease_check_calm(root, "another", &err), 0);
    assert_int_equal(lease_take_alone(root, "swap", "host-2", &err), 0);
    assert_int_equal(lease_check_free(root, "swap", &err), -1); /* the reader was first */
    assert_int_equal(lease_check_calm(root, "swap", &err), 0);
    assert_int_equal(lease_check_calm(root, "another", &err), -1);
    assert_int_equal(err.kind, ERR_RETRY);
    assert_non_null(strstr(err.text, "job swap on host-2"));
    assert_null(strchr(err.text, '\n'));
    lease_drop(root, "reader");
    assert_int_equal(lease_check_free(root, "swap", &err), 0);
    assert_int_equal(lease_renew(root, "swap", &err), 0);
    assert_int_equal(lease_check_calm(root, "another", &err), -1);
    clock_fake(1700000000000 + 601000, 1); /* its worker is gone */
    assert_int_equal(lease_check_calm(root, "another", &err), 0);
    lease_drop(root, "swap");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_leases_of_who_wants_to_be_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_death_in_a_manifest_leaves_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_marker, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_allowed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_points_and_chains, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_loop_of_parents_is_no_chain, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_owner, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_marking_deleted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_newer_manifest_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_leases, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
