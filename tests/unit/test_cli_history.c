/* Forged histories of jobs, what they say of their ends: found out; what is lawful, or cannot be known any more, is not accused. */
#include "history_world.h"

static const struct job_error some_error = {.kind = ERR_UNKNOWN, .text = (char *)"said by Redis"};

static void a_life_without_a_blot(void **state)
{
    struct job job = taking();
    int64_t open;

    (void)state;
    asked(&job, "SUCCEEDED");
    LEADER_SAYS(2, PUBLISHED);
    SAY(11, WAITING, .waiting = (char *)"lock: alpha/x");
    SAY(12, RUNNING, .token = TOKEN, .attempt = 1);
    SAY(13, RUNNING, .token = TOKEN, .attempt = 1);
    SAY(14, SUCCEEDED, .token = TOKEN);
    is_clean();
    assert_int_equal(history_tally(history, RULE_ENDS).checked, 2);
    assert_int_equal(history_tally(history, RULE_ONCE).checked, 1);
    assert_int_equal(history_tally(history, RULE_TICKET).checked, 2);
    assert_int_equal(history_tally(history, RULE_LOCK).checked, 1);
    assert_int_equal(history_jobs(history, &open), 2);
    assert_int_equal(open, 0);
}

static void a_short_look_says_its_end_only(void **state)
{
    struct job job = reading(JOB);

    (void)state;
    asked(&job, "SUCCEEDED");
    SAY(3, SUCCEEDED, .started_at_ms = now_ms());
    is_clean();
}

static void what_is_sent_again_changes_nothing(void **state)
{
    struct job job = taking();

    (void)state;
    asked(&job, "SUCCEEDED");
    published(&job);
    for (int times = 0; times < 2; times++) {
        SAY(12, RUNNING, .token = TOKEN);
        SAY(14, SUCCEEDED, .token = TOKEN);
    }
    is_clean();
}

static void a_retry_is_one_life(void **state)
{
    struct job job = taking();

    (void)state;
    asked(&job, "FAILED");
    SAY(12, RUNNING, .token = TOKEN, .attempt = 1);
    SAY(13, WAITING, .waiting = (char *)"retry");
    SAY(14, RUNNING, .token = TOKEN + 1, .attempt = 2);
    SAY(15, FAILED, .token = TOKEN + 1);
    is_clean();
}

static void an_open_job_is_no_break(void **state)
{
    struct job job = taking();
    int64_t open;

    (void)state;
    asked(&job, NULL);
    SAY(12, RUNNING, .token = TOKEN);
    is_clean();
    history_jobs(history, &open);
    assert_int_equal(open, 1);
}

/* ---- ends ---- */

static void two_ends(void **state)
{
    struct job job = taking();

    (void)state;
    asked(&job, "SUCCEEDED");
    SAY(12, RUNNING, .token = TOKEN);
    SAY(13, SUCCEEDED, .token = TOKEN);
    SAY(14, FAILED, .token = TOKEN);
    breaks(RULE_ENDS, JOB, "ended as SUCCEEDED, and once more as FAILED");
}

static void one_number_for_two_ends(void **state)
{
    struct job job = reading(JOB);

    (void)state;
    asked(&job, "SUCCEEDED");
    SAY(13, SUCCEEDED);
    SAY(13, FAILED);
    breaks(RULE_ENDS, JOB, "once more as FAILED");
}

static void one_that_waits_after_its_end(void **state)
{
    struct job job = reading(JOB);

    (void)state;
    asked(&job, "SUCCEEDED");
    SAY(13, SUCCEEDED);
    SAY(14, WAITING);
    SAY(15, WAITING);
    breaks(RULE_ENDS, JOB, "is WAITING after that");
}

static void parked_and_resolved(void **state)
{
    struct job job = taking();

    (void)state;
    asked(&job, "PARKED");
    SAY(12, RUNNING, .token = TOKEN);
    SAY(13, PARKED, .token = TOKEN);
    SAY(14, PARKED, .token = TOKEN, .resolved = (char *)"done: I looked");
    SAY(14, PARKED, .token = TOKEN, .resolved = (char *)"done: I looked");
    SAY(13, PARKED, .token = TOKEN);
    is_clean();
}

static void resolved_comes_first(void **state)
{
    struct job job = taking();

    (void)state;
    asked(&job, "PARKED");
    SAY(14, PARKED, .token = TOKEN, .resolved = (char *)"failed: gone");
    SAY(13, PARKED, .token = TOKEN);
    is_clean();
}

static void resolved_two_ways(void **state)
{
    struct job job = taking();

    (void)state;
    asked(&job, "PARKED");
    SAY(13, PARKED, .token = TOKEN);
    SAY(14, PARKED, .token = TOKEN, .resolved = (char *)"done: I looked");
    SAY(15, PARKED, .token = TOKEN, .resolved = (char *)"failed: I looked again");
    breaks(RULE_ENDS, JOB, "resolved as done, and as failed");
}

