/* Who leads, whose Redis memory it is, who is silent: the pure decisions of the coordinator. */
#include "coordinator/epoch.h"
#include "coordinator/fleet.h"
#include "coordinator/leadership.h"
#include "coordinator/view_rows.h"
#include "model/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ME    "11111111-1111-4111-8111-111111111111"
#define OTHER "22222222-2222-4222-8222-222222222222"

static void the_first_with_a_number_leads(void **state)
{
    struct leadership mine;

    (void)state;
    leadership_init(&mine, ME);
    assert_int_equal(leadership_read_term(&mine, 4, OTHER), NEWS_NONE);
    assert_int_equal(leadership_stand(&mine), 5);
    assert_int_equal(leadership_read_term(&mine, 5, ME), NEWS_ELECTED);
    assert_int_equal(mine.phase, PHASE_ELECTED);
    assert_int_equal(leadership_read_term(&mine, 5, OTHER), NEWS_NONE); /* came second */
    assert_int_equal(leadership_read_term(&mine, 6, OTHER), NEWS_DEPOSED);
    assert_int_equal(mine.phase, PHASE_FOLLOWING);
    assert_true(leadership_drops(&mine, 5));
    assert_false(leadership_drops(&mine, 6));
}

static void the_second_with_a_number_does_not(void **state)
{
    struct leadership mine;

    (void)state;
    leadership_init(&mine, ME);
    assert_int_equal(leadership_stand(&mine), 1);
    assert_int_equal(leadership_read_term(&mine, 1, OTHER), NEWS_LOST);
    assert_int_equal(leadership_read_term(&mine, 1, ME), NEWS_NONE);
    assert_int_equal(mine.phase, PHASE_FOLLOWING);
    assert_int_equal(leadership_stand(&mine), 2);
}

static void a_candidate_waits_for_its_own_number(void **state)
{
    struct leadership mine;

    (void)state;
    leadership_init(&mine, ME);
    leadership_read_term(&mine, 3, OTHER);
    assert_int_equal(leadership_stand(&mine), 4);
    mine.highest = 1; /* as after reading from the beginning */
    assert_int_equal(leadership_read_term(&mine, 2, OTHER), NEWS_NONE);
    assert_int_equal(leadership_read_term(&mine, 4, ME), NEWS_ELECTED);
}

static void nobody_stands_against_a_leader_or_without_redis(void **state)
{
    struct leadership mine;
    struct leadership_inputs inputs = {.ledger_read = true, .redis_ready = true, .hint_known = true, .now_ms = 10};

    (void)state;
    leadership_init(&mine, ME);
    assert_true(leadership_should_stand(&mine, &inputs));
    inputs.hint_present = true;
    assert_false(leadership_should_stand(&mine, &inputs));
    inputs.hint_ours = true;
    assert_true(leadership_should_stand(&mine, &inputs));
    inputs.redis_ready = false;
    assert_false(leadership_should_stand(&mine, &inputs));
    inputs.redis_ready = true;
    inputs.not_before_ms = 11;
    assert_false(leadership_should_stand(&mine, &inputs));
}

static void an_epoch_fits_only_its_server_and_number(void **state)
{
    struct epoch_state epoch = {.phase = EPOCH_UNKNOWN};
    struct epoch_inputs inputs = {
        .redis_n = 3, .redis_run_id = "aa", .server_run_id = "aa", .functions_present = true, .ledger_n = 3, .now_ms = 5};

    (void)state;
    assert_int_equal(epoch_decide(&epoch, &inputs), EPOCH_NOTHING);
    inputs.functions_present = false;
    assert_int_equal(epoch_decide(&epoch, &inputs), EPOCH_LOAD);
    inputs.functions_present = true;
    inputs.ledger_n = 4;
    assert_int_equal(epoch_decide(&epoch, &inputs), EPOCH_BUMP);
    inputs.ledger_n = 3;
    inputs.server_run_id = "bb";
    assert_int_equal(epoch_decide(&epoch, &inputs), EPOCH_BUMP);
    inputs.server_run_id = "aa";
    inputs.redis_n = 0;
    assert_int_equal(epoch_decide(&epoch, &inputs), EPOCH_BUMP);
}

