#include "base/err.h"
#include "base/uuid.h"
#include "worker/journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[64];

static struct journal *open_it(void)
{
    struct journal *journal;
    struct err err = {0};

    if (journal_open(directory, &journal, &err) < 0)
        fail_msg("%s", err.text);
    return journal;
}

static int set_up(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/fleetsnap-journal.XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"journal.db", "journal.db-wal", "journal.db-shm", "lock"};
    char path[128];

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        unlink(path);
    }
    return rmdir(directory);
}

static struct inbox_row accepted(const char *id)
{
    return (struct inbox_row){.job_id = id,
                              .target = "null:a",
                              .raw = "raw",
                              .raw_len = 3,
                              .append_ms = 1000,
                              .accepted_at_ms = 1001,
                              .state = STATE_ACCEPTED,
                              .seq = 7};
}

static int64_t add(struct journal *journal, const char *id)
{
    struct inbox_row row = accepted(id);
    bool known;
    int64_t number;

    assert_int_equal(inbox_add(journal, &row, &number, &known, NULL), 0);
    assert_false(known);
    return number;
}

static int copy_row(void *context, const struct inbox_row *row, struct err *err)
{
    (void)err;
    struct inbox_row *copy = context;
    static char resolved[64]; /* what the row points to lives as long as the call */

    snprintf(resolved, sizeof resolved, "%s", row->resolved ? row->resolved : "");
    *copy = *row;
    copy->resolved = resolved;
    return 0;
}

static struct inbox_row read_row(struct journal *journal, int64_t number)
{
    struct inbox_row row = {.row = -1};

    assert_int_equal(inbox_read(journal, number, copy_row, &row, NULL), 0);
    return row;
}

static int count_rows(void *context, const struct inbox_row *row, struct err *err)
{
    (void)row;
    (void)err;
    ++*(int *)context;
    return 0;
}

static int open_jobs(struct journal *journal)
{
    int count = 0;

    assert_int_equal(inbox_each_open(journal, count_rows, &count, NULL), 0);
    return count;
}

static void keeps_its_id_and_birth(void **state)
{
    struct journal *journal = open_it();
    char id[UUID_TEXT];

    (void)state;
    assert_int_equal(journal_birth_us(journal), 0);
    assert_int_equal(journal_be_born(journal, 1234567, NULL), 0);
    snprintf(id, sizeof id, "%s", journal_id(journal));
    journal_close(journal);
    journal = open_it();
    assert_string_equal(journal_id(journal), id);
    assert_int_equal(journal_birth_us(journal), 1234567);
    journal_close(journal);
}

static void a_second_one_is_refused_by_name(void **state)
{
    struct journal *first = open_it(), *second;
    struct err err = {0};
    char pid[16];

    (void)state;
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    assert_int_equal(journal_open(directory, &second, &err), -1);
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_non_null(strstr(err.text, pid));
    assert_int_equal(journal_open_to_read(directory, &second, &err), -1);
    assert_int_equal(err.kind, ERR_CONFLICT);
    journal_close(first);
    assert_int_equal(journal_open_to_read(directory, &second, &err), 0);
    journal_close(second);
}

static void what_is_not_committed_is_gone(void **state)
{
    struct journal *journal = open_it();

    (void)state;
    add(journal, "one");
    assert_true(journal_open_transaction(journal));
    assert_int_equal(journal_commit(journal, NULL), 0);
    add(journal, "two");
    journal_close(journal);
    journal = open_it();
    assert_int_equal(open_jobs(journal), 1);
    journal_close(journal);
}

static void a_job_is_known_the_second_time(void **state)
{
    struct journal *journal = open_it();
    struct inbox_row row = accepted("one");
    int64_t number = add(journal, "one"), again = -1;
    bool known = false;

    (void)state;
    row.state = STATE_REJECTED;
    assert_int_equal(inbox_add(journal, &row, &again, &known, NULL), 0);
    assert_true(known);
    assert_int_equal(again, number);
    assert_int_equal(read_row(journal, number).state, STATE_ACCEPTED);
    journal_close(journal);
}