static void parked_after_its_end(void **state)
{
    struct job job = taking();

    (void)state;
    asked(&job, "SUCCEEDED");
    SAY(13, SUCCEEDED, .token = TOKEN);
    SAY(14, PARKED, .token = TOKEN, .resolved = (char *)"done: I looked");
    breaks(RULE_ENDS, JOB, "is PARKED after that");
}

static void the_ledger_says_another_end_than_the_host(void **state)
{
    struct job job = taking();

    (void)state;
    asked(&job, "SUCCEEDED");
    SAY(13, FAILED, .token = TOKEN);
    breaks(RULE_ENDS, JOB, "the ledger says that it ended as SUCCEEDED, its host as FAILED");
}

static void the_ledger_says_two_ends(void **state)
{
    struct job job = taking();

    (void)state;
    prepared(&job, NULL);
    ended(JOB, "FAILED");
    ended(JOB, "SUCCEEDED");
    then();
    published(&job);
    SAY(13, FAILED, .token = TOKEN);
    breaks(RULE_ENDS, JOB, "as FAILED, and as SUCCEEDED");
}

static void an_end_that_its_host_never_said(void **state)
{
    struct job job = taking();

    (void)state;
    asked(&job, "SUCCEEDED");
    breaks(RULE_ENDS, JOB, "its host never said so");
}

/* A host that was thought dead has the last word; two of the coordinator's differ only by a mistake, or when the host is replaced. */
static void lost_expired_and_done_all_the_same(void **state)
{
    struct job job = adding();

    (void)state;
    asked(&job, "EXPIRED");
    LEADER_SAYS(2, PUBLISHED);
    LEADER_SAYS(1700000000000000, PUBLISHED, .note = (char *)"lost: the host gives no sign of life");
    LEADER_SAYS(1700000000000001, EXPIRED);
    SAY(12, RUNNING, .token = TOKEN);
    SAY(13, SUCCEEDED, .token = TOKEN);
    is_clean();
}

static void two_ends_of_the_coordinator(void **state)
{
    struct job job = adding();

    (void)state;
    asked(&job, "EXPIRED");
    LEADER_SAYS(1700000000000001, EXPIRED);
    LEADER_SAYS(1700000000000002, CANCELLED);
    breaks(RULE_ENDS, JOB, "the coordinator says that it ended as EXPIRED, and as CANCELLED");
}

static void cancelled_before_it_was_published(void **state)
{
    struct job job = taking();

    (void)state;
    prepared(&job, NULL);
    ended(JOB, "CANCELLED");
    then();
    LEADER_SAYS(EVENT_PLANNED, PLANNED);
    LEADER_SAYS(EVENT_ENDED, CANCELLED);
    is_clean();
}

static void cancelled_as_if_it_had_not_been_published(void **state)
{
    struct job job = taking();

    (void)state;
    asked(&job, "CANCELLED");
    LEADER_SAYS(EVENT_ENDED, CANCELLED);
    breaks(RULE_ENDS, JOB, "ended as CANCELLED and never was published, and it was");
}

static void its_host_was_replaced(void **state)
{
    struct job job = taking();

    (void)state;
    asked(&job, "PARKED");
    SAY(13, PARKED, .token = TOKEN);
    LEADER_SAYS(1700000000000000, PARKED, .note = (char *)"bygone: host alpha was replaced",
                .resolved = (char *)"failed: host alpha was replaced");
    is_clean();
}

/* The new leader says again what is known, under its own numbers, and the record of the job once more with it. */
static void another_leader(void **state)
{
    struct job job = adding();

    (void)state;
    prepared(&job, NULL);
    ended(JOB, "SUCCEEDED");
    prepared(&job, "SUCCEEDED");
    ended(JOB, "SUCCEEDED");
    then();
    published(&job);
    published(&job);
    SAY(12, RUNNING, .token = TOKEN);
    SAY(13, SUCCEEDED, .token = TOKEN);
    is_clean();
}

/* ---- once ---- */

static void it_runs_after_its_end(void **state)
{
    struct job job = taking();

    (void)state;
    asked(&job, "SUCCEEDED");
    SAY(12, RUNNING, .token = TOKEN);
    SAY(13, SUCCEEDED, .token = TOKEN);
    SAY(14, RUNNING, .token = TOKEN + 1);
    SAY(15, RUNNING, .token = TOKEN + 1);
    breaks(RULE_ONCE, JOB, "ended as SUCCEEDED, and is RUNNING after that");
}

