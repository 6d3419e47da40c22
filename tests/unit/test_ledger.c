/* The ledger in memory: the newest record wins, older keys are remembered until their tombstones, what is owed to a job follows from its fields. */
#include "base/err.h"
#include "coordinator/bandwidth.h"
#include "coordinator/ledger.h"
#include "coordinator/overdue.h"
#include "model/job_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define JOB "0d9b1c1e-8c0c-5b2f-9f3f-5a3c8f3d2b11"

static struct ledger_entry *new_entry(int kind, const char *id, int64_t term, int64_t n)
{
    struct ledger_entry *entry = calloc(1, sizeof *entry);

    entry->kind = kind;
    entry->term = term;
    entry->n = n;
    string_set(&entry->id, id, NULL);
    return entry;
}

static struct ledger_entry *job_entry(int64_t term, int64_t n)
{
    struct ledger_entry *entry = new_entry(LEDGER_JOB, JOB, term, n);

    entry->job = calloc(1, sizeof *entry->job);
    entry->job->job = calloc(1, sizeof *entry->job->job);
    entry->job->job->op = OP_NOOP;
    entry->job->job->deadline_ms = 1000;
    string_set(&entry->job->job->job_id, JOB, NULL);
    string_set(&entry->job->job->host, "alpha", NULL);
    string_set(&entry->job->job->target.kind, "null", NULL);
    string_set(&entry->job->job->target.id, "t1", NULL);
    return entry;
}

static struct ledger *fresh(void)
{
    struct ledger *ledger;

    assert_int_equal(ledger_new(&ledger, NULL), 0);
    return ledger;
}

static struct ledger_node *apply(struct ledger *ledger, struct ledger_entry *entry)
{
    struct ledger_node *node = NULL;

    assert_int_equal(ledger_apply(ledger, entry, &node, NULL), 0);
    return node;
}

static void keys_are_written_and_read(void **state)
{
    char key[LEDGER_KEY_TEXT], node[LEDGER_KEY_TEXT];
    struct ledger_ref ref;

    (void)state;
    ledger_key_format(key, LEDGER_JOB, JOB, (struct ledger_ref){7, 41});
    assert_string_equal(key, "job:" JOB "@7.41");
    assert_true(ledger_key_parse(key, strlen(key), node, &ref));
    assert_string_equal(node, "job:" JOB);
    assert_int_equal(ref.term, 7);
    assert_int_equal(ref.n, 41);
    ledger_key_format(key, LEDGER_TERM, "nonce", (struct ledger_ref){7, 0});
    assert_string_equal(key, "term:nonce@7");
    assert_true(ledger_key_parse(key, strlen(key), node, &ref));
    assert_false(ledger_key_parse("job:x", 5, node, &ref));
    assert_false(ledger_key_parse("job:x@1.2x", 10, node, &ref));
    assert_false(ledger_key_parse("job:x@", 6, node, &ref));
}

static void the_newest_record_wins_and_older_ones_wait_for_their_tombstone(void **state)
{
    struct ledger *ledger = fresh();
    struct ledger_entry *second = job_entry(1, 2);

    (void)state;
    apply(ledger, job_entry(1, 1));
    second->job->published_at_ms = 5;
    struct ledger_node *node = apply(ledger, second);
    assert_int_equal(node->entry->job->published_at_ms, 5);
    assert_int_equal(node->older_count, 1);
    ledger_tombstone(ledger, "job:" JOB "@1.1", strlen("job:" JOB "@1.1"));
    assert_int_equal(node->older_count, 0);
    assert_ptr_equal(ledger_find_job(ledger, JOB), node);
    ledger_tombstone(ledger, "job:" JOB "@1.2", strlen("job:" JOB "@1.2"));
    assert_null(ledger_find_job(ledger, JOB));
    assert_int_equal(ledger_open_jobs(ledger), 0);
    ledger_free(ledger);
}

