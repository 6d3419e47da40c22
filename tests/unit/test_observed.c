/* What only time shows is not forgotten over a restart. */
#include "base/err.h"
#include "coordinator/observed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MINUTE (60 * INT64_C(1000))
#define HOUR   (60 * MINUTE)
#define GIB    (INT64_C(1) << 30)
#define NOW    (10000 * HOUR)

static struct observed *observed;
static char path[] = "/tmp/fs-observed.XXXXXX";
static struct err err;

static int make(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    close(fd);
    unlink(path);
    return observed_new(&observed, &err);
}

static int destroy(void **state)
{
    (void)state;
    observed_free(observed);
    unlink(path);
    memcpy(path + strlen(path) - 6, "XXXXXX", 6);
    return 0;
}

static void start_again(int64_t now_ms)
{
    if (observed_save(observed, path, &err) < 0)
        fail_msg("%s", err.text);
    observed_free(observed);
    assert_int_equal(observed_new(&observed, &err), 0);
    if (observed_load(observed, path, now_ms, &err) < 0)
        fail_msg("%s", err.text);
}

static void how_a_repository_fills_is_known_after_a_restart(void **state)
{
    size_t count;

    (void)state;
    assert_int_equal(observed_load(observed, path, NOW, &err), 0); /* the first start */
    for (int i = 0; i <= 4 * 60; i += 10)                          /* looked at every 10 min, kept every hour */
        observed_room(observed, "main", 100 * GIB - i * GIB / 60, NOW + i * MINUTE);
    assert_non_null(observed_samples(observed, "main", &count));
    assert_int_equal(count, 5);
    assert_int_equal(forecast_ms(observed_samples(observed, "main", &count), 5, 10 * GIB, NOW + 4 * HOUR), -1);
    start_again(NOW + 5 * HOUR);
    for (int i = 5 * 60; i <= 6 * 60; i += 10)
        observed_room(observed, "main", 100 * GIB - i * GIB / 60, NOW + i * MINUTE);
    const struct space_sample *samples = observed_samples(observed, "main", &count);
    assert_int_equal(count, 7);
    int64_t left_ms = forecast_ms(samples, count, 10 * GIB, NOW + 6 * HOUR); /* 84 GiB at one an hour */
    assert_in_range(left_ms, 84 * HOUR - MINUTE, 84 * HOUR + MINUTE);
}

static void a_week_is_kept(void **state)
{
    size_t count;

    (void)state;
    for (int i = 0; i < 300; i++)
        observed_room(observed, "main", i * GIB, NOW + i * HOUR);
    const struct space_sample *samples = observed_samples(observed, "main", &count);
    assert_int_equal(count, OBSERVED_SAMPLES);
    assert_int_equal(samples[count - 1].free_bytes, 299 * GIB);
    start_again(NOW + 299 * HOUR + 3 * 24 * HOUR); /* three days later: what is older than a week is no use */
    samples = observed_samples(observed, "main", &count);
    assert_int_equal(count, 4 * 24 + 1);
    assert_int_equal(samples[0].at_ms, NOW + 299 * HOUR - 4 * 24 * HOUR);
    start_again(NOW); /* a clock that was set back */
    assert_null(observed_samples(observed, "main", &count));
}

struct told {
    int count;
    int64_t since_ms;
    char name[64];
};

static int tell(void *context, const struct alarm_unprotected *target, struct err *ignored)
{
    struct told *told = context;
    struct alarm alarm;

    (void)ignored;
    told->count++;
    told->since_ms = target->since_ms;
    snprintf(told->name, sizeof told->name, "%s on %s", target->name, target->host);
    return alarm_of_unprotected(target, target->since_ms + 24 * HOUR, &alarm) ? 0 : -1;
}

static struct told look(void)
{
    struct told told = {0};

    assert_int_equal(observed_each_unprotected(observed, tell, &told, &err), 0);
    return told;
}

static void since_when_a_target_is_unprotected_is_known_after_a_restart(void **state)
{
    (void)state;
    assert_int_equal(observed_looked_ms(observed), 0);
    observed_unprotected(observed, "libvirt:one", "alpha", "shop 1", NOW);
    observed_unprotected(observed, "libvirt:two", "alpha", "shop-2", NOW);
    observed_looked(observed, NOW);
    assert_int_equal(look().count, 2);
    observed_unprotected(observed, "libvirt:one", "beta", "shop 1", NOW + HOUR);
    observed_looked(observed, NOW + HOUR);
    assert_int_equal(look().count, 1); /* the other is protected now */
    start_again(NOW + 2 * HOUR);
    assert_int_equal(observed_looked_ms(observed), 0); /* nobody can tell yet what is over */
    assert_int_equal(look().since_ms, NOW);
    assert_string_equal(look().name, "shop 1 on beta");
    observed_unprotected(observed, "libvirt:one", "beta", "shop 1", NOW + 3 * HOUR);
    observed_looked(observed, NOW + 3 * HOUR);
    assert_int_equal(look().since_ms, NOW);
}

static void rubbish_is_left_out(void **state)
{
    FILE *file = fopen(path, "w");
    size_t count;

    (void)state;
    fprintf(file, "room x y\nroom 1\nunprotected\n\nhello\nroom %lld -5 main\nroom %lld 5 main\n", (long long)NOW,
            (long long)NOW);
    fclose(file);
    assert_int_equal(observed_load(observed, path, NOW, &err), 0);
    assert_non_null(observed_samples(observed, "main", &count));
    assert_int_equal(count, 1);
    assert_int_equal(look().count, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(how_a_repository_fills_is_known_after_a_restart, make, destroy),
        cmocka_unit_test_setup_teardown(a_week_is_kept, make, destroy),
        cmocka_unit_test_setup_teardown(since_when_a_target_is_unprotected_is_known_after_a_restart, make, destroy),
        cmocka_unit_test_setup_teardown(rubbish_is_left_out, make, destroy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
