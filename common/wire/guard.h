#pragma once
/* What avro-c may allocate on this thread. Without guard_install() it allocates freely. */
#include <stddef.h>

void guard_install(void);
void guard_allow(size_t bytes); /* from now on, on this thread; past it avro-c's allocations fail */
void guard_lift(void);