static void an_ended_job_is_kept_small_and_stays_ended(void **state)
{
    struct ledger *ledger = fresh();
    struct ledger_entry *end = job_entry(1, 2);
    struct ledger_job_facts facts;

    (void)state;
    apply(ledger, job_entry(1, 1));
    string_set(&end->job->outcome, "SUCCEEDED", NULL);
    end->job->ended_at_ms = 9;
    struct ledger_node *node = apply(ledger, end);
    assert_non_null(node->ended);
    assert_null(node->entry);
    assert_int_equal(node->ended->outcome, STATE_SUCCEEDED);
    assert_int_equal(ledger_open_jobs(ledger), 0);
    assert_ptr_equal(ledger_first_ended_job(ledger), node);
    assert_true(ledger_job_facts(node, &facts));
    assert_string_equal(facts.host, "alpha");
    assert_string_equal(facts.target, "null:t1");
    assert_true(facts.ended);
    apply(ledger, job_entry(1, 3)); /* a late record without the outcome */
    assert_non_null(node->ended);
    assert_int_equal(node->older_count, 2);
    ledger_free(ledger);
}

static void a_job_is_owed_what_its_fields_say(void **state)
{
    struct ledger *ledger = fresh();
    struct ledger_node *node = apply(ledger, job_entry(1, 1));
    struct ledger_job *job = node->entry->job;

    (void)state;
    assert_int_equal(ledger_job_duty(node, 10), DUTY_PUBLISH);
    assert_int_equal(ledger_job_duty(node, 1000), DUTY_END_EXPIRED);
    node->stage = STAGE_TICKET;
    assert_int_equal(ledger_job_duty(node, 10), DUTY_NONE);
    node->stage = STAGE_IDLE;
    string_set(&job->cancel, "ann", NULL);
    assert_int_equal(ledger_job_duty(node, 10), DUTY_END_CANCELLED);
    job->published_at_ms = 3;
    assert_int_equal(ledger_job_duty(node, 5000), DUTY_FLAG_CANCEL);
    node->cancel_flagged = true;
    assert_int_equal(ledger_job_duty(node, 5000), DUTY_NONE);
    string_set(&job->resolve, "done: seen", NULL);
    assert_int_equal(ledger_job_duty(node, 5000), DUTY_CONTROL);
    string_set(&job->outcome, "FAILED", NULL);
    assert_int_equal(ledger_job_duty(node, 5000), DUTY_NONE);
    ledger_free(ledger);
}

/* Between publish and its record a leader died, or Kafka did not say whether it took the job: its host may have it. */
static void of_a_job_that_may_have_been_published_no_end_is_made_up(void **state)
{
    struct ledger *ledger = fresh();
    struct ledger_node *node = apply(ledger, job_entry(1, 1));
    struct ledger_job *job = node->entry->job;

    (void)state;
    ledger_inherit(ledger);
    assert_true(node->maybe_published);
    assert_int_equal(ledger_job_duty(node, 10), DUTY_PUBLISH);
    string_set(&job->cancel, "ann", NULL);
    assert_int_equal(ledger_job_duty(node, 10), DUTY_PUBLISH); /* with the cancel in its ticket: its host answers */
    assert_int_equal(ledger_job_duty(node, 1000), DUTY_ASSUME_PUBLISHED);
    string_set(&job->cancel, NULL, NULL);
    assert_int_equal(ledger_job_duty(node, 1000), DUTY_ASSUME_PUBLISHED);
    ledger_set_published(node, 3, -1, -1);
    string_set(&job->cancel, "ann", NULL);
    assert_int_equal(ledger_job_duty(node, 1000), DUTY_FLAG_CANCEL);
    node->maybe_published = false;
    ledger_inherit(ledger);
    assert_false(node->maybe_published); /* it is known */
    ledger_free(ledger);
}

static void a_word_has_no_effect_before_its_record_was_read_back(void **state)
{
    struct ledger *ledger = fresh();
    struct ledger_node *node = apply(ledger, job_entry(1, 1));
    struct ledger_job *job = node->entry->job;

    (void)state;
    string_set(&job->cancel, "ann", NULL);
    node->words_on_their_way = 1;
    assert_int_equal(ledger_job_duty(node, 10),
                     DUTY_NONE); /* neither published nor ended: which of them is about to be known */
    job->published_at_ms = 3;
    assert_int_equal(ledger_job_duty(node, 10), DUTY_NONE);
    string_set(&job->resolve, "done: seen", NULL);
    assert_int_equal(ledger_job_duty(node, 10), DUTY_NONE);
    node->words_on_their_way = 0;
    assert_int_equal(ledger_job_duty(node, 10), DUTY_CONTROL);
    ledger_free(ledger);
}

