/* Forged histories of jobs: what runs without ledger, ticket or lock; and what looks like that, and is not. */
#include "history_world.h"

static void it_is_sent_otherwise_than_asked(void **state)
{
    struct params_snapshot_delete all = {.name = (char *)"old", .scope = SCOPE_CHILDREN};
    struct job job = taking(), forged = job;

    (void)state;
    asked(&job, NULL);
    forged.params = &all;
    published(&forged);
    breaks(RULE_TICKET, JOB, "is not what the ledger says was asked for");
}

static void the_ledger_does_not_know_it(void **state)
{
    struct job job = taking();

    (void)state;
    then();
    published(&job);
    breaks(RULE_TICKET, JOB, "it was published, and the ledger does not know it");
}

static void it_was_published_when_the_ledger_began(void **state)
{
    struct job job = taking();

    (void)state;
    minute = 0;
    then();
    published(&job);
    not_known(RULE_TICKET, 1);
}

static void stranger(int64_t accepted_at_ms)
{
    struct status status = {.job_id = (char *)JOB, .state = STATE_RUNNING, .accepted_at_ms = accepted_at_ms};
    struct history_place at = place(TOPIC_STATUS);

    assert_int_equal(history_stranger(history, &at, &status, &err), 0);
}

static void a_host_does_what_nobody_asked_for(void **state)
{
    (void)state;
    then();
    stranger(now_ms());
    stranger(now_ms());
    breaks(RULE_TICKET, JOB, "a host had it, and the ledger does not know it");
}

static void a_host_ends_what_it_had_before_the_ledger_was_lost(void **state)
{
    (void)state;
    then();
    stranger(ledger_began_ms - MINUTE_MS);
    not_known(RULE_TICKET, 1);
}

static void it_never_was_published(void **state)
{
    struct job job = taking();

    (void)state;
    prepared(&job, NULL);
    then();
    SAY(12, RUNNING, .token = TOKEN);
    breaks(RULE_TICKET, JOB, "it never was published");
}

static void its_record_may_have_expired(void **state)
{
    struct job job = taking();

    (void)state;
    others_begin(TOPIC_JOBS, 5);
    prepared(&job, NULL);
    then();
    SAY(12, RUNNING, .token = TOKEN);
    not_known(RULE_TICKET, 2); /* the old one's, too */
}

/* Its record in the ledger was written again, by a word to it, long after it was published. */
static void it_is_as_old_as_it_says(void **state)
{
    struct job job = taking(), young = reading(OTHER);
    struct ledger_job record = {.job = &job, .prepared_at_ms = ledger_began_ms + 2 * MINUTE_MS};

    (void)state;
    others_begin(TOPIC_JOBS, 5);
    ledger(&(struct ledger_entry){.kind = LEDGER_JOB, .id = (char *)JOB, .job = &record});
    prepared(&young, NULL);
    then();
    minute = 5;
    published(&young);
    SAY(12, RUNNING, .token = TOKEN);
    not_known(RULE_TICKET, 2); /* the old one's, too */
}

static void it_runs_without_a_token(void **state)
{
    struct job job = taking();

    (void)state;
    asked(&job, NULL);
    SAY(12, RUNNING);
    breaks(RULE_TICKET, JOB, "RUNNING without a token");
}

static void it_is_done_without_a_token(void **state)
{
    struct job job = taking();

    (void)state;
    asked(&job, "SUCCEEDED");
    SAY(12, SUCCEEDED);
    breaks(RULE_TICKET, JOB, "SUCCEEDED without a token");
}

static void what_adds_on_one_host_goes_on_without_redis(void **state)
{
    struct job job = adding();

    (void)state;
    asked(&job, "SUCCEEDED");
    SAY(12, RUNNING);
    SAY(13, SUCCEEDED);
    is_clean();
}

static void what_others_reach_too_does_not(void **state)
{
    struct params_repository_import params = {0};
    struct job job = job_of(JOB, OP_REPOSITORY_IMPORT);

    (void)state;
    job.params = &params;
    job.target = (struct target){(char *)"repository", (char *)PLACE, (char *)"backups"};
    asked(&job, NULL);
    SAY(12, RUNNING);
    breaks(RULE_TICKET, JOB, "without a token");
}

static void its_record_does_not_verify(void **state)
{
    struct job job = taking();

    (void)state;
    prepared(&job, NULL);
    then();
    place(TOPIC_JOBS);
    history_doubt(history, JOB);
    SAY(12, RUNNING, .token = TOKEN);
    not_known(RULE_TICKET, 1);
}

/* ---- lock ---- */

static void one_token_for_two_jobs(void **state)
{
    struct job job = taking(), other = job;

    (void)state;
    other.job_id = (char *)OTHER;
    prepared(&other, NULL);
    asked(&job, NULL);
    published(&other);
    SAY(12, RUNNING, .token = TOKEN);
    SAY(22, RUNNING, .job_id = (char *)OTHER, .token = TOKEN);
    breaks(RULE_LOCK, OTHER, "was another job's before");
}

static void an_end_waits_and_the_next_job_begins(void **state)
{
    struct job job = adding(), other = job;

    (void)state;
    other.job_id = (char *)OTHER;
    prepared(&other, NULL);
    asked(&job, "SUCCEEDED");
    published(&other);
    SAY(22, RUNNING, .job_id = (char *)OTHER, .token = TOKEN + 1);
    SAY(12, SUCCEEDED, .token = TOKEN);
    is_clean();
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, history_setup, history_teardown)
    const struct CMUnitTest tests[] = {
        CASE(it_is_sent_otherwise_than_asked),
        CASE(the_ledger_does_not_know_it),
        CASE(it_was_published_when_the_ledger_began),
        CASE(a_host_does_what_nobody_asked_for),
        CASE(a_host_ends_what_it_had_before_the_ledger_was_lost),
        CASE(it_never_was_published),
        CASE(its_record_may_have_expired),
        CASE(it_is_as_old_as_it_says),
        CASE(it_runs_without_a_token),
        CASE(it_is_done_without_a_token),
        CASE(what_adds_on_one_host_goes_on_without_redis),
        CASE(what_others_reach_too_does_not),
        CASE(one_token_for_two_jobs),
        CASE(an_end_waits_and_the_next_job_begins),
        CASE(its_record_does_not_verify),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
