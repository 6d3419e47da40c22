/*
 * Changes by event. A thread keeps a connection of its own; libvirt's event thread calls back on it. When the connection breaks (the daemon restarted), whatever happened
 * meanwhile is unknown: after reconnecting it says "look at everything". Nothing is filtered or gathered here; that is the caller's. Steps that wait are woken (news.h).
 */
#include "worker/backends/libvirt/inventory.h"
#include "worker/backends/libvirt/news.h"

#include "base/clock.h"
#include "base/log.h"

#include <pthread.h>

enum { RECONNECT_MS = 2000, CALLBACKS_MAX = 16 };

struct watch {
    pthread_t thread;
    const struct backend_config *config;
    void (*changed)(void *context, const char *target_id);
    void *context;
    pthread_mutex_t mutex; /* protects ended, broken */
    pthread_cond_t wake;
    bool ended, broken;
};

static struct watch *watching; /* one per process; touched by watch and unwatch only, which one thread calls */

static void note(virDomainPtr domain, struct watch *watch)
{
    char uuid[VIR_UUID_STRING_BUFLEN];

    if (virDomainGetUUIDString(domain, uuid) < 0)
        return;
    news_tell(uuid);
    watch->changed(watch->context, uuid);
}

static int on_lifecycle(virConnectPtr connection, virDomainPtr domain, int event, int detail, void *context)
{
    (void)connection;
    (void)event;
    (void)detail;
    note(domain, context);
    return 0;
}

static void on_agent(virConnectPtr connection, virDomainPtr domain, int state, int reason, void *context)
{
    (void)connection;
    (void)state;
    (void)reason;
    note(domain, context);
}

static void on_block_job(virConnectPtr connection, virDomainPtr domain, const char *disk, int type, int status,
                         void *context)
{
    (void)connection;
    (void)disk;
    (void)type;
    (void)status;
    note(domain, context);
}

static void on_device(virConnectPtr connection, virDomainPtr domain, const char *alias, void *context)
{
    (void)connection;
    (void)alias;
    note(domain, context);
}

static void on_job(virConnectPtr connection, virDomainPtr domain, virTypedParameterPtr params, int count, void *context)
{
    (void)connection;
    (void)params;
    (void)count;
    note(domain, context);
}

static void on_metadata(virConnectPtr connection, virDomainPtr domain, int type, const char *uri, void *context)
{
    (void)connection;
    (void)type;
    (void)uri;
    note(domain, context);
}

/* For the step that watches the room of a backup; it changes nothing that the inventory shows. */
static void on_threshold(virConnectPtr connection, virDomainPtr domain, const char *device, const char *path,
                         unsigned long long threshold, unsigned long long excess, void *context)
{
    char uuid[VIR_UUID_STRING_BUFLEN];

    (void)connection;
    (void)device;
    (void)path;
    (void)threshold;
    (void)excess;
    (void)context;
    if (virDomainGetUUIDString(domain, uuid) == 0)
        news_tell(uuid);
}

static const struct {
    int id;
    virConnectDomainEventGenericCallback callback;
} events[] = {
    {VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle)},
    {VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_agent)},
    {VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2, VIR_DOMAIN_EVENT_CALLBACK(on_block_job)},
    {VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, VIR_DOMAIN_EVENT_CALLBACK(on_device)},
    {VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, VIR_DOMAIN_EVENT_CALLBACK(on_device)},
    {VIR_DOMAIN_EVENT_ID_JOB_COMPLETED, VIR_DOMAIN_EVENT_CALLBACK(on_job)},
    {VIR_DOMAIN_EVENT_ID_BLOCK_THRESHOLD, VIR_DOMAIN_EVENT_CALLBACK(on_threshold)},
    {VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(on_metadata)},
};

enum { EVENT_COUNT = sizeof events / sizeof events[0] };

static void on_close(virConnectPtr connection, int reason, void *context)
{
    struct watch *watch = context;
    LOCK_SCOPE(&watch->mutex);

    (void)connection;
    (void)reason;
    watch->broken = true;
    pthread_cond_signal(&watch->wake);
}

/* Until the end, the connection breaks, or `ms` have passed (0: for ever). */
static bool wait_ended(struct watch *watch, int64_t ms)
{
    int64_t until_ms = clock_monotonic_ms() + ms;
    struct timespec until = {until_ms / 1000, until_ms % 1000 * 1000000};
    LOCK_SCOPE(&watch->mutex);

    while (!watch->ended && !(ms == 0 && watch->broken)) {
        if (ms == 0)
            pthread_cond_wait(&watch->wake, &watch->mutex);
        else if (pthread_cond_timedwait(&watch->wake, &watch->mutex, &until) != 0)
            break;
    }
    return watch->ended;
}

static void watch_connection(struct watch *watch, virConnectPtr connection)
{
    int ids[EVENT_COUNT];

    watch->broken = false;
    virConnectRegisterCloseCallback(connection, on_close, watch,
                                    NULL); /* the embedded driver has nothing that could close */
    for (int i = 0; i < EVENT_COUNT; i++)
        ids[i] = virConnectDomainEventRegisterAny(connection, NULL, events[i].id, events[i].callback, watch, NULL);
    news_flow(true);
    news_tell(NULL);
    watch->changed(watch->context, NULL);
    wait_ended(watch, 0);
    news_flow(false);
    for (int i = 0; i < EVENT_COUNT; i++)
        if (ids[i] >= 0)
            virConnectDomainEventDeregisterAny(connection, ids[i]);
    virConnectUnregisterCloseCallback(connection, on_close);
}

static void *run_watch(void *context)
{
    struct watch *watch = context;

    do {
        struct err err = {0};
        virConnectPtr connection = libvirt_open(watch->config->libvirt_uri, &err);

        if (connection) {
            watch_connection(watch, connection);
            virConnectClose(connection);
        } else {
            log_debug("libvirt", "events: %s", err.text);
        }
    } while (!wait_ended(watch, RECONNECT_MS));
    return NULL;
}

static void watch_free(struct watch *watch)
{
    pthread_cond_destroy(&watch->wake);
    pthread_mutex_destroy(&watch->mutex);
    free(watch);
}

int libvirt_watch(const struct backend_config *config, void (*changed)(void *context, const char *target_id),
                  void *context, struct err *err)
{
    struct watch *watch = calloc(1, sizeof *watch);
    pthread_condattr_t monotonic;

    if (!watch)
        return err_memory(err, "watch");
    *watch = (struct watch){.config = config, .changed = changed, .context = context};
    pthread_mutex_init(&watch->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&watch->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&watch->thread, NULL, run_watch, watch) != 0) {
        watch_free(watch);
        return err_set(err, ERR_RETRY, "libvirt: no thread for events");
    }
    watching = watch;
    return 0;
}

void libvirt_unwatch(void)
{
    struct watch *watch = TAKE_PTR(watching);

    if (!watch)
        return;
    pthread_mutex_lock(&watch->mutex);
    watch->ended = true;
    pthread_cond_signal(&watch->wake);
    pthread_mutex_unlock(&watch->mutex);
    pthread_join(watch->thread, NULL);
    watch_free(watch);
}
