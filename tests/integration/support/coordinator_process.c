/* Coordinators as processes of their own: started with crash points, asked, waited for, killed. */
#include "integration/support/coordinator_rig_internal.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <setjmp.h>

#include <cmocka.h>

enum { OPTIONS_MAX = 32, LINE_BYTES = 1 << 20 };

extern char **environ;

struct rig_coordinator {
    pid_t pid;
    FILE *in, *out;
    int out_fd;
};

const char *rig_server(const char *name)
{
    const char *value = getenv(name);

    if (!value)
        fail_msg("%s is not set: run by tests/stack/with", name);
    return value;
}

static size_t add_option(char **argv, size_t count, const char *name, const char *value)
{
    if (asprintf(&argv[count], "%s=%s", name, value) < 0)
        fail_msg("out of memory");
    return count + 1;
}

static void spawn(struct rig_coordinator *coordinator, char **argv, const char *crash)
{
    int to[2], from[2];
    posix_spawn_file_actions_t actions;

    assert_int_equal(pipe2(to, O_CLOEXEC), 0);
    assert_int_equal(pipe2(from, O_CLOEXEC), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, to[0], 0);
    posix_spawn_file_actions_adddup2(&actions, from[1], 1);
    if (crash)
        setenv("FLEETSNAP_CRASH", crash, 1);
    else
        unsetenv("FLEETSNAP_CRASH");
    assert_int_equal(posix_spawn(&coordinator->pid, "/proc/self/exe", &actions, NULL, argv, environ), 0);
    unsetenv("FLEETSNAP_CRASH");
    posix_spawn_file_actions_destroy(&actions);
    close(to[0]);
    close(from[1]);
    coordinator->in = fdopen(to[1], "w");
    coordinator->out = fdopen(from[0], "r");
    coordinator->out_fd = from[0];
}

struct rig_coordinator *coordinator_rig_start(struct rig *rig, const char *name, const char *crash,
                                              const char *const options[])
{
    struct rig_coordinator *coordinator = calloc(1, sizeof *coordinator);
    char *argv[OPTIONS_MAX + 1] = {strdup("coordinator"), strdup("--coordinator")}, path[256];
    size_t count = 2;

    count = add_option(argv, count, "name", name);
    snprintf(path, sizeof path, "%s/%s", rig_directory(rig), name);
    count = add_option(argv, count, "state_directory", path);
    snprintf(path, sizeof path, "%s/master.key", rig_directory(rig));
    count = add_option(argv, count, "master_key_file", path);
    count = add_option(argv, count, "kafka.brokers", rig_server("FLEETSNAP_KAFKA"));
    count = add_option(argv, count, "redis.address", rig_server("FLEETSNAP_REDIS"));
    count = add_option(argv, count, "redis.user", rig_server("FLEETSNAP_REDIS_USER"));
    count = add_option(argv, count, "redis.password_file", rig_server("FLEETSNAP_REDIS_PASSWORD_FILE"));
    count = add_option(argv, count, "dev", "true");
    count = add_option(argv, count, "holders_grace", "1s");
    count = add_option(argv, count, "heartbeat_poll", "200ms");
    for (size_t i = 0; options && options[i]; i++)
        argv[count++] = strdup(options[i]);
    spawn(coordinator, argv, crash);
    for (size_t i = 0; i < count; i++)
        free(argv[i]);
    return coordinator;
}

pid_t rig_pid(const struct rig_coordinator *coordinator)
{
    return coordinator->pid;
}

bool rig_wait_death(struct rig_coordinator *coordinator, int timeout_ms)
{
    int64_t until_ms = clock_monotonic_ms() + timeout_ms;

    while (coordinator->pid > 0 && clock_monotonic_ms() < until_ms) {
        if (waitpid(coordinator->pid, NULL, WNOHANG) == coordinator->pid) {
            coordinator->pid = 0;
            return true;
        }
        poll(NULL, 0, 10);
    }
    return coordinator->pid == 0;
}

void coordinator_rig_stop(struct rig_coordinator *coordinator, int signal_number)
{
    if (!coordinator)
        return;
    fclose(coordinator->in); /* the end of its lines stops it in good order */
    if (coordinator->pid > 0 && signal_number)
        kill(coordinator->pid, signal_number);
    if (!rig_wait_death(coordinator, 20000)) {
        kill(coordinator->pid, SIGKILL);
        waitpid(coordinator->pid, NULL, 0);
        fail_msg("the coordinator did not stop");
    }
    fclose(coordinator->out);
    free(coordinator);
}

static json_t *ask_line(struct rig_coordinator *coordinator, const char *line)
{
    CLEANUP(freep) char *answer = malloc(LINE_BYTES);

    if (coordinator->pid <= 0 || fprintf(coordinator->in, "%s\n", line) < 0 || fflush(coordinator->in) != 0)
        return NULL;
    if (!fgets(answer, LINE_BYTES, coordinator->out))
        return NULL;
    return json_loads(answer, 0, NULL);
}

json_t *rig_ask(struct rig_coordinator *coordinator, const char *format, ...)
{
    char line[2048];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    return ask_line(coordinator, line);
}

json_t *rig_insist(struct rig_coordinator *coordinator, int timeout_ms, const char *format, ...)
{
    int64_t until_ms = clock_monotonic_ms() + timeout_ms;
    char line[2048], last[600] = "nothing";
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    do {
        json_t *answer = ask_line(coordinator, line);
        if (!answer)
            fail_msg("%s: the coordinator has died", line);
        if (json_is_true(json_object_get(answer, "ok")))
            return answer;
        snprintf(last, sizeof last, "%s", json_string_value(json_object_get(answer, "error")));
        json_decref(answer);
        poll(NULL, 0, 50);
    } while (clock_monotonic_ms() < until_ms);
    fail_msg("%s: %s", line, last);
    return NULL;
}

void rig_wait_leading(struct rig_coordinator *coordinator, int timeout_ms)
{
    int64_t until_ms = clock_monotonic_ms() + timeout_ms;

    while (clock_monotonic_ms() < until_ms) {
        json_t *state = rig_ask(coordinator, "state");
        if (!state)
            fail_msg("the coordinator has died");
        bool leads = json_is_true(json_object_get(state, "leading")) && json_is_true(json_object_get(state, "redis_ok"));
        json_decref(state);
        if (leads)
            return;
        poll(NULL, 0, 50);
    }
    fail_msg("it does not lead");
}

void rig_wait_state(struct rig_coordinator *coordinator, const char *job_id, const char *state, int timeout_ms,
                    json_t **out)
{
    int64_t until_ms = clock_monotonic_ms() + timeout_ms;
    char last[64] = "unknown";

    while (clock_monotonic_ms() < until_ms) {
        json_t *answer = rig_ask(coordinator, "view job %s", job_id), *job = json_object_get(answer, "view");
        const char *now = json_string_value(json_object_get(job, "state"));
        snprintf(last, sizeof last, "%s", now ? now : "unknown");
        if (now && strcmp(now, state) == 0) {
            if (out)
                *out = json_incref(job);
            json_decref(answer);
            return;
        }
        json_decref(answer);
        poll(NULL, 0, 20);
    }
    fail_msg("job %s is %s, not %s", job_id, last, state);
}
