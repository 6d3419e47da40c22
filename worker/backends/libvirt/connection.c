/*
 * Connections. Each handle (an executor, the inventory, the watch) has its own: libvirt's objects are thread-safe, but one slow call must not stand in another's way.
 * "qemu:///embed?root=DIR" runs the hypervisor's driver inside this process: it starts in the first open, later opens of the same root join it, and it never stops before
 * the process does. Two first opens at once fail ("state driver is not active"), so opens take turns. Events, keep-alive and the embedded driver need an event loop; it
 * has a thread of its own, from before the first open to the end of the process.
 */
#include "worker/backends/libvirt/libvirt.h"

#include "base/log.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

enum { KEEPALIVE_SECONDS = 5, KEEPALIVE_COUNT = 3 };

static pthread_once_t started = PTHREAD_ONCE_INIT;
static pthread_mutex_t opening =
    PTHREAD_MUTEX_INITIALIZER; /* one virConnectOpen at a time; held across it, on purpose (above) */

/* Errors are fetched where they happen; libvirt would print them to stderr as well. */
static void say_nothing(void *context, virErrorPtr error)
{
    (void)context;
    (void)error;
}

static void *run_events(void *context)
{
    (void)context;
    while (virEventRunDefaultImpl() == 0)
        ;
    log_error("libvirt", "the event loop ended: %s", virGetLastErrorMessage());
    return NULL;
}

static void start(void)
{
    pthread_t thread;

    virSetErrorFunc(NULL, say_nothing);
    if (virInitialize() < 0 || virEventRegisterDefaultImpl() < 0 || pthread_create(&thread, NULL, run_events, NULL) != 0)
        log_error("libvirt", "cannot start the event loop");
    else
        pthread_detach(thread);
}

/*
 * An embedded driver that opens its root within milliseconds of its predecessor's death finds QEMU's monitor still talking to the dead: it reads a broken pipe, takes the guest for
 * broken and kills it ("shutting down, reason=daemon"; seen on libvirt 9.0). So the first open of a process waits until that monitor has noticed.
 */
static void let_the_dead_go(const char *uri)
{
    static bool waited;

    if (!waited && strstr(uri, ":///embed"))
        nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
    waited = true;
}

virConnectPtr libvirt_open(const char *uri, struct err *err)
{
    virConnectPtr connection;

    pthread_once(&started, start);
    LOCK_SCOPE(&opening);
    let_the_dead_go(uri);
    connection = virConnectOpen(uri);
    if (!connection)
        libvirt_err(err, "cannot connect to %s", uri);
    else
        virConnectSetKeepAlive(connection, KEEPALIVE_SECONDS,
                               KEEPALIVE_COUNT); /* the embedded driver has no wire to watch, and says so */
    return connection;
}

int libvirt_connect(struct libvirt_backend *backend, struct err *err)
{
    if (backend->connection && virConnectIsAlive(backend->connection) == 1)
        return 0;
    if (backend->connection)
        virConnectClose(backend->connection);
    backend->connection = libvirt_open(backend->base.config->libvirt_uri, err);
    if (!backend->connection)
        return -1;
    if (virConnectGetLibVersion(backend->connection, &backend->version) < 0)
        return libvirt_err(err, "version");
    return 0;
}
