/* Jobs that nobody takes: the coordinator ends them a while after their deadline; what a worker has in custody, or has begun, is left to it. */
#include "integration/support/coordinator_rig.h"

#include "base/clock.h"
#include "base/err.h"
#include "redis/store.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void brief(struct rig *rig, struct rig_coordinator *coordinator, const char *target, int ms, char out[40])
{
    json_t *answer = rig_insist(coordinator, 10000, "brief alpha %s %d", target, ms);

    snprintf(out, 40, "%s", json_string_value(json_object_get(answer, "job_id")));
    json_decref(answer);
    rig_wait_job(rig, out, 60000);
}

static bool has_outcome(struct rig_coordinator *coordinator, const char *id, const char *wanted)
{
    json_t *ledger = rig_insist(coordinator, 5000, "ledger %s", id);
    const char *outcome = json_string_value(json_object_get(ledger, "outcome"));
    bool same = wanted ? outcome && strcmp(outcome, wanted) == 0 : !outcome;

    json_decref(ledger);
    return same;
}

static void what_nobody_takes_expires_and_what_is_taken_does_not(void **state)
{
    const char *const options[] = {"overdue_grace=1s", "host_silent=1s", NULL};
    struct rig *rig = rig_open("alpha");
    struct rig_coordinator *coordinator = coordinator_rig_start(rig, "c1", NULL, options);
    char lonely[40], accepted[40], begun[40], detail[256];
    int64_t token;
    json_t *job = NULL;

    (void)state;
    rig_wait_leading(coordinator, 60000);
    json_decref(rig_insist(coordinator, 10000, "enroll alpha"));
    brief(rig, coordinator, "t1", 3000, lonely);
    brief(rig, coordinator, "t2", 3000, accepted);
    brief(rig, coordinator, "t3", 6000, begun);
    rig_say(rig, accepted, &(struct rig_say){.state = STATE_ACCEPTED, .seq = 5});
    assert_int_equal(rig_acquire(rig, begun, "null:t3", detail, &token), ACQUIRE_OK);

    rig_wait_state(coordinator, lonely, "EXPIRED", 30000, &job);
    assert_non_null(strstr(json_string_value(json_object_get(json_object_get(job, "error"), "text")), "no sign"));
    assert_false(json_is_true(json_object_get(job, "lost")));
    json_decref(job);
    assert_true(has_outcome(coordinator, lonely, "EXPIRED"));

    /* One more, later than the others: when it has ended they have been looked at. */
    char last[40];
    brief(rig, coordinator, "t4", 6000, last);
    rig_wait_state(coordinator, last, "EXPIRED", 30000, NULL);
    assert_true(has_outcome(coordinator, accepted, NULL));
    assert_true(has_outcome(coordinator, begun, NULL));

    rig_say(rig, lonely, &(struct rig_say){.state = STATE_SUCCEEDED, .seq = 9}); /* it had it after all */
    rig_wait_state(coordinator, lonely, "SUCCEEDED", 10000, NULL);
    coordinator_rig_stop(coordinator, 0);
    rig_close(rig);
}

int main(int argc, char **argv)
{
    rig_child(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_nobody_takes_expires_and_what_is_taken_does_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
