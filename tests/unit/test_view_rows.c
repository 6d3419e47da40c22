/* The rows of jobs in the view's file: what is written when, and what readers find. */
#include "base/err.h"
#include "base/file.h"
#include "coordinator/view.h"
#include "coordinator/view_db.h"
#include "coordinator/view_plan.h"
#include "coordinator/view_read.h"
#include "coordinator/view_rows.h"
#include "model/inventory.h"
#include "model/ledger_entry.h"
#include "model/restore_point.h"
#include "model/status.h"
#include "wire/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static const char ID[] = "0d9b1c1e-8c0c-5b2f-9f3f-5a3c8f3d2b11", OTHER[] = "0d9b1c1f-8c0c-5b2f-9f3f-5a3c8f3d2b11";
static char folder[64], path[80];
static struct err err;
static struct wire *wire;
static sqlite3 *db;
static struct view_jobs *jobs;
static struct view_reader *reader;

static int begin(void **state)
{
    (void)state;
    wire_init();
    snprintf(folder, sizeof folder, "/tmp/fs-view-rows.XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/view.db", folder);
    if (wire_new(&wire, &err) < 0 || view_db_open_writer(path, "cluster", &db, &err) < 0 ||
        view_jobs_open(db, &jobs, &err) < 0)
        return -1;
    return view_reader_open(path, &reader, &err);
}

static int end(void **state)
{
    char command[100];

    (void)state;
    view_reader_close(reader);
    view_jobs_close(jobs);
    sqlite3_close(db);
    wire_free(wire);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static struct view_job_row *row_of(const char *id)
{
    unsigned char key[UUID_BYTES];

    assert_true(uuid_parse(id, key));
    struct view_job_row *row = view_jobs_get(jobs, key, &err);
    assert_non_null(row);
    return row;
}

static void prepared(const char *id)
{
    struct params_noop params = {0};
    struct job job = {.job_id = (char *)id, .op = OP_NOOP, .host = (char *)"alpha", .params = &params, .issued_at_ms = 5};
    struct ledger_job ledger_job = {.job = &job, .prepared_at_ms = 5, .partition = -1, .offset = -1};
    struct ledger_entry entry = {
        .kind = LEDGER_JOB, .id = (char *)id, .term = 1, .n = 1, .at_ms = 5, .who = (char *)"c1", .job = &ledger_job};
    const unsigned char *value;
    size_t len;

    job.target = (struct target){(char *)"null", (char *)"t1", (char *)"t1"};
    assert_int_equal(wire_encode(wire, &ledger_entry_record, &entry, &value, &len, &err), 0);
    assert_int_equal(view_jobs_set_spec(row_of(id), &job, value, len, &err), 0);
}

static enum fold_verdict event(const char *id, int64_t seq, enum job_state job_state)
{
    struct status status = {.job_id = (char *)id,
                            .op = OP_NOOP,
                            .origin = ORIGIN_WORKER,
                            .seq = seq,
                            .state = (int)job_state,
                            .host = (char *)"alpha",
                            .target = {(char *)"null", (char *)"t1", NULL},
                            .at_ms = seq};
    struct view_job_row *row = row_of(id);
    enum fold_verdict verdict = fold_status(row, &status);
    const unsigned char *value;
    size_t len;

    if (verdict == FOLD_OLD)
        return verdict;
    assert_int_equal(wire_encode(wire, &status_record, &status, &value, &len, &err), 0);
    assert_int_equal(view_jobs_add_event(row, value, len, true, &err), 0);
    return verdict;
}

static void flush(bool all)
{
    assert_int_equal(view_db_run(db, "BEGIN", &err), 0);
    assert_int_equal(view_jobs_flush(jobs, all, &err), 0);
    assert_int_equal(view_db_run(db, "COMMIT", &err), 0);
}

static json_t *read_job(const char *id)
{
    json_t *job = NULL;

    if (view_job(reader, id, &job, &err) < 0)
        fail_msg("%s", err.text);
    return job;
}

static void is(const char *id, const char *job_state, size_t events)
{
    json_t *job = read_job(id);

    assert_non_null(job);
    assert_string_equal(json_string_value(json_object_get(job, "job_id")), id);
    assert_string_equal(json_string_value(json_object_get(job, "state")), job_state);
    assert_string_equal(json_string_value(json_object_get(json_object_get(job, "target"), "name")),
                        "t1"); /* the ledger's record */
    assert_int_equal(json_array_size(json_object_get(job, "events")), events);
    json_decref(job);
}

static void a_young_job_waits_one_transaction(void **state)
{
    (void)state;
    flush(false);
    prepared(ID);
    event(ID, 1, STATE_RUNNING);
    flush(false);
    assert_null(read_job(ID));
    assert_true(view_jobs_waiting(jobs));
    flush(false);
    is(ID, "RUNNING", 1);
    assert_false(view_jobs_waiting(jobs));
}

static void one_that_ended_does_not(void **state)
{
    (void)state;
    prepared(ID);
    event(ID, 1, STATE_RUNNING);
    assert_int_equal(event(ID, 2, STATE_SUCCEEDED), FOLD_ENDED);
    flush(false);
    is(ID, "SUCCEEDED", 2);
}

static void all_is_all(void **state)
{
    (void)state;
    prepared(ID);
    flush(true);
    is(ID, "PLANNED", 0);
    event(ID, 1, STATE_RUNNING);
    flush(false); /* it is in the file already: nothing waits */
    is(ID, "RUNNING", 1);
}

/* After a crash the view reads the last transaction's records again. */
static void what_is_read_twice_says_nothing_new(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        if (!row_of(ID)->has_spec)
            prepared(ID);
        assert_int_equal(event(ID, 1, STATE_RUNNING), i ? FOLD_OLD : FOLD_NEWS);
        assert_int_equal(event(ID, 2, STATE_FAILED), i ? FOLD_OLD : FOLD_ENDED);
        flush(i % 2);
        is(ID, "FAILED", 2);
        if (i == 1)
            view_jobs_forget(jobs);
    }
}

