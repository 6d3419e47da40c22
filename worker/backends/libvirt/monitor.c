/*
 * QMP: one JSON object for each line. QEMU greets, takes commands from qmp_capabilities on, and answers them in order; between the answers come events, which nobody waits for here.
 * Every connection begins anew, so libvirt finds the monitor as if we had never been there.
 */
#include "worker/backends/libvirt/monitor.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/text.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { LINE_MAX_BYTES = 4 << 20 };

struct monitor {
    int fd;
    int64_t until;
    char *buffer; /* LINE_MAX_BYTES */
    size_t held, line;
};

void monitor_close(struct monitor *monitor)
{
    if (!monitor)
        return;
    closep(&monitor->fd);
    free(monitor->buffer);
    free(monitor);
}

/* 0: it can be read from, or written to; -1: not within the limit. */
static int wait_for(struct monitor *monitor, short events, struct err *err)
{
    struct pollfd poller = {.fd = monitor->fd, .events = events};
    int64_t left;
    int ready;

    do {
        left = monitor->until - clock_monotonic_ms();
        ready = left > 0 ? poll(&poller, 1, (int)left) : 0;
    } while (ready < 0 && errno == EINTR);
    if (ready < 0)
        return err_errno(err, errno, "monitor");
    return ready > 0 ? 0 : err_set(err, ERR_RETRY, "monitor: QEMU does not answer");
}

static int fill(struct monitor *monitor, struct err *err)
{
    ssize_t got;

    if (monitor->held == LINE_MAX_BYTES)
        return err_set(err, ERR_RETRY, "monitor: an answer of more than %d bytes", LINE_MAX_BYTES);
    if (wait_for(monitor, POLLIN, err) < 0)
        return -1;
    got = recv(monitor->fd, monitor->buffer + monitor->held, LINE_MAX_BYTES - monitor->held, MSG_DONTWAIT);
    if (got == 0)
        return err_set(err, ERR_RETRY, "monitor: QEMU has closed it");
    if (got < 0 && errno != EAGAIN && errno != EINTR)
        return err_errno(err, errno, "monitor");
    monitor->held += got > 0 ? (size_t)got : 0;
    return 0;
}

static int read_line(struct monitor *monitor, json_t **out, struct err *err)
{
    char *end;

    memmove(monitor->buffer, monitor->buffer + monitor->line, monitor->held - monitor->line);
    monitor->held -= monitor->line;
    monitor->line = 0;
    while (!(end = memchr(monitor->buffer, '\n', monitor->held)))
        if (fill(monitor, err) < 0)
            return -1;
    monitor->line = (size_t)(end - monitor->buffer) + 1;
    *out = json_loadb(monitor->buffer, monitor->line, 0, NULL);
    return *out ? 0 : err_set(err, ERR_RETRY, "monitor: what QEMU says cannot be read");
}

static int send_line(struct monitor *monitor, const char *line, struct err *err)
{
    for (size_t sent = 0, len = strlen(line); sent < len;) {
        ssize_t got;

        if (wait_for(monitor, POLLOUT, err) < 0)
            return -1;
        got = send(monitor->fd, line + sent, len - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (got < 0 && errno != EAGAIN && errno != EINTR)
            return err_errno(err, errno, "monitor");
        sent += got > 0 ? (size_t)got : 0;
    }
    return 0;
}

static int send_command(struct monitor *monitor, const char *command, const char *arguments, struct err *err)
{
    CLEANUP(text_freep) struct text line = {0};

    if (arguments)
        text_addf(&line, "{\"execute\":\"%s\",\"arguments\":%s}\n", command, arguments);
    else
        text_addf(&line, "{\"execute\":\"%s\"}\n", command);
    return line.failed ? err_memory(err, "monitor") : send_line(monitor, text_str(&line), err);
}

int monitor_ask(struct monitor *monitor, const char *command, const char *arguments, char **answer, struct err *err)
{
    json_auto_t *line = NULL;
    json_t *result, *error;

    if (send_command(monitor, command, arguments, err) < 0)
        return -1;
    do { /* an event is neither */
        json_decref(line);
        line = NULL;
        if (read_line(monitor, &line, err) < 0)
            return -1;
        result = json_object_get(line, "return");
        error = json_object_get(line, "error");
    } while (!result && !error);
    if (error)
        return err_set(err, ERR_PERMANENT, "monitor: %s: %.300s", command,
                       json_is_string(json_object_get(error, "desc")) ? json_string_value(json_object_get(error, "desc"))
                                                                      : "refused");
    if (!answer)
        return 0;
    *answer = json_dumps(result, JSON_COMPACT | JSON_ENCODE_ANY);
    return *answer ? 0 : err_memory(err, "monitor");
}

static int connect_to(const char *socket_path, int *fd, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (snprintf(address.sun_path, sizeof address.sun_path, "%s", socket_path) >= (int)sizeof address.sun_path)
        return err_set(err, ERR_PERMANENT, "monitor: the path %s is too long for a socket", socket_path);
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0 || connect(*fd, (struct sockaddr *)&address, sizeof address) < 0)
        return err_errno(err, errno, socket_path);
    return 0;
}

int monitor_open(const char *socket, int64_t limit_ms, struct monitor **out, struct err *err)
{
    CLEANUP(monitor_closep) struct monitor *monitor = calloc(1, sizeof *monitor);
    json_auto_t *greeting = NULL;

    if (!monitor)
        return err_memory(err, "monitor");
    *monitor = (struct monitor){.fd = -1, .until = clock_monotonic_ms() + limit_ms, .buffer = malloc(LINE_MAX_BYTES)};
    if (!monitor->buffer)
        return err_memory(err, "monitor");
    if (connect_to(socket, &monitor->fd, err) < 0 || read_line(monitor, &greeting, err) < 0 ||
        monitor_ask(monitor, "qmp_capabilities", NULL, NULL, err) < 0)
        return -1;
    *out = TAKE_PTR(monitor);
    return 0;
}
