/* A QEMU of a few lines: a thread behind a unix socket that answers what it is given, and breaks off where it is told. */
#include "worker/backends/libvirt/monitor.h"

#include "base/err.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": [\"oob\"]}}\r\n"
#define READY    "{\"return\": {}}\r\n"

struct qemu {
    int listener;
    const char *const *lines; /* one after the greeting for each command; NULL: closes */
    bool holds_its_tongue;    /* reads and says nothing */
    char heard[512];
};

static struct qemu qemu;
static char folder[32], path[64];
static pthread_t thread;

static void *answer(void *context)
{
    int fd = accept(qemu.listener, NULL, NULL);
    char line[256];
    ssize_t len;

    (void)context;
    if (!qemu.holds_its_tongue && write(fd, GREETING, strlen(GREETING)) < 0)
        return NULL;
    for (size_t i = 0; (len = read(fd, line, sizeof line - 1)) > 0;) {
        line[len] = '\0';
        strncat(qemu.heard, line, sizeof qemu.heard - strlen(qemu.heard) - 1);
        if (!strchr(line, '\n') || qemu.holds_its_tongue)
            continue;
        if (!qemu.lines[i] || write(fd, qemu.lines[i], strlen(qemu.lines[i])) < 0)
            break;
        i++;
    }
    close(fd);
    return NULL;
}

static void start(const char *const *lines, bool holds_its_tongue)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    snprintf(folder, sizeof folder, "/tmp/fs-monitor-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/monitor.sock", folder);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    qemu = (struct qemu){.lines = lines, .holds_its_tongue = holds_its_tongue};
    qemu.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(qemu.listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(qemu.listener, 1), 0);
    assert_int_equal(pthread_create(&thread, NULL, answer, NULL), 0);
}

static void stop(struct monitor *monitor)
{
    monitor_close(monitor);
    pthread_join(thread, NULL);
    close(qemu.listener);
    unlink(path);
    rmdir(folder);
}

static void events_between_the_answers_are_left_out(void **state)
{
    static const char *const lines[] = {
        READY, "{\"event\": \"STOP\"}\r\n{\"event\": \"RESUME\"}\r\n{\"return\": [{\"id\": \"a\"}]}\r\n",
        "{\"error\": {\"class\": \"GenericError\", \"desc\": \"Node 'x' is busy\"}}\r\n", NULL};
    struct monitor *monitor = NULL;
    struct err err = {0};
    char *jobs = NULL;

    (void)state;
    start(lines, false);
    assert_int_equal(monitor_open(path, 60000, &monitor, &err), 0);
    assert_int_equal(monitor_ask(monitor, "query-jobs", NULL, &jobs, &err), 0);
    assert_string_equal(jobs, "[{\"id\":\"a\"}]");
    free(jobs);
    assert_int_equal(monitor_ask(monitor, "blockdev-del", "{\"node-name\":\"x\"}", NULL, &err), -1);
    assert_int_equal(err.kind, ERR_PERMANENT);
    assert_non_null(strstr(err.text, "blockdev-del: Node 'x' is busy"));
    assert_int_equal(monitor_ask(monitor, "query-jobs", NULL, NULL, &err), -1);
    assert_int_equal(err.kind, ERR_RETRY);
    assert_non_null(strstr(err.text, "closed"));
    stop(monitor);
    assert_non_null(strstr(qemu.heard, "{\"execute\":\"blockdev-del\",\"arguments\":{\"node-name\":\"x\"}}\n"));
}

static void one_that_says_nothing_is_not_waited_for(void **state)
{
    struct monitor *monitor = NULL;
    struct err err = {0};

    (void)state;
    start(NULL, true);
    assert_int_equal(monitor_open(path, 50, &monitor, &err), -1);
    assert_int_equal(err.kind, ERR_RETRY);
    assert_non_null(strstr(err.text, "does not answer"));
    stop(NULL);
}

static void what_is_no_json_is_refused(void **state)
{
    static const char *const lines[] = {READY, "\r\n", NULL};
    struct monitor *monitor = NULL;
    struct err err = {0};

    (void)state;
    start(lines, false);
    assert_int_equal(monitor_open(path, 60000, &monitor, &err), 0);
    assert_int_equal(monitor_ask(monitor, "query-jobs", NULL, NULL, &err), -1);
    assert_int_equal(err.kind, ERR_RETRY);
    stop(monitor);
}

static void an_answer_has_a_limit(void **state)
{
    static const char *lines[] = {READY, NULL, NULL};
    size_t len = (4 << 20) + 1;
    char *much = malloc(len + 1);
    struct monitor *monitor = NULL;
    struct err err = {0};

    (void)state;
    memset(much, ' ', len);
    much[len] = '\0';
    lines[1] = much;
    start(lines, false);
    assert_int_equal(monitor_open(path, 60000, &monitor, &err), 0);
    assert_int_equal(monitor_ask(monitor, "query-block", NULL, NULL, &err), -1);
    assert_non_null(strstr(err.text, "an answer of more than"));
    stop(monitor);
    free(much);
}

static void where_nobody_listens_is_said(void **state)
{
    struct monitor *monitor = NULL;
    char long_path[200];
    struct err err = {0};

    (void)state;
    assert_int_equal(monitor_open("/nonexistent/monitor.sock", 60000, &monitor, &err), -1);
    assert_non_null(strstr(err.text, "/nonexistent/monitor.sock"));
    memset(long_path, 'a', sizeof long_path - 1);
    long_path[sizeof long_path - 1] = '\0';
    assert_int_equal(monitor_open(long_path, 60000, &monitor, &err), -1);
    assert_non_null(strstr(err.text, "too long"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_between_the_answers_are_left_out),
        cmocka_unit_test(one_that_says_nothing_is_not_waited_for),
        cmocka_unit_test(what_is_no_json_is_refused),
        cmocka_unit_test(an_answer_has_a_limit),
        cmocka_unit_test(where_nobody_listens_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