static void an_end_is_remembered_until_its_record_is_old(void **state)
{
    struct journal *journal = open_it();
    int64_t number = add(journal, "one");
    struct inbox_row end = {
        .row = number, .state = STATE_SUCCEEDED, .attempt = 1, .seq = 9, .last_status = "status", .last_status_len = 6};

    (void)state;
    assert_int_equal(inbox_end(journal, &end, NULL), 0);
    assert_int_equal(open_jobs(journal), 1); /* Redis does not know yet */
    struct inbox_row row = read_row(journal, number);
    assert_int_equal(row.raw_len, 0);
    assert_int_equal(row.last_status_len, 6);
    assert_int_equal(inbox_forget(journal, 5000, 10, NULL), 0);
    assert_int_equal(read_row(journal, number).row, number);
    assert_int_equal(journal_commit(journal, NULL), 0);
    assert_int_equal(inbox_finished(journal, number, NULL), 0);
    assert_int_equal(open_jobs(journal), 1); /* a note: it waits for the next transaction */
    assert_int_equal(journal_begin(journal, NULL), 0);
    assert_int_equal(journal_commit(journal, NULL), 0);
    assert_int_equal(open_jobs(journal), 0);
    assert_int_equal(inbox_forget(journal, 1000, 10, NULL), 0);
    assert_int_equal(read_row(journal, number).row, number);
    assert_int_equal(inbox_forget(journal, 1001, 10, NULL), 0);
    assert_int_equal(read_row(journal, number).row, -1);
    journal_close(journal);
}

static void notes_mark_exactly_their_rows(void **state)
{
    struct journal *journal = open_it();
    static const int order[] = {4, 0, 1, 6, 2};
    int64_t rows[8];
    char id[8];

    (void)state;
    for (int i = 0; i < 8; i++) {
        snprintf(id, sizeof id, "job-%d", i);
        rows[i] = add(journal, id);
        assert_int_equal(inbox_end(journal, &(struct inbox_row){.row = rows[i], .state = STATE_SUCCEEDED}, NULL), 0);
    }
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        assert_int_equal(inbox_finished(journal, rows[order[i]], NULL), 0);
    assert_int_equal(journal_commit(journal, NULL), 0);
    assert_int_equal(journal_notes_due_ms(journal), INT64_MAX);
    for (int i = 0; i < 8; i++)
        assert_int_equal(read_row(journal, rows[i]).finished, i < 3 || i == 4 || i == 6);
    journal_close(journal);
}

static void parked_stays_open_with_its_job_until_resolved(void **state)
{
    struct journal *journal = open_it();
    int64_t number = add(journal, "one");
    struct inbox_row end = {.row = number, .state = STATE_PARKED, .last_status = "s", .last_status_len = 1};

    (void)state;
    inbox_end(journal, &end, NULL);
    inbox_finished(journal, number, NULL);
    assert_int_equal(open_jobs(journal), 1);
    assert_int_equal(read_row(journal, number).raw_len, 3);
    inbox_forget(journal, INT64_MAX, 10, NULL);
    end.resolved = "done: seen";
    inbox_end(journal, &end, NULL);
    journal_commit(journal, NULL);
    assert_int_equal(open_jobs(journal), 1); /* Redis knew it as PARKED; of this end it has not been told */
    inbox_finished(journal, number, NULL);
    journal_write_notes(journal, NULL);
    assert_int_equal(open_jobs(journal), 0);
    assert_string_equal(read_row(journal, number).resolved, "done: seen");
    journal_close(journal);
}

static int collect(void *context, const struct outbox_row *row, struct err *err)
{
    int64_t *seqs = context;

    (void)err;
    while (*seqs)
        seqs++;
    *seqs = row->seq;
    return 0;
}

