/* Anybody who may write to a topic can name hosts: one that the ledger does not know is not remembered, and is known as soon as it is. */
#include "base/err.h"
#include "coordinator/ledger.h"
#include "coordinator/trust.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct fleet {
    bool enrolled;
    int asked;
};

static bool generations(void *context, const char *host, struct ledger_generation *out, size_t max, size_t *out_count)
{
    struct fleet *fleet = context;

    (void)host;
    (void)max;
    fleet->asked++;
    *out_count = fleet->enrolled;
    if (fleet->enrolled)
        out[0] = (struct ledger_generation){1, 0};
    return fleet->enrolled;
}

static uint64_t version(void *context)
{
    (void)context;
    return 1;
}

static void test_only_enrolled_hosts_are_remembered(void **state)
{
    struct fleet fleet = {0};
    const struct trust_source source = {&fleet, generations, version};
    const unsigned char master[KEY_BYTES] = {1};
    struct trust *trust;
    struct err err = {0};

    (void)state;
    assert_int_equal(trust_new(master, &source, &trust, &err), 0);
    assert_null(trust_ring(trust, "alpha"));
    assert_null(trust_ring(trust, "alpha"));
    assert_int_equal(fleet.asked, 2);
    fleet.enrolled = true;
    assert_non_null(trust_ring(trust, "alpha"));
    assert_int_equal(trust_ring(trust, "alpha")->count, 1);
    assert_int_equal(fleet.asked, 3);
    trust_free(trust);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_only_enrolled_hosts_are_remembered)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
