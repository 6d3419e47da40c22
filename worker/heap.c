#include "worker/heap.h"

#include "base/err.h"
#include "worker/work.h"

#include <assert.h>

void heap_init(struct heap *heap, heap_before *before)
{
    *heap = (struct heap){.before = before};
}

void heap_clear(struct heap *heap)
{
    free(heap->items);
    heap_init(heap, heap->before);
}

static void put(struct heap *heap, size_t index, struct work *work)
{
    heap->items[index] = work;
    work->heap_index = index;
}

static void rise(struct heap *heap, size_t index, struct work *work)
{
    while (index > 0 && heap->before(work, heap->items[(index - 1) / 2])) {
        put(heap, index, heap->items[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    put(heap, index, work);
}

static void sink(struct heap *heap, size_t index, struct work *work)
{
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && heap->before(heap->items[child + 1], heap->items[child]))
            child++;
        if (!heap->before(heap->items[child], work))
            break;
        put(heap, index, heap->items[child]);
        index = child;
    }
    put(heap, index, work);
}

int heap_push(struct heap *heap, struct work *work, struct err *err)
{
    if (heap->count == heap->capacity) {
        size_t capacity = heap->capacity ? heap->capacity * 2 : 64;
        struct work **items = realloc(heap->items, capacity * sizeof *items);
        if (!items)
            return err_memory(err, "backlog");
        heap->items = items;
        heap->capacity = capacity;
    }
    rise(heap, heap->count++, work);
    return 0;
}

struct work *heap_first(const struct heap *heap)
{
    return heap->count ? heap->items[0] : NULL;
}

struct work *heap_pop(struct heap *heap)
{
    struct work *first = heap_first(heap);

    if (first)
        heap_remove(heap, first);
    return first;
}

void heap_remove(struct heap *heap, struct work *work)
{
    assert(heap_holds(heap, work));
    size_t index = work->heap_index;
    struct work *last = heap->items[--heap->count];

    if (last == work)
        return;
    if (index > 0 && heap->before(last, heap->items[(index - 1) / 2]))
        rise(heap, index, last);
    else
        sink(heap, index, last);
}

bool heap_holds(const struct heap *heap, const struct work *work)
{
    return work->heap_index < heap->count && heap->items[work->heap_index] == work;
}
