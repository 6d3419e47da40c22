/*
 * SIGKILL of the coordinator between any two of ledger, ticket, publish, ledger; the standby; Redis emptied. After each: the job's records on the topic all say the same under
 * one id, so that the worker's journal makes one job of them, and its end is recorded.
 */
#include "integration/support/coordinator_rig.h"

#include "base/clock.h"
#include "base/err.h"
#include "redis/store.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int set_up(void **state)
{
    *state = rig_open("alpha");
    return 0;
}

static int tear_down(void **state)
{
    rig_close(*state);
    return 0;
}

/* The id that an idempotency key gives is known before the answer: ask for it again after the crash. */
static void submit_until_taken(struct rig_coordinator *coordinator, const char *key, char out[40])
{
    json_t *answer = rig_insist(coordinator, 60000, "submit alpha t1 %s", key);

    snprintf(out, 40, "%s", json_string_value(json_object_get(answer, "job_id")));
    json_decref(answer);
}

static void end_it(struct rig *rig, struct rig_coordinator *coordinator, const char *id, int64_t seq)
{
    rig_say(rig, id, &(struct rig_say){.state = STATE_SUCCEEDED, .seq = seq});
    rig_wait_state(coordinator, id, "SUCCEEDED", 60000, NULL);
    for (int i = 0; i < 300; i++) {
        json_t *ledger = rig_ask(coordinator, "ledger %s", id);
        bool ended = json_is_string(json_object_get(ledger, "outcome"));
        json_decref(ledger);
        if (ended)
            return;
        poll(NULL, 0, 50);
    }
    fail_msg("the ledger does not know the end");
}

static void killed_at(struct rig *rig, const char *point, int expected_copies_max)
{
#ifndef FLEETSNAP_CRASH_POINTS
    skip(); /* nothing dies in such a build */
#endif
    struct rig_coordinator *coordinator = coordinator_rig_start(rig, "c1", NULL, NULL);
    char id[40];

    rig_wait_leading(coordinator, 60000);
    json_decref(rig_insist(coordinator, 10000, "enroll alpha"));
    coordinator_rig_stop(coordinator, 0);

    coordinator = coordinator_rig_start(rig, "c1", point, NULL);
    rig_wait_leading(coordinator, 60000);
    json_t *answer = rig_ask(coordinator, "submit alpha t1 %s", point);
    json_decref(answer);
    assert_true(rig_wait_death(coordinator, 60000));
    coordinator_rig_stop(coordinator, 0);

    coordinator = coordinator_rig_start(rig, "c1", NULL, NULL);
    rig_wait_leading(coordinator, 60000);
    submit_until_taken(coordinator, point, id);
    rig_wait_job(rig, id, 60000);
    rig_read_jobs(rig, 1000);
    assert_true(rig_copies_agree(rig, id));
    assert_in_range(rig_copies(rig, id), 1, expected_copies_max);
    rig_wait_state(coordinator, id, "PUBLISHED", 10000, NULL);
    end_it(rig, coordinator, id, 10);
    coordinator_rig_stop(coordinator, 0);
    print_message("%s: %d record(s) of one job\n", point, rig_copies(rig, id));
}

static void before_the_ledger(void **state)
{
    killed_at(*state, "prepare.before", 1);
}

static void between_ledger_and_ticket(void **state)
{
    killed_at(*state, "prepare.after", 1);
}

static void between_ticket_and_publish(void **state)
{
    killed_at(*state, "ticket.after", 1);
    killed_at(*state, "publish.before", 1);
}

static void between_publish_and_ledger(void **state)
{
    killed_at(*state, "publish.after", 2);
    killed_at(*state, "published.before", 2);
}

static void after_the_ledger(void **state)
{
    killed_at(*state, "published.after", 1);
}

static void wait_published(struct rig_coordinator *coordinator, const char *id)
{
    for (int i = 0; i < 1200; i++) {
        json_t *ledger = rig_ask(coordinator, "ledger %s", id);
        bool published = json_is_true(json_object_get(ledger, "published"));
        assert_false(json_is_string(json_object_get(ledger, "outcome")));
        json_decref(ledger);
        if (published)
            return;
        poll(NULL, 0, 50);
    }
    fail_msg("the job is not taken for published");
}