static void a_rate_is_a_word_until_it_is_resolved(void **state)
{
    struct ledger *ledger = fresh();
    struct ledger_node *node = apply(ledger, job_entry(1, 1));
    struct ledger_job *job = node->entry->job;
    char word[64];

    (void)state;
    job->published_at_ms = 3;
    assert_int_equal(ledger_job_duty(node, 10), DUTY_NONE);
    ledger_job_control(node, word, sizeof word);
    assert_string_equal(word, "");
    job->rate_limit = 20 << 20;
    assert_int_equal(ledger_job_duty(node, 10), DUTY_CONTROL);
    ledger_job_control(node, word, sizeof word);
    assert_string_equal(word, "rate:20971520");
    node->control_written = true;
    assert_int_equal(ledger_job_duty(node, 10), DUTY_NONE);
    job->rate_limit = RATE_NONE;
    ledger_job_control(node, word, sizeof word);
    assert_string_equal(word, "rate:0");
    string_set(&job->finish, "done", NULL);
    ledger_job_control(node, word, sizeof word);
    assert_string_equal(word, "finish:done");
    string_set(&job->resolve, "done: seen", NULL);
    ledger_job_control(node, word, sizeof word);
    assert_string_equal(word, "resolve:done: seen");
    ledger_free(ledger);
}

static void a_share_is_a_word_within_the_limit_of_its_own(void **state)
{
    struct ledger *ledger = fresh();
    struct ledger_node *node = apply(ledger, job_entry(1, 1));
    struct ledger_job *job = node->entry->job;
    struct params_backup_create *params = calloc(1, sizeof *params);
    char word[64];

    (void)state;
    job->job->op = OP_BACKUP_CREATE;
    job->job->params = params;
    job->published_at_ms = 3;
    params->rate_limit = 30 << 20;
    assert_int_equal(ledger_job_duty(node, 10), DUTY_NONE);
    node->level = 20 << 20;
    assert_int_equal(ledger_job_duty(node, 10), DUTY_CONTROL);
    ledger_job_control(node, word, sizeof word);
    assert_string_equal(word, "rate:20971520");
    node->level = 40 << 20;
    ledger_job_control(node, word, sizeof word);
    assert_string_equal(word, "rate:31457280"); /* what it was submitted with */
    job->rate_limit = 10 << 20;
    ledger_job_control(node, word, sizeof word);
    assert_string_equal(word, "rate:10485760"); /* a person's word */
    job->rate_limit = RATE_NONE;
    ledger_job_control(node, word, sizeof word);
    assert_string_equal(word, "rate:41943040"); /* a person takes its own limit away, not the repository's */
    node->level = BANDWIDTH_OPEN;
    ledger_job_control(node, word, sizeof word);
    assert_string_equal(word, "rate:0");
    ledger_free(ledger);
}

static void add_backup_job(struct ledger *ledger, int n, const char *outcome, int op)
{
    struct ledger_entry *entry = job_entry(1, n);
    struct params_backup_create *params = calloc(1, sizeof *params);
    char id[64];

    snprintf(id, sizeof id, "0d9b1c1e-8c0c-5b2f-9f3f-%012d", n);
    string_set(&entry->id, id, NULL);
    string_set(&entry->job->job->job_id, id, NULL);
    string_set(&entry->job->outcome, outcome, NULL);
    entry->job->job->op = op;
    if (op == OP_BACKUP_DELETE) {
        struct params_backup_delete *other = calloc(1, sizeof *other);
        free(params);
        other->repository = calloc(1, sizeof *other->repository);
        string_set(&other->repository->id, "r", NULL);
        entry->job->job->params = other;
    } else {
        params->repository = calloc(1, sizeof *params->repository);
        string_set(&params->repository->id, n == 9 ? "another" : "r", NULL);
        entry->job->job->params = params;
    }
    apply(ledger, entry);
}

