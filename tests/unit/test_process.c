#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/process.h"
#include "base/text.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/file.h>

#include <cmocka.h>

#define SHELL(script) ((const char *const[]){"sh", "-c", script, NULL})

static void output_and_exit_codes(void **state)
{
    CLEANUP(freep) char *output = NULL;
    struct err err = {0};
    int status = -1;

    (void)state;
    assert_int_equal(process_run(SHELL("echo out; echo err >&2"), NULL, &output, NULL, &err), 0);
    assert_string_equal(output, "out\n");
    assert_int_equal(process_run(SHELL("echo first >&2; echo 'no such image' >&2; exit 3"), NULL, NULL, NULL, &err), -1);
    assert_int_equal(err.kind, ERR_PERMANENT);
    assert_int_equal(err.code, 3);
    assert_string_equal(err.text, "sh: exit code 3: first no such image");
    freep(&output);
    assert_int_equal(process_run(SHELL("echo x; exit 3"), NULL, &output, &status, &err), 0);
    assert_int_equal(status, 3);
    assert_string_equal(output, "x\n");
    assert_int_equal(process_run(SHELL("kill -9 $$"), NULL, NULL, &status, &err), -1);
    assert_int_equal(err.kind, ERR_RETRY);
}

static void a_tool_that_is_not_there(void **state)
{
    struct err err = {0};

    (void)state;
    assert_int_equal(process_run((const char *const[]){"no-such-tool-here", NULL}, NULL, NULL, NULL, &err), -1);
    assert_int_equal(err.kind, ERR_PERMANENT);
    assert_string_equal(err.text, "no-such-tool-here: No such file or directory");
}

static void the_environment_is_minimal(void **state)
{
    CLEANUP(freep) char *output = NULL;
    struct err err = {0};

    (void)state;
    setenv("SECRET", "x", 1);
    assert_int_equal(process_run((const char *const[]){"env", NULL}, NULL, &output, NULL, &err), 0);
    assert_null(strstr(output, "SECRET"));
    assert_non_null(strstr(output, "LC_ALL=C\n"));
    assert_memory_equal(output, "PATH=", 5);
    unsetenv("SECRET");
}

static void only_the_inherited_descriptor_is_there(void **state)
{
    CLEANUP(closep) int leaked = open("/dev/null", O_RDONLY);
    CLEANUP(closep) int given = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CLEANUP(freep) char *output = NULL;
    struct process_options options = {.inherit_fd = given};
    struct err err = {0};

    (void)state;
    assert_true(leaked > 2 && given > 2);
    assert_int_equal(
        process_run(SHELL("for f in 0 1 2 3 4 5 6 7 8 9; do [ -e /proc/self/fd/$f ] && printf $f; done; true"),
                    &options, &output, NULL, &err),
        0);
    /* 4 may be the shell's own for /proc */
    assert_memory_equal(output, "0123", 4);
    assert_true(strlen(output) <= 5);
}

static void a_lock_is_held_while_the_child_lives(void **state)
{
    char path[] = "/tmp/test_process.XXXXXX";
    CLEANUP(closep) int fd = mkostemp(path, O_CLOEXEC);
    CLEANUP(closep) int other = open(path, O_RDONLY | O_CLOEXEC);
    struct process_options options = {.inherit_fd = fd};
    struct err err = {0};

    (void)state;
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    /* a grandchild that goes on keeps the lock, not us: its stdout is closed */
    assert_int_equal(process_run(SHELL("sleep 0.3 >/dev/null 2>&1 &"), &options, NULL, NULL, &err), 0);
    closep(&fd);
    fd = -1;
    assert_int_equal(flock(other, LOCK_EX | LOCK_NB), -1);
    assert_int_equal(flock(other, LOCK_EX), 0);
    unlink(path);
}