static void a_job_leaves_memory_after_its_end_and_comes_back(void **state)
{
    (void)state;
    prepared(ID);
    event(ID, 2, STATE_PARKED);
    for (int i = 0; i < 3; i++)
        flush(true);
    event(ID, 3, STATE_SUCCEEDED); /* it is parked: only a resolution is news */
    flush(true);
    is(ID, "PARKED", 1);
}

static void reopen(void)
{
    view_jobs_close(jobs);
    assert_int_equal(view_jobs_open(db, &jobs, &err), 0);
}

static void the_next_start_knows_what_is_in_the_file(void **state)
{
    (void)state;
    prepared(ID);
    event(ID, 2, STATE_SUCCEEDED);
    flush(true);
    reopen();
    assert_int_equal(event(ID, 1, STATE_RUNNING), FOLD_OLD);
    prepared(OTHER);
    flush(true);
    is(ID, "SUCCEEDED", 1);
    is(OTHER, "PLANNED", 0);
}

static size_t parked_count(void)
{
    struct strings ids = {0};

    assert_int_equal(view_parked_jobs(reader, &ids, &err), 0);
    size_t count = ids.count;
    strings_clear(&ids);
    return count;
}

static void a_parked_job_is_open_until_it_is_resolved(void **state)
{
    struct status status = {.job_id = (char *)ID,
                            .seq = 3,
                            .origin = ORIGIN_WORKER,
                            .state = STATE_PARKED,
                            .at_ms = 1003,
                            .host = (char *)"web",
                            .resolved = (char *)"done"};

    (void)state;
    prepared(ID);
    event(ID, 2, STATE_PARKED);
    flush(true);
    assert_int_equal(row_of(ID)->ended_at, 0);
    assert_int_equal(parked_count(), 1);
    assert_int_equal(fold_status(row_of(ID), &status), FOLD_ENDED);
    flush(true);
    assert_int_equal(row_of(ID)->ended_at, 1003);
    assert_int_equal(parked_count(), 0);
}

static void what_was_only_asked_about_leaves_nothing(void **state)
{
    (void)state;
    row_of(OTHER);
    flush(true);
    assert_null(read_job(OTHER));
}

static void jobs_are_found_by_their_beginning(void **state)
{
    static const struct {
        const char *prefix;
        size_t count;
    } cases[] = {{"0d9b", 2},
                 {"0d9b1c1", 2},
                 {"0d9b1c1e", 1},
                 {"0d9b1c1e-8c0c-5", 1},
                 {"0d9b1c1f-8c0c-5b2f-9f3f-5a3c8f3d2b11", 1},
                 {"0d9b1c20", 0},
                 {"0d9b1d", 0},
                 {"0d9b-", 0},
                 {"xyz", 0}};

    (void)state;
    prepared(ID);
    prepared(OTHER);
    flush(true);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct view_filter filter = {.id_prefix = cases[i].prefix};
        json_t *ids = NULL, *page = NULL;
        assert_int_equal(view_ids(reader, "job", cases[i].prefix, &ids, &err), 0);
        assert_int_equal(json_array_size(ids), cases[i].count);
        assert_int_equal(view_jobs(reader, &filter, &page, &err), 0);
        assert_int_equal(json_array_size(json_object_get(page, "items")), cases[i].count);
        json_decref(ids);
        json_decref(page);
    }
}

