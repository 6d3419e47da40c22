/* One list of listeners for the process: a few executors at most, so each is looked at. */
#include "worker/backends/libvirt/news.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* protects listeners, their `told`, and flowing */
static pthread_cond_t told = PTHREAD_COND_INITIALIZER;
static struct news_listener *listeners;
static bool flowing;

void news_listen(struct news_listener *listener, const char *uuid)
{
    LOCK_SCOPE(&mutex);

    *listener = (struct news_listener){.uuid = uuid, .next = listeners};
    listeners = listener;
}

bool news_wait(struct news_listener *listener, int64_t ms)
{
    int64_t until_ms = clock_monotonic_ms() + ms;
    struct timespec until = {until_ms / 1000, until_ms % 1000 * 1000000};
    LOCK_SCOPE(&mutex);

    while (!listener->told && pthread_cond_clockwait(&told, &mutex, CLOCK_MONOTONIC, &until) == 0)
        ;
    bool heard = listener->told;
    listener->told = false;
    return heard;
}

void news_end(struct news_listener *listener)
{
    LOCK_SCOPE(&mutex);

    for (struct news_listener **at = &listeners; *at; at = &(*at)->next) {
        if (*at != listener)
            continue;
        *at = listener->next;
        break;
    }
}

void news_tell(const char *uuid)
{
    LOCK_SCOPE(&mutex);

    for (struct news_listener *listener = listeners; listener; listener = listener->next)
        if (!uuid || strcmp(listener->uuid, uuid) == 0)
            listener->told = true;
    pthread_cond_broadcast(&told);
}

void news_flow(bool flows)
{
    LOCK_SCOPE(&mutex);

    flowing = flows;
}

bool news_flowing(void)
{
    LOCK_SCOPE(&mutex);

    return flowing;
}
