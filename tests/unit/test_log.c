/* What reaches stderr, through a pipe in its place. */
#include "base/log.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char output[256 * 1024];

static int begin(int fds[2])
{
    int old = dup(STDERR_FILENO);

    assert_int_equal(pipe(fds), 0);
    dup2(fds[1], STDERR_FILENO);
    close(fds[1]);
    return old;
}

static void end(int old, int fd)
{
    size_t len = 0;
    ssize_t got;

    dup2(old, STDERR_FILENO);
    close(old);
    while ((got = read(fd, output + len, sizeof output - len - 1)) > 0)
        len += (size_t)got;
    output[len] = '\0';
    close(fd);
}

static void a_line_is_logfmt_and_escaped(void **state)
{
    int fds[2];
    int old = begin(fds);

    (void)state;
    log_warning("job \"1\"", "two\nlines and \x1b[31m %s", "é");
    end(old, fds[0]);
    assert_non_null(strstr(output, " level=warning subject=\"job \\\"1\\\"\" msg=\"two\\nlines and \\x1b[31m é\"\n"));
    assert_memory_equal(output, "ts=20", 5);
    assert_ptr_equal(strchr(output, '\n'), output + strlen(output) - 1);
}

static void what_is_below_the_level_is_silent(void **state)
{
    int fds[2];
    int old = begin(fds);

    (void)state;
    log_debug("a", "no");
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug("a", "yes");
    log_set_level(LOG_LEVEL_ERROR);
    log_info("a", "no");
    log_set_level(LOG_LEVEL_INFO);
    end(old, fds[0]);
    assert_null(strstr(output, "no"));
    assert_non_null(strstr(output, "yes"));
}

static void a_long_line_is_cut_and_ends(void **state)
{
    char *long_text = malloc(20000);
    int fds[2];

    (void)state;
    memset(long_text, 1, 19999);
    long_text[19999] = '\0';
    int old = begin(fds);
    log_info(long_text, "%s", long_text);
    end(old, fds[0]);
    free(long_text);
    assert_true(strlen(output) <= 8192);
    assert_int_equal(output[strlen(output) - 1], '\n');
    assert_int_equal(output[strlen(output) - 2], '"');
}

static void *write_many(void *context)
{
    for (int i = 0; i < 100; i++)
        log_info(context, "%s", "0123456789");
    return NULL;
}

static void lines_of_threads_do_not_mix(void **state)
{
    pthread_t threads[4];
    char names[4][2] = {"a", "b", "c", "d"};
    int lines = 0;
    int fds[2];
    int old = begin(fds);

    (void)state;
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, write_many, names[i]);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    end(old, fds[0]);
    for (char *line = strtok(output, "\n"); line; line = strtok(NULL, "\n"), lines++)
        assert_string_equal(line + strlen(line) - strlen("msg=\"0123456789\""), "msg=\"0123456789\"");
    assert_int_equal(lines, 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_logfmt_and_escaped),
        cmocka_unit_test(what_is_below_the_level_is_silent),
        cmocka_unit_test(a_long_line_is_cut_and_ends),
        cmocka_unit_test(lines_of_threads_do_not_mix),
    };

    unsetenv("JOURNAL_STREAM");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