static void found(struct view_filter filter, size_t count)
{
    json_t *page = NULL;

    assert_int_equal(view_jobs(reader, &filter, &page, &err), 0);
    assert_int_equal(json_array_size(json_object_get(page, "items")), count);
    json_decref(page);
}

/* Also where the worker's word came first, and what the job is in a later transaction. */
static void jobs_are_found_by_host_target_and_time(void **state)
{
    (void)state;
    event(ID, 1, STATE_RUNNING);
    prepared(OTHER);
    flush(true);
    prepared(ID);
    flush(true);
    found((struct view_filter){.host = "alpha"}, 2);
    found((struct view_filter){.host = "alpha", .open_only = true}, 2);
    found((struct view_filter){.host = "beta"}, 0);
    found((struct view_filter){.target = "null:t1"}, 2);
    found((struct view_filter){.target = "null:t2"}, 0);
    found((struct view_filter){.since_ms = 5}, 2);
    found((struct view_filter){.since_ms = 5, .host = "alpha"}, 2);
    found((struct view_filter){.since_ms = 6}, 0);
}

/* ---- long lists ---- */

enum { MANY = 20000, OPS = 100 };

/* Those that are alike are many; the first ones are each unlike them in one thing. */
static void write_many(void)
{
    char sql[1200];

    snprintf(
        sql, sizeof sql,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) INSERT INTO jobs(id, job_id, op, class, target, host, dry_run, state,"
        " lost, resolved, issued_at, started_at, ended_at, at) SELECT i, randomblob(16), iif(i = 1, %d, %d), 0, iif(i = 2, 'null:other', 'null:' || i),"
        " iif(i = 3, 'beta', 'host-' || (i %% 100)), 0, CASE i WHEN 4 THEN %d WHEN 5 THEN %d WHEN 6 THEN %d WHEN 7 THEN %d ELSE %d END, i = 6, 0,"
        " i, i, iif(i IN (5, 6, 7), 0, i), i FROM n",
        MANY, OP_REPOSITORY_CHECK, OP_BACKUP_CREATE, STATE_FAILED, STATE_RUNNING, STATE_WAITING, STATE_PARKED,
        STATE_SUCCEEDED);
    assert_int_equal(view_db_run(db, sql, &err), 0);
    assert_int_equal(
        view_db_run(db, "INSERT INTO job_blocks SELECT id / 4096, max(issued_at) FROM jobs GROUP BY id / 4096", &err),
        0);
}

static int count_ops(void *context)
{
    ++*(int *)context;
    return 0;
}

/* SQLite's own steps, by the hundred: a list that looks at every row takes more than there are rows. */
static void the_few_of_many_jobs_are_found_without_looking_at_all(void **state)
{
    const struct {
        struct view_filter filter;
        size_t count;
    } cases[] = {{{.op = "repository.check"}, 1},
                 {{.op = "backup.restore"}, 0},
                 {{.op = "backup.create", .limit = 10}, 10},
                 {{.target = "null:other"}, 1},
                 {{.target = "null:other", .op = "backup.create"}, 1},
                 {{.host = "host-7", .op = "backup.create", .limit = 10}, 10},
                 {{.state = "FAILED"}, 1},
                 {{.state = "EXPIRED"}, 0},
                 {{.state = "PARKED"}, 1},
                 {{.state = "FAILED", .op = "backup.create"}, 1},
                 {{.state = "RUNNING"}, 1},
                 {{.state = "ACCEPTED"}, 0},
                 {{.state = "LOST"}, 1},
                 {{.open_only = true}, 3},
                 {{.open_only = true, .after = "7"}, 2},
                 {{.open_only = true, .host = "host-5"}, 1},
                 {{.open_only = true, .op = "backup.create", .limit = 2}, 2},
                 {{.since_ms = 1, .limit = 10}, 10},
                 {{.since_ms = MANY - 1}, 2},
                 {{.since_ms = 10000000}, 0},
                 {{.since_ms = 10000000, .op = "backup.create"}, 0},
                 {{.state = "SUCCEEDED", .limit = 10}, 10},
                 {{.after = "50", .limit = 10}, 10},
                 {{.limit = 10}, 10}};
    int ops = 0;

    (void)state;
    write_many();
    sqlite3_progress_handler(reader->db, OPS, count_ops, &ops);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *page = NULL;
        ops = 0;
        assert_int_equal(view_jobs(reader, &cases[i].filter, &page, &err), 0);
        assert_int_equal(json_array_size(json_object_get(page, "items")), cases[i].count);
        if (ops * OPS >= MANY)
            fail_msg("case %zu took %d steps", i, ops * OPS);
        json_decref(page);
    }
}

