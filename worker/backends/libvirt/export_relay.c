/*
 * One thread, one poll(). A direction is read only while nothing of it waits to be written, so memory is bounded, a slow client slows QEMU down as it would itself, and the end of a
 * connection is seen only when all that came before it was handed on.
 */
#include "worker/backends/libvirt/export_relay.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { CLIENTS_MAX = 100, UP_BYTES = 64 << 10, DOWN_BYTES = 1 << 20, LOOK_MS = 500, PAUSE_MS = 50, FIRST_CLIENT = 2 };

struct flow {
    unsigned char *bytes;
    size_t size, begin, end;
};

struct client {
    int fd, inner;
    struct flow up, down; /* to the hypervisor, and back */
};

struct export_relay {
    pthread_t thread;
    int listener, wake;
    struct sockaddr_un path, inner;
    struct client clients[CLIENTS_MAX];
    size_t count;
    _Atomic int64_t alive_ms;
};

/* ---- one direction ---- */

static bool flow_waits(const struct flow *flow)
{
    return flow->begin < flow->end;
}

static bool later(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* False: one of the two ends is gone. */
static bool flow_move(struct flow *flow, int from, int to, bool *moved)
{
    ssize_t bytes;

    if (!flow_waits(flow)) {
        bytes = recv(from, flow->bytes, flow->size, MSG_DONTWAIT);
        if (bytes <= 0)
            return bytes < 0 && later();
        flow->begin = 0;
        flow->end = (size_t)bytes;
    }
    bytes = send(to, flow->bytes + flow->begin, flow->end - flow->begin, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (bytes < 0)
        return later();
    flow->begin += (size_t)bytes;
    *moved = true;
    return true;
}

/* ---- clients ---- */

static void client_end(struct client *client)
{
    closep(&client->fd);
    closep(&client->inner);
    free(client->up.bytes);
    free(client->down.bytes);
}

static int connect_inner(const struct export_relay *relay)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd >= 0 && connect(fd, (const struct sockaddr *)&relay->inner, sizeof relay->inner) == 0)
        return fd;
    closep(&fd);
    return -1;
}

static void take_client(struct export_relay *relay)
{
    struct client client = {.up = {.size = UP_BYTES}, .down = {.size = DOWN_BYTES}, .inner = -1};

    client.fd = accept4(relay->listener, NULL, NULL, SOCK_CLOEXEC);
    if (client.fd < 0) { /* too many files, say: it is still there, and poll() would not wait */
        poll(NULL, 0, PAUSE_MS);
        return;
    }
    client.up.bytes = malloc(UP_BYTES);
    client.down.bytes = malloc(DOWN_BYTES);
    client.inner = connect_inner(relay);
    if (client.inner >= 0 && client.up.bytes && client.down.bytes)
        relay->clients[relay->count++] = client;
    else
        client_end(&client);
}

/* Of what is awaited, nothing is awaited twice: a hang-up is told whether or not it was asked for. */
static short events_of(const struct flow *in, const struct flow *out)
{
    return (short)((flow_waits(in) ? 0 : POLLIN) | (flow_waits(out) ? POLLOUT : 0));
}

static void prepare(const struct export_relay *relay, struct pollfd *polled)
{
    polled[0] = (struct pollfd){.fd = relay->wake, .events = POLLIN};
    polled[1] = (struct pollfd){.fd = relay->count < CLIENTS_MAX ? relay->listener : -1, .events = POLLIN};
    for (size_t i = 0; i < relay->count; i++) {
        const struct client *client = &relay->clients[i];
        short inner = events_of(&client->down, &client->up);

        polled[FIRST_CLIENT + 2 * i] = (struct pollfd){.fd = client->fd,
                                                       .events = events_of(&client->up, &client->down)};
        polled[FIRST_CLIENT + 2 * i + 1] = (struct pollfd){.fd = inner ? client->inner : -1, .events = inner};
    }
}

static bool serve(struct client *client, short outer, short inner, bool *moved)
{
    if (outer & (POLLHUP | POLLERR))
        return false; /* nobody reads what comes back */
    if ((inner & (POLLHUP | POLLERR)) && flow_waits(&client->up))
        return false; /* nobody reads what was said */
    if (((outer & POLLIN) || (inner & POLLOUT)) && !flow_move(&client->up, client->fd, client->inner, moved))
        return false;
    if (((outer & POLLOUT) || (inner & (POLLIN | POLLHUP | POLLERR))) &&
        !flow_move(&client->down, client->inner, client->fd, moved))
        return false;
    return true;
}

