/* Of jobs that run silently one fact of the journal says that they have begun. */
#include "base/err.h"
#include "worker/begun.h"
#include "worker/custody.h"
#include "worker/journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[64];
static struct journal *journal;

static int set_up(void **state)
{
    struct err err;

    (void)state;
    snprintf(directory, sizeof directory, "/tmp/fleetsnap-begun.XXXXXX");
    return mkdtemp(directory) && journal_open(directory, &journal, &err) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"journal.db", "journal.db-wal", "journal.db-shm", "lock"};
    char path[128];

    (void)state;
    journal_close(journal);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        unlink(path);
    }
    return rmdir(directory);
}

static void text_names_rows_and_ranges(void **state)
{
    static const char text[] = "3,7-9,12,";

    (void)state;
    for (int64_t row = 0; row < 15; row++)
        assert_int_equal(begun_names(text, row), row == 3 || (row >= 7 && row <= 9) || row == 12);
    assert_false(begun_names("", 0));
    assert_false(begun_names(NULL, 1));
}

static void what_runs_silently_is_named_in_the_journal(void **state)
{
    static const int64_t rows[] = {12, 8, 9, 3, 7};
    struct work works[5] = {0};
    struct custody custody = {.setup = {.journal = journal}, .silent = works, .silent_count = 5, .silent_began = true};
    struct err err = {0};
    char *text;

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        works[i].row = rows[i];
        works[i].next_silent = i < 4 ? &works[i + 1] : NULL;
    }
    assert_int_equal(begun_write(&custody, &err), 0);
    assert_true(journal_open_transaction(journal));
    assert_int_equal(journal_commit(journal, &err), 0);
    assert_int_equal(journal_fact(journal, begun_fact, &text, &err), 0);
    assert_string_equal(text, "3,7-9,12,");
    free(text);
    custody.silent = NULL;
    custody.silent_count = 0;
    assert_int_equal(begun_write(&custody, &err), 0); /* nobody began: who ended has a row that says so */
    assert_false(journal_open_transaction(journal));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_names_rows_and_ranges),
        cmocka_unit_test(what_runs_silently_is_named_in_the_journal),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