/* One machine unlike the others in each thing, all with the same record. */
static void write_many_targets(void)
{
    struct inventory_target own = {.host = (char *)"h", .target = {(char *)"null", (char *)"1", (char *)"one"}};
    struct inventory inventory = {.revision = 1, .target = &own};
    const unsigned char *value;
    sqlite3_stmt *row = NULL;
    size_t len;

    assert_int_equal(wire_encode(wire, &inventory_record, &inventory, &value, &len, &err), 0);
    assert_int_equal(
        view_db_prepare(
            db,
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) INSERT INTO targets(key, host, gone, target, name, state, at, value)"
            " SELECT h || '/null:' || i, h, 0, 'null:' || i, 'vm-' || i, iif(i = 2, 'crashed', 'running'), 1, ?2"
            " FROM (SELECT i, iif(i = 1, 'beta', 'host-' || (i % 100)) AS h FROM n)",
            &row, &err),
        0);
    sqlite3_bind_int(row, 1, MANY);
    view_bind_blob(row, 2, value, len);
    assert_int_equal(view_step_done(db, row, &err), 0);
    sqlite3_finalize(row);
}

static void the_few_of_many_machines_are_found_without_looking_at_all(void **state)
{
    const struct {
        struct view_filter filter;
        size_t count;
    } cases[] = {{{.host = "beta"}, 1},
                 {{.host = "host-7", .limit = 1000}, MANY / 100}, /* and none of host-70 */
                 {{.host = "host"}, 0},
                 {{.state = "crashed"}, 1},
                 {{.state = "paused"}, 0},
                 {{.state = "running", .limit = 10}, 10},
                 {{.name = "vm-9"}, 1},
                 {{.target = "null:9"}, 1},
                 {{.after = "host-7/null:7", .limit = 10}, 10},
                 {{.limit = 10}, 10}};
    int ops = 0;

    (void)state;
    write_many_targets();
    sqlite3_progress_handler(reader->db, OPS, count_ops, &ops);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *page = NULL;
        ops = 0;
        assert_int_equal(view_targets(reader, &cases[i].filter, &page, &err), 0);
        assert_int_equal(json_array_size(json_object_get(page, "items")), cases[i].count);
        if (ops * OPS >= MANY)
            fail_msg("case %zu took %d steps", i, ops * OPS);
        json_decref(page);
    }
}

/* ---- pages that end after so many looks ---- */

static void write_points(void)
{
    struct restore_point point = {.id = (char *)"p",
                                  .format = 1,
                                  .revision = 1,
                                  .host = (char *)"h",
                                  .writer = (char *)"p",
                                  .kind = (char *)"backup",
                                  .state = POINT_COMPLETE,
                                  .target = {(char *)"null", (char *)"1", (char *)"one"}};
    const unsigned char *value;
    sqlite3_stmt *row = NULL;
    size_t len;

    assert_int_equal(wire_encode(wire, &restore_point_record, &point, &value, &len, &err), 0);
    assert_int_equal(
        view_db_prepare(
            db,
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) INSERT INTO points(id, closed, kind, target, host, repository, name, state, created_at, value)"
            " SELECT 'p' || i, 0, iif(i = 1, 'snapshot', 'backup'), 'null:' || i, iif(i = 2, 'beta', 'host-' || (i % 100)), iif(i = 3, 'r2', 'r1'), iif(i = 4, 'before', NULL),"
            " iif(i = 5, 0, 1), i, ?2 FROM n",
            &row, &err),
        0);
    sqlite3_bind_int(row, 1, MANY);
    view_bind_blob(row, 2, value, len);
    assert_int_equal(view_step_done(db, row, &err), 0);
    sqlite3_finalize(row);
}

static void the_few_of_many_points_are_found_without_looking_at_all(void **state)
{
    const struct {
        struct view_filter filter;
        size_t count;
    } cases[] = {{{.kind = "snapshot"}, 1},
                 {{.kind = "backup", .limit = 10}, 10},
                 {{.host = "beta"}, 1},
                 {{.host = "beta", .kind = "backup"}, 1},
                 {{.host = "none"}, 0},
                 {{.repository = "r2", .kind = "backup"}, 1},
                 {{.repository = "r1", .limit = 10}, 10},
                 {{.name = "before"}, 1},
                 {{.state = "incomplete"}, 1},
                 {{.state = "complete", .limit = 10}, 10},
                 {{.since_ms = MANY}, 1},
                 {{.target = "null:7"}, 1},
                 {{.verified = true, .looks = 100}, 0},
                 {{.limit = 10}, 10}};
    int ops = 0;

    (void)state;
    write_points();
    sqlite3_progress_handler(reader->db, OPS, count_ops, &ops);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *page = NULL;
        ops = 0;
        assert_int_equal(view_points(reader, &cases[i].filter, &page, &err), 0);
        assert_int_equal(json_array_size(json_object_get(page, "items")), cases[i].count);
        if (ops * OPS >= MANY)
            fail_msg("case %zu took %d steps", i, ops * OPS);
        json_decref(page);
    }
}

