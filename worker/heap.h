#pragma once
/* A binary heap of jobs. Owns its array, not the jobs; a job knows its place (heap_index), so that it can be taken out of the middle. One thread. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct work;

struct heap_item { /* the order is in here, for a job is not in the cache */
    int64_t first, second;
    struct work *work;
};

struct heap { /* zeroed at first */
    struct heap_item *items;
    size_t count, capacity;
};

void heap_clear(struct heap *heap);
/* The lowest `first` is first out; of equal ones the lowest `second`. */
int heap_push(struct heap *heap, int64_t first, int64_t second, struct work *work, struct err *err);
struct work *heap_first(const struct heap *heap);       /* NULL if empty */
struct work *heap_pop(struct heap *heap);               /* NULL if empty */
void heap_remove(struct heap *heap, struct work *work); /* must be in it */
bool heap_holds(const struct heap *heap, const struct work *work);
