/*
 * One counter for the process: the view has committed. The readers of view.h open the file by its path and know nothing of the writer; polling it a hundred times a second
 * from each event stream would cost more than this one global.
 */
#include "coordinator/view.h"
#include "coordinator/view_internal.h"

#include <time.h>

enum { SLICE_MS = 250 };

static pthread_mutex_t news_mutex = PTHREAD_MUTEX_INITIALIZER; /* protects news */
static pthread_cond_t news_changed = PTHREAD_COND_INITIALIZER;
static int64_t news;

void view_news_tell(void)
{
    pthread_mutex_lock(&news_mutex);
    news++;
    pthread_cond_broadcast(&news_changed);
    pthread_mutex_unlock(&news_mutex);
}

int64_t view_news_now(void)
{
    pthread_mutex_lock(&news_mutex);
    int64_t now = news;
    pthread_mutex_unlock(&news_mutex);
    return now;
}

void view_news_wait(int64_t seen, int timeout_ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(timeout_ms < SLICE_MS ? timeout_ms : SLICE_MS) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&news_mutex);
    while (news == seen && pthread_cond_clockwait(&news_changed, &news_mutex, CLOCK_MONOTONIC, &until) == 0)
        ;
    pthread_mutex_unlock(&news_mutex);
}
