#include "worker/local_service.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "worker/backend.h"
#include "worker/local_restore.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { QUESTION_MAX = 64 * 1024, QUESTION_MS = 5000 };

struct local_service {
    const struct backend_config *config;
    char path[108];
    int listener, wake, asker;
    bool gone; /* the asker; the service's thread alone */
    atomic_bool stopping;
    pthread_t thread;
};

static int address_of(const char *directory, struct sockaddr_un *out, struct err *err)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    if ((size_t)snprintf(out->sun_path, sizeof out->sun_path, "%s/restore.sock", directory) >= sizeof out->sun_path)
        return err_set(err, ERR_PERMANENT, "%s: too long a path for a socket", directory);
    return 0;
}

/* ---- one asker ---- */

static void send_line(struct local_service *service, const json_t *json)
{
    CLEANUP(freep) char *text = json_dumps(json, JSON_COMPACT);
    size_t len = text ? strlen(text) : 0, sent = 0;

    if (!text)
        return;
    text[len] = '\n'; /* the place of the NUL */
    while (!service->gone && sent <= len) {
        ssize_t now = send(service->asker, text + sent, len + 1 - sent, MSG_NOSIGNAL);
        if (now < 0 && errno != EINTR)
            service->gone = true;
        sent += now > 0 ? (size_t)now : 0;
    }
}

static void told(void *context, const json_t *event)
{
    send_line(context, event);
}

static bool cancelled(void *context)
{
    struct local_service *service = context;
    struct pollfd poll_fd = {.fd = service->asker, .events = POLLRDHUP};

    if (!service->gone && poll(&poll_fd, 1, 0) > 0)
        service->gone = true; /* hung up, or says something that nobody asked for */
    return service->gone;
}

static bool stopping(void *context)
{
    return ((struct local_service *)context)->stopping;
}

/* One line, within a few seconds; NULL: none. Caller frees. */
static char *read_question(int fd)
{
    CLEANUP(freep) char *text = malloc(QUESTION_MAX + 1);
    struct timeval limit = {.tv_sec = QUESTION_MS / 1000};
    size_t len = 0;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    while (text && len < QUESTION_MAX) {
        ssize_t got = recv(fd, text + len, QUESTION_MAX - len, 0);
        if (got <= 0)
            return NULL;
        len += (size_t)got;
        text[len] = '\0';
        if (text[len - 1] == '\n')
            return TAKE_PTR(text);
    }
    return NULL;
}

static void refuse(struct local_service *service, const struct err *err)
{
    json_t *json = json_pack("{s:{s:s, s:s}}", "refused", "text", err->text, "hint", err->hint);

    send_line(service, json);
    json_decref(json);
}

/* Who may use the socket may use any directory: it is the owner of the worker. */
static void restore(struct local_service *service, const struct local_restore *asked)
{
    const struct local_watch watch = {service, told, cancelled, stopping};
    struct backend_config config = *service->config;
    char *repository = asked->repository, *directory = asked->directory ? asked->directory : asked->to;
    struct strings repositories = {&repository, 1}, pools = {&directory, 1};
    json_t *outcome = NULL;
    struct err err = {0};

    config.repositories = &repositories;
    if (asked->directory || strchr(asked->to, '/'))
        config.pools = &pools;
    if (local_restore_run(asked, &config, &watch, &outcome, &err) < 0) {
        refuse(service, &err);
        return;
    }
    json_t *json = json_pack("{s:o}", "end", outcome);
    send_line(service, json);
    json_decref(json);
}

static void serve(struct local_service *service)
{
    CLEANUP(freep) char *question = read_question(service->asker);
    CLEANUP(local_restore_clear) struct local_restore asked = {0};
    struct err err = {0};

    service->gone = false;
    if (!question)
        return;
    if (record_from_json(&local_restore_record, &asked, question, strlen(question), &err) < 0 || !asked.repository ||
        !asked.backup || !asked.to)
        err_set(&err, ERR_PERMANENT, "the question is not understood: is the command of the same version?");
    if (err.kind != ERR_NONE) {
        refuse(service, &err);
        return;
    }
    log_info("restore", "asked on this host: %s from %s to %s", asked.backup, asked.repository, asked.to);
    restore(service, &asked);
}

static void *service_main(void *context)
{
    struct local_service *service = context;
    struct pollfd fds[] = {{.fd = service->listener, .events = POLLIN}, {.fd = service->wake, .events = POLLIN}};

    pthread_setname_np(pthread_self(), "local-restore");
    while (!service->stopping) {
        if (poll(fds, 2, -1) < 0 || !(fds[0].revents & POLLIN))
            continue;
        service->asker = accept4(service->listener, NULL, NULL, SOCK_CLOEXEC);
        if (service->asker < 0)
            continue;
        serve(service);
        close(service->asker);
        service->asker = -1;
    }
    return NULL;
}

/* ---- start and end ---- */

static int listen_at(struct local_service *service, const struct sockaddr_un *address, struct err *err)
{
    memcpy(service->path, address->sun_path, sizeof service->path);
    service->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    service->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    unlink(service->path); /* of a dead worker: the directory is locked by us */
    if (service->listener < 0 || service->wake < 0 ||
        bind(service->listener, (const struct sockaddr *)address, sizeof *address) < 0 ||
        chmod(service->path, 0600) < 0 || listen(service->listener, 4) < 0)
        return err_errno(err, errno, service->path);
    return 0;
}

static void service_free(struct local_service *service)
{
    if (service->listener >= 0)
        close(service->listener);
    if (service->wake >= 0)
        close(service->wake);
    if (service->path[0])
        unlink(service->path);
    free(service);
}

int local_service_start(const struct backend_config *config, struct local_service **out, struct err *err)
{
    struct local_service *service = calloc(1, sizeof *service);
    struct sockaddr_un address;

    if (!service)
        return err_memory(err, "local restore");
    *service = (struct local_service){.config = config, .listener = -1, .wake = -1, .asker = -1};
    if (address_of(config->state_directory, &address, err) < 0 || listen_at(service, &address, err) < 0) {
        service_free(service);
        return -1;
    }
    int code = pthread_create(&service->thread, NULL, service_main, service);
    if (code) {
        err_errno(err, code, "local restore");
        service_free(service);
        return -1;
    }
    *out = service;
    return 0;
}

void local_service_close(struct local_service *service)
{
    if (!service)
        return;
    service->stopping = true;
    eventfd_write(service->wake, 1);
    pthread_join(service->thread, NULL);
    service_free(service);
}

int local_service_connect(const char *state_directory, struct err *err)
{
    struct sockaddr_un address;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || address_of(state_directory, &address, err) < 0) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -2;
}
