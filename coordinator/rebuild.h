#pragma once
/* The keeper's longer tasks: tickets after Redis lost its memory, heartbeats of all hosts, jobs that may be forgotten. Keeper thread only. */
#include <stddef.h>
#include <stdint.h>

struct coordinator;
struct err;
struct redis;

/* Writes the ticket of every open job with what ledger and view know of it. */
int rebuild_tickets(struct coordinator *coordinator, struct redis *redis, int64_t term, size_t *out_written,
                    struct err *err);
/* Asks the main loop to forget jobs that ended 40 days ago and that no restore point names as its last writer. */
void rebuild_forget_old(struct coordinator *coordinator);
int heartbeats_read(struct coordinator *coordinator, struct redis *redis, struct err *err);
/* Says LOST of the jobs of hosts that are silent, and takes it back. */
void heartbeats_judge(struct coordinator *coordinator, struct redis *redis, int64_t epoch_changed_ms);
