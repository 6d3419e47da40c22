#include "base/err.h"
#include "worker/backlog.h"
#include "worker/work.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { JOBS = 200 };

static struct job jobs[JOBS];
static struct work works[JOBS];

static struct work *make(int index, enum job_class class, int64_t priority, const char *target)
{
    jobs[index] = (struct job){.job_id = (char *)"x", .priority = priority};
    works[index] = (struct work){.job = &jobs[index], .row = index, .class = class};
    snprintf(works[index].target, sizeof works[index].target, "%s", target);
    return &works[index];
}

static int64_t none_ahead(void *context, const struct work *work)
{
    (void)context;
    (void)work;
    return 0;
}

static struct work *next(struct backlog *backlog)
{
    return backlog_next(backlog, none_ahead, NULL);
}

static void open_backlog(struct backlog *backlog, int64_t reads, int64_t adds, int64_t destroys)
{
    backlog_init(backlog, (const int64_t[]){reads, adds, destroys});
}

static void best_priority_first_then_first_come(void **state)
{
    struct backlog backlog;

    (void)state;
    open_backlog(&backlog, 10, 10, 10);
    assert_int_equal(backlog_add(&backlog, make(0, CLASS_A, 3, "a"), 0, NULL), 0);
    assert_int_equal(backlog_add(&backlog, make(1, CLASS_B, 8, "b"), 0, NULL), 0);
    assert_int_equal(backlog_add(&backlog, make(2, CLASS_C, 8, "c"), 0, NULL), 0);
    assert_int_equal(backlog_add(&backlog, make(3, CLASS_A, 9, "d"), 0, NULL), 0);
    assert_ptr_equal(next(&backlog), &works[3]);
    assert_ptr_equal(next(&backlog), &works[1]);
    assert_ptr_equal(next(&backlog), &works[2]);
    assert_ptr_equal(next(&backlog), &works[0]);
    assert_null(next(&backlog));
    backlog_clear(&backlog);
}

static void one_job_per_target_but_reads_beside(void **state)
{
    struct backlog backlog;

    (void)state;
    open_backlog(&backlog, 10, 10, 10);
    backlog_add(&backlog, make(0, CLASS_B, 5, "t"), 0, NULL);
    backlog_add(&backlog, make(1, CLASS_C, 5, "t"), 0, NULL);
    backlog_add(&backlog, make(2, CLASS_B, 5, "t"), 0, NULL);
    backlog_add(&backlog, make(3, CLASS_A, 5, "t"), 0, NULL);
    assert_ptr_equal(next(&backlog), &works[0]);
    assert_ptr_equal(next(&backlog), &works[3]);
    assert_null(next(&backlog));
    assert_int_equal(backlog_count(&backlog), 2);
    backlog_done(&backlog, &works[0], false);
    assert_ptr_equal(next(&backlog), &works[1]);
    assert_null(next(&backlog));
    backlog_done(&backlog, &works[1], true); /* PARKED: stays closed */
    assert_null(next(&backlog));
    backlog_open(&backlog, &works[1]);
    assert_ptr_equal(next(&backlog), &works[2]);
    backlog_done(&backlog, &works[2], false);
    assert_int_equal(backlog.gates.count, 0);
    backlog_clear(&backlog);
}

/* PARKED, PARKED, and one that is recovered: the target opens when the last of them has let go. */
static void a_target_opens_when_the_last_holder_lets_go(void **state)
{
    struct backlog backlog;

    (void)state;
    open_backlog(&backlog, 10, 10, 10);
    assert_int_equal(backlog_close(&backlog, make(0, CLASS_C, 5, "t"), NULL), 0);
    assert_int_equal(backlog_close(&backlog, make(1, CLASS_C, 5, "t"), NULL), 0);
    assert_int_equal(backlog_close(&backlog, &works[0], NULL), 0); /* said twice, held once */
    backlog_add(&backlog, make(2, CLASS_B, 5, "t"), 0, NULL);
    assert_null(next(&backlog));
    assert_ptr_equal(backlog_blocker(&backlog, &works[2]), &works[1]);
    backlog_open(&backlog, &works[1]);
    assert_null(next(&backlog));
    assert_ptr_equal(backlog_blocker(&backlog, &works[2]), &works[0]);
    assert_int_equal(backlog_close(&backlog, make(3, CLASS_C, 5, "t"), NULL), 0);
    assert_int_equal(backlog_close(&backlog, make(4, CLASS_C, 5, "t"), NULL), 0);
    backlog_add(&backlog, &works[3], 0, NULL);
    backlog_add(&backlog, &works[4], 0, NULL);
    assert_ptr_equal(next(&backlog), &works[3]);
    assert_null(next(&backlog)); /* one at a time, also of those that hold it */
    assert_ptr_equal(backlog_blocker(&backlog, &works[4]), &works[3]);
    backlog_done(&backlog, &works[3], true); /* to be asked again, or PARKED */
    assert_ptr_equal(next(&backlog), &works[4]);
    backlog_done(&backlog, &works[4], false);
    backlog_open(&backlog, &works[3]);
    assert_null(next(&backlog));
    backlog_open(&backlog, &works[0]);
    assert_ptr_equal(next(&backlog), &works[2]);
    assert_null(backlog_blocker(&backlog, &works[2]));
    backlog_done(&backlog, &works[2], false);
    assert_int_equal(backlog.gates.count, 0);
    backlog_clear(&backlog);
}