static void holders_have_their_time_and_the_server_must_stay(void **state)
{
    struct epoch_state epoch = {.phase = EPOCH_REBUILD, .run_id = "aa", .grace_until_ms = 100};
    struct epoch_inputs inputs = {
        .redis_run_id = "", .server_run_id = "aa", .functions_present = true, .ledger_n = 4, .now_ms = 99};

    (void)state;
    assert_int_equal(epoch_decide(&epoch, &inputs), EPOCH_AGAIN);
    epoch.phase = EPOCH_GRACE;
    assert_int_equal(epoch_decide(&epoch, &inputs), EPOCH_NOTHING);
    inputs.now_ms = 100;
    assert_int_equal(epoch_decide(&epoch, &inputs), EPOCH_WRITE);
    inputs.server_run_id = "bb";
    assert_int_equal(epoch_decide(&epoch, &inputs), EPOCH_BUMP);
}

static void a_host_is_silent_only_without_any_sign(void **state)
{
    struct fleet_host host = {.known_since_ms = 1000};

    (void)state;
    assert_false(fleet_silent(&host, 1500, 0, 1000));
    assert_true(fleet_silent(&host, 2000, 0, 1000));
    assert_false(fleet_silent(&host, 2000, 1500, 1000)); /* an epoch explains it */
    host.heard_at_ms = 1900;
    assert_false(fleet_silent(&host, 2500, 0, 1000));
    host.heard_at_ms = 0;
    host.heartbeat_at_ms = 1900;
    assert_false(fleet_silent(&host, 2500, 0, 1000));
    host.alive = true;
    assert_false(fleet_silent(&host, 99000, 0, 1000));
}

static enum fold_verdict say(struct view_job_row *row, int origin, int64_t seq, int job_state, const char *note,
                             const char *resolved)
{
    struct status status = {.origin = origin,
                            .seq = seq,
                            .state = job_state,
                            .at_ms = seq,
                            .note = (char *)note,
                            .resolved = (char *)resolved,
                            .host = (char *)"alpha",
                            .target = {(char *)"null", (char *)"t", NULL}};

    return fold_status(row, &status);
}

static void a_workers_word_outranks_the_coordinators(void **state)
{
    struct view_job_row row = {0};

    (void)state;
    assert_int_equal(say(&row, ORIGIN_COORDINATOR, 1, STATE_PLANNED, NULL, NULL), FOLD_NEWS);
    assert_int_equal(say(&row, ORIGIN_WORKER, 100, STATE_RUNNING, NULL, NULL), FOLD_NEWS);
    assert_int_equal(say(&row, ORIGIN_COORDINATOR, 2, STATE_PUBLISHED, NULL, NULL), FOLD_NEWS);
    assert_int_equal(row.state, STATE_RUNNING);
    assert_int_equal(say(&row, ORIGIN_WORKER, 100, STATE_FAILED, NULL, NULL), FOLD_OLD); /* equal changes nothing */
    assert_int_equal(say(&row, ORIGIN_COORDINATOR, 900, STATE_PUBLISHED, "lost: silent", NULL), FOLD_NEWS);
    assert_true(row.lost);
    assert_int_equal(say(&row, ORIGIN_WORKER, 101, STATE_SUCCEEDED, NULL, NULL), FOLD_ENDED);
    assert_false(row.lost);
    assert_int_equal(say(&row, ORIGIN_WORKER, 102, STATE_FAILED, NULL, NULL), FOLD_OLD); /* an end never changes */
    assert_int_equal(row.state, STATE_SUCCEEDED);
}

/* A short look at something has no RUNNING of its own. */
static void an_end_says_when_it_began_if_nothing_did_before(void **state)
{
    struct status end = {.job_id = (char *)"0198", .origin = ORIGIN_WORKER, .seq = 3, .state = STATE_SUCCEEDED};
    struct view_job_row silent = {0}, told = {0};

    (void)state;
    end.at_ms = 900;
    end.started_at_ms = 800;
    assert_int_equal(fold_status(&silent, &end), FOLD_ENDED);
    assert_int_equal(silent.started_at, 800);
    assert_int_equal(silent.ended_at, 900);
    say(&told, ORIGIN_WORKER, 2, STATE_RUNNING, NULL, NULL);
    assert_int_equal(fold_status(&told, &end), FOLD_ENDED);
    assert_int_equal(told.started_at, 2);
}

