/* The worker's hash table: what is put in is found until it is taken out, however full the table is and in whatever order. */
#include "worker/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { KEYS = 500 };

static char keys[KEYS][16];

static void all_are_found_but_the_removed(const struct table *table, int removed_of_seven)
{
    for (int i = 0; i < KEYS; i++)
        assert_ptr_equal(table_get(table, keys[i]), i % 7 < removed_of_seven ? NULL : keys[i]);
}

static void test_found_until_removed(void **state)
{
    struct table table = {0};

    (void)state;
    assert_null(table_get(&table, "absent"));
    assert_null(table_remove(&table, "absent"));
    for (int i = 0; i < KEYS; i++) {
        snprintf(keys[i], sizeof keys[i], "key-%d", i);
        assert_int_equal(table_put(&table, keys[i], keys[i], NULL), 0);
    }
    for (int removed = 0; removed < 7; removed++) {
        all_are_found_but_the_removed(&table, removed);
        for (int i = 0; i < KEYS; i++)
            if (i % 7 == removed)
                assert_ptr_equal(table_remove(&table, keys[i]), keys[i]);
    }
    assert_int_equal(table.count, 0);
    assert_null(table_get(&table, "absent"));
    assert_int_equal(table_put(&table, keys[3], keys[3], NULL), 0);
    assert_ptr_equal(table_get(&table, keys[3]), keys[3]);
    table_clear(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_found_until_removed)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
