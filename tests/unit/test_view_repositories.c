/* Where hosts have repositories, and how much these hold: what the writer keeps, and what a reader is told of a large fleet. */
#include "base/err.h"
#include "coordinator/view.h"
#include "coordinator/view_db.h"
#include "coordinator/view_internal.h"
#include "coordinator/view_read.h"
#include "model/inventory.h"
#include "wire/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { MANY = 5000, OPS = 100, TOLD = 100 };
static char folder[64], path[80];
static struct err err;
static struct view view;
static struct view_reader *reader;

static int begin(void **state)
{
    (void)state;
    wire_init();
    snprintf(folder, sizeof folder, "/tmp/fs-view-repositories.XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/view.db", folder);
    if (view_db_open_writer(path, "cluster", &view.db, &err) < 0 || view_prepare(&view, &err) < 0)
        return -1;
    return view_reader_open(path, &reader, &err);
}

static int end(void **state)
{
    char command[100];

    (void)state;
    view_reader_close(reader);
    view_jobs_close(view.jobs);
    view_finalize(&view);
    sqlite3_close(view.db);
    view = (struct view){0};
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static void has(const char *host, const char *repository, bool ok)
{
    struct inventory_space space = {.id = (char *)repository,
                                    .name = (char *)"main",
                                    .path = (char *)"/backup",
                                    .total_bytes = 10,
                                    .free_bytes = 5,
                                    .ok = ok};
    struct inventory_host own = {.host = (char *)host, .repositories = {&space, 1}};

    assert_int_equal(view_set_spaces(&view, host, &own, &err), 0);
}

static json_t *page_of(struct view_filter filter)
{
    json_t *page = NULL;

    assert_int_equal(view_repositories(reader, &filter, &page, &err), 0);
    return page;
}

static const json_t *item(const json_t *page, size_t index)
{
    return json_array_get(json_object_get(page, "items"), index);
}

static const char *host_of(const json_t *repository, size_t index)
{
    return json_string_value(json_object_get(json_array_get(json_object_get(repository, "hosts"), index), "host"));
}

static long long number(const json_t *object, const char *member)
{
    return json_integer_value(json_object_get(object, member));
}

static void a_repository_says_which_hosts_have_it_and_what_it_holds(void **state)
{
    (void)state;
    has("alpha", "r1", false);
    has("beta", "r1", true);
    has("gamma", "r2", true);
    assert_int_equal(view_add_held(&view, "r1", 1, 100, &err), 0);
    assert_int_equal(view_add_held(&view, "r1", 1, 20, &err), 0);
    assert_int_equal(view_add_held(&view, "r1", -1, -100, &err), 0);
    assert_int_equal(view_add_held(&view, NULL, 1, 7, &err), 0);
    json_t *page = page_of((struct view_filter){0});
    assert_int_equal(json_array_size(json_object_get(page, "items")), 2);
    assert_string_equal(host_of(item(page, 0), 0), "beta"); /* it can be used there */
    assert_string_equal(host_of(item(page, 0), 1), "alpha");
    assert_int_equal(number(item(page, 0), "host_count"), 2);
    assert_int_equal(number(item(page, 0), "points"), 1);
    assert_int_equal(number(item(page, 0), "size_bytes"), 20);
    assert_int_equal(number(item(page, 1), "points"), 0);
    json_decref(page);
    page = page_of((struct view_filter){.host = "gamma"});
    assert_int_equal(json_array_size(json_object_get(page, "items")), 1);
    json_decref(page);
    page = page_of((struct view_filter){.repository = "r1", .near = "alpha"});
    assert_int_equal(json_array_size(json_object_get(page, "items")), 1);
    assert_string_equal(host_of(item(page, 0), 0), "alpha");
    assert_int_equal(json_array_size(json_object_get(item(page, 0), "hosts")), 2);
    json_decref(page);
}

static void what_a_host_says_next_takes_the_place_of_it(void **state)
{
    (void)state;
    has("alpha", "r1", true);
    has("alpha", "r2", true);
    json_t *page = page_of((struct view_filter){0});
    assert_int_equal(json_array_size(json_object_get(page, "items")), 1);
    assert_string_equal(json_string_value(json_object_get(item(page, 0), "id")), "r2");
    json_decref(page);
    assert_int_equal(view_set_spaces(&view, "alpha", NULL, &err), 0);
    page = page_of((struct view_filter){0});
    assert_int_equal(json_array_size(json_object_get(page, "items")), 0);
    json_decref(page);
}

static void a_host_that_was_removed_takes_its_places_along(void **state)
{
    (void)state;
    assert_int_equal(view_db_run(view.db, "INSERT INTO hosts(host, at, gone) VALUES('alpha', 5, 0)", &err), 0);
    has("alpha", "r1", true);
    assert_int_equal(view_drop_host(&view, "alpha", 4, &err), 0); /* it came back since */
    json_t *page = page_of((struct view_filter){0});
    assert_int_equal(json_array_size(json_object_get(page, "items")), 1);
    json_decref(page);
    assert_int_equal(view_drop_host(&view, "alpha", 9, &err), 0);
    page = page_of((struct view_filter){0});
    assert_int_equal(json_array_size(json_object_get(page, "items")), 0);
    json_decref(page);
}

static int count_ops(void *context)
{
    ++*(int *)context;
    return 0;
}

/* SQLite's own steps, by the hundred; counting the hosts of an index takes two or three for each. */
static void one_that_all_hosts_have_is_told_without_looking_at_all_of_them(void **state)
{
    char host[32];
    int ops = 0;

    (void)state;
    assert_int_equal(view_db_run(view.db, "BEGIN", &err), 0);
    for (int i = 0; i < MANY; i++) {
        snprintf(host, sizeof host, "host-%05d", i);
        has(host, "r1", true);
    }
    assert_int_equal(view_db_run(view.db, "COMMIT", &err), 0);
    sqlite3_progress_handler(reader->db, OPS, count_ops, &ops);
    json_t *page = page_of((struct view_filter){.near = "host-04000"});
    assert_int_equal(json_array_size(json_object_get(item(page, 0), "hosts")), TOLD);
    assert_string_equal(host_of(item(page, 0), 0), "host-04000");
    assert_int_equal(number(item(page, 0), "host_count"), MANY);
    if (ops * OPS >= 5 * MANY)
        fail_msg("%d steps", ops * OPS);
    json_decref(page);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_repository_says_which_hosts_have_it_and_what_it_holds),
        CASE(what_a_host_says_next_takes_the_place_of_it),
        CASE(a_host_that_was_removed_takes_its_places_along),
        CASE(one_that_all_hosts_have_is_told_without_looking_at_all_of_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