static void limits_are_per_class(void **state)
{
    struct backlog backlog;

    (void)state;
    open_backlog(&backlog, 1, 10, 0);
    backlog_add(&backlog, make(0, CLASS_A, 9, "a"), 0, NULL);
    backlog_add(&backlog, make(1, CLASS_A, 9, "b"), 0, NULL);
    backlog_add(&backlog, make(2, CLASS_C, 9, "c"), 0, NULL);
    backlog_add(&backlog, make(3, CLASS_B, 1, "d"), 0, NULL);
    assert_ptr_equal(next(&backlog), &works[0]);
    assert_ptr_equal(next(&backlog), &works[3]);
    assert_null(next(&backlog));
    backlog_done(&backlog, &works[0], false);
    assert_ptr_equal(next(&backlog), &works[1]);
    backlog_clear(&backlog);
}

static void not_before_its_time(void **state)
{
    struct backlog backlog;

    (void)state;
    open_backlog(&backlog, 10, 10, 10);
    make(0, CLASS_A, 5, "a")->wake_ms = 100;
    make(1, CLASS_A, 5, "a")->wake_ms = 50;
    backlog_add(&backlog, &works[0], 10, NULL);
    backlog_add(&backlog, &works[1], 10, NULL);
    assert_null(next(&backlog));
    assert_int_equal(backlog_next_wake_ms(&backlog), 50);
    assert_int_equal(backlog_wake(&backlog, 99, NULL), 0);
    assert_ptr_equal(next(&backlog), &works[1]);
    assert_null(next(&backlog));
    backlog_remove(&backlog, &works[0]);
    assert_int_equal(backlog_next_wake_ms(&backlog), INT64_MAX);
    assert_int_equal(backlog_count(&backlog), 0);
    backlog_clear(&backlog);
}

static void what_is_removed_is_nowhere(void **state)
{
    struct backlog backlog;

    (void)state;
    open_backlog(&backlog, 10, 10, 10);
    backlog_add(&backlog, make(0, CLASS_B, 5, "t"), 0, NULL);
    backlog_add(&backlog, make(1, CLASS_B, 5, "t"), 0, NULL);
    backlog_add(&backlog, make(2, CLASS_B, 5, "t"), 0, NULL);
    assert_ptr_equal(next(&backlog), &works[0]);
    assert_null(next(&backlog)); /* both are blocked now */
    backlog_remove(&backlog, &works[1]);
    backlog_done(&backlog, &works[0], false);
    assert_ptr_equal(next(&backlog), &works[2]);
    assert_null(next(&backlog));
    backlog_clear(&backlog);
}

static void a_heap_gives_them_in_order_whatever_is_taken_out(void **state)
{
    struct heap heap = {0};
    int64_t last = -1;

    (void)state;
    for (int i = 0; i < JOBS; i++) {
        int row = (i * 77) % JOBS;
        assert_int_equal(heap_push(&heap, row / 10, row % 10, make(row, CLASS_A, 5, "a"), NULL), 0);
    }
    for (int i = 0; i < JOBS; i += 3)
        heap_remove(&heap, &works[i]);
    for (struct work *work; (work = heap_pop(&heap));) {
        assert_true(work->row > last && work->row % 3 != 0);
        last = work->row;
    }
    heap_clear(&heap);
}

static void a_table_finds_what_was_put_after_many_removals(void **state)
{
    static char keys[1000][16];
    struct table table = {0};

    (void)state;
    for (int i = 0; i < 1000; i++) {
        snprintf(keys[i], sizeof keys[i], "key %d", i);
        assert_int_equal(table_put(&table, keys[i], keys[i], NULL), 0);
    }
    for (int i = 0; i < 1000; i += 2)
        assert_ptr_equal(table_remove(&table, keys[i]), keys[i]);
    for (int i = 0; i < 1000; i++)
        assert_ptr_equal(table_get(&table, keys[i]), i % 2 ? keys[i] : NULL);
    assert_int_equal(table.count, 500);
    assert_null(table_remove(&table, "absent"));
    table_clear(&table);
    assert_null(table_get(&table, "key 1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(best_priority_first_then_first_come),
        cmocka_unit_test(one_job_per_target_but_reads_beside),
        cmocka_unit_test(a_target_opens_when_the_last_holder_lets_go),
        cmocka_unit_test(limits_are_per_class),
        cmocka_unit_test(not_before_its_time),
        cmocka_unit_test(what_is_removed_is_nowhere),
        cmocka_unit_test(a_heap_gives_them_in_order_whatever_is_taken_out),
        cmocka_unit_test(a_table_finds_what_was_put_after_many_removals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
