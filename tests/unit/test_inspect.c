/* What --inspect says of the journal of a worker that is dead. */
#include "base/err.h"
#include "base/file.h"
#include "worker/begun.h"
#include "worker/inspect.h"
#include "worker/journal.h"

#include <fcntl.h>
#include <jansson.h>
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

static int set_up(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/fleetsnap-inspect.XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return file_remove_folder(directory, NULL);
}

static void accept_two(void)
{
    static const char *const ids[] = {"one", "two"};
    struct journal *journal;
    struct err err;

    assert_int_equal(journal_open(directory, &journal, &err), 0);
    for (int i = 0; i < 2; i++) {
        struct inbox_row row = {.job_id = ids[i],
                                .target = "null:t1",
                                .raw = "raw",
                                .raw_len = 3,
                                .state = STATE_ACCEPTED,
                                .accepted_at_ms = 1};
        int64_t number;
        bool known;

        assert_int_equal(inbox_add(journal, &row, &number, &known, &err), 0);
        if (i == 1) {
            char text[32];
            snprintf(text, sizeof text, "%lld,", (long long)number);
            assert_int_equal(journal_set_fact(journal, begun_fact, text, &err), 0);
        }
    }
    assert_int_equal(journal_commit(journal, &err), 0);
    journal_close(journal);
}

/* On standard output: caught in a file. */
static json_t *inspected(void)
{
    CLEANUP(freep) char *text = NULL;
    char path[128];
    struct err err = {0};
    size_t len;

    snprintf(path, sizeof path, "%s/said", directory);
    fflush(stdout);
    int old = dup(STDOUT_FILENO), fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(old >= 0 && fd >= 0);
    dup2(fd, STDOUT_FILENO);
    int result = inspect(directory, true, &err);
    fflush(stdout);
    dup2(old, STDOUT_FILENO);
    close(old);
    close(fd);
    assert_int_equal(result, 0);
    assert_int_equal(file_read(path, 65536, &text, &len, &err), 0);
    return json_loads(text, 0, NULL);
}

static void who_began_without_a_word_is_said_to_run(void **state)
{
    (void)state;
    accept_two();
    json_t *said = inspected(), *jobs = json_object_get(said, "jobs");

    assert_false(json_is_true(json_object_get(said, "live")));
    assert_int_equal(json_array_size(jobs), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(jobs, 0), "state")), "ACCEPTED");
    assert_string_equal(json_string_value(json_object_get(json_array_get(jobs, 1), "state")), "RUNNING");
    json_decref(said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_began_without_a_word_is_said_to_run),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
