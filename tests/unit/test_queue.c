#include "base/clock.h"
#include "base/err.h"
#include "base/queue.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

struct number {
    struct queue_item item;
    int value;
};

static bool readable(const struct queue *queue)
{
    struct pollfd fd = {queue_fd(queue), POLLIN, 0};

    return poll(&fd, 1, 0) == 1;
}

static void order_is_kept_and_the_descriptor_says_so(void **state)
{
    struct number numbers[5] = {{.value = 0}, {.value = 1}, {.value = 2}, {.value = 3}, {.value = 4}};
    struct queue *queue;

    (void)state;
    assert_int_equal(queue_new(&queue, NULL), 0);
    assert_false(readable(queue));
    assert_null(queue_take_all(queue));
    queue_push(queue, &numbers[0].item);
    numbers[1].item.next = &numbers[2].item;
    numbers[2].item.next = &numbers[3].item;
    queue_push_list(queue, &numbers[1].item);
    queue_push_list(queue, NULL);
    queue_push(queue, &numbers[4].item);
    assert_int_equal(queue_count(queue), 5);
    assert_true(readable(queue));
    int expected = 0;
    for (struct queue_item *item = queue_take_all(queue); item; item = item->next)
        assert_int_equal(((struct number *)item)->value, expected++);
    assert_int_equal(expected, 5);
    assert_false(readable(queue));
    assert_int_equal(queue_count(queue), 0);
    queue_free(queue);
    queue_free(NULL);
}

static void one_at_a_time_empties_it(void **state)
{
    struct number a = {.value = 1};
    struct number b = {.value = 2};
    struct queue *queue;

    (void)state;
    queue_new(&queue, NULL);
    queue_push(queue, &a.item);
    queue_push(queue, &b.item);
    assert_ptr_equal(queue_wait_one(queue, 0), &a.item);
    assert_true(readable(queue));
    assert_null(a.item.next);
    assert_ptr_equal(queue_wait_one(queue, -1), &b.item);
    assert_false(readable(queue));
    assert_null(queue_wait_one(queue, 0));
    int64_t before = clock_monotonic_ms();
    assert_null(queue_wait_one(queue, 30));
    assert_true(clock_monotonic_ms() - before >= 29);
    queue_close(queue);
    assert_null(queue_wait_one(queue, -1));
    queue_push(queue, &a.item);
    assert_ptr_equal(queue_wait_one(queue, -1), &a.item);
    queue_free(queue);
}

enum { ITEMS = 20000, CONSUMERS = 3 };

struct consumer {
    struct queue *queue;
    int64_t sum;
};

static void *consume(void *context)
{
    struct consumer *consumer = context;
    struct queue_item *item;

    while ((item = queue_wait_one(consumer->queue, -1)) != NULL)
        consumer->sum += ((struct number *)item)->value;
    return NULL;
}

static void every_item_reaches_one_consumer(void **state)
{
    struct number *numbers = calloc(ITEMS, sizeof *numbers);
    struct consumer consumers[CONSUMERS];
    pthread_t threads[CONSUMERS];
    struct queue *queue;
    int64_t sum = 0;

    (void)state;
    queue_new(&queue, NULL);
    for (int i = 0; i < CONSUMERS; i++) {
        consumers[i] = (struct consumer){.queue = queue};
        pthread_create(&threads[i], NULL, consume, &consumers[i]);
    }
    for (int i = 0; i < ITEMS; i++) {
        numbers[i].value = i;
        queue_push(queue, &numbers[i].item);
    }
    queue_close(queue);
    for (int i = 0; i < CONSUMERS; i++) {
        pthread_join(threads[i], NULL);
        sum += consumers[i].sum;
    }
    assert_int_equal(sum, (int64_t)ITEMS * (ITEMS - 1) / 2);
    queue_free(queue);
    free(numbers);
}

static void *push_many(void *context)
{
    struct number *numbers = ((void **)context)[1];
    struct queue *queue = ((void **)context)[0];

    for (int i = 0; i < ITEMS; i++)
        queue_push(queue, &numbers[i].item);
    return NULL;
}

static void no_wake_is_lost_by_a_loop_that_polls(void **state)
{
    struct number *numbers = calloc(ITEMS, sizeof *numbers);
    struct queue *queue;
    pthread_t thread;
    int seen = 0;

    (void)state;
    queue_new(&queue, NULL);
    void *context[] = {queue, numbers};
    pthread_create(&thread, NULL, push_many, context);
    while (seen < ITEMS) {
        struct pollfd fd = {queue_fd(queue), POLLIN, 0};
        if (poll(&fd, 1, 10000) != 1)
            break;
        for (struct queue_item *item = queue_take_all(queue); item; item = item->next)
            seen++;
    }
    pthread_join(thread, NULL);
    assert_int_equal(seen, ITEMS);
    queue_free(queue);
    free(numbers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_is_kept_and_the_descriptor_says_so),
        cmocka_unit_test(one_at_a_time_empties_it),
        cmocka_unit_test(every_item_reaches_one_consumer),
        cmocka_unit_test(no_wake_is_lost_by_a_loop_that_polls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
