#include "worker/backends/libvirt/thaw_guard.h"

#include "base/clock.h"
#include "base/log.h"

#include <pthread.h>

enum { AGAIN_MS = 200 };

struct thaw_guard {
    pthread_t thread;
    virDomainPtr domain;
    int64_t until_ms;      /* monotonic */
    pthread_mutex_t mutex; /* protects ended, fired */
    pthread_cond_t wake;
    bool ended, fired;
};

static bool ended_by(struct thaw_guard *guard, int64_t until_ms)
{
    struct timespec until = {until_ms / 1000, until_ms % 1000 * 1000000};
    LOCK_SCOPE(&guard->mutex);

    while (!guard->ended && pthread_cond_timedwait(&guard->wake, &guard->mutex, &until) == 0)
        ;
    guard->fired = guard->fired || !guard->ended;
    return guard->ended;
}

/* An agent that does not answer may come back, or another may take its place. */
static void *watch_limit(void *context)
{
    struct thaw_guard *guard = context;
    const char *name = virDomainGetName(guard->domain);
    bool over = ended_by(guard, guard->until_ms);

    for (bool said = false; !over; said = true) {
        if (virDomainFSThaw(guard->domain, NULL, 0, 0) >= 0) {
            log_warning(name, "thawed because it was frozen longer than the limit");
            break;
        }
        if (!said)
            log_error(name, "frozen longer than the limit, and it does not thaw: %s", virGetLastErrorMessage());
        over = ended_by(guard, clock_monotonic_ms() + AGAIN_MS) || virDomainIsActive(guard->domain) != 1;
    }
    return NULL;
}

static void guard_free(struct thaw_guard *guard)
{
    pthread_cond_destroy(&guard->wake);
    pthread_mutex_destroy(&guard->mutex);
    virDomainFree(guard->domain);
    free(guard);
}

static struct thaw_guard *guard_new(virDomainPtr domain, int64_t limit_ms)
{
    struct thaw_guard *guard = calloc(1, sizeof *guard);
    pthread_condattr_t monotonic;

    if (!guard)
        return NULL;
    virDomainRef(domain);
    guard->domain = domain;
    guard->until_ms = clock_monotonic_ms() + limit_ms;
    pthread_mutex_init(&guard->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&guard->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return guard;
}

int thaw_guard_begin(struct libvirt_backend *backend, virDomainPtr domain, int64_t limit_ms, struct err *err)
{
    struct thaw_guard *guard;

    thaw_guard_end(backend);
    guard = guard_new(domain, limit_ms);
    if (!guard)
        return err_memory(err, "freeze");
    if (pthread_create(&guard->thread, NULL, watch_limit, guard) != 0) {
        guard_free(guard);
        return err_set(err, ERR_RETRY, "freeze: no thread for the frozen limit");
    }
    backend->guard = guard;
    return 0;
}

bool thaw_guard_end(struct libvirt_backend *backend)
{
    struct thaw_guard *guard = TAKE_PTR(backend->guard);
    bool fired;

    if (!guard)
        return false;
    pthread_mutex_lock(&guard->mutex);
    guard->ended = true;
    pthread_cond_signal(&guard->wake);
    pthread_mutex_unlock(&guard->mutex);
    pthread_join(guard->thread, NULL);
    fired = guard->fired;
    guard_free(guard);
    return fired;
}
