#include "worker/heap.h"

#include "base/err.h"
#include "worker/work.h"

#include <assert.h>

void heap_clear(struct heap *heap)
{
    free(heap->items);
    *heap = (struct heap){0};
}

static bool before(const struct heap_item *a, const struct heap_item *b)
{
    return a->first != b->first ? a->first < b->first : a->second < b->second;
}

static void put(struct heap *heap, size_t index, struct heap_item item)
{
    heap->items[index] = item;
    item.work->heap_index = index;
}

static void rise(struct heap *heap, size_t index, struct heap_item item)
{
    while (index > 0 && before(&item, &heap->items[(index - 1) / 2])) {
        put(heap, index, heap->items[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    put(heap, index, item);
}

static void sink(struct heap *heap, size_t index, struct heap_item item)
{
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && before(&heap->items[child + 1], &heap->items[child]))
            child++;
        if (!before(&heap->items[child], &item))
            break;
        put(heap, index, heap->items[child]);
        index = child;
    }
    put(heap, index, item);
}

int heap_push(struct heap *heap, int64_t first, int64_t second, struct work *work, struct err *err)
{
    if (heap->count == heap->capacity) {
        size_t capacity = heap->capacity ? heap->capacity * 2 : 64;
        struct heap_item *items = realloc(heap->items, capacity * sizeof *items);
        if (!items)
            return err_memory(err, "backlog");
        heap->items = items;
        heap->capacity = capacity;
    }
    rise(heap, heap->count++, (struct heap_item){first, second, work});
    return 0;
}

struct work *heap_first(const struct heap *heap)
{
    return heap->count ? heap->items[0].work : NULL;
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
    struct heap_item last = heap->items[--heap->count];

    if (last.work == work)
        return;
    if (index > 0 && before(&last, &heap->items[(index - 1) / 2]))
        rise(heap, index, last);
    else
        sink(heap, index, last);
}

bool heap_holds(const struct heap *heap, const struct work *work)
{
    return work->heap_index < heap->count && heap->items[work->heap_index].work == work;
}