/* From the last to the first: one that ends makes room for the last. */
static void serve_all(struct export_relay *relay, const struct pollfd *polled)
{
    bool alive = false;

    for (size_t i = relay->count; i-- > 0;) {
        struct client *client = &relay->clients[i];

        if (!serve(client, polled[FIRST_CLIENT + 2 * i].revents, polled[FIRST_CLIENT + 2 * i + 1].revents, &alive)) {
            client_end(client);
            *client = relay->clients[--relay->count];
            continue;
        }
        alive = alive || !flow_waits(&client->down);
    }
    if (alive)
        relay->alive_ms = clock_monotonic_ms();
}

static void *run(void *context)
{
    struct export_relay *relay = context;
    struct pollfd polled[FIRST_CLIENT + 2 * CLIENTS_MAX];

    for (;;) {
        prepare(relay, polled);
        if (poll(polled, FIRST_CLIENT + 2 * relay->count, LOOK_MS) < 0 && errno != EINTR)
            break;
        if (polled[0].revents)
            break;
        serve_all(relay, polled);
        if (polled[1].revents)
            take_client(relay);
    }
    return NULL;
}

/* ---- begin and end ---- */

static int set_path(struct sockaddr_un *out, const char *path, struct err *err)
{
    out->sun_family = AF_UNIX;
    if (snprintf(out->sun_path, sizeof out->sun_path, "%s", path) >= (int)sizeof out->sun_path)
        return err_set(err, ERR_PERMANENT, "socket %s: path is too long", path);
    return 0;
}

/* Who could reach the hypervisor's own may reach this one, and nobody the other. */
static int listen_as(struct export_relay *relay, struct err *err)
{
    const char *path = relay->path.sun_path;
    struct stat inner;

    if (stat(relay->inner.sun_path, &inner) < 0)
        return err_errno(err, errno, relay->inner.sun_path);
    relay->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (relay->listener < 0 || bind(relay->listener, (struct sockaddr *)&relay->path, sizeof relay->path) < 0) {
        err_errno(err, errno, path);
        return err_hint(err, "can the worker write to that folder? As a service: ReadWritePaths of its unit");
    }
    if (chmod(path, inner.st_mode & 0777) < 0 || (geteuid() == 0 && lchown(path, inner.st_uid, inner.st_gid) < 0) ||
        chmod(relay->inner.sun_path, 0600) < 0 || listen(relay->listener, CLIENTS_MAX) < 0) {
        err_errno(err, errno, path);
        unlink(path);
        return -1;
    }
    return 0;
}

static void relay_free(struct export_relay *relay)
{
    while (relay->count > 0)
        client_end(&relay->clients[--relay->count]);
    closep(&relay->listener);
    closep(&relay->wake);
    free(relay);
}

int export_relay_begin(const char *path, const char *inner, struct export_relay **out, struct err *err)
{
    struct export_relay *relay = calloc(1, sizeof *relay);

    if (!relay)
        return err_memory(err, path);
    relay->listener = -1;
    relay->alive_ms = clock_monotonic_ms();
    relay->wake = eventfd(0, EFD_CLOEXEC);
    if (relay->wake < 0)
        err_errno(err, errno, path);
    if (relay->wake < 0 || set_path(&relay->path, path, err) < 0 || set_path(&relay->inner, inner, err) < 0 ||
        listen_as(relay, err) < 0) {
        relay_free(relay);
        return -1;
    }
    if (pthread_create(&relay->thread, NULL, run, relay) != 0) {
        unlink(path);
        relay_free(relay);
        return err_set(err, ERR_RETRY, "socket %s: no thread for it", path);
    }
    *out = relay;
    return 0;
}

int64_t export_relay_alive_ms(const struct export_relay *relay)
{
    return relay->alive_ms;
}

void export_relay_end(struct export_relay *relay)
{
    if (!relay)
        return;
    unlink(relay->path.sun_path);
    eventfd_write(relay->wake, 1);
    pthread_join(relay->thread, NULL);
    relay_free(relay);
}