/* Its host may run it: neither the cancel nor the deadline makes it ended, and it is not published once more. */
static void a_deadline_between_publish_and_ledger_ends_nothing(void **state)
{
    enum { BRIEF_MS = 6000 };
    struct rig *rig = *state;
    struct rig_coordinator *coordinator = coordinator_rig_start(rig, "c1", NULL, NULL);
    struct store_job ticket = {0};
    struct err err = {0};
    char id[40];

    rig_wait_leading(coordinator, 60000);
    json_decref(rig_insist(coordinator, 10000, "enroll alpha"));
    coordinator_rig_stop(coordinator, 0);
    coordinator = coordinator_rig_start(rig, "c1", "publish.after", NULL);
    rig_wait_leading(coordinator, 60000);
    int64_t over_ms = clock_real_ms() + BRIEF_MS;
    json_decref(rig_ask(coordinator, "brief alpha t1 %d key", BRIEF_MS));
    assert_true(rig_wait_death(coordinator, 60000));
    coordinator_rig_stop(coordinator, 0);
    while (clock_real_ms() < over_ms + 100)
        poll(NULL, 0, 50);

    coordinator = coordinator_rig_start(rig, "c1", NULL, NULL);
    rig_wait_leading(coordinator, 60000);
    submit_until_taken(coordinator, "key", id);
    json_decref(rig_insist(coordinator, 10000, "cancel %s enough", id));
    wait_published(coordinator, id);
    for (int i = 0; i < 1200 && !ticket.cancel[0]; i++, poll(NULL, 0, 50))
        assert_int_equal(store_job_read(rig_redis(rig), id, &ticket, &err), 0);
    assert_non_null(strstr(ticket.cancel, "enough"));
    rig_wait_job(rig, id, 60000);
    assert_int_equal(rig_copies(rig, id), 1);
    end_it(rig, coordinator, id, 10);
    coordinator_rig_stop(coordinator, 0);
}

static void an_end_that_was_not_recorded_is_recorded_by_the_next(void **state)
{
    struct rig *rig = *state;
    struct rig_coordinator *coordinator = coordinator_rig_start(rig, "c1", NULL, NULL);
    char id[40];

    rig_wait_leading(coordinator, 60000);
    json_decref(rig_insist(coordinator, 10000, "enroll alpha"));
    submit_until_taken(coordinator, "-", id);
    rig_wait_job(rig, id, 60000);
    rig_wait_state(coordinator, id, "PUBLISHED", 10000, NULL);
    coordinator_rig_stop(coordinator, SIGKILL);
    rig_say(rig, id, &(struct rig_say){.state = STATE_FAILED, .seq = 3}); /* nobody listens */
    coordinator = coordinator_rig_start(rig, "c1", NULL, NULL);
    rig_wait_leading(coordinator, 60000);
    rig_wait_state(coordinator, id, "FAILED", 60000, NULL);
    for (int i = 0; i < 300; i++) {
        json_t *ledger = rig_ask(coordinator, "ledger %s", id);
        const char *outcome = json_string_value(json_object_get(ledger, "outcome"));
        bool ended = outcome && strcmp(outcome, "FAILED") == 0;
        json_decref(ledger);
        if (ended) {
            coordinator_rig_stop(coordinator, 0);
            return;
        }
        poll(NULL, 0, 50);
    }
    fail_msg("the ledger does not know the end");
}

static void the_standby_takes_over(void **state)
{
    struct rig *rig = *state;
    struct rig_coordinator *leader = coordinator_rig_start(rig, "c1", NULL, NULL), *standby;
    char id[40];

    rig_wait_leading(leader, 60000);
    json_decref(rig_insist(leader, 10000, "enroll alpha"));
    standby = coordinator_rig_start(rig, "c2", NULL, NULL);
    submit_until_taken(leader, "-", id);
    rig_wait_job(rig, id, 60000);
    rig_wait_state(standby, id, "PUBLISHED", 60000, NULL); /* it follows */
    json_t *refused = rig_ask(standby, "submit alpha t1 -");
    assert_string_equal(json_string_value(json_object_get(refused, "kind")), "retry");
    json_decref(refused);

    int64_t died_ms = clock_monotonic_ms();
    coordinator_rig_stop(leader, SIGKILL);
    rig_wait_leading(standby, 60000);
    int64_t took_ms = clock_monotonic_ms() - died_ms;
    print_message("standby leads after %lld ms\n", (long long)took_ms);
    end_it(rig, standby, id, 10);
    submit_until_taken(standby, "-", id);
    rig_wait_job(rig, id, 60000);
    end_it(rig, standby, id, 10);
    coordinator_rig_stop(standby, 0);
}