/* What repository.clean may touch: jobs that have ended, those that did not succeed first; none of another repository, none that is open. */
static void ended_jobs_of_a_repository_are_told(void **state)
{
    struct ledger *ledger = fresh();
    struct strings jobs = {0};
    bool deletes_ended;

    (void)state;
    add_backup_job(ledger, 1, "FAILED", OP_BACKUP_CREATE);
    add_backup_job(ledger, 2, "SUCCEEDED", OP_BACKUP_CREATE);
    add_backup_job(ledger, 3, NULL, OP_BACKUP_CREATE);
    add_backup_job(ledger, 4, "CANCELLED", OP_BACKUP_CREATE);
    add_backup_job(ledger, 9, "FAILED", OP_BACKUP_CREATE);
    assert_int_equal(ledger_ended_jobs(ledger, "r", 10, &jobs, &deletes_ended, NULL), 0);
    assert_int_equal(jobs.count, 3);
    assert_string_equal(jobs.items[0] + 24, "000000000004"); /* newest first */
    assert_string_equal(jobs.items[1] + 24, "000000000001");
    assert_string_equal(jobs.items[2] + 24, "000000000002");
    assert_true(deletes_ended);
    strings_clear(&jobs);
    add_backup_job(ledger, 5, NULL, OP_BACKUP_DELETE);
    assert_int_equal(ledger_ended_jobs(ledger, "r", 1, &jobs, &deletes_ended, NULL), 0);
    assert_int_equal(jobs.count, 1);
    assert_false(deletes_ended);
    strings_clear(&jobs);
    ledger_free(ledger);
}

static void who_retires_a_machine_deletes_too(void **state)
{
    struct ledger *ledger = fresh();
    struct ledger_entry *entry = job_entry(1, 5);
    struct params_target_retire *params = calloc(1, sizeof *params);
    struct strings jobs = {0};
    bool deletes_ended = true;

    (void)state;
    params->repository = calloc(1, sizeof *params->repository);
    string_set(&params->repository->id, "r", NULL);
    entry->job->job->op = OP_TARGET_RETIRE;
    entry->job->job->params = params;
    apply(ledger, entry);
    assert_int_equal(ledger_ended_jobs(ledger, "r", 1, &jobs, &deletes_ended, NULL), 0);
    assert_false(deletes_ended);
    strings_clear(&jobs);
    ledger_free(ledger);
}

static void a_published_job_is_overdue_a_grace_after_its_deadline(void **state)
{
    struct ledger *ledger = fresh();
    struct ledger_node *node = apply(ledger, job_entry(1, 1));

    (void)state;
    assert_false(ledger_job_overdue(node, 9000, 500)); /* never published: another duty */
    node->entry->job->published_at_ms = 3;
    assert_false(ledger_job_overdue(node, 1500, 500));
    assert_true(ledger_job_overdue(node, 1501, 500));
    node->stage = STAGE_RECORDING;
    assert_false(ledger_job_overdue(node, 1501, 500));
    node->stage = STAGE_IDLE;
    string_set(&node->entry->job->outcome, "FAILED", NULL);
    assert_false(ledger_job_overdue(node, 1501, 500));
    ledger_free(ledger);
}

static void an_overdue_job_ends_only_if_nobody_can_have_it(void **state)
{
    struct overdue_signs none = {.ticket_found = true, .memory_whole = true}, signs = none;

    (void)state;
    assert_false(overdue_may_end(&signs)); /* its host is there, but not for long */
    signs.host_settled = true;
    assert_true(overdue_may_end(&signs));
    signs.heard = true;
    assert_false(overdue_may_end(&signs));
    signs = none;
    signs.host_removed = true;
    assert_true(overdue_may_end(&signs));
    signs.ticket_used = true;
    assert_false(overdue_may_end(&signs));
    signs = none;
    signs.host_silent = true;
    assert_true(overdue_may_end(&signs));
    signs.memory_whole = false; /* it may have begun before Redis forgot */
    assert_false(overdue_may_end(&signs));
    signs = none;
    signs.host_silent = true;
    signs.ticket_found = false;
    assert_false(overdue_may_end(&signs));
}

static void put_host(struct ledger *ledger, const char *state, int64_t n)
{
    struct ledger_entry *entry = new_entry(LEDGER_HOST, "alpha", 1, n);

    entry->host = calloc(1, sizeof *entry->host);
    string_set(&entry->host->state, state, NULL);
    apply(ledger, entry);
}

