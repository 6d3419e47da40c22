/* Snapshots with a time to live. */
#include "coordinator/ttl.h"

#include "base/err.h"
#include "model/job.h"
#include "model/restore_point.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define POINT "d0000000-0000-4000-8000-000000000001"

static struct restore_point snapshot(void)
{
    return (struct restore_point){
        .id = (char *)POINT,
        .kind = (char *)"snapshot",
        .name = (char *)"before",
        .host = (char *)"alpha",
        .target = {(char *)"libvirt", (char *)"d0000000-0000-4000-8000-000000000002", (char *)"shop-1"},
        .expires_at_ms = 1000};
}

static void only_a_snapshot_whose_time_is_over_goes(void **state)
{
    struct restore_point point = snapshot();
    struct strings pins = {0};

    (void)state;
    assert_false(ttl_is_over(&point, &pins, 999));
    assert_true(ttl_is_over(&point, &pins, 1000));
    point.kind = (char *)"backup";
    assert_false(ttl_is_over(&point, &pins, 1000));
    point = snapshot();
    point.expires_at_ms = 0;
    assert_false(ttl_is_over(&point, &pins, 1000));
    point = snapshot();
    strings_add(&pins, POINT, NULL);
    assert_false(ttl_is_over(&point, &pins, 1000));
    strings_clear(&pins);
}

static void its_job_deletes_it_and_no_other_of_that_name(void **state)
{
    struct restore_point point = snapshot();
    CLEANUP(job_freep) struct job *job = NULL;

    (void)state;
    assert_int_equal(ttl_job(&point, &job, NULL), 0);
    const struct params_snapshot_delete *params = job->params;
    assert_int_equal(job->op, OP_SNAPSHOT_DELETE);
    assert_string_equal(job->host, "alpha");
    assert_string_equal(job->target.name, "shop-1");
    assert_string_equal(params->name, "before");
    assert_string_equal(params->point, POINT);
    assert_int_equal(params->scope, SCOPE_SELF);
    assert_false(params->foreign);
}

static void it_is_asked_once_in_six_hours(void **state)
{
    static const int64_t HOUR = 3600 * 1000;
    struct restore_point point = snapshot();
    char key[TTL_KEY_TEXT], other[TTL_KEY_TEXT];

    (void)state;
    ttl_key(&point, 0, key);
    ttl_key(&point, 6 * HOUR - 1, other);
    assert_string_equal(key, other);
    ttl_key(&point, 6 * HOUR, other);
    assert_string_not_equal(key, other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_a_snapshot_whose_time_is_over_goes),
        cmocka_unit_test(its_job_deletes_it_and_no_other_of_that_name),
        cmocka_unit_test(it_is_asked_once_in_six_hours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
