/*
 * avro-c believes what a message says of its own length: five bytes that claim a string of 50 MB make it allocate them, fail, and leak them (1.11.1).
 * Our codec never lets it see a message; it only parses schemas. Even so it gets no more memory than the text of a schema can need.
 */
#include "wire/guard.h"

#include <avro.h>
#include <stdint.h>
#include <stdlib.h>

static _Thread_local size_t budget = SIZE_MAX;

static void *allocate(void *context, void *pointer, size_t old_size, size_t size)
{
    size_t more = size > old_size ? size - old_size : 0;

    (void)context;
    if (size == 0) {
        free(pointer);
        return NULL;
    }
    if (more > budget)
        return NULL;
    void *moved = realloc(pointer, size);
    if (moved && budget != SIZE_MAX)
        budget -= more;
    return moved;
}

void guard_install(void)
{
    avro_set_allocator(allocate, NULL);
}

void guard_allow(size_t bytes)
{
    budget = bytes;
}

void guard_lift(void)
{
    budget = SIZE_MAX;
}