static void put_key(struct ledger *ledger, uint32_t generation, int64_t ended_at_ms, int64_t n)
{
    char id[32];

    snprintf(id, sizeof id, "alpha/%u", generation);
    struct ledger_entry *entry = new_entry(LEDGER_KEY, id, 1, n);
    entry->key = calloc(1, sizeof *entry->key);
    entry->key->generation = generation;
    entry->key->ended_at_ms = ended_at_ms;
    apply(ledger, entry);
}

static void only_enrolled_hosts_have_keys_and_rotation_adds_one(void **state)
{
    struct ledger *ledger = fresh();
    struct ledger_generation found[4];
    size_t count = 0;

    (void)state;
    assert_false(ledger_generations(ledger, "alpha", found, 4, &count));
    assert_true(ledger_generations(ledger, "", found, 4, &count)); /* the leader */
    assert_int_equal(count, 1);
    put_host(ledger, "enrolled", 1);
    assert_true(ledger_generations(ledger, "alpha", found, 4, &count));
    assert_int_equal(count, 1);
    assert_int_equal(found[0].generation, 1);
    uint64_t version = ledger_keys_version(ledger);
    put_key(ledger, 2, 0, 2);
    put_key(ledger, 1, 77, 3);
    assert_true(ledger_keys_version(ledger) != version);
    assert_true(ledger_generations(ledger, "alpha", found, 4, &count));
    assert_int_equal(count, 2);
    assert_int_equal(found[0].generation, 2);
    assert_int_equal(found[1].ended_at_ms, 77);
    put_host(ledger, "removed", 4);
    assert_false(ledger_generations(ledger, "alpha", found, 4, &count));
    assert_int_equal(ledger_highest_generation(ledger, "alpha"), 2);
    ledger_free(ledger);
}

/* A machine that is another now, or comes back, gets a key of its own; what the old one had ends with it. */
static void a_replaced_host_has_none_of_its_old_keys_and_jobs(void **state)
{
    struct ledger *ledger = fresh();
    struct ledger_generation found[4];
    size_t count = 0;

    (void)state;
    put_host(ledger, "enrolled", 1);
    put_key(ledger, 2, 0, 2);
    struct ledger_node *old = apply(ledger, job_entry(1, 3)), *host = ledger_find(ledger, LEDGER_HOST, "alpha");
    old->entry->job->prepared_at_ms = 499;
    assert_false(ledger_job_bygone(ledger, old));
    host->entry->host->since_ms = 500;
    put_key(ledger, 3, 0, 4);
    ledger_find(ledger, LEDGER_KEY, "alpha/3")->entry->key->created_at_ms = 500;
    assert_true(ledger_generations(ledger, "alpha", found, 4, &count));
    assert_int_equal(count, 3);
    assert_int_equal(found[0].generation, 3);
    assert_int_equal(found[0].ended_at_ms, 0);
    assert_int_equal(found[1].ended_at_ms, 500);
    assert_int_equal(found[2].ended_at_ms, 500); /* the first, of which there is no record */
    ledger_find(ledger, LEDGER_KEY, "alpha/2")->entry->key->ended_at_ms = 77;
    assert_true(ledger_generations(ledger, "alpha", found, 4, &count));
    assert_int_equal(found[1].ended_at_ms, 77); /* what had ended before stays so */
    assert_true(ledger_job_bygone(ledger, old));
    old->entry->job->prepared_at_ms = 500;
    assert_false(ledger_job_bygone(ledger, old));
    ledger_free(ledger);
}

static struct ledger_entry *marks_entry(int64_t n, const char *outcome)
{
    char id[32];

    snprintf(id, sizeof id, "1.%lld", (long long)n);
    struct ledger_entry *entry = new_entry(LEDGER_MARKS, id, 1, n);
    struct ledger_mark *mark = list_add(&entry->marks, &ledger_mark_record, NULL);
    string_set(&mark->job, JOB, NULL);
    string_set(&mark->outcome, outcome, NULL);
    mark->at_ms = 70 + n;
    mark->partition = 3;
    mark->offset = 41;
    return entry;
}

static void tombstone(struct ledger *ledger, const struct ledger_node *node)
{
    char key[LEDGER_KEY_TEXT];

    snprintf(key, sizeof key, "%s@%lld.%lld", node->key, (long long)node->newest.term, (long long)node->newest.n);
    ledger_tombstone(ledger, key, strlen(key));
}

