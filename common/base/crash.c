#include "base/crash.h"

#ifdef FLEETSNAP_CRASH_POINTS
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* What is wanted, and how far it has come. All of it under the mutex: points are passed by several threads. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char wanted[512];
static size_t at; /* in `wanted`: where the point that is waited for begins */
static int passages;

/* The file may come and go while the process runs; without one, the variable holds. */
static void read_wanted(char *out, size_t size)
{
    const char *path = getenv("FLEETSNAP_CRASH_FILE"), *text = getenv("FLEETSNAP_CRASH");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t len = fd < 0 ? 0 : read(fd, out, size - 1);

    if (fd >= 0)
        close(fd);
    out[len > 0 ? len : 0] = '\0';
    if (len <= 0 && text && strlen(text) < size)
        memcpy(out, text, strlen(text) + 1);
    out[strcspn(out, "\n")] = '\0';
}

/* "point[:detail][#n][~ms][=STOP]", ended by '>' or the end of the text, against this passage. */
static bool matches(const char *text, const char *point, const char *detail)
{
    size_t length = strcspn(text, ":#~=>");

    if (length != strlen(point) || strncmp(text, point, length) != 0)
        return false;
    if (text[length] != ':')
        return true;
    text += length + 1;
    length = strcspn(text, "#~=>");
    return detail && length == strlen(detail) && strncmp(text, detail, length) == 0;
}

/* True when this passage is the last one that was waited for. */
static bool arrived(const char *point, const char *detail)
{
    const char *text = wanted + at;
    size_t length = strcspn(text, ">"), number = strcspn(text, "#");

    if (!*text || !matches(text, point, detail) || ++passages < (number < length ? atoi(text + number + 1) : 1))
        return false;
    if (!text[length])
        return true;
    at += length + 1;
    passages = 0;
    return false;
}

static void *die_later(void *milliseconds)
{
    long ms = (long)(intptr_t)milliseconds;

    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
    kill(getpid(), SIGKILL);
    return NULL;
}

static void die(void)
{
    const char *delay = strchr(wanted + at, '~');
    pthread_t thread;

    if (strstr(wanted + at, "=STOP"))
        raise(SIGSTOP); /* by this thread, so that it goes no step further */
    else if (delay && pthread_create(&thread, NULL, die_later, (void *)(intptr_t)atoi(delay + 1)) == 0)
        pthread_detach(thread);
    else
        kill(getpid(), SIGKILL);
    at = strlen(wanted);
}

void crash_point(const char *point, const char *detail)
{
    char now[sizeof wanted];

    pthread_mutex_lock(&mutex);
    read_wanted(now, sizeof now);
    if (strcmp(now, wanted) != 0) {
        memcpy(wanted, now, sizeof wanted);
        at = 0;
        passages = 0;
    }
    if (arrived(point, detail))
        die();
    pthread_mutex_unlock(&mutex);
}
#else
typedef int crash_points_are_compiled_out; /* ISO C wants a declaration */
#endif
