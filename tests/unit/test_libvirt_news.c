/* Whoever waits for libvirt's word on a domain is woken by it, and by nothing else. */
#include "worker/backends/libvirt/news.h"

#include "base/clock.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { PATIENCE_MS = 10000 };

static void what_was_said_before_the_wait_is_not_lost(void **state)
{
    struct news_listener listener;

    (void)state;
    news_listen(&listener, "one");
    news_tell("one");
    assert_true(news_wait(&listener, PATIENCE_MS));
    assert_false(news_wait(&listener, 0)); /* heard once */
    news_end(&listener);
}

static void another_domains_news_wakes_nobody(void **state)
{
    struct news_listener one, two;

    (void)state;
    news_listen(&one, "one");
    news_listen(&two, "two");
    news_tell("two");
    assert_false(news_wait(&one, 1));
    assert_true(news_wait(&two, PATIENCE_MS));
    news_tell(NULL); /* nobody knows what happened: everybody looks */
    assert_true(news_wait(&one, PATIENCE_MS));
    assert_true(news_wait(&two, PATIENCE_MS));
    news_end(&two);
    news_end(&one);
}

static void *tell(void *context)
{
    news_tell(context);
    return NULL;
}

static void a_sleeper_is_woken(void **state)
{
    struct news_listener listener;
    int64_t began_ms = clock_monotonic_ms();
    char uuid[] = "one";
    pthread_t thread;

    (void)state;
    news_listen(&listener, uuid);
    assert_int_equal(pthread_create(&thread, NULL, tell, uuid), 0);
    assert_true(news_wait(&listener, PATIENCE_MS));
    assert_true(clock_monotonic_ms() - began_ms < PATIENCE_MS);
    pthread_join(thread, NULL);
    news_end(&listener);
}

static void one_that_never_listened_can_end(void **state)
{
    struct news_listener never = {0}, listener;

    (void)state;
    news_listen(&listener, "one");
    news_end(&never);
    news_tell("one");
    assert_true(news_wait(&listener, PATIENCE_MS));
    news_end(&listener);
    news_tell("one"); /* nobody is there any more */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_said_before_the_wait_is_not_lost),
        cmocka_unit_test(another_domains_news_wakes_nobody),
        cmocka_unit_test(a_sleeper_is_woken),
        cmocka_unit_test(one_that_never_listened_can_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