static void marks_say_what_became_of_a_job_and_go_when_no_job_needs_them(void **state)
{
    struct ledger *ledger = fresh();
    struct ledger_node *node = apply(ledger, job_entry(1, 1));

    (void)state;
    struct ledger_node *published = apply(ledger, marks_entry(2, NULL));
    assert_int_equal(node->entry->job->published_at_ms, 72);
    assert_int_equal(node->entry->job->partition, 3);
    assert_int_equal(node->entry->job->offset, 41);
    assert_int_equal(ledger_job_duty(node, 10), DUTY_NONE);
    assert_null(ledger_next_idle_marks(ledger));
    struct ledger_node *ended = apply(ledger, marks_entry(3, "SUCCEEDED"));
    assert_non_null(node->ended);
    assert_int_equal(node->ended->outcome, STATE_SUCCEEDED);
    assert_int_equal(node->ended->ended_at_ms, 73);
    assert_int_equal(ledger_open_jobs(ledger), 0);
    assert_ptr_equal(ledger_next_idle_marks(ledger), published);
    assert_null(ledger_next_idle_marks(ledger)); /* each once */
    tombstone(ledger, published);
    tombstone(ledger, node);
    assert_null(ledger_find_job(ledger, JOB));
    assert_ptr_equal(ledger_next_idle_marks(ledger), ended);
    tombstone(ledger, ended);
    assert_null(ledger_first(ledger));
    ledger_free(ledger);
}

static void marks_of_unknown_jobs_are_idle_and_a_fuller_record_replaces_a_mark(void **state)
{
    struct ledger *ledger = fresh();
    struct ledger_entry *fuller = job_entry(1, 4);

    (void)state;
    struct ledger_node *unknown = apply(ledger, marks_entry(1, "FAILED"));
    assert_ptr_equal(ledger_next_idle_marks(ledger), unknown);
    apply(ledger, job_entry(1, 2));
    struct ledger_node *published = apply(ledger, marks_entry(3, NULL));
    fuller->job->published_at_ms = 73;
    apply(ledger, fuller);
    assert_ptr_equal(ledger_next_idle_marks(ledger), published);
    ledger_free(ledger);
}

static void marks_that_vanish_early_leave_the_job_as_it_was(void **state)
{
    struct ledger *ledger = fresh();
    struct ledger_node *node = apply(ledger, job_entry(1, 1));

    (void)state;
    tombstone(ledger, apply(ledger, marks_entry(2, NULL)));
    assert_int_equal(node->entry->job->published_at_ms, 72);
    assert_null(node->published_in);
    apply(ledger, marks_entry(3, "FAILED"));
    assert_non_null(node->ended);
    ledger_clear(ledger);
    assert_null(ledger_next_idle_marks(ledger));
    ledger_free(ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_written_and_read),
        cmocka_unit_test(the_newest_record_wins_and_older_ones_wait_for_their_tombstone),
        cmocka_unit_test(an_ended_job_is_kept_small_and_stays_ended),
        cmocka_unit_test(a_job_is_owed_what_its_fields_say),
        cmocka_unit_test(of_a_job_that_may_have_been_published_no_end_is_made_up),
        cmocka_unit_test(a_word_has_no_effect_before_its_record_was_read_back),
        cmocka_unit_test(a_rate_is_a_word_until_it_is_resolved),
        cmocka_unit_test(a_share_is_a_word_within_the_limit_of_its_own),
        cmocka_unit_test(ended_jobs_of_a_repository_are_told),
        cmocka_unit_test(who_retires_a_machine_deletes_too),
        cmocka_unit_test(a_published_job_is_overdue_a_grace_after_its_deadline),
        cmocka_unit_test(an_overdue_job_ends_only_if_nobody_can_have_it),
        cmocka_unit_test(marks_say_what_became_of_a_job_and_go_when_no_job_needs_them),
        cmocka_unit_test(marks_of_unknown_jobs_are_idle_and_a_fuller_record_replaces_a_mark),
        cmocka_unit_test(marks_that_vanish_early_leave_the_job_as_it_was),
        cmocka_unit_test(only_enrolled_hosts_have_keys_and_rotation_adds_one),
        cmocka_unit_test(a_replaced_host_has_none_of_its_old_keys_and_jobs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