static void parked_ends_when_it_is_resolved(void **state)
{
    struct view_job_row row = {0};

    (void)state;
    assert_int_equal(say(&row, ORIGIN_WORKER, 1, STATE_PARKED, NULL, NULL), FOLD_NEWS);
    assert_int_equal(say(&row, ORIGIN_WORKER, 2, STATE_RUNNING, NULL, NULL), FOLD_OLD);
    assert_int_equal(say(&row, ORIGIN_WORKER, 3, STATE_PARKED, NULL, "done: seen"), FOLD_ENDED);
    assert_true(row.resolved);
}

static void of_a_host_that_is_gone_the_coordinator_has_the_last_word(void **state)
{
    struct view_job_row row = {0}, parked = {0}, first = {0}, done = {0};

    (void)state;
    say(&row, ORIGIN_WORKER, 100, STATE_RUNNING, NULL, NULL);
    assert_int_equal(say(&row, ORIGIN_COORDINATOR, 900, STATE_EXPIRED, NOTE_BYGONE ": replaced", NULL), FOLD_NEWS);
    assert_int_equal(row.state, STATE_EXPIRED);
    assert_int_equal(row.ended_at, 900);
    assert_int_equal(say(&row, ORIGIN_WORKER, 1000, STATE_SUCCEEDED, NULL, NULL), FOLD_OLD);
    assert_int_equal(row.state, STATE_EXPIRED);
    say(&parked, ORIGIN_WORKER, 1, STATE_PARKED, NULL, NULL);
    say(&parked, ORIGIN_COORDINATOR, 900, STATE_PARKED, NOTE_BYGONE ": replaced", "failed: replaced");
    assert_int_equal(parked.state, STATE_PARKED); /* that nobody knows its outcome stays true */
    assert_true(parked.resolved);
    assert_int_equal(parked.ended_at, 900);
    say(&first, ORIGIN_COORDINATOR, 900, STATE_EXPIRED, NOTE_BYGONE ": removed", NULL); /* read before the worker's */
    assert_int_equal(say(&first, ORIGIN_WORKER, 100, STATE_RUNNING, NULL, NULL), FOLD_OLD);
    assert_int_equal(first.state, STATE_EXPIRED);
    say(&done, ORIGIN_WORKER, 100, STATE_SUCCEEDED, NULL, NULL);
    say(&done, ORIGIN_COORDINATOR, 900, STATE_EXPIRED, NOTE_BYGONE ": replaced", NULL);
    assert_int_equal(done.state, STATE_SUCCEEDED);
}

/* Kafka was lost, Redis was not. */
static void a_candidate_stands_above_what_redis_knows(void **state)
{
    struct leadership leadership;

    (void)state;
    leadership_init(&leadership, "a");
    leadership.highest = 3;
    leadership.redis_term = 40;
    assert_int_equal(leadership_stand(&leadership), 41);
    leadership_step_down(&leadership);
    leadership.highest = 50;
    assert_int_equal(leadership_stand(&leadership), 51);
}

static void who_was_just_elected_gets_the_time_to_say_so(void **state)
{
    (void)state;
    assert_int_equal(leadership_patience(0, 10000, 0), 10000 + LEADERSHIP_PATIENCE_MS);
    assert_int_equal(leadership_patience(0, 10000, -500), 10000 + LEADERSHIP_PATIENCE_MS); /* clocks differ */
    assert_int_equal(leadership_patience(0, 10000, 1500), 10000 + LEADERSHIP_PATIENCE_MS - 1500);
    assert_int_equal(leadership_patience(0, 10000, 60000), 0); /* an old one: the standby takes over at once */
    assert_int_equal(leadership_patience(99000, 10000, 0), 99000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_with_a_number_leads),
        cmocka_unit_test(the_second_with_a_number_does_not),
        cmocka_unit_test(a_candidate_waits_for_its_own_number),
        cmocka_unit_test(nobody_stands_against_a_leader_or_without_redis),
        cmocka_unit_test(an_epoch_fits_only_its_server_and_number),
        cmocka_unit_test(holders_have_their_time_and_the_server_must_stay),
        cmocka_unit_test(a_host_is_silent_only_without_any_sign),
        cmocka_unit_test(a_workers_word_outranks_the_coordinators),
        cmocka_unit_test(a_candidate_stands_above_what_redis_knows),
        cmocka_unit_test(of_a_host_that_is_gone_the_coordinator_has_the_last_word),
        cmocka_unit_test(an_end_says_when_it_began_if_nothing_did_before),
        cmocka_unit_test(parked_ends_when_it_is_resolved),
        cmocka_unit_test(who_was_just_elected_gets_the_time_to_say_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