static void a_grandchild_with_our_pipe_does_not_keep_us(void **state)
{
    int64_t before = clock_monotonic_ms();
    CLEANUP(freep) char *output = NULL;
    struct err err = {0};

    (void)state;
    assert_int_equal(process_run(SHELL("sleep 5 & echo done"), NULL, &output, NULL, &err), 0);
    assert_string_equal(output, "done\n");
    assert_true(clock_monotonic_ms() - before < 4000);
}

static void past_its_time_it_is_killed(void **state)
{
    struct process_options options = {.inherit_fd = -1, .timeout_ms = 100};
    int64_t before = clock_monotonic_ms();
    struct err err = {0};

    (void)state;
    assert_int_equal(process_run(SHELL("sleep 30; sleep 30"), &options, NULL, NULL, &err), -1);
    assert_int_equal(err.kind, ERR_RETRY);
    assert_true(clock_monotonic_ms() - before < 10000);
}

static bool stop_at_once(void *context)
{
    ++*(int *)context;
    return true;
}

static void stop_kills_it(void **state)
{
    int asked = 0;
    struct process_options options = {.inherit_fd = -1, .stop = stop_at_once, .context = &asked};
    struct err err = {0};

    (void)state;
    assert_int_equal(process_run(SHELL("sleep 30"), &options, NULL, NULL, &err), -1);
    assert_int_equal(err.kind, ERR_CANCELLED);
    assert_true(asked > 0);
}

static void collect(void *context, const char *line)
{
    text_addf(context, "[%s]", line);
}

static void lines_and_pieces_are_told(void **state)
{
    struct text lines = {0};
    struct process_options options = {.inherit_fd = -1, .line = collect, .context = &lines};
    struct err err = {0};

    (void)state;
    assert_int_equal(process_run(SHELL("printf '(1/100%%)\\r(2/100%%)\\r\\nend'"), &options, NULL, NULL, &err), 0);
    assert_string_equal(text_str(&lines), "[(1/100%)][(2/100%)][end]");
    text_free(&lines);
}

static void too_much_output_is_an_error(void **state)
{
    struct process_options options = {.inherit_fd = -1, .output_max = 1000};
    char *output = NULL;
    struct err err = {0};

    (void)state;
    assert_int_equal(process_run(SHELL("yes | head -c 100000"), &options, &output, NULL, &err), -1);
    assert_int_equal(err.kind, ERR_PERMANENT);
    assert_int_equal(process_run(SHELL("yes | head -c 1000"), &options, &output, NULL, &err), 0);
    assert_int_equal(strlen(output), 1000);
    freep(&output);
    assert_int_equal(process_run(SHELL("yes 123456789 | head -c 300000 >&2; exit 1"), NULL, NULL, NULL, &err), -1);
    assert_non_null(strstr(err.text, "123456789 123456789"));
}

static void blocked_signals_are_not_inherited(void **state)
{
    CLEANUP(freep) char *output = NULL;
    struct err err = {0};
    sigset_t all;
    sigset_t old;

    (void)state;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(process_run((const char *const[]){"grep", "-E", "SigBlk|SigIgn", "/proc/self/status", NULL}, NULL,
                                 &output, NULL, &err),
                     0);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    signal(SIGPIPE, SIG_DFL);
    assert_memory_equal(output, "SigBlk:\t0000000000000000\n", 24);
    /* 32 and 33 are glibc's own */
    assert_int_equal(strtoull(strstr(output, "SigIgn:") + 8, NULL, 16) & 0x7fffffff, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_and_exit_codes),
        cmocka_unit_test(a_tool_that_is_not_there),
        cmocka_unit_test(the_environment_is_minimal),
        cmocka_unit_test(only_the_inherited_descriptor_is_there),
        cmocka_unit_test(a_lock_is_held_while_the_child_lives),
        cmocka_unit_test(a_grandchild_with_our_pipe_does_not_keep_us),
        cmocka_unit_test(past_its_time_it_is_killed),
        cmocka_unit_test(stop_kills_it),
        cmocka_unit_test(lines_and_pieces_are_told),
        cmocka_unit_test(too_much_output_is_an_error),
        cmocka_unit_test(blocked_signals_are_not_inherited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
