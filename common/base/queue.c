/*
 * The eventfd is written when the list becomes non-empty and read when it becomes empty, both under the mutex: outside it a push between "taken" and
 * "cleared" would lose its wake. Neither call ever waits (EFD_NONBLOCK), so this is not I/O under a lock.
 */
#include "base/queue.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>

struct queue {
    pthread_mutex_t mutex; /* protects all below */
    pthread_cond_t filled; /* CLOCK_MONOTONIC */
    struct queue_item *first, *last;
    size_t count;
    bool closed;
    int fd; /* set once */
};

static int init_locks(struct queue *queue)
{
    pthread_condattr_t attributes;

    if (pthread_condattr_init(&attributes) != 0)
        return -1;
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    int failed = pthread_cond_init(&queue->filled, &attributes);
    pthread_condattr_destroy(&attributes);
    if (failed)
        return -1;
    if (pthread_mutex_init(&queue->mutex, NULL) == 0)
        return 0;
    pthread_cond_destroy(&queue->filled);
    return -1;
}

int queue_new(struct queue **out, struct err *err)
{
    CLEANUP(freep) struct queue *queue = calloc(1, sizeof *queue);

    if (!queue)
        return err_memory(err, "queue");
    queue->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (queue->fd < 0)
        return err_errno(err, errno, "queue: eventfd");
    if (init_locks(queue) < 0) {
        close(queue->fd);
        return err_memory(err, "queue");
    }
    *out = TAKE_PTR(queue);
    return 0;
}

void queue_free(struct queue *queue)
{
    if (!queue)
        return;
    pthread_mutex_destroy(&queue->mutex);
    pthread_cond_destroy(&queue->filled);
    close(queue->fd);
    free(queue);
}

static void raise_fd(const struct queue *queue)
{
    uint64_t one = 1;
    ssize_t written = write(queue->fd, &one, sizeof one);

    (void)written; /* cannot fail: the counter is 0 or 1 */
}

static void lower_fd(const struct queue *queue)
{
    uint64_t value;
    ssize_t got = read(queue->fd, &value, sizeof value);

    (void)got;
}

void queue_push(struct queue *queue, struct queue_item *item)
{
    item->next = NULL;
    queue_push_list(queue, item);
}

void queue_push_list(struct queue *queue, struct queue_item *first)
{
    struct queue_item *last = first;
    size_t count = 1;

    if (!first)
        return;
    for (; last->next; last = last->next)
        count++;

    LOCK_SCOPE(&queue->mutex);
    if (queue->last)
        queue->last->next = first;
    else {
        queue->first = first;
        raise_fd(queue);
    }
    queue->last = last;
    queue->count += count;
    if (count == 1)
        pthread_cond_signal(&queue->filled);
    else
        pthread_cond_broadcast(&queue->filled);
}

struct queue_item *queue_take_all(struct queue *queue)
{
    LOCK_SCOPE(&queue->mutex);
    struct queue_item *first = queue->first;

    if (first)
        lower_fd(queue);
    queue->first = queue->last = NULL;
    queue->count = 0;
    return first;
}

/* Under the mutex. */
static struct queue_item *take_one(struct queue *queue)
{
    struct queue_item *item = queue->first;

    if (!item)
        return NULL;
    queue->first = item->next;
    if (!queue->first) {
        queue->last = NULL;
        lower_fd(queue);
    }
    queue->count--;
    item->next = NULL;
    return item;
}

static struct timespec deadline_after(int timeout_ms)
{
    struct timespec deadline;

    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += timeout_ms / 1000;
    deadline.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_sec++;
        deadline.tv_nsec -= 1000000000;
    }
    return deadline;
}

struct queue_item *queue_wait_one(struct queue *queue, int timeout_ms)
{
    struct timespec deadline = deadline_after(timeout_ms > 0 ? timeout_ms : 0);

    LOCK_SCOPE(&queue->mutex);
    while (!queue->first && !queue->closed) {
        int failed = timeout_ms < 0 ? pthread_cond_wait(&queue->filled, &queue->mutex)
                                    : pthread_cond_timedwait(&queue->filled, &queue->mutex, &deadline);
        if (failed)
            break;
    }
    return take_one(queue);
}

void queue_close(struct queue *queue)
{
    LOCK_SCOPE(&queue->mutex);
    queue->closed = true;
    pthread_cond_broadcast(&queue->filled);
}

int queue_fd(const struct queue *queue)
{
    return queue->fd;
}

size_t queue_count(struct queue *queue)
{
    LOCK_SCOPE(&queue->mutex);
    return queue->count;
}
