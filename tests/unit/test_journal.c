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
#include <sqlite3.h>

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

static void end(struct journal *journal, int64_t number)
{
    assert_int_equal(inbox_end(journal, &(struct inbox_row){.row = number, .state = STATE_SUCCEEDED}, NULL), 0);
    assert_int_equal(inbox_finished(journal, number, NULL), 0);
}

static const char *numbered(int number)
{
    static char id[24];

    snprintf(id, sizeof id, "job-%d", number);
    return id;
}

static void every_job_is_known(struct journal *journal, int count)
{
    for (int i = 0; i < count; i++) {
        struct inbox_row row = accepted(numbered(i));
        int64_t number = -1;
        bool known = false;
        assert_int_equal(inbox_add(journal, &row, &number, &known, NULL), 0);
        assert_true(known);
        assert_int_equal(number, i + 1);
    }
}

/* More than are kept in memory alone: some are in the table, some on their way into it, some in memory, and a restart comes upon each of these. */
static void many_jobs_are_known_wherever_their_ids_are(void **state)
{
    enum { JOBS = 40000, TURN = 400 };
    struct journal *journal = open_it();

    (void)state;
    for (int i = 0; i < JOBS; i++) {
        assert_int_equal(add(journal, numbered(i)), i + 1);
        if (i % TURN != TURN - 1)
            continue;
        assert_int_equal(journal_commit(journal, NULL), 0);
        if (i % (TURN * 7) == TURN - 1)
            every_job_is_known(journal, i + 1 < 17000 ? 100 : 1000);
        if (i % (TURN * 9) == TURN - 1) {
            journal_close(journal);
            journal = open_it();
        }
    }
    every_job_is_known(journal, JOBS);
    journal_close(journal);
    journal = open_it();
    every_job_is_known(journal, JOBS);
    journal_close(journal);
}

/* Also when all are forgotten: a number below those that the table has would not be looked at by the next start. */
static void a_forgotten_job_is_new_and_its_number_does_not_come_again(void **state)
{
    struct journal *journal = open_it();

    (void)state;
    for (int i = 0; i < 3; i++)
        end(journal, add(journal, numbered(i)));
    assert_int_equal(journal_commit(journal, NULL), 0);
    assert_int_equal(inbox_forget(journal, INT64_MAX, 10, NULL), 0);
    assert_int_equal(journal_commit(journal, NULL), 0);
    journal_close(journal);
    journal = open_it();
    assert_int_equal(add(journal, numbered(1)), 4);
    assert_int_equal(journal_commit(journal, NULL), 0);
    journal_close(journal);
    journal = open_it();
    struct inbox_row row = accepted(numbered(1));
    int64_t number = -1;
    bool known = false;
    assert_int_equal(inbox_add(journal, &row, &number, &known, NULL), 0);
    assert_true(known);
    assert_int_equal(number, 4);
    journal_close(journal);
}

static void young_jobs_and_those_behind_them_are_not_forgotten(void **state)
{
    struct journal *journal = open_it();
    struct inbox_row young = accepted("young");
    int64_t open = add(journal, "open"), old = add(journal, "old"), number;
    bool known;

    (void)state;
    young.append_ms = 3000;
    end(journal, old);
    assert_int_equal(inbox_add(journal, &young, &number, &known, NULL), 0);
    end(journal, number);
    assert_int_equal(journal_commit(journal, NULL), 0);
    assert_int_equal(inbox_forget(journal, 2000, 10, NULL), 0);
    assert_int_equal(read_row(journal, open).row, open);
    assert_int_equal(read_row(journal, old).row, -1);
    assert_int_equal(read_row(journal, number).row, number);
    journal_close(journal);
}

/* As version 1 left it: job_id with an index of its own, and no table of known ones. */
static void make_version_1(void)
{
    static const char back[] =
        "CREATE TABLE inbox_1(row INTEGER PRIMARY KEY, job_id TEXT NOT NULL UNIQUE, target TEXT NOT NULL, raw BLOB, traceparent TEXT, append_ms INTEGER NOT NULL,"
        " accepted_at_ms INTEGER NOT NULL, state INTEGER NOT NULL, waiting TEXT, attempt INTEGER NOT NULL, crashes INTEGER NOT NULL, token INTEGER NOT NULL,"
        " seq INTEGER NOT NULL, not_before_ms INTEGER NOT NULL, resolved TEXT, last_status BLOB, finished INTEGER NOT NULL);"
        "INSERT INTO inbox_1 SELECT * FROM inbox; DROP TABLE inbox; ALTER TABLE inbox_1 RENAME TO inbox; DROP TABLE known;"
        "DELETE FROM fact WHERE name = 'known_row'; PRAGMA user_version=1";
    sqlite3 *database;
    char path[128];

    snprintf(path, sizeof path, "%s/journal.db", directory);
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, back, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(database);
}

static void a_journal_of_version_1_goes_on(void **state)
{
    struct journal *journal = open_it();

    (void)state;
    for (int i = 0; i < 5; i++)
        add(journal, numbered(i));
    end(journal, 2);
    assert_int_equal(journal_commit(journal, NULL), 0);
    journal_close(journal);
    make_version_1();
    assert_int_equal(journal_open_to_read(directory, &journal, NULL), 0); /* changes nothing */
    assert_int_equal(open_jobs(journal), 4);
    journal_close(journal);
    journal = open_it();
    assert_int_equal(open_jobs(journal), 4);
    every_job_is_known(journal, 5);
    assert_int_equal(add(journal, "job-5"), 6);
    journal_close(journal);
    journal = open_it();
    every_job_is_known(journal, 5);
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
        JOURNAL_TEST(many_jobs_are_known_wherever_their_ids_are),
        JOURNAL_TEST(a_forgotten_job_is_new_and_its_number_does_not_come_again),
        JOURNAL_TEST(young_jobs_and_those_behind_them_are_not_forgotten),
        JOURNAL_TEST(a_journal_of_version_1_goes_on),
        JOURNAL_TEST(an_end_is_remembered_until_its_record_is_old),
        JOURNAL_TEST(notes_mark_exactly_their_rows),
        JOURNAL_TEST(parked_stays_open_with_its_job_until_resolved),
        JOURNAL_TEST(the_outbox_is_deleted_up_to_a_seq_of_a_topic),
        JOURNAL_TEST(position_tokens_and_facts_are_kept),
        JOURNAL_TEST(steps_keep_what_they_learned),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