/* Page after page; how many there were. */
static size_t pages_of(struct view_filter filter, size_t *out_items)
{
    char after[256] = "";
    size_t pages = 0;

    *out_items = 0;
    do {
        json_t *page = NULL;
        filter.after = *after ? after : NULL;
        assert_int_equal(view_points(reader, &filter, &page, &err), 0);
        const char *next = json_string_value(json_object_get(page, "next"));
        *out_items += json_array_size(json_object_get(page, "items"));
        snprintf(after, sizeof after, "%s", next ? next : "");
        pages++;
        json_decref(page);
    } while (*after);
    return pages;
}

static void a_page_ends_after_so_many_looks_and_the_next_goes_on(void **state)
{
    size_t items;

    (void)state;
    write_points();
    assert_int_equal(pages_of((struct view_filter){.looks = MANY / 10, .verified = true}, &items), 10);
    assert_int_equal(items, 0);
    assert_int_equal(pages_of((struct view_filter){.looks = MANY / 10, .gone = true, .limit = 1000}, &items),
                     MANY / 1000);
    assert_int_equal(items, MANY);
    assert_int_equal(pages_of((struct view_filter){.verified = true}, &items), 1);
}

/* Jobs of one host: their ids lie apart. */
static void a_page_of_jobs_ends_after_so_many_ids(void **state)
{
    struct view_filter filter = {.host = "beta", .looks = 1};
    json_t *page = NULL;
    char next[32];
    int ops = 0;

    (void)state;
    write_many();
    assert_int_equal(view_db_run(db, "UPDATE jobs SET id = id + 99000 WHERE id > 9", &err), 0);
    sqlite3_progress_handler(reader->db, OPS, count_ops, &ops);
    assert_int_equal(view_jobs(reader, &filter, &page, &err), 0);
    assert_int_equal(json_array_size(json_object_get(page, "items")), 0);
    snprintf(next, sizeof next, "%s", json_string_value(json_object_get(page, "next")));
    assert_string_equal(next, "69001"); /* MANY + 99000 + 1 - 50000 */
    json_decref(page);
    filter.after = next;
    ops = 0;
    assert_int_equal(view_jobs(reader, &filter, &page, &err), 0);
    assert_int_equal(json_array_size(json_object_get(page, "items")), 0);
    assert_in_range(ops * OPS, 0, MANY / 10); /* between 19001 and 69001 there is none */
    snprintf(next, sizeof next, "%s", json_string_value(json_object_get(page, "next")));
    assert_string_equal(next, "19001");
    json_decref(page);
    assert_int_equal(view_jobs(reader, &filter, &page, &err), 0);
    assert_int_equal(json_array_size(json_object_get(page, "items")), 1);
    assert_true(json_is_null(json_object_get(page, "next")));
    json_decref(page);
    filter.after = NULL;
    filter.since_ms = 10000000; /* nothing is so young: the first page is the last */
    assert_int_equal(view_jobs(reader, &filter, &page, &err), 0);
    assert_true(json_is_null(json_object_get(page, "next")));
    json_decref(page);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_young_job_waits_one_transaction),
        CASE(one_that_ended_does_not),
        CASE(a_parked_job_is_open_until_it_is_resolved),
        CASE(all_is_all),
        CASE(what_is_read_twice_says_nothing_new),
        CASE(a_job_leaves_memory_after_its_end_and_comes_back),
        CASE(what_was_only_asked_about_leaves_nothing),
        CASE(jobs_are_found_by_their_beginning),
        CASE(the_next_start_knows_what_is_in_the_file),
        CASE(jobs_are_found_by_host_target_and_time),
        CASE(the_few_of_many_jobs_are_found_without_looking_at_all),
        CASE(the_few_of_many_machines_are_found_without_looking_at_all),
        CASE(the_few_of_many_points_are_found_without_looking_at_all),
        CASE(a_page_ends_after_so_many_looks_and_the_next_goes_on),
        CASE(a_page_of_jobs_ends_after_so_many_ids),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
