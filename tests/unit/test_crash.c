#include "base/crash.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#ifdef FLEETSNAP_CRASH_POINTS
enum { ALIVE = 99 };

/* Passes "point:detail" one after another in a child; the number of the passage that killed it, or ALIVE. */
static int dies_at(const char *wanted, const char *passages)
{
    int from_child[2], last = 0;
    pid_t child;

    assert_int_equal(pipe(from_child), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char *all = strdup(passages), *rest = NULL;
        int number = 0;

        setenv("FLEETSNAP_CRASH", wanted, 1);
        for (char *one = strtok_r(all, " ", &rest); one; one = strtok_r(NULL, " ", &rest)) {
            char *detail = strchr(one, ':');

            number++;
            if (write(from_child[1], &number, sizeof number) != sizeof number)
                _exit(1);
            if (detail)
                *detail++ = '\0';
            crash_point(one, detail);
        }
        _exit(0);
    }
    close(from_child[1]);
    for (int number; read(from_child[0], &number, sizeof number) == sizeof number;)
        last = number;
    close(from_child[0]);
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? last : ALIVE;
}

static void a_point_kills(void **state)
{
    (void)state;
    assert_int_equal(dies_at("effect.after", "intent.after:a effect.after:a effect.after:b"), 2);
    assert_int_equal(dies_at("effect.after:b", "intent.after:b effect.after:a effect.after:b"), 3);
    assert_int_equal(dies_at("effect.after#2", "effect.after:a intent.after:a effect.after:b"), 3);
    assert_int_equal(dies_at("effect.after:a#2", "effect.after:a effect.after:b effect.after:a"), 3);
    assert_int_equal(dies_at("effect.after:ab", "effect.after:a effect.after:abc"), ALIVE);
    assert_int_equal(dies_at("effect", "effect.after:a"), ALIVE);
    assert_int_equal(dies_at("", "effect.after:a"), ALIVE);
}

static void a_point_counts_from_another_one_on(void **state)
{
    (void)state;
    assert_int_equal(dies_at("accept.after:create>finish.before", "finish.before accept.after:create finish.before"), 3);
    assert_int_equal(
        dies_at("accept.after:create>finish.before#2", "finish.before accept.after:create finish.before finish.before"),
        4);
    assert_int_equal(dies_at("accept.after#2>finish.before", "accept.after finish.before accept.after finish.before"),
                     4);
    assert_int_equal(dies_at("accept.after:create>finish.before", "finish.before accept.after:dry_run finish.before"),
                     ALIVE);
}

static void it_may_come_later(void **state)
{
    int status = 0;
    pid_t child = fork();

    (void)state;
    assert_true(child >= 0);
    if (child == 0) {
        setenv("FLEETSNAP_CRASH", "intent.after:push#2~20", 1);
        crash_point("intent.after", "push");
        crash_point("intent.after", "push");
        crash_point("intent.after", "push");
        for (;;)
            pause();
    }
    waitpid(child, &status, 0);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

/* A child that is told by a file, while it runs, what is wanted. */
static void a_file_is_looked_at_anew(void **state)
{
    char path[] = "/tmp/test_crash.XXXXXX";
    int status = 0, fd = mkstemp(path);
    pid_t child;

    (void)state;
    assert_true(fd >= 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        unsetenv("FLEETSNAP_CRASH");
        setenv("FLEETSNAP_CRASH_FILE", path, 1);
        crash_point("finish.before", NULL); /* the file is empty */
        if (pwrite(fd, "finish.before#2\n", 16, 0) != 16)
            _exit(1);
        crash_point("finish.before", NULL);
        if (ftruncate(fd, 0) != 0)
            _exit(2);
        crash_point("finish.before", NULL); /* wanted no more: what was counted is forgotten */
        if (pwrite(fd, "finish.before#2\n", 16, 0) != 16)
            _exit(3);
        crash_point("finish.before", NULL);
        unlink(path);
        crash_point("finish.before", NULL); /* the file is gone */
        _exit(42);
    }
    waitpid(child, &status, 0);
    close(fd);
    unlink(path);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_point_kills),
        cmocka_unit_test(a_point_counts_from_another_one_on),
        cmocka_unit_test(it_may_come_later),
        cmocka_unit_test(a_file_is_looked_at_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void)
{
    return 0; /* a release has no crash points */
}
#endif
