/*
 * Connections. Each handle (an executor, the inventory, the watch) has its own: libvirt's objects are thread-safe, but one slow call must not stand in another's way.
 * "qemu:///embed?root=DIR" runs the hypervisor's driver inside this process: it starts in the first open, later opens of the same root join it, and it never stops before
 * the process does. Two first opens at once fail ("state driver is not active"), so opens take turns. Events, keep-alive and the embedded driver need an event loop; it
 * has a thread of its own, from before the first open to the end of the process.
 */
#include "worker/backends/libvirt/libvirt.h"

#include "base/crash.h"
#include "base/log.h"
#include "worker/backends/libvirt/notes.h"
#include "worker/backends/libvirt/predecessor.h"

#include <pthread.h>
#include <string.h>

enum { KEEPALIVE_SECONDS = 5, KEEPALIVE_COUNT = 3, PREDECESSOR_MS = 60000, NOTES_MS = 30000 };

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
 * An embedded driver that has just started takes running guests over in threads of its own, and stops one that was only being started when its predecessor died; until then
 * each looks as it did. What needs the guest's monitor is answered when that is over.
 */
static void wait_for_guests(virConnectPtr connection, const char *uri)
{
    CLEANUP(freep) char *root = predecessor_root(uri);
    virDomainStatsRecordPtr *records = NULL;

    if (virConnectGetAllDomainStats(connection, VIR_DOMAIN_STATS_BLOCK, &records,
                                    VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE) >= 0)
        virDomainStatsRecordListFree(records);
    if (root)
        notes_wait(root, NOTES_MS);
}

/* Before the first open of this process: what must be over, and what must be forgotten, when a driver starts in it. */
static int prepare(const char *uri, struct err *err)
{
    CLEANUP(freep) char *root = predecessor_root(uri);

    if (predecessor_wait(uri, PREDECESSOR_MS, err) < 0)
        return -1;
    if (!root || !notes_mend(root))
        return 0;
    return predecessor_wait(uri, PREDECESSOR_MS, err); /* QEMU was spoken to, and must have noticed the end of that */
}

virConnectPtr libvirt_open(const char *uri, struct err *err)
{
    static bool opened; /* under `opening`: from then on, those who are connected are we */
    virConnectPtr connection;

    pthread_once(&started, start);
    LOCK_SCOPE(&opening);
    if (!opened && prepare(uri, err) < 0)
        return NULL;
    if (!opened)
        crash_point("connect.before", "libvirt");
    connection = virConnectOpen(uri);
    if (connection && !opened && strstr(uri, ":///embed"))
        wait_for_guests(connection, uri);
    opened = opened || connection;
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
