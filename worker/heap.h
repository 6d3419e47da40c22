#pragma once
/* A binary heap of jobs. Owns its array, not the jobs; a job knows its place (heap_index), so that it can be taken out of the middle. One thread. */
#include <stdbool.h>
#include <stddef.h>

struct err;
struct work;

typedef bool heap_before(const struct work *a, const struct work *b);

struct heap {
    struct work **items;
    size_t count, capacity;
    heap_before *before;
};

void heap_init(struct heap *heap, heap_before *before);
void heap_clear(struct heap *heap);
int heap_push(struct heap *heap, struct work *work, struct err *err);
struct work *heap_first(const struct heap *heap);       /* NULL if empty */
struct work *heap_pop(struct heap *heap);               /* NULL if empty */
void heap_remove(struct heap *heap, struct work *work); /* must be in it */
bool heap_holds(const struct heap *heap, const struct work *work);
