#pragma once
/* The hosts: their heartbeats, when they were last heard of, and whether a job of theirs is to be shown as LOST. Whoever owns a fleet guards it. */
#include <stdbool.h>
#include <stdint.h>

#include <uthash.h>

struct err;

struct fleet_host {
    UT_hash_handle hh;
    char name[64];
    bool alive;              /* fs:host is there */
    int64_t alive_since_ms;  /* real time when it came to be there, as far as this start has seen */
    int64_t heartbeat_at_ms; /* real time when it was last seen there; 0: never by this start */
    int64_t heard_at_ms;     /* append time of its newest record on Kafka; 0: none seen */
    int64_t known_since_ms;  /* real time when we began to look */
    char instance[128];
    int64_t running;
};

struct fleet;

int fleet_new(struct fleet **out, struct err *err);
void fleet_free(struct fleet *fleet);
struct fleet_host *fleet_find(const struct fleet *fleet, const char *name);
struct fleet_host *fleet_add(struct fleet *fleet, const char *name,
                             int64_t now_ms); /* or the one that is there; NULL: no memory */

bool fleet_any_silent(const struct fleet *fleet, int64_t now_ms, int64_t epoch_changed_ms, int64_t silent_ms);

/*
 * True if the host has given no sign of life for `silent_ms`: no heartbeat, no record, and we have looked for that long, without a change of epoch that would explain a
 * missing heartbeat. Pure.
 */
bool fleet_silent(const struct fleet_host *host, int64_t now_ms, int64_t epoch_changed_ms, int64_t silent_ms);
