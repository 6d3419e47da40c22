#pragma once
/*
 * Hands lists of work from thread to thread: a mutex-protected list with an eventfd for the loop that polls, and a condition (CLOCK_MONOTONIC) for a thread that waits.
 * The queue owns neither items nor their memory. Bounded by its users.
 */
#include <stdbool.h>
#include <stddef.h>

struct err;
struct queue;

struct queue_item { /* embed as first member */
    struct queue_item *next;
};

int queue_new(struct queue **out, struct err *err);
void queue_free(struct queue *queue);                                /* must be empty or its items owned elsewhere */
void queue_push(struct queue *queue, struct queue_item *item);       /* any thread; wakes */
void queue_push_list(struct queue *queue, struct queue_item *first); /* a chain by ->next, order kept, one wake */
struct queue_item *queue_take_all(
    struct queue *queue); /* never waits; the whole chain in order, NULL if empty; clears the eventfd */
struct queue_item *queue_wait_one(struct queue *queue,
                                  int timeout_ms); /* waits; NULL on time-out or when closed and empty */
void queue_close(struct queue *queue);             /* wakes every waiter; pushes still work */
int queue_fd(const struct queue *queue);           /* readable while something is queued */
size_t queue_count(struct queue *queue);
