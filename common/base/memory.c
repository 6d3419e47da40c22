/*
 * glibc's allocator as it comes gives the end of each thread's heap back to the kernel after a batch and takes it again for the next; and each request above 1 KiB first
 * merges all small pieces that were freed (malloc_consolidate), of which a batch leaves thousands. Both cost more than they save here: 13 % of the view's thread.
 */
#include "base/memory.h"

#include <malloc.h>

enum { KEEP_BYTES = 16 << 20, MAP_BYTES = 1 << 20 };

void memory_settle(void)
{
    mallopt(M_TRIM_THRESHOLD, KEEP_BYTES);
    mallopt(M_MMAP_THRESHOLD, MAP_BYTES);
    mallopt(M_MXFAST, 0);
}