static void the_outbox_is_deleted_up_to_a_seq_of_a_topic(void **state)
{
    struct journal *journal = open_it();
    int64_t seqs[8] = {0}, left[8] = {0};

    (void)state;
    for (int i = 0; i < 4; i++) {
        struct outbox_row row = {.topic = i % 2 ? TOPIC_CATALOG : TOPIC_STATUS,
                                 .key = "k",
                                 .key_len = 1,
                                 .value = i == 3 ? NULL : "v",
                                 .value_len = i == 3 ? 0 : 1};
        assert_int_equal(outbox_row_add(journal, &row, NULL), 0);
        seqs[i] = row.seq;
    }
    assert_true(seqs[0] < seqs[1] && seqs[1] < seqs[2] && seqs[2] < seqs[3]);
    outbox_rows_done(journal, TOPIC_STATUS, seqs[3]);
    assert_int_equal(journal_commit(journal, NULL), 0);
    assert_int_equal(outbox_rows(journal, collect, left, NULL), 0);
    assert_int_equal(left[0], seqs[1]);
    assert_int_equal(left[1], seqs[3]);
    assert_int_equal(left[2], 0);
    journal_close(journal);
}

static void position_tokens_and_facts_are_kept(void **state)
{
    struct journal *journal = open_it();
    struct position position = {.cluster = "c", .partition = 3, .next_offset = 44, .last_append_ms = 55, .last_job = "j"},
                    read;
    char *fact;

    (void)state;
    assert_int_equal(position_read(journal, "t", &read, NULL), 0);
    assert_int_equal(read.next_offset, -1);
    position_write(journal, "t", &position, NULL);
    position_read(journal, "t", &read, NULL);
    assert_string_equal(read.cluster, "c");
    assert_int_equal(read.partition, 3);
    assert_int_equal(read.next_offset, 44);
    assert_int_equal(read.last_append_ms, 55);
    assert_string_equal(read.last_job, "j");
    assert_int_equal(token_highest(journal), 0);
    token_seen(journal, 9, NULL);
    token_seen(journal, 5, NULL);
    assert_int_equal(token_highest(journal), 9);
    journal_set_fact(journal, "f", "1", NULL);
    journal_fact(journal, "f", &fact, NULL);
    assert_string_equal(fact, "1");
    free(fact);
    journal_fact(journal, "g", &fact, NULL);
    assert_null(fact);
    assert_int_equal(journal_commit(journal, NULL), 0);
    journal_close(journal);
    journal = open_it();
    assert_int_equal(token_highest(journal), 9);
    journal_close(journal);
}

static void steps_keep_what_they_learned(void **state)
{
    struct journal *journal = open_it();
    int64_t number = add(journal, "one");
    struct facts facts = {0};
    char *plan = NULL, *steps = NULL;

    (void)state;
    facts_set(&facts, "made", "x", NULL);
    assert_int_equal(journal_save_plan(journal, number, "{}", NULL), 0);
    journal_save_steps(journal, number, (struct step_change[]){{0, STEP_INTENT, NULL}, {1, STEP_INTENT, NULL}}, 2, NULL);
    journal_save_steps(journal, number, &(struct step_change){0, STEP_DONE, &facts}, 1, NULL);
    assert_int_equal(journal_describe_plan(journal, number, &plan, &steps, NULL), 0);
    assert_string_equal(plan, "{}");
    assert_string_equal(steps, "0=done 1=intent");
    free(plan);
    free(steps);
    assert_int_equal(journal_save_plan(journal, number, "[]", NULL), 0); /* another attempt: no step of the old one */
    journal_describe_plan(journal, number, &plan, &steps, NULL);
    assert_true(!steps || !*steps);
    free(plan);
    free(steps);
    facts_clear(&facts);
    journal_close(journal);
}

#define JOURNAL_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOURNAL_TEST(keeps_its_id_and_birth),
        JOURNAL_TEST(a_second_one_is_refused_by_name),
        JOURNAL_TEST(what_is_not_committed_is_gone),
        JOURNAL_TEST(a_job_is_known_the_second_time),
        JOURNAL_TEST(an_end_is_remembered_until_its_record_is_old),
        JOURNAL_TEST(notes_mark_exactly_their_rows),
        JOURNAL_TEST(parked_stays_open_with_its_job_until_resolved),
        JOURNAL_TEST(the_outbox_is_deleted_up_to_a_seq_of_a_topic),
        JOURNAL_TEST(position_tokens_and_facts_are_kept),
        JOURNAL_TEST(steps_keep_what_they_learned),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
