#pragma once
/*
 * Open jobs of a host that was replaced or removed after they were given to it: no word of it will be believed any more, so the coordinator says the last one. Keeper thread.
 */
#include <stddef.h>

struct coordinator;
struct redis;

/* Frees what they hold in Redis, and asks the main loop to end them. Returns how many there were; 0: all have ended. */
size_t bygone_judge(struct coordinator *coordinator, struct redis *redis);
