/*
 * posix_spawn, because fork() copies the locks of Kafka, TLS and libvirt in whatever state they are. The child gets a process group of its own (a kill
 * reaches what it started, a Ctrl-C of ours does not), an empty signal mask, default SIGPIPE, and no descriptor but 0, 1, 2 and the inherited one, which
 * becomes 3. One ppoll loop watches both pipes and a pidfd: a grandchild that keeps a pipe open does not keep us.
 */
#include "base/process.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

enum { STOP_POLL_MS = 500, LINE_BYTES_MAX = 4096, STDERR_TAIL = 400, OUTPUT_MAX = 1024 * 1024 };

struct run {
    const char *name;
    const struct process_options *options;
    pid_t pid;
    int out, errors, pidfd;
    bool exited;
    bool keep_output;
    int64_t deadline_ms; /* monotonic; 0: none */
    size_t output_max;
    struct text output;
    struct text line;
    char tail[STDERR_TAIL + 1]; /* the end of stderr: the last words say what went wrong */
    size_t tail_len;
};

static void run_end(struct run *run)
{
    closep(&run->out);
    closep(&run->errors);
    closep(&run->pidfd);
    text_free(&run->output);
    text_free(&run->line);
}

static int set_actions(posix_spawn_file_actions_t *actions, const int out[2], const int errors[2], int inherit_fd)
{
    int failed = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);

    if (!failed)
        failed = posix_spawn_file_actions_adddup2(actions, out[1], 1);
    if (!failed)
        failed = posix_spawn_file_actions_adddup2(actions, errors[1], 2);
    if (!failed && inherit_fd >= 0)
        failed = posix_spawn_file_actions_adddup2(actions, inherit_fd, 3);
    if (!failed)
        failed = posix_spawn_file_actions_addclosefrom_np(actions, inherit_fd >= 0 ? 4 : 3);
    return failed;
}

static void set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none;
    sigset_t defaults;

    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setsigdefault(attributes, &defaults);
    posix_spawnattr_setpgroup(attributes, 0);
    posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
}

