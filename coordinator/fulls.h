#pragma once
/*
 * Which full backups, that nobody asked for, wait for the next run of their policy, so that after many machines were reverted not all are made in one. Pure.
 *
 * One waits only if it was backed up in or since the run before (so it waits for one run, never for two in a row, whatever made it miss that one), and only if its newest backup is not
 * older than max_age even when the next run has ended. Those that may not wait are made in any case, beyond the limit, too; of the others those whose backup is oldest go first.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

struct fulls_item {
    const char *target;
    int64_t newest_ms; /* when its newest good backup was made */
    bool waits;        /* the answer */
};

struct fulls_rule {
    int64_t most;        /* in one run */
    int64_t before_ms;   /* slot of the run before; 0: there was none, and nobody waits */
    int64_t next_end_ms; /* when the turns of the next run will be over; 0: there is none, and nobody waits */
    int64_t max_age_ms;  /* of the newest backup; 0: no such rule */
};

/* The order of the array stays, and does not matter. */
int fulls_choose(const struct fulls_rule *rule, struct fulls_item *items, size_t count, struct err *err);