static void flush_redis(struct rig *rig)
{
    const char *argv[] = {"FLUSHALL"};
    struct err err = {0};
    struct redis_reply *reply = redis_call(rig_redis(rig), &err, 1, argv, NULL);

    assert_non_null(reply);
    redis_reply_free(reply);
}

static void redis_without_memory_gets_a_new_epoch_and_all_tickets(void **state)
{
    struct rig *rig = *state;
    struct rig_coordinator *coordinator = coordinator_rig_start(rig, "c1", NULL, NULL);
    struct store_epoch epoch = {0};
    struct store_job job = {0};
    char id[40], done[40];
    struct err err = {0};

    rig_wait_leading(coordinator, 60000);
    json_decref(rig_insist(coordinator, 10000, "enroll alpha"));
    submit_until_taken(coordinator, "-", done);
    rig_wait_job(rig, done, 60000);
    end_it(rig, coordinator, done, 10);
    submit_until_taken(coordinator, "-", id);
    rig_wait_job(rig, id, 60000);
    rig_say(rig, id, &(struct rig_say){.state = STATE_RUNNING, .seq = 4});
    rig_wait_state(coordinator, id, "RUNNING", 10000, NULL);
    json_decref(rig_insist(coordinator, 10000, "cancel %s enough", id));
    for (int i = 0; i < 100 && epoch.n == 0; i++, poll(NULL, 0, 50))
        assert_int_equal(store_epoch_read(rig_redis(rig), &epoch, &err), 0);
    int64_t before = epoch.n;

    flush_redis(rig);
    for (int i = 0; i < 300 && (epoch.n <= before || epoch.n == 0); i++, poll(NULL, 0, 50))
        assert_int_equal(store_epoch_read(rig_redis(rig), &epoch, &err), 0);
    assert_int_equal(epoch.n, before + 1);
    assert_int_equal(store_job_read(rig_redis(rig), id, &job, &err), 0);
    assert_true(job.found);
    assert_string_equal(job.state, "RUNNING");
    assert_non_null(strstr(job.cancel, "enough"));
    assert_int_equal(store_job_read(rig_redis(rig), done, &job, &err), 0);
    assert_false(job.found);
    submit_until_taken(coordinator, "-", id);
    rig_wait_job(rig, id, 60000);
    coordinator_rig_stop(coordinator, 0);
}

static void a_silent_host_is_lost_until_it_speaks(void **state)
{
    struct rig *rig = *state;
    const char *const options[] = {"host_silent=1s", NULL};
    struct rig_coordinator *coordinator = coordinator_rig_start(rig, "c1", NULL, options);
    char id[40];
    bool lost = false;

    rig_wait_leading(coordinator, 60000);
    json_decref(rig_insist(coordinator, 10000, "enroll alpha"));
    submit_until_taken(coordinator, "-", id);
    rig_wait_job(rig, id, 60000);
    for (int i = 0; i < 200 && !lost; i++, poll(NULL, 0, 50)) {
        json_t *answer = rig_ask(coordinator, "view job %s", id);
        lost = json_is_true(json_object_get(json_object_get(answer, "view"), "lost"));
        json_decref(answer);
    }
    assert_true(lost);
    rig_say(rig, id, &(struct rig_say){.state = STATE_SUCCEEDED, .seq = 7});
    rig_wait_state(coordinator, id, "SUCCEEDED", 10000, NULL);
    coordinator_rig_stop(coordinator, 0);
}

int main(int argc, char **argv)
{
    rig_child(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(before_the_ledger, set_up, tear_down),
        cmocka_unit_test_setup_teardown(between_ledger_and_ticket, set_up, tear_down),
        cmocka_unit_test_setup_teardown(between_ticket_and_publish, set_up, tear_down),
        cmocka_unit_test_setup_teardown(between_publish_and_ledger, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_deadline_between_publish_and_ledger_ends_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(after_the_ledger, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_end_that_was_not_recorded_is_recorded_by_the_next, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_standby_takes_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(redis_without_memory_gets_a_new_epoch_and_all_tickets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_silent_host_is_lost_until_it_speaks, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