static int spawn(struct run *run, const char *const argv[], const int out[2], const int errors[2])
{
    CLEANUP(freep) char *path = NULL;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    const char *search = getenv("PATH");

    if (asprintf(&path, "PATH=%s", search ? search : "/usr/sbin:/usr/bin:/sbin:/bin") < 0) {
        path = NULL;
        return ENOMEM;
    }
    char *environment[] = {path, (char[]){"LC_ALL=C"}, NULL};
    if (posix_spawn_file_actions_init(&actions) != 0)
        return ENOMEM;
    posix_spawnattr_init(&attributes);
    set_attributes(&attributes);
    int failed = set_actions(&actions, out, errors, run->options->inherit_fd);
    if (!failed) /* posix_spawnp does not write to argv; its type is older than const */
        failed = posix_spawnp(&run->pid, argv[0], &actions, &attributes, (char *const *)(uintptr_t)argv, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

static int start(struct run *run, const char *const argv[], struct err *err)
{
    int out[2];
    int errors[2];

    if (pipe2(out, O_CLOEXEC) < 0)
        return err_errno(err, errno, run->name);
    if (pipe2(errors, O_CLOEXEC) < 0) {
        close(out[0]);
        close(out[1]);
        return err_errno(err, errno, run->name);
    }
    int failed = spawn(run, argv, out, errors);
    close(out[1]);
    close(errors[1]);
    run->out = out[0];
    run->errors = errors[0];
    if (failed)
        return err_errno(err, failed, run->name);
    fcntl(run->out, F_SETFL, O_NONBLOCK);
    fcntl(run->errors, F_SETFL, O_NONBLOCK);
    run->pidfd = pidfd_open(run->pid, 0);
    if (run->pidfd >= 0)
        return 0;
    err_errno(err, errno, run->name);
    kill(-run->pid, SIGKILL);
    waitpid(run->pid, NULL, 0);
    return -1;
}

static void flush_line(struct run *run)
{
    if (run->line.len > 0)
        run->options->line(run->options->context, text_str(&run->line));
    text_clear(&run->line);
}

static void take_lines(struct run *run, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool ends = data[i] == '\n' || data[i] == '\r';
        if (!ends)
            text_add_len(&run->line, &data[i], 1);
        if (ends || run->line.len >= LINE_BYTES_MAX)
            flush_line(run);
    }
}

static int take_output(struct run *run, const char *data, size_t len, struct err *err)
{
    if (run->options->line)
        take_lines(run, data, len);
    if (!run->keep_output)
        return 0;
    if (run->output.len + len > run->output_max)
        return err_set(err, ERR_PERMANENT, "%s: printed more than %zu bytes", run->name, run->output_max);
    text_add_len(&run->output, data, len);
    return run->output.failed ? err_memory(err, run->name) : 0;
}

static void take_errors(struct run *run, const char *data, size_t len)
{
    if (len > STDERR_TAIL) {
        data += len - STDERR_TAIL;
        len = STDERR_TAIL;
    }
    size_t drop = run->tail_len + len > STDERR_TAIL ? run->tail_len + len - STDERR_TAIL : 0;
    memmove(run->tail, run->tail + drop, run->tail_len - drop);
    memcpy(run->tail + run->tail_len - drop, data, len);
    run->tail_len += len - drop;
    run->tail[run->tail_len] = '\0';
}

/* Reads what is there; closes the descriptor at its end. */
static int drain(struct run *run, int *fd, struct err *err)
{
    char buffer[16384];

    while (*fd >= 0) {
        ssize_t got = read(*fd, buffer, sizeof buffer);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return 0;
        if (got <= 0) {
            close(*fd);
            *fd = -1;
        } else if (fd == &run->errors) {
            take_errors(run, buffer, (size_t)got);
        } else if (take_output(run, buffer, (size_t)got, err) < 0) {
            return -1;
        }
    }
    return 0;
}

/* -1 when the child must be killed. */
static int check_limits(const struct run *run, struct err *err)
{
    if (run->options->stop && run->options->stop(run->options->context))
        return err_set(err, ERR_CANCELLED, "%s: stopped", run->name);
    if (run->deadline_ms && clock_monotonic_ms() >= run->deadline_ms)
        return err_set(err, ERR_RETRY, "%s: not done after %d ms", run->name, run->options->timeout_ms);
    return 0;
}

static int wait_ms(const struct run *run)
{
    int64_t left = run->deadline_ms ? run->deadline_ms - clock_monotonic_ms() : STOP_POLL_MS;

    if (left < 0)
        left = 0;
    return left < STOP_POLL_MS ? (int)left : STOP_POLL_MS;
}

static int watch(struct run *run, struct err *err)
{
    while (!run->exited) {
        struct pollfd fds[] = {{run->out, POLLIN, 0}, {run->errors, POLLIN, 0}, {run->pidfd, POLLIN, 0}};
        if (poll(fds, 3, wait_ms(run)) < 0 && errno != EINTR)
            return err_errno(err, errno, run->name);
        run->exited = (fds[2].revents & POLLIN) != 0; /* before the last drain: what it printed is in the pipe by now */
        if (drain(run, &run->out, err) < 0 || drain(run, &run->errors, err) < 0)
            return -1;
        if (!run->exited && check_limits(run, err) < 0)
            return -1;
    }
    if (run->options->line)
        flush_line(run);
    return 0;
}

/* One line: this goes into an error text. */
static void tidy_tail(struct run *run)
{
    while (run->tail_len > 0 && (unsigned char)run->tail[run->tail_len - 1] <= ' ')
        run->tail[--run->tail_len] = '\0';
    for (size_t i = 0; i < run->tail_len; i++)
        if ((unsigned char)run->tail[i] < ' ')
            run->tail[i] = ' ';
}

static int judge(struct run *run, int status, int *out_status, struct err *err)
{
    if (WIFSIGNALED(status))
        return err_set_code(err, ERR_RETRY, WTERMSIG(status), "%s: killed by signal %d", run->name, WTERMSIG(status));
    if (out_status) {
        *out_status = WEXITSTATUS(status);
        return 0;
    }
    if (WEXITSTATUS(status) == 0)
        return 0;
    tidy_tail(run);
    return err_set_code(err, ERR_PERMANENT, WEXITSTATUS(status), "%s: exit code %d: %s", run->name, WEXITSTATUS(status),
                        run->tail_len ? run->tail : "it said nothing");
}

static int finish(struct run *run, int *out_status, struct err *err)
{
    int status = 0;
    int failed = watch(run, err);

    if (failed)
        kill(-run->pid, SIGKILL);
    while (waitpid(run->pid, &status, 0) < 0 && errno == EINTR)
        ;
    return failed ? -1 : judge(run, status, out_status, err);
}

int process_run(const char *const argv[], const struct process_options *options, char **out_stdout, int *out_status,
                struct err *err)
{
    static const struct process_options defaults = {.inherit_fd = -1};
    CLEANUP(run_end) struct run run = {.name = argv[0], .out = -1, .errors = -1, .pidfd = -1};

    run.options = options ? options : &defaults;
    run.keep_output = out_stdout != NULL;
    run.output_max = run.options->output_max ? run.options->output_max : OUTPUT_MAX;
    run.deadline_ms = run.options->timeout_ms ? clock_monotonic_ms() + run.options->timeout_ms : 0;
    if (start(&run, argv, err) < 0 || finish(&run, out_status, err) < 0)
        return -1;
    if (!out_stdout)
        return 0;
    char *output = text_take(&run.output);
    if (!output)
        return err_memory(err, run.name);
    *out_stdout = output;
    return 0;
}