static void it_runs_again_under_another_journal(void **state)
{
    struct job job = taking();

    (void)state;
    asked(&job, NULL);
    SAY(12, RUNNING, .token = TOKEN);
    SAY(13, WAITING, .waiting = (char *)"retry");
    SAY(1700000000000012, RUNNING, .token = TOKEN + 1, .journal = (char *)"second");
    breaks(RULE_ONCE, JOB, "runs again, under another journal of alpha");
}

static void it_had_not_begun_under_the_other_journal(void **state)
{
    struct job job = taking();

    (void)state;
    asked(&job, "SUCCEEDED");
    SAY(11, ACCEPTED);
    SAY(1700000000000012, RUNNING, .token = TOKEN, .journal = (char *)"second");
    SAY(1700000000000013, SUCCEEDED, .token = TOKEN, .journal = (char *)"second");
    is_clean();
}

static void another_journal_answers_and_runs_nothing(void **state)
{
    struct job job = taking();

    (void)state;
    asked(&job, "SUCCEEDED");
    SAY(12, RUNNING, .token = TOKEN);
    SAY(13, SUCCEEDED, .token = TOKEN);
    SAY(1700000000000012, SUCCEEDED, .journal = (char *)"second", .error = (struct job_error *)&some_error);
    SAY(1800000000000012, PARKED, .journal = (char *)"third", .error = (struct job_error *)&some_error);
    is_clean();
}

static void another_journal_says_the_opposite(void **state)
{
    struct job job = taking();

    (void)state;
    asked(&job, "SUCCEEDED");
    SAY(12, RUNNING, .token = TOKEN);
    SAY(13, SUCCEEDED, .token = TOKEN);
    SAY(1700000000000012, FAILED, .journal = (char *)"second", .error = (struct job_error *)&some_error);
    breaks(RULE_ENDS, JOB, "ended as SUCCEEDED, and under another journal as FAILED");
}

static void it_is_sent_to_two_hosts(void **state)
{
    struct job job = taking(), same = job;

    (void)state;
    asked(&job, NULL);
    same.host = (char *)"beta";
    published(&same);
    breaks(RULE_ONCE, JOB, "sent to beta, and it is alpha's");
}

/* ---- what is not known ---- */

static void its_events_may_have_expired(void **state)
{
    struct job job = taking();

    (void)state;
    others_begin(TOPIC_STATUS, 5);
    asked(&job, "SUCCEEDED");
    not_known(RULE_ENDS, 2); /* the old one's, too */
}

static void no_event_was_ever_there(void **state)
{
    struct job job = taking();

    (void)state;
    prepared(&job, NULL);
    ended(JOB, "SUCCEEDED");
    history_ledger_is_read(history);
    not_known(RULE_ENDS, 2); /* the old one's, too */
}

static void its_events_do_not_verify(void **state)
{
    struct job job = taking();

    (void)state;
    asked(&job, "SUCCEEDED");
    place(TOPIC_STATUS);
    history_doubt(history, JOB);
    history_doubt(history, "no job at all");
    not_known(RULE_ENDS, 1);
}

/* The other topics were read before the ledger had it. */
static void it_came_while_the_topics_were_read(void **state)
{
    struct job job = taking();

    (void)state;
    then();
    prepared(&job, NULL);
    ended(JOB, "SUCCEEDED");
    is_clean();
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, history_setup, history_teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_life_without_a_blot),
        CASE(a_short_look_says_its_end_only),
        CASE(what_is_sent_again_changes_nothing),
        CASE(a_retry_is_one_life),
        CASE(an_open_job_is_no_break),
        CASE(two_ends),
        CASE(one_number_for_two_ends),
        CASE(one_that_waits_after_its_end),
        CASE(parked_and_resolved),
        CASE(resolved_comes_first),
        CASE(resolved_two_ways),
        CASE(parked_after_its_end),
        CASE(the_ledger_says_another_end_than_the_host),
        CASE(the_ledger_says_two_ends),
        CASE(an_end_that_its_host_never_said),
        CASE(lost_expired_and_done_all_the_same),
        CASE(two_ends_of_the_coordinator),
        CASE(cancelled_before_it_was_published),
        CASE(cancelled_as_if_it_had_not_been_published),
        CASE(its_host_was_replaced),
        CASE(another_leader),
        CASE(it_runs_after_its_end),
        CASE(it_runs_again_under_another_journal),
        CASE(it_had_not_begun_under_the_other_journal),
        CASE(another_journal_answers_and_runs_nothing),
        CASE(another_journal_says_the_opposite),
        CASE(it_is_sent_to_two_hosts),
        CASE(its_events_may_have_expired),
        CASE(no_event_was_ever_there),
        CASE(its_events_do_not_verify),
        CASE(it_came_while_the_topics_were_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
